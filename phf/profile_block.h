/* SPDX-License-Identifier: Apache-2.0 */
/* profile_block - what the histories of one block of an archive, or of what is
 * pending, sent over the links of a profile.
 *
 * Where agents left packets out, each that was kept counts for as many as the
 * block says that it stands for (lib/sample_tally.h).
 *
 * Where no addresses and no filter are asked for, and all of the block is in
 * the range and in one interval, only its sums are read (lib/block_sums.h),
 * and those of block after block are added up as ways, which are looked at in
 * the end.
 *
 * Else shapes tell which links packets crossed; of flows that crossed none
 * nothing is looked at.  The block says how many packets and bytes each flow
 * has.  Times, and the length of each packet, are read only where the block is
 * not wholly in the range, or in one interval; headers only where a filter
 * asks for what differs from packet to packet.
 *
 * How long a frame is: lib/hop_traffic.h.
 *
 * Threads: one per block and sums; an ask is immutable. */
#ifndef PHF_PROFILE_BLOCK_H
#define PHF_PROFILE_BLOCK_H 1

#include <stdint.h>

#include "lib/block_sums.h"
#include "lib/lh_error.h"
#include "lib/topology.h"
#include "phf/phf.h"
#include "phf/profile_links.h"
#include "phf/profile_table.h"
#include "phf/query_block.h"

/* What a profile can be divided by. */
enum profile_level {
    PROFILE_BY_LINK,
    PROFILE_BY_INGRESS, /* Switch and port where packets came in. */
    PROFILE_BY_PATH,    /* The switches passed, before and after. */
    PROFILE_BY_SRC,     /* Addresses, as packets came in. */
    PROFILE_BY_DST,
    PROFILE_BY_HOSTS, /* Both. */
    PROFILE_BY_FLOW,  /* With protocol and ports. */
    N_PROFILE_LEVELS
};

struct profile_ask {
    struct profile_links links;  /* Owned. */
    struct phf *phf;             /* NULL: all histories.  Owned. */
    struct topology *topology;   /* May be NULL.  Owned reference. */
    uint64_t since_ns, until_ns; /* Of first postcards: from, before. */
    uint64_t interval_ns;        /* 0: none; */
    uint64_t base_ns;            /* where they begin. */
    enum profile_level by[N_PROFILE_LEVELS];
    size_t n_by;
};

/* Rows of bucket 0 are of all of the range and of all levels; of bucket 1 and
 * up of an interval, and of the first level alone. */
struct profile_sums {
    struct profile_table table;
    struct profile_shapes *shapes; /* Met so far; NULL: none.  Owned. */
    struct profile_table flows;    /* Not in the table yet: each once for a
                                    * shape, whose number is in place of a link's
                                    * and who knows what it crosses.  Owned. */
    struct block_sums *ways; /* Not in the table yet; NULL: none.  Owned. */
    uint32_t ways_bucket;    /* Their interval, */
    double ways_ratio;       /* and how many packets one of them stands for. */
    double least, most;      /* Of all blocks: such ratios; 0: none. */
    struct query_block_counters counters;
};

/* Adds what is in the block, which lies between these times (of the earliest
 * first postcard, and the latest last one), and closes it.  Returns 0, or an
 * errno as query_block_open() with the reason; then nothing was added, unless
 * what is broken came to light late. */
int profile_block_count(struct query_block *, const struct profile_ask *,
                        uint64_t min_ns, uint64_t max_ns,
                        struct profile_sums *, struct lh_error *why);

/* Adds a single history, if it is in the range and matches. */
void profile_block_count_history(const struct profile_ask *,
                                 const struct history *,
                                 struct profile_sums *);

/* Puts what is left of the blocks counted into the table, and frees the
 * rest. */
void profile_block_end(const struct profile_ask *, struct profile_sums *);

#endif /* phf/profile_block.h */
