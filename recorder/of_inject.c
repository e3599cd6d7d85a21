/* SPDX-License-Identifier: Apache-2.0 */
/* of_inject - the actions that make a switch emit postcards. */
#include <config.h>
#include "recorder/of_inject.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/postcard.h"
#include "recorder/of_card.h"

struct of_inject {
    struct of_card *card; /* Owned. */
};

struct of_inject *
of_inject_create(const struct of_inject_config *config)
{
    struct of_card *card = of_card_create(config);
    struct of_inject *inj;

    if (!card) {
        return NULL;
    }
    inj = lh_alloc(sizeof *inj);
    inj->card = card;
    return inj;
}

void
of_inject_destroy(struct of_inject *inj)
{
    if (inj) {
        of_card_destroy(inj->card);
        free(inj);
    }
}

const struct of_card *
of_inject_card(const struct of_inject *inj)
{
    return inj->card;
}

static void
put_ofpact(struct ofpbuf *out, const struct ofpact *a)
{
    ofpbuf_put(out, a, OFPACT_ALIGN(a->len));
}

/* True when the action changes bytes of the packet, or may. */
static bool
is_edit(const struct ofpact *a)
{
    const struct mf_field *dst;

    switch ((int) a->type) {
    case OFPACT_SET_VLAN_VID:
    case OFPACT_SET_VLAN_PCP:
    case OFPACT_SET_ETH_SRC:
    case OFPACT_SET_ETH_DST:
    case OFPACT_SET_IPV4_SRC:
    case OFPACT_SET_IPV4_DST:
    case OFPACT_SET_IP_DSCP:
    case OFPACT_SET_IP_ECN:
    case OFPACT_SET_IP_TTL:
    case OFPACT_SET_L4_SRC_PORT:
    case OFPACT_SET_L4_DST_PORT:
    case OFPACT_STRIP_VLAN:
    case OFPACT_PUSH_VLAN:
    case OFPACT_PUSH_MPLS:
    case OFPACT_POP_MPLS:
    case OFPACT_DEC_TTL:
    case OFPACT_DEC_MPLS_TTL:
    case OFPACT_DEC_NSH_TTL:
    case OFPACT_SET_MPLS_LABEL:
    case OFPACT_SET_MPLS_TC:
    case OFPACT_SET_MPLS_TTL:
    case OFPACT_ENCAP:
    case OFPACT_DECAP:
    case OFPACT_RESUBMIT:
    case OFPACT_NAT:
        return true;
    case OFPACT_CT:
        return ofpact_ct_get_action_len(ofpact_get_CT(a)) != 0;
    default:
        dst = ofpact_get_mf_dst(a);
        return dst && !mf_is_pipeline_field(dst);
    }
}

static bool
has_edit(const struct ofpact *acts, size_t len)
{
    const struct ofpact *a;

    OFPACT_FOR_EACH(a, acts, len)
    {
        if (is_edit(a)) {
            return true;
        }
    }
    return false;
}

/* How strong an action is as the last of an action set; 0: not one. */
static int
final_class(const struct ofpact *a)
{
    switch ((int) a->type) {
    case OFPACT_CT:
        return 1;
    case OFPACT_CT_CLEAR:
        return 2;
    case OFPACT_RESUBMIT:
        return 3;
    case OFPACT_OUTPUT:
        return 4;
    case OFPACT_GROUP:
        return 5;
    default:
        return 0;
    }
}

/* The action that an action set ends with, or NULL. */
static const struct ofpact *
set_final(const struct ofpact *acts, size_t len)
{
    const struct ofpact *final = NULL;
    const struct ofpact *a;
    int best = 1;

    OFPACT_FOR_EACH(a, acts, len)
    {
        int class = final_class(a);

        if (class && class >= best) {
            best = class;
            final = a;
        }
    }
    return final;
}

