/* SPDX-License-Identifier: Apache-2.0 */
/* instr_fence - one connection changes the switch at a time.
 *
 * Between the connections of a switch there is no order, but the shadow has
 * one.  So a message that changes the switch waits until what went by other
 * connections is known to be done: a barrier of ours asks.  A connection that
 * does not answer in time is not waited for. */
#include <config.h>
#include "recorder/instr_state.h"

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

#define NICIRA_VENDOR      0x2320
#define NICIRA_TLV_REQUEST 25
#define NICIRA_SET_ASYNC2  27

bool
instr_fence_is_write(const uint8_t *msg)
{
    bool is_10 = msg[0] == OF_WIRE_10;

    switch (msg[1]) {
    case OF_WIRE_EXPERIMENTER:
        return of_wire_get16(msg + 2) < 16 ||
               of_wire_get32(msg + 8) != NICIRA_VENDOR ||
               (of_wire_get32(msg + 12) != NICIRA_TLV_REQUEST &&
                of_wire_get32(msg + 12) != NICIRA_SET_ASYNC2);
    case OF_WIRE_FLOW_MOD:
    case 15: /* Port-mod of 1.0, group-mod. */
        return true;
    case 16: /* Port-mod. */
    case 17: /* Table-mod. */
    case 29: /* Meter-mod. */
    case 33: /* Bundles. */
    case 34:
        return !is_10;
    default:
        return false;
    }
}

void
instr_fence_sent(struct instr_link *link, const uint8_t *msg, uint64_t tag)
{
    if (instr_fence_is_write(msg)) {
        link->write_tag = tag;
    }
}

void
instr_fence_answered(struct instr_change *c, uint64_t tag)
{
    struct instr_link *link = c->link;

    instr_again_answered(c, tag);
    if (tag > link->answered_tag) {
        link->answered_tag = tag;
        if (link->write_tag < tag && link->fence_tag) {
            link->fence_tag = 0;
            link->is_late = false;
            c->out->released = true;
        }
    }
}

void
instr_fence_committed(struct instr_change *c, const uint8_t *msg, size_t len,
                      uint64_t tag)
{
    struct of_bundle_control bc;

    if (of_msg_bundle_control(msg, len, &bc) &&
        bc.type == OF_BUNDLE_COMMIT_REPLY) {
        /* Nothing that goes with it comes after it. */
        instr_fence_answered(c, tag + 1);
    }
}

bool
instr_fence_is_open(const struct instr_link *link)
{
    return link->write_tag && link->write_tag >= link->answered_tag;
}

/* Asks 'link' whether it is done.  False: it has not said so for too long. */
static bool
ask(struct instr_link *link, uint64_t now_ns, struct instr_out *out)
{
    struct instr_change c;

    if (link->fence_tag > link->write_tag) {
        if (!link->is_late && now_ns - link->fence_ns >= INSTR_FENCE_NS) {
            link->is_late = true;
            link->instr->counters.unordered++;
        }
        return !link->is_late;
    }
    instr_change_init(&c, link, out, now_ns, "recorder");
    if (!link->fence_tag) {
        link->fence_ns = now_ns;
    }
    link->fence_tag = c.tag;
    instr_ask_barrier(&c);
    return !link->is_late;
}

bool
instr_fence_holds(struct instr_link *link, uint64_t now_ns,
                  struct instr_out *out)
{
    bool holds = false;

    for (struct instr_link *o = link->instr->links; o; o = o->next) {
        if (o != link && o->is_known && instr_fence_is_open(o)) {
            holds |= ask(o, now_ns, out);
        }
    }
    out->is_held |= holds;
    return holds;
}

bool
instr_link_must_wait(struct instr_link *link, const uint8_t *msg,
                     uint64_t now_ns, struct instr_out *out)
{
    return instr_fence_is_write(msg) && !instr_role_is_slave(link) &&
           (instr_again_holds(link, now_ns, out) ||
            instr_fence_holds(link, now_ns, out) ||
            instr_tlv_must_wait(link, msg, now_ns, out));
}
