/* SPDX-License-Identifier: Apache-2.0 */
/* bench_parse - what it costs to parse a captured header, to name the packet
 * and to decode a postcard, per packet, on one core.
 *
 * The packets are those of bench_trace, cut at the default snap length; the
 * metric's name says which traffic they are.  Each line is JSON:
 * the median of the runs, with the best and the worst.  "hot" goes over 64
 * packets again and again, "streaming" over all of them. */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_trace.h"
#include "bench/figure.h"
#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/packet_id.h"
#include "lib/postcard_geneve.h"

#define N_RUNS      7
#define N_PACKETS   (1 << 20) /* Packets a run goes over. */
#define N_HOT       64
#define MAX_PACKETS 300000
#define SLOT        (PACKET_ID_SNAP + POSTCARD_GENEVE_OVERHEAD)

/* A packet with room for a Geneve header in front of it. */
struct slot {
    uint8_t geneve[POSTCARD_GENEVE_OVERHEAD];
    uint8_t data[PACKET_ID_SNAP];
    uint16_t len;
};

static struct slot *slots;
static size_t n_slots;
static uint64_t sink; /* Keeps the compiler from leaving work out. */

static void
add_packet(const uint8_t *data, size_t len)
{
    struct slot *slot = &slots[n_slots++];
    struct postcard p = {.dpid = n_slots, .version = 7, .out_port = 2};
    uint8_t out[SLOT];

    slot->len = (uint16_t) (len < PACKET_ID_SNAP ? len : PACKET_ID_SNAP);
    memcpy(slot->data, data, slot->len);
    p.caplen = slot->len;
    p.header = slot->data;
    postcard_geneve_encode(&p, out, sizeof out);
    memcpy(slot->geneve, out, sizeof slot->geneve);
}

static void
parse(const struct slot *slot)
{
    struct hdr h;

    hdr_parse(slot->data, slot->len, &h);
    sink += h.payload_ofs;
}

static void
name(const struct slot *slot)
{
    static const struct packet_id_config config = PACKET_ID_CONFIG_INIT;
    struct hdr h;
    uint64_t id;

    hdr_parse(slot->data, slot->len, &h);
    packet_id(&config, slot->data, slot->len, &h, &id);
    sink += id;
}

static void
decode(const struct slot *slot)
{
    static const struct packet_id_config config = PACKET_ID_CONFIG_INIT;
    struct postcard p = {0};
    struct hdr h;

    if (postcard_geneve_decode(slot->geneve, sizeof slot->geneve + slot->len,
                               &p) == POSTCARD_OK) {
        hdr_parse(p.header, p.caplen, &h);
        packet_id(&config, p.header, p.caplen, &h, &p.packet_id);
        sink += p.packet_id;
    }
}

static void
measure(const char *metric, const char *traffic,
        void (*work)(const struct slot *), size_t n_used)
{
    double ns[N_RUNS];
    char *name;

    for (size_t run = 0; run < N_RUNS; run++) {
        uint64_t start = figure_ns(CLOCK_MONOTONIC);

        for (size_t i = 0, j = 0; i < N_PACKETS; i++) {
            work(&slots[j]);
            j = j + 1 < n_used ? j + 1 : 0;
        }
        ns[run] = (double) (figure_ns(CLOCK_MONOTONIC) - start) / N_PACKETS;
    }
    name = lh_asprintf("%s %s", metric, traffic);
    figure_print(ns, N_RUNS, "ns/packet", name, "parse");
    free(name);
}

int
main(void)
{
    struct bench_trace trace;

    bench_trace_load(&trace, MAX_PACKETS, PACKET_ID_SNAP);
    slots = calloc(trace.n, sizeof *slots);
    if (!slots) {
        fprintf(stderr, "bench_parse: no memory\n");
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < trace.n; i++) {
        add_packet(trace.packets[i].data, trace.packets[i].len);
    }

    size_t n_hot = n_slots < N_HOT ? n_slots : N_HOT;

    measure("parse hot", trace.traffic, parse, n_hot);
    measure("parse streaming", trace.traffic, parse, n_slots);
    measure("parse and packet ID hot", trace.traffic, name, n_hot);
    measure("parse and packet ID streaming", trace.traffic, name, n_slots);
    measure("geneve decode, parse and packet ID hot", trace.traffic, decode,
            n_hot);
    measure("geneve decode, parse and packet ID streaming", trace.traffic,
            decode, n_slots);
    free(slots);
    bench_trace_unload(&trace);
    return sink ? EXIT_SUCCESS : EXIT_FAILURE;
}
