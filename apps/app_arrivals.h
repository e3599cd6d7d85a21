/* SPDX-License-Identifier: Apache-2.0 */
/* app_arrivals - histories that came and that nobody has taken yet, in their
 * order.
 *
 * Threads: one. */
#ifndef APPS_APP_ARRIVALS_H
#define APPS_APP_ARRIVALS_H 1

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <lasthop/client.h>

#include "lib/history.h"

/* What came. */
struct app_arrival {
    STAILQ_ENTRY(app_arrival) node;
    uint64_t id;             /* Of what it came for. */
    struct history *history; /* NULL: none, but */
    uint64_t n;              /* the number of those that did not come; 0: */
    uint64_t since_ns, until_ns; /* unknown, of packets of these times, and */
    char *why;                   /* why; NULL: not told.  Owned. */
};

STAILQ_HEAD(app_arrivals, app_arrival);

void app_arrivals_init(struct app_arrivals *);
/* Takes what is in the history that came in a callback, under 'id'. */
void app_arrivals_put(struct app_arrivals *, uint64_t id,
                      struct lasthop_history *);
/* Notes that 'n' did not come, under 'id'. */
void app_arrivals_put_count(struct app_arrivals *, uint64_t id, uint64_t n);
/* Notes that 'n' did not come, or, if that is 0, that those of packets of
 * these times may not have come, and why (may be NULL). */
void app_arrivals_put_missed(struct app_arrivals *, uint64_t n,
                             uint64_t since_ns, uint64_t until_ns,
                             const char *why);
/* The first of them, its history for history_destroy(), its 'why' for free();
 * false when there is none. */
bool app_arrivals_take(struct app_arrivals *, struct app_arrival *);
/* Drops those under 'id' (0: all). */
void app_arrivals_drop(struct app_arrivals *, uint64_t id);

#endif /* apps/app_arrivals.h */
