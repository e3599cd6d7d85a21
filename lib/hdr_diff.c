/* SPDX-License-Identifier: Apache-2.0 */
/* hdr_diff - what differs between two packets, as a person reads it. */
#include <config.h>
#include "lib/hdr.h"

#include <inttypes.h>

#include "lib/bytes.h"
#include "lib/text_buf.h"

#define ND_LEN      24
#define ICMP6_NS    135
#define ICMP6_NA    136
#define ICMP_ECHO   8
#define ICMP6_ECHO  128
#define ICMP6_REPLY 129

/* One of the two packets. */
struct side {
    const uint8_t *data;
    size_t len;
    struct hdr h;
};

struct diff {
    struct text_buf t;
    struct side a, b;
};

/* Begins "name " after what differed before. */
static void
begin(struct diff *d, const char *name)
{
    text_buf_put(&d->t, "%s%s ", d->t.len ? ", " : "", name);
}

static void
number(struct diff *d, const char *name, uint32_t a, uint32_t b)
{
    if (a != b) {
        begin(d, name);
        text_buf_put(&d->t, "%" PRIu32 " -> %" PRIu32, a, b);
    }
}

static void
hex(struct diff *d, const char *name, uint32_t a, uint32_t b)
{
    if (a != b) {
        begin(d, name);
        text_buf_put(&d->t, "0x%04" PRIx32 " -> 0x%04" PRIx32, a, b);
    }
}

/* Addresses of 'n' bytes (4, 6 or 16) at 'a' and 'b'. */
static void
address(struct diff *d, const char *name, const uint8_t *a, const uint8_t *b,
        size_t n)
{
    void (*put)(struct text_buf *, const uint8_t *) = n == 4 ? text_buf_put_ip4
                                                      : n == 6
                                                          ? text_buf_put_mac
                                                          : text_buf_put_ip6;

    if (memcmp(a, b, n)) {
        begin(d, name);
        put(&d->t, a);
        text_buf_put(&d->t, " -> ");
        put(&d->t, b);
    }
}

static void
put_tags(struct text_buf *t, const struct hdr *h)
{
    text_buf_put(t, h->n_tags ? "" : "none");
    for (size_t i = 0; i < h->n_tags; i++) {
        text_buf_put(t, "%s%u", i ? "/" : "", h->tci[i] & 0xfff);
    }
}

static void
put_labels(struct text_buf *t, const struct hdr *h)
{
    text_buf_put(t, h->n_labels ? "" : "none");
    for (size_t i = 0; i < h->n_labels; i++) {
        text_buf_put(t, "%s%" PRIu32, i ? "/" : "", h->label[i] >> 12);
    }
}

static void
diff_ether(struct diff *d)
{
    static const uint8_t lost[6];
    const struct hdr *a = &d->a.h, *b = &d->b.h;

    if (d->a.len >= 14 && d->b.len >= 14) {
        address(d, "eth_src", d->a.data + 6, d->b.data + 6, 6);
        if (memcmp(d->a.data, lost, 6) && memcmp(d->b.data, lost, 6)) {
            address(d, "eth_dst", d->a.data, d->b.data, 6);
        }
    }

    bool same_tags = a->n_tags == b->n_tags;

    for (size_t i = 0; same_tags && i < a->n_tags; i++) {
        same_tags = (a->tci[i] & 0xfff) == (b->tci[i] & 0xfff);
    }
    if (!same_tags) {
        begin(d, "vlan");
        put_tags(&d->t, a);
        text_buf_put(&d->t, " -> ");
        put_tags(&d->t, b);
    }
    if (a->n_tags && b->n_tags) {
        number(d, "vlan_pcp", a->tci[0] >> 13, b->tci[0] >> 13);
    }

    bool same_labels = a->n_labels == b->n_labels;

    for (size_t i = 0; same_labels && i < a->n_labels; i++) {
        same_labels = a->label[i] >> 12 == b->label[i] >> 12;
    }
    if (!same_labels) {
        begin(d, "mpls");
        put_labels(&d->t, a);
        text_buf_put(&d->t, " -> ");
        put_labels(&d->t, b);
    }
    if (a->n_labels && b->n_labels) {
        number(d, "mpls_tc", a->label[0] >> 9 & 7, b->label[0] >> 9 & 7);
        number(d, "mpls_ttl", a->label[0] & 0xff, b->label[0] & 0xff);
    }
    hex(d, "eth_type", a->eth_type, b->eth_type);
}

static void
diff_ip(struct diff *d)
{
    const struct hdr *a = &d->a.h, *b = &d->b.h;
    const uint8_t *p = d->a.data + a->l3_ofs, *q = d->b.data + b->l3_ofs;
    size_t n = a->is_ip4 ? 4 : 16;
    size_t src = a->is_ip4 ? 12 : 8, dst = a->is_ip4 ? 16 : 24;

    address(d, "ip_src", p + src, q + src, n);
    address(d, "ip_dst", p + dst, q + dst, n);
    number(d, "ip_proto", a->ip_proto, b->ip_proto);
    number(d, "ttl", a->ttl, b->ttl);
    number(d, "dscp", a->tos >> 2, b->tos >> 2);
    number(d, "ecn", a->tos & 3, b->tos & 3);
    hex(d, "ip_id", a->frag_id, b->frag_id);
    number(d, "frag_ofs", a->frag_ofs, b->frag_ofs);
    number(d, "ip_len", a->own_len, b->own_len);
    if (a->is_ip6) {
        hex(d, "ip_label", bytes_be32(p) & 0xfffff, bytes_be32(q) & 0xfffff);
    }
}

