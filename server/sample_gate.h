/* SPDX-License-Identifier: Apache-2.0 */
/* sample_gate - which packets agents may have left out, of late.
 *
 * Agents keep a packet when the upper half of its packet ID is not above a
 * threshold, the same everywhere but for the moment of a change.  A packet
 * above the smallest threshold that held anywhere lately may lack hops that
 * were left out on purpose: where it is not whole, it is not shown as broken.
 *
 * Threads: sample_gate_note() that of the event loop, sample_gate_is_out()
 * any. */
#ifndef SERVER_SAMPLE_GATE_H
#define SERVER_SAMPLE_GATE_H 1

#include <stdbool.h>
#include <stdint.h>

struct sample_gate;

/* A threshold counts for 'hold_ns' after it held last. */
struct sample_gate *sample_gate_create(uint64_t hold_ns);
void sample_gate_destroy(struct sample_gate *);

/* 'threshold' holds somewhere at 'now_ns'; without one, only time goes on. */
void sample_gate_note(struct sample_gate *, uint32_t threshold,
                      uint64_t now_ns);
/* The smallest of late; UINT32_MAX: all packets are kept. */
uint32_t sample_gate_low(const struct sample_gate *);

/* Whether hops of the packet may have been left out. */
bool sample_gate_is_out(const struct sample_gate *, uint64_t packet_id);

#endif /* server/sample_gate.h */
