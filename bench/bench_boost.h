/* SPDX-License-Identifier: Apache-2.0 */
/* bench_boost - puts a benchmark before the machine's other work.
 *
 * Threads: one. */
#ifndef BENCH_BENCH_BOOST_H
#define BENCH_BENCH_BOOST_H 1

/* For this process and those it starts from now on, as far as it may: without
 * root nothing changes. */
void bench_boost(void);

#endif /* bench/bench_boost.h */
