/* SPDX-License-Identifier: Apache-2.0 */
/* bench_pipeline - lasthop-server from a file of postcards to its archive.
 *
 * Every packet of bench_trace crosses a line of five switches, each of which
 * takes 1 from the TTL of what has one, 5 to 50 us apart; its geneve postcards
 * go to a pcap file in the order of time.  Then the real program reads that
 * file (from the page cache), assembles and archives, on one core (it has one
 * thread), several times.  Reported: postcards per second of wall clock and
 * per second of CPU, and archive bytes per postcard, files whole.  A run that
 * does not take every postcard, or archive every history, fails.
 *
 * usage: bench_pipeline [PACKETS]   (default 200,000) */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <jansson.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench_trace.h"
#include "lib/hdr.h"
#include "lib/postcard_geneve.h"
#include "lib/rule.h"
#include "lib/topology.h"

#define N_HOPS    5
#define N_RUNS    5
#define N_PACKETS 200000
#define SENDER    0xc0000201 /* 192.0.2.1 */
#define V_ROUTED  1          /* Of every switch: dec_ttl, output 2. */
#define V_OTHER   2          /* Output 2. */

struct card {
    uint64_t time_ns;
    uint16_t caplen;
    uint8_t hop;
    bool is_routed;
    uint8_t data[PACKET_ID_SNAP];
};

static char dir[] = "/tmp/bench_pipeline.XXXXXX";

static void
die(const char *what)
{
    fprintf(stderr, "bench_pipeline: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

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
        die(path);
    }
    return file;
}

static struct rule *
make_rule(uint64_t dpid, uint32_t version)
{
    struct rule *rule = rule_create();

    rule->dpid = dpid;
    rule->version = version;
    rule->is_instrumented = true;
    if (version == V_ROUTED) {
        rule_add_plain(rule, STEP_DEC_TTL, 0);
    }
    rule_add_output(rule, 2);
    return rule;
}

/* What the server is told of the network. */
static void
write_network(void)
{
    struct topology_builder *builder = topology_builder_create();
    FILE *file = create("rules.jsonl");
    struct topology *topology;
    json_t *json;

    for (uint64_t dpid = 1; dpid <= N_HOPS; dpid++) {
        topology_builder_add_switch(builder, dpid, NULL, 0, "192.0.2.1");
        topology_builder_add_port(builder, dpid, 1, NULL, dpid == 1);
        topology_builder_add_port(builder, dpid, 2, NULL, dpid == N_HOPS);
        if (dpid > 1) {
            topology_builder_add_link(builder, dpid - 1, 2, dpid, 1);
        }
        for (uint32_t version = V_ROUTED; version <= V_OTHER; version++) {
            struct rule *rule = make_rule(dpid, version);

            json = rule_to_json(rule);
            json_dumpf(json, file, JSON_COMPACT);
            putc('\n', file);
            json_decref(json);
            rule_unref(rule);
        }
    }
    fclose(file);
    topology = topology_build(builder, 1);
    json = topology_to_json(topology);
    file = create("topology.json");
    json_dumpf(json, file, 0);
    fclose(file);
    json_decref(json);
    topology_unref(topology);
}

/* The postcards of one packet, at most N_HOPS; returns how many. */
static size_t
send_packet(const struct bench_packet *packet, struct card *cards)
{
    static uint64_t random = 88172645463325252ULL;
    struct rule *rule;
    struct hdr h;
    size_t n = 0;

    hdr_parse(packet->data, packet->len, &h);
    bool is_routed = h.is_ip4 || h.is_ip6;

    rule = make_rule(1, is_routed ? V_ROUTED : V_OTHER);
    for (; n < N_HOPS; n++) {
        struct card *card = &cards[n];
        size_t len = packet->len;

        random ^= random << 13; /* xorshift64 (Marsaglia 2003). */
        random ^= random >> 7;
        random ^= random << 17;
        card->hop = (uint8_t) n;
        card->is_routed = is_routed;
        if (!n) {
            card->time_ns = packet->time_ns;
            memcpy(card->data, packet->data, len);
        } else {
            card->time_ns = cards[n - 1].time_ns + 5000 + random % 45001;
            if (rule_apply(rule, 0, cards[n - 1].data, cards[n - 1].caplen,
                           card->data, sizeof card->data,
                           &len) != RULE_APPLY_OK) {
                break; /* Its TTL ended at the switch before. */
            }
        }
        card->caplen = (uint16_t) len;
    }
    rule_unref(rule);
    return n;
}

static int
compare_time(const void *a_, const void *b_)
{
    const struct card *a = a_, *b = b_;

    return a->time_ns < b->time_ns ? -1 : a->time_ns > b->time_ns;
}

