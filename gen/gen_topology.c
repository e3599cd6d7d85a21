/* SPDX-License-Identifier: Apache-2.0 */
/* gen_topology - networks by name. */
#include <config.h>
#include "gen/gen_topology.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

/* More postcards of one packet than a server keeps together help nobody. */
#define MAX_LINE 500

/* A network while it is made. */
struct plan {
    struct topology_builder *builder;
    unsigned int n_switches, n_hosts;
    uint16_t n_ports[GEN_TOPOLOGY_MAX_SWITCHES + 1]; /* By dpid. */
};

static uint64_t
add_switch(struct plan *plan, bool has_hosts)
{
    uint64_t dpid = ++plan->n_switches;
    char name[16], address[32];

    snprintf(name, sizeof name, "s%u", plan->n_switches);
    if (dpid < 255) {
        snprintf(address, sizeof address, "192.0.2.%u", plan->n_switches);
    } else {
        snprintf(address, sizeof address, "198.18.%u.%u",
                 plan->n_switches >> 8, plan->n_switches & 255);
    }
    topology_builder_add_switch(plan->builder, dpid, name, (uint16_t) dpid,
                                address);
    if (has_hosts) {
        for (unsigned int i = 0; i < plan->n_hosts; i++) {
            uint16_t no = ++plan->n_ports[dpid];

            snprintf(name, sizeof name, "s%u-h%u", plan->n_switches, no);
            topology_builder_add_port(plan->builder, dpid, no, name, true);
        }
    }
    return dpid;
}

/* Names the port at (dpid, no) by where it leads. */
static void
name_port(struct plan *plan, uint64_t dpid, uint16_t no, uint64_t peer)
{
    char name[40];

    snprintf(name, sizeof name, "s%u-s%u", (unsigned int) dpid,
             (unsigned int) peer);
    topology_builder_add_port(plan->builder, dpid, no, name, false);
}

static void
add_link(struct plan *plan, uint64_t a, uint64_t b)
{
    uint16_t a_port = ++plan->n_ports[a];
    uint16_t b_port = ++plan->n_ports[b];

    name_port(plan, a, a_port, b);
    name_port(plan, b, b_port, a);
    topology_builder_add_link(plan->builder, a, a_port, b, b_port);
}

static void
make_line(struct plan *plan, unsigned int n, bool is_ring)
{
    for (unsigned int i = 0; i < n; i++) {
        add_switch(plan, true);
    }
    for (unsigned int i = 1; i < n; i++) {
        add_link(plan, i, i + 1);
    }
    if (is_ring) {
        add_link(plan, n, 1);
    }
}

/* Switches of a pod: k/2 that reach the core, then k/2 that have hosts. */
static void
make_fat_tree(struct plan *plan, unsigned int k)
{
    unsigned int half = k / 2;

    for (unsigned int i = 0; i < half * half; i++) {
        add_switch(plan, false);
    }
    for (unsigned int pod = 0; pod < k; pod++) {
        uint64_t upper = plan->n_switches + 1, lower = upper + half;

        for (unsigned int i = 0; i < k; i++) {
            add_switch(plan, i >= half);
        }
        for (unsigned int i = 0; i < half; i++) {
            for (unsigned int j = 0; j < half; j++) {
                add_link(plan, upper + i, lower + j);
            }
            for (unsigned int j = 0; j < half; j++) {
                add_link(plan, upper + i, i * half + j + 1);
            }
        }
    }
}

static void
make_leaf_spine(struct plan *plan, unsigned int n_leaves,
                unsigned int n_spines)
{
    for (unsigned int i = 0; i < n_leaves; i++) {
        add_switch(plan, true);
    }
    for (unsigned int i = 0; i < n_spines; i++) {
        uint64_t spine = add_switch(plan, false);

        for (unsigned int k = 0; k < n_leaves; k++) {
            add_link(plan, k + 1, spine);
        }
    }
}

/* A port that is down at each switch. */
static void
add_spares(struct plan *plan)
{
    for (unsigned int dpid = 1; dpid <= plan->n_switches; dpid++) {
        uint16_t no = ++plan->n_ports[dpid];
        char name[32];

        snprintf(name, sizeof name, "s%u-spare", dpid);
        topology_builder_add_port(plan->builder, dpid, no, name, true);
        topology_builder_set_port_down(plan->builder, dpid, no, true);
    }
}

static bool
has_hosts(const struct topology_switch *sw)
{
    for (size_t i = 0; i < sw->n_ports; i++) {
        if (sw->ports[i].edge && !sw->ports[i].down) {
            return true;
        }
    }
    return false;
}

