/* SPDX-License-Identifier: Apache-2.0 */
/* instr_state - what the files of instr share; for them only.
 *
 * Every entry point of instr.h makes a struct instr_change and hands it down;
 * messages and rules that come of it are added to its instr_out.
 *
 * Threads: one at a time. */
#ifndef RECORDER_INSTR_STATE_H
#define RECORDER_INSTR_STATE_H 1

#include "recorder/instr.h"
#include "recorder/instr_expiry.h"
#include "recorder/instr_shadow.h"
#include "recorder/instr_watch.h"
#include "recorder/of_group.h"
#include "recorder/of_inject.h"
#include "recorder/of_meter.h"
#include "recorder/of_monitor.h"
#include "recorder/of_msg.h"
#include "recorder/of_trace.h"
#include "recorder/own_cookie.h"

#define N_TABLES    254 /* Tables a controller can use. */
#define MAX_INDEX   0xfeff
#define MAX_PENDING 1024

struct instr_change {
    struct instr *instr;
    /* The connection that the message came by and that what comes of it goes
     * by: between connections there is no order. */
    struct instr_link *link;
    struct instr_out *out;
    uint64_t tag;            /* Of the messages to the switch. */
    const uint8_t *original; /* The controller's message, or NULL. */
    size_t original_len;
    const uint8_t *flow_mod; /* Of which a rule is being added: the bytes of
                              * its match and actions.  NULL: none. */
    size_t flow_mod_len;
    uint64_t now_ns;
    const char *who;
    uint64_t number;    /* The change's, 0 until it gave a version. */
    uint32_t bundle_id; /* Messages go into this bundle if 'in_bundle'. */
    uint16_t bundle_flags;
    size_t bundle_at;    /* Of the bundle's first message in 'out'. */
    uint64_t counts_tag; /* Of instr_counts_ask_all(), or 0. */
    uint64_t bundle_tag; /* Ours, in a bundle: of what goes with it; or 0. */
    bool in_bundle, is_own_bundle;
    bool is_unasked; /* No message of a controller caused it. */
};

struct shadow_group {
    struct of_group *group; /* As the controller wrote it.  Owned. */
    uint32_t id;
    size_t n_buckets;
    uint32_t *versions; /* One per bucket.  Owned. */
    bool is_select;
    struct of_facts facts; /* Of all its buckets. */
    uint64_t change, installed_ns;
    uint64_t bundle_tag; /* Of the controller's bundle that put it there; or
                          * 0. */
    struct instr_counts *counts; /* Owned, or NULL. */
    uint16_t *indexes;           /* In table T.  Owned. */
    size_t n_indexes, allocated_indexes;
    uint32_t *index_versions; /* Of the buckets that have them.  Owned. */
    size_t allocated_index_versions;
};

/* A change of the shadow that the switch may still refuse. */
struct instr_undo {
    struct instr_undo *next;
    struct instr_link *link; /* That the change was sent by. */
    uint64_t tag;
    struct shadow_rule *old_rule;   /* What stood before.  Owned. */
    uint32_t new_version;           /* Of what stands now, 0 if nothing. */
    struct shadow_group *old_group; /* Owned. */
    struct of_meter *old_meter;     /* Owned. */
    bool is_group, is_meter, in_bundle;
    bool has_new; /* A group or meter 'id' stands now. */
    uint32_t id;
    struct rule_slab *slab; /* Of which it is a piece, or NULL. */
};

/* A request of the controller whose answer is not passed on as it is. */
enum pending_kind {
    PENDING_FLOWS,     /* Flow statistics to restore. */
    PENDING_AGGREGATE, /* To sum up. */
    PENDING_TABLES,    /* Own flow-stats before a table-stats request. */
    PENDING_BUNDLE,    /* A bundle of ours: swallow the answers. */
    PENDING_CHECK,     /* Ours, what the switch has of a rule. */
    PENDING_PACKETS,   /* Ours, how many packets rules took. */
    PENDING_MISS,      /* Ours, whether another's table-miss rule stands. */
    PENDING_ROLE,      /* A role that was asked for. */
    PENDING_REFUSAL    /* A barrier in whose reply's place our error goes. */
};
struct instr_pending {
    struct instr_pending *next;
    enum pending_kind kind;
    uint64_t tag;
    bool is_nicira;
    uint32_t out_port, out_group;
    uint8_t *request; /* The controller's bytes, or our error.  Owned. */
    size_t request_len;
    uint64_t n_packets, n_bytes;
    uint32_t n_flows;
    uint32_t version; /* PENDING_CHECK, _MISS: does it stand?. */
};

