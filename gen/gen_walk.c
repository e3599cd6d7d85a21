/* SPDX-License-Identifier: Apache-2.0 */
/* gen_walk - moves a packet along its route as switches do. */
#include <config.h>
#include "gen/gen_walk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hdr.h"
#include "lib/inet_sum.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/postcard.h"

#define LOOP_VISITS 24 /* Of a loop in which nothing tells rounds apart. */

void
gen_walk_init(struct gen_walk *walk)
{
    memset(walk, 0, sizeof *walk);
}

void
gen_walk_uninit(struct gen_walk *walk)
{
    free(walk->cards);
    free(walk->visits);
    free(walk->met);
    free(walk->sent);
    free(walk->bytes);
    memset(walk, 0, sizeof *walk);
}

/* Room for 'len' bytes more; returns where. */
static uint32_t
grow_bytes(struct gen_walk *walk, size_t len)
{
    size_t ofs = walk->n_bytes;

    if (ofs + len > walk->allocated_bytes) {
        walk->allocated_bytes = (ofs + len) * 2;
        walk->bytes = lh_alloc_array(walk->bytes, walk->allocated_bytes, 1);
    }
    walk->n_bytes += len;
    return (uint32_t) ofs;
}

static struct gen_card *
add_card(struct gen_walk *walk, uint32_t v, const struct rule *rule,
         uint32_t out_port, uint32_t ofs, uint32_t len)
{
    struct gen_visit *visit = &walk->visits[v];
    struct gen_card *card;

    if (walk->n_cards == walk->allocated_cards) {
        walk->cards =
            lh_alloc_grow(walk->cards, walk->n_cards, &walk->allocated_cards,
                          sizeof *walk->cards);
    }
    card = &walk->cards[walk->n_cards++];
    *card = (struct gen_card){
        .time_ns = visit->time_ns + visit->n_cards++,
        .rule = rule,
        .visit = v,
        .in_port = visit->in_port,
        .out_port = out_port,
        .ofs = ofs,
        .len = (uint16_t) len,
        .flags = rule->kind == RULE_PACKET_OUT ? POSTCARD_PACKET_OUT : 0,
        .n_copies = 1,
    };
    return card;
}

/* A packet comes to (sw, in_port); its bytes are put at 'ofs' already. */
static struct gen_visit *
arrive(struct gen_walk *walk, uint32_t sw, uint32_t in_port, int parent,
       uint64_t time_ns, uint32_t ofs, uint32_t len)
{
    struct gen_visit *visit;

    if (walk->n_visits == walk->allocated_visits) {
        walk->visits =
            lh_alloc_grow(walk->visits, walk->n_visits,
                          &walk->allocated_visits, sizeof *walk->visits);
    }
    visit = &walk->visits[walk->n_visits++];
    *visit = (struct gen_visit){
        .time_ns = time_ns,
        .sw = sw,
        .in_port = in_port,
        .parent = parent,
        .via_port = OF_PORT_UNKNOWN,
        .ofs = ofs,
        .len = len,
    };
    return visit;
}

/* Visit 'v' meets the rule; the packet is at 'ofs'. */
static void
meet(struct gen_walk *walk, uint32_t v, const struct rule *rule, uint32_t ofs,
     uint32_t len)
{
    if (walk->n_met == walk->allocated_met) {
        walk->met = lh_alloc_grow(walk->met, walk->n_met, &walk->allocated_met,
                                  sizeof *walk->met);
    }
    walk->met[walk->n_met++] = (struct gen_met){rule, ofs, len};
    walk->visits[v].n_met++;
    walk->visits[v].last = rule;
}

static void
note_sent(struct gen_walk *walk, uint32_t v, const struct rule *rule,
          uint32_t port, uint32_t ofs, uint32_t len)
{
    if (walk->n_sent == walk->allocated_sent) {
        walk->sent = lh_alloc_grow(walk->sent, walk->n_sent,
                                   &walk->allocated_sent, sizeof *walk->sent);
    }
    walk->sent[walk->n_sent++] = (struct gen_sent){rule, port, ofs, len};
    walk->visits[v].n_sent++;
}

