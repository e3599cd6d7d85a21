/* SPDX-License-Identifier: Apache-2.0 */
/* bench_receive - postcards from a veth, by UDP socket and by packet ring.
 *
 * A process in another network namespace sends the geneve postcards of the
 * preset mix of lasthop-gen, 96-byte snap, one to a packet, over a veth, at
 * higher and higher rates.  The server's own sources take them: from the
 * kernel, decoded, their sender looked up, named by packet ID, and left at
 * the door of the path table.  The kernel's part of receiving (softirq) runs
 * on the sender's core, as veth has it, or is steered to the reader's ("one
 * core": that core does all there is to do for a received postcard).
 *
 * Reported: the highest rate of which not one was missing and that the reader
 * kept up with (the sender being done, the rest came within a tenth of its
 * time), found by bisection; the reader's CPU per postcard, its parts in user
 * and kernel mode (where the reader's core does it all, softirq is in both),
 * and how many a core would take by that; the sender's CPU, which pays for
 * the receiving in softirq where that is not steered away.
 *
 * Needs root, ip(8) and ethtool(8); without root it says so and does nothing.
 *
 * usage: bench_receive [SECONDS]   (of each rate; default 1) */
#include <config.h>

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/bench_preset.h"
#include "bench/figure.h"
#include "bench/receive_sender.h"
#include "gen/gen.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"
#include "server/accept_list.h"
#include "server/ingest.h"
#include "server/source_pcap.h"
#include "server/source_udp.h"

#define N_RUNS    3
#define N_PACKETS 20000
#define MAX_TRIES 2 /* At a rate, before it counts as too high. */
#define N_HALVES  4
#define QUIET_NS  UINT64_C(300000000)

static const double rates[] = {0.2e6, 0.4e6, 0.8e6, 1.6e6, 3.2e6};
#define N_RATES (sizeof rates / sizeof rates[0])

/* How postcards come in. */
struct way {
    const char *name;
    const char *interface; /* NULL: by UDP. */
    bool is_one_core;
};

static const struct way ways[] = {
    {"udp", NULL, false},
    {"ring", RECEIVE_INTERFACE, false},
    {"udp one core", NULL, true},
    {"ring one core", RECEIVE_INTERFACE, true},
};
#define N_WAYS (sizeof ways / sizeof ways[0])

/* One rate. */
struct result {
    double rate;               /* As sent. */
    double user_ns, kernel_ns; /* The reader's CPU per postcard. */
    double sender_ns;
    uint64_t n_missing, n_drops;
    bool is_whole; /* Nothing was missing, and the reader kept up. */
};

static struct receive_frame *frames;
static size_t n_frames;
static struct ingest *ingest;
static struct event_base *base;
static struct receive_sender *sender;
static uint64_t last_ns; /* When the last batch came. */

static void
give(void *aux, const struct postcard *p)
{
}

static void
after(void *aux)
{
    static uint64_t n_before;
    uint64_t n = ingest_counters(ingest)->postcards;

    if (n != n_before) {
        last_ns = figure_ns(CLOCK_MONOTONIC);
        n_before = n;
    }
}

static void
on_wake(evutil_socket_t fd, short what, void *aux)
{
}

