/* SPDX-License-Identifier: Apache-2.0 */
/* server - all parts of lasthop-server, put together as the options say. */
#include <config.h>

#include "server/server.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/api_socket.h"
#include "lib/archive_dir.h"
#include "lib/crew.h"
#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "server/server_impl.h"

/* A file is read when the recorder has told its rules, or after so long. */
#define SYNC_TIMEOUT_NS UINT64_C(10000000000)
/* Agents hear of a new threshold, and their batches come, so late. */
#define AGENTS_LATE_NS UINT64_C(3000000000)
/* The path table is looked at no more often. */
#define MIN_TICK_NS UINT64_C(1000000)

static struct timeval
to_timeval(uint64_t ns)
{
    struct timeval tv = {.tv_sec = (time_t) (ns / 1000000000u),
                         .tv_usec = (suseconds_t) (ns / 1000 % 1000000)};

    return tv;
}

/* --- Time --------------------------------------------------------------- */

/* Wakes the server when the path table is due. */
void
server_arm_tick(struct server *server)
{
    uint64_t next_ns = pipeline_next_ns(server->pipeline);
    uint64_t now_ns = time_spec_now();

    if (!server->is_live || next_ns == UINT64_MAX) {
        return;
    }

    uint64_t wait_ns = next_ns > now_ns ? next_ns - now_ns : 0;
    struct timeval tv;

    if (wait_ns < MIN_TICK_NS) {
        wait_ns = MIN_TICK_NS;
    } else if (wait_ns > server->options->round_ns) {
        wait_ns = server->options->round_ns;
    }
    tv = to_timeval(wait_ns);
    event_add(server->tick, &tv);
}

static void
on_tick(evutil_socket_t fd, short what, void *server_)
{
    struct server *server = server_;

    pipeline_run(server->pipeline, time_spec_now());
    server_arm_tick(server);
}

void
server_start_replay(struct server *server)
{
    bool is_late = time_spec_now() - server->opened_ns > SYNC_TIMEOUT_NS;

    if (!server->replay || server->has_started_replay ||
        (server->cluster && !cluster_is_ready(server->cluster)) ||
        (server->recorder && !recorder_link_is_synced(server->recorder) &&
         !is_late)) {
        return;
    }
    if (is_late) {
        say_warn("the recorder does not tell its rules: reading without");
    }
    server->has_started_replay = true;
    replay_start(server->replay);
}

static void
on_round(evutil_socket_t fd, short what, void *server_)
{
    struct server *server = server_;

    if (server->is_live) {
        pipeline_round(server->pipeline, time_spec_now());
        triggers_tell(server->triggers);
        server_api_tick(server->api, time_spec_now());
        retain_tell(&server->retain, server->recorder,
                    server->options->archive, time_spec_now());
    }
    server_start_replay(server);
}

static void
after_batch(void *server_)
{
    struct server *server = server_;

    pipeline_drain(server->pipeline);
    server_arm_tick(server);
}

/* --- Postcards ----------------------------------------------------------- */

static void
give(void *server_, const struct postcard *postcard)
{
    struct server *server = server_;

    if (server->cluster) {
        cluster_add(server->cluster, postcard);
    } else {
        pipeline_add(server->pipeline, postcard);
    }
}

static void
pass(void *server_, const struct ingest_packet *packet)
{
    struct server *server = server_;

    pipeline_pass(server->pipeline, packet);
}

static const struct topology *
get_topology(void *server_)
{
    struct server *server = server_;

    return pipeline_topology(server->pipeline);
}

static void
on_sent(void *server_)
{
    struct server *server = server_;

    server->on_end(server->aux, server->has_failed ? &server->error : NULL);
}

static void
on_replay_end(void *server_, const struct lh_error *error)
{
    struct server *server = server_;

    if (!server->cluster) {
        server->on_end(server->aux, error);
        return;
    }
    server->has_failed = error != NULL;
    if (error) {
        server->error = *error;
    }
    cluster_leave(server->cluster, on_sent, server);
}

