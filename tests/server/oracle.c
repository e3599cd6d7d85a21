/* SPDX-License-Identifier: Apache-2.0 */
/* oracle - packets whose true histories are known, one by one. */
#include <config.h>
#include "tests/server/oracle.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/gen_topology.h"
#include "gen/gen_whole.h"
#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "tests/lib/frame.h"

#define SNAP 96

static const struct gen_delay hop_delay = {GEN_DELAY_UNIFORM, 20000, 50000};
static const struct gen_delay punt_delay = {GEN_DELAY_UNIFORM, 320000, 350000};
static const struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;

struct oracle_flow {
    struct oracle_flow *next;
    struct oracle_net *net;
    struct gen_route *route; /* Owned. */
};

struct oracle_net {
    struct gen_net *net; /* Owned. */
    struct gen_random random;
    struct gen_walk walk;
    struct oracle_flow *flows; /* Owned. */
    uint32_t n_flows;
};

struct oracle_net *
oracle_net_create(const char *text, uint64_t seed)
{
    struct oracle_net *net = lh_alloc_zero(sizeof *net);
    struct gen_topology_options options = {.n_hosts = 2};
    struct topology *topology;
    struct lh_error error;

    if (gen_topology_create(text, &options, &topology, &error)) {
        fprintf(stderr, "oracle: %s\n", error.text);
        abort();
    }
    net->random.state = seed;
    net->net = gen_net_create(topology, false, seed);
    topology_unref(topology);
    gen_walk_init(&net->walk);
    net->walk.net = net->net;
    net->walk.hop_delay = &hop_delay;
    net->walk.punt_delay = &punt_delay;
    net->walk.random = &net->random;
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
        gen_route_destroy(flow->route);
        free(flow);
    }
    gen_walk_uninit(&net->walk);
    gen_net_destroy(net->net);
    free(net);
}

const struct topology *
oracle_net_topology(const struct oracle_net *net)
{
    return gen_net_topology(net->net);
}

struct gen_random *
oracle_net_random(struct oracle_net *net)
{
    return &net->random;
}

const struct rule *
oracle_net_find_rule(void *net, uint64_t dpid, uint32_t version)
{
    return gen_net_find_rule(((struct oracle_net *) net)->net, dpid, version);
}

struct oracle_flow *
oracle_flow_create(struct oracle_net *net, enum gen_kind kind)
{
    uint32_t n_edges = (uint32_t) gen_net_n_edges(net->net);
    struct gen_route_spec spec = {
        .kind = kind,
        .src = gen_random_pick(&net->random, n_edges),
        .salt = ++net->n_flows,
        .has_ttl = true,
        .is_rich = true,
    };
    struct gen_route *route = NULL;
    struct oracle_flow *flow;

    /* Between edges of one switch no link can be lost, and the like. */
    for (int i = 0; !route && i < 20; i++) {
        spec.dst =
            (spec.src + 1 + gen_random_pick(&net->random, n_edges - 1)) %
            n_edges;
        route = gen_route_create(net->net, &spec);
    }
    if (!route) {
        return NULL;
    }
    flow = lh_alloc(sizeof *flow);
    *flow = (struct oracle_flow){net->flows, net, route};
    net->flows = flow;
    return flow;
}

/* One more card, which is a double of the last when 'is_double'. */
static void
add_card(struct oracle_packet *packet, const struct gen_walk *walk,
         const struct gen_card *card, const int *hop_of, uint16_t snap,
         bool is_double)
{
    uint16_t caplen = card->len < snap ? card->len : snap;

    packet->cards =
        lh_alloc_grow(packet->cards, packet->n_cards, &packet->allocated_cards,
                      sizeof *packet->cards);
    packet->cards[packet->n_cards++] = (struct oracle_card){
        .hop = hop_of[card->visit],
        .is_lost = !card->n_copies,
        .is_double = is_double,
        .p =
            {
                .dpid = card->rule->dpid,
                .packet_id = packet->truth->packet_id,
                .has_id = true,
                .time_ns = is_double ? card->copy_ns : card->time_ns,
                .version = card->rule->version,
                .version_bits = 32,
                .in_port = card->in_port,
                .out_port = card->out_port,
                .flags = card->flags,
                .caplen = caplen,
                .header = lh_memdup(gen_walk_header(walk, card), caplen),
            },
    };
}

