/* SPDX-License-Identifier: Apache-2.0 */
/* slow_clock - for benchmarks of what depends on a rate that the machine is
 * too slow for: the monotonic clock of one thread is what the benchmark says.
 *
 * A program that is linked with it has a clock_gettime() and an epoll_wait()
 * of its own, which libraries call too.  A thread that makes its clock go on
 * must not wait, so its event loop has to be EVLOOP_NONBLOCK.  One whose clock
 * another makes go on may; it waits for a descriptor, whatever the time-out,
 * and is to be woken when the clock went on.  Other threads and other clocks
 * are as they were.
 *
 * Threads: each has a clock, or several, of other processes too, have one. */
#ifndef BENCH_SLOW_CLOCK_H
#define BENCH_SLOW_CLOCK_H 1

#include <stdint.h>

/* The clock goes on by so much, and otherwise stands.  The first time it jumps
 * a day ahead, so that deadlines that other threads are told are not over. */
void slow_clock_go(uint64_t ns);

/* The clock of this thread is from now on what stands at 'ns', which is shared
 * with others that follow it; 0 there: nobody has set it yet. */
void slow_clock_follow(uint64_t *ns);

/* CPU of this thread that waiting has taken: none is waited for at full load.
 */
uint64_t slow_clock_waited_ns(void);

#endif /* bench/slow_clock.h */
