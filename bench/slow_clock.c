/* SPDX-License-Identifier: Apache-2.0 */
/* slow_clock - the monotonic clock of one thread is what it is told. */
#include <config.h>
#include "bench/slow_clock.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define AHEAD_NS UINT64_C(86400000000000)

typedef int gettime_fn(clockid_t, struct timespec *);

static gettime_fn *real_gettime;
static __thread uint64_t is_ns; /* 0: what it really is. */

static gettime_fn *
find_real(void)
{
    /* ISO C has no cast from one to the other. */
    union {
        void *symbol;
        gettime_fn *function;
    } found = {.symbol = dlsym(RTLD_NEXT, "clock_gettime")};

    if (!found.symbol) {
        abort();
    }
    return found.function;
}

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
    if (!real_gettime) {
        real_gettime = find_real();
    }
    if (!is_ns ||
        (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE)) {
        return real_gettime(clock, ts);
    }
    ts->tv_sec = (time_t) (is_ns / 1000000000u);
    ts->tv_nsec = (long) (is_ns % 1000000000u);
    return 0;
}

void
slow_clock_go(uint64_t ns)
{
    struct timespec real;

    if (!is_ns) {
        clock_gettime(CLOCK_MONOTONIC, &real);
        is_ns = (uint64_t) real.tv_sec * 1000000000u + AHEAD_NS;
    }
    is_ns += ns;
}
