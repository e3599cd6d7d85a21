/* SPDX-License-Identifier: Apache-2.0 */
/* gen_packet - a packet before it enters the network, from a trace or made up.
 *
 * Ownership: `data` is borrowed from its source until the next packet.
 *
 * Threads: plain data. */
#ifndef GEN_GEN_PACKET_H
#define GEN_GEN_PACKET_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gen_packet {
    uint64_t time_ns;
    uint32_t len; /* Bytes at 'data', from the Ethernet header on. */
    const uint8_t *data;
    uint64_t src_hash, dst_hash; /* Of its addresses; */
    uint64_t flow_hash;          /* and of the whole 5-tuple. */
    bool is_ip;                  /* Its TTL can be taken from. */
    bool is_ip4;
};

/* Sets all but 'time_ns', 'len' and 'data' from these. */
void gen_packet_classify(struct gen_packet *, uint64_t seed);

#endif /* gen/gen_packet.h */
