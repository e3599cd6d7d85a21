/* SPDX-License-Identifier: Apache-2.0 */
/* lh_error - what went wrong, in words for a person. */
#include <config.h>
#include "lib/lh_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void
set(struct lh_error *error, int pos, const char *format, va_list args)
{
    vsnprintf(error->text, sizeof error->text, format, args);
    error->pos = pos;
}

void
lh_error_set(struct lh_error *error, const char *format, ...)
{
    va_list args;

    if (error) {
        va_start(args, format);
        set(error, -1, format, args);
        va_end(args);
    }
}

void
lh_error_set_at(struct lh_error *error, int pos, const char *format, ...)
{
    va_list args;

    if (error) {
        va_start(args, format);
        set(error, pos, format, args);
        va_end(args);
    }
}

void
lh_error_prefix(struct lh_error *error, const char *format, ...)
{
    char prefix[sizeof error->text];
    struct lh_error whole;
    va_list args;
    size_t len;

    if (!error) {
        return;
    }
    va_start(args, format);
    vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    len = (size_t) snprintf(whole.text, sizeof whole.text, "%s: ", prefix);
    if (len < sizeof whole.text) {
        snprintf(whole.text + len, sizeof whole.text - len, "%s", error->text);
    }
    memcpy(error->text, whole.text, sizeof error->text);
}
