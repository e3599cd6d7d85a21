/* SPDX-License-Identifier: Apache-2.0 */
/* instr_counts - what groups had counted before the recorder rewrote them; for
 * the files of instr only, which include recorder/instr_state.h.
 *
 * With every group-mod Open vSwitch begins the counters of a group anew.  When
 * it is the recorder's, the switch is asked for them right before, and what it
 * says is added to the statistics of that group from then on, until its
 * controller changes it.  What a bundle of the controller's has changed begins
 * anew by that, whatever of ours goes with the bundle.
 *
 * Threads: one at a time. */
#ifndef RECORDER_INSTR_COUNTS_H
#define RECORDER_INSTR_COUNTS_H 1

#include <stddef.h>
#include <stdint.h>

struct instr;
struct instr_change;
struct instr_counts;
struct shadow_group;

/* All groups are about to be rewritten by 'c': asks for all at once, so that
 * instr_counts_keep() need not ask for each. */
void instr_counts_ask_all(struct instr_change *c);
/* 'sg' is about to be rewritten by 'c'. */
void instr_counts_keep(struct instr_change *c, struct shadow_group *sg);
/* The controller inserts or removes buckets, which begins what the whole group
 * counts anew and leaves its buckets': 'from' is as of_group_edit() has it. */
void instr_counts_edit(const struct shadow_group *old, struct shadow_group *sg,
                       const size_t *from);
/* The switch has refused the rewriting by messages with 'tag'. */
void instr_counts_refused(struct instr *, uint64_t tag);
/* Group statistics, which answer to us or go to the controller. */
void instr_counts_reply(struct instr_change *, const uint8_t *msg, size_t len,
                        uint64_t tag);
void instr_counts_destroy(struct instr_counts *);

#endif /* recorder/instr_counts.h */
