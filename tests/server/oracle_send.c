/* SPDX-License-Identifier: Apache-2.0 */
/* oracle_send - moves a made-up packet as switches do. */
#include <config.h>
#include "tests/server/oracle_net.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "tests/lib/frame.h"

#define SNAP        96
#define MAX_VISITS  300
#define LOOP_VISITS 24

/* A packet on its way into a switch. */
struct arrival {
    uint64_t dpid;
    uint32_t in_port;
    int parent; /* True hop, -1 at the start. */
    bool is_packet_out;
    uint32_t via;
    uint64_t time_ns;
    size_t len;
    uint8_t bytes[SNAP];
};

struct run {
    struct oracle_packet *packet;
    struct oracle_flow *flow;
    uint64_t id;
    size_t n_arrivals;
    uint32_t via; /* Of the rule that sends now. */
    struct arrival arrivals[MAX_VISITS];
};

/* What became of a visit's outputs. */
struct outcome {
    bool has_gone_on, is_punted, has_lost;
    size_t n_left;
    uint32_t left_port, lost_port;
    const char *dead;
};

static void
add_card(struct run *run, const struct arrival *at, int hop,
         const struct rule *rule, uint32_t out_port, const uint8_t *bytes,
         size_t len, size_t n_before)
{
    struct oracle_packet *packet = run->packet;
    struct oracle_card *card;

    packet->cards =
        lh_alloc_grow(packet->cards, packet->n_cards, &packet->allocated_cards,
                      sizeof *packet->cards);
    card = &packet->cards[packet->n_cards++];
    *card = (struct oracle_card){.hop = hop};
    card->p = (struct postcard){
        .dpid = at->dpid,
        .packet_id = run->id,
        .has_id = true,
        .time_ns = at->time_ns + n_before,
        .version = rule->version,
        .version_bits = 32,
        .in_port = at->in_port,
        .out_port = out_port,
        .flags = rule->kind == RULE_PACKET_OUT ? POSTCARD_PACKET_OUT : 0,
        .caplen = (uint16_t) len,
        .header = lh_memdup(bytes, len),
    };
}

static void
arrive(struct run *run, uint64_t dpid, uint32_t in_port, int parent,
       uint64_t time_ns, const uint8_t *bytes, size_t len)
{
    struct arrival *next;

    assert(run->n_arrivals < MAX_VISITS);
    next = &run->arrivals[run->n_arrivals++];
    *next = (struct arrival){
        .dpid = dpid,
        .in_port = in_port,
        .parent = parent,
        .via = run->via,
        .time_ns =
            time_ns + 20000 + oracle_pick(&run->flow->net->random, 30000),
        .len = len,
    };
    memcpy(next->bytes, bytes, len);
}

/* Sends a copy out of a real port, the input port or another. */
static void
send_out(struct run *run, const struct arrival *at, int hop, uint32_t port,
         const uint8_t *bytes, size_t len, struct outcome *outcome)
{
    const struct oracle_flow *flow = run->flow;
    const struct topology_port *p =
        topology_port(flow->net->topology, at->dpid, port);

    if (!p) {
        outcome->dead = "output to a port that is not there";
    } else if (p->down) {
        outcome->dead = "output to a port that is down";
    } else if (p->edge) {
        outcome->n_left++;
        outcome->left_port = port;
    } else if ((at->dpid == flow->lossy_dpid && port == flow->lossy_port) ||
               (flow->kind == ORACLE_LOOP &&
                run->packet->truth->n_hops >= LOOP_VISITS)) {
        outcome->has_lost = true;
        outcome->lost_port = port;
    } else {
        outcome->has_gone_on = true;
        arrive(run, p->peer_dpid, p->peer_port, hop, at->time_ns, bytes, len);
    }
}

/* The same for an output that names the port. */
static void
leave(struct run *run, const struct arrival *at, int hop, uint32_t port,
      const uint8_t *bytes, size_t len, struct outcome *outcome)
{
    if (port == at->in_port && !at->is_packet_out) {
        outcome->dead = "output to the input port";
    } else {
        send_out(run, at, hop, port, bytes, len, outcome);
    }
}

