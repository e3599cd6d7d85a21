/* SPDX-License-Identifier: Apache-2.0 */
/* lasthop-gen - makes up postcards whose true histories are known.  See
 * lasthop-gen(1). */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen/gen.h"
#include "gen/gen_options.h"
#include "gen/gen_output.h"

#define EXIT_USAGE 2

struct run {
    const struct gen_options *options;
    struct gen *gen;           /* Owned. */
    struct gen_output *output; /* Owned. */
};

static void
on_walk(void *run_, const struct gen_walk *walk)
{
    struct run *run = run_;
    const struct gen_config *config = &run->options->config;
    struct history *truth =
        gen_walk_history(walk, &config->id_config, config->snap);

    gen_output_truth(run->output, truth, gen_net_topology(walk->net));
    history_destroy(truth);
}

/* Makes everything; frames are written when there is an output. */
static int
make(struct run *run, struct lh_error *error)
{
    struct gen_frame frames[GEN_BATCH];
    size_t n;
    int retval;

    do {
        retval = gen_next(run->gen, frames, GEN_BATCH, &n, error);
        for (size_t i = 0; run->output && i < n; i++) {
            gen_output_frame(run->output, &frames[i]);
        }
    } while (!retval && n);
    return retval;
}

/* A reader of standard output wants to know the rules first: so they are
 * found out by a run of which nothing is written. */
static int
make_twice(struct run *run, struct lh_error *error)
{
    struct gen_output *output = run->output;
    int retval;

    run->output = NULL;
    retval = make(run, error);
    run->output = output;
    if (!retval) {
        retval = gen_output_network(output, gen_get_net(run->gen), error);
    }
    if (!retval) {
        gen_destroy(run->gen);
        retval = gen_create(&run->options->config, &run->gen, error);
    }
    return retval;
}

static void
print_summary(const struct run *run)
{
    const struct gen_counters *c = gen_get_counters(run->gen);
    const struct gen_config *config = &run->options->config;
    const char *dir = run->options->dir;

    fprintf(stderr,
            "%" PRIu64 " packets, %" PRIu64 " postcards, %zu rules, %.3f s\n",
            c->packets, c->postcards,
            gen_net_n_versions(gen_get_net(run->gen)),
            (double) (c->last_ns - c->first_ns) / 1e9);
    for (enum gen_kind kind = 0; kind < N_GEN_KINDS; kind++) {
        if (c->kinds[kind] && c->kinds[kind] != c->packets) {
            fprintf(stderr, "  %" PRIu64 " %s\n", c->kinds[kind],
                    gen_kind_name(kind));
        }
    }
    if (c->lost || c->doubled) {
        fprintf(stderr, "  postcards: %" PRIu64 " lost, %" PRIu64 " doubled\n",
                c->lost, c->doubled);
    }
    if (c->hasty) {
        fprintf(stderr,
                "  %" PRIu64 " postcards left early, out of order: delays are "
                "too long for the rate\n",
                c->hasty);
    }
    fprintf(stderr,
            "lasthop-server --read %s%s --topology %s/topology.json --rules "
            "%s/rules.jsonl",
            run->options->wants_stdout ? "-" : dir,
            run->options->wants_stdout ? "" : "/postcards.pcap", dir, dir);
    if (config->id_config.n_bytes != PACKET_ID_BYTES) {
        fprintf(stderr, " --id-bytes %u", config->id_config.n_bytes);
    }
    if (config->id_config.seed != PACKET_ID_SEED) {
        fprintf(stderr, " --id-seed %" PRIx64, config->id_config.seed);
    }
    if (config->encap == GEN_MAC && config->mac_vlan != 4094) {
        fprintf(stderr, " --mac-vlan %u", config->mac_vlan);
    }
    fprintf(stderr, "%s\n", config->loss ? "" : " --lossless");
}

static int
run_all(struct run *run, struct lh_error *error)
{
    const struct gen_options *options = run->options;
    bool has_truth = !options->has_no_truth;
    int retval = gen_create(&options->config, &run->gen, error);

    if (!retval) {
        retval =
            gen_output_create(options->dir, options->wants_stdout, has_truth,
                              options->config.is_micro, &run->output, error);
    }
    if (!retval && options->wants_stdout) {
        retval = make_twice(run, error);
    }
    if (!retval) {
        if (has_truth) {
            gen_set_on_walk(run->gen, on_walk, run);
        }
        retval = make(run, error);
    }
    if (!retval && !options->wants_stdout) {
        retval = gen_output_network(run->output, gen_get_net(run->gen), error);
    }
    if (!retval) {
        retval = gen_output_close(run->output, error);
        run->output = NULL;
    }
    return retval;
}

int
main(int argc, char *argv[])
{
    struct gen_options options;
    struct run run = {.options = &options};
    struct lh_error error = {.text = "no memory"};
    int status = EXIT_SUCCESS;

    if (gen_options_parse(&options, argc, argv, &error)) {
        fprintf(stderr, "lasthop-gen: %s\n", error.text);
        status = EXIT_USAGE;
    } else if (options.wants_help) {
        fputs(gen_options_help, stdout);
    } else if (options.wants_version) {
        puts("lasthop-gen " PACKAGE_VERSION);
    } else {
        if (run_all(&run, &error)) {
            fprintf(stderr, "lasthop-gen: %s\n", error.text);
            status = EXIT_FAILURE;
        } else if (!options.is_quiet) {
            print_summary(&run);
        }
        gen_output_close(run.output, NULL);
        gen_destroy(run.gen);
    }
    gen_options_uninit(&options);
    return status;
}
