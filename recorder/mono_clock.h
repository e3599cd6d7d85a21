/* SPDX-License-Identifier: Apache-2.0 */
/* mono_clock - a clock that does not jump, for what is measured and waited
 * for.  What people see is timed by time_spec_now().
 *
 * Threads: any. */
#ifndef RECORDER_MONO_CLOCK_H
#define RECORDER_MONO_CLOCK_H 1

#include <stdint.h>
#include <time.h>

static inline uint64_t
mono_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * UINT64_C(1000000000) +
           (uint64_t) now.tv_nsec;
}

#endif /* recorder/mono_clock.h */
