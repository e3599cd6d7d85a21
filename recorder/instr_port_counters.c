/* SPDX-License-Identifier: Apache-2.0 */
/* instr_port_counters - what the switch counts at the postcard ports. */
#include <config.h>
#include "recorder/instr_state.h"

#include <string.h>

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

static void
ask(struct instr_change *c, uint32_t port)
{
    uint8_t version = c->link->of_version;
    struct layout l = layout_of(version);
    uint8_t *msg = lh_alloc_zero(l.request_len);

    of_wire_put_header(msg, version, l.request, (uint16_t) l.request_len, 0);
    of_wire_put16(msg + 8, PORT_STATS);
    if (version == OF_WIRE_10) {
        of_wire_put16(msg + l.header, (uint16_t) port);
    } else {
        of_wire_put32(msg + l.header, port);
    }
    instr_emit_own(c, msg, l.request_len);
}

void
instr_ask_counters(struct instr *instr, struct instr_out *out)
{
    struct instr_link *link = instr_link_choose(instr);
    struct instr_change c;

    if (!instr->is_ready || !link) {
        return;
    }
    instr_change_init(&c, link, out, 0, "recorder");
    instr->counters_tag = c.tag;
    instr->n_counters_due = 0;
    memset(instr->port_counters, 0, sizeof instr->port_counters);
    for (size_t i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
        if (instr->config.ports[i].no) {
            instr->n_counters_due++;
            ask(&c, instr->config.ports[i].no);
        }
    }
}

static void
take_counters(struct instr *instr, uint32_t port, const uint8_t *counters)
{
    for (size_t i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
        if (port && instr->config.ports[i].no == port) {
            instr->port_counters[i] = (struct instr_port_counters){
                .is_there = true,
                .tx_packets = of_wire_get64(counters + 8),
                .tx_dropped = of_wire_get64(counters + 40),
                .tx_errors = of_wire_get64(counters + 56)};
        }
    }
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
    take_counters(c->instr, port, record + l.packets);
    if (c->instr->n_counters_due && !--c->instr->n_counters_due) {
        memcpy(c->out->postcard_ports, c->instr->port_counters,
               sizeof c->out->postcard_ports);
    }
    return true;
}
