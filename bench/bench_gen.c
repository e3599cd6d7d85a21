/* SPDX-License-Identifier: Apache-2.0 */
/* bench_gen - how fast postcards are made up, in memory, per second of CPU.
 *
 * Of the preset mix and of others of lasthop-gen; "with truth" also makes the
 * history of each packet.  Each line is JSON: the median of the runs, with the
 * worst and the best. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>

#include "bench/bench_preset.h"
#include "bench/figure.h"
#include "gen/gen.h"
#include "lib/lh_alloc.h"

#define N_RUNS    5
#define N_PACKETS 200000

static void
make_truth(void *config_, const struct gen_walk *walk)
{
    const struct gen_config *config = config_;

    history_destroy(gen_walk_history(walk, &config->id_config, config->snap));
}

/* Postcards per second. */
static double
run_once(struct gen_config *config, bool has_truth)
{
    struct gen_frame frames[GEN_BATCH];
    double start = figure_s(CLOCK_PROCESS_CPUTIME_ID);
    struct lh_error error;
    struct gen *gen;
    size_t n;

    if (gen_create(config, &gen, &error)) {
        fprintf(stderr, "bench_gen: %s\n", error.text);
        exit(EXIT_FAILURE);
    }
    if (has_truth) {
        gen_set_on_walk(gen, make_truth, config);
    }
    while (!gen_next(gen, frames, GEN_BATCH, &n, &error) && n) {
        /* They are in memory. */
    }

    double rate = (double) gen_get_counters(gen)->postcards /
                  (figure_s(CLOCK_PROCESS_CPUTIME_ID) - start);

    gen_destroy(gen);
    return rate;
}

static void
measure(struct gen_config *config, const char *what, bool has_truth)
{
    double rates[N_RUNS];

    config->n_packets = N_PACKETS;
    for (int i = 0; i < N_RUNS; i++) {
        rates[i] = run_once(config, has_truth);
    }
    char *metric = lh_asprintf("postcards_per_cpu_s %s", what);
    figure_print(rates, N_RUNS, "1/s", metric, "gen");
    free(metric);
}

int
main(void)
{
    static const char *const presets[] = {"fabric", "trouble", "faults"};
    struct gen_config config;
    struct lh_error error;
    const char *traffic;
    char *path, what[64];

    traffic = bench_preset(&config, &path);
    measure(&config, traffic, false);
    snprintf(what, sizeof what, "%s with truth", traffic);
    measure(&config, what, true);
    free(path);
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        gen_config_init(&config);
        if (gen_config_preset(&config, presets[i], NULL, &path, &error)) {
            fprintf(stderr, "bench_gen: %s\n", error.text);
            return EXIT_FAILURE;
        }
        measure(&config, presets[i], false);
    }
    return EXIT_SUCCESS;
}
