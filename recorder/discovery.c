/* SPDX-License-Identifier: Apache-2.0 */
/* discovery - switches in an array sorted by dpid, each with its ports sorted
 * by number; a link is written at both of its ends. */
#include <config.h>

#include "recorder/discovery.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "recorder/lldp.h"

/* Rounds in which a port must stay silent to be an edge. */
#define QUICK_ROUNDS 2

struct port {
    uint16_t no;
    char *name; /* Owned. */
    uint8_t mac[6];
    bool is_down;
    bool is_edge;
    unsigned n_rounds; /* Since it came up, counted up to QUICK_ROUNDS + 1. */
    uint64_t next_ns;  /* Of its next round. */
    bool has_peer;
    uint64_t peer_dpid;
    uint16_t peer_port;
    uint64_t heard_ns; /* Of the link, at both ends alike. */
};

struct lswitch {
    uint64_t dpid;
    char *name;    /* Owned; NULL if unknown. */
    char *address; /* Owned; NULL if unknown. */
    uint16_t index;
    bool is_connected;
    size_t n_ports;
    struct port *ports; /* Owned. */
};

struct discovery {
    uint8_t key[SIPHASH_KEY_LEN];
    const struct discovery_callbacks *callbacks;
    void *aux;
    size_t n_switches, allocated_switches;
    struct lswitch *switches;  /* Owned. */
    struct topology *topology; /* Published last. */
    bool is_changed;           /* Since it was published. */
    struct discovery_counters counters;
};

static struct lswitch *
find_switch(const struct discovery *d, uint64_t dpid)
{
    for (size_t i = 0; i < d->n_switches; i++) {
        if (d->switches[i].dpid == dpid) {
            return &d->switches[i];
        }
    }
    return NULL;
}

static int
compare_no(const void *no, const void *port_)
{
    const struct port *port = port_;
    uint16_t a = *(const uint16_t *) no;

    return a < port->no ? -1 : a > port->no;
}

static struct port *
find_port(const struct lswitch *sw, uint16_t no)
{
    return sw && sw->n_ports ? bsearch(&no, sw->ports, sw->n_ports,
                                       sizeof *sw->ports, compare_no)
                             : NULL;
}

static struct lswitch *
get_switch(struct discovery *d, uint64_t dpid)
{
    struct lswitch *sw = find_switch(d, dpid);
    size_t i;

    if (sw) {
        return sw;
    }
    d->switches = lh_alloc_grow(d->switches, d->n_switches,
                                &d->allocated_switches, sizeof *d->switches);
    for (i = d->n_switches; i > 0 && d->switches[i - 1].dpid > dpid; i--) {
        d->switches[i] = d->switches[i - 1];
    }
    d->n_switches++;
    d->switches[i] = (struct lswitch){.dpid = dpid};
    d->is_changed = true;
    return &d->switches[i];
}

/* Sets '*text' to a copy of 'value' unless that is NULL. */
static void
set_text(struct discovery *d, char **text, const char *value)
{
    if (value && (!*text || strcmp(*text, value))) {
        free(*text);
        *text = lh_strdup(value);
        d->is_changed = true;
    }
}

/* Copies what an earlier run knew. */
static void
load(struct discovery *d, const struct topology *known)
{
    for (size_t i = 0; i < topology_n_switches(known); i++) {
        const struct topology_switch *from = topology_switch_at(known, i);
        struct lswitch *sw = get_switch(d, from->dpid);

        set_text(d, &sw->name, from->name);
        set_text(d, &sw->address, from->address);
        sw->index = from->index;
        sw->n_ports = from->n_ports;
        sw->ports = lh_alloc_zero(sw->n_ports * sizeof *sw->ports);
        for (size_t j = 0; j < sw->n_ports; j++) {
            const struct topology_port *p = &from->ports[j];

            sw->ports[j] = (struct port){
                .no = p->no,
                .name = lh_strdup(p->name),
                .is_down = p->down,
                .is_edge = p->edge,
                .has_peer = p->has_peer,
                .peer_dpid = p->peer_dpid,
                .peer_port = p->peer_port,
            };
        }
    }
    d->is_changed = false;
}

static void
publish(struct discovery *d)
{
    struct topology_builder *b;
    uint64_t epoch = d->topology ? topology_epoch(d->topology) : 0;

    if (!d->is_changed) {
        return;
    }
    d->is_changed = false;
    b = topology_builder_create();
    for (size_t i = 0; i < d->n_switches; i++) {
        const struct lswitch *sw = &d->switches[i];

        topology_builder_add_switch(b, sw->dpid, sw->name, sw->index,
                                    sw->address);
        for (size_t j = 0; j < sw->n_ports; j++) {
            const struct port *p = &sw->ports[j];

            topology_builder_add_port(b, sw->dpid, p->no, p->name, p->is_edge);
            topology_builder_set_port_down(b, sw->dpid, p->no, p->is_down);
            if (p->has_peer) {
                topology_builder_add_link(b, sw->dpid, p->no, p->peer_dpid,
                                          p->peer_port);
            }
        }
    }
    topology_unref(d->topology);
    d->topology = topology_build(b, epoch + 1);
    d->callbacks->changed(d->aux, d->topology);
}

