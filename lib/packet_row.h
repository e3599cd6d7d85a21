/* SPDX-License-Identifier: Apache-2.0 */
/* packet_row - what the two sides of history_columns share: which fields of a
 * header vary, and what each is expected to be after the row before.
 *
 * Both sides keep a packet_row for the flow at hand and go through the fields
 * in one order; what is as expected costs a bit of the control vector.
 * docs/formats/archive.md is the format.  Included by history_columns*.c and
 * agent_batch*.c.
 *
 * Threads: plain data. */
#ifndef LIB_PACKET_ROW_H
#define LIB_PACKET_ROW_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/header_split.h"

/* Sections of a block of columns.  Of a field there are two: its first value
 * in a flow and its later ones. */
enum column {
    COLUMN_PARAMS = 1,
    COLUMN_SHAPES,
    COLUMN_FLOW_SHAPE,
    COLUMN_FLOW_ROWS,
    COLUMN_FLOW_COLD,
    COLUMN_FLOW_SRC,
    COLUMN_FLOW_DST,
    COLUMN_FLOW_PORTS,
    COLUMN_TIME_FIRST,
    COLUMN_TIME_NEXT,
    COLUMN_TIME_BITS,
    COLUMN_HOPS_MORE,
    COLUMN_HOPS,         /* Four: a plane for each byte. */
    COLUMN_CONTROL = 17, /* First in a flow; then low and high byte. */
    COLUMN_CONTROL_LOW,
    COLUMN_CONTROL_HIGH,
    COLUMN_ID,
    COLUMN_CAPLEN,
    COLUMN_IP_SUM,
    COLUMN_L4_SUM,
    COLUMN_TAIL,
    COLUMN_PLAIN,
    COLUMN_INDEX, /* block_index. */
    COLUMN_SUMS,  /* block_sums. */
    COLUMN_FLOW_BYTES,
    COLUMN_LEFT_OUT, /* sample_tally. */
    COLUMN_FIELD_FIRST = 32,
    COLUMN_FIELD_NEXT = 48,
    N_COLUMNS = 64
};

enum row_field {
    ROW_LEN,
    ROW_IP_ID,
    ROW_SEQ,
    ROW_ACK,
    ROW_FLAGS, /* And data offset. */
    ROW_WINDOW,
    ROW_URGENT,
    ROW_UDP_LEN,
    ROW_ICMP_A, /* The first half of an ICMP header's rest: echo's ID ... */
    ROW_ICMP_B, /* ... and the second: its sequence. */
    ROW_TS_VALUE,
    ROW_TS_ECHO,
    N_ROW_FIELDS
};

/* Bits of the control vector: what is not as expected. */
#define ROW_BIT_LEN     0x0001u
#define ROW_BIT_IP_ID   0x0002u
#define ROW_BIT_A       0x0004u /* SEQ, UDP_LEN or ICMP_A. */
#define ROW_BIT_B       0x0008u /* ACK or ICMP_B. */
#define ROW_BIT_FLAGS   0x0010u
#define ROW_BIT_L4_SUM  0x0020u
#define ROW_BIT_TAIL    0x0040u
#define ROW_BIT_WINDOW  0x0080u
#define ROW_BIT_IP_SUM  0x0100u
#define ROW_BIT_URGENT  0x0200u
#define ROW_BIT_CAPLEN  0x0400u
#define ROW_BIT_PAD     0x0800u
#define ROW_BIT_ID      0x1000u
#define ROW_BIT_HAS_TS  0x2000u
#define ROW_BIT_TS_VAL  0x4000u
#define ROW_BIT_TS_ECHO 0x8000u

struct row_place {
    uint8_t field; /* enum row_field. */
    uint8_t ofs;   /* From the IP header on. */
    uint8_t len;   /* 2 or 4; 0 ends the list. */
    uint16_t bit;
};