/* A rule that the switch will say is removed, or may. */
struct instr_tomb {
    struct of_match *match; /* Owned. */
    uint8_t table_id;
    uint16_t priority;
    bool is_wanted; /* The controller asked to be told. */
    bool is_over;   /* That its hard timeout is up. */
};
#define N_TOMBS 4096

/* A bundle that the controller has open: messages held until the commit. */
struct instr_bundle {
    struct instr_bundle *next;
    uint32_t id;
    uint16_t flags;
    bool is_closed;
    struct instr_msg *held; /* Whole bundle-adds.  Owned. */
    size_t n_held, allocated_held;
    size_t n_bytes;  /* Of them. */
    bool is_too_big; /* Nothing is held: it is committed as it is. */
};

struct instr_miss {
    uint32_t version; /* 0: not installed. */
    bool to_controller;
    bool is_stale; /* To be installed anew. */
    uint16_t miss_len;
    uint64_t added_tag;  /* Of the message that added it last; 0: none. */
    uint32_t added_link; /* By which that went. */
    struct shadow_card card;
    struct shadow_load load;
    uint16_t index; /* Of its postcard in table T; 0: it has none there. */
};

struct instr_past;
struct instr_regroup;
struct instr_monitors;

/* The recorder's own flow monitor on a link. */
struct instr_base {
    uint32_t id;  /* 0: none. */
    uint64_t tag; /* Of the request for what stands. */
    bool is_full; /* Tells in full what the link itself changes. */
};

/* Whether the switch makes postcards itself. */
struct instr_action {
    uint64_t tag; /* Of the question; 0: not asked. */
    bool is_refused;
};

/* Our option is on its way to another index. */
struct instr_tlv_move {
    int state;       /* Of instr_tlv_move.c; 0: it is not. */
    uint8_t to;      /* That index. */
    bool is_refused; /* The switch keeps the mapping, for now. */
    bool has_failed; /* It did to the end. */
    unsigned int n_tries;
    uint64_t tag, barrier; /* Of the last try. */
    uint64_t due_ns;
};

/* Readings of how many packets rules took. */
struct instr_load {
    uint64_t tag;               /* Of the last one; 0: it is complete. */
    uint64_t asked_ns, last_ns; /* Of the last one, and that before. */
    uint32_t n;                 /* The number of the last one. */
    uint64_t n_cards;           /* Postcards in all, as rules' packets tell. */
    double scale;               /* Postcards for a packet. */
};

/* Packets that rules of ours took in one table. */
struct instr_hits {
    uint64_t n_rules;
    uint64_t n_missed; /* By table-miss rules: without us no match. */
    uint64_t n_others; /* Without us not even looked up there. */
};

/* One connection of the switch. */
struct instr_link {
    /* Set at creation. */
    struct instr *instr;
    void *aux;
    uint8_t of_version;
    bool is_known; /* A version that we look into. */

    struct instr_link *next;
    uint32_t id; /* Never given again. */
    struct instr_base base;
    struct instr_monitors *monitors; /* The controller's.  Owned, or NULL. */
    uint64_t monitor_tag; /* Requests of it are with the switch until it has
                           * answered this or a later one; 0: none. */
    bool is_auxiliary;
    bool is_guest; /* Of the management socket, and soon gone. */
    uint64_t bit;  /* Its own among the links; 0: none. */

    enum instr_role role;   /* As the switch said last. */
    uint64_t role_tag;      /* When. */
    size_t n_role_requests; /* Open. */
    bool has_generation;
    uint64_t generation;

    uint64_t write_tag;    /* The last message that changes the switch. */
    uint64_t answered_tag; /* All before this one has been done. */
    uint64_t fence_tag;    /* Of a barrier that others wait for, or 0. */
    uint64_t fence_ns;     /* When they began to. */
    bool is_late;          /* It does not answer: nobody waits any more. */

    bool is_unproven;   /* Is it the switch that the others know? */
    uint64_t probe_tag; /* Since when they have been asked. */
    uint64_t probe_ns;

    /* Of slaves and of others: what the controller wants forwarded. */
    uint32_t forwards[2];

