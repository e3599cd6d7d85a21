/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_api - the operations `cluster.status`, `cluster.drain` and
 * `cluster.forget` of a server, and in a cluster `query` and `cancel`
 * (docs/api.md).
 *
 * Threads: that of the event loop. */
#ifndef SERVER_CLUSTER_API_H
#define SERVER_CLUSTER_API_H 1

#include "lib/api_server.h"
#include "server/cluster.h"

struct cluster_api;

/* 'cluster' is NULL where there is none: then every operation says so. */
struct cluster_api *cluster_api_create(struct api_server *, struct cluster *);
/* Ends what waits for other servers; before the cluster.  NULL is fine. */
void cluster_api_destroy(struct cluster_api *);

/* The client is gone; it reads again. */
void cluster_api_forget_peer(struct cluster_api *, struct api_peer *);
void cluster_api_wake_peer(struct cluster_api *, struct api_peer *);

#endif /* server/cluster_api.h */
