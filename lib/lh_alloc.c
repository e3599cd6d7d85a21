/* SPDX-License-Identifier: Apache-2.0 */
/* lh_alloc - memory that is there, or the program ends. */
#include <config.h>
#include "lib/lh_alloc.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *
checked(void *p)
{
    if (!p) {
        abort();
    }
    return p;
}

void *
lh_alloc(size_t size)
{
    return checked(malloc(size ? size : 1));
}

void *
lh_alloc_zero(size_t size)
{
    return checked(calloc(1, size ? size : 1));
}

void *
lh_alloc_lines(size_t line, size_t size)
{
    size_t n = (size + line - 1) & ~(line - 1);

    return memset(checked(aligned_alloc(line, n ? n : line)), 0, n);
}

void *
lh_alloc_array(void *old, size_t n, size_t size)
{
    return checked(reallocarray(old, n ? n : 1, size ? size : 1));
}

void *
lh_alloc_grow(void *array, size_t n, size_t *allocated, size_t size)
{
    if (n >= *allocated) {
        *allocated = *allocated ? *allocated * 2 : 4;
        array = lh_alloc_array(array, *allocated, size);
    }
    return array;
}

char *
lh_strdup(const char *text)
{
    return text ? checked(strdup(text)) : NULL;
}

void *
lh_memdup(const void *data, size_t len)
{
    return data && len ? memcpy(lh_alloc(len), data, len) : NULL;
}

char *
lh_asprintf(const char *format, ...)
{
    va_list args;
    char *text;
    int n;

    va_start(args, format);
    n = vasprintf(&text, format, args);
    va_end(args);
    return checked(n < 0 ? NULL : text);
}
