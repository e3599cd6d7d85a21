/* SPDX-License-Identifier: Apache-2.0 */
/* cluster - this server's part of a cluster: life, the door, leaving. */
#include <config.h>

#include "server/cluster.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/archive_dir.h"
#include "lib/bus_urls.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "server/cluster_codecs.h"
#include "server/cluster_impl.h"

#define TICK_MS 10
/* How long leaving may take: NATS may be away, and others be slow. */
#define LEAVE_MS 15000
/* For others to say that they have what came here. */
#define SAFE_MS 6000
#define ASK_MS  2000
/* Of --cluster-memory for histories that were sent: one of so many parts. */
#define SENT_PART 8

/* --- What NATS holds ----------------------------------------------------- */

/* NATS is asked again and again, for it may be exchanged for another. */
static void
say_how_removed(struct cluster_stream *stream)
{
    if (stream->state.is_purge_safe == stream->is_one_by_one) {
        stream->is_one_by_one = !stream->state.is_purge_safe;
        if (stream->is_one_by_one) {
            say_warn("cluster: NATS keeps %" PRIu32
                     " copies and is older than 2.10: messages are removed "
                     "one by one, for its purges are not safe; it may lose "
                     "messages all the same (see docs/limits.md)",
                     stream->state.n_replicas);
        }
    }
}

static void
on_stream(void *stream_, int error_number, const char *why,
          const struct bus_stream_state *state)
{
    struct cluster_stream *stream = stream_;

    stream->is_asking = false;
    if (!error_number) {
        stream->is_known = true;
        stream->state = *state;
        if (stream == stream->cluster->streams) {
            say_how_removed(stream);
        }
    }
}

static void
ask_streams(struct cluster *cluster)
{
    for (size_t i = 0; i < CLUSTER_N_STREAMS; i++) {
        struct cluster_stream *stream = &cluster->streams[i];

        if (!stream->is_asking) {
            stream->is_asking = !bus_stream_ask(
                cluster->bus, stream->name, ASK_MS, on_stream, stream, NULL);
        }
    }
}

/* --- Leaving ------------------------------------------------------------- */

static bool
holds_nothing(struct cluster *cluster)
{
    return !cluster->lease_1 || !cluster->lease_2 ||
           (!cluster_shards_n_splits(cluster) &&
            !cluster_shards_n_stores(cluster) &&
            !shard_lease_n_held(cluster->lease_1) &&
            !shard_lease_n_held(cluster->lease_2));
}

static void
look_at_leaving(struct cluster *cluster)
{
    bool is_late = monotonic_ms() - cluster->leaving_ms > LEAVE_MS;
    bool is_sent = !cluster->door || cluster_door_is_idle(cluster->door);
    bool is_safe = !cluster->door || cluster_door_is_safe(cluster->door) ||
                   monotonic_ms() - cluster->leaving_ms > SAFE_MS;

    if (!cluster->is_leaving || cluster->has_left ||
        (!is_late && (!is_sent || !is_safe || !holds_nothing(cluster)))) {
        return;
    }
    if (is_late) {
        say_warn("cluster: leaving without having given everything away; the "
                 "others take the shards of this server when its lease has "
                 "run out");
    } else if (cluster->lease_1 && cluster->lease_2) {
        /* Nobody has to wait until the lease has run out. */
        shard_lease_forget(cluster->lease_1, cluster->options->name);
        shard_lease_forget(cluster->lease_2, cluster->options->name);
        if (cluster->triggers) {
            cluster_triggers_forget(cluster->triggers, cluster->options->name);
        }
    }
    cluster->has_left = true;
    cluster->on_left(cluster->left_aux);
}

/* --- Time ---------------------------------------------------------------- */

static void
on_tick(evutil_socket_t fd, short what, void *cluster_)
{
    struct cluster *cluster = cluster_;

    if (cluster->door) {
        cluster_door_run(cluster->door, time_spec_now());
        cluster_receive_tell(cluster);
    }
    look_at_leaving(cluster);
}

static void
on_second(evutil_socket_t fd, short what, void *cluster_)
{
    struct cluster *cluster = cluster_;

    if (!cluster->is_ready) {
        return;
    }
    ask_streams(cluster);
    cluster_receive_tell_lost(cluster);
    if (!cluster->is_door_only) {
        cluster_self_tell(cluster);
        cluster_vouch_look(cluster);
        cluster_share_tick(cluster->share);
        cluster_triggers_tick(cluster->triggers);
        cluster_holes_tick(cluster->holes);
    }
}

/* --- Others -------------------------------------------------------------- */

