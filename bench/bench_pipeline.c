/* SPDX-License-Identifier: Apache-2.0 */
/* bench_pipeline - lasthop-server from a file of postcards to its archive.
 *
 * The packets of the preset mix of lasthop-gen cross a line of five switches,
 * each of which takes 1 from the TTL of what has one, 5 to 50 us apart; their
 * geneve postcards go to a pcap file in the order of time.  Then the real
 * program reads that file (from the page cache), assembles, matches against
 * four live filters and archives durably, on one core (it has one thread),
 * several times.  Reported: postcards per second of wall clock, from when it
 * begins to read until it has ended, and per second of CPU, and archive bytes
 * per postcard, files whole.  A run that does not take every postcard, or
 * archive every history, fails.
 *
 * Beside each run with one thread, on one core, there is one with two on two
 * cores: how much sooner it is done (scaling), what CPU it takes, and its
 * archive.
 *
 * And one with one thread and a second core, of which a client asks heavy
 * queries all the time (query_storm): beside_queries is how much slower it is
 * done, and queried_histories how many histories these looked at meanwhile,
 * with what the machine has left.  It has to take every postcard as well.
 *
 * usage: bench_pipeline [PACKETS [FILE]]   (default 1,600,000: the trace
 * twelve times, as most flows of the first time are new, to each thread)
 *
 * With FILE, by turns as well with the live filters that are in it, one to a
 * line (bench_filters --print writes some): "kept" is what they leave of the
 * postcards per second of CPU with four. */
#include <config.h>

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <jansson.h>
#include <pcap/pcap.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench_preset.h"
#include "bench/figure.h"
#include "bench/pipeline_gate.h"
#include "bench/query_storm.h"
#include "gen/gen.h"
#include "lib/lh_alloc.h"

#define N_RUNS    5
#define L2_LEN    18 /* Of Ethernet with one tag. */
#define N_PACKETS 1600000

static char dir[] = "/tmp/bench_pipeline.XXXXXX";

static int
unlink_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    return remove(path);
}

