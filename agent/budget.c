/* SPDX-License-Identifier: Apache-2.0 */
/* budget - which threshold makes the agent use as much CPU as it may. */
#include <config.h>

#include "agent/budget.h"

/* Nothing smaller is useful: one packet in a million. */
#define MIN_KEPT (1.0 / (1 << 20))
/* What is nearer is not corrected, so that the threshold stands still when it
 * can. */
#define DEAD_BAND 0.03
/* At most, in one step. */
#define MAX_RISE 2.0
#define SMOOTH   0.5

void
budget_init(struct budget *budget, double share)
{
    *budget = (struct budget){.share = share, .want = UINT32_MAX};
}

static uint32_t
threshold_of(double kept)
{
    double whole = kept * 4294967296.0 - 1.0;

    return kept >= 1.0 ? UINT32_MAX : whole < 0 ? 0 : (uint32_t) whole;
}

uint32_t
budget_step(struct budget *budget, uint64_t cpu_ns, uint64_t now_ns,
            uint32_t threshold)
{
    double kept = ((double) threshold + 1.0) / 4294967296.0;
    double whole, suits, change;
    bool is_first = !budget->has_begun;

    if (is_first || now_ns <= budget->now_ns) {
        budget->has_begun = true;
        budget->cpu_ns = cpu_ns;
        budget->now_ns = now_ns;
        return budget->want;
    }
    budget->used = (double) (cpu_ns - budget->cpu_ns) /
                   (double) (now_ns - budget->now_ns);
    budget->cpu_ns = cpu_ns;
    budget->now_ns = now_ns;
    if (budget->share <= 0) {
        return budget->want;
    }

    /* A step of the load is followed at once, noise is not. */
    whole = budget->used / kept;
    if (whole > 2 * budget->whole || 2 * whole < budget->whole) {
        budget->whole = whole;
    } else {
        budget->whole += SMOOTH * (whole - budget->whole);
    }

    suits = budget->whole > budget->share ? budget->share / budget->whole : 1;
    if (suits > MAX_RISE * kept) {
        suits = MAX_RISE * kept;
    }
    if (suits < MIN_KEPT) {
        suits = MIN_KEPT;
    }
    change = suits * 4294967296.0 / ((double) budget->want + 1.0) - 1.0;
    if (change < -DEAD_BAND || change > DEAD_BAND || suits >= 1) {
        budget->want = threshold_of(suits);
    }
    return budget->want;
}
