/* SPDX-License-Identifier: Apache-2.0 */
/* oracle_flow - programs of rules for made-up packets. */
#include <config.h>
#include "tests/server/oracle_net.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/of_port.h"

#define MAX_PATH 64

/* A way through the net: enters switch i by in[i], leaves it by out[i]. */
struct path {
    size_t n;
    uint64_t dpid[MAX_PATH];
    uint32_t in[MAX_PATH], out[MAX_PATH];
};

/* Appends a shortest way from (dpid, in_port) to 'to', by chance among equal
 * ones; the last switch's out is left to the caller. */
static void
add_way(struct oracle_net *net, struct path *path, uint64_t dpid,
        uint32_t in_port, uint64_t to)
{
    int far[ORACLE_MAX_SWITCHES + 1];
    uint64_t queue[ORACLE_MAX_SWITCHES];
    size_t head = 0, tail = 0;

    memset(far, -1, sizeof far);
    far[to] = 0;
    queue[tail++] = to;
    while (head < tail) {
        const struct topology_switch *sw =
            topology_find(net->topology, queue[head++]);

        for (size_t i = 0; i < sw->n_ports; i++) {
            if (sw->ports[i].has_peer && far[sw->ports[i].peer_dpid] < 0) {
                far[sw->ports[i].peer_dpid] = far[sw->dpid] + 1;
                queue[tail++] = sw->ports[i].peer_dpid;
            }
        }
    }
    for (;;) {
        const struct topology_switch *sw = topology_find(net->topology, dpid);
        const struct topology_port *next = NULL;
        uint32_t n_next = 0;

        assert(path->n < MAX_PATH);
        path->dpid[path->n] = dpid;
        path->in[path->n] = in_port;
        if (dpid == to) {
            path->n++;
            return;
        }
        for (size_t i = 0; i < sw->n_ports; i++) {
            const struct topology_port *port = &sw->ports[i];

            if (port->has_peer && far[port->peer_dpid] == far[dpid] - 1 &&
                oracle_pick(&net->random, ++n_next) == 0) {
                next = port;
            }
        }
        path->out[path->n++] = next->no;
        dpid = next->peer_dpid;
        in_port = next->peer_port;
    }
}

static void
add_edits(struct oracle_net *net, struct rule *rule)
{
    struct oracle_random *r = &net->random;
    uint8_t value[6] = {2, 0, 0};

    if (oracle_chance(r, 20)) {
        uint32_t n = ++net->n_translations;
        uint8_t address[4] = {192, 0, (uint8_t) (n >> 8), (uint8_t) n};
        uint8_t port[2] = {(uint8_t) (n >> 8), (uint8_t) n};

        oracle_rule_set(rule,
                        oracle_chance(r, 50) ? FIELD_IPV4_SRC : FIELD_IPV4_DST,
                        address, 4);
        oracle_rule_set(
            rule, oracle_chance(r, 50) ? FIELD_TP_SRC : FIELD_TP_DST, port, 2);
    }
    if (oracle_chance(r, 30)) {
        value[5] = (uint8_t) oracle_pick(r, 256);
        oracle_rule_set(rule, FIELD_ETH_DST, value, 6);
    }
}

/* Gives the flow rules at (dpid, in_port) that send it to 'ports'. */
static struct oracle_entry *
add_rules(struct oracle_flow *flow, uint64_t dpid, uint32_t in_port,
          const uint32_t *ports, size_t n_ports, bool is_plain)
{
    struct oracle_net *net = flow->net;
    struct oracle_entry *entry = oracle_flow_add(flow, dpid, in_port);
    bool has_two = !is_plain && oracle_chance(&net->random, 30);
    struct rule *rule;

    if (has_two) {
        rule = oracle_net_add_rule(net, dpid, RULE_FLOW, 0);
        rule->is_transit = true;
        add_edits(net, rule);
        entry->rules[entry->n_rules++] = rule;
        if (n_ports > 1 && oracle_chance(&net->random, 50)) {
            oracle_rule_output(rule, *ports++);
            n_ports--;
        }
    }
    rule = oracle_net_add_rule(net, dpid, RULE_FLOW, has_two ? 1 : 0);
    if (!is_plain) {
        add_edits(net, rule);
    }
    for (size_t i = 0; i < n_ports; i++) {
        oracle_rule_output(rule, ports[i]);
    }
    entry->rules[entry->n_rules++] = rule;
    return entry;
}

