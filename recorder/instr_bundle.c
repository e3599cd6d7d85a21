/* SPDX-License-Identifier: Apache-2.0 */
/* instr_bundle - bundles: the controller's, and ours around one change.
 *
 * What the controller puts into a bundle takes effect at its commit, and what
 * we make of it depends on the rules that stand then; but what the switch says
 * about it, it says at once.  So the messages go to the switch as they are,
 * and are held too.  Right before the commit the bundle is discarded and
 * filled again with what we make of them.
 *
 * A bundle that is too big to be held is committed as the controller filled
 * it; then the tables are read again. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

#define MAX_BUNDLES 64

static struct instr_bundle **
find(struct instr_link *link, uint32_t id)
{
    struct instr_bundle **b = &link->bundles;

    while (*b && (*b)->id != id) {
        b = &(*b)->next;
    }
    return b;
}

static void
forget_held(struct instr_bundle *b)
{
    for (size_t i = 0; i < b->n_held; i++) {
        free(b->held[i].data);
    }
    free(b->held);
    b->held = NULL;
    b->n_held = b->allocated_held = b->n_bytes = 0;
}

static void
destroy(struct instr_bundle *b)
{
    forget_held(b);
    free(b);
}

static void
drop(struct instr_link *link, uint32_t id)
{
    struct instr_bundle **p = find(link, id);
    struct instr_bundle *b = *p;

    if (b) {
        *p = b->next;
        destroy(b);
    }
}

void
instr_bundle_destroy(struct instr_link *link)
{
    while (link->bundles) {
        drop(link, link->bundles->id);
    }
}

static struct instr_bundle *
open_bundle(struct instr_link *link, uint32_t id, uint16_t flags)
{
    struct instr_bundle *b = *find(link, id);
    size_t n = 0;

    if (b) {
        return b;
    }
    for (b = link->bundles; b; b = b->next) {
        n++;
    }
    if (n >= MAX_BUNDLES) {
        return NULL;
    }
    b = lh_alloc_zero(sizeof *b);
    b->id = id;
    b->flags = flags;
    b->next = link->bundles;
    link->bundles = b;
    return b;
}

/* True when that much more can be held of what goes by this link. */
static bool
has_room(const struct instr_link *link, size_t len)
{
    for (const struct instr_bundle *b = link->bundles; b; b = b->next) {
        len += b->n_bytes;
    }
    return len <= INSTR_MAX_BUNDLED;
}

/* True when a switch takes 'msg' into a bundle: what it refuses at once is not
 * in the bundle. */
static bool
is_sound(const struct instr_link *link, const uint8_t *msg, size_t len)
{
    struct of_group *group;
    struct of_flow flow;
    bool ok;

    switch ((int) of_msg_kind(msg, len)) {
    case OF_MALFORMED:
        return false;
    case OF_FLOW_MOD:
        ok = of_flow_decode(msg, len, link->has_tid, &flow);
        ok = ok && !(flow.command <= OF_FLOW_MODIFY_STRICT &&
                     (flow.table_id == N_TABLES ||
                      flow.buffer_id != OF_FLOW_NO_BUFFER));
        of_flow_uninit(&flow);
        return ok;
    case OF_GROUP_MOD:
        group = of_group_decode(msg, len);
        of_group_destroy(group);
        return group != NULL;
    default:
        return true;
    }
}

void
instr_bundle_add(struct instr_change *c, const uint8_t *msg, size_t len)
{
    struct instr_link *link = c->link;
    struct instr_bundle *b;
    const uint8_t *inner;
    size_t inner_len;
    uint16_t flags;
    uint32_t id;

    instr_pass(c, msg, len);
    if (!of_msg_bundle_add(msg, len, &id, &flags, &inner, &inner_len) ||
        !is_sound(link, inner, inner_len)) {
        c->instr->counters.passed_malformed++;
        return;
    }
    b = *find(link, id);
    if (b && (b->is_closed || b->flags != flags)) {
        drop(link, id); /* So does the switch. */
        return;
    }
    b = open_bundle(link, id, flags);
    if (!b || b->is_too_big) {
        link->has_lost_bundle |= !b;
        return;
    }
    if (!has_room(link, len)) {
        b->is_too_big = true;
        c->instr->counters.bundles_passed++;
        forget_held(b);
        return;
    }
    b->n_bytes += len;
    b->held =
        lh_alloc_grow(b->held, b->n_held, &b->allocated_held, sizeof *b->held);
    b->held[b->n_held++] =
        (struct instr_msg){.data = lh_memdup(msg, len), .len = len};
}