/* A rule being rewritten. */
struct rewrite {
    const struct of_card *card;
    const struct of_inject_ask *ask;
    struct ofpbuf *out;
    uint8_t flags;   /* POSTCARD_* of every postcard of it. */
    bool edited;     /* An edit has been copied. */
    bool has_output; /* It sends the packet somewhere. */
    bool has_card;   /* A postcard of its own was put in front. */
    bool is_pending; /* An action set may stand when it begins. */
    bool has_recirc; /* As of_facts. */
};

/* Adds a postcard.  Open vSwitch executes the action set that stands at the
 * end of a clone too, so where one may stand the clone goes by a rule of table
 * T that clears it. */
static bool
put_card(struct rewrite *rw, uint32_t port, uint8_t flags,
         const struct mf_subfield *reg)
{
    const struct of_inject_ask *ask = rw->ask;
    bool takes_kept =
        ask->keeps_in_port && !ask->is_entry && ask->place == OF_INJECT_FLOW;
    struct of_acts acts = OF_ACTS_INIT;
    struct ofpbuf alone;
    uint16_t index;
    bool ok;

    if (ask->is_quiet) {
        return false;
    }
    flags |= rw->flags;
    if (!rw->is_pending) {
        size_t start = rw->out->size;

        ok = of_card_put(rw->card, rw->out, ask->version, port, flags, reg);
        if (ok && takes_kept) {
            of_card_take_kept(rw->card, rw->out, start);
        }
        return ok;
    }
    ofpbuf_init(&alone, 256);
    ok = of_card_put_alone(rw->card, &alone, ask->version, port, flags, reg);
    if (ok) {
        if (takes_kept) {
            of_card_take_kept(rw->card, &alone, 0);
        }
        of_acts_from_ovs(&acts, alone.data, alone.size);
        ok = ask->index(ask->aux, &acts, &index);
        of_acts_uninit(&acts);
    }
    if (ok) {
        of_card_put_indirect(rw->out, index, ask->index_table);
    }
    ofpbuf_uninit(&alone);
    return ok;
}

static void
announce(struct rewrite *rw, uint32_t port, uint8_t flags)
{
    rw->has_output = true;
    rw->has_card |= put_card(rw, port, flags, NULL);
}

static void announce_list(struct rewrite *, const struct ofpact *, size_t);

/* Writes the postcards that 'a' is due before the rule's own actions. */
static void
announce_one(struct rewrite *rw, const struct ofpact *a)
{
    uint16_t port;

    switch ((int) a->type) {
    case OFPACT_OUTPUT:
        port = of_ovs_u16(ofpact_get_OUTPUT(a)->port);
        if (port != OF_PORT_NONE && (port != OF_PORT_TABLE ||
                                     rw->ask->place == OF_INJECT_PACKET_OUT)) {
            announce(rw, port, 0);
        }
        break;
    case OFPACT_OUTPUT_TRUNC:
        announce(rw, of_ovs_u16(ofpact_get_OUTPUT_TRUNC(a)->port), 0);
        break;
    case OFPACT_ENQUEUE:
        announce(rw, of_ovs_u16(ofpact_get_ENQUEUE(a)->port), 0);
        break;
    case OFPACT_CONTROLLER:
        announce(rw, OF_PORT_CONTROLLER, 0);
        break;
    case OFPACT_BUNDLE:
        if (!ofpact_get_BUNDLE(a)->dst.field) {
            announce(rw, OF_PORT_NORMAL, 0);
        }
        break;
    case OFPACT_GROUP:
        announce(rw, OF_PORT_GROUP, POSTCARD_GROUP);
        break;
    case OFPACT_OUTPUT_REG:
        rw->has_output = true; /* Its postcard stands right before it. */
        break;
    case OFPACT_CLONE: {
        const struct ofpact_nest *nest = ofpact_get_CLONE(a);

        announce_list(rw, nest->actions, ofpact_nest_get_action_len(nest));
        break;
    }
    case OFPACT_WRITE_ACTIONS: {
        const struct ofpact_nest *nest = ofpact_get_WRITE_ACTIONS(a);
        const struct ofpact *final =
            set_final(nest->actions, ofpact_nest_get_action_len(nest));

        if (final && final->type == OFPACT_GROUP) {
            announce(rw, OF_PORT_GROUP, POSTCARD_GROUP);
        }
        break;
    }
    default:
        break;
    }
}