/* The last rule of the entry, which makes the outputs. */
static struct rule *
last_rule(const struct oracle_entry *entry)
{
    return entry->rules[entry->n_rules - 1];
}

/* A rule in front of the outputs that takes one from the TTL. */
static void
add_rule_with_ttl(struct oracle_flow *flow, uint64_t dpid, uint32_t in_port,
                  uint32_t port)
{
    struct oracle_entry *entry = oracle_flow_add(flow, dpid, in_port);
    struct rule *rule = oracle_net_add_rule(flow->net, dpid, RULE_FLOW, 0);

    oracle_rule_step(rule, STEP_DEC_TTL);
    oracle_rule_output(rule, port);
    entry->rules[entry->n_rules++] = rule;
}

static void
add_path(struct oracle_flow *flow, const struct path *path)
{
    bool has_ttl = oracle_chance(&flow->net->random, 60);

    for (size_t i = 0; i < path->n; i++) {
        if (has_ttl) {
            add_rule_with_ttl(flow, path->dpid[i], path->in[i], path->out[i]);
        } else {
            add_rules(flow, path->dpid[i], path->in[i], &path->out[i], 1,
                      false);
        }
    }
}

static void
make_path(struct oracle_net *net, struct path *path)
{
    uint64_t from, to;
    uint32_t in, out;

    do {
        oracle_net_edge(net, &from, &in);
        oracle_net_edge(net, &to, &out);
    } while (from == to && in == out);
    path->n = 0;
    add_way(net, path, from, in, to);
    path->out[path->n - 1] = out;
}

static void
make_unicast(struct oracle_flow *flow)
{
    struct path path;

    make_path(flow->net, &path);
    flow->dpid = path.dpid[0];
    flow->port = path.in[0];
    add_path(flow, &path);
}

/* Ends the path by what 'kind' says. */
static void
make_ending(struct oracle_flow *flow)
{
    struct oracle_net *net = flow->net;
    struct path path;
    struct oracle_entry *entry;
    struct rule *rule;
    uint64_t dpid;
    uint32_t in_port, out = OF_PORT_NONE;

    do {
        make_path(net, &path);
    } while (path.n < 2 && net->n_switches > 1);
    path.n -= oracle_pick(&net->random, (uint32_t) path.n);
    path.n--;
    flow->dpid = path.dpid[0];
    flow->port = path.in[0];
    add_path(flow, &path);
    dpid = path.dpid[path.n];
    in_port = path.in[path.n];
    switch (flow->kind) {
    case ORACLE_TO_IN_PORT:
        out = in_port;
        break;
    case ORACLE_TO_DOWN:
        out = ORACLE_DOWN_PORT;
        break;
    case ORACLE_TO_ABSENT:
        out = 77;
        break;
    case ORACLE_PUNT:
    case ORACLE_PACKET_OUT:
    case ORACLE_PACKET_OUT_TABLE:
        out = OF_PORT_CONTROLLER;
        break;
    case ORACLE_UNICAST:
    case ORACLE_TREE:
    case ORACLE_FLOOD:
    case ORACLE_LOOP_TTL:
    case ORACLE_LOOP:
    case ORACLE_DROP:
    case ORACLE_MISS:
    case ORACLE_TTL:
    case ORACLE_TWICE:
    case ORACLE_LINK_LOSS:
    case ORACLE_LOOP_IN_PORT:
    case N_ORACLE_KINDS:
        break;
    }
    if (flow->kind == ORACLE_MISS || flow->kind == ORACLE_PACKET_OUT_TABLE) {
        entry = oracle_flow_add(flow, dpid, in_port);
        rule = oracle_net_add_rule(net, dpid, RULE_MISS, 0);
        if (out != OF_PORT_NONE) {
            oracle_rule_output(rule, out);
        }
        entry->rules[entry->n_rules++] = rule;
    } else {
        add_rules(flow, dpid, in_port, &out, out != OF_PORT_NONE, true);
    }
    if (flow->kind == ORACLE_PACKET_OUT ||
        flow->kind == ORACLE_PACKET_OUT_TABLE) {
        rule = oracle_net_add_rule(net, dpid, RULE_PACKET_OUT, 0);
        flow->packet_out = rule;
        if (flow->kind == ORACLE_PACKET_OUT) {
            oracle_rule_output(rule, path.out[path.n]);
        } else {
            struct rule *flow_rule =
                oracle_net_add_rule(net, dpid, RULE_FLOW, 0);

            oracle_rule_output(rule, OF_PORT_TABLE);
            oracle_rule_output(flow_rule, path.out[path.n]);
            flow->after_packet_out = (struct oracle_entry){
                .dpid = dpid, .in_port = in_port, .n_rules = 1};
            flow->after_packet_out.rules[0] = flow_rule;
        }
        /* From there on as the path would have gone. */
        for (size_t i = path.n + 1;; i++) {
            uint64_t peer;
            uint32_t peer_port;
            struct path rest = {.n = 0};

            if (!topology_peer(net->topology, path.dpid[i - 1],
                               path.out[i - 1], &peer, &peer_port)) {
                break;
            }
            rest.n = 1;
            rest.dpid[0] = path.dpid[i];
            rest.in[0] = path.in[i];
            rest.out[0] = path.out[i];
            add_path(flow, &rest);
        }
    }
}

