/* SPDX-License-Identifier: Apache-2.0 */
/* bench_pin - keeps a process on one core.
 *
 * Threads: one; those it makes later stay there too. */
#ifndef BENCH_BENCH_PIN_H
#define BENCH_BENCH_PIN_H 1

/* The first core, for what is measured, and the last, for what is not. */
#define BENCH_PIN_FIRST 0
int bench_pin_last(void);

/* This thread, and processes and threads that it makes from now on. */
void bench_pin(int core);

#endif /* bench/bench_pin.h */
