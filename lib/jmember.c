/* SPDX-License-Identifier: Apache-2.0 */
/* jmember - members of a JSON document, read with errors that name them. */
#include <config.h>
#include "lib/jmember.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dpid.h"
#include "lib/lh_alloc.h"

struct jmember
jmember_root(const json_t *value)
{
    return (struct jmember){.value = value};
}

struct jmember
jmember_get(const struct jmember *object, const char *name)
{
    return (struct jmember){
        .value = json_object_get(object->value, name),
        .parent = object,
        .name = name,
    };
}

struct jmember
jmember_at(const struct jmember *array, size_t index)
{
    return (struct jmember){
        .value = json_array_get(array->value, index),
        .parent = array,
        .index = index,
    };
}

bool
jmember_is_there(const struct jmember *m)
{
    return m->value && !json_is_null(m->value);
}

/* Writes the path of 'm' ("switches[2].ports"), empty for the root, from the
 * end of 'buf' backwards and returns where it begins; what does not fit is
 * cut from the left. */
static const char *
path(const struct jmember *m, char *buf, size_t size)
{
    char *start = buf + size - 1;

    *start = '\0';
    for (; m->parent; m = m->parent) {
        char part[64];
        size_t len;

        if (m->name) {
            snprintf(part, sizeof part, "%s%s", m->parent->parent ? "." : "",
                     m->name);
        } else {
            snprintf(part, sizeof part, "[%zu]", m->index);
        }
        len = strlen(part);
        if (len > (size_t) (start - buf)) {
            break;
        }
        start -= len;
        memcpy(start, part, len);
    }
    return start;
}

int
jmember_error(const struct jmember *m, struct lh_error *error,
              const char *format, ...)
{
    char buf[160], reason[sizeof error->text];
    const char *where = path(m, buf, sizeof buf);
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    lh_error_set(error, "%s%s%s", where, *where ? ": " : "", reason);
    return EINVAL;
}

static const char *
type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a real number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
    default:
        return "null";
    }
}

/* Fails because 'm' is not 'wanted'. */
static int
mismatch(const struct jmember *m, const char *wanted, struct lh_error *error)
{
    if (!m->value) {
        return jmember_error(m, error, "is missing: must be %s", wanted);
    }
    return jmember_error(m, error, "must be %s, not %s", wanted,
                         type_name(m->value));
}

int
jmember_object(const struct jmember *m, struct lh_error *error)
{
    return json_is_object(m->value) ? 0 : mismatch(m, "an object", error);
}

int
jmember_array(const struct jmember *m, size_t *n, struct lh_error *error)
{
    *n = json_array_size(m->value);
    return json_is_array(m->value) ? 0 : mismatch(m, "an array", error);
}

int
jmember_string(const struct jmember *m, const char **text,
               struct lh_error *error)
{
    *text = json_string_value(m->value);
    return *text ? 0 : mismatch(m, "a string", error);
}

int
jmember_bool(const struct jmember *m, bool *value, struct lh_error *error)
{
    *value = json_is_true(m->value);
    return json_is_boolean(m->value) ? 0 : mismatch(m, "true or false", error);
}

int
jmember_u64(const struct jmember *m, uint64_t max, uint64_t *value,
            struct lh_error *error)
{
    json_int_t number = json_integer_value(m->value);

    *value = 0;
    if (!json_is_integer(m->value)) {
        char wanted[64];

        snprintf(wanted, sizeof wanted, "an integer from 0 to %" PRIu64, max);
        return mismatch(m, wanted, error);
    }
    if (number < 0 || (uint64_t) number > max) {
        return jmember_error(m, error,
                             "must be from 0 to %" PRIu64
                             ", not %" JSON_INTEGER_FORMAT,
                             max, number);
    }
    *value = (uint64_t) number;
    return 0;
}

int
jmember_dpid(const struct jmember *m, uint64_t *dpid, struct lh_error *error)
{
    const char *text = json_string_value(m->value);

    *dpid = 0;
    if (json_is_integer(m->value)) {
        return jmember_u64(m, INT64_MAX, dpid, error);
    }
    if (!text) {
        return mismatch(m, "a dpid (16 hex digits)", error);
    }
    if (!dpid_from_string(text, dpid)) {
        return jmember_error(m, error,
                             "must be a dpid (16 hex digits, 0x and hex "
                             "digits, or a number), not \"%.40s\"",
                             text);
    }
    return 0;
}

/* The value of a hex digit, or -1. */
static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
jmember_hex(const struct jmember *m, size_t max_len, uint8_t **data,
            size_t *len, struct lh_error *error)
{
    const char *text = json_string_value(m->value);
    size_t n_digits = json_string_length(m->value);
    uint8_t *bytes;

    *data = NULL;
    *len = 0;
    if (!text) {
        return mismatch(m, "a string of hex digits", error);
    }
    if (n_digits % 2 || n_digits / 2 > max_len) {
        return jmember_error(m, error,
                             "must be pairs of hex digits, at most %zu, "
                             "not %zu digits",
                             max_len, n_digits);
    }
    if (!n_digits) {
        return 0;
    }
    bytes = lh_alloc(n_digits / 2);
    for (size_t i = 0; i < n_digits; i += 2) {
        int high = hex_digit(text[i]);
        int low = hex_digit(text[i + 1]);

        if (high < 0 || low < 0) {
            free(bytes);
            return jmember_error(m, error, "has no hex digit at offset %zu",
                                 high < 0 ? i : i + 1);
        }
        bytes[i / 2] = (uint8_t) (high << 4 | low);
    }
    *data = bytes;
    *len = n_digits / 2;
    return 0;
}

json_t *
jmember_hex_new(const uint8_t *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char *text = lh_alloc(2 * len + 1);
    json_t *value;

    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[data[i] >> 4];
        text[2 * i + 1] = digits[data[i] & 15];
    }
    value = json_stringn_nocheck(text, 2 * len);
    free(text);
    return value;
}

json_t *
jmember_text_new(const char *text)
{
    json_t *value = json_string(text);

    if (!value) {
        char *ascii = lh_strdup(text);

        for (char *p = ascii; *p; p++) {
            *p = (unsigned char) *p < 0x80 ? *p : '?';
        }
        value = json_string(ascii);
        free(ascii);
    }
    return value;
}

json_t *
jmember_dpid_new(uint64_t dpid)
{
    char buf[DPID_BUFSIZE];

    return json_string(dpid_to_string(dpid, buf));
}
