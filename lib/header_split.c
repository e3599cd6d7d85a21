/* SPDX-License-Identifier: Apache-2.0 */
/* header_split - which bytes of a header stay the same from packet to packet
 * of one flow, and which do not. */
#include <config.h>

#include "lib/header_split.h"

#include <string.h>

#include "lib/bytes.h"
#include "lib/hdr.h"

#define ETH_LEN  14
#define IP4_LEN  20
#define IP6_LEN  40
#define TCP_LEN  20
#define UDP_LEN  8
#define ICMP_LEN 8 /* Its last four bytes vary with the kind of message. */

/* What varies in an L4 header begins here ... */
#define PORTS_LEN     4
#define TYPE_CODE_LEN 2
/* ... and what varies in an IP header, bit by bit: length, ID, checksum. */
#define IP4_VARYING UINT64_C(0xc3c)
#define IP6_VARYING UINT64_C(0x30)

/* Neighbor discovery (RFC 4861): rules edit what is in its messages. */
#define ICMP6_ND_FIRST 133
#define ICMP6_ND_LAST  137

const struct header_shape header_shapes[N_HEADER_KINDS] = {
    [HEADER_IP4_TCP] = {IP4_LEN, TCP_LEN, PORTS_LEN, 16},
    [HEADER_IP4_UDP] = {IP4_LEN, UDP_LEN, PORTS_LEN, 6},
    [HEADER_IP4_ICMP] = {IP4_LEN, ICMP_LEN, TYPE_CODE_LEN, 2},
    [HEADER_IP4_OTHER] = {IP4_LEN, 0, 0, 0},
    [HEADER_IP6_TCP] = {IP6_LEN, TCP_LEN, PORTS_LEN, 16},
    [HEADER_IP6_UDP] = {IP6_LEN, UDP_LEN, PORTS_LEN, 6},
    [HEADER_IP6_ICMP] = {IP6_LEN, ICMP_LEN, TYPE_CODE_LEN, 2},
    [HEADER_IP6_OTHER] = {IP6_LEN, 0, 0, 0},
    [HEADER_IP4_PORTS] = {IP4_LEN, PORTS_LEN, PORTS_LEN, 0},
    [HEADER_IP6_PORTS] = {IP6_LEN, PORTS_LEN, PORTS_LEN, 0},
};

/* Where the IP header behind the label stack at 'ofs' begins, or 0. */
static size_t
skip_labels(const uint8_t *data, size_t len, size_t ofs, uint16_t *typep)
{
    for (int n = 0; n < HDR_MAX_LABELS && ofs + 5 <= len; n++) {
        bool is_last = data[ofs + 2] & 1;

        ofs += 4;
        if (is_last) {
            uint8_t nibble = data[ofs] >> 4;

            *typep = nibble == 4 ? HDR_ETH_IP4 : HDR_ETH_IP6;
            return nibble == 4 || nibble == 6 ? ofs : 0;
        }
    }
    return 0;
}

/* Where the L3 header begins behind tags and labels, and its EtherType; 0
 * when the capture ends before, or nothing here is known. */
static size_t
skip_tags(const uint8_t *data, size_t len, uint16_t *typep)
{
    size_t ofs = 12;

    for (int n = 0; ofs + 2 <= len; n++) {
        uint16_t type = bytes_be16(data + ofs);

        ofs += 2;
        switch (type) {
        case HDR_ETH_VLAN:
        case HDR_ETH_QINQ:
        case HDR_ETH_QINQ_9:
            if (n == HDR_MAX_TAGS) {
                return 0;
            }
            ofs += 2;
            break;
        case HDR_ETH_MPLS:
        case HDR_ETH_MPLS_M:
            return skip_labels(data, len, ofs, typep);
        case HDR_ETH_IP4:
        case HDR_ETH_IP6:
            *typep = type;
            return ofs;
        default:
            return 0;
        }
    }
    return 0;
}

