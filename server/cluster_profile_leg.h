/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_profile_leg - this server's part of profiles that others of the
 * cluster ask for on behalf of their clients (server/cluster_profile.h).
 *
 * Asked is over the bus (docs/formats/cluster.md): `look` says which times
 * there are and what this disk vouches for, `start` begins to count shards,
 * `take` gives what was counted, piece by piece.  A part of whose asker
 * nothing is heard for 10 s ends.
 *
 * Blocks are read by threads of their own, which run only where no other
 * thread wants the processor or the disk (lib/crew.h).
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_PROFILE_LEG_H
#define SERVER_CLUSTER_PROFILE_LEG_H 1

#include <jansson.h>

#include "lib/bus.h"
#include "server/cluster_leg.h"
#include "server/queries.h"

#define CLUSTER_PROFILE_SUBJECT "lh.profile." /* And the server's name. */
#define CLUSTER_PROFILE_BEAT_MS                                               \
    500                        /* An asker waits no longer for a piece.       \
                                */
#define CLUSTER_PROFILE_MAX 64 /* Of all askers. */

struct cluster_profile_legs;

/* Listens for what is asked of the server of that name; all is borrowed.  With
 * 'n_threads' of 0, or none that could be made, the event loop does their
 * work. */
struct cluster_profile_legs *
cluster_profile_legs_create(const struct cluster_legs_config *,
                            unsigned int n_threads);
/* Adds those of parts that had not been taken to their end. */
void cluster_profile_legs_collect(const struct cluster_profile_legs *,
                                  struct cluster_legs_counters *);
/* Before the queries.  NULL is fine. */
void cluster_profile_legs_destroy(struct cluster_profile_legs *);

#endif /* server/cluster_profile_leg.h */
