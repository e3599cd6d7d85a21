/* SPDX-License-Identifier: Apache-2.0 */
/* budget - which threshold makes the agent use as much CPU as it may.
 *
 * What the agent uses grows with the postcards it takes, and those with the
 * threshold.  So the threshold that suits the budget follows from what the
 * threshold in force costs; measured again and again, the rest of the error
 * goes away.
 *
 *     while (every BUDGET_PERIOD_MS) {
 *         want = budget_step(&budget, cpu_ns, now_ns, threshold_in_force);
 *     }
 *
 * Threads: plain data, and no clock of its own. */
#ifndef AGENT_BUDGET_H
#define AGENT_BUDGET_H 1

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_PERIOD_MS 250

#define BUDGET_PERIODS 8 /* That an estimate is made of. */

struct budget {
    double share; /* Of one processor; 0: no bound. */
    double used;  /* In the last period. */
    double debt;  /* Seconds of CPU beyond the share, of late. */
    struct {
        double used, kept; /* Seconds of CPU; seconds times what was kept. */
    } periods[BUDGET_PERIODS]; /* The newest first. */
    unsigned int n;
    uint64_t cpu_ns, now_ns; /* At the step before. */
    uint32_t want;
    bool has_begun;
};

void budget_init(struct budget *, double share);
/* 'cpu_ns' is what the process has used since it began, 'now_ns' a clock that
 * only goes forward.  Returns the threshold that suits. */
uint32_t budget_step(struct budget *, uint64_t cpu_ns, uint64_t now_ns,
                     uint32_t threshold);

#endif /* agent/budget.h */
