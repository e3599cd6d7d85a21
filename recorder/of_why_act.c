/* SPDX-License-Identifier: Apache-2.0 */
/* of_why_act - actions that send a packet somewhere: outputs, groups, other
 * tables, connection tracking. */
#include <config.h>
#include "recorder/of_why.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "recorder/of_why_state.h"

/* --- outputs ------------------------------------------------------------- */

static void
output(struct why_run *run, uint16_t port)
{
    uint16_t in_port = of_ovs_u16(run->packet.flow.in_port.ofp_port);
    const struct why_port *known;

    if (port == OF_PORT_IN_PORT) {
        why_run_did(run, "output to the input port %u", in_port);
        why_run_output(run, in_port, true);
        return;
    }
    if (port == OF_PORT_TABLE || port == OF_PORT_NONE) {
        return;
    }
    if (port == in_port) {
        why_run_did(run, "output to %u, the input port, is not done", port);
        why_run_drop(run, "output to %u, the input port", port);
        return;
    }
    known = why_table_port(run->table, port);
    if (known && !known->is_up) {
        why_run_did(run, "output to %u, which is down or gone", port);
        why_run_drop(run, "output to port %u, which is down or gone", port);
        return;
    }
    if (of_port_name(port)) {
        why_run_did(run, "output to %s", of_port_name(port));
    } else {
        why_run_did(run, "output to port %u", port);
    }
    why_run_output(run, port, true);
}

static void
output_reg(struct why_run *run, const struct mf_subfield *src)
{
    union mf_subvalue unknown;
    uint64_t port = mf_get_subfield(src, &run->packet.flow);

    mf_read_subfield(src, &run->packet.unknown, &unknown);
    if (unknown.integer) {
        why_run_did(run, "output to a port that is not known");
        why_run_uncertain(run, "the port in %s is not known",
                          src->field->name);
        why_run_output(run, OF_PORT_NONE, false);
    } else if (port > UINT16_MAX) {
        why_run_did(run, "output to %llu, which is no port",
                    (unsigned long long) port);
        why_run_drop(run, "output to %llu, which is no port",
                     (unsigned long long) port);
    } else {
        output(run, (uint16_t) port);
    }
}

static void
output_bundle(struct why_run *run, const struct ofpact_bundle *bundle)
{
    size_t i;

    if (bundle->dst.field) {
        why_packet_forget(&run->packet, &bundle->dst);
        why_run_uncertain(run, "bundle_load: the switch chooses by a hash");
    } else if (bundle->n_members) {
        i = why_run_choose(run, bundle->n_members);
        if (bundle->n_members > 1) {
            why_run_assume(run, "the switch takes member %zu of the bundle",
                           i);
        }
        output(run, of_ovs_u16(bundle->members[i]));
    }
}

/* --- groups and clones --------------------------------------------------- */

static bool
is_live(struct why_run *run, const struct why_bucket *b, bool *is_known)
{
    const struct why_port *port;

    *is_known = true;
    if (b->watch_port == OF_PORT_NONE && b->watch_group == OFPG_ANY) {
        return false;
    }
    if (b->watch_port != OF_PORT_NONE) {
        port = why_table_port(run->table, b->watch_port);
        if (port) {
            return port->is_up;
        }
    }
    *is_known = false;
    return true;
}

static void
bucket(struct why_run *run, const struct why_group *group, size_t i)
{
    const struct why_bucket *b = &group->buckets[i];
    struct why_packet *old = lh_alloc(sizeof *old);
    size_t old_step = run->step;
    struct of_why_step *step;
    struct ofpbuf list, set;

    *old = run->packet;
    ofpbuf_init(&list, 128);
    ofpbuf_use_const(&set, b->acts.data, b->acts.len);
    ofpacts_execute_action_set(&list, &set);
    run->depth++;
    run->deep++;
    step = why_run_step(run, OF_WHY_BUCKET);
    step->group_id = group->id;
    step->bucket = i;
    step->version = b->version;
    step->actions = of_acts_to_text(&b->acts);
    if (!list.size) {
        why_run_drop(run, "bucket %zu of group %u has no actions", i,
                     (unsigned) group->id);
    }
    why_run_list(run, list.data, list.size);
    run->depth--;
    run->deep--;
    run->packet = *old;
    free(old);
    run->has_exit = false;
    run->step = old_step;
    ofpbuf_uninit(&list);
}

