/* SPDX-License-Identifier: Apache-2.0 */
/* rule_apply - what a rule's steps make of a packet, as Open vSwitch does
 * them.
 *
 * A step edits the bytes in place and keeps checksums right by the difference
 * (RFC 1624), which needs neither the payload nor a checksum that was right
 * before. */
#include <config.h>
#include "lib/rule.h"

#include <string.h>

#include "lib/bytes.h"
#include "lib/hdr.h"
#include "lib/inet_sum.h"

#define TAG_OFS  12 /* Of the outermost tag's TPID. */
#define TAG_LEN  4
#define LSE_LEN  4
#define LSE_BOS  0x100
#define DEI      0x10 /* In the first byte of a TCI. */
#define ND_LEN   24
#define ND_OPT   8 /* A link-layer address option. */
#define ND_NS    135
#define ND_NA    136
#define LABEL_4  0 /* IPv4 explicit null. */
#define LABEL_6  2
#define MPLS_TTL 64

/* The packet while it is worked on. */
struct work {
    uint8_t *p;
    size_t len, size;
    struct hdr h;
};

/* Which checksums cover a field. */
enum cover { COVER_NONE, COVER_IP4, COVER_L4, COVER_IP4_PSEUDO, COVER_PSEUDO };

/* Where a field is: 'n' bytes at 'ofs', its lowest bit 'shift' up from the
 * lowest of them. */
struct place {
    size_t ofs, n;
    unsigned int shift;
    enum cover cover;
};

static bool
is_vlan(uint16_t tpid)
{
    return tpid == HDR_ETH_VLAN || tpid == HDR_ETH_QINQ;
}

static bool
is_mpls(uint16_t eth_type)
{
    return eth_type == HDR_ETH_MPLS || eth_type == HDR_ETH_MPLS_M;
}

static bool
has_vlan(const struct work *w)
{
    return w->h.n_tags && is_vlan(w->h.tpid[0]);
}

/* Where the first label is, or would be. */
static size_t
label_ofs(const struct work *w)
{
    return TAG_OFS + 2 + (size_t) w->h.n_tags * TAG_LEN;
}

static void
reparse(struct work *w)
{
    hdr_parse(w->p, w->len, &w->h);
}

/* Opens a gap of 4 bytes at 'ofs'; the packet ends there when it does not
 * fit. */
static void
open_gap(struct work *w, size_t ofs, const uint8_t data[4])
{
    w->len = w->len + 4 <= w->size ? w->len + 4 : w->size;
    if (ofs + 4 > w->len) {
        w->len = ofs;
        return;
    }
    memmove(w->p + ofs + 4, w->p + ofs, w->len - ofs - 4);
    memcpy(w->p + ofs, data, 4);
}

static void
close_gap(struct work *w, size_t ofs)
{
    memmove(w->p + ofs, w->p + ofs + 4, w->len - ofs - 4);
    w->len -= 4;
}

static void
push_vlan(struct work *w, uint16_t ethertype)
{
    uint8_t tag[TAG_LEN] = {0};

    if (w->len >= TAG_OFS + 2) {
        bytes_put_be16(tag, ethertype);
        open_gap(w, TAG_OFS, tag);
        reparse(w);
    }
}

static void
pop_vlan(struct work *w)
{
    if (has_vlan(w)) {
        close_gap(w, TAG_OFS);
        reparse(w);
    }
}

static void
push_mpls(struct work *w, uint16_t ethertype)
{
    size_t ofs = label_ofs(w);
    uint32_t label;
    uint8_t lse[LSE_LEN];

    if (ofs > w->len || !is_mpls(ethertype)) {
        return;
    }
    if (w->h.n_labels) {
        label = w->h.label[0] & ~(uint32_t) LSE_BOS;
    } else if (w->h.is_ip4 || w->h.is_ip6) {
        /* Open vSwitch takes the low three bits of the DSCP for the TC. */
        label = (uint32_t) (w->h.is_ip6 ? LABEL_6 : LABEL_4) << 12 |
                (uint32_t) (w->h.tos >> 2 & 7) << 9 | LSE_BOS |
                (w->h.ttl ? w->h.ttl : MPLS_TTL);
    } else {
        label = LABEL_4 << 12 | LSE_BOS | MPLS_TTL;
    }
    bytes_put_be32(lse, label);
    open_gap(w, ofs, lse);
    bytes_put_be16(w->p + ofs - 2, ethertype);
    reparse(w);
}

