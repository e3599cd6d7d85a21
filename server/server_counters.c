/* SPDX-License-Identifier: Apache-2.0 */
/* server_counters - everything that a server counts, in one place. */
#include <config.h>

#include <string.h>

#include "server/server_impl.h"

static void
collect_sources(struct server *server, struct counters *c)
{
    for (size_t i = 0; i < server->n_udp; i++) {
        const struct source_udp_counters *udp =
            source_udp_counters(server->udp[i]);

        c->datagrams += udp->datagrams;
        c->cut_datagrams += udp->cut;
        c->kernel_drops += udp->kernel_drops;
        c->source_errors += udp->errors;
    }
    for (size_t i = 0; i < server->n_pcap; i++) {
        const struct source_pcap_counters *pcap =
            source_pcap_counters(server->pcap[i]);

        c->frames += pcap->frames;
        c->kernel_drops += pcap->kernel_drops;
        c->source_errors += pcap->errors;
    }
    if (server->agents) {
        source_agent_collect(server->agents, c);
    }
    if (server->replay) {
        c->frames += replay_frames(server->replay);
    }
}

static void
collect_rules(struct server *server, struct counters *c)
{
    struct rule_cache_counters rules;

    rule_cache_get_counters(server->rules, &rules);
    c->rules = rules.rules;
    c->rules_asked = rules.asked;
    c->rules_denied = rules.denied;
    c->rules_evicted = rules.evicted;
    c->versions_guessed += rules.guessed;
}

void
server_collect(struct server *server, struct counters *c)
{
    memset(c, 0, sizeof *c);
    collect_sources(server, c);
    ingest_collect(server->ingest, c);
    pipeline_collect(server->pipeline, c);
    if (server->cluster) {
        cluster_collect(server->cluster, c);
    }
    collect_rules(server, c);
    triggers_collect(server->triggers, c);
    queries_collect(server->queries, c);
    if (server->recorder) {
        recorder_link_collect(server->recorder, c);
    }
    if (server->api) {
        server_api_collect(server->api, c);
    }
}