/* Does what a held message says, inside the switch's bundle. */
static void
replay(struct instr_change *c, struct instr_bundle *b,
       const struct instr_msg *held)
{
    struct instr_change part = *c;
    const uint8_t *inner;
    size_t inner_len;
    uint16_t flags;
    uint32_t id;

    if (!of_msg_bundle_add(held->data, held->len, &id, &flags, &inner,
                           &inner_len)) {
        return;
    }
    part.original = held->data;
    part.original_len = held->len;
    part.number = 0;
    part.in_bundle = true;
    part.bundle_id = b->id;
    part.bundle_flags = b->flags;
    switch ((int) of_msg_kind(inner, inner_len)) {
    case OF_FLOW_MOD:
        instr_flow_mod(&part, inner, inner_len);
        break;
    case OF_GROUP_MOD:
        instr_group_mod(&part, inner, inner_len);
        break;
    case OF_PORT_MOD:
        instr_ports_mod(&part, inner, inner_len);
        break;
    default:
        instr_pass(&part, held->data, held->len);
        break;
    }
}

static void
send_control(struct instr_change *c, enum of_bundle_type type)
{
    struct of_bundle_control bc = {
        .id = c->bundle_id, .type = (uint16_t) type, .flags = c->bundle_flags};
    bool in_bundle = c->in_bundle;
    uint8_t *msg;
    size_t len;

    of_msg_put_bundle_control(c->link->of_version, 0, &bc, &msg, &len);
    c->in_bundle = false;
    instr_emit(c, msg, len);
    c->in_bundle = in_bundle;
}

/* The bundle anew, with what we make of its messages. */
static void
refill(struct instr_change *c, struct instr_bundle *b)
{
    struct instr_change own;

    instr_change_init(&own, c->link, c->out, c->now_ns, c->who);
    own.tag = c->tag - 1; /* Its answers do not yet confirm the commit. */
    own.bundle_id = b->id;
    own.bundle_flags = b->flags;
    c->bundle_at = c->out->n_to_switch;
    send_control(&own, OF_BUNDLE_DISCARD_REQUEST);
    send_control(&own, OF_BUNDLE_OPEN_REQUEST);
    for (size_t i = 0; i < b->n_held; i++) {
        replay(c, b, &b->held[i]);
    }
}

void
instr_bundle_control(struct instr_change *c, const uint8_t *msg, size_t len)
{
    struct instr_link *link = c->link;
    struct of_bundle_control bc;
    struct instr_bundle *b;

    if (!of_msg_bundle_control(msg, len, &bc)) {
        c->instr->counters.passed_malformed++;
        instr_pass(c, msg, len);
        return;
    }
    b = *find(link, bc.id);
    switch (bc.type) {
    case OF_BUNDLE_OPEN_REQUEST:
        if (b) {
            drop(link, bc.id); /* So does the switch. */
        } else {
            link->has_lost_bundle |= !open_bundle(link, bc.id, bc.flags);
        }
        break;
    case OF_BUNDLE_CLOSE_REQUEST:
        if (b && (b->is_closed || b->flags != bc.flags)) {
            drop(link, bc.id);
        } else if (b) {
            b->is_closed = true;
        }
        break;
    case OF_BUNDLE_COMMIT_REQUEST:
        if (b ? b->is_too_big : link->has_lost_bundle) {
            link->instr->needs_reading = true;
            link->instr->suspect = link;
            c->out->released = true; /* So that it is read at once. */
        } else if (b && b->flags == bc.flags) {
            refill(c, b);
        }
        drop(link, bc.id);
        break;
    case OF_BUNDLE_DISCARD_REQUEST:
        drop(link, bc.id);
        break;
    default:
        break;
    }
    instr_pass(c, msg, len);
}

bool
instr_bundle_swallow(struct instr_change *c, const uint8_t *msg, size_t len,
                     uint64_t tag)
{
    struct instr_pending *p = instr_pending_find(c->link, tag, PENDING_BUNDLE);
    struct of_bundle_control bc;

    if (!p) {
        return false;
    }
    if (of_msg_bundle_control(msg, len, &bc) &&
        bc.type == OF_BUNDLE_COMMIT_REPLY) {
        instr_pending_drop(c->link, p);
    }
    return true;
}

void
instr_bundle_begin(struct instr_change *c)
{
    if (c->in_bundle || !of_wire_has_bundles(c->link->of_version)) {
        return;
    }
    c->bundle_id = c->link->next_bundle++;
    c->bundle_flags = 3; /* Atomic and ordered. */
    if (!instr_is_own_tag(c->tag)) {
        instr_pend(c, PENDING_BUNDLE);
    }
    c->bundle_at = c->out->n_to_switch;
    send_control(c, OF_BUNDLE_OPEN_REQUEST);
    c->in_bundle = true;
    c->is_own_bundle = true;
}

void
instr_bundle_end(struct instr_change *c)
{
    if (c->is_own_bundle) {
        send_control(c, OF_BUNDLE_COMMIT_REQUEST);
        c->in_bundle = false;
        c->is_own_bundle = false;
    }
}
