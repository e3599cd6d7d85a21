/* SPDX-License-Identifier: Apache-2.0 */
/* gen_net - a network with the rules that made-up packets meet. */
#include <config.h>
#include "gen/gen_net.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/gen_random.h"
#include "gen/gen_route_make.h"
#include "gen/gen_topology.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

#define MIN_BUCKETS 1024

struct gen_switch {
    const struct topology_switch *sw; /* Of the topology. */
    uint16_t *far;                    /* Distance to it, by switch; or NULL.
                                       * Owned. */
    size_t n_versions, allocated;
    struct rule **versions; /* By version - 1.  Owned. */
};

struct gen_net {
    struct topology *topology; /* Owned reference. */
    bool has_tunnels;
    uint64_t seed, now_ns;
    size_t n_switches, n_edges, n_versions;
    struct gen_switch *switches; /* Owned. */
    struct gen_edge *edges;      /* Owned. */
    size_t n_rules, allocated_rules, n_buckets;
    struct gen_rule **rules;   /* In order of creation.  Owned. */
    struct gen_rule **buckets; /* Owned. */
};

static void
add_edges(struct gen_net *net)
{
    size_t allocated = 0;

    for (uint32_t i = 0; i < net->n_switches; i++) {
        const struct topology_switch *sw = net->switches[i].sw;

        for (size_t k = 0; k < sw->n_ports; k++) {
            if (sw->ports[k].edge && !sw->ports[k].down) {
                net->edges = lh_alloc_grow(net->edges, net->n_edges,
                                           &allocated, sizeof *net->edges);
                net->edges[net->n_edges++] =
                    (struct gen_edge){i, sw->ports[k].no};
            }
        }
    }
}

struct gen_net *
gen_net_create(const struct topology *topology, bool has_tunnels,
               uint64_t seed)
{
    struct gen_net *net = lh_alloc_zero(sizeof *net);

    net->has_tunnels = has_tunnels;
    net->topology = topology_ref(topology);
    net->seed = seed;
    net->n_switches = topology_n_switches(topology);
    net->switches =
        lh_alloc_zero((net->n_switches + 1) * sizeof *net->switches);
    for (size_t i = 0; i < net->n_switches; i++) {
        net->switches[i].sw = topology_switch_at(topology, i);
    }
    add_edges(net);
    net->n_buckets = MIN_BUCKETS;
    net->buckets = lh_alloc_zero(net->n_buckets * sizeof *net->buckets);
    return net;
}

void
gen_net_destroy(struct gen_net *net)
{
    if (!net) {
        return;
    }
    for (size_t i = 0; i < net->n_rules; i++) {
        free(net->rules[i]->outs);
        free(net->rules[i]);
    }
    for (size_t i = 0; i < net->n_switches; i++) {
        for (size_t k = 0; k < net->switches[i].n_versions; k++) {
            rule_unref(net->switches[i].versions[k]);
        }
        free(net->switches[i].versions);
        free(net->switches[i].far);
    }
    free(net->rules);
    free(net->buckets);
    free(net->edges);
    free(net->switches);
    topology_unref(net->topology);
    free(net);
}

const struct topology *
gen_net_topology(const struct gen_net *net)
{
    return net->topology;
}

uint64_t
gen_net_seed(const struct gen_net *net)
{
    return net->seed;
}

void
gen_net_set_time(struct gen_net *net, uint64_t now_ns)
{
    net->now_ns = now_ns;
}

size_t
gen_net_n_switches(const struct gen_net *net)
{
    return net->n_switches;
}

const struct topology_switch *
gen_net_switch(const struct gen_net *net, uint32_t sw)
{
    assert(sw < net->n_switches);
    return net->switches[sw].sw;
}

