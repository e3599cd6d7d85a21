/* SPDX-License-Identifier: Apache-2.0 */
/* packet_id - the 64-bit name that all hops of one packet share.
 *
 * XXH3-64 over the bytes of a packet that forwarding does not change, as
 * docs/formats/packet-id.md lists them.  The seed and the number of bytes are
 * constants of the cluster: every process that computes or compares IDs uses
 * the same.
 *
 * Threads: pure functions. */
#ifndef LIB_PACKET_ID_H
#define LIB_PACKET_ID_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/hdr.h"
#include "lib/header_split.h"

#define PACKET_ID_BYTES     70 /* I: at most so many bytes from the L3 start. */
#define PACKET_ID_SEED      0x6c617374686f70ULL /* "lasthop" */
#define PACKET_ID_OVERHEAD  26 /* Ethernet and three tags: S >= I + 26. */
#define PACKET_ID_SNAP      96 /* Default snap length S. */
#define PACKET_ID_MIN_BYTES 40 /* The smallest I: an IPv6 header. */
#define PACKET_ID_MAX_BYTES                                                   \
    1024                   /* The largest I; a larger one counts as it. */
#define PACKET_ID_EXTRA 16 /* Room beside I that the hashed bytes need. */

struct packet_id_config {
    uint64_t seed;
    uint16_t n_bytes; /* I, at least PACKET_ID_MIN_BYTES. */
};

#define PACKET_ID_CONFIG_INIT                                                 \
    {                                                                         \
        PACKET_ID_SEED, PACKET_ID_BYTES                                       \
    }

enum packet_id_result {
    PACKET_ID_OK,
    PACKET_ID_SHORT, /* Fewer bytes captured than the ID needs. */
    PACKET_ID_NO_L3  /* Malformed, or no L3 header we know: the ID is over
                      * the EtherType and the bytes after it, which forwarding
                      * leaves alone; '*idp' is set. */
};

/* Computes the packet ID of the 'len' captured bytes at 'data', parsed into
 * 'h' by hdr_parse() or hdr_parse_l3().  '*idp' is 0 for PACKET_ID_SHORT and
 * never 0 otherwise. */
enum packet_id_result packet_id(const struct packet_id_config *config,
                                const uint8_t *data, size_t len,
                                const struct hdr *h, uint64_t *idp);

/* The same, quicker, of most packets that header_split() splits.  False, and
 * nothing is set: ask packet_id(). */
bool packet_id_of_split(const struct packet_id_config *config,
                        const uint8_t *data, size_t len,
                        const struct header_split *, uint64_t *idp);
/* The same as a function of its own: the other one becomes part of its callers
 * when the server is linked, which are to be few. */
bool packet_id_of_split_apart(const struct packet_id_config *config,
                              const uint8_t *data, size_t len,
                              const struct header_split *, uint64_t *idp);

/* Writes into 'out' (at least config->n_bytes + PACKET_ID_EXTRA bytes) exactly
 * the bytes that are hashed, for tests and documents; returns how many, 0 if
 * short. */
size_t packet_id_bytes(const struct packet_id_config *config,
                       const uint8_t *data, size_t len, const struct hdr *h,
                       uint8_t *out);

/* A number that all hops of a packet share as they share its ID, but quicker:
 * of TCP, UDP and ICMP packets whose IP header, without options, extensions or
 * fragments, is at 'ip', with 'len' bytes captured from there on.  0: none of
 * these, or it has less than 20 (TCP), 16 or 8 (ICMP) bytes behind that header
 * that its ID is of, or is too short to have an ID. */
uint64_t packet_id_share(const struct packet_id_config *config,
                         const uint8_t *ip, size_t len, bool is_ip4);

/* The same of what goes into it: the total length and ID of an IPv4 or the own
 * length of an IPv6 packet; and eight bytes each, from the sequence number of
 * TCP on (and 'last' NULL), the first of ICMP, less the checksum (the same),
 * or the first and the last that the ID of a UDP packet has of its payload. */
static inline uint64_t
packet_id_mix_share(uint32_t lengths, const uint8_t *first,
                    const uint8_t *last)
{
    uint64_t key, more = 0;

    memcpy(&key, first, sizeof key);
    if (last) {
        memcpy(&more, last, sizeof more);
    }
    key = (key ^ more << 1 ^ lengths) * UINT64_C(0x9e3779b97f4a7c15);
    key ^= key >> 32;
    key *= UINT64_C(0xd6e8feb86659fd93);
    return key ? key : 1;
}

/* The ID of the packet inside the tunnel packet 'data' (hdr_inner()), 0 when
 * it is none or too little of it was captured. */
uint64_t packet_id_inner(const struct packet_id_config *config,
                         const uint8_t *data, size_t len);

#endif /* lib/packet_id.h */
