/* SPDX-License-Identifier: Apache-2.0 */
/* of_why_state - what the files of of_why share; for them only.
 *
 * A packet is the library's struct flow, and beside it a second one in which
 * the bits that are not known are ones. */
#ifndef RECORDER_OF_WHY_STATE_H
#define RECORDER_OF_WHY_STATE_H 1

#include "recorder/of_ovs.h"
#include "recorder/of_why.h"

/* Of the library, whose own headers for these are not installed. */
struct dp_packet;
struct dp_packet *dp_packet_clone_data(const void *data, size_t size);
void dp_packet_uninit(struct dp_packet *);
void flow_extract(struct dp_packet *, struct flow *);
char *flow_to_string(const struct flow *, const struct ofputil_port_map *);
void flow_push_vlan_uninit(struct flow *, struct flow_wildcards *);
void flow_pop_vlan(struct flow *, struct flow_wildcards *);
int flow_count_mpls_labels(const struct flow *, struct flow_wildcards *);
void flow_push_mpls(struct flow *, int n, ovs_be16 mpls_eth_type,
                    struct flow_wildcards *, bool clear_flow_L3);
bool flow_pop_mpls(struct flow *, int n, ovs_be16 eth_type,
                   struct flow_wildcards *);
void flow_set_mpls_label(struct flow *, int i, ovs_be32 label);
void flow_set_mpls_tc(struct flow *, int i, uint8_t tc);
void flow_set_mpls_ttl(struct flow *, int i, uint8_t ttl);

/* Bits of ct_state. */
enum {
    CT_NEW = 0x01,
    CT_EST = 0x02,
    CT_REL = 0x04,
    CT_RPL = 0x08,
    CT_INV = 0x10,
    CT_TRK = 0x20,
    CT_SNAT = 0x40,
    CT_DNAT = 0x80
};

/* --- of_why_table.c --- */

struct why_rule {
    struct of_why_rule r;   /* Texts owned. */
    struct minimatch match; /* Owned. */
    struct of_acts acts;    /* Owned. */
    bool is_conjunction;
    size_t order; /* Of arrival. */
};

struct why_bucket {
    uint32_t version;
    uint16_t watch_port;
    uint32_t watch_group;
    struct of_acts acts; /* Owned. */
};

struct why_group {
    uint32_t id;
    uint8_t type;               /* OFPGT11_*. */
    struct why_bucket *buckets; /* Owned. */
    size_t n_buckets;
};

struct why_miss {
    uint32_t version; /* 0: none. */
    bool to_controller;
};

struct why_port {
    uint16_t no;
    bool is_up;
};

struct of_why_table {
    struct why_rule *rules; /* By table, priority descending, once sorted.
                             * Owned. */
    size_t n_rules, allocated_rules;
    size_t first[257]; /* Index of the first rule of each table. */
    bool is_sorted;
    struct why_group *groups; /* Owned. */
    size_t n_groups, allocated_groups;
    struct why_miss miss[256];
    struct why_port *ports; /* Owned. */
    size_t n_ports, allocated_ports;
    size_t n_bad;
};

/* Puts the rules in order; lookups need that. */
void why_table_sort(struct of_why_table *);
const struct why_group *why_table_group(const struct of_why_table *,
                                        uint32_t id);
/* NULL: nothing is known of the port. */
const struct why_port *why_table_port(const struct of_why_table *,
                                      uint16_t no);

/* --- of_why_packet.c --- */

struct why_packet {
    struct flow flow;
    struct flow unknown; /* Ones: the bit is not known. */
    struct flow below;   /* From the network layer on: what lies under the
                          * MPLS labels. */
    bool has_below;
    size_t len; /* 0: not known. */
};

struct of_why_packet {
    struct why_packet p;
};

enum why_match { WHY_NO, WHY_MAYBE, WHY_YES };
enum why_match why_packet_match(const struct why_packet *,
                                const struct minimatch *);
/* Makes what the match asks for, and is not known, true. */
void why_packet_assume(struct why_packet *, const struct minimatch *);
/* The fields that a rule asks for and that are not known, as text; malloc()ed.
 */
char *why_packet_unknown_text(const struct why_packet *,
                              const struct minimatch *);
char *why_packet_text(const struct why_packet *);
/* Value of a field of the packet; malloc()ed. */
char *why_packet_field(const struct why_packet *, const struct mf_field *);
/* Adds what differs between two packets. */
void why_packet_diff(const struct why_packet *before,
                     const struct why_packet *after, struct of_why_step *);
