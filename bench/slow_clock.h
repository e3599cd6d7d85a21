/* SPDX-License-Identifier: Apache-2.0 */
/* slow_clock - for benchmarks of what depends on a rate that the machine is
 * too slow for: the monotonic clock of one thread goes so many times slower.
 *
 * A program that is linked with it has a clock_gettime() of its own, which
 * libraries call too: all waits of that thread are as much longer.  It then
 * must not wait by the kernel's clock, so its event loop has to be
 * EVLOOP_NONBLOCK.  Other threads and other clocks are as they were.
 *
 * Threads: that which calls slow_clock_set(). */
#ifndef BENCH_SLOW_CLOCK_H
#define BENCH_SLOW_CLOCK_H 1

/* From now on a second takes 'times' seconds.  The clock goes on from where
 * it is; the first time it jumps a day ahead, so that deadlines that other
 * threads are told are not over. */
void slow_clock_set(double times);

#endif /* bench/slow_clock.h */