#define ROW_IP4_PLACES                                                        \
    {ROW_LEN, 2, 2, ROW_BIT_LEN},                                             \
    {                                                                         \
        ROW_IP_ID, 4, 2, ROW_BIT_IP_ID                                        \
    }
#define ROW_IP6_PLACES                                                        \
    {                                                                         \
        ROW_LEN, 4, 2, ROW_BIT_LEN                                            \
    }
#define ROW_TCP_PLACES(AT)                                                    \
    {ROW_SEQ, AT + 4, 4, ROW_BIT_A}, {ROW_ACK, AT + 8, 4, ROW_BIT_B},         \
        {ROW_FLAGS, AT + 12, 2, ROW_BIT_FLAGS},                               \
        {ROW_WINDOW, AT + 14, 2, ROW_BIT_WINDOW},                             \
    {                                                                         \
        ROW_URGENT, AT + 18, 2, ROW_BIT_URGENT                                \
    }
#define ROW_UDP_PLACES(AT)                                                    \
    {                                                                         \
        ROW_UDP_LEN, AT + 4, 2, ROW_BIT_A                                     \
    }
#define ROW_ICMP_PLACES(AT)                                                   \
    {ROW_ICMP_A, AT + 4, 2, ROW_BIT_A},                                       \
    {                                                                         \
        ROW_ICMP_B, AT + 6, 2, ROW_BIT_B                                      \
    }

#define ROW_MAX_PLACES 8

static const struct row_place row_places[N_HEADER_KINDS][ROW_MAX_PLACES] = {
    [HEADER_IP4_TCP] = {ROW_IP4_PLACES, ROW_TCP_PLACES(20)},
    [HEADER_IP4_UDP] = {ROW_IP4_PLACES, ROW_UDP_PLACES(20)},
    [HEADER_IP4_ICMP] = {ROW_IP4_PLACES, ROW_ICMP_PLACES(20)},
    [HEADER_IP4_OTHER] = {ROW_IP4_PLACES},
    [HEADER_IP6_TCP] = {ROW_IP6_PLACES, ROW_TCP_PLACES(40)},
    [HEADER_IP6_UDP] = {ROW_IP6_PLACES, ROW_UDP_PLACES(40)},
    [HEADER_IP6_ICMP] = {ROW_IP6_PLACES, ROW_ICMP_PLACES(40)},
    [HEADER_IP6_OTHER] = {ROW_IP6_PLACES},
    [HEADER_IP4_PORTS] = {ROW_IP4_PLACES},
    [HEADER_IP6_PORTS] = {ROW_IP6_PLACES},
};

enum row_l4_mode { ROW_L4_FULL, ROW_L4_PSEUDO, ROW_L4_ZERO };

/* What holds from row to row of all flows. */
struct row_block {
    uint16_t snap;  /* The longest capture of a reference hop. */
    bool is_padded; /* Short frames were captured with Ethernet's padding. */
};

/* What the rows of one flow so far lead to expect. */
struct packet_row {
    enum header_kind kind;
    uint16_t l3_ofs, l4_ofs, fixed_len, l4_sum_ofs;
    bool is_first; /* No row yet. */
    uint32_t previous[N_ROW_FIELDS];
    uint32_t seq_step; /* Of sequence space the packet before took. */
    bool id_steps, icmp_steps;
    uint16_t ip_diff; /* From the right checksum to what was seen. */
    uint16_t l4_diff;
    uint8_t l4_mode;
    uint8_t ts_room;      /* packet_row_ts_room() when it was last there. */
    uint32_t address_sum; /* Of the pseudo-header but its length. */
    uint32_t ip_sum;      /* Of the IPv4 header but length, ID, checksum. */

    /* The row at hand. */
    uint32_t own_len, l3_len;

    /* The tail of the packet before, behind its timestamps. */
    const uint8_t *tail;
    size_t tail_len;
};

