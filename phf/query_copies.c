/* SPDX-License-Identifier: Apache-2.0 */
/* query_copies - which shards of an archive are there in two copies. */
#include <config.h>

#include "phf/query_copies.h"

#include <stdlib.h>

#include "lib/archive_dir.h"
#include "lib/lh_alloc.h"

static bool
is_listed(const struct query_copies *copies, uint32_t shard)
{
    for (size_t i = 0; i < copies->n; i++) {
        if (copies->shards[i] == shard) {
            return true;
        }
    }
    return false;
}

static bool
are_of_one(uint32_t a, uint32_t b)
{
    return (a - 1) << (32 - ARCHIVE_DIR_COPY_SHIFT) ==
           (b - 1) << (32 - ARCHIVE_DIR_COPY_SHIFT);
}

/* Leaves those of which there is another one. */
static void
keep_copied(struct query_copies *copies)
{
    uint32_t *kept = lh_alloc_array(NULL, copies->n + 1, sizeof *kept);
    size_t n = 0;

    for (size_t i = 0; i < copies->n; i++) {
        bool is_copied = false;

        for (size_t j = 0; j < copies->n; j++) {
            is_copied |=
                i != j && are_of_one(copies->shards[i], copies->shards[j]);
        }
        if (is_copied) {
            kept[n++] = copies->shards[i];
        }
    }
    free(copies->shards);
    copies->shards = kept;
    copies->n = n;
}

void
query_copies_init(struct query_copies *copies, const struct archive_reader *r)
{
    size_t n = r ? archive_reader_n_blocks(r) : 0;
    uint32_t last = 0;

    *copies = (struct query_copies){.n = 0};
    for (size_t i = 0; i < n; i++) {
        uint32_t shard = archive_reader_entry(r, i)->segment.shard;

        if (shard != last && shard && !is_listed(copies, shard)) {
            copies->shards = lh_alloc_grow(copies->shards, copies->n,
                                           &copies->allocated, sizeof shard);
            copies->shards[copies->n++] = shard;
        }
        last = shard;
    }
    keep_copied(copies);
}

void
query_copies_uninit(struct query_copies *copies)
{
    free(copies->shards);
}

bool
query_copies_has(const struct query_copies *copies,
                 const struct archive_segment *segment)
{
    return copies->n && is_listed(copies, segment->shard);
}

bool
query_copies_is_of(const struct archive_segment *segment, uint32_t shard)
{
    return segment->shard && are_of_one(segment->shard, shard + 1);
}
