/* SPDX-License-Identifier: Apache-2.0 */
/* card_flows - the flows of the packets in a batch that is being written: each
 * one's constant bytes are told once, its packets then say which flow theirs
 * is.
 *
 * docs/formats/cluster.md is the format.  Used by card_batch.c only.
 *
 * Ownership: card_flows_init() to card_flows_uninit().
 *
 * Threads: plain data. */
#ifndef LIB_CARD_FLOWS_H
#define LIB_CARD_FLOWS_H 1

#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/header_split.h"
#include "lib/packet_row.h"

#define CARD_FLOWS_MAX     4096
#define CARD_FLOWS_BUCKETS (2 * CARD_FLOWS_MAX)
#define CARD_FLOW_WORDS    14 /* Of the longest constant header. */

struct card_known_flow {
    uint64_t hash;
    uint8_t kind, n_words; /* enum header_kind. */
    uint16_t l3_ofs;
    uint64_t words[CARD_FLOW_WORDS]; /* Constant bytes; some twice. */
    struct packet_row row;
};

struct card_flows {
    struct card_known_flow *flows; /* Owned. */
    uint32_t n;
    uint16_t buckets[CARD_FLOWS_BUCKETS]; /* Number + 1. */

    /* What is to be stored: of flows ... */
    struct byte_buf kinds, cold, sources, destinations, ports;
    struct byte_buf whose; /* ... and of packets. */
};

void card_flows_init(struct card_flows *);
void card_flows_uninit(struct card_flows *);
void card_flows_clear(struct card_flows *);

/* Tells which flow the packet at 'header' is of, which is a new one if need
 * be; returns what its packets so far lead to expect. */
struct packet_row *card_flows_tell(struct card_flows *, const uint8_t *header,
                                   const struct header_split *);

#endif /* lib/card_flows.h */