static void
set_dead(struct gen_fate *fate, const char *why, uint32_t port,
         const struct rule *rule)
{
    if (!fate->dead) {
        fate->dead = why;
        fate->dead_port = port;
        fate->dead_rule = rule;
    }
}

/* What the output leads to at the time of visit 'v'. */
static struct gen_out
out_now(const struct gen_walk *walk, uint32_t v, const struct gen_out *out)
{
    const struct gen_visit *visit = &walk->visits[v];
    struct gen_out now = *out;
    uint64_t peer;

    if (!walk->links || out->end != GEN_END_LINK) {
        return now;
    }
    if (gen_links_peer(walk->links, gen_net_switch(walk->net, visit->sw)->dpid,
                       out->port, visit->time_ns, &peer, &now.peer_port)) {
        now.peer = gen_net_index(walk->net, peer);
    } else {
        now.end = GEN_END_DOWN;
    }
    return now;
}

/* Sends the packet at 'ofs' from visit 'v' out of a real port. */
static void
send_out(struct gen_walk *walk, uint32_t v, const struct gen_out *named,
         const struct rule *rule, uint32_t ofs, uint32_t len)
{
    const struct gen_out now = out_now(walk, v, named), *out = &now;
    const struct gen_route *route = walk->route;
    struct gen_visit *visit = &walk->visits[v], *next;
    struct gen_fate *fate = &visit->fate;

    switch (out->end) {
    case GEN_END_ABSENT:
        set_dead(fate, "output to a port that is not there", out->port, rule);
        break;
    case GEN_END_DOWN:
        set_dead(fate, "output to a port that is down", out->port, rule);
        break;
    case GEN_END_EDGE:
        note_sent(walk, v, rule, out->port, ofs, len);
        fate->n_left++;
        fate->left_port = out->port;
        break;
    case GEN_END_LINK:
        note_sent(walk, v, rule, out->port, ofs, len);
        if ((visit->sw == route->lossy_sw && out->port == route->lossy_port) ||
            walk->n_visits >= GEN_WALK_MAX_VISITS ||
            (route->is_blind && walk->n_visits >= LOOP_VISITS)) {
            if (!fate->has_lost) {
                fate->lost_port = out->port;
            }
            fate->has_lost = true;
            break;
        }
        fate->has_gone_on = true;
        next = arrive(walk, out->peer, out->peer_port, (int) v,
                      visit->time_ns +
                          gen_delay_draw(walk->hop_delay, walk->random) + 1,
                      ofs, len);
        next->via_port = out->port;
        next->via = rule->version;
        break;
    case GEN_END_IN_PORT:
    case GEN_END_FLOOD:
    case GEN_END_CONTROLLER:
    case GEN_END_TABLE:
        abort();
    }
}

/* What is behind a port of a switch, for ports that no rule names. */
static struct gen_out
out_of(const struct gen_walk *walk, const struct topology_port *port)
{
    struct gen_out out = {.port = port->no, .end = GEN_END_EDGE};

    if (port->down) {
        out.end = GEN_END_DOWN;
    } else if (port->has_peer) {
        out.end = GEN_END_LINK;
        out.peer = gen_net_index(walk->net, port->peer_dpid);
        out.peer_port = port->peer_port;
    }
    return out;
}

static void
flood(struct gen_walk *walk, uint32_t v, const struct rule *rule, uint32_t ofs,
      uint32_t len)
{
    const struct topology_switch *sw =
        gen_net_switch(walk->net, walk->visits[v].sw);
    bool has_any = false;

    for (size_t i = 0; i < sw->n_ports; i++) {
        if (sw->ports[i].no != walk->visits[v].in_port && !sw->ports[i].down) {
            struct gen_out out = out_of(walk, &sw->ports[i]);

            out = out_now(walk, v, &out);
            if (out.end == GEN_END_DOWN) {
                continue;
            }
            has_any = true;
            send_out(walk, v, &out, rule, ofs, len);
        }
    }
    if (!has_any) {
        set_dead(&walk->visits[v].fate, "no port to send it to", OF_PORT_FLOOD,
                 rule);
    }
}

