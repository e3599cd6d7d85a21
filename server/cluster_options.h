/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_options - those of lasthop-server's options that concern a cluster.
 *
 * Threads: plain data. */
#ifndef SERVER_CLUSTER_OPTIONS_H
#define SERVER_CLUSTER_OPTIONS_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/lh_error.h"

#define CLUSTER_OPTIONS_SHARDS     64
#define CLUSTER_OPTIONS_STORES     16
#define CLUSTER_OPTIONS_BYTES      (UINT64_C(1) << 30)
#define CLUSTER_OPTIONS_MAX_COPIES 2

/* Strings are borrowed from argv. */
struct cluster_options {
    const char *urls;         /* NULL: no cluster, and nothing else counts. */
    const char *name;         /* Of this server. */
    const char *postcards_at; /* ADDRESS[:PORT], where switches reach it;
                               * NULL: not said. */
    const char *agents_at;    /* HOST[:PORT], the same of agents. */
    const char *private_key, *certificate, *ca_cert, *credentials;
    uint32_t n_shards;     /* 0: what the cluster has, else the default. */
    uint32_t n_copies;     /* Of histories; 0: as the cluster has, else 1. */
    uint32_t bus_replicas; /* Of streams and buckets in NATS; 0: 1. */
    uint32_t lease_ms;     /* 0: the default of shard_lease. */
    uint32_t wire_min, wire_max; /* Versions that it says it knows; both 0:
                                  * those it knows. */
    uint64_t n_bytes;  /* Of each stream; 0: as it is, else the default. */
    uint64_t n_memory; /* Bytes that wait for NATS; 0: the door's default. */
};

enum cluster_option {
    CLUSTER_OPTION_URLS,
    CLUSTER_OPTION_NAME,
    CLUSTER_OPTION_SHARDS,
    CLUSTER_OPTION_COPIES,
    CLUSTER_OPTION_BUS_REPLICAS,
    CLUSTER_OPTION_BYTES,
    CLUSTER_OPTION_MEMORY,
    CLUSTER_OPTION_LEASE,
    CLUSTER_OPTION_KEY,
    CLUSTER_OPTION_CERTIFICATE,
    CLUSTER_OPTION_CA,
    CLUSTER_OPTION_CREDENTIALS,
    CLUSTER_OPTION_POSTCARDS_AT,
    CLUSTER_OPTION_AGENTS_AT,
    CLUSTER_OPTION_WIRE_VERSIONS
};

/* Takes the value of an option.  Returns 0, or EINVAL with the reason. */
int cluster_options_take(struct cluster_options *, enum cluster_option,
                         const char *text, struct lh_error *);
/* What fits together: 0, or EINVAL with the reason. */
int cluster_options_check(const struct cluster_options *, struct lh_error *);

#endif /* server/cluster_options.h */