/* Writes all postcards to cards.pcap; returns how many. */
static size_t
write_cards(const struct bench_trace *trace, uint16_t snap)
{
    struct card *cards = malloc(trace->n * N_HOPS * sizeof *cards);
    const struct postcard_geneve_path way = {.ip_src = SENDER,
                                             .ip_dst = SENDER + 9};
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
    char path[256];
    size_t n = 0;

    snprintf(path, sizeof path, "%s/cards.pcap", dir);
    pcap_dumper_t *dumper = pcap_dump_open(pcap, path);

    if (!cards || !dumper) {
        die(path);
    }
    for (size_t i = 0; i < trace->n; i++) {
        n += send_packet(&trace->packets[i], &cards[n]);
    }
    qsort(cards, n, sizeof *cards, compare_time);
    for (size_t i = 0; i < n; i++) {
        uint8_t frame[PACKET_ID_SNAP + POSTCARD_GENEVE_FRAME_OVERHEAD];
        const struct card *card = &cards[i];
        struct postcard p = {
            .dpid = card->hop + 1,
            .version = card->is_routed ? V_ROUTED : V_OTHER,
            .in_port = 1,
            .out_port = 2,
            .caplen = card->caplen < snap ? card->caplen : snap,
            .header = card->data,
        };
        struct pcap_pkthdr header = {
            .ts = {.tv_sec = (time_t) (card->time_ns / 1000000000),
                   .tv_usec =
                       (suseconds_t) (card->time_ns % 1000000000 / 1000)}};

        header.caplen = header.len =
            (bpf_u_int32) postcard_geneve_encode_frame(&p, &way, frame,
                                                       sizeof frame);
        pcap_dump((u_char *) dumper, &header, frame);
    }
    pcap_dump_close(dumper);
    pcap_close(pcap);
    free(cards);
    return n;
}

struct run {
    double wall_s, cpu_s;
    uint64_t archive_bytes;
};

static double
now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

/* Starts the server over the file; its summary goes to summary.txt. */
static pid_t
start_server(uint16_t snap)
{
    char cards[256], archive[256], topology[256], rules[256], summary[256];
    char id_bytes[8];
    pid_t pid;

    snprintf(cards, sizeof cards, "%s/cards.pcap", dir);
    snprintf(archive, sizeof archive, "%s/archive", dir);
    snprintf(topology, sizeof topology, "%s/topology.json", dir);
    snprintf(rules, sizeof rules, "%s/rules.jsonl", dir);
    snprintf(summary, sizeof summary, "%s/summary.txt", dir);
    snprintf(id_bytes, sizeof id_bytes, "%d",
             snap < PACKET_ID_SNAP ? PACKET_ID_MIN_BYTES : PACKET_ID_BYTES);
    pid = fork();
    if (pid < 0) {
        die("fork");
    }
    if (!pid) {
        int out = open(summary, O_WRONLY | O_CREAT | O_TRUNC, 0600);

        dup2(out, STDOUT_FILENO);
        execl("bin/lasthop-server", "lasthop-server", "--read", cards,
              "--archive", archive, "--topology", topology, "--rules", rules,
              "--rundir", dir, "--id-bytes", id_bytes, (char *) NULL);
        die("bin/lasthop-server");
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

static void
run_once(uint16_t snap, size_t n_cards, struct run *run)
{
    char archive[256];
    struct rusage usage;
    double start = now_s();
    int status;

    snprintf(archive, sizeof archive, "%s/archive", dir);
    remove_tree(archive);
    if (wait4(start_server(snap), &status, 0, &usage) < 0) {
        die("wait4");
    }
    run->wall_s = now_s() - start;
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

static int
compare_double(const void *a_, const void *b_)
{
    const double *a = a_, *b = b_;

    return *a < *b ? -1 : *a > *b;
}

static void
print(const char *metric, const char *traffic, unsigned int snap,
      double *values, const char *unit)
{
    qsort(values, N_RUNS, sizeof *values, compare_double);
    printf("{\"bench\":\"pipeline %s snap %u\",\"metric\":\"%s\","
           "\"value\":%.2f,\"unit\":\"%s\",\"runs\":%d,\"min\":%.2f,"
           "\"max\":%.2f}\n",
           traffic, snap, metric, values[N_RUNS / 2], unit, N_RUNS, values[0],
           values[N_RUNS - 1]);
    fflush(stdout);
}

static void
measure(size_t n_packets, uint16_t snap)
{
    double wall[N_RUNS], cpu[N_RUNS], bytes[N_RUNS];
    struct bench_trace trace;
    struct run run;
    size_t n_cards;

    bench_trace_load(&trace, n_packets, PACKET_ID_SNAP);
    n_cards = write_cards(&trace, snap);
    run_once(snap, n_cards, &run); /* Warms the page cache. */
    for (size_t i = 0; i < N_RUNS; i++) {
        run_once(snap, n_cards, &run);
        wall[i] = (double) n_cards / run.wall_s;
        cpu[i] = (double) n_cards / run.cpu_s;
        bytes[i] = (double) run.archive_bytes / (double) n_cards;
    }
    print("postcards_per_s", trace.traffic, snap, wall, "postcards/s");
    print("postcards_per_cpu_s", trace.traffic, snap, cpu, "postcards/s");
    print("bytes_per_postcard", trace.traffic, snap, bytes, "bytes");
    bench_trace_unload(&trace);
}

int
main(int argc, char *argv[])
{
    size_t n_packets = argc > 1 ? strtoul(argv[1], NULL, 10) : N_PACKETS;

    if (!mkdtemp(dir)) {
        die(dir);
    }
    atexit(remove_dir);
    write_network();
    measure(n_packets, 64);
    measure(n_packets, PACKET_ID_SNAP);
    return EXIT_SUCCESS;
}
