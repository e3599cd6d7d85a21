/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_shards - leases, and the owners of the shards that are held. */
#include <config.h>

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "server/cluster_codecs.h"
#include "server/cluster_impl.h"
#include "server/path_kit.h"

static void
on_hole(void *cluster_, const struct cluster_hole *hole)
{
    struct cluster *cluster = cluster_;

    cluster_holes_add(cluster->holes, hole);
}

/* --- Stage 1 ------------------------------------------------------------- */

static void
add_split(const struct cluster_split *split, struct counters *c)
{
    struct cluster_split_counters n;

    cluster_split_get_counters(split, &n);
    c->assembled += n.paths.out;
    c->duplicates += n.paths.duplicates;
    c->ambiguous += n.paths.ambiguous;
    c->dropped_full += n.paths.dropped_full;
    c->dropped_memory += n.paths.dropped_memory;
    c->sampled_out += n.paths.sampled_out;
    c->open_postcards += n.paths.held;
    c->without_id += n.paths.without_id;
    c->late += n.paths.late;
    c->open_groups += n.paths.open_groups;
    c->closed_groups += n.paths.closed_groups;
    c->odd_times += n.paths.odd_times;
    c->closed_early += n.paths.closed_early;
    c->closed_settle += n.paths.closed_settle;
    c->closed_window += n.paths.closed_window;
    c->closed_size += n.paths.closed_size;
    c->recognised += n.paths.recognised;
    c->unforeseen += n.paths.unforeseen;
    c->known_paths += n.paths.paths;
    c->known_flows += n.paths.flows;
    c->histories += n.histories;
    c->awaiting_counters += n.awaiting;
    c->cluster_restored += n.restored;
    c->cluster_again += n.again;
    c->cluster_doubled += n.doubled;
    c->cluster_late += n.late;
    c->cluster_missing += n.missing;
    c->cluster_broken += n.broken + n.too_large + n.snapshots_lost;
}

/* What is of now goes with the owner, what was counted stays. */
static void
end_split(struct cluster *cluster, uint32_t shard)
{
    struct cluster_split *split = cluster->splits[shard];

    if (split) {
        add_split(split, &cluster->gone);
        cluster->gone.open_postcards = 0;
        cluster->gone.open_groups = 0;
        cluster->gone.awaiting_counters = 0;
        cluster->gone.closed_groups = 0;
        cluster->gone.known_paths = 0;
        cluster->gone.known_flows = 0;
        cluster->splits[shard] = NULL;
        cluster_split_destroy(split);
    }
}

static uint32_t
find_split(const struct cluster *cluster, const struct cluster_split *split)
{
    uint32_t i = 0;

    while (cluster->splits[i] != split) {
        i++;
    }
    return i;
}

static void
on_split(void *cluster_, struct cluster_split *split,
         enum cluster_split_event event)
{
    struct cluster *cluster = cluster_;
    uint32_t shard;

    if (event == CLUSTER_SPLIT_OPEN) {
        return;
    }
    shard = find_split(cluster, split);
    if (event == CLUSTER_SPLIT_FENCED) {
        cluster->n_fenced++;
    }
    end_split(cluster, shard);
    shard_lease_release(cluster->lease_1, shard);
}

static void
start_split(struct cluster *cluster, uint32_t shard, uint64_t epoch)
{
    const struct options *o = cluster->parts.options;
    const struct cluster_split_config config = {
        .bus = cluster->bus,
        .shard = shard,
        .epoch = epoch,
        .n_stores = cluster->config.n_stores,
        .window_ns = o->window_ns,
        .id_config = o->id_config,
        .is_lossless = o->is_lossless,
        .rules = cluster->parts.rules,
        .ledger = cluster_tally_ledger(cluster->tally),
        .book = cluster->book,
        .wire = &cluster->config.wire,
        .kit = cluster->kit,
        .codecs = cluster->codecs,
        .sent = cluster->sent,
        .on_event = on_split,
        .on_hole = on_hole,
        .aux = cluster,
    };

    end_split(cluster, shard);
    cluster->splits[shard] = cluster_split_create(&config);
    if (cluster->topology) {
        cluster_split_set_topology(cluster->splits[shard], cluster->topology,
                                   cluster->topology_ns);
    }
}

static void
on_lease_1(void *cluster_, enum shard_event event, uint32_t shard,
           uint64_t epoch)
{
    struct cluster *cluster = cluster_;

    switch (event) {
    case SHARD_TAKEN:
        start_split(cluster, shard, epoch);
        break;
    case SHARD_UNWANTED:
        if (cluster->splits[shard]) {
            cluster_split_drain(cluster->splits[shard]);
        } else {
            shard_lease_release(cluster->lease_1, shard);
        }
        break;
    case SHARD_LOST:
        end_split(cluster, shard);
        break;
    }
}

/* --- Stage 2 ------------------------------------------------------------- */

