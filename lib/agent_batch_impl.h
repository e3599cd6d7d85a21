/* SPDX-License-Identifier: Apache-2.0 */
/* agent_batch_impl - what the two sides of agent_batch share: sections, flows,
 * and how the header of a packet's next hop follows from its first.
 *
 * docs/formats/agent.md is the format.  Included by agent_batch*.c only.
 *
 * Threads: plain data. */
#ifndef LIB_AGENT_BATCH_IMPL_H
#define LIB_AGENT_BATCH_IMPL_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/agent_batch.h"
#include "lib/packet_row.h"

#define BATCH_VERSION 1

/* Sections below are those of packet_row.h. */
enum batch_section {
    BATCH_TEMPLATES = N_COLUMNS,
    BATCH_FLOW_TEMPLATE, /* Of each flow its template, kind and l3_ofs ... */
    BATCH_FLOW_COLD,     /* ... and constant bytes, as struct flow_bytes. */
    BATCH_FLOW_SRC,
    BATCH_FLOW_DST,
    BATCH_FLOW_PORTS,
    BATCH_OP,
    BATCH_TIME,      /* Classes of differences ... */
    BATCH_TIME_BITS, /* ... and their bits. */
    BATCH_FLOW,      /* Flows and templates that were not expected ... */
    BATCH_REF,       /* ... packets ... */
    BATCH_LEN,       /* ... lengths on the wire ... */
    BATCH_CAPLEN,    /* ... captured lengths ... */
    BATCH_SUM,       /* ... and checksums. */
    BATCH_KIND,      /* Reasons of AGENT_POSTCARD_DROPPED. */
    BATCH_EXTRA,     /* Captured at a later hop and not at the first. */
    BATCH_PLAIN_LEN,
    BATCH_PLAIN, /* Whole headers. */
    N_BATCH_SECTIONS
};

/* What a postcard tells, in its byte of BATCH_OP. */
#define OP_TYPE    0x03u
#define OP_NEW     0x00u /* A packet that was not met before ... */
#define OP_REF     0x01u /* ... or was: by its number among those. */
#define OP_PLAIN   0x02u /* A packet that is not split ... */
#define OP_SAME    0x03u /* ... or one that was met, byte by byte. */
#define OP_FLOW    0x04u /* What follows was not expected: flow/template, */
#define OP_WHICH   0x08u /* packet, */
#define OP_LEN     0x10u /* length, */
#define OP_DROPPED 0x20u
#define OP_SUM     0x40u /* checksums, */
#define OP_CAPLEN  0x80u /* captured length. */

/* l3_ofs of the longest stack of tags and labels that is split, and the
 * longest header with its fixed L4 header. */
#define BATCH_MAX_L3     58
#define BATCH_MAX_HEADER 128
#define BATCH_MIN_WIRE   60

/* A flow, seen at one hop: packets with the same template and constant
 * bytes. */
struct batch_flow {
    uint32_t template_no;
    uint32_t after_new; /* The flow of the packet that came new after one of
                         * this; UINT32_MAX: none did. */
    uint32_t after_hop; /* That of its next hop. */
    uint16_t kind;      /* enum header_kind. */
    uint16_t l3_ofs, tail_ofs;
    uint16_t ip_sum, l4_sum; /* Of constant words, folded. */
    bool has_row;
    uint64_t hash; /* Writer only. */
    struct packet_row row;
    uint8_t constant[BATCH_MAX_HEADER]; /* tail_ofs bytes, 0 what varies. */
};

/* A packet that was met. */
struct batch_packet {
    const uint8_t *header;
    uint32_t flow; /* Of its last hop so far. */
    uint16_t caplen;
    uint16_t kind;
    uint16_t l3_ofs;
};

