/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_query - the queries of this server's clients, answered by all
 * servers of the cluster (server/cluster_fan.h).
 *
 * Threads: that of the event loop. */
#ifndef SERVER_CLUSTER_QUERY_H
#define SERVER_CLUSTER_QUERY_H 1

#include <jansson.h>

#include "lib/api_server.h"
#include "lib/topology.h"
#include "server/cluster_fan.h"

struct cluster_queries;

/* All of the cluster is borrowed. */
struct cluster_queries *
cluster_queries_create(const struct cluster_fan_cluster *);
/* NULL is fine. */
void cluster_queries_destroy(struct cluster_queries *);
/* Takes a reference of its own; NULL: none known. */
void cluster_queries_set_topology(struct cluster_queries *,
                                  const struct topology *);
/* What is told beside histories, in place of that: clocks, too. */
void cluster_queries_set_told(struct cluster_queries *,
                              const struct topology *);

/* As those of server/queries.h. */
void cluster_queries_handle_query(struct api_call *, const json_t *request,
                                  void *queries);
void cluster_queries_handle_cancel(struct api_call *, const json_t *request,
                                   void *queries);
void cluster_queries_forget_peer(struct cluster_queries *, struct api_peer *);
void cluster_queries_wake_peer(struct cluster_queries *, struct api_peer *);

#endif /* server/cluster_query.h */
