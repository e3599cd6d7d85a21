/* SPDX-License-Identifier: Apache-2.0 */
/* bench_query - how long a query takes over many stored histories.
 *
 * Postcards of lasthop-gen (a fat tree, packets made up, of 20,000 flows all
 * the time, some with NAT, some dropped) are assembled and archived as in the
 * server, in rounds of 200,000 packets; after 2,000,000 all flows are new.
 * Then, over as much of the archive as its first eighth, quarter, half and
 * all, with the files in the page cache, these are asked, from opening the
 * archive on:
 *
 *   few      the packets of one flow, by addresses and ports
 *   none     those of its addresses and other ports, which no flow has
 *   switch   a switch by dpid and a port that no packet takes: only indexes
 *            matter
 *   shapes   twelve hops in a row, which no path has: the dictionary of each
 *            block is read, which no index spares
 *   varies   a TCP sequence number: every packet of TCP is looked at (asked of
 *            the first eighth only)
 *
 * Reported: seconds of wall clock and of CPU, and histories per second of CPU,
 * without threads and with two.  A query that finds a block damaged fails.
 *
 * usage: bench_query [PACKETS [DIR]]   (default 500,000, in a directory under
 * $TMPDIR that is removed; one that is given is kept, and used again) */
#include <config.h>

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/bench_maker.h"
#include "bench/figure.h"
#include "lib/archive_reader.h"
#include "lib/crew.h"
#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "phf/query.h"

#define N_PACKETS 500000
#define N_FLOWS   20000
#define EPOCH     ((size_t) 2000000) /* Packets after which all flows are new. */
#define N_RUNS    3
#define RATE      200000 /* Packets a second. */

static int
unlink_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    return remove(path);
}

/* --- making the archive -------------------------------------------------- */

/* Sends 'n' packets of flows that no other epoch has. */
static void
make_epoch(struct bench_maker *maker, uint64_t epoch, size_t n)
{
    struct gen_config config;

    gen_config_init(&config);
    config.topology = "fat-tree:4";
    config.seed += epoch;
    config.traffic.n_flows = N_FLOWS;
    config.rate = RATE;
    config.start_ns += epoch * (EPOCH * UINT64_C(1000000000) / RATE);
    config.n_packets = n;
    config.is_micro = true;
    config.shares[GEN_NAT] = GEN_RANDOM_ALL / 10;
    config.shares[GEN_DROP] = GEN_RANDOM_ALL / 20;
    bench_maker_add(maker, &config);
}

static void
make_archive(const char *dir, size_t n_packets)
{
    struct bench_maker *maker = bench_maker_create(dir, "bench_query");

    for (size_t done = 0; done < n_packets; done += EPOCH) {
        size_t n = n_packets - done < EPOCH ? n_packets - done : EPOCH;

        make_epoch(maker, done / EPOCH, n);
    }
    bench_maker_end(maker);
}

/* --- asking -------------------------------------------------------------- */

struct answer {
    double wall_s, cpu_s;
    uint64_t n, scanned;
};

/* A flow to look for: that of a packet a twentieth into the archive. */
struct example {
    char *filter; /* Owned. */
    char *absent; /* Its addresses, other ports.  Owned. */
    bool is_found;
};

static void
count(void *aux, const struct history *h)
{
}

static bool
is_busy(void *aux)
{
    return false;
}

/* Makes a filter for the flow of a TCP or UDP packet over IPv4. */
static void
note_example(void *example_, const struct history *h)
{
    struct example *example = example_;
    struct hdr hdr;

    if (example->is_found || !h->n_hops) {
        return;
    }
    hdr_parse(h->hops[0].header, h->hops[0].caplen, &hdr);
    if (!hdr.is_ip4 || !hdr.l4_ofs ||
        (hdr.ip_proto != 6 && hdr.ip_proto != 17)) {
        return;
    }

    const uint8_t *ip = h->hops[0].header + hdr.l3_ofs;
    const uint8_t *l4 = h->hops[0].header + hdr.l4_ofs;

    example->filter = lh_asprintf(
        "^{{--bpf \"src host %u.%u.%u.%u and dst host %u.%u.%u.%u and "
        "src port %u and dst port %u\"}}",
        ip[12], ip[13], ip[14], ip[15], ip[16], ip[17], ip[18], ip[19],
        l4[0] << 8 | l4[1], l4[2] << 8 | l4[3]);
    example->absent = lh_asprintf(
        "^{{--bpf \"src host %u.%u.%u.%u and dst host %u.%u.%u.%u and "
        "src port 7 and dst port 9\"}}",
        ip[12], ip[13], ip[14], ip[15], ip[16], ip[17], ip[18], ip[19]);
    example->is_found = true;
}

/* With so many threads; 0: that of main() alone. */
static unsigned int n_threads;

static void
ask(const char *dir, const char *filter, uint64_t since_ns, uint64_t until_ns,
    void (*give)(void *aux, const struct history *), void *aux, uint64_t limit,
    struct answer *answer)
{
    struct query_config config = {.since_ns = since_ns,
                                  .until_ns = until_ns,
                                  .limit = limit,
                                  .give = give,
                                  .is_busy = is_busy,
                                  .aux = aux};
    struct lh_error error = {.text = "-"};
    double start = figure_s(CLOCK_MONOTONIC);
    double cpu = figure_s(CLOCK_PROCESS_CPUTIME_ID);

