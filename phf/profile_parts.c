/* SPDX-License-Identifier: Apache-2.0 */
/* profile_parts - what a profile reads. */
#include <config.h>

#include "phf/profile_parts.h"

#include <stdlib.h>
#include <string.h>

#include "lib/archive_dir.h"
#include "lib/lh_alloc.h"
#include "phf/profile_file.h"
#include "phf/query_copies.h"

/* Whether there may be something in the range; then its times count. */
static bool
is_in_range(struct profile_parts *p, uint64_t min_ns, uint64_t max_ns)
{
    const struct profile_ask *ask = p->ask;

    if (max_ns < ask->since_ns || min_ns >= ask->until_ns) {
        return false;
    }
    p->min_ns = !p->has_times || min_ns < p->min_ns ? min_ns : p->min_ns;
    p->max_ns = !p->has_times || max_ns > p->max_ns ? max_ns : p->max_ns;
    p->has_times = true;
    return true;
}

static void
add_block(struct profile_parts *p, const struct query_block *block,
          uint64_t min_ns, uint64_t max_ns)
{
    if (is_in_range(p, min_ns, max_ns)) {
        p->all[p->n++] = (struct profile_part){.first = p->n_blocks, .n = 1};
        p->blocks[p->n_blocks++] =
            (struct profile_part_block){*block, min_ns, max_ns};
    }
}

/* Makes one part of those from 'first' on, which are all of a file, if its
 * sums can answer. */
static void
join_file(struct profile_parts *p, size_t first,
          const struct archive_sums_id *id)
{
    const struct profile_ask *ask = p->ask;
    bool is_whole = profile_files_can(ask) && !id->is_sampled;

    for (size_t i = first; i < p->n && is_whole; i++) {
        const struct profile_part_block *b = &p->blocks[p->all[i].first];

        is_whole = b->min_ns >= ask->since_ns && b->max_ns < ask->until_ns;
    }
    if (is_whole &&
        archive_sums_find(
            p->dir, &p->blocks[p->all[first].first].block.entry.segment, id)) {
        p->all[first].n = p->n - first;
        p->all[first].has_sums = true;
        p->all[first].id = *id;
        p->n = first + 1;
    }
}

static uint32_t
shard_of(const struct archive_segment *segment)
{
    return (segment->shard - 1) & ((1u << ARCHIVE_DIR_COPY_SHIFT) - 1);
}

/* Whether a file is one of those that are counted. */
static bool
is_wanted(const struct profile_config *config,
          const struct archive_segment *segment)
{
    if (!config->shards || !segment->shard) {
        return true;
    }
    for (size_t i = 0; i < config->n_shards; i++) {
        if (config->shards[i] == shard_of(segment)) {
            return true;
        }
    }
    return false;
}

/* Notes a block of which there may be a copy. */
static void
add_copied(struct profile_parts *p, const struct archive_entry *entry)
{
    uint32_t shard = shard_of(&entry->segment);

    if (!is_in_range(p, entry->block.min_ns, entry->block.max_ns)) {
        return;
    }
    for (size_t i = 0; i < p->n_copied; i++) {
        if (p->copied[i] == shard) {
            return;
        }
    }
    p->copied = lh_alloc_grow(p->copied, p->n_copied, &p->allocated_copied,
                              sizeof *p->copied);
    p->copied[p->n_copied++] = shard;
}

/* Adds the blocks of the file that begins with block 'i' of 'n'; returns the
 * first of the next. */
static size_t
add_file(struct profile_parts *p, const struct profile_config *config,
         const struct query_copies *copies, size_t i, size_t n)
{
    struct archive_reader *r = config->reader;
    const struct archive_entry *first = archive_reader_entry(r, i);
    bool is_out = !is_wanted(config, &first->segment);
    bool is_copied = query_copies_has(copies, &first->segment);
    struct archive_sums_id id = {.hash = 0};
    size_t n_before = p->n, n_blocks = 0;

    for (; i < n; i++) {
        struct query_block block = {.dir = p->dir,
                                    .entry = *archive_reader_entry(r, i)};
        const struct archive_block *b = &block.entry.block;

        if (block.entry.segment.first != first->segment.first ||
            block.entry.segment.last != first->segment.last ||
            block.entry.segment.shard != first->segment.shard) {
            break;
        }
        if (is_out ||
            (b->kind != ARCHIVE_HISTORIES && b->kind != ARCHIVE_COLUMNS)) {
            continue;
        }
        if (is_copied) {
            add_copied(p, &block.entry);
        } else {
            archive_sums_id_add(&id, block.entry.offset, b);
            add_block(p, &block, b->min_ns, b->max_ns);
            n_blocks++;
        }
    }
    if (n_blocks && p->n - n_before == n_blocks) {
        join_file(p, n_before, &id);
    }
    return i;
}

void
profile_parts_find(struct profile_parts *p, const struct profile_ask *ask,
                   const char *dir, const struct profile_config *config)
{
    size_t n = config->reader ? archive_reader_n_blocks(config->reader) : 0;
    struct query_copies copies;

    query_copies_init(&copies, config->reader);
    p->ask = ask;
    p->dir = dir;
    p->all = lh_alloc_array(NULL, n + config->n_pending + 1, sizeof *p->all);
    p->blocks =
        lh_alloc_array(NULL, n + config->n_pending + 1, sizeof *p->blocks);
    for (size_t i = 0; i < n;) {
        i = add_file(p, config, &copies, i, n);
    }
    query_copies_uninit(&copies);
    for (size_t i = 0; i < config->n_pending; i++) {
        const struct archive_pending *pending = &config->pending[i];
        struct query_block block = {.pending = pending->payload,
                                    .pending_len = pending->len,
                                    .pending_table_len = pending->table_len};

        if (pending->len) {
            add_block(p, &block, pending->min_ns, pending->max_ns);
        }
    }
}

void
profile_parts_uninit(struct profile_parts *p)
{
    free(p->blocks);
    free(p->all);
    free(p->copied);
    memset(p, 0, sizeof *p);
}
