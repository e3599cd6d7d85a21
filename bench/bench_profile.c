/* SPDX-License-Identifier: Apache-2.0 */
/* bench_profile - how long a profile of many stored histories takes.
 *
 * Two archives are made as a server makes them, in rounds of a second of
 * 200,000 packets: of the preset mix, and of packets made up (a fat tree,
 * 20,000 flows all the time, some with NAT, some dropped).  Then these are
 * asked of each, from opening the archive to the answer, with the files in the
 * page cache:
 *
 *   link     all links, by link
 *   path     all links, by ingress and path
 *   hosts    the busiest link, by ingress, path, hosts and flow, as nprof asks
 *   all      the same of all links
 *   pairs    where packets come in, by hosts alone
 *   flows    the same, by flow
 *   part     as link, of all but the first and last millisecond: the blocks at
 *            both ends have their times read
 *   minutes  as link, in 20 intervals
 *
 * Reported: seconds of CPU, and what they come to per 100 million histories.
 * A profile that finds a block damaged fails.
 *
 * usage: bench_profile [PACKETS [DIR [NAME]]]   (default 1,000,000 each, under
 * $TMPDIR, removed; those in a directory that is given are kept, and used
 * again; NAME asks for one of the above alone) */
#include <config.h>

#include <ftw.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <jansson.h>

#include "bench/bench_maker.h"
#include "bench/bench_preset.h"
#include "bench/figure.h"
#include "lib/archive_reader.h"
#include "lib/archive_sums.h"
#include "lib/lh_alloc.h"
#include "phf/profile.h"

#define N_PACKETS 1000000
#define N_FLOWS   20000
#define RATE      200000 /* Packets a second. */
#define N_RUNS    5

static int
unlink_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    return remove(path);
}

/* Makes the archive 'name' in 'dir', unless it is there. */
static void
make_archive(const char *dir, const char *name, struct gen_config *config,
             size_t n_packets)
{
    double start = figure_s(CLOCK_MONOTONIC);
    struct bench_maker *maker;

    config->n_packets = n_packets;
    config->rate = RATE;
    if (!access(dir, F_OK)) {
        return;
    }
    maker = bench_maker_create(dir, "bench_profile");
    bench_maker_add(maker, config);
    bench_maker_end(maker);
    fprintf(stderr, "bench_profile: the archive %s took %.0f s to make\n",
            name, figure_s(CLOCK_MONOTONIC) - start);
}

/* The files of the archive, for free(). */
static struct archive_segment *
list_files(const char *dir, size_t *n)
{
    struct archive_segment *segments;
    struct lh_error error;

    if (archive_dir_list(dir, &segments, n, NULL, NULL, &error)) {
        figure_die(error.text);
    }
    return segments;
}

static void
remove_sums(const char *dir)
{
    size_t n;
    struct archive_segment *segments = list_files(dir, &n);

    for (size_t i = 0; i < n; i++) {
        archive_sums_remove(dir, &segments[i]);
    }
    free(segments);
}

/* Makes sums of all files, as a server does of those that it writes no more,
 * and prints what they cost. */
