/* SPDX-License-Identifier: Apache-2.0 */
/* hdr - the layers of a captured packet, found without reading past its end.
 *
 * Each layer's function is told where it begins ('ofs') and where the capture
 * ends ('len'), sets its part of '*h' and hands on to the next. */
#include <config.h>
#include "lib/hdr.h"

#include <string.h>

#include "lib/bytes.h"

#define ETH_LEN  14
#define TAG_LEN  4
#define SNAP_LEN 8
#define LSE_LEN  4

#define IP4_LEN   20
#define IP6_LEN   40
#define ARP_LEN   28
#define TCP_LEN   20
#define UDP_LEN   8
#define SCTP_LEN  12
#define ICMP_LEN  4
#define IP4_MF    0x2000
#define IP4_OFS   0x1fff
#define IP6_MF    0x0001
#define IP6_OFS   0xfff8
#define LSE_BOS   0x100
#define MIN_ETHER 0x600

static enum hdr_status
end(struct hdr *h, enum hdr_status status, size_t payload_ofs)
{
    h->status = status;
    h->payload_ofs = (uint16_t) payload_ofs;
    return status;
}

/* Whether 'need' bytes of an L4 header at 'ofs' are in the packet and in the
 * capture: HDR_OK, HDR_MALFORMED (not in the packet) or HDR_TRUNCATED. */
static enum hdr_status
l4_fits(const struct hdr *h, size_t ofs, size_t len, size_t need)
{
    if (ofs + need > (size_t) h->l3_ofs + h->own_len) {
        return HDR_MALFORMED;
    }
    return ofs + need > len ? HDR_TRUNCATED : HDR_OK;
}

static enum hdr_status
parse_tcp(const uint8_t *data, size_t ofs, size_t len, struct hdr *h)
{
    const uint8_t *p = data + ofs;
    size_t l4_len = (size_t) (p[12] >> 4) * 4;

    h->src_port = bytes_be16(p);
    h->dst_port = bytes_be16(p + 2);
    h->tcp_seq = bytes_be32(p + 4);
    h->tcp_ack = bytes_be32(p + 8);
    h->tcp_flags = p[13];

    enum hdr_status status =
        l4_len < TCP_LEN ? HDR_MALFORMED : l4_fits(h, ofs, len, l4_len);

    if (status == HDR_MALFORMED) {
        l4_len = TCP_LEN;
    } else if (status == HDR_TRUNCATED) {
        l4_len = len - ofs;
    }
    h->l4_len = (uint16_t) l4_len;
    return end(h, status, ofs + l4_len);
}

/* 'ofs' is where the L3 header with everything in it ends. */
static enum hdr_status
parse_l4(const uint8_t *data, size_t ofs, size_t len, struct hdr *h)
{
    size_t need;

    switch (h->ip_proto) {
    case HDR_IP_TCP:
        need = TCP_LEN;
        break;
    case HDR_IP_UDP:
        need = UDP_LEN;
        break;
    case HDR_IP_SCTP:
        need = SCTP_LEN;
        break;
    case HDR_IP_ICMP:
        if (!h->is_ip4) {
            return end(h, HDR_UNKNOWN, ofs);
        }
        need = ICMP_LEN;
        break;
    case HDR_IP_ICMP6:
        if (!h->is_ip6) {
            return end(h, HDR_UNKNOWN, ofs);
        }
        need = ICMP_LEN;
        break;
    case HDR_IP_GRE:
        return end(h, HDR_OK, ofs); /* hdr_inner() looks into it. */
    default:
        return end(h, HDR_UNKNOWN, ofs);
    }

    enum hdr_status status = l4_fits(h, ofs, len, need);

    if (status != HDR_OK) {
        return end(h, status, ofs);
    }

    const uint8_t *p = data + ofs;

    h->l4_ofs = (uint16_t) ofs;
    h->l4_len = (uint16_t) need;
    if (h->ip_proto == HDR_IP_TCP) {
        return parse_tcp(data, ofs, len, h);
    } else if (need == ICMP_LEN) {
        h->icmp_type = p[0];
        h->icmp_code = p[1];
    } else {
        h->src_port = bytes_be16(p);
        h->dst_port = bytes_be16(p + 2);
        if (h->ip_proto == HDR_IP_UDP && bytes_be16(p + 4) < UDP_LEN &&
            (!h->is_ip6 || bytes_be16(p + 4))) {
            return end(h, HDR_MALFORMED, ofs + need);
        }
    }
    return end(h, HDR_OK, ofs + need);
}

