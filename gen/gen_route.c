/* SPDX-License-Identifier: Apache-2.0 */
/* gen_route - what befalls the packets of a flow: which rules they meet at
 * which (switch, in_port). */
#include <config.h>
#include "gen/gen_route.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gen/gen_route_make.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

const char *
gen_kind_name(enum gen_kind kind)
{
    static const char *const names[N_GEN_KINDS] = {
        [GEN_PLAIN] = "plain",
        [GEN_MIXED] = "mixed",
        [GEN_NAT] = "nat",
        [GEN_TREE] = "tree",
        [GEN_FLOOD] = "flood",
        [GEN_LOOP_TTL] = "loop_ttl",
        [GEN_LOOP_IN_PORT] = "loop_in_port",
        [GEN_LOOP] = "loop",
        [GEN_DROP] = "drop",
        [GEN_MISS] = "miss",
        [GEN_TTL] = "ttl",
        [GEN_TO_IN_PORT] = "to_in_port",
        [GEN_TO_DOWN] = "to_down",
        [GEN_TO_ABSENT] = "to_absent",
        [GEN_PUNT] = "punt",
        [GEN_PACKET_OUT] = "packet_out",
        [GEN_PACKET_OUT_TABLE] = "packet_out_table",
        [GEN_TWICE] = "twice",
        [GEN_LINK_LOSS] = "link_loss",
        [GEN_TUNNEL] = "tunnel",
        [GEN_UNDERLAY] = "underlay",
    };

    return kind < N_GEN_KINDS ? names[kind] : "?";
}

const struct gen_entry *
gen_route_find(const struct gen_route *route, uint32_t sw, uint32_t in_port,
               size_t *hint)
{
    for (size_t n = 0; n < route->n_entries; n++) {
        size_t i = *hint + n < route->n_entries ? *hint + n
                                                : *hint + n - route->n_entries;
        const struct gen_entry *entry = &route->entries[i];

        if (entry->sw == sw && (entry->in_port == in_port ||
                                entry->in_port == GEN_ROUTE_ANY_PORT)) {
            *hint = i;
            return entry;
        }
    }
    return NULL;
}

/* --- Rules. ---------------------------------------------------------------
 */

struct gen_entry *
gen_route_add_entry(struct gen_route_make *m, uint32_t sw, uint32_t in_port)
{
    struct gen_route *route = m->route;
    struct gen_entry *entry;

    route->entries = lh_alloc_grow(route->entries, route->n_entries,
                                   &route->allocated, sizeof *route->entries);
    entry = &route->entries[route->n_entries++];
    *entry = (struct gen_entry){.sw = sw, .in_port = in_port};
    return entry;
}

/* A rule to be filled and given to gen_route_put_rule(). */
static struct rule *
new_rule(const struct gen_route_make *m, enum rule_kind kind, uint8_t table_id)
{
    struct rule *rule = rule_create();

    rule->kind = kind;
    rule->table_id = table_id;
    if (kind == RULE_FLOW) {
        free(rule->match);
        rule->priority = 100;
        rule->match = lh_asprintf("metadata=0x%x", m->route->spec.dst + 1);
    }
    return rule;
}

struct rule *
gen_route_new_rule(struct gen_route_make *m, enum rule_kind kind,
                   uint8_t table_id)
{
    return new_rule(m, kind, table_id);
}

static uint64_t
own_key(struct gen_route_make *m)
{
    return gen_random_mix(m->key + ++m->n_own * 0x9e3779b97f4a7c15ULL);
}

struct gen_rule *
gen_route_put_rule(struct gen_route_make *m, uint32_t sw, struct rule *rule)
{
    uint64_t key = own_key(m);
    struct gen_rule *found = gen_net_find(m->net, sw, key);

    if (found) {
        rule_unref(rule); /* The route was made before. */
        return found;
    }
    gen_rule_text_fill(rule);
    return gen_net_add(m->net, sw, key, rule);
}

/* The rule by which all plain routes to the destination leave here. */
static struct gen_rule *
shared_rule(struct gen_route_make *m, uint32_t sw, uint32_t port)
{
    uint64_t key = gen_random_mix((uint64_t) m->route->spec.dst << 32 |
                                  port << 1 | m->route->spec.has_ttl);
    struct gen_rule *found = gen_net_find(m->net, sw, key);
    struct rule *rule;

    if (found) {
        return found;
    }
    rule = new_rule(m, RULE_FLOW, 0);
    if (m->route->spec.has_ttl) {
        rule_add_plain(rule, STEP_DEC_TTL, 0);
    }
    rule_add_output(rule, port);
    gen_rule_text_fill(rule);
    return gen_net_add(m->net, sw, key, rule);
}

void
gen_route_add_nat(struct gen_route_make *m, struct rule *rule)
{
    uint32_t n = gen_random_pick(&m->random, 60000);
    uint8_t address[4] = {203, 0, 113, (uint8_t) (1 + n % 254)};
    uint8_t port[2] = {(uint8_t) ((n + 1024) >> 8), (uint8_t) (n + 1024)};
    bool is_src = gen_random_chance(&m->random, GEN_RANDOM_ALL / 2);

    rule_add_set(rule, is_src ? FIELD_IPV4_SRC : FIELD_IPV4_DST, address,
                 NULL);
    rule_add_set(rule, is_src ? FIELD_TP_SRC : FIELD_TP_DST, port, NULL);
}

static void
add_edits(struct gen_route_make *m, struct rule *rule)
{
    if (gen_random_pick(&m->random, 100) < 20) {
        gen_route_add_nat(m, rule);
    }
    if (gen_random_pick(&m->random, 100) < 30) {
        uint8_t mac[6] = {2, 0, 0,
                          0, 0, (uint8_t) gen_random_pick(&m->random, 256)};

        rule_add_set(rule, FIELD_ETH_DST, mac, NULL);
    }
}

