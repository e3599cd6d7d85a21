/* SPDX-License-Identifier: Apache-2.0 */
/* phf_set_impl - what the files of phf_set share.
 *
 * Ownership, threads: as in phf/phf_set.h. */
#ifndef PHF_PHF_SET_IMPL_H
#define PHF_PHF_SET_IMPL_H 1

#include "lib/trajectory_pen.h"
#include "phf/phf_impl.h"
#include "phf/phf_set.h"
#include "phf/set_answers.h"
#include "phf/set_index.h"
#include "phf/set_verdicts.h"

struct set_entry {
    uint32_t id;
    struct phf *phf; /* NULL: taken out.  Owned. */
    void *aux;
    uint32_t *map; /* The set's number for each of its predicates.  Owned. */
    size_t n_bpf;
    uint32_t *bpf; /* And for its terms that are BPF expressions.  Owned. */
};

struct phf_set {
    size_t n, allocated;
    struct set_entry *entries; /* In order of 'id'.  Owned. */
    size_t n_gone;             /* Of them taken out. */
    uint32_t last_id;
    struct phf_set_counters counters;

    /* Of all entries; made anew when enough filters came or went. */
    struct predicates predicates;
    struct set_index index;

    uint32_t round; /* Of the memo; counts matches. */
    size_t n_memo;
    uint32_t *memo; /* See hop_tests.  Owned. */
    struct set_verdicts verdicts;
    /* What terms of 'predicates' say of the flow and of the packet at hand. */
    struct set_answers flow_answers, packet_answers;

    /* What is matched now. */
    const struct history *history; /* NULL: to be made of: */
    struct trajectory *trajectory;
    const struct trajectory_packet *packet;
    struct trajectory_pen *pen; /* Made when first needed.  Owned. */
};

/* Who is told of hits. */
struct set_matching {
    void (*hit)(void *aux, uint32_t id, void *filter_aux, enum phf_result);
    void *aux;
};

/* Before a match: sees to the filters that came and went. */
void phf_set_refresh(struct phf_set *);
/* Begins a round: nothing is known of any hop. */
void phf_set_begin_round(struct phf_set *);
/* Counts a history on which so many filters were run. */
void phf_set_count_runs(struct phf_set *, size_t n_runs);
/* What filters ask of 'history' in this round, ... */
struct hop_tests phf_set_tests(struct phf_set *, const struct history *,
                               const struct topology *);
/* ... made what 'entry' asks. */
void phf_set_turn_to(const struct phf_set *, struct hop_tests *,
                     const struct set_entry *entry);
/* The number among the verdicts of what the set says of the path of 'history',
 * TRAJECTORY_MAX_HOPS long at most, whatever its headers are.  '*n_runs' is
 * how many filters were run for that. */
uint32_t phf_set_judge_path(struct phf_set *, const struct history *,
                            const struct topology *, size_t *n_runs);
/* phf_set_match() of a history whose path is not remembered: it is too long,
 * or has no hop. */
void phf_set_match_alone(struct phf_set *, const struct history *,
                         const struct topology *, const struct set_matching *);
/* Tells of a hit, unless 'result' is none. */
void phf_set_tell(struct phf_set *, const struct set_entry *,
                  enum phf_result result, const struct set_matching *);

#endif /* phf/phf_set_impl.h */