/* --- The cluster --------------------------------------------------------- */

static void
on_cluster(void *server_)
{
    struct server *server = server_;
    const struct topology *topology = pipeline_topology(server->pipeline);

    if (server->recorder && recorder_link_is_up(server->recorder) &&
        topology) {
        cluster_share_topology(cluster_get_share(server->cluster), topology);
    }
    server_start_replay(server);
}

static void
on_refused(void *server_, const struct lh_error *why)
{
    struct server *server = server_;

    server->on_end(server->aux, why);
}

static struct recorder_link *
get_recorder(void *server_)
{
    struct server *server = server_;

    return server->recorder;
}

static int
open_cluster(struct server *server, struct lh_error *error)
{
    const struct cluster_parts parts = {
        .base = server->base,
        .options = server->options,
        .rules = server->rules,
        .triggers = server->triggers,
        .queries = server->queries,
        .gate = server->gate,
        .catch_up = server->catch_up,
        .book = server->book,
        .on_ready = on_cluster,
        .on_refused = on_refused,
        .recorder = get_recorder,
        .on_topology = server_on_shared_topology,
        .on_rules = server_on_rules,
        .want = server_want,
        .on_want = server_on_want,
        .on_servers = server_on_servers,
        .aux = server,
    };

    return server->options->cluster.urls
               ? cluster_open(&parts, &server->cluster, error)
               : 0;
}

/* --- Opening ------------------------------------------------------------ */

char *
server_socket_path(const struct options *options, const char *name)
{
    return options->rundir ? lh_asprintf("%s/%s", options->rundir, name)
                           : api_socket_path(name);
}

/* The parts that postcards run through. */
static int
open_core(struct server *server, struct lh_error *error)
{
    const struct options *o = server->options;
    struct rule_cache_config rules = {.ask = server_ask_rule,
                                      .on_change = server_on_rule_change,
                                      .aux = server};
    struct pipeline_config pipeline = {
        .base = server->base,
        .n_threads = o->n_threads,
        .is_file = !server->is_live,
        .can_ask = server_wants_recorder(server),
        .window_ns = o->window_ns,
        .id_config = o->id_config,
        .is_lossless = o->is_lossless,
        .json = o->json ? stdout : NULL,
    };
    struct ingest_config ingest = {
        .id_config = o->id_config,
        .mac_vlan = o->mac_vlan,
    };

    server->accept = accept_list_create();
    for (size_t i = 0; i < o->n_accept; i++) {
        int retval = accept_list_add(server->accept, o->accept[i], error);

        if (retval) {
            lh_error_prefix(error, "--accept");
            return retval;
        }
    }

    /* In a cluster each shard has one of its own. */
    int retval =
        o->cluster.urls ? 0 : archive_open(o, &pipeline.archive, error);

    if (retval) {
        return retval;
    }
    if (o->agents) {
        server->book = agent_book_create();
        server->catch_up = catch_up_create();
        server->gate = sample_gate_create(2 * o->window_ns + AGENTS_LATE_NS);
    }
    server->rules = rule_cache_create(&rules);
    server->triggers = triggers_create();
    server->queries = queries_create(server->base);
    pipeline.rules = server->rules;
    pipeline.gate = server->gate;
    pipeline.catch_up = server->catch_up;
    pipeline.book = server->book;
    pipeline.ledger = loss_ledger_create();
    pipeline.triggers = server->triggers;
    /* Who sent the postcards in a file is asked only if it is said who
     * may. */
    ingest.accept = server->is_live || o->n_accept ? server->accept : NULL;
    pipeline.ingest = ingest;
    server->pipeline = pipeline_create(&pipeline);
    if (o->archive) {
        queries_set_archive(server->queries, o->archive, server->pipeline,
                            options_query_threads(o));
    }
    ingest.rules = server->rules;
    ingest.give = give;
    ingest.aux = server;
    if (pipeline_n_workers(server->pipeline)) {
        ingest.pass = pass;
    }
    server->ingest = ingest_create(&ingest);
    return 0;
}

