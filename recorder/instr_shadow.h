/* SPDX-License-Identifier: Apache-2.0 */
/* instr_shadow - the controller's own rules of one switch, as it wrote them.
 *
 * A hash table by (table, priority, match) and by version, with the counts
 * that say which tables the controller uses.  Rules of ours are not in it.
 *
 * Ownership: the shadow owns the rules in it; a rule that was taken out
 * belongs to the taker.
 *
 * Threads: one at a time. */
#ifndef RECORDER_INSTR_SHADOW_H
#define RECORDER_INSTR_SHADOW_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/of_flow.h"

/* What made a rule, or ended it: a message of a link's controller, or (link
 * 0) something else. */
struct shadow_cause {
    uint32_t link, xid;
    uint64_t tag;
};

/* How many packets a rule takes, as the switch told last; see
 * recorder/instr_shed.h. */
struct shadow_load {
    uint64_t n_packets;
    float pps;        /* Between the last two readings that told of it. */
    uint32_t reading; /* Which was the last; 0: none. */
    bool is_shed;     /* Its postcards were too many. */
};

/* What postcards are like. */
struct shadow_card {
    uint16_t len;          /* Bytes of the packet; 0: there are none. */
    uint8_t encapsulation; /* enum instr_encapsulation */
};

struct shadow_rule {
    /* Set at creation. */
    uint8_t table_id;
    uint16_t priority;
    struct of_match *match; /* Owned. */

    struct of_acts acts; /* As the controller wrote them.  Owned. */
    /* Of 'acts'.  Owned, unless there is nothing to say of them. */
    const struct of_facts *facts;
    uint64_t cookie;
    uint16_t idle_timeout, hard_timeout, importance;
    uint16_t flags;     /* OF_FLOW_*, of the controller. */
    uint8_t of_version; /* That it was written in; 0: any will do. */
    uint32_t version;
    uint64_t change;
    uint64_t installed_ns;
    uint64_t began_ns; /* Of instr_expiry: since when its hard timeout runs. */
    bool is_renewed;   /* In the switch it runs since later. */
    bool is_over;      /* It is up: the switch is to delete the rule. */
    bool is_instrumented;
    bool is_foreign; /* By somebody whose messages we do not see: its flags
                      * and importance are not known. */
    bool is_learned; /* By a rule with "learn", which will overwrite it. */
    struct shadow_card card;
    struct shadow_load load;
    uint16_t *indexes; /* Of its rules in table T.  Owned. */
    size_t n_indexes, allocated_indexes;

    struct shadow_cause made_by, gone_by;
    uint32_t replaces; /* Version that stood there before, or 0. */
    uint64_t gone_ns;
    uint64_t disturbed_ns; /* When others last changed it. */
    uint32_t round;        /* Of instr_watch: last seen in. */
    uint8_t n_disturbed;   /* Times that others changed it in a row... */
    uint8_t n_undone;      /* ...and right after we had. */
    bool is_left;          /* To them: it is not given postcards any more. */

    /* Of the shadow; next_version also of instr_past. */
    struct shadow_rule *next_key, *next_version;
    uint32_t key_hash; /* Once it was in. */
    bool is_in;        /* Is in a shadow. */
};

struct instr_shadow;

/* Takes 'match' and 'acts' over. */
struct shadow_rule *shadow_rule_create(uint8_t table_id, uint16_t priority,
                                       struct of_match *match,
                                       struct of_acts *acts);
struct shadow_rule *shadow_rule_clone(const struct shadow_rule *);
void shadow_rule_destroy(struct shadow_rule *);
void shadow_rule_set_acts(struct shadow_rule *, struct of_acts *taken);
/* Its parts as a flow-mod that adds it; borrowed, do not uninit. */
void shadow_rule_to_flow(const struct shadow_rule *, struct of_flow *);

struct instr_shadow *instr_shadow_create(void);
void instr_shadow_destroy(struct instr_shadow *);

/* Puts 'rule' in, given to the shadow; returns the rule with the same key
 * that had to leave for it, the caller's, or NULL. */
struct shadow_rule *instr_shadow_insert(struct instr_shadow *,
                                        struct shadow_rule *rule);
/* Takes 'rule' out; it is the caller's. */
void instr_shadow_take(struct instr_shadow *, struct shadow_rule *rule);

struct shadow_rule *instr_shadow_find(const struct instr_shadow *,
                                      uint8_t table_id, uint16_t priority,
                                      const struct of_match *);
struct shadow_rule *instr_shadow_by_version(const struct instr_shadow *,
                                            uint32_t version);
/* True when a rule other than one with the same key overlaps 'flow'. */
bool instr_shadow_overlaps(const struct instr_shadow *, uint8_t table_id,
                           uint16_t priority, const struct of_match *);

/* The rules that modify or delete 'flow' is about, by its command, table,
 * match, cookie and output filters, as a new array (free() it) in the order of
 * table and age. */
struct shadow_rule **instr_shadow_select(const struct instr_shadow *,
                                         const struct of_flow *flow,
                                         size_t *n);
/* All rules, likewise. */
struct shadow_rule **instr_shadow_all(const struct instr_shadow *, size_t *n);
size_t instr_shadow_count(const struct instr_shadow *);

/* What the controller does with one table. */
struct shadow_table {
    size_t n_rules;     /* In it. */
    size_t n_lowest;    /* Those of priority 0. */
    size_t n_uses;      /* Rules that name it. */
    size_t n_reaches;   /* Rules that send packets to it. */
    size_t n_resubmits; /* Those that look it up by resubmit. */
    size_t n_missing;   /* Those where a miss there ends the pipeline. */
};
const struct shadow_table *instr_shadow_table(const struct instr_shadow *,
                                              uint8_t table_id);
/* The tables with n_reaches. */
const struct of_tables *instr_shadow_reached(const struct instr_shadow *);
/* The tables that are only looked up: a packet always comes back from there to
 * the rule that sent it, which sends it on.  As of the last
 * instr_shadow_find_lookups(), which looks anew and returns those that have
 * become such, or no longer are. */
const struct of_tables *instr_shadow_lookups(const struct instr_shadow *);
struct of_tables instr_shadow_find_lookups(struct instr_shadow *);
/* The numbers of rules with write-actions, with learn. */
size_t instr_shadow_n_write(const struct instr_shadow *);
size_t instr_shadow_n_learn(const struct instr_shadow *);
/* That of rules that send packets through the datapath a second time. */
size_t instr_shadow_n_recirc(const struct instr_shadow *);
/* That of rules that do it if a select group is behind theirs. */
size_t instr_shadow_n_select(const struct instr_shadow *);
/* True when some rules, or 'more' (NULL: none), write an output to the
 * controller into the action set and some another output. */
bool instr_shadow_mixes_sets(const struct instr_shadow *,
                             const struct of_facts *more);
/* True when rules overwrite the packet's in_port and none uses the field in
 * which it can be kept (tun_gbp_id). */
bool instr_shadow_loses_in_port(const struct instr_shadow *);
/* True when a rule with learn makes rules like that. */
bool instr_shadow_learns(const struct instr_shadow *, uint8_t table_id,
                         uint16_t priority, uint64_t cookie);

#endif /* recorder/instr_shadow.h */
