/* SPDX-License-Identifier: Apache-2.0 */
/* instr_ports - the switch's ports; ours is hidden from the controller. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_records.h"
#include "recorder/of_wire.h"

#define CONFIG_PORT_DOWN 0x1
#define CONFIG_NO_FWD    0x20
#define STATE_LINK_DOWN  0x1

static bool
get_port(const struct of_records *r, struct instr_port *port)
{
    struct of_records_phy phy;

    memset(port, 0, sizeof *port);
    if (!of_records_phy(r, &phy)) {
        return false;
    }
    port->no = phy.no;
    memcpy(port->mac, phy.mac, sizeof port->mac);
    memcpy(port->name, phy.name, sizeof port->name);
    for (char *p = port->name; *p; p++) {
        /* It is shown to people, at terminals. */
        *p = (unsigned char) *p < ' ' || *p == 0x7f ? '?' : *p;
    }
    port->is_down =
        phy.config & CONFIG_PORT_DOWN || phy.state & STATE_LINK_DOWN;
    port->is_shut = phy.config & CONFIG_NO_FWD;
    return true;
}

static int
compare_ports(const void *a_, const void *b_)
{
    const struct instr_port *a = a_;
    const struct instr_port *b = b_;

    return a->no < b->no ? -1 : a->no > b->no;
}

static struct instr_port *
find_port(const struct instr *instr, uint16_t no)
{
    for (size_t i = 0; i < instr->n_ports; i++) {
        if (instr->ports[i].no == no) {
            return &instr->ports[i];
        }
    }
    return NULL;
}

bool
instr_ports_is_postcard(const struct instr *instr, uint32_t no)
{
    for (size_t i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
        if (no && instr->config.ports[i].no == no) {
            return true;
        }
    }
    return false;
}

bool
instr_ports_may_flood(const struct instr *instr)
{
    for (size_t i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
        if (instr->config.ports[i].no && !instr->config.ports[i].is_no_flood) {
            return true;
        }
    }
    return false;
}

void
instr_ports_relist(struct instr *instr)
{
    instr->n_flood = 0;
    for (size_t i = 0; i < instr->n_ports; i++) {
        struct instr_port *port = &instr->ports[i];

        port->is_postcard = instr_ports_is_postcard(instr, port->no);
        if (!port->is_postcard) {
            instr->flood =
                lh_alloc_grow(instr->flood, instr->n_flood,
                              &instr->allocated_flood, sizeof *instr->flood);
            instr->flood[instr->n_flood++] = port->no;
        }
    }
}

static void
put_port(struct instr *instr, const struct instr_port *port)
{
    struct instr_port *old = find_port(instr, port->no);

    if (old) {
        *old = *port;
        return;
    }
    instr->ports =
        lh_alloc_grow(instr->ports, instr->n_ports, &instr->allocated_ports,
                      sizeof *instr->ports);
    instr->ports[instr->n_ports++] = *port;
    qsort(instr->ports, instr->n_ports, sizeof *instr->ports, compare_ports);
}

void
instr_ports_read(struct instr_change *c, enum of_kind kind, const uint8_t *msg,
                 size_t len)
{
    struct of_records r;

    for (of_records_open(&r, kind, msg, len); of_records_next(&r);) {
        struct instr_port port;

        if (get_port(&r, &port)) {
            put_port(c->instr, &port);
        }
    }
    instr_ports_relist(c->instr);
}

bool
instr_ports_status(struct instr_change *c, const uint8_t *msg, size_t len)
{
    struct instr *instr = c->instr;
    size_t n = instr->n_ports;
    struct instr_port port;
    struct of_records r;
    uint64_t hash;
    int ignored;

    of_records_open(&r, OF_PORT_STATUS, msg, len);
    if (!of_records_next(&r) || !get_port(&r, &port)) {
        return false;
    }
    hash = instr_echo_hash(0, &port, sizeof port);
    hash = instr_echo_hash(hash, &msg[8], 1);
    if (instr_echo_take(c, hash, &ignored)) {
        return false;
    }
    instr_echo_put(c, hash, 0);
    if (msg[8] == 1) {
        struct instr_port *gone = find_port(instr, port.no);

        if (gone) {
            size_t i = (size_t) (gone - instr->ports);

            memmove(gone, gone + 1, (n - i - 1) * sizeof *gone);
            instr->n_ports--;
        }
    } else {
        put_port(instr, &port);
    }
    instr_ports_relist(instr);
    return instr->n_ports != n;
}

