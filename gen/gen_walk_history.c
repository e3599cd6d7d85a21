/* SPDX-License-Identifier: Apache-2.0 */
/* gen_walk_history - the history of a walk, as it was. */
#include <config.h>

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/gen_walk.h"
#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

/* A history while it is written. */
struct truth {
    const struct gen_walk *walk;
    struct history *history;
    uint16_t snap;
    int *hop_of;     /* By visit.  Owned. */
    bool *is_looped; /* By visit.  Owned. */
};

static uint16_t
cut(const struct truth *t, uint32_t len)
{
    return (uint16_t) (len < t->snap ? len : t->snap);
}

/* True when the packet was at this (switch, in_port) before. */
static bool
find_loop(const struct gen_walk *walk, const struct gen_visit *visit)
{
    if (visit->is_packet_out) {
        return false;
    }
    for (int i = visit->parent; i >= 0; i = walk->visits[i].parent) {
        const struct gen_visit *other = &walk->visits[i];

        if (other->sw == visit->sw && other->in_port == visit->in_port &&
            !other->is_packet_out) {
            return true;
        }
    }
    return false;
}

static void
fill_ports(const struct truth *t, uint32_t v, struct history_hop *hop)
{
    const struct gen_visit *visit = &t->walk->visits[v];
    bool has_flood = false;

    for (uint32_t i = 0; i < visit->n_cards; i++) {
        const struct gen_card *card = &t->walk->cards[visit->first_card + i];

        history_hop_add_version(hop, card->rule->version);
        if (card->out_port != OF_PORT_NONE &&
            card->out_port != OF_PORT_TABLE) {
            history_hop_add_out(hop, card->out_port);
        }
        has_flood = has_flood || card->out_port == OF_PORT_FLOOD;
    }
    for (size_t i = v + 1; has_flood && i < t->walk->n_visits; i++) {
        if (t->walk->visits[i].parent == (int) v) {
            history_hop_add_branch(hop, t->walk->visits[i].via_port);
        }
    }
}

/* Sets the header as it left, when it left the same by every output. */
static void
fill_header_out(const struct truth *t, const struct gen_visit *visit,
                struct history_hop *hop)
{
    uint8_t first[GEN_WALK_MAX_SNAP + GEN_WALK_ROOM];
    uint8_t other[GEN_WALK_MAX_SNAP + GEN_WALK_ROOM];
    size_t n_first = SIZE_MAX, n;

    for (uint32_t i = 0; i < visit->n_cards; i++) {
        const struct gen_card *card = &t->walk->cards[visit->first_card + i];
        uint8_t *out = n_first == SIZE_MAX ? first : other;

        if (card->out_port == OF_PORT_CONTROLLER ||
            card->out_port == OF_PORT_TABLE ||
            card->out_port == OF_PORT_NONE ||
            rule_apply(card->rule, card->n_output,
                       gen_walk_header(t->walk, card), cut(t, card->len), out,
                       cut(t, card->len) + (size_t) GEN_WALK_ROOM,
                       &n) != RULE_APPLY_OK) {
            continue;
        }
        if (n_first == SIZE_MAX) {
            n_first = n;
        } else if (n != n_first || memcmp(first, other, n)) {
            return;
        }
    }
    if (n_first != SIZE_MAX) {
        history_hop_set_header_out(hop, first, n_first);
    }
}

static void
set_lost(const struct truth *t, const struct gen_visit *visit,
         struct verdict *v)
{
    const struct topology *topology = gen_net_topology(t->walk->net);
    uint64_t dpid = gen_net_switch(t->walk->net, visit->sw)->dpid, peer = 0;
    uint32_t port = visit->fate.lost_port, peer_port = 0;
    const struct topology_switch *sw;
    char reason[300];

    topology_peer(topology, dpid, port, &peer, &peer_port);
    sw = topology_find(topology, peer);
    snprintf(reason, sizeof reason, "not seen at %s port %" PRIu32,
             sw && sw->name ? sw->name : "the next switch", peer_port);
    verdict_set(v, VERDICT_LOST, dpid, port, reason);
    v->evidence = EVIDENCE_COMPLETE;
}

static void
set_dropped(const struct truth *t, const struct gen_visit *visit,
            struct verdict *v)
{
    const struct gen_fate *fate = &visit->fate;
    const struct rule *rule = fate->dead ? fate->dead_rule : visit->last;

    verdict_set(v, VERDICT_DROPPED,
                gen_net_switch(t->walk->net, visit->sw)->dpid,
                fate->dead ? fate->dead_port : OF_PORT_UNKNOWN,
                fate->dead                ? fate->dead
                : rule->kind == RULE_MISS ? "table miss"
                                          : "no output");
    v->has_version = true;
    v->version = rule->version;
}

