/* SPDX-License-Identifier: Apache-2.0 */
/* bench_batch - how small histories become on the way from one server to
 * another, and what that costs.
 *
 * The histories of an archive are packed in batches of 300, as they come
 * (their trajectories have to be found), by lib/history_batch, and beside it
 * by lib/history_codec and zstd.  Reported: bytes per postcard and ns of CPU
 * per history of packing and of reading.  If those read are not as many as
 * were packed, it fails.
 *
 * usage: bench_batch ARCHIVE [HISTORIES-IN-A-BATCH]
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/figure.h"
#include "lib/archive_reader.h"
#include "lib/compress.h"
#include "lib/history_batch.h"
#include "lib/lh_alloc.h"

#define MAX_HISTORIES 300000

static struct history **all;
static size_t n_all, allocated, n_cards;
static struct packet_id_config id_config;

static void
fail(const char *what, const struct lh_error *error)
{
    fprintf(stderr, "bench_batch: %s: %s\n", what, error->text);
    exit(EXIT_FAILURE);
}

static int
compare(const void *a_, const void *b_)
{
    uint64_t a = history_last_ns(*(struct history *const *) a_);
    uint64_t b = history_last_ns(*(struct history *const *) b_);

    return a < b ? -1 : a > b;
}

static void
load_block(struct column_decoder *d)
{
    struct lh_error error = {.text = "-"};
    struct history_decoder *plain;
    struct history_record record;

    if (column_decoder_need_times(d, &error) ||
        column_decoder_need_rows(d, &error) ||
        column_decoder_plain(d, &plain, &error)) {
        fail("block", &error);
    }
    for (size_t i = 0; i < column_decoder_n_flows(d); i++) {
        for (size_t k = 0; k < column_decoder_flow(d, i)->n_rows; k++) {
            const struct history *h;

            if (column_decoder_history(d, i, k, &h, &error)) {
                fail("history", &error);
            }
            all = lh_alloc_grow(all, n_all, &allocated, sizeof *all);
            all[n_all++] = history_clone(h);
        }
    }
    while (plain && !history_decoder_next(plain, &record, &error)) {
        all = lh_alloc_grow(all, n_all, &allocated, sizeof *all);
        if (history_decoder_read(plain, record.offset, &all[n_all], &error)) {
            fail("history", &error);
        }
        n_all++;
    }
}

static void
load(const char *dir)
{
    struct lh_error error = {.text = "-"};
    struct archive_reader *reader;

    if (archive_reader_open(dir, &reader, &error)) {
        fail(dir, &error);
    }
    id_config = archive_reader_meta(reader)->packet_id;
    for (size_t i = 0;
         i < archive_reader_n_blocks(reader) && n_all < MAX_HISTORIES; i++) {
        const struct archive_entry *entry = archive_reader_entry(reader, i);
        struct column_decoder *d;

        if (entry->block.kind == ARCHIVE_COLUMNS) {
            if (archive_reader_columns(reader, entry, &d, &error)) {
                fail(dir, &error);
            }
            load_block(d);
            column_decoder_destroy(d);
        }
    }
    archive_reader_close(reader);
    qsort(all, n_all, sizeof *all, compare);
    for (size_t i = 0; i < n_all; i++) {
        n_cards += all[i]->n_hops;
    }
}

static void
print_one(const char *what, size_t n_batch, const char *metric, double value,
          const char *unit)
{
    figure_print_one(value, unit, metric, "batch %s of %zu histories", what,
                     n_batch);
}

static void
print(const char *what, size_t n_batch, size_t n_bytes, double pack_ns,
      double read_ns)
{
    print_one(what, n_batch, "size", (double) n_bytes / (double) n_cards,
              "bytes/postcard");
    print_one(what, n_batch, "pack", pack_ns / (double) n_all, "ns/history");
    print_one(what, n_batch, "read", read_ns / (double) n_all, "ns/history");
}

static void
run_batches(size_t n_batch)
{
    struct history_batch_writer *w = history_batch_writer_create(&id_config);
    struct history_batch_reader *r = history_batch_reader_create();
    double pack_ns = 0, read_ns = 0;
    struct lh_error error = {.text = "-"};
    struct byte_buf out = BYTE_BUF_INIT;
    struct history_batch_item item;
    size_t n_bytes = 0, n_read = 0;

    for (size_t i = 0; i < n_all;) {
        double start = (double) figure_ns(CLOCK_PROCESS_CPUTIME_ID);
        size_t first = i;

        while (i < n_all && i - first < n_batch &&
               !history_batch_writer_add(w, all[i])) {
            i++;
        }
        byte_buf_clear(&out);
        if (history_batch_writer_finish(w, &out, &error)) {
            fail("finish", &error);
        }
        pack_ns += (double) figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
        n_bytes += out.len;
        start = (double) figure_ns(CLOCK_PROCESS_CPUTIME_ID);
        if (history_batch_reader_open(r, out.data, out.len, &error)) {
            fail("open", &error);
        }
        while (!history_batch_reader_next(r, &item, &error)) {
            n_read++;
        }
        read_ns += (double) figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
    }
    if (n_read != n_all) {
        fail("fewer were read than packed", &error);
    }
    print("history_batch", n_batch, n_bytes, pack_ns, read_ns);
    byte_buf_uninit(&out);
    history_batch_writer_destroy(w);
    history_batch_reader_destroy(r);
}

static void
run_codec(size_t n_batch, int level)
{
    struct history_encoder *e = history_encoder_create();
    struct compressor *compressor = compressor_create();
    struct history_view *view = history_view_create();
    double pack_ns = 0, read_ns = 0;
    struct byte_buf raw = BYTE_BUF_INIT, out = BYTE_BUF_INIT;
    size_t n_bytes = 0;
    char name[40];

    for (size_t i = 0; i < n_all;) {
        double start = (double) figure_ns(CLOCK_PROCESS_CPUTIME_ID);
        size_t first = i;
        struct history_decoder *d;
        struct history_record record;
        uint8_t *again;
        struct history *h;

        for (; i < n_all && i - first < n_batch; i++) {
            history_encoder_add(e, all[i]);
        }
        byte_buf_clear(&raw);
        byte_buf_clear(&out);
        history_encoder_finish(e, &raw);
        history_encoder_reset(e);
        compressor_put(compressor, level, raw.data, raw.len, &out);
        pack_ns += (double) figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
        n_bytes += out.len;
        start = (double) figure_ns(CLOCK_PROCESS_CPUTIME_ID);
        again = lh_alloc(raw.len);
        if (compress_expand(out.data, out.len, again, raw.len, NULL) ||
            history_decoder_create(again, raw.len, &d, NULL)) {
            abort();
        }
        while (!history_decoder_next(d, &record, NULL)) {
            history_decoder_view(d, record.offset, view, &h, NULL);
        }
        history_decoder_destroy(d);
        free(again);
        read_ns += (double) figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
    }
    snprintf(name, sizeof name, "history_codec, zstd -%d", level);
    print(name, n_batch, n_bytes, pack_ns, read_ns);
    byte_buf_uninit(&raw);
    byte_buf_uninit(&out);
    compressor_destroy(compressor);
    history_encoder_destroy(e);
    history_view_destroy(view);
}

int
main(int argc, char **argv)
{
    size_t n_batch = argc > 2 ? strtoul(argv[2], NULL, 10) : 300;

    if (argc < 2 || !n_batch) {
        fputs("usage: bench_batch ARCHIVE [HISTORIES-IN-A-BATCH]\n", stderr);
        return EXIT_FAILURE;
    }
    load(argv[1]);
    run_batches(n_batch);
    run_codec(n_batch, 1);
    run_codec(n_batch, 3);
    for (size_t i = 0; i < n_all; i++) {
        history_destroy(all[i]);
    }
    free(all);
    return EXIT_SUCCESS;
}
