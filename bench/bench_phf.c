/* SPDX-License-Identifier: Apache-2.0 */
/* bench_phf - nanoseconds to match a history that was not seen before.
 *
 * usage: bench_phf [RUNS]
 *
 * Times are those of the processor, so that other work on the machine counts
 * only by what it does to caches.
 *
 * Nothing is remembered from one match to the next.  "cached" are 100
 * histories matched over and over, as when they were assembled a moment ago;
 * "memory" are more than caches hold, so that the cost of fetching them is in
 * the figure.  "bpf" are single BPF expressions on one header after the other,
 * by our machine and by libpcap's bpf_filter().  Prints a JSON object a line:
 * the median of RUNS (7 by default), the least and the most.  Synthetic
 * histories; nothing is read. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pcap/pcap.h>

#include "bench/figure.h"
#include "lib/lh_alloc.h"
#include "phf/bpf.h"
#include "phf/phf.h"
#include "phf/phf_set.h"

#define N_MATCHES 20000 /* Of a run. */
#define N_CACHED  100
#define N_BPF     200000 /* Headers of a run. */
#define MAX_RUNS  100

/* --- histories ----------------------------------------------------------- */

/* A UDP packet from 10.0.'i' to 10.1.'i', port 53. */
static void
add_header(struct history_hop *hop, uint32_t i)
{
    uint8_t packet[64] = {2,
                          0,
                          0,
                          0,
                          0,
                          2,
                          2,
                          0,
                          0,
                          0,
                          0,
                          1,
                          0x08,
                          0x00,
                          0x45,
                          0,
                          0,
                          50,
                          0,
                          0,
                          0,
                          0,
                          64,
                          17,
                          0,
                          0,
                          10,
                          0,
                          (uint8_t) (i >> 8),
                          (uint8_t) i,
                          10,
                          1,
                          (uint8_t) (i >> 8),
                          (uint8_t) i,
                          0x30,
                          0x39,
                          0,
                          53,
                          0,
                          30};

    history_hop_set_header(hop, packet, sizeof packet);
}

static struct history **
make_histories(size_t n_histories, size_t n_hops)
{
    struct history **list = lh_alloc(n_histories * sizeof *list);

    for (uint32_t i = 0; i < n_histories; i++) {
        list[i] = history_create(i);
        for (size_t j = 0; j < n_hops; j++) {
            struct history_hop *hop = history_add_hop(list[i]);

            hop->parent = (int) j - 1;
            hop->dpid = 1 + (i + j) % 50;
            hop->in_port = 1;
            history_hop_add_out(hop, 2);
            history_hop_add_version(hop, 7);
            add_header(hop, i);
        }
        list[i]->hops[n_hops - 1].verdict.name = VERDICT_DELIVERED;
        history_settle(list[i]);
    }
    return list;
}

static void
free_histories(struct history **list, size_t n_histories)
{
    for (size_t i = 0; i < n_histories; i++) {
        history_destroy(list[i]);
    }
    free(list);
}

/* --- figures ------------------------------------------------------------- */

static void
report(const char *metric, size_t n_histories, double *ns, size_t n_runs)
{
    char *name = lh_asprintf("%s, %s", metric,
                             n_histories == N_CACHED ? "cached" : "memory");

    figure_print(ns, n_runs,
                 strncmp(metric, "bpf ", 4) ? "ns/history" : "ns/header", name,
                 "phf");
    free(name);
}

static struct phf *
compile(const char *filter)
{
    struct lh_error error;
    struct phf *phf;

    if (phf_compile(filter, NULL, &phf, &error)) {
        fprintf(stderr, "bench_phf: %s: %s\n", filter, error.text);
        exit(EXIT_FAILURE);
    }
    return phf;
}

static void
bench_histories(const char *metric, const struct phf *phf, size_t n_histories,
                size_t n_hops, enum phf_result expected, size_t n_runs)
{
    struct history **list = make_histories(n_histories, n_hops);
    double ns[MAX_RUNS];

    for (size_t run = 0; run < n_runs; run++) {
        double start = (double) figure_ns(CLOCK_THREAD_CPUTIME_ID);
        size_t n_expected = 0;

        for (size_t i = 0; i < N_MATCHES; i++) {
            n_expected +=
                phf_match(phf, list[i % n_histories], NULL) == expected;
        }
        ns[run] =
            ((double) figure_ns(CLOCK_THREAD_CPUTIME_ID) - start) / N_MATCHES;
        if (n_expected != N_MATCHES) {
            fprintf(stderr, "bench_phf: %s: wrong answer\n", metric);
            exit(EXIT_FAILURE);
        }
    }
    report(metric, n_histories, ns, n_runs);
    free_histories(list, n_histories);
}

static void
bench_filter(const char *metric, const char *filter, size_t n_hops,
             enum phf_result expected, size_t n_runs)
{
    struct phf *phf = compile(filter);

    bench_histories(metric, phf, N_CACHED, n_hops, expected, n_runs);
    bench_histories(metric, phf, N_MATCHES, n_hops, expected, n_runs);
    phf_destroy(phf);
}

static void
count_hit(void *aux, uint32_t id, void *filter_aux, enum phf_result result)
{
    size_t *n_hits = aux;

    ++*n_hits;
}