static void
fill_verdict(const struct truth *t, uint32_t i, struct history_hop *hop)
{
    const struct gen_visit *visit = &t->walk->visits[i];
    const struct gen_fate *fate = &visit->fate;
    struct verdict *v = &hop->verdict;
    char reason[340];

    if (fate->has_lost) {
        set_lost(t, visit, v);
    } else if (fate->has_gone_on) {
        return;
    } else if (fate->n_left) {
        verdict_set(v, VERDICT_DELIVERED, hop->dpid,
                    fate->n_left == 1 ? fate->left_port : OF_PORT_UNKNOWN,
                    NULL);
    } else if (fate->is_punted) {
        verdict_set(v, VERDICT_CONTROLLER, hop->dpid, OF_PORT_CONTROLLER,
                    NULL);
    } else {
        set_dropped(t, visit, v);
    }
    if (t->is_looped[i]) {
        snprintf(reason, sizeof reason, "in a loop; it ended %s%s%s",
                 verdict_name_string(v->name), v->reason ? ": " : "",
                 v->reason ? v->reason : "");
        verdict_set(v, VERDICT_LOOPED, hop->dpid, hop->in_port, reason);
        v->has_version = false;
        v->evidence = EVIDENCE_NONE;
    }
}

static void
add_hop(struct truth *t, uint32_t v)
{
    const struct gen_visit *visit = &t->walk->visits[v];
    const struct gen_card *card = &t->walk->cards[visit->first_card];
    struct history_hop *hop = history_add_hop(t->history);

    t->is_looped[v] = (visit->parent >= 0 && t->is_looped[visit->parent]) ||
                      find_loop(t->walk, visit);
    hop->parent = visit->parent >= 0 ? t->hop_of[visit->parent] : -1;
    hop->dpid = gen_net_switch(t->walk->net, visit->sw)->dpid;
    hop->in_port = visit->in_port;
    hop->is_packet_out = visit->is_packet_out;
    hop->time_ns = card->time_ns;
    for (uint32_t i = 1; i < visit->n_cards; i++) {
        if (card[i].time_ns < hop->time_ns) {
            hop->time_ns = card[i].time_ns;
        }
    }
    history_hop_set_header(hop, gen_walk_header(t->walk, card),
                           cut(t, card->len));
    fill_ports(t, v, hop);
    fill_header_out(t, visit, hop);
    fill_verdict(t, v, hop);
}

/* The child of 'v' that comes after 'last' (-1: the first) by the port it went
 * by, then by time; -1 when there is none. */
static int
next_child(const struct gen_walk *walk, int v, int last)
{
    int best = -1;

    for (int i = v + 1; i < (int) walk->n_visits; i++) {
        const struct gen_visit *x = &walk->visits[i];
        const struct gen_visit *y = best >= 0 ? &walk->visits[best] : NULL;
        const struct gen_visit *z = last >= 0 ? &walk->visits[last] : NULL;

        if (x->parent != v ||
            (z && (x->via_port < z->via_port ||
                   (x->via_port == z->via_port && i <= last)))) {
            continue;
        }
        if (!y || x->via_port < y->via_port) {
            best = i;
        }
    }
    return best;
}

void
gen_walk_order(const struct gen_walk *walk, int *hop_of)
{
    int v = 0, n = 0;

    while (v >= 0) {
        int child, last;

        hop_of[v] = n++;
        child = next_child(walk, v, -1);
        /* Up until there is another. */
        while (child < 0 && v >= 0) {
            last = v;
            v = walk->visits[v].parent;
            child = v >= 0 ? next_child(walk, v, last) : -1;
        }
        v = child;
    }
}

/* The ID of a walk's packet, by its first postcard. */
static enum packet_id_result
id_of(const struct gen_walk *walk, const struct packet_id_config *config,
      uint16_t snap, uint64_t *id)
{
    const struct gen_card *card = &walk->cards[0];
    const uint8_t *header = gen_walk_header(walk, card);
    size_t len = card->len < snap ? card->len : snap;
    struct hdr h;

    hdr_parse(header, len, &h);
    return packet_id(config, header, len, &h, id);
}

/* The ID of the packet inside it, or 0. */
static uint64_t
inner_id_of(const struct gen_walk *walk, const struct packet_id_config *config,
            uint16_t snap)
{
    const struct gen_card *card = &walk->cards[0];

    return packet_id_inner(config, gen_walk_header(walk, card),
                           card->len < snap ? card->len : snap);
}

struct history *
gen_walk_history(const struct gen_walk *walk,
                 const struct packet_id_config *id_config, uint16_t snap)
{
    struct truth t = {.walk = walk, .snap = snap};
    uint32_t *visit_of = lh_alloc(walk->n_visits * sizeof *visit_of);
    uint64_t id, outer;
    enum packet_id_result result = id_of(walk, id_config, snap, &id);

    assert(snap <= GEN_WALK_MAX_SNAP);
    t.history = history_create(id);
    t.history->has_packet_id = result != PACKET_ID_SHORT;
    t.history->carries = inner_id_of(walk, id_config, snap);
    if (walk->carrier && id &&
        inner_id_of(walk->carrier, id_config, snap) == id &&
        id_of(walk->carrier, id_config, snap, &outer) == PACKET_ID_OK) {
        t.history->carried_by = outer;
    }
    t.hop_of = lh_alloc(walk->n_visits * sizeof *t.hop_of);
    t.is_looped = lh_alloc_zero(walk->n_visits * sizeof *t.is_looped);
    gen_walk_order(walk, t.hop_of);
    for (uint32_t v = 0; v < walk->n_visits; v++) {
        visit_of[t.hop_of[v]] = v;
    }
    for (size_t i = 0; i < walk->n_visits; i++) {
        add_hop(&t, visit_of[i]);
    }
    history_settle(t.history);
    free(visit_of);
    free(t.hop_of);
    free(t.is_looped);
    return t.history;
}
