/* SPDX-License-Identifier: Apache-2.0 */
/* instr_own - our own rules in the switch, and what makes postcards of those
 * of the controller; for the files of instr only, which include
 * recorder/instr_state.h.
 *
 * Threads: one at a time. */
#ifndef RECORDER_INSTR_OWN_H
#define RECORDER_INSTR_OWN_H 1

#include "recorder/instr.h"
#include "recorder/of_flow.h"
#include "recorder/own_cookie.h"

struct instr_change;
struct of_facts;
struct of_inject;

/* Sends a flow-mod for a rule of ours; takes 'match'. */
void instr_own_send(struct instr_change *, enum of_flow_command, enum own_kind,
                    uint8_t table_id, uint16_t priority,
                    struct of_match *match, const struct of_acts *);
/* Brings our rules in line with what the controller has. */
void instr_own_update(struct instr_change *);
/* Chooses T at the start, where rules of 'old' with indexes up to 'max_index'
 * may stand. */
void instr_own_choose_table(struct instr *, uint8_t old, uint16_t max_index);
/* Moves T away from a table that the controller is about to use, and begins
 * to rewrite action sets when it is about to use them. */
void instr_own_prepare(struct instr_change *, uint8_t table_id,
                       const struct of_facts *);
/* An index for 'acts' in T, noted in the array. */
bool instr_own_index(struct instr_change *, struct of_acts *acts,
                     uint16_t *indexp);
/* One more has 'index'. */
void instr_own_share_index(struct instr *, uint16_t index);
void instr_own_free_indexes(struct instr_change *, uint16_t *indexes,
                            size_t n);
/* Which rules and groups are to be rewritten.  A group that is loses what it
 * has counted, so none is without need. */
enum own_rewrite {
    OWN_REWRITE_ALL,
    OWN_REWRITE_RULES,   /* And no groups. */
    OWN_REWRITE_LISTS,   /* Those with ALL or FLOOD. */
    OWN_REWRITE_INDEXED, /* Those with rules in table T. */
};
void instr_own_rewrite(struct instr_change *, enum own_rewrite);
/* A change of our own that goes into the bundle of 'c', if there is one. */
void instr_own_begin(struct instr_change *own, const struct instr_change *c,
                     const char *who);
/* Adds our rules again that 'flow', a delete passed to the switch as it was,
 * takes away. */
void instr_own_repair(struct instr_change *, const struct of_flow *flow);
/* Installs all that is ours, and all rules of the controller, anew: what the
 * switch has of it is not known.  Its groups likewise, if that is so of
 * them. */
void instr_own_reinstall(struct instr_change *, bool has_groups);
/* Puts a rule of ours back that somebody removed; 'version' is that of its
 * postcard.  False: it was not to stand any more. */
bool instr_own_put_back(struct instr_change *, uint8_t kind, uint8_t table_id,
                        const struct of_match *, uint32_t version);
/* What table T has for an index, as of_inject_indexed; 'instr' is a const
 * struct instr. */
const struct of_acts *instr_own_indexed(void *instr, uint8_t table_id,
                                        uint16_t index);
/* Takes our rules out, but for those of table T, which go with the rules that
 * have them. */
void instr_own_withdraw(struct instr_change *);

#endif /* recorder/instr_own.h */
