/* SPDX-License-Identifier: Apache-2.0 */
/* of_steps - what a list of actions does to a packet. */
#include <config.h>
#include "recorder/of_steps.h"

#include <stdio.h>
#include <string.h>

#include "lib/of_port.h"
#include "recorder/of_ovs.h"
#include "recorder/of_wire.h"

/* Of an 802.1Q tag as the library keeps it. */
#define TCI_PRESENT   0x1000
#define TCI_VID       0x0fff
#define TCI_PCP       0xe000
#define TCI_PCP_SHIFT 13

/* Fields whose value the library keeps as a step does. */
static const struct {
    enum mf_field_id id;
    enum step_field field;
} fields[] = {
    {MFF_ETH_SRC, FIELD_ETH_SRC},         {MFF_ETH_DST, FIELD_ETH_DST},
    {MFF_ETH_TYPE, FIELD_ETH_TYPE},       {MFF_DL_VLAN, FIELD_VLAN_VID},
    {MFF_DL_VLAN_PCP, FIELD_VLAN_PCP},    {MFF_VLAN_PCP, FIELD_VLAN_PCP},
    {MFF_MPLS_LABEL, FIELD_MPLS_LABEL},   {MFF_MPLS_TC, FIELD_MPLS_TC},
    {MFF_MPLS_TTL, FIELD_MPLS_TTL},       {MFF_IPV4_SRC, FIELD_IPV4_SRC},
    {MFF_IPV4_DST, FIELD_IPV4_DST},       {MFF_IPV6_SRC, FIELD_IPV6_SRC},
    {MFF_IPV6_DST, FIELD_IPV6_DST},       {MFF_IPV6_LABEL, FIELD_IPV6_LABEL},
    {MFF_IP_DSCP_SHIFTED, FIELD_IP_DSCP}, {MFF_IP_ECN, FIELD_IP_ECN},
    {MFF_IP_TTL, FIELD_IP_TTL},           {MFF_TCP_SRC, FIELD_TP_SRC},
    {MFF_UDP_SRC, FIELD_TP_SRC},          {MFF_SCTP_SRC, FIELD_TP_SRC},
    {MFF_TCP_DST, FIELD_TP_DST},          {MFF_UDP_DST, FIELD_TP_DST},
    {MFF_SCTP_DST, FIELD_TP_DST},         {MFF_ICMPV4_TYPE, FIELD_ICMP_TYPE},
    {MFF_ICMPV6_TYPE, FIELD_ICMP_TYPE},   {MFF_ICMPV4_CODE, FIELD_ICMP_CODE},
    {MFF_ICMPV6_CODE, FIELD_ICMP_CODE},   {MFF_ARP_OP, FIELD_ARP_OP},
    {MFF_ARP_SPA, FIELD_ARP_SPA},         {MFF_ARP_TPA, FIELD_ARP_TPA},
    {MFF_ARP_SHA, FIELD_ARP_SHA},         {MFF_ARP_THA, FIELD_ARP_THA},
    {MFF_ND_TARGET, FIELD_ND_TARGET},     {MFF_ND_SLL, FIELD_ND_SLL},
    {MFF_ND_TLL, FIELD_ND_TLL},
};

/* Steps being made.  Outputs inside a clone that edits its copy are put off
 * to the end, where the packet counts as unknown. */
struct builder {
    struct rule *rule;
    uint32_t late[32];
    size_t n_late;
};

static void
add_plain(struct builder *b, enum step_type type, uint16_t ethertype)
{
    struct step step = {.type = type, .ethertype = ethertype};

    rule_add_step(b->rule, &step);
}

static void
add_output(struct builder *b, uint32_t port)
{
    struct step step = {.type = STEP_OUTPUT, .port = port};

    rule_add_step(b->rule, &step);
}

static void
add_group(struct builder *b, uint32_t group_id)
{
    struct step step = {.type = STEP_GROUP, .port = group_id & 0xffff};

    rule_add_step(b->rule, &step);
}

