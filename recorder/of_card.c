/* SPDX-License-Identifier: Apache-2.0 */
/* of_card - the one action that emits one postcard. */
#include <config.h>
#include "recorder/of_card.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/postcard_geneve.h"
#include "lib/postcard_mac.h"
#include "recorder/of_wire.h"

struct of_card {
    struct of_inject_config config;
    struct of_acts head;           /* Set the option or address.  Owned. */
    struct of_acts tail;           /* Output to the postcard port.  Owned. */
    struct mf_subfield port_field; /* Where a postcard's out_port stands. */
};

static char *
head_text(const struct of_inject_config *c)
{
    if (!c->is_mac) {
        return lh_asprintf("set_field:0x%02x%038x->tun_metadata%d,"
                           "move:NXM_OF_IN_PORT[]->"
                           "NXM_NX_TUN_METADATA%d[16..31]",
                           POSTCARD_GENEVE_FORMAT, 0, c->tlv_index,
                           c->tlv_index);
    }
    return c->of_version == OF_WIRE_10
               ? lh_asprintf("set_field:00:00:00:00:00:01->eth_dst,"
                             "mod_vlan_vid:%d",
                             c->vlan)
               : lh_asprintf("set_field:00:00:00:00:00:01->eth_dst,"
                             "push_vlan:0x8100,set_field:%d->vlan_vid",
                             c->vlan | 0x1000);
}

struct of_card *
of_card_create(const struct of_inject_config *c)
{
    struct of_card *card = lh_alloc_zero(sizeof *card);
    char *head, *tail, *error;

    card->config = *c;
    if (c->is_agent) {
        return card;
    }
    head = head_text(c);
    /* A packet is not sent back by the port that it came by, a postcard of it
     * is; only the clone forgets that port. */
    tail = lh_asprintf("%soutput(port=%d,max_len=%d)",
                       c->is_inband ? "load:0->NXM_OF_IN_PORT[]," : "",
                       c->port, c->snap_len);
    error = of_acts_from_text(&card->head, head);
    if (!error) {
        error = of_acts_from_text(&card->tail, tail);
    }
    free(head);
    free(tail);
    if (error) {
        free(error);
        of_card_destroy(card);
        return NULL;
    }
    card->port_field = (struct mf_subfield){
        .field = c->is_mac ? mf_from_id(MFF_ETH_DST)
                           : mf_from_id(MFF_TUN_METADATA0 + c->tlv_index),
        .ofs = c->is_mac ? 12 : 0,
        .n_bits = c->is_mac ? 12 : 16};
    return card;
}

void
of_card_destroy(struct of_card *card)
{
    if (card) {
        of_acts_uninit(&card->head);
        of_acts_uninit(&card->tail);
        free(card);
    }
}

void
of_card_end_nest(struct ofpbuf *out, size_t start)
{
    struct ofpact *nest = ofpbuf_at_assert(out, start, sizeof *nest);

    out->header = nest;
    ofpact_finish(out, nest);
}

/* Writes what the postcard says into the set_field at the head of 'out's
 * actions from 'ofs' on. */
static void
fill_head(const struct of_card *card, struct ofpbuf *out, size_t ofs,
          uint32_t version, uint16_t port, uint8_t flags)
{
    const struct of_inject_config *c = &card->config;
    struct ofpact *a = ofpbuf_at_assert(out, ofs, sizeof *a);
    struct ofpact_set_field *sf = ofpact_get_SET_FIELD(a);
    uint8_t *value = (uint8_t *) sf->value;

    if (c->is_mac) {
        postcard_mac_address(version, port, c->switch_index, value);
    } else {
        uint8_t *option = value + sf->field->n_bytes - POSTCARD_GENEVE_LEN;

        option[0] = POSTCARD_GENEVE_FORMAT;
        option[1] = flags;
        of_wire_put16(option + 2, 0);
        of_wire_put64(option + 4, c->dpid);
        of_wire_put32(option + 12, version);
        of_wire_put16(option + 16, 0);
        of_wire_put16(option + 18, port);
    }
}

/* The actions of a postcard. */
static bool
put_body(const struct of_card *card, struct ofpbuf *out, uint32_t version,
         uint32_t port, uint8_t flags, const struct mf_subfield *reg)
{
    size_t head = out->size;
    uint16_t bits = (uint16_t) port;

    if (card->config.is_mac && !postcard_mac_port_code(port, &bits)) {
        return false;
    }
    ofpbuf_put(out, card->head.data, card->head.len);
    fill_head(card, out, head, version, reg ? 0 : bits, flags);
    if (reg) {
        struct ofpact_reg_move *move = ofpact_put_REG_MOVE(out);
        unsigned int n = card->port_field.n_bits;

        if (n > reg->n_bits) {
            n = reg->n_bits;
        }

        move->ofpact.raw = 0;
        move->src = *reg;
        move->src.n_bits = n;
        move->dst = card->port_field;
        move->dst.n_bits = n;
    }
    ofpbuf_put(out, card->tail.data, card->tail.len);
    return true;
}

