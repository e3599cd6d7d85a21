/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_turn - when a door sends what it has for a shard: a message costs as
 * much as hundreds of postcards (docs/decisions/cluster-beats.md).
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_TURN_H
#define SERVER_CLUSTER_TURN_H 1

#include "server/cluster_lane.h"

/* Time goes on, by monotonic_ns() and by the system's clock. */
void cluster_turn_set_clock(struct cluster_lanes *, uint64_t clock_ns,
                            uint64_t now_ns);

/* What comes next is the first that waits. */
void cluster_turn_begin(struct cluster_lane *);

/* Whether what waits has done so for long enough. */
bool cluster_turn_is_over(const struct cluster_lane *);

/* It goes in a message.  Where one has many postcards, none goes early. */
void cluster_turn_spend(const struct cluster_lane *);

#endif /* server/cluster_turn.h */
