/* SPDX-License-Identifier: Apache-2.0 */
/* bench_filters - what live filters cost the assembly of postcards.
 *
 * The postcards of the preset mix of lasthop-gen go through path tables that
 * know trajectories, each with another number of live filters behind it: 0, 4,
 * 100 and 1,000, by turns in one process.  Times are those of the processor,
 * of decoding, assembly and matching; "kept" is the speed with the filters as
 * a share of that without, "kept of 4" of that with four, in the same turn.
 *
 * The filters are what an operator of a network of 40 switches might leave
 * running, of which the mix passes five: a host, two networks or a service on
 * some way; a way that avoids a waypoint; rules by version; drops, losses and
 * punts here or there; loops; masks and ranges (TTL, DSCP, ports); IPv6, MACs
 * and tags; and one in ten reads what differs from packet to packet (TCP
 * flags, lengths, payload).  One in a hundred names neither place nor address.
 * Hosts and networks are close together in 10.0.0.0/14, where hosts of the
 * trace are.  Most match little, as a filter does that somebody reads;
 * "matches" says how many.
 *
 * usage: bench_filters [PACKETS [FILTERS]]
 *        bench_filters --print FILTERS
 *
 * PACKETS is 50,000 by default.  With FILTERS there is one turn, with so many,
 * and nothing is printed: for those who count instructions.  --print writes so
 * many of the filters, one to a line: for bench_pipeline. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_preset.h"
#include "bench/figure.h"
#include "gen/gen.h"
#include "gen/gen_random.h"
#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/postcard_geneve.h"
#include "phf/phf_set.h"
#include "server/path_table.h"

#define N_RUNS      7
#define N_PACKETS   50000
#define RANDOM_SEED 20261122

static const unsigned int n_filters[] = {0, 4, 100, 1000};
#define N_SETS (sizeof n_filters / sizeof *n_filters)

/* Of ten filters one of each line; %s, %d, %p, %v, %h, %n, %q are a switch, a
 * second one, a port, a version, a host, a network and a service. */
static const char *const forms[][3] = {
    {"{{--dpid %s --bpf \"host %h\"}}.*{{--dpid %d}}",
     "{{--bpf \"ip src %h and tcp dst port %q\"}}.*{{--dpid %d}}",
     "^{{--dpid %s --bpf \"src net %n\"}}.*{{--dpid %d --outport %p}}$"},
    {"^{{--bpf \"src net %n and dst net %n\"}}[^{{--dpid %s}}]*$",
     "^{{--bpf \"host %h\"}}[^{{--dpid %s}}{{--dpid %d}}]*$",
     "^[^{{--dpid %s}}]*{{--bpf \"dst host %h and udp port %q\"}}"},
    {"{{--dpid %s --inport %p --bpf \"src net %n and tcp dst port %q\"}}",
     "{{--dpid %s --inport %p}}.*{{--dpid %d --outport %p}}",
     "{{--bpf \"net %n and port %q\"}}.{3,}{{--dpid %d}}"},
    {"{{--dpid %s --version %v}}", "{{--version %v}}.*{{--dpid %d}}",
     "{{--dpid %s --version %v --bpf \"host %h\"}}"},
    {"{{--dpid %s}}.*{{--verdict dropped}}$",
     "{{--bpf \"host %h\"}}.*{{--verdict lost}}$",
     "^{{--dpid %s --inport %p}}.*{{--verdict controller}}"},
    {"({{--dpid %s}}).*\\1", "(.).*\\1.*{{--dpid %d}}",
     "{{--bpf \"net %n\"}}.*{{--verdict looped}}"},
    {"{{--dpid %s --bpf \"ip[8] < 3\"}}",
     "{{--dpid %s --bpf \"udp portrange 33434-33534 and net %n\"}}",
     "{{--bpf \"ip[1] & 0xfc = 0xb8 and ip src %h\"}}.*{{--dpid %d}}"},
    {"{{--dpid %s --bpf \"ip6 net 2001:db8:%v::/48\"}}",
     "{{--bpf \"ether src 02:00:00:00:%p:%s\"}}",
     "{{--dpid %s --bpf \"vlan %v and host %h\"}}"},
    {"{{--dpid %s --bpf \"host %h and tcp[tcpflags] & tcp-rst != 0\"}}",
     "{{--bpf \"net %n and ip[2:2] > 1400\"}}.*{{--dpid %d}}",
     "{{--dpid %s --bpf \"udp dst port %q and udp[8:2] & 0x8000 = 0\"}}"},
    {"^.*{{--outport DROP --bpf \"dst net %n\"}}$",
     "{{--dpid %s --bpf \"tcp port %q\"}}.*{{--verdict dropped}}",
     "{{--dpid %s}}{{--dpid %d --bpf \"icmp and host %h\"}}"},
};
/* One in a hundred, by turns. */
static const char *const wide_forms[] = {
    "(.).*\\1",
    "{{--bpf \"tcp[tcpflags] & (tcp-syn|tcp-fin) = (tcp-syn|tcp-fin)\"}}",
    "^.{9,}$",
    "{{--verdict looped}}",
    "{{--bpf \"ip[6:2] & 0x1fff != 0\"}}.*{{--verdict dropped}}",
};

