/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_setup - makes what a cluster needs in NATS, or finds that it is
 * there and fits.
 *
 * Streams and buckets first, then the key "config" (server/cluster_config.h).
 * While NATS cannot be reached, or is not ready, it is tried again for ever,
 * and said what is waited for.
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_SETUP_H
#define SERVER_CLUSTER_SETUP_H 1

#include "lib/bus_kv.h"
#include "server/cluster_config.h"
#include "server/cluster_options.h"

#define CLUSTER_STREAM_POSTCARDS "LH1"
#define CLUSTER_STREAM_SNAPSHOTS "LHS"
#define CLUSTER_STREAM_HISTORIES "LH2"
#define CLUSTER_BUCKET_META      "lh-meta"
#define CLUSTER_BUCKET_COMMIT_1  "lh-commit-1"
#define CLUSTER_BUCKET_COMMIT_2  "lh-commit-2"
#define CLUSTER_BUCKET_LEASE_0   "lh-lease-0"
#define CLUSTER_BUCKET_LEASE_1   "lh-lease-1"
#define CLUSTER_BUCKET_LEASE_2   "lh-lease-2"

struct cluster_setup_config {
    struct bus *bus;
    const struct cluster_options *options; /* Borrowed until the end. */
    struct cluster_config own;             /* As the options say. */
    /* Once: all is there, and the cluster is as '*config' says. */
    void (*on_ready)(void *aux, const struct cluster_config *config);
    /* Once: this server cannot be part of that cluster. */
    void (*on_refused)(void *aux, const struct lh_error *why);
    void *aux;
};

struct cluster_setup;

struct cluster_setup *
cluster_setup_create(const struct cluster_setup_config *);
/* No callback comes any more.  NULL is fine. */
void cluster_setup_destroy(struct cluster_setup *);
/* What is waited for; NULL: nothing. */
const char *cluster_setup_trouble(const struct cluster_setup *);

#endif /* server/cluster_setup.h */
