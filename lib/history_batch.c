/* SPDX-License-Identifier: Apache-2.0 */
/* history_batch - many histories packed for the way from server to server,
 * and back. */
#include <config.h>

#include "lib/history_batch.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/column_shapes.h"
#include "lib/compress.h"
#include "lib/history_columns.h"
#include "lib/lh_alloc.h"
#include "lib/trajectory_memo.h"

#define BATCH_VERSION 1
#define IS_COMPRESSED 1
#define HEADER        14 /* Version, flags, three lengths. */
#define ZSTD_LEVEL    3
/* A batch of so many bytes is full.  Columns are at most twice as long as
 * rows before (times that vary by years), so that no batch of several
 * histories is longer than HISTORY_BATCH_MAX_SIZE. */
#define FULL_BYTES (192u << 10)
/* A history of more has a batch of its own. */
#define LARGE_BYTES (32u << 10)
/* A reader keeps so much room for the next payload. */
#define KEPT_BYTES (1u << 20)

/* --- Writing ------------------------------------------------------------- */

struct history_batch_writer {
    struct column_encoder *encoder; /* Owned. */
    struct compressor *compressor;  /* Owned. */
    struct byte_buf payload;        /* Scratch, */
    struct byte_buf packed;         /* too. */
    uint64_t times_ns[TRAJECTORY_MAX_HOPS];
};

struct history_batch_writer *
history_batch_writer_create(const struct packet_id_config *packet_id)
{
    struct history_batch_writer *w = lh_alloc_zero(sizeof *w);

    w->encoder = column_encoder_create(packet_id, COLUMN_UNIT_AUTO);
    column_encoder_join_flows(w->encoder);
    column_encoder_leave_out_index(w->encoder);
    w->compressor = compressor_create();
    return w;
}

void
history_batch_writer_destroy(struct history_batch_writer *w)
{
    if (w) {
        column_encoder_destroy(w->encoder);
        compressor_destroy(w->compressor);
        byte_buf_uninit(&w->payload);
        byte_buf_uninit(&w->packed);
        free(w);
    }
}

static bool
is_full(const struct history_batch_writer *w, size_t n_bytes)
{
    const struct column_totals *totals = column_encoder_totals(w->encoder);

    return totals->n_records &&
           (totals->n_records >= HISTORY_BATCH_MAX ||
            totals->size >= FULL_BYTES || n_bytes >= LARGE_BYTES);
}

/* Adds 'h' as a packet of a trajectory; false: it is none. */
static bool
add_as_packet(struct history_batch_writer *w, const struct history *h)
{
    struct trajectory *t = trajectory_create(h);

    if (!t) {
        return false;
    }

    const struct history_hop *ref = &h->hops[trajectory_reference(t)];
    bool is_told = true;

    for (size_t i = 0; i < h->n_hops && is_told; i++) {
        const struct history_hop *hop = &h->hops[i];

        is_told = trajectory_predicts(t, i, ref->header, ref->caplen,
                                      hop->header, hop->caplen);
        w->times_ns[i] = hop->time_ns;
    }
    if (is_told) {
        const struct trajectory_packet packet = {
            .packet_id = h->packet_id,
            .header = ref->header,
            .caplen = ref->caplen,
            .times_ns = w->times_ns,
        };

        column_encoder_add(w->encoder, t, &packet);
        column_encoder_count_kept(w->encoder, h->left_out, 1);
    }
    trajectory_unref(t);
    return is_told;
}

int
history_batch_writer_add(struct history_batch_writer *w,
                         const struct history *h)
{
    size_t n_bytes = 0;

    for (size_t i = 0; i < h->n_hops; i++) {
        n_bytes += h->hops[i].caplen + sizeof(uint64_t);
    }
    if (is_full(w, n_bytes)) {
        return ENOBUFS;
    }
    if (!add_as_packet(w, h)) {
        int error = column_encoder_add_history(w->encoder, h);

        if (error) {
            return error;
        }
        column_encoder_count_kept(w->encoder, h->left_out, 1);
    }
    return 0;
}

