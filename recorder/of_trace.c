/* SPDX-License-Identifier: Apache-2.0 */
/* of_trace - what a recorder left in the actions of a switch. */
#include <config.h>
#include "recorder/of_trace.h"

#include "lib/of_port.h"
#include "lib/postcard_geneve.h"
#include "lib/postcard_mac.h"
#include "recorder/of_card.h"
#include "recorder/of_wire.h"

/* A bucket leads to a rule of table T, which leads to its postcard's. */
#define MAX_DEPTH 2

/* What is known of the list of actions that is read. */
struct list {
    const struct of_trace *trace;
    bool has_note;      /* Somewhere in it. */
    unsigned int depth; /* Of rules of table T that lead to it. */
    of_trace_indexed *indexed;
    void *aux;
};

static bool
is_geneve(const struct of_trace *trace, const struct ofpact *a,
          uint32_t *versionp)
{
    const struct ofpact_set_field *sf;
    const uint8_t *option;

    if (a->type != OFPACT_SET_FIELD) {
        return false;
    }
    sf = ofpact_get_SET_FIELD(a);
    if (!mf_is_tun_metadata(sf->field)) {
        return false;
    }
    option =
        (const uint8_t *) sf->value + sf->field->n_bytes - POSTCARD_GENEVE_LEN;
    if (option[0] != POSTCARD_GENEVE_FORMAT ||
        of_wire_get64(option + 4) != trace->dpid) {
        return false;
    }
    *versionp = of_wire_get32(option + 12);
    return true;
}

/* Address, VLAN, perhaps a register's port, output in part. */
static bool
is_mac(const struct list *list, const struct ofpact *acts, size_t len,
       uint32_t *versionp)
{
    const struct eth_addr *mac = NULL;
    bool has_vlan = false, has_output = false;
    const struct ofpact *a;

    if (acts->type == OFPACT_SET_ETH_DST) {
        mac = &ofpact_get_SET_ETH_DST(acts)->mac;
    } else if (acts->type == OFPACT_SET_FIELD &&
               ofpact_get_SET_FIELD(acts)->field->id == MFF_ETH_DST) {
        mac = &ofpact_get_SET_FIELD(acts)->value->mac;
    }
    if (!mac) {
        return false;
    }
    OFPACT_FOR_EACH(a, acts, len)
    {
        has_vlan |=
            a->type == OFPACT_PUSH_VLAN || a->type == OFPACT_SET_VLAN_VID;
        has_output |= a->type == OFPACT_OUTPUT_TRUNC;
    }
    if (!has_vlan || !has_output ||
        (!list->has_note &&
         (of_wire_get16(mac->ea + 4) & 0xfff) != list->trace->switch_index)) {
        return false;
    }
    *versionp = of_wire_get32(mac->ea) >> 8;
    return true;
}

/* True when the 'len' bytes of actions are those of a postcard; '*versionp'
 * is its version (of a mac postcard the low 24 bits). */
static bool
is_card(const struct list *list, const struct ofpact *acts, size_t len,
        uint32_t *versionp)
{
    return len && (is_geneve(list->trace, acts, versionp) ||
                   is_mac(list, acts, len, versionp));
}

/* True when 'a' is a postcard, or a note of ours. */
static bool
is_ours(const struct list *list, const struct ofpact *a, uint32_t *versionp)
{
    if (a->type == OFPACT_CLONE) {
        const struct ofpact_nest *nest = ofpact_get_CLONE(a);

        return is_card(list, nest->actions, ofpact_nest_get_action_len(nest),
                       versionp);
    }
    return of_card_get_action(a, versionp) || of_card_get_note(a, versionp);
}

static const struct of_acts *
find_target(const struct list *list, const struct ofpact *a)
{
    const struct ofpact_resubmit *r;

    if (a->type != OFPACT_RESUBMIT || !list->indexed ||
        list->depth == MAX_DEPTH) {
        return NULL;
    }
    r = ofpact_get_RESUBMIT(a);
    return list->indexed(list->aux, r->table_id, of_ovs_u16(r->in_port));
}

static struct list
begin(const struct of_trace *trace, const struct of_acts *acts,
      of_trace_indexed *indexed, void *aux)
{
    struct list list = {.trace = trace, .indexed = indexed, .aux = aux};
    const struct ofpact *a;
    uint32_t version;

    OFPACT_FOR_EACH_FLATTENED(a, of_acts_ovs(acts), acts->len)
    {
        list.has_note |= of_card_get_note(a, &version);
    }
    return list;
}

