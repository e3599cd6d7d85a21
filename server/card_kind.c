/* SPDX-License-Identifier: Apache-2.0 */
/* card_kind - what all postcards of one output of one rule, or of one visit
 * that is told whole, have in common. */
#include <config.h>

#include "server/card_kind.h"

#include "lib/hop_template.h"
#include "lib/huge_alloc.h"
#include "lib/keyed_hash.h"
#include "lib/of_port.h"

#define N_PLACES 4096 /* A power of 2. */

struct card_kind_cache {
    struct card_kind places[N_PLACES];
    struct keyed_hash hash;
    const struct topology *topology; /* Or NULL. */
};

struct card_kind_cache *
card_kind_cache_create(void)
{
    struct card_kind_cache *cache = huge_alloc(sizeof *cache);

    if (cache) {
        cache->hash = keyed_hash_create();
    }
    return cache;
}

void
card_kind_cache_destroy(struct card_kind_cache *cache)
{
    huge_free(cache, sizeof *cache);
}

void
card_kind_cache_set_topology(struct card_kind_cache *cache,
                             const struct topology *topology)
{
    cache->topology = topology;
    for (size_t i = 0; i < N_PLACES; i++) {
        cache->places[i].is_known = false;
    }
}

/* The number of the link that ends at (dpid, port); never 0. */
static uint64_t
end_number(const struct card_kind_cache *cache, uint64_t dpid, uint32_t port)
{
    uint64_t number = keyed_hash_number(
        &cache->hash, keyed_hash_number(&cache->hash, dpid) + port);

    return number ? number : 1;
}

static void
add_output_port(const struct card_kind_cache *cache, struct card_kind *kind,
                uint32_t no)
{
    const struct topology_port *port =
        topology_port(cache->topology, kind->dpid, no);

    if (port && port->has_peer && port->down) {
        kind->is_soft = true; /* It may be up again, and no news of it yet. */
    } else if (port && port->has_peer) {
        kind->out += end_number(cache, port->peer_dpid, port->peer_port);
    }
}

static void
add_output(const struct card_kind_cache *cache, struct card_kind *kind)
{
    const struct topology_switch *sw;

    switch (kind->out_port) {
    case OF_PORT_FLOOD:
    case OF_PORT_ALL:
        sw = topology_find(cache->topology, kind->dpid);
        for (size_t i = 0; sw && i < sw->n_ports; i++) {
            if (sw->ports[i].no != kind->in_port) {
                add_output_port(cache, kind, sw->ports[i].no);
            }
        }
        break;
    case OF_PORT_NORMAL:
    case OF_PORT_TABLE:
    case OF_PORT_UNKNOWN:
        kind->is_soft = true;
        break;
    case OF_PORT_CONTROLLER:
        kind->is_punted = true;
        break;
    case OF_PORT_IN_PORT:
        add_output_port(cache, kind, kind->in_port);
        break;
    default:
        if (kind->out_port != kind->in_port ||
            kind->flags & POSTCARD_PACKET_OUT) {
            add_output_port(cache, kind, kind->out_port);
        }
        break;
    }
}

/* All outputs of a visit that is told whole.  Between two passes through the
 * tables lies a link of its own. */
static void
add_visit(const struct card_kind_cache *cache, struct card_kind *kind,
          const struct hop_template *visit)
{
    const struct hop_output *outputs = hop_template_outputs(visit);
    uint64_t pass = end_number(cache, ~kind->dpid, kind->in_port);

    if (kind->flags & POSTCARD_CONTINUES) {
        kind->out += pass;
    }
    if (kind->flags & POSTCARD_CONTINUED) {
        kind->out -= pass;
    }
    if (kind->flags & POSTCARD_DROPPED || visit->flags & HOP_METER) {
        kind->is_soft = true;
        return;
    }
    for (size_t i = 0; i < visit->n_outputs; i++) {
        if (outputs[i].flags & HOP_OUTPUT_MAYBE) {
            kind->is_soft = true;
        } else if (outputs[i].flags & HOP_OUTPUT_MIRROR) {
            continue;
        } else if (outputs[i].port == OF_PORT_CONTROLLER) {
            kind->is_punted = true;
        } else if (outputs[i].port < OF_PORT_GROUP) {
            add_output_port(cache, kind, outputs[i].port);
        }
    }
}

static void
work_out(const struct card_kind_cache *cache, const struct postcard *p,
         uint64_t hash, struct card_kind *kind)
{
    uint64_t peer;
    uint32_t port;

    *kind = (struct card_kind){.dpid = p->dpid,
                               .version = p->version,
                               .in_port = p->in_port,
                               .out_port = p->out_port,
                               .flags = p->flags,
                               .is_known = true,
                               .hash = hash};
    if (!cache->topology || p->in_port == OF_PORT_UNKNOWN) {
        kind->is_soft = true;
        return;
    }
    if (!(p->flags & POSTCARD_PACKET_OUT) &&
        topology_peer(cache->topology, p->dpid, p->in_port, &peer, &port)) {
        kind->in = end_number(cache, p->dpid, p->in_port);
    } else {
        kind->is_start = true;
    }
    if (p->visit) {
        add_visit(cache, kind, p->visit);
    } else {
        add_output(cache, kind);
    }
}

uint64_t
card_kind_expect(const struct card_kind_cache *cache, const struct postcard *p)
{
    const struct keyed_hash *h = &cache->hash;
    uint64_t by = (uint64_t) p->version << 32 | p->in_port;
    uint64_t to = (uint64_t) p->out_port << 32 | p->flags;
    uint64_t hash = keyed_hash_number(h, keyed_hash_pair(h, p->dpid, by) ^ to);

    __builtin_prefetch(&cache->places[hash & (N_PLACES - 1)]);
    return hash;
}

const struct card_kind *
card_kind_get(struct card_kind_cache *cache, uint64_t hash,
              const struct postcard *p)
{
    struct card_kind *kind = &cache->places[hash & (N_PLACES - 1)];

    if (!kind->is_known || kind->hash != hash || kind->dpid != p->dpid ||
        kind->version != p->version || kind->in_port != p->in_port ||
        kind->out_port != p->out_port || kind->flags != p->flags) {
        work_out(cache, p, hash, kind);
    }
    return kind;
}
