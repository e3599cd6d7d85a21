/* SPDX-License-Identifier: Apache-2.0 */
/* store_fixture - what a stage-1 owner sends to a stage-2 owner, and what of
 * that is archived. */
#include <config.h>

#include "tests/server/store_fixture.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/archive_reader.h"
#include "lib/bus_stream.h"
#include "server/store_disk.h"
#include "server/store_message.h"
#include "tests/lib/nats_fixture.h"
#include "tests/lib/random_history.h"

#define MAX_ID 100000

const struct packet_id_config store_id_config = PACKET_ID_CONFIG_INIT;
struct event_base *base;
struct bus *bus;
char dirs[2][80];
uint64_t n_sent, n_checkpoints;
static uint8_t found[MAX_ID];

/* --- What a stage-1 owner sends ------------------------------------------ */

static unsigned int n_open;
static uint64_t last_seq; /* Of the last message that is kept. */

static void
on_kept(void *aux, int error_number, const char *why, uint64_t seq,
        bool was_there)
{
    ck_assert_msg(!error_number, "%s", why);
    n_open--;
    last_seq = seq;
}

static bool
is_open(void *aux)
{
    return n_open != 0;
}

static const char *marker_parts; /* Header of the next marker, or NULL. */

static void
send_message(struct byte_buf *out)
{
    const struct bus_header header = {STORE_PARTS_HEADER, marker_parts};
    const struct bus_letter letter = {.subject = "lh.2.3",
                                      .data = out->data,
                                      .size = out->len,
                                      .headers = &header,
                                      .n_headers = marker_parts != NULL};

    n_open++;
    ck_assert_int_eq(bus_stream_publish(bus, &letter, NULL, BUS_ANY_SEQ, 5000,
                                        on_kept, NULL, NULL),
                     0);
}

/* Appends 'n' histories with IDs from 'first' on as a part of a checkpoint of
 * epoch 'e'. */
static void
put_tentative(uint64_t e, uint64_t c, uint32_t part, uint64_t first, size_t n,
              struct byte_buf *out)
{
    const struct store_message m = {
        .kind = STORE_TENTATIVE, .k = STORE_K, .e = e, .c = c, .part = part};
    struct history_batch_writer *w =
        history_batch_writer_create(&store_id_config);

    store_message_put(&m, out);
    for (size_t i = 0; i < n; i++) {
        struct history *h =
            line_history(first + i, 3, STORE_NOW_NS + (first + i) * 1000, 60);

        ck_assert_int_eq(history_batch_writer_add(w, h), 0);
        history_destroy(h);
    }
    ck_assert_int_eq(history_batch_writer_finish(w, out, NULL), 0);
    history_batch_writer_destroy(w);
}

static void
send_tentative(uint64_t e, uint64_t c, uint32_t part, uint64_t first, size_t n)
{
    struct byte_buf out = BYTE_BUF_INIT;

    put_tentative(e, c, part, first, n, &out);
    send_message(&out);
    byte_buf_uninit(&out);
}

static void
send_marker(uint64_t e, uint64_t c, uint64_t e_now)
{
    const struct store_message m = {
        .kind = STORE_MARKER, .k = STORE_K, .e = e, .c = c, .e_now = e_now};
    struct byte_buf out = BYTE_BUF_INIT;

    store_message_put(&m, &out);
    send_message(&out);
    byte_buf_uninit(&out);
}

/* 'n' checkpoints of two messages, with what an owner that is none any more
 * sent between them. */
void
send_checkpoints(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t c = ++n_checkpoints;

        send_tentative(10, c, 0, n_sent + 1, 20);
        send_tentative(9, c, 0, MAX_ID - 100, 5);
        send_tentative(10, c, 1, n_sent + 21, 15);
        send_tentative(10, c, 0, n_sent + 1, 20);
        send_marker(10, c, 10);
        n_sent += 35;
    }
    nats_loop_while(base, is_open, NULL);
    ck_assert_uint_lt(n_sent, MAX_ID - 200);
}

