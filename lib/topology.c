/* SPDX-License-Identifier: Apache-2.0 */
/* topology - switches, ports and links, as the recorder found them. */
#include <config.h>
#include "lib/topology.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dpid.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

struct topology {
    atomic_uint n_refs;
    uint64_t epoch;
    bool has_clocks;
    size_t n_switches, allocated_switches;
    struct topology_switch *switches; /* Sorted by dpid.  Owned. */
    const struct topology_switch *by_index[TOPOLOGY_MAX_INDEX + 1];
    /* Once built: places in 'switches' + 1, found by dpid, open addressing. */
    size_t n_slots;  /* A power of 2, or 0. */
    uint32_t *slots; /* Owned. */
};

/* Holds the topology that topology_build() gives away. */
struct topology_builder {
    struct topology *t;
};

static size_t
slot_of(const struct topology *t, uint64_t dpid)
{
    return (size_t) (dpid * 0x9e3779b97f4a7c15ULL >> 32) & (t->n_slots - 1);
}

static void
fill_slots(struct topology *t)
{
    t->n_slots = 16;
    while (t->n_slots < t->n_switches * 2) {
        t->n_slots *= 2;
    }
    t->slots = lh_alloc_zero(t->n_slots * sizeof *t->slots);
    for (size_t i = 0; i < t->n_switches; i++) {
        size_t slot = slot_of(t, t->switches[i].dpid);

        while (t->slots[slot]) {
            slot = (slot + 1) & (t->n_slots - 1);
        }
        t->slots[slot] = (uint32_t) i + 1;
    }
}

