/* SPDX-License-Identifier: Apache-2.0 */
/* gen_route_make - the ways of making a route; known to gen_route's files
 * only. */
#ifndef GEN_GEN_ROUTE_MAKE_H
#define GEN_GEN_ROUTE_MAKE_H 1

#include "gen/gen_random.h"
#include "gen/gen_route.h"

#define GEN_PATH_MAX 1024

/* A way: enters switch sw[i] by in[i], leaves it by out[i]. */
struct gen_path {
    size_t n;
    uint32_t sw[GEN_PATH_MAX], in[GEN_PATH_MAX], out[GEN_PATH_MAX];
};

/* A route while it is made. */
struct gen_route_make {
    struct gen_net *net;
    struct gen_route *route;
    struct gen_random random;
    uint64_t key;   /* Of the route. */
    uint64_t n_own; /* Rules of its own so far. */
    bool is_rich;
};

/* Makes the route as its spec says; false when there is no room for it. */
bool gen_route_make(struct gen_route_make *);

/* An unfinished rule, and a finished one to stand at the switch.  Rules must
 * be put in the same order whenever the route is made. */
struct rule *gen_route_new_rule(struct gen_route_make *, enum rule_kind,
                                uint8_t table_id);
struct gen_rule *gen_route_put_rule(struct gen_route_make *, uint32_t sw,
                                    struct rule *);
void gen_route_add_nat(struct gen_route_make *, struct rule *);

/* The entry is good until the next is added. */
struct gen_entry *gen_route_add_entry(struct gen_route_make *, uint32_t sw,
                                      uint32_t in_port);
/* Rules of its own that send it to 'ports'; a plain one has no edits. */
struct gen_entry *gen_route_add_rules(struct gen_route_make *, uint32_t sw,
                                      uint32_t in_port, const uint32_t *ports,
                                      size_t n_ports, bool is_plain);
/* A rule of its own that takes from the TTL and sends it to 'port'. */
struct gen_entry *gen_route_add_ttl_rule(struct gen_route_make *, uint32_t sw,
                                         uint32_t in_port, uint32_t port);

/* Appends a shortest way from (sw, in_port) to 'to', by chance among equal
 * ones; the last switch's out is left NONE.  False when there is none. */
bool gen_route_add_way(struct gen_route_make *, struct gen_path *, uint32_t sw,
                       uint32_t in_port, uint32_t to);
/* From the spec's source to its destination; sets where the route begins. */
bool gen_route_make_path(struct gen_route_make *, struct gen_path *);
/* Rules along the path, and at its place 'i'. */
void gen_route_add_path(struct gen_route_make *, const struct gen_path *);
void gen_route_add_hop(struct gen_route_make *, const struct gen_path *,
                       size_t i, bool has_ttl);

/* Writes the rule's actions as text, from its steps. */
void gen_rule_text_fill(struct rule *);

#endif /* gen/gen_route_make.h */
