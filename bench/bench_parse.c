/* SPDX-License-Identifier: Apache-2.0 */
/* bench_parse - what it costs to parse a captured header, to name the packet
 * and to decode a postcard, per packet, on one core.
 *
 * The packets are those of $LASTHOP_DATA/campus-mix-dev.pcap.zst (default
 * ../shared/data beside the sources), cut at the default snap length; without
 * it a synthetic mix, which the metric's name then says.  Each line is JSON:
 * the median of the runs, with the best and the worst.  "hot" goes over 64
 * packets again and again, "streaming" over all of them. */
#include <config.h>

#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zstd.h>

#include "lib/bytes.h"
#include "lib/hdr.h"
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

/* All of the compressed file at 'path' as a stream; NULL if not there. */
static FILE *
decompress(const char *path)
{
    FILE *in = fopen(path, "rb");
    FILE *out = in ? tmpfile() : NULL;
    ZSTD_DStream *stream = ZSTD_createDStream();
    static char in_buf[1 << 17], out_buf[1 << 17];
    ZSTD_inBuffer input = {in_buf, 0, 0};

    while (out && (input.size = fread(in_buf, 1, sizeof in_buf, in)) > 0) {
        for (input.pos = 0; input.pos < input.size;) {
            ZSTD_outBuffer output = {out_buf, sizeof out_buf, 0};

            if (ZSTD_isError(ZSTD_decompressStream(stream, &output, &input))) {
                break;
            }
            fwrite(out_buf, 1, output.pos, out);
        }
    }
    if (out) {
        rewind(out);
    }
    if (in) {
        fclose(in);
    }
    ZSTD_freeDStream(stream);
    return out;
}

static bool
load_trace(void)
{
    const char *srcdir = getenv("srcdir"), *data = getenv("LASTHOP_DATA");
    char path[4096], reason[PCAP_ERRBUF_SIZE];
    struct pcap_pkthdr *header;
    const u_char *bytes;

    if (data) {
        snprintf(path, sizeof path, "%s/campus-mix-dev.pcap.zst", data);
    } else {
        snprintf(path, sizeof path, "%s/../shared/data/%s",
                 srcdir ? srcdir : ".", "campus-mix-dev.pcap.zst");
    }

    FILE *file = decompress(path);
    pcap_t *pcap = file ? pcap_fopen_offline(file, reason) : NULL;

    while (pcap && n_slots < MAX_PACKETS &&
           pcap_next_ex(pcap, &header, &bytes) == 1) {
        add_packet(bytes, header->caplen);
    }
    if (pcap) {
        pcap_close(pcap);
    }
    return n_slots != 0;
}

/* TCP over IPv4, of many flows. */
static void
make_packets(void)
{
    static const char hex[] =
        "0200000000020200000000010800450005dc123440004006000000000000"
        "000000001f90005000000000000000005018721000000000";
    uint8_t data[PACKET_ID_SNAP] = {0};

    bytes_from_hex(hex, data, sizeof data);
    for (uint32_t i = 0; n_slots < MAX_PACKETS; i++) {
        bytes_put_be16(data + 18, (uint16_t) i);
        bytes_put_be32(data + 26, 0x0a000000 + i % 1021);
        bytes_put_be32(data + 30, 0x0a010000 + i % 509);
        bytes_put_be32(data + 38, i * 1448);
        add_packet(data, sizeof data);
    }
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

static int
compare(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;

    return x < y ? -1 : x > y;
}

static void
measure(const char *metric, const char *traffic,
        void (*work)(const struct slot *), size_t n_used)
{
    double ns[N_RUNS];

    for (size_t run = 0; run < N_RUNS; run++) {
        struct timespec start, end;

        clock_gettime(CLOCK_MONOTONIC, &start);
        for (size_t i = 0, j = 0; i < N_PACKETS; i++) {
            work(&slots[j]);
            j = j + 1 < n_used ? j + 1 : 0;
        }
        clock_gettime(CLOCK_MONOTONIC, &end);
        ns[run] = ((double) (end.tv_sec - start.tv_sec) * 1e9 +
                   (double) (end.tv_nsec - start.tv_nsec)) /
                  N_PACKETS;
    }
    qsort(ns, N_RUNS, sizeof ns[0], compare);
    printf("{\"bench\":\"parse\",\"metric\":\"%s %s\",\"value\":%.1f,"
           "\"unit\":\"ns/packet\",\"runs\":%d,\"min\":%.1f,\"max\":%.1f}\n",
           metric, traffic, ns[N_RUNS / 2], N_RUNS, ns[0], ns[N_RUNS - 1]);
    fflush(stdout);
}

int
main(void)
{
    const char *traffic = "mix";

    slots = calloc(MAX_PACKETS, sizeof *slots);
    if (!slots) {
        fprintf(stderr, "bench_parse: no memory\n");
        return EXIT_FAILURE;
    }
    if (!load_trace()) {
        traffic = "synthetic";
        make_packets();
    }

    size_t n_hot = n_slots < N_HOT ? n_slots : N_HOT;

    measure("parse hot", traffic, parse, n_hot);
    measure("parse streaming", traffic, parse, n_slots);
    measure("parse and packet ID hot", traffic, name, n_hot);
    measure("parse and packet ID streaming", traffic, name, n_slots);
    measure("geneve decode, parse and packet ID hot", traffic, decode, n_hot);
    measure("geneve decode, parse and packet ID streaming", traffic, decode,
            n_slots);
    free(slots);
    return sink ? EXIT_SUCCESS : EXIT_FAILURE;
}
