/* SPDX-License-Identifier: Apache-2.0 */
/* gen_route_make - the routes of each kind. */
#include <config.h>
#include "gen/gen_route_make.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/of_port.h"

#define MAX_TREE  100 /* A flood reaches no more switches. */
#define MAX_PORTS 300
#define ABSENT    3999 /* A port that nobody has. */

static bool
make_way(struct gen_route_make *m)
{
    struct gen_path path;

    if (!gen_route_make_path(m, &path)) {
        return false;
    }
    gen_route_add_path(m, &path);
    return true;
}

/* A way on which one switch translates addresses. */
static bool
make_nat(struct gen_route_make *m)
{
    struct gen_path path;
    size_t at;

    if (!gen_route_make_path(m, &path)) {
        return false;
    }
    at = gen_random_pick(&m->random, (uint32_t) path.n);
    for (size_t i = 0; i < path.n; i++) {
        struct gen_entry *entry;
        struct rule *rule;

        if (i != at) {
            gen_route_add_hop(m, &path, i, true);
            continue;
        }
        entry = gen_route_add_entry(m, path.sw[i], path.in[i]);
        rule = gen_route_new_rule(m, RULE_FLOW, 0);
        gen_route_add_nat(m, rule);
        rule_add_plain(rule, STEP_DEC_TTL, 0);
        rule_add_output(rule, path.out[i]);
        entry->rules[entry->n_rules++] =
            gen_route_put_rule(m, path.sw[i], rule);
    }
    return true;
}

/* A port of the switch that is down, or one that is absent. */
static uint32_t
dead_port(const struct gen_route_make *m, uint32_t sw)
{
    const struct topology_switch *at = gen_net_switch(m->net, sw);

    for (size_t i = 0; m->route->spec.kind == GEN_TO_DOWN && i < at->n_ports;
         i++) {
        if (at->ports[i].down) {
            return at->ports[i].no;
        }
    }
    return ABSENT;
}

/* The rule that ends the way at (sw, in_port). */
static void
add_ending(struct gen_route_make *m, uint32_t sw, uint32_t in_port)
{
    enum gen_kind kind = m->route->spec.kind;
    bool is_miss = kind == GEN_MISS || kind == GEN_PACKET_OUT_TABLE;
    struct gen_entry *entry = gen_route_add_entry(m, sw, in_port);
    struct rule *rule =
        gen_route_new_rule(m, is_miss ? RULE_MISS : RULE_FLOW, 0);

    if (kind == GEN_TO_IN_PORT) {
        rule_add_output(rule, in_port);
    } else if (kind == GEN_TO_DOWN || kind == GEN_TO_ABSENT) {
        rule_add_output(rule, dead_port(m, sw));
    } else if (kind == GEN_PUNT || kind == GEN_PACKET_OUT ||
               kind == GEN_PACKET_OUT_TABLE) {
        rule_add_output(rule, OF_PORT_CONTROLLER);
    }
    entry->rules[entry->n_rules++] = gen_route_put_rule(m, sw, rule);
}

/* What the controller does with the packet it got from there. */
static void
add_answer(struct gen_route_make *m, uint32_t sw, uint32_t in_port,
           uint32_t out)
{
    struct rule *rule = gen_route_new_rule(m, RULE_PACKET_OUT, 0);
    bool is_table = m->route->spec.kind == GEN_PACKET_OUT_TABLE;

    rule_add_output(rule, is_table ? OF_PORT_TABLE : out);
    m->route->packet_out = gen_route_put_rule(m, sw, rule);
    if (is_table) {
        rule = gen_route_new_rule(m, RULE_FLOW, 0);
        rule_add_output(rule, out);
        m->route->after =
            (struct gen_entry){.sw = sw, .in_port = in_port, .n_rules = 1};
        m->route->after.rules[0] = gen_route_put_rule(m, sw, rule);
    }
}

/* A way that ends somewhere on it, by what the kind says. */
static bool
make_ending(struct gen_route_make *m)
{
    enum gen_kind kind = m->route->spec.kind;
    struct gen_path path;
    size_t end, n;

    if (!gen_route_make_path(m, &path)) {
        return false;
    }
    n = path.n;
    end = gen_random_pick(&m->random, (uint32_t) n);
    path.n = end;
    gen_route_add_path(m, &path);
    add_ending(m, path.sw[end], path.in[end]);
    if (kind == GEN_PACKET_OUT || kind == GEN_PACKET_OUT_TABLE) {
        add_answer(m, path.sw[end], path.in[end], path.out[end]);
        for (size_t i = end + 1; i < n; i++) {
            gen_route_add_hop(m, &path, i,
                              gen_random_pick(&m->random, 100) < 60);
        }
    }
    return true;
}

