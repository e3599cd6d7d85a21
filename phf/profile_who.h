/* SPDX-License-Identifier: Apache-2.0 */
/* profile_who - who sent a packet, as far as a profile asks.
 *
 * Threads: plain data; any may call. */
#ifndef PHF_PROFILE_WHO_H
#define PHF_PROFILE_WHO_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/header_split.h"
#include "lib/history.h"
#include "phf/profile_block.h"

/* Addresses and ports of a packet, before it is known which are asked for.
 * They are borrowed. */
struct profile_who {
    uint16_t proto; /* Of IP; EtherType where there are MAC addresses; 0: not
                     * known. */
    uint8_t n_addr, n_ports;
    const uint8_t *src, *dst, *ports;
};

/* Fills in what the first 'n' levels ask for. */
void profile_who_key(const struct profile_ask *, size_t n,
                     const struct profile_who *, struct profile_key *);
/* The protocol of IP of headers of that kind; 0: it may be any. */
uint16_t profile_who_proto(enum header_kind);
/* Who sent it, of the first header there is; in 'ports' is what its ports then
 * point to. */
void profile_who_find(const struct history *, struct profile_who *,
                      uint8_t ports[4]);

#endif /* phf/profile_who.h */