    bool has_tid;                 /* Nicira, 1.0: command holds the table. */
    bool wants_nicira;            /* Nicira, 1.0: flow-removed in its form. */
    uint16_t miss_len;            /* miss_send_len. */
    struct instr_bundle *bundles; /* Open ones of the controller.  Owned. */
    bool has_lost_bundle;         /* Some that it opened are not in there. */
    uint32_t next_bundle;         /* Of ours. */
    size_t n_unasked;             /* Changes since the last barrier of ours. */
    struct instr_pending *pending; /* Owned. */
    size_t n_pending;
    struct instr_hits own_hits[256];  /* As of the last PENDING_TABLES. */
    struct instr_hits gone_hits[256]; /* Of rules of ours that are gone. */
};

struct instr_start; /* What was read while starting. */

/* A meter-mod that came by one link, which others will hear of. */
#define INSTR_N_FORWARDED  64
#define INSTR_FORWARDED_NS UINT64_C(2000000000)
struct instr_forwarded {
    uint64_t links; /* Their bits. */
    uint64_t ns;    /* When it was sent. */
    enum of_meter_command command;
    uint32_t id;
};

struct instr {
    struct instr_config config;
    struct of_trace trace;
    struct instr_counters counters;
    bool is_ready;
    struct instr_link *links;   /* In order of coming.  Owned. */
    struct instr_link *reader;  /* By which 'start' goes. */
    bool needs_reading;         /* The shadow may be wrong. */
    bool is_again;              /* 'start' is not the first. */
    struct instr_link *suspect; /* To read by, or NULL. */
    unsigned int owes;          /* enum instr_owes */
    bool is_owing;              /* It has been counted. */
    uint16_t *dead_indexes;     /* Owned. */
    size_t n_dead_indexes, allocated_dead_indexes;
    uint64_t next_tag;

    /* Owned; NULL: no postcards of that encapsulation. */
    struct of_inject *inject[INSTR_N_ENCAPSULATIONS];
    struct of_inject *inject_10[INSTR_N_ENCAPSULATIONS]; /* OpenFlow 1.0. */
    struct instr_shadow *shadow;                         /* Owned. */
    struct of_match *all_packets;                        /* Owned. */
    struct shadow_group **groups;                        /* Owned. */
    size_t n_groups, allocated_groups;
    struct of_meter **meters; /* Owned. */
    size_t n_meters, allocated_meters;
    struct instr_forwarded forwarded[INSTR_N_FORWARDED]; /* Ring. */
    size_t n_forwarded;

    struct instr_port *ports; /* Sorted.  Owned. */
    size_t n_ports, allocated_ports;
    uint16_t *flood; /* What ALL is replaced by.  Owned. */
    size_t n_flood, allocated_flood;

    uint8_t miss_config[256];   /* enum of_miss, by table-mods of 1.1, 1.2. */
    struct of_tables continued; /* Tables that a miss leads to. */

    /* Ours in the switch. */
    struct instr_miss miss[256];
    struct of_tables misses; /* Those with a version, or that had one. */
    struct of_acts *indexes; /* By index; len 0: free.  Owned, or NULL. */
    uint16_t *index_refs;    /* How many have it.  Owned, or NULL. */
    uint16_t next_index;
    size_t n_indexes;
    uint8_t index_table; /* T. */
    bool has_action_sets;
    bool keeps_sets; /* They stay as they are: Open vSwitch ends when a packet
                      * with a set is sent through the datapath again. */
    bool keeps_in_port; /* Table 0 keeps it for the others. */
    uint16_t drop_in[INSTR_N_ENCAPSULATIONS]; /* In_ports; 0: none. */
    bool lldp;                                /* Installed. */
    struct instr_carry *carry;                /* Owned. */

    /* TLV map. */
    uint8_t tlv_index;
    bool has_tlv;
    uint64_t tlv_tag;
    struct instr_action action;
    struct instr_tlv_move tlv_move;
    struct of_tlv *tlvs; /* The controller's.  Owned. */
    size_t n_tlvs, allocated_tlvs;

    uint64_t select_tag; /* Of the last instr_select(). */
    enum instr_select_state select_state;
    bool selects_all;              /* It is to rewrite everything. */
    struct shadow_card group_card; /* As the selection asks. */
    uint64_t counters_tag;         /* Of the last instr_ask_counters(). */
    size_t n_counters_due;         /* Answers to it that are to come. */
    struct instr_port_counters port_counters[INSTR_N_ENCAPSULATIONS];
    struct instr_load load;

