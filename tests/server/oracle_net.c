/* SPDX-License-Identifier: Apache-2.0 */
/* oracle_net - switches, links and rules of a made-up network. */
#include <config.h>
#include "tests/server/oracle_net.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

uint64_t
oracle_random(struct oracle_random *r)
{
    uint64_t x;

    r->state += 0x9e3779b97f4a7c15ULL;
    x = r->state;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

uint32_t
oracle_pick(struct oracle_random *r, uint32_t n)
{
    assert(n > 0);
    return (uint32_t) (oracle_random(r) % n);
}

bool
oracle_chance(struct oracle_random *r, uint32_t percent)
{
    return oracle_pick(r, 100) < percent;
}

static void
add_switch(struct oracle_net *net, struct topology_builder *b, bool has_hosts)
{
    uint64_t dpid = net->n_switches + 1;
    char name[16];

    assert(net->n_switches < ORACLE_MAX_SWITCHES);
    snprintf(name, sizeof name, "s%d", (int) dpid);
    net->switches[net->n_switches++].dpid = dpid;
    topology_builder_add_switch(b, dpid, name, (uint16_t) dpid, NULL);
    if (has_hosts) {
        topology_builder_add_port(b, dpid, 1, NULL, true);
        topology_builder_add_port(b, dpid, 2, NULL, true);
    }
}

static void
add_fat_tree(struct oracle_net *net, struct topology_builder *b, int k)
{
    int half = k / 2, n_core = half * half;

    for (int i = 0; i < n_core; i++) {
        add_switch(net, b, false);
    }
    for (int pod = 0; pod < k; pod++) {
        uint64_t first = net->n_switches + 1;

        for (int i = 0; i < k; i++) {
            add_switch(net, b, i >= half);
        }
        for (int i = 0; i < half; i++) {
            uint64_t middle = first + (uint64_t) i;

            for (int j = 0; j < half; j++) {
                topology_builder_add_link(b, middle, (uint16_t) (10 + j),
                                          first + (uint64_t) (half + j),
                                          (uint16_t) (20 + i));
                topology_builder_add_link(b, middle, (uint16_t) (20 + j),
                                          (uint64_t) (i * half + j + 1),
                                          (uint16_t) (10 + pod));
            }
        }
    }
}

struct oracle_net *
oracle_net_create(enum oracle_shape shape, int n, uint64_t seed)
{
    struct oracle_net *net = lh_alloc_zero(sizeof *net);
    struct topology_builder *b = topology_builder_create();

    net->shape = shape;
    net->random.state = seed;
    if (shape == ORACLE_FAT_TREE) {
        add_fat_tree(net, b, n);
    } else {
        for (int i = 0; i < n; i++) {
            add_switch(net, b, true);
        }
        for (int i = 1; i < n; i++) {
            topology_builder_add_link(b, (uint64_t) i, 11, (uint64_t) i + 1,
                                      10);
        }
        if (shape == ORACLE_RING) {
            topology_builder_add_link(b, (uint64_t) n, 11, 1, 10);
        }
    }
    for (size_t i = 0; i < net->n_switches; i++) {
        topology_builder_add_port(b, net->switches[i].dpid, ORACLE_DOWN_PORT,
                                  NULL, true);
        topology_builder_set_port_down(b, net->switches[i].dpid,
                                       ORACLE_DOWN_PORT, true);
    }
    net->topology = topology_build(b, 1);
    return net;
}

void
oracle_net_destroy(struct oracle_net *net)
{
    if (!net) {
        return;
    }
    while (net->flows) {
        struct oracle_flow *flow = net->flows;

        net->flows = flow->next;
        free(flow->entries);
        free(flow);
    }
    for (size_t i = 0; i < net->n_switches; i++) {
        for (uint32_t k = 0; k < net->switches[i].n_rules; k++) {
            rule_unref(net->switches[i].rules[k]);
        }
        free(net->switches[i].rules);
    }
    topology_unref(net->topology);
    free(net);
}

const struct topology *
oracle_net_topology(const struct oracle_net *net)
{
    return net->topology;
}

struct oracle_random *
oracle_net_random(struct oracle_net *net)
{
    return &net->random;
}

const struct rule *
oracle_net_find_rule(void *aux, uint64_t dpid, uint32_t version)
{
    struct oracle_net *net = aux;
    struct oracle_switch *sw;

    if (dpid < 1 || dpid > net->n_switches) {
        return NULL;
    }
    sw = &net->switches[dpid - 1];
    return version >= 1 && version <= sw->n_rules ? sw->rules[version - 1]
                                                  : NULL;
}

struct rule *
oracle_net_add_rule(struct oracle_net *net, uint64_t dpid, enum rule_kind kind,
                    uint8_t table_id)
{
    struct oracle_switch *sw = &net->switches[dpid - 1];
    struct rule *rule = rule_create();

    rule->dpid = dpid;
    rule->kind = kind;
    rule->table_id = table_id;
    rule->version = sw->n_rules + 1;
    rule->is_instrumented = true;
    sw->rules = lh_alloc_array(sw->rules, sw->n_rules + 1, sizeof *sw->rules);
    sw->rules[sw->n_rules++] = rule;
    return rule;
}

struct oracle_entry *
oracle_flow_add(struct oracle_flow *flow, uint64_t dpid, uint32_t in_port)
{
    struct oracle_entry *entry;

    flow->entries =
        lh_alloc_grow(flow->entries, flow->n_entries, &flow->allocated_entries,
                      sizeof *flow->entries);
    entry = &flow->entries[flow->n_entries++];
    *entry = (struct oracle_entry){.dpid = dpid, .in_port = in_port};
    return entry;
}

const struct oracle_entry *
oracle_flow_find(const struct oracle_flow *flow, uint64_t dpid,
                 uint32_t in_port)
{
    for (size_t i = 0; i < flow->n_entries; i++) {
        const struct oracle_entry *entry = &flow->entries[i];

        if (entry->dpid == dpid &&
            (entry->in_port == in_port || entry->in_port == ORACLE_ANY_PORT)) {
            return entry;
        }
    }
    return NULL;
}

void
oracle_net_edge(struct oracle_net *net, uint64_t *dpidp, uint32_t *portp)
{
    *portp = 1 + oracle_pick(&net->random, 2);
    do {
        *dpidp = 1 + oracle_pick(&net->random, (uint32_t) net->n_switches);
    } while (!topology_port(net->topology, *dpidp, *portp));
}

void
oracle_rule_output(struct rule *rule, uint32_t port)
{
    struct step step = {.type = STEP_OUTPUT, .port = port};

    rule_add_step(rule, &step);
}

void
oracle_rule_step(struct rule *rule, enum step_type type)
{
    struct step step = {.type = type, .ethertype = 0x8100};

    rule_add_step(rule, &step);
}

void
oracle_rule_set(struct rule *rule, enum step_field field, const void *value,
                size_t len)
{
    struct step step = {.type = STEP_SET, .field = field};

    memcpy(step.value, value, len);
    memset(step.mask, 0xff, len);
    rule_add_step(rule, &step);
}
