/* SPDX-License-Identifier: Apache-2.0 */
/* gen - a stream of postcards whose true histories are known. */
#include <config.h>
#include "gen/gen.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gen/gen_encap.h"
#include "gen/gen_fault.h"
#include "gen/gen_queue.h"
#include "gen/gen_routes.h"
#include "gen/gen_topology.h"
#include "gen/gen_trace.h"
#include "gen/gen_vxlan.h"
#include "lib/lh_alloc.h"

#define NS_PER_S 1000000000u
/* Of packets made up. */
#define DEFAULT_RATE  100000
#define DEFAULT_COUNT 100000
/* An identical packet comes so much later, and up to as much again. */
#define IDENTICAL_NS 5000000u

struct gen {
    struct gen_config config;
    struct gen_net *net; /* Owned, as all that follows. */
    struct gen_routes *routes;
    struct gen_encap_frames *encap;
    struct gen_fault *fault;
    struct gen_queue *queue;
    struct gen_trace *trace; /* Or NULL: */
    struct gen_traffic *traffic;
    struct gen_walk walk, outer; /* A packet, and the tunnel's around it. */
    struct gen_random random;    /* Of delays and times. */
    struct gen_random churn;
    uint8_t *buf;      /* Of the frames given. */
    size_t frame_size; /* Of one of them. */

    bool has_packet, has_ended;
    struct gen_packet packet; /* The next to enter. */
    uint64_t now_ns;          /* When the last entered. */
    struct gen_links *links;  /* That change, or NULL.  Owned. */
    size_t n_told;            /* Changes. */
    void (*on_topology)(void *aux, const struct topology *, uint64_t time_ns);
    void *topology_aux;
    uint64_t churn_ns; /* When the next rule is renewed. */
    struct gen_counters counters;
    void (*on_walk)(void *aux, const struct gen_walk *);
    void *aux;
};

static int
open_traffic(struct gen *gen, struct lh_error *error)
{
    struct gen_config *config = &gen->config;
    uint32_t max_len = config->snap + (uint32_t) GEN_WALK_ROOM;

    if (config->trace) {
        return gen_trace_open(config->trace, max_len, &gen->trace, error);
    }
    config->rate = config->rate ? config->rate : DEFAULT_RATE;
    config->n_packets = config->n_packets ? config->n_packets : DEFAULT_COUNT;
    config->traffic.seed = config->seed;
    gen->traffic = gen_traffic_create(&config->traffic, max_len);
    return 0;
}

static void
init_walk(struct gen *gen, struct gen_walk *walk)
{
    gen_walk_init(walk);
    walk->net = gen->net;
    walk->links = gen->links;
    walk->hop_delay = &gen->config.hop_delay;
    walk->punt_delay = &gen->config.punt_delay;
    walk->random = &gen->random;
}

int
gen_create(const struct gen_config *config, struct gen **genp,
           struct lh_error *error)
{
    struct gen *gen = lh_alloc_zero(sizeof *gen);
    struct gen_topology_options options = {
        .n_hosts = config->n_hosts,
        .has_tunnels = config->shares[GEN_TUNNEL] > 0,
    };
    struct topology *topology = NULL;
    int retval = gen_config_check(config, error);

    *genp = NULL;
    gen->config = *config;
    gen->random.state = gen_random_mix(config->seed + 1);
    gen->churn.state = gen_random_mix(config->seed + 2);
    if (!retval) {
        retval =
            gen_topology_create(config->topology, &options, &topology, error);
    }
    if (!retval) {
        gen->net = gen_net_create(topology, options.has_tunnels, config->seed);
        topology_unref(topology);
        retval =
            gen_routes_create(gen->net, &gen->config, &gen->routes, error);
    }
    if (!retval) {
        retval = gen_encap_create(gen->net, &gen->config, &gen->encap, error);
    }
    if (!retval) {
        retval = open_traffic(gen, error);
    }
    if (retval) {
        gen_destroy(gen);
        return retval;
    }
    if (config->link_change_ns) {
        gen->links = gen_links_create(gen->net, config->start_ns,
                                      config->link_change_ns, config->seed);
    }
    gen->fault = gen_fault_create(&gen->config, gen_net_n_switches(gen->net));
    gen->queue = gen_queue_create(config->snap);
    gen->frame_size = (size_t) config->snap + GEN_ENCAP_OVERHEAD;
    gen->buf = lh_alloc(gen->frame_size * GEN_BATCH);
    init_walk(gen, &gen->walk);
    init_walk(gen, &gen->outer);
    *genp = gen;
    return 0;
}

