/* SPDX-License-Identifier: Apache-2.0 */
/* of_why_edit - actions that edit a packet or its metadata, as Open vSwitch
 * 3.1 executes them. */
#include <config.h>
#include "recorder/of_why.h"

#include <stdlib.h>
#include <string.h>

#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "recorder/of_why_state.h"

#define VLAN_CFI_BIT  0x1000
#define VLAN_VID_BITS 0x0fff
#define VLAN_PCP_BITS 0xe000

static bool
is_ip4(const struct flow *flow)
{
    return flow->dl_type == htons(HDR_ETH_IP4);
}

static bool
is_ip(const struct flow *flow)
{
    return is_ip4(flow) || flow->dl_type == htons(HDR_ETH_IP6);
}

static bool
is_mpls(const struct flow *flow)
{
    return flow->dl_type == htons(HDR_ETH_MPLS) ||
           flow->dl_type == htons(HDR_ETH_MPLS_M);
}

static bool
is_vlan_field(const struct mf_field *mf)
{
    return mf->id == MFF_VLAN_TCI || mf->id == MFF_DL_VLAN ||
           mf->id == MFF_VLAN_VID || mf->id == MFF_DL_VLAN_PCP ||
           mf->id == MFF_VLAN_PCP;
}

/* --- single fields ------------------------------------------------------- */

static enum why_edit
set_field(struct why_run *run, const struct ofpact_set_field *sf)
{
    const struct mf_field *mf = sf->field;
    const union mf_value *mask = ofpact_set_field_mask(sf);
    struct why_packet *p = &run->packet;
    union mf_value zero;

    if (mf_is_tun_metadata(mf)) {
        return WHY_EDIT_DONE; /* No table of ours matches on it. */
    }
    if (!mf_are_prereqs_ok(mf, &p->flow, NULL)) {
        why_run_did(run, "%s is not in the packet: nothing is set", mf->name);
        return WHY_EDIT_DONE;
    }
    mf_set_flow_value_masked(mf, sf->value, mask, &p->flow);
    if (!is_vlan_field(mf)) {
        memset(&zero, 0, sizeof zero);
        mf_set_flow_value_masked(mf, &zero, mask, &p->unknown);
    }
    return WHY_EDIT_DONE;
}

static void
set_vlan_bits(struct flow *flow, uint16_t value, uint16_t mask,
              bool push_if_needed)
{
    if (flow->vlans[0].tci & htons(VLAN_CFI_BIT) || push_if_needed) {
        if (!flow->vlans[0].tpid) {
            flow->vlans[0].tpid = htons(HDR_ETH_VLAN);
        }
        flow->vlans[0].tci =
            (flow->vlans[0].tci & ~htons(mask)) | htons(value | VLAN_CFI_BIT);
    }
}

