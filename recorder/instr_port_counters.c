/* SPDX-License-Identifier: Apache-2.0 */
/* instr_port_counters - what the switch counts at the postcard port. */
#include <config.h>
#include "recorder/instr_state.h"

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

#define PORT_STATS 4 /* OFPMP_PORT_STATS */

/* Of a request and a reply, and of the counters in a record. */
struct layout {
    uint8_t request, reply; /* Message types. */
    size_t header, request_len, record_len;
    size_t port;    /* In a record. */
    size_t packets; /* rx_packets; seven more 64-bit counters follow. */
};

static struct layout
layout_of(uint8_t version)
{
    if (version == OF_WIRE_10) {
        return (struct layout){16, 17, 12, 20, 104, 0, 8};
    }
    if (version < 5) {
        return (struct layout){18, 19, 16, 24, 104, 0, 8};
    }
    return (struct layout){18, 19, 16, 24, 80, 4, 16};
}

void
instr_ask_counters(struct instr *instr, struct instr_out *out)
{
    struct instr_link *link = instr_link_choose(instr);
    uint32_t port = instr->config.postcard_port;
    struct instr_change c;
    struct layout l;
    uint8_t *msg;

    if (!instr->is_ready || !link || !port) {
        return;
    }
    instr_change_init(&c, link, out, 0, "recorder");
    instr->counters_tag = c.tag;
    l = layout_of(link->of_version);
    msg = lh_alloc_zero(l.request_len);
    of_wire_put_header(msg, link->of_version, l.request,
                       (uint16_t) l.request_len, 0);
    of_wire_put16(msg + 8, PORT_STATS);
    if (link->of_version == OF_WIRE_10) {
        of_wire_put16(msg + l.header, (uint16_t) port);
    } else {
        of_wire_put32(msg + l.header, port);
    }
    instr_emit_own(&c, msg, l.request_len);
}

bool
instr_counters_reply(struct instr_change *c, const uint8_t *msg, size_t len,
                     uint64_t tag)
{
    struct layout l = layout_of(c->link->of_version);
    const uint8_t *record = msg + l.header;
    uint32_t port;

    if (!tag || tag != c->instr->counters_tag) {
        return false;
    }
    if (msg[1] != l.reply || len < l.header + l.record_len ||
        of_wire_get16(msg + 8) != PORT_STATS) {
        return true;
    }
    port = c->link->of_version == OF_WIRE_10 ? of_wire_get16(record)
                                             : of_wire_get32(record + l.port);
    if (port == c->instr->config.postcard_port) {
        const uint8_t *counters = record + l.packets;

        c->out->postcard_port = (struct instr_port_counters){
            .is_there = true,
            .tx_packets = of_wire_get64(counters + 8),
            .tx_dropped = of_wire_get64(counters + 40),
            .tx_errors = of_wire_get64(counters + 56)};
    }
    return true;
}