/* Sends to every edge port along a tree that spans the net. */
static void
make_tree(struct oracle_flow *flow)
{
    struct oracle_net *net = flow->net;
    uint64_t queue[ORACLE_MAX_SWITCHES];
    uint32_t in_port[ORACLE_MAX_SWITCHES + 1] = {0};
    uint32_t up[ORACLE_MAX_SWITCHES + 1] = {0};
    size_t head = 0, tail = 0;
    bool is_flood = flow->kind == ORACLE_FLOOD && net->shape == ORACLE_LINE;

    oracle_net_edge(net, &flow->dpid, &flow->port);
    in_port[flow->dpid] = flow->port;
    queue[tail++] = flow->dpid;
    while (head < tail) {
        uint64_t dpid = queue[head++];
        const struct topology_switch *sw = topology_find(net->topology, dpid);
        uint32_t ports[64];
        size_t n = 0;

        for (size_t i = 0; i < sw->n_ports; i++) {
            const struct topology_port *port = &sw->ports[i];

            if (port->no == in_port[dpid] || port->down ||
                (up[dpid] && port->no == up[dpid])) {
                continue;
            }
            if (!port->has_peer) {
                ports[n++] = port->no;
            } else if (!in_port[port->peer_dpid]) {
                ports[n++] = port->no;
                in_port[port->peer_dpid] = port->peer_port;
                queue[tail++] = port->peer_dpid;
            }
        }
        if (is_flood) {
            ports[0] = OF_PORT_FLOOD;
            n = 1;
        }
        add_rules(flow, dpid, in_port[dpid], ports, n, is_flood);
    }
}

/* Two ring neighbours that send it to each other, or around the ring. */
static void
make_loop(struct oracle_flow *flow)
{
    struct oracle_net *net = flow->net;
    uint32_t n = (uint32_t) net->n_switches;
    bool has_ttl = flow->kind == ORACLE_LOOP_TTL;

    flow->dpid = 1 + oracle_pick(&net->random, n);
    flow->port = 1;
    flow->ttl = (uint8_t) (20 + oracle_pick(&net->random, 20));
    for (uint64_t dpid = 1; dpid <= n; dpid++) {
        uint32_t ports[2] = {flow->port, 10};

        for (size_t i = 0; i < 2; i++) {
            uint32_t out = 11;

            if (ports[i] == flow->port && dpid != flow->dpid) {
                continue;
            }
            if (has_ttl && (dpid == flow->dpid || dpid % 2)) {
                add_rule_with_ttl(flow, dpid, ports[i], out);
            } else {
                add_rules(flow, dpid, ports[i], &out, 1, true);
            }
        }
    }
}

/* From an edge port to a neighbour, and from there on each sends it back. */
static void
make_loop_in_port(struct oracle_flow *flow)
{
    struct oracle_net *net = flow->net;
    const struct topology_switch *sw;
    const struct topology_port *out = NULL;
    uint32_t n = 0;

    oracle_net_edge(net, &flow->dpid, &flow->port);
    flow->ttl = (uint8_t) (3 + oracle_pick(&net->random, 20));
    sw = topology_find(net->topology, flow->dpid);
    for (size_t i = 0; i < sw->n_ports; i++) {
        if (sw->ports[i].has_peer && oracle_pick(&net->random, ++n) == 0) {
            out = &sw->ports[i];
        }
    }
    add_rule_with_ttl(flow, flow->dpid, flow->port, out->no);
    add_rule_with_ttl(flow, flow->dpid, out->no, OF_PORT_IN_PORT);
    add_rule_with_ttl(flow, out->peer_dpid, out->peer_port, OF_PORT_IN_PORT);
}

