/* SPDX-License-Identifier: Apache-2.0 */
/* instr_ports - the switch's ports; ours is hidden from the controller. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "recorder/of_wire.h"

/* Sizes and places on the wire of 1.0 and of 1.3. */
#define PORT_LEN_10      48
#define PORT_LEN_13      64
#define FEATURES_LEN     32
#define STATUS_PORT      16 /* Where the port begins in a port-status. */
#define STATS_LEN_10     12 /* Header of a statistics message. */
#define STATS_LEN_13     16
#define PORT_STATS_10    104
#define PORT_STATS_13    112
#define CONFIG_PORT_DOWN 0x1
#define STATE_LINK_DOWN  0x1

static size_t
port_len(const struct instr_link *link)
{
    return link->of_version == OF_WIRE_10 ? PORT_LEN_10 : PORT_LEN_13;
}

/* The 16-bit number of a 1.3 port; false when it has none. */
static bool
port_from_13(uint32_t no, uint16_t *port)
{
    if (no < 0xff00 || no >= 0xffffff00) {
        *port = (uint16_t) no;
        return true;
    }
    return false;
}

/* Reads the number at the start of a record. */
static bool
get_no(const struct instr_link *link, const uint8_t *p, uint16_t *no)
{
    if (link->of_version == OF_WIRE_10) {
        *no = of_wire_get16(p);
        return true;
    }
    return port_from_13(of_wire_get32(p), no);
}

/* Reads the port_len() bytes at 'p'. */
static bool
get_port(const struct instr_link *link, const uint8_t *p,
         struct instr_port *port)
{
    bool is_10 = link->of_version == OF_WIRE_10;
    const uint8_t *config = p + (is_10 ? 24 : 32);

    memset(port, 0, sizeof *port);
    if (!get_no(link, p, &port->no)) {
        return false;
    }
    memcpy(port->mac, p + (is_10 ? 2 : 8), sizeof port->mac);
    memcpy(port->name, p + (is_10 ? 8 : 16), sizeof port->name - 1);
    port->is_down = of_wire_get32(config) & CONFIG_PORT_DOWN ||
                    of_wire_get32(config + 4) & STATE_LINK_DOWN;
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

void
instr_ports_relist(struct instr *instr)
{
    instr->n_flood = 0;
    for (size_t i = 0; i < instr->n_ports; i++) {
        struct instr_port *port = &instr->ports[i];

        port->is_postcard = instr->config.postcard_port &&
                            port->no == instr->config.postcard_port;
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

static void
read_ports(struct instr_change *c, const uint8_t *msg, size_t len, size_t ofs)
{
    struct instr *instr = c->instr;
    size_t step = port_len(c->link);

    for (; ofs + step <= len; ofs += step) {
        struct instr_port port;

        if (get_port(c->link, msg + ofs, &port)) {
            put_port(instr, &port);
        }
    }
    instr_ports_relist(instr);
}

void
instr_ports_features(struct instr_change *c, const uint8_t *msg, size_t len)
{
    read_ports(c, msg, len, FEATURES_LEN);
}

void
instr_ports_desc(struct instr_change *c, const uint8_t *msg, size_t len)
{
    read_ports(c, msg, len, STATS_LEN_13);
}

bool
instr_ports_status(struct instr_change *c, const uint8_t *msg, size_t len)
{
    struct instr *instr = c->instr;
    size_t n = instr->n_ports;
    struct instr_port port;

    if (len < STATUS_PORT + port_len(c->link) ||
        !get_port(c->link, msg + STATUS_PORT, &port)) {
        return false;
    }
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
is_ours(const struct instr_link *link, const uint8_t *record)
{
    const struct instr *instr = link->instr;
    uint16_t no;

    return instr->config.postcard_port && get_no(link, record, &no) &&
           no == instr->config.postcard_port;
}

uint8_t *
instr_ports_hide(const struct instr_change *c, enum of_kind kind,
                 const uint8_t *msg, size_t len, size_t *out_len)
{
    bool is_10 = c->link->of_version == OF_WIRE_10;
    uint8_t *copy;
    size_t step, ofs;

    switch ((int) kind) {
    case OF_PORT_STATUS:
        if (len >= STATUS_PORT + port_len(c->link) &&
            is_ours(c->link, msg + STATUS_PORT)) {
            *out_len = 0;
            return NULL;
        }
        *out_len = len;
        return lh_memdup(msg, len);
    case OF_FEATURES_REPLY:
        ofs = is_10 ? FEATURES_LEN : len;
        step = port_len(c->link);
        break;
    case OF_PORT_DESC_REPLY:
        ofs = is_10 ? STATS_LEN_10 : STATS_LEN_13;
        step = port_len(c->link);
        break;
    default:
        ofs = is_10 ? STATS_LEN_10 : STATS_LEN_13;
        step = is_10 ? PORT_STATS_10 : PORT_STATS_13;
        break;
    }
    copy = lh_memdup(msg, len);
    *out_len = ofs < len ? ofs : len;
    for (; ofs < len; ofs += step) {
        size_t n = len - ofs < step ? len - ofs : step;

        if (n < step || !is_ours(c->link, msg + ofs)) {
            memcpy(copy + *out_len, msg + ofs, n);
            *out_len += n;
        }
    }
    of_wire_put16(copy + 2, (uint16_t) *out_len);
    return copy;
}

void
instr_ports_mod(struct instr_change *c, const uint8_t *msg, size_t len)
{
    size_t need = c->link->of_version == OF_WIRE_10 ? 10 : 12;

    if (len >= need && is_ours(c->link, msg + 8)) {
        instr_refuse(c, OF_REFUSE_PORT);
    } else {
        instr_pass(c, msg, len);
    }
}

void
instr_ports_no_flood(struct instr_change *c)
{
    struct instr *instr = c->instr;
    const struct instr_port *port =
        find_port(instr, (uint16_t) instr->config.postcard_port);
    uint8_t *msg;

    if (c->link->of_version != OF_WIRE_10 || instr->config.is_no_flood ||
        !instr->config.postcard_port || !port) {
        return;
    }
    msg = lh_alloc_zero(32);
    of_wire_put_header(msg, OF_WIRE_10, 15, 32, 0);
    of_wire_put16(msg + 8, port->no);
    memcpy(msg + 10, port->mac, sizeof port->mac);
    of_wire_put32(msg + 16, 1 << 4); /* OFPPC_NO_FLOOD */
    of_wire_put32(msg + 20, 1 << 4);
    instr_emit_own(c, msg, 32);
}
