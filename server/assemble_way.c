/* SPDX-License-Identifier: Apache-2.0 */
/* assemble_way - the ways that a packet can have gone unseen. */
#include <config.h>
#include "server/assemble_scratch.h"

#include <string.h>

#include "lib/of_port.h"

/* Switches asked in one assembly: past it every way is thinkable. */
#define MAX_ASKED 2000

static bool
is_on_way(const struct assemble_way *way, size_t depth, uint64_t dpid)
{
    if (dpid == way->avoid[0] || dpid == way->avoid[1]) {
        return true;
    }
    for (size_t i = 0; i <= depth; i++) {
        if (way->dpid[i] == dpid) {
            return true;
        }
    }
    return false;
}

/* Where the packet was seen to come in like this before, it goes on as it did
 * then; elsewhere it may go anywhere but back. */
static bool
may_leave(const struct assemble_way *way, uint64_t dpid, uint32_t in_port,
          uint32_t port)
{
    const struct assembler *a = way->a;
    bool was_seen = false;

    if (port == in_port) {
        return false;
    }
    for (size_t v = 0; v < a->n_visits; v++) {
        const struct assemble_visit *visit = &a->visits[v];

        if (!visit->is_removed && visit->dpid == dpid &&
            visit->in_port == in_port) {
            if (assemble_visit_has_out(a, (int) v, port) ||
                assemble_visit_has_out(a, (int) v, OF_PORT_FLOOD) ||
                assemble_visit_has_out(a, (int) v, OF_PORT_ALL) ||
                assemble_visit_has_out(a, (int) v, OF_PORT_NORMAL)) {
                return true;
            }
            was_seen = true;
        }
    }
    return !was_seen;
}

/* Counts the simple ways from (way->dpid[depth], in_port[depth]) out of
 * (way->to_dpid, to_port), up to two; depth is less than ASSEMBLE_WAY_MAX. */
static void
walk(struct assemble_way *way, size_t depth)
{
    const struct topology_switch *sw;

    if (way->dpid[depth] == way->to_dpid) {
        if (may_leave(way, way->to_dpid, way->in_port[depth], way->to_port)) {
            way->out_port[depth] = way->to_port;
            way->n_ways++;
            way->length = depth + 1;
            memcpy(way->found_dpid, way->dpid, sizeof way->dpid);
            memcpy(way->found_in, way->in_port, sizeof way->in_port);
            memcpy(way->found_out, way->out_port, sizeof way->out_port);
        }
        return;
    }
    sw = topology_find(way->a->env->topology, way->dpid[depth]);
    if (!sw || depth + 1 == ASSEMBLE_WAY_MAX ||
        ++way->a->n_asked > MAX_ASKED) {
        /* Too far to tell: not one way for sure. */
        way->n_ways += sw != NULL ? 2 : 0;
        return;
    }
    for (size_t i = 0; i < sw->n_ports && way->n_ways < 2; i++) {
        const struct topology_port *port = &sw->ports[i];

        if (port->has_peer && !is_on_way(way, depth, port->peer_dpid) &&
            may_leave(way, sw->dpid, way->in_port[depth], port->no)) {
            way->out_port[depth] = port->no;
            way->dpid[depth + 1] = port->peer_dpid;
            way->in_port[depth + 1] = port->peer_port;
            walk(way, depth + 1);
        }
    }
}

void
assemble_way_find(struct assembler *a, int w, uint32_t from_port, int v,
                  uint64_t dpid, uint32_t port, struct assemble_way *way)
{
    *way = (struct assemble_way){
        .a = a,
        .to_dpid = dpid,
        .to_port = port,
        .avoid = {a->visits[w].dpid, a->visits[v].dpid},
    };
    if (topology_peer(a->env->topology, a->visits[w].dpid, from_port,
                      &way->dpid[0], &way->in_port[0]) &&
        way->dpid[0] != way->avoid[0] && way->dpid[0] != way->avoid[1]) {
        walk(way, 0);
    }
}
