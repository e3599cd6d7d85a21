/* SPDX-License-Identifier: Apache-2.0 */
/* frame - packets for tests, built layer by layer. */
#include <config.h>
#include "tests/lib/frame.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/hdr.h"

void
frame_address(const char *text, uint8_t *address)
{
    unsigned int m[6];

    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x", &m[0], &m[1], &m[2], &m[3],
               &m[4], &m[5]) == 6 &&
        strlen(text) == 17) {
        for (size_t i = 0; i < 6; i++) {
            address[i] = (uint8_t) m[i];
        }
    } else if (!inet_pton(AF_INET, text, address)) {
        assert(inet_pton(AF_INET6, text, address) == 1);
    }
}

void
frame_bytes(struct frame *f, const void *data, size_t n)
{
    assert(f->len + n <= sizeof f->data);
    if (n) {
        memcpy(f->data + f->len, data, n);
    }
    f->len += n;
}

static uint8_t *
room(struct frame *f, size_t n)
{
    assert(f->len + n <= sizeof f->data);

    uint8_t *p = f->data + f->len;

    memset(p, 0, n);
    f->len += n;
    return p;
}

struct frame
frame_eth(uint16_t eth_type)
{
    struct frame f = {.len = 0};

    room(&f, 14);
    frame_address("02:00:00:00:00:02", f.data);
    frame_address("02:00:00:00:00:01", f.data + 6);
    bytes_put_be16(f.data + 12, eth_type);
    return f;
}

void
frame_push_tag(struct frame *f, uint16_t tpid, uint16_t tci)
{
    room(f, 4);
    memmove(f->data + 16, f->data + 12, f->len - 16);
    bytes_put_be16(f->data + 12, tpid);
    bytes_put_be16(f->data + 14, tci);
    f->l3_ofs += f->l3_ofs ? 4 : 0;
    f->l4_ofs += f->l4_ofs ? 4 : 0;
}

void
frame_label(struct frame *f, uint32_t label, bool is_last)
{
    bytes_put_be32(room(f, 4), label << 12 | (is_last ? 0x100 : 0) | 64);
}

void
frame_ip4(struct frame *f, uint8_t proto, uint8_t ttl, const char *src,
          const char *dst)
{
    f->l3_ofs = f->len;
    f->proto = proto;

    uint8_t *p = room(f, 20);

    p[0] = 0x45;
    bytes_put_be16(p + 4, 0x1234);
    bytes_put_be16(p + 6, 0x4000);
    p[8] = ttl;
    p[9] = proto;
    frame_address(src, p + 12);
    frame_address(dst, p + 16);
}

void
frame_ip4_options(struct frame *f, const void *options, size_t n)
{
    frame_bytes(f, options, n);
    f->data[f->l3_ofs] = (uint8_t) (f->data[f->l3_ofs] + n / 4);
}

void
frame_ip6(struct frame *f, uint8_t proto, uint8_t hops, const char *src,
          const char *dst)
{
    f->l3_ofs = f->len;
    f->proto = proto;
    f->type_ofs = f->len + 6;

    uint8_t *p = room(f, 40);

    p[0] = 0x60;
    p[6] = proto;
    p[7] = hops;
    frame_address(src, p + 8);
    frame_address(dst, p + 24);
}

void
frame_ip6_ext(struct frame *f, uint8_t type, const void *body, size_t n)
{
    assert(f->data[f->type_ofs] == f->proto);
    f->data[f->type_ofs] = type;
    f->type_ofs = f->len;
    *room(f, 1) = f->proto;
    frame_bytes(f, body, n);
}

void
frame_tcp(struct frame *f, uint16_t src, uint16_t dst, uint32_t seq,
          uint32_t ack, uint8_t flags)
{
    f->l4_ofs = f->len;

    uint8_t *p = room(f, 20);

    bytes_put_be16(p, src);
    bytes_put_be16(p + 2, dst);
    bytes_put_be32(p + 4, seq);
    bytes_put_be32(p + 8, ack);
    p[12] = 0x50;
    p[13] = flags;
    bytes_put_be16(p + 14, 0x7210);
}

void
frame_tcp_options(struct frame *f, const void *options, size_t n)
{
    frame_bytes(f, options, n);
    f->data[f->l4_ofs + 12] =
        (uint8_t) (f->data[f->l4_ofs + 12] + (n / 4) * 16);
}

void
frame_udp(struct frame *f, uint16_t src, uint16_t dst)
{
    f->l4_ofs = f->len;

    uint8_t *p = room(f, 8);

    bytes_put_be16(p, src);
    bytes_put_be16(p + 2, dst);
}

void
frame_sctp(struct frame *f, uint16_t src, uint16_t dst, uint32_t vtag)
{
    f->l4_ofs = f->len;

    uint8_t *p = room(f, 12);

    bytes_put_be16(p, src);
    bytes_put_be16(p + 2, dst);
    bytes_put_be32(p + 4, vtag);
}

void
frame_icmp(struct frame *f, uint8_t type, uint8_t code, uint32_t rest)
{
    f->l4_ofs = f->len;

    uint8_t *p = room(f, 8);

    p[0] = type;
    p[1] = code;
    bytes_put_be32(p + 4, rest);
}

