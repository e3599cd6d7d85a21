/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_profile - a profile of what all servers of the cluster have, of
 * which each counts a part (server/cluster_profile_leg.h).
 *
 * All are first asked which times they have.  Where shards are kept in copies,
 * each shard is then counted by one server whose disk surely has all that the
 * others have of it; from when on that can be said of all shards is one time,
 * and what is earlier is asked for history by history and each counted once
 * (server/cluster_fan.h).
 *
 * A server that does not answer to its end is left out: all begins anew
 * without it, and it is named in the end (server/cluster_missing.h).
 *
 * Memory is bounded: by the table of the profile (phf/profile_table.h), and by
 * a piece of each server.
 *
 * Threads: that of the event loop. */
#ifndef SERVER_CLUSTER_PROFILE_H
#define SERVER_CLUSTER_PROFILE_H 1

#include <stdbool.h>
#include <jansson.h>

#include "lib/lh_error.h"
#include "phf/profile.h"
#include "server/cluster_fan.h"

struct cluster_profile_config {
    struct cluster_fan_cluster cluster;
    const struct topology *topology; /* For names; NULL: none known. */
    /* One of both is called, once, not from cluster_profile_create(), and may
     * destroy it.  All is counted: 'profile', which is to be started, and the
     * list 'missing' are the callee's; 'is_truncated': there were more
     * histories of one moment than can be put in order. */
    void (*done)(void *aux, struct profile *profile, json_t *missing,
                 bool is_truncated);
    /* The request cannot be answered. */
    void (*fail)(void *aux, const struct lh_error *);
    void *aux;
};

struct cluster_profile;

/* 0, or EINVAL with the reason; 'request' need not stay. */
int cluster_profile_create(const struct cluster_profile_config *,
                           const json_t *request, struct cluster_profile **,
                           struct lh_error *);
/* All servers that have not ended are told to.  NULL is fine. */
void cluster_profile_destroy(struct cluster_profile *);

#endif /* server/cluster_profile.h */
