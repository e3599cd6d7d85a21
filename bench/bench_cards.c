/* SPDX-License-Identifier: Apache-2.0 */
/* bench_cards - what the way of a postcard from the server of a cluster that
 * receives it to the owner of its packet costs, at a 96-byte snap.
 *
 * "mix": the preset mix of lasthop-gen.  A door packs what is of one of 64
 * shards, 1,024 postcards at a time, and so does this: wire is the bytes of
 * the packed batches, raw those of the postcards as structures and headers
 * (30 bytes and the captured header each), raw_zstd of 1,024 of these
 * compressed with zstd at level 1.  stage: copying a postcard behind those of
 * its shard that wait, from memory that the processor has not at hand; write
 * and read: packing a batch, compression included, and reading it back.
 *
 * usage: bench_cards [PACKETS [BATCH [SHARDS]]]  (default 400,000 1,024 64) */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_preset.h"
#include "bench/figure.h"
#include "gen/gen.h"
#include "lib/card_batch.h"
#include "lib/compress.h"
#include "lib/lh_alloc.h"
#include "lib/packet_id.h"
#include "lib/postcard_geneve.h"
#include "server/cluster_wire.h"

#define N_RUNS     5
#define N_PACKETS  400000
#define N_BATCH    1024
#define N_SHARDS   64
#define RAW_HEAD   30 /* Members of a postcard, without padding. */
#define MAX_SHARDS 256

struct shard {
    struct postcard *cards; /* Owned, with their headers. */
    size_t n, allocated;
};

static struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;
static struct shard shards[MAX_SHARDS];
static size_t n_cards, n_shards = N_SHARDS, n_batch = N_BATCH;

static void
print(const char *traffic, const char *metric, const char *unit,
      double *values, size_t n)
{
    figure_print(values, n, unit, metric,
                 "cards %s snap %d batch %zu of %zu shards", traffic,
                 PACKET_ID_SNAP, n_batch, n_shards);
}

/* --- Postcards ------------------------------------------------------------
 */

static void
add_card(const struct gen_frame *frame)
{
    struct header_split split;
    struct hdr outer, h;
    struct shard *shard;
    struct postcard p;
    uint8_t *header;

    if (postcard_geneve_decode_frame(frame->data, frame->len, &outer, &p) !=
        POSTCARD_OK) {
        figure_die("no postcard");
    }
    if (p.caplen > PACKET_ID_SNAP) {
        figure_die("a postcard that is too long");
    }
    p.time_ns = frame->time_ns;
    p.has_id = true;
    if (!header_split(p.header, p.caplen, &split) ||
        !packet_id_of_split(&id_config, p.header, p.caplen, &split,
                            &p.packet_id)) {
        hdr_parse(p.header, p.caplen, &h);
        p.has_id = packet_id(&id_config, p.header, p.caplen, &h,
                             &p.packet_id) != PACKET_ID_SHORT;
    }
    header = lh_alloc(p.caplen);
    memcpy(header, p.header, p.caplen);
    p.header = header;
    shard = &shards[cluster_wire_shard(&p, (uint32_t) n_shards)];
    shard->cards = lh_alloc_grow(shard->cards, shard->n, &shard->allocated,
                                 sizeof *shard->cards);
    shard->cards[shard->n++] = p;
    n_cards++;
}

static const char *
make_cards(size_t n_packets)
{
    struct gen_frame batch[GEN_BATCH];
    struct gen_config config;
    struct lh_error error;
    char *trace;
    struct gen *gen;
    const char *traffic = bench_preset(&config, &trace);
    size_t n;

    config.n_packets = n_packets;
    config.snap = PACKET_ID_SNAP;
    if (gen_create(&config, &gen, &error)) {
        figure_die(error.text);
    }
    while (!gen_next(gen, batch, GEN_BATCH, &n, &error) && n) {
        for (size_t i = 0; i < n; i++) {
            add_card(&batch[i]);
        }
    }
    gen_destroy(gen);
    free(trace);
    return traffic;
}

/* --- Measuring ------------------------------------------------------------
 */

static struct postcard staged[CARD_BATCH_MAX];
static uint8_t headers[CARD_BATCH_MAX * PACKET_ID_SNAP];

/* As a door has them, one behind the other. */
static void
stage(const struct postcard *cards, size_t n)
{
    uint8_t *at = headers;

    for (size_t i = 0; i < n; i++) {
        staged[i] = cards[i];
        memcpy(at, cards[i].header, cards[i].caplen);
        staged[i].header = at;
        at += cards[i].caplen;
    }
}

struct sums {
    uint64_t stage_ns, write_ns, read_ns, bytes, raw, raw_zstd, n;
};

static void
check(const struct postcard *a, const struct postcard *b)
{
    if (a->dpid != b->dpid || a->packet_id != b->packet_id ||
        a->time_ns != b->time_ns || a->version != b->version ||
        a->in_port != b->in_port || a->out_port != b->out_port ||
        a->caplen != b->caplen || memcmp(a->header, b->header, a->caplen)) {
        figure_die("what was read is not what was written");
    }
}

