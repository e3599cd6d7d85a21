/* SPDX-License-Identifier: Apache-2.0 */
/* instr_change - what one call to instr sends and tells. */
#include <config.h>
#include "recorder/instr_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

/* Tags count up in the order of messages; odd ones are our own business. */
bool
instr_is_own_tag(uint64_t tag)
{
    return tag & 1;
}

void
instr_change_init(struct instr_change *c, struct instr_link *link,
                  struct instr_out *out, uint64_t now_ns, const char *who)
{
    memset(c, 0, sizeof *c);
    c->instr = link->instr;
    c->link = link;
    c->out = out;
    c->tag = c->instr->next_tag++ << 1 | 1;
    c->now_ns = now_ns;
    c->who = who;
}

struct shadow_cause
instr_change_cause(const struct instr_change *c)
{
    struct shadow_cause cause = {.tag = c->tag};

    if (c->original) {
        cause.link = c->link->id;
        cause.xid = of_wire_xid(c->original);
    }
    return cause;
}

static void
push_message(struct instr_change *c, uint8_t *msg, size_t len, bool is_own)
{
    struct instr_out *out = c->out;
    struct instr_msg *m;

    out->to_switch =
        lh_alloc_grow(out->to_switch, out->n_to_switch,
                      &out->allocated_to_switch, sizeof *out->to_switch);
    m = &out->to_switch[out->n_to_switch++];
    memset(m, 0, sizeof *m);
    instr_fence_sent(c->link, msg, c->tag);
    m->link = c->link;
    m->data = msg;
    m->len = len;
    m->tag = c->tag;
    m->is_own = is_own || !c->original;
    if (!m->is_own) {
        m->original = lh_memdup(c->original, c->original_len);
        m->original_len = c->original_len;
    }
}

static void
push_wrapped(struct instr_change *c, uint8_t *msg, size_t len, bool is_own)
{
    uint8_t *wrapped;
    size_t wrapped_len;

    if (c->in_bundle && c->bundle_tag) {
        c->instr->mixed_tag = c->bundle_tag;
    }
    if (c->in_bundle) {
        if (of_msg_put_bundle_add(c->link->of_version, 0, c->bundle_id,
                                  c->bundle_flags, msg, len, &wrapped,
                                  &wrapped_len)) {
            c->instr->counters.not_injected++;
            free(msg);
            return;
        }
        free(msg);
        msg = wrapped;
        len = wrapped_len;
    }
    push_message(c, msg, len, is_own);
}

void
instr_emit(struct instr_change *c, uint8_t *msg, size_t len)
{
    push_wrapped(c, msg, len, false);
}

void
instr_emit_own(struct instr_change *c, uint8_t *msg, size_t len)
{
    push_wrapped(c, msg, len, true);
}

void
instr_emit_first(const struct instr_change *c)
{
    struct instr_out *out = c->out;

    if (c->in_bundle) {
        size_t last = out->n_to_switch - 1;
        struct instr_msg *first = &out->to_switch[c->bundle_at];
        struct instr_msg moved = out->to_switch[last];

        assert(c->bundle_at <= last);
        memmove(first + 1, first, (last - c->bundle_at) * sizeof *first);
        *first = moved;
    }
}

void
instr_pass(struct instr_change *c, const uint8_t *msg, size_t len)
{
    if (c->in_bundle) {
        /* As it came, in the controller's bundle. */
        msg = c->original;
        len = c->original_len;
    }
    push_message(c, lh_memdup(msg, len), len, false);
}

void
instr_emit_up(struct instr_change *c, uint8_t *msg, size_t len)
{
    struct instr_out *out = c->out;
    struct instr_msg *m;

    out->to_controller = lh_alloc_grow(
        out->to_controller, out->n_to_controller,
        &out->allocated_to_controller, sizeof *out->to_controller);
    m = &out->to_controller[out->n_to_controller++];
    memset(m, 0, sizeof *m);
    m->link = c->link;
    m->data = msg;
    m->len = len;
}

void
instr_note(struct instr_change *c, const char *kind, const uint8_t *msg,
           size_t len)
{
    struct instr_out *out = c->out;

    out->events = lh_alloc_grow(out->events, out->n_events,
                                &out->allocated_events, sizeof *out->events);
    out->events[out->n_events++] =
        (struct instr_event){.kind = kind, .text = of_msg_to_line(msg, len)};
}

void
instr_refuse(struct instr_change *c, enum of_refusal refusal)
{
    uint8_t version = c->link->of_version;
    struct instr_pending *p;
    uint8_t *error, *barrier;
    size_t len;

    if (!c->original) {
        return;
    }
    c->instr->counters.refused++;
    of_msg_refuse(refusal, c->original, c->original_len, &error, &len);
    if (c->link->n_pending >= MAX_PENDING) {
        instr_emit_up(c, error, len);
        return;
    }
    p = instr_pend(c, PENDING_REFUSAL);
    free(p->request);
    p->request = error;
    p->request_len = len;
    barrier = lh_alloc(OF_WIRE_HEADER_LEN);
    of_wire_put_header(barrier, version, of_wire_barrier_request(version),
                       OF_WIRE_HEADER_LEN, 0);
    instr_emit(c, barrier, OF_WIRE_HEADER_LEN);
}

bool
instr_refuse_reply(struct instr_change *c, uint64_t tag)
{
    struct instr_pending *p =
        instr_pending_find(c->link, tag, PENDING_REFUSAL);

    if (!p) {
        return false;
    }
    instr_emit_up(c, lh_memdup(p->request, p->request_len), p->request_len);
    instr_pending_drop(c->link, p);
    return true;
}

void
instr_made(struct instr_out *out, struct rule *rule)
{
    out->made = lh_alloc_grow(out->made, out->n_made, &out->allocated_made,
                              sizeof *out->made);
    out->made[out->n_made++] = rule;
}

void
instr_gone(struct instr_out *out, uint32_t version, const char *reason)
{
    out->removed =
        lh_alloc_grow(out->removed, out->n_removed, &out->allocated_removed,
                      sizeof *out->removed);
    out->removed[out->n_removed++] =
        (struct instr_removed){.version = version, .reason = reason};
}

uint32_t
instr_version(struct instr_change *c)
{
    uint32_t version = c->instr->config.next_version(c->instr->config.aux);

    if (!c->number) {
        c->number = version;
    }
    return version;
}

uint64_t
instr_change_barrier(struct instr_change *c)
{
    struct instr_change own;

    c->link->n_unasked = 0;
    instr_change_init(&own, c->link, c->out, c->now_ns, c->who);
    instr_ask_barrier(&own);
    return own.tag;
}
