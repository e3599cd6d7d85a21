/* SPDX-License-Identifier: Apache-2.0 */
/* receive_reader - takes postcards from a veth as a server does, and says what
 * that costs. */
#include <config.h>
#include "bench/receive_reader.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/bench_preset.h"
#include "bench/figure.h"
#include "bench/receive_sender.h"
#include "gen/gen.h"
#include "lib/lh_alloc.h"
#include "server/accept_list.h"
#include "server/ingest.h"
#include "server/source_pcap.h"
#include "server/source_udp.h"

#define N_PACKETS 20000
#define MAX_TRIES 2 /* At a rate, before it counts as too high. */
#define N_HALVES  4
#define QUIET_NS  UINT64_C(300000000)

static const double rates[] = {0.2e6, 0.4e6, 0.8e6, 1.6e6, 3.2e6};
#define N_RATES (sizeof rates / sizeof rates[0])

struct receive_reader {
    const char *traffic;
    struct receive_frame *frames; /* Owned. */
    size_t n_frames;
    struct ingest *ingest;         /* Owned. */
    struct rule_cache *rules;      /* Owned. */
    struct accept_list *accept;    /* Owned. */
    struct event_base *base;       /* Owned. */
    struct receive_sender *sender; /* Owned. */
    uint64_t n_before, last_ns;    /* The last batch, and when it came. */
};

static void
give(void *aux, const struct postcard *p)
{
}

static void
after(void *r_)
{
    struct receive_reader *r = r_;
    uint64_t n = ingest_counters(r->ingest)->postcards;

    if (n != r->n_before) {
        r->last_ns = figure_ns(CLOCK_MONOTONIC);
        r->n_before = n;
    }
}

static void
on_wake(evutil_socket_t fd, short what, void *aux)
{
}

static void
add_frames(struct receive_reader *r, const struct gen_frame *frames, size_t n,
           size_t *allocated)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t *data = lh_alloc(frames[i].len);

        memcpy(data, frames[i].data, frames[i].len);
        r->frames = lh_alloc_grow(r->frames, r->n_frames, allocated,
                                  sizeof *r->frames);
        r->frames[r->n_frames++] = (struct receive_frame){data, frames[i].len};
    }
}

/* The frames, and ingest for them. */
static void
prepare(struct receive_reader *r, uint16_t snap,
        const struct packet_id_config *id_config)
{
    struct rule_cache_config rules = {0};
    struct ingest_config config = {.id_config = *id_config, .give = give};
    struct gen_frame batch[GEN_BATCH];
    struct gen_config gen_config;
    struct lh_error error;
    struct gen *gen;
    char *trace;
    size_t n, allocated = 0;

    r->traffic = bench_preset(&gen_config, &trace);
    gen_config.n_packets = N_PACKETS;
    gen_config.snap = snap;
    r->accept = accept_list_create();
    if (gen_create(&gen_config, &gen, &error) ||
        accept_list_add(r->accept, "10.99.0.0/24", &error)) {
        figure_die(error.text);
    }
    while (!gen_next(gen, batch, GEN_BATCH, &n, &error) && n) {
        add_frames(r, batch, n, &allocated);
    }
    r->rules = rule_cache_create(&rules);
    config.rules = r->rules;
    config.accept = r->accept;
    r->ingest = ingest_create(&config);
    ingest_set_topology(r->ingest, gen_net_topology(gen_get_net(gen)));
    gen_destroy(gen);
    free(trace);
}

struct receive_reader *
receive_reader_start(uint16_t snap, const struct packet_id_config *id_config)
{
    struct receive_reader *r = lh_alloc_zero(sizeof *r);

    prepare(r, snap, id_config);
    r->sender = receive_sender_start(r->frames, r->n_frames);
    r->base = event_base_new();
    return r;
}

void
receive_reader_stop(struct receive_reader *r)
{
    receive_sender_stop(r->sender);
    event_base_free(r->base);
    ingest_destroy(r->ingest);
    rule_cache_destroy(r->rules);
    accept_list_destroy(r->accept);
    for (size_t i = 0; i < r->n_frames; i++) {
        free(r->frames[i].data);
    }
    free(r->frames);
    free(r);
}

const char *
receive_reader_traffic(const struct receive_reader *r)
{
    return r->traffic;
}

static double
seconds(const struct timeval *tv)
{
    return (double) tv->tv_sec + (double) tv->tv_usec / 1e6;
}

/* Takes what comes until the sender is done and all has come, or nothing more
 * does. */
static void
take(struct receive_reader *r, uint64_t n_before,
     struct receive_report *report)
{
    struct event *done = event_new(r->base, receive_sender_fd(r->sender),
                                   EV_READ, on_wake, NULL);
    struct event *wake = event_new(r->base, -1, EV_PERSIST, on_wake, NULL);
    struct timeval pause = {0, 20000};
    bool is_done = false;

