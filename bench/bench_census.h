/* SPDX-License-Identifier: Apache-2.0 */
/* bench_census - the histories of archives, to be held against those of
 * others.
 *
 * Threads: one. */
#ifndef BENCH_BENCH_CENSUS_H
#define BENCH_BENCH_CENSUS_H 1

#include <stddef.h>
#include <stdint.h>

struct census_hash {
    uint64_t high, low;
};

struct bench_census {
    struct census_hash *hashes; /* Of each history.  Owned. */
    size_t n, allocated;
    uint64_t n_cards; /* Postcards of their hops, where each output of a hop
                       * came by one of its own. */
};

/* Adds all histories of the archive in that directory; ends the process if it
 * cannot be read, or is damaged. */
void bench_census_add(struct bench_census *, const char *dir);
void bench_census_uninit(struct bench_census *);

/* How many histories of 'a' are not in 'b', to the last bit; sorts both. */
uint64_t bench_census_missing(struct bench_census *a, struct bench_census *b);

#endif /* bench/bench_census.h */