/* Tunnels between the first switches that have hosts. */
static void
add_tunnels(struct topology_builder *builder)
{
    const struct topology *t = topology_builder_peek(builder);
    uint64_t ends[GEN_TOPOLOGY_MAX_TUNNELS];
    size_t n = 0;

    for (size_t i = 0; i < topology_n_switches(t); i++) {
        const struct topology_switch *sw = topology_switch_at(t, i);

        if (n < GEN_TOPOLOGY_MAX_TUNNELS && has_hosts(sw)) {
            ends[n++] = sw->dpid;
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = i + 1; k < n; k++) {
            topology_builder_add_link(
                builder, ends[i], (uint16_t) (GEN_TOPOLOGY_TUNNEL_PORT + k),
                ends[k], (uint16_t) (GEN_TOPOLOGY_TUNNEL_PORT + i));
        }
    }
}

static int
bad(const char *text, const char *why, struct lh_error *error)
{
    lh_error_set(error, "topology \"%s\": %s", text, why);
    return EINVAL;
}

/* Reads "NAME:N" or "NAME:NxM" to the end. */
static bool
scan(const char *text, const char *name, unsigned int *n, unsigned int *m)
{
    size_t len = strlen(name);
    char *end;
    unsigned long value;

    if (strncmp(text, name, len) || text[len] != ':' || text[len + 1] < '0' ||
        text[len + 1] > '9') {
        return false;
    }
    value = strtoul(text + len + 1, &end, 10);
    *n = value < 100000 ? (unsigned int) value : 100000;
    if (m && *end == 'x' && end[1] >= '0' && end[1] <= '9') {
        value = strtoul(end + 1, &end, 10);
        *m = value < 100000 ? (unsigned int) value : 100000;
    } else if (m) {
        return false;
    }
    return !*end;
}

static int
make(struct plan *plan, const char *text,
     const struct gen_topology_options *options, struct lh_error *error)
{
    unsigned int n, m;

    plan->n_hosts = options->n_hosts ? options->n_hosts : 2;
    if (scan(text, "line", &n, NULL)) {
        if (n < 1 || n > MAX_LINE) {
            return bad(text, "from 1 to 500 switches", error);
        }
        make_line(plan, n, false);
    } else if (scan(text, "ring", &n, NULL)) {
        if (n < 3 || n > MAX_LINE) {
            return bad(text, "from 3 to 500 switches", error);
        }
        make_line(plan, n, true);
    } else if (scan(text, "fat-tree", &n, NULL)) {
        if (n < 2 || n > 56 || n % 2) {
            return bad(text, "k must be even, from 2 to 56", error);
        }
        plan->n_hosts = options->n_hosts ? options->n_hosts : n / 2;
        make_fat_tree(plan, n);
    } else if (scan(text, "leaf-spine", &n, &m)) {
        if (n < 1 || m < 1 || n > 2000 || m > 2000) {
            return bad(text, "from 1 to 2000 leaves and spines", error);
        }
        make_leaf_spine(plan, n, m);
    } else {
        return bad(text,
                   "give line:N, ring:N, fat-tree:K, leaf-spine:LxS or a "
                   "topology file (FILE.json)",
                   error);
    }
    add_spares(plan);
    return 0;
}

/* The builder again, for a topology that is read. */
struct topology_builder *
gen_topology_rebuild(const struct topology *t)
{
    struct topology_builder *b = topology_builder_create();

    for (size_t i = 0; i < topology_n_switches(t); i++) {
        const struct topology_switch *sw = topology_switch_at(t, i);

        topology_builder_add_switch(b, sw->dpid, sw->name, sw->index,
                                    sw->address);
        for (size_t k = 0; k < sw->n_ports; k++) {
            const struct topology_port *port = &sw->ports[k];

            topology_builder_add_port(b, sw->dpid, port->no, port->name,
                                      port->edge);
            topology_builder_set_port_down(b, sw->dpid, port->no, port->down);
        }
    }
    for (size_t i = 0; i < topology_n_switches(t); i++) {
        const struct topology_switch *sw = topology_switch_at(t, i);

        for (size_t k = 0; k < sw->n_ports; k++) {
            const struct topology_port *port = &sw->ports[k];

            if (port->has_peer) {
                topology_builder_add_link(b, sw->dpid, port->no,
                                          port->peer_dpid, port->peer_port);
            }
        }
    }
    return b;
}

int
gen_topology_create(const char *text,
                    const struct gen_topology_options *options,
                    struct topology **topologyp, struct lh_error *error)
{
    struct plan *plan;
    int retval;

    *topologyp = NULL;
    if (strchr(text, '.') || strchr(text, '/')) {
        struct topology *t;

        retval = topology_from_file(text, &t, error);
        if (retval || !options->has_tunnels) {
            *topologyp = t;
            return retval;
        }

        struct topology_builder *builder = gen_topology_rebuild(t);

        topology_unref(t);
        add_tunnels(builder);
        *topologyp = topology_build(builder, 1);
        return 0;
    }
    plan = lh_alloc_zero(sizeof *plan);
    plan->builder = topology_builder_create();
    retval = make(plan, text, options, error);
    if (retval) {
        topology_builder_destroy(plan->builder);
    } else {
        if (options->has_tunnels) {
            add_tunnels(plan->builder);
        }
        *topologyp = topology_build(plan->builder, 1);
    }
    free(plan);
    return retval;
}