struct frame {
    uint64_t time_ns;
    uint32_t len;
    uint8_t *data; /* Owned. */
};

struct traffic {
    const char *name;
    struct gen_config config;
    struct gen *gen; /* Owned. */
    size_t n, allocated;
    struct frame *frames; /* Owned. */
};

struct side {
    struct traffic *traffic;
    struct phf_set *set; /* NULL: no filters. */
    const struct topology *topology;
    uint64_t n_histories, n_hits;
};

static void
read_traffic(struct traffic *t, size_t n_packets, char **path)
{
    struct gen_frame frames[GEN_BATCH];
    struct lh_error error;
    size_t n;

    t->name = bench_preset(&t->config, path);
    t->config.n_packets = n_packets;
    if (gen_create(&t->config, &t->gen, &error)) {
        fprintf(stderr, "bench_filters: %s\n", error.text);
        exit(EXIT_FAILURE);
    }
    while (!gen_next(t->gen, frames, GEN_BATCH, &n, &error) && n) {
        for (size_t i = 0; i < n; i++) {
            t->frames = lh_alloc_grow(t->frames, t->n, &t->allocated,
                                      sizeof *t->frames);
            t->frames[t->n++] =
                (struct frame){frames[i].time_ns, frames[i].len,
                               lh_memdup(frames[i].data, frames[i].len)};
        }
    }
}

/* Writes what a letter of a form stands for. */
static int
write_value(char *to, size_t size, char letter, struct gen_random *r)
{
    static const unsigned int services[] = {22,  23,  25,   53,  80,
                                            123, 443, 1900, 445, 3389};

    switch (letter) {
    case 'p':
        return snprintf(to, size, "%u", 1 + gen_random_pick(r, 4));
    case 'v':
        return snprintf(to, size, "%u", 1 + gen_random_pick(r, 2000));
    case 'h':
        return snprintf(to, size, "10.%u.%u.%u", gen_random_pick(r, 4),
                        gen_random_pick(r, 4), 1 + gen_random_pick(r, 250));
    case 'n':
        return snprintf(to, size, "10.%u.%u.0/24", gen_random_pick(r, 4),
                        gen_random_pick(r, 16));
    case 'q':
        return snprintf(to, size, "%u", services[gen_random_pick(r, 10)]);
    default:
        return snprintf(to, size, "%u", 1 + gen_random_pick(r, 40));
    }
}

static void
write_filter(char *to, size_t size, unsigned int i, struct gen_random *r)
{
    const char *form =
        i % 100 == 99 ? wide_forms[i / 100 % 5] : forms[i % 10][i / 10 % 3];
    size_t len = 0;

    for (; *form && len + 1 < size; form++) {
        if (*form == '%') {
            len += (size_t) write_value(to + len, size - len, *++form, r);
        } else {
            to[len++] = *form;
        }
    }
    to[len] = '\0';
}

static struct phf_set *
make_set(unsigned int n)
{
    struct phf_set *set = phf_set_create();
    struct gen_random r = {RANDOM_SEED};

    for (unsigned int i = 0; i < n; i++) {
        struct lh_error error;
        char text[300];
        struct phf *phf;

        write_filter(text, sizeof text, i, &r);
        if (phf_compile(text, NULL, &phf, &error)) {
            fprintf(stderr, "bench_filters: %s: %s\n", text, error.text);
            exit(EXIT_FAILURE);
        }
        phf_set_add(set, phf, NULL);
    }
    return set;
}

static void
count_hit(void *side, uint32_t id, void *filter_aux, enum phf_result result)
{
    ((struct side *) side)->n_hits++;
}

static void
emit(void *side_, struct history *h)
{
    struct side *side = side_;

    side->n_histories++;
    if (side->set) {
        phf_set_match(side->set, h, side->topology, count_hit, side);
    }
    history_destroy(h);
}

static void
emit_packet(void *side_, struct trajectory *t,
            const struct trajectory_packet *packet)
{
    struct side *side = side_;

    side->n_histories++;
    if (side->set) {
        phf_set_match_packet(side->set, t, packet, side->topology, count_hit,
                             side);
    }
}

static const struct rule *
find_rule(void *side_, uint64_t dpid, uint32_t version)
{
    struct side *side = side_;

    return gen_net_find_rule(gen_get_net(side->traffic->gen), dpid, version);
}

