/* SPDX-License-Identifier: Apache-2.0 */
/* hdr_text - one line about a packet, as a person reads it. */
#include <config.h>
#include "lib/hdr.h"

#include <inttypes.h>

#include "lib/bytes.h"
#include "lib/text_buf.h"

#define MAX_DEPTH 2 /* A packet, in a packet, in a packet. */

#define ICMP_ECHO_REPLY     0
#define ICMP_UNREACHABLE    3
#define ICMP_REDIRECT       5
#define ICMP_ECHO           8
#define ICMP_TIME_EXCEEDED  11
#define ICMP_PARAMETER      12
#define ICMP6_UNREACHABLE   1
#define ICMP6_TOO_BIG       2
#define ICMP6_TIME_EXCEEDED 3
#define ICMP6_PARAMETER     4
#define ICMP6_ECHO          128
#define ICMP6_ECHO_REPLY    129
#define ICMP6_NS            135
#define ICMP6_NA            136

struct name {
    uint16_t number;
    const char *name;
};

#define N_ELEMENTS(ARRAY) (sizeof(ARRAY) / sizeof((ARRAY)[0]))

static const struct name ether_types[] = {
    {0x0800, "ip4"},   {0x0806, "arp"},   {0x22f0, "avtp"},
    {0x6558, "teb"},   {0x8035, "rarp"},  {0x809b, "appletalk"},
    {0x8100, "vlan"},  {0x8137, "ipx"},   {0x86dd, "ip6"},
    {0x8808, "pause"}, {0x8809, "slow"},  {0x8847, "mpls"},
    {0x8848, "mpls"},  {0x8863, "pppoe"}, {0x8864, "pppoe"},
    {0x888e, "eapol"}, {0x88a8, "qinq"},  {0x88cc, "lldp"},
    {0x88f7, "ptp"},   {0x8902, "cfm"},   {0x894f, "nsh"},
    {0x8942, "bddp"},
};

static const struct name ip_protos[] = {
    {0, "hop-by-hop"}, {1, "icmp"},       {2, "igmp"},   {4, "ipip"},
    {6, "tcp"},        {17, "udp"},       {33, "dccp"},  {41, "ip6-in-ip"},
    {43, "routing"},   {44, "fragment"},  {46, "rsvp"},  {47, "gre"},
    {50, "esp"},       {51, "ah"},        {58, "icmp6"}, {59, "no-next"},
    {60, "dst-opts"},  {88, "eigrp"},     {89, "ospf"},  {103, "pim"},
    {112, "vrrp"},     {115, "l2tp"},     {132, "sctp"}, {136, "udplite"},
    {137, "mpls"},     {135, "mobility"}, {139, "hip"},
};

static const struct name icmp_types[] = {
    {0, "echo reply"},           {3, "unreachable"},
    {4, "source quench"},        {5, "redirect"},
    {8, "echo request"},         {9, "router advertisement"},
    {10, "router solicitation"}, {11, "time exceeded"},
    {12, "parameter problem"},   {13, "timestamp request"},
    {14, "timestamp reply"},
};

static const struct name icmp_unreachable[] = {
    {0, "net unreachable"},      {1, "host unreachable"},
    {2, "protocol unreachable"}, {3, "port unreachable"},
    {4, "fragmentation needed"}, {9, "net prohibited"},
    {10, "host prohibited"},     {13, "prohibited"},
};

static const struct name icmp6_types[] = {
    {1, "unreachable"},
    {2, "packet too big"},
    {3, "time exceeded"},
    {4, "parameter problem"},
    {128, "echo request"},
    {129, "echo reply"},
    {130, "multicast listener query"},
    {131, "multicast listener report"},
    {132, "multicast listener done"},
    {133, "router solicitation"},
    {134, "router advertisement"},
    {135, "neighbour solicitation"},
    {136, "neighbour advertisement"},
    {137, "redirect"},
    {143, "multicast listener report"},
};

static const struct name icmp6_unreachable[] = {
    {0, "no route"},         {1, "prohibited"},
    {2, "beyond scope"},     {3, "address unreachable"},
    {4, "port unreachable"},
};

static void put_layers(struct text_buf *t, const uint8_t *data, size_t len,
                       const struct hdr *h, int depth);

static const char *
find_name(const struct name *names, size_t n, unsigned int number)
{
    for (size_t i = 0; i < n; i++) {
        if (names[i].number == number) {
            return names[i].name;
        }
    }
    return NULL;
}

static void
put_endpoint(struct text_buf *t, const struct hdr *h, const uint8_t *address,
             bool has_port, uint16_t port)
{
    if (h->is_ip4) {
        text_buf_put_ip4(t, address);
    } else {
        text_buf_put(t, has_port ? "[" : "");
        text_buf_put_ip6(t, address);
        text_buf_put(t, has_port ? "]" : "");
    }
    if (has_port) {
        text_buf_put(t, ":%u", port);
    }
}

