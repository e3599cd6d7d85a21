/* SPDX-License-Identifier: Apache-2.0 */
/* postcard_mac - postcards in the destination MAC, both ways.
 *
 * For switches without tunnels: a truncated copy of the packet, in a VLAN of
 * its own, whose destination MAC carries the low 24 bits of the version, the
 * output port and a 12-bit switch index (docs/formats/postcard-mac.md).
 *
 * Decoding takes the postcard's tag off, so that the packet is as the switch
 * saw it, but for its destination MAC, which is lost: it is all zeros, an
 * address no packet goes to, and texts leave it out.
 *
 * Threads: pure functions. */
#ifndef LIB_POSTCARD_MAC_H
#define LIB_POSTCARD_MAC_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/postcard.h"

#define POSTCARD_MAC_VERSION_BITS 24
#define POSTCARD_MAC_MAX_INDEX    4095 /* Switch indexes are 1 to this. */
#define POSTCARD_MAC_MAX_PORT                                                 \
    4079                        /* The highest port written as itself;        \
                                 * above are the reserved ones. */
#define POSTCARD_MAC_OVERHEAD 4 /* What encoding adds. */

struct postcard_mac_config {
    uint16_t vlan; /* VLAN ID of postcards. */
    /* The switch that has 'index'; false when there is none. */
    bool (*find_switch)(void *aux, uint16_t index, uint64_t *dpid);
    /* The port that a switch with ports above POSTCARD_MAC_MAX_PORT writes as
     * 'code'; false when it means itself.  May be NULL. */
    bool (*find_port)(void *aux, uint64_t dpid, uint16_t code, uint32_t *port);
    void *aux;
};

/* Decodes the 'len' bytes at 'data', which begin with an Ethernet header, into
 * '*p', whose 'header' then points to a copy in 'buf' ('size' bytes; what does
 * not fit is cut).  in_port is OF_PORT_UNKNOWN and version_bits
 * POSTCARD_MAC_VERSION_BITS; 'time_ns' is left alone, 'packet_id' is 0 and
 * 'has_id' false.  Unless the result is POSTCARD_OK, '*p' is not touched.
 * Frames that are not tagged with the postcard VLAN are POSTCARD_OTHER. */
enum postcard_result postcard_mac_decode(const struct postcard_mac_config *,
                                         const uint8_t *data, size_t len,
                                         uint8_t *buf, size_t size,
                                         struct postcard *p);

/* Writes the postcard with the low 24 bits of its version as a frame of the
 * switch with 'index' in 'vlan'.  'port_code' is as postcard_mac_port_code()
 * gives, or the code published for a higher port.  Returns how many bytes, 0
 * when 'size' is less than p->caplen + POSTCARD_MAC_OVERHEAD or p->caplen less
 * than an Ethernet header. */
size_t postcard_mac_encode(const struct postcard *p, uint16_t vlan,
                           uint16_t index, uint16_t port_code, uint8_t *out,
                           size_t size);

/* The 12 bits that stand for 'port': itself up to POSTCARD_MAC_MAX_PORT, 4080
 * up for OF_PORT_GROUP (4080) and the reserved ports 0xfff1 to 0xffff.  False
 * for any other, which needs a published code. */
bool postcard_mac_port_code(uint32_t port, uint16_t *code);

/* The destination MAC that a switch has to write. */
void postcard_mac_address(uint32_t version, uint16_t port_code, uint16_t index,
                          uint8_t mac[6]);

#endif /* lib/postcard_mac.h */