static void
add_store(const struct cluster_store *store, struct counters *c)
{
    struct cluster_store_counters n;

    cluster_store_get_counters(store, &n);
    c->archived += cluster_store_copy(store) ? 0 : n.archived;
    c->cluster_copied += cluster_store_copy(store) ? n.archived : 0;
    c->archive_blocks += n.archive.blocks;
    c->archive_bytes += n.archive.bytes;
    c->archive_raw_bytes += n.archive.raw_bytes;
    c->archived_hops += n.archive.hops;
    c->archive_errors += n.archive.write_errors;
    c->archive_removed += n.archive.segments_removed;
    c->archive_size += n.archive.total_bytes;
    c->archive_held += n.archive.held;
    c->archive_refused += n.archive.refused;
    c->archive_merges += n.archive.merges;
    c->archive_merge_bytes += n.archive.merged_bytes;
    c->archive_merge_errors += n.archive.merge_errors;
    c->archive_sums += n.archive.sums;
    c->cluster_broken +=
        n.broken + n.accept.set_back + n.accept.unlike + n.fallen;
    c->cluster_missing += n.accept.missing;
    c->cluster_again += n.repeated;
}

static void
end_store(struct cluster *cluster, uint32_t slot)
{
    struct cluster_store *store = cluster->stores[slot];

    if (store) {
        add_store(store, &cluster->gone);
        cluster->gone.archive_size = 0;
        cluster->gone.archive_held = 0;
        cluster->stores[slot] = NULL;
        cluster_store_vouch(store, 0, &cluster->former);
        cluster_store_destroy(store);
    }
}

static void
on_store(void *cluster_, struct cluster_store *store,
         enum cluster_store_event event)
{
    struct cluster *cluster = cluster_;
    uint32_t slot = cluster_store_slot(store);

    if (event == STORE_OPEN) {
        return;
    }
    if (event == STORE_FENCED) {
        cluster->n_fenced++;
    }
    end_store(cluster, slot);
    shard_lease_release(cluster->lease_2, slot);
}

static void
on_history(void *cluster_, const struct history *h)
{
    struct cluster *cluster = cluster_;

    cluster_triggers_offer(cluster->triggers, h);
}

static void
on_packet(void *cluster_, struct trajectory *t,
          const struct trajectory_packet *packet)
{
    struct cluster *cluster = cluster_;

    cluster_triggers_offer_packet(cluster->triggers, t, packet);
}

static bool
is_watched(void *cluster_)
{
    const struct cluster *cluster = cluster_;

    return !cluster_triggers_is_empty(cluster->triggers);
}

static void
start_store(struct cluster *cluster, uint32_t slot, uint64_t epoch)
{
    uint32_t copy = slot / cluster->config.n_stores;
    const struct options *o = cluster->parts.options;
    const struct cluster_store_config config = {
        .bus = cluster->bus,
        .stream = CLUSTER_STREAM_HISTORIES,
        .subject = "lh.2",
        .bucket = CLUSTER_BUCKET_COMMIT_2,
        .shard = slot % cluster->config.n_stores,
        .copy = copy,
        .slot = slot,
        .epoch = epoch,
        .dir = o->archive,
        .packet_id = o->id_config,
        .unit = o->is_archive_us ? COLUMN_UNIT_US : COLUMN_UNIT_AUTO,
        .codecs = cluster->codecs,
        .flow_log = o->flow_log,
        .team = cluster->config.n_copies > 1 ? &cluster->team : NULL,
        .retain_bytes = o->retain_bytes,
        .retain_ns = o->retain_ns,
        .round_ms = (uint32_t) (o->round_ns / 1000000),
        .is_watched = is_watched,
        .on_history = copy ? NULL : on_history,
        .on_packet = copy ? NULL : on_packet,
        .on_event = on_store,
        .on_hole = on_hole,
        .aux = cluster,
    };

    end_store(cluster, slot);
    cluster->stores[slot] = cluster_store_create(&config);
    if (cluster->topology) {
        cluster_store_set_topology(cluster->stores[slot], cluster->topology,
                                   cluster->topology_ns);
    }
}

static void
on_lease_2(void *cluster_, enum shard_event event, uint32_t slot,
           uint64_t epoch)
{
    struct cluster *cluster = cluster_;

    switch (event) {
    case SHARD_TAKEN:
        start_store(cluster, slot, epoch);
        break;
    case SHARD_UNWANTED:
        if (cluster->stores[slot]) {
            cluster_store_drain(cluster->stores[slot]);
        } else {
            shard_lease_release(cluster->lease_2, slot);
        }
        break;
    case SHARD_LOST:
        end_store(cluster, slot);
        break;
    }
}

static bool
has_store(void *cluster_, uint32_t slot)
{
    const struct cluster *cluster = cluster_;

    return cluster->stores[slot] != NULL;
}

