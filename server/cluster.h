/* SPDX-License-Identifier: Apache-2.0 */
/* cluster - this server's part of a cluster: everything that --cluster turns
 * on (docs/cluster.md).
 *
 *     postcards -> door -> NATS, stage 1 -> split -> NATS, stage 2 -> store
 *                          by packet ID     owner     by first hop    owner
 *
 * What is received goes out by the door, to whichever server owns its shard;
 * of the shards that this server is given by the leases it has the owners.  A
 * server that reads files is a door and nothing else.
 *
 *     cluster_open()          goes on by itself: on_ready, or on_refused
 *     cluster_add()           each postcard
 *     cluster_leave()         gives everything away; on_left
 *     cluster_close()
 *
 * While NATS is away nothing waits here: postcards are kept as far as there is
 * room, then counted as lost; shards are given up after two thirds of a lease
 * and taken again.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_CLUSTER_H
#define SERVER_CLUSTER_H 1

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/agent_frame.h"
#include "lib/lh_error.h"
#include "lib/postcard.h"
#include "lib/topology.h"
#include "server/agent_book.h"
#include "server/cluster_query.h"
#include "server/cluster_rpc.h"
#include "server/cluster_share.h"
#include "server/counters.h"
#include "server/options.h"
#include "server/queries.h"
#include "server/rule_cache.h"
#include "server/triggers.h"

struct bus;
struct cluster;
struct cluster_book;
struct event_base;
struct recorder_link;

/* What of the server it works with; all borrowed until the end. */
struct cluster_parts {
    struct event_base *base;
    const struct options *options;
    struct rule_cache *rules;
    struct triggers *triggers;
    struct queries *queries;         /* Of this server's own archive. */
    const struct sample_gate *gate;  /* Of its agents; NULL: none. */
    const struct catch_up *catch_up; /* The same. */
    const struct agent_book *book;   /* The same. */
    /* Postcards may come. */
    void (*on_ready)(void *aux);
    /* This server cannot be part of the cluster; may not close it. */
    void (*on_refused)(void *aux, const struct lh_error *why);
    /* The recorder; NULL: none. */
    struct recorder_link *(*recorder)(void *aux);
    /* What another server knows of the network. */
    void (*on_topology)(void *aux, struct topology *);
    void (*on_rules)(void *aux);
    /* The smallest threshold that its agents want.  And
     * that of all others, when that has changed. */
    uint32_t (*want)(void *aux);
    void (*on_want)(void *aux, uint32_t threshold);
    /* Once a second, when that is known: which servers take agents. */
    void (*on_servers)(void *aux, const struct agent_server *, size_t n);
    void *aux;
};

/* Returns 0, or an errno with the reason: an option that cannot be used. */
int cluster_open(const struct cluster_parts *, struct cluster **,
                 struct lh_error *);
/* At once: shards that are held pass to others when the lease has run out.
 * NULL is fine. */
void cluster_close(struct cluster *);

bool cluster_is_ready(const struct cluster *);
/* Before it is ready a postcard is lost, and counted. */
void cluster_add(struct cluster *, const struct postcard *);
/* See pipeline_count(). */
void cluster_count(struct cluster *, uint64_t dpid, uint64_t asked_ns,
                   uint64_t time_ns, uint64_t n_sent);
/* See cluster_door_begin(). */
void cluster_begin(struct cluster *, const uint8_t agent[AGENT_ID_LEN],
                   uint64_t frame);
/* An agent says that postcards are lost. */
void cluster_lose(struct cluster *, const uint8_t agent[AGENT_ID_LEN],
                  const struct agent_loss *);
/* Why agents should go to other servers; NULL: they need not. */
const char *cluster_busy(const struct cluster *);
/* Of a file: whether the next one may be added; look again in a moment. */
bool cluster_has_room(const struct cluster *);

/* The number of the last postcard that was added, and up to which all are on
 * the bus (or lost, and counted). */
uint64_t cluster_n_added(const struct cluster *);
uint64_t cluster_n_safe(const struct cluster *);

/* Gives away all shards and takes none any more, while postcards go on being
 * received. */
void cluster_drain(struct cluster *);
/* Nothing is received any more: sends all, gives everything away, and calls
 * 'on_left' once (not from in here), when that is done. */
void cluster_leave(struct cluster *, void (*on_left)(void *aux), void *aux);

/* The network is so from 'now_ns' on. */
void cluster_set_topology(struct cluster *, const struct topology *,
                          uint64_t now_ns);

/* Lets the server of that name do cluster_drain(); 'done' may be called from
 * in here.  0; or ENOBUFS, or EINVAL for what is no name: it is not called. */
int cluster_drain_server(struct cluster *, const char *name,
                         cluster_rpc_fn *done, void *aux);
/* No 'done' of 'aux' is called any more. */
void cluster_forget_asker(struct cluster *, const void *aux);
/* Removes what is known of a server that is dead: EBUSY when it lives, ENOENT
 * when none is known. */
int cluster_forget(struct cluster *, const char *name);

/* What agents of all servers say; NULL before it is ready, and where files are
 * read. */
const struct cluster_book *cluster_get_book(const struct cluster *);
/* What is shared of the network; NULL before it is ready. */
struct cluster_share *cluster_get_share(const struct cluster *);
/* Queries over all servers; NULL before it is ready, and where files are
 * read. */
struct cluster_queries *cluster_get_queries(const struct cluster *);

/* Who is asked what concerns all servers; NULL as above. */
const struct cluster_fan_cluster *cluster_get_servers(const struct cluster *);

/* Why NATS cannot be used, or is not ready; NULL: it can. */
const char *cluster_trouble(const struct cluster *);
/* How many shards of both stages nobody owns, as far as is known. */
uint32_t cluster_n_ownerless(const struct cluster *);
/* Adds to '*counters' what is counted here. */
void cluster_collect(const struct cluster *, struct counters *);
/* A new object: what `status` says of it. */
json_t *cluster_to_json(const struct cluster *);

#endif /* server/cluster.h */
