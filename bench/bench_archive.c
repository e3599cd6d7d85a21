/* SPDX-License-Identifier: Apache-2.0 */
/* bench_archive - how small histories become in an archive's blocks, and how
 * fast.
 *
 * Every packet of bench_trace crosses a line of five switches, each of which
 * takes 1 from the TTL of what has one, 5 to 50 us apart; times are whole
 * microseconds.  Its history goes into blocks of 64 Ki.  Reported: bytes per
 * postcard, all of the blocks, and those of the first block beside the same
 * postcards as a pcap file (geneve) compressed by gzip -6, zstd -3 and zstd
 * -19; and ns of CPU per history of adding, of finishing blocks, of reading
 * their dictionaries, and all of them back to histories.  If those are not the
 * ones that were added, it fails.
 *
 * From level 6 on blocks are made as merging does, with flows sorted.
 *
 * usage: bench_archive [PACKETS [LEVEL]]   (default 200,000, zstd's level 1)
 */
#include <config.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bench/bench_flows.h"
#include "bench/bench_trace.h"
#include "bench/figure.h"
#include "lib/archive_block.h"
#include "lib/history_columns.h"
#include "lib/lh_alloc.h"
#include "lib/postcard_geneve.h"
#include "lib/rule.h"

#define N_HOPS      5
#define N_RUNS      3
#define N_PACKETS   200000
#define N_BLOCK     65536
#define MERGE_LEVEL 6

struct item {
    struct trajectory *trajectory; /* NULL: a history of its own. */
    struct history *history;       /* Owned. */
    uint64_t packet_id;
    uint64_t times_ns[N_HOPS];
    uint16_t caplen;
    uint8_t header[PACKET_ID_SNAP];
};

static int level = 1; /* Of zstd. */
static struct item *items;
static size_t n_items, n_cards;

static struct rule *
make_rule(bool is_routed)
{
    struct rule *rule = rule_create();

    if (is_routed) {
        rule_add_plain(rule, STEP_DEC_TTL, 0);
    }
    rule_add_output(rule, 2);
    return rule;
}

static struct history *
make_history(const struct bench_packet *packet, struct rule *const *rules,
             const struct packet_id_config *config)
{
    static uint64_t random = 88172645463325252ULL;
    uint8_t header[PACKET_ID_SNAP], out[PACKET_ID_SNAP];
    struct history *h = history_create(0);
    size_t len = packet->len;
    uint64_t time_ns = packet->time_ns;
    struct hdr parsed;

    hdr_parse(packet->data, packet->len, &parsed);
    h->has_packet_id = packet_id(config, packet->data, packet->len, &parsed,
                                 &h->packet_id) != PACKET_ID_SHORT;

    bool is_routed = parsed.is_ip4 || parsed.is_ip6;

    memcpy(header, packet->data, len);
    for (size_t i = 0; i < N_HOPS; i++) {
        struct history_hop *hop = history_add_hop(h);
        enum rule_apply_result result;

        hop->parent = (int) i - 1;
        hop->dpid = i + 1;
        hop->in_port = 1;
        hop->time_ns = time_ns;
        history_hop_set_header(hop, header, len);
        history_hop_add_version(hop, is_routed ? 1 : 2);
        result = rule_apply(rules[is_routed], 0, header, len, out, sizeof out,
                            &len);
        if (result == RULE_APPLY_TTL) {
            verdict_set(&hop->verdict, VERDICT_DROPPED, hop->dpid,
                        OF_PORT_UNKNOWN, "ttl expired");
            break;
        }
        history_hop_add_out(hop, 2);
        history_hop_set_header_out(hop, out, len);
        hop->has_header_out = true;
        memcpy(header, out, len);
        random ^= random << 13; /* xorshift64 (Marsaglia 2003). */
        random ^= random >> 7;
        random ^= random << 17;
        time_ns += 5000 + random % 46 * 1000;
        if (i + 1 == N_HOPS) {
            verdict_set(&hop->verdict, VERDICT_DELIVERED, hop->dpid, 2, NULL);
        }
    }
    history_settle(h);
    return h;
}