static void
on_asked(void *cluster_, struct cluster_rpc_call *call, const char *op,
         const json_t *request)
{
    struct cluster *cluster = cluster_;

    if (!strcmp(op, "drain")) {
        cluster_drain(cluster);
        cluster_rpc_answer(call, NULL);
    } else {
        cluster_rpc_fail(call, ENOTSUP,
                         "that server does not know this question: it is "
                         "another version");
    }
}

int
cluster_drain_server(struct cluster *cluster, const char *name,
                     cluster_rpc_fn *done, void *aux)
{
    char *subject = lh_asprintf(CLUSTER_RPC_SUBJECT "%s", name);
    int retval = strcspn(name, ".*> \t\r\n") == strlen(name) && *name
                     ? cluster_rpc_ask(cluster->bus, subject, "drain", NULL,
                                       ASK_MS, done, aux)
                     : EINVAL;

    free(subject);
    return retval;
}

void
cluster_forget_asker(struct cluster *cluster, const void *aux)
{
    bus_forget(cluster->bus, aux);
}

int
cluster_forget(struct cluster *cluster, const char *name)
{
    bool is_known = cluster_members_find(cluster->members, name);
    int retval;

    if (!cluster->lease_1 || !strcmp(name, cluster->options->name)) {
        return EBUSY;
    }
    retval = shard_lease_forget(cluster->lease_1, name);
    if (!retval || retval == ENOENT) {
        int second = shard_lease_forget(cluster->lease_2, name);

        retval = second == ENOENT ? retval : second;
    }
    if ((!retval || retval == ENOENT) && is_known) {
        cluster_members_forget(cluster->members, name);
        retval = 0;
    }
    if ((!retval || retval == ENOENT) && cluster->triggers &&
        cluster_triggers_forget(cluster->triggers, name)) {
        retval = 0;
    }
    return retval;
}

/* --- Life ---------------------------------------------------------------- */

static void
open_share(struct cluster *cluster)
{
    const struct cluster_parts *parts = &cluster->parts;
    const struct cluster_share_config config = {
        .bus = cluster->bus,
        .name = cluster->options->name,
        .lease_ms = cluster->config.lease_ms,
        .replicas = cluster->options->bus_replicas,
        .rules = parts->rules,
        .recorder = parts->recorder,
        .on_topology = parts->on_topology,
        .on_rules = parts->on_rules,
        .aux = parts->aux,
    };

    cluster->share = cluster_share_create(&config);
}

/* Everything is known that must be before shards are taken. */
static void
join(void *cluster_)
{
    struct cluster *cluster = cluster_;
    const struct cluster_config *config = &cluster->config;
    struct lh_error error;

    cluster->is_ready = true;
    if (!cluster->is_door_only && cluster_shards_open(cluster, &error)) {
        lh_error_prefix(&error, "--cluster");
        cluster->parts.on_refused(cluster->parts.aux, &error);
        return;
    }
    if (!cluster->is_door_only) {
        char *subject =
            lh_asprintf(CLUSTER_RPC_SUBJECT "%s", cluster->options->name);

        const struct cluster_legs_config legs = {
            .bus = cluster->bus,
            .queries = cluster->parts.queries,
            .name = cluster->options->name,
            .vouch = cluster_vouch,
            .aux = cluster,
        };

        cluster->rpc =
            cluster_rpc_create(cluster->bus, subject, on_asked, cluster);
        cluster->legs = cluster_legs_create(&legs);
        cluster->profile_legs = cluster_profile_legs_create(
            &legs, options_query_threads(cluster->parts.options));
        cluster->servers = (struct cluster_fan_cluster){
            cluster->bus,     cluster->members, cluster->lease_1,
            config->n_stores, config->n_copies, cluster->holes};
        cluster->queries = cluster_queries_create(&cluster->servers);
        cluster_queries_set_topology(cluster->queries, cluster->topology);
        free(subject);
    }
    say_info("cluster: \"%s\" is part of it: %u shards, %u stores, version %u "
             "on the bus",
             cluster->options->name, config->n_shards, config->n_stores,
             config->wire);
    cluster->parts.on_ready(cluster->parts.aux);
}

static void
on_refused(void *cluster_, const struct lh_error *why)
{
    struct cluster *cluster = cluster_;

    cluster->parts.on_refused(cluster->parts.aux, why);
}

static void
on_version(void *cluster_, uint32_t wire)
{
    struct cluster *cluster = cluster_;

    cluster->config.wire = wire;
    if (cluster->codecs) {
        cluster_codecs_set_wire(cluster->codecs, wire);
    }
}

static void
open_version(struct cluster *cluster)
{
    const struct cluster_version_config config = {
        .bus = cluster->bus,
        .own = cluster->own,
        .wire = cluster->config.wire,
        .on_change = on_version,
        .on_refused = on_refused,
        .aux = cluster,
    };

    cluster->version = cluster_version_create(&config);
}

