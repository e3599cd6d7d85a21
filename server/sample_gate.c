/* SPDX-License-Identifier: Apache-2.0 */
/* sample_gate - which packets agents may have left out, of late.
 *
 * A list in order of time whose thresholds rise: what is smaller than all
 * after it counts until it is too old. */
#include <config.h>

#include "server/sample_gate.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"

#define MAX_HELD 64

struct held {
    uint32_t threshold;
    uint64_t last_ns;
};

struct sample_gate {
    uint64_t hold_ns;
    struct held held[MAX_HELD];
    size_t n;
    _Atomic uint32_t low;
};

struct sample_gate *
sample_gate_create(uint64_t hold_ns)
{
    struct sample_gate *gate = lh_alloc_zero(sizeof *gate);

    gate->hold_ns = hold_ns;
    atomic_init(&gate->low, UINT32_MAX);
    return gate;
}

void
sample_gate_destroy(struct sample_gate *gate)
{
    free(gate);
}

void
sample_gate_note(struct sample_gate *gate, uint32_t threshold, uint64_t now_ns)
{
    size_t n_old = 0;

    while (gate->n && gate->held[gate->n - 1].threshold >= threshold) {
        gate->n--;
    }
    if (gate->n == MAX_HELD) {
        /* The one before stands for it too: too small, never too large. */
        gate->held[gate->n - 1].last_ns = now_ns;
    } else {
        gate->held[gate->n++] = (struct held){threshold, now_ns};
    }
    while (n_old + 1 < gate->n &&
           gate->held[n_old].last_ns + gate->hold_ns < now_ns) {
        n_old++;
    }
    gate->n -= n_old;
    for (size_t i = 0; i < gate->n && n_old; i++) {
        gate->held[i] = gate->held[i + n_old];
    }
    atomic_store_explicit(&gate->low, gate->held[0].threshold,
                          memory_order_relaxed);
}

uint32_t
sample_gate_low(const struct sample_gate *gate)
{
    return atomic_load_explicit(&gate->low, memory_order_relaxed);
}

bool
sample_gate_is_out(const struct sample_gate *gate, uint64_t packet_id)
{
    return (uint32_t) (packet_id >> 32) > sample_gate_low(gate);
}
