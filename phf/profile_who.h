/* SPDX-License-Identifier: Apache-2.0 */
/* profile_who - who sent a packet, as far as a profile asks.
 *
 * Threads: plain data; any may call. */
#ifndef PHF_PROFILE_WHO_H
#define PHF_PROFILE_WHO_H 1

#include <stddef.h>

#include "lib/packet_who.h"
#include "phf/profile_block.h"

/* Fills in what the first 'n' levels ask for. */
void profile_who_key(const struct profile_ask *, size_t n,
                     const struct packet_who *, struct profile_key *);

#endif /* phf/profile_who.h */
