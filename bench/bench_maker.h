/* SPDX-License-Identifier: Apache-2.0 */
/* bench_maker - an archive of made-up packets, as a server writes it:
 * postcards of lasthop-gen, assembled, in a block for each round.
 *
 *     maker = bench_maker_create(dir, "bench_x");
 *     bench_maker_add(maker, &config);
 *     bench_maker_end(maker);
 *
 * What goes wrong ends the program, in its name.
 *
 * Threads: one per maker. */
#ifndef BENCH_BENCH_MAKER_H
#define BENCH_BENCH_MAKER_H 1

#include "gen/gen_config.h"

struct bench_maker;

/* Begins an archive in 'dir'. */
struct bench_maker *bench_maker_create(const char *dir, const char *program);
/* Adds the packets of a configuration; times have to grow from one to the
 * next. */
void bench_maker_add(struct bench_maker *, const struct gen_config *);
void bench_maker_end(struct bench_maker *);

#endif /* bench/bench_maker.h */
