/* SPDX-License-Identifier: Apache-2.0 */
/* trigger_gate - what of a trigger's matches is told: none while it is paused,
 * no more than a number a second.
 *
 * What is kept back is counted and, unless the trigger is paused, taken from
 * time to time to be told.
 *
 * Threads: plain data. */
#ifndef SERVER_TRIGGER_GATE_H
#define SERVER_TRIGGER_GATE_H 1

#include <stdbool.h>
#include <stdint.h>

struct trigger_gate {
    bool is_paused;
    uint32_t rate;       /* Matches a second; 0: all. */
    uint64_t second;     /* The one that is counted, ... */
    uint32_t n_let;      /* ... and what went through in it. */
    uint64_t n_limited;  /* Kept back because of the rate, ever, ... */
    uint64_t n_not_told; /* ... and since the last time it was told. */
};

void trigger_gate_init(struct trigger_gate *, uint32_t rate, bool is_paused);
/* True when the match that has just been may be told. */
bool trigger_gate_lets(struct trigger_gate *);
/* How many were kept back because of the rate since this was last asked. */
uint64_t trigger_gate_take(struct trigger_gate *);

#endif /* server/trigger_gate.h */