struct gen_entry *
gen_route_add_rules(struct gen_route_make *m, uint32_t sw, uint32_t in_port,
                    const uint32_t *ports, size_t n_ports, bool is_plain)
{
    struct gen_entry *entry = gen_route_add_entry(m, sw, in_port);
    bool is_rich = m->is_rich && !is_plain;
    bool has_two = is_rich && gen_random_pick(&m->random, 100) < 30;
    struct rule *rule;

    if (has_two) {
        rule = new_rule(m, RULE_FLOW, 0);
        rule->is_transit = true;
        add_edits(m, rule);
        if (n_ports > 1 && gen_random_pick(&m->random, 2)) {
            rule_add_output(rule, *ports++);
            n_ports--;
        }
        entry->rules[entry->n_rules++] = gen_route_put_rule(m, sw, rule);
    }
    rule = new_rule(m, RULE_FLOW, has_two ? 1 : 0);
    if (is_rich) {
        add_edits(m, rule);
    }
    for (size_t i = 0; i < n_ports; i++) {
        rule_add_output(rule, ports[i]);
    }
    entry->rules[entry->n_rules++] = gen_route_put_rule(m, sw, rule);
    return entry;
}

struct gen_entry *
gen_route_add_ttl_rule(struct gen_route_make *m, uint32_t sw, uint32_t in_port,
                       uint32_t port)
{
    struct gen_entry *entry = gen_route_add_entry(m, sw, in_port);
    struct rule *rule = new_rule(m, RULE_FLOW, 0);

    rule_add_plain(rule, STEP_DEC_TTL, 0);
    rule_add_output(rule, port);
    entry->rules[entry->n_rules++] = gen_route_put_rule(m, sw, rule);
    return entry;
}

/* --- Ways. ----------------------------------------------------------------
 */

static bool
is_free(const struct gen_route_make *m, const struct topology_port *port)
{
    return port->has_peer && !port->down &&
           !gen_net_is_tunnel(m->net, port->no);
}

bool
gen_route_add_way(struct gen_route_make *m, struct gen_path *path, uint32_t sw,
                  uint32_t in_port, uint32_t to)
{
    for (;;) {
        const struct topology_switch *at = gen_net_switch(m->net, sw);
        uint16_t far = gen_net_distance(m->net, sw, to);
        const struct topology_port *next = NULL;
        uint32_t n_next = 0;

        if (far == UINT16_MAX || path->n >= GEN_PATH_MAX) {
            return false;
        }
        path->sw[path->n] = sw;
        path->in[path->n] = in_port;
        path->out[path->n++] = OF_PORT_NONE;
        if (sw == to) {
            return true;
        }
        for (size_t i = 0; i < at->n_ports; i++) {
            const struct topology_port *port = &at->ports[i];

            if (is_free(m, port) &&
                gen_net_distance(m->net,
                                 gen_net_index(m->net, port->peer_dpid),
                                 to) == far - 1 &&
                !gen_random_pick(&m->random, ++n_next)) {
                next = port;
            }
        }
        path->out[path->n - 1] = next->no;
        sw = gen_net_index(m->net, next->peer_dpid);
        in_port = next->peer_port;
    }
}

void
gen_route_add_hop(struct gen_route_make *m, const struct gen_path *path,
                  size_t i, bool has_ttl)
{
    struct gen_entry *entry;

    if (!m->is_rich) {
        entry = gen_route_add_entry(m, path->sw[i], path->in[i]);
        entry->rules[entry->n_rules++] =
            shared_rule(m, path->sw[i], path->out[i]);
    } else if (has_ttl) {
        gen_route_add_ttl_rule(m, path->sw[i], path->in[i], path->out[i]);
    } else {
        gen_route_add_rules(m, path->sw[i], path->in[i], &path->out[i], 1,
                            false);
    }
}

void
gen_route_add_path(struct gen_route_make *m, const struct gen_path *path)
{
    bool has_ttl = gen_random_pick(&m->random, 100) < 60;

    for (size_t i = 0; i < path->n; i++) {
        gen_route_add_hop(m, path, i, has_ttl);
    }
}

bool
gen_route_make_path(struct gen_route_make *m, struct gen_path *path)
{
    const struct gen_edge *src = gen_net_edge(m->net, m->route->spec.src);
    const struct gen_edge *dst = gen_net_edge(m->net, m->route->spec.dst);

    path->n = 0;
    m->route->sw = src->sw;
    m->route->port = src->port;
    if (!gen_route_add_way(m, path, src->sw, src->port, dst->sw)) {
        return false;
    }
    path->out[path->n - 1] = dst->port;
    return true;
}

struct gen_route *
gen_route_create(struct gen_net *net, const struct gen_route_spec *spec)
{
    struct gen_route *route = lh_alloc_zero(sizeof *route);
    uint64_t key =
        gen_random_mix(gen_net_seed(net) + spec->salt * 31u +
                       (uint64_t) spec->kind * 1000003u + spec->is_rich);
    struct gen_route_make make = {.net = net, .route = route};

    key = gen_random_mix(key ^ ((uint64_t) spec->src << 32 | spec->dst));
    route->spec = *spec;
    route->lossy_sw = route->lossy_port = UINT32_MAX;
    make.random.state = make.key = key;
    make.is_rich = spec->is_rich || spec->kind == GEN_MIXED;
    if (!gen_route_make(&make)) {
        gen_route_destroy(route);
        return NULL;
    }
    return route;
}

void
gen_route_destroy(struct gen_route *route)
{
    if (route) {
        free(route->entries);
        free(route);
    }
}
