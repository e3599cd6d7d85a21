/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_merge_leg - what one server has answered to a query and nobody has
 * taken yet, in order of time.
 *
 * Threads: one. */
#ifndef SERVER_CLUSTER_MERGE_LEG_H
#define SERVER_CLUSTER_MERGE_LEG_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/history.h"
#include "server/cluster_leg.h"

struct merge_leg;

struct merge_leg *merge_leg_create(void);
void merge_leg_destroy(struct merge_leg *);

/* Adds batch number 'number' (a copy).  EBADMSG: it is not the next one, holds
 * none, or there are more than were asked for. */
int merge_leg_add(struct merge_leg *, uint32_t number, const uint8_t *payload,
                  size_t len);
/* The totals came with 'number'.  EBADMSG: something before it is missing. */
int merge_leg_finish(struct merge_leg *, uint32_t number);
/* Forgets what was not taken. */
void merge_leg_end(struct merge_leg *);

/* The time of the next history; false: there is none now. */
bool merge_leg_peek(const struct merge_leg *, uint64_t *first_ns);
/* Takes it: the caller's.  EBADMSG: it cannot be read. */
int merge_leg_take(struct merge_leg *, struct history **);
/* How many batches have been taken whole. */
uint32_t merge_leg_n_taken(const struct merge_leg *);

#endif /* server/cluster_merge_leg.h */
