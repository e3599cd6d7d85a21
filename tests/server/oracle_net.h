/* SPDX-License-Identifier: Apache-2.0 */
/* oracle_net - what oracle's parts know of a net, beyond what users see. */
#ifndef TESTS_SERVER_ORACLE_NET_H
#define TESTS_SERVER_ORACLE_NET_H 1

#include "tests/server/oracle.h"

#define ORACLE_MAX_SWITCHES 64
#define ORACLE_DOWN_PORT    90
#define ORACLE_MAX_TABLES   3
#define ORACLE_ANY_PORT     UINT32_MAX

struct oracle_switch {
    uint64_t dpid;
    uint32_t n_rules;
    struct rule **rules; /* By version - 1.  Owned. */
};

struct oracle_net {
    enum oracle_shape shape;
    struct oracle_random random;
    size_t n_switches;
    struct oracle_switch switches[ORACLE_MAX_SWITCHES];
    struct topology *topology;
    struct oracle_flow *flows; /* Owned. */
    uint32_t n_translations;   /* Addresses given by NAT so far. */
};

/* The rules that a packet of the flow meets at (dpid, in_port). */
struct oracle_entry {
    uint64_t dpid;
    uint32_t in_port; /* Or ORACLE_ANY_PORT. */
    size_t n_rules;
    struct rule *rules[ORACLE_MAX_TABLES];
};

struct oracle_flow {
    struct oracle_flow *next;
    struct oracle_net *net;
    enum oracle_kind kind;
    uint64_t dpid; /* Where it enters. */
    uint32_t port;
    uint8_t ttl;
    size_t n_entries, allocated_entries;
    struct oracle_entry *entries;
    /* The controller's answer, if there is one. */
    struct rule *packet_out;
    struct oracle_entry after_packet_out; /* What TABLE leads to. */
    uint64_t lossy_dpid;                  /* The wire out of here loses it. */
    uint32_t lossy_port;
};

/* A new rule of the switch, with the next version. */
struct rule *oracle_net_add_rule(struct oracle_net *, uint64_t dpid,
                                 enum rule_kind, uint8_t table_id);
struct oracle_entry *oracle_flow_add(struct oracle_flow *, uint64_t dpid,
                                     uint32_t in_port);
/* NULL when the flow has none there. */
const struct oracle_entry *oracle_flow_find(const struct oracle_flow *,
                                            uint64_t dpid, uint32_t in_port);
/* A random edge port of a random switch. */
void oracle_net_edge(struct oracle_net *, uint64_t *dpidp, uint32_t *portp);
/* Steps. */
void oracle_rule_output(struct rule *, uint32_t port);
void oracle_rule_step(struct rule *, enum step_type);
void oracle_rule_set(struct rule *, enum step_field, const void *value,
                     size_t len);

#endif /* tests/server/oracle_net.h */