static void
flood(struct run *run, const struct arrival *at, int hop, const uint8_t *bytes,
      size_t len, struct outcome *outcome)
{
    const struct topology_switch *sw =
        topology_find(run->flow->net->topology, at->dpid);

    for (size_t i = 0; i < sw->n_ports; i++) {
        if (sw->ports[i].no != at->in_port && !sw->ports[i].down) {
            leave(run, at, hop, sw->ports[i].no, bytes, len, outcome);
            if (sw->ports[i].has_peer) {
                history_hop_add_branch(&run->packet->truth->hops[hop],
                                       sw->ports[i].no);
            }
        }
    }
}

/* One rule; false when nothing comes after it. */
static bool
meet_rule(struct run *run, struct arrival *at, int hop,
          const struct rule *rule, size_t *n_cards, struct outcome *outcome)
{
    uint32_t ports[64];
    size_t n = rule_outputs(rule, ports, 64);
    uint8_t in[SNAP], out[SNAP];
    size_t in_len = at->len, len;

    run->via = rule->version;
    memcpy(in, at->bytes, in_len);
    if (n || !rule->is_transit) {
        history_hop_add_version(&run->packet->truth->hops[hop], rule->version);
    }
    if (!n && !rule->is_transit) {
        add_card(run, at, hop, rule, OF_PORT_NONE, in, in_len, (*n_cards)++);
    }
    for (size_t i = 0; i < n; i++) {
        add_card(run, at, hop, rule, ports[i], in, in_len, (*n_cards)++);
        if (ports[i] != OF_PORT_TABLE) {
            history_hop_add_out(&run->packet->truth->hops[hop], ports[i]);
        }
        if (rule_apply(rule, i, in, in_len, out, sizeof out, &len) ==
            RULE_APPLY_TTL) {
            outcome->dead = "ttl expired";
            continue;
        }
        if (ports[i] == OF_PORT_CONTROLLER) {
            outcome->is_punted = true;
        } else if (ports[i] == OF_PORT_FLOOD) {
            flood(run, at, hop, out, len, outcome);
        } else if (ports[i] == OF_PORT_IN_PORT) {
            send_out(run, at, hop, at->in_port, out, len, outcome);
        } else if (ports[i] != OF_PORT_TABLE) {
            leave(run, at, hop, ports[i], out, len, outcome);
        }
    }
    if (rule_apply(rule, SIZE_MAX, in, in_len, at->bytes, sizeof at->bytes,
                   &at->len) != RULE_APPLY_OK) {
        return false;
    }
    return true;
}

/* True when an ancestor of the hop is at the same (switch, in_port). */
static bool
is_looped(const struct history *h, int hop)
{
    for (int i = hop; i >= 0; i = h->hops[i].parent) {
        for (int k = h->hops[i].parent; k >= 0; k = h->hops[k].parent) {
            if (h->hops[k].dpid == h->hops[i].dpid &&
                h->hops[k].in_port == h->hops[i].in_port &&
                !h->hops[k].is_packet_out && !h->hops[i].is_packet_out) {
                return true;
            }
        }
    }
    return false;
}

static void
judge(struct run *run, const struct arrival *at, int hop,
      const struct rule *last, const struct outcome *outcome)
{
    struct verdict *v = &run->packet->truth->hops[hop].verdict;

    if (outcome->has_lost) {
        verdict_set(v, VERDICT_LOST, at->dpid, outcome->lost_port, NULL);
    } else if (outcome->has_gone_on) {
        return;
    } else if (outcome->n_left) {
        verdict_set(
            v, VERDICT_DELIVERED, at->dpid,
            outcome->n_left == 1 ? outcome->left_port : OF_PORT_UNKNOWN, NULL);
    } else if (outcome->is_punted) {
        verdict_set(v, VERDICT_CONTROLLER, at->dpid, OF_PORT_CONTROLLER, NULL);
    } else {
        verdict_set(v, VERDICT_DROPPED, at->dpid, OF_PORT_UNKNOWN,
                    outcome->dead             ? outcome->dead
                    : last->kind == RULE_MISS ? "table miss"
                                              : "no output");
        v->has_version = true;
        v->version = last->version;
    }
    if (is_looped(run->packet->truth, hop)) {
        v->name = VERDICT_LOOPED;
    }
}

/* The packet-out that answers hop 'hop'. */
static void
answer(struct run *run, const struct arrival *at, int hop)
{
    struct arrival *next;

    arrive(run, at->dpid, at->in_port, hop, at->time_ns + 300000, at->bytes,
           at->len);
    next = &run->arrivals[run->n_arrivals - 1];
    next->is_packet_out = true;
}