static void
announce_list(struct rewrite *rw, const struct ofpact *acts, size_t len)
{
    const struct ofpact *a;

    OFPACT_FOR_EACH(a, acts, len)
    {
        if (a->type == OFPACT_EXIT) {
            break;
        }
        announce_one(rw, a);
    }
}

/* Copies one output of 'port', which ALL and FLOOD replace by a list. */
static void
copy_output(struct rewrite *rw, const struct ofpact *a, uint16_t port)
{
    const struct of_inject_ask *ask = rw->ask;

    if (port != OF_PORT_ALL &&
        !(port == OF_PORT_FLOOD && ask->replace_flood)) {
        put_ofpact(rw->out, a);
        return;
    }
    for (size_t i = 0; i < ask->n_ports; i++) {
        if (a->type == OFPACT_OUTPUT_TRUNC) {
            struct ofpact_output_trunc *ot = ofpact_put_OUTPUT_TRUNC(rw->out);

            ot->port = of_ovs_port(ask->ports[i]);
            ot->max_len = ofpact_get_OUTPUT_TRUNC(a)->max_len;
        } else {
            ofpact_put_OUTPUT(rw->out)->port = of_ovs_port(ask->ports[i]);
        }
    }
}

/* Adds "resubmit(INDEX,T)" for a table-T rule that emits a postcard with
 * 'flags' and then does 'a' (NULL: nothing, the packet is dropped).  False
 * when there is no room for it. */
static bool
put_indexed(struct rewrite *rw, const struct ofpact *a, uint8_t flags)
{
    struct rewrite sub = *rw;
    struct ofpact_resubmit *resubmit;
    struct of_acts acts = OF_ACTS_INIT;
    struct ofpbuf out;
    uint16_t index;
    bool ok;

    ofpbuf_init(&out, 256);
    sub.out = &out;
    sub.flags = 0;
    /* Only a bucket runs while the action set of its packet still stands. */
    sub.is_pending = rw->ask->place == OF_INJECT_BUCKET;
    if (sub.is_pending && a) {
        of_card_put_note(&out, rw->ask->version);
    }
    if (a) {
        uint16_t port = of_ovs_u16(ofpact_get_OUTPUT(a)->port);

        put_card(&sub, port, flags, NULL);
        copy_output(&sub, a, port);
    } else {
        put_card(&sub, OF_PORT_NONE, flags, NULL);
        /* Were a clone the last, the rest of the packet would be in it. */
        of_card_put_note(&out, rw->ask->version);
    }
    of_acts_from_ovs(&acts, out.data, out.size);
    ofpbuf_uninit(&out);
    ok = rw->ask->index(rw->ask->aux, &acts, &index);
    of_acts_uninit(&acts);
    if (ok) {
        resubmit = ofpact_put_RESUBMIT(rw->out);
        resubmit->in_port = of_ovs_port(index);
        resubmit->table_id = rw->ask->index_table;
    }
    return ok;
}

/* Copies an action set with its output made visible.  'marks': the set begins
 * here, so that without an output in it the packet is dropped. */
static void
copy_set(struct rewrite *rw, const struct ofpact *acts, size_t len,
         uint8_t flags, bool marks)
{
    const struct ofpact *final = set_final(acts, len);
    /* A packet-in must not come from our table. */
    bool is_output = final && final->type == OFPACT_OUTPUT &&
                     ofpact_get_OUTPUT(final)->port != OFPP_NONE &&
                     ofpact_get_OUTPUT(final)->port != OFPP_CONTROLLER;
    const struct ofpact *a;

    OFPACT_FOR_EACH(a, acts, len)
    {
        if (!is_output || a->type != OFPACT_OUTPUT ||
            (a == final && !put_indexed(rw, final, flags))) {
            put_ofpact(rw->out, a);
        }
    }
    if (!final && marks && !rw->ask->is_quiet) {
        put_indexed(rw, NULL, flags);
    }
}

