/* SPDX-License-Identifier: Apache-2.0 */
/* block_index_impl - what block_index.c and block_index_maker.c share.
 *
 * Threads: pure functions. */
#ifndef LIB_BLOCK_INDEX_IMPL_H
#define LIB_BLOCK_INDEX_IMPL_H 1

#include <stddef.h>
#include <stdint.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/block_index.h"

#define BLOCK_INDEX_LINE   64 /* Bytes. */
#define BLOCK_INDEX_PROBES 6
/* Bits for each item. */
#define BLOCK_INDEX_MAX_BITS 10
#define BLOCK_INDEX_MIN_BITS 6

/* Parts of a key that are items. */
enum block_index_part {
    BLOCK_INDEX_FIRST_PART = 16,
    BLOCK_INDEX_SRC = BLOCK_INDEX_FIRST_PART,
    BLOCK_INDEX_DST,
    BLOCK_INDEX_PAIR,
    BLOCK_INDEX_FLOW,
    BLOCK_INDEX_SRC_PORT,
    BLOCK_INDEX_DST_PORT,
    N_BLOCK_INDEX_PARTS = BLOCK_INDEX_DST_PORT - BLOCK_INDEX_FIRST_PART + 1
};

static inline enum block_index_class
block_index_class_of(enum block_index_part part)
{
    switch (part) {
    case BLOCK_INDEX_SRC:
    case BLOCK_INDEX_DST:
        return BLOCK_INDEX_ADDRS;
    case BLOCK_INDEX_PAIR:
        return BLOCK_INDEX_PAIRS;
    case BLOCK_INDEX_FLOW:
        return BLOCK_INDEX_FLOWS;
    case BLOCK_INDEX_SRC_PORT:
    case BLOCK_INDEX_DST_PORT:
    case N_BLOCK_INDEX_PARTS:
        break;
    }
    return BLOCK_INDEX_PORTS;
}

/* Bytes of a key. */
struct block_index_span {
    uint8_t at, len;
};

/* Where the part is in keys of that kind; none of what it does not have. */
static inline struct block_index_span
block_index_span(enum block_index_part part, enum header_kind kind)
{
    uint8_t n_addr = kind == HEADER_TYPE                              ? 0
                     : header_kind_is_ip4(kind) || kind > HEADER_TYPE ? 4
                                                                      : 16;
    uint8_t n_ports = kind == HEADER_IP4_OTHER || kind == HEADER_IP6_OTHER ||
                              kind >= N_HEADER_KINDS
                          ? 0
                      : kind == HEADER_IP4_ICMP || kind == HEADER_IP6_ICMP ? 2
                                                                           : 4;
    uint8_t ports = (uint8_t) (2 * n_addr);

    switch (part) {
    case BLOCK_INDEX_SRC:
        return (struct block_index_span){0, n_addr};
    case BLOCK_INDEX_DST:
        return (struct block_index_span){n_addr, n_addr};
    case BLOCK_INDEX_PAIR:
        return (struct block_index_span){0, ports};
    case BLOCK_INDEX_FLOW:
        return (struct block_index_span){0, (uint8_t) (ports + n_ports)};
    case BLOCK_INDEX_SRC_PORT:
        return (struct block_index_span){ports, n_ports / 2};
    case BLOCK_INDEX_DST_PORT:
        return (struct block_index_span){(uint8_t) (ports + n_ports / 2),
                                         n_ports / 2};
    case N_BLOCK_INDEX_PARTS:
        break;
    }
    return (struct block_index_span){0, 0};
}

uint64_t block_index_hop_item(enum block_index_hop, uint64_t dpid,
                              uint32_t value);
uint64_t block_index_key_item(enum block_index_part, enum header_kind,
                              const struct flow_key *);
void block_index_put_item(uint8_t *lines, size_t n_lines, uint64_t item);
/* Appends all but the lines. */
void block_index_put_head(const struct block_index *, struct byte_buf *out);

#endif /* lib/block_index_impl.h */
