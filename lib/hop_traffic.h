/* SPDX-License-Identifier: Apache-2.0 */
/* hop_traffic - what a packet put on the links of a hop: the ports that it
 * went out by, and the length of its frame before and after.
 *
 * A frame counts as long as its IP or ARP packet and what stands before it
 * there say: no padding, no frame check sequence.  Of other protocols what was
 * captured counts.
 *
 * Threads: pure functions; a list of ports is its caller's. */
#ifndef LIB_HOP_TRAFFIC_H
#define LIB_HOP_TRAFFIC_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/history.h"

struct hop_ports {
    size_t n, allocated;
    uint32_t *ports; /* Owned; for free(). */
};

/* Sets '*sent' to the ports that a packet is known to have left the hop by, in
 * the order of its outputs: of FLOOD, ALL and NORMAL those that the next hops
 * prove; neither the controller nor an output that was dropped. */
void hop_traffic_ports(const struct history_hop *, struct hop_ports *sent);
/* Bytes of the frame as it came into hop 'i', or as it went out; 0 when no
 * header tells. */
uint32_t hop_traffic_bytes(const struct history *, size_t i, bool is_in);

#endif /* lib/hop_traffic.h */
