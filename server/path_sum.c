/* SPDX-License-Identifier: Apache-2.0 */
/* path_sum - a quick answer to whether a packet's postcards may be all. */
#include <config.h>
#include "server/path_sum.h"

#include "lib/of_port.h"

static uint64_t
end_number(uint64_t dpid, uint32_t port)
{
    uint64_t x = dpid * 0x9e3779b97f4a7c15ULL ^ port;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

/* The TTL is about to end: what the rule names will not all happen. */
static bool
is_dying(const struct postcard *p)
{
    size_t ofs = 12;

    while (p->caplen > ofs + 16 &&
           (p->header[ofs] == 0x81 || p->header[ofs] == 0x88)) {
        ofs += 4;
    }
    if (p->caplen <= ofs + 11) {
        return false;
    }
    if (p->header[ofs] == 0x08 && p->header[ofs + 1] == 0x00) {
        return p->header[ofs + 10] <= 1;
    }
    return p->header[ofs] == 0x86 && p->header[ofs + 1] == 0xdd &&
           p->header[ofs + 9] <= 1;
}

static void
add_output_port(const struct topology *topology, struct path_sum *sum,
                const struct postcard *p, uint32_t no)
{
    const struct topology_port *port = topology_port(topology, p->dpid, no);

    if (port && port->has_peer && !port->down) {
        sum->sum += end_number(port->peer_dpid, port->peer_port);
    }
}

static void
add_output(const struct topology *topology, struct path_sum *sum,
           const struct postcard *p)
{
    const struct topology_switch *sw;

    switch (p->out_port) {
    case OF_PORT_FLOOD:
    case OF_PORT_ALL:
        sw = topology_find(topology, p->dpid);
        for (size_t i = 0; sw && i < sw->n_ports; i++) {
            if (sw->ports[i].no != p->in_port) {
                add_output_port(topology, sum, p, sw->ports[i].no);
            }
        }
        break;
    case OF_PORT_NORMAL:
    case OF_PORT_TABLE:
    case OF_PORT_UNKNOWN:
        sum->is_soft = true;
        break;
    case OF_PORT_CONTROLLER:
        sum->is_punted = true;
        break;
    case OF_PORT_IN_PORT:
        add_output_port(topology, sum, p, p->in_port);
        break;
    default:
        if (p->out_port != p->in_port || p->flags & POSTCARD_PACKET_OUT) {
            add_output_port(topology, sum, p, p->out_port);
        }
        break;
    }
}

void
path_sum_add(struct path_sum *sum, const struct topology *topology,
             const struct postcard_entry *others, const struct postcard *p)
{
    bool is_visit_new = true;

    if (!topology || p->in_port == OF_PORT_UNKNOWN || is_dying(p)) {
        sum->is_soft = true;
        return;
    }
    for (const struct postcard_entry *e = others; e; e = e->next) {
        const struct postcard *q = &e->p;

        if (q->dpid == p->dpid && q->in_port == p->in_port &&
            !((q->flags ^ p->flags) & POSTCARD_PACKET_OUT)) {
            is_visit_new = false;
            if (q->out_port == p->out_port) {
                return;
            }
        }
    }
    if (is_visit_new) {
        uint64_t peer;
        uint32_t port;

        if (!(p->flags & POSTCARD_PACKET_OUT) &&
            topology_peer(topology, p->dpid, p->in_port, &peer, &port)) {
            sum->sum -= end_number(p->dpid, p->in_port);
        } else {
            sum->has_start = true;
        }
    }
    add_output(topology, sum, p);
}
