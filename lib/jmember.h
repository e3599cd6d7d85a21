/* SPDX-License-Identifier: Apache-2.0 */
/* jmember - members of a JSON document, read with errors that name them.
 *
 *     struct jmember root = jmember_root(json);
 *     struct jmember ports = jmember_get(&root, "ports");
 *
 *     if (jmember_array(&ports, &n, error)) {
 *         return EINVAL;
 *     }
 *     struct jmember port = jmember_at(&ports, 0);
 *     struct jmember no = jmember_get(&port, "no");
 *     error = jmember_u64(&no, 0xffff, &value, error);
 *
 * says "ports[0].no: must be an integer from 0 to 65535, not a string".  A
 * member lives on the stack, points to the one it is part of, and costs
 * nothing while all goes well.
 *
 * Readers return 0 and set their output, or EINVAL with the reason, which is
 * also what an absent or null member gives; ask jmember_is_there() first
 * where a member is optional.
 *
 * Ownership: everything is borrowed from the document.
 *
 * Threads: plain data. */
#ifndef LIB_JMEMBER_H
#define LIB_JMEMBER_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "lib/lh_error.h"

struct jmember {
    const json_t *value; /* NULL when absent. */
    const struct jmember *parent;
    const char *name; /* NULL: element 'index' of 'parent'. */
    size_t index;
};

struct jmember jmember_root(const json_t *);
/* The member 'name' of 'object'; absent when 'object' is no object or has no
 * such member.  'object' and 'name' must outlive the result. */
struct jmember jmember_get(const struct jmember *object, const char *name);
struct jmember jmember_at(const struct jmember *array, size_t index);

/* True when the member is there and not null. */
bool jmember_is_there(const struct jmember *);

int jmember_object(const struct jmember *, struct lh_error *);
int jmember_array(const struct jmember *, size_t *n, struct lh_error *);
int jmember_string(const struct jmember *, const char **, struct lh_error *);
int jmember_bool(const struct jmember *, bool *, struct lh_error *);
/* An integer from 0 to 'max'.  JSON integers end at 2^63 - 1 here. */
int jmember_u64(const struct jmember *, uint64_t max, uint64_t *,
                struct lh_error *);
/* A string that dpid_from_string() takes, or an integer. */
int jmember_dpid(const struct jmember *, uint64_t *, struct lh_error *);
/* Pairs of hex digits: '*data' is from malloc(), or NULL when '*len' is 0. */
int jmember_hex(const struct jmember *, size_t max_len, uint8_t **data,
                size_t *len, struct lh_error *);

/* Sets '*error' to the member's path and the formatted reason; returns
 * EINVAL. */
int jmember_error(const struct jmember *, struct lh_error *,
                  const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What readers of hex take, as a new JSON string. */
json_t *jmember_hex_new(const uint8_t *data, size_t len);
/* A new JSON string, with '?' for bytes that are not ASCII where 'text' is not
 * UTF-8 (a switch may name its ports as it likes). */
json_t *jmember_text_new(const char *text);
/* A new JSON string of 16 hex digits. */
json_t *jmember_dpid_new(uint64_t dpid);

#endif /* lib/jmember.h */
