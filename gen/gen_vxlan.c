/* SPDX-License-Identifier: Apache-2.0 */
/* gen_vxlan - the tunnel's packet around a packet. */
#include <config.h>
#include "gen/gen_vxlan.h"

#include <string.h>

#include "lib/bytes.h"
#include "lib/hdr.h"
#include "lib/inet_sum.h"

#define ETH_LEN    14
#define IP_LEN     20
#define UDP_LEN    8
#define VXLAN_PORT 4789
#define VNI        0x4c48

/* The whole length of the frame: what was captured, or what its header says
 * beyond. */
static uint32_t
whole_length(const uint8_t *data, uint32_t len)
{
    struct hdr h;
    uint32_t own;

    hdr_parse(data, len, &h);
    own = h.l3_ofs + h.own_len;
    return own > len ? own : len;
}

size_t
gen_vxlan_write(const struct gen_walk *walk,
                const struct topology_switch *from, size_t max, uint8_t *out)
{
    const struct gen_visit *visit = &walk->visits[walk->n_visits > 1];
    const uint8_t *inner = walk->bytes + visit->ofs;
    uint32_t whole = whole_length(inner, visit->len);
    size_t len = visit->len + (size_t) GEN_VXLAN_LEN;
    struct bytes_writer w = bytes_writer(out, GEN_VXLAN_LEN);
    uint8_t *ip = out + ETH_LEN;
    struct hdr h;

    hdr_parse(inner, visit->len, &h);
    bytes_put_u16(&w, 0x0200);
    bytes_put_u32(&w, 0xac100000);
    bytes_put_u16(&w, 0x0200);
    bytes_put_u32(&w, 0xac100000 + (uint32_t) (from->dpid & 0xffff));
    bytes_put_u16(&w, HDR_ETH_IP4);
    bytes_put_u16(&w, 0x4500);
    bytes_put_u16(&w, (uint16_t) (IP_LEN + UDP_LEN + 8 + whole));
    /* The inner packet's own bytes tell such packets apart: DF, no ID. */
    bytes_put_u32(&w, 0x00004000);
    bytes_put_u8(&w, 64);
    bytes_put_u8(&w, HDR_IP_UDP);
    bytes_put_u16(&w, 0);
    bytes_put_u32(&w, 0xac100000 + (uint32_t) (from->dpid & 0xffff));
    bytes_put_u32(&w, 0xac10fffe);
    bytes_put_be16(ip + 10, inet_sum(ip, IP_LEN));
    bytes_put_u16(&w, (uint16_t) (49152 | (h.src_port ^ h.dst_port)));
    bytes_put_u16(&w, VXLAN_PORT);
    bytes_put_u16(&w, (uint16_t) (UDP_LEN + 8 + whole));
    bytes_put_u16(&w, 0);
    bytes_put_u32(&w, 0x08000000);
    bytes_put_u32(&w, VNI << 8);
    memcpy(out + GEN_VXLAN_LEN, inner, visit->len);
    return len < max ? len : max;
}
