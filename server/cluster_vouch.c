/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_vouch - what this server's disk surely has of shards that are kept
 * in copies. */
#include <config.h>

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "server/cluster_impl.h"
#include "server/store_vouch.h"

/* The oldest files of a directory. */
struct oldest {
    uint64_t any;   /* Number of the first file, also of an empty one: what was
                     * written and not committed is cut off.  0: none. */
    uint64_t first; /* Of the first that has histories; 0: none. */
    uint64_t max_ns; /* Of these, the latest. */
};

static void
note_file(struct oldest *oldest, const struct archive_segment *file)
{
    if (!oldest->any || file->first < oldest->any) {
        oldest->any = file->first;
    }
}

static void
note_block(struct oldest *oldest, const struct archive_entry *entry)
{
    uint64_t first = entry->segment.first;

    if (entry->block.kind != ARCHIVE_HISTORIES &&
        entry->block.kind != ARCHIVE_COLUMNS) {
        return;
    }
    if (!oldest->first || first < oldest->first) {
        oldest->first = first;
        oldest->max_ns = 0;
    }
    if (first == oldest->first && entry->block.max_ns > oldest->max_ns) {
        oldest->max_ns = entry->block.max_ns;
    }
}

/* That of the directory in which the file is; NULL: it is of no slot. */
static struct oldest *
find_of(const struct cluster *cluster, struct oldest *all,
        const struct archive_segment *file)
{
    uint32_t n_stores = cluster->config.n_stores;
    uint32_t number = file->shard - 1;
    uint32_t shard = number & ((1u << ARCHIVE_DIR_COPY_SHIFT) - 1);
    uint32_t copy = number >> ARCHIVE_DIR_COPY_SHIFT;

    return file->shard && shard < n_stores && copy < cluster->config.n_copies
               ? &all[shard + copy * n_stores]
               : NULL;
}

/* Of each slot's directory, for free(). */
static struct oldest *
find_oldest(const struct cluster *cluster, const struct archive_reader *reader)
{
    struct oldest *all =
        lh_alloc_zero(cluster_shards_n_slots(cluster) * sizeof *all);
    struct oldest *oldest;

    for (size_t i = 0; i < archive_reader_n_files(reader); i++) {
        const struct archive_segment *file = archive_reader_file(reader, i);

        oldest = find_of(cluster, all, file);
        if (oldest) {
            note_file(oldest, file);
        }
    }
    for (size_t i = 0; i < archive_reader_n_blocks(reader); i++) {
        const struct archive_entry *entry = archive_reader_entry(reader, i);

        oldest = find_of(cluster, all, &entry->segment);
        if (oldest) {
            note_block(oldest, entry);
        }
    }
    return all;
}

/* Since when nothing was removed from the shard by retention, as far as this
 * can be seen: files are removed in the order of their numbers, and what was
 * written earlier is not later than the oldest file that is there. UINT64_MAX:
 * there is none. */
static uint64_t
kept_since(const struct cluster *cluster, const struct oldest *all,
           uint32_t shard)
{
    uint64_t since_ns = 0;
    bool is_there = false;

    for (uint32_t c = 0; c < cluster->config.n_copies; c++) {
        const struct oldest *oldest =
            &all[shard + c * cluster->config.n_stores];

        is_there |= oldest->first != 0;
        if (oldest->any > 1 && oldest->max_ns >= since_ns) {
            since_ns = oldest->max_ns + 1;
        }
    }
    return is_there ? since_ns : UINT64_MAX;
}

static void
on_cover(void *cluster_)
{
    struct cluster *cluster = cluster_;

    cluster->is_former_known = cluster_cover_add(
        cluster->cover, cluster->team.disk, &cluster->former);
    cluster_cover_destroy(cluster->cover);
    cluster->cover = NULL;
}

void
cluster_vouch_look(struct cluster *cluster)
{
    if (cluster->config.n_copies > 1 && !cluster->is_former_known &&
        !cluster->cover && cluster->is_connected) {
        cluster->cover =
            cluster_cover_create(cluster->bus, cluster->config.n_stores,
                                 cluster->config.n_copies, on_cover, cluster);
    }
}

json_t *
cluster_vouch(void *cluster_, const struct archive_reader *reader)
{
    struct cluster *cluster = cluster_;
    struct store_vouch vouch = {.n = 0};
    struct oldest *all;
    json_t *json;

    if (cluster->config.n_copies < 2 || !cluster->stores || !reader) {
        return NULL;
    }
    all = find_oldest(cluster, reader);
    for (uint32_t i = 0; i < cluster_shards_n_slots(cluster); i++) {
        uint32_t shard = i % cluster->config.n_stores;
        uint64_t since_ns = kept_since(cluster, all, shard);

        if (cluster->stores[i] && since_ns != UINT64_MAX) {
            cluster_store_vouch(cluster->stores[i], since_ns, &vouch);
        }
    }
    /* Also of stores that others own now: nothing goes from there. */
    for (size_t i = 0; i < cluster->former.n; i++) {
        struct store_vouch_item item = cluster->former.all[i];

        item.since_ns = kept_since(cluster, all, item.shard);
        if (item.since_ns != UINT64_MAX) {
            store_vouch_add_item(&vouch, &item);
        }
    }
    json = store_vouch_to_json(&vouch);
    store_vouch_uninit(&vouch);
    free(all);
    return json;
}