void
frame_arp(struct frame *f, uint16_t op, const char *spa, const char *tpa)
{
    f->l3_ofs = f->len;

    uint8_t *p = room(f, 28);

    bytes_put_be16(p, 1);
    bytes_put_be16(p + 2, HDR_ETH_IP4);
    p[4] = 6;
    p[5] = 4;
    bytes_put_be16(p + 6, op);
    frame_address("02:00:00:00:00:01", p + 8);
    frame_address(spa, p + 14);
    frame_address(tpa, p + 24);
}

void
frame_text(struct frame *f, const char *text)
{
    frame_bytes(f, text, strlen(text));
}

/* RFC 1071, 'sum' being what came before. */
static uint16_t
checksum(const uint8_t *data, size_t n, uint32_t sum)
{
    for (size_t i = 0; i < n; i += 2) {
        sum += (uint32_t) (data[i] << 8) + (i + 1 < n ? data[i + 1] : 0);
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t) ~sum;
}

/* RFC 9260 appendix A, bit by bit. */
static uint32_t
crc32c(const uint8_t *data, size_t n)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < n; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
        }
    }
    return ~crc;
}

/* The sum of the pseudo-header of the L4 packet of 'n' bytes. */
static uint32_t
pseudo_sum(const uint8_t *l3, uint8_t proto, size_t n)
{
    bool is_ip4 = l3[0] >> 4 == 4;
    const uint8_t *addresses = l3 + (is_ip4 ? 12 : 8);
    uint16_t sum = checksum(addresses, is_ip4 ? 8 : 32, 0);

    return (uint32_t) (uint16_t) ~sum + proto + (uint32_t) n;
}

static size_t
checksum_ofs(uint8_t proto)
{
    switch (proto) {
    case HDR_IP_TCP:
        return 16;
    case HDR_IP_UDP:
        return 6;
    case HDR_IP_SCTP:
        return 8;
    case HDR_IP_ICMP:
    case HDR_IP_ICMP6:
        return 2;
    default:
        return 0;
    }
}

static uint32_t
l4_sum(const uint8_t *l3, uint8_t proto, size_t n)
{
    return proto == HDR_IP_ICMP ? 0 : pseudo_sum(l3, proto, n);
}

void
frame_finish(struct frame *f)
{
    uint8_t *l3 = f->data + f->l3_ofs;
    bool is_ip4 = f->l3_ofs && l3[0] >> 4 == 4;
    bool is_ip6 = f->l3_ofs && l3[0] >> 4 == 6;
    bool is_later = is_ip4 && (bytes_be16(l3 + 6) & 0x1fff);

    if (is_ip4) {
        bytes_put_be16(l3 + 2, (uint16_t) (f->len - f->l3_ofs));
        bytes_put_be16(l3 + 10, 0);
        bytes_put_be16(l3 + 10, checksum(l3, (size_t) (l3[0] & 15) * 4, 0));
    } else if (is_ip6) {
        bytes_put_be16(l3 + 4, (uint16_t) (f->len - f->l3_ofs - 40));
    }
    if (!f->l4_ofs || is_later || (!is_ip4 && !is_ip6)) {
        return;
    }

    uint8_t *l4 = f->data + f->l4_ofs;
    size_t n = f->len - f->l4_ofs;
    size_t ofs = checksum_ofs(f->proto);

    if (f->proto == HDR_IP_UDP) {
        bytes_put_be16(l4 + 4, (uint16_t) n);
    }
    if (f->proto == HDR_IP_SCTP) {
        memset(l4 + 8, 0, 4);

        uint32_t crc = crc32c(l4, n);

        for (size_t i = 0; i < 4; i++) {
            l4[8 + i] = (uint8_t) (crc >> (8 * i));
        }
    } else if (ofs) {
        bytes_put_be16(l4 + ofs, 0);

        uint16_t sum = checksum(l4, n, l4_sum(l3, f->proto, n));

        bytes_put_be16(l4 + ofs, sum || f->proto != HDR_IP_UDP ? sum : 0xffff);
    }
}

bool
frame_check(const uint8_t *data, size_t len)
{
    struct hdr h;

    hdr_parse(data, len, &h);
    if (h.is_ip4 && checksum(data + h.l3_ofs, h.l3_len, 0)) {
        return false;
    }
    if (!h.l4_ofs || h.is_frag || h.l3_ofs + h.own_len > len) {
        return true;
    }

    const uint8_t *l4 = data + h.l4_ofs;
    size_t n = h.l3_ofs + h.own_len - h.l4_ofs;

    if (h.ip_proto == HDR_IP_SCTP) {
        uint8_t copy[2048];

        memcpy(copy, l4, n);
        memset(copy + 8, 0, 4);

        uint32_t crc = crc32c(copy, n);

        return (uint8_t) crc == l4[8] && (uint8_t) (crc >> 8) == l4[9] &&
               (uint8_t) (crc >> 16) == l4[10] &&
               (uint8_t) (crc >> 24) == l4[11];
    } else if (h.ip_proto == HDR_IP_UDP && !bytes_be16(l4 + 6)) {
        return true;
    }
    return !checksum(l4, n, l4_sum(data + h.l3_ofs, h.ip_proto, n));
}
