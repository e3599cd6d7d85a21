/* SPDX-License-Identifier: Apache-2.0 */
/* copy_gate - lets each history through once that comes from several sets of
 * which some are copies of others.
 *
 * A history goes through as often as that set has it which has it most often:
 * what two sets have is one, what one set has twice is two.  Two are the same
 * where every member is, but 'left_out'.
 *
 * Histories must come in order of time, rising or falling, from all sets
 * together: what is remembered is that of one time.
 *
 * Threads: one per gate. */
#ifndef LIB_COPY_GATE_H
#define LIB_COPY_GATE_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/history.h"

/* Different histories of one time that are told apart; each of more goes
 * through, and is counted. */
#define COPY_GATE_MAX 262144

struct copy_gate_counters {
    uint64_t doubles; /* Held back. */
    uint64_t unsure;  /* Let through because there were too many. */
};

struct copy_gate;

struct copy_gate *copy_gate_create(void);
/* NULL is fine. */
void copy_gate_destroy(struct copy_gate *);

/* Whether the history, of time 'time_ns' and of set 'set' (not UINT32_MAX), is
 * one that was not let through yet. */
bool copy_gate_admits(struct copy_gate *, uint64_t time_ns, uint32_t set,
                      const struct history *);
void copy_gate_get_counters(const struct copy_gate *,
                            struct copy_gate_counters *);

#endif /* lib/copy_gate.h */