/* The place of 'dpid' in t->switches, or where it belongs. */
static size_t
switch_place(const struct topology *t, uint64_t dpid)
{
    size_t low = 0, high = t->n_switches;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (t->switches[middle].dpid < dpid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct topology_switch *
find_switch(const struct topology *t, uint64_t dpid)
{
    if (t->n_slots) {
        for (size_t slot = slot_of(t, dpid); t->slots[slot];
             slot = (slot + 1) & (t->n_slots - 1)) {
            if (t->switches[t->slots[slot] - 1].dpid == dpid) {
                return &t->switches[t->slots[slot] - 1];
            }
        }
        return NULL;
    }

    size_t i = switch_place(t, dpid);

    return i < t->n_switches && t->switches[i].dpid == dpid ? &t->switches[i]
                                                            : NULL;
}

/* The place of 'no' in sw->ports, or where it belongs. */
static size_t
port_place(const struct topology_switch *sw, uint32_t no)
{
    size_t low = 0, high = sw->n_ports;

    /* Most switches number their ports without a gap. */
    if (high && no >= sw->ports[0].no && no - sw->ports[0].no < high &&
        sw->ports[no - sw->ports[0].no].no == no) {
        return no - sw->ports[0].no;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (sw->ports[middle].no < no) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct topology_port *
find_port(const struct topology *t, uint64_t dpid, uint32_t no)
{
    const struct topology_switch *sw = find_switch(t, dpid);
    size_t i;

    if (!sw) {
        return NULL;
    }
    i = port_place(sw, no);
    return i < sw->n_ports && sw->ports[i].no == no ? &sw->ports[i] : NULL;
}

static struct topology_switch *
make_switch(struct topology *t, uint64_t dpid)
{
    size_t i = switch_place(t, dpid);

    if (i == t->n_switches || t->switches[i].dpid != dpid) {
        t->switches =
            lh_alloc_grow(t->switches, t->n_switches, &t->allocated_switches,
                          sizeof *t->switches);
        memmove(&t->switches[i + 1], &t->switches[i],
                (t->n_switches - i) * sizeof *t->switches);
        t->switches[i] = (struct topology_switch){.dpid = dpid};
        t->n_switches++;
    }
    return &t->switches[i];
}

static struct topology_port *
make_port(struct topology *t, uint64_t dpid, uint16_t no)
{
    struct topology_switch *sw = make_switch(t, dpid);
    size_t i = port_place(sw, no);

    if (i == sw->n_ports || sw->ports[i].no != no) {
        sw->ports = lh_alloc_grow(sw->ports, sw->n_ports, &sw->allocated_ports,
                                  sizeof *sw->ports);
        memmove(&sw->ports[i + 1], &sw->ports[i],
                (sw->n_ports - i) * sizeof *sw->ports);
        sw->ports[i] = (struct topology_port){.no = no};
        sw->n_ports++;
    }
    return &sw->ports[i];
}

static void
replace(char **old, const char *text)
{
    if (text) {
        free(*old);
        *old = lh_strdup(text);
    }
}

struct topology_builder *
topology_builder_create(void)
{
    struct topology_builder *b = lh_alloc(sizeof *b);

    b->t = lh_alloc_zero(sizeof *b->t);
    atomic_init(&b->t->n_refs, 1);
    return b;
}

void
topology_builder_destroy(struct topology_builder *b)
{
    if (b) {
        topology_unref(b->t);
        free(b);
    }
}

void
topology_builder_add_switch(struct topology_builder *b, uint64_t dpid,
                            const char *name, uint16_t index,
                            const char *address)
{
    struct topology_switch *sw = make_switch(b->t, dpid);

    assert(index <= TOPOLOGY_MAX_INDEX);
    replace(&sw->name, name);
    replace(&sw->address, address);
    if (index) {
        sw->index = index;
    }
}

void
topology_builder_set_clock(struct topology_builder *b, uint64_t dpid,
                           const struct topology_clock *clock)
{
    make_switch(b->t, dpid)->clock = *clock;
    b->t->has_clocks |= clock->is_told;
}

bool
topology_has_clocks(const struct topology *t)
{
    return t->has_clocks;
}

void
topology_builder_add_port(struct topology_builder *b, uint64_t dpid,
                          uint16_t no, const char *name, bool edge)
{
    struct topology_port *port = make_port(b->t, dpid, no);

    replace(&port->name, name);
    port->edge = edge;
}

void
topology_builder_set_port_down(struct topology_builder *b, uint64_t dpid,
                               uint16_t no, bool down)
{
    make_port(b->t, dpid, no)->down = down;
}

/* Takes away the link at 'port', at both its ends. */
static void
unlink_port(struct topology *t, struct topology_port *port)
{
    if (port->has_peer) {
        find_port(t, port->peer_dpid, port->peer_port)->has_peer = false;
        port->has_peer = false;
    }
}

/* Makes the half of a link that leads from 'port'. */
static void
point_to(struct topology_port *port, uint64_t peer_dpid, uint16_t peer_port)
{
    port->has_peer = true;
    port->peer_dpid = peer_dpid;
    port->peer_port = peer_port;
    port->edge = false;
}

void
topology_builder_add_link(struct topology_builder *b, uint64_t a_dpid,
                          uint16_t a_port, uint64_t b_dpid, uint16_t b_port)
{
    if (a_dpid == b_dpid && a_port == b_port) {
        return;
    }
    unlink_port(b->t, make_port(b->t, a_dpid, a_port));
    unlink_port(b->t, make_port(b->t, b_dpid, b_port));
    point_to(find_port(b->t, a_dpid, a_port), b_dpid, b_port);
    point_to(find_port(b->t, b_dpid, b_port), a_dpid, a_port);
}

const struct topology *
topology_builder_peek(const struct topology_builder *b)
{
    return b->t;
}

struct topology *
topology_build(struct topology_builder *b, uint64_t epoch)
{
    struct topology *t = b->t;

    free(b);
    t->epoch = epoch;
    for (size_t i = 0; i < t->n_switches; i++) {
        struct topology_switch *sw = &t->switches[i];

        t->by_index[sw->index] = sw;
        for (size_t j = 0; j < sw->n_ports; j++) {
            sw->ports[j].edge &= !sw->ports[j].has_peer;
        }
    }
    t->by_index[0] = NULL;
    fill_slots(t);
    return t;
}

struct topology *
topology_ref(const struct topology *t_)
{
    struct topology *t = (struct topology *) t_;

    if (t) {
        atomic_fetch_add_explicit(&t->n_refs, 1, memory_order_relaxed);
    }
    return t;
}

void
topology_unref(struct topology *t)
{
    if (!t ||
        atomic_fetch_sub_explicit(&t->n_refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    for (size_t i = 0; i < t->n_switches; i++) {
        struct topology_switch *sw = &t->switches[i];

        for (size_t j = 0; j < sw->n_ports; j++) {
            free(sw->ports[j].name);
        }
        free(sw->ports);
        free(sw->name);
        free(sw->address);
    }
    free(t->switches);
    free(t->slots);
    free(t);
}

uint64_t
topology_epoch(const struct topology *t)
{
    return t->epoch;
}

size_t
topology_n_switches(const struct topology *t)
{
    return t->n_switches;
}

const struct topology_switch *
topology_switch_at(const struct topology *t, size_t i)
{
    assert(i < t->n_switches);
    return &t->switches[i];
}

const struct topology_switch *
topology_find(const struct topology *t, uint64_t dpid)
{
    return find_switch(t, dpid);
}

const struct topology_switch *
topology_find_name(const struct topology *t, const char *name)
{
    for (size_t i = 0; i < t->n_switches; i++) {
        const struct topology_switch *sw = &t->switches[i];

        if (sw->name && !strcmp(sw->name, name)) {
            return sw;
        }
    }
    return NULL;
}

const struct topology_switch *
topology_find_index(const struct topology *t, uint16_t index)
{
    return index <= TOPOLOGY_MAX_INDEX ? t->by_index[index] : NULL;
}

const struct topology_port *
topology_port(const struct topology *t, uint64_t dpid, uint32_t port)
{
    return find_port(t, dpid, port);
}

bool
topology_peer(const struct topology *t, uint64_t dpid, uint32_t port,
              uint64_t *peer_dpid, uint32_t *peer_port)
{
    const struct topology_port *p = find_port(t, dpid, port);

    if (!p || !p->has_peer) {
        return false;
    }
    *peer_dpid = p->peer_dpid;
    *peer_port = p->peer_port;
    return true;
}

bool
topology_is_edge(const struct topology *t, uint64_t dpid, uint32_t port)
{
    const struct topology_port *p;

    if (port == OF_PORT_LOCAL) {
        return true;
    }
    p = find_port(t, dpid, port);
    return p && p->edge;
}

const char *
topology_switch_text(const struct topology *topology, uint64_t dpid,
                     char buf[DPID_BUFSIZE])
{
    const struct topology_switch *sw =
        topology ? find_switch(topology, dpid) : NULL;

    return sw && sw->name ? sw->name : dpid_to_string(dpid, buf);
}

bool
topology_port_by_name(const struct topology *t, uint64_t dpid,
                      const char *name, uint32_t *portp)
{
    const struct topology_switch *sw = find_switch(t, dpid);

    for (size_t i = 0; sw && i < sw->n_ports; i++) {
        if (sw->ports[i].name && !strcmp(sw->ports[i].name, name)) {
            *portp = sw->ports[i].no;
            return true;
        }
    }
    return false;
}
