/* SPDX-License-Identifier: Apache-2.0 */
/* gen_links - links that change while packets are on their way. */
#include <config.h>
#include "gen/gen_links.h"

#include <stdlib.h>

#include "gen/gen_net.h"
#include "gen/gen_random.h"
#include "gen/gen_topology.h"
#include "lib/lh_alloc.h"

struct end {
    uint64_t dpid;
    uint16_t port;
};

struct link {
    struct end a, b;
};

/* Two links whose far ends are exchanged, or one that is down. */
struct move {
    size_t first, second; /* Equal: it is down. */
};

struct gen_links {
    const struct gen_net *net;
    uint64_t mean_ns, next_ns;
    uint64_t begin_ns;
    struct gen_random random;
    size_t n_links, allocated_links;
    struct link *links; /* Of the net's topology.  Owned. */
    size_t n_changes, allocated_changes, allocated_moves;
    struct gen_links_change *changes; /* Owned, with the topologies. */
    struct move *moves;               /* Every other change undoes one. */
};

struct gen_links *
gen_links_create(const struct gen_net *net, uint64_t begin_ns,
                 uint64_t mean_ns, uint64_t seed)
{
    struct gen_links *links = lh_alloc_zero(sizeof *links);
    const struct topology *t = gen_net_topology(net);

    links->net = net;
    links->mean_ns = mean_ns;
    links->begin_ns = begin_ns;
    links->random.state = gen_random_mix(seed + 77);
    for (size_t i = 0; i < topology_n_switches(t); i++) {
        const struct topology_switch *sw = topology_switch_at(t, i);

        for (size_t k = 0; k < sw->n_ports; k++) {
            const struct topology_port *port = &sw->ports[k];

            if (!port->has_peer || port->peer_dpid <= sw->dpid ||
                gen_net_is_tunnel(net, port->no)) {
                continue;
            }
            links->links =
                lh_alloc_grow(links->links, links->n_links,
                              &links->allocated_links, sizeof *links->links);
            links->links[links->n_links++] = (struct link){
                {sw->dpid, port->no}, {port->peer_dpid, port->peer_port}};
        }
    }
    return links;
}

void
gen_links_destroy(struct gen_links *links)
{
    if (links) {
        for (size_t i = 0; i < links->n_changes; i++) {
            topology_unref(links->changes[i].topology);
        }
        free(links->changes);
        free(links->moves);
        free(links->links);
        free(links);
    }
}

static struct topology *
make_topology(const struct gen_links *links, const struct move *move)
{
    struct topology_builder *b =
        gen_topology_rebuild(gen_net_topology(links->net));

    if (move && move->first == move->second) {
        const struct link *down = &links->links[move->first];

        topology_builder_set_port_down(b, down->a.dpid, down->a.port, true);
        topology_builder_set_port_down(b, down->b.dpid, down->b.port, true);
    } else if (move) {
        const struct link *x = &links->links[move->first];
        const struct link *y = &links->links[move->second];

        topology_builder_add_link(b, x->a.dpid, x->a.port, y->b.dpid,
                                  y->b.port);
        topology_builder_add_link(b, y->a.dpid, y->a.port, x->b.dpid,
                                  x->b.port);
    }
    return topology_build(b, links->n_changes + 2);
}

/* Two links that can be exchanged without one from a switch to itself, or
 * one. */
static struct move
draw_move(struct gen_links *links)
{
    size_t first =
        (size_t) gen_random_span(&links->random, links->n_links - 1);
    size_t second =
        (size_t) gen_random_span(&links->random, links->n_links - 1);
    const struct link *x = &links->links[first], *y = &links->links[second];

    if (gen_random_span(&links->random, 2) == 0 || x->a.dpid == y->b.dpid ||
        y->a.dpid == x->b.dpid) {
        second = first;
    }
    return (struct move){first, second};
}

static void
add_change(struct gen_links *links, uint64_t time_ns)
{
    bool is_undone = links->n_changes & 1;
    struct gen_links_change *change;

    links->changes =
        lh_alloc_grow(links->changes, links->n_changes,
                      &links->allocated_changes, sizeof *links->changes);
    if (!is_undone) {
        links->moves =
            lh_alloc_grow(links->moves, links->n_changes / 2,
                          &links->allocated_moves, sizeof *links->moves);
        links->moves[links->n_changes / 2] = draw_move(links);
    }
    change = &links->changes[links->n_changes];
    change->time_ns = time_ns;
    change->news_ns =
        time_ns + gen_random_span(&links->random, GEN_LINKS_NEWS_NS);
    change->topology = make_topology(
        links, is_undone ? NULL : &links->moves[links->n_changes / 2]);
    links->n_changes++;
}

void
gen_links_plan(struct gen_links *links, uint64_t until_ns)
{
    if (!links->n_links) {
        return;
    }
    if (!links->next_ns) {
        links->next_ns =
            links->begin_ns + gen_random_span(&links->random, links->mean_ns);
    }
    while (links->next_ns <= until_ns) {
        add_change(links, links->next_ns);
        links->next_ns += GEN_LINKS_NEWS_NS + 1 +
                          gen_random_span(&links->random, 2 * links->mean_ns);
    }
}

bool
gen_links_peer(const struct gen_links *links, uint64_t dpid, uint32_t port,
               uint64_t time_ns, uint64_t *peer_dpid, uint32_t *peer_port)
{
    const struct topology *t = gen_net_topology(links->net);
    const struct topology_port *p;

    for (size_t i = links->n_changes; i-- > 0;) {
        if (links->changes[i].time_ns <= time_ns) {
            t = links->changes[i].topology;
            break;
        }
    }
    p = topology_port(t, dpid, port);
    if (!p || !p->has_peer || p->down) {
        return false;
    }
    *peer_dpid = p->peer_dpid;
    *peer_port = p->peer_port;
    return true;
}

size_t
gen_links_n_changes(const struct gen_links *links)
{
    return links->n_changes;
}

const struct gen_links_change *
gen_links_change(const struct gen_links *links, size_t i)
{
    return &links->changes[i];
}
