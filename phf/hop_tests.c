/* SPDX-License-Identifier: Apache-2.0 */
/* hop_tests - asks which predicates hold at which hop of one history. */
#include <config.h>
#include "phf/hop_tests.h"

static enum hop_answer
ask(const struct hop_tests *tests, uint32_t id, size_t hop,
    enum verdict_name verdict)
{
    bool varies = false;
    bool holds = predicates_test(
        tests->predicates, id, &tests->history->hops[hop], verdict,
        tests->topology, tests->varies ? &varies : NULL);

    if (varies && !tests->is_plain) {
        return HOP_VARIES;
    }
    return holds ? HOP_TRUE : HOP_FALSE;
}

/* An answer about the verdict is good for one path only: it is not noted. */
static enum hop_answer
ask_memo(const struct hop_tests *tests, uint32_t id, size_t hop,
         enum verdict_name verdict)
{
    uint32_t *memo = &tests->memo[id * tests->history->n_hops + hop];
    enum hop_answer answer;

    if (*memo >= 4 * tests->round) {
        return (enum hop_answer)(*memo & 3);
    }
    answer = ask(tests, id, hop, verdict);
    if (!tests->predicates->predicates[id].on_verdict) {
        *memo = 4 * tests->round + (uint32_t) answer;
    }
    return answer;
}

bool
hop_tests_get_shared(struct hop_tests *tests, uint32_t id, size_t hop,
                     enum verdict_name verdict)
{
    enum hop_answer answer =
        tests->memo ? ask_memo(tests, tests->map[id], hop, verdict)
                    : ask(tests, id, hop, verdict);

    if (answer == HOP_VARIES) {
        *tests->varies = true;
        return tests->if_varies;
    }
    return answer == HOP_TRUE;
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
