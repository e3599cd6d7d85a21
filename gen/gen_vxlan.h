/* SPDX-License-Identifier: Apache-2.0 */
/* gen_vxlan - the tunnel's packet around a packet (RFC 7348).
 *
 * Threads: pure functions. */
#ifndef GEN_GEN_VXLAN_H
#define GEN_GEN_VXLAN_H 1

#include "gen/gen_walk.h"

#define GEN_VXLAN_LEN 50 /* Ethernet, IPv4, UDP and VXLAN headers. */

/* Writes the packet that carries the one of 'walk', as it leaves its first
 * switch 'from', into 'out' (at least 'max' + GEN_VXLAN_LEN bytes); returns
 * its length, at most 'max'. */
size_t gen_vxlan_write(const struct gen_walk *walk,
                       const struct topology_switch *from, size_t max,
                       uint8_t *out);

#endif /* gen/gen_vxlan.h */
