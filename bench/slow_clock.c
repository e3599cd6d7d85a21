/* SPDX-License-Identifier: Apache-2.0 */
/* slow_clock - the monotonic clock of one thread is what it is told. */
#include <config.h>
#include "bench/slow_clock.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#define AHEAD_NS UINT64_C(86400000000000)

typedef int gettime_fn(clockid_t, struct timespec *);

typedef int wait_fn(int, struct epoll_event *, int, int);

static gettime_fn *real_gettime;
static wait_fn *real_wait;
static __thread uint64_t own_ns, waited_ns;
/* Where this thread's clock stands; NULL: it is what it really is. */
static __thread uint64_t *is_ns;

/* The C library's function of that name, to '*function'. */
static void
find_real(const char *name, void *function)
{
    /* ISO C has no cast from one to the other. */
    void *symbol = dlsym(RTLD_NEXT, name);

    if (!symbol) {
        abort();
    }
    memcpy(function, &symbol, sizeof symbol);
}

static uint64_t
real_ns(clockid_t clock)
{
    struct timespec ts;

    if (!real_gettime) {
        find_real("clock_gettime", &real_gettime);
    }
    real_gettime(clock, &ts);
    return (uint64_t) ts.tv_sec * 1000000000u + (uint64_t) ts.tv_nsec;
}

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
    uint64_t ns;

    if (!real_gettime) {
        find_real("clock_gettime", &real_gettime);
    }
    if (!is_ns ||
        (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE)) {
        return real_gettime(clock, ts);
    }
    ns = __atomic_load_n(is_ns, __ATOMIC_RELAXED);
    ts->tv_sec = (time_t) (ns / 1000000000u);
    ts->tv_nsec = (long) (ns % 1000000000u);
    return 0;
}

int
epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
    uint64_t before;
    int retval;

    if (!real_wait) {
        find_real("epoll_wait", &real_wait);
    }
    if (!is_ns || !timeout) {
        return real_wait(fd, events, n, timeout);
    }
    retval = real_wait(fd, events, n, 0);
    if (!retval) {
        before = real_ns(CLOCK_THREAD_CPUTIME_ID);
        retval = real_wait(fd, events, n, -1);
        waited_ns += real_ns(CLOCK_THREAD_CPUTIME_ID) - before;
    }
    return retval;
}

void
slow_clock_follow(uint64_t *ns)
{
    is_ns = ns;
    if (!*ns) {
        *ns = real_ns(CLOCK_MONOTONIC) + AHEAD_NS;
    }
}

uint64_t
slow_clock_waited_ns(void)
{
    return waited_ns;
}

void
slow_clock_go(uint64_t ns)
{
    if (!is_ns) {
        slow_clock_follow(&own_ns);
    }
    __atomic_fetch_add(is_ns, ns, __ATOMIC_RELAXED);
}
