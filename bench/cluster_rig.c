/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_rig - servers of a cluster in one process. */
#include <config.h>
#include "bench/cluster_rig.h"

#include <check.h>
#include <event2/event.h>
#include <stdlib.h>

#include "bench/bench_done.h"
#include "lib/bus_kv.h"
#include "lib/bus_stream.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "server/cluster_codecs.h"
#include "server/cluster_sent.h"
#include "server/cluster_door.h"
#include "server/cluster_split.h"
#include "server/cluster_store.h"
#include "server/ingest.h"
#include "server/path_kit.h"
#include "server/store_disk.h"

void
cluster_rig_make_streams(struct cluster_rig *c)
{
    static const char *const names[][2] = {
        {"LH1", "lh.1.*"}, {"LHS", "lh.s.*"}, {"LH2", "lh.2.*"}};
    static const char *const buckets[] = {"lh-commit-1", "lh-commit-2"};
    size_t n = 5;

    for (size_t i = 0; i < 3; i++) {
        const struct bus_stream_config stream = {.name = names[i][0],
                                                 .subjects = names[i][1],
                                                 .max_bytes = 1u << 30,
                                                 .discards_new = true};

        ck_assert_int_eq(bus_stream_create(c->buses[c->first], &stream, 20000,
                                           bench_done_take, &n, NULL),
                         0);
    }
    for (size_t i = 0; i < 2; i++) {
        const struct bus_kv_config bucket = {.bucket = buckets[i],
                                             .max_bytes = 8u << 20};

        ck_assert_int_eq(bus_kv_create(c->buses[c->first], &bucket, 20000,
                                       bench_done_take, &n, NULL),
                         0);
    }
    bench_done_wait(c->base, &n);
}

static void
on_split(void *aux, struct cluster_split *split, enum cluster_split_event e)
{
    ck_assert_int_ne(e, CLUSTER_SPLIT_FENCED);
}

static void
on_store(void *aux, struct cluster_store *store, enum cluster_store_event e)
{
    ck_assert_int_ne(e, STORE_FENCED);
}

static void
give_door(void *door, const struct postcard *p)
{
    cluster_door_add(door, p);
}

/* Of server 's', to be freed. */
static char *
archive_of(const struct cluster_rig *c, unsigned int s)
{
    return lh_asprintf("%s-%u", c->archive, s);
}

char *
cluster_rig_shard_path(const struct cluster_rig *c, uint32_t m)
{
    char *dir = archive_of(c, m % c->n);
    char *path = store_disk_path(dir, m);

    free(dir);
    return path;
}

static void
open_server(struct cluster_rig *c, unsigned int s)
{
    const struct cluster_door_config door = {.bus = c->buses[s],
                                             .n_shards = CLUSTER_RIG_SHARDS,
                                             .id_config = c->id_config,
                                             .is_file = true};
    struct ingest_config ingest = {
        .id_config = c->id_config, .give = give_door, .rules = c->rules};

    c->dirs[s] = archive_of(c, s);
    c->codecs[s] = cluster_codecs_create(&c->id_config);
    c->sent[s] = cluster_sent_create(c->buses[s], CLUSTER_DOOR_MEMORY / 8);
    c->kits[s] = path_kit_create(true);
    ck_assert_ptr_nonnull(c->kits[s]);
    path_kit_set_topology(c->kits[s], c->topology);
    c->doors[s] = cluster_door_create(&door);
    ingest.aux = c->doors[s];
    c->ingests[s] = ingest_create(&ingest);
    ingest_set_topology(c->ingests[s], c->topology);
}

static void
open_split(struct cluster_rig *c, uint32_t k)
{
    unsigned int s = k % c->n;
    const struct cluster_split_config split = {
        .bus = c->buses[s],
        .shard = k,
        .epoch = 1,
        .n_stores = CLUSTER_RIG_STORES,
        .silent_ns = UINT64_MAX / 4, /* NATS has another clock. */
        .id_config = c->id_config,
        .is_lossless = true,
        .kit = c->kits[s],
        .codecs = c->codecs[s],
        .sent = c->sent[s],
        .rules = c->rules,
        .on_event = on_split};

    c->splits[k] = cluster_split_create(&split);
    cluster_split_set_topology(c->splits[k], c->topology, 0);
}

static void
open_store(struct cluster_rig *c, uint32_t m)
{
    unsigned int s = m % c->n;
    const struct cluster_store_config store = {.bus = c->buses[s],
                                               .stream = "LH2",
                                               .subject = "lh.2",
                                               .bucket = "lh-commit-2",
                                               .shard = m,
                                               .slot = m,
                                               .epoch = 1,
                                               .dir = c->dirs[s],
                                               .codecs = c->codecs[s],
                                               .packet_id = c->id_config,
                                               .on_event = on_store};

    c->stores[m] = cluster_store_create(&store);
    cluster_store_set_topology(c->stores[m], c->topology, 0);
}