/* The frames, and 'ingest' for them. */
static const char *
prepare(void)
{
    struct rule_cache_config rules = {0};
    struct ingest_config config = {
        .id_config = PACKET_ID_CONFIG_INIT,
        .give = give,
    };
    struct accept_list *accept = accept_list_create();
    struct gen_frame batch[GEN_BATCH];
    struct gen_config gen_config;
    struct lh_error error;
    struct gen *gen;
    char *trace;
    const char *traffic = bench_preset(&gen_config, &trace);
    size_t n, allocated = 0;

    gen_config.n_packets = N_PACKETS;
    gen_config.snap = PACKET_ID_SNAP;
    if (gen_create(&gen_config, &gen, &error) ||
        accept_list_add(accept, "10.99.0.0/24", &error)) {
        figure_die(error.text);
    }
    while (!gen_next(gen, batch, GEN_BATCH, &n, &error) && n) {
        for (size_t i = 0; i < n; i++) {
            uint8_t *data = lh_alloc(batch[i].len);

            memcpy(data, batch[i].data, batch[i].len);
            frames =
                lh_alloc_grow(frames, n_frames, &allocated, sizeof *frames);
            frames[n_frames++] = (struct receive_frame){data, batch[i].len};
        }
    }
    config.rules = rule_cache_create(&rules);
    config.accept = accept;
    ingest = ingest_create(&config);
    ingest_set_topology(ingest, gen_net_topology(gen_get_net(gen)));
    gen_destroy(gen);
    free(trace);
    return traffic;
}

static double
seconds(const struct timeval *tv)
{
    return (double) tv->tv_sec + (double) tv->tv_usec / 1e6;
}

/* Takes what comes until the sender is done and all has come, or nothing more
 * does. */
static void
take(uint64_t n_before, struct receive_report *report)
{
    struct event *done =
        event_new(base, receive_sender_fd(sender), EV_READ, on_wake, NULL);
    struct event *wake = event_new(base, -1, EV_PERSIST, on_wake, NULL);
    struct timeval pause = {0, 20000};
    bool is_done = false;

    event_add(done, NULL);
    event_add(wake, &pause);
    last_ns = figure_ns(CLOCK_MONOTONIC);
    for (;;) {
        event_base_loop(base, EVLOOP_ONCE);
        if (!is_done && !event_pending(done, EV_READ, NULL)) {
            receive_sender_report(sender, report);
            is_done = true;
        }
        if (is_done &&
            (ingest_counters(ingest)->postcards - n_before >= report->n_sent ||
             figure_ns(CLOCK_MONOTONIC) - last_ns > QUIET_NS)) {
            break;
        }
    }
    event_free(done);
    event_free(wake);
}

static void
try_rate(const struct way *way, double rate, double duration_s,
         struct result *result)
{
    const char *interface = way->interface;
    struct receive_order order = {.rate = rate,
                                  .n = (uint64_t) (rate * duration_s),
                                  .to_stranger = interface != NULL};
    uint64_t n_before = ingest_counters(ingest)->postcards;
    struct source_pcap *pcap = NULL;
    struct source_udp *udp = NULL;
    struct receive_report report;
    struct rusage from, to;
    struct lh_error error;
    int retval =
        interface ? source_pcap_open_live(base, interface, INGEST_AUTO, 1,
                                          ingest, after, NULL, &pcap, &error)
                  : source_udp_open(base, RECEIVE_ADDRESS ":6081", ingest,
                                    after, NULL, &udp, &error);

    if (retval) {
        figure_die(error.text);
    }
    getrusage(RUSAGE_SELF, &from);
    receive_sender_order(sender, &order);
    take(n_before, &report);
    getrusage(RUSAGE_SELF, &to);
    result->n_drops = pcap ? source_pcap_counters(pcap)->kernel_drops
                           : source_udp_counters(udp)->kernel_drops;
    source_pcap_close(pcap);
    source_udp_close(udp);

    double n = (double) (ingest_counters(ingest)->postcards - n_before);
    double user = seconds(&to.ru_utime) - seconds(&from.ru_utime);
    double kernel = seconds(&to.ru_stime) - seconds(&from.ru_stime);
    double sent_s = (double) (report.to_ns - report.from_ns) / 1e9;

    result->rate = (double) report.n_sent / sent_s;
    result->n_missing = report.n_sent - (uint64_t) n;
    result->user_ns = user * 1e9 / n;
    result->kernel_ns = kernel * 1e9 / n;
    result->sender_ns = (double) report.cpu_ns / (double) report.n_sent;
    result->is_whole =
        !result->n_missing && !result->n_drops &&
        (last_ns < report.to_ns ||
         (double) (last_ns - report.to_ns) < 0.1e9 * sent_s + 0.05e9);
}

