/* SPDX-License-Identifier: Apache-2.0 */
/* packet_who - who sent a packet to whom: addresses, protocol and ports, as
 * profiles tell them.
 *
 * Threads: plain data; any may call. */
#ifndef LIB_PACKET_WHO_H
#define LIB_PACKET_WHO_H 1

#include <stdint.h>

#include "lib/header_split.h"
#include "lib/history.h"

/* They are borrowed. */
struct packet_who {
    uint16_t proto;  /* Of IP; EtherType where there are MAC addresses; 0: not
                      * known. */
    uint8_t n_addr;  /* Bytes of each address: 4, 6 (MAC), 16; 0: none. */
    uint8_t n_ports; /* Bytes: 4; 2 of ICMP's type and code; 0: none. */
    const uint8_t *src, *dst, *ports;
};

/* The protocol of IP of headers of that kind; 0: it may be any. */
uint16_t packet_who_proto(enum header_kind);
/* Who sent it, of the first header there is; in 'ports' is what its ports then
 * point to. */
void packet_who_find(const struct history *, struct packet_who *,
                     uint8_t ports[4]);

#endif /* lib/packet_who.h */
