/* SPDX-License-Identifier: Apache-2.0 */
/* instr_carry - our rules by which a switch carries postcards, its own or
 * others', without making postcards of them; for the files of instr only.
 *
 * In band, frames of the postcard VLAN that come from a switch below go to the
 * one above, and all others of that VLAN are dropped.  On an underlay,
 * Geneve postcards to the collector are forwarded as by NORMAL.
 *
 * Threads: one at a time. */
#ifndef RECORDER_INSTR_CARRY_H
#define RECORDER_INSTR_CARRY_H 1

#include "recorder/instr.h"
#include "recorder/of_match.h"

struct instr_change;
struct instr_carry;

struct instr_carry *instr_carry_create(const struct instr_config *);
void instr_carry_destroy(struct instr_carry *);

/* Brings the rules in line with what the switch is to carry. */
void instr_carry_update(struct instr_change *);
/* Does what instr_set_tree() asked for. */
void instr_carry_pay(struct instr_change *);
/* The answer to a barrier of ours. */
void instr_carry_answer(struct instr_change *, uint64_t tag);
/* The tables have been read, and brought in line. */
void instr_carry_ready(struct instr_change *);
/* A link has gone, perhaps with what was sent by it. */
void instr_carry_forget(struct instr *);
/* Adds all of them again. */
void instr_carry_repair(struct instr_change *);
/* How many stand. */
size_t instr_carry_count(const struct instr *);
/* Takes them out, for good. */
void instr_carry_withdraw(struct instr_change *);
/* The switch has none of them, as far as is known. */
void instr_carry_reset(struct instr *);
/* True when the rule of 'kind' with that match is to stand. */
bool instr_carry_has(const struct instr *, uint8_t kind,
                     const struct of_match *);

#endif /* recorder/instr_carry.h */
