/* SPDX-License-Identifier: Apache-2.0 */
/* profile_parts - what a profile reads. */
#include <config.h>

#include "phf/profile_parts.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "phf/profile_file.h"

static void
add_block(struct profile_parts *p, const struct query_block *block,
          uint64_t min_ns, uint64_t max_ns)
{
    const struct profile_ask *ask = p->ask;

    if (max_ns >= ask->since_ns && min_ns < ask->until_ns) {
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

/* Adds the blocks of the file that begins with block 'i' of 'n'; returns the
 * first of the next. */
static size_t
add_file(struct profile_parts *p, const struct archive_reader *r, size_t i,
         size_t n)
{
    const struct archive_entry *first = archive_reader_entry(r, i);
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
        if (b->kind == ARCHIVE_HISTORIES || b->kind == ARCHIVE_COLUMNS) {
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

    p->ask = ask;
    p->dir = dir;
    p->all = lh_alloc_array(NULL, n + config->n_pending + 1, sizeof *p->all);
    p->blocks =
        lh_alloc_array(NULL, n + config->n_pending + 1, sizeof *p->blocks);
    for (size_t i = 0; i < n;) {
        i = add_file(p, config->reader, i, n);
    }
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
    memset(p, 0, sizeof *p);
}