static inline bool
find_kind(uint8_t proto, bool is_ip4, enum header_kind *kindp)
{
    switch (proto) {
    case HDR_IP_TCP:
        *kindp = is_ip4 ? HEADER_IP4_TCP : HEADER_IP6_TCP;
        return true;
    case HDR_IP_UDP:
        *kindp = is_ip4 ? HEADER_IP4_UDP : HEADER_IP6_UDP;
        return true;
    case HDR_IP_ICMP:
        *kindp = is_ip4 ? HEADER_IP4_ICMP : HEADER_IP6_OTHER;
        return true;
    case HDR_IP_ICMP6:
        *kindp = is_ip4 ? HEADER_IP4_OTHER : HEADER_IP6_ICMP;
        return true;
    case HDR_IP6_HOP_BY_HOP:
    case HDR_IP6_ROUTING:
    case HDR_IP6_FRAGMENT:
    case HDR_IP6_AH:
    case HDR_IP6_DESTINATION:
    case HDR_IP6_MOBILITY:
    case HDR_IP6_HIP:
    case HDR_IP6_SHIM6:
        *kindp = HEADER_IP4_OTHER;
        return is_ip4;
    case HDR_IP_SCTP: /* Its checksum is no sum. */
        return false;
    default:
        *kindp = is_ip4 ? HEADER_IP4_OTHER : HEADER_IP6_OTHER;
        return true;
    }
}

/* Most packets: TCP or UDP over IPv4, without a tag.  False: look closer. */
static inline bool
split_plain(const uint8_t *data, size_t len, struct header_split *split)
{
    const uint8_t *ip = data + ETH_LEN;
    bool is_tcp;

    if (len < ETH_LEN + IP4_LEN + TCP_LEN ||
        bytes_be16(data + 12) != HDR_ETH_IP4 || ip[0] != 0x45 ||
        bytes_be16(ip + 6) & 0x3fff ||
        (ip[9] != HDR_IP_TCP && ip[9] != HDR_IP_UDP)) {
        return false;
    }
    is_tcp = ip[9] == HDR_IP_TCP;
    *split =
        (struct header_split){.kind = is_tcp ? HEADER_IP4_TCP : HEADER_IP4_UDP,
                              .l3_ofs = ETH_LEN,
                              .l4_ofs = ETH_LEN + IP4_LEN,
                              .tail_ofs = is_tcp ? ETH_LEN + IP4_LEN + TCP_LEN
                                                 : ETH_LEN + IP4_LEN + UDP_LEN,
                              .own_len = bytes_be16(ip + 2)};
    return split->own_len >= (uint32_t) split->tail_ofs - ETH_LEN;
}

bool
header_split(const uint8_t *data, size_t len, struct header_split *split)
{
    if (split_plain(data, len, split)) {
        return true;
    }

    uint16_t type = 0;
    size_t ofs = skip_tags(data, len, &type);
    const uint8_t *ip = data + ofs;
    uint8_t proto;

    if (!ofs) {
        return false;
    }
    if (type == HDR_ETH_IP4) {
        if (len < ofs + IP4_LEN || ip[0] != 0x45 ||
            bytes_be16(ip + 6) & 0x3fff /* More fragments, or an offset. */) {
            return false;
        }
        proto = ip[9];
        split->own_len = bytes_be16(ip + 2);
    } else {
        if (len < ofs + IP6_LEN || ip[0] >> 4 != 6) {
            return false;
        }
        proto = ip[6];
        split->own_len = IP6_LEN + (uint32_t) bytes_be16(ip + 4);
    }
    if (!find_kind(proto, type == HDR_ETH_IP4, &split->kind)) {
        return false;
    }

    const struct header_shape *shape = &header_shapes[split->kind];
    size_t n_l4 = len - ofs - shape->l3_len; /* Captured. */

    if (split->own_len < (uint32_t) (shape->l3_len + shape->l4_len)) {
        return false;
    }
    if (n_l4 < shape->l4_len) {
        if (shape->n_constant != PORTS_LEN || n_l4 < PORTS_LEN ||
            n_l4 > shape->l4_sum) {
            return false;
        }
        split->kind =
            type == HDR_ETH_IP4 ? HEADER_IP4_PORTS : HEADER_IP6_PORTS;
        shape = &header_shapes[split->kind];
    }

    split->l3_ofs = (uint16_t) ofs;
    split->l4_ofs = (uint16_t) (ofs + shape->l3_len);
    split->tail_ofs = (uint16_t) (split->l4_ofs + shape->l4_len);
    return split->kind != HEADER_IP6_ICMP ||
           data[split->l4_ofs] < ICMP6_ND_FIRST ||
           data[split->l4_ofs] > ICMP6_ND_LAST;
}