static void
make_sums(const char *dir, const char *archive)
{
    double cpu_s = figure_s(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t n_bytes = 0, n_sums = 0, size;
    size_t n;
    struct archive_segment *segments = list_files(dir, &n);

    for (size_t i = 0; i < n; i++) {
        char *from = archive_sums_new_path(dir, &segments[i]);
        char *to = archive_sums_path(dir, &segments[i]);
        char *file = archive_dir_segment(dir, &segments[i]);
        struct lh_error error;
        struct stat st;

        if (archive_sums_write(dir, &segments[i], NULL, &size, &error) ||
            rename(from, to) || stat(file, &st)) {
            figure_die(error.text);
        }
        n_bytes += (uint64_t) st.st_size;
        n_sums += size;
        free(from);
        free(to);
        free(file);
    }
    free(segments);
    figure_print_one((double) n_sums / (double) n_bytes, "ratio",
                     "share_of_archive", "profile %s", archive);
    figure_print_one(figure_s(CLOCK_PROCESS_CPUTIME_ID) - cpu_s, "s",
                     "cpu_time_to_make", "profile %s", archive);
}

/* Asks, and sets how long that took.  The answer is the caller's. */
static json_t *
ask(const char *dir, const json_t *request, double *cpu_s)
{
    struct profile_config config = {.now_ns = 1};
    struct lh_error error = {.text = "-"};
    struct profile *profile;
    json_t *answer;

    *cpu_s = figure_s(CLOCK_PROCESS_CPUTIME_ID);
    if (archive_reader_open(dir, &config.reader, &error) ||
        profile_create(&config, request, &profile, &error)) {
        figure_die(error.text);
    }
    profile_start(profile, NULL);
    answer = profile_answer(profile);
    profile_destroy(profile);
    archive_reader_close(config.reader);
    *cpu_s = figure_s(CLOCK_PROCESS_CPUTIME_ID) - *cpu_s;
    if (json_integer_value(json_object_get(answer, "damaged"))) {
        figure_die("a block is damaged");
    }
    return answer;
}

static void
print(const char *archive, const char *name, json_int_t n_histories,
      const char *metric, double factor, const double *values)
{
    printf("{\"bench\":\"profile %s of %" JSON_INTEGER_FORMAT " %s\","
           "\"metric\":\"%s\",\"value\":%.6g,\"unit\":\"s\",\"runs\":%d,"
           "\"min\":%.6g,\"max\":%.6g}\n",
           name, n_histories, archive, metric, values[N_RUNS / 2] * factor,
           N_RUNS, values[0] * factor, values[N_RUNS - 1] * factor);
    fflush(stdout);
}

/* Takes the request. */
static void
measure(const char *dir, const char *archive, const char *name,
        json_t *request)
{
    double values[N_RUNS];
    json_int_t n = 0;

    json_decref(ask(dir, request, &values[0])); /* Warms. */
    for (size_t i = 0; i < N_RUNS; i++) {
        json_t *answer = ask(dir, request, &values[i]);

        n = json_integer_value(json_object_get(answer, "scanned"));
        json_decref(answer);
    }
    json_decref(request);
    figure_sort(values, N_RUNS);
    print(archive, name, n, "cpu_time", 1, values);
    print(archive, name, n, "cpu_time_per_100_million", 1e8 / (double) n,
          values);
}

static bool
is_asked(const char *only, const char *name)
{
    return !only || !strcmp(only, name);
}

static void
measure_all(const char *dir, const char *archive, const char *only)
{
    json_t *all = json_pack("{s:[s], s:[s], s:i}", "links", "all", "by",
                            "link", "top", 1);
    double cpu_s;
    json_t *answer = ask(dir, all, &cpu_s);
    const json_t *node = json_array_get(json_object_get(answer, "tree"), 0);
    const char *direction =
        json_string_value(json_object_get(node, "direction"));
    const char *dpid = json_string_value(json_object_get(node, "dpid"));
    json_int_t port = json_integer_value(json_object_get(node, "port"));
    json_int_t since = json_integer_value(json_object_get(answer, "since_ns"));
    json_int_t until = json_integer_value(json_object_get(answer, "until_ns"));
    char *link;

    if (!dpid || !direction) {
        figure_die("no link carried anything");
    }
    link = lh_asprintf("%s:%" JSON_INTEGER_FORMAT "%s", dpid, port,
                       strcmp(direction, "in") ? "" : "/in");
    if (is_asked(only, "link")) {
        measure(dir, archive, "link", json_incref(all));
    }
    if (is_asked(only, "path")) {
        measure(dir, archive, "path",
                json_pack("{s:[s], s:[s,s]}", "links", "all", "by", "ingress",
                          "path"));
    }
    if (is_asked(only, "hosts")) {
        measure(dir, archive, "hosts", json_pack("{s:[s]}", "links", link));
    }
    if (is_asked(only, "all")) {
        measure(dir, archive, "all", json_pack("{s:[s]}", "links", "all"));
    }
    if (is_asked(only, "pairs")) {
        measure(dir, archive, "pairs",
                json_pack("{s:[s], s:[s]}", "links", "entry", "by", "hosts"));
    }
    if (is_asked(only, "flows")) {
        measure(dir, archive, "flows",
                json_pack("{s:[s], s:[s]}", "links", "entry", "by", "flow"));
    }
    if (is_asked(only, "part")) {
        measure(dir, archive, "part",
                json_pack("{s:[s], s:[s], s:I, s:I}", "links", "all", "by",
                          "link", "since", since + 1000000, "until",
                          until - 1000000));
    }
    if (is_asked(only, "minutes")) {
        measure(dir, archive, "minutes",
                json_pack("{s:[s], s:[s], s:I}", "links", "all", "by", "link",
                          "interval_ns", (until - since) / 20 + 1));
    }
    json_decref(all);
    json_decref(answer);
    free(link);
}

int
main(int argc, char *argv[])
{
    size_t n_packets = argc > 1 ? strtoul(argv[1], NULL, 10) : N_PACKETS;
    const char *only = argc > 3 ? argv[3] : NULL;
    const char *top = getenv("TMPDIR");
    char *made =
        argc > 2 ? NULL
                 : lh_asprintf("%s/bench_profile.XXXXXX", top ? top : "/tmp");
    char *dirs[2], *path = NULL;
    struct gen_config config;
    const char *mix;

    if (made && !mkdtemp(made)) {
        figure_die(made);
    }
    if (!made) {
        mkdir(argv[2], 0777);
    }
    dirs[0] = lh_asprintf("%s/mix", made ? made : argv[2]);
    dirs[1] = lh_asprintf("%s/made-up", made ? made : argv[2]);

    mix = bench_preset(&config, &path);
    make_archive(dirs[0], mix, &config, n_packets);
    free(path);
    gen_config_init(&config);
    config.topology = "fat-tree:4";
    config.traffic.n_flows = N_FLOWS;
    config.is_micro = true;
    config.shares[GEN_NAT] = GEN_RANDOM_ALL / 10;
    config.shares[GEN_DROP] = GEN_RANDOM_ALL / 20;
    make_archive(dirs[1], "made up", &config, n_packets);

    for (size_t i = 0; i < 2; i++) {
        char *name = lh_asprintf("%s by sums", i ? "made up" : mix);

        remove_sums(dirs[i]);
        measure_all(dirs[i], i ? "made up" : mix, only);
        make_sums(dirs[i], name);
        measure_all(dirs[i], name, only);
        free(name);
    }
    if (made) {
        nftw(made, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
        free(made);
    }
    free(dirs[0]);
    free(dirs[1]);
    return EXIT_SUCCESS;
}