static void
put_tcp_flags(struct text_buf *t, uint8_t flags)
{
    static const char *const names[8] = {"FIN", "SYN", "RST", "PSH",
                                         "ACK", "URG", "ECE", "CWR"};
    static const uint8_t order[8] = {1, 0, 2, 3, 5, 6, 7, 4};
    bool is_first = true;

    for (size_t i = 0; i < 8; i++) {
        if (flags & 1u << order[i]) {
            text_buf_put(t, "%s%s", is_first ? "" : ",", names[order[i]]);
            is_first = false;
        }
    }
    text_buf_put(t, is_first ? "no flags" : "");
}

/* Bytes of payload by the packet's own length. */
static uint32_t
payload_len(const struct hdr *h)
{
    uint32_t end = h->l3_ofs + h->own_len;

    return end > h->payload_ofs ? end - h->payload_ofs : 0;
}

/* The packet that an ICMP error quotes. */
static void
put_quoted(struct text_buf *t, const uint8_t *data, size_t len,
           const struct hdr *h, int depth)
{
    size_t ofs = (size_t) h->l4_ofs + 8;
    size_t end = (size_t) h->l3_ofs + h->own_len;
    struct hdr quoted;

    if (end > len) {
        end = len;
    }
    if (ofs >= end || depth >= MAX_DEPTH) {
        return;
    }
    hdr_parse_l3(data + ofs, end - ofs, h->eth_type, &quoted);
    if (hdr_has_l3(&quoted)) {
        text_buf_put(t, " (");
        put_layers(t, data + ofs, end - ofs, &quoted, MAX_DEPTH);
        text_buf_put(t, ")");
    }
}

static void
put_icmp(struct text_buf *t, const uint8_t *data, size_t len,
         const struct hdr *h, int depth)
{
    const uint8_t *p = data + h->l4_ofs;
    size_t n_left = len - h->l4_ofs;
    uint8_t type = h->icmp_type;
    const char *name = NULL;
    bool is_error;

    text_buf_put(t, h->is_ip4 ? "icmp " : "icmp6 ");
    if (h->is_ip4) {
        is_error = type == ICMP_UNREACHABLE || type == ICMP_REDIRECT ||
                   type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETER;
        if (type == ICMP_UNREACHABLE) {
            name = find_name(icmp_unreachable, N_ELEMENTS(icmp_unreachable),
                             h->icmp_code);
        }
        name =
            name ? name : find_name(icmp_types, N_ELEMENTS(icmp_types), type);
    } else {
        is_error = type >= ICMP6_UNREACHABLE && type <= ICMP6_PARAMETER;
        if (type == ICMP6_UNREACHABLE) {
            name = find_name(icmp6_unreachable, N_ELEMENTS(icmp6_unreachable),
                             h->icmp_code);
        }
        name = name ? name
                    : find_name(icmp6_types, N_ELEMENTS(icmp6_types), type);
    }
    if (name) {
        text_buf_put(t, "%s", name);
    } else {
        text_buf_put(t, "type %u code %u", type, h->icmp_code);
    }

    bool is_echo = h->is_ip4 ? type == ICMP_ECHO || type == ICMP_ECHO_REPLY
                             : type == ICMP6_ECHO || type == ICMP6_ECHO_REPLY;

    if (is_echo && n_left >= 8) {
        text_buf_put(t, " id %u seq %u", bytes_be16(p + 4), bytes_be16(p + 6));
    } else if (h->is_ip6 && (type == ICMP6_NS || type == ICMP6_NA) &&
               n_left >= 24) {
        text_buf_put(t, type == ICMP6_NS ? " who has " : " ");
        text_buf_put_ip6(t, p + 8);
    } else if (h->is_ip6 && type == ICMP6_TOO_BIG && n_left >= 8) {
        text_buf_put(t, " mtu %" PRIu32, bytes_be32(p + 4));
    }
    if (is_error) {
        put_quoted(t, data, len, h, depth);
    }
}

static void
put_arp(struct text_buf *t, const uint8_t *p)
{
    uint16_t op = bytes_be16(p + 6);

    if (op == 1) {
        text_buf_put(t, "arp who-has ");
        text_buf_put_ip4(t, p + 24);
        text_buf_put(t, " tell ");
        text_buf_put_ip4(t, p + 14);
    } else if (op == 2) {
        text_buf_put(t, "arp reply ");
        text_buf_put_ip4(t, p + 14);
        text_buf_put(t, " is-at ");
        text_buf_put_mac(t, p + 8);
    } else {
        text_buf_put(t, "arp op %u ", op);
        text_buf_put_ip4(t, p + 14);
        text_buf_put(t, " > ");
        text_buf_put_ip4(t, p + 24);
    }
}

/* The packet inside a tunnel packet, if there is one. */
static void
put_inner(struct text_buf *t, const uint8_t *data, size_t len,
          const struct hdr *h, int depth)
{
    static const char *const names[] = {"", "vxlan vni", "geneve vni",
                                        "gre key"};
    size_t ofs;
    uint16_t type;
    uint32_t id;
    struct hdr inner;
    enum hdr_tunnel tunnel = hdr_inner(data, len, h, &ofs, &type, &id);

    if (tunnel == HDR_TUNNEL_NONE || depth >= MAX_DEPTH) {
        return;
    }
    text_buf_put(t, " %s %" PRIu32 " (", names[tunnel], id);
    if (type) {
        hdr_parse_l3(data + ofs, len - ofs, type, &inner);
    } else {
        hdr_parse(data + ofs, len - ofs, &inner);
    }
    put_layers(t, data + ofs, len - ofs, &inner, depth + 1);
    text_buf_put(t, ")");
}