/* The actions of OpenFlow 1.0 and 1.1 that set one field. */
static enum why_edit
set_old(struct why_run *run, const struct ofpact *a)
{
    struct flow *flow = &run->packet.flow, *unknown = &run->packet.unknown;
    bool has_ports = is_ip(flow) && !(flow->nw_frag & FLOW_NW_FRAG_LATER);

    switch ((int) a->type) {
    case OFPACT_SET_VLAN_VID:
        set_vlan_bits(flow, ofpact_get_SET_VLAN_VID(a)->vlan_vid,
                      VLAN_VID_BITS,
                      ofpact_get_SET_VLAN_VID(a)->push_vlan_if_needed);
        return WHY_EDIT_DONE;
    case OFPACT_SET_VLAN_PCP:
        set_vlan_bits(
            flow, (uint16_t) (ofpact_get_SET_VLAN_PCP(a)->vlan_pcp << 13),
            VLAN_PCP_BITS, ofpact_get_SET_VLAN_PCP(a)->push_vlan_if_needed);
        return WHY_EDIT_DONE;
    case OFPACT_SET_ETH_SRC:
        flow->dl_src = ofpact_get_SET_ETH_SRC(a)->mac;
        memset(&unknown->dl_src, 0, sizeof unknown->dl_src);
        return WHY_EDIT_DONE;
    case OFPACT_SET_ETH_DST:
        flow->dl_dst = ofpact_get_SET_ETH_DST(a)->mac;
        memset(&unknown->dl_dst, 0, sizeof unknown->dl_dst);
        return WHY_EDIT_DONE;
    case OFPACT_SET_IPV4_SRC:
        if (is_ip4(flow)) {
            flow->nw_src = ofpact_get_SET_IPV4_SRC(a)->ipv4;
            unknown->nw_src = 0;
        }
        return WHY_EDIT_DONE;
    case OFPACT_SET_IPV4_DST:
        if (is_ip4(flow)) {
            flow->nw_dst = ofpact_get_SET_IPV4_DST(a)->ipv4;
            unknown->nw_dst = 0;
        }
        return WHY_EDIT_DONE;
    case OFPACT_SET_IP_DSCP:
        if (is_ip(flow)) {
            flow->nw_tos =
                (flow->nw_tos & 3) | (ofpact_get_SET_IP_DSCP(a)->dscp & 0xfc);
        }
        return WHY_EDIT_DONE;
    case OFPACT_SET_IP_ECN:
        if (is_ip(flow)) {
            flow->nw_tos =
                (flow->nw_tos & 0xfc) | (ofpact_get_SET_IP_ECN(a)->ecn & 3);
        }
        return WHY_EDIT_DONE;
    case OFPACT_SET_IP_TTL:
        if (is_ip(flow)) {
            flow->nw_ttl = ofpact_get_SET_IP_TTL(a)->ttl;
        }
        return WHY_EDIT_DONE;
    case OFPACT_SET_L4_SRC_PORT:
        if (has_ports) {
            flow->tp_src = htons(ofpact_get_SET_L4_SRC_PORT(a)->port);
            unknown->tp_src = 0;
        }
        return WHY_EDIT_DONE;
    case OFPACT_SET_L4_DST_PORT:
        if (has_ports) {
            flow->tp_dst = htons(ofpact_get_SET_L4_DST_PORT(a)->port);
            unknown->tp_dst = 0;
        }
        return WHY_EDIT_DONE;
    case OFPACT_SET_TUNNEL:
        flow->tunnel.tun_id = of_ovs_be64(ofpact_get_SET_TUNNEL(a)->tun_id);
        memset(&unknown->tunnel.tun_id, 0, sizeof unknown->tunnel.tun_id);
        return WHY_EDIT_DONE;
    default:
        return WHY_EDIT_NONE;
    }
}

/* --- bits ---------------------------------------------------------------- */

static void
write_bits(struct why_run *run, const struct mf_subfield *dst,
           const struct why_slot *slot)
{
    if (mf_is_tun_metadata(dst->field)) {
        return;
    }
    mf_write_subfield_flow(dst, &slot->value, &run->packet.flow);
    /* Writing to a VLAN field makes a tag where there is none: what is not
     * known must not become one. */
    if (!is_vlan_field(dst->field)) {
        mf_write_subfield_flow(dst, &slot->unknown, &run->packet.unknown);
    }
}

static void
read_bits(struct why_run *run, const struct mf_subfield *src,
          struct why_slot *slot)
{
    mf_read_subfield(src, &run->packet.flow, &slot->value);
    if (mf_is_tun_metadata(src->field)) {
        memset(&slot->unknown, 0xff, sizeof slot->unknown);
    } else {
        mf_read_subfield(src, &run->packet.unknown, &slot->unknown);
    }
}

static enum why_edit
reg_move(struct why_run *run, const struct ofpact_reg_move *move)
{
    const struct flow *flow = &run->packet.flow;
    struct why_slot slot;

    if (!mf_are_prereqs_ok(move->dst.field, flow, NULL) ||
        !mf_are_prereqs_ok(move->src.field, flow, NULL)) {
        why_run_did(run, "%s is not in the packet: nothing is moved",
                    mf_are_prereqs_ok(move->dst.field, flow, NULL)
                        ? move->src.field->name
                        : move->dst.field->name);
        return WHY_EDIT_DONE;
    }
    read_bits(run, &move->src, &slot);
    write_bits(run, &move->dst, &slot);
    return WHY_EDIT_DONE;
}

static enum why_edit
stack_push(struct why_run *run, const struct mf_subfield *src)
{
    if (run->n_stack >= WHY_MAX_STACK) {
        why_run_drop(run, "the stack of push() is full");
        return WHY_EDIT_ERROR;
    }
    run->stack = lh_alloc_grow(run->stack, run->n_stack, &run->allocated_stack,
                               sizeof *run->stack);
    read_bits(run, src, &run->stack[run->n_stack++]);
    return WHY_EDIT_DONE;
}

