/* SPDX-License-Identifier: Apache-2.0 */
/* strip_plan - what to send to a switch so that nothing of a recorder's is
 * left in its tables.
 *
 * Give it the switch's answers to of_ask_tlvs() and of_ask_rules(), then make
 * the messages.  Rules keep their cookies, timeouts, flags and counters: they
 * are modified, not replaced.  Two things only the log can tell, and without
 * it they stay as they are: that a list of ports was FLOOD or ALL, and that a
 * rule with a timeout did not ask for its flow-removed (such a rule is
 * replaced, with its counters).
 *
 * Threads: plain data. */
#ifndef RECORDER_STRIP_PLAN_H
#define RECORDER_STRIP_PLAN_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rule;
struct strip_plan;

/* A reference of the caller's, or NULL. */
typedef struct rule *strip_plan_known(void *aux, uint64_t dpid,
                                      uint32_t version);

struct strip_plan_message {
    uint8_t *data; /* With transaction ID 0.  Owned by the plan. */
    size_t len;
};

/* What a switch holds of ours. */
struct strip_plan_counts {
    size_t n_rules;  /* Of others, with something of ours in them. */
    size_t n_groups; /* The same. */
    size_t n_own;    /* Rules of ours. */
    size_t n_lists;  /* Lists of ports turned back into FLOOD or ALL. */
    bool has_option; /* The map of tunnel options has ours. */
    size_t n_stuck;  /* Rules and groups that no message can say. */
};

/* 'known' may be NULL. */
struct strip_plan *strip_plan_create(uint64_t dpid, strip_plan_known *known,
                                     void *aux);
void strip_plan_destroy(struct strip_plan *);

/* An answer of the switch; false when it is none that the plan needs. */
bool strip_plan_take(struct strip_plan *, const uint8_t *msg, size_t len);

/* The '*n' messages that take all but the option out, for a connection of
 * OpenFlow 'version': the first '*n_others' for rules and groups of others,
 * then those for rules of ours, which must not go before the former are done.
 */
const struct strip_plan_message *strip_plan_rules(struct strip_plan *,
                                                  uint8_t version,
                                                  size_t *n_others, size_t *n);
/* The message that takes the option out of the map; NULL: it is not there. */
const struct strip_plan_message *strip_plan_option(struct strip_plan *,
                                                   uint8_t version);

/* Of what strip_plan_rules() has found. */
struct strip_plan_counts strip_plan_counts(const struct strip_plan *);

#endif /* recorder/strip_plan.h */
