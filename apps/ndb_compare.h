/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_compare - `diff N M`: where the ways of two packets part, and what was
 * changed there in between.
 *
 * Threads: one. */
#ifndef APPS_NDB_COMPARE_H
#define APPS_NDB_COMPARE_H 1

#include <stdbool.h>
#include <stddef.h>

#include "apps/ndb.h"

/* Whether 'args' are one or two numbers of histories that were found, as the
 * user counts them, put into 'a' and 'b' (the current one when only one is
 * given). */
bool ndb_compare_is(const struct ndb *, const char *args, size_t *a,
                    size_t *b);
/* Compares the found histories 'a' and 'b', as the user counts them. */
enum ndb_status ndb_compare(struct ndb *, size_t a, size_t b);

#endif /* apps/ndb_compare.h */
