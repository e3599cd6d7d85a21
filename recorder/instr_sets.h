/* SPDX-License-Identifier: Apache-2.0 */
/* instr_sets - whether action sets may be rewritten.
 *
 * Open vSwitch 3.1 ends with an assertion when a packet goes through the
 * datapath a second time with an action set that is longer than what its rule
 * has left to do.  Ours are longer than the controller's, and stand where the
 * controller has none.
 *
 * A packet-in must come from the controller's own table, so an output to the
 * controller stays an output, which in a set beats the resubmit that we make
 * of the output that another rule has written later.
 *
 * For the files of instr only.
 *
 * Threads: one at a time. */
#ifndef RECORDER_INSTR_SETS_H
#define RECORDER_INSTR_SETS_H 1

#include "recorder/instr_state.h"

/* True when they must stay as they are once 'facts' stand, or are those of a
 * packet-out. */
bool instr_sets_must_keep(const struct instr *, const struct of_facts *facts);
/* instr_own_prepare() for a group that is to come. */
void instr_sets_prepare_group(struct instr_change *,
                              const struct shadow_group *);
/* At the start, where the shadow has the rules, and 'groups' stand. */
void instr_sets_read(struct instr *, struct of_group *const *groups, size_t n);

#endif /* recorder/instr_sets.h */