static void
pop_mpls(struct work *w, uint16_t ethertype)
{
    if (w->h.n_labels) {
        size_t ofs = label_ofs(w);

        close_gap(w, ofs);
        bytes_put_be16(w->p + ofs - 2, ethertype);
        reparse(w);
    }
}

/* True when a switch would look at the IP header: it is not under labels. */
static bool
has_ip(const struct work *w)
{
    return !w->h.n_labels && (w->h.is_ip4 || w->h.is_ip6);
}

static bool
has_l4(const struct work *w)
{
    return has_ip(w) && w->h.l4_ofs;
}

/* A switch sees no ports in TCP with a data offset that cannot be. */
static bool
has_ports(const struct work *w)
{
    uint8_t proto = w->h.ip_proto;

    return has_l4(w) &&
           ((proto == HDR_IP_TCP && w->h.status != HDR_MALFORMED) ||
            proto == HDR_IP_UDP || proto == HDR_IP_SCTP);
}

static bool
has_icmp(const struct work *w)
{
    return has_l4(w) &&
           (w->h.ip_proto == HDR_IP_ICMP || w->h.ip_proto == HDR_IP_ICMP6);
}

static bool
has_nd(const struct work *w)
{
    return has_l4(w) && w->h.ip_proto == HDR_IP_ICMP6 &&
           (w->h.icmp_type == ND_NS || w->h.icmp_type == ND_NA);
}

/* Where the packet ends by its own length. */
static size_t
own_end(const struct work *w)
{
    return (size_t) w->h.l3_ofs + w->h.own_len;
}

/* Where the address in the neighbour discovery option 'type' is, or 0. */
static size_t
nd_option(const struct work *w, uint8_t type)
{
    size_t ofs = (size_t) w->h.l4_ofs + ND_LEN;
    size_t end = w->len < own_end(w) ? w->len : own_end(w);

    while (ofs + ND_OPT <= end && w->p[ofs + 1]) {
        if (w->p[ofs] == type && w->p[ofs + 1] == 1) {
            return ofs + 2;
        }
        ofs += (size_t) w->p[ofs + 1] * 8;
    }
    return 0;
}

/* Places of fields in the IP header; false when they are not there. */
static bool
locate_ip(const struct work *w, enum step_field field, struct place *place)
{
    size_t l3 = w->h.l3_ofs;
    bool is_ip4 = w->h.is_ip4;
    bool is_ip6 = w->h.is_ip6;

    if (!has_ip(w)) {
        return false;
    } else if (field == FIELD_IP_DSCP) {
        *place = is_ip4 ? (struct place){l3 + 1, 1, 2, COVER_IP4}
                        : (struct place){l3, 2, 6, COVER_NONE};
        return true;
    } else if (field == FIELD_IP_ECN) {
        *place = is_ip4 ? (struct place){l3 + 1, 1, 0, COVER_IP4}
                        : (struct place){l3, 2, 4, COVER_NONE};
        return true;
    } else if (field == FIELD_IP_TTL) {
        *place = is_ip4 ? (struct place){l3 + 8, 1, 0, COVER_IP4}
                        : (struct place){l3 + 7, 1, 0, COVER_NONE};
        return true;
    } else if (field == FIELD_IPV4_SRC && is_ip4) {
        *place = (struct place){l3 + 12, 4, 0, COVER_IP4_PSEUDO};
        return true;
    } else if (field == FIELD_IPV4_DST && is_ip4) {
        *place = (struct place){l3 + 16, 4, 0, COVER_IP4_PSEUDO};
        return true;
    } else if (field == FIELD_IPV6_LABEL && is_ip6) {
        *place = (struct place){l3, 4, 0, COVER_NONE};
        return true;
    } else if (field == FIELD_IPV6_SRC && is_ip6) {
        *place = (struct place){l3 + 8, 16, 0, COVER_PSEUDO};
        return true;
    } else if (field == FIELD_IPV6_DST && is_ip6) {
        /* The checksum is over the last address of a routing header. */
        *place = (struct place){l3 + 24, 16, 0,
                                w->h.has_route ? COVER_NONE : COVER_PSEUDO};
        return true;
    }
    return false;
}