struct discovery *
discovery_create(const uint8_t key[SIPHASH_KEY_LEN],
                 const struct topology *known,
                 const struct discovery_callbacks *callbacks, void *aux)
{
    struct discovery *d = lh_alloc_zero(sizeof *d);

    memcpy(d->key, key, SIPHASH_KEY_LEN);
    d->callbacks = callbacks;
    d->aux = aux;
    if (known) {
        d->topology = topology_ref(known);
        load(d, known);
    } else {
        d->topology = topology_build(topology_builder_create(), 0);
    }
    return d;
}

static void
free_ports(struct port *ports, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(ports[i].name);
    }
    free(ports);
}

void
discovery_destroy(struct discovery *d)
{
    if (!d) {
        return;
    }
    for (size_t i = 0; i < d->n_switches; i++) {
        free(d->switches[i].name);
        free(d->switches[i].address);
        free_ports(d->switches[i].ports, d->switches[i].n_ports);
    }
    free(d->switches);
    topology_unref(d->topology);
    free(d);
}

/* Ends the link at 'p' of 'sw', at both ends; their ports are to be looked at
 * anew. */
static void
unlink_port(struct discovery *d, struct lswitch *sw, struct port *p)
{
    struct port *peer;

    if (!p->has_peer) {
        return;
    }
    d->callbacks->link(d->aux, false, sw->dpid, p->no, p->peer_dpid,
                       p->peer_port);
    peer = find_port(find_switch(d, p->peer_dpid), p->peer_port);
    if (peer && peer->has_peer && peer->peer_dpid == sw->dpid &&
        peer->peer_port == p->no) {
        peer->has_peer = false;
        peer->n_rounds = 0;
    }
    p->has_peer = false;
    p->n_rounds = 0;
    d->is_changed = true;
}

static void
link_ports(struct discovery *d, struct lswitch *a, struct port *ap,
           struct lswitch *b, struct port *bp, uint64_t now_ns)
{
    if (ap->has_peer && ap->peer_dpid == b->dpid && ap->peer_port == bp->no) {
        ap->heard_ns = bp->heard_ns = now_ns;
        return;
    }
    /* On a shared segment a port hears several; the first one stays. */
    if ((ap->has_peer && now_ns - ap->heard_ns < DISCOVERY_ROUND_NS * 2) ||
        (bp->has_peer && now_ns - bp->heard_ns < DISCOVERY_ROUND_NS * 2)) {
        d->counters.ambiguous++;
        return;
    }
    unlink_port(d, a, ap);
    unlink_port(d, b, bp);
    ap->has_peer = bp->has_peer = true;
    ap->peer_dpid = b->dpid;
    ap->peer_port = bp->no;
    bp->peer_dpid = a->dpid;
    bp->peer_port = ap->no;
    ap->heard_ns = bp->heard_ns = now_ns;
    ap->is_edge = bp->is_edge = false;
    d->is_changed = true;
    d->callbacks->link(d->aux, true, a->dpid, ap->no, b->dpid, bp->no);
}

/* A port of a connected switch that is up: its rounds begin. */
static void
begin_rounds(struct port *p, uint64_t now_ns)
{
    p->n_rounds = 0;
    p->next_ns = now_ns;
    p->heard_ns = now_ns;
}

void
discovery_connected(struct discovery *d, uint64_t dpid, const char *name,
                    uint16_t index, const char *address, uint64_t now_ns)
{
    struct lswitch *sw = get_switch(d, dpid);

    set_text(d, &sw->name, name);
    set_text(d, &sw->address, address);
    if (sw->index != index) {
        sw->index = index;
        d->is_changed = true;
    }
    if (!sw->is_connected) {
        sw->is_connected = true;
        for (size_t i = 0; i < sw->n_ports; i++) {
            struct port *p = &sw->ports[i], *peer = NULL;

            begin_rounds(p, now_ns);
            if (p->has_peer) {
                peer = find_port(find_switch(d, p->peer_dpid), p->peer_port);
            }
            if (peer) {
                peer->heard_ns = now_ns;
            }
        }
    }
    publish(d);
}

void
discovery_disconnected(struct discovery *d, uint64_t dpid)
{
    struct lswitch *sw = find_switch(d, dpid);

    if (sw) {
        sw->is_connected = false;
    }
}

/* Sets '*p', which may be new, to what the switch says. */
static void
update_port(struct discovery *d, struct lswitch *sw, struct port *p,
            const struct discovery_port *from, uint64_t now_ns)
{
    set_text(d, &p->name, from->name);
    memcpy(p->mac, from->mac, 6);
    if (p->is_down != from->is_down) {
        p->is_down = from->is_down;
        d->is_changed = true;
        unlink_port(d, sw, p);
        begin_rounds(p, now_ns);
    }
    if (p->no == OF_PORT_LOCAL && !p->is_edge) {
        p->is_edge = true;
        d->is_changed = true;
    }
}