    if (phf_compile(filter, NULL, &config.phf, &error) ||
        archive_reader_open(dir, &config.reader, &error)) {
        figure_die(error.text);
    }

    if (n_threads) {
        config.crew = crew_create(n_threads, CREW_NORMAL);
        if (!config.crew) {
            figure_die("no threads");
        }
    }

    struct query *q = query_create(&config);

    query_run(q, NULL, NULL);
    *answer = (struct answer){
        .wall_s = figure_s(CLOCK_MONOTONIC) - start,
        .cpu_s = figure_s(CLOCK_PROCESS_CPUTIME_ID) - cpu,
        .n = query_totals(q)->n,
        .scanned = query_totals(q)->scanned,
    };
    if (query_totals(q)->damaged) {
        figure_die(query_totals(q)->damage.text);
    }
    query_destroy(q);
    if (config.crew) {
        query_drain(config.crew);
        crew_destroy(config.crew);
    }
    archive_reader_close(config.reader);
}

static void
print(const char *name, const struct answer *answer, const char *metric,
      const char *unit, double *values)
{
    figure_print(values, N_RUNS, unit, metric,
                 "query %s %" PRIu64 " of %" PRIu64 ", %u threads", name,
                 answer->n, answer->scanned, n_threads);
}

static void
measure(const char *dir, const char *name, const char *filter,
        uint64_t until_ns)
{
    double wall[N_RUNS], cpu[N_RUNS], rate[N_RUNS];
    struct answer answer;

    ask(dir, filter, 0, until_ns, count, NULL, 0, &answer); /* Warms. */
    for (size_t i = 0; i < N_RUNS; i++) {
        ask(dir, filter, 0, until_ns, count, NULL, 0, &answer);
        wall[i] = answer.wall_s;
        cpu[i] = answer.cpu_s;
        rate[i] = (double) answer.scanned / answer.cpu_s;
    }
    print(name, &answer, "time", "s", wall);
    print(name, &answer, "cpu_time", "s", cpu);
    print(name, &answer, "histories_per_cpu_s", "histories/s", rate);
}

/* From the first to the last time of a history. */
static void
find_span(const char *dir, uint64_t *first_ns, uint64_t *last_ns)
{
    struct archive_reader *reader;
    struct lh_error error;

    *first_ns = UINT64_MAX;
    *last_ns = 0;
    if (archive_reader_open(dir, &reader, &error)) {
        figure_die(error.text);
    }
    for (size_t i = 0; i < archive_reader_n_blocks(reader); i++) {
        const struct archive_block *block =
            &archive_reader_entry(reader, i)->block;

        if (block->kind != ARCHIVE_COLUMNS) {
            continue;
        }
        if (block->min_ns < *first_ns) {
            *first_ns = block->min_ns;
        }
        if (block->max_ns > *last_ns) {
            *last_ns = block->max_ns;
        }
    }
    archive_reader_close(reader);
}

int
main(int argc, char *argv[])
{
    size_t n_packets = argc > 1 ? strtoul(argv[1], NULL, 10) : N_PACKETS;
    const char *top = getenv("TMPDIR");
    char *made =
        argc > 2 ? NULL
                 : lh_asprintf("%s/bench_query.XXXXXX", top ? top : "/tmp");
    const char *dir = made ? made : argv[2];
    struct example example = {0};
    struct answer answer;
    uint64_t first_ns, last_ns;
    double start = figure_s(CLOCK_MONOTONIC);

    if (made && !mkdtemp(made)) {
        figure_die(made);
    }
    if (made || access(dir, F_OK)) {
        make_archive(dir, n_packets);
        fprintf(stderr, "bench_query: the archive took %.0f s to make\n",
                figure_s(CLOCK_MONOTONIC) - start);
    }
    find_span(dir, &first_ns, &last_ns);
    ask(dir, ".*", first_ns + (last_ns - first_ns) / 20, UINT64_MAX,
        note_example, &example, 1000, &answer);
    if (!example.is_found) {
        figure_die("no packet to look for");
    }
    for (int part = 8; part; part /= 2) {
        uint64_t until_ns =
            first_ns + (last_ns - first_ns) / (unsigned) part + 1;

        for (n_threads = 0; n_threads <= 2; n_threads += 2) {
            measure(dir, "few", example.filter, until_ns);
            measure(dir, "none", example.absent, until_ns);
            measure(dir, "switch", "{{--dpid 1 --outport 77}}", until_ns);
            measure(dir, "shapes", "{{--dpid not 4711}}{12}", until_ns);
        }
    }
    n_threads = 0;
    measure(dir, "varies", "{{--bpf \"tcp[4:4] = 0x12345678\"}}",
            first_ns + (last_ns - first_ns) / 8 + 1);
    free(example.filter);
    free(example.absent);
    if (made) {
        nftw(made, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
        free(made);
    }
    return EXIT_SUCCESS;
}