static enum hdr_status
parse_ip4(const uint8_t *data, size_t ofs, size_t len, struct hdr *h)
{
    if (len - ofs < IP4_LEN) {
        return end(h, HDR_TRUNCATED, ofs);
    }

    const uint8_t *p = data + ofs;
    size_t l3_len = (size_t) (p[0] & 15) * 4;
    size_t own_len = bytes_be16(p + 2);
    uint16_t frag = bytes_be16(p + 6);

    if (p[0] >> 4 != 4 || l3_len < IP4_LEN || own_len < l3_len) {
        return end(h, HDR_MALFORMED, ofs);
    }
    h->is_ip4 = true;
    h->l3_ofs = (uint16_t) ofs;
    h->own_len = (uint32_t) own_len;
    h->tos = p[1];
    h->frag_id = bytes_be16(p + 4);
    h->frag_ofs = (uint16_t) ((frag & IP4_OFS) * 8);
    h->more_frags = (frag & IP4_MF) != 0;
    h->is_frag = (frag & (IP4_MF | IP4_OFS)) != 0;
    h->ttl = p[8];
    h->ip_proto = p[9];
    if (l3_len > len - ofs) {
        h->l3_len = (uint16_t) (len - ofs);
        return end(h, HDR_TRUNCATED, len);
    }
    h->l3_len = (uint16_t) l3_len;
    ofs += l3_len;
    if (h->frag_ofs) {
        return end(h, HDR_OK, ofs);
    }
    return parse_l4(data, ofs, len, h);
}

static enum hdr_status
parse_ip6(const uint8_t *data, size_t ofs, size_t len, struct hdr *h)
{
    if (len - ofs < IP6_LEN) {
        return end(h, HDR_TRUNCATED, ofs);
    }

    const uint8_t *p = data + ofs;

    if (p[0] >> 4 != 6) {
        return end(h, HDR_MALFORMED, ofs);
    }
    h->is_ip6 = true;
    h->l3_ofs = (uint16_t) ofs;
    h->own_len = (uint32_t) (IP6_LEN + bytes_be16(p + 4));
    h->tos = (uint8_t) (p[0] << 4 | p[1] >> 4);
    h->ip_proto = p[6];
    h->ttl = p[7];
    ofs += IP6_LEN;
    for (;;) {
        size_t ext_len;
        enum hdr_status status = HDR_OK;

        h->l3_len = (uint16_t) (ofs - h->l3_ofs);
        switch (h->ip_proto) {
        case HDR_IP6_HOP_BY_HOP:
        case HDR_IP6_ROUTING:
        case HDR_IP6_FRAGMENT:
        case HDR_IP6_AH:
        case HDR_IP6_DESTINATION:
        case HDR_IP6_MOBILITY:
        case HDR_IP6_HIP:
        case HDR_IP6_SHIM6:
            break;
        default:
            return parse_l4(data, ofs, len, h);
        }

        status = l4_fits(h, ofs, len, 8);
        if (status != HDR_OK) {
            return end(h, status, ofs);
        }
        p = data + ofs;
        if (h->ip_proto == HDR_IP6_FRAGMENT) {
            uint16_t frag = bytes_be16(p + 2);

            h->frag_ofs = frag & IP6_OFS;
            h->more_frags = (frag & IP6_MF) != 0;
            h->is_frag = h->frag_ofs || h->more_frags;
            h->frag_id = bytes_be32(p + 4);
            ext_len = 8;
        } else if (h->ip_proto == HDR_IP6_AH) {
            ext_len = (size_t) (p[1] + 2) * 4;
        } else {
            ext_len = (size_t) (p[1] + 1) * 8;
        }
        if (h->ip_proto == HDR_IP6_ROUTING && p[3]) {
            h->has_route = true;
        }
        status = l4_fits(h, ofs, len, ext_len);
        if (status != HDR_OK) {
            return end(h, status, ofs);
        }
        h->ip_proto = p[0];
        ofs += ext_len;
        if (h->frag_ofs) {
            h->l3_len = (uint16_t) (ofs - h->l3_ofs);
            return end(h, HDR_OK, ofs);
        }
    }
}