const struct instr_port *
instr_ports(const struct instr *instr, size_t *n)
{
    *n = instr->n_ports;
    return instr->ports;
}

/* Hiding. */

static bool
is_ours(const struct instr *instr, const struct of_records *r)
{
    uint16_t no;

    return of_records_port(r, &no) && instr_ports_is_postcard(instr, no);
}

uint8_t *
instr_ports_hide(const struct instr_change *c, enum of_kind kind,
                 const uint8_t *msg, size_t len, size_t *out_len)
{
    uint8_t *copy = lh_memdup(msg, len);
    struct of_records r;
    size_t kept = 0; /* Bytes of 'msg' that are settled. */
    bool is_gone = false;

    *out_len = 0;
    for (of_records_open(&r, kind, msg, len); of_records_next(&r);) {
        if (is_ours(c->instr, &r)) {
            size_t ofs = (size_t) (r.record - msg);

            memcpy(copy + *out_len, msg + kept, ofs - kept);
            *out_len += ofs - kept;
            kept = r.ofs;
            is_gone = kind == OF_PORT_STATUS;
        }
    }
    if (is_gone) {
        free(copy);
        return NULL;
    }
    memcpy(copy + *out_len, msg + kept, len - kept);
    *out_len += len - kept;
    of_wire_put16(copy + 2, (uint16_t) *out_len);
    return copy;
}

/* A port that is not there. */
static uint16_t
absent_port(const struct instr *instr)
{
    uint16_t no = 0xfeff;

    while (no > 1 &&
           (find_port(instr, no) || instr_ports_is_postcard(instr, no))) {
        no--;
    }
    return no;
}

/* Sends 'msg', which names a port at 'ofs'; false (and nothing sent) unless
 * that is a postcard port.  The controller cannot know ours: the switch says
 * what it says of a port that it does not have. */
static bool
send_of_absent(struct instr_change *c, const uint8_t *msg, size_t len,
               size_t ofs)
{
    bool is_10 = msg[0] == OF_WIRE_10;
    uint8_t *sent;

    if (len < ofs + 4 ||
        !instr_ports_is_postcard(c->instr, is_10 ? of_wire_get16(msg + ofs)
                                                 : of_wire_get32(msg + ofs))) {
        return false;
    }
    sent = lh_memdup(msg, len);
    if (is_10) {
        of_wire_put16(sent + ofs, absent_port(c->instr));
    } else {
        of_wire_put32(sent + ofs, absent_port(c->instr));
    }
    instr_emit(c, sent, len);
    return true;
}

void
instr_ports_mod(struct instr_change *c, const uint8_t *msg, size_t len)
{
    if (!send_of_absent(c, msg, len, 8)) {
        instr_note(c, "port-mod", msg, len);
        instr_pass(c, msg, len);
    }
}

void
instr_ports_queues(struct instr_change *c, enum of_kind kind,
                   const uint8_t *msg, size_t len)
{
    bool is_single = kind == OF_QUEUE_CONFIG_REQUEST && msg[0] < OF_WIRE_14;
    size_t ofs = is_single ? 8 : msg[0] == OF_WIRE_10 ? 12 : 16;

    if (!send_of_absent(c, msg, len, ofs)) {
        instr_pass(c, msg, len);
    }
}

static void
set_no_flood(struct instr_change *c, const struct instr_port *port)
{
    uint8_t *msg = lh_alloc_zero(32);

    of_wire_put_header(msg, OF_WIRE_10, 15, 32, 0);
    of_wire_put16(msg + 8, port->no);
    memcpy(msg + 10, port->mac, sizeof port->mac);
    of_wire_put32(msg + 16, 1 << 4); /* OFPPC_NO_FLOOD */
    of_wire_put32(msg + 20, 1 << 4);
    instr_emit_own(c, msg, 32);
}

void
instr_ports_no_flood(struct instr_change *c)
{
    struct instr *instr = c->instr;

    for (size_t i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
        const struct instr_postcard_port *p = &instr->config.ports[i];
        const struct instr_port *port =
            p->no ? find_port(instr, (uint16_t) p->no) : NULL;

        if (c->link->of_version == OF_WIRE_10 && port && !p->is_no_flood) {
            set_no_flood(c, port);
        }
    }
}
