/* SPDX-License-Identifier: Apache-2.0 */
/* instr_tlv_move - makes way in the TLV map for a controller.
 *
 * The switch maps an option to one index only, and keeps it while a rule, or
 * what is not yet freed of one, has it.  So Geneve postcards are taken off all
 * rules, the option is unmapped, which is tried until the switch does it,
 * mapped anew, and the postcards are put back.  Meanwhile the controller's
 * message, and what comes after it, waits. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"

#define NICIRA            0x00002320
#define NXT_TLV_MOD       24
#define INSTR_TLV_INDEXES 64
#define RETRY_NS          UINT64_C(20000000)
#define NO_ANSWER_NS      UINT64_C(1000000000)
#define MAX_TRIES         200

enum tlv_move_state {
    MOVE_NONE,
    MOVE_STRIP, /* Rules are being rewritten. */
    MOVE_DELETE /* The switch has been asked to unmap ours. */
};

static bool
is_tlv_mod(const uint8_t *msg)
{
    return msg[1] == OF_WIRE_EXPERIMENTER && of_wire_get16(msg + 2) >= 16 &&
           of_wire_get32(msg + 8) == NICIRA &&
           of_wire_get32(msg + 12) == NXT_TLV_MOD;
}

static void
note(struct instr *instr, struct instr_out *out, char *text)
{
    out->events = lh_alloc_grow(out->events, out->n_events,
                                &out->allocated_events, sizeof *out->events);
    out->events[out->n_events++] =
        (struct instr_event){.kind = "tlv-map", .text = text};
    instr->counters.tlv_moved++;
}

/* Postcards are put back, whatever index ours has. */
static void
finish(struct instr *instr, uint64_t now_ns, struct instr_out *out)
{
    /* Where rules are read again it is tried again after that. */
    instr->tlv_move = (struct instr_tlv_move){
        .has_failed = instr->tlv_move.state && !instr->needs_reading};
    instr_inject_set(instr);
    instr_owe(instr, OWES_UPDATE | OWES_REWRITE);
    out->released = true;
    instr_owed_pay(instr, now_ns, out);
    instr_again_run(instr, now_ns, out);
}

unsigned int
instr_tlv_choose(const struct instr *instr, const struct of_tlv *wanted,
                 size_t n)
{
    bool is_used[INSTR_TLV_INDEXES] = {false};
    unsigned int index = INSTR_TLV_INDEXES;

    is_used[instr->tlv_index] = true;
    for (size_t i = 0; i < instr->n_tlvs; i++) {
        if (instr->tlvs[i].index < INSTR_TLV_INDEXES) {
            is_used[instr->tlvs[i].index] = true;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (wanted[i].index < INSTR_TLV_INDEXES) {
            is_used[wanted[i].index] = true;
        }
    }
    while (index-- > 0) {
        if (!is_used[index]) {
            return index;
        }
    }
    return INSTR_TLV_INDEXES;
}

/* True when 'msg' maps something to our index. */
static bool
wants_ours(const struct instr *instr, const uint8_t *msg, unsigned int *to)
{
    enum of_tlv_command command;
    struct of_tlv *tlvs;
    uint16_t max_fields;
    bool wants = false;
    uint32_t space;
    size_t n;

    *to = INSTR_TLV_INDEXES;
    if (!instr->has_tlv ||
        !of_msg_tlv_decode(msg, of_wire_get16(msg + 2), &command, &tlvs, &n,
                           &space, &max_fields)) {
        return false;
    }
    for (size_t i = 0; command == OF_TLV_ADD && i < n; i++) {
        wants |= tlvs[i].index == instr->tlv_index;
    }
    if (wants) {
        *to = instr_tlv_choose(instr, tlvs, n);
    }
    free(tlvs);
    return wants;
}

bool
instr_tlv_must_wait(struct instr_link *link, const uint8_t *msg,
                    uint64_t now_ns, struct instr_out *out)
{
    struct instr *instr = link->instr;
    struct instr_tlv_move *move = &instr->tlv_move;
    unsigned int to;

    if (!is_tlv_mod(msg) || !instr->is_ready || instr->is_detached) {
        return false;
    }
    if (move->state != MOVE_NONE) {
        return true;
    }
    if (move->has_failed || !wants_ours(instr, msg, &to) ||
        to == INSTR_TLV_INDEXES) {
        return false;
    }
    *move = (struct instr_tlv_move){
        .state = MOVE_STRIP, .to = (uint8_t) to, .due_ns = now_ns};
    instr_inject_set(instr);
    instr_owe(instr, OWES_UPDATE | OWES_REWRITE);
    instr_tlv_move_run(instr, now_ns, out);
    return true;
}

static void
ask_to_delete(struct instr *instr, struct instr_link *link, uint64_t now_ns,
              struct instr_out *out)
{
    struct instr_tlv_move *move = &instr->tlv_move;
    struct instr_change c;

    instr_change_init(&c, link, out, now_ns, "recorder");
    move->state = MOVE_DELETE;
    move->is_refused = false;
    move->tag = c.tag;
    move->due_ns = now_ns + NO_ANSWER_NS;
    instr_tlv_withdraw(&c);
    instr->has_tlv = true; /* Until the switch has said so. */
    move->barrier = instr_change_barrier(&c);
}

uint64_t
instr_tlv_move_due_ns(const struct instr *instr)
{
    return instr->tlv_move.state != MOVE_NONE ? instr->tlv_move.due_ns
                                              : UINT64_MAX;
}

void
instr_tlv_move_run(struct instr *instr, uint64_t now_ns, struct instr_out *out)
{
    struct instr_tlv_move *move = &instr->tlv_move;
    struct instr_link *link = instr_link_choose(instr);

    if (move->state == MOVE_NONE || now_ns < move->due_ns) {
        return;
    }
    if (move->state == MOVE_DELETE) {
        /* No answer, perhaps because the connection has gone: nobody knows. */
        move->state = MOVE_NONE;
        instr->needs_reading = true;
        out->released = true;
        instr_again_run(instr, now_ns, out);
        return;
    }
    move->due_ns = now_ns + RETRY_NS;
    if (move->n_tries++ == MAX_TRIES) {
        finish(instr, now_ns, out);
        return;
    }
    instr_owed_pay(instr, now_ns, out);
    if (link && !(instr->owes & OWES_REWRITE)) {
        ask_to_delete(instr, link, now_ns, out);
    }
}

void
instr_tlv_move_refused(struct instr *instr, uint64_t tag)
{
    if (instr->tlv_move.state == MOVE_DELETE && tag == instr->tlv_move.tag) {
        instr->tlv_move.is_refused = true;
    }
}

void
instr_tlv_move_passed(struct instr_change *c, uint64_t tag)
{
    struct instr *instr = c->instr;
    struct instr_tlv_move *move = &instr->tlv_move;

    if (move->state != MOVE_DELETE || tag != move->barrier) {
        return;
    }
    if (move->is_refused) {
        move->state = MOVE_STRIP;
        move->due_ns = c->now_ns + RETRY_NS;
        return;
    }
    note(instr, c->out,
         lh_asprintf("the option of postcards moves from tun_metadata%u to "
                     "tun_metadata%u, because a controller wants the former",
                     instr->tlv_index, move->to));
    instr->tlv_index = move->to;
    instr->has_tlv = false;
    move->state = MOVE_NONE;
    instr_tlv_set_up(c);
    finish(instr, c->now_ns, c->out);
}
