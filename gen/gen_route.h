/* SPDX-License-Identifier: Apache-2.0 */
/* gen_route - what befalls the packets of a flow: which rules they meet at
 * which (switch, in_port).
 *
 * A route is a function of its net, its spec and nothing else, so that one
 * that was forgotten can be made again.  Routes of the kind GEN_PLAIN share
 * rules: one for each destination, switch and output, as in a real network;
 * the others have rules of their own where something happens to them, and,
 * with `is_rich`, everywhere.
 *
 * Ownership: gen_route_create() to gen_route_destroy(); rules are the net's.
 *
 * Threads: that of the net. */
#ifndef GEN_GEN_ROUTE_H
#define GEN_GEN_ROUTE_H 1

#include "gen/gen_net.h"

enum gen_kind {
    GEN_PLAIN,            /* A shortest way, every rule takes from the TTL. */
    GEN_MIXED,            /* With edits and several tables by chance. */
    GEN_NAT,              /* Addresses and ports change at one switch. */
    GEN_TREE,             /* To every edge port, ports listed. */
    GEN_FLOOD,            /* The same by FLOOD, where links form a tree. */
    GEN_LOOP_TTL,         /* Round and round until the TTL ends. */
    GEN_LOOP_IN_PORT,     /* To and fro by IN_PORT until the TTL ends. */
    GEN_LOOP,             /* Nothing tells the rounds apart; the wire loses
                           * it in the end. */
    GEN_DROP,             /* A rule without output. */
    GEN_MISS,             /* A table miss. */
    GEN_TTL,              /* The TTL ends on the way. */
    GEN_TO_IN_PORT,       /* The last rule names the input port, */
    GEN_TO_DOWN,          /* a port that is down, */
    GEN_TO_ABSENT,        /* or one that is not there. */
    GEN_PUNT,             /* To the controller, nothing follows. */
    GEN_PACKET_OUT,       /* To the controller, which sends it on. */
    GEN_PACKET_OUT_TABLE, /* The same by output to TABLE. */
    GEN_TWICE,            /* A switch twice, by different ports. */
    GEN_LINK_LOSS,        /* A wire loses it. */
    GEN_TUNNEL,           /* By a tunnel from the first switch to the last, */
    GEN_UNDERLAY,         /* and the tunnel's own packets, LOCAL to LOCAL. */
    N_GEN_KINDS
};

struct gen_route_spec {
    enum gen_kind kind;
    uint32_t src, dst; /* Edges of the net, different ones. */
    uint32_t salt;     /* Tells routes apart that are equal in all else: which
                        * of equal ways, which address. */
    bool has_ttl;      /* GEN_PLAIN: for IP packets. */
    bool is_rich;      /* Edits and tables by chance, no rule shared. */
};

#define GEN_ROUTE_MAX_TABLES 3
#define GEN_ROUTE_ANY_PORT   UINT32_MAX

/* The rules that a packet meets at (sw, in_port). */
struct gen_entry {
    uint32_t sw, in_port; /* Or GEN_ROUTE_ANY_PORT. */
    size_t n_rules;
    struct gen_rule *rules[GEN_ROUTE_MAX_TABLES];
};

struct gen_route {
    struct gen_route_spec spec;
    uint32_t sw, port; /* Where packets enter. */
    uint8_t ttl;       /* What they enter with, 0: as they are. */
    bool is_blind;     /* Ends by loss, after many rounds. */
    size_t n_entries, allocated;
    struct gen_entry *entries;     /* In the order in which they are met first.
                                    * Owned. */
    struct gen_rule *packet_out;   /* The controller's answer, or NULL, */
    struct gen_entry after;        /* and what TABLE leads to. */
    uint32_t lossy_sw, lossy_port; /* The wire out of here loses it;
                                    * UINT32_MAX: none does. */
};

/* NULL when the net has no room for such a route. */
struct gen_route *gen_route_create(struct gen_net *,
                                   const struct gen_route_spec *);
void gen_route_destroy(struct gen_route *);
/* NULL when the route has none there.  '*hint' is where to look first, and
 * where it was found. */
const struct gen_entry *gen_route_find(const struct gen_route *, uint32_t sw,
                                       uint32_t in_port, size_t *hint);

/* "plain", "nat", .. */
const char *gen_kind_name(enum gen_kind);

#endif /* gen/gen_route.h */
