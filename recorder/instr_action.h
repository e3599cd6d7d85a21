/* SPDX-License-Identifier: Apache-2.0 */
/* instr_action - whether the switch makes postcards itself: it then has the
 * action "postcard(version=N)" (docs/datapath.md); for the files of instr,
 * which include it by recorder/instr_state.h.
 *
 * A switch that has it takes a packet-out whose only action it is, and does
 * nothing; others answer with an error.
 *
 * Threads: one at a time. */
#ifndef RECORDER_INSTR_ACTION_H
#define RECORDER_INSTR_ACTION_H 1

#include "recorder/instr_state.h"

/* Asks, if the answer is wanted. */
void instr_action_ask(struct instr_change *);
/* True when the error with 'tag' was the answer. */
bool instr_action_refused(struct instr *, uint64_t tag);
/* Known when all that was asked after it has been answered. */
bool instr_action_is_there(const struct instr *);

#endif /* recorder/instr_action.h */
