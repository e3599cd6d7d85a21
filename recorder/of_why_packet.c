/* SPDX-License-Identifier: Apache-2.0 */
/* of_why_packet - a packet on its way through tables, with what is not known
 * of it. */
#include <config.h>
#include "recorder/of_why.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "recorder/of_why_state.h"

/* Where the network layer begins in the library's struct flow. */
#define L3_OFS offsetof(struct flow, nw_src)
#define L3_LEN (sizeof(struct flow) - L3_OFS)

/* The fields as a person reads them: each bit of a packet once. */
static const enum mf_field_id fields[] = {
    MFF_IN_PORT,       MFF_ETH_SRC,      MFF_ETH_DST,      MFF_ETH_TYPE,
    MFF_VLAN_TCI,      MFF_MPLS_LABEL,   MFF_MPLS_TC,      MFF_MPLS_BOS,
    MFF_MPLS_TTL,      MFF_IPV4_SRC,     MFF_IPV4_DST,     MFF_IPV6_SRC,
    MFF_IPV6_DST,      MFF_IPV6_LABEL,   MFF_IP_PROTO,     MFF_IP_DSCP,
    MFF_IP_ECN,        MFF_IP_TTL,       MFF_IP_FRAG,      MFF_ARP_OP,
    MFF_ARP_SPA,       MFF_ARP_TPA,      MFF_ARP_SHA,      MFF_ARP_THA,
    MFF_TCP_SRC,       MFF_TCP_DST,      MFF_TCP_FLAGS,    MFF_UDP_SRC,
    MFF_UDP_DST,       MFF_SCTP_SRC,     MFF_SCTP_DST,     MFF_ICMPV4_TYPE,
    MFF_ICMPV4_CODE,   MFF_ICMPV6_TYPE,  MFF_ICMPV6_CODE,  MFF_ND_TARGET,
    MFF_ND_SLL,        MFF_ND_TLL,       MFF_TUN_ID,       MFF_TUN_SRC,
    MFF_TUN_DST,       MFF_TUN_IPV6_SRC, MFF_TUN_IPV6_DST, MFF_TUN_FLAGS,
    MFF_TUN_TTL,       MFF_TUN_TOS,      MFF_TUN_GBP_ID,   MFF_METADATA,
    MFF_SKB_PRIORITY,  MFF_PKT_MARK,     MFF_DP_HASH,      MFF_PACKET_TYPE,
    MFF_CT_STATE,      MFF_CT_ZONE,      MFF_CT_MARK,      MFF_CT_LABEL,
    MFF_CT_NW_PROTO,   MFF_CT_NW_SRC,    MFF_CT_NW_DST,    MFF_CT_IPV6_SRC,
    MFF_CT_IPV6_DST,   MFF_CT_TP_SRC,    MFF_CT_TP_DST,    MFF_CONJ_ID,
    MFF_ACTSET_OUTPUT, MFF_REG0,         MFF_REG1,         MFF_REG2,
    MFF_REG3,          MFF_REG4,         MFF_REG5,         MFF_REG6,
    MFF_REG7,          MFF_REG8,         MFF_REG9,         MFF_REG10,
    MFF_REG11,         MFF_REG12,        MFF_REG13,        MFF_REG14,
    MFF_REG15,
};
#define N_FIELDS_SHOWN (sizeof fields / sizeof fields[0])

/* --- making -------------------------------------------------------------- */

/* Extracts the fields of 'len' bytes that begin with Ethernet. */
static void
extract(const uint8_t *data, size_t len, struct flow *flow)
{
    struct dp_packet *packet = dp_packet_clone_data(data, len);

    flow_extract(packet, flow);
    dp_packet_uninit(packet);
    free(packet);
}

/* What lies under the MPLS labels, if their payload looks like IP. */
static void
extract_below(const uint8_t *data, size_t len, const struct hdr *h,
              struct why_packet *p)
{
    uint8_t *frame;
    struct flow flow;

    if (!h->n_labels || !(h->is_ip4 || h->is_ip6) || h->l3_ofs < 14) {
        return;
    }
    frame = lh_alloc_zero(14 + len - h->l3_ofs);
    frame[12] = h->is_ip4 ? 0x08 : 0x86;
    frame[13] = h->is_ip4 ? 0x00 : 0xdd;
    memcpy(frame + 14, data + h->l3_ofs, len - h->l3_ofs);
    extract(frame, 14 + len - h->l3_ofs, &flow);
    p->below = flow;
    p->has_below = true;
    free(frame);
}

