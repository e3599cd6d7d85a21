/* SPDX-License-Identifier: Apache-2.0 */
/* instr_undo - changes that the switch may still refuse, and rules that have
 * gone; for the files of instr only, which get it by instr_state.h. */
#ifndef RECORDER_INSTR_UNDO_H
#define RECORDER_INSTR_UNDO_H 1

#include "recorder/instr_state.h"

/* instr_undo.c */
void instr_undo_rule(struct instr_change *, struct shadow_rule *old,
                     uint32_t new_version);
void instr_undo_group(struct instr_change *, struct shadow_group *old,
                      uint32_t id, bool has_new);
void instr_undo_meter(struct instr_change *, struct of_meter *old, uint32_t id,
                      bool has_new);
/* The switch has answered something later than 'tag': what came before stands
 * for good. */
void instr_undo_confirm(struct instr_change *, uint64_t tag);
/* Undoes all changes of 'tag'; true if there were any. */
bool instr_undo_run(struct instr_change *, uint64_t tag);
/* The link is gone: nothing more will be heard of its changes. */
void instr_undo_forget(struct instr_link *);
void instr_undo_destroy(struct instr *);

/* The rule with 'version' that a change which may still fail has replaced, or
 * NULL. */
const struct shadow_rule *instr_undo_find(const struct instr *,
                                          uint32_t version);
/* The last such rule with that key. */
const struct shadow_rule *instr_undo_last(const struct instr *,
                                          uint8_t table_id, uint16_t priority,
                                          const struct of_match *);
/* True while the switch may still refuse the rule with 'version'. */
bool instr_undo_may_fail(const struct instr *, uint32_t version);

/* instr_past.c */
/* Keeps 'rule' (taken, may be NULL). */
void instr_past_put(struct instr *, struct shadow_rule *rule);
/* The rule that has or had 'version', standing or not; NULL when it is long
 * gone. */
const struct shadow_rule *instr_past_find(const struct instr *,
                                          uint32_t version);
/* The rule that had this key last. */
const struct shadow_rule *instr_past_last(const struct instr *,
                                          uint8_t table_id, uint16_t priority,
                                          const struct of_match *);
/* What stood there before 'rule'; NULL: nothing, or long gone. */
const struct shadow_rule *instr_past_before(const struct instr *,
                                            const struct shadow_rule *rule);
void instr_past_destroy(struct instr *);

#endif /* recorder/instr_undo.h */