static void
bench_set(const char *metric, const char *format, size_t n_filters,
          size_t n_runs)
{
    struct history **list = make_histories(N_CACHED, 5);
    struct phf_set *set = phf_set_create();
    double ns[MAX_RUNS];
    size_t n_hits = 0;

    for (unsigned int i = 0; i < n_filters; i++) {
        char filter[200];

        snprintf(filter, sizeof filter, format, 1000 + i, 2000 + i);
        phf_set_add(set, compile(filter), NULL);
    }
    for (size_t run = 0; run < n_runs; run++) {
        double start = (double) figure_ns(CLOCK_THREAD_CPUTIME_ID);

        for (size_t i = 0; i < N_MATCHES; i++) {
            phf_set_match(set, list[i % N_CACHED], NULL, count_hit, &n_hits);
        }
        ns[run] =
            ((double) figure_ns(CLOCK_THREAD_CPUTIME_ID) - start) / N_MATCHES;
    }
    if (n_hits) {
        fprintf(stderr, "bench_phf: %s: wrong answer\n", format);
        exit(EXIT_FAILURE);
    }
    report(metric, N_CACHED, ns, n_runs);
    phf_set_destroy(set);
    free_histories(list, N_CACHED);
}

/* --- BPF ----------------------------------------------------------------- */

/* An expression by the machine that filters use, and by libpcap's, by turns
 * over the same headers. */
static void
bench_bpf(const char *expression, size_t n_runs)
{
    struct history **list = make_histories(N_CACHED, 10);
    double ours[MAX_RUNS], theirs[MAX_RUNS];
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);
    struct bpf_program program;
    struct bpf_test *test;
    struct lh_error error;
    char metric[200];

    if (!pcap || pcap_compile(pcap, &program, expression, 1, 0) ||
        bpf_test_create(expression, strlen(expression), false, &test,
                        &error)) {
        fprintf(stderr, "bench_phf: %s: does not compile\n", expression);
        exit(EXIT_FAILURE);
    }
    for (size_t run = 0; run < n_runs; run++) {
        size_t n_ours = 0, n_theirs = 0;
        double start = (double) figure_ns(CLOCK_THREAD_CPUTIME_ID), middle;

        for (size_t i = 0; i < N_BPF; i++) {
            const struct history_hop *hop =
                &list[i / 10 % N_CACHED]->hops[i % 10];

            n_ours += bpf_test_run(test, hop->header, hop->caplen);
        }
        middle = (double) figure_ns(CLOCK_THREAD_CPUTIME_ID);
        for (size_t i = 0; i < N_BPF; i++) {
            const struct history_hop *hop =
                &list[i / 10 % N_CACHED]->hops[i % 10];

            n_theirs += bpf_filter(program.bf_insns, hop->header, hop->caplen,
                                   hop->caplen) != 0;
        }
        ours[run] = (middle - start) / N_BPF;
        theirs[run] =
            ((double) figure_ns(CLOCK_THREAD_CPUTIME_ID) - middle) / N_BPF;
        if (n_ours != n_theirs) {
            fprintf(stderr, "bench_phf: %s: answers differ\n", expression);
            exit(EXIT_FAILURE);
        }
    }
    snprintf(metric, sizeof metric, "bpf %s, ours", expression);
    report(metric, N_CACHED, ours, n_runs);
    snprintf(metric, sizeof metric, "bpf %s, libpcap", expression);
    report(metric, N_CACHED, theirs, n_runs);
    bpf_test_unref(test);
    pcap_freecode(&program);
    pcap_close(pcap);
    free_histories(list, N_CACHED);
}

int
main(int argc, char *argv[])
{
    size_t n_runs = argc > 1 ? (size_t) atoi(argv[1]) : 7;

    if (n_runs < 1 || n_runs > MAX_RUNS) {
        fprintf(stderr, "usage: bench_phf [RUNS]\n");
        return EXIT_FAILURE;
    }
    bench_filter("X.*X.*X miss, dpid, 10 hops",
                 "{{--dpid 99}}.*{{--dpid 99}}.*{{--dpid 99}}", 10, PHF_MISS,
                 n_runs);
    bench_filter("X.*X.*X miss, bpf, 10 hops",
                 "{{--bpf tcp port 80}}.*{{--bpf tcp port 80}}.*"
                 "{{--bpf tcp port 80}}",
                 10, PHF_MISS, n_runs);
    bench_filter("X.*X.*X miss, bpf on a host, 10 hops",
                 "{{--bpf udp and host 9.9.9.9}}.*"
                 "{{--bpf udp and host 9.9.9.9}}.*"
                 "{{--bpf udp and host 9.9.9.9}}",
                 10, PHF_MISS, n_runs);
    bench_filter("X.*X.*X match, version, 10 hops",
                 "{{--version 7}}.*{{--version 7}}.*{{--version 7}}$", 10,
                 PHF_MATCH, n_runs);
    bench_filter("X miss, dpid, 5 hops", "{{--dpid 99}}", 5, PHF_MISS, n_runs);
    bench_filter("^.*X$ miss, dpid, 5 hops", "^.*{{--dpid 99}}$", 5, PHF_MISS,
                 n_runs);
    bench_filter("loop (.).*\\\\1 miss, 10 hops", "(.).*\\1", 10, PHF_MISS,
                 n_runs);
    bench_set("set of 4, dpid, 5 hops", "{{--dpid %u}}.*{{--dpid %u}}", 4,
              n_runs);
    bench_set("set of 1000, dpid, 5 hops", "{{--dpid %u}}.*{{--dpid %u}}",
              1000, n_runs);
    bench_set("set of 1000 that name no switch, 5 hops",
              "{{--version 9}}.*{{--inport %u --outport %u}}", 1000, n_runs);
    bench_bpf("tcp port 80", n_runs);
    bench_bpf("udp and host 9.9.9.9", n_runs);
    bench_bpf("udp port 53 and dst net 10.1.0.0/16", n_runs);
    bench_bpf("ip[2:2] > 40 and ip[8] < 100 and ip[12:4] & 0xff != 7", n_runs);
    return EXIT_SUCCESS;
}
