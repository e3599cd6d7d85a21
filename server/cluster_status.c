/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_status - what is told of a server's part of a cluster. */
#include <config.h>

#include <string.h>

#include "lib/time_spec.h"
#include "server/cluster_impl.h"
#include "server/loss_ledger.h"

static const char *
state_of(const struct cluster *cluster)
{
    return !cluster->is_ready                            ? "waiting"
           : cluster->is_leaving || cluster->is_draining ? "draining"
           : cluster->is_connected                       ? "working"
                                                         : "away";
}

const char *
cluster_trouble(const struct cluster *cluster)
{
    const char *trouble = cluster_setup_trouble(cluster->setup);

    return !cluster->is_connected && *cluster->away_why ? cluster->away_why
                                                        : trouble;
}

/* How many of the first 'n' shards of 'lease' belong to a server that lives.
 */
static uint32_t
n_owned(const struct shard_lease *lease, uint32_t n)
{
    size_t n_known = shard_lease_n_known(lease);
    uint32_t n_owned = 0;

    for (size_t i = 0; i < n_known; i++) {
        struct shard_lease_server server;

        shard_lease_get_server(lease, i, &server);
        for (uint32_t j = 0; server.is_alive && j < n; j++) {
            const char *owner = shard_lease_owner(lease, j);

            n_owned += owner && !strcmp(owner, server.name);
        }
    }
    return n_owned;
}

uint32_t
cluster_n_ownerless(const struct cluster *cluster)
{
    uint32_t n_shards = cluster->config.n_shards;
    uint32_t n_slots = cluster_shards_n_slots(cluster);

    return cluster->lease_1 && cluster->lease_2
               ? n_shards + n_slots - n_owned(cluster->lease_1, n_shards) -
                     n_owned(cluster->lease_2, n_slots)
               : 0;
}

static uint64_t
lost_of(const struct cluster *cluster, struct cluster_door_counters *door)
{
    uint64_t lost = cluster->n_early;

    *door = (struct cluster_door_counters){.in = 0};
    if (cluster->door) {
        cluster_door_get_counters(cluster->door, door);
    }
    for (size_t i = 0; i < N_CLUSTER_DOOR_LOSSES; i++) {
        lost += door->lost[i];
    }
    return lost;
}

void
cluster_collect(const struct cluster *cluster, struct counters *c)
{
    struct cluster_copies_sum copies;
    struct cluster_door_counters door;
    struct cluster_legs_counters legs = {.cancelled = 0};
    struct cluster_sent_counters sent;

    cluster_shards_collect(cluster, c);
    if (cluster->tally) {
        loss_ledger_sum(cluster_tally_ledger(cluster->tally), time_spec_now(),
                        &c->missing_min, &c->missing_max);
    }
    c->cluster_lost = lost_of(cluster, &door);
    c->cluster_waiting = door.waiting;
    c->cluster_acknowledged = door.acknowledged;
    c->cluster_bytes = door.bytes;
    c->cluster_sent_again = door.sent_again;
    c->cluster_full = door.full;
    c->cluster_mended = door.sent_missing;
    if (cluster->sent) {
        cluster_sent_get_counters(cluster->sent, &sent);
        c->cluster_mended += sent.sent_again;
    }
    if (cluster->legs) {
        cluster_legs_get_counters(cluster->legs, &legs);
        cluster_profile_legs_collect(cluster->profile_legs, &legs);
    }
    c->cluster_cancelled = legs.cancelled;
    c->cluster_silent = legs.silent;
    if (cluster->triggers) {
        cluster_triggers_collect(cluster->triggers, c);
    }
    c->cluster_fenced = cluster->n_fenced;
    cluster_copies_sum(cluster, &copies);
    c->cluster_fetched = copies.n_fetched;
    c->cluster_shards = cluster_shards_n_splits(cluster);
    c->cluster_stores = cluster_shards_n_stores(cluster);
    c->cluster_servers =
        cluster->lease_1 ? shard_lease_n_servers(cluster->lease_1) : 0;
}

/* What is held of a stage: numbers, epochs, and what is wrong with them. */
static json_t *
splits_to_json(const struct cluster *cluster)
{
    json_t *list = json_array();

    for (uint32_t i = 0; cluster->splits && i < cluster->config.n_shards;
         i++) {
        struct cluster_split_counters n;
        uint64_t epoch;

        if (!cluster->splits[i]) {
            continue;
        }
        shard_lease_holds(cluster->lease_1, i, &epoch);
        cluster_split_get_counters(cluster->splits[i], &n);
        json_array_append_new(
            list,
            json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:s?}", "uncommitted",
                      (json_int_t) n.waiting, "shard", (json_int_t) i, "epoch",
                      (json_int_t) epoch, "position", (json_int_t) n.position,
                      "waiting", (json_int_t) (n.n_pending + n.held), "open",
                      (json_int_t) n.paths.held, "trouble",
                      cluster_split_trouble(cluster->splits[i])));
    }
    return list;
}