static void
open_settle(struct cluster *cluster)
{
    const struct store_settle_config config = {
        .bus = cluster->bus,
        .bucket = CLUSTER_BUCKET_COMMIT_2,
        .dir = cluster->parts.options->archive,
        .n_shards = cluster->config.n_stores,
        .n_copies = cluster->config.n_copies,
        .is_owned = has_store,
        .aux = cluster,
    };

    cluster->settle = store_settle_create(&config);
}

/* --- Both ---------------------------------------------------------------- */

uint32_t
cluster_shards_n_slots(const struct cluster *cluster)
{
    return cluster->config.n_stores * cluster->config.n_copies;
}

int
cluster_shards_open(struct cluster *cluster, struct lh_error *error)
{
    struct shard_lease_options options = {
        .bucket = CLUSTER_BUCKET_LEASE_1,
        .name = cluster->options->name,
        .n_shards = cluster->config.n_shards,
        .lease_ms = cluster->config.lease_ms,
        .replicas = cluster->options->bus_replicas,
        .on_event = on_lease_1,
        .aux = cluster,
    };
    int retval;

    cluster->kit = path_kit_create(true);
    if (!cluster->kit) {
        abort();
    }
    cluster->codecs =
        cluster_codecs_create(&cluster->parts.options->id_config);
    cluster_codecs_set_wire(cluster->codecs, cluster->config.wire);
    cluster->splits =
        lh_alloc_zero(cluster->config.n_shards * sizeof *cluster->splits);
    cluster->stores = lh_alloc_zero(cluster_shards_n_slots(cluster) *
                                    sizeof *cluster->stores);
    retval = cluster_copies_open(cluster, error);
    if (!retval) {
        retval = shard_lease_create(cluster->bus, &options, &cluster->lease_1,
                                    error);
    }
    if (!retval) {
        options.bucket = CLUSTER_BUCKET_LEASE_2;
        options.n_shards = cluster_shards_n_slots(cluster);
        options.n_copies = cluster->config.n_copies;
        options.on_event = on_lease_2;
        retval = shard_lease_create(cluster->bus, &options, &cluster->lease_2,
                                    error);
    }
    if (!retval) {
        open_settle(cluster);
    }
    return retval;
}

void
cluster_shards_close(struct cluster *cluster)
{
    store_settle_destroy(cluster->settle);
    for (uint32_t i = 0; cluster->splits && i < cluster->config.n_shards;
         i++) {
        end_split(cluster, i);
    }
    for (uint32_t i = 0;
         cluster->stores && i < cluster_shards_n_slots(cluster); i++) {
        end_store(cluster, i);
    }
    if (cluster->lease_1) {
        shard_lease_destroy(cluster->lease_1);
    }
    if (cluster->lease_2) {
        shard_lease_destroy(cluster->lease_2);
    }
    path_kit_destroy(cluster->kit);
    cluster_codecs_unref(cluster->codecs);
    free(cluster->splits);
    free(cluster->stores);
    cluster_copies_close(cluster);
}

void
cluster_shards_drain(struct cluster *cluster)
{
    if (cluster->lease_1 && cluster->lease_2) {
        shard_lease_drain(cluster->lease_1);
        shard_lease_drain(cluster->lease_2);
    }
}

void
cluster_shards_set_topology(struct cluster *cluster)
{
    for (uint32_t i = 0; cluster->splits && i < cluster->config.n_shards;
         i++) {
        if (cluster->splits[i]) {
            cluster_split_set_topology(cluster->splits[i], cluster->topology,
                                       cluster->topology_ns);
        }
    }
    for (uint32_t i = 0;
         cluster->stores && i < cluster_shards_n_slots(cluster); i++) {
        if (cluster->stores[i]) {
            cluster_store_set_topology(cluster->stores[i], cluster->topology,
                                       cluster->topology_ns);
        }
    }
}

uint32_t
cluster_shards_n_splits(const struct cluster *cluster)
{
    uint32_t n = 0;

    for (uint32_t i = 0; cluster->splits && i < cluster->config.n_shards;
         i++) {
        n += cluster->splits[i] != NULL;
    }
    return n;
}

uint32_t
cluster_shards_n_stores(const struct cluster *cluster)
{
    uint32_t n = 0;

    for (uint32_t i = 0;
         cluster->stores && i < cluster_shards_n_slots(cluster); i++) {
        n += cluster->stores[i] != NULL;
    }
    return n;
}

void
cluster_shards_collect(const struct cluster *cluster, struct counters *c)
{
    counters_add(c, &cluster->gone);
    for (uint32_t i = 0; cluster->splits && i < cluster->config.n_shards;
         i++) {
        if (cluster->splits[i]) {
            add_split(cluster->splits[i], c);
        }
    }
    for (uint32_t i = 0;
         cluster->stores && i < cluster_shards_n_slots(cluster); i++) {
        if (cluster->stores[i]) {
            add_store(cluster->stores[i], c);
        }
    }
}
