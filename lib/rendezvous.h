/* SPDX-License-Identifier: Apache-2.0 */
/* rendezvous - which server of many a shard belongs to, by highest random
 * weight (Thaler and Ravishankar, 1998); so too where the postcards of a
 * switch go.
 *
 * Everybody who knows the same names comes to the same answer.  When a server
 * comes it takes its share from all others, when one goes its shards are
 * spread over all that stay, and no other shard moves.
 *
 * Threads: any. */
#ifndef LIB_RENDEZVOUS_H
#define LIB_RENDEZVOUS_H 1

#include <stddef.h>
#include <stdint.h>

/* The weight of a server for a shard; that of the highest weight has it. */
uint64_t rendezvous_weight(const char *server, uint64_t shard);

/* The index of the server of 'shard' among 'n' names, which may be in any
 * order; SIZE_MAX: there are none. */
size_t rendezvous_owner(const char *const names[], size_t n, uint64_t shard);

/* The indexes of the 'k' servers of the highest weights, that of the highest
 * first; returns how many, which is less when there are less. */
size_t rendezvous_owners(const char *const names[], size_t n, uint64_t shard,
                         size_t owners[], size_t k);

#endif /* lib/rendezvous.h */
