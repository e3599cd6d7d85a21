/* SPDX-License-Identifier: Apache-2.0 */
/* of_acts - a list of OpenFlow actions and instructions. */
#include <config.h>
#include "recorder/of_acts.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_ovs.h"

#define TEXT_SIZE 512 /* Of most. */

void
of_acts_uninit(struct of_acts *acts)
{
    free(acts->data);
    acts->data = NULL;
    acts->len = 0;
}

void
of_acts_from_ovs(struct of_acts *acts, const struct ofpact *ofpacts,
                 size_t len)
{
    acts->data = lh_memdup(ofpacts, len);
    acts->len = len;
}

void
of_acts_clone(struct of_acts *dst, const struct of_acts *src)
{
    dst->data = lh_memdup(src->data, src->len);
    dst->len = src->len;
}

void
of_acts_move(struct of_acts *dst, struct of_acts *src)
{
    *dst = *src;
    src->data = NULL;
    src->len = 0;
}

bool
of_acts_equal(const struct of_acts *a, const struct of_acts *b)
{
    return ofpacts_equal(a->data, a->len, b->data, b->len) ||
           ofpacts_equal_stringwise(a->data, a->len, b->data, b->len);
}

char *
of_acts_to_text(const struct of_acts *acts)
{
    struct ds s = DS_EMPTY_INITIALIZER;
    struct ofpact_format_params fp = {.s = &s};
    char *text;

    if (!acts->len) {
        return lh_strdup("drop");
    }
    ds_reserve(&s, TEXT_SIZE); /* Else every part is written twice. */
    ofpacts_format(acts->data, acts->len, &fp);
    text = lh_strdup(ds_cstr(&s));
    ds_destroy(&s);
    return text;
}

char *
of_acts_from_text(struct of_acts *acts, const char *text)
{
    enum ofputil_protocol usable = OFPUTIL_P_ANY;
    struct ofpbuf ofpacts;
    struct ofpact_parse_params pp = {.ofpacts = &ofpacts,
                                     .usable_protocols = &usable};
    char *error;

    acts->data = NULL;
    acts->len = 0;
    ofpbuf_init(&ofpacts, 256);
    error = ofpacts_parse_instructions(text, &pp);
    if (!error) {
        of_acts_from_ovs(acts, ofpacts.data, ofpacts.size);
    }
    ofpbuf_uninit(&ofpacts);
    return error;
}

static void
output_facts(uint16_t port, struct of_facts *f)
{
    if (port == of_ovs_u16(OFPP_ALL)) {
        f->has_all = true;
    } else if (port == of_ovs_u16(OFPP_FLOOD)) {
        f->has_flood = true;
    }
}

static void
reach(struct of_facts *f, unsigned int table_id, bool miss_ends)
{
    of_tables_add(&f->uses, table_id);
    of_tables_add(&f->reaches, table_id);
    if (miss_ends) {
        of_tables_add(&f->missing, table_id);
    }
}

/* What an action set that is written outputs to. */
static void
set_facts(const struct ofpact_nest *nest, struct of_facts *f)
{
    const struct ofpact *a;

    f->has_write_actions = true;
    OFPACT_FOR_EACH(a, nest->actions, ofpact_nest_get_action_len(nest))
    {
        if (a->type == OFPACT_OUTPUT) {
            ofp_port_t port = ofpact_get_OUTPUT(a)->port;

            if (port == OFPP_CONTROLLER || port == OFPP_NONE) {
                f->has_set_punt = true;
            } else {
                f->has_set_output = true;
            }
        }
    }
}

/* True when a group is used at once, not at the end with the action set. */
static bool
applies_group(const struct ofpact *acts, size_t len)
{
    const struct ofpact *a;

    OFPACT_FOR_EACH(a, acts, len)
    {
        const struct ofpact_nest *nest;

        if (a->type == OFPACT_GROUP) {
            return true;
        }
        if (a->type != OFPACT_CLONE) {
            continue;
        }
        nest = ofpact_get_CLONE(a);
        if (applies_group(nest->actions, ofpact_nest_get_action_len(nest))) {
            return true;
        }
    }
    return false;
}

