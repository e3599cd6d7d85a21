/* SPDX-License-Identifier: Apache-2.0 */
/* bench_gen - how fast postcards are made up, in memory, per second of CPU.
 *
 * Of the preset mix and of others of lasthop-gen; "with truth" also makes the
 * history of each packet.  Each line is JSON: the median of the runs, with the
 * worst and the best. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench/bench_preset.h"
#include "gen/gen.h"

#define N_RUNS    5
#define N_PACKETS 200000

static double
cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double) t.tv_sec + (double) t.tv_nsec * 1e-9;
}

static int
compare(const void *a_, const void *b_)
{
    const double *a = a_, *b = b_;

    return *a < *b ? -1 : *a > *b;
}

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
    double start = cpu_s();
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

    double rate =
        (double) gen_get_counters(gen)->postcards / (cpu_s() - start);

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
    qsort(rates, N_RUNS, sizeof *rates, compare);
    printf("{\"bench\":\"gen\",\"metric\":\"postcards_per_cpu_s %s\","
           "\"value\":%.0f,\"unit\":\"1/s\",\"runs\":%d,\"min\":%.0f,"
           "\"max\":%.0f}\n",
           what, rates[N_RUNS / 2], N_RUNS, rates[0], rates[N_RUNS - 1]);
    fflush(stdout);
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
