/* SPDX-License-Identifier: Apache-2.0 */
/* header_split - which bytes of a header stay the same from packet to packet
 * of one flow, and which do not.
 *
 * Constant are MAC addresses, tags, labels, DSCP/ECN, DF, TTL, protocol, flow
 * label, addresses, ports, ICMP type and code.  What follows varies: IP
 * length, IP ID and checksum; all of TCP after the ports, UDP length and
 * checksum, ICMP after type and code; every byte behind the fixed L4 header.
 *
 * Only headers where that division is sure are split: IPv4 without options
 * that is no fragment and IPv6 without extension headers, each with its fixed
 * L4 header captured if it is TCP, UDP, ICMP or ICMPv6; of TCP and UDP the
 * ports are enough where the capture ends before the checksum.  SCTP and
 * neighbor discovery are not: their checksum, or what rules edit in them, is
 * of another kind.
 *
 * Threads: pure functions. */
#ifndef LIB_HEADER_SPLIT_H
#define LIB_HEADER_SPLIT_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* IPv4 or IPv6, and what is behind it. */
enum header_kind {
    HEADER_IP4_TCP,
    HEADER_IP4_UDP,
    HEADER_IP4_ICMP,
    HEADER_IP4_OTHER,
    HEADER_IP6_TCP,
    HEADER_IP6_UDP,
    HEADER_IP6_ICMP,
    HEADER_IP6_OTHER,
    HEADER_IP4_PORTS, /* TCP or UDP, captured to before its checksum. */
    HEADER_IP6_PORTS,
    N_HEADER_KINDS,

    /* Never those of a split: of such headers indexes tell what they can. */
    HEADER_TYPE = N_HEADER_KINDS, /* Nothing but the bytes 12 and 13, */
    HEADER_ARP,                   /* IPv4's, untagged; */
    HEADER_IP4_OPTIONS,           /* addresses, and no L4 header. */
    N_HEADER_FORMS
};

static inline bool
header_kind_is_ip4(enum header_kind kind)
{
    return kind <= HEADER_IP4_OTHER || kind == HEADER_IP4_PORTS;
}

struct header_split {
    enum header_kind kind;
    uint16_t l3_ofs;   /* Of the IP header, from the Ethernet header. */
    uint16_t l4_ofs;   /* Of what is behind it. */
    uint16_t tail_ofs; /* From here on every byte varies. */
    uint32_t own_len;  /* Of the packet from l3_ofs on, as its IP header
                        * says. */
};

/* The fixed headers of a kind. */
struct header_shape {
    uint8_t l3_len;
    uint8_t l4_len;     /* 0: none that we know. */
    uint8_t n_constant; /* First bytes of that which are constant. */
    uint8_t l4_sum;     /* Where in it the checksum is; 0: it has none. */
};

extern const struct header_shape header_shapes[N_HEADER_KINDS];

/* Bytes from l3_ofs to tail_ofs, and where a checksum is from l3_ofs on; 0:
 * that kind has none. */
static inline uint16_t
header_kind_fixed_len(enum header_kind kind)
{
    return (uint16_t) (header_shapes[kind].l3_len +
                       header_shapes[kind].l4_len);
}

/* Bytes of the L4 header that are constant: its first. */
static inline uint16_t
header_kind_n_constant(enum header_kind kind)
{
    return header_shapes[kind].n_constant;
}

static inline uint16_t
header_kind_ip_sum_ofs(enum header_kind kind)
{
    return header_kind_is_ip4(kind) ? 10 : 0;
}

static inline uint16_t
header_kind_l4_sum_ofs(enum header_kind kind)
{
    const struct header_shape *shape = &header_shapes[kind];

    return shape->l4_sum ? (uint16_t) (shape->l3_len + shape->l4_sum) : 0;
}

/* Splits the 'len' captured bytes at 'data', an Ethernet frame.  False when
 * it is no packet that can be split. */
bool header_split(const uint8_t *data, size_t len, struct header_split *);

/* Whether the 'n' bytes at 'ofs', from the Ethernet header on, are the same in
 * all packets of the flow. */
bool header_split_is_constant(const struct header_split *, uint32_t ofs,
                              uint32_t n);

/* False for a packet that surely has no other inside. */
bool header_split_may_carry(const struct header_split *, const uint8_t *data,
                            size_t len);

/* All bytes that are, bit by bit from the first, of 128. */
void header_split_constant_bytes(const struct header_split *,
                                 uint64_t bytes[2]);
/* Whether the 'n' bytes at 'ofs', four at most, are all among such 'bytes'. */
static inline bool
header_split_has_bytes(const uint64_t bytes[2], uint32_t ofs, uint32_t n)
{
    uint64_t wanted = (UINT64_C(1) << n) - 1, bits;

    if (ofs >= 64) {
        bits = ofs < 128 ? bytes[1] >> (ofs - 64) : 0;
    } else {
        bits = bytes[0] >> ofs | (ofs ? bytes[1] << (64 - ofs) : 0);
    }
    return !(wanted & ~bits);
}

/* Copies the first tail_ofs bytes of 'data' into 'out' with every byte that
 * varies set to 0. */
void header_split_constant(const uint8_t *data, const struct header_split *,
                           uint8_t *out);

/* Copies what varies of the fixed headers (so all before the tail) from IP
 * header 'from' to IP header 'to', checksums too. */
void header_split_copy_varying(enum header_kind, const uint8_t *from,
                               uint8_t *to);

#endif /* lib/header_split.h */