bool
of_card_is_action(const struct of_card *card)
{
    return card->config.is_agent;
}

void
of_card_put_action(struct ofpbuf *out, const struct ofpact *acts, size_t len,
                   uint32_t version)
{
    size_t before = len && acts->type == OFPACT_METER
                        ? (size_t) OFPACT_ALIGN(acts->len)
                        : 0;

    ofpbuf_put(out, acts, before);
    ofpact_put_POSTCARD(out)->version = version;
    ofpbuf_put(out, (const uint8_t *) acts + before, len - before);
}

bool
of_card_get_action(const struct ofpact *a, uint32_t *versionp)
{
    if (a->type != OFPACT_POSTCARD) {
        return false;
    }
    *versionp = ofpact_get_POSTCARD(a)->version;
    return true;
}

void
of_card_put_keep(struct ofpbuf *out)
{
    struct ofpact_reg_move *move = ofpact_put_REG_MOVE(out);

    move->ofpact.raw = 0;
    move->src =
        (struct mf_subfield){.field = mf_from_id(MFF_IN_PORT), .n_bits = 16};
    move->dst = (struct mf_subfield){.field = mf_from_id(MFF_TUN_GBP_ID),
                                     .n_bits = 16};
}

bool
of_card_is_keep(const struct ofpact *a)
{
    const struct ofpact_reg_move *move;

    if (a->type != OFPACT_REG_MOVE) {
        return false;
    }
    move = ofpact_get_REG_MOVE(a);
    return move->src.field->id == MFF_IN_PORT &&
           move->dst.field->id == MFF_TUN_GBP_ID && move->dst.n_bits == 16;
}

void
of_card_take_kept(const struct of_card *card, struct ofpbuf *out, size_t start)
{
    struct ofpact *acts = ofpbuf_at_assert(out, start, sizeof *acts);
    size_t len = out->size - start;
    struct ofpact *a;

    if (card->config.is_mac) {
        return; /* It tells no in_port. */
    }
    OFPACT_FOR_EACH_FLATTENED(a, acts, len)
    {
        if (a->type == OFPACT_REG_MOVE &&
            ofpact_get_REG_MOVE(a)->src.field->id == MFF_IN_PORT) {
            ofpact_get_REG_MOVE(a)->src.field = mf_from_id(MFF_TUN_GBP_ID);
        }
    }
}

bool
of_card_put(const struct of_card *card, struct ofpbuf *out, uint32_t version,
            uint32_t port, uint8_t flags, const struct mf_subfield *reg)
{
    size_t start = out->size;

    ofpact_put_CLONE(out);
    if (!put_body(card, out, version, port, flags, reg)) {
        out->size = start;
        return false;
    }
    of_card_end_nest(out, start);
    return true;
}

bool
of_card_put_alone(const struct of_card *card, struct ofpbuf *out,
                  uint32_t version, uint32_t port, uint8_t flags,
                  const struct mf_subfield *reg)
{
    if (!put_body(card, out, version, port, flags, reg)) {
        return false;
    }
    ofpact_put_CLEAR_ACTIONS(out);
    return true;
}

void
of_card_put_indirect(struct ofpbuf *out, uint16_t index, uint8_t index_table)
{
    size_t start = out->size;
    struct ofpact_resubmit *resubmit;

    ofpact_put_CLONE(out);
    resubmit = ofpact_put_RESUBMIT(out);
    resubmit->in_port = of_ovs_port(index);
    resubmit->table_id = index_table;
    of_card_end_nest(out, start);
}

bool
of_card_is_end(const struct of_card *card, const struct ofpact *a,
               const struct ofpact *before)
{
    return !card->config.is_agent && a->type == OFPACT_OUTPUT_TRUNC &&
           of_ovs_u16(ofpact_get_OUTPUT_TRUNC(a)->port) == card->config.port &&
           (!card->config.is_inband ||
            (before && before->type == OFPACT_SET_FIELD &&
             ofpact_get_SET_FIELD(before)->field->id == MFF_IN_PORT));
}

bool
of_card_is_partial(const struct of_card *card)
{
    return card->config.is_mac;
}

/* A note is an action that does nothing but stand there. */
static const uint8_t note_mark[2] = {'l', 'h'};

void
of_card_put_note(struct ofpbuf *out, uint32_t version)
{
    struct ofpact_note *note = ofpact_put_NOTE(out);
    uint8_t data[6];

    memcpy(data, note_mark, sizeof note_mark);
    of_wire_put32(data + 2, version);
    note->length = sizeof data;
    ofpbuf_put(out, data, sizeof data);
    note = out->header;
    ofpact_finish_NOTE(out, &note);
}

bool
of_card_get_note(const struct ofpact *a, uint32_t *versionp)
{
    const struct ofpact_note *note;

    if (a->type != OFPACT_NOTE) {
        return false;
    }
    note = ofpact_get_NOTE(a);
    if (note->length != 6 ||
        memcmp(note->data, note_mark, sizeof note_mark) != 0) {
        return false;
    }
    *versionp = of_wire_get32(note->data + 2);
    return true;
}