static void
load_items(const struct bench_trace *trace,
           const struct packet_id_config *config)
{
    struct rule *rules[2] = {make_rule(false), make_rule(true)};

    items = lh_alloc_zero(trace->n * sizeof *items);
    bench_flows_init();
    n_items = trace->n;
    n_cards = 0;
    for (size_t i = 0; i < trace->n; i++) {
        struct item *item = &items[i];
        struct history *h = make_history(&trace->packets[i], rules, config);

        n_cards += h->n_hops;
        item->trajectory =
            h->has_packet_id ? bench_flows_find(h, rules) : NULL;
        item->history = h;
        if (item->trajectory) {
            const struct history_hop *ref =
                &h->hops[trajectory_reference(item->trajectory)];

            item->packet_id = h->packet_id;
            item->caplen = ref->caplen;
            memcpy(item->header, ref->header, ref->caplen);
            for (size_t j = 0; j < h->n_hops; j++) {
                item->times_ns[j] = h->hops[j].time_ns;
            }
            item->history = NULL;
            history_destroy(h);
        }
    }
    rule_unref(rules[0]);
    rule_unref(rules[1]);
}

static void
unload_items(void)
{
    for (size_t i = 0; i < n_items; i++) {
        history_destroy(items[i].history);
    }
    bench_flows_uninit();
    free(items);
}

static void
add_item(struct column_encoder *e, const struct item *item)
{
    if (item->trajectory) {
        struct trajectory_packet packet = {
            .packet_id = item->packet_id,
            .header = item->header,
            .caplen = item->caplen,
            .times_ns = item->times_ns,
            .has_own_id = true,
        };

        column_encoder_add(e, item->trajectory, &packet);
    } else {
        column_encoder_add_history(e, item->history);
    }
}

/* --- Sums, to hold what is read against what was added ------------------ */

static uint64_t
history_sum(struct history_encoder *e, const struct history *h)
{
    struct byte_buf buf = BYTE_BUF_INIT;

    history_encoder_reset(e);
    history_encoder_add(e, h);
    history_encoder_finish(e, &buf);

    uint64_t sum = XXH3_64bits(buf.data, buf.len);

    byte_buf_uninit(&buf);
    return sum;
}

static struct history *
item_history(const struct item *item)
{
    struct trajectory_packet packet = {
        .packet_id = item->packet_id,
        .header = item->header,
        .caplen = item->caplen,
        .times_ns = item->times_ns,
    };

    return item->trajectory ? trajectory_history(item->trajectory, &packet)
                            : history_clone(item->history);
}

/* --- Blocks ------------------------------------------------------------- */

struct figures {
    double bytes, add_ns, finish_ns, dictionary_ns, read_ns;
    uint64_t first_block; /* Bytes. */
    uint64_t n_plain, n_flows, n_shapes;
};

static void
fail(const char *what, const struct lh_error *error)
{
    fprintf(stderr, "bench_archive: %s: %s\n", what, error->text);
    exit(EXIT_FAILURE);
}

/* Reads all of a block; returns the sum of its histories if 'e' is given. */
static uint64_t
read_block(const struct byte_buf *block, size_t table_len,
           struct history_encoder *e, struct figures *f)
{
    struct lh_error error = {.text = "-"};
    struct history_decoder *plain;
    struct history_record record;
    struct column_decoder *d;
    uint64_t start = figure_ns(CLOCK_PROCESS_CPUTIME_ID), sum = 0;

    if (column_decoder_open(block->data, block->len, table_len, &d, &error)) {
        fail("dictionary", &error);
    }
    if (column_decoder_need_shapes(d, NULL, NULL, &error) ||
        column_decoder_need_models(d, &error)) {
        fail("flows", &error);
    }
    for (size_t i = 0; i < column_decoder_n_flows(d); i++) {
        sum += column_decoder_model(d, i)->packet_id;
    }
    f->dictionary_ns += (double) (figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start);
    f->n_flows += column_decoder_n_flows(d);
    f->n_shapes += column_decoder_n_shapes(d);
    sum = 0;
    if (column_decoder_need_times(d, &error) ||
        column_decoder_need_rows(d, &error) ||
        column_decoder_plain(d, &plain, &error)) {
        fail("columns", &error);
    }
    for (size_t i = 0; i < column_decoder_n_flows(d); i++) {
        for (size_t k = 0; k < column_decoder_flow(d, i)->n_rows; k++) {
            const struct history *h;

            if (column_decoder_history(d, i, k, &h, &error)) {
                fail("row", &error);
            }
            sum += e ? history_sum(e, h) : 0;
        }
    }
    while (plain && !history_decoder_next(plain, &record, &error)) {
        struct history *h;

        if (history_decoder_read(plain, record.offset, &h, &error)) {
            fail("history", &error);
        }
        sum += e ? history_sum(e, h) : 0;
        history_destroy(h);
    }
    f->read_ns += (double) (figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start);
    column_decoder_destroy(d);
    return sum;
}