/* The ones' complement sum of 'n' bytes: 0 just if all are. */
static inline uint32_t
packet_row_sum(const uint8_t *p, size_t n)
{
    uint64_t sum = 0;
    uint32_t word;
    uint16_t folded, half, last = 0;
    uint8_t bytes[2];

    for (; n >= 4; n -= 4, p += 4) {
        memcpy(&word, p, 4);
        sum += word;
    }
    if (n >= 2) {
        memcpy(&half, p, 2);
        sum += half;
        n -= 2;
        p += 2;
    }
    if (n) {
        memcpy(&last, p, 1);
        sum += last;
    }
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);

    /* In whichever order bytes are added, they are the same bytes. */
    folded = (uint16_t) sum;
    memcpy(bytes, &folded, 2);
    return bytes_be16(bytes);
}

static inline uint16_t
packet_row_fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ((sum & 0xffff) + (sum >> 16));
}

static inline uint16_t
packet_row_add(uint16_t a, uint16_t b)
{
    return b ? packet_row_fold((uint32_t) a + b) : a;
}

/* What to add to 'from' to have 'to', where there is such a thing. */
static inline uint16_t
packet_row_diff(uint16_t from, uint16_t to)
{
    return from == to ? 0 : packet_row_fold((uint32_t) to + (uint16_t) ~from);
}

/* Begins the flow whose constant header bytes stand at 'ip'. */
static inline void
packet_row_begin(struct packet_row *row, enum header_kind kind,
                 uint16_t l3_ofs, const uint8_t *ip)
{
    bool is_ip4 = header_kind_is_ip4(kind);

    memset(row, 0, sizeof *row);
    row->kind = kind;
    row->l3_ofs = l3_ofs;
    row->l4_ofs = is_ip4 ? 20 : 40;
    row->fixed_len = header_kind_fixed_len(kind);
    row->l4_sum_ofs = header_kind_l4_sum_ofs(kind);
    row->is_first = true;
    if (kind != HEADER_IP4_ICMP) {
        row->address_sum = is_ip4 ? packet_row_sum(ip + 12, 8) + ip[9]
                                  : packet_row_sum(ip + 8, 32) + ip[6];
    }
    if (is_ip4) {
        row->ip_sum = packet_row_sum(ip, 2) + packet_row_sum(ip + 6, 4) +
                      packet_row_sum(ip + 12, 8);
    }
}

/* The value expected of a field, once those before it in the list are
 * known. */
static inline uint32_t
packet_row_expect(const struct packet_row *row, unsigned int field)
{
    uint32_t previous = row->previous[field];

    switch (field) {
    case ROW_IP_ID:
        return (uint16_t) (previous + row->id_steps);
    case ROW_SEQ:
        return previous + row->seq_step;
    case ROW_UDP_LEN:
        return (uint16_t) (row->own_len - row->l4_ofs);
    case ROW_ICMP_B:
        return (uint16_t) (previous + row->icmp_steps);
    default:
        return previous;
    }
}

/* Tells the value of a field. */
static inline void
packet_row_learn(struct packet_row *row, enum header_kind kind,
                 unsigned int field, uint32_t value)
{
    if (field == ROW_LEN) {
        row->own_len = header_kind_is_ip4(kind) ? value : value + row->l4_ofs;
    } else if (field == ROW_IP_ID) {
        row->id_steps = value != row->previous[field];
    } else if (field == ROW_ICMP_B) {
        row->icmp_steps = value != row->previous[field];
    }
    row->previous[field] = value;
}

/* Captured bytes expected from the IP header on. */
static inline uint32_t
packet_row_expect_len(const struct packet_row *row,
                      const struct row_block *block)
{
    uint32_t len = row->l3_ofs + row->own_len;

    if (len < 60 && block->is_padded) {
        len = 60;
    }
    return (len < block->snap ? len : block->snap) - row->l3_ofs;
}

static inline void
packet_row_learn_len(struct packet_row *row, struct row_block *block,
                     uint32_t l3_len)
{
    row->l3_len = l3_len;
    if (row->l3_ofs + row->own_len < 60) {
        block->is_padded = row->l3_ofs + l3_len == 60;
    }
}

