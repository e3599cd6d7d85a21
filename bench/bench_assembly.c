/* SPDX-License-Identifier: Apache-2.0 */
/* bench_assembly - how many postcards a second one core decodes, groups and
 * assembles to histories of 5 hops.
 *
 * Made-up UDP packets of 96 captured bytes pass five switches, each of which
 * takes one from the TTL, the second one translates addresses.  The postcards
 * come as Geneve datagrams in the order of time, those of some 20 packets
 * mixed, as on a busy network.  "in order" has all postcards; "2% lost" lacks
 * some, so that windows end and gaps are closed; "assemble" calls assemble()
 * alone, with postcards already grouped.  Each line is JSON: the median of
 * the runs, with the worst and the best. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/figure.h"
#include "lib/hdr.h"
#include "lib/of_port.h"
#include "lib/postcard_geneve.h"
#include "server/assemble.h"
#include "server/path_table.h"

#define N_RUNS     7
#define N_HOPS     5
#define N_PACKETS  40000
#define N_CARDS    (N_PACKETS * N_HOPS)
#define SLOT       (PACKET_ID_SNAP + POSTCARD_GENEVE_OVERHEAD)
#define PACKET_GAP 1000  /* Nanoseconds between packets. */
#define HOP_GAP    20000 /* And between the hops of one. */

struct slot {
    uint64_t time_ns;
    uint32_t len;
    uint8_t bytes[SLOT];
};

static struct slot *slots; /* In order of time. */
static struct topology *topology;
static struct rule *rules[N_HOPS];
static const struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;
static size_t n_histories;