void
send_without_last_part(void)
{
    struct store_parts parts = {.c = {0, ++n_checkpoints}, .n = {0, 2}};
    char text[STORE_PARTS_SIZE];

    send_tentative(10, n_checkpoints, 0, n_sent + 1, 20);
    store_parts_put(&parts, text);
    marker_parts = text;
    send_marker(10, n_checkpoints, 10);
    marker_parts = NULL;
    nats_loop_while(base, is_open, NULL);
}

void
make_last_part(struct byte_buf *out)
{
    put_tentative(10, n_checkpoints, 1, n_sent + 21, 15, out);
    n_sent += 35;
}

void
send_last_part(void)
{
    struct byte_buf out = BYTE_BUF_INIT;

    make_last_part(&out);
    send_message(&out);
    byte_buf_uninit(&out);
    nats_loop_while(base, is_open, NULL);
}

uint64_t
send_newer(bool is_packed)
{
    const struct store_message m = {.kind = STORE_TENTATIVE,
                                    .k = STORE_K,
                                    .e = 10,
                                    .c = n_checkpoints + 1,
                                    .part = 7};
    struct byte_buf out = BYTE_BUF_INIT;

    store_message_put(&m, &out);
    byte_buf_put_u8(&out, HISTORY_BATCH_VERSION + is_packed);
    out.data[0] += !is_packed;
    send_message(&out);
    byte_buf_uninit(&out);
    nats_loop_while(base, is_open, NULL);
    return last_seq;
}

/* --- What is archived -----------------------------------------------------
 */

static void
count_history(const struct history *h)
{
    ck_assert_uint_lt(h->packet_id, MAX_ID);
    found[h->packet_id]++;
}

static void
count_dir(const char *dir)
{
    char *path = store_disk_path(dir, STORE_M);
    struct archive_reader *r;
    struct lh_error error;
    int retval = archive_reader_open(path, &r, &error);

    if (retval == ENOENT) {
        free(path);
        return; /* It never was an owner. */
    }
    ck_assert_msg(!retval, "%s", error.text);
    for (size_t i = 0; i < archive_reader_n_blocks(r); i++) {
        const struct archive_entry *entry = archive_reader_entry(r, i);
        struct column_decoder *d;
        struct history_decoder *plain;
        struct history_record record;
        const struct history *row;

        if (entry->block.kind != ARCHIVE_COLUMNS) {
            continue;
        }
        ck_assert_int_eq(archive_reader_columns(r, entry, &d, &error), 0);
        ck_assert_int_eq(column_decoder_need_times(d, &error), 0);
        ck_assert_int_eq(column_decoder_need_rows(d, &error), 0);
        for (size_t f = 0; f < column_decoder_n_flows(d); f++) {
            for (size_t k = 0; k < column_decoder_flow(d, f)->n_rows; k++) {
                ck_assert_int_eq(column_decoder_history(d, f, k, &row, &error),
                                 0);
                count_history(row);
            }
        }
        ck_assert_int_eq(column_decoder_plain(d, &plain, &error), 0);
        while (plain && !history_decoder_next(plain, &record, &error)) {
            struct history *h;

            ck_assert_int_eq(
                history_decoder_read(plain, record.offset, &h, &error), 0);
            count_history(h);
            history_destroy(h);
        }
        column_decoder_destroy(d);
    }
    ck_assert_uint_eq(archive_reader_n_damages(r), 0);
    archive_reader_close(r);
    free(path);
}

/* All directories together have each history that was sent once. */
void
check_each_once(void)
{
    memset(found, 0, sizeof found);
    count_dir(dirs[0]);
    count_dir(dirs[1]);
    for (uint64_t id = 1; id < MAX_ID; id++) {
        ck_assert_msg(
            found[id] == (id <= n_sent), "history %llu of %llu: %u times",
            (unsigned long long) id, (unsigned long long) n_sent, found[id]);
    }
}
