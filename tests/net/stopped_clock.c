/* SPDX-License-Identifier: Apache-2.0 */
/* stopped_clock - a clock for a program's first thread that goes on only when
 * a test says so.  For LD_PRELOAD; twins.py compiles it.
 *
 * $STOPPED_CLOCK is a file of two 64-bit numbers: while the first is 0 time is
 * what it is; then it stands still, but for as many ms as the second says.
 * The program's other threads and its children have the real time. */
#include <config.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define N_CLOCKS 16
#define S_NS     1000000000

static const volatile int64_t *control; /* NULL: there is none. */
static int64_t stopped_ns[N_CLOCKS];    /* When each stopped; 0: it goes. */

__attribute__((constructor)) static void
prepare(void)
{
    const char *path = getenv("STOPPED_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    unsetenv("LD_PRELOAD");
    if (fd >= 0) {
        void *p = mmap(NULL, 16, PROT_READ, MAP_SHARED, fd, 0);

        control = p == MAP_FAILED ? NULL : p;
        close(fd);
    }
}

int clock_gettime(clockid_t, struct timespec *);

int
clock_gettime(clockid_t id, struct timespec *ts)
{
    long status = syscall(SYS_clock_gettime, id, ts);
    int64_t ns;

    if (status || !control || !control[0] || id < 0 || id >= N_CLOCKS ||
        id == CLOCK_PROCESS_CPUTIME_ID || id == CLOCK_THREAD_CPUTIME_ID ||
        syscall(SYS_gettid) != getpid()) {
        return (int) status;
    }
    if (!stopped_ns[id]) {
        stopped_ns[id] = (int64_t) ts->tv_sec * S_NS + ts->tv_nsec;
    }
    ns = stopped_ns[id] + control[1] * 1000000;
    ts->tv_sec = ns / S_NS;
    ts->tv_nsec = ns % S_NS;
    return 0;
}