/* The packet at 'ofs' by an output of a rule. */
static void
leave(struct gen_walk *walk, uint32_t v, const struct gen_out *out,
      const struct rule *rule, uint32_t ofs, uint32_t len)
{
    struct gen_visit *visit = &walk->visits[v];

    switch (out->end) {
    case GEN_END_CONTROLLER:
        note_sent(walk, v, rule, OF_PORT_CONTROLLER, ofs, len);
        visit->fate.is_punted = true;
        break;
    case GEN_END_FLOOD:
        flood(walk, v, rule, ofs, len);
        break;
    case GEN_END_TABLE:
        break;
    case GEN_END_IN_PORT: {
        const struct topology_port *port = topology_port(
            gen_net_topology(walk->net),
            gen_net_switch(walk->net, visit->sw)->dpid, visit->in_port);
        struct gen_out back = out_of(walk, port);

        send_out(walk, v, &back, rule, ofs, len);
        break;
    }
    case GEN_END_LINK:
    case GEN_END_EDGE:
    case GEN_END_DOWN:
    case GEN_END_ABSENT:
        if (out->port == visit->in_port && !visit->is_packet_out) {
            set_dead(&visit->fate, "output to the input port", out->port,
                     rule);
        } else {
            send_out(walk, v, out, rule, ofs, len);
        }
        break;
    }
}

/* Takes 1 from the TTL of the packet at 'ofs' in a copy; returns where that
 * is, or UINT32_MAX when the TTL has ended. */
static uint32_t
take_ttl(struct gen_walk *walk, uint32_t ofs, uint32_t len)
{
    uint32_t at = walk->ttl_ofs;
    uint8_t before[2], *p;

    if (!at) {
        return ofs;
    } else if (walk->bytes[ofs + at] <= 1) {
        return UINT32_MAX;
    }

    uint32_t copy = grow_bytes(walk, len);

    p = walk->bytes + copy;
    memcpy(p, walk->bytes + ofs, len);
    before[0] = p[at];
    before[1] = p[at + 1];
    p[at]--;
    if (walk->is_ip4) {
        inet_sum_adjust(p + at + 2, before, p + at, 2);
    }
    return copy;
}

/* A rule with one output and no edit but dec_ttl. */
static void
meet_plain(struct gen_walk *walk, uint32_t v, const struct gen_rule *rule)
{
    uint32_t ofs = walk->visits[v].ofs, len = walk->visits[v].len;

    add_card(walk, v, rule->rule, rule->outs[0].port, ofs, len);
    if (rule->takes_ttl) {
        ofs = take_ttl(walk, ofs, len);
        if (ofs == UINT32_MAX) {
            set_dead(&walk->visits[v].fate, "ttl expired", rule->outs[0].port,
                     rule->rule);
            return;
        }
    }
    leave(walk, v, &rule->outs[0], rule->rule, ofs, len);
}

/* Any rule; '*ofs' and '*len' are the packet before it and, when the result is
 * true, after it.  False: nothing comes after it. */
static bool
meet_rule(struct gen_walk *walk, uint32_t v, const struct gen_rule *rule,
          uint32_t *ofs, uint32_t *len)
{
    const struct rule *r = rule->rule;
    size_t size = *len + GEN_WALK_ROOM, n;
    uint32_t copy;

    if (!rule->n_outs && !r->is_transit) {
        add_card(walk, v, r, OF_PORT_NONE, *ofs, *len);
    }
    for (size_t i = 0; i < rule->n_outs; i++) {
        add_card(walk, v, r, rule->outs[i].port, *ofs, *len)->n_output =
            (uint32_t) i;
        copy = grow_bytes(walk, size);
        if (rule_apply(r, i, walk->bytes + *ofs, *len, walk->bytes + copy,
                       size, &n) == RULE_APPLY_OK) {
            leave(walk, v, &rule->outs[i], r, copy, (uint32_t) n);
        } else {
            set_dead(&walk->visits[v].fate, "ttl expired", rule->outs[i].port,
                     r);
        }
    }
    if (!r->is_transit && r->kind != RULE_PACKET_OUT) {
        return false;
    }
    copy = grow_bytes(walk, size);
    if (rule_apply(r, SIZE_MAX, walk->bytes + *ofs, *len, walk->bytes + copy,
                   size, &n) != RULE_APPLY_OK) {
        return false;
    }
    *ofs = copy;
    *len = (uint32_t) n;
    return true;
}