static void
remove_tree(const char *path)
{
    nftw(path, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
remove_dir(void)
{
    remove_tree(dir);
}

static FILE *
create(const char *name)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    file = fopen(path, "w");
    if (!file) {
        figure_die_errno(path);
    }
    return file;
}

static void
put_line(FILE *file, json_t *json)
{
    json_dumpf(json, file, JSON_COMPACT);
    putc('\n', file);
    json_decref(json);
}

static void
put_rule(void *file, const struct rule *rule)
{
    put_line(file, rule_to_json(rule));
}

/* What the server is told of the network. */
static void
write_network(struct gen_net *net)
{
    FILE *file = create("rules.jsonl");

    gen_net_each_version(net, put_rule, file);
    fclose(file);
    file = create("topology.json");
    put_line(file, topology_to_json(gen_net_topology(net)));
    fclose(file);
}

/* Writes the postcards of the preset mix to cards.pcap; returns how many. */
static size_t
write_cards(const char **traffic, size_t n_packets, uint16_t snap)
{
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
    struct gen_frame frames[GEN_BATCH];
    struct gen_config config;
    struct lh_error error;
    char path[256], *trace;
    struct gen *gen;
    size_t n, n_cards = 0;

    *traffic = bench_preset(&config, &trace);
    config.n_packets = n_packets;
    config.snap = snap;
    snprintf(path, sizeof path, "%s/cards.pcap", dir);

    pcap_dumper_t *dumper = pcap_dump_open(pcap, path);

    if (!dumper) {
        figure_die_errno(path);
    }
    if (gen_create(&config, &gen, &error)) {
        fprintf(stderr, "bench_pipeline: %s\n", error.text);
        exit(EXIT_FAILURE);
    }
    while (!gen_next(gen, frames, GEN_BATCH, &n, &error) && n) {
        for (size_t i = 0; i < n; i++) {
            uint64_t ns = frames[i].time_ns;
            struct pcap_pkthdr header = {
                .ts = {.tv_sec = (time_t) (ns / 1000000000),
                       .tv_usec = (suseconds_t) (ns % 1000000000 / 1000)},
                .caplen = frames[i].len,
                .len = frames[i].len};

            pcap_dump((u_char *) dumper, &header, frames[i].data);
        }
        n_cards += n;
    }
    write_network(gen_get_net(gen));
    gen_destroy(gen);
    free(trace);
    pcap_dump_close(dumper);
    pcap_close(pcap);
    return n_cards;
}

struct run {
    double wall_s, cpu_s;
    uint64_t archive_bytes;
};

/* Starts the server over the file; its summary goes to summary.txt. */
static pid_t
start_server(uint16_t snap, int n_threads, int n_cores)
{
    char cards[256], archive[256], topology[256], rules[256], summary[256],
        recorder[256];
    char id_bytes[8], threads[16];
    cpu_set_t cpus;
    pid_t pid;

    snprintf(cards, sizeof cards, "%s/cards.pcap", dir);
    snprintf(archive, sizeof archive, "%s/archive", dir);
    snprintf(topology, sizeof topology, "%s/topology.json", dir);
    snprintf(rules, sizeof rules, "%s/rules.jsonl", dir);
    snprintf(summary, sizeof summary, "%s/summary.txt", dir);
    snprintf(recorder, sizeof recorder, "%s/recorder.sock", dir);
    snprintf(id_bytes, sizeof id_bytes, "%d",
             snap < PACKET_ID_SNAP ? snap - L2_LEN : PACKET_ID_BYTES);
    snprintf(threads, sizeof threads, "%d", n_threads);
    CPU_ZERO(&cpus);
    for (int i = 0; i < n_cores; i++) {
        CPU_SET(i, &cpus);
    }
    pid = fork();
    if (pid < 0) {
        figure_die_errno("fork");
    }
    if (!pid) {
        int out = open(summary, O_WRONLY | O_CREAT | O_TRUNC, 0600);

        dup2(out, STDOUT_FILENO);
        sched_setaffinity(0, sizeof cpus, &cpus);
        execl("bin/lasthop-server", "lasthop-server", "--read", cards,
              "--archive", archive, "--topology", topology, "--rules", rules,
              "--rundir", dir, "--id-bytes", id_bytes, "--recorder", recorder,
              "--threads", threads, (char *) NULL);
        figure_die_errno("bin/lasthop-server");
    }
    return pid;
}

static uint64_t archive_bytes;

static int
add_size(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    if (flag == FTW_F) {
        archive_bytes += (uint64_t) st->st_size;
    }
    return 0;
}

/* True when the summary tells of 'n' postcards, and that all histories were
 * archived. */
static bool
is_whole(size_t n)
{
    uint64_t frames = 0, postcards = 0, histories = 0, archived = 0;
    char path[256], line[512];
    FILE *file;

    snprintf(path, sizeof path, "%s/summary.txt", dir);
    file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        sscanf(line,
               "%" SCNu64 " frames, %" SCNu64 " postcards, %" SCNu64
               " histories",
               &frames, &postcards, &histories);
        sscanf(line, " archive: %" SCNu64 " archived", &archived);
    }
    if (file) {
        fclose(file);
    }
    return postcards == n && histories && histories == archived;
}

static void
print_summary(void)
{
    char path[256], line[512];
    FILE *file;

    snprintf(path, sizeof path, "%s/summary.txt", dir);
    file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        fputs(line, stderr);
    }
    if (file) {
        fclose(file);
    }
}

/* What is asked of every packet; none is what matches. */
static const char *const filters[] = {
    "{{--dpid 1000}}.*{{--dpid 1}}",
    "^{{--inport 1001}}.*{{--verdict dropped}}$",
    "{{--version 1002000}}",
    "{{--dpid 2 --bpf \"src host 203.0.113.3\"}}.*{{--verdict lost}}",
};
#define N_FILTERS (sizeof filters / sizeof *filters)

/* Those of the file, when there is one. */
static char **more_filters;
static size_t n_more;