uint32_t
gen_net_index(const struct gen_net *net, uint64_t dpid)
{
    size_t low = 0, high = net->n_switches;

    while (low < high) {
        size_t middle = (low + high) / 2;
        uint64_t other = net->switches[middle].sw->dpid;

        if (other == dpid) {
            return (uint32_t) middle;
        } else if (other < dpid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return UINT32_MAX;
}

size_t
gen_net_n_edges(const struct gen_net *net)
{
    return net->n_edges;
}

const struct gen_edge *
gen_net_edge(const struct gen_net *net, size_t i)
{
    assert(i < net->n_edges);
    return &net->edges[i];
}

bool
gen_net_is_tunnel(const struct gen_net *net, uint32_t port)
{
    return net->has_tunnels && port >= GEN_TOPOLOGY_TUNNEL_PORT &&
           port < GEN_TOPOLOGY_TUNNEL_PORT + GEN_TOPOLOGY_MAX_TUNNELS;
}

/* Tunnels are no way for the packets of others. */
static bool
is_way(const struct gen_net *net, const struct topology_port *port)
{
    return port->has_peer && !port->down && !gen_net_is_tunnel(net, port->no);
}

static void
measure(struct gen_net *net, uint32_t to)
{
    uint16_t *far = lh_alloc(net->n_switches * sizeof *far);
    uint32_t *queue = lh_alloc(net->n_switches * sizeof *queue);
    size_t head = 0, tail = 0;

    memset(far, 0xff, net->n_switches * sizeof *far);
    far[to] = 0;
    queue[tail++] = to;
    while (head < tail) {
        uint32_t at = queue[head++];
        const struct topology_switch *sw = net->switches[at].sw;

        for (size_t i = 0; i < sw->n_ports; i++) {
            if (is_way(net, &sw->ports[i])) {
                uint32_t peer = gen_net_index(net, sw->ports[i].peer_dpid);

                if (far[peer] == UINT16_MAX) {
                    far[peer] = (uint16_t) (far[at] + 1);
                    queue[tail++] = peer;
                }
            }
        }
    }
    free(queue);
    net->switches[to].far = far;
}

uint16_t
gen_net_distance(struct gen_net *net, uint32_t from, uint32_t to)
{
    if (!net->switches[to].far) {
        measure(net, to);
    }
    return net->switches[to].far[from];
}

static size_t
bucket_of(const struct gen_net *net, uint32_t sw, uint64_t key)
{
    return gen_random_mix(key + sw) & (net->n_buckets - 1);
}

struct gen_rule *
gen_net_find(const struct gen_net *net, uint32_t sw, uint64_t key)
{
    struct gen_rule *rule = net->buckets[bucket_of(net, sw, key)];

    while (rule && (rule->sw != sw || rule->key != key)) {
        rule = rule->next;
    }
    return rule;
}

static void
link_rule(struct gen_net *net, struct gen_rule *rule)
{
    struct gen_rule **bucket =
        &net->buckets[bucket_of(net, rule->sw, rule->key)];

    rule->next = *bucket;
    *bucket = rule;
}

static void
grow_buckets(struct gen_net *net)
{
    free(net->buckets);
    net->n_buckets *= 2;
    net->buckets = lh_alloc_zero(net->n_buckets * sizeof *net->buckets);
    for (size_t i = 0; i < net->n_rules; i++) {
        link_rule(net, net->rules[i]);
    }
}

static struct gen_out
resolve(const struct gen_net *net, uint64_t dpid, uint32_t port)
{
    const struct topology_port *p = topology_port(net->topology, dpid, port);
    struct gen_out out = {.port = port, .end = GEN_END_ABSENT};

    switch (port) {
    case OF_PORT_CONTROLLER:
        out.end = GEN_END_CONTROLLER;
        break;
    case OF_PORT_FLOOD:
        out.end = GEN_END_FLOOD;
        break;
    case OF_PORT_IN_PORT:
        out.end = GEN_END_IN_PORT;
        break;
    case OF_PORT_TABLE:
        out.end = GEN_END_TABLE;
        break;
    case OF_PORT_LOCAL:
        out.end = GEN_END_EDGE;
        break;
    default:
        if (p && p->down) {
            out.end = GEN_END_DOWN;
        } else if (p && p->has_peer) {
            out.end = GEN_END_LINK;
            out.peer = gen_net_index(net, p->peer_dpid);
            out.peer_port = p->peer_port;
        } else if (p) {
            out.end = GEN_END_EDGE;
        }
        break;
    }
    return out;
}

static void
fill_outs(const struct gen_net *net, struct gen_rule *rule)
{
    const struct rule *r = rule->rule;
    size_t n_edits = 0;

    rule->n_outs = rule_outputs(r, NULL, 0);
    rule->outs = lh_alloc(rule->n_outs * sizeof *rule->outs);
    for (size_t i = 0, n = 0; i < r->n_steps; i++) {
        if (r->steps[i].type == STEP_OUTPUT) {
            rule->outs[n++] = resolve(net, r->dpid, r->steps[i].port);
        } else {
            n_edits++;
        }
    }
    rule->takes_ttl = n_edits == 1 && r->steps[0].type == STEP_DEC_TTL;
    rule->is_plain = rule->n_outs == 1 && !r->is_transit &&
                     (!n_edits || rule->takes_ttl) &&
                     r->kind != RULE_PACKET_OUT;
}

/* Gives the rule the next version of its switch. */
static void
add_version(struct gen_net *net, uint32_t i, struct rule *rule)
{
    struct gen_switch *sw = &net->switches[i];

    sw->versions = lh_alloc_grow(sw->versions, sw->n_versions, &sw->allocated,
                                 sizeof *sw->versions);
    sw->versions[sw->n_versions++] = rule;
    net->n_versions++;
    rule->dpid = sw->sw->dpid;
    rule->version = (uint32_t) sw->n_versions;
    rule->change = sw->n_versions;
    rule->installed_ns = net->now_ns;
    rule->is_instrumented = true;
}

struct gen_rule *
gen_net_add(struct gen_net *net, uint32_t sw, uint64_t key, struct rule *r)
{
    struct gen_rule *rule = lh_alloc_zero(sizeof *rule);

    assert(sw < net->n_switches);
    add_version(net, sw, r);
    rule->rule = r;
    rule->sw = sw;
    rule->key = key;
    fill_outs(net, rule);
    net->rules = lh_alloc_grow(net->rules, net->n_rules, &net->allocated_rules,
                               sizeof *net->rules);
    net->rules[net->n_rules++] = rule;
    if (net->n_rules > net->n_buckets) {
        grow_buckets(net);
    } else {
        link_rule(net, rule);
    }
    return rule;
}

struct gen_rule *
gen_net_miss(struct gen_net *net, uint32_t sw)
{
    const uint64_t key = UINT64_C(0x6d697373);
    struct gen_rule *rule = gen_net_find(net, sw, key);

    if (!rule) {
        struct rule *r = rule_create();

        r->kind = RULE_MISS;
        gen_rule_text_fill(r);
        rule = gen_net_add(net, sw, key, r);
    }
    return rule;
}

void
gen_net_renew(struct gen_net *net, uint64_t n)
{
    struct gen_rule *rule;
    struct rule *next;

    if (!net->n_rules) {
        return;
    }
    rule = net->rules[n % net->n_rules];
    next = rule_clone(rule->rule);
    rule->rule->removed_ns = net->now_ns;
    rule->rule->removed_reason = lh_strdup("modify");
    free(next->command);
    next->command = lh_strdup("modify");
    add_version(net, rule->sw, next);
    rule->rule = next;
}

const struct rule *
gen_net_find_rule(void *aux, uint64_t dpid, uint32_t version)
{
    const struct gen_net *net = aux;
    uint32_t i = gen_net_index(net, dpid);

    if (i == UINT32_MAX || version - 1 >= net->switches[i].n_versions) {
        return NULL;
    }
    return net->switches[i].versions[version - 1];
}

size_t
gen_net_n_versions(const struct gen_net *net)
{
    return net->n_versions;
}

void
gen_net_each_version(const struct gen_net *net,
                     void (*each)(void *aux, const struct rule *), void *aux)
{
    for (size_t i = 0; i < net->n_switches; i++) {
        for (size_t k = 0; k < net->switches[i].n_versions; k++) {
            each(aux, net->switches[i].versions[k]);
        }
    }
}