static void
on_hole(void *cluster_, const struct cluster_hole *hole, const char *why)
{
    struct cluster *cluster = cluster_;
    uint64_t now_ns = time_spec_now();

    triggers_miss_all(cluster->parts.triggers, hole->since_ns,
                      hole->until_ns < now_ns ? hole->until_ns : now_ns, why);
}

static void
open_holes(struct cluster *cluster)
{
    const struct cluster_holes_config config = {
        .bus = cluster->bus,
        .name = cluster->options->name,
        .started_ns = cluster->started_ns,
        .on_hole = on_hole,
        .aux = cluster,
    };

    cluster->holes = cluster_holes_create(&config);
}

static void
on_ready(void *cluster_, const struct cluster_config *config)
{
    struct cluster *cluster = cluster_;
    size_t memory = cluster->options->n_memory
                        ? (size_t) cluster->options->n_memory
                        : CLUSTER_DOOR_MEMORY;
    const struct cluster_door_config door = {
        .bus = cluster->bus,
        .n_shards = config->n_shards,
        .id_config = cluster->parts.options->id_config,
        .is_file = cluster->is_door_only,
        .wire = &cluster->config.wire,
        .gate = cluster->parts.gate,
        .catch_up = cluster->parts.catch_up,
        .max_bytes = memory,
    };
    const struct cluster_triggers_config triggers = {
        .bus = cluster->bus,
        .local = cluster->parts.triggers,
        .name = cluster->options->name,
        .started_ns = cluster->started_ns,
        .on_known = join,
        .aux = cluster,
    };

    cluster->config = *config;
    if (!cluster->config.lease_ms) {
        cluster->config.lease_ms = cluster->options->lease_ms;
    }
    cluster->members = cluster_members_create(cluster->bus, NULL, NULL);
    if (!cluster->is_door_only) {
        open_version(cluster);
        cluster->tally = cluster_tally_create(cluster->bus);
        cluster->book = cluster_book_create(cluster->bus, cluster->parts.book);
        cluster->wants = cluster_wants_create(
            cluster->bus, cluster->parts.on_want, cluster->parts.aux);
        cluster->sent = cluster_sent_create(cluster->bus, memory / SENT_PART);
    }
    cluster->door = cluster_door_create(&door);
    open_share(cluster);
    if (cluster->is_door_only) {
        join(cluster);
        return;
    }
    open_holes(cluster);
    cluster->triggers = cluster_triggers_create(&triggers);
    cluster_triggers_set_topology(cluster->triggers, cluster->topology);
}

static void
on_state(void *cluster_, bool is_connected, const char *why)
{
    struct cluster *cluster = cluster_;

    if (is_connected) {
        say_info("cluster: connected to NATS");
        if (cluster->triggers) {
            cluster_triggers_connected(cluster->triggers);
        }
    } else {
        char *urls = bus_urls_shown(cluster->options->urls);

        snprintf(cluster->away_why, sizeof cluster->away_why,
                 "NATS at %s cannot be reached: %s", urls,
                 why ? why : "no reason is known");
        if (cluster->is_connected || !cluster->is_ready) {
            say_warn("cluster: %s; trying again", cluster->away_why);
        }
        free(urls);
    }
    cluster->is_connected = is_connected;
}

static struct event *
every(struct cluster *cluster, int ms, event_callback_fn f)
{
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    struct event *event =
        event_new(cluster->parts.base, -1, EV_PERSIST, f, cluster);

    event_add(event, &tv);
    return event;
}

int
cluster_open(const struct cluster_parts *parts, struct cluster **clusterp,
             struct lh_error *error)
{
    static const char *const streams[CLUSTER_N_STREAMS] = {
        CLUSTER_STREAM_POSTCARDS, CLUSTER_STREAM_SNAPSHOTS,
        CLUSTER_STREAM_HISTORIES};
    const struct options *o = parts->options;
    struct cluster *cluster = lh_alloc_zero(sizeof *cluster);
    const struct cluster_config own = {
        .n_shards = o->cluster.n_shards,
        .n_stores = CLUSTER_OPTIONS_STORES,
        .n_copies = o->cluster.n_copies,
        .lease_ms = o->cluster.lease_ms,
        .id_seed = o->id_config.seed,
        .id_bytes = o->id_config.n_bytes,
        .wire_min =
            o->cluster.wire_max ? o->cluster.wire_min : CLUSTER_WIRE_MIN,
        .wire_max =
            o->cluster.wire_max ? o->cluster.wire_max : CLUSTER_WIRE_MAX,
    };
    const struct bus_options bus = {
        .urls = o->cluster.urls,
        .name = o->cluster.name,
        .private_key = o->cluster.private_key,
        .certificate = o->cluster.certificate,
        .ca_cert = o->cluster.ca_cert,
        .credentials = o->cluster.credentials,
        .on_state = on_state,
        .aux = cluster,
    };
    struct cluster_setup_config setup = {
        .options = &o->cluster,
        .own = own,
        .on_ready = on_ready,
        .on_refused = on_refused,
        .aux = cluster,
    };