static void
meet_switch(struct run *run, struct arrival *at)
{
    struct oracle_flow *flow = run->flow;
    const struct oracle_entry *entry;
    struct history *truth = run->packet->truth;
    struct history_hop *hop = history_add_hop(truth);
    int n = (int) truth->n_hops - 1;
    struct oracle_packet *packet = run->packet;
    struct outcome outcome = {0};
    const struct rule *last = NULL;
    size_t n_cards = 0;

    packet->via = lh_alloc_grow(packet->via, (size_t) n,
                                &packet->allocated_via, sizeof *packet->via);
    packet->via[n] = at->via;
    hop->parent = at->parent;
    hop->dpid = at->dpid;
    hop->in_port = at->in_port;
    hop->is_packet_out = at->is_packet_out;
    hop->time_ns = at->time_ns;
    history_hop_set_header(hop, at->bytes, at->len);
    entry = oracle_flow_find(flow, at->dpid, at->in_port);
    if (at->is_packet_out) {
        last = flow->packet_out;
        meet_rule(run, at, n, last, &n_cards, &outcome);
        entry = &flow->after_packet_out;
    }
    assert(entry);
    for (size_t i = 0; i < entry->n_rules; i++) {
        last = entry->rules[i];
        if (!meet_rule(run, at, n, last, &n_cards, &outcome)) {
            break;
        }
    }
    if (outcome.is_punted && flow->packet_out) {
        outcome.has_gone_on = true;
        answer(run, at, n);
    }
    judge(run, at, n, last, &outcome);
}

struct oracle_packet *
oracle_send(struct oracle_flow *flow, uint64_t id, uint64_t time_ns,
            uint32_t variant)
{
    struct oracle_packet *packet = lh_alloc_zero(sizeof *packet);
    struct run *run = lh_alloc_zero(sizeof *run);
    struct frame f = frame_eth(HDR_ETH_IP4);
    char src[32];

    snprintf(src, sizeof src, "10.%u.%u.1", variant >> 8 & 255, variant & 255);
    frame_ip4(&f, HDR_IP_UDP, flow->ttl, src, "10.0.0.2");
    frame_udp(&f, (uint16_t) (1024 + variant % 60000), 53);
    frame_text(&f, "what a packet carries");
    frame_finish(&f);
    assert(f.len <= SNAP);
    packet->truth = history_create(id);
    packet->flow = flow;
    run->packet = packet;
    run->flow = flow;
    run->id = id;
    arrive(run, flow->dpid, flow->port, -1, time_ns, f.data, f.len);
    for (size_t i = 0; i < run->n_arrivals; i++) {
        struct arrival at = run->arrivals[i];

        meet_switch(run, &at);
    }
    history_settle(packet->truth);
    free(run);
    return packet;
}

void
oracle_packet_destroy(struct oracle_packet *packet)
{
    if (packet) {
        for (size_t i = 0; i < packet->n_cards; i++) {
            free((uint8_t *) packet->cards[i].p.header);
        }
        free(packet->cards);
        free(packet->via);
        history_destroy(packet->truth);
        free(packet);
    }
}

void
oracle_packet_double(struct oracle_packet *packet, struct oracle_random *r,
                     uint32_t percent)
{
    size_t n = packet->n_cards;

    for (size_t i = 0; i < n; i++) {
        struct oracle_card *card;

        if (!oracle_chance(r, percent)) {
            continue;
        }
        packet->cards =
            lh_alloc_grow(packet->cards, packet->n_cards,
                          &packet->allocated_cards, sizeof *packet->cards);
        card = &packet->cards[packet->n_cards++];
        *card = packet->cards[i];
        card->p.header = lh_memdup(card->p.header, card->p.caplen);
        card->p.time_ns += 1 + oracle_pick(r, 200000);
        card->is_double = true;
    }
}

void
oracle_packet_blind(struct oracle_packet *packet)
{
    for (size_t i = 0; i < packet->n_cards; i++) {
        struct postcard *p = &packet->cards[i].p;

        p->in_port = OF_PORT_UNKNOWN;
        p->flags = 0;
        memset((uint8_t *) p->header, 0, 6);
    }
}

void
oracle_packet_lose(struct oracle_packet *packet, struct oracle_random *r,
                   uint32_t percent)
{
    for (size_t i = 0; i < packet->n_cards; i++) {
        packet->cards[i].is_lost = oracle_chance(r, percent);
    }
}