/* Windows go by when postcards of agents come, not by their stamps. */
static void
before_agents(void *server_, uint64_t now_ns)
{
    struct server *server = server_;

    pipeline_run(server->pipeline, now_ns);
}

static bool
has_room(void *server_)
{
    struct server *server = server_;

    return server->cluster ? cluster_has_room(server->cluster)
                           : pipeline_has_room(server->pipeline);
}

/* Whose the next postcards are. */
static void
begin_frame(void *server_, const uint8_t id[AGENT_ID_LEN], uint64_t seq)
{
    struct server *server = server_;

    cluster_begin(server->cluster, id, seq);
}

static const char *
is_busy(void *server_)
{
    struct server *server = server_;

    return cluster_busy(server->cluster);
}

static uint64_t
n_added(void *server_)
{
    struct server *server = server_;

    return cluster_n_added(server->cluster);
}

static uint64_t
n_safe(void *server_)
{
    struct server *server = server_;

    return cluster_n_safe(server->cluster);
}

static int
open_agents(struct server *server, struct lh_error *error)
{
    const struct options *o = server->options;
    char *path = server_socket_path(o, "agents.json");
    struct source_agent_config config = {
        .listen = o->agents,
        .files = {.private_key = o->private_key,
                  .certificate = o->certificate,
                  .ca_cert = o->ca_cert},
        .book_path = path,
        .id_config = o->id_config,
        .accept = server->accept,
        .book = server->book,
        .gate = server->gate,
        .catch_up = server->catch_up,
        .ingest = server->ingest,
        .before = before_agents,
        .has_room = has_room,
        .after = after_batch,
        .taken = server->cluster ? n_added : NULL,
        .safe = server->cluster ? n_safe : NULL,
        .begin = server->cluster ? begin_frame : NULL,
        .lost = server->cluster ? server_on_lost : NULL,
        .busy = server->cluster ? is_busy : NULL,
        .aux = server,
    };
    int retval =
        source_agent_open(server->base, &config, &server->agents, error);

    if (retval) {
        lh_error_prefix(error, "--agents");
    } else {
        say_info("taking postcards from agents at %s", o->agents);
    }
    free(path);
    return retval;
}

static int
open_sources(struct server *server, struct lh_error *error)
{
    const struct options *o = server->options;
    int retval = 0;

    server->udp = lh_alloc_array(NULL, o->n_listen, sizeof *server->udp);
    for (size_t i = 0; i < o->n_listen && !retval; i++) {
        struct source_udp *source;

        retval = source_udp_open(server->base, o->listen[i], server->ingest,
                                 after_batch, server, &source, error);
        if (!retval) {
            say_info("listening for geneve postcards at %s (buffer %d kB)",
                     o->listen[i], source_udp_buffer(source) / 1024);
            server->udp[server->n_udp++] = source;
        }
    }
    server->pcap = lh_alloc_array(NULL, o->n_capture, sizeof *server->pcap);
    for (size_t i = 0; i < o->n_capture && !retval; i++) {
        struct source_pcap *source;

        retval = source_pcap_open_live(server->base, o->capture[i], o->encap,
                                       o->mac_vlan, server->ingest,
                                       after_batch, server, &source, error);
        if (!retval) {
            say_info("capturing postcards on %s", o->capture[i]);
            server->pcap[server->n_pcap++] = source;
        }
    }
    if (!retval && o->agents) {
        retval = open_agents(server, error);
    }
    if (!retval && o->n_read) {
        struct replay_config config = {
            .paths = o->read,
            .n_paths = o->n_read,
            .encap = o->encap,
            .ingest = server->ingest,
            .pipeline = server->pipeline,
            .rules = server->rules,
            .has_room = server->cluster ? has_room : NULL,
            .on_end = on_replay_end,
            .aux = server,
        };

        retval = replay_open(server->base, &config, &server->replay, error);
    }
    return retval;
}