static void
add_frame(struct path_table *paths, const struct frame *frame,
          const struct packet_id_config *id_config)
{
    struct postcard p;
    struct hdr outer, h;

    if (postcard_geneve_decode_frame(frame->data, frame->len, &outer, &p) !=
        POSTCARD_OK) {
        return;
    }
    p.time_ns = frame->time_ns;
    hdr_parse(p.header, p.caplen, &h);
    p.has_id = packet_id(id_config, p.header, p.caplen, &h, &p.packet_id) !=
               PACKET_ID_SHORT;
    path_table_push(paths, &p);
}

/* Nanoseconds of one turn. */
static double
run(struct side *side)
{
    struct traffic *t = side->traffic;
    struct path_table_config config = {.id_config = t->config.id_config,
                                       .emit = emit,
                                       .emit_packet = emit_packet,
                                       .find_rule = find_rule,
                                       .aux = side};
    struct path_table *paths = path_table_create(&config);
    double start;

    side->topology = gen_net_topology(gen_get_net(t->gen));
    path_table_set_topology(paths, side->topology);
    start = (double) figure_ns(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; i < t->n; i++) {
        add_frame(paths, &t->frames[i], &t->config.id_config);
        if (i % 64 == 63) {
            path_table_run(paths, t->frames[i].time_ns);
        }
    }
    path_table_flush(paths);
    start = (double) figure_ns(CLOCK_THREAD_CPUTIME_ID) - start;
    path_table_destroy(paths);
    return start;
}

static void
report(const struct traffic *t, unsigned int n, const char *metric,
       double *values, const char *unit)
{
    figure_print(values, N_RUNS, unit, metric, "filters %s, %u live", t->name,
                 n);
}

/* Matches of a thousand histories. */
static void
report_matches(const struct side *side, unsigned int n)
{
    double value = 1000.0 * (double) side->n_hits / (double) side->n_histories;
    double values[N_RUNS];

    for (size_t i = 0; i < N_RUNS; i++) {
        values[i] = value;
    }
    report(side->traffic, n, "matches", values, "per 1,000 histories");
}

static void
free_traffic(struct traffic *traffic)
{
    for (size_t i = 0; i < traffic->n; i++) {
        free(traffic->frames[i].data);
    }
    free(traffic->frames);
    gen_destroy(traffic->gen);
}

/* One turn with 'n' filters. */
static void
run_once(struct traffic *traffic, unsigned int n)
{
    struct side side = {.traffic = traffic, .set = n ? make_set(n) : NULL};

    run(&side);
    phf_set_destroy(side.set);
}

static int
print_filters(unsigned int n)
{
    struct gen_random r = {RANDOM_SEED};
    char text[300];

    for (unsigned int i = 0; i < n; i++) {
        write_filter(text, sizeof text, i, &r);
        puts(text);
    }
    return EXIT_SUCCESS;
}

int
main(int argc, char *argv[])
{
    size_t n_packets = argc > 1 ? strtoul(argv[1], NULL, 10) : N_PACKETS;
    double speed[N_SETS][N_RUNS], kept[N_SETS][N_RUNS];
    double of_4[N_SETS][N_RUNS];
    struct traffic traffic = {.n = 0};
    struct side sides[N_SETS];
    char *path = NULL;

    if (argc == 3 && !strcmp(argv[1], "--print")) {
        return print_filters((unsigned int) strtoul(argv[2], NULL, 10));
    }
    read_traffic(&traffic, n_packets, &path);
    if (argc > 2) {
        run_once(&traffic, (unsigned int) strtoul(argv[2], NULL, 10));
        free_traffic(&traffic);
        free(path);
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < N_SETS; i++) {
        sides[i] =
            (struct side){.traffic = &traffic,
                          .set = n_filters[i] ? make_set(n_filters[i]) : NULL};
    }
    for (int turn = -1; turn < N_RUNS; turn++) { /* The first warms up. */
        for (size_t i = 0; i < N_SETS; i++) {
            double ns = run(&sides[i]);

            if (turn >= 0) {
                speed[i][turn] = (double) traffic.n / ns * 1e9;
                kept[i][turn] = speed[i][turn] / speed[0][turn];
                of_4[i][turn] = i ? speed[i][turn] / speed[1][turn] : 1;
            }
        }
    }
    for (size_t i = 0; i < N_SETS; i++) {
        if (sides[i].n_histories != sides[0].n_histories) {
            fprintf(stderr, "bench_filters: histories are missing\n");
            return EXIT_FAILURE;
        }
        report(&traffic, n_filters[i], "postcards_per_cpu_s", speed[i],
               "postcards/s");
        report(&traffic, n_filters[i], "kept", kept[i], "ratio");
        if (i) {
            report(&traffic, n_filters[i], "kept of 4", of_4[i], "ratio");
            report_matches(&sides[i], n_filters[i]);
        }
        phf_set_destroy(sides[i].set);
    }
    free_traffic(&traffic);
    free(path);
    return EXIT_SUCCESS;
}
