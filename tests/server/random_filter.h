/* SPDX-License-Identifier: Apache-2.0 */
/* random_filter - filters by chance, of every kind of term, over the switches
 * of a network.
 *
 * Threads: plain data. */
#ifndef TESTS_SERVER_RANDOM_FILTER_H
#define TESTS_SERVER_RANDOM_FILTER_H 1

#include <stddef.h>

#include "gen/gen_random.h"
#include "lib/topology.h"

#define RANDOM_FILTER_MAX 2000

struct random_filter {
    char text[RANDOM_FILTER_MAX];
    size_t len;
};

/* Makes one that compiles. */
void random_filter(struct random_filter *, struct gen_random *,
                   const struct topology *);

#endif /* tests/server/random_filter.h */
