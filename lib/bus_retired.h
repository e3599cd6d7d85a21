/* SPDX-License-Identifier: Apache-2.0 */
/* bus_retired - subscriptions that have ended and are not destroyed yet.
 *
 * libnats before 3.6 may still be handing a message to a subscription that is
 * destroyed (its issue 637), and then reads freed memory.  So each is kept
 * until some hundred others have ended.
 *
 * Threads: one. */
#ifndef LIB_BUS_RETIRED_H
#define LIB_BUS_RETIRED_H 1

#include <stddef.h>

#define BUS_RETIRED_MAX 1024

struct bus_retired {
    void *subs[BUS_RETIRED_MAX]; /* NULL: none. */
    size_t next;
};

/* Keeps 'sub' (NULL: nothing) and returns the one that may be destroyed now,
 * or NULL. */
static inline void *
bus_retire(struct bus_retired *retired, void *sub)
{
    void **place = &retired->subs[retired->next++ % BUS_RETIRED_MAX];
    void *old = *place;

    *place = sub;
    return old;
}

#endif /* lib/bus_retired.h */