static struct of_why_packet *
new_packet(size_t len)
{
    struct of_why_packet *packet = lh_alloc_zero(sizeof *packet);

    packet->p.len = len;
    memset(&packet->p.unknown.dp_hash, 0xff, sizeof packet->p.flow.dp_hash);
    return packet;
}

/* The library's "tp_src" and "tp_dst" of an exact flow are TCP's; people write
 * them for any protocol, as in a match.  malloc()ed. */
static char *
name_ports(const char *text)
{
    static const struct {
        const char *proto, *src, *dst;
    } names[] = {
        {"udp", "udp_src", "udp_dst"},
        {"udp6", "udp_src", "udp_dst"},
        {"sctp", "sctp_src", "sctp_dst"},
        {"sctp6", "sctp_src", "sctp_dst"},
        {"icmp", "icmp_type", "icmp_code"},
        {"icmp6", "icmpv6_type", "icmpv6_code"},
    };
    const char *src = "tp_src", *dst = "tp_dst";
    struct ds s = DS_EMPTY_INITIALIZER;
    char *result;

    while (*text) {
        size_t len = strcspn(text, ",= \t\n");
        bool is_src = len == 6 && !strncmp(text, "tp_src", len);
        bool is_dst = len == 6 && !strncmp(text, "tp_dst", len);

        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            if (strlen(names[i].proto) == len &&
                !strncmp(names[i].proto, text, len)) {
                src = names[i].src;
                dst = names[i].dst;
            }
        }
        if (is_src || is_dst) {
            ds_put_cstr(&s, is_src ? src : dst);
        } else {
            ds_put_format(&s, "%.*s", (int) len, text);
        }
        text += len;
        if (*text == '=') { /* A value may hold anything but a comma. */
            len = strcspn(text, ", \t\n");
        } else {
            len = strspn(text, ", \t\n");
        }
        ds_put_format(&s, "%.*s", (int) len, text);
        text += len;
    }
    result = lh_strdup(ds_cstr(&s));
    ds_destroy(&s);
    return result;
}

struct of_why_packet *
of_why_packet_create(const uint8_t *frame, size_t len, size_t full_len,
                     uint16_t in_port)
{
    struct of_why_packet *packet = new_packet(full_len);
    size_t whole;
    uint8_t *data;
    struct hdr h;

    /* The library does not look into a packet that is shorter than it says,
     * so what was not captured is put back as zeros. */
    hdr_parse(frame, len, &h);
    whole = hdr_has_l3(&h) ? (size_t) h.l3_ofs + h.own_len : len;
    whole = whole > len ? whole : len;
    data = lh_alloc_zero(whole);
    memcpy(data, frame, len);
    extract(data, whole, &packet->p.flow);
    extract_below(data, whole, &h, &packet->p);
    free(data);
    packet->p.flow.in_port.ofp_port = of_ovs_port(in_port);
    packet->p.flow.actset_output = OFPP_UNSET;
    /* No header says through which tunnel it came. */
    memset(&packet->p.unknown.tunnel, 0xff, sizeof packet->p.unknown.tunnel);
    packet->p.unknown.tunnel.metadata.tab = NULL;
    return packet;
}

char *
of_why_packet_from_text(const char *text, struct of_why_packet **packetp)
{
    struct of_why_packet *packet = new_packet(0);
    char *named = name_ports(text);
    char *error =
        parse_ofp_exact_flow(&packet->p.flow, NULL, NULL, named, NULL);

    *packetp = NULL;
    free(named);
    if (error) {
        free(packet);
        return error;
    }
    packet->p.flow.actset_output = OFPP_UNSET;
    *packetp = packet;
    return NULL;
}

void
of_why_packet_destroy(struct of_why_packet *packet)
{
    free(packet);
}

char *
of_why_packet_to_text(const struct of_why_packet *packet)
{
    return why_packet_text(&packet->p);
}

/* --- matching ------------------------------------------------------------ */

enum { FLOW_WORDS = sizeof(struct flow) / sizeof(uint64_t) };

static bool
is_word_open(const uint64_t *unknown, const uint64_t *mask)
{
    for (int i = 0; i < FLOW_WORDS; i++) {
        if (unknown[i] & mask[i]) {
            return true;
        }
    }
    return false;
}

