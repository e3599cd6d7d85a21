/* SPDX-License-Identifier: Apache-2.0 */
/* instr_found - groups found in a switch, brought in line with the log.
 *
 * For the files of instr only.
 *
 * Threads: one at a time. */
#ifndef RECORDER_INSTR_FOUND_H
#define RECORDER_INSTR_FOUND_H 1

#include "recorder/instr_state.h"

/* The rule that the log has for 'version', a reference of the caller's, or
 * NULL. */
struct rule *instr_found_rule(const struct instr *, uint32_t version);

/* Takes the 'n' groups as they stand in the switch into the shadow, with the
 * versions that their buckets have or new ones, and installs them anew. */
void instr_found_groups(struct instr_change *, struct of_group *const *groups,
                        size_t n, of_trace_indexed *indexed, void *aux);

/* instr_recall.c */
/* What the log has standing of a switch that is paused or on which no rule
 * carries a version, for instr_shadow_destroy(); NULL when rules carry
 * theirs. */
struct instr_shadow *instr_recall_open(const struct instr *,
                                       bool has_versions);
/* The version of the rule that 'record' is, 0 when it is none of them. */
uint32_t instr_recall_version(const struct instr_shadow *,
                              const struct of_flow_record *record);

#endif /* recorder/instr_found.h */
