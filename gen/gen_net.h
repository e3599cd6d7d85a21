/* SPDX-License-Identifier: Apache-2.0 */
/* gen_net - a network with the rules that made-up packets meet.
 *
 * Switches are numbered as the topology has them, by rising dpid, from 0.  A
 * rule stands at a switch under a key, by which routes that want the same rule
 * share it, and has a version as the recorder would have given it.  When a
 * rule is renewed its next version does the same as the last.
 *
 * Ownership: the net owns rules and gen_rules; they live as long as it does.
 *
 * Threads: one at a time. */
#ifndef GEN_GEN_NET_H
#define GEN_GEN_NET_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/rule.h"
#include "lib/topology.h"

/* What is behind an output of a rule. */
enum gen_end {
    GEN_END_LINK,
    GEN_END_EDGE,
    GEN_END_DOWN,
    GEN_END_ABSENT,
    GEN_END_IN_PORT,
    GEN_END_FLOOD,
    GEN_END_CONTROLLER,
    GEN_END_TABLE
};

struct gen_out {
    uint32_t port;
    enum gen_end end;
    uint32_t peer, peer_port; /* Links: the switch there. */
};

/* A rule as it is now. */
struct gen_rule {
    struct rule *rule; /* Owned by the net, as are older versions. */
    uint32_t sw;
    uint64_t key;
    bool takes_ttl; /* Its only edit is to take 1 from the TTL. */
    bool is_plain;  /* One output, no edit but that. */
    size_t n_outs;
    struct gen_out *outs;  /* Owned. */
    struct gen_rule *next; /* In its bucket. */
};

/* An edge port that is up. */
struct gen_edge {
    uint32_t sw, port;
};

struct gen_net;

/* The net refers to the topology from then on.  'has_tunnels': it was made
 * with tunnels by gen_topology. */
struct gen_net *gen_net_create(const struct topology *, bool has_tunnels,
                               uint64_t seed);
void gen_net_destroy(struct gen_net *);
const struct topology *gen_net_topology(const struct gen_net *);
uint64_t gen_net_seed(const struct gen_net *);
/* What rules made from now on say of when they were. */
void gen_net_set_time(struct gen_net *, uint64_t now_ns);

size_t gen_net_n_switches(const struct gen_net *);
const struct topology_switch *gen_net_switch(const struct gen_net *,
                                             uint32_t sw);
/* The number of the switch, or UINT32_MAX. */
uint32_t gen_net_index(const struct gen_net *, uint64_t dpid);
size_t gen_net_n_edges(const struct gen_net *);
const struct gen_edge *gen_net_edge(const struct gen_net *, size_t i);
/* True for the ports of tunnels that gen_topology added. */
bool gen_net_is_tunnel(const struct gen_net *, uint32_t port);
/* Links on a shortest way from 'from' to 'to'; UINT16_MAX when there is
 * none. */
uint16_t gen_net_distance(struct gen_net *, uint32_t from, uint32_t to);

/* NULL when there is none. */
struct gen_rule *gen_net_find(const struct gen_net *, uint32_t sw,
                              uint64_t key);
/* Takes the rule, gives it a version and puts it there under a key that is
 * not in use at that switch. */
struct gen_rule *gen_net_add(struct gen_net *, uint32_t sw, uint64_t key,
                             struct rule *);
/* The table-miss rule of a switch, which drops; made when first asked for. */
struct gen_rule *gen_net_miss(struct gen_net *, uint32_t sw);
/* Replaces a rule by one that does the same, with a new version.  'n' chooses
 * which; nothing when there is no rule. */
void gen_net_renew(struct gen_net *, uint64_t n);

/* For assemble_env and the like: 'aux' is the net.  NULL when there is no such
 * version. */
const struct rule *gen_net_find_rule(void *aux, uint64_t dpid,
                                     uint32_t version);
/* All that there ever were, switch by switch. */
size_t gen_net_n_versions(const struct gen_net *);
void gen_net_each_version(const struct gen_net *,
                          void (*each)(void *aux, const struct rule *),
                          void *aux);

#endif /* gen/gen_net.h */
