/* SPDX-License-Identifier: Apache-2.0 */
/* hop_tests - asks which predicates hold at which hop of one history. */
#include <config.h>
#include "phf/hop_tests.h"

bool
hop_tests_get_shared(struct hop_tests *tests, uint32_t id, size_t hop,
                     enum verdict_name verdict)
{
    uint32_t shared = tests->map[id];
    uint32_t *memo = &tests->memo[shared * tests->history->n_hops + hop];
    bool holds;

    /* An answer about the verdict is good for one path only. */
    if (*memo >= 2 * tests->round) {
        return *memo & 1;
    }
    holds =
        predicates_test(tests->predicates, shared, &tests->history->hops[hop],
                        verdict, tests->topology, tests->varies);
    if (!tests->predicates->predicates[shared].on_verdict) {
        *memo = 2 * tests->round + holds;
    }
    return holds;
}

enum verdict_name
hop_tests_verdict(const struct history *h, size_t end)
{
    enum verdict_name verdict = h->hops[end].verdict.name;

    if (verdict != VERDICT_NONE) {
        return verdict;
    }
    for (size_t i = 0; i < h->n_hops; i++) {
        if (i != end && hop_tests_is_end(h, i)) {
            return VERDICT_NONE;
        }
    }
    return h->verdict.name;
}