static void
add_unknown(struct builder *b, const char *what)
{
    struct step step = {.type = STEP_UNKNOWN};

    snprintf(step.text, sizeof step.text, "%s", what);
    rule_add_step(b->rule, &step);
}

static void
add_set(struct builder *b, enum step_field field, const void *value,
        const void *mask, size_t n)
{
    struct step step = {.type = STEP_SET, .field = field};

    memcpy(step.value, value, n);
    if (mask) {
        memcpy(step.mask, mask, n);
    } else {
        memset(step.mask, 0xff, n);
    }
    rule_add_step(b->rule, &step);
}

static void
add_set8(struct builder *b, enum step_field field, uint8_t value, uint8_t mask)
{
    add_set(b, field, &value, &mask, 1);
}

static void
add_set16(struct builder *b, enum step_field field, uint16_t value,
          uint16_t mask)
{
    uint8_t bytes[4];

    of_wire_put16(bytes, value);
    of_wire_put16(bytes + 2, mask);
    add_set(b, field, bytes, bytes + 2, 2);
}

static void
add_vlan_tci(struct builder *b, const struct ofpact_set_field *sf)
{
    uint16_t tci = ntohs(sf->value->be16);
    uint16_t mask = ntohs(ofpact_set_field_mask(sf)->be16);

    if (mask & TCI_PRESENT && !(tci & TCI_PRESENT)) {
        add_plain(b, STEP_POP_VLAN, 0);
        return;
    }
    if (mask & TCI_VID) {
        add_set16(b, FIELD_VLAN_VID, tci & TCI_VID, mask & TCI_VID);
    }
    if (mask & TCI_PCP) {
        add_set8(b, FIELD_VLAN_PCP,
                 (uint8_t) ((tci & TCI_PCP) >> TCI_PCP_SHIFT),
                 (uint8_t) ((mask & TCI_PCP) >> TCI_PCP_SHIFT));
    }
}

static void
add_set_field(struct builder *b, const struct ofpact_set_field *sf)
{
    const struct mf_field *mf = sf->field;
    const union mf_value *mask = ofpact_set_field_mask(sf);

    if (mf_is_pipeline_field(mf)) {
        return;
    }
    if (mf->id == MFF_VLAN_TCI) {
        add_vlan_tci(b, sf);
        return;
    }
    if (mf->id == MFF_VLAN_VID) {
        add_set16(b, FIELD_VLAN_VID, ntohs(sf->value->be16) & TCI_VID,
                  ntohs(mask->be16) & TCI_VID);
        return;
    }
    if (mf->id == MFF_IP_DSCP) {
        add_set8(b, FIELD_IP_DSCP, sf->value->u8 >> 2, mask->u8 >> 2);
        return;
    }
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (fields[i].id == mf->id) {
            add_set(b, fields[i].field, sf->value, mask, mf->n_bytes);
            return;
        }
    }
    add_unknown(b, mf->name);
}

