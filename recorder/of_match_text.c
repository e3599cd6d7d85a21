/* SPDX-License-Identifier: Apache-2.0 */
/* of_match_text - the texts of plain matches. */
#include <config.h>
#include "recorder/of_match_text.h"

#include <arpa/inet.h>
#include <string.h>

#include "lib/lh_alloc.h"

#define TYPE_IP  0x0800
#define TYPE_ARP 0x0806

#define PROTO_ICMP 1
#define PROTO_TCP  6
#define PROTO_UDP  17
#define PROTO_SCTP 132

#define VLAN_PRESENT 0x1000
#define VLAN_ID      0x0fff
#define PORT_MAX     0xff00

/* All that can be plain together takes less. */
#define TEXT_SIZE 256

struct text {
    char data[TEXT_SIZE];
    size_t len;
};

static void
put(struct text *t, const char *s)
{
    size_t len = strlen(s);

    memcpy(t->data + t->len, s, len);
    t->len += len;
}

static void
put_number(struct text *t, uint32_t n)
{
    char digits[10];
    size_t i = sizeof digits;

    do {
        digits[--i] = (char) ('0' + n % 10);
        n /= 10;
    } while (n);
    memcpy(t->data + t->len, digits + i, sizeof digits - i);
    t->len += sizeof digits - i;
}

static void
put_field(struct text *t, const char *name, uint32_t n)
{
    put(t, name);
    put_number(t, n);
    put(t, ",");
}

static void
put_eth(struct text *t, const char *name, const struct eth_addr *eth)
{
    static const char hex[] = "0123456789abcdef";

    put(t, name);
    for (size_t i = 0; i < 6; i++) {
        t->data[t->len++] = hex[eth->ea[i] >> 4];
        t->data[t->len++] = hex[eth->ea[i] & 0xf];
        t->data[t->len++] = i < 5 ? ':' : ',';
    }
}

static void
put_prefix(struct text *t, const char *name, uint32_t ip, uint32_t mask)
{
    put(t, name);
    for (int shift = 24; shift >= 0; shift -= 8) {
        put_number(t, ip >> shift & 0xff);
        put(t, shift ? "." : "");
    }
    if (mask != UINT32_MAX) {
        put(t, "/");
        put_number(t, (uint32_t) __builtin_popcount(mask));
    }
    put(t, ",");
}

static uint16_t
u16(ovs_be16 value)
{
    return ntohs((OVS_FORCE uint16_t) value);
}

static uint32_t
u32(ovs_be32 value)
{
    return ntohl((OVS_FORCE uint32_t) value);
}

static bool
is_whole_or_none(const void *mask_, size_t size)
{
    const uint8_t *mask = mask_;

    for (size_t i = 1; i < size; i++) {
        if (mask[i] != mask[0]) {
            return false;
        }
    }
    return mask[0] == 0 || mask[0] == 0xff;
}

static bool
is_prefix(uint32_t mask)
{
    return !(~mask & (~mask + 1));
}

/* Whether 'match' has nothing that is not written here. */
static bool
is_plain(const struct match *match)
{
    static const struct flow none;
    const struct flow *f = &match->flow, *m = &match->wc.masks;
    struct flow rest = *m;
    bool is_ip = u16(f->dl_type) == TYPE_IP;

    if (!match_has_default_packet_type(match) ||
        (m->in_port.ofp_port && of_ovs_u16(f->in_port.ofp_port) >= PORT_MAX) ||
        !is_whole_or_none(&m->in_port.ofp_port, sizeof(ofp_port_t)) ||
        (m->vlans[0].tci &&
         (u16(m->vlans[0].tci) != (VLAN_PRESENT | VLAN_ID) ||
          !(u16(f->vlans[0].tci) & VLAN_PRESENT))) ||
        !is_whole_or_none(&m->dl_src, sizeof m->dl_src) ||
        !is_whole_or_none(&m->dl_dst, sizeof m->dl_dst) ||
        (m->dl_type && (u16(m->dl_type) != UINT16_MAX ||
                        (!is_ip && u16(f->dl_type) != TYPE_ARP)))) {
        return false;
    }
    rest.packet_type = 0;
    rest.in_port.ofp_port = 0;
    rest.vlans[0].tci = 0;
    memset(&rest.dl_src, 0, sizeof rest.dl_src);
    memset(&rest.dl_dst, 0, sizeof rest.dl_dst);
    rest.dl_type = 0;
    if (m->dl_type && is_ip) {
        if (!is_prefix(u32(m->nw_src)) || !is_prefix(u32(m->nw_dst)) ||
            (m->nw_proto && m->nw_proto != UINT8_MAX) ||
            !is_whole_or_none(&m->tp_src, sizeof m->tp_src) ||
            !is_whole_or_none(&m->tp_dst, sizeof m->tp_dst)) {
            return false;
        }
        rest.nw_src = rest.nw_dst = 0;
        rest.nw_proto = 0;
        rest.tp_src = rest.tp_dst = 0;
    }
    return !memcmp(&rest, &none, sizeof rest);
}

/* The name that stands for EtherType and protocol, NULL: only the former. */
static const char *
name_of_proto(uint8_t proto)
{
    switch (proto) {
    case PROTO_ICMP:
        return "icmp,";
    case PROTO_TCP:
        return "tcp,";
    case PROTO_UDP:
        return "udp,";
    case PROTO_SCTP:
        return "sctp,";
    default:
        return NULL;
    }
}

char *
of_match_text_plain(const struct match *match)
{
    const struct flow *f = &match->flow, *m = &match->wc.masks;
    const char *proto = m->nw_proto ? name_of_proto(f->nw_proto) : NULL;
    bool is_icmp = f->nw_proto == PROTO_ICMP;
    struct text t;

    if (!is_plain(match)) {
        return NULL;
    }
    t.len = 0;
    if (m->dl_type) {
        put(&t, u16(f->dl_type) == TYPE_ARP ? "arp," : proto ? proto : "ip,");
    }
    if (m->in_port.ofp_port) {
        put_field(&t, "in_port=", of_ovs_u16(f->in_port.ofp_port));
    }
    if (m->vlans[0].tci) {
        put_field(&t, "dl_vlan=", u16(f->vlans[0].tci) & VLAN_ID);
    }
    if (m->dl_src.ea[0]) {
        put_eth(&t, "dl_src=", &f->dl_src);
    }
    if (m->dl_dst.ea[0]) {
        put_eth(&t, "dl_dst=", &f->dl_dst);
    }
    if (m->nw_src) {
        put_prefix(&t, "nw_src=", u32(f->nw_src), u32(m->nw_src));
    }
    if (m->nw_dst) {
        put_prefix(&t, "nw_dst=", u32(f->nw_dst), u32(m->nw_dst));
    }
    if (m->nw_proto && !proto) {
        put_field(&t, "nw_proto=", f->nw_proto);
    }
    if (m->tp_src) {
        put_field(&t, is_icmp ? "icmp_type=" : "tp_src=", u16(f->tp_src));
    }
    if (m->tp_dst) {
        put_field(&t, is_icmp ? "icmp_code=" : "tp_dst=", u16(f->tp_dst));
    }
    t.len -= t.len > 0; /* The last comma. */
    t.data[t.len] = '\0';
    return lh_strdup(t.data);
}
