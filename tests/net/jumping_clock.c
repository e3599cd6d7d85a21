/* SPDX-License-Identifier: Apache-2.0 */
/* jumping_clock - a wall clock for a program that a test puts forward and
 * back, as people and NTP do; other clocks go on.  For LD_PRELOAD;
 * cluster_net.py compiles it.
 *
 * $JUMPING_CLOCK is a file of one 64-bit number: by how many ns the wall clock
 * is ahead. */
#include <config.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define S_NS 1000000000

typedef int wait_fn(pthread_cond_t *, pthread_mutex_t *,
                    const struct timespec *);

static const volatile int64_t *ahead; /* NULL: there is none. */
static wait_fn *real_wait;

__attribute__((constructor)) static void
prepare(void)
{
    const char *path = getenv("JUMPING_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    unsetenv("LD_PRELOAD");
    if (fd >= 0) {
        void *p = mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, fd, 0);

        ahead = p == MAP_FAILED ? NULL : p;
        close(fd);
    }
    real_wait =
        (wait_fn *) dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!real_wait) {
        real_wait = (wait_fn *) dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    }
}

static void
move(struct timespec *ts, int64_t by_ns)
{
    int64_t ns = (int64_t) ts->tv_sec * S_NS + ts->tv_nsec + by_ns;

    ts->tv_sec = ns / S_NS;
    ts->tv_nsec = ns % S_NS;
}

static int64_t
ahead_ns(void)
{
    return ahead ? *ahead : 0;
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
    long status = syscall(SYS_clock_gettime, id, ts);

    if (!status && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        move(ts, ahead_ns());
    }
    return (int) status;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec ts;

    (void) zone;
    clock_gettime(CLOCK_REALTIME, &ts);
    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;
    return 0;
}

time_t
time(time_t *tp)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    if (tp) {
        *tp = ts.tv_sec;
    }
    return ts.tv_sec;
}

/* The kernel's clock did not jump, so the moment that is waited for is put
 * back; of a condition by the monotonic clock, which is far behind, not. */
int
pthread_cond_timedwait(pthread_cond_t *restrict cond,
                       pthread_mutex_t *restrict mutex,
                       const struct timespec *restrict until)
{
    struct timespec real = *until, uptime;

    clock_gettime(CLOCK_MONOTONIC, &uptime);
    if (until->tv_sec > uptime.tv_sec * 2 + 100000000) {
        move(&real, -ahead_ns());
    }
    return real_wait(cond, mutex, &real);
}
