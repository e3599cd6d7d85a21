/* SPDX-License-Identifier: Apache-2.0 */
/* set_verdicts - what the filters of a set say of whole paths and
 * trajectories.
 *
 * A verdict is a list: the filters that match all packets of a path, or of a
 * trajectory, and those that have to be asked for each flow, or packet.  All
 * others match none.  Path and trajectory carry the number of their verdict,
 * so that looking it up costs one comparison.
 *
 * Bounded: past SET_VERDICTS_MAX_ITEMS all are forgotten and found anew.
 *
 * Ownership: a reference of the topology that names were looked up in.
 *
 * Threads: that of the trajectories. */
#ifndef PHF_SET_VERDICTS_H
#define PHF_SET_VERDICTS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/topology.h"
#include "phf/bpf.h"
#include "phf/phf.h"

/* Verdicts, their items and tests together. */
#define SET_VERDICTS_MAX_ITEMS (1 << 20)

struct set_verdict_item {
    uint32_t index;         /* Of the filter in the set. */
    bool is_asked;          /* Flow by flow, or packet by packet; */
    enum phf_result result; /* else the answer for all: no PHF_MISS. */
    /* Asked packet by packet: 'n_tests' not 0 means that a packet is missed
     * for whose header at the reference hop none of these tests is true. */
    uint32_t first_test, n_tests;
};

struct set_verdict {
    uint32_t first, n; /* Items. */
};

struct set_verdicts {
    uint64_t owner;            /* In marks; 0: none is valid. */
    struct topology *topology; /* Owned reference, or NULL. */
    size_t n, allocated;
    struct set_verdict *all; /* The first one is empty.  Owned. */
    size_t n_items, allocated_items;
    struct set_verdict_item *items; /* Owned. */
    size_t n_tests, allocated_tests;
    const struct bpf_test **tests; /* Of the filters.  Owned. */
};

/* All zero is an empty one. */
void set_verdicts_uninit(struct set_verdicts *);
/* Forgets all verdicts. */
void set_verdicts_clear(struct set_verdicts *);
/* Forgets all that were found by another topology, or when there are too
 * many. */
void set_verdicts_prepare(struct set_verdicts *, const struct topology *);

/* The verdict by the mark of a path or trajectory; NULL when there is none
 * yet.  Good until one is added. */
static inline const struct set_verdict *
set_verdicts_find(const struct set_verdicts *v, uint64_t owner, uint32_t index)
{
    return owner == v->owner ? &v->all[index] : NULL;
}

/* Adds an item to the verdict at hand, then, with set_verdicts_end(), marks
 * whom it is about and returns it. */
void set_verdicts_add(struct set_verdicts *, struct set_verdict_item);
void set_verdicts_add_test(struct set_verdicts *, const struct bpf_test *);
const struct set_verdict *set_verdicts_end(struct set_verdicts *,
                                           uint64_t *owner, uint32_t *index);

#endif /* phf/set_verdicts.h */