bool
of_trace_find_version(const struct of_trace *trace, const struct of_acts *acts,
                      of_trace_indexed *indexed, void *aux, uint32_t *versionp)
{
    struct list list = begin(trace, acts, indexed, aux);
    const struct ofpact *a;
    bool found = is_card(&list, of_acts_ovs(acts), acts->len, versionp);

    OFPACT_FOR_EACH_FLATTENED(a, of_acts_ovs(acts), acts->len)
    {
        const struct of_acts *target = found ? NULL : find_target(&list, a);
        uint32_t version;

        if (is_ours(&list, a, &version)) {
            *versionp = version;
            found = true;
            if (a->type == OFPACT_NOTE) {
                break; /* It has all the bits. */
            }
        }
        if (target) {
            found = of_trace_find_version(trace, target, NULL, NULL, versionp);
        }
    }
    return found;
}

/* The port that the postcard 'acts' names. */
static uint16_t
card_port(const struct ofpact *acts)
{
    const struct ofpact_set_field *sf;
    const uint8_t *mac;
    uint16_t code;

    if (acts->type == OFPACT_SET_ETH_DST) {
        mac = ofpact_get_SET_ETH_DST(acts)->mac.ea;
    } else {
        sf = ofpact_get_SET_FIELD(acts);
        if (mf_is_tun_metadata(sf->field)) {
            return of_wire_get16((const uint8_t *) sf->value +
                                 sf->field->n_bytes - 2);
        }
        mac = sf->value->mac.ea;
    }
    code = of_wire_get16(mac + 3) >> 4;
    return code > POSTCARD_MAC_MAX_PORT ? 0xf000 | code : code;
}

/* The port that the first postcard of 'acts' names; OF_PORT_NONE without. */
static uint16_t
announced_port(const struct list *list, const struct ofpact *acts, size_t len)
{
    uint16_t port = OF_PORT_NONE;
    const struct ofpact *a;
    uint32_t version;

    if (is_card(list, acts, len, &version)) {
        return card_port(acts);
    }
    OFPACT_FOR_EACH(a, acts, len)
    {
        const struct of_acts *target = find_target(list, a);

        if (target &&
            is_card(list, of_acts_ovs(target), target->len, &version)) {
            port = card_port(of_acts_ovs(target));
        } else if (a->type == OFPACT_CLONE) {
            const struct ofpact_nest *nest = ofpact_get_CLONE(a);

            port = announced_port(list, nest->actions,
                                  ofpact_nest_get_action_len(nest));
        }
        if (port != OF_PORT_NONE) {
            break;
        }
    }
    return port;
}

static void strip_list(const struct list *, const struct ofpact *, size_t,
                       struct ofpbuf *out);

/* A rule of table T: one output, of which ALL and FLOOD became lists. */
static void
strip_target(const struct list *list, const struct of_acts *target,
             struct ofpbuf *out)
{
    const struct ofpact *acts = of_acts_ovs(target);
    uint16_t port = announced_port(list, acts, target->len);

    if (port == OF_PORT_ALL || port == OF_PORT_FLOOD) {
        ofpact_put_OUTPUT(out)->port = of_ovs_port(port);
    } else {
        strip_list(list, acts, target->len, out);
    }
}

static void
strip_list(const struct list *list, const struct ofpact *acts, size_t len,
           struct ofpbuf *out)
{
    const struct ofpact *a;
    uint32_t version;

    OFPACT_FOR_EACH(a, acts, len)
    {
        const struct of_acts *target = find_target(list, a);

        if (is_ours(list, a, &version) || of_card_is_keep(a) ||
            (target &&
             is_card(list, of_acts_ovs(target), target->len, &version))) {
            continue;
        }
        if (target) {
            struct list inner =
                begin(list->trace, target, list->indexed, list->aux);

            inner.depth = list->depth + 1;
            inner.has_note |= list->has_note;
            strip_target(&inner, target, out);
        } else if (a->type == OFPACT_CLONE ||
                   a->type == OFPACT_WRITE_ACTIONS) {
            const struct ofpact_nest *nest = (const struct ofpact_nest *) a;
            size_t start = out->size;

            ofpact_put(out, a->type, sizeof *nest);
            strip_list(list, nest->actions, ofpact_nest_get_action_len(nest),
                       out);
            of_card_end_nest(out, start);
            if (out->size == start + sizeof *nest) {
                out->size = start;
            }
        } else {
            ofpbuf_put(out, a, OFPACT_ALIGN(a->len));
        }
    }
}

void
of_trace_strip(const struct of_trace *trace, const struct of_acts *acts,
               of_trace_indexed *indexed, void *aux, struct of_acts *own)
{
    struct list list = begin(trace, acts, indexed, aux);
    struct ofpbuf out;

    ofpbuf_init(&out, 256);
    strip_list(&list, acts->data, acts->len, &out);
    of_acts_from_ovs(own, out.data, out.size);
    ofpbuf_uninit(&out);
}
