/* SPDX-License-Identifier: Apache-2.0 */
/* bench_trace - the packets that benchmarks run over. */
#include <config.h>
#include "bench/bench_trace.h"

#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "lib/bytes.h"

static void
add_packet(struct bench_trace *trace, uint64_t time_ns, const uint8_t *data,
           size_t len, uint16_t snap)
{
    struct bench_packet *packet = &trace->packets[trace->n++];

    packet->time_ns = time_ns;
    packet->len = (uint16_t) (len < snap ? len : snap);
    memcpy(packet->data, data, packet->len);
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

static void
read_trace(struct bench_trace *trace, size_t max, uint16_t snap)
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

    while (pcap && trace->n < max &&
           pcap_next_ex(pcap, &header, &bytes) == 1) {
        add_packet(trace,
                   (uint64_t) header->ts.tv_sec * 1000000000 +
                       (uint64_t) header->ts.tv_usec * 1000,
                   bytes, header->caplen, snap);
    }
    if (pcap) {
        pcap_close(pcap);
    }
}

/* TCP over IPv4, of many flows, 50,000 packets a second. */
static void
make_packets(struct bench_trace *trace, size_t max, uint16_t snap)
{
    static const char hex[] =
        "0200000000020200000000010800450005dc123440004006000000000000"
        "000000001f90005000000000000000005018721000000000";
    uint8_t data[PACKET_ID_SNAP] = {0};

    bytes_from_hex(hex, data, sizeof data);
    for (uint32_t i = 0; trace->n < max; i++) {
        bytes_put_be16(data + 18, (uint16_t) i);
        bytes_put_be32(data + 26, 0x0a000000 + i % 1021);
        bytes_put_be32(data + 30, 0x0a010000 + i % 509);
        bytes_put_be32(data + 38, i * 1448);
        add_packet(trace, 1700000000000000000ULL + i * 20000ULL, data,
                   sizeof data, snap);
    }
}

void
bench_trace_load(struct bench_trace *trace, size_t max, uint16_t snap)
{
    trace->traffic = "mix";
    trace->n = 0;
    trace->packets = calloc(max, sizeof *trace->packets);
    if (!trace->packets) {
        fprintf(stderr, "bench: no memory for %zu packets\n", max);
        exit(EXIT_FAILURE);
    }
    read_trace(trace, max, snap);
    if (!trace->n) {
        trace->traffic = "synthetic";
        make_packets(trace, max, snap);
    }
}

void
bench_trace_unload(struct bench_trace *trace)
{
    free(trace->packets);
}
