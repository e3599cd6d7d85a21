/* SPDX-License-Identifier: Apache-2.0 */
/* instr_forward - meters that others change, as the switch forwards it.
 *
 * No monitor tells of meters.  But from OpenFlow 1.3 on Open vSwitch forwards
 * a meter-mod to all connections but the one that it came by, if they ask for
 * that by their asynchronous configuration.  So each link asks.  What came by
 * another link of ours is known, and told apart by that: the switch forwards
 * it to every other link within moments.
 *
 * A controller that asks for the same gets it, and its own configuration is
 * what it is told when it asks. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

#define HEAD 8
/* Properties of the configuration, and the bits of their masks. */
#define PROPERTY_LEN   8
#define PROPERTY_SLAVE 10
#define REASON_GROUP   1u
#define REASON_METER   2u
/* Of the ONF's and Nicira's extensions of 1.3. */
#define EXPERIMENTER     4
#define ONF_VENDOR       0x4f4e4600u
#define ONF_FORWARD      2350
#define NX_VENDOR        0x2320u
#define NX_SET_ASYNC2    27
#define EXPERIMENTER_LEN 16
/* Of 1.4 and later. */
#define SET_ASYNC 28
#define METER_MOD 29

/* What we want of a link, as bits. */
static uint32_t
wanted(const struct instr_link *link)
{
    if (!link->is_known || link->of_version < OF_WIRE_13 ||
        link->is_auxiliary || link->is_guest) {
        return 0;
    }
    return link->instr->config.is_attached ? REASON_METER | REASON_GROUP
                                           : REASON_METER;
}

static bool
is_13(const struct instr_link *link)
{
    return link->of_version == OF_WIRE_13;
}

void
instr_forward_ask(struct instr_link *link, uint64_t now_ns,
                  struct instr_out *out)
{
    uint32_t reasons = wanted(link);
    size_t head = is_13(link) ? EXPERIMENTER_LEN : HEAD;
    size_t len = head + 2 * PROPERTY_LEN;
    struct instr_change c;
    uint8_t *msg;

    if (!reasons) {
        return;
    }
    msg = lh_alloc_zero(len);
    msg[0] = link->of_version;
    msg[1] = is_13(link) ? EXPERIMENTER : SET_ASYNC;
    of_wire_put16(msg + 2, (uint16_t) len);
    if (is_13(link)) {
        of_wire_put32(msg + HEAD, NX_VENDOR);
        of_wire_put32(msg + HEAD + 4, NX_SET_ASYNC2);
    }
    for (unsigned int i = 0; i < 2; i++) {
        uint8_t *p = msg + head + i * PROPERTY_LEN;

        of_wire_put16(p, (uint16_t) (PROPERTY_SLAVE + i));
        of_wire_put16(p + 2, PROPERTY_LEN);
        of_wire_put32(p + 4, reasons | link->forwards[i]);
    }
    instr_change_init(&c, link, out, now_ns, "recorder");
    instr_emit_own(&c, msg, len);
}

/* The properties of ours among those from 'ofs' on, for each of which 'each'
 * is called; true when there are any. */
static bool
walk(struct instr_link *link, uint8_t *msg, size_t len, size_t ofs,
     void (*each)(struct instr_link *, unsigned int which, uint8_t *mask))
{
    bool found = false;

    while (ofs + 4 <= len) {
        unsigned int which =
            (unsigned int) of_wire_get16(msg + ofs) - PROPERTY_SLAVE;
        size_t n = of_wire_get16(msg + ofs + 2);

        if (n < 4 || n > len - ofs) {
            break;
        }
        if (which < 2 && n == PROPERTY_LEN) {
            each(link, which, msg + ofs + 4);
            found = true;
        }
        ofs += (n + 7) / 8 * 8;
    }
    return found;
}

static void
keep(struct instr_link *link, unsigned int which, uint8_t *mask)
{
    link->forwards[which] = of_wire_get32(mask);
}

static void
restore(struct instr_link *link, unsigned int which, uint8_t *mask)
{
    of_wire_put32(mask, link->forwards[which]);
}

void
instr_forward_configured(struct instr_change *c, const uint8_t *msg,
                         size_t len)
{
    struct instr_link *link = c->link;
    bool is_extended = msg[1] == EXPERIMENTER;
    uint8_t *copy;

    if (!wanted(link) ||
        (is_extended && (len < EXPERIMENTER_LEN ||
                         of_wire_get32(msg + HEAD + 4) != NX_SET_ASYNC2)) ||
        (!is_extended && is_13(link))) {
        return; /* It says nothing of these. */
    }
    copy = lh_memdup(msg, len);
    if (walk(link, copy, len, is_extended ? EXPERIMENTER_LEN : HEAD, keep)) {
        instr_forward_ask(link, c->now_ns, c->out);
    }
    free(copy);
}

void
instr_forward_restore(struct instr_change *c, const uint8_t *msg, size_t len)
{
    uint8_t *copy = lh_memdup(msg, len);

    if (wanted(c->link) && !is_13(c->link)) {
        walk(c->link, copy, len, HEAD, restore);
    }
    instr_emit_up(c, copy, len);
}

void
instr_forward_sent(struct instr_change *c, const struct of_meter *meter)
{
    struct instr *instr = c->instr;
    uint64_t bits = 0;

    for (const struct instr_link *l = instr->links; l; l = l->next) {
        bits |= l != c->link && wanted(l) ? l->bit : 0;
    }
    if (bits) {
        instr->forwarded[instr->n_forwarded++ % INSTR_N_FORWARDED] =
            (struct instr_forwarded){.links = bits,
                                     .ns = c->now_ns,
                                     .command = meter->command,
                                     .id = meter->id};
    }
}

/* True when 'meter' is what came by another link. */
static bool
take_sent(struct instr_change *c, const struct of_meter *meter)
{
    for (size_t i = 0; i < INSTR_N_FORWARDED; i++) {
        struct instr_forwarded *f = &c->instr->forwarded[i];

        if (f->links & c->link->bit && f->id == meter->id &&
            f->command == meter->command &&
            c->now_ns - f->ns < INSTR_FORWARDED_NS) {
            f->links &= ~c->link->bit;
            return true;
        }
    }
    return false;
}

bool
instr_forward_heard(struct instr_change *c, const uint8_t *msg, size_t len)
{
    struct instr_link *link = c->link;
    size_t head = is_13(link) ? EXPERIMENTER_LEN : HEAD;
    bool is_slave = instr_link_role(link) == INSTR_ROLE_SLAVE;
    struct of_meter meter;

    if (!wanted(link) || len < head + HEAD ||
        of_wire_get16(msg + head + 2) != len - head) {
        return true; /* Nothing that we would understand. */
    }
    if (msg[head + 1] != METER_MOD) {
        instr_regroup_soon(c->instr, c->now_ns);
        return link->forwards[!is_slave] & REASON_GROUP;
    }
    if (c->instr->is_ready &&
        of_meter_decode(msg + head, len - head, &meter)) {
        if (take_sent(c, &meter)) {
            of_meter_uninit(&meter);
        } else {
            instr_meter_heard(c, &meter);
        }
    }
    return link->forwards[!is_slave] & REASON_METER;
}