static bool
locate(const struct work *w, enum step_field field, struct place *place)
{
    size_t l3 = w->h.l3_ofs, l4 = w->h.l4_ofs;
    bool is_arp = w->h.is_arp && !w->h.n_labels;
    size_t ofs = 0;
    enum cover cover = COVER_NONE;

    switch (field) {
    case FIELD_ETH_SRC:
    case FIELD_ETH_DST:
        *place =
            (struct place){field == FIELD_ETH_SRC ? 6 : 0, 6, 0, COVER_NONE};
        return w->len >= TAG_OFS;
    case FIELD_ETH_TYPE:
        *place = (struct place){label_ofs(w) - 2, 2, 0, COVER_NONE};
        return w->len >= label_ofs(w);
    case FIELD_VLAN_VID:
    case FIELD_VLAN_PCP:
        *place = (struct place){TAG_OFS + 2, 2,
                                field == FIELD_VLAN_PCP ? 13 : 0, COVER_NONE};
        return has_vlan(w);
    case FIELD_MPLS_LABEL:
    case FIELD_MPLS_TC:
    case FIELD_MPLS_TTL:
        *place = (struct place){label_ofs(w), LSE_LEN,
                                field == FIELD_MPLS_LABEL ? 12
                                : field == FIELD_MPLS_TC  ? 9
                                                          : 0,
                                COVER_NONE};
        return w->h.n_labels != 0;
    case FIELD_IPV4_SRC:
    case FIELD_IPV4_DST:
    case FIELD_IPV6_SRC:
    case FIELD_IPV6_DST:
    case FIELD_IPV6_LABEL:
    case FIELD_IP_DSCP:
    case FIELD_IP_ECN:
    case FIELD_IP_TTL:
        return locate_ip(w, field, place);
    case FIELD_TP_SRC:
    case FIELD_TP_DST:
        ofs = has_ports(w) ? l4 + (field == FIELD_TP_DST ? 2 : 0) : 0;
        cover = COVER_L4;
        break;
    case FIELD_ICMP_TYPE:
    case FIELD_ICMP_CODE:
        ofs = has_icmp(w) ? l4 + (field == FIELD_ICMP_CODE ? 1 : 0) : 0;
        cover = COVER_L4;
        break;
    case FIELD_ND_TARGET:
        ofs = has_nd(w) && l4 + ND_LEN <= w->len ? l4 + 8 : 0;
        cover = COVER_L4;
        break;
    case FIELD_ND_SLL:
    case FIELD_ND_TLL:
        ofs = has_nd(w) ? nd_option(w, field == FIELD_ND_SLL ? 1 : 2) : 0;
        cover = COVER_L4;
        break;
    case FIELD_ARP_OP:
        ofs = is_arp ? l3 + 6 : 0;
        break;
    case FIELD_ARP_SHA:
        ofs = is_arp ? l3 + 8 : 0;
        break;
    case FIELD_ARP_SPA:
        ofs = is_arp ? l3 + 14 : 0;
        break;
    case FIELD_ARP_THA:
        ofs = is_arp ? l3 + 18 : 0;
        break;
    case FIELD_ARP_TPA:
        ofs = is_arp ? l3 + 24 : 0;
        break;
    case N_FIELDS:
        break;
    }
    *place = (struct place){ofs, step_field_size(field), 0, cover};
    return ofs != 0;
}