struct oracle_packet *
oracle_packet_of_walk(const struct gen_walk *walk,
                      const struct packet_id_config *config, uint16_t snap)
{
    struct oracle_packet *packet = lh_alloc_zero(sizeof *packet);
    int *hop_of = lh_alloc(walk->n_visits * sizeof *hop_of);

    packet->truth = gen_walk_history(walk, config, snap);
    packet->via = lh_alloc(walk->n_visits * sizeof *packet->via);
    gen_walk_order(walk, hop_of);
    for (size_t v = 0; v < walk->n_visits; v++) {
        const struct gen_visit *visit = &walk->visits[v];

        packet->via[hop_of[v]] = visit->via;
        history_hop_set_header(&packet->truth->hops[hop_of[v]],
                               walk->bytes + visit->ofs,
                               visit->len < snap ? visit->len : snap);
    }
    for (size_t i = 0; i < walk->n_cards; i++) {
        const struct gen_card *card = &walk->cards[i];

        add_card(packet, walk, card, hop_of, snap, false);
        if (card->n_copies > 1) {
            add_card(packet, walk, card, hop_of, snap, true);
        }
    }
    free(hop_of);
    return packet;
}

struct oracle_packet *
oracle_send(struct oracle_flow *flow, uint64_t id, uint64_t time_ns,
            uint32_t variant)
{
    struct oracle_net *net = flow->net;
    struct frame f = frame_eth(HDR_ETH_IP4);
    struct oracle_packet *packet;
    char src[32];

    snprintf(src, sizeof src, "10.%u.%u.1", variant >> 8 & 255, variant & 255);
    frame_ip4(&f, HDR_IP_UDP, 64, src, "10.0.0.2");
    frame_udp(&f, (uint16_t) (1024 + variant % 60000), 53);
    frame_text(&f, "what a packet carries");
    frame_finish(&f);
    assert(f.len <= SNAP);
    gen_walk_run(&net->walk, flow->route, f.data, f.len, time_ns);
    packet = oracle_packet_of_walk(&net->walk, &id_config, SNAP);
    packet->truth->packet_id = id;
    for (size_t i = 0; i < packet->n_cards; i++) {
        packet->cards[i].p.packet_id = id;
    }
    return packet;
}

static void
free_cards(struct oracle_packet *packet)
{
    for (size_t i = 0; i < packet->n_cards; i++) {
        free((uint8_t *) packet->cards[i].p.header);
        free((struct hop_template *) packet->cards[i].p.visit);
    }
    packet->n_cards = 0;
}

struct oracle_packet *
oracle_send_whole(struct oracle_flow *flow, uint64_t id, uint64_t time_ns,
                  uint32_t variant)
{
    struct oracle_packet *packet = oracle_send(flow, id, time_ns, variant);
    const struct gen_walk *walk = &flow->net->walk;
    int *hop_of = lh_alloc(walk->n_visits * sizeof *hop_of);

    free_cards(packet);
    gen_walk_order(walk, hop_of);
    gen_whole_history(walk, SNAP, packet->truth);
    for (uint32_t v = 0; v < walk->n_visits; v++) {
        const struct gen_visit *visit = &walk->visits[v];
        struct gen_whole passes[2];
        size_t n = gen_whole_passes(walk, v, (variant ^ v) & 3, passes);

        packet->truth->hops[hop_of[v]].time_ns = visit->time_ns;
        for (size_t i = 0; i < n; i++) {
            struct oracle_card *card;
            uint32_t len = passes[i].len < SNAP ? passes[i].len : SNAP;

            packet->cards =
                lh_alloc_grow(packet->cards, packet->n_cards,
                              &packet->allocated_cards, sizeof *packet->cards);
            card = &packet->cards[packet->n_cards++];
            *card = (struct oracle_card){
                .hop = hop_of[v],
                .p = {.packet_id = id,
                      .has_id = true,
                      .time_ns = visit->time_ns + i,
                      .caplen = (uint16_t) len,
                      .header = lh_memdup(walk->bytes + passes[i].ofs, len)}};
            postcard_set_visit(&card->p,
                               hop_template_clone(&passes[i].visit.t), false);
        }
    }
    free(hop_of);
    return packet;
}

void
oracle_packet_destroy(struct oracle_packet *packet)
{
    if (packet) {
        free_cards(packet);
        free(packet->cards);
        free(packet->via);
        history_destroy(packet->truth);
        free(packet);
    }
}

void
oracle_packet_double(struct oracle_packet *packet, struct gen_random *r,
                     uint32_t percent)
{
    size_t n = packet->n_cards;

    for (size_t i = 0; i < n; i++) {
        struct oracle_card *card;

        if (gen_random_pick(r, 100) >= percent) {
            continue;
        }
        packet->cards =
            lh_alloc_grow(packet->cards, packet->n_cards,
                          &packet->allocated_cards, sizeof *packet->cards);
        card = &packet->cards[packet->n_cards++];
        *card = packet->cards[i];
        card->p.header = lh_memdup(card->p.header, card->p.caplen);
        if (card->p.visit) {
            card->p.visit = hop_template_clone(card->p.visit);
        }
        card->p.time_ns += 1 + gen_random_pick(r, 200000);
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
oracle_packet_lose(struct oracle_packet *packet, struct gen_random *r,
                   uint32_t percent)
{
    for (size_t i = 0; i < packet->n_cards; i++) {
        packet->cards[i].is_lost = gen_random_pick(r, 100) < percent;
    }
}
