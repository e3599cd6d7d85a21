/* SPDX-License-Identifier: Apache-2.0 */
/* card_batch_impl - what the two sides of card_batch share: sections, what is
 * told of a postcard, and what is expected.
 *
 * docs/formats/cluster.md is the format.  Included by card_batch*.c only.
 *
 * Threads: plain data. */
#ifndef LIB_CARD_BATCH_IMPL_H
#define LIB_CARD_BATCH_IMPL_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/card_batch.h"
#include "lib/card_marks.h"
#include "lib/packet_row.h"

/* Sections below are those of packet_row.h. */
enum card_section {
    CARD_MARKS = N_COLUMNS, /* What postcards say but time and header. */
    CARD_VISITS,            /* Whole visits of these. */
    CARD_FLOW,              /* Of each flow kind and l3_ofs ... */
    CARD_FLOW_COLD,         /* ... and constant bytes, as flow_bytes. */
    CARD_FLOW_SRC,
    CARD_FLOW_DST,
    CARD_FLOW_PORTS,
    CARD_OP,
    CARD_MARK,     /* Marks that were not expected, */
    CARD_WHICH,    /* packets, how many back, */
    CARD_WHOSE,    /* flows of new packets, how many back. */
    CARD_TIME_NEW, /* Classes of differences, of new packets ... */
    CARD_TIME_HOP, /* ... and of later hops, */
    CARD_TIME_BITS,
    CARD_EDIT, /* How the header of a later hop differs. */
    CARD_PLAIN_LEN,
    CARD_PLAIN, /* Whole headers. */
    CARD_ID,    /* Packet IDs that are not the header's. */
    CARD_INNER, /* Notes of tunnels. */
    /* From version 2 on, in place of CARD_FLOW and CARD_FLOW_COLD: */
    CARD_FORMS, /* Kinds of headers, */
    CARD_FORM,  /* of each flow which, */
    CARD_L2S,   /* what is before an IP header, */
    CARD_L2,    /* of each flow which; */
    /* in place of COLUMN_CONTROL and the flags of flows' first packets: */
    CARD_FIRSTS, /* What of these is told, */
    CARD_FIRST,  /* of each flow. */
    N_CARD_SECTIONS
};

/* What a postcard tells, in its byte of CARD_OP. */
#define CARD_TYPE      0x03u
#define CARD_SAME      0x00u /* Of the packet of the postcard before, */
#define CARD_OTHER     0x01u /* of another that was met, */
#define CARD_NEW       0x02u /* of a new one: a row of its flow, */
#define CARD_NEW_PLAIN 0x03u /* or one that is not split. */
/* 0x0c: CARD_MARK_BITS. */
#define CARD_HOP_BITS  0x30u /* Behind the Ethernet header and tags: */
#define CARD_HOP_TTL   0x00u /* TTL one less, checksum corrected, */
#define CARD_HOP_EQUAL 0x10u /* nothing differs, */
#define CARD_HOP_TOLD  0x20u /* or that is told. */
#define CARD_L2_MARK   0x40u /* These are of the mark's last packet. */
#define CARD_HAS_ID    0x80u /* The packet ID is told. */

/* First byte of what CARD_EDIT tells; what follows has this order. */
#define EDIT_L2     0x01u /* New bytes before the IP header: length, bytes. */
#define EDIT_TTL    0x02u /* TTL one less. */
#define EDIT_CAPLEN 0x04u /* Captured length. */
#define EDIT_PATCH                                                            \
    0x08u /* How many; of each bytes skipped, length, bytes.                  \
           */
#define EDIT_BITS 0x0fu

/* The longest stack of tags and labels that is split, and the longest header
 * with its fixed L4 header. */
#define CARD_MAX_L3     58
#define CARD_MAX_L4     20
#define CARD_MAX_HEADER 128

#define CARD_NONE UINT16_MAX

/* A packet that was met, as it was at its last hop. */
struct card_packet {
    uint64_t id;     /* Told, or the header's. */
    uint64_t key_id; /* Writer: where it is found. */
    uint64_t time_ns;
    const uint8_t *header;
    uint16_t caplen, mark;
    uint16_t l3_ofs; /* All before is L2; 0: is not known. */
    uint8_t ip;      /* 4, 6; 0: is not known. */
    bool has_id;
};

/* Notes where the packet's IP header is, with as much of it as needed. */
static inline void
card_packet_set_l3(struct card_packet *packet, uint16_t l3_ofs, bool is_ip4,
                   bool is_ip6)
{
    bool is_there = (is_ip4 && packet->caplen >= l3_ofs + 20u) ||
                    (is_ip6 && packet->caplen >= l3_ofs + 40u);

    packet->l3_ofs = is_there ? l3_ofs : 0;
    packet->ip = !is_there ? 0 : is_ip4 ? 4 : 6;
}

/* The same of a header that is not split. */
static inline void
card_packet_parse(struct card_packet *packet, struct hdr *h)
{
    hdr_parse(packet->header, packet->caplen, h);
    card_packet_set_l3(packet, h->l3_ofs, h->is_ip4 && h->l3_ofs,
                       h->is_ip6 && h->l3_ofs);
}

/* Names the packet by its header; 'split' NULL: it is not split, then 'h' is
 * what card_packet_parse() found. */
static inline void
card_packet_name(struct card_packet *packet,
                 const struct packet_id_config *config,
                 const struct header_split *split, struct hdr *h)
{
    packet->has_id = true;
    if (split) {
        if (packet_id_of_split_apart(config, packet->header, packet->caplen,
                                     split, &packet->id)) {
            return;
        }
        hdr_parse(packet->header, packet->caplen, h);
    }
    packet->has_id = packet_id(config, packet->header, packet->caplen, h,
                               &packet->id) != PACKET_ID_SHORT;
}

/* Whether the first 'len' bytes of an IP header have all that
 * card_ttl_step() looks at: of a packet's later hop less may be captured. */
static inline bool
card_has_ttl(unsigned int version, size_t len)
{
    return version == 4 ? len >= 12 : version == 6 && len >= 8;
}

/* The checksum of an IPv4 header whose TTL becomes one less. */
static inline uint16_t
card_ttl_sum(const uint8_t *ip)
{
    uint16_t word = bytes_be16(ip + 8);

    return packet_row_add(bytes_be16(ip + 10),
                          packet_row_diff((uint16_t) (word - 0x100), word));
}

/* Makes the TTL one less; where card_has_ttl(). */
static inline void
card_ttl_step(uint8_t *ip, unsigned int version)
{
    if (version == 4) {
        bytes_put_be16(ip + 10, card_ttl_sum(ip));
        ip[8]--;
    } else if (version == 6) {
        ip[7]--;
    }
}

#endif /* lib/card_batch_impl.h */