/* The bucket of a fast-failover group, n_buckets if none. */
static size_t
first_live(struct why_run *run, const struct why_group *group)
{
    for (size_t i = 0; i < group->n_buckets; i++) {
        bool is_known, live = is_live(run, &group->buckets[i], &is_known);

        if (!is_known) {
            live = !why_run_choose(run, 2);
            why_run_assume(run, "bucket %zu of group %u is %s", i,
                           (unsigned) group->id, live ? "live" : "not live");
        }
        if (live) {
            return i;
        }
    }
    return group->n_buckets;
}

/* False: there is no such group, which ends the list. */
static bool
act_group(struct why_run *run, uint32_t id)
{
    const struct why_group *group = why_table_group(run->table, id);
    size_t i;

    if (!why_run_has_room(run)) {
        return false;
    }
    if (!group) {
        why_run_did(run, "group %u is not known", (unsigned) id);
        why_run_drop(run, "group %u is not known", (unsigned) id);
        return false;
    }
    why_run_did(run, "group %u", (unsigned) id);
    if (!group->n_buckets) {
        why_run_drop(run, "group %u has no buckets", (unsigned) id);
        return true;
    }
    switch (group->type) {
    case OFPGT11_SELECT:
        i = why_run_choose(run, group->n_buckets);
        if (group->n_buckets > 1) {
            why_run_assume(run, "group %u (select) takes bucket %zu",
                           (unsigned) id, i);
        }
        bucket(run, group, i);
        break;
    case OFPGT11_FF:
        i = first_live(run, group);
        if (i < group->n_buckets) {
            bucket(run, group, i);
        } else {
            why_run_did(run, "no bucket of group %u is live", (unsigned) id);
            why_run_drop(run, "no bucket of group %u is live", (unsigned) id);
        }
        break;
    default:
        for (i = 0; i < group->n_buckets && !run->has_error; i++) {
            bucket(run, group, i);
        }
        break;
    }
    return true;
}

/* Executes a list on a copy of the packet.  An exit in it ends the original
 * too: so does Open vSwitch 3.1. */
static void
act_clone(struct why_run *run, const struct ofpact *acts, size_t len)
{
    struct why_packet *old;
    struct ofpbuf old_set = run->set;
    bool old_has_group = run->set_has_group;
    struct why_slot *old_stack = run->stack;
    size_t old_n = run->n_stack, old_allocated = run->allocated_stack;

    if (!why_run_has_room(run)) {
        return;
    }
    old = lh_memdup(&run->packet, sizeof run->packet);
    run->depth++;
    ofpbuf_init(&run->set, 128);
    ofpbuf_put(&run->set, old_set.data, old_set.size);
    run->stack = lh_memdup(old_stack, old_n * sizeof *old_stack);
    run->allocated_stack = old_n;
    why_run_list(run, acts, len);
    why_run_set(run);
    ofpbuf_uninit(&run->set);
    free(run->stack);
    run->stack = old_stack;
    run->n_stack = old_n;
    run->allocated_stack = old_allocated;
    run->set = old_set;
    run->set_has_group = old_has_group;
    run->packet = *old;
    free(old);
    run->depth--;
}

/* --- action sets --------------------------------------------------------- */

static void
write_actions(struct why_run *run, const struct ofpact_nest *nest)
{
    size_t len = ofpact_nest_get_action_len(nest);
    struct flow *flow = &run->packet.flow;
    const struct ofpact *a;

    OFPACT_FOR_EACH(a, nest->actions, len)
    {
        if (run->set_has_group) {
            break;
        }
        if (a->type == OFPACT_OUTPUT) {
            flow->actset_output = ofpact_get_OUTPUT(a)->port;
        } else if (a->type == OFPACT_GROUP) {
            flow->actset_output = OFPP_UNSET;
            run->set_has_group = true;
        }
    }
    ofpbuf_put(&run->set, nest->actions, len);
}

static void
clear_actions(struct why_run *run)
{
    ofpbuf_clear(&run->set);
    run->packet.flow.actset_output = OFPP_UNSET;
    run->set_has_group = false;
    why_run_did(run, "the action set is empty again");
}

/* --- connection tracking ------------------------------------------------- */

