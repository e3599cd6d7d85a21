/* SPDX-License-Identifier: Apache-2.0 */
/* tree - breadth first from the root, each level in order of dpids. */
#include <config.h>

#include "recorder/tree.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/topology.h"

#define NOT_REACHED UINT32_MAX

struct tree {
    size_t n;
    struct tree_switch *switches; /* Sorted.  Owned. */
};

static struct tree_switch *
find(const struct tree *t, uint64_t dpid)
{
    size_t lo = 0, hi = t->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (t->switches[mid].dpid == dpid) {
            return &t->switches[mid];
        } else if (t->switches[mid].dpid < dpid) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return NULL;
}

/* A link by which a child may send to 'from', whose port 'p' is. */
static bool
is_usable(const struct topology *topology, const struct topology_port *p)
{
    const struct topology_port *peer;

    if (!p->has_peer || p->down || !p->no || p->no >= OF_PORT_LOCAL) {
        return false;
    }
    peer = topology_port(topology, p->peer_dpid, p->peer_port);
    return peer && !peer->down && peer->no && peer->no < OF_PORT_LOCAL;
}

static void
add_child(struct tree_switch *from, const struct topology_port *p,
          struct tree_switch *child)
{
    child->depth = from->depth + 1;
    child->parent = from->dpid;
    child->up = p->peer_port;
    from->down =
        lh_alloc_array(from->down, from->n_down + 1, sizeof *from->down);
    from->down[from->n_down++] = p->no;
}

/* Adds the neighbours of the switches at 'depth'; false: there are none. */
static bool
grow(struct tree *t, const struct topology *topology, unsigned int depth)
{
    bool has_grown = false;

    for (size_t i = 0; i < t->n; i++) {
        struct tree_switch *from = &t->switches[i];
        const struct topology_switch *sw;

        if (from->depth != depth) {
            continue;
        }
        sw = topology_find(topology, from->dpid);
        for (size_t j = 0; j < sw->n_ports; j++) {
            struct tree_switch *child = find(t, sw->ports[j].peer_dpid);

            if (child && child->depth == NOT_REACHED &&
                is_usable(topology, &sw->ports[j])) {
                add_child(from, &sw->ports[j], child);
                has_grown = true;
            }
        }
    }
    return has_grown;
}

/* Leaves out those that were not reached. */
static void
prune(struct tree *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n; i++) {
        if (t->switches[i].depth != NOT_REACHED) {
            t->switches[n++] = t->switches[i];
        }
    }
    t->n = n;
}

struct tree *
tree_create(const struct topology *topology, uint64_t root, tree_takes *takes,
            void *aux)
{
    struct tree *t = lh_alloc_zero(sizeof *t);
    size_t n = topology_n_switches(topology);
    struct tree_switch *at_root;

    t->switches = lh_alloc_zero((n + !n) * sizeof *t->switches);
    for (size_t i = 0; i < n; i++) {
        uint64_t dpid = topology_switch_at(topology, i)->dpid;

        if (!takes || takes(aux, dpid)) {
            t->switches[t->n++] =
                (struct tree_switch){.dpid = dpid, .depth = NOT_REACHED};
        }
    }
    at_root = find(t, root);
    if (at_root) {
        unsigned int depth = 0;

        at_root->depth = 0;
        while (grow(t, topology, depth)) {
            depth++;
        }
    }
    prune(t);
    return t;
}

void
tree_destroy(struct tree *t)
{
    if (t) {
        for (size_t i = 0; i < t->n; i++) {
            free(t->switches[i].down);
        }
        free(t->switches);
        free(t);
    }
}

size_t
tree_n_switches(const struct tree *t)
{
    return t->n;
}

const struct tree_switch *
tree_switch_at(const struct tree *t, size_t i)
{
    return &t->switches[i];
}

const struct tree_switch *
tree_find(const struct tree *t, uint64_t dpid)
{
    return find(t, dpid);
}

bool
tree_switch_has_down(const struct tree_switch *sw, uint16_t down)
{
    for (size_t i = 0; i < sw->n_down; i++) {
        if (sw->down[i] == down) {
            return true;
        }
    }
    return false;
}

bool
tree_switch_equal(const struct tree_switch *a, const struct tree_switch *b)
{
    return a->up == b->up && a->n_down == b->n_down &&
           (!a->n_down ||
            !memcmp(a->down, b->down, a->n_down * sizeof *a->down));
}