/* Actions that edit the packet.  False: 'a' is none of them. */
static bool
add_edit(struct builder *b, const struct ofpact *a)
{
    switch ((int) a->type) {
    case OFPACT_SET_FIELD:
        add_set_field(b, ofpact_get_SET_FIELD(a));
        return true;
    case OFPACT_SET_VLAN_VID:
        add_set16(b, FIELD_VLAN_VID, ofpact_get_SET_VLAN_VID(a)->vlan_vid,
                  TCI_VID);
        return true;
    case OFPACT_SET_VLAN_PCP:
        add_set8(b, FIELD_VLAN_PCP, ofpact_get_SET_VLAN_PCP(a)->vlan_pcp,
                 0xff);
        return true;
    case OFPACT_STRIP_VLAN:
        add_plain(b, STEP_POP_VLAN, 0);
        return true;
    case OFPACT_PUSH_VLAN:
        add_plain(b, STEP_PUSH_VLAN,
                  ntohs(ofpact_get_PUSH_VLAN(a)->ethertype));
        return true;
    case OFPACT_SET_ETH_SRC:
        add_set(b, FIELD_ETH_SRC, &ofpact_get_SET_ETH_SRC(a)->mac, NULL, 6);
        return true;
    case OFPACT_SET_ETH_DST:
        add_set(b, FIELD_ETH_DST, &ofpact_get_SET_ETH_DST(a)->mac, NULL, 6);
        return true;
    case OFPACT_SET_IPV4_SRC:
        add_set(b, FIELD_IPV4_SRC, &ofpact_get_SET_IPV4_SRC(a)->ipv4, NULL, 4);
        return true;
    case OFPACT_SET_IPV4_DST:
        add_set(b, FIELD_IPV4_DST, &ofpact_get_SET_IPV4_DST(a)->ipv4, NULL, 4);
        return true;
    case OFPACT_SET_IP_DSCP:
        add_set8(b, FIELD_IP_DSCP, ofpact_get_SET_IP_DSCP(a)->dscp >> 2, 0x3f);
        return true;
    case OFPACT_SET_IP_ECN:
        add_set8(b, FIELD_IP_ECN, ofpact_get_SET_IP_ECN(a)->ecn & 3, 3);
        return true;
    case OFPACT_SET_IP_TTL:
        add_set8(b, FIELD_IP_TTL, ofpact_get_SET_IP_TTL(a)->ttl, 0xff);
        return true;
    case OFPACT_SET_L4_SRC_PORT:
        add_set16(b, FIELD_TP_SRC, ofpact_get_SET_L4_SRC_PORT(a)->port,
                  0xffff);
        return true;
    case OFPACT_SET_L4_DST_PORT:
        add_set16(b, FIELD_TP_DST, ofpact_get_SET_L4_DST_PORT(a)->port,
                  0xffff);
        return true;
    case OFPACT_DEC_TTL:
        add_plain(b, STEP_DEC_TTL, 0);
        return true;
    case OFPACT_SET_MPLS_LABEL:
        add_set(b, FIELD_MPLS_LABEL, &ofpact_get_SET_MPLS_LABEL(a)->label,
                NULL, 4);
        return true;
    case OFPACT_SET_MPLS_TC:
        add_set8(b, FIELD_MPLS_TC, ofpact_get_SET_MPLS_TC(a)->tc, 7);
        return true;
    case OFPACT_SET_MPLS_TTL:
        add_set8(b, FIELD_MPLS_TTL, ofpact_get_SET_MPLS_TTL(a)->ttl, 0xff);
        return true;
    case OFPACT_PUSH_MPLS:
        add_plain(b, STEP_PUSH_MPLS,
                  ntohs(ofpact_get_PUSH_MPLS(a)->ethertype));
        return true;
    case OFPACT_POP_MPLS:
        add_plain(b, STEP_POP_MPLS, ntohs(ofpact_get_POP_MPLS(a)->ethertype));
        return true;
    case OFPACT_REG_MOVE:
    case OFPACT_STACK_POP:
    case OFPACT_DELETE_FIELD: {
        const struct mf_field *dst = ofpact_get_mf_dst(a);

        if (dst && !mf_is_pipeline_field(dst)) {
            add_unknown(b, ofpact_name(a->type));
        }
        return true;
    }
    case OFPACT_DEC_MPLS_TTL:
    case OFPACT_DEC_NSH_TTL:
    case OFPACT_ENCAP:
    case OFPACT_DECAP:
        add_unknown(b, ofpact_name(a->type));
        return true;
    default:
        return false;
    }
}

static void add_list(struct builder *, const struct ofpact *, size_t);