    struct instr_undo *undo, **undo_tail; /* Oldest first.  Owned. */
    struct shadow_rule **undone; /* Their old rules, by next_version. */
    struct instr_echo *echoes;   /* Ring.  Owned. */
    size_t first_echo, n_echoes;
    struct instr_tomb *tombs; /* Ring.  Owned. */
    size_t first_tomb, n_tombs;

    struct instr_start *start;     /* While starting.  Owned. */
    struct instr_regroup *regroup; /* Owned, or NULL. */
    uint64_t regroup_tag, regroup_due_ns;
    uint64_t regroup_changes; /* group_changes when that was asked for. */
    uint64_t group_changes;   /* Of the shadow's groups, so far. */
    uint64_t start_bundle;    /* Tag of the bundle in which it was done. */
    /* Of the last bundle in which there was something of ours that does not
     * belong to a rule of it; a group. */
    uint64_t mixed_tag, mixed_groups_tag;
    bool is_detached;
    uint64_t detach_tag, detach_barrier;
    uint64_t detach_due_ns; /* 0: nothing. */
    unsigned int n_tlv_tries;
    struct instr_past *past; /* Owned, or NULL. */
    struct instr_watch watch;
    struct instr_expiry expiry;
    uint32_t next_link, next_base;
};

/* instr_change.c */

/* Sends 'msg' (taken) to the switch, in the name of the controller's message
 * or as our own. */
void instr_emit(struct instr_change *, uint8_t *msg, size_t len);
void instr_emit_own(struct instr_change *, uint8_t *msg, size_t len);
/* Moves the last message to the switch before the bundle of 'c', if any: its
 * answer would say that the messages of the bundle before it are done with,
 * whose errors come with the commit. */
void instr_emit_first(const struct instr_change *);
/* The same bytes, copied, not in a bundle. */
void instr_pass(struct instr_change *, const uint8_t *msg, size_t len);
/* To the controller: taken. */
void instr_emit_up(struct instr_change *, uint8_t *msg, size_t len);
/* Tells on the timeline that the controller sent 'msg'.  'kind' is static. */
void instr_note(struct instr_change *, const char *kind, const uint8_t *msg,
                size_t len);
/* Answers with an error, in the order of the switch's answers. */
void instr_refuse(struct instr_change *, enum of_refusal);
void instr_made(struct instr_out *, struct rule *taken);
void instr_gone(struct instr_out *, uint32_t version, const char *reason);
/* A version, which belongs to the change; the first one is its number. */
uint32_t instr_version(struct instr_change *);
/* True when all messages with 'tag' are our own business. */
bool instr_is_own_tag(uint64_t tag);
/* Own changes, outside of a message. */
void instr_change_init(struct instr_change *, struct instr_link *,
                       struct instr_out *, uint64_t now_ns, const char *who);
/* The controller's message that the change is for, as a cause. */
struct shadow_cause instr_change_cause(const struct instr_change *);
/* Sends a barrier as a change of our own; its tag. */
uint64_t instr_change_barrier(struct instr_change *);

/* True when 'msg' is the answer in whose place such an error has gone. */
bool instr_refuse_reply(struct instr_change *, uint64_t tag);

/* instr_link.c */

/* The link that our own messages go by which no controller's message caused;
 * NULL when there is none that we can use. */
struct instr_link *instr_link_choose(const struct instr *);
/* False for a guest that the switch tells nothing unasked. */
bool instr_link_is_told(const struct instr_link *);
/* True when a link speaks OpenFlow 1.0 to 1.2, over which a table miss goes to
 * the controller. */
bool instr_link_is_any_before_13(const struct instr *);
/* The largest miss_send_len. */
uint16_t instr_link_miss_len(const struct instr *);
/* Keeps what is needed to answer; forgets the oldest when there are too
 * many. */
struct instr_pending *instr_pend(struct instr_change *, enum pending_kind);
struct instr_pending *instr_pending_find(const struct instr_link *,
                                         uint64_t tag, enum pending_kind);
void instr_pending_drop(struct instr_link *, struct instr_pending *);

/* instr_rule.c */
struct rule *instr_rule_flow(const struct instr_change *,
                             const struct shadow_rule *, const char *command,
                             const char *who);
struct rule *instr_rule_miss(const struct instr *, uint8_t table_id,
                             uint32_t version, uint64_t now_ns);
struct rule *instr_rule_bucket(const struct instr_change *,
                               const struct shadow_group *, size_t i,
                               const char *command, const char *who);
