/* SPDX-License-Identifier: Apache-2.0 */
/* random_history - histories for tests: every member takes every kind of
 * value, from a seed.
 *
 * Threads: plain data. */
#ifndef TESTS_LIB_RANDOM_HISTORY_H
#define TESTS_LIB_RANDOM_HISTORY_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/history.h"

/* Sets '*seed' to the next of its sequence and returns 32 random bits. */
uint32_t random_u32(uint64_t *seed);

/* A new history of 0 to 'max_hops' hops around 'time_ns'. */
struct history *random_history(uint64_t *seed, size_t max_hops,
                               uint64_t time_ns);

/* A plain delivered history: 'n_hops' hops from switch 1 on, the first at
 * 'time_ns', with 'header_len' bytes each. */
struct history *line_history(uint64_t packet_id, size_t n_hops,
                             uint64_t time_ns, size_t header_len);

/* Whether every member is equal; prints the first that is not. */
bool history_is_same(const struct history *, const struct history *);

#endif /* tests/lib/random_history.h */
