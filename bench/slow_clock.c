/* SPDX-License-Identifier: Apache-2.0 */
/* slow_clock - the monotonic clock of one thread goes slower. */
#include <config.h>
#include "bench/slow_clock.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#define AHEAD_NS UINT64_C(86400000000000)

typedef int gettime_fn(clockid_t, struct timespec *);

static gettime_fn *real_gettime;
static __thread double times_slower; /* 0: as it is. */
static __thread uint64_t since_ns;   /* By the real clock. */
static __thread uint64_t was_ns;     /* What this one said then. */

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

static uint64_t
ns_of(const struct timespec *ts)
{
    return (uint64_t) ts->tv_sec * 1000000000u + (uint64_t) ts->tv_nsec;
}

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
    uint64_t ns;
    int retval;

    if (!real_gettime) {
        real_gettime = find_real();
    }
    retval = real_gettime(clock, ts);
    if (times_slower <= 0 ||
        (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE)) {
        return retval;
    }
    /* The coarse one may be behind. */
    ns = ns_of(ts) > since_ns ? ns_of(ts) - since_ns : 0;
    ns = was_ns + (uint64_t) ((double) ns / times_slower);
    ts->tv_sec = (time_t) (ns / 1000000000u);
    ts->tv_nsec = (long) (ns % 1000000000u);
    return retval;
}

void
slow_clock_set(double times)
{
    struct timespec is, real;

    clock_gettime(CLOCK_MONOTONIC, &is);
    real_gettime(CLOCK_MONOTONIC, &real);
    was_ns = ns_of(&is) + (times_slower > 0 ? 0 : AHEAD_NS);
    since_ns = ns_of(&real);
    times_slower = times;
}
