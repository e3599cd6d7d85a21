/* SPDX-License-Identifier: Apache-2.0 */
/* server_api - the server's socket for other programs (docs/api.md).
 *
 * Triggers and queries are answered by their own parts; what is asked about
 * the past (`flow`, `table`, `diff`, `changes`, `why`) is passed on to the
 * recorder, whose answer is the client's, and so are `recorder.status` and
 * `recorder.stats`; the others are answered here.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_SERVER_API_H
#define SERVER_SERVER_API_H 1

#include "lib/api_server.h"
#include "lib/lh_error.h"
#include "lib/topology.h"
#include "server/cluster.h"
#include "server/counters.h"
#include "server/options.h"
#include "server/queries.h"
#include "server/recorder_link.h"
#include "server/rule_cache.h"
#include "server/triggers.h"

struct event_base;

struct server_api_config {
    const char *path;              /* Of the socket. */
    const struct options *options; /* Who may ask: not kept. */
    struct triggers *triggers;
    struct queries *queries;
    struct rule_cache *rules;       /* Answers `flow` without a recorder. */
    struct recorder_link *recorder; /* NULL: none. */
    const struct topology *(*topology)(void *aux); /* NULL: none known. */
    /* What is told of agents, a new reference; NULL: none are listened for.
     * With 'topology' NULL, and what is known of its switches' clocks is added
     * to that. */
    json_t *(*agents)(void *aux, json_t *topology);
    void (*collect)(void *aux, struct counters *);
    struct cluster *cluster; /* NULL: none. */
    void *aux;
};

struct server_api;

/* Listens.  Returns 0, or an errno as api_server_listen(). */
int server_api_open(struct event_base *, const struct server_api_config *,
                    struct server_api **, struct lh_error *);
/* Closes all clients. */
void server_api_close(struct server_api *);

/* Looks at the counters for `health` and `status`; due every round.  'api' may
 * be NULL. */
void server_api_tick(struct server_api *, uint64_t now_ns);

/* The sockets' own counters. */
void server_api_collect(const struct server_api *, struct counters *);

#endif /* server/server_api.h */