/* Adds the fields of 'match' that the packet does not have. */
void why_packet_explain(const struct why_packet *, const struct minimatch *,
                        struct of_why_not *);
/* Nothing of these is known any more. */
void why_packet_forget(struct why_packet *, const struct mf_subfield *);
void why_packet_forget_l3(struct why_packet *);
void why_packet_forget_nat(struct why_packet *, bool src, bool dst);
void why_packet_clear_ct(struct why_packet *);

/* --- of_why_edit.c --- */

enum why_edit {
    WHY_EDIT_NONE, /* The action is no edit. */
    WHY_EDIT_DONE,
    WHY_EDIT_STOP, /* The rest of this list is not executed. */
    WHY_EDIT_ERROR /* The switch gives the packet up. */
};
struct why_run;
/* Executes 'a' if it edits the packet.  What a person should know goes to the
 * run's step and path. */
enum why_edit why_edit(struct why_run *, const struct ofpact *a);

/* --- of_why.c --- */

#define WHY_MAX_CHOICES 48
/* As a switch: of resubmits that do not go to a later table, and of groups;
 * and of all resubmits. */
#define WHY_MAX_DEEP      64
#define WHY_MAX_RESUBMITS 4096
/* Of everything that can be inside one another. */
#define WHY_MAX_DEPTH 2048
#define WHY_MAX_STACK 1024
/* Rules that are compared for one answer: some seconds of work. */
#define WHY_MAX_WORK UINT64_C(20000000)

struct why_chooser {
    uint8_t picks[WHY_MAX_CHOICES], counts[WHY_MAX_CHOICES];
    size_t n, at;
    bool is_full;  /* A choice was not offered: too many. */
    uint64_t work; /* Rules compared in all runs. */
};

struct why_slot { /* Of the stack of push and pop. */
    union mf_subvalue value, unknown;
};

/* A packet that ct(table=..) sends on later. */
struct why_later {
    struct why_packet packet;
    uint8_t table_id;
    struct of_acts set;     /* Owned. */
    struct why_slot *stack; /* Owned. */
    size_t n_stack;
    bool set_has_group;
};

struct why_run {
    const struct of_why_table *table;
    struct why_chooser *chooser;
    struct why_packet packet;
    struct of_why_path *path;
    size_t step; /* Of path->steps: whose actions are executed. */
    unsigned int depth;
    unsigned int deep; /* As the switch counts it. */
    unsigned int n_resubmits;
    struct why_packet scratch; /* Before the action at hand. */
    uint8_t table_id;
    bool has_exit;  /* An exit was executed. */
    bool has_error; /* The switch gives up: everything is dropped. */
    bool is_infeasible;
    struct ofpbuf set; /* The action set. */
    bool set_has_group;
    struct why_slot *stack; /* Owned. */
    size_t n_stack, allocated_stack;
    struct why_later *later; /* Owned. */
    size_t n_later, allocated_later;
    uint32_t not_version;
    struct of_why_not * not ; /* NULL: not asked. */
    char *last_drop;          /* Why the last packet went nowhere.  Owned. */
};

/* One of 'n' ways, the same in every run with the same chooser. */
size_t why_run_choose(struct why_run *, size_t n);
void why_run_did(struct why_run *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void why_run_uncertain(struct why_run *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void why_run_assume(struct why_run *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void why_run_drop(struct why_run *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void why_run_output(struct why_run *, uint16_t port, bool is_known);
/* Begins a step, which is then the current one; its number. */
struct of_why_step *why_run_step(struct why_run *, enum of_why_kind);
void why_run_list(struct why_run *, const struct ofpact *, size_t len);
void why_run_table(struct why_run *, uint8_t table_id, ofp_port_t in_port,
                   bool miss_ends);
void why_run_set(struct why_run *);

/* False, and the switch gives up, when a limit is reached. */
bool why_run_has_room(struct why_run *);

/* --- of_why_lookup.c --- */

/* The rule that the packet matches in the table, or NULL; and the one that it
 * would match without that one, or NULL. */
const struct why_rule *why_lookup(struct why_run *, uint8_t table_id,
                                  const struct why_rule **next);

/* --- of_why_act.c: actions that are no edits. --- */

void why_act(struct why_run *, const struct ofpact *a, bool *stops);

#endif /* recorder/of_why_state.h */
