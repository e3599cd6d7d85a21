/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_turn - when a door sends what it has for a shard. */
#include <config.h>

#include "server/cluster_turn.h"

/* Of a message. */
#define CREDIT UINT64_C(1000000000)

void
cluster_turn_set_clock(struct cluster_lanes *all, uint64_t clock_ns,
                       uint64_t now_ns)
{
    uint64_t most = CREDIT * CLUSTER_LANE_BURST;
    uint64_t passed_ns = clock_ns - all->clock_ns;

    all->clock_ns = clock_ns;
    all->now_ns = now_ns;
    all->credit = passed_ns >= CREDIT
                      ? most
                      : all->credit + passed_ns * CLUSTER_LANE_RATE;
    all->credit = all->credit < most ? all->credit : most;
}

/* The beat that the shard is in.  At its end all doors send what they have for
 * it, so that its owner has to do with one shard after the other, and with a
 * message of each door at the same time. */
static uint64_t
get_beat(const struct cluster_lane *lane)
{
    uint64_t offset_ns =
        lane->shard * (CLUSTER_LANE_AGE_NS / CLUSTER_LANE_PHASES);

    return (lane->all->now_ns + offset_ns) / CLUSTER_LANE_AGE_NS;
}

static bool
has_many(const struct cluster_lane *lane)
{
    return lane->n > CLUSTER_LANE_MANY;
}

void
cluster_turn_begin(struct cluster_lane *lane)
{
    lane->since_ns = lane->all->clock_ns;
    lane->since_beat = get_beat(lane);
}

void
cluster_turn_spend(const struct cluster_lane *lane)
{
    uint64_t *credit = &lane->all->credit;

    *credit = has_many(lane) || *credit < CREDIT ? 0 : *credit - CREDIT;
}

bool
cluster_turn_is_over(const struct cluster_lane *lane)
{
    uint64_t waited_ns = lane->all->clock_ns - lane->since_ns;
    uint64_t n_beats = has_many(lane) ? 2 : 1;

    return lane->is_flushing || lane->is_ending ||
           waited_ns >= n_beats * CLUSTER_LANE_AGE_NS ||
           lane->since_beat / n_beats != get_beat(lane) / n_beats ||
           (waited_ns >= CLUSTER_LANE_SOON_NS &&
            lane->all->credit >= CREDIT * CLUSTER_LANE_SPARE);
}
