/* SPDX-License-Identifier: Apache-2.0 */
/* hop_traffic - what a packet put on the links of a hop. */
#include <config.h>

#include "lib/hop_traffic.h"

#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

static void
add(struct hop_ports *sent, uint32_t port)
{
    sent->ports = lh_alloc_grow(sent->ports, sent->n, &sent->allocated,
                                sizeof *sent->ports);
    sent->ports[sent->n++] = port;
}

void
hop_traffic_ports(const struct history_hop *hop, struct hop_ports *sent)
{
    sent->n = 0;
    for (size_t i = 0; i < hop->n_out; i++) {
        uint32_t port = hop->out_ports[i];

        if (hop->verdict.name == VERDICT_DROPPED &&
            (hop->n_out == 1 || hop->verdict.port == port)) {
            continue;
        }
        switch (port) {
        case OF_PORT_FLOOD:
        case OF_PORT_ALL:
        case OF_PORT_NORMAL:
            for (size_t k = 0; k < hop->n_branches; k++) {
                add(sent, hop->branches[k]);
            }
            break;
        case OF_PORT_IN_PORT:
            add(sent, hop->in_port);
            break;
        default:
            if (port < 0xff00u || port == OF_PORT_LOCAL) {
                add(sent, port);
            }
            break;
        }
    }
}

static uint32_t
frame_len(const uint8_t *header, size_t caplen)
{
    struct hdr hdr;

    hdr_parse(header, caplen, &hdr);
    return hdr_has_l3(&hdr) ? hdr.l3_ofs + hdr.own_len : (uint32_t) caplen;
}

uint32_t
hop_traffic_bytes(const struct history *h, size_t i, bool is_in)
{
    const struct history_hop *hop = &h->hops[i];

    if (!is_in && hop->has_header_out) {
        return frame_len(hop->header_out, hop->header_out_len);
    }
    while (!hop->caplen && hop->parent >= 0) {
        hop = &h->hops[hop->parent];
    }
    return hop->caplen ? frame_len(hop->header, hop->caplen) : 0;
}
