/* SPDX-License-Identifier: Apache-2.0 */
/* trigger_gate - what of a trigger's matches is told. */
#include <config.h>

#include "server/trigger_gate.h"

#include <time.h>

void
trigger_gate_init(struct trigger_gate *gate, uint32_t rate, bool is_paused)
{
    *gate = (struct trigger_gate){.is_paused = is_paused, .rate = rate};
}

bool
trigger_gate_lets(struct trigger_gate *gate)
{
    struct timespec now;

    if (gate->is_paused) {
        return false;
    }
    if (!gate->rate) {
        return true;
    }
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if ((uint64_t) now.tv_sec != gate->second) {
        gate->second = (uint64_t) now.tv_sec;
        gate->n_let = 0;
    }
    if (gate->n_let >= gate->rate) {
        gate->n_limited++;
        gate->n_not_told++;
        return false;
    }
    gate->n_let++;
    return true;
}

uint64_t
trigger_gate_take(struct trigger_gate *gate)
{
    uint64_t n = gate->n_not_told;

    gate->n_not_told = 0;
    return n;
}