    *clusterp = NULL;
    cluster->parts = *parts;
    cluster->own = own;
    cluster->lock_fd = -1;
    cluster->options = &o->cluster;
    cluster->is_door_only = o->n_read > 0;
    cluster->started_ns = time_spec_now();
    for (size_t i = 0; i < CLUSTER_N_STREAMS; i++) {
        cluster->streams[i] =
            (struct cluster_stream){.cluster = cluster, .name = streams[i]};
    }

    int retval = o->archive
                     ? archive_dir_claim(o->archive, &cluster->lock_fd, error)
                     : 0;

    if (!retval) {
        retval = bus_open(parts->base, &bus, &cluster->bus, error);
        if (retval) {
            lh_error_prefix(error, "--cluster");
        }
    }
    if (retval) {
        close(cluster->lock_fd);
        free(cluster);
        return retval;
    }
    setup.bus = cluster->bus;
    cluster->tick = every(cluster, TICK_MS, on_tick);
    cluster->second = every(cluster, 1000, on_second);
    cluster->setup = cluster_setup_create(&setup);
    *clusterp = cluster;
    return 0;
}

void
cluster_close(struct cluster *cluster)
{
    if (!cluster) {
        return;
    }
    event_free(cluster->tick);
    event_free(cluster->second);
    for (size_t i = 0; i < CLUSTER_N_STREAMS; i++) {
        bus_forget(cluster->bus, &cluster->streams[i]);
    }
    cluster_queries_destroy(cluster->queries);
    cluster_legs_destroy(cluster->legs);
    cluster_profile_legs_destroy(cluster->profile_legs);
    cluster_rpc_destroy(cluster->rpc);
    cluster_shards_close(cluster);
    cluster_tally_destroy(cluster->tally);
    cluster_wants_destroy(cluster->wants);
    cluster_sent_destroy(cluster->sent);
    cluster_book_destroy(cluster->book);
    cluster_triggers_destroy(cluster->triggers);
    cluster_holes_destroy(cluster->holes);
    cluster_share_destroy(cluster->share);
    cluster_door_destroy(cluster->door);
    cluster_version_destroy(cluster->version);
    cluster_members_destroy(cluster->members);
    cluster_setup_destroy(cluster->setup);
    bus_close(cluster->bus);
    close(cluster->lock_fd); /* Where there is none, that does nothing. */
    topology_unref(cluster->topology);
    free(cluster);
}

bool
cluster_is_ready(const struct cluster *cluster)
{
    return cluster->is_ready;
}

void
cluster_drain(struct cluster *cluster)
{
    if (!cluster->is_draining) {
        say_info("cluster: giving all shards away");
        cluster->is_draining = true;
        cluster_shards_drain(cluster);
    }
}

void
cluster_leave(struct cluster *cluster, void (*on_left)(void *aux), void *aux)
{
    cluster->is_leaving = true;
    cluster->leaving_ms = monotonic_ms();
    cluster->on_left = on_left;
    cluster->left_aux = aux;
    if (cluster->door) {
        cluster_door_end(cluster->door);
    }
    cluster_drain(cluster);
}

void
cluster_set_topology(struct cluster *cluster, const struct topology *topology,
                     uint64_t now_ns)
{
    topology_unref(cluster->topology);
    cluster->topology = topology_ref(topology);
    cluster->topology_ns = now_ns;
    cluster_shards_set_topology(cluster);
    if (cluster->queries) {
        cluster_queries_set_topology(cluster->queries, topology);
    }
    if (cluster->triggers) {
        cluster_triggers_set_topology(cluster->triggers, topology);
    }
}

const struct cluster_book *
cluster_get_book(const struct cluster *cluster)
{
    return cluster->is_ready ? cluster->book : NULL;
}

struct cluster_share *
cluster_get_share(const struct cluster *cluster)
{
    return cluster->share;
}

const struct cluster_fan_cluster *
cluster_get_servers(const struct cluster *cluster)
{
    return cluster->queries ? &cluster->servers : NULL;
}

struct cluster_queries *
cluster_get_queries(const struct cluster *cluster)
{
    return cluster->queries;
}
