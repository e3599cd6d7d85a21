/* SPDX-License-Identifier: Apache-2.0 */
/* server_knowledge - what a server knows of the network: topology and rules,
 * of files, of the recorder, of other servers. */
#include <config.h>

#include <stdlib.h>

#include "lib/api_socket.h"
#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "server/server_impl.h"

static void
set_topology(struct server *server, struct topology *topology)
{
    /* A file's postcards may be of any time: its names hold for all. */
    pipeline_set_topology(server->pipeline, topology,
                          server->is_live ? time_spec_now() : 0);
    ingest_set_topology(server->ingest, topology);
    queries_set_topology(server->queries, topology);
    accept_list_set_topology(server->accept, topology);
    if (server->cluster) {
        cluster_set_topology(server->cluster, topology,
                             server->is_live ? time_spec_now() : 0);
    }
    server_refresh_clocks(server);
    say_debug("topology: %zu switches", topology_n_switches(topology));
    server_arm_tick(server);
}

static void
on_topology(void *server_, struct topology *topology)
{
    struct server *server = server_;

    if (!server->options->topology) {
        set_topology(server, topology);
    }
    if (server->cluster && cluster_get_share(server->cluster)) {
        cluster_share_topology(cluster_get_share(server->cluster), topology);
    }
}

/* Of another server of the cluster: only who has no word of its own. */
void
server_on_shared_topology(void *server_, struct topology *topology)
{
    struct server *server = server_;

    if (!server->options->topology &&
        (!server->recorder || !recorder_link_is_up(server->recorder))) {
        set_topology(server, topology);
    }
}

/* What its agents want, and what those of other servers do. */
uint32_t
server_want(void *server_)
{
    struct server *server = server_;

    return server->agents ? source_agent_want(server->agents)
                          : AGENT_THRESHOLD_ALL;
}

void
server_on_want(void *server_, uint32_t threshold)
{
    struct server *server = server_;

    if (server->agents) {
        source_agent_set_others(server->agents, threshold);
    }
}

void
server_on_lost(void *server_, const uint8_t id[AGENT_ID_LEN],
               const struct agent_loss *loss)
{
    struct server *server = server_;

    cluster_lose(server->cluster, id, loss);
}

void
server_on_servers(void *server_, const struct agent_server *all, size_t n)
{
    struct server *server = server_;

    if (server->agents) {
        source_agent_set_servers(server->agents, all, n);
    }
}

void
server_on_rules(void *server_)
{
    struct server *server = server_;

    server_start_replay(server);
    server_arm_tick(server);
}

/* For whoever reads the archive without a server. */
static void
on_count(void *server_, uint64_t dpid, uint64_t asked_ns, uint64_t time_ns,
         uint64_t n_sent)
{
    struct server *server = server_;

    if (server->cluster) {
        cluster_count(server->cluster, dpid, asked_ns, time_ns, n_sent);
    } else {
        pipeline_count(server->pipeline, dpid, asked_ns, time_ns, n_sent);
    }
}

static void
on_flow_log(void *server_, const char *path)
{
    struct server *server = server_;
    const struct options *o = server->options;
    struct lh_error error;

    if (o->archive && !o->flow_log &&
        archive_meta_agree(o->archive, &o->id_config, path, time_spec_now(),
                           &error)) {
        say_warn("archive: cannot note the flow log: %s", error.text);
    }
}

bool
server_ask_rule(void *server_, uint64_t dpid, uint32_t version)
{
    struct server *server = server_;

    struct cluster_share *share =
        server->cluster ? cluster_get_share(server->cluster) : NULL;

    if (server->recorder &&
        (!share || recorder_link_is_up(server->recorder))) {
        return recorder_link_ask(server->recorder, dpid, version);
    }
    return share && !server->options->rules &&
           cluster_share_ask(share, dpid, version);
}

void
server_on_rule_change(void *server_, enum rule_cache_change change,
                      uint64_t dpid, uint32_t version, const struct rule *rule)
{
    struct server *server = server_;

    if (server->pipeline) {
        pipeline_change_rules(server->pipeline, change, dpid, version, rule);
    }
    if (server->cluster && cluster_get_share(server->cluster)) {
        cluster_share_rule(cluster_get_share(server->cluster), change, dpid,
                           version, rule);
    }
}

bool
server_wants_recorder(const struct server *server)
{
    const struct options *o = server->options;

    return o->recorder || (server->is_live && !o->no_recorder);
}

int
server_open_knowledge(struct server *server, struct lh_error *error)
{
    const struct options *o = server->options;
    int retval = 0;

    if (o->topology) {
        struct topology *topology;

        retval = topology_from_file(o->topology, &topology, error);
        if (retval) {
            lh_error_prefix(error, "topology");
            return retval;
        }
        set_topology(server, topology);
        topology_unref(topology);
    }
    if (o->rules) {
        retval = rule_cache_load(server->rules, o->rules, error);
        if (retval) {
            lh_error_prefix(error, "rules");
            return retval;
        }
    }
    if (server_wants_recorder(server)) {
        char *path = o->recorder ? lh_strdup(o->recorder)
                                 : server_socket_path(o, API_SOCKET_RECORDER);
        struct recorder_link_config config = {
            .path = path,
            .rules = server->rules,
            .on_topology = on_topology,
            .on_rules = server_on_rules,
            .on_flow_log = on_flow_log,
            .on_count = server->is_live ? on_count : NULL,
            .aux = server,
        };

        server->recorder = recorder_link_create(server->base, &config);
        free(path);
    }
    return 0;
}