static bool
make_ttl(struct gen_route_make *m)
{
    m->route->ttl = (uint8_t) (1 + gen_random_pick(&m->random, 3));
    return make_way(m);
}

static bool
make_link_loss(struct gen_route_make *m)
{
    struct gen_path path;
    size_t at;

    if (!gen_route_make_path(m, &path) || path.n < 2) {
        return false;
    }
    gen_route_add_path(m, &path);
    at = gen_random_pick(&m->random, (uint32_t) path.n - 1);
    m->route->lossy_sw = path.sw[at];
    m->route->lossy_port = path.out[at];
    return true;
}

/* True when there is one way only between any two switches. */
static bool
is_tree(const struct gen_net *net)
{
    size_t n = gen_net_n_switches(net), n_ends = 0;

    for (uint32_t i = 0; i < n; i++) {
        const struct topology_switch *sw = gen_net_switch(net, i);

        for (size_t k = 0; k < sw->n_ports; k++) {
            if (gen_net_is_tunnel(net, sw->ports[k].no)) {
                return false;
            }
            n_ends += sw->ports[k].has_peer && !sw->ports[k].down;
        }
    }
    return n_ends == 2 * (n - 1) && n <= MAX_TREE;
}

/* Rules of a tree that spans the net, or as much of it as it may. */
static void
make_tree(struct gen_route_make *m)
{
    const struct gen_edge *src = gen_net_edge(m->net, m->route->spec.src);
    size_t n = gen_net_n_switches(m->net), head = 0, tail = 0;
    bool is_flood = m->route->spec.kind == GEN_FLOOD && is_tree(m->net);
    uint32_t *queue = lh_alloc(n * sizeof *queue);
    uint32_t *in_port = lh_alloc_zero(n * sizeof *in_port);

    m->route->sw = src->sw;
    m->route->port = src->port;
    in_port[src->sw] = src->port;
    queue[tail++] = src->sw;
    while (head < tail) {
        uint32_t at = queue[head++], ports[MAX_PORTS];
        const struct topology_switch *sw = gen_net_switch(m->net, at);
        size_t n_ports = 0;

        for (size_t i = 0; i < sw->n_ports && n_ports < MAX_PORTS; i++) {
            const struct topology_port *port = &sw->ports[i];

            if (port->no == in_port[at] || port->down ||
                gen_net_is_tunnel(m->net, port->no)) {
                continue;
            } else if (port->has_peer) {
                uint32_t peer = gen_net_index(m->net, port->peer_dpid);

                if (!in_port[peer] && tail < MAX_TREE) {
                    ports[n_ports++] = port->no;
                    in_port[peer] = port->peer_port;
                    queue[tail++] = peer;
                }
            } else if (port->edge) {
                ports[n_ports++] = port->no;
            }
        }
        if (is_flood) {
            ports[0] = OF_PORT_FLOOD;
            n_ports = 1;
        }
        gen_route_add_rules(m, at, in_port[at], ports, n_ports, is_flood);
    }
    free(in_port);
    free(queue);
}

/* A shortest way back to 'home' that begins with its port 'first'; false when
 * there is none. */