static enum why_edit
stack_pop(struct why_run *run, const struct mf_subfield *dst)
{
    if (!run->n_stack) {
        why_run_did(run, "pop: the stack is empty");
        return WHY_EDIT_DONE;
    }
    run->n_stack--;
    write_bits(run, dst, &run->stack[run->n_stack]);
    return WHY_EDIT_DONE;
}

static enum why_edit
write_metadata(struct why_run *run, const struct ofpact_metadata *m)
{
    struct why_packet *p = &run->packet;

    p->flow.metadata = (p->flow.metadata & ~m->mask) | (m->metadata & m->mask);
    p->unknown.metadata &= ~m->mask;
    return WHY_EDIT_DONE;
}

static enum why_edit
check_length(struct why_run *run, const struct ofpact_check_pkt_larger *check)
{
    struct why_slot slot = {.value = {.u8 = {0}}};
    bool is_larger;

    if (run->packet.len) {
        is_larger = run->packet.len > check->pkt_len;
    } else {
        is_larger = why_run_choose(run, 2);
        why_run_assume(run, "the packet is %s than %u bytes",
                       is_larger ? "longer" : "not longer", check->pkt_len);
    }
    slot.value.u8_val = is_larger;
    write_bits(run, &check->dst, &slot);
    return WHY_EDIT_DONE;
}

/* --- tags and labels ----------------------------------------------------- */

static void
copy_l3(struct flow *dst, const struct flow *src)
{
    size_t ofs = offsetof(struct flow, nw_src);

    memcpy((uint8_t *) dst + ofs, (const uint8_t *) src + ofs,
           sizeof *dst - ofs);
}

static enum why_edit
push_mpls(struct why_run *run, const struct ofpact_push_mpls *push)
{
    struct why_packet *p = &run->packet;
    int n = flow_count_mpls_labels(&p->flow, NULL);

    if (n >= FLOW_MAX_MPLS_LABELS) {
        why_run_drop(run, "push_mpls: the switch takes no more than %d labels",
                     FLOW_MAX_MPLS_LABELS);
        return WHY_EDIT_ERROR;
    }
    if (push->ethertype != htons(HDR_ETH_MPLS) &&
        push->ethertype != htons(HDR_ETH_MPLS_M)) {
        why_run_drop(run, "push_mpls of an EtherType that is not MPLS");
        return WHY_EDIT_ERROR;
    }
    if (!n) {
        p->below = p->flow;
        p->has_below = true;
    }
    flow_push_mpls(&p->flow, n, push->ethertype, NULL, true);
    return WHY_EDIT_DONE;
}

static enum why_edit
pop_mpls(struct why_run *run, ovs_be16 ethertype)
{
    struct why_packet *p = &run->packet;
    int n = flow_count_mpls_labels(&p->flow, NULL);

    if (!flow_pop_mpls(&p->flow, n, ethertype, NULL)) {
        if (n >= FLOW_MAX_MPLS_LABELS) {
            why_run_drop(run,
                         "pop_mpls: the switch sees no more than %d "
                         "labels",
                         FLOW_MAX_MPLS_LABELS);
            return WHY_EDIT_ERROR;
        }
        return WHY_EDIT_DONE;
    }
    if (is_mpls(&p->flow)) {
        return WHY_EDIT_DONE;
    }
    /* The switch parses the packet again. */
    if (n == 1 && p->has_below && p->below.dl_type == ethertype) {
        copy_l3(&p->flow, &p->below);
    } else if (is_ip(&p->flow) || ethertype == htons(HDR_ETH_ARP)) {
        why_packet_forget_l3(p);
        why_run_uncertain(run, "what lies under the MPLS labels is not known");
    }
    return WHY_EDIT_DONE;
}

/* Drops here; the rest of the list is not executed. */
static enum why_edit
ttl_over(struct why_run *run, const char *what, unsigned int ttl, bool tells)
{
    why_run_drop(run, "%s met a TTL of %u", what, ttl);
    why_run_did(run, "%s met a TTL of %u: this list of actions ends here",
                what, ttl);
    if (tells) {
        why_run_did(run, "the controller is told of an invalid TTL");
    }
    return WHY_EDIT_STOP;
}