/* The bytes from the IP header on that are constant, bit by bit. */
static uint64_t
constant_of_kind(enum header_kind kind)
{
    const struct header_shape *shape = &header_shapes[kind];
    unsigned int n = (unsigned int) shape->l3_len + shape->n_constant;

    return ((UINT64_C(1) << n) - 1) &
           ~(header_kind_is_ip4(kind) ? IP4_VARYING : IP6_VARYING);
}

static bool
byte_is_constant(const struct header_split *split, uint32_t ofs)
{
    return ofs < split->l3_ofs ||
           (ofs - split->l3_ofs < 64 &&
            constant_of_kind(split->kind) >> (ofs - split->l3_ofs) & 1);
}

bool
header_split_may_carry(const struct header_split *split, const uint8_t *data,
                       size_t len)
{
    if (split->kind == HEADER_IP4_UDP || split->kind == HEADER_IP6_UDP) {
        size_t ofs = split->l4_ofs + 2u;

        return ofs + 2 <= len && hdr_is_tunnel_port(bytes_be16(data + ofs));
    }
    return split->kind != HEADER_IP4_TCP && split->kind != HEADER_IP6_TCP &&
           split->kind != HEADER_IP4_ICMP && split->kind != HEADER_IP6_ICMP;
}

bool
header_split_is_constant(const struct header_split *split, uint32_t ofs,
                         uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (ofs > UINT32_MAX - n || !byte_is_constant(split, ofs + i)) {
            return false;
        }
    }
    return true;
}

void
header_split_constant_bytes(const struct header_split *split,
                            uint64_t bytes[2])
{
    uint64_t fixed = constant_of_kind(split->kind);
    uint32_t ofs = split->l3_ofs;

    bytes[0] = bytes[1] = UINT64_MAX;
    if (ofs < 64) {
        bytes[0] = ((UINT64_C(1) << ofs) - 1) | fixed << ofs;
        bytes[1] = fixed >> 1 >> (63 - ofs);
    } else if (ofs < 128) {
        bytes[1] = ((UINT64_C(1) << (ofs - 64)) - 1) | fixed << (ofs - 64);
    }
}

void
header_split_constant(const uint8_t *data, const struct header_split *split,
                      uint8_t *out)
{
    static const uint8_t zeros[IP6_LEN + TCP_LEN];

    memcpy(out, data, split->tail_ofs);
    header_split_copy_varying(split->kind, zeros, out + split->l3_ofs);
}

void
header_split_copy_varying(enum header_kind kind, const uint8_t *from,
                          uint8_t *to)
{
    const struct header_shape *shape = &header_shapes[kind];
    size_t ofs = (size_t) shape->l3_len + shape->n_constant;

    if (header_kind_is_ip4(kind)) {
        memcpy(to + 2, from + 2, 4);   /* Length, ID. */
        memcpy(to + 10, from + 10, 2); /* Checksum. */
    } else {
        memcpy(to + 4, from + 4, 2); /* Length. */
    }
    if (shape->l4_len) {
        memcpy(to + ofs, from + ofs,
               (size_t) shape->l4_len - shape->n_constant);
    }
}