static bool
find_round(struct gen_route_make *m, uint32_t home,
           const struct topology_port *first, struct gen_path *path)
{
    size_t n = gen_net_n_switches(m->net), head = 0, tail = 0;
    uint32_t *queue = lh_alloc(n * sizeof *queue);
    /* How it is reached: from[] by out[], to in[]. */
    uint32_t *from = lh_alloc(n * sizeof *from);
    uint32_t *out = lh_alloc(n * sizeof *out);
    uint32_t *in = lh_alloc(n * sizeof *in);
    bool is_found = false;
    uint32_t at = gen_net_index(m->net, first->peer_dpid);

    memset(from, 0xff, n * sizeof *from);
    from[at] = home;
    out[at] = first->no;
    in[at] = first->peer_port;
    queue[tail++] = at;
    while (head < tail && !is_found && at != home) {
        const struct topology_switch *sw;

        at = queue[head++];
        sw = gen_net_switch(m->net, at);
        for (size_t i = 0; i < sw->n_ports && !is_found; i++) {
            const struct topology_port *port = &sw->ports[i];
            uint32_t peer;

            if (!port->has_peer || port->down ||
                gen_net_is_tunnel(m->net, port->no)) {
                continue;
            }
            peer = gen_net_index(m->net, port->peer_dpid);
            if (from[peer] == UINT32_MAX &&
                !(peer == home && port->peer_port == first->no)) {
                from[peer] = at;
                out[peer] = port->no;
                in[peer] = port->peer_port;
                queue[tail++] = peer;
                is_found = peer == home;
            }
        }
    }
    path->n = 0;
    for (at = home; is_found && (!path->n || at != home); at = from[at]) {
        if (path->n == GEN_PATH_MAX) {
            is_found = false;
            break;
        }
        /* From the end; turned round below. */
        path->sw[path->n] = from[at];
        path->out[path->n] = out[at];
        path->in[path->n++] = in[from[at]];
    }
    for (size_t i = 0; i < path->n / 2; i++) {
        size_t k = path->n - 1 - i;
        uint32_t sw = path->sw[i], o = path->out[i], p = path->in[i];

        path->sw[i] = path->sw[k];
        path->out[i] = path->out[k];
        path->in[i] = path->in[k];
        path->sw[k] = sw;
        path->out[k] = o;
        path->in[k] = p;
    }
    free(queue);
    free(from);
    free(out);
    free(in);
    return is_found;
}

/* A round from the first switch to itself, by a link of it at random. */
static bool
make_round(struct gen_route_make *m, struct gen_path *path)
{
    const struct gen_edge *src = gen_net_edge(m->net, m->route->spec.src);
    const struct topology_switch *sw = gen_net_switch(m->net, src->sw);
    uint32_t start = gen_random_pick(&m->random, (uint32_t) sw->n_ports);

    m->route->sw = src->sw;
    m->route->port = src->port;
    for (size_t i = 0; i < sw->n_ports; i++) {
        const struct topology_port *port =
            &sw->ports[(start + i) % sw->n_ports];

        if (port->has_peer && !port->down &&
            !gen_net_is_tunnel(m->net, port->no) &&
            find_round(m, src->sw, port, path)) {
            return true;
        }
    }
    return false;
}

/* The first switch sends what comes by the edge port and what comes round by
 * the same port. */
static bool
make_loop(struct gen_route_make *m)
{
    struct gen_path path;
    bool has_ttl = m->route->spec.kind == GEN_LOOP_TTL;
    uint8_t ttl = (uint8_t) (20 + gen_random_pick(&m->random, 20));

    if (!make_round(m, &path)) {
        return false;
    }
    m->route->ttl = ttl;
    m->route->is_blind = !has_ttl;
    for (size_t i = 0; i <= path.n; i++) {
        /* i == 0: from the edge; then the round. */
        size_t k = i ? i - 1 : 0;
        uint32_t in_port = i ? path.in[k] : m->route->port;

        if (has_ttl && (k == 0 || k % 2)) {
            gen_route_add_ttl_rule(m, path.sw[k], in_port, path.out[k]);
        } else {
            gen_route_add_rules(m, path.sw[k], in_port, &path.out[k], 1, true);
        }
    }
    return true;
}

/* From an edge port to a neighbour, and from there on each sends it back. */
static bool
make_loop_in_port(struct gen_route_make *m)
{
    const struct gen_edge *src = gen_net_edge(m->net, m->route->spec.src);
    const struct topology_switch *sw = gen_net_switch(m->net, src->sw);
    const struct topology_port *out = NULL;
    uint32_t n = 0;

    m->route->sw = src->sw;
    m->route->port = src->port;
    m->route->ttl = (uint8_t) (3 + gen_random_pick(&m->random, 20));
    for (size_t i = 0; i < sw->n_ports; i++) {
        if (sw->ports[i].has_peer && !sw->ports[i].down &&
            !gen_net_is_tunnel(m->net, sw->ports[i].no) &&
            !gen_random_pick(&m->random, ++n)) {
            out = &sw->ports[i];
        }
    }
    if (!out) {
        return false;
    }
    gen_route_add_ttl_rule(m, src->sw, src->port, out->no);
    gen_route_add_ttl_rule(m, gen_net_index(m->net, out->peer_dpid),
                           out->peer_port, OF_PORT_IN_PORT);
    gen_route_add_ttl_rule(m, src->sw, out->no, OF_PORT_IN_PORT);
    return true;
}

