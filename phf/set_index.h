/* SPDX-License-Identifier: Apache-2.0 */
/* set_index - which filters of a set a history can match at all.
 *
 * A key is a switch, port or version that some hop must have.  A filter has
 * keys if every match passes a hop that has one of them: at the beginning, at
 * the end, or at a position that no match goes round.  Of such places the one
 * is taken whose keys the fewest other filters ask for.
 *
 * Ownership: all zero to set_index_uninit().
 *
 * Threads: one. */
#ifndef PHF_SET_INDEX_H
#define PHF_SET_INDEX_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/history.h"
#include "phf/phf_impl.h"

/* A filter of the set, and the set's number for each of its predicates. */
struct set_index_filter {
    const struct phf *phf;
    const uint32_t *map;
};

/* A hop with 'value' may match the filter at 'index'. */
struct set_index_key {
    enum term_kind kind;
    uint32_t index;
    uint64_t value;
};

struct set_index {
    size_t n_keys, allocated_keys;
    struct set_index_key *keys; /* Sorted.  Owned. */
    unsigned int kinds;         /* That keys have: 1 << enum term_kind. */
    size_t n_slots;             /* A power of two. */
    uint32_t *slots;            /* Number + 1 of the first key with some
                                 * value, or 0.  Owned. */
    size_t n_always;
    uint32_t *always; /* Filters without keys, in order.  Owned. */

    uint32_t round;
    uint32_t *marks; /* By filter: the last round that found it.  Owned. */
    size_t n_found;
    uint32_t *found; /* Owned. */
};

/* Makes the index of 'n' filters, whose predicates are also in 'shared'. */
void set_index_build(struct set_index *, const struct predicates *shared,
                     const struct set_index_filter *, size_t n);
void set_index_uninit(struct set_index *);

/* The filters to be run on 'history', in order; '*n' says how many.  Good
 * until the next call. */
const uint32_t *set_index_find(struct set_index *, const struct history *,
                               size_t *n);

#endif /* phf/set_index.h */