/* Sets what follows from kind, l3_ofs and constant. */
static inline void
batch_flow_init(struct batch_flow *f)
{
    const uint8_t *ip = f->constant + f->l3_ofs;
    enum header_kind kind = (enum header_kind) f->kind;
    bool is_ip4 = header_kind_is_ip4(kind);
    bool is_icmp = kind == HEADER_IP4_ICMP || kind == HEADER_IP6_ICMP;
    uint16_t l3_len = is_ip4 ? 20 : 40;
    uint32_t sum = 0;

    f->tail_ofs = (uint16_t) (f->l3_ofs + header_kind_fixed_len(kind));
    f->after_new = f->after_hop = UINT32_MAX;
    f->has_row = false;
    f->ip_sum = 0;
    f->l4_sum = 0;
    if (is_ip4) {
        f->ip_sum = packet_row_fold(packet_row_sum(ip, 20));
    }
    if (header_kind_l4_sum_ofs(kind)) {
        if (kind != HEADER_IP4_ICMP) {
            sum = is_ip4 ? packet_row_sum(ip + 12, 8)
                         : packet_row_sum(ip + 8, 32);
        }
        sum += packet_row_sum(ip + l3_len, is_icmp ? 2 : 4);
        f->l4_sum = packet_row_fold(sum);
    }
}

/* The row of new packets of the flow, begun when the first comes. */
static inline struct packet_row *
batch_flow_row(struct batch_flow *f)
{
    if (!f->has_row) {
        f->has_row = true;
        packet_row_begin(&f->row, (enum header_kind) f->kind, f->l3_ofs,
                         f->constant + f->l3_ofs);
    }
    return &f->row;
}

/* The packet's own length from its IP header on. */
static inline uint32_t
batch_own_len(enum header_kind kind, const uint8_t *ip)
{
    return header_kind_is_ip4(kind) ? bytes_be16(ip + 2)
                                    : 40u + bytes_be16(ip + 4);
}

/* Expected lengths, on the wire and captured. */
static inline uint32_t
batch_expect_len(const struct row_block *block, uint16_t l3_ofs,
                 uint32_t own_len)
{
    uint32_t len = l3_ofs + own_len;

    return len < BATCH_MIN_WIRE && block->is_padded ? BATCH_MIN_WIRE : len;
}

static inline uint32_t
batch_expect_caplen(const struct row_block *block, uint16_t l3_ofs,
                    uint32_t own_len)
{
    uint32_t len = batch_expect_len(block, l3_ofs, own_len);

    return len < block->snap ? len : block->snap;
}

/* What a checksum 'sum' becomes when constant words that add up to 'from' are
 * now 'to' (RFC 1624). */
static inline uint16_t
batch_adjust(uint16_t sum, uint16_t from, uint16_t to)
{
    return packet_row_add(sum, packet_row_diff(to, from));
}

/* Makes at 'header' the first 'caplen' bytes of packet 'p' as it is expected
 * in flow 'f', of the same kind; 'first' is the flow where it was met first.
 * Returns how many bytes stand there, at least f->tail_ofs and at most
 * 'caplen'; those behind were not captured at the first hop. */
static inline size_t
batch_make_hop(const struct batch_packet *p, const struct batch_flow *first,
               const struct batch_flow *f, size_t caplen, uint8_t *header)
{
    const uint8_t *ip = p->header + p->l3_ofs;
    enum header_kind kind = (enum header_kind) f->kind;
    uint16_t l4_ofs = header_kind_l4_sum_ofs(kind);
    size_t l3_len = (size_t) p->caplen - p->l3_ofs;
    size_t fixed = (size_t) f->tail_ofs - f->l3_ofs;

    if (l3_len > caplen - f->l3_ofs) {
        l3_len = caplen - f->l3_ofs;
    }
    memcpy(header, f->constant, f->tail_ofs);
    header_split_copy_varying(kind, ip, header + f->l3_ofs);
    memcpy(header + f->tail_ofs, ip + fixed, l3_len - fixed);
    ip = header + f->l3_ofs;
    if (f->ip_sum != first->ip_sum) {
        bytes_put_be16(
            header + f->l3_ofs + 10,
            batch_adjust(bytes_be16(ip + 10), first->ip_sum, f->ip_sum));
    }
    if (l4_ofs && f->l4_sum != first->l4_sum && bytes_be16(ip + l4_ofs)) {
        bytes_put_be16(
            header + f->l3_ofs + l4_ofs,
            batch_adjust(bytes_be16(ip + l4_ofs), first->l4_sum, f->l4_sum));
    }
    return f->l3_ofs + l3_len;
}

#endif /* lib/agent_batch_impl.h */
