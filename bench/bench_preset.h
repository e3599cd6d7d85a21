/* SPDX-License-Identifier: Apache-2.0 */
/* bench_preset - the made-up postcards that benchmarks run over: the preset
 * mix of lasthop-gen.
 *
 * Its trace is in $LASTHOP_DATA (default ../shared/data beside the sources,
 * which $srcdir names); without it packets are made up, and that is said.
 *
 * Threads: pure functions. */
#ifndef BENCH_BENCH_PRESET_H
#define BENCH_BENCH_PRESET_H 1

#include "gen/gen_config.h"

/* Sets '*config' to the preset; '*path' is for the caller to free when the
 * config is not used any more.  Returns which traffic it is: "mix" or
 * "synthetic". */
const char *bench_preset(struct gen_config *config, char **path);

#endif /* bench/bench_preset.h */
