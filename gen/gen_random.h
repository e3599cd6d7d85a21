/* SPDX-License-Identifier: Apache-2.0 */
/* gen_random - numbers by chance that a seed gives again.
 *
 * splitmix64 (Steele, Lea, Flood 2014).  Nothing here depends on the machine,
 * so that a seed means the same everywhere.
 *
 * Threads: plain data. */
#ifndef GEN_GEN_RANDOM_H
#define GEN_GEN_RANDOM_H 1

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

struct gen_random {
    uint64_t state; /* Any value is a good seed. */
};

/* Shares are in parts of a million. */
#define GEN_RANDOM_ALL 1000000u

/* A number that depends on every bit of 'x'; the same for the same. */
static inline uint64_t
gen_random_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

static inline uint64_t
gen_random_next(struct gen_random *r)
{
    r->state += 0x9e3779b97f4a7c15ULL;
    return gen_random_mix(r->state);
}

/* 0 .. n - 1. */
static inline uint32_t
gen_random_pick(struct gen_random *r, uint32_t n)
{
    assert(n > 0);
    return (uint32_t) ((gen_random_next(r) >> 32) * n >> 32);
}

/* 0 .. n, for spans longer than 32 bits hold. */
static inline uint64_t
gen_random_span(struct gen_random *r, uint64_t n)
{
    return (uint64_t) ((unsigned __int128) gen_random_next(r) * (n + 1) >> 64);
}

/* True 'share' times of GEN_RANDOM_ALL. */
static inline bool
gen_random_chance(struct gen_random *r, uint32_t share)
{
    return share && gen_random_pick(r, GEN_RANDOM_ALL) < share;
}

#endif /* gen/gen_random.h */
