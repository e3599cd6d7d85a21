/* SPDX-License-Identifier: Apache-2.0 */
/* budget - which threshold makes the agent use as much CPU as it may. */
#include <config.h>

#include "agent/budget.h"

#include <string.h>

/* Nothing smaller is useful: one packet in a million. */
#define MIN_KEPT (1.0 / (1 << 20))
/* What is nearer is not corrected, so that the threshold stands still when it
 * can. */
#define DEAD_BAND 0.03
#define MAX_RISE  2.0 /* In one step. */
/* Two periods that differ so much from those before are another load. */
#define STEP 1.4
/* What was used too much, or too little, is made good in so many seconds, by
 * at most this part of the share. */
#define PAY_S   4.0
#define MAX_PAY 0.15

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

/* What would be used if all were kept, by the periods from 'from' to below
 * 'to'. */
static double
estimate(const struct budget *budget, unsigned int from, unsigned int to)
{
    double used = 0, kept = 0;

    for (unsigned int i = from; i < to; i++) {
        used += budget->periods[i].used;
        kept += budget->periods[i].kept;
    }
    return kept > 0 ? used / kept : 0;
}

/* Adds a period; forgets those before a step of the load. */
static void
add_period(struct budget *budget, double used_s, double kept_s)
{
    memmove(budget->periods + 1, budget->periods,
            (BUDGET_PERIODS - 1) * sizeof budget->periods[0]);
    budget->periods[0].used = used_s;
    budget->periods[0].kept = kept_s;
    if (budget->n < BUDGET_PERIODS) {
        budget->n++;
    }
    if (budget->n > 2) {
        double now = estimate(budget, 0, 2);
        double before = estimate(budget, 2, budget->n);

        if (now > STEP * before || STEP * now < before) {
            budget->n = 2;
            budget->debt = 0;
        }
    }
}

/* The share to aim at now. */
static double
aim(struct budget *budget, double seconds, bool is_bound)
{
    double most = MAX_PAY * budget->share * PAY_S;

    if (!is_bound) {
        budget->debt = 0; /* It is not the threshold that makes it little. */
        return budget->share;
    }
    budget->debt += (budget->used - budget->share) * seconds;
    budget->debt -= budget->debt * seconds / (2 * PAY_S);
    if (budget->debt > most) {
        budget->debt = most;
    } else if (budget->debt < -most) {
        budget->debt = -most;
    }
    return budget->share - budget->debt / PAY_S;
}

uint32_t
budget_step(struct budget *budget, uint64_t cpu_ns, uint64_t now_ns,
            uint32_t threshold)
{
    double kept = ((double) threshold + 1.0) / 4294967296.0;
    double seconds = (double) (now_ns - budget->now_ns) / 1e9;
    double used_s = (double) (cpu_ns - budget->cpu_ns) / 1e9;
    double whole, suits, change, share;
    bool is_first = !budget->has_begun || now_ns <= budget->now_ns;

    budget->has_begun = true;
    budget->cpu_ns = cpu_ns;
    budget->now_ns = now_ns;
    if (is_first) {
        return budget->want;
    }
    budget->used = used_s / seconds;
    if (budget->share <= 0) {
        return budget->want;
    }
    add_period(budget, used_s, kept * seconds);
    whole = estimate(budget, 0, budget->n);
    share = aim(budget, seconds,
                threshold != UINT32_MAX && threshold >= budget->want);
    suits = whole > share ? share / whole : 1;
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
