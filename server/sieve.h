/* SPDX-License-Identifier: Apache-2.0 */
/* sieve - whose share received packets surely are.
 *
 * Whoever hands packets to several threads looks at all of them: for postcards
 * as switches send them, of TCP and UDP packets over IPv4, it reads what it
 * needs in a few words and hardly branches; those of IPv6, tagged and ICMP
 * packets it takes apart.  Of everything else it is not sure; ingest tells.
 *
 * Threads: pure functions. */
#ifndef SERVER_SIEVE_H
#define SERVER_SIEVE_H 1

#include <stdint.h>

#include "server/ingest.h"

/* Of a packet that may be anybody's, and may have another inside. */
#define SIEVE_ANY UINT32_MAX

struct sieve {
    uint32_t n_shares;
    uint32_t id_bytes; /* Of a packet that its ID is of. */
};

/* The only share for which there is something to take of the packet, which is
 * a postcard then and whose packet has no other inside; or SIEVE_ANY. */
uint32_t sieve_share(const struct sieve *, const struct ingest_packet *);

#endif /* server/sieve.h */