static void
measure_blocks(const struct packet_id_config *config, bool is_checked,
               struct figures *f)
{
    struct column_encoder *e = column_encoder_create(config, COLUMN_UNIT_AUTO);
    struct history_encoder *sums =
        is_checked ? history_encoder_create() : NULL;
    struct byte_buf out = BYTE_BUF_INIT;
    uint64_t n_bytes = 0;

    if (level >= MERGE_LEVEL) {
        column_encoder_join_flows(e);
    }

    memset(f, 0, sizeof *f);
    for (size_t i = 0; i < n_items;) {
        uint64_t start = figure_ns(CLOCK_PROCESS_CPUTIME_ID), sum = 0;
        size_t first = i, table_len;

        for (; i < n_items && i - first < N_BLOCK; i++) {
            add_item(e, &items[i]);
        }
        f->add_ns += (double) (figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start);
        byte_buf_clear(&out);
        start = figure_ns(CLOCK_PROCESS_CPUTIME_ID);
        table_len = column_encoder_finish(e, level, &out);
        f->finish_ns += (double) (figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start);
        n_bytes += out.len + ARCHIVE_BLOCK_HEADER + ARCHIVE_COLUMNS_PREFIX;
        f->first_block = f->first_block ? f->first_block : n_bytes;
        f->n_plain += column_encoder_totals(e)->n_records -
                      column_encoder_totals(e)->n_rows;
        for (size_t k = first; k < i && is_checked; k++) {
            struct history *h = item_history(&items[k]);

            sum += history_sum(sums, h);
            history_destroy(h);
        }
        if (read_block(&out, table_len, sums, f) != sum) {
            fputs("bench_archive: what is read is not what was added\n",
                  stderr);
            exit(EXIT_FAILURE);
        }
        column_encoder_reset(e);
    }
    f->bytes = (double) n_bytes / (double) n_cards;
    f->add_ns /= (double) n_items;
    f->finish_ns /= (double) n_items;
    f->dictionary_ns /= (double) n_items;
    f->read_ns /= (double) n_items;
    history_encoder_destroy(sums);
    byte_buf_uninit(&out);
    column_encoder_destroy(e);
}

/* --- The same as a pcap file -------------------------------------------- */

struct card {
    uint64_t time_ns;
    const struct history *history;
    size_t hop;
};

static int
compare_cards(const void *a_, const void *b_)
{
    const struct card *a = a_, *b = b_;

    return a->time_ns < b->time_ns ? -1 : a->time_ns > b->time_ns;
}

static void
put_le32(struct byte_buf *out, uint64_t value)
{
    uint8_t *p = byte_buf_extend(out, 4);

    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t) (value >> 8 * i);
    }
}

/* The postcards of the first block in the order of time; returns how many. */
static size_t
make_pcap(struct byte_buf *out)
{
    const struct postcard_geneve_path way = {.ip_src = 0xc0000201,
                                             .ip_dst = 0xc000020a};
    size_t n_histories = n_items < N_BLOCK ? n_items : N_BLOCK, n = 0;
    struct history **histories =
        lh_alloc_array(NULL, n_histories, sizeof *histories);
    struct card *cards =
        lh_alloc_array(NULL, n_histories * N_HOPS, sizeof *cards);

    for (size_t i = 0; i < n_histories; i++) {
        histories[i] = item_history(&items[i]);
        for (size_t k = 0; k < histories[i]->n_hops; k++) {
            cards[n++] =
                (struct card){histories[i]->hops[k].time_ns, histories[i], k};
        }
    }
    qsort(cards, n, sizeof *cards, compare_cards);
    put_le32(out, 0xa1b2c3d4);
    put_le32(out, 4 << 16 | 2);
    put_le32(out, 0);
    put_le32(out, 0);
    put_le32(out, 65535);
    put_le32(out, 1);
    for (size_t i = 0; i < n; i++) {
        const struct history_hop *hop = &cards[i].history->hops[cards[i].hop];
        uint8_t frame[PACKET_ID_SNAP + POSTCARD_GENEVE_FRAME_OVERHEAD];
        struct postcard p = {
            .dpid = hop->dpid,
            .version = hop->versions[0],
            .in_port = 1,
            .out_port = 2,
            .caplen = hop->caplen,
            .header = hop->header,
        };
        size_t len =
            postcard_geneve_encode_frame(&p, &way, frame, sizeof frame);

        put_le32(out, hop->time_ns / 1000000000);
        put_le32(out, hop->time_ns % 1000000000 / 1000);
        put_le32(out, len);
        put_le32(out, len);
        byte_buf_put(out, frame, len);
    }
    for (size_t i = 0; i < n_histories; i++) {
        history_destroy(histories[i]);
    }
    free(histories);
    free(cards);
    return n;
}

