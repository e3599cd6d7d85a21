/* SPDX-License-Identifier: Apache-2.0 */
/* gen_fault - what goes wrong with postcards on their way to the capture. */
#include <config.h>
#include "gen/gen_fault.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"

struct gen_fault {
    const struct gen_config *config;
    struct gen_random random;
    bool has_any;
    uint64_t *skew_ns; /* By switch.  Owned. */
};

struct gen_fault *
gen_fault_create(const struct gen_config *config, size_t n_switches)
{
    struct gen_fault *fault = lh_alloc_zero(sizeof *fault);

    fault->config = config;
    fault->random.state = gen_random_mix(config->seed + 4242);
    fault->has_any = config->loss || config->duplicate || config->reorder;
    fault->skew_ns = lh_alloc_zero((n_switches + 1) * sizeof *fault->skew_ns);
    for (size_t i = 0; i < n_switches && config->skew_ns; i++) {
        fault->skew_ns[i] = gen_random_span(&fault->random, config->skew_ns);
    }
    return fault;
}

void
gen_fault_destroy(struct gen_fault *fault)
{
    if (fault) {
        free(fault->skew_ns);
        free(fault);
    }
}

static void
apply_one(struct gen_fault *fault, struct gen_card *card)
{
    const struct gen_config *config = fault->config;
    struct gen_random *r = &fault->random;

    if (gen_random_chance(r, config->reorder)) {
        card->time_ns += gen_random_span(r, config->reorder_ns);
    }
    if (gen_random_chance(r, config->loss)) {
        card->n_copies = 0;
    } else if (gen_random_chance(r, config->duplicate)) {
        card->n_copies = 2;
        card->copy_ns =
            card->time_ns + 1 + gen_random_span(r, GEN_FAULT_COPY_NS - 1);
    }
}

void
gen_fault_apply(struct gen_fault *fault, struct gen_walk *walk)
{
    bool is_micro = fault->config->is_micro;

    for (size_t i = 0; i < walk->n_cards; i++) {
        struct gen_card *card = &walk->cards[i];

        card->time_ns += fault->skew_ns[walk->visits[card->visit].sw];
        if (fault->has_any) {
            apply_one(fault, card);
        }
        if (is_micro) {
            card->time_ns -= card->time_ns % 1000;
            card->copy_ns -= card->copy_ns % 1000;
        }
    }
}