/* Corrects the L4 checksum after the even number of 'n' bytes at 'ofs', which
 * it covers, were changed from 'before'. */
static void
adjust_l4(struct work *w, size_t ofs, const uint8_t *before, size_t n,
          bool is_pseudo)
{
    uint8_t *l4 = w->p + w->h.l4_ofs;
    const uint8_t *after = w->p + ofs;

    if (!w->h.l4_ofs) {
        return;
    }
    switch (w->h.ip_proto) {
    case HDR_IP_TCP:
        inet_sum_adjust(l4 + 16, before, after, n);
        break;
    case HDR_IP_UDP:
        if (bytes_be16(l4 + 6)) {
            inet_sum_adjust(l4 + 6, before, after, n);
            if (!bytes_be16(l4 + 6)) {
                bytes_put_be16(l4 + 6, 0xffff);
            }
        }
        break;
    case HDR_IP_ICMP:
        if (!is_pseudo) {
            inet_sum_adjust(l4 + 2, before, after, n);
        }
        break;
    case HDR_IP_ICMP6:
        inet_sum_adjust(l4 + 2, before, after, n);
        break;
    default:
        break;
    }
}

/* True when the L4 header that the packet has was captured in part only: its
 * checksum cannot be kept right. */
static bool
is_l4_cut(const struct work *w)
{
    return has_ip(w) && w->h.status == HDR_TRUNCATED && !w->h.l4_ofs;
}

/* Sets 'place' to the bits of 'value' that are in 'mask'. */
static void
store(struct work *w, const struct place *place, const uint8_t *value,
      const uint8_t *mask)
{
    /* Checksums count pairs of bytes from an even place of their header; all
     * headers here begin at even distance from the place. */
    size_t base = place->cover == COVER_L4 ? w->h.l4_ofs : w->h.l3_ofs;
    size_t start = place->ofs - ((place->ofs - base) & 1);
    size_t end = place->ofs + place->n;
    uint8_t before[20];

    end += (end - base) & 1;
    if (place->cover == COVER_L4 && w->h.ip_proto == HDR_IP_SCTP) {
        start = w->h.l4_ofs;
        end = start + 4;
    }
    if (place->cover != COVER_NONE) {
        memcpy(before, w->p + start, end - start);
    }
    for (size_t i = 0; i < place->n; i++) {
        uint8_t *byte = w->p + place->ofs + i;

        *byte = (uint8_t) ((*byte & ~mask[i]) | (value[i] & mask[i]));
    }
    if (place->cover == COVER_NONE ||
        !memcmp(before, w->p + start, end - start)) {
        return;
    }
    if (place->cover == COVER_IP4 || place->cover == COVER_IP4_PSEUDO) {
        inet_sum_adjust(w->p + w->h.l3_ofs + 10, before, w->p + start,
                        end - start);
    }
    if (place->cover == COVER_L4 && w->h.ip_proto == HDR_IP_SCTP) {
        inet_sum_adjust_crc32c(w->p + start + 8, own_end(w) - start, before,
                               w->p + start, end - start);
    } else if (place->cover != COVER_IP4) {
        adjust_l4(w, start, before, end - start, place->cover != COVER_L4);
    }
    if ((place->cover == COVER_IP4_PSEUDO || place->cover == COVER_PSEUDO) &&
        is_l4_cut(w)) {
        w->len = w->h.payload_ofs;
    }
}

static bool
is_l4_field(enum step_field field)
{
    return field == FIELD_TP_SRC || field == FIELD_TP_DST ||
           field == FIELD_ICMP_TYPE || field == FIELD_ICMP_CODE ||
           field >= FIELD_ND_TARGET;
}

