/* SPDX-License-Identifier: Apache-2.0 */
/* sieve - which of many received packets are surely another share's.
 *
 * Several threads look at all packets, so this look is what each costs all of
 * them: for postcards as switches send them, of TCP and UDP packets over IPv4,
 * it reads what it needs in a few words and hardly branches.  Of everything
 * else it is not sure; ingest tells.
 *
 * Threads: pure functions. */
#ifndef SERVER_SIEVE_H
#define SERVER_SIEVE_H 1

#include <stddef.h>
#include <stdint.h>

#include "server/ingest.h"

struct sieve {
    uint32_t n_shares, share;
    uint32_t id_bytes; /* Of a packet that its ID is of. */
};

/* Moves what may be of the share to the front, in order, and returns how many
 * these are.  Of the rest there is nothing to take: they are postcards whose
 * packets are of other shares and have no other inside. */
size_t sieve_run(const struct sieve *, struct ingest_packet *, size_t n);

#endif /* server/sieve.h */
