/* SPDX-License-Identifier: Apache-2.0 */
/* bus_threads - how threads of the bus and of libnats come into the world.
 *
 * They take no signals, which are the main thread's.
 *
 * And they wait until who runs has done, or its time is up.  A message goes
 * through four of them, each of which wakes the next while it holds that one's
 * lock: where they share a core with the event loop, the one that is woken
 * would be let in at once, find the lock taken, and leave again.  Under
 * SCHED_BATCH it comes a little later, when there is more to do; a core that
 * has nothing else to do still takes it at once.
 *
 *     bus_threads_begin(&before);
 *     ..                             makes threads, which are like that
 *     bus_threads_end(&before);
 *
 * Threads: any. */
#ifndef LIB_BUS_THREADS_H
#define LIB_BUS_THREADS_H 1

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>

/* What this thread is to be again. */
struct bus_threads {
    sigset_t signals;
    bool is_usual; /* Its policy, which those of others get, too. */
};

static inline void
bus_threads_begin(struct bus_threads *before)
{
    const struct sched_param none = {.sched_priority = 0};
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before->signals);
    before->is_usual = sched_getscheduler(0) == SCHED_OTHER &&
                       !sched_setscheduler(0, SCHED_BATCH, &none);
}

static inline void
bus_threads_end(const struct bus_threads *before)
{
    const struct sched_param none = {.sched_priority = 0};

    if (before->is_usual) {
        sched_setscheduler(0, SCHED_OTHER, &none);
    }
    pthread_sigmask(SIG_SETMASK, &before->signals, NULL);
}

#endif /* lib/bus_threads.h */
