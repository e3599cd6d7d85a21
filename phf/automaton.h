/* SPDX-License-Identifier: Apache-2.0 */
/* automaton - a program as sets of positions.
 *
 * A position is an instruction that consumes a hop.  The automaton is in the
 * set of positions that may have consumed the hop just passed; a table gives
 * the positions that may consume the next one (Glushkov's construction, with
 * `^` and `$` folded into the sets before the first and after the last hop),
 * and the predicates that hold there say which do.  Sets are bit masks, so a
 * hop costs a few loads for filters of up to 64 positions, and never more than
 * positions * positions / 64 operations.  Nothing is built while matching.
 *
 * A back-reference matches nowhere here; phf/backref.h says when that is
 * right.
 *
 * Ownership: automaton_create() to automaton_destroy().
 *
 * Threads: immutable. */
#ifndef PHF_AUTOMATON_H
#define PHF_AUTOMATON_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "phf/hop_tests.h"
#include "phf/phf.h"
#include "phf/predicates.h"
#include "phf/program.h"

/* All sets have n_words words.  The owner reads, for explaining and for
 * indexing filters. */
struct automaton {
    size_t n_positions;
    size_t n_words;
    bool on_verdict;      /* A predicate is about the verdict. */
    bool matches_all;     /* No hop needs to be consumed (before or after any
                           * hop). */
    bool matches_no_hops; /* Matches a history without hops. */

    uint32_t *predicate_of; /* By position.  Owned. */
    uint32_t *distinct_of;  /* By position: index into 'distinct'.  Owned. */
    size_t n_distinct;
    uint32_t *distinct;   /* The predicates used.  Owned. */
    uint64_t *positions;  /* By index in 'distinct': set of positions that have
                           * that predicate.  Owned. */
    uint64_t *any;        /* Positions of `.`.  Owned. */
    uint64_t *first;      /* May consume the first hop of a path.  Owned. */
    uint64_t *anew;       /* May consume a later hop, beginning a match there.
                           * Owned. */
    uint64_t *accept;     /* A match is complete after these.  Owned. */
    uint64_t *accept_end; /* The same after the last hop.  Owned. */
    uint64_t *follow;     /* By position: what may consume the next hop, 'anew'
                           * left out.  Owned. */
    uint64_t *nibbles;    /* n_words == 1: for each 4 positions and each subset
                           * of them, the union of their 'follow', with 'anew'
                           * in the first 16.  Owned. */
};

struct automaton *automaton_create(const struct program *,
                                   const struct predicates *);
void automaton_destroy(struct automaton *);

enum phf_result automaton_match(const struct automaton *, struct hop_tests *);

/* Whether 'position' is in 'set'. */
static inline bool
automaton_has(const uint64_t *set, size_t position)
{
    return set[position / 64] >> position % 64 & 1;
}

#endif /* phf/automaton.h */
