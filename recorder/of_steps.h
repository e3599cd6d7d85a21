/* SPDX-License-Identifier: Apache-2.0 */
/* of_steps - what a list of actions does to a packet, as the steps of a rule.
 *
 * Threads: pure functions. */
#ifndef RECORDER_OF_STEPS_H
#define RECORDER_OF_STEPS_H 1

#include "lib/rule.h"
#include "recorder/of_acts.h"

/* Adds to 'rule' the steps of 'acts': field edits and outputs in the order in
 * which a switch does them, STEP_UNKNOWN where the packet can no longer be
 * computed.  Registers and metadata are no part of a packet and give no step.
 * 'is_set': the list is an action set (a group bucket), done in the order of
 * action sets. */
void of_steps_add(struct rule *rule, const struct of_acts *acts, bool is_set);

#endif /* recorder/of_steps.h */