/* True when 'a' sends the packet somewhere. */
static bool
is_sending(const struct ofpact *a)
{
    switch ((int) a->type) {
    case OFPACT_OUTPUT:
    case OFPACT_OUTPUT_TRUNC:
    case OFPACT_OUTPUT_REG:
    case OFPACT_ENQUEUE:
    case OFPACT_BUNDLE:
    case OFPACT_CONTROLLER:
    case OFPACT_GROUP:
    case OFPACT_CLONE:
    case OFPACT_RESUBMIT:
    case OFPACT_GOTO_TABLE:
    case OFPACT_WRITE_ACTIONS:
        return true;
    case OFPACT_CT:
        return ofpact_get_CT(a)->recirc_table != NX_CT_RECIRC_NONE;
    default:
        return false;
    }
}

/* Adds the tables of resubmits to 'calls' behind which there is something
 * else to send the packet, to 'ends' all others that packets are sent to. */
static void
find_calls(const struct ofpact *acts, size_t len, uint8_t table_id,
           struct of_tables *calls, struct of_tables *ends)
{
    const struct ofpact *a, *last = NULL;
    unsigned int target;

    OFPACT_FOR_EACH(a, acts, len)
    {
        if (is_sending(a)) {
            last = a;
        }
    }
    OFPACT_FOR_EACH(a, acts, len)
    {
        switch ((int) a->type) {
        case OFPACT_GOTO_TABLE:
            of_tables_add(ends, ofpact_get_GOTO_TABLE(a)->table_id);
            break;
        case OFPACT_RESUBMIT:
            target = ofpact_get_RESUBMIT(a)->table_id;
            of_tables_add(a == last ? ends : calls,
                          target == 255 ? table_id : target);
            break;
        case OFPACT_CT:
            of_tables_add(ends, ofpact_get_CT(a)->recirc_table);
            break;
        case OFPACT_CLONE:
            find_calls(ofpact_get_CLONE(a)->actions,
                       ofpact_nest_get_action_len(ofpact_get_CLONE(a)),
                       table_id, calls, ends);
            break;
        case OFPACT_WRITE_ACTIONS:
            find_calls(ofpact_get_WRITE_ACTIONS(a)->actions,
                       ofpact_nest_get_action_len(ofpact_get_WRITE_ACTIONS(a)),
                       table_id, ends, ends);
            break;
        default:
            break;
        }
    }
}

static bool
is_gbp(const struct mf_field *field)
{
    return field &&
           (field->id == MFF_TUN_GBP_ID || field->id == MFF_TUN_GBP_FLAGS);
}

/* What 'a' does to fields of the pipeline. */
static void
field_facts(const struct ofpact *a, struct of_facts *f)
{
    const struct mf_field *dst = ofpact_get_mf_dst(a);
    const struct mf_field *src =
        a->type == OFPACT_REG_MOVE ? ofpact_get_REG_MOVE(a)->src.field : NULL;

    if (dst && (dst->id == MFF_IN_PORT || dst->id == MFF_IN_PORT_OXM)) {
        f->sets_in_port = true;
    }
    f->has_gbp |= is_gbp(dst) || is_gbp(src);
}

