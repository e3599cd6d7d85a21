/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_missing - which servers an answer of a cluster lacks, and the times
 * that this concerns: those that were asked and did not answer to their end,
 * and those that are dead and have histories of these times; and what of these
 * times the cluster has lost (server/cluster_holes.h).
 *
 * Where shards are kept in copies, a server of whose disk those who answered
 * have everything in these times is not missing (server/cluster_cover.h).
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_MISSING_H
#define SERVER_CLUSTER_MISSING_H 1

#include <stdint.h>
#include <jansson.h>

#include "lib/bus.h"
#include "server/cluster_holes.h"
#include "server/cluster_members.h"
#include "server/store_vouch.h"

struct cluster_missing_config {
    struct bus *bus;
    const struct cluster_members *members;
    const struct cluster_holes *holes; /* NULL: none are known. */
    uint32_t n_stores, n_copies;       /* Of stage 2. */
    uint64_t since_ns, until_ns;
    const struct store_vouch *vouch; /* What those who answered have. */
    /* Takes the list (lists of objects as in docs/api.md); called once. */
    void (*done)(void *aux, json_t *missing);
    void *aux;
};

/* A server that was asked; 'why' it did not answer, NULL: it did. */
struct cluster_missing_part {
    const char *name;
    const char *why;
};

struct cluster_missing;

/* Finds out; NULL when that was done at once.  'done' may be called from here,
 * and may destroy it otherwise; all but the parts must stay until then. */
struct cluster_missing *
cluster_missing_find(const struct cluster_missing_config *,
                     const struct cluster_missing_part *parts, size_t n);
/* 'done' is not called any more.  NULL is fine. */
void cluster_missing_destroy(struct cluster_missing *);

/* Adds to a list what is in another one (NULL: nothing) and not in this one:
 * servers that it does not name, and what else was lost. */
void cluster_missing_add(json_t *list, const json_t *other);

#endif /* server/cluster_missing.h */
