/* SPDX-License-Identifier: Apache-2.0 */
/* hdr_inner - the packet inside a tunnel packet. */
#include <config.h>
#include "lib/hdr.h"

#include "lib/bytes.h"

#define VXLAN_PORT       4789
#define VXLAN_PORT_LINUX 8472 /* Of Linux before RFC 7348. */
#define GENEVE_PORT      6081
#define VXLAN_HAS_VNI    0x08

#define GRE_CHECKSUM 0x8000
#define GRE_KEY      0x2000
#define GRE_SEQUENCE 0x1000
#define GRE_REST     0x4fff /* Routing, recursion, flags and version. */

bool
hdr_is_tunnel_port(uint16_t dst_port)
{
    return dst_port == VXLAN_PORT || dst_port == VXLAN_PORT_LINUX ||
           dst_port == GENEVE_PORT;
}

/* Whether a tunnel may carry 'proto'; sets '*inner_type' if so. */
static bool
is_inner(uint16_t proto, uint16_t *inner_type)
{
    *inner_type = proto == HDR_ETH_TEB ? 0 : proto;
    return proto == HDR_ETH_TEB || proto == HDR_ETH_IP4 ||
           proto == HDR_ETH_IP6;
}

static enum hdr_tunnel
inner_gre(struct bytes_reader *r, uint16_t *inner_type, uint32_t *id)
{
    uint16_t flags = bytes_get_u16(r);
    uint16_t proto = bytes_get_u16(r);

    if ((flags & GRE_REST) || !is_inner(proto, inner_type)) {
        return HDR_TUNNEL_NONE;
    }
    if (flags & GRE_CHECKSUM) {
        bytes_get_u32(r);
    }
    if (flags & GRE_KEY) {
        *id = bytes_get_u32(r);
    }
    if (flags & GRE_SEQUENCE) {
        bytes_get_u32(r);
    }
    return HDR_TUNNEL_GRE;
}

static enum hdr_tunnel
inner_vxlan(struct bytes_reader *r, uint16_t *inner_type, uint32_t *id)
{
    uint8_t flags = bytes_get_u8(r);

    bytes_get_u24(r);
    *id = bytes_get_u24(r);
    bytes_get_u8(r);
    *inner_type = 0;
    return flags & VXLAN_HAS_VNI ? HDR_TUNNEL_VXLAN : HDR_TUNNEL_NONE;
}

static enum hdr_tunnel
inner_geneve(struct bytes_reader *r, uint16_t *inner_type, uint32_t *id)
{
    uint8_t version_len = bytes_get_u8(r);

    bytes_get_u8(r);

    uint16_t proto = bytes_get_u16(r);

    *id = bytes_get_u24(r);
    bytes_get_u8(r);
    if (version_len >> 6 || !is_inner(proto, inner_type)) {
        return HDR_TUNNEL_NONE;
    }
    bytes_get(r, (size_t) (version_len & 0x3f) * 4);
    return HDR_TUNNEL_GENEVE;
}

enum hdr_tunnel
hdr_inner(const uint8_t *data, size_t len, const struct hdr *h,
          size_t *inner_ofs, uint16_t *inner_type, uint32_t *id)
{
    enum hdr_tunnel tunnel = HDR_TUNNEL_NONE;
    size_t own_end = (size_t) h->l3_ofs + h->own_len;

    *inner_ofs = 0;
    *inner_type = 0;
    *id = 0;
    if (!h->is_ip4 && !h->is_ip6) {
        return HDR_TUNNEL_NONE;
    }
    if (len > own_end) {
        len = own_end;
    }

    struct bytes_reader r = bytes_reader(data, len);

    bytes_get(&r, h->payload_ofs);
    if (h->ip_proto == HDR_IP_GRE && !h->frag_ofs) {
        tunnel = inner_gre(&r, inner_type, id);
    } else if (h->ip_proto == HDR_IP_UDP && h->l4_ofs) {
        if (h->dst_port == GENEVE_PORT) {
            tunnel = inner_geneve(&r, inner_type, id);
        } else if (h->dst_port == VXLAN_PORT ||
                   h->dst_port == VXLAN_PORT_LINUX) {
            tunnel = inner_vxlan(&r, inner_type, id);
        }
    }
    if (tunnel == HDR_TUNNEL_NONE || !bytes_left(&r)) {
        *inner_type = 0;
        *id = 0;
        return HDR_TUNNEL_NONE;
    }
    *inner_ofs = r.ofs;
    return tunnel;
}
