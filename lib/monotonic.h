/* SPDX-License-Identifier: Apache-2.0 */
/* monotonic - the clock for deadlines: it only goes forward, and says nothing
 * of the time of day.
 *
 * Threads: any. */
#ifndef LIB_MONOTONIC_H
#define LIB_MONOTONIC_H 1

#include <stdint.h>
#include <time.h>

static inline uint64_t
monotonic_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000000000u + (uint64_t) ts.tv_nsec;
}

static inline int64_t
monotonic_ms(void)
{
    return (int64_t) (monotonic_ns() / 1000000u);
}

#endif /* lib/monotonic.h */