static bool
make_twice(struct oracle_flow *flow)
{
    struct oracle_net *net = flow->net;

    for (int attempt = 0; attempt < 50; attempt++) {
        struct path path = {.n = 0};
        uint64_t from, middle, to;
        uint32_t in, out, unused;
        bool is_good = true, has_twice = false;

        oracle_net_edge(net, &from, &in);
        oracle_net_edge(net, &to, &out);
        middle = 1 + oracle_pick(&net->random, (uint32_t) net->n_switches);
        add_way(net, &path, from, in, middle);
        path.n--;
        unused = path.in[path.n];
        add_way(net, &path, middle, unused, to);
        path.out[path.n - 1] = out;
        for (size_t i = 0; i < path.n; i++) {
            is_good = is_good && path.in[i] != path.out[i];
            for (size_t k = 0; k < i; k++) {
                if (path.dpid[i] == path.dpid[k]) {
                    has_twice = true;
                    is_good = is_good && path.in[i] != path.in[k];
                }
            }
        }
        if (is_good && has_twice) {
            flow->dpid = path.dpid[0];
            flow->port = path.in[0];
            add_path(flow, &path);
            return true;
        }
    }
    return false;
}

/* A detour in a ring: the packet passes the switch where it came in again. */
static bool
make_round(struct oracle_flow *flow)
{
    struct oracle_net *net = flow->net;
    uint32_t n = (uint32_t) net->n_switches;
    struct path path = {.n = 0};
    uint64_t start = 1 + oracle_pick(&net->random, n);

    for (uint32_t i = 0; i <= n; i++) {
        path.dpid[path.n] = (start - 1 + i) % n + 1;
        path.in[path.n] = i ? 10 : 1;
        path.out[path.n++] = i < n ? 11 : 2;
    }
    flow->dpid = start;
    flow->port = 1;
    add_path(flow, &path);
    return true;
}

struct oracle_flow *
oracle_flow_create(struct oracle_net *net, enum oracle_kind kind)
{
    struct oracle_flow *flow = lh_alloc_zero(sizeof *flow);
    bool is_made = true;
    size_t i;

    flow->net = net;
    flow->kind = kind;
    flow->ttl = 64;
    flow->next = net->flows;
    net->flows = flow;
    switch (kind) {
    case ORACLE_UNICAST:
        make_unicast(flow);
        break;
    case ORACLE_TREE:
    case ORACLE_FLOOD:
        make_tree(flow);
        break;
    case ORACLE_LOOP:
    case ORACLE_LOOP_TTL:
        is_made = net->shape == ORACLE_RING;
        if (is_made) {
            make_loop(flow);
        }
        break;
    case ORACLE_LOOP_IN_PORT:
        make_loop_in_port(flow);
        break;
    case ORACLE_TTL:
        make_unicast(flow);
        flow->ttl = (uint8_t) (1 + oracle_pick(&net->random, 3));
        break;
    case ORACLE_DROP:
    case ORACLE_MISS:
    case ORACLE_TO_IN_PORT:
    case ORACLE_TO_DOWN:
    case ORACLE_TO_ABSENT:
    case ORACLE_PUNT:
    case ORACLE_PACKET_OUT:
    case ORACLE_PACKET_OUT_TABLE:
        make_ending(flow);
        break;
    case ORACLE_TWICE:
        is_made =
            net->shape == ORACLE_RING ? make_round(flow) : make_twice(flow);
        break;
    case ORACLE_LINK_LOSS:
        do {
            flow->n_entries = 0;
            make_unicast(flow);
        } while (flow->n_entries < 2);
        i = oracle_pick(&net->random, (uint32_t) flow->n_entries - 1);
        flow->lossy_dpid = flow->entries[i].dpid;
        for (size_t k = 0; k < last_rule(&flow->entries[i])->n_steps; k++) {
            const struct step *step = &last_rule(&flow->entries[i])->steps[k];

            if (step->type == STEP_OUTPUT) {
                flow->lossy_port = step->port;
            }
        }
        break;
    case N_ORACLE_KINDS:
        abort();
    }
    return is_made ? flow : NULL;
}