/* Sets the bits of 'step' at 'place', which is at most 4 bytes. */
static void
store_number(struct work *w, const struct place *place,
             const struct step *step)
{
    uint32_t all = UINT32_MAX >> (32 - step_field_bits(step->field));
    uint32_t number = 0, ones = 0;
    uint8_t value[4], mask[4];

    for (size_t i = 0; i < step_field_size(step->field); i++) {
        number = number << 8 | step->value[i];
        ones = ones << 8 | step->mask[i];
    }
    number = (number & all) << place->shift;
    ones = (ones & all) << place->shift;
    for (size_t i = place->n; i-- > 0; number >>= 8, ones >>= 8) {
        value[i] = (uint8_t) number;
        mask[i] = (uint8_t) ones;
    }
    store(w, place, value, mask);
}

static void
set_field(struct work *w, const struct step *step)
{
    enum step_field field = step->field;
    bool is_vlan_field = field == FIELD_VLAN_VID || field == FIELD_VLAN_PCP;
    struct place place;

    if (is_vlan_field && !has_vlan(w)) {
        push_vlan(w, HDR_ETH_VLAN);
    }
    if (!locate(w, field, &place)) {
        if (is_l4_field(field) && is_l4_cut(w)) {
            w->len = w->h.payload_ofs;
        } else if (field >= FIELD_ND_TARGET && has_nd(w) &&
                   w->len < own_end(w)) {
            w->len = w->h.l4_ofs;
        } else {
            return;
        }
    } else if (step_field_bits(field) > 32) {
        store(w, &place, step->value, step->mask);
    } else if (is_vlan_field) {
        uint16_t tci = bytes_be16(w->p + place.ofs);

        store_number(w, &place, step);
        if (tci != bytes_be16(w->p + place.ofs)) {
            w->p[place.ofs] &= (uint8_t) ~DEI; /* The tag is written anew. */
        }
    } else {
        store_number(w, &place, step);
    }
    reparse(w);
}

/* False when the TTL does not allow it. */
static bool
dec_ttl(struct work *w)
{
    struct step step = {.type = STEP_SET, .field = FIELD_IP_TTL};

    if (has_ip(w)) {
        if (w->h.ttl <= 1) {
            return false;
        }
        step.value[0] = (uint8_t) (w->h.ttl - 1);
        step.mask[0] = 0xff;
        set_field(w, &step);
    }
    return true;
}

static enum rule_apply_result
apply_steps(const struct rule *rule, size_t n_out, struct work *w)
{
    size_t n = 0;

    for (size_t i = 0; i < rule->n_steps; i++) {
        const struct step *step = &rule->steps[i];

        switch (step->type) {
        case STEP_OUTPUT:
            if (n++ == n_out) {
                return RULE_APPLY_OK;
            }
            break;
        case STEP_SET:
            set_field(w, step);
            break;
        case STEP_PUSH_VLAN:
            push_vlan(w, step->ethertype);
            break;
        case STEP_POP_VLAN:
            pop_vlan(w);
            break;
        case STEP_PUSH_MPLS:
            push_mpls(w, step->ethertype);
            break;
        case STEP_POP_MPLS:
            pop_mpls(w, step->ethertype);
            break;
        case STEP_DEC_TTL:
            if (!dec_ttl(w)) {
                return RULE_APPLY_TTL;
            }
            break;
        case STEP_GROUP:
            break;
        case STEP_UNKNOWN:
            return RULE_APPLY_UNKNOWN;
        }
    }
    return RULE_APPLY_OK;
}

enum rule_apply_result
rule_apply(const struct rule *rule, size_t n_out, const uint8_t *in,
           size_t len, uint8_t *out, size_t size, size_t *out_len)
{
    struct work w = {.p = out, .len = len < size ? len : size, .size = size};

    rule_describe(rule);
    if (w.len) {
        memcpy(out, in, w.len);
    }
    reparse(&w);

    enum rule_apply_result result = apply_steps(rule, n_out, &w);

    *out_len = w.len;
    return result;
}
