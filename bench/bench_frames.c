/* SPDX-License-Identifier: Apache-2.0 */
/* bench_frames - postcards on a fat tree, made while they are used. */
#include <config.h>
#include "bench/bench_frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench_preset.h"

double
bench_thread_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

double
bench_process_s(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double) (u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double) (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

double
bench_child_s(pid_t pid)
{
    char path[64], text[1024];
    unsigned long user = 0, system = 0;
    FILE *file;
    size_t n;

    snprintf(path, sizeof path, "/proc/%d/stat", (int) pid);
    file = fopen(path, "r");
    if (!file) {
        return 0;
    }
    n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    sscanf(strrchr(text, ')') + 2,
           "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
           &system);
    return (double) (user + system) / (double) sysconf(_SC_CLK_TCK);
}

static void
put_rule(void *frames_, const struct rule *rule)
{
    struct bench_frames *frames = frames_;

    if (!rule_cache_find(frames->rules, rule->dpid, rule->version, 0)) {
        rule_cache_add(frames->rules, rule_ref(rule));
        if (frames->on_rule) {
            frames->on_rule(frames->aux, rule);
        }
    }
}

void
bench_frames_open(struct bench_frames *frames, size_t n_packets, uint64_t rate,
                  uint16_t snap)
{
    const struct rule_cache_config rules = {.max_rules = 0};
    struct gen_config config;
    struct lh_error error;

    memset(frames, 0, sizeof *frames);
    frames->traffic = bench_preset(&config, &frames->trace);
    config.topology = "fat-tree:4";
    config.n_hops = 5;
    config.n_packets = n_packets;
    config.rate = rate;
    config.snap = snap;
    frames->rules = rule_cache_create(&rules);
    if (gen_create(&config, &frames->gen, &error)) {
        fprintf(stderr, "bench: %s\n", error.text);
        exit(EXIT_FAILURE);
    }
    frames->topology =
        topology_ref(gen_net_topology(gen_get_net(frames->gen)));
}

void
bench_frames_close(struct bench_frames *frames)
{
    gen_destroy(frames->gen);
    topology_unref(frames->topology);
    rule_cache_destroy(frames->rules);
    free(frames->trace);
}

bool
bench_frames_next(struct bench_frames *frames)
{
    double before = bench_thread_s();
    struct lh_error error;

    if (gen_next(frames->gen, frames->frames, GEN_BATCH, &frames->n, &error)) {
        fprintf(stderr, "bench: %s\n", error.text);
        exit(EXIT_FAILURE);
    }
    if (gen_net_n_versions(gen_get_net(frames->gen)) != frames->n_rules) {
        frames->n_rules = gen_net_n_versions(gen_get_net(frames->gen));
        gen_net_each_version(gen_get_net(frames->gen), put_rule, frames);
    }
    frames->made_s += bench_thread_s() - before;
    return frames->n;
}
