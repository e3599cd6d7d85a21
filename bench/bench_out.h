/* SPDX-License-Identifier: Apache-2.0 */
/* bench_out - where the path tables of a benchmark give their histories: to
 * an outbox, as those of a cluster's owners do, and counted.
 *
 *     out = (struct bench_out){.box = box, .rules = rules, .n = &n};
 *     config.emit = bench_out_history; .. config.aux = &out;
 *
 * Ownership: all that it points to is the caller's. */
#ifndef BENCH_BENCH_OUT_H
#define BENCH_BENCH_OUT_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/history.h"
#include "lib/trajectory.h"
#include "server/cluster_outbox.h"
#include "server/rule_cache.h"

struct bench_out_n {
    uint64_t histories;
    uint64_t packets; /* Of these, of known trajectories. */
};

struct bench_out {
    struct cluster_outbox *box;
    struct rule_cache *rules; /* For bench_out_find_rule() only. */
    struct bench_out_n *n;
};

/* For struct path_table_config, whose 'aux' is the struct bench_out. */
void bench_out_history(void *out, struct history *);
void bench_out_packet(void *out, struct trajectory *,
                      const struct trajectory_packet *);
const struct rule *bench_out_find_rule(void *out, uint64_t dpid,
                                       uint32_t version);
/* No postcard of these benchmarks is lost. */
bool bench_out_has_lossless(void *out, uint64_t dpid, uint64_t from_ns,
                            uint64_t to_ns);

#endif /* bench/bench_out.h */