void
of_acts_facts(const struct of_acts *acts, uint8_t table_id, struct of_facts *f)
{
    struct of_tables calls = {{0}}, ends = {{0}};
    const struct ofpact *a;

    memset(f, 0, sizeof *f);
    find_calls(acts->data, acts->len, table_id, &calls, &ends);
    for (unsigned int w = 0; w < 4; w++) {
        f->calls.bits[w] = calls.bits[w] & ~ends.bits[w];
    }
    OFPACT_FOR_EACH_FLATTENED(a, acts->data, acts->len)
    {
        unsigned int target;

        field_facts(a, f);
        switch ((int) a->type) {
        case OFPACT_GOTO_TABLE:
            target = ofpact_get_GOTO_TABLE(a)->table_id;
            reach(f, target, true);
            break;
        case OFPACT_RESUBMIT:
            target = ofpact_get_RESUBMIT(a)->table_id;
            target = target == 255 ? table_id : target;
            reach(f, target, false);
            of_tables_add(&f->resubmits, target);
            break;
        case OFPACT_CT:
            target = ofpact_get_CT(a)->recirc_table;
            if (target != NX_CT_RECIRC_NONE) {
                reach(f, target, true);
                f->has_recirc = true;
            }
            break;
        case OFPACT_LEARN:
            of_tables_add(&f->uses, ofpact_get_LEARN(a)->table_id);
            f->has_learn = true;
            break;
        case OFPACT_CONJUNCTION:
            f->is_conjunction = true;
            break;
        case OFPACT_WRITE_ACTIONS:
            set_facts(ofpact_get_WRITE_ACTIONS(a), f);
            break;
        case OFPACT_PUSH_MPLS:
        case OFPACT_POP_MPLS:
        case OFPACT_ENCAP:
        case OFPACT_DECAP:
            f->has_recirc = true;
            break;
        case OFPACT_CONTROLLER:
            f->has_recirc |= ofpact_get_CONTROLLER(a)->pause;
            break;
        case OFPACT_GROUP:
            f->has_group = true;
            break;
        case OFPACT_OUTPUT:
            output_facts(of_ovs_u16(ofpact_get_OUTPUT(a)->port), f);
            break;
        case OFPACT_OUTPUT_TRUNC:
            output_facts(of_ovs_u16(ofpact_get_OUTPUT_TRUNC(a)->port), f);
            break;
        default:
            break;
        }
    }
    f->has_select =
        f->has_group && applies_group(of_acts_ovs(acts), acts->len);
}

bool
of_acts_pass_filter(const struct of_acts *acts, uint32_t out_port,
                    uint32_t out_group)
{
    return (out_port == OF_ACTS_ANY ||
            ofpacts_output_to_port(acts->data, acts->len,
                                   of_ovs_port((uint16_t) out_port))) &&
           (out_group == OF_ACTS_ANY ||
            ofpacts_output_to_group(acts->data, acts->len, out_group));
}

uint32_t
of_acts_meter(const struct of_acts *acts)
{
    return acts->len ? ofpacts_get_meter(acts->data, acts->len) : 0;
}

bool
of_acts_learns(const struct of_acts *acts, uint8_t table_id, uint16_t priority,
               uint64_t cookie)
{
    const struct ofpact *a;

    OFPACT_FOR_EACH_FLATTENED(a, acts->data, acts->len)
    {
        if (a->type == OFPACT_LEARN) {
            const struct ofpact_learn *learn = ofpact_get_LEARN(a);

            if (learn->table_id == table_id && learn->priority == priority &&
                of_ovs_u64(learn->cookie) == cookie) {
                return true;
            }
        }
    }
    return false;
}

static bool
is_transit(const struct ofpact *acts, size_t len, bool pending)
{
    const struct ofpact *a;

    OFPACT_FOR_EACH(a, acts, len)
    {
        switch ((int) a->type) {
        case OFPACT_EXIT:
            return pending;
        case OFPACT_GOTO_TABLE:
        case OFPACT_RESUBMIT:
        case OFPACT_LEARN:
        case OFPACT_GROUP:
            return true;
        case OFPACT_OUTPUT:
            if (ofpact_get_OUTPUT(a)->port == OFPP_TABLE) {
                return true;
            }
            break;
        case OFPACT_CT:
            if (ofpact_get_CT(a)->recirc_table != NX_CT_RECIRC_NONE) {
                return true;
            }
            break;
        case OFPACT_CLONE:
            if (is_transit(ofpact_get_CLONE(a)->actions,
                           ofpact_nest_get_action_len(ofpact_get_CLONE(a)),
                           false)) {
                return true;
            }
            break;
        case OFPACT_WRITE_ACTIONS:
            return true;
        default:
            break;
        }
    }
    return pending;
}

bool
of_acts_is_transit(const struct of_acts *acts, bool pending)
{
    return is_transit(acts->data, acts->len, pending);
}