static void
put_ip(struct text_buf *t, const uint8_t *data, size_t len,
       const struct hdr *h, int depth)
{
    const uint8_t *p = data + h->l3_ofs;
    bool is_icmp = h->ip_proto == HDR_IP_ICMP || h->ip_proto == HDR_IP_ICMP6;
    bool has_ports = h->l4_ofs && !is_icmp;
    const char *proto =
        find_name(ip_protos, N_ELEMENTS(ip_protos), h->ip_proto);

    put_endpoint(t, h, p + (h->is_ip4 ? 12 : 8), has_ports, h->src_port);
    text_buf_put(t, " > ");
    put_endpoint(t, h, p + (h->is_ip4 ? 16 : 24), has_ports, h->dst_port);
    text_buf_put(t, " ");
    if (h->l4_ofs && is_icmp) {
        put_icmp(t, data, len, h, depth);
    } else if (proto) {
        text_buf_put(t, "%s", proto);
    } else {
        text_buf_put(t, "proto %u", h->ip_proto);
    }
    if (h->l4_ofs && h->ip_proto == HDR_IP_TCP) {
        text_buf_put(t, " ");
        put_tcp_flags(t, h->tcp_flags);
        text_buf_put(t, " seq %" PRIu32, h->tcp_seq);
        if (h->tcp_flags & 0x10) {
            text_buf_put(t, " ack %" PRIu32, h->tcp_ack);
        }
    }
    if (has_ports && payload_len(h)) {
        text_buf_put(t, " len %" PRIu32, payload_len(h));
    }
    text_buf_put(t, " ttl %u", h->ttl);
    if (h->tos >> 2) {
        text_buf_put(t, " dscp %u", h->tos >> 2);
    }
    if (h->tos & 3) {
        text_buf_put(t, " ecn %u", h->tos & 3);
    }
    if (h->is_frag) {
        text_buf_put(t, " frag id 0x%" PRIx32 " at %u%s", h->frag_id,
                     h->frag_ofs, h->more_frags ? "+" : "");
    }
    put_inner(t, data, len, h, depth);
}

/* A packet with no L3 header that we know. */
static void
put_ether(struct text_buf *t, const uint8_t *data, size_t len,
          const struct hdr *h)
{
    static const uint8_t lost[6];

    if (len < 14) {
        text_buf_put(t, "%zu bytes", len);
        return;
    }
    text_buf_put_mac(t, data + 6);
    text_buf_put(t, " > ");
    if (memcmp(data, lost, sizeof lost)) {
        text_buf_put_mac(t, data);
    } else {
        text_buf_put(t, "?");
    }
    if (h->eth_type < 0x600) {
        text_buf_put(t, " 802.3 len %u", h->eth_type);
        if (h->payload_ofs + 3u <= len) {
            const uint8_t *llc = data + h->payload_ofs;

            text_buf_put(t,
                         llc[0] == 0x42 && llc[1] == 0x42
                             ? " stp"
                             : " llc 0x%02x,0x%02x",
                         llc[0], llc[1]);
        }
        return;
    }

    const char *name =
        find_name(ether_types, N_ELEMENTS(ether_types), h->eth_type);

    if (name) {
        text_buf_put(t, " %s", name);
    } else {
        text_buf_put(t, " ethertype 0x%04x", h->eth_type);
    }
}

static void
put_layers(struct text_buf *t, const uint8_t *data, size_t len,
           const struct hdr *h, int depth)
{
    if (h->is_arp) {
        put_arp(t, data + h->l3_ofs);
    } else if (h->is_ip4 || h->is_ip6) {
        put_ip(t, data, len, h, depth);
    } else {
        put_ether(t, data, len, h);
    }
    for (size_t i = 0; i < h->n_tags; i++) {
        text_buf_put(t, " vlan %u", h->tci[i] & 0xfff);
        if (h->tci[i] >> 13) {
            text_buf_put(t, " pcp %u", h->tci[i] >> 13);
        }
    }
    for (size_t i = 0; i < h->n_labels; i++) {
        text_buf_put(t, "%s%" PRIu32, i ? "/" : " mpls ", h->label[i] >> 12);
    }
    if (h->status == HDR_TRUNCATED) {
        text_buf_put(t, " [cut]");
    } else if (h->status == HDR_MALFORMED) {
        text_buf_put(t, " [malformed]");
    }
}

size_t
hdr_format(const uint8_t *data, size_t len, char *buf, size_t size)
{
    struct text_buf t = text_buf(buf, size);
    struct hdr h;

    if (len > HDR_MAX_LEN) {
        len = HDR_MAX_LEN;
    }
    hdr_parse(data, len, &h);
    put_layers(&t, data, len, &h, 0);
    return t.len;
}
