/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_rig - the servers of a cluster in one process. */
#include <config.h>
#include "bench/cluster_rig.h"

#include <check.h>
#include <event2/event.h>

#include "bench/bench_done.h"
#include "bench/slow_clock.h"
#include "lib/bus_kv.h"
#include "lib/bus_stream.h"
#include "server/cluster_codecs.h"
#include "server/cluster_door.h"
#include "server/cluster_split.h"
#include "server/cluster_store.h"
#include "server/ingest.h"
#include "server/path_kit.h"

static void
make_streams(struct cluster_rig *c)
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

        ck_assert_int_eq(bus_stream_create(c->buses[0], &stream, 20000,
                                           bench_done_take, &n, NULL),
                         0);
    }
    for (size_t i = 0; i < 2; i++) {
        const struct bus_kv_config bucket = {.bucket = buckets[i],
                                             .max_bytes = 8u << 20};

        ck_assert_int_eq(bus_kv_create(c->buses[0], &bucket, 20000,
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

static void
open_server(struct cluster_rig *c, unsigned int s)
{
    const struct cluster_door_config door = {.bus = c->buses[s],
                                             .n_shards = CLUSTER_RIG_SHARDS,
                                             .id_config = c->id_config,
                                             .is_file = true};
    struct ingest_config ingest = {.id_config = c->id_config,
                                   .give = give_door,
                                   .rules = c->frames.rules};

    c->codecs[s] = cluster_codecs_create(&c->id_config);
    c->kits[s] = path_kit_create(true);
    ck_assert_ptr_nonnull(c->kits[s]);
    path_kit_set_topology(c->kits[s], c->frames.topology);
    c->doors[s] = cluster_door_create(&door);
    ingest.aux = c->doors[s];
    c->ingests[s] = ingest_create(&ingest);
    ingest_set_topology(c->ingests[s], c->frames.topology);
}

void
cluster_rig_open(struct cluster_rig *c, unsigned int n, const char *archive)
{
    c->n = n;
    slow_clock_go(0);
    c->base = event_base_new();
    nats_start(&c->nats, NULL);
    for (unsigned int s = 0; s < n; s++) {
        c->buses[s] = nats_open(&c->nats, c->base);
    }
    make_streams(c);
    for (unsigned int s = 0; s < n; s++) {
        open_server(c, s);
    }
    for (uint32_t k = 0; k < CLUSTER_RIG_SHARDS; k++) {
        const struct cluster_split_config split = {
            .bus = c->buses[k % n],
            .shard = k,
            .epoch = 1,
            .n_stores = CLUSTER_RIG_STORES,
            .silent_ns = UINT64_MAX / 4, /* NATS has another clock. */
            .id_config = c->id_config,
            .is_lossless = true,
            .kit = c->kits[k % n],
            .codecs = c->codecs[k % n],
            .rules = c->frames.rules,
            .on_event = on_split};

        c->splits[k] = cluster_split_create(&split);
        cluster_split_set_topology(c->splits[k], c->frames.topology, 0);
    }
    for (uint32_t m = 0; m < CLUSTER_RIG_STORES; m++) {
        const struct cluster_store_config store = {.bus = c->buses[m % n],
                                                   .stream = "LH2",
                                                   .subject = "lh.2",
                                                   .bucket = "lh-commit-2",
                                                   .shard = m,
                                                   .slot = m,
                                                   .epoch = 1,
                                                   .dir = archive,
                                                   .codecs = c->codecs[m % n],
                                                   .packet_id = c->id_config,
                                                   .on_event = on_store};

        c->stores[m] = cluster_store_create(&store);
        cluster_store_set_topology(c->stores[m], c->frames.topology, 0);
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
    for (unsigned int s = 0; s < c->n; s++) {
        ingest_destroy(c->ingests[s]);
        cluster_door_destroy(c->doors[s]);
        path_kit_destroy(c->kits[s]);
        cluster_codecs_unref(c->codecs[s]);
        bus_close(c->buses[s]);
    }
    nats_end(&c->nats);
    event_base_free(c->base);
    bench_frames_close(&c->frames);
}