int
history_batch_writer_add_packet(struct history_batch_writer *w,
                                struct trajectory *t,
                                const struct trajectory_packet *packet)
{
    if (is_full(w, packet->caplen)) {
        return ENOBUFS;
    }
    column_encoder_add(w->encoder, t, packet);
    column_encoder_count_kept(w->encoder, packet->left_out, 1);
    return 0;
}

void
history_batch_writer_use_shapes(struct history_batch_writer *w,
                                struct column_shapes *shapes)
{
    column_encoder_use_shapes(w->encoder, shapes);
}

int
history_batch_writer_add_row(struct history_batch_writer *w, uint32_t shape,
                             const struct trajectory_packet *packet)
{
    if (is_full(w, packet->caplen)) {
        return ENOBUFS;
    }
    column_encoder_add_row(
        w->encoder, column_encoder_flow(w->encoder, shape, packet->header),
        packet);
    column_encoder_count_kept(w->encoder, packet->left_out, 1);
    return 0;
}

uint32_t
history_batch_writer_n(const struct history_batch_writer *w)
{
    return column_encoder_totals(w->encoder)->n_records;
}

int
history_batch_writer_finish(struct history_batch_writer *w,
                            struct byte_buf *out, struct lh_error *error)
{
    uint32_t n = history_batch_writer_n(w);
    size_t table_len;
    bool is_compressed;

    byte_buf_clear(&w->payload);
    byte_buf_clear(&w->packed);
    table_len = column_encoder_finish(w->encoder, 0, &w->payload);
    column_encoder_reset(w->encoder);
    is_compressed = compressor_put(w->compressor, ZSTD_LEVEL, w->payload.data,
                                   w->payload.len, &w->packed);
    if (w->packed.len > HISTORY_BATCH_MAX_SIZE - HEADER) {
        lh_error_set(error, "a history of %zu bytes is too large to be sent",
                     HEADER + w->packed.len);
        return EFBIG;
    }
    byte_buf_put_u8(out, BATCH_VERSION);
    byte_buf_put_u8(out, is_compressed ? IS_COMPRESSED : 0);
    byte_buf_put_u32(out, n);
    byte_buf_put_u32(out, (uint32_t) table_len);
    byte_buf_put_u32(out, (uint32_t) w->payload.len);
    byte_buf_put(out, w->packed.data, w->packed.len);
    return 0;
}

/* --- Reading ------------------------------------------------------------- */

struct history_batch_reader {
    uint8_t *payload;               /* Owned, */
    size_t allocated;               /* with so much room. */
    struct column_decoder *decoder; /* Owned; NULL: none is open. */
    struct history_decoder *plain;  /* The decoder's; NULL: none. */
    struct history_view *view;      /* Owned. */
    struct trajectory_memo *memo;   /* Owned. */
    bool wants_rows;
    struct packet_id_config ids; /* For rows. */
    uint64_t first_flow;         /* Number of the batch's first one. */
    uint32_t n, n_read;
    size_t flow, row;
    struct sample_tally kept; /* Not given out yet. */
    struct history *history;  /* Of a packet.  Owned. */
};

struct history_batch_reader *
history_batch_reader_create(void)
{
    struct history_batch_reader *r = lh_alloc_zero(sizeof *r);

    r->view = history_view_create();
    r->memo = trajectory_memo_create();
    return r;
}

static void
forget(struct history_batch_reader *r)
{
    history_destroy(r->history);
    r->history = NULL;
    column_decoder_destroy(r->decoder);
    r->decoder = NULL;
    r->plain = NULL;
    r->n = 0;
}

void
history_batch_reader_destroy(struct history_batch_reader *r)
{
    if (r) {
        forget(r);
        free(r->payload);
        history_view_destroy(r->view);
        trajectory_memo_destroy(r->memo);
        free(r);
    }
}

static int
broken(struct lh_error *error, const char *what)
{
    lh_error_set(error, "%s", what);
    return EBADMSG;
}

