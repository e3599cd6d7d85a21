/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_pen - writes the history of one packet after the other. */
#include <config.h>

#include "lib/trajectory_pen.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"

#define SLOT_BITS 8
#define N_SLOTS   (1 << SLOT_BITS)

struct slot {
    struct trajectory *trajectory; /* Owned reference: keeps its path. */
    struct history *history;       /* Of some packet on that path.  Owned. */
};

struct trajectory_pen {
    struct slot slots[N_SLOTS];
};

struct trajectory_pen *
trajectory_pen_create(void)
{
    return lh_alloc_zero(sizeof(struct trajectory_pen));
}

void
trajectory_pen_destroy(struct trajectory_pen *pen)
{
    for (size_t i = 0; pen && i < N_SLOTS; i++) {
        trajectory_unref(pen->slots[i].trajectory);
        history_destroy(pen->slots[i].history);
    }
    free(pen);
}

static struct slot *
slot_of(struct trajectory_pen *pen, const struct trajectory_path *path)
{
    uint64_t hash = (uint64_t) (uintptr_t) path * 0x9e3779b97f4a7c15ULL;

    return &pen->slots[hash >> (64 - SLOT_BITS)];
}

const struct history *
trajectory_pen_write(struct trajectory_pen *pen, struct trajectory *t,
                     const struct trajectory_packet *packet)
{
    struct slot *slot = slot_of(pen, trajectory_path(t));

    if (slot->trajectory &&
        trajectory_path(slot->trajectory) == trajectory_path(t)) {
        trajectory_refill(t, packet, slot->history);
        return slot->history;
    }
    trajectory_unref(slot->trajectory);
    history_destroy(slot->history);
    slot->trajectory = trajectory_ref(t);
    slot->history = trajectory_history(t, packet);
    return slot->history;
}