void
gen_destroy(struct gen *gen)
{
    if (gen) {
        gen_walk_uninit(&gen->walk);
        gen_walk_uninit(&gen->outer);
        gen_trace_close(gen->trace);
        gen_traffic_destroy(gen->traffic);
        gen_queue_destroy(gen->queue);
        gen_fault_destroy(gen->fault);
        gen_encap_destroy(gen->encap);
        gen_routes_destroy(gen->routes);
        gen_links_destroy(gen->links);
        gen_net_destroy(gen->net);
        free(gen->buf);
        free(gen);
    }
}

void
gen_set_on_walk(struct gen *gen,
                void (*on_walk)(void *aux, const struct gen_walk *), void *aux)
{
    gen->on_walk = on_walk;
    gen->aux = aux;
}

/* When the next packet enters, where the trace does not say. */
static uint64_t
pick_time(struct gen *gen)
{
    uint64_t mean = NS_PER_S / gen->config.rate;

    if (!gen->now_ns) {
        return gen->config.start_ns;
    }
    return gen->now_ns + gen_random_span(&gen->random, 2 * mean);
}

/* Reads the next packet, if there is another. */
static int
read_packet(struct gen *gen, struct lh_error *error)
{
    const struct gen_config *config = &gen->config;
    bool is_once = !config->n_packets;
    int retval = 0;

    if (gen->has_packet || gen->has_ended) {
        return 0;
    } else if (config->n_packets &&
               gen->counters.packets >= config->n_packets) {
        gen->has_ended = true;
        return 0;
    }
    if (gen->trace) {
        retval = gen_trace_next(gen->trace, is_once, &gen->packet, error);
    } else {
        gen_traffic_next(gen->traffic, &gen->packet);
    }
    if (retval == ENODATA) {
        gen->has_ended = true;
        return 0;
    }
    gen->has_packet = !retval;
    if (config->rate) {
        gen->packet.time_ns = pick_time(gen);
    }
    return retval;
}

/* Puts the walk's postcards on their way. */
static void
send_cards(struct gen *gen, struct gen_walk *walk, uint16_t tag)
{
    gen_fault_apply(gen->fault, walk);
    if (gen->on_walk) {
        gen->on_walk(gen->aux, walk);
    }
    for (size_t i = 0; i < walk->n_cards; i++) {
        const struct gen_card *card = &walk->cards[i];
        uint32_t sw = walk->visits[card->visit].sw;
        struct postcard p = {
            .dpid = gen_net_switch(gen->net, sw)->dpid,
            .time_ns = card->time_ns,
            .version = card->rule->version,
            .version_bits = 32,
            .in_port = card->in_port,
            .out_port = card->out_port,
            .flags = card->flags,
            .caplen =
                card->len < gen->config.snap ? card->len : gen->config.snap,
            .header = gen_walk_header(walk, card),
        };

        gen->counters.lost += !card->n_copies;
        gen->counters.doubled += card->n_copies > 1;
        for (uint8_t k = 0; k < card->n_copies; k++) {
            gen_queue_add(gen->queue, &p, sw, tag);
            p.time_ns = card->copy_ns;
        }
    }
}

/* The packet inside a tunnel comes out when the tunnel's own has arrived. */
static void
send_tunnel(struct gen *gen, const struct gen_route *route, uint16_t tag)
{
    uint8_t frame[GEN_WALK_MAX_SNAP + GEN_WALK_ROOM + GEN_VXLAN_LEN];
    const struct gen_visit *in = &gen->walk.visits[0];
    uint64_t end_ns;
    size_t len;

    len = gen_vxlan_write(&gen->walk, gen_net_switch(gen->net, in->sw),
                          gen->config.snap + (size_t) GEN_WALK_ROOM, frame);
    gen_walk_run(&gen->outer, gen_routes_underlay(gen->routes, route), frame,
                 len, in->time_ns + 1000);
    end_ns = gen->outer.visits[gen->outer.n_visits - 1].time_ns + 1000;
    for (size_t i = 0; i < gen->walk.n_cards; i++) {
        if (gen->walk.cards[i].visit > 0) {
            gen->walk.cards[i].time_ns = end_ns;
        }
    }
    gen->walk.carrier = &gen->outer;
    send_cards(gen, &gen->outer, tag);
    gen->counters.packets++;
    gen->counters.kinds[GEN_UNDERLAY]++;
}

static void
send_at(struct gen *gen, const struct gen_route *route, uint64_t time_ns,
        uint16_t tag)
{
    gen_walk_run(&gen->walk, route, gen->packet.data, gen->packet.len,
                 time_ns);
    if (route->spec.kind == GEN_TUNNEL) {
        send_tunnel(gen, route, tag);
    }
    send_cards(gen, &gen->walk, tag);
    gen->counters.packets++;
    gen->counters.kinds[route->spec.kind]++;
}