/* Room for a payload of 'len' bytes. */
static bool
make_room(struct history_batch_reader *r, size_t len)
{
    if (r->allocated < len || r->allocated > KEPT_BYTES) {
        free(r->payload);
        r->allocated = len < KEPT_BYTES ? KEPT_BYTES : len;
        r->payload = malloc(r->allocated);
        r->allocated = r->payload ? r->allocated : 0;
    }
    return r->payload;
}

/* Sets r->payload to the 'raw_len' bytes that 'stored' holds. */
static int
expand(struct history_batch_reader *r, uint8_t flags, const uint8_t *stored,
       size_t len, size_t raw_len, struct lh_error *error)
{
    if (flags & ~IS_COMPRESSED) {
        return broken(error, "the batch has unknown flags");
    }
    if (raw_len > HISTORY_BATCH_MAX_RAW) {
        return broken(error, "the batch says that it is too long");
    }
    if (!(flags & IS_COMPRESSED) && len != raw_len) {
        return broken(error, "the batch has another length than it says");
    }
    if (!make_room(r, raw_len)) {
        lh_error_set(error, "no memory for %zu bytes", raw_len);
        return ENOMEM;
    }
    if (flags & IS_COMPRESSED) {
        return compress_expand(stored, len, r->payload, raw_len, error);
    }
    memcpy(r->payload, stored, len);
    return 0;
}

int
history_batch_reader_open(struct history_batch_reader *r, const uint8_t *data,
                          size_t len, struct lh_error *error)
{
    struct bytes_reader b = bytes_reader(data, len);
    uint8_t version = bytes_get_u8(&b);
    uint8_t flags = bytes_get_u8(&b);
    uint32_t n = bytes_get_u32(&b);
    uint32_t table_len = bytes_get_u32(&b);
    uint32_t raw_len = bytes_get_u32(&b);
    static atomic_uint_least64_t n_batches;

    forget(r);
    trajectory_memo_shrink(r->memo);
    r->first_flow = atomic_fetch_add(&n_batches, 1) << 32;
    r->n_read = 0;
    r->flow = 0;
    r->row = 0;
    if (b.failed) {
        return broken(error, "the batch is too short");
    }
    if (version > BATCH_VERSION) {
        lh_error_set(error,
                     "a newer server packed it: version %u, this one reads "
                     "up to %u",
                     version, BATCH_VERSION);
        return EPROTONOSUPPORT;
    }
    if (!version) {
        return broken(error, "the batch has no version");
    }
    if (len > HISTORY_BATCH_MAX_SIZE || n > HISTORY_BATCH_MAX ||
        table_len > raw_len) {
        return broken(error, "the batch says that it is too long");
    }

    int retval =
        expand(r, flags, data + b.ofs, bytes_left(&b), raw_len, error);

    if (!retval) {
        retval = column_decoder_open(r->payload, raw_len, table_len,
                                     &r->decoder, error);
    }
    if (!retval) {
        column_decoder_use_memo(r->decoder, r->memo);
        retval = column_decoder_need_times(r->decoder, error);
    }
    if (!retval) {
        retval = column_decoder_need_rows(r->decoder, error);
    }
    if (!retval) {
        retval = column_decoder_plain(r->decoder, &r->plain, error);
    }
    if (!retval) {
        retval = column_decoder_kept(r->decoder, &r->kept, error);
    }
    if (retval) {
        forget(r);
        return retval;
    }
    r->n = n;
    return 0;
}

uint32_t
history_batch_reader_n(const struct history_batch_reader *r)
{
    return r->n;
}

void
history_batch_reader_want_rows(struct history_batch_reader *r,
                               const struct packet_id_config *ids)
{
    r->wants_rows = ids != NULL;
    if (ids) {
        r->ids = *ids;
    }
}

/* What was left out of the next one. */
static uint32_t
take_left_out(struct history_batch_reader *r)
{
    for (size_t i = 0; i < r->kept.n; i++) {
        if (r->kept.of[i].packets) {
            r->kept.of[i].packets--;
            return r->kept.of[i].left_out;
        }
    }
    return 0;
}