static enum hdr_status
parse_arp(const uint8_t *data, size_t ofs, size_t len, struct hdr *h)
{
    const uint8_t *p = data + ofs;

    if (len - ofs >= 8 &&
        (bytes_be16(p) != 1 || bytes_be16(p + 2) != HDR_ETH_IP4 || p[4] != 6 ||
         p[5] != 4)) {
        return end(h, HDR_UNKNOWN, ofs); /* Of another network. */
    }
    if (len - ofs < ARP_LEN) {
        return end(h, HDR_TRUNCATED, ofs);
    }
    h->is_arp = true;
    h->l3_ofs = (uint16_t) ofs;
    h->l3_len = ARP_LEN;
    h->own_len = ARP_LEN;
    return end(h, HDR_OK, ofs + ARP_LEN);
}

static enum hdr_status
parse_l3(const uint8_t *data, size_t ofs, size_t len, struct hdr *h)
{
    switch (h->eth_type) {
    case HDR_ETH_IP4:
        return parse_ip4(data, ofs, len, h);
    case HDR_ETH_IP6:
        return parse_ip6(data, ofs, len, h);
    case HDR_ETH_ARP:
        return parse_arp(data, ofs, len, h);
    default:
        return end(h, HDR_UNKNOWN, ofs);
    }
}

static enum hdr_status
parse_mpls(const uint8_t *data, size_t ofs, size_t len, struct hdr *h)
{
    uint32_t lse;

    do {
        if (h->n_labels == HDR_MAX_LABELS) {
            return end(h, HDR_UNKNOWN, ofs);
        }
        if (len - ofs < LSE_LEN) {
            return end(h, HDR_TRUNCATED, ofs);
        }
        lse = bytes_be32(data + ofs);
        h->label[h->n_labels++] = lse;
        ofs += LSE_LEN;
    } while (!(lse & LSE_BOS));

    if (ofs == len) {
        return end(h, HDR_TRUNCATED, ofs);
    }
    if (data[ofs] >> 4 == 4) {
        h->eth_type = HDR_ETH_IP4;
    } else if (data[ofs] >> 4 == 6) {
        h->eth_type = HDR_ETH_IP6;
    }
    return parse_l3(data, ofs, len, h);
}

static enum hdr_status
parse_802_3(const uint8_t *data, size_t ofs, size_t len, struct hdr *h)
{
    static const uint8_t snap[6] = {0xaa, 0xaa, 0x03, 0, 0, 0};

    if (len - ofs >= SNAP_LEN && !memcmp(data + ofs, snap, sizeof snap)) {
        uint16_t eth_type = bytes_be16(data + ofs + 6);

        if (eth_type >= MIN_ETHER) {
            h->eth_type = eth_type;
            return parse_l3(data, ofs + SNAP_LEN, len, h);
        }
    }
    h->own_len = h->eth_type;
    return end(h, HDR_UNKNOWN, ofs);
}

/* Clears what is always set: so little that no loop is needed. */
static inline void
clear(struct hdr *h)
{
    memset(h, 0, offsetof(struct hdr, tpid));
}

enum hdr_status
hdr_parse(const uint8_t *data, size_t len, struct hdr *h)
{
    clear(h);
    if (len > HDR_MAX_LEN) {
        len = HDR_MAX_LEN;
    }
    if (len < ETH_LEN) {
        return end(h, HDR_TRUNCATED, len);
    }

    size_t ofs = ETH_LEN;

    h->eth_type = bytes_be16(data + 12);
    while (h->eth_type == HDR_ETH_VLAN || h->eth_type == HDR_ETH_QINQ ||
           h->eth_type == HDR_ETH_QINQ_9) {
        if (h->n_tags == HDR_MAX_TAGS) {
            return end(h, HDR_UNKNOWN, ofs);
        }
        if (len - ofs < TAG_LEN) {
            return end(h, HDR_TRUNCATED, ofs);
        }
        h->tpid[h->n_tags] = h->eth_type;
        h->tci[h->n_tags++] = bytes_be16(data + ofs);
        h->eth_type = bytes_be16(data + ofs + 2);
        ofs += TAG_LEN;
    }
    if (h->eth_type == HDR_ETH_MPLS || h->eth_type == HDR_ETH_MPLS_M) {
        return parse_mpls(data, ofs, len, h);
    } else if (h->eth_type < MIN_ETHER) {
        return parse_802_3(data, ofs, len, h);
    }
    return parse_l3(data, ofs, len, h);
}

enum hdr_status
hdr_parse_l3(const uint8_t *data, size_t len, uint16_t eth_type, struct hdr *h)
{
    clear(h);
    h->eth_type = eth_type;
    return parse_l3(data, 0, len > HDR_MAX_LEN ? HDR_MAX_LEN : len, h);
}
