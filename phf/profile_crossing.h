/* SPDX-License-Identifier: Apache-2.0 */
/* profile_crossing - where a history crosses the links of a profile.
 *
 * Threads: one per table. */
#ifndef PHF_PROFILE_CROSSING_H
#define PHF_PROFILE_CROSSING_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/history.h"
#include "phf/profile_block.h"

struct profile_crossing {
    uint32_t link, way; /* Numbers of the table, 0 where not asked for. */
    uint32_t first_way; /* The same for the first level alone. */
    uint32_t hop;
    bool is_in;     /* It came into the hop there; else it went out. */
    uint32_t extra; /* For the caller. */
};

struct profile_crossings {
    size_t n, allocated;
    struct profile_crossing *all; /* Owned. */
};

/* Appends those of 'h', one for each time that it crosses one. */
void profile_crossings_add(struct profile_crossings *,
                           const struct profile_ask *, const struct history *h,
                           struct profile_table *);

#endif /* phf/profile_crossing.h */