static bool
is_here(const struct cluster_rig *c, uint32_t shard)
{
    return shard % c->n >= c->first && shard % c->n < c->end;
}

void
cluster_rig_connect(struct cluster_rig *c)
{
    c->base = event_base_new();
    for (unsigned int s = c->first; s < c->end; s++) {
        c->buses[s] = nats_open(c->nats, c->base);
    }
}

void
cluster_rig_open(struct cluster_rig *c)
{
    for (unsigned int s = c->first; s < c->end; s++) {
        open_server(c, s);
    }
    for (uint32_t k = 0; k < CLUSTER_RIG_SHARDS; k++) {
        if (is_here(c, k)) {
            open_split(c, k);
        }
    }
    for (uint32_t m = 0; m < CLUSTER_RIG_STORES; m++) {
        if (is_here(c, m)) {
            open_store(c, m);
        }
    }
}

void
cluster_rig_close(struct cluster_rig *c)
{
    for (uint32_t m = 0; m < CLUSTER_RIG_STORES; m++) {
        cluster_store_destroy(c->stores[m]);
    }
    for (uint32_t k = 0; k < CLUSTER_RIG_SHARDS; k++) {
        cluster_split_destroy(c->splits[k]);
    }
    for (unsigned int s = c->first; s < c->end; s++) {
        ingest_destroy(c->ingests[s]);
        cluster_door_destroy(c->doors[s]);
        path_kit_destroy(c->kits[s]);
        cluster_codecs_unref(c->codecs[s]);
        cluster_sent_destroy(c->sent[s]);
        bus_close(c->buses[s]);
        free(c->dirs[s]);
    }
    event_base_free(c->base);
}

/* --- Their work. --------------------------------------------------------- */

void
cluster_rig_announce(struct cluster_rig *c)
{
    for (unsigned int s = c->first; s < c->end; s++) {
        cluster_door_announce(c->doors[s]);
    }
}

void
cluster_rig_feed(struct cluster_rig *c, unsigned int s,
                 const struct gen_frame *frames, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ingest_frame(c->ingests[s], INGEST_AUTO, frames[i].data, frames[i].len,
                     frames[i].time_ns);
    }
}

void
cluster_rig_run_doors(struct cluster_rig *c)
{
    for (unsigned int s = c->first; s < c->end; s++) {
        cluster_door_run(c->doors[s], monotonic_ns());
    }
}

void
cluster_rig_end(struct cluster_rig *c)
{
    for (unsigned int s = c->first; s < c->end; s++) {
        cluster_door_end(c->doors[s]);
    }
}

/* --- What they have done. ------------------------------------------------ */

static void
add_door(struct cluster_sum *sum, const struct cluster_door *door)
{
    struct cluster_door_counters n;

    cluster_door_get_counters(door, &n);
    sum->in += n.in;
    sum->sent += n.acknowledged;
    sum->packed += n.packed_bytes;
    sum->n_busy += !cluster_door_is_idle(door);
    sum->messages += n.messages;
    sum->card_bytes += n.bytes;
}

static void
add_split(struct cluster_sum *sum, const struct cluster_split *split)
{
    struct cluster_split_counters n;

    cluster_split_get_counters(split, &n);
    sum->read += n.postcards;
    sum->held += n.paths.held;
    sum->waiting += n.waiting;
    sum->committed += n.committed;
    sum->doubles += n.paths.duplicates + n.paths.ambiguous;
    sum->late += n.late;
    sum->history_bytes += n.tentative_bytes;
    sum->snapshot_bytes += n.snapshot_bytes;
}

void
cluster_rig_sum(const struct cluster_rig *c, struct cluster_sum *sum)
{
    *sum = (struct cluster_sum){.in = 0};
    for (unsigned int s = c->first; s < c->end; s++) {
        add_door(sum, c->doors[s]);
    }
    for (uint32_t k = 0; k < CLUSTER_RIG_SHARDS; k++) {
        if (c->splits[k]) {
            add_split(sum, c->splits[k]);
        }
    }
    for (uint32_t m = 0; m < CLUSTER_RIG_STORES; m++) {
        struct cluster_store_counters n;

        if (c->stores[m]) {
            cluster_store_get_counters(c->stores[m], &n);
            sum->archived += n.archived;
        }
    }
}

void
cluster_sum_add(struct cluster_sum *sum, const struct cluster_sum *more)
{
    sum->in += more->in;
    sum->sent += more->sent;
    sum->packed += more->packed;
    sum->n_busy += more->n_busy;
    sum->read += more->read;
    sum->held += more->held;
    sum->waiting += more->waiting;
    sum->committed += more->committed;
    sum->doubles += more->doubles;
    sum->late += more->late;
    sum->archived += more->archived;
    sum->messages += more->messages;
    sum->card_bytes += more->card_bytes;
    sum->history_bytes += more->history_bytes;
    sum->snapshot_bytes += more->snapshot_bytes;
}
