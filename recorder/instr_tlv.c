/* SPDX-License-Identifier: Apache-2.0 */
/* instr_tlv - the TLV map: ours stays, the controller sees only its own. */
#include <config.h>
#include "recorder/instr_state.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "lib/postcard_geneve.h"
#include "recorder/of_wire.h"

/* The option of a postcard (docs/formats/postcard-geneve.md). */
static const struct of_tlv our_tlv = {.class = POSTCARD_GENEVE_CLASS,
                                      .type = POSTCARD_GENEVE_TYPE,
                                      .len = POSTCARD_GENEVE_LEN};

static bool
is_our_option(const struct of_tlv *tlv)
{
    return tlv->class == our_tlv.class && tlv->type == our_tlv.type;
}

static void
keep(struct instr *instr, const struct of_tlv *tlv)
{
    instr->tlvs = lh_alloc_grow(instr->tlvs, instr->n_tlvs,
                                &instr->allocated_tlvs, sizeof *instr->tlvs);
    instr->tlvs[instr->n_tlvs++] = *tlv;
}

/* The switch goes by the index alone. */
static void
forget(struct instr *instr, const struct of_tlv *tlv)
{
    for (size_t i = 0; i < instr->n_tlvs; i++) {
        if (instr->tlvs[i].index == tlv->index) {
            instr->tlvs[i] = instr->tlvs[--instr->n_tlvs];
            return;
        }
    }
}

void
instr_tlv_read(struct instr *instr, const uint8_t *msg, size_t len)
{
    enum of_tlv_command command;
    bool is_used[64] = {false};
    uint16_t max_fields;
    struct of_tlv *tlvs;
    uint32_t space;
    size_t n;

    if (!of_msg_tlv_decode(msg, len, &command, &tlvs, &n, &space,
                           &max_fields)) {
        return;
    }
    instr->n_tlvs = 0;
    instr->has_tlv = false;
    instr->tlv_move.state = 0;
    for (size_t i = 0; i < n; i++) {
        if (tlvs[i].index < 64) {
            is_used[tlvs[i].index] = true;
        }
        if (is_our_option(&tlvs[i]) && tlvs[i].len == our_tlv.len &&
            tlvs[i].index < 64) {
            instr->has_tlv = true;
            instr->tlv_index = (uint8_t) tlvs[i].index;
        } else {
            keep(instr, &tlvs[i]);
        }
    }
    if (!instr->has_tlv) {
        instr->tlv_index = 63;
        while (instr->tlv_index && is_used[instr->tlv_index]) {
            instr->tlv_index--;
        }
    }
    free(tlvs);
}

void
instr_tlv_set_up(struct instr_change *c)
{
    struct instr *instr = c->instr;
    struct instr_change own;
    struct of_tlv tlv = our_tlv;
    uint8_t *msg;
    size_t len;

    if (!instr->config.ports[INSTR_GENEVE].is_wanted || instr->has_tlv) {
        return;
    }
    instr_change_init(&own, c->link, c->out, c->now_ns, c->who);
    tlv.index = instr->tlv_index;
    of_msg_tlv_mod(c->link->of_version, 0, OF_TLV_ADD, &tlv, 1, &msg, &len);
    instr_emit_own(&own, msg, len);
    instr->tlv_tag = own.tag;
    instr->has_tlv = true;
}

void
instr_tlv_withdraw(struct instr_change *c)
{
    struct instr *instr = c->instr;
    struct of_tlv ours = our_tlv;
    uint8_t *msg;
    size_t len;

    ours.index = instr->tlv_index;
    if (instr->has_tlv) {
        of_msg_tlv_mod(c->link->of_version, 0, OF_TLV_DELETE, &ours, 1, &msg,
                       &len);
        instr_emit_own(c, msg, len);
        instr->has_tlv = false;
    }
}

/* What a clear means for the controller: all that is its own. */
static void
clear(struct instr_change *c)
{
    struct instr *instr = c->instr;
    uint8_t *msg;
    size_t len;

    if (instr->n_tlvs) {
        of_msg_tlv_mod(c->link->of_version, 0, OF_TLV_DELETE, instr->tlvs,
                       instr->n_tlvs, &msg, &len);
        instr_emit(c, msg, len);
        instr->n_tlvs = 0;
    }
}

/* Sends a delete on with an index that nothing has in place of ours: the
 * switch says nothing to that, and would take ours without looking at its
 * option. */
static void
remove_some(struct instr_change *c, const uint8_t *msg, size_t len,
            struct of_tlv *tlvs, size_t n)
{
    struct instr *instr = c->instr;
    unsigned int free_index = instr_tlv_choose(instr, tlvs, n);
    bool has_ours = false;
    uint8_t *sent;
    size_t sent_len;

    for (size_t i = 0; i < n; i++) {
        forget(instr, &tlvs[i]);
        if (instr->has_tlv && tlvs[i].index == instr->tlv_index) {
            has_ours = true;
            tlvs[i].index = (uint16_t) free_index;
        }
    }
    if (!has_ours) {
        instr_pass(c, msg, len);
    } else if (free_index < INSTR_TLV_INDEXES) {
        of_msg_tlv_mod(c->link->of_version, of_wire_xid(msg), OF_TLV_DELETE,
                       tlvs, n, &sent, &sent_len);
        instr_emit(c, sent, sent_len);
    } else {
        instr_refuse(c, OF_REFUSE_TLV_MAPPED); /* Every index has something. */
    }
}

void
instr_tlv_mod(struct instr_change *c, const uint8_t *msg, size_t len)
{
    struct instr *instr = c->instr;
    enum of_tlv_command command;
    uint16_t max_fields;
    struct of_tlv *tlvs;
    uint32_t space;
    size_t n;

    if (!of_msg_tlv_decode(msg, len, &command, &tlvs, &n, &space,
                           &max_fields)) {
        instr->counters.passed_malformed++;
        instr_pass(c, msg, len);
        return;
    }
    for (size_t i = 0; command == OF_TLV_ADD && instr->has_tlv && i < n; i++) {
        if (is_our_option(&tlvs[i]) || tlvs[i].index == instr->tlv_index) {
            instr_refuse(c, OF_REFUSE_TLV_MAPPED);
            instr->tlv_move.has_failed = false;
            free(tlvs);
            return;
        }
    }
    if (command == OF_TLV_CLEAR) {
        clear(c);
    } else if (command == OF_TLV_DELETE) {
        remove_some(c, msg, len, tlvs, n);
    } else {
        for (size_t i = 0; i < n; i++) {
            keep(instr, &tlvs[i]);
        }
        instr_pass(c, msg, len);
    }
    free(tlvs);
}

void
instr_tlv_reply(struct instr_change *c, const uint8_t *msg, size_t len)
{
    enum of_tlv_command command;
    uint16_t max_fields;
    struct of_tlv *tlvs;
    uint32_t space;
    uint8_t *reply;
    size_t kept = 0;
    size_t n;

    if (!of_msg_tlv_decode(msg, len, &command, &tlvs, &n, &space,
                           &max_fields)) {
        instr_emit_up(c, lh_memdup(msg, len), len);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_our_option(&tlvs[i])) {
            tlvs[kept++] = tlvs[i];
        }
    }
    of_msg_tlv_reply(msg[0], of_wire_xid(msg), tlvs, kept, space, max_fields,
                     &reply, &len);
    instr_emit_up(c, reply, len);
    free(tlvs);
}
