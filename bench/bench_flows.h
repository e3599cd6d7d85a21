/* SPDX-License-Identifier: Apache-2.0 */
/* bench_flows - the paths and trajectories of a benchmark's histories, as a
 * server's cache has them: a path for many flows.
 *
 * Threads: one; there is one of it in a program. */
#ifndef BENCH_BENCH_FLOWS_H
#define BENCH_BENCH_FLOWS_H 1

#include "lib/history.h"
#include "lib/rule.h"
#include "lib/trajectory.h"

void bench_flows_init(void);
void bench_flows_uninit(void);
/* The history's trajectory, until bench_flows_uninit(), or NULL when it is
 * none's.  'rules[1]' is what hops with version 1 do, 'rules[0]' the others.
 */
struct trajectory *bench_flows_find(const struct history *h,
                                    struct rule *const *rules);

#endif /* bench/bench_flows.h */
