/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_config - what all servers of a cluster must agree on: the key
 * "config" of the bucket lh-meta.
 *
 * The first server writes it; each that starts compares it with its own
 * options.  'wire' is the version of what goes over the bus that is spoken:
 * the highest that the first server knew, until it is raised
 * (server/cluster_version.h).  One that does not know it does not start.
 *
 * Threads: pure functions. */
#ifndef SERVER_CLUSTER_CONFIG_H
#define SERVER_CLUSTER_CONFIG_H 1

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lh_error.h"

/* What this program speaks. */
#define CLUSTER_WIRE_MIN 1
#define CLUSTER_WIRE_MAX 3

struct cluster_config {
    uint32_t n_shards; /* Of stage 1. */
    uint32_t n_stores; /* Of stage 2. */
    uint32_t n_copies; /* Of each of these. */
    uint32_t lease_ms; /* 0: an older version did not say it. */
    uint32_t wire;
    /* Of a server: what it knows; not in the key. */
    uint32_t wire_min, wire_max;
    uint64_t id_seed; /* Constants of packet IDs. */
    uint32_t id_bytes;
};

/* A new object. */
json_t *cluster_config_to_json(const struct cluster_config *);
/* Reads the value of the key.  EINVAL: it is none. */
int cluster_config_read(struct cluster_config *, const void *data, size_t size,
                        struct lh_error *);
/* Whether a server that wants 'own' (n_shards, n_copies, lease_ms 0: whatever
 * there is) may work in a cluster that is as 'has'.  EINVAL with what differs
 * and what is to be done. */
int cluster_config_compare(const struct cluster_config *has,
                           const struct cluster_config *own,
                           struct lh_error *);

#endif /* server/cluster_config.h */
