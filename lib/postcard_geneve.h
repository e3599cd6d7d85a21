/* SPDX-License-Identifier: Apache-2.0 */
/* postcard_geneve - postcards inside Geneve packets, both ways.
 *
 * The switch sends a copy of the packet in a Geneve tunnel (RFC 8926) to UDP
 * port 6081, with a 20-byte option that says what it met
 * (docs/formats/postcard-geneve.md).  A UDP socket hands over what begins with
 * the Geneve header; a capture hands over the whole frame.
 *
 * Threads: pure functions. */
#ifndef LIB_POSTCARD_GENEVE_H
#define LIB_POSTCARD_GENEVE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/hdr.h"
#include "lib/postcard.h"

#define POSTCARD_GENEVE_PORT   6081
#define POSTCARD_GENEVE_CLASS  0xff4c
#define POSTCARD_GENEVE_TYPE   1
#define POSTCARD_GENEVE_LEN    20 /* Of the option's body. */
#define POSTCARD_GENEVE_FORMAT 1

/* Geneve header and our option, and with the outer Ethernet, IPv4 and UDP
 * headers: what encoding adds to the copied packet. */
#define POSTCARD_GENEVE_OVERHEAD       (8 + 4 + POSTCARD_GENEVE_LEN)
#define POSTCARD_GENEVE_FRAME_OVERHEAD (14 + 20 + 8 + POSTCARD_GENEVE_OVERHEAD)

/* Decodes the 'len' bytes at 'data', which begin with a Geneve header, into
 * '*p', whose 'header' then points into 'data'.  'time_ns' is left alone;
 * 'packet_id' is 0 and 'has_id' false.  Unless the result is POSTCARD_OK,
 * '*p' is not touched.  An in_port of NONE becomes OF_PORT_UNKNOWN. */
enum postcard_result postcard_geneve_decode(const uint8_t *data, size_t len,
                                            struct postcard *p);

/* The same for a captured frame that begins with its Ethernet header.
 * '*outer' gets the outer headers, for the sender's address; it is set
 * whatever the result. */
enum postcard_result postcard_geneve_decode_frame(const uint8_t *data,
                                                  size_t len,
                                                  struct hdr *outer,
                                                  struct postcard *p);

/* The quick way for what switches send: the same two for a Geneve header of
 * version 0 with our option alone, in a frame without tags, IPv4 options and
 * fragments.  True: exactly what the functions above give with POSTCARD_OK,
 * and '*ip_src' points at the sender's 4 bytes.  False: it is something else,
 * which may well be a postcard, for those to judge; nothing is touched. */
bool postcard_geneve_decode_plain(const uint8_t *data, size_t len,
                                  struct postcard *p);
bool postcard_geneve_decode_plain_frame(const uint8_t *data, size_t len,
                                        const uint8_t **ip_src,
                                        struct postcard *p);

/* Writes the Geneve header with our option and the copied packet into 'out'.
 * Returns how many bytes, 0 when 'size' is less than p->caplen +
 * POSTCARD_GENEVE_OVERHEAD. */
size_t postcard_geneve_encode(const struct postcard *p, uint8_t *out,
                              size_t size);

/* Where a whole frame goes.  Addresses and ports in host byte order. */
struct postcard_geneve_path {
    uint8_t eth_src[6], eth_dst[6];
    uint32_t ip_src, ip_dst;
    uint16_t udp_src;
};

/* Writes a whole frame, with no UDP checksum, as Open vSwitch sends it.
 * Returns how many bytes, 0 when 'size' is less than p->caplen +
 * POSTCARD_GENEVE_FRAME_OVERHEAD. */
size_t postcard_geneve_encode_frame(const struct postcard *p,
                                    const struct postcard_geneve_path *path,
                                    uint8_t *out, size_t size);

#endif /* lib/postcard_geneve.h */
