/* SPDX-License-Identifier: Apache-2.0 */
/* gen_routes - which route a packet takes. */
#include <config.h>
#include "gen/gen_routes.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

#define N_PLACES 16384 /* A power of 2. */
#define N_SALTS  8     /* Equal ways and such that flows choose from. */

struct place {
    bool is_used;
    struct gen_route_spec asked;
    struct gen_route *route; /* Owned. */
};

struct gen_routes {
    struct gen_net *net;
    const struct gen_config *config;
    struct gen_route *underlay; /* Given last.  Owned. */
    struct place places[N_PLACES];
};

/* True when packets may go from one edge to the other. */
static bool
is_pair(const struct gen_routes *routes, size_t src, size_t dst)
{
    const struct gen_edge *a = gen_net_edge(routes->net, src);
    const struct gen_edge *b = gen_net_edge(routes->net, dst);
    uint16_t far;

    if (src == dst) {
        return false;
    }
    far = gen_net_distance(routes->net, a->sw, b->sw);
    return far != UINT16_MAX &&
           (!routes->config->n_hops || far + 1u == routes->config->n_hops);
}

/* The edges that 'src' and 'dst' stand for: the next ones that fit. */
static bool
find_pair(const struct gen_routes *routes, uint32_t *src, uint32_t *dst)
{
    size_t n = gen_net_n_edges(routes->net);

    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n; k++) {
            size_t a = (*src + i) % n, b = (*dst + k) % n;

            if (is_pair(routes, a, b)) {
                *src = (uint32_t) a;
                *dst = (uint32_t) b;
                return true;
            }
        }
    }
    return false;
}

int
gen_routes_create(struct gen_net *net, const struct gen_config *config,
                  struct gen_routes **routesp, struct lh_error *error)
{
    struct gen_routes *routes = lh_alloc_zero(sizeof *routes);
    uint32_t src = 0, dst = 0;

    *routesp = NULL;
    routes->net = net;
    routes->config = config;
    if (!find_pair(routes, &src, &dst)) {
        if (config->n_hops) {
            lh_error_set(error,
                         "the topology has no two edge ports with %" PRIu32
                         " switches on the way between them",
                         config->n_hops);
        } else {
            lh_error_set(error, "the topology has no two edge ports that are "
                                "up, with a way between them");
        }
        free(routes);
        return EINVAL;
    }
    *routesp = routes;
    return 0;
}

void
gen_routes_destroy(struct gen_routes *routes)
{
    if (routes) {
        for (size_t i = 0; i < N_PLACES; i++) {
            gen_route_destroy(routes->places[i].route);
        }
        gen_route_destroy(routes->underlay);
        free(routes);
    }
}

static enum gen_kind
kind_of(const struct gen_routes *routes, const struct gen_packet *packet)
{
    uint32_t at = (uint32_t) ((packet->flow_hash >> 24) % GEN_RANDOM_ALL);

    if (!packet->is_ip) {
        return GEN_PLAIN;
    }
    for (enum gen_kind kind = GEN_PLAIN + 1; kind < N_GEN_KINDS; kind++) {
        if (at < routes->config->shares[kind]) {
            return kind == GEN_NAT && !packet->is_ip4 ? GEN_PLAIN : kind;
        }
        at -= routes->config->shares[kind];
    }
    return GEN_PLAIN;
}

/* What a kind becomes where the net has no room for it. */
static enum gen_kind
instead_of(enum gen_kind kind)
{
    return kind == GEN_LOOP_TTL || kind == GEN_LOOP ? GEN_LOOP_IN_PORT
                                                    : GEN_PLAIN;
}

static struct gen_route *
make(struct gen_routes *routes, const struct gen_route_spec *asked)
{
    struct gen_route_spec spec = *asked;
    struct gen_route *route;

    if (!find_pair(routes, &spec.src, &spec.dst)) {
        abort(); /* gen_routes_create() found one. */
    }
    route = gen_route_create(routes->net, &spec);
    while (!route && spec.kind != GEN_PLAIN) {
        spec.kind = instead_of(spec.kind);
        route = gen_route_create(routes->net, &spec);
    }
    assert(route);
    return route;
}

static bool
is_equal(const struct gen_route_spec *a, const struct gen_route_spec *b)
{
    return a->kind == b->kind && a->src == b->src && a->dst == b->dst &&
           a->salt == b->salt && a->has_ttl == b->has_ttl;
}

const struct gen_route *
gen_routes_find(struct gen_routes *routes, const struct gen_packet *packet)
{
    size_t n = gen_net_n_edges(routes->net);
    struct gen_route_spec asked = {
        .kind = kind_of(routes, packet),
        .src = (uint32_t) (packet->src_hash % n),
        .dst = (uint32_t) (packet->dst_hash % n),
        .salt = (uint32_t) (packet->flow_hash % N_SALTS),
        .has_ttl = packet->is_ip,
    };
    uint64_t hash = gen_random_mix((uint64_t) asked.src << 32 | asked.dst);
    struct place *place;

    hash = gen_random_mix(hash + asked.kind * 64u + asked.salt * 2u +
                          asked.has_ttl);
    place = &routes->places[hash & (N_PLACES - 1)];
    if (!place->is_used || !is_equal(&place->asked, &asked)) {
        gen_route_destroy(place->route);
        place->is_used = true;
        place->asked = asked;
        place->route = make(routes, &asked);
    }
    return place->route;
}

const struct gen_route *
gen_routes_underlay(struct gen_routes *routes, const struct gen_route *route)
{
    struct gen_route_spec spec = route->spec;

    gen_route_destroy(routes->underlay);
    spec.kind = GEN_UNDERLAY;
    routes->underlay = gen_route_create(routes->net, &spec);
    assert(routes->underlay);
    return routes->underlay;
}
