/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_query - the queries of this server's clients, answered by all
 * servers of the cluster.
 *
 * Each is asked of every server that lives (server/cluster_leg.h), this one
 * too, and what they find is merged in order of time.  Nothing waits for a
 * server that does not answer: it is left out, and the event `end` names it,
 * the times that its archive covers and why, in `missing`; so it does servers
 * that are dead and have an archive of these times.
 *
 * Memory is bounded: of each server CLUSTER_LEG_WINDOW batches at most, and a
 * client that does not read is waited for.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_CLUSTER_QUERY_H
#define SERVER_CLUSTER_QUERY_H 1

#include <jansson.h>

#include "lib/api_server.h"
#include "lib/bus.h"
#include "lib/topology.h"
#include "server/cluster_members.h"
#include "server/shard_lease.h"

struct cluster_queries;

struct cluster_queries_config {
    struct bus *bus;
    struct cluster_members *members;
    const struct shard_lease *lease; /* Who lives. */
    uint32_t n_copies; /* Of each history that there may be, on different
                        * servers. */
};

/* All is borrowed. */
struct cluster_queries *
cluster_queries_create(const struct cluster_queries_config *);
/* NULL is fine. */
void cluster_queries_destroy(struct cluster_queries *);
/* Takes a reference of its own; NULL: none known. */
void cluster_queries_set_topology(struct cluster_queries *,
                                  const struct topology *);

/* As those of server/queries.h. */
void cluster_queries_handle_query(struct api_call *, const json_t *request,
                                  void *queries);
void cluster_queries_handle_cancel(struct api_call *, const json_t *request,
                                   void *queries);
void cluster_queries_forget_peer(struct cluster_queries *, struct api_peer *);
void cluster_queries_wake_peer(struct cluster_queries *, struct api_peer *);

#endif /* server/cluster_query.h */