static void
diff_arp(struct diff *d)
{
    const uint8_t *p = d->a.data + d->a.h.l3_ofs;
    const uint8_t *q = d->b.data + d->b.h.l3_ofs;

    number(d, "arp_op", bytes_be16(p + 6), bytes_be16(q + 6));
    address(d, "arp_sha", p + 8, q + 8, 6);
    address(d, "arp_spa", p + 14, q + 14, 4);
    address(d, "arp_tha", p + 18, q + 18, 6);
    address(d, "arp_tpa", p + 24, q + 24, 4);
}

static bool
is_nd(const struct hdr *h)
{
    return h->is_ip6 && h->l4_ofs && h->ip_proto == HDR_IP_ICMP6 &&
           (h->icmp_type == ICMP6_NS || h->icmp_type == ICMP6_NA);
}

static void
diff_icmp(struct diff *d)
{
    const struct hdr *a = &d->a.h, *b = &d->b.h;
    const uint8_t *p = d->a.data + a->l4_ofs, *q = d->b.data + b->l4_ofs;
    size_t p_len = d->a.len - a->l4_ofs, q_len = d->b.len - b->l4_ofs;
    uint8_t type = a->icmp_type;
    bool is_echo = a->is_ip4 ? type == ICMP_ECHO || type == 0
                             : type == ICMP6_ECHO || type == ICMP6_REPLY;

    number(d, "icmp_type", type, b->icmp_type);
    number(d, "icmp_code", a->icmp_code, b->icmp_code);
    if (is_echo && p_len >= 8 && q_len >= 8) {
        number(d, "icmp_id", bytes_be16(p + 4), bytes_be16(q + 4));
        number(d, "icmp_seq", bytes_be16(p + 6), bytes_be16(q + 6));
    } else if (is_nd(a) && p_len >= ND_LEN && q_len >= ND_LEN) {
        address(d, "nd_target", p + 8, q + 8, 16);
        if (p_len >= ND_LEN + 8 && q_len >= ND_LEN + 8 &&
            p[ND_LEN] == q[ND_LEN]) {
            address(d, p[ND_LEN] == 1 ? "nd_sll" : "nd_tll", p + ND_LEN + 2,
                    q + ND_LEN + 2, 6);
        }
    }
}

static void
diff_l4(struct diff *d)
{
    const struct hdr *a = &d->a.h, *b = &d->b.h;

    if (a->ip_proto == HDR_IP_ICMP || a->ip_proto == HDR_IP_ICMP6) {
        diff_icmp(d);
        return;
    }
    number(d, "tp_src", a->src_port, b->src_port);
    number(d, "tp_dst", a->dst_port, b->dst_port);
    if (a->ip_proto == HDR_IP_TCP) {
        number(d, "tcp_seq", a->tcp_seq, b->tcp_seq);
        number(d, "tcp_ack", a->tcp_ack, b->tcp_ack);
        hex(d, "tcp_flags", a->tcp_flags, b->tcp_flags);
    }
}

static bool
is_icmp(const struct hdr *h)
{
    return h->l4_ofs &&
           (h->ip_proto == HDR_IP_ICMP || h->ip_proto == HDR_IP_ICMP6);
}

/* How many bytes follow the headers, padding left out; '*datap' is where. */
static size_t
payload(const struct side *side, const uint8_t **datap)
{
    const struct hdr *h = &side->h;
    size_t ofs = (size_t) h->payload_ofs + (is_icmp(h) ? 4 : 0);
    size_t end = (size_t) h->l3_ofs + h->own_len;

    if (!hdr_has_l3(h) || end > side->len) {
        end = side->len;
    }
    *datap = side->data + ofs;
    return end > ofs ? end - ofs : 0;
}

/* Bytes of what follows the headers, as far as both were captured.  In
 * neighbour discovery nothing does. */
static void
diff_payload(struct diff *d)
{
    const uint8_t *p, *q;
    size_t p_len = payload(&d->a, &p);
    size_t q_len = payload(&d->b, &q);
    size_t n = p_len < q_len ? p_len : q_len;
    size_t n_different = 0;

    if (is_nd(&d->a.h)) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        n_different += p[i] != q[i];
    }
    if (n_different) {
        begin(d, "payload");
        text_buf_put(&d->t, "%zu of %zu bytes", n_different, n);
    }
}

size_t
hdr_format_diff(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len,
                char *buf, size_t size)
{
    struct diff d = {
        .t = text_buf(buf, size),
        .a = {.data = a, .len = a_len < HDR_MAX_LEN ? a_len : HDR_MAX_LEN},
        .b = {.data = b, .len = b_len < HDR_MAX_LEN ? b_len : HDR_MAX_LEN},
    };
    const struct hdr *g = &d.a.h, *h = &d.b.h;

    hdr_parse(a, d.a.len, &d.a.h);
    hdr_parse(b, d.b.len, &d.b.h);
    diff_ether(&d);

    bool same_l3 = hdr_has_l3(g) && g->is_ip4 == h->is_ip4 &&
                   g->is_ip6 == h->is_ip6 && g->is_arp == h->is_arp;
    bool same_l4 =
        same_l3 && g->l4_ofs && h->l4_ofs && g->ip_proto == h->ip_proto;

    if (same_l3 && g->is_arp) {
        diff_arp(&d);
    } else if (same_l3) {
        diff_ip(&d);
    }
    if (same_l4) {
        diff_l4(&d);
    }
    if (g->status == h->status && hdr_has_l3(g) == hdr_has_l3(h) &&
        (g->l4_ofs != 0) == (h->l4_ofs != 0)) {
        diff_payload(&d);
    }
    return d.t.len;
}