struct rule *instr_rule_packet_out(const struct instr *, uint32_t version,
                                   uint16_t in_port, const struct of_acts *,
                                   const uint8_t *raw, size_t raw_len,
                                   uint64_t now_ns, const char *who);

/* instr_flow.c: flow-mods. */
void instr_flow_mod(struct instr_change *, const uint8_t *msg, size_t len);
/* Rules that went with a group or a meter. */
void instr_flow_drop(struct instr_change *, struct shadow_rule *,
                     const char *reason);
/* Installs 'rule' anew, same version, because what is injected changed. */
void instr_flow_rewrite(struct instr_change *, struct shadow_rule *rule);
/* Adds 'rule' of the shadow, which the switch has lost. */
void instr_flow_install(struct instr_change *, struct shadow_rule *rule);
/* Makes what to install for 'rule' and notes its indexes. */
void instr_flow_inject(struct instr_change *, struct shadow_rule *rule,
                       struct of_acts *acts);

/* instr_group.c */
void instr_group_mod(struct instr_change *, const uint8_t *msg, size_t len);
struct shadow_group *instr_group_find(const struct instr *, uint32_t id);
void instr_group_rewrite(struct instr_change *, struct shadow_group *);
void instr_group_insert(struct instr *, struct shadow_group *);
struct shadow_group *instr_group_take(struct instr *, uint32_t id);
/* True when a bucket of it ('sg' may be NULL) has 'version'. */
bool instr_group_has(const struct shadow_group *sg, uint32_t version);
struct shadow_group *instr_group_create(struct of_group *taken);
void instr_group_destroy(struct shadow_group *);
/* Makes the group to install. */
struct of_group *instr_group_inject(struct instr_change *,
                                    struct shadow_group *);
void instr_group_desc(struct instr_change *, const uint8_t *msg, size_t len);

/* instr_monitor.c: flow monitors of a link. */
void instr_monitor_request(struct instr_change *, const uint8_t *msg,
                           size_t len);
void instr_monitor_cancel(struct instr_change *, const uint8_t *msg,
                          size_t len);
/* Updates, and answers to requests; all are dealt with. */
void instr_monitor_reply(struct instr_change *, const uint8_t *msg, size_t len,
                         uint64_t tag);
/* The switch has refused the request with 'tag'. */
void instr_monitor_refused(struct instr_change *, uint64_t tag);
/* True while a request of the controller's is with the switch.  Open vSwitch
 * 3.1 refuses one with a transaction ID, and often a version, of chance. */
bool instr_monitor_is_asking(const struct instr_link *);
/* The switch has answered something later than the requests before 'tag'. */
void instr_monitor_confirm(struct instr_link *, uint64_t tag);
/* The answer to a barrier of ours. */
void instr_monitor_passed(struct instr_change *, uint64_t tag);
/* Whether the controller is to be told of a pause, or its end. */
bool instr_monitor_pause(struct instr_link *, bool is_paused);
bool instr_monitor_has(const struct instr_link *, uint32_t id);
bool instr_monitor_has_any(const struct instr_link *);
void instr_monitor_destroy(struct instr_link *);

/* instr_removed.c: flow-removed. */
/* A reason of the wire, for the log. */
const char *instr_removed_reason(uint8_t reason);
void instr_tomb_add(struct instr *, const struct shadow_rule *);
void instr_flow_removed(struct instr_change *, const uint8_t *msg, size_t len);
void instr_tomb_destroy(struct instr *);
/* The switch has ended 'rule' by itself. */
void instr_removed_take(struct instr_change *, struct shadow_rule *rule,
                        const char *reason);

/* instr_stats.c */
void instr_stats_request(struct instr_change *, const uint8_t *msg,
                         size_t len);
/* A rule of ours is gone, with what it had counted. */
void instr_stats_own_gone(struct instr_change *,
                          const struct of_flow_removed *);
/* A link has come: it may not have been told before, or never will be. */
void instr_stats_join(struct instr_link *);
void instr_stats_tables_request(struct instr_change *, const uint8_t *msg,
                                size_t len);
/* False: not ours to handle, pass it on. */
bool instr_stats_reply(struct instr_change *, const uint8_t *msg, size_t len,
                       uint64_t tag);
void instr_stats_tables_reply(struct instr_change *, const uint8_t *msg,
                              size_t len);

/* instr_bundle.c: the controller's bundles. */
void instr_bundle_control(struct instr_change *, const uint8_t *msg,
                          size_t len);