static enum why_edit
edit_mpls(struct why_run *run, const struct ofpact *a)
{
    struct flow *flow = &run->packet.flow;
    uint8_t ttl;

    switch ((int) a->type) {
    case OFPACT_PUSH_MPLS:
        return push_mpls(run, ofpact_get_PUSH_MPLS(a));
    case OFPACT_POP_MPLS:
        return pop_mpls(run, ofpact_get_POP_MPLS(a)->ethertype);
    case OFPACT_SET_MPLS_LABEL:
        if (is_mpls(flow)) {
            flow_set_mpls_label(flow, 0, ofpact_get_SET_MPLS_LABEL(a)->label);
        }
        return WHY_EDIT_DONE;
    case OFPACT_SET_MPLS_TC:
        if (is_mpls(flow)) {
            flow_set_mpls_tc(flow, 0, ofpact_get_SET_MPLS_TC(a)->tc);
        }
        return WHY_EDIT_DONE;
    case OFPACT_SET_MPLS_TTL:
        if (is_mpls(flow)) {
            flow_set_mpls_ttl(flow, 0, ofpact_get_SET_MPLS_TTL(a)->ttl);
        }
        return WHY_EDIT_DONE;
    case OFPACT_DEC_MPLS_TTL:
        ttl = is_mpls(flow) ? (uint8_t) ntohl(flow->mpls_lse[0]) : 0;
        if (ttl <= 1) {
            return ttl_over(run, "dec_mpls_ttl", ttl, is_mpls(flow));
        }
        flow_set_mpls_ttl(flow, 0, (uint8_t) (ttl - 1));
        return WHY_EDIT_DONE;
    default:
        return WHY_EDIT_NONE;
    }
}

/* --- all ----------------------------------------------------------------- */

static enum why_edit
edit_rest(struct why_run *run, const struct ofpact *a)
{
    struct why_packet *p = &run->packet;

    switch ((int) a->type) {
    case OFPACT_SET_FIELD:
        return set_field(run, ofpact_get_SET_FIELD(a));
    case OFPACT_REG_MOVE:
        return reg_move(run, ofpact_get_REG_MOVE(a));
    case OFPACT_STACK_PUSH:
        return stack_push(run, &ofpact_get_STACK_PUSH(a)->subfield);
    case OFPACT_STACK_POP:
        return stack_pop(run, &ofpact_get_STACK_POP(a)->subfield);
    case OFPACT_WRITE_METADATA:
        return write_metadata(run, ofpact_get_WRITE_METADATA(a));
    case OFPACT_CHECK_PKT_LARGER:
        return check_length(run, ofpact_get_CHECK_PKT_LARGER(a));
    case OFPACT_STRIP_VLAN:
        flow_pop_vlan(&p->flow, NULL);
        return WHY_EDIT_DONE;
    case OFPACT_PUSH_VLAN:
        flow_push_vlan_uninit(&p->flow, NULL);
        p->flow.vlans[0].tpid = ofpact_get_PUSH_VLAN(a)->ethertype;
        p->flow.vlans[0].tci = htons(VLAN_CFI_BIT);
        return WHY_EDIT_DONE;
    case OFPACT_DEC_TTL:
        if (is_ip(&p->flow)) {
            if (p->flow.nw_ttl <= 1) {
                return ttl_over(run, "dec_ttl", p->flow.nw_ttl,
                                ofpact_get_DEC_TTL(a)->n_controllers);
            }
            p->flow.nw_ttl--;
        }
        return WHY_EDIT_DONE;
    case OFPACT_MULTIPATH:
        why_packet_forget(p, &ofpact_get_MULTIPATH(a)->dst);
        why_run_uncertain(run, "multipath: the switch chooses by a hash");
        return WHY_EDIT_DONE;
    case OFPACT_DELETE_FIELD: /* Tunnel metadata only. */
        return WHY_EDIT_DONE;
    case OFPACT_ENCAP:
    case OFPACT_DECAP:
    case OFPACT_DEC_NSH_TTL:
        memset(&p->unknown.dl_dst, 0xff,
               sizeof p->unknown - offsetof(struct flow, dl_dst));
        why_run_uncertain(run, "the packet is not computed after %s",
                          ofpact_name(a->type));
        return WHY_EDIT_DONE;
    default:
        return WHY_EDIT_NONE;
    }
}

enum why_edit
why_edit(struct why_run *run, const struct ofpact *a)
{
    enum why_edit result = set_old(run, a);

    if (result == WHY_EDIT_NONE) {
        result = edit_mpls(run, a);
    }
    if (result == WHY_EDIT_NONE) {
        result = edit_rest(run, a);
    }
    return result;
}