enum why_match
why_packet_match(const struct why_packet *p, const struct minimatch *mini)
{
    uint64_t flow[FLOW_WORDS], unknown[FLOW_WORDS];
    uint64_t value[FLOW_WORDS], mask[FLOW_WORDS];
    struct match match;

    if (minimatch_matches_flow(mini, &p->flow)) {
        minimatch_expand(mini, &match);
        memcpy(mask, &match.wc.masks, sizeof mask);
        memcpy(unknown, &p->unknown, sizeof unknown);
        return is_word_open(unknown, mask) ? WHY_MAYBE : WHY_YES;
    }
    minimatch_expand(mini, &match);
    memcpy(value, &match.flow, sizeof value);
    memcpy(mask, &match.wc.masks, sizeof mask);
    memcpy(flow, &p->flow, sizeof flow);
    memcpy(unknown, &p->unknown, sizeof unknown);
    for (int i = 0; i < FLOW_WORDS; i++) {
        if ((flow[i] ^ value[i]) & mask[i] & ~unknown[i]) {
            return WHY_NO;
        }
    }
    return WHY_MAYBE;
}

void
why_packet_assume(struct why_packet *p, const struct minimatch *mini)
{
    uint64_t flow[FLOW_WORDS], unknown[FLOW_WORDS];
    uint64_t value[FLOW_WORDS], mask[FLOW_WORDS];
    struct match match;

    minimatch_expand(mini, &match);
    memcpy(value, &match.flow, sizeof value);
    memcpy(mask, &match.wc.masks, sizeof mask);
    memcpy(flow, &p->flow, sizeof flow);
    memcpy(unknown, &p->unknown, sizeof unknown);
    for (int i = 0; i < FLOW_WORDS; i++) {
        uint64_t now_known = unknown[i] & mask[i];

        flow[i] = (flow[i] & ~now_known) | (value[i] & now_known);
        unknown[i] &= ~now_known;
    }
    memcpy(&p->flow, flow, sizeof flow);
    memcpy(&p->unknown, unknown, sizeof unknown);
}

/* --- text ---------------------------------------------------------------- */

static bool
is_any(const union mf_value *value, const struct mf_field *mf)
{
    for (size_t i = 0; i < mf->n_bytes; i++) {
        if (value->b[i]) {
            return true;
        }
    }
    return false;
}

/* The library's names for a field that has many. */
static const char *
name_of(const struct mf_field *mf)
{
    switch ((int) mf->id) {
    case MFF_ETH_SRC:
        return "dl_src";
    case MFF_ETH_DST:
        return "dl_dst";
    case MFF_ETH_TYPE:
        return "dl_type";
    case MFF_IPV4_SRC:
        return "nw_src";
    case MFF_IPV4_DST:
        return "nw_dst";
    case MFF_IP_PROTO:
        return "nw_proto";
    case MFF_IP_TTL:
        return "nw_ttl";
    case MFF_IP_DSCP:
        return "nw_tos";
    case MFF_IP_ECN:
        return "nw_ecn";
    default:
        return mf->name;
    }
}

static char *
format(const struct mf_field *mf, const union mf_value *value,
       const union mf_value *mask)
{
    struct ds s = DS_EMPTY_INITIALIZER;
    char *text;

    mf_format(mf, value, mask, NULL, &s);
    text = lh_strdup(ds_cstr(&s));
    ds_destroy(&s);
    return text;
}

char *
why_packet_field(const struct why_packet *p, const struct mf_field *mf)
{
    union mf_value value, unknown;

    mf_get_value(mf, &p->flow, &value);
    mf_get_value(mf, &p->unknown, &unknown);
    return is_any(&unknown, mf) ? lh_strdup("?") : format(mf, &value, NULL);
}

char *
why_packet_text(const struct why_packet *p)
{
    struct flow flow = p->flow;
    char *text, *copy;

    flow.recirc_id = 0;
    text = flow_to_string(&flow, NULL);
    copy = lh_strdup(text);
    free(text);
    return copy;
}

char *
why_packet_unknown_text(const struct why_packet *p,
                        const struct minimatch *mini)
{
    struct ds s = DS_EMPTY_INITIALIZER;
    struct match match;
    char *text;

    minimatch_expand(mini, &match);
    for (size_t i = 0; i < N_FIELDS_SHOWN; i++) {
        const struct mf_field *mf = mf_from_id(fields[i]);
        union mf_value value, mask, unknown;

        if (!mf_are_match_prereqs_ok(mf, &match)) {
            continue;
        }
        mf_get(mf, &match, &value, &mask);
        mf_get_value(mf, &p->unknown, &unknown);
        for (size_t j = 0; j < mf->n_bytes; j++) {
            if (mask.b[j] & unknown.b[j]) {
                ds_put_format(&s, "%s%s=", s.length ? "," : "", name_of(mf));
                mf_format(mf, &value, &mask, NULL, &s);
                break;
            }
        }
    }
    text = lh_strdup(s.length ? ds_cstr(&s) : "tunnel metadata");
    ds_destroy(&s);
    return text;
}