/* States that a tracked packet may have. */
static const struct {
    uint8_t state;
    const char *text;
} ct_states[] = {
    {CT_TRK | CT_NEW, "new"},
    {CT_TRK | CT_EST, "established"},
    {CT_TRK | CT_EST | CT_RPL, "established, in the reply direction"},
    {CT_TRK | CT_NEW | CT_REL, "new and related to another"},
    {CT_TRK | CT_REL | CT_RPL, "related to another, in the reply direction"},
    {CT_TRK | CT_INV, "invalid"},
};

/* What address translation makes of the packet is known only when it has but
 * one address to choose. */
static void
translate(struct why_packet *p, const struct ofpact_nat *nat, bool is_new)
{
    bool src = nat->flags & NX_NAT_F_SRC, dst = nat->flags & NX_NAT_F_DST;
    bool is_single = nat->range_af == AF_INET &&
                     (!nat->range.addr.ipv4.max ||
                      nat->range.addr.ipv4.max == nat->range.addr.ipv4.min);

    if (is_new && !src && !dst) {
        return; /* Nothing to translate by. */
    }
    why_packet_forget_nat(p, src || !is_new, dst || !is_new);
    if (is_new && is_single && p->flow.dl_type == htons(HDR_ETH_IP4)) {
        *(src ? &p->flow.nw_src : &p->flow.nw_dst) = nat->range.addr.ipv4.min;
        *(src ? &p->unknown.nw_src : &p->unknown.nw_dst) = 0;
    }
    p->unknown.ct_state |= CT_SNAT | CT_DNAT;
}

static const struct ofpact_nat *
find_nat(const struct ofpact_conntrack *ct)
{
    const struct ofpact *a;

    OFPACT_FOR_EACH(a, ct->actions, ofpact_ct_get_action_len(ct))
    {
        if (a->type == OFPACT_NAT) {
            return ofpact_get_NAT(a);
        }
    }
    return NULL;
}

/* The packet as it comes to the table that ct sends it to. */
static void
track(struct why_run *run, const struct ofpact_conntrack *ct, uint16_t zone,
      struct why_packet *p)
{
    const struct ofpact_nat *nat = find_nat(ct);
    size_t n = sizeof ct_states / sizeof ct_states[0];
    size_t i = why_run_choose(run, n);
    uint8_t state = ct_states[i].state;

    why_run_assume(run, "the connection is %s in zone %u", ct_states[i].text,
                   zone);
    why_run_uncertain(run,
                      "the state of the connection in zone %u is not "
                      "recorded",
                      zone);
    p->flow.ct_state = state;
    p->unknown.ct_state = 0;
    p->flow.ct_zone = zone;
    p->unknown.ct_zone = 0;
    /* Marks and labels belong to the connection; a new one has none but those
     * that this ct() gives it. */
    if (state != (CT_TRK | CT_NEW) && state != (CT_TRK | CT_INV)) {
        memset(&p->unknown.ct_mark, 0xff, sizeof p->unknown.ct_mark);
        memset(&p->unknown.ct_label, 0xff, sizeof p->unknown.ct_label);
    }
    if (nat && state != (CT_TRK | CT_INV)) {
        translate(p, nat, state == (CT_TRK | CT_NEW));
        why_run_uncertain(run, "what address translation did is not recorded");
    }
}

static void
act_ct(struct why_run *run, const struct ofpact_conntrack *ct)
{
    uint16_t zone =
        ct->zone_src.field
            ? (uint16_t) mf_get_subfield(&ct->zone_src, &run->packet.flow)
            : ct->zone_imm;
    const struct ofpact *a;

    /* exec() sets marks and labels. */
    OFPACT_FOR_EACH(a, ct->actions, ofpact_ct_get_action_len(ct))
    {
        if (a->type != OFPACT_NAT) {
            why_edit(run, a);
        }
    }
    if (ct->flags & NX_CT_F_COMMIT) {
        why_run_did(run, "the connection is committed to zone %u", zone);
    }
    if (ct->recirc_table != NX_CT_RECIRC_NONE) {
        struct why_later later = {
            .packet = run->packet,
            .table_id = ct->recirc_table,
            .set_has_group = run->set_has_group,
            .stack = lh_memdup(run->stack, run->n_stack * sizeof *run->stack),
            .n_stack = run->n_stack,
        };

        track(run, ct, zone, &later.packet);
        later.set.data = lh_memdup(run->set.data, run->set.size);
        later.set.len = run->set.size;
        run->later = lh_alloc_grow(run->later, run->n_later,
                                   &run->allocated_later, sizeof *run->later);
        run->later[run->n_later++] = later;
        why_run_did(run, "tracked in zone %u, a copy goes on in table %u",
                    zone, ct->recirc_table);
    }
    why_packet_clear_ct(&run->packet);
}

