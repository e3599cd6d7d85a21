/* SPDX-License-Identifier: Apache-2.0 */
/* hdr - the layers of a captured packet, found without reading past its end.
 *
 * hdr_parse() walks Ethernet, up to HDR_MAX_TAGS 802.1Q/802.1ad tags, MPLS
 * labels, then IPv4 (with options), IPv6 (with extension headers) or ARP, then
 * TCP, UDP, SCTP, ICMP or ICMPv6.  It records offsets from the first byte of
 * the packet and the few fields everybody asks for; whatever was not captured
 * or is not sane is absent, never guessed.  It allocates nothing and keeps no
 * pointer.  Every offset and length it gives lies within the capture, which is
 * looked at up to HDR_MAX_LEN bytes.
 *
 * An L3 header is there when hdr_has_l3(), with its fixed part (20, 40 or 28
 * bytes) captured; an L4 header is there when l4_ofs is not 0, with its fixed
 * part (TCP 20, UDP 8, SCTP 12, ICMP 4, ICMPv6 4 bytes) captured and inside
 * the packet's own length.
 *
 * hdr_inner() finds the packet inside VXLAN (RFC 7348), Geneve (RFC 8926) and
 * GRE (RFC 2784, 2890, with Ethernet, IPv4 or IPv6 inside).
 *
 * Threads: pure functions. */
#ifndef LIB_HDR_H
#define LIB_HDR_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HDR_MAX_TAGS   3
#define HDR_MAX_LABELS 8
#define HDR_MAX_LEN    65535

/* EtherTypes that have a meaning here. */
#define HDR_ETH_IP4    0x0800
#define HDR_ETH_ARP    0x0806
#define HDR_ETH_VLAN   0x8100
#define HDR_ETH_IP6    0x86dd
#define HDR_ETH_MPLS   0x8847
#define HDR_ETH_MPLS_M 0x8848
#define HDR_ETH_QINQ   0x88a8
#define HDR_ETH_QINQ_9 0x9100
#define HDR_ETH_TEB    0x6558 /* An Ethernet frame, inside a tunnel. */

/* IP protocols that have a meaning here. */
#define HDR_IP_ICMP  1
#define HDR_IP_TCP   6
#define HDR_IP_UDP   17
#define HDR_IP_GRE   47
#define HDR_IP_ICMP6 58
#define HDR_IP_SCTP  132

/* IPv6 extension headers (IANA's registry of them, but for ESP, which hides
 * what follows). */
#define HDR_IP6_HOP_BY_HOP  0
#define HDR_IP6_ROUTING     43
#define HDR_IP6_FRAGMENT    44
#define HDR_IP6_AH          51
#define HDR_IP6_DESTINATION 60
#define HDR_IP6_MOBILITY    135
#define HDR_IP6_HIP         139
#define HDR_IP6_SHIM6       140

enum hdr_status {
    HDR_OK,        /* Every layer that the packet has and we know was found. */
    HDR_TRUNCATED, /* The capture ends inside a header we know. */
    HDR_MALFORMED, /* A length or version field contradicts itself. */
    HDR_UNKNOWN    /* An EtherType or IP protocol we do not look into. */
};

struct hdr {
    enum hdr_status status;

    /* Layer 2.  All in host byte order.  The tags and labels themselves are
     * at the end. */
    uint8_t n_tags;
    uint8_t n_labels;
    uint16_t eth_type; /* Of the L3 header (0x0800 or 0x86dd under MPLS when
                        * the first nibble says IPv4 or IPv6, else MPLS's
                        * own), of the SNAP header if its OUI is 0, or the
                        * 802.3 length if < 0x600. */

