/* SPDX-License-Identifier: Apache-2.0 */
/* profile_parts - what a profile reads: the blocks that have something in its
 * range, and which of them the sums of a file tell of.
 *
 * Ownership: plain data; profile_parts_uninit() frees what it holds.
 *
 * Threads: any may read. */
#ifndef PHF_PROFILE_PARTS_H
#define PHF_PROFILE_PARTS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/archive_sums.h"
#include "phf/profile.h"
#include "phf/profile_block.h"
#include "phf/query_block.h"

struct profile_part_block {
    struct query_block block; /* Not opened here. */
    uint64_t min_ns, max_ns;
};

/* Blocks that are counted together: one, or all of a file. */
struct profile_part {
    size_t first, n; /* Of the blocks. */
    bool has_sums;   /* There are sums of all of the file, by their header; */
    struct archive_sums_id id; /* they are of these blocks. */
};

struct profile_parts {
    const struct profile_ask *ask;
    const char *dir;
    size_t n_blocks;
    struct profile_part_block *blocks; /* Owned. */
    size_t n;
    struct profile_part *all; /* Owned. */
    /* Shards of which there are two copies: their blocks are not above. */
    size_t n_copied, allocated_copied;
    uint32_t *copied; /* Numbers.  Owned. */
    bool has_times;   /* Of all blocks, also of those, from the first to the
                       * last postcard: */
    uint64_t min_ns, max_ns;
};

/* Fills empty parts with what 'config' has for 'ask'; 'dir' (NULL: there is no
 * reader) must stay. */
void profile_parts_find(struct profile_parts *, const struct profile_ask *ask,
                        const char *dir, const struct profile_config *);
void profile_parts_uninit(struct profile_parts *);

#endif /* phf/profile_parts.h */
