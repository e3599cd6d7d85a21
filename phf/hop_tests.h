/* SPDX-License-Identifier: Apache-2.0 */
/* hop_tests - asks which predicates hold at which hop of one history.
 *
 * A filter on its own asks its predicates directly.  A set of filters puts a
 * memo between: `map` gives for each predicate of the filter the one of the
 * set that is the same, and whichever filter asks first has it tested, for all
 * of them.
 *
 * Ownership: borrows everything.
 *
 * Threads: one thread, for the time of one match. */
#ifndef PHF_HOP_TESTS_H
#define PHF_HOP_TESTS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/history.h"
#include "lib/topology.h"
#include "phf/predicates.h"

struct hop_tests {
    const struct history *history;
    const struct topology *topology;
    const struct predicates *predicates;
    /* NULL, or for each predicate of the filter that asks, its number in
     * 'predicates'. */
    const uint32_t *map;
    /* NULL, or for each predicate and hop: 'round' * 4 + enum hop_answer when
     * it is known, something smaller when not. */
    uint32_t *memo;
    uint32_t round;
    /* NULL, or the history is the model of a trajectory: set when a predicate
     * may hold for one packet and not for another. */
    bool *varies;
    bool if_varies; /* The answer that is then given, ... */
    bool is_plain;  /* ... or that of the predicate when all terms that vary
                     * are false. */
};

enum hop_answer { HOP_FALSE, HOP_TRUE, HOP_VARIES };

/* Rounds there are. */
#define HOP_TESTS_MAX_ROUND (UINT32_MAX / 4 - 1)

/* Whether a path ends at hop 'hop': it is a leaf, or one of its outputs ended
 * there while others went on, which a verdict of its own says. */
static inline bool
hop_tests_is_end(const struct history *h, size_t hop)
{
    return h->hops[hop].verdict.name != VERDICT_NONE ||
           history_is_leaf(h, hop);
}

/* The verdict of the path that ends at hop 'end': its own, or where that is
 * not known and there is but one path, the history's. */
enum verdict_name hop_tests_verdict(const struct history *, size_t end);

/* For sets and models: puts the answer through the memo, if there is one. */
bool hop_tests_get_shared(struct hop_tests *, uint32_t id, size_t hop,
                          enum verdict_name verdict);

/* Whether predicate 'id' holds at hop 'hop', on a path that ends with
 * 'verdict'. */
static inline bool
hop_tests_get(struct hop_tests *tests, uint32_t id, size_t hop,
              enum verdict_name verdict)
{
    const struct history_hop *h = &tests->history->hops[hop];

    if (tests->memo || tests->varies) {
        return hop_tests_get_shared(tests, id, hop, verdict);
    }
    if (tests->predicates->predicates[id].is_dpid) {
        return h->dpid == tests->predicates->predicates[id].dpid;
    }
    return predicates_test(tests->predicates, id, h, verdict, tests->topology,
                           NULL);
}

#endif /* phf/hop_tests.h */