void
why_packet_diff(const struct why_packet *before,
                const struct why_packet *after, struct of_why_step *step)
{
    if (!memcmp(&before->flow, &after->flow, sizeof before->flow) &&
        !memcmp(&before->unknown, &after->unknown, sizeof before->unknown)) {
        return;
    }
    for (size_t i = 0; i < N_FIELDS_SHOWN; i++) {
        const struct mf_field *mf = mf_from_id(fields[i]);
        bool was = mf_are_prereqs_ok(mf, &before->flow, NULL);
        bool is = mf_are_prereqs_ok(mf, &after->flow, NULL);
        char *a, *b;

        if (!was && !is) {
            continue;
        }
        a = was ? why_packet_field(before, mf) : lh_strdup("-");
        b = is ? why_packet_field(after, mf) : lh_strdup("-");
        if (!strcmp(a, b)) {
            free(a);
            free(b);
            continue;
        }
        step->edits =
            lh_alloc_grow(step->edits, step->n_edits, &step->allocated_edits,
                          sizeof *step->edits);
        step->edits[step->n_edits++] = (struct of_why_edit){name_of(mf), a, b};
    }
}

void
why_packet_explain(const struct why_packet *p, const struct minimatch *mini,
                   struct of_why_not * not )
{
    struct match match;

    minimatch_expand(mini, &match);
    for (size_t i = 0; i < N_FIELDS_SHOWN; i++) {
        const struct mf_field *mf = mf_from_id(fields[i]);
        union mf_value value, mask, own;
        bool differs = false;

        if (!mf_are_match_prereqs_ok(mf, &match)) {
            continue; /* Another field in the same place. */
        }
        mf_get(mf, &match, &value, &mask);
        mf_get_value(mf, &p->flow, &own);
        for (size_t j = 0; j < mf->n_bytes; j++) {
            differs |= (value.b[j] ^ own.b[j]) & mask.b[j];
        }
        if (differs) {
            not ->fields =
                lh_alloc_grow(not ->fields, not ->n_fields,
                              &not ->allocated_fields, sizeof *not ->fields);
            not ->fields[not ->n_fields++] = (struct of_why_edit){
                name_of(mf), format(mf, &value, &mask),
                mf_are_prereqs_ok(mf, &p->flow, NULL) ? why_packet_field(p, mf)
                                                      : lh_strdup("-")};
        }
    }
}

/* --- forgetting ---------------------------------------------------------- */

void
why_packet_forget(struct why_packet *p, const struct mf_subfield *sf)
{
    union mf_subvalue ones;

    memset(&ones, 0xff, sizeof ones);
    if (!mf_is_tun_metadata(sf->field)) {
        mf_write_subfield_flow(sf, &ones, &p->unknown);
    }
}

void
why_packet_forget_l3(struct why_packet *p)
{
    memset((uint8_t *) &p->unknown + L3_OFS, 0xff, L3_LEN);
}

void
why_packet_forget_nat(struct why_packet *p, bool src, bool dst)
{
    bool is_ip6 = p->flow.dl_type == htons(0x86dd);

    if (src) {
        memset(is_ip6 ? (void *) &p->unknown.ipv6_src
                      : (void *) &p->unknown.nw_src,
               0xff, is_ip6 ? 16 : 4);
        memset(&p->unknown.tp_src, 0xff, sizeof p->unknown.tp_src);
    }
    if (dst) {
        memset(is_ip6 ? (void *) &p->unknown.ipv6_dst
                      : (void *) &p->unknown.nw_dst,
               0xff, is_ip6 ? 16 : 4);
        memset(&p->unknown.tp_dst, 0xff, sizeof p->unknown.tp_dst);
    }
}

static void
clear_ct(struct flow *flow)
{
    flow->ct_state = 0;
    flow->ct_zone = 0;
    flow->ct_mark = 0;
    memset(&flow->ct_label, 0, sizeof flow->ct_label);
    flow->ct_nw_proto = 0;
    flow->ct_tp_src = 0;
    flow->ct_tp_dst = 0;
    if (flow->dl_type == htons(0x86dd)) {
        memset(&flow->ct_ipv6_src, 0, sizeof flow->ct_ipv6_src);
        memset(&flow->ct_ipv6_dst, 0, sizeof flow->ct_ipv6_dst);
    } else {
        flow->ct_nw_src = 0;
        flow->ct_nw_dst = 0;
    }
}

void
why_packet_clear_ct(struct why_packet *p)
{
    clear_ct(&p->flow);
    clear_ct(&p->unknown);
}