/* A way that comes by its first switch again, by another port, and leaves
 * there. */
static bool
make_twice(struct gen_route_make *m)
{
    const struct gen_edge *src = gen_net_edge(m->net, m->route->spec.src);
    struct gen_path path;
    uint32_t last_in;

    if (!make_round(m, &path) || path.n == GEN_PATH_MAX) {
        return false;
    }
    last_in = path.in[0];
    path.in[0] = src->port;
    path.sw[path.n] = src->sw;
    path.in[path.n] = last_in;
    path.out[path.n] = OF_PORT_NONE;
    for (size_t i = 0; i < gen_net_n_edges(m->net); i++) {
        const struct gen_edge *edge = gen_net_edge(m->net, i);

        if (edge->sw == src->sw && edge->port != src->port) {
            path.out[path.n] = edge->port;
        }
    }
    if (path.out[path.n] == OF_PORT_NONE) {
        return false;
    }
    path.n++;
    /* Its own rules: those by destination would know one way only. */
    m->is_rich = true;
    gen_route_add_path(m, &path);
    return true;
}

/* The port of the tunnel from 'from' to 'to', or 0. */
static uint32_t
find_tunnel(const struct gen_net *net, uint32_t from, uint32_t to)
{
    const struct topology_switch *sw = gen_net_switch(net, from);

    for (size_t i = 0; i < sw->n_ports; i++) {
        const struct topology_port *port = &sw->ports[i];

        if (gen_net_is_tunnel(net, port->no) && port->has_peer &&
            gen_net_index(net, port->peer_dpid) == to) {
            return port->no;
        }
    }
    return 0;
}

static bool
make_tunnel(struct gen_route_make *m)
{
    const struct gen_edge *src = gen_net_edge(m->net, m->route->spec.src);
    const struct gen_edge *dst = gen_net_edge(m->net, m->route->spec.dst);
    uint32_t out = find_tunnel(m->net, src->sw, dst->sw);
    uint32_t in = find_tunnel(m->net, dst->sw, src->sw);

    if (!out || !in) {
        return false;
    }
    m->route->sw = src->sw;
    m->route->port = src->port;
    gen_route_add_rules(m, src->sw, src->port, &out, 1, true);
    gen_route_add_rules(m, dst->sw, in, &dst->port, 1, true);
    return true;
}

static bool
make_underlay(struct gen_route_make *m)
{
    struct gen_path path;

    if (!gen_route_make_path(m, &path)) {
        return false;
    }
    path.in[0] = m->route->port = OF_PORT_LOCAL;
    path.out[path.n - 1] = OF_PORT_LOCAL;
    for (size_t i = 0; i < path.n; i++) {
        gen_route_add_ttl_rule(m, path.sw[i], path.in[i], path.out[i]);
    }
    return true;
}

bool
gen_route_make(struct gen_route_make *m)
{
    switch (m->route->spec.kind) {
    case GEN_PLAIN:
    case GEN_MIXED:
        return make_way(m);
    case GEN_NAT:
        return make_nat(m);
    case GEN_TREE:
    case GEN_FLOOD:
        make_tree(m);
        return true;
    case GEN_LOOP_TTL:
    case GEN_LOOP:
        return make_loop(m);
    case GEN_LOOP_IN_PORT:
        return make_loop_in_port(m);
    case GEN_TTL:
        return make_ttl(m);
    case GEN_DROP:
    case GEN_MISS:
    case GEN_TO_IN_PORT:
    case GEN_TO_DOWN:
    case GEN_TO_ABSENT:
    case GEN_PUNT:
    case GEN_PACKET_OUT:
    case GEN_PACKET_OUT_TABLE:
        return make_ending(m);
    case GEN_TWICE:
        return make_twice(m);
    case GEN_LINK_LOSS:
        return make_link_loss(m);
    case GEN_TUNNEL:
        return make_tunnel(m);
    case GEN_UNDERLAY:
        return make_underlay(m);
    case N_GEN_KINDS:
        break;
    }
    abort();
}
