/* SPDX-License-Identifier: Apache-2.0 */
/* plain_way - ways on which links alone tell every hop from every other. */
#include <config.h>
#include "server/plain_way.h"

#include "lib/of_port.h"

static bool
has_port(const uint32_t *ports, size_t n, uint32_t port)
{
    for (size_t i = 0; i < n; i++) {
        if (ports[i] == port) {
            return true;
        }
    }
    return false;
}

/* An output that stands for ports it does not name. */
static bool
is_open_output(uint32_t port)
{
    return port >= OF_PORT_GROUP && port != OF_PORT_CONTROLLER &&
           port != OF_PORT_LOCAL && port != OF_PORT_NONE;
}

static bool
has_open_output(const struct history_hop *hop)
{
    for (size_t i = 0; i < hop->n_out; i++) {
        if (is_open_output(hop->out_ports[i])) {
            return true;
        }
    }
    return false;
}

static bool
shares_output(const struct history_hop *a, const struct history_hop *b)
{
    if (has_open_output(a) || has_open_output(b)) {
        return true;
    }
    for (size_t i = 0; i < a->n_out; i++) {
        if (has_port(b->out_ports, b->n_out, a->out_ports[i])) {
            return true;
        }
    }
    return false;
}

/* True when an output of hop 'from' may have led to hop 'to'. */
static bool
may_lead(const struct topology *topology, const struct history_hop *from,
         const struct history_hop *to)
{
    for (size_t i = 0; i < from->n_out; i++) {
        uint64_t peer;
        uint32_t port;

        if (topology_peer(topology, from->dpid, from->out_ports[i], &peer,
                          &port) &&
            peer == to->dpid) {
            return true;
        }
    }
    return has_open_output(from);
}

/* True when two hops cannot be taken for each other, nor for each other's
 * parent but where one is. */
static bool
is_distinct(const struct history *h, size_t i, size_t j,
            const struct topology *topology, bool has_in_ports)
{
    const struct history_hop *a = &h->hops[i], *b = &h->hops[j];

    if (has_in_ports) {
        return a->dpid != b->dpid ||
               (a->in_port != b->in_port && !shares_output(a, b));
    }
    return a->dpid != b->dpid && topology &&
           (b->parent == (int) i || !may_lead(topology, a, b)) &&
           (a->parent == (int) j || !may_lead(topology, b, a));
}

bool
plain_way_is(const struct history *h, const struct topology *topology,
             bool has_in_ports)
{
    for (size_t i = 0; i < h->n_hops; i++) {
        const struct history_hop *hop = &h->hops[i];

        if (hop->verdict.name == VERDICT_LOST ||
            hop->verdict.name == VERDICT_OPEN ||
            hop->verdict.name == VERDICT_CONTROLLER) {
            return false;
        }
        for (size_t j = 0; j < i; j++) {
            if (!is_distinct(h, i, j, topology, has_in_ports)) {
                return false;
            }
        }
    }
    return true;
}
