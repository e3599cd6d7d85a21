/* SPDX-License-Identifier: Apache-2.0 */
/* store_settle - cuts off, in shards that this server owned once, what it had
 * archived and not committed.
 *
 * A server that died or was fenced leaves a last round of which only the
 * shard's record knows whether it counts.  Who owns the shard again here finds
 * that out by itself (server/store_disk.h); for others this looks at start and
 * from time to time, and waits until another owner has the record, so that
 * what it says is final.
 *
 * Threads: the bus's. */
#ifndef SERVER_STORE_SETTLE_H
#define SERVER_STORE_SETTLE_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/bus.h"

struct store_settle_config {
    struct bus *bus;
    const char *bucket; /* "lh-commit-2". */
    const char *dir;    /* DIR. */
    uint32_t n_shards;
    uint32_t n_copies;  /* 0: 1. */
    uint32_t period_ms; /* 0: 2,000. */
    /* Whether a cluster_store of this server has the shard. */
    bool (*is_owned)(void *aux, uint32_t slot);
    void *aux;
};

struct store_settle_counters {
    uint64_t settled;   /* Rounds that were found out about; */
    uint64_t cut_bytes; /* of these cut off. */
    uint32_t unsettled; /* Shards that wait for it, as last looked. */
};

struct store_settle;

struct store_settle *store_settle_create(const struct store_settle_config *);
void store_settle_destroy(struct store_settle *);
void store_settle_get_counters(const struct store_settle *,
                               struct store_settle_counters *);

#endif /* server/store_settle.h */
