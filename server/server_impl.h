/* SPDX-License-Identifier: Apache-2.0 */
/* server_impl - what the parts of server share.
 *
 *   server           life, sources, time
 *   server_knowledge what is known of the network
 *   server_counters  everything that is counted, in one place
 *
 * Included by server*.c of these only. */
#ifndef SERVER_SERVER_IMPL_H
#define SERVER_SERVER_IMPL_H 1

#include "server/accept_list.h"
#include "server/agent_book.h"
#include "server/archive_open.h"
#include "server/cluster.h"
#include "server/loss_ledger.h"
#include "server/pipeline.h"
#include "server/queries.h"
#include "server/recorder_link.h"
#include "server/replay.h"
#include "server/retain.h"
#include "server/rule_cache.h"
#include "server/server_api.h"
#include "server/source_agent.h"
#include "server/source_pcap.h"
#include "server/source_udp.h"
#include "server/triggers.h"
#include "server/server.h"

struct server {
    struct event_base *base;
    const struct options *options;
    bool is_live; /* Receives; otherwise reads files. */

    struct accept_list *accept; /* All owned. */
    struct rule_cache *rules;
    struct triggers *triggers;
    struct pipeline *pipeline;
    struct ingest *ingest;
    struct queries *queries;
    struct recorder_link *recorder; /* NULL: none. */
    struct cluster *cluster;        /* The same. */
    struct server_api *api;         /* NULL: none. */
    struct agent_book *book;        /* These three: NULL without agents. */
    struct sample_gate *gate;
    struct catch_up *catch_up;
    struct source_agent *agents;
    size_t n_udp, n_pcap;
    struct source_udp **udp;
    struct source_pcap **pcap;
    struct replay *replay;
    bool has_started_replay;
    uint64_t opened_ns;
    struct retain retain;

    struct event *tick;   /* The path table is due. */
    struct event *round;  /* The archive's round. */
    struct event *clocks; /* They are compared; NULL: no agents.  Owned. */
    void (*on_end)(void *aux, const struct lh_error *error);
    void *aux;
    bool has_failed; /* Reading files: 'error', while the rest is sent. */
    struct lh_error error;
};

void server_arm_tick(struct server *);
/* If all that it needs is known. */
void server_start_replay(struct server *);
/* Of a socket in the run directory; for free(). */
char *server_socket_path(const struct options *, const char *name);

/* --- server_knowledge.c --- */

bool server_wants_recorder(const struct server *);
/* 'server' is a struct server. */
bool server_ask_rule(void *server, uint64_t dpid, uint32_t version);
void server_on_rule_change(void *server, enum rule_cache_change, uint64_t dpid,
                           uint32_t version, const struct rule *);
void server_on_rules(void *server);
void server_on_shared_topology(void *server, struct topology *);
uint32_t server_want(void *server);
void server_on_want(void *server, uint32_t threshold);
void server_on_lost(void *server, const uint8_t id[AGENT_ID_LEN],
                    const struct agent_loss *);
void server_on_servers(void *server, const struct agent_server *, size_t n);
int server_open_knowledge(struct server *, struct lh_error *);

/* --- server_clocks.c --- */

/* What is known of agents; with 'topology', adds their clocks to that. */
json_t *server_tell_agents(void *server, json_t *topology);
/* Soon, beside the times that there are for it. */
void server_refresh_clocks(struct server *);
void server_open_clocks(struct server *);
void server_close_clocks(struct server *);

#endif /* server/server_impl.h */