void
discovery_ports(struct discovery *d, uint64_t dpid,
                const struct discovery_port *from, size_t n, uint64_t now_ns)
{
    struct lswitch *sw = get_switch(d, dpid);
    struct port *ports = lh_alloc_zero(n * sizeof *ports);

    /* Ports that are gone lose their links while both ends still stand. */
    for (size_t i = 0, j = 0; i < sw->n_ports; i++) {
        while (j < n && from[j].no < sw->ports[i].no) {
            j++;
        }
        if (j == n || from[j].no != sw->ports[i].no) {
            unlink_port(d, sw, &sw->ports[i]);
            d->is_changed = true;
        }
    }
    for (size_t j = 0; j < n; j++) {
        struct port *old = find_port(sw, from[j].no);

        assert(!j || from[j - 1].no < from[j].no);

        if (old) {
            ports[j] = *old;
            old->name = NULL;
        } else {
            ports[j].no = from[j].no;
            begin_rounds(&ports[j], now_ns);
            d->is_changed = true;
        }
    }
    free_ports(sw->ports, sw->n_ports);
    sw->ports = ports;
    sw->n_ports = n;
    for (size_t j = 0; j < n; j++) {
        update_port(d, sw, &ports[j], &from[j], now_ns);
    }
    publish(d);
}

void
discovery_frame(struct discovery *d, uint64_t dpid, uint16_t in_port,
                const uint8_t *frame, size_t len, uint64_t now_ns)
{
    struct lldp lldp;
    struct lswitch *a, *b;
    struct port *ap, *bp;

    d->counters.heard++;
    switch (lldp_decode(frame, len, d->key, &lldp)) {
    case LLDP_MALFORMED:
        d->counters.malformed++;
        return;
    case LLDP_FORGED:
        d->counters.forged++;
        return;
    case LLDP_OK:
        break;
    }
    if (now_ns > lldp.time_ns + DISCOVERY_MAX_AGE_NS) {
        d->counters.late++;
        return;
    }
    a = find_switch(d, lldp.dpid);
    ap = find_port(a, lldp.port);
    b = find_switch(d, dpid);
    bp = find_port(b, in_port);
    if (!ap || !bp || ap == bp) {
        d->counters.unknown++;
        return;
    }
    link_ports(d, a, ap, b, bp, now_ns);
    publish(d);
}

static void
send_frame(struct discovery *d, const struct lswitch *sw, const struct port *p,
           uint64_t now_ns)
{
    struct lldp lldp = {sw->dpid, p->no, now_ns};
    uint8_t frame[LLDP_FRAME_LEN];

    lldp_encode(&lldp, p->mac, d->key, frame);
    d->counters.sent++;
    d->callbacks->send(d->aux, sw->dpid, p->no, frame, sizeof frame);
}

/* True when the port has rounds at all. */
static bool
has_rounds(const struct lswitch *sw, const struct port *p)
{
    return sw->is_connected && !p->is_down && p->no < OF_PORT_LOCAL;
}

static void
run_port(struct discovery *d, struct lswitch *sw, struct port *p,
         uint64_t now_ns)
{
    if (p->has_peer && now_ns - p->heard_ns >= DISCOVERY_TIMEOUT_NS) {
        const struct lswitch *peer = find_switch(d, p->peer_dpid);

        if (peer && peer->is_connected) {
            unlink_port(d, sw, p);
        }
    }
    if (p->next_ns > now_ns) {
        return;
    }
    if (p->n_rounds >= QUICK_ROUNDS && !p->has_peer && !p->is_edge) {
        p->is_edge = true;
        d->is_changed = true;
    }
    send_frame(d, sw, p, now_ns);
    if (p->n_rounds <= QUICK_ROUNDS) {
        p->n_rounds++;
    }
    p->next_ns = now_ns + (p->n_rounds <= QUICK_ROUNDS ? DISCOVERY_QUICK_NS
                                                       : DISCOVERY_ROUND_NS);
}

void
discovery_run(struct discovery *d, uint64_t now_ns)
{
    for (size_t i = 0; i < d->n_switches; i++) {
        struct lswitch *sw = &d->switches[i];

        for (size_t j = 0; j < sw->n_ports; j++) {
            if (has_rounds(sw, &sw->ports[j])) {
                run_port(d, sw, &sw->ports[j], now_ns);
            }
        }
    }
    publish(d);
}

uint64_t
discovery_next_ns(const struct discovery *d)
{
    uint64_t next_ns = UINT64_MAX;

    for (size_t i = 0; i < d->n_switches; i++) {
        const struct lswitch *sw = &d->switches[i];

        for (size_t j = 0; j < sw->n_ports; j++) {
            const struct port *p = &sw->ports[j];

            if (has_rounds(sw, p) && p->next_ns < next_ns) {
                next_ns = p->next_ns;
            }
        }
    }
    return next_ns;
}

const struct topology *
discovery_topology(const struct discovery *d)
{
    return d->topology;
}

const struct discovery_counters *
discovery_counters(const struct discovery *d)
{
    return &d->counters;
}