    /* Layer 3. */
    bool is_ip4, is_ip6, is_arp;
    uint8_t ip_proto; /* After all extension headers that were captured. */
    uint8_t ttl;      /* TTL or hop limit. */
    uint8_t tos;      /* DSCP and ECN. */
    uint16_t l3_ofs;
    uint16_t l3_len;   /* Header bytes with options or extension headers, as
                        * far as captured. */
    uint16_t frag_ofs; /* In bytes. */
    uint32_t own_len;  /* The packet's own length from l3_ofs on, by its IP
                        * total length (28 for ARP); may exceed the capture.
                        * For an 802.3 frame the 802.3 length, from
                        * payload_ofs on.  Otherwise 0. */
    uint32_t frag_id;  /* IPv4 ID, or IPv6 fragment ID if there is a fragment
                        * header. */
    bool is_frag;      /* Part of a fragmented packet. */
    bool more_frags;
    bool has_route; /* IPv6 routing header with segments left. */

    /* Layer 4.  l4_ofs is 0 when there is none: not captured, not known, or a
     * later fragment. */
    uint8_t tcp_flags;
    uint16_t l4_ofs;
    uint16_t l4_len; /* Header bytes. */
    uint16_t src_port, dst_port;
    uint8_t icmp_type, icmp_code;
    uint16_t payload_ofs; /* After the last header found; == captured length
                           * when nothing follows. */
    uint32_t tcp_seq, tcp_ack;

    /* The n_tags and n_labels of layer 2; what is beyond them is not set. */
    uint16_t tpid[HDR_MAX_TAGS];    /* 0x8100, 0x88a8 or 0x9100, outermost
                                     * first. */
    uint16_t tci[HDR_MAX_TAGS];     /* PCP 3 bits, DEI 1, VID 12. */
    uint32_t label[HDR_MAX_LABELS]; /* Whole 32-bit label stack entries. */
};

static inline bool
hdr_has_l3(const struct hdr *h)
{
    return h->is_ip4 || h->is_ip6 || h->is_arp;
}

/* Parses the 'len' bytes at 'data', which begin with an Ethernet header, into
 * '*h' (all of it is set, but for tags and labels that are not there) and
 * returns h->status. */
enum hdr_status hdr_parse(const uint8_t *data, size_t len, struct hdr *h);

/* Parses from an L3 header onwards: 'eth_type' in host byte order says which.
 * Offsets count from 'data'. */
enum hdr_status hdr_parse_l3(const uint8_t *data, size_t len,
                             uint16_t eth_type, struct hdr *h);

enum hdr_tunnel {
    HDR_TUNNEL_NONE,
    HDR_TUNNEL_VXLAN,
    HDR_TUNNEL_GENEVE,
    HDR_TUNNEL_GRE
};

/* Whether UDP packets to that port are those of a tunnel. */
bool hdr_is_tunnel_port(uint16_t dst_port);

/* Where the packet inside the tunnel packet 'data' (already parsed into 'h')
 * begins.  Returns which tunnel, HDR_TUNNEL_NONE when it is none we know or
 * the capture ends before the inner packet.  '*inner_ofs' is the offset of the
 * inner frame and '*inner_type' is 0 when that is an Ethernet frame, otherwise
 * the EtherType of an inner L3 header; '*id' is the VNI or GRE key or 0. */
enum hdr_tunnel hdr_inner(const uint8_t *data, size_t len, const struct hdr *h,
                          size_t *inner_ofs, uint16_t *inner_type,
                          uint32_t *id);

/* Writes one line about the packet, as tcpdump would put it ("10.0.0.1:4321 >
 * 10.0.0.2:80 tcp SYN ttl 64 vlan 5", "arp who-has ..."), into 'buf', always
 * NUL-terminated, cut if it does not fit.  Returns strlen(buf). */
size_t hdr_format(const uint8_t *data, size_t len, char *buf, size_t size);

/* Writes what differs between packet 'a' and packet 'b', field by field, as
 * "ip_src 10.0.0.5 -> 192.0.2.1, tp_src 4321 -> 61000, ttl 64 -> 63", into
 * 'buf' (empty when nothing does; checksums are left out).  Returns
 * strlen(buf). */
size_t hdr_format_diff(const uint8_t *a, size_t a_len, const uint8_t *b,
                       size_t b_len, char *buf, size_t size);

#endif /* lib/hdr.h */
