/* SPDX-License-Identifier: Apache-2.0 */
/* query_copies - which shards of an archive are there in two copies, at least
 * in part, so that the same history may be in both (lib/archive_shards.h).
 *
 * Threads: plain data. */
#ifndef PHF_QUERY_COPIES_H
#define PHF_QUERY_COPIES_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/archive_reader.h"

struct query_copies {
    size_t n, allocated;
    uint32_t *shards; /* As in struct archive_segment.  Owned. */
};

/* Looks through the blocks of the archive; NULL: none. */
void query_copies_init(struct query_copies *, const struct archive_reader *);
void query_copies_uninit(struct query_copies *);
/* Whether there is another copy of the shard that a block is of. */
bool query_copies_has(const struct query_copies *,
                      const struct archive_segment *);
/* Whether a block is of that shard, of whichever copy. */
bool query_copies_is_of(const struct archive_segment *, uint32_t shard);

#endif /* phf/query_copies.h */