/* How many bytes the program 'command' makes of it. */
static double
squeeze(const struct byte_buf *pcap, const char *command)
{
    char path[] = "/tmp/bench_archive.XXXXXX", *line;
    int fd = mkstemp(path);
    uint64_t n = 0;

    line = lh_asprintf("%s | wc -c >%s", command, path);

    FILE *pipe = popen(line, "w");

    if (fd < 0 || !pipe ||
        fwrite(pcap->data, 1, pcap->len, pipe) != pcap->len || pclose(pipe)) {
        fprintf(stderr, "bench_archive: cannot run %s\n", command);
        exit(EXIT_FAILURE);
    }

    FILE *file = fdopen(fd, "r");

    if (!file || fscanf(file, "%" SCNu64, &n) != 1) {
        n = 0;
    }
    fclose(file);
    unlink(path);
    free(line);
    return (double) n;
}

/* --- Output ------------------------------------------------------------- */

static void
print(const char *traffic, uint16_t snap, const char *metric,
      const double *values, size_t n, const char *unit)
{
    double sorted[N_RUNS];

    memcpy(sorted, values, n * sizeof *sorted);
    figure_print(sorted, n, unit, metric, "archive %s snap %u", traffic, snap);
}

static void
measure(size_t n_packets, uint16_t snap)
{
    static const struct {
        const char *metric, *command;
    } others[] = {
        {"pcap_gzip_6", "gzip -6 -c"},
        {"pcap_zstd_3", "zstd -3 -c"},
        {"pcap_zstd_19", "zstd -19 -c"},
    };
    struct packet_id_config config = {PACKET_ID_SEED, PACKET_ID_MIN_BYTES};
    struct byte_buf pcap = BYTE_BUF_INIT;
    double values[5][N_RUNS];
    struct bench_trace trace;
    struct figures f;
    size_t n;

    bench_trace_load(&trace, n_packets, snap);
    load_items(&trace, &config);
    measure_blocks(&config, true, &f);
    for (size_t i = 0; i < N_RUNS; i++) {
        measure_blocks(&config, false, &f);
        values[0][i] = f.bytes;
        values[1][i] = f.add_ns;
        values[2][i] = f.finish_ns;
        values[3][i] = f.dictionary_ns;
        values[4][i] = f.read_ns;
    }
    fprintf(stderr,
            "%zu histories (%" PRIu64 " no trajectory's), %" PRIu64
            " flows and %" PRIu64 " shapes in their blocks, %zu postcards\n",
            n_items, f.n_plain, f.n_flows, f.n_shapes, n_cards);
    print(trace.traffic, snap, "bytes_per_postcard", values[0], N_RUNS,
          "bytes");
    print(trace.traffic, snap, "add", values[1], N_RUNS, "ns/history");
    print(trace.traffic, snap, "finish", values[2], N_RUNS, "ns/history");
    print(trace.traffic, snap, "read_dictionary", values[3], N_RUNS,
          "ns/history");
    print(trace.traffic, snap, "read", values[4], N_RUNS, "ns/history");
    n = make_pcap(&pcap);
    values[0][0] = (double) f.first_block / (double) n;
    print(trace.traffic, snap, "first_block_bytes_per_postcard", values[0], 1,
          "bytes");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        values[0][0] = squeeze(&pcap, others[i].command) / (double) n;
        print(trace.traffic, snap, others[i].metric, values[0], 1, "bytes");
    }
    byte_buf_uninit(&pcap);
    unload_items();
    bench_trace_unload(&trace);
}

int
main(int argc, char *argv[])
{
    size_t n_packets = argc > 1 ? strtoul(argv[1], NULL, 10) : N_PACKETS;

    level = argc > 2 ? atoi(argv[2]) : level;
    measure(n_packets, 64);
    measure(n_packets, PACKET_ID_SNAP);
    return EXIT_SUCCESS;
}