/* Bytes of the packet itself that were captured; what follows is padding. */
static inline uint32_t
packet_row_in_packet(const struct packet_row *row)
{
    return row->l3_len < row->own_len ? row->l3_len : row->own_len;
}

/* Captured bytes of the option "timestamps" from its value on (RFC 7323 as
 * all write it: NOP, NOP, kind 8, length 10); 0 when it is not there. */
static inline uint32_t
packet_row_ts_room(const struct packet_row *row, const uint8_t *ip)
{
    uint32_t n = packet_row_in_packet(row);
    uint32_t at = row->fixed_len + 4u;

    if ((row->kind != HEADER_IP4_TCP && row->kind != HEADER_IP6_TCP) ||
        ip[row->l4_ofs + 12] >> 4 < 8 || n < at + 4) {
        return 0;
    }
    return n < at + 8 ? n - at : 8;
}

/* The IPv4 header's right checksum, once length and ID are known. */
static inline uint16_t
packet_row_ip_sum(const struct packet_row *row)
{
    return (uint16_t) ~packet_row_fold(row->ip_sum + row->previous[ROW_LEN] +
                                       row->previous[ROW_IP_ID]);
}

static inline bool
packet_row_is_whole(const struct packet_row *row)
{
    return row->l3_len >= row->own_len;
}

static inline uint32_t
packet_row_pseudo(const struct packet_row *row)
{
    return row->kind == HEADER_IP4_ICMP
               ? 0
               : row->address_sum + (row->own_len - row->l4_ofs);
}

/* The right checksum of a packet that was captured whole; the one there does
 * not matter. */
static inline uint16_t
packet_row_l4_sum(const struct packet_row *row, const uint8_t *ip)
{
    uint16_t behind = row->l4_sum_ofs + 2;
    uint32_t sum =
        packet_row_pseudo(row) +
        packet_row_sum(ip + row->l4_ofs, row->l4_sum_ofs - row->l4_ofs) +
        packet_row_sum(ip + behind, row->own_len - behind);
    uint16_t folded = (uint16_t) ~packet_row_fold(sum);

    return !folded &&
                   (row->kind == HEADER_IP4_UDP || row->kind == HEADER_IP6_UDP)
               ? 0xffff
               : folded;
}

/* The checksum expected, where 'right' is packet_row_l4_sum() of a whole
 * packet. */
static inline uint16_t
packet_row_expect_l4(const struct packet_row *row, uint16_t right)
{
    if (row->l4_mode == ROW_L4_FULL) {
        return packet_row_is_whole(row) ? packet_row_add(right, row->l4_diff)
                                        : 0;
    }
    return row->l4_mode == ROW_L4_PSEUDO
               ? packet_row_fold(packet_row_pseudo(row))
               : 0;
}

static inline void
packet_row_learn_l4(struct packet_row *row, uint16_t right, uint16_t sum)
{
    if (!sum) {
        row->l4_mode = ROW_L4_ZERO;
    } else if (sum == packet_row_fold(packet_row_pseudo(row))) {
        row->l4_mode = ROW_L4_PSEUDO;
    } else {
        row->l4_mode = ROW_L4_FULL;
        if (packet_row_is_whole(row)) {
            row->l4_diff = packet_row_diff(right, sum);
        }
    }
}

/* Ends the row. */
static inline void
packet_row_end(struct packet_row *row)
{
    row->is_first = false;
    if (row->kind == HEADER_IP4_TCP || row->kind == HEADER_IP6_TCP) {
        uint32_t flags = row->previous[ROW_FLAGS];
        uint32_t header = row->l4_ofs + (flags >> 12) * 4;

        row->seq_step = (row->own_len > header ? row->own_len - header : 0) +
                        (flags & 1) + (flags >> 1 & 1); /* FIN, SYN. */
    }
}

#endif /* lib/packet_row.h */