static void
read_filters(const char *path)
{
    FILE *file = fopen(path, "r");
    size_t size = 0, allocated = 0;
    char *line = NULL;

    if (!file) {
        figure_die_errno(path);
    }
    while (getline(&line, &size, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        more_filters = lh_alloc_grow(more_filters, n_more, &allocated,
                                     sizeof *more_filters);
        more_filters[n_more++] = lh_strdup(line);
    }
    free(line);
    fclose(file);
}

static void
run_filters(uint16_t snap, int n_threads, size_t n_cards,
            const char *const *live, size_t n_live,
            struct query_storm_totals *asked, struct run *run)
{
    struct query_storm *storm = NULL;
    char archive[256];
    struct rusage usage;
    struct pipeline_gate *gate = pipeline_gate_create(dir);
    double start;
    pid_t pid;
    int status;

    snprintf(archive, sizeof archive, "%s/archive", dir);
    remove_tree(archive);
    /* As many cores as threads, and one for queries. */
    pid = start_server(snap, n_threads, n_threads + (asked != NULL));
    pipeline_gate_add(gate, live, n_live);
    if (asked) {
        storm = query_storm_start(dir);
    }
    start = figure_s(CLOCK_MONOTONIC);
    pipeline_gate_open(gate);
    if (wait4(pid, &status, 0, &usage) < 0) {
        figure_die_errno("wait4");
    }
    run->wall_s = figure_s(CLOCK_MONOTONIC) - start;
    if (asked) {
        query_storm_stop(storm, asked);
    }
    pipeline_gate_destroy(gate);
    run->cpu_s =
        (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
        (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    if (status || !is_whole(n_cards)) {
        fprintf(stderr,
                "bench_pipeline: the server did not take and archive the "
                "file's %zu "
                "postcards; its summary:\n",
                n_cards);
        print_summary();
        exit(EXIT_FAILURE);
    }
    archive_bytes = 0;
    nftw(archive, add_size, 16, FTW_PHYS);
    run->archive_bytes = archive_bytes;
}

static void
run_once(uint16_t snap, int n_threads, size_t n_cards, struct run *run)
{
    run_filters(snap, n_threads, n_cards, filters, N_FILTERS, NULL, run);
}

static void
print(const char *metric, const char *traffic, unsigned int snap,
      double *values, const char *unit)
{
    figure_print(values, N_RUNS, unit, metric, "pipeline %s snap %u", traffic,
                 snap);
}

static void
measure(size_t n_packets, uint16_t snap)
{
    double wall[N_RUNS], cpu[N_RUNS], bytes[N_RUNS];
    double scaling[N_RUNS], cost[N_RUNS], bytes_2[N_RUNS];
    const char *traffic;
    size_t n_cards = write_cards(&traffic, n_packets, snap);
    double kept[N_RUNS], beside[N_RUNS], queried[N_RUNS];
    struct query_storm_totals asked;
    struct run run, two, more;

    run_once(snap, 1, n_cards, &run); /* Warms the page cache. */
    for (size_t i = 0; i < N_RUNS; i++) {
        run_once(snap, 1, n_cards, &run);
        run_once(snap, 2, n_cards, &two);
        scaling[i] = run.wall_s / two.wall_s;
        cost[i] = two.cpu_s / run.cpu_s;
        bytes_2[i] = (double) two.archive_bytes / (double) n_cards;
        if (n_more) {
            run_filters(snap, 1, n_cards, (const char *const *) more_filters,
                        n_more, NULL, &more);
            kept[i] = run.cpu_s / more.cpu_s;
        }
        run_filters(snap, 1, n_cards, filters, N_FILTERS, &asked, &more);
        beside[i] = more.wall_s / run.wall_s;
        queried[i] = (double) asked.n_scanned;
        wall[i] = (double) n_cards / run.wall_s;
        cpu[i] = (double) n_cards / run.cpu_s;
        bytes[i] = (double) run.archive_bytes / (double) n_cards;
    }
    print("postcards_per_s", traffic, snap, wall, "postcards/s");
    print("postcards_per_cpu_s", traffic, snap, cpu, "postcards/s");
    print("bytes_per_postcard", traffic, snap, bytes, "bytes");
    if (n_more) {
        print("kept_with_more_filters", traffic, snap, kept, "ratio");
    }
    print("scaling_1_to_2_threads", traffic, snap, scaling, "times");
    print("cpu_of_2_threads_to_1", traffic, snap, cost, "times");
    print("beside_queries", traffic, snap, beside, "times");
    print("queried_histories", traffic, snap, queried, "histories");
    print("bytes_per_postcard_2_threads", traffic, snap, bytes_2, "bytes");
}

int
main(int argc, char *argv[])
{
    size_t n_packets = argc > 1 ? strtoul(argv[1], NULL, 10) : N_PACKETS;

    if (!mkdtemp(dir)) {
        figure_die_errno(dir);
    }
    atexit(remove_dir);
    if (argc > 2) {
        read_filters(argv[2]);
    }
    measure(n_packets, 64);
    measure(n_packets, PACKET_ID_SNAP);
    return EXIT_SUCCESS;
}
