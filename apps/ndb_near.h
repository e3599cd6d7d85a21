/* SPDX-License-Identifier: Apache-2.0 */
/* ndb_near - what the control plane did near a moment.
 *
 * Threads: one. */
#ifndef APPS_NDB_NEAR_H
#define APPS_NDB_NEAR_H 1

#include <stdint.h>
#include <jansson.h>

#include "apps/ndb.h"
#include "lib/lh_error.h"

/* `info changes near [SPAN]`: the current history's hops and the changes of
 * its switches on one timeline. */
enum ndb_status ndb_near_show(struct ndb *, const char *span);

/* The changes of switch 'dpid' from 'since_ns' up to 'until_ns' as an array,
 * oldest first; when there are more than 'limit', those nearest to 'at_ns'.
 * '*is_cut' then.  0, or a positive errno with the reason. */
int ndb_near_changes(struct ndb *, uint64_t dpid, uint64_t since_ns,
                     uint64_t at_ns, uint64_t until_ns, size_t limit,
                     json_t **changes, bool *is_cut, struct lh_error *);

/* Prints changes, with how long before or after 'at_ns' each was. */
void ndb_near_print(struct ndb *, const json_t *changes, uint64_t at_ns);

#endif /* apps/ndb_near.h */