static void
meet_entry(struct gen_walk *walk, uint32_t v, const struct gen_entry *entry,
           uint32_t ofs, uint32_t len)
{
    for (size_t i = 0; i < entry->n_rules; i++) {
        const struct gen_rule *rule = entry->rules[i];

        meet(walk, v, rule->rule, ofs, len);
        if (!meet_rule(walk, v, rule, &ofs, &len)) {
            break;
        }
    }
}

/* The controller answers the packet that visit 'v' sent it. */
static void
answer(struct gen_walk *walk, uint32_t v)
{
    struct gen_visit *visit = &walk->visits[v], *next;
    uint64_t delay = gen_delay_draw(walk->punt_delay, walk->random);

    visit->fate.has_gone_on = true;
    next = arrive(walk, visit->sw, visit->in_port, (int) v,
                  visit->time_ns + delay + 1, visit->ofs, visit->len);
    next->via = walk->visits[v].last->version;
    next->is_packet_out = true;
}

static void
meet_switch(struct gen_walk *walk, uint32_t v)
{
    const struct gen_route *route = walk->route;
    struct gen_visit *visit = &walk->visits[v];
    uint32_t ofs = visit->ofs, len = visit->len;
    const struct gen_entry *entry;

    visit->first_card = (uint32_t) walk->n_cards;
    visit->first_met = (uint32_t) walk->n_met;
    visit->first_sent = (uint32_t) walk->n_sent;
    if (visit->is_packet_out) {
        meet(walk, v, route->packet_out->rule, ofs, len);
        if (meet_rule(walk, v, route->packet_out, &ofs, &len)) {
            meet_entry(walk, v, &route->after, ofs, len);
        }
        return;
    }
    entry = gen_route_find(route, visit->sw, visit->in_port, &walk->hint);
    if (!entry) {
        struct gen_entry miss = {.n_rules = 1};

        assert(walk->links); /* It came where it was not to. */
        miss.rules[0] = gen_net_miss(walk->net, visit->sw);
        meet_entry(walk, v, &miss, ofs, len);
        return;
    }
    walk->hint++;
    if (entry->n_rules == 1 && entry->rules[0]->is_plain) {
        meet(walk, v, entry->rules[0]->rule, ofs, len);
        meet_plain(walk, v, entry->rules[0]);
    } else {
        meet_entry(walk, v, entry, ofs, len);
    }
    if (walk->visits[v].fate.is_punted && route->packet_out) {
        answer(walk, v);
    }
}

/* Finds the TTL, and sets it if the route says to what. */
static void
set_ttl(struct gen_walk *walk, uint8_t *data, size_t len)
{
    struct hdr h;

    hdr_parse(data, len, &h);
    walk->ttl_ofs = 0;
    walk->is_ip4 = h.is_ip4;
    if ((h.is_ip4 || h.is_ip6) && !h.n_labels) {
        walk->ttl_ofs = h.l3_ofs + (h.is_ip4 ? 8u : 7u);
        if (walk->route->ttl) {
            uint8_t *p = data + walk->ttl_ofs, before[2] = {p[0], p[1]};

            p[0] = walk->route->ttl;
            if (h.is_ip4) {
                inet_sum_adjust(p + 2, before, p, 2);
            }
        }
    }
}

void
gen_walk_run(struct gen_walk *walk, const struct gen_route *route,
             const uint8_t *data, size_t len, uint64_t time_ns)
{
    walk->route = route;
    walk->carrier = NULL;
    walk->n_cards = walk->n_visits = walk->n_bytes = walk->hint = 0;
    walk->n_met = walk->n_sent = 0;
    grow_bytes(walk, len);
    memcpy(walk->bytes, data, len);
    set_ttl(walk, walk->bytes, len);
    arrive(walk, route->sw, route->port, -1, time_ns, 0, (uint32_t) len);
    for (uint32_t v = 0; v < walk->n_visits; v++) {
        meet_switch(walk, v);
    }
}