/* --- all ----------------------------------------------------------------- */

static void
act_resubmit(struct why_run *run, const struct ofpact_resubmit *resubmit)
{
    ofp_port_t in_port = resubmit->in_port == OFPP_IN_PORT
                             ? run->packet.flow.in_port.ofp_port
                             : resubmit->in_port;
    uint8_t table_id =
        resubmit->table_id == 255 ? run->table_id : resubmit->table_id;

    if (resubmit->with_ct_orig) {
        why_run_uncertain(run,
                          "resubmit(,%u,ct) looks at the addresses "
                          "before translation, which are not recorded",
                          table_id);
    }
    why_run_table(run, table_id, in_port, false);
}

static void
act_controller(struct why_run *run, const struct ofpact_controller *c)
{
    why_run_did(run, "to the controller");
    why_run_output(run, OF_PORT_CONTROLLER, true);
    if (c->pause) {
        why_run_did(run, "and it waits for the controller to let it go on");
        why_run_uncertain(run, "a controller that resumes the packet decides "
                               "what it meets next");
        run->has_exit = true;
    }
}

static void
act_meter(struct why_run *run, uint32_t meter_id)
{
    why_run_did(run, "meter %u", (unsigned) meter_id);
    why_run_uncertain(run, "meter %u may have dropped it",
                      (unsigned) meter_id);
}

void
why_act(struct why_run *run, const struct ofpact *a, bool *stops)
{
    const struct ofpact_nest *nest;

    switch ((int) a->type) {
    case OFPACT_OUTPUT:
        output(run, of_ovs_u16(ofpact_get_OUTPUT(a)->port));
        break;
    case OFPACT_OUTPUT_TRUNC:
        output(run, of_ovs_u16(ofpact_get_OUTPUT_TRUNC(a)->port));
        break;
    case OFPACT_ENQUEUE:
        output(run, of_ovs_u16(ofpact_get_ENQUEUE(a)->port));
        break;
    case OFPACT_OUTPUT_REG:
        output_reg(run, &ofpact_get_OUTPUT_REG(a)->src);
        break;
    case OFPACT_BUNDLE:
        output_bundle(run, ofpact_get_BUNDLE(a));
        break;
    case OFPACT_CONTROLLER:
        act_controller(run, ofpact_get_CONTROLLER(a));
        break;
    case OFPACT_GROUP:
        *stops = !act_group(run, ofpact_get_GROUP(a)->group_id);
        break;
    case OFPACT_CLONE:
        nest = ofpact_get_CLONE(a);
        act_clone(run, nest->actions, ofpact_nest_get_action_len(nest));
        break;
    case OFPACT_RESUBMIT:
        act_resubmit(run, ofpact_get_RESUBMIT(a));
        break;
    case OFPACT_GOTO_TABLE:
        why_run_table(run, ofpact_get_GOTO_TABLE(a)->table_id,
                      run->packet.flow.in_port.ofp_port, true);
        break;
    case OFPACT_WRITE_ACTIONS:
        write_actions(run, ofpact_get_WRITE_ACTIONS(a));
        break;
    case OFPACT_CLEAR_ACTIONS:
        clear_actions(run);
        break;
    case OFPACT_CT:
        act_ct(run, ofpact_get_CT(a));
        break;
    case OFPACT_CT_CLEAR:
        why_packet_clear_ct(&run->packet);
        break;
    case OFPACT_LEARN:
        why_run_did(run, "a rule is learned");
        why_run_uncertain(run, "rules made by learn() are in these tables "
                               "only as far as they were recorded");
        break;
    case OFPACT_METER:
        act_meter(run, ofpact_get_METER(a)->meter_id);
        break;
    case OFPACT_EXIT:
        run->has_exit = true;
        break;
    default: /* Queues, notes, samples: the packet goes on as it is. */
        break;
    }
}