/* The outputs of a clone: its edits end with it. */
static void
add_clone(struct builder *b, const struct ofpact_nest *nest)
{
    size_t len = ofpact_nest_get_action_len(nest);
    size_t n_steps = b->rule->n_steps;
    bool has_edit = false;
    size_t kept;

    add_list(b, nest->actions, len);
    for (size_t i = n_steps; i < b->rule->n_steps; i++) {
        enum step_type type = b->rule->steps[i].type;

        has_edit |= type != STEP_OUTPUT && type != STEP_GROUP;
    }
    if (!has_edit) {
        return;
    }
    kept = n_steps;
    for (size_t i = n_steps; i < b->rule->n_steps; i++) {
        const struct step *step = &b->rule->steps[i];

        if (step->type == STEP_OUTPUT &&
            b->n_late < sizeof b->late / sizeof b->late[0]) {
            b->late[b->n_late++] = step->port;
        }
    }
    b->rule->n_steps = kept;
}

/* An action set: one action of each kind in the order of action sets, then
 * the strongest last one. */
static void
add_action_set(struct builder *b, const struct ofpact *acts, size_t len)
{
    struct ofpbuf set, list;

    ofpbuf_use_const(&set, acts, len);
    ofpbuf_init(&list, 128);
    ofpacts_execute_action_set(&list, &set);
    add_list(b, list.data, list.size);
    ofpbuf_uninit(&list);
}

static void
add_one(struct builder *b, const struct ofpact *a)
{
    const struct ofpact_nest *nest;
    uint16_t port;

    if (add_edit(b, a)) {
        return;
    }
    switch ((int) a->type) {
    case OFPACT_OUTPUT:
        port = of_ovs_u16(ofpact_get_OUTPUT(a)->port);
        if (port != OF_PORT_NONE && port != OF_PORT_TABLE) {
            add_output(b, port);
        }
        break;
    case OFPACT_OUTPUT_TRUNC:
        add_output(b, of_ovs_u16(ofpact_get_OUTPUT_TRUNC(a)->port));
        break;
    case OFPACT_ENQUEUE:
        add_output(b, of_ovs_u16(ofpact_get_ENQUEUE(a)->port));
        break;
    case OFPACT_CONTROLLER:
        add_output(b, OF_PORT_CONTROLLER);
        break;
    case OFPACT_OUTPUT_REG:
        add_output(b, OF_PORT_UNKNOWN);
        break;
    case OFPACT_BUNDLE:
        if (!ofpact_get_BUNDLE(a)->dst.field) {
            add_output(b, OF_PORT_NORMAL);
        }
        break;
    case OFPACT_GROUP:
        add_group(b, ofpact_get_GROUP(a)->group_id);
        break;
    case OFPACT_RESUBMIT:
        add_unknown(b, "resubmit");
        break;
    case OFPACT_CT:
        if (ofpact_ct_get_action_len(ofpact_get_CT(a))) {
            add_unknown(b, "ct");
        }
        break;
    case OFPACT_CLONE:
        add_clone(b, ofpact_get_CLONE(a));
        break;
    case OFPACT_WRITE_ACTIONS:
        nest = ofpact_get_WRITE_ACTIONS(a);
        add_action_set(b, nest->actions, ofpact_nest_get_action_len(nest));
        break;
    default:
        break;
    }
}

static void
add_list(struct builder *b, const struct ofpact *acts, size_t len)
{
    const struct ofpact *a;

    OFPACT_FOR_EACH(a, acts, len)
    {
        if (a->type == OFPACT_EXIT) {
            break;
        }
        add_one(b, a);
    }
}

void
of_steps_add(struct rule *rule, const struct of_acts *acts, bool is_set)
{
    struct builder b = {.rule = rule};

    if (is_set) {
        add_action_set(&b, acts->data, acts->len);
    } else {
        add_list(&b, acts->data, acts->len);
    }
    if (b.n_late) {
        add_unknown(&b, "clone");
        for (size_t i = 0; i < b.n_late; i++) {
            add_output(&b, b.late[i]);
        }
    }
}
