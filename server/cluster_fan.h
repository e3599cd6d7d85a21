/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_fan - one query, asked of every server that lives
 * (server/cluster_leg.h), this one too, and what they find, merged in order of
 * time.
 *
 * A server that ends early, as more waits there than it has room for
 * (QUERY_MAX_WAITING), ends the answer where it did.
 *
 * Nothing waits for a server that does not answer: it is left out, and named
 * in the end (server/cluster_missing.h).
 *
 * Memory is bounded: of each server CLUSTER_LEG_WINDOW batches at most, and
 * who takes the histories is waited for.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_CLUSTER_FAN_H
#define SERVER_CLUSTER_FAN_H 1

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "lib/bus.h"
#include "lib/history.h"
#include "server/cluster_holes.h"
#include "server/cluster_members.h"
#include "server/shard_lease.h"

/* The cluster that is asked; all is borrowed. */
struct cluster_fan_cluster {
    struct bus *bus;
    struct cluster_members *members;
    const struct shard_lease *lease; /* Who lives. */
    uint32_t n_stores;               /* Shards of stage 2. */
    uint32_t n_copies; /* Of each history that there may be, on different
                        * servers. */
    const struct cluster_holes *holes; /* NULL: none are known. */
};

struct cluster_fan_config {
    struct cluster_fan_cluster cluster;
    const char *phf; /* Need not stay. */
    uint64_t since_ns, until_ns;
    uint64_t limit; /* 0: none. */
    bool is_desc;
    void (*give)(void *aux, const struct history *);
    bool (*is_busy)(void *aux); /* Nothing is given then. */
    /* Twice a second; members of the event `progress` (new). */
    void (*progress)(void *aux, json_t *progress);
    /* It is over: members of the event `end` (new).  It may be destroyed. */
    void (*end)(void *aux, json_t *end);
    void *aux;
};

struct cluster_fan;

/* The configuration is copied. */
struct cluster_fan *cluster_fan_create(const struct cluster_fan_config *);
/* All servers that have not ended are told to.  NULL is fine. */
void cluster_fan_destroy(struct cluster_fan *);
/* It is not busy any more. */
void cluster_fan_wake(struct cluster_fan *);
/* What the event `end` says when it is cancelled now, new. */
json_t *cluster_fan_cancelled(const struct cluster_fan *);

#endif /* server/cluster_fan.h */
