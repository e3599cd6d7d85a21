/* SPDX-License-Identifier: Apache-2.0 */
/* instr_bundle - bundles: the controller's, and ours around one change.
 *
 * What the controller puts into a bundle takes effect at its commit, and what
 * we make of it depends on the rules that stand then.  So its messages are
 * held until the commit, and go to the switch right before it. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

/* Bytes of a bundle's control message after the OpenFlow header, and where
 * type stands: the ONF extension of 1.3. */
#define ONF_CONTROL_TYPE 20
#define CONTROL_TYPE     12 /* Of 1.4. */

#define MAX_BUNDLES 64
#define MAX_HELD    65536

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
destroy(struct instr_bundle *b)
{
    for (size_t i = 0; i < b->n_held; i++) {
        free(b->held[i].data);
    }
    free(b->held);
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

/* True when a switch takes it into a bundle; what it is going to refuse goes
 * to it at once, as the error does without us. */
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
    struct instr_bundle *b = NULL;
    const uint8_t *inner;
    size_t inner_len;
    uint16_t flags;
    uint32_t id;

    if (of_msg_bundle_add(msg, len, &id, &flags, &inner, &inner_len) &&
        is_sound(link, inner, inner_len)) {
        b = open_bundle(link, id, flags);
    }
    if (!b || b->n_held >= MAX_HELD) {
        c->instr->counters.passed_malformed++;
        instr_pass(c, msg, len);
        return;
    }
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
commit(struct instr_change *c, const struct of_bundle_control *bc)
{
    struct instr_bundle **p = find(c->link, bc->id);
    struct instr_bundle *b = *p;

    if (b) {
        *p = b->next;
        for (size_t i = 0; i < b->n_held; i++) {
            replay(c, b, &b->held[i]);
        }
        destroy(b);
    }
}

void
instr_bundle_control(struct instr_change *c, const uint8_t *msg, size_t len)
{
    struct instr_link *link = c->link;
    struct of_bundle_control bc;
    uint8_t *reply;

    if (!of_msg_bundle_control(msg, len, &bc)) {
        c->instr->counters.passed_malformed++;
        instr_pass(c, msg, len);
        return;
    }
    switch (bc.type) {
    case OF_BUNDLE_OPEN_REQUEST:
        drop(link, bc.id);
        open_bundle(link, bc.id, bc.flags);
        break;
    case OF_BUNDLE_CLOSE_REQUEST:
        if (*find(link, bc.id)) {
            /* The switch must not close it before it has its messages. */
            reply = lh_memdup(msg, len);
            of_wire_put16(reply + (msg[0] == OF_WIRE_13 ? ONF_CONTROL_TYPE
                                                        : CONTROL_TYPE),
                          OF_BUNDLE_CLOSE_REPLY);
            instr_emit_up(c, reply, len);
            return;
        }
        break;
    case OF_BUNDLE_COMMIT_REQUEST:
        commit(c, &bc);
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