static void
collect(void *server, struct counters *counters)
{
    server_collect(server, counters);
}

/* A server that receives serves clients; one that reads files does not. */
static int
open_api(struct server *server, struct lh_error *error)
{
    char *path = server_socket_path(server->options, API_SOCKET_SERVER);
    struct server_api_config config = {
        .path = path,
        .options = server->options,
        .triggers = server->triggers,
        .queries = server->queries,
        .rules = server->rules,
        .recorder = server->recorder,
        .topology = get_topology,
        .collect = collect,
        .agents = server_tell_agents,
        .cluster = server->cluster,
        .aux = server,
    };
    int retval = server_api_open(server->base, &config, &server->api, error);

    if (!retval) {
        say_info("serving clients at %s", path);
    }
    free(path);
    return retval;
}

int
server_open(struct event_base *base, const struct options *options,
            void (*on_end)(void *aux, const struct lh_error *error), void *aux,
            struct server **serverp, struct lh_error *error)
{
    struct server *server = lh_alloc_zero(sizeof *server);
    struct timeval round = to_timeval(options->round_ns);

    *serverp = NULL;
    server->base = base;
    server->options = options;
    server->is_live = !options->n_read;
    server->on_end = on_end;
    server->aux = aux;
    server->opened_ns = time_spec_now();
    server->tick = evtimer_new(base, on_tick, server);
    server->round = event_new(base, -1, EV_PERSIST, on_round, server);

    int retval = open_core(server, error);

    if (!retval) {
        retval = open_cluster(server, error);
    }
    if (!retval) {
        retval = server_open_knowledge(server, error);
    }
    if (!retval) {
        retval = open_sources(server, error);
    }
    /* Last: who finds the socket finds a server that receives. */
    if (!retval && (server->is_live || options->rundir)) {
        retval = open_api(server, error);
    }
    if (retval) {
        server_close(server);
        return retval;
    }
    event_add(server->round, &round);
    server_open_clocks(server);
    server_start_replay(server);
    *serverp = server;
    return 0;
}

static void
close_sources(struct server *server)
{
    for (size_t i = 0; i < server->n_udp; i++) {
        source_udp_drain(server->udp[i]);
        source_udp_close(server->udp[i]);
    }
    for (size_t i = 0; i < server->n_pcap; i++) {
        source_pcap_close(server->pcap[i]);
    }
    source_agent_close(server->agents);
    replay_close(server->replay);
    server->n_udp = server->n_pcap = 0;
    server->agents = NULL;
    server->replay = NULL;
}

bool
server_leave(struct server *server, void (*on_left)(void *aux), void *aux)
{
    if (!server->cluster || !cluster_is_ready(server->cluster)) {
        return false;
    }
    close_sources(server);
    cluster_leave(server->cluster, on_left, aux);
    return true;
}

void
server_close(struct server *server)
{
    if (!server) {
        return;
    }
    close_sources(server);
    server_close_clocks(server);
    if (server->pipeline && server->is_live) {
        pipeline_flush(server->pipeline, time_spec_now());
    }

    struct recorder_link *recorder = server->recorder;

    /* Clients that wait for the recorder get their answers with this. */
    server->recorder = NULL;
    recorder_link_destroy(recorder);
    /* Clients hold triggers and queries; both look at the archive. */
    server_api_close(server->api);
    cluster_close(server->cluster);
    queries_destroy(server->queries);
    pipeline_destroy(server->pipeline);
    server->pipeline = NULL;
    triggers_destroy(server->triggers);
    ingest_destroy(server->ingest);
    rule_cache_destroy(server->rules);
    accept_list_destroy(server->accept);
    agent_book_destroy(server->book);
    sample_gate_destroy(server->gate);
    catch_up_destroy(server->catch_up);
    event_free(server->tick);
    event_free(server->round);
    free(server->udp);
    free(server->pcap);
    free(server);
}

bool
server_json_is_ok(const struct server *server)
{
    return pipeline_json_is_ok(server->pipeline);
}
