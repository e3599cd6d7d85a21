/* SPDX-License-Identifier: Apache-2.0 */
/* instr_inject - what postcards are emitted by; for the files of instr, which
 * include it by recorder/instr_state.h.
 *
 * Threads: one at a time. */
#ifndef RECORDER_INSTR_INJECT_H
#define RECORDER_INSTR_INJECT_H 1

#include "recorder/instr_state.h"

/* (Re-)creates the injectors for the ports that are configured. */
void instr_inject_set(struct instr *);
/* No more postcards; or none of one encapsulation. */
void instr_inject_drop(struct instr *);
void instr_inject_drop_one(struct instr *, enum instr_encapsulation);
/* True when there is one at all. */
bool instr_inject_has(const struct instr *);
/* The one that postcards go by which are to have 'wanted': that, or the other
 * when it is not there; and always the switch's own where it makes them. */
enum instr_encapsulation instr_inject_choose(const struct instr *,
                                             enum instr_encapsulation wanted);
/* That for messages of this link; NULL as instr->inject is. */
const struct of_inject *instr_inject_get(const struct instr_change *,
                                         struct shadow_card);

#endif /* recorder/instr_inject.h */