    event_add(done, NULL);
    event_add(wake, &pause);
    r->last_ns = figure_ns(CLOCK_MONOTONIC);
    for (;;) {
        event_base_loop(r->base, EVLOOP_ONCE);
        if (!is_done && !event_pending(done, EV_READ, NULL)) {
            receive_sender_report(r->sender, report);
            is_done = true;
        }
        if (is_done && (ingest_counters(r->ingest)->postcards - n_before >=
                            report->n_sent ||
                        figure_ns(CLOCK_MONOTONIC) - r->last_ns > QUIET_NS)) {
            break;
        }
    }
    event_free(done);
    event_free(wake);
}

static void
try_rate(struct receive_reader *r, const struct receive_way *way, double rate,
         double duration_s, struct receive_result *result)
{
    const char *interface = way->interface;
    struct receive_order order = {.rate = rate,
                                  .n = (uint64_t) (rate * duration_s),
                                  .to_stranger = interface != NULL};
    uint64_t n_before = ingest_counters(r->ingest)->postcards;
    struct source_pcap *pcap = NULL;
    struct source_udp *udp = NULL;
    struct receive_report report;
    struct rusage from, to;
    struct lh_error error;
    int retval =
        interface ? source_pcap_open_live(r->base, interface, INGEST_AUTO, 1,
                                          r->ingest, after, r, &pcap, &error)
                  : source_udp_open(r->base, RECEIVE_ADDRESS ":6081",
                                    r->ingest, after, r, &udp, &error);

    if (retval) {
        figure_die(error.text);
    }
    getrusage(RUSAGE_SELF, &from);
    receive_sender_order(r->sender, &order);
    take(r, n_before, &report);
    getrusage(RUSAGE_SELF, &to);
    result->n_drops = pcap ? source_pcap_counters(pcap)->kernel_drops
                           : source_udp_counters(udp)->kernel_drops;
    source_pcap_close(pcap);
    source_udp_close(udp);

    double n = (double) (ingest_counters(r->ingest)->postcards - n_before);
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
        (r->last_ns < report.to_ns ||
         (double) (r->last_ns - report.to_ns) < 0.1e9 * sent_s + 0.05e9);
}

/* Whether 'rate' comes whole; if so and it is more, it is the 'best'. */
static bool
is_whole_at(struct receive_reader *r, const struct receive_way *way,
            double rate, double duration_s, struct receive_result *best)
{
    struct receive_result result = {0};

    for (int i = 0; i < MAX_TRIES && !result.is_whole; i++) {
        try_rate(r, way, rate, duration_s, &result);
    }
    if (result.is_whole && result.rate > best->rate) {
        *best = result;
    }
    if (!result.is_whole) {
        fprintf(stderr,
                "receive: %s: at %.2f M/s %llu missing, %llu of them "
                "counted as kernel_drops\n",
                way->name, result.rate / 1e6,
                (unsigned long long) result.n_missing,
                (unsigned long long) result.n_drops);
    } else if (result.rate < rate * 0.9) {
        fprintf(stderr, "receive: %s: the sender ends at %.2f M/s\n",
                way->name, result.rate / 1e6);
        return false;
    }
    return result.is_whole;
}

struct receive_result
receive_reader_climb(struct receive_reader *r, const struct receive_way *way,
                     double duration_s)
{
    struct receive_result best = {0};
    size_t i = 0;

    receive_sender_steer(way->is_one_core);
    while (i < N_RATES && is_whole_at(r, way, rates[i], duration_s, &best)) {
        i++;
    }
    if (i < N_RATES) {
        double low = i ? rates[i - 1] : 0, high = rates[i];

        for (int j = 0; j < N_HALVES; j++) {
            double rate = (low + high) / 2;

            *(is_whole_at(r, way, rate, duration_s, &best) ? &low : &high) =
                rate;
        }
    }
    return best;
}

double
receive_reader_decode_ns(struct receive_reader *r)
{
    const uint8_t address[4] = {10, 99, 0, 10};
    const struct accept_address from = accept_address_ip4(address);
    uint64_t before = ingest_counters(r->ingest)->postcards;
    uint64_t at_ns = figure_ns(CLOCK_THREAD_CPUTIME_ID);
    uint64_t taken_ns, n;

    for (size_t i = 0; i < r->n_frames; i++) {
        ingest_datagram(r->ingest, r->frames[i].data + RECEIVE_HEAD_LEN,
                        r->frames[i].len - RECEIVE_HEAD_LEN, i, &from);
    }
    taken_ns = figure_ns(CLOCK_THREAD_CPUTIME_ID) - at_ns;
    n = ingest_counters(r->ingest)->postcards - before;
    if (n != r->n_frames) {
        figure_die("postcards that are refused");
    }
    return (double) taken_ns / (double) n;
}
