/* SPDX-License-Identifier: Apache-2.0 */
/* frame - packets for tests, built layer by layer.
 *
 *     struct frame f = frame_eth(HDR_ETH_IP4);
 *     frame_ip4(&f, HDR_IP_TCP, 64, "10.0.0.1", "10.0.0.2");
 *     frame_tcp(&f, 4321, 80, 1000, 2000, 0x18);
 *     frame_text(&f, "GET /");
 *     frame_finish(&f);
 *
 * frame_finish() fills in lengths and checksums, computed over the whole
 * packet the plain way, for the last IP and L4 header that were added.
 * frame_check() tells whether a packet's checksums are right, by the same
 * plain way.
 *
 * Threads: plain data. */
#ifndef TESTS_LIB_FRAME_H
#define TESTS_LIB_FRAME_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame {
    uint8_t data[2048];
    size_t len;
    size_t type_ofs; /* Of the last EtherType. */
    size_t l3_ofs, l4_ofs;
    uint8_t proto;
};

/* From 02:00:00:00:00:01 to 02:00:00:00:00:02. */
struct frame frame_eth(uint16_t eth_type);
/* Pushes a tag as the outermost; may be called before or after the rest. */
void frame_push_tag(struct frame *, uint16_t tpid, uint16_t tci);
/* Right after frame_eth(HDR_ETH_MPLS) or another label. */
void frame_label(struct frame *, uint32_t label, bool is_last);
void frame_ip4(struct frame *, uint8_t proto, uint8_t ttl, const char *src,
               const char *dst);
/* 'n' bytes of IPv4 options, a multiple of 4, right after frame_ip4(). */
void frame_ip4_options(struct frame *, const void *options, size_t n);
void frame_ip6(struct frame *, uint8_t proto, uint8_t hops, const char *src,
               const char *dst);
/* An IPv6 extension header, after frame_ip6(): 'type' is what it is, which
 * becomes the next header of the one before; 'body' is what follows its next
 * header byte. */
void frame_ip6_ext(struct frame *, uint8_t type, const void *body, size_t n);
void frame_tcp(struct frame *, uint16_t src, uint16_t dst, uint32_t seq,
               uint32_t ack, uint8_t flags);
void frame_tcp_options(struct frame *, const void *options, size_t n);
void frame_udp(struct frame *, uint16_t src, uint16_t dst);
void frame_sctp(struct frame *, uint16_t src, uint16_t dst, uint32_t vtag);
/* ICMP or ICMPv6, by the IP header before. */
void frame_icmp(struct frame *, uint8_t type, uint8_t code, uint32_t rest);
void frame_arp(struct frame *, uint16_t op, const char *spa, const char *tpa);
void frame_text(struct frame *, const char *text);
void frame_bytes(struct frame *, const void *data, size_t n);
void frame_finish(struct frame *);

/* Whether every checksum in the packet (IPv4, TCP, UDP, SCTP, ICMP, ICMPv6) is
 * right. */
bool frame_check(const uint8_t *data, size_t len);

/* The 6 bytes of "02:00:00:00:00:01", the 4 of an IPv4 or 16 of an IPv6
 * address; the test ends when 'text' is none. */
void frame_address(const char *text, uint8_t *address);

#endif /* tests/lib/frame.h */