static void
copy_write_actions(struct rewrite *rw, const struct ofpact_nest *nest,
                   bool marks)
{
    size_t start = rw->out->size;

    ofpact_put_WRITE_ACTIONS(rw->out);
    copy_set(rw, nest ? nest->actions : NULL,
             nest ? ofpact_nest_get_action_len(nest) : 0, POSTCARD_AFTER,
             marks);
    of_card_end_nest(rw->out, start);
}

static void
copy_list(struct rewrite *rw, const struct ofpact *acts, size_t len)
{
    const struct ofpact *a;

    OFPACT_FOR_EACH(a, acts, len)
    {
        switch ((int) a->type) {
        case OFPACT_OUTPUT:
            copy_output(rw, a, of_ovs_u16(ofpact_get_OUTPUT(a)->port));
            break;
        case OFPACT_OUTPUT_TRUNC:
            copy_output(rw, a, of_ovs_u16(ofpact_get_OUTPUT_TRUNC(a)->port));
            break;
        case OFPACT_OUTPUT_REG:
            /* Behind MPLS actions a clone makes a second pass necessary. */
            if (!rw->edited || !rw->has_recirc) {
                put_card(rw, 0, rw->edited ? POSTCARD_AFTER : 0,
                         &ofpact_get_OUTPUT_REG(a)->src);
            }
            put_ofpact(rw->out, a);
            break;
        case OFPACT_CLONE: {
            const struct ofpact_nest *nest = ofpact_get_CLONE(a);
            size_t start = rw->out->size;
            bool edited = rw->edited;

            ofpact_put_CLONE(rw->out);
            copy_list(rw, nest->actions, ofpact_nest_get_action_len(nest));
            of_card_end_nest(rw->out, start);
            rw->edited = edited;
            break;
        }
        default:
            put_ofpact(rw->out, a);
            rw->edited |= is_edit(a);
            break;
        }
    }
}

/* Where the instructions after the apply-actions begin. */
static const struct ofpact *
find_instructions(const struct ofpact *acts, size_t len)
{
    const struct ofpact *a;

    OFPACT_FOR_EACH(a, acts, len)
    {
        if (a->type == OFPACT_CLEAR_ACTIONS ||
            a->type == OFPACT_WRITE_ACTIONS ||
            a->type == OFPACT_WRITE_METADATA || a->type == OFPACT_GOTO_TABLE) {
            break;
        }
    }
    return a;
}

/* True when the packet goes on in another table, and nothing has written to
 * its action set when the instructions are reached. */
static bool
goes_on_unset(const struct ofpact *acts, size_t len)
{
    const struct of_acts list = {CONST_CAST(struct ofpact *, acts), len};
    const struct ofpact *a;
    struct of_facts facts;

    OFPACT_FOR_EACH(a, acts, len)
    {
        if (a->type == OFPACT_RESUBMIT) {
            return false; /* A rule there may have. */
        }
    }
    of_acts_facts(&list, 0, &facts);
    return facts.reaches.bits[0] || facts.reaches.bits[1] ||
           facts.reaches.bits[2] || facts.reaches.bits[3];
}

/* Copies the instructions; in front of them, what marks an action set. */
static void
copy_instructions(struct rewrite *rw, const struct ofpact *acts, size_t len)
{
    const struct of_inject_ask *ask = rw->ask;
    const struct ofpact_nest *nest = NULL;
    const struct ofpact *a;
    bool marks = false;

    OFPACT_FOR_EACH(a, acts, len)
    {
        if (a->type == OFPACT_WRITE_ACTIONS) {
            nest = ofpact_get_WRITE_ACTIONS(a);
        } else if (a->type == OFPACT_CLEAR_ACTIONS) {
            marks = true;
        }
    }
    marks |= ask->is_entry && goes_on_unset(acts, len);
    marks &= ask->has_action_sets && !ask->is_quiet;
    if (ask->keeps_sets) {
        nest = NULL;
        marks = false;
    }
    OFPACT_FOR_EACH(a, find_instructions(acts, len),
                    (size_t) ((uint8_t *) ofpact_end(acts, len) -
                              (uint8_t *) find_instructions(acts, len)))
    {
        if (a->type == OFPACT_CLEAR_ACTIONS || ask->keeps_sets) {
            put_ofpact(rw->out, a);
            continue;
        }
        if (nest || marks) {
            copy_write_actions(rw, nest, marks);
            nest = NULL;
            marks = false;
        }
        if (a->type != OFPACT_WRITE_ACTIONS) {
            put_ofpact(rw->out, a);
        }
    }
    if (marks) {
        copy_write_actions(rw, NULL, true);
    }
}

