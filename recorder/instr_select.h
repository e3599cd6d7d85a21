/* SPDX-License-Identifier: Apache-2.0 */
/* instr_select - which rules have postcards; for the files of instr, which
 * include it by recorder/instr_state.h.
 *
 * Threads: one at a time. */
#ifndef RECORDER_INSTR_SELECT_H
#define RECORDER_INSTR_SELECT_H 1

#include "recorder/instr_state.h"

/* True when postcards are injected at all. */
bool instr_select_is_on(const struct instr *);
/* The postcards of what is asked about. */
struct shadow_card instr_select_flow(const struct instr *,
                                     const struct shadow_rule *);
/* True when the cap is why it sends no postcards. */
bool instr_select_is_capped(const struct instr *, const struct shadow_rule *);
/* True when the rule will have postcards, as far as that can be foreseen. */
bool instr_select_emits(const struct instr *, const struct shadow_rule *);
/* The priority of the selection that decides about the rule. */
uint16_t instr_select_priority(const struct instr *,
                               const struct shadow_rule *);
struct shadow_card instr_select_miss(const struct instr *, uint8_t table_id);
struct shadow_card instr_select_packet_out(const struct instr *);
/* Those of all buckets. */
struct shadow_card instr_select_groups(const struct instr *);
bool shadow_card_equal(struct shadow_card, struct shadow_card);
/* Brings the switch in line with the selection. */
void instr_select_pay(struct instr_change *);
/* The switch has answered a message of ours with 'tag', or refused it. */
void instr_select_answer(struct instr *, uint64_t tag, bool is_error);
/* Opens or shuts the postcard ports: shut while paused, so that no packet
 * leaves by ALL. */
void instr_select_set_port(struct instr_change *);

/* instr_port_counters.c */

/* True when it was the answer to instr_ask_counters(). */
bool instr_counters_reply(struct instr_change *, const uint8_t *msg,
                          size_t len, uint64_t tag);

#endif /* recorder/instr_select.h */