void instr_bundle_add(struct instr_change *, const uint8_t *msg, size_t len);
void instr_bundle_destroy(struct instr_link *);
/* True when the answer 'msg' belongs to such a bundle. */
bool instr_bundle_swallow(struct instr_change *, const uint8_t *msg,
                          size_t len, uint64_t tag);
/* One of our own around the messages of a change (from 1.3 on). */
void instr_bundle_begin(struct instr_change *);
void instr_bundle_end(struct instr_change *);

/* instr_tlv.c */
void instr_tlv_mod(struct instr_change *, const uint8_t *msg, size_t len);
void instr_tlv_reply(struct instr_change *, const uint8_t *msg, size_t len);
/* Takes what the switch has at the start and chooses our index. */
void instr_tlv_read(struct instr *, const uint8_t *msg, size_t len);
void instr_tlv_set_up(struct instr_change *);
/* Takes our option out of the TLV map. */
void instr_tlv_withdraw(struct instr_change *);

/* instr_tlv_move.c */
#define INSTR_TLV_INDEXES 64
/* The highest index that neither we nor the controller have, nor 'wanted' is
 * about; INSTR_TLV_INDEXES: none. */
unsigned int instr_tlv_choose(const struct instr *,
                              const struct of_tlv *wanted, size_t n);
/* As instr_link_must_wait(): makes way for a controller. */
bool instr_tlv_must_wait(struct instr_link *, const uint8_t *msg,
                         uint64_t now_ns, struct instr_out *);
/* As instr_due_ns() and instr_run(). */
uint64_t instr_tlv_move_due_ns(const struct instr *);
void instr_tlv_move_run(struct instr *, uint64_t now_ns, struct instr_out *);
/* The switch has refused a message of ours, or answered a barrier. */
void instr_tlv_move_refused(struct instr *, uint64_t tag);
void instr_tlv_move_passed(struct instr_change *, uint64_t tag);

/* instr_packet.c */
void instr_packet_out(struct instr_change *, const uint8_t *msg, size_t len);
/* True when it was our discovery's. */
bool instr_packet_in(struct instr_change *, const uint8_t *msg, size_t len);
/* Passes on one that is not; that of a table miss tells no cookie of ours. */
void instr_packet_in_pass(struct instr_change *, const uint8_t *msg,
                          size_t len);

/* instr_regroup.c */
/* A group may have come or changed. */
void instr_regroup_soon(struct instr *, uint64_t now_ns);
/* As instr_due_ns() and instr_run(). */
uint64_t instr_regroup_due_ns(const struct instr *);
void instr_regroup_run(struct instr *, uint64_t now_ns, struct instr_out *);
/* True when the answer was ours. */
bool instr_regroup_reply(struct instr_change *, const uint8_t *msg, size_t len,
                         uint64_t tag);
void instr_regroup_destroy(struct instr *);

/* instr_detach.c */
/* The switch has refused a message of ours with 'tag'. */
void instr_detach_refused(struct instr_change *, uint64_t tag);
/* A change goes to the switch late: the detach is not done before it. */
void instr_detach_wait(struct instr_change *);
/* As instr_due_ns() and instr_run(). */
uint64_t instr_detach_due_ns(const struct instr *);
void instr_detach_run(struct instr *, uint64_t now_ns, struct instr_out *);
/* The answer to a barrier of ours. */
void instr_detach_passed(struct instr_change *, uint64_t tag);

/* instr_ask.c */

/* Asks for TLV map, ports, groups, meters, flows and what a table miss does.
 */
void instr_ask_switch(struct instr_change *);
/* Settles the forms of messages between us and the switch. */
void instr_ask_forms(struct instr_change *);
void instr_ask_barrier(struct instr_change *);

/* instr_start.c */
bool instr_start_reply(struct instr_change *, enum of_kind, const uint8_t *msg,
                       size_t len, uint64_t tag);
void instr_start_destroy(struct instr_start *);

#include "recorder/instr_carry.h"
#include "recorder/instr_counts.h"
#include "recorder/instr_action.h"
#include "recorder/instr_inject.h"
#include "recorder/instr_links.h"
#include "recorder/instr_objects.h"
#include "recorder/instr_own.h"
#include "recorder/instr_ports.h"
#include "recorder/instr_select.h"
#include "recorder/instr_sets.h"
#include "recorder/instr_shed.h"
#include "recorder/instr_undo.h"

#endif /* recorder/instr_state.h */
