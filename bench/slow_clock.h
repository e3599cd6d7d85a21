/* SPDX-License-Identifier: Apache-2.0 */
/* slow_clock - for benchmarks of what depends on a rate that the machine is
 * too slow for: the monotonic clock of one thread is what the benchmark says.
 *
 * A program that is linked with it has a clock_gettime() of its own, which
 * libraries call too.  The thread must not wait by the kernel's clock, so its
 * event loop has to be EVLOOP_NONBLOCK.  Other threads and other clocks are as
 * they were.
 *
 * Threads: that which calls slow_clock_go(). */
#ifndef BENCH_SLOW_CLOCK_H
#define BENCH_SLOW_CLOCK_H 1

#include <stdint.h>

/* The clock goes on by so much, and otherwise stands.  The first time it jumps
 * a day ahead, so that deadlines that other threads are told are not over. */
void slow_clock_go(uint64_t ns);

#endif /* bench/slow_clock.h */