static void
check(bool is_good, const char *what)
{
    if (!is_good) {
        fprintf(stderr, "bench_assembly: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

static void
make_network(void)
{
    static const uint8_t address[4] = {192, 0, 2, 1};
    struct topology_builder *b = topology_builder_create();

    for (uint64_t dpid = 1; dpid <= N_HOPS; dpid++) {
        struct rule *rule = rule_create();

        topology_builder_add_switch(b, dpid, NULL, (uint16_t) dpid, NULL);
        topology_builder_add_port(b, dpid, 1, NULL, true);
        topology_builder_add_port(b, dpid, 2, NULL, true);
        rule->dpid = dpid;
        rule->version = 100;
        rule_add_plain(rule, STEP_DEC_TTL, 0);
        if (dpid == 2) {
            rule_add_set(rule, FIELD_IPV4_SRC, address, NULL);
        }
        rule_add_output(rule, 2);
        rules[dpid - 1] = rule;
    }
    for (uint64_t dpid = 1; dpid < N_HOPS; dpid++) {
        topology_builder_add_link(b, dpid, 2, dpid + 1, 1);
    }
    topology = topology_build(b, 1);
}

static const struct rule *
find_rule(void *aux, uint64_t dpid, uint32_t version)
{
    return dpid >= 1 && dpid <= N_HOPS && version == 100 ? rules[dpid - 1]
                                                         : NULL;
}

/* UDP from 10.x.y.z with payload of its own. */
static void
make_packet(uint32_t i, uint8_t *p)
{
    static const uint8_t eth_ip[] = {2,    0,
                                     0,    0,
                                     0,    2,
                                     2,    0,
                                     0,    0,
                                     0,    1,
                                     8,    0, /* Ethernet. */
                                     0x45, 0,
                                     0,    PACKET_ID_SNAP - 14,
                                     0,    0,
                                     0,    0,
                                     64,   17,
                                     0,    0,
                                     10,   0,
                                     0,    1,
                                     10,   0,
                                     0,    2, /* IPv4. */
                                     0x10, 0,
                                     0,    53,
                                     0,    PACKET_ID_SNAP - 34,
                                     0,    0};

    memset(p, 'x', PACKET_ID_SNAP);
    memcpy(p, eth_ip, sizeof eth_ip);
    p[18] = (uint8_t) (i >> 8);
    p[19] = (uint8_t) i;
    p[28] = (uint8_t) (i >> 16);
    memcpy(p + 44, &i, sizeof i);
}

static int
compare_slots(const void *a, const void *b)
{
    uint64_t x = ((const struct slot *) a)->time_ns;
    uint64_t y = ((const struct slot *) b)->time_ns;

    return x < y ? -1 : x > y;
}

static void
make_postcards(void)
{
    for (uint32_t i = 0; i < N_PACKETS; i++) {
        uint8_t bytes[PACKET_ID_SNAP + 64], out[PACKET_ID_SNAP + 64];
        size_t len = PACKET_ID_SNAP;

        make_packet(i, bytes);
        for (uint32_t hop = 0; hop < N_HOPS; hop++) {
            struct slot *slot = &slots[i * N_HOPS + hop];
            struct postcard p = {
                .dpid = hop + 1,
                .version = 100,
                .in_port = 1,
                .out_port = 2,
                .caplen = (uint16_t) len,
                .header = bytes,
            };

            slot->time_ns = 1000000000ULL + (uint64_t) i * PACKET_GAP +
                            hop * HOP_GAP + hop;
            slot->len =
                (uint32_t) postcard_geneve_encode(&p, slot->bytes, SLOT);
            check(slot->len, "a postcard does not fit");
            rule_apply(rules[hop], 0, bytes, len, out, sizeof out, &len);
            memcpy(bytes, out, len);
        }
    }
    qsort(slots, N_CARDS, sizeof *slots, compare_slots);
}

static bool
decode(const struct slot *slot, struct postcard *p)
{
    struct hdr h;

    if (postcard_geneve_decode(slot->bytes, slot->len, p) != POSTCARD_OK) {
        return false;
    }
    p->time_ns = slot->time_ns;
    hdr_parse(p->header, p->caplen, &h);
    p->has_id = packet_id(&id_config, p->header, p->caplen, &h,
                          &p->packet_id) == PACKET_ID_OK;
    return true;
}

static void
emit(void *aux, struct history *h)
{
    n_histories++;
    history_destroy(h);
}

/* Decodes and groups all postcards but every 'lost'th. */
static void
run_table(unsigned int lost)
{
    struct path_table_config config = {.emit = emit, .find_rule = find_rule};
    struct path_table *pt = path_table_create(&config);
    uint32_t random = 1;

    check(pt, "no memory");
    path_table_set_topology(pt, topology);
    for (size_t i = 0; i < N_CARDS; i++) {
        struct postcard p;

        random = random * 1664525 + 1013904223;
        if (lost && (random >> 8) % lost == 0) {
            continue;
        }
        check(decode(&slots[i], &p), "a postcard does not decode");
        path_table_add(pt, &p);
        if (i % 64 == 0) {
            path_table_run(pt, p.time_ns);
        }
    }
    path_table_flush(pt);
    path_table_destroy(pt);
}

static void
run_in_order(void)
{
    run_table(0);
}

static void
run_with_loss(void)
{
    run_table(50);
}

/* Calls assemble() for one packet again and again. */
static void
run_assemble(void)
{
    static struct assembler *assembler;
    struct assemble_env env = {
        .topology = topology, .id_config = &id_config, .find_rule = find_rule};
    struct postcard p[N_HOPS];
    const struct postcard *cards[N_HOPS];
    size_t n = 0;

    if (!assembler) {
        assembler = assembler_create();
        check(assembler, "no memory");
    }
    for (size_t i = 0; i < N_CARDS && n < N_HOPS; i++) {
        struct postcard q;

        decode(&slots[i], &q);
        if (!n || q.packet_id == p[0].packet_id) {
            p[n] = q;
            cards[n] = &p[n];
            n++;
        }
    }
    for (size_t i = 0; i < N_PACKETS; i++) {
        struct assemble_result result;

        check(
            !assemble(assembler, &env, cards, n, ASSEMBLE_COMPLETE, &result) &&
                result.n_histories == 1,
            "the packet is not whole");
        n_histories++;
        history_destroy(result.histories[0]);
    }
}

static void
measure(const char *metric, void (*run)(void), size_t least)
{
    double rates[N_RUNS];

    for (int i = 0; i < N_RUNS; i++) {
        double start = figure_s(CLOCK_MONOTONIC);

        n_histories = 0;
        run();
        rates[i] = N_CARDS / (figure_s(CLOCK_MONOTONIC) - start);
        check(n_histories >= least, "histories are missing");
    }
    figure_print(rates, N_RUNS, "1/s", metric, "assembly");
}

int
main(void)
{
    slots = malloc(N_CARDS * sizeof *slots);
    check(slots, "no memory");
    make_network();
    make_postcards();
    measure("postcards_per_s decode+assemble in order synthetic", run_in_order,
            N_PACKETS);
    measure("postcards_per_s decode+assemble 2% lost synthetic", run_with_loss,
            N_PACKETS);
    measure("postcards_per_s assemble synthetic", run_assemble, N_PACKETS);
    free(slots);
    topology_unref(topology);
    for (size_t i = 0; i < N_HOPS; i++) {
        rule_unref(rules[i]);
    }
    return EXIT_SUCCESS;
}