/* The next of the histories that are no trajectory's. */
static int
next_plain(struct history_batch_reader *r, struct history_batch_item *item,
           struct lh_error *error)
{
    struct history_record record;
    struct history *h;
    int retval =
        r->plain ? history_decoder_next(r->plain, &record, error) : ENODATA;

    if (!retval) {
        retval =
            history_decoder_view(r->plain, record.offset, r->view, &h, error);
    }
    if (!retval) {
        h->left_out = take_left_out(r);
        item->history = h;
        item->last_ns = record.last_ns;
    }
    return retval;
}

/* The packet at hand. */
static int
next_packet(struct history_batch_reader *r, struct history_batch_item *item,
            struct lh_error *error)
{
    int retval;

    if (r->wants_rows) {
        retval = column_decoder_row(r->decoder, r->flow, r->row, &r->ids,
                                    &item->packet, error);
        item->reader = r;
        item->flow = r->first_flow + r->flow;
    } else {
        retval =
            column_decoder_packet(r->decoder, r->flow, r->row,
                                  &item->trajectory, &item->packet, error);
    }
    item->packet.left_out = take_left_out(r);
    item->n_hops = column_decoder_n_hops(r->decoder, r->flow);
    item->last_ns = column_decoder_last_ns(r->decoder, r->flow, r->row);
    r->row++;
    return retval;
}

int
history_batch_reader_next(struct history_batch_reader *r,
                          struct history_batch_item *item,
                          struct lh_error *error)
{
    int retval;

    memset(item, 0, sizeof *item);
    history_destroy(r->history);
    r->history = NULL;
    if (!r->decoder) {
        return ENODATA;
    }
    while (r->flow < column_decoder_n_flows(r->decoder) &&
           r->row >= column_decoder_flow(r->decoder, r->flow)->n_rows) {
        r->flow++;
        r->row = 0;
    }
    if (r->flow < column_decoder_n_flows(r->decoder)) {
        retval = next_packet(r, item, error);
    } else {
        retval = next_plain(r, item, error);
    }
    if (retval == ENODATA ? r->n_read != r->n : !retval && r->n_read == r->n) {
        retval = broken(error, "the batch has another number of histories "
                               "than it says");
    }
    if (retval) {
        r->flow = SIZE_MAX; /* Nothing more is read. */
        memset(item, 0, sizeof *item);
        if (retval != ENODATA) {
            forget(r);
        }
    } else {
        r->n_read++;
    }
    return retval;
}

/* Makes the trajectory of the last row, the decoder's. */
static int
make_trajectory(struct history_batch_reader *r, struct trajectory **t,
                struct trajectory_packet *packet, struct lh_error *error)
{
    assert(r->decoder && r->row);
    return column_decoder_packet(r->decoder, r->flow, r->row - 1, t, packet,
                                 error);
}

uint32_t
history_batch_reader_shape(struct history_batch_reader *r,
                           struct column_shapes *shapes)
{
    uint64_t owner = shape_memo_epoch(trajectory_memo_shapes(r->memo));
    uint32_t number = column_decoder_shape_number(
        r->decoder, column_decoder_flow(r->decoder, r->flow)->shape);
    struct trajectory_packet packet;
    struct trajectory *t;
    uint32_t shape;

    if (!column_shapes_told(shapes, owner, number, &shape)) {
        shape = make_trajectory(r, &t, &packet, NULL)
                    ? COLUMN_NO_SHAPE
                    : column_shapes_find(shapes, t, &packet);
        column_shapes_tell(shapes, owner, number, shape);
    }
    return shape;
}

int
history_batch_reader_trajectory(struct history_batch_reader *r,
                                struct history_batch_item *item,
                                struct lh_error *error)
{
    uint32_t left_out = item->packet.left_out;
    int retval = make_trajectory(r, &item->trajectory, &item->packet, error);

    item->packet.left_out = left_out;
    item->reader = NULL;
    return retval;
}

const struct history *
history_batch_reader_history(struct history_batch_reader *r,
                             const struct history_batch_item *item)
{
    if (item->history) {
        return item->history;
    }
    if (!r->history) {
        r->history = trajectory_history(item->trajectory, &item->packet);
    }
    return r->history;
}
