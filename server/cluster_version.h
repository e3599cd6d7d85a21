/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_version - which version of the messages on the bus a cluster
 * speaks, while its servers are upgraded one after the other.
 *
 * Each server knows a range of versions, and tells it to the others
 * (server/cluster_members.h).  One version is spoken by all: `wire` of the key
 * "config" (server/cluster_config.h).  It is raised to the highest that all
 * know, when that has been so for CLUSTER_VERSION_PATIENCE_MS; all are those
 * that live, and those that died and were not forgotten, for they may come
 * back.  Any server may raise it, by compare-and-set; nobody lowers it.
 *
 * A server that does not know what is spoken is refused when it starts
 * (cluster_config_compare()), or by 'on_refused' if that changes while it is
 * there, which is when it came just then.
 *
 *     v = cluster_version_create(&config);
 *     cluster_version_look(v, readable, now_ms);     about once a second
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_VERSION_H
#define SERVER_CLUSTER_VERSION_H 1

#include <stdint.h>

#include "lib/bus.h"
#include "lib/lh_error.h"
#include "server/cluster_config.h"

#define CLUSTER_VERSION_PATIENCE_MS 30000

struct cluster_version_config {
    struct bus *bus;           /* Borrowed. */
    struct cluster_config own; /* What this server wants and knows. */
    uint32_t wire;             /* What is spoken now. */
    /* Another version is spoken from now on. */
    void (*on_change)(void *aux, uint32_t wire);
    /* Once: this server cannot be part of it any more; may not destroy. */
    void (*on_refused)(void *aux, const struct lh_error *why);
    void *aux;
};

struct cluster_version;

struct cluster_version *
cluster_version_create(const struct cluster_version_config *);
/* NULL is fine. */
void cluster_version_destroy(struct cluster_version *);

/* The highest version that all know is 'readable'; 0: it is not known of all.
 * 'now_ms' is any clock that goes forward. */
void cluster_version_look(struct cluster_version *, uint32_t readable,
                          int64_t now_ms);

#endif /* server/cluster_version.h */