static json_t *
stores_to_json(const struct cluster *cluster)
{
    json_t *list = json_array();

    for (uint32_t i = 0;
         cluster->stores && i < cluster_shards_n_slots(cluster); i++) {
        struct cluster_store_counters n;
        struct lh_error error;
        bool has_trouble;

        if (!cluster->stores[i]) {
            continue;
        }
        has_trouble = cluster_store_trouble(cluster->stores[i], &error);
        cluster_store_get_counters(cluster->stores[i], &n);
        json_array_append_new(
            list,
            json_pack(
                "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s?}", "uncommitted",
                (json_int_t) (n.next_seq > n.position ? n.next_seq - n.position
                                                      : 0),
                "shard", (json_int_t) (i % cluster->config.n_stores), "copy",
                (json_int_t) (i / cluster->config.n_stores), "epoch",
                (json_int_t) cluster_store_epoch(cluster->stores[i]),
                "position", (json_int_t) n.position, "waiting",
                (json_int_t) n.n_pending, "archived", (json_int_t) n.archived,
                "trouble", has_trouble ? error.text : NULL));
    }
    return list;
}

static json_t *
servers_to_json(const struct cluster *cluster)
{
    json_t *list = json_array();
    size_t n = cluster->lease_1 ? shard_lease_n_known(cluster->lease_1) : 0;

    for (size_t i = 0; i < n; i++) {
        static const struct cluster_member none = {.wire_min = 0};
        const struct cluster_member *member;
        struct shard_lease_server server;
        uint32_t n_shards = 0, n_stores = 0;

        shard_lease_get_server(cluster->lease_1, i, &server);
        if (server.is_forgotten) {
            continue;
        }
        for (uint32_t j = 0; j < cluster->config.n_shards; j++) {
            const char *owner = shard_lease_owner(cluster->lease_1, j);

            n_shards += owner && !strcmp(owner, server.name);
        }
        for (uint32_t j = 0; j < cluster_shards_n_slots(cluster); j++) {
            const char *owner = shard_lease_owner(cluster->lease_2, j);

            n_stores += owner && !strcmp(owner, server.name);
        }
        member = cluster_members_find(cluster->members, server.name);
        member = member ? member : &none;
        json_array_append_new(
            list,
            json_pack(
                "{s:s, s:b, s:b, s:I, s:I, s:s, s:I, s:I, s:I, s:s, s:s}",
                "name", server.name, "alive", (int) server.is_alive,
                "draining", (int) server.is_draining, "shards",
                (json_int_t) n_shards, "stores", (json_int_t) n_stores,
                "version", member->version, "wire_max",
                (json_int_t) member->wire_max, "since_ns",
                (json_int_t) member->since_ns, "until_ns",
                (json_int_t) member->until_ns, "postcards_at",
                member->postcards_at, "agents_at", member->agents_at));
    }
    return list;
}

static json_t *
streams_to_json(const struct cluster *cluster)
{
    static const char *const names[CLUSTER_N_STREAMS] = {
        "postcards", "snapshots", "histories"};
    json_t *json = json_object();

    for (size_t i = 0; i < CLUSTER_N_STREAMS; i++) {
        const struct cluster_stream *stream = &cluster->streams[i];

        json_object_set_new(
            json, names[i],
            stream->is_known
                ? json_pack("{s:I, s:I}", "messages",
                            (json_int_t) stream->state.n_messages, "bytes",
                            (json_int_t) stream->state.n_bytes)
                : json_null());
    }
    return json;
}

json_t *
cluster_to_json(const struct cluster *cluster)
{
    struct cluster_door_counters door;
    uint64_t lost = lost_of(cluster, &door);
    const char *trouble = cluster_trouble(cluster);

    return json_pack(
        "{s:s, s:s, s:s?, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
        "s:o, "
        "s:o, s:o, s:o, s:o}",
        "name", cluster->options->name, "state", state_of(cluster), "why",
        trouble, "coordinator",
        cluster->share && cluster_share_is_coordinator(cluster->share),
        "n_shards", (json_int_t) cluster->config.n_shards, "n_stores",
        (json_int_t) cluster->config.n_stores, "n_copies",
        (json_int_t) cluster->config.n_copies, "wire",
        (json_int_t) cluster->config.wire, "acknowledged",
        (json_int_t) door.acknowledged, "settled",
        (json_int_t) cluster_n_safe(cluster), "waiting",
        (json_int_t) door.waiting, "kept", (json_int_t) door.kept, "lost",
        (json_int_t) lost, "streams", streams_to_json(cluster), "shards",
        splits_to_json(cluster), "stores", stores_to_json(cluster), "servers",
        servers_to_json(cluster), "copies", cluster_copies_to_json(cluster));
}
