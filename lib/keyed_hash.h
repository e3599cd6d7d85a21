/* SPDX-License-Identifier: Apache-2.0 */
/* keyed_hash - where a number that others choose stands in a table of ours.
 *
 * Packet IDs, dpids and versions come from outside, and the seed of packet IDs
 * is the same for a whole cluster and known to many: who chooses them could
 * put all into one place.  The key is drawn at random when a table is made, so
 * that nobody outside knows which numbers meet.
 *
 * Threads: plain data. */
#ifndef LIB_KEYED_HASH_H
#define LIB_KEYED_HASH_H 1

#include <stdint.h>

struct keyed_hash {
    uint64_t key[2];
};

__extension__ typedef unsigned __int128 keyed_hash_wide;

/* A new key. */
struct keyed_hash keyed_hash_create(void);

/* All 64 bits are good. */
static inline uint64_t
keyed_hash_number(const struct keyed_hash *hash, uint64_t x)
{
    keyed_hash_wide product =
        (keyed_hash_wide) (x ^ hash->key[0]) * hash->key[1];

    return (uint64_t) product ^ (uint64_t) (product >> 64);
}

/* The same of two numbers. */
static inline uint64_t
keyed_hash_pair(const struct keyed_hash *hash, uint64_t x, uint64_t y)
{
    keyed_hash_wide product =
        (keyed_hash_wide) (x ^ hash->key[0]) * (y ^ hash->key[1]);

    return (uint64_t) product ^ (uint64_t) (product >> 64);
}

#endif /* lib/keyed_hash.h */