static bool
has_clear(const struct ofpact *acts, size_t len)
{
    const struct ofpact *a;

    OFPACT_FOR_EACH(a, acts, len)
    {
        if (a->type == OFPACT_CLEAR_ACTIONS) {
            return true;
        }
    }
    return false;
}

static void
run_flow(struct rewrite *rw, const struct of_acts *list)
{
    const struct ofpact *acts = of_acts_ovs(list);
    const struct ofpact *body = acts;
    const struct ofpact *rest;
    size_t len = list->len;

    if (len && acts->type == OFPACT_METER) {
        put_ofpact(rw->out, acts);
        body = ofpact_next(acts);
        len -= OFPACT_ALIGN(acts->len);
    }
    announce_list(rw, body, len);
    /* Where an action set stands, this is void if that has an output; a rule
     * that clears it leaves a mark of its own. */
    if (!rw->has_output && !rw->ask->is_lookup &&
        !of_acts_is_transit(list, false) &&
        !(rw->ask->has_action_sets && has_clear(acts, list->len))) {
        rw->has_card |= put_card(rw, OF_PORT_NONE, 0, NULL);
    }
    if (rw->ask->place == OF_INJECT_FLOW &&
        (!rw->has_card || rw->is_pending || of_card_is_partial(rw->card))) {
        of_card_put_note(rw->out, rw->ask->version);
    }
    if (rw->ask->keeps_in_port && rw->ask->is_entry &&
        rw->ask->place == OF_INJECT_FLOW) {
        of_card_put_keep(rw->out);
    }
    rest = len ? find_instructions(body, len) : body;
    copy_list(rw, body, (size_t) ((uint8_t *) rest - (uint8_t *) body));
    copy_instructions(rw, body, len);
}

void
of_inject_run(const struct of_inject *inj, const struct of_acts *acts,
              const struct of_inject_ask *ask, struct of_inject_result *result)
{
    uint64_t room[128];
    struct ofpbuf out;
    struct rewrite rw = {.card = inj->card, .ask = ask, .out = &out};
    struct of_facts facts;

    of_acts_facts(acts, 0, &facts);
    rw.has_recirc = facts.has_recirc;
    ofpbuf_use_stub(&out, room, sizeof room);
    if (ask->place == OF_INJECT_BUCKET && facts.has_recirc) {
        ofpbuf_put(&out, acts->data, acts->len);
    } else if (facts.is_conjunction) {
        ofpbuf_put(&out, acts->data, acts->len);
        of_card_put_note(&out, ask->version);
    } else if (of_card_is_action(inj->card)) {
        /* A bucket's output is told with that of the rule. */
        if (ask->place == OF_INJECT_BUCKET) {
            ofpbuf_put(&out, acts->data, acts->len);
        } else {
            of_card_put_action(&out, acts->data, acts->len, ask->version);
        }
    } else if (ask->place == OF_INJECT_BUCKET) {
        copy_set(&rw, acts->data, acts->len,
                 has_edit(acts->data, acts->len) ? POSTCARD_AFTER : 0, true);
    } else {
        rw.flags =
            ask->place == OF_INJECT_PACKET_OUT ? POSTCARD_PACKET_OUT : 0;
        rw.is_pending = ask->place == OF_INJECT_FLOW && ask->has_action_sets &&
                        !ask->is_entry;
        run_flow(&rw, acts);
    }
    of_acts_from_ovs(&result->acts, out.data, out.size);
    result->is_instrumented = !facts.is_conjunction && !ask->is_quiet;
    ofpbuf_uninit(&out);
}
