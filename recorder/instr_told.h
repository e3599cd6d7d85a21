/* SPDX-License-Identifier: Apache-2.0 */
/* instr_told - what a switch has last told of each rule, in few bytes.
 *
 * A change of a rule may be one of our actions only, which a controller is not
 * to see.  A hash of what the controller wrote tells the two apart.
 *
 * Threads: one at a time. */
#ifndef RECORDER_INSTR_TOLD_H
#define RECORDER_INSTR_TOLD_H 1

#include <stdbool.h>

#include "recorder/of_monitor.h"

struct instr_told;

struct instr_told *instr_told_create(void);
void instr_told_destroy(struct instr_told *);

/* Notes 'update', restored and with a match.  False: it is a modification
 * after which the rule is what it was. */
bool instr_told_note(struct instr_told *, const struct of_update *update);

#endif /* recorder/instr_told.h */
