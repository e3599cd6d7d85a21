/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_merge_clock - how far time has come, by what doors say. */
#include <config.h>

#include "server/cluster_merge_impl.h"
#include "server/cluster_wire.h"

static bool
is_behind(const struct cluster_merge *merge, const struct merge_door *door)
{
    return !door->is_file &&
           door->watermark_ns + CLUSTER_MERGE_BEHIND_NS < merge->live_ns;
}

static bool
is_active(const struct cluster_merge *merge, const struct merge_door *door)
{
    return !door->has_ended && !merge->is_quiet &&
           door->stored_ns + merge->config.silent_ns >= merge->stream_ns;
}

/* The greatest watermark of live doors that are active: one whose clock was
 * wrong counts no longer when it has gone. */
static void
find_greatest(struct cluster_merge *merge)
{
    uint64_t greatest_ns = 0;

    for (size_t i = 0; i < merge->n_doors; i++) {
        const struct merge_door *door = merge->doors[i];

        if (!door->is_file && is_active(merge, door) &&
            door->watermark_ns > greatest_ns) {
            greatest_ns = door->watermark_ns;
        }
    }
    if (greatest_ns) {
        merge->live_ns = greatest_ns;
    }
}

void
cluster_merge_reckon(struct cluster_merge *merge, uint64_t now_ns,
                     bool is_idle)
{
    uint64_t least_ns = UINT64_MAX;

    if (!is_idle) {
        merge->idle_at_ns = 0;
    } else if (!merge->idle_at_ns) {
        merge->idle_at_ns = now_ns;
    }
    merge->is_quiet = merge->idle_at_ns &&
                      now_ns - merge->idle_at_ns >= CLUSTER_MERGE_QUIET_NS;
    find_greatest(merge);
    merge->n.waited = merge->n.behind = 0;
    for (size_t i = 0; i < merge->n_doors; i++) {
        const struct merge_door *door = merge->doors[i];

        if (!is_active(merge, door)) {
            continue;
        }
        if (is_behind(merge, door)) {
            merge->n.behind++;
            continue;
        }
        merge->n.waited++;
        least_ns =
            door->watermark_ns < least_ns ? door->watermark_ns : least_ns;
    }
    if (!merge->n.waited && merge->is_quiet && merge->live_ns) {
        /* As far as the last live door's clock would be. */
        least_ns = merge->live_ns + (now_ns - merge->idle_at_ns);
    }
    merge->due_ns = least_ns;
}

bool
cluster_merge_misses_agents(const struct cluster_merge *merge, uint64_t now_ns)
{
    uint64_t idle_ns = merge->idle_at_ns ? now_ns - merge->idle_at_ns : 0;

    for (size_t i = 0; i < merge->n_doors; i++) {
        const struct merge_door *door = merge->doors[i];

        if (door->has_agents && !door->is_file && !door->has_ended &&
            !is_active(merge, door) &&
            door->watermark_ns < door->cards_ns + CLUSTER_MERGE_TOLD_NS &&
            merge->stream_ns + idle_ns < door->stored_ns +
                                             merge->config.silent_ns +
                                             CLUSTER_MERGE_MISSED_NS) {
            return true;
        }
    }
    return false;
}

void
cluster_merge_advance(struct cluster_merge *merge)
{
    uint64_t due_ns = merge->due_ns;

    if (due_ns == UINT64_MAX || !due_ns) {
        return; /* Nobody says anything, or one nothing yet: it stands. */
    }
    /* By less than that it stands. */
    if (due_ns > merge->clock_ns ||
        due_ns + CLUSTER_WATERMARK_STEP_NS < merge->clock_ns) {
        merge->clock_ns = due_ns;
    }
}

bool
cluster_merge_is_over(const struct cluster_merge *merge)
{
    return merge->n_doors && merge->is_quiet && !merge->live_ns &&
           !merge->n.held;
}

void
cluster_merge_get_counters(const struct cluster_merge *merge,
                           struct cluster_merge_counters *n)
{
    *n = merge->n;
    n->doors = merge->n_doors;
}

bool
cluster_merge_has_file(const struct cluster_merge *merge)
{
    for (size_t i = 0; i < merge->n_doors; i++) {
        const struct merge_door *door = merge->doors[i];

        if (door->is_file && (door->first || is_active(merge, door))) {
            return true;
        }
    }
    return false;
}
