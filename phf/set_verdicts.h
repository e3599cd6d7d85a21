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
#include "phf/phf.h"
#include "phf/set_index.h"
#include "phf/set_paths.h"

/* Verdicts, their items, tests and paths together. */
#define SET_VERDICTS_MAX_ITEMS (1 << 20)

struct set_verdict_item {
    uint32_t index;         /* Of the filter in the set. */
    bool is_asked;          /* Flow by flow, or packet by packet; */
    enum phf_result result; /* else the answer for all: no PHF_MISS. */
    /* Asked packet by packet: 'n_tests' not 0 means that a packet is missed
     * for whose header at the reference hop none of these expressions is
     * true. */
    uint32_t first_test, n_tests;
};

struct set_verdict {
    uint32_t first, n; /* Items. */
};

/* What is known of a path. */
struct set_verdict_path {
    uint32_t verdict; /* In 'all'. */
    /* In 'keyed', bit by bit for each filter of the set: those with keys in
     * headers that this path does not rule out.  Flows that have one of its
     * keys are asked. */
    size_t keyed;
    /* All headers are Ethernet and IP without tags, to the same end.  Then
     * these are bytes, bit by bit, that are the same at all hops, and those
     * that are the same in all packets of a flow. */
    bool is_level;
    uint64_t kept[2], constant[2];
    uint32_t first_reading, n_readings; /* Of those fields that are asked. */
};

/* What a filter said of a flow, whose BPF expressions gave 'answers'. */
struct set_verdict_memo {
    uint64_t owner;
    uint32_t path, answers;
    struct set_verdict_item item;
};
#define SET_VERDICTS_MEMOS 4096

struct set_verdicts {
    uint64_t owner;            /* In marks; 0: none is valid. */
    struct topology *topology; /* Owned reference, or NULL. */
    size_t n, allocated;
    struct set_verdict *all; /* The first one is empty.  Owned. */
    size_t n_items, allocated_items;
    struct set_verdict_item *items; /* Owned. */
    size_t n_tests, allocated_tests;
    uint32_t *tests; /* Numbers of terms of the set.  Owned. */
    size_t n_paths, allocated_paths;
    struct set_verdict_path *paths; /* Owned. */
    size_t n_keyed, allocated_keyed;
    uint64_t *keyed; /* Owned. */
    size_t n_readings, allocated_readings;
    struct set_index_reading *readings; /* Owned. */
    struct set_paths known;         /* Numbers of paths, by what they are. */
    struct set_verdict_memo *memos; /* By hash; made when needed.  Owned. */
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
void set_verdicts_add_test(struct set_verdicts *, uint32_t term);
const struct set_verdict *set_verdicts_end(struct set_verdicts *,
                                           uint64_t *owner, uint32_t *index);

/* Adds a path, and returns its number. */
uint32_t set_verdicts_add_path(struct set_verdicts *,
                               const struct set_verdict_path *);
/* Adds a reading. */
void set_verdicts_add_reading(struct set_verdicts *,
                              const struct set_index_reading *);
/* Adds 'n' words that are zero to 'keyed'; returns the first. */
size_t set_verdicts_add_keyed(struct set_verdicts *, size_t n);
/* The path by its mark, or NULL.  Good until one is added. */
static inline const struct set_verdict_path *
set_verdicts_path(const struct set_verdicts *v, uint64_t owner, uint32_t index)
{
    return owner == v->owner ? &v->paths[index] : NULL;
}

/* Where is noted what filter 'index' says of all flows of a path on which its
 * BPF expressions give these answers.  'owner' is not that of the verdicts
 * when nothing is.  Others may have the same place. */
struct set_verdict_memo *set_verdicts_memo(struct set_verdicts *,
                                           uint32_t path, uint32_t index,
                                           uint32_t answers);

#endif /* phf/set_verdicts.h */