/* Whether 'rate' comes whole; if so and it is more, it is the 'best'. */
static bool
is_whole_at(const struct way *way, double rate, double duration_s,
            struct result *best)
{
    struct result result = {0};

    for (int i = 0; i < MAX_TRIES && !result.is_whole; i++) {
        try_rate(way, rate, duration_s, &result);
    }
    if (result.is_whole && result.rate > best->rate) {
        *best = result;
    }
    if (!result.is_whole) {
        fprintf(stderr,
                "bench_receive: %s: at %.2f M/s %llu missing, %llu of them "
                "counted as kernel_drops\n",
                way->name, result.rate / 1e6,
                (unsigned long long) result.n_missing,
                (unsigned long long) result.n_drops);
    } else if (result.rate < rate * 0.9) {
        fprintf(stderr, "bench_receive: %s: the sender ends at %.2f M/s\n",
                way->name, result.rate / 1e6);
        return false;
    }
    return result.is_whole;
}

/* The highest rate that came whole, or that the sender reached. */
static struct result
climb(const struct way *way, double duration_s)
{
    struct result best = {0};
    size_t i = 0;

    while (i < N_RATES && is_whole_at(way, rates[i], duration_s, &best)) {
        i++;
    }
    if (i < N_RATES) {
        double low = i ? rates[i - 1] : 0, high = rates[i];

        for (int j = 0; j < N_HALVES; j++) {
            double rate = (low + high) / 2;

            *(is_whole_at(way, rate, duration_s, &best) ? &low : &high) = rate;
        }
    }
    return best;
}

static void
print(const char *way, const char *traffic, const char *metric,
      const char *unit, double values[N_RUNS])
{
    figure_print(values, N_RUNS, unit, metric, "receive %s %s snap %d", way,
                 traffic, PACKET_ID_SNAP);
}

static void
measure(const struct way *way, const char *traffic, double duration_s)
{
    double rate[N_RUNS], reader[N_RUNS], user[N_RUNS], kernel[N_RUNS],
        core[N_RUNS], sending[N_RUNS];

    receive_sender_steer(way->is_one_core);
    for (size_t i = 0; i < N_RUNS; i++) {
        struct result best = climb(way, duration_s);

        rate[i] = best.rate;
        user[i] = best.user_ns;
        kernel[i] = best.kernel_ns;
        reader[i] = best.user_ns + best.kernel_ns;
        core[i] = reader[i] > 0 ? 1e9 / reader[i] : 0;
        sending[i] = best.sender_ns;
    }
    print(way->name, traffic, "postcards_per_s", "postcards/s", rate);
    print(way->name, traffic, "reader_ns_per_postcard", "ns CPU", reader);
    print(way->name, traffic, "reader_user_ns_per_postcard", "ns CPU", user);
    print(way->name, traffic, "reader_kernel_ns_per_postcard", "ns CPU",
          kernel);
    print(way->name, traffic, "postcards_per_reader_cpu_s", "postcards/s",
          core);
    print(way->name, traffic, "sender_ns_per_postcard", "ns CPU", sending);
}

int
main(int argc, char *argv[])
{
    double duration_s = argc > 1 ? strtod(argv[1], NULL) : 1;
    const char *traffic;

    if (geteuid()) {
        fprintf(stderr, "bench_receive: needs root: left out\n");
        return EXIT_SUCCESS;
    }
    traffic = prepare();
    sender = receive_sender_start(frames, n_frames);
    base = event_base_new();
    for (size_t i = 0; i < N_WAYS; i++) {
        measure(&ways[i], traffic, duration_s);
    }
    receive_sender_stop(sender);
    event_base_free(base);
    return EXIT_SUCCESS;
}