static void
renew_rules(struct gen *gen, uint64_t time_ns)
{
    uint64_t mean;

    if (!gen->config.churn) {
        return;
    }
    mean = NS_PER_S / gen->config.churn;
    if (!gen->churn_ns) {
        gen->churn_ns = time_ns + gen_random_span(&gen->churn, 2 * mean);
    }
    while (gen->churn_ns <= time_ns) {
        gen_net_renew(gen->net, gen_random_next(&gen->churn));
        gen->counters.renewed++;
        gen->churn_ns += 1 + gen_random_span(&gen->churn, 2 * mean);
    }
}

/* The packet enters the network. */
static void
send_packet(struct gen *gen)
{
    struct gen_packet *packet = &gen->packet;
    uint64_t time_ns = packet->time_ns;
    const struct gen_route *route;
    uint16_t tag;

    gen_packet_classify(packet, gen->config.seed);
    tag = (uint16_t) (packet->flow_hash >> 40);
    /* No later than any stamp, whatever the resolution. */
    gen_net_set_time(gen->net, time_ns - time_ns % 1000);
    if (gen->links) {
        gen_links_plan(gen->links, time_ns + NS_PER_S);
    }
    renew_rules(gen, time_ns);
    route = gen_routes_find(gen->routes, packet);
    send_at(gen, route, time_ns, tag);
    if (gen_random_chance(&gen->random, gen->config.identical)) {
        send_at(gen, route,
                time_ns + IDENTICAL_NS +
                    gen_random_span(&gen->random, IDENTICAL_NS),
                tag);
    }
    gen->now_ns = time_ns;
    gen->has_packet = false;
}

/* True when no packet to come can send a postcard before the first. */
static bool
is_first_due(const struct gen *gen)
{
    uint64_t entry_ns;

    if (!gen->has_packet) {
        return true;
    }
    entry_ns = gen->packet.time_ns;
    if (gen->config.is_micro) {
        entry_ns -= entry_ns % 1000;
    }
    return gen_queue_time(gen->queue) < entry_ns;
}

static void
give(struct gen *gen, struct gen_frame *frame, size_t i)
{
    uint32_t sw;
    uint16_t tag;
    const struct postcard *p = gen_queue_take(gen->queue, &sw, &tag);
    uint8_t *data = gen->buf + i * gen->frame_size;

    *frame = (struct gen_frame){
        .time_ns = p->time_ns,
        .len = gen_encap_write(gen->encap, p, sw, tag, data),
        .data = data,
    };
    if (!gen->counters.postcards++) {
        gen->counters.first_ns = p->time_ns;
    }
    gen->counters.last_ns = p->time_ns;
}

/* The change of which there is news before the next frame, or NULL. */
static const struct gen_links_change *
find_news(const struct gen *gen)
{
    const struct gen_links_change *change;

    if (!gen->on_topology || !gen->links ||
        gen->n_told == gen_links_n_changes(gen->links)) {
        return NULL;
    }
    change = gen_links_change(gen->links, gen->n_told);
    return change->news_ns <= gen_queue_time(gen->queue) ? change : NULL;
}

static void
tell(struct gen *gen, const struct gen_links_change *change)
{
    gen->n_told++;
    gen->on_topology(gen->topology_aux, change->topology, change->news_ns);
}

int
gen_next(struct gen *gen, struct gen_frame *frames, size_t max, size_t *np,
         struct lh_error *error)
{
    size_t n = 0;
    int retval = 0;

    max = max < GEN_BATCH ? max : GEN_BATCH;
    while (n < max) {
        retval = read_packet(gen, error);
        if (retval) {
            break;
        }
        if (gen_queue_length(gen->queue) && is_first_due(gen)) {
            const struct gen_links_change *news = find_news(gen);

            if (news && n) {
                break; /* First who calls has to see those before it. */
            } else if (news) {
                tell(gen, news);
                continue;
            }
            give(gen, &frames[n], n);
            n++;
        } else if (gen_queue_length(gen->queue) >= GEN_MAX_ON_WAY) {
            gen->counters.hasty++;
            give(gen, &frames[n], n);
            n++;
        } else if (gen->has_packet) {
            send_packet(gen);
        } else {
            break;
        }
    }
    *np = n;
    return n ? 0 : retval;
}

void
gen_set_on_topology(struct gen *gen,
                    void (*on_topology)(void *aux, const struct topology *,
                                        uint64_t time_ns),
                    void *aux)
{
    gen->on_topology = on_topology;
    gen->topology_aux = aux;
}

const struct gen_links *
gen_get_links(const struct gen *gen)
{
    return gen->links;
}

const struct gen_counters *
gen_get_counters(const struct gen *gen)
{
    return &gen->counters;
}

struct gen_net *
gen_get_net(struct gen *gen)
{
    return gen->net;
}