static void
measure_batch(struct card_batch_writer *w, struct card_batch_reader *r,
              struct compressor *compressor, const struct postcard *cards,
              size_t n, struct sums *sums)
{
    struct byte_buf out = BYTE_BUF_INIT, raw = BYTE_BUF_INIT;
    struct byte_buf squeezed = BYTE_BUF_INIT;
    struct lh_error error;
    struct postcard p;
    uint64_t start = figure_ns(CLOCK_PROCESS_CPUTIME_ID);

    stage(cards, n);
    sums->stage_ns += figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
    start = figure_ns(CLOCK_PROCESS_CPUTIME_ID);
    for (size_t i = 0; i < n; i++) {
        card_batch_writer_add(w, &staged[i]);
    }
    card_batch_writer_finish(w, &out);
    sums->write_ns += figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
    start = figure_ns(CLOCK_PROCESS_CPUTIME_ID);
    if (card_batch_reader_open(r, out.data, out.len, &error)) {
        figure_die(error.text);
    }
    for (size_t i = 0; i < n && card_batch_reader_next(r, &p); i++) {
        sums->n += p.caplen != 0;
    }
    sums->read_ns += figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
    card_batch_reader_open(r, out.data, out.len, &error);
    for (size_t i = 0; i < n && card_batch_reader_next(r, &p); i++) {
        check(&cards[i], &p);
        byte_buf_put_u64(&raw, p.dpid);
        byte_buf_put_u64(&raw, p.time_ns);
        byte_buf_put_u32(&raw, p.version);
        byte_buf_put_u32(&raw, p.in_port << 16 | (p.out_port & 0xffff));
        byte_buf_put_u8(&raw, p.flags);
        byte_buf_put_u8(&raw, p.version_bits);
        byte_buf_put_u32(&raw, p.caplen);
        byte_buf_put(&raw, p.header, p.caplen);
    }
    compressor_put(compressor, 1, raw.data, raw.len, &squeezed);
    sums->bytes += out.len;
    sums->raw += raw.len;
    sums->raw_zstd += squeezed.len;
    byte_buf_uninit(&out);
    byte_buf_uninit(&raw);
    byte_buf_uninit(&squeezed);
}

static void
measure(const char *traffic)
{
    struct card_batch_writer *w = card_batch_writer_create(&id_config);
    struct card_batch_reader *r = card_batch_reader_create(&id_config);
    struct compressor *compressor = compressor_create();
    double wire[N_RUNS], raw[N_RUNS], raw_zstd[N_RUNS], write[N_RUNS];
    double read[N_RUNS], copied[N_RUNS];

    for (size_t run = 0; run < N_RUNS; run++) {
        struct sums sums = {0};
        double n;

        for (size_t k = 0; k < n_shards; k++) {
            for (size_t at = 0; at + n_batch <= shards[k].n; at += n_batch) {
                measure_batch(w, r, compressor, shards[k].cards + at, n_batch,
                              &sums);
            }
        }
        n = (double) sums.n;
        wire[run] = (double) sums.bytes / n;
        raw[run] = (double) sums.raw / n;
        raw_zstd[run] = (double) sums.raw_zstd / n;
        copied[run] = (double) sums.stage_ns / n;
        write[run] = (double) sums.write_ns / n;
        read[run] = (double) sums.read_ns / n;
    }
    print(traffic, "wire", "bytes", wire, N_RUNS);
    print(traffic, "raw", "bytes", raw, N_RUNS);
    print(traffic, "raw_zstd", "bytes", raw_zstd, N_RUNS);
    print(traffic, "stage", "ns CPU", copied, N_RUNS);
    print(traffic, "write", "ns CPU", write, N_RUNS);
    print(traffic, "read", "ns CPU", read, N_RUNS);
    compressor_destroy(compressor);
    card_batch_writer_destroy(w);
    card_batch_reader_destroy(r);
}

int
main(int argc, char *argv[])
{
    size_t n_packets = argc > 1 ? strtoul(argv[1], NULL, 10) : N_PACKETS;
    const char *traffic;

    if (argc > 2) {
        n_batch = strtoul(argv[2], NULL, 10);
    }
    if (argc > 3) {
        n_shards = strtoul(argv[3], NULL, 10);
    }
    if (!n_packets || !n_batch || n_batch > CARD_BATCH_MAX || !n_shards ||
        n_shards > MAX_SHARDS) {
        figure_die("usage: bench_cards [PACKETS [BATCH [SHARDS]]]");
    }
    traffic = make_cards(n_packets);
    measure(traffic);
    for (size_t k = 0; k < n_shards; k++) {
        for (size_t i = 0; i < shards[k].n; i++) {
            free((void *) (uintptr_t) shards[k].cards[i].header);
        }
        free(shards[k].cards);
    }
    return EXIT_SUCCESS;
}
