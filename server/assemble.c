/* SPDX-License-Identifier: Apache-2.0 */
/* assemble - from the postcards that share one packet ID to packet histories.
 *
 * This file owns the scratch memory and runs the stages in order. */
#include <config.h>
#include "server/assemble.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/assemble_scratch.h"

struct assembler *
assembler_create(void)
{
    return calloc(1, sizeof(struct assembler));
}

void
assembler_destroy(struct assembler *a)
{
    if (a) {
        free(a->cards);
        free(a->visits);
        free(a->outs);
        free(a->branches);
        free(a->bytes);
        free(a->histories);
        free(a);
    }
}

bool
assemble_scratch_grow(struct assembler *a, void **arrayp, size_t *allocatedp,
                      size_t n, size_t size)
{
    size_t want = *allocatedp ? *allocatedp : 64;
    void *array;

    if (n < *allocatedp) {
        return true;
    }
    while (want <= n) {
        want *= 2;
    }
    array = realloc(*arrayp, want * size);
    if (!array) {
        a->is_short_of_memory = true;
        return false;
    }
    *arrayp = array;
    *allocatedp = want;
    return true;
}

static size_t
count_cards_in_hops(const struct assembler *a)
{
    size_t n = 0;

    for (size_t i = 0; i < a->n_visits; i++) {
        if (!a->visits[i].is_removed) {
            n += (size_t) a->visits[i].n_cards;
        }
    }
    return n;
}

int
assemble(struct assembler *a, const struct assemble_env *env,
         const struct postcard *const *cards, size_t n,
         enum assemble_state wanted, struct assemble_result *result)
{
    int error = 0;

    assert(n > 0 && n <= ASSEMBLE_MAX);
    memset(result, 0, sizeof *result);
    a->env = env;
    a->n_cards = 0;
    a->n_visits = 0;
    a->n_outs = 0;
    a->n_branches = 0;
    a->n_bytes = 0;
    a->n_asked = 0;
    a->n_histories = 0;
    a->n_duplicates = 0;
    a->n_ambiguous = 0;
    a->is_short_of_memory = false;

    assemble_visit_make(a, cards, n);
    assemble_link_make(a);
    assemble_double_settle(a);
    if (wanted > ASSEMBLE_PARTIAL && assemble_gap_is_sure(a)) {
        result->state = ASSEMBLE_PARTIAL;
        return a->is_short_of_memory ? ENOMEM : 0;
    }
    assemble_gap_close(a);
    assemble_blind_settle(a);
    if (a->is_short_of_memory) {
        return ENOMEM;
    }
    result->state = assemble_judge_state(a);
    if (result->state < wanted) {
        return 0;
    }
    error = assemble_tree_make(a);
    if (error) {
        return error;
    }
    result->n_histories = a->n_histories;
    result->histories = a->histories;
    result->n_duplicates = a->n_duplicates;
    result->n_ambiguous = a->n_ambiguous;
    result->n_in_hops = count_cards_in_hops(a);
    assert(result->n_in_hops + result->n_duplicates + result->n_ambiguous ==
           n);
    return 0;
}
