/* SPDX-License-Identifier: Apache-2.0 */
/* history_batch - many histories packed for the way from server to server: and
 * back. */
#include <config.h>

#include "lib/history_batch.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/batch_sections.h"
#include "lib/column_shapes.h"
#include "lib/compress.h"
#include "lib/history_columns.h"
#include "lib/lh_alloc.h"
#include "lib/trajectory_memo.h"

#define IS_COMPRESSED 1 /* In version 1. */
/* A reader keeps so much room for the next payload. */
#define KEPT_BYTES (1u << 20)

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

/* Room for a payload of 'len' bytes: 0 or ENOMEM. */
static int
make_room(struct history_batch_reader *r, size_t len, struct lh_error *error)
{
    if (r->allocated < len || r->allocated > KEPT_BYTES) {
        free(r->payload);
        r->allocated = len < KEPT_BYTES ? KEPT_BYTES : len;
        r->payload = malloc(r->allocated);
        r->allocated = r->payload ? r->allocated : 0;
    }
    if (!r->payload) {
        lh_error_set(error, "no memory for %zu bytes", len);
        return ENOMEM;
    }
    return 0;
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
    if (make_room(r, raw_len, error)) {
        return ENOMEM;
    }
    if (flags & IS_COMPRESSED) {
        return compress_expand(stored, len, r->payload, raw_len, error);
    }
    memcpy(r->payload, stored, len);
    return 0;
}

/* Opens the columns of a batch of version 1, sets '*np' to how many histories
 * it says it has. */
static int
open_1(struct history_batch_reader *r, struct bytes_reader *b, uint32_t *np,
       struct lh_error *error)
{
    uint8_t flags = bytes_get_u8(b);
    uint32_t n = *np = bytes_get_u32(b);
    uint32_t table_len = bytes_get_u32(b);
    uint32_t raw_len = bytes_get_u32(b);
    int retval;

    if (b->failed) {
        return broken(error, "the batch is too short");
    }
    if (n > HISTORY_BATCH_MAX || table_len > raw_len) {
        return broken(error, "the batch says that it is too long");
    }
    retval = expand(r, flags, b->data + b->ofs, bytes_left(b), raw_len, error);
    return retval ? retval
                  : column_decoder_open(r->payload, raw_len, table_len,
                                        &r->decoder, error);
}

/* The same of version 2. */
static int
open_2(struct history_batch_reader *r, struct bytes_reader *b, uint32_t *np,
       struct lh_error *error)
{
    uint64_t hash = bytes_get_u64(b), n;
    struct batch_sections sections;
    int retval;

    if (b->failed) {
        return broken(error, "the batch is too short");
    }
    if (XXH64(b->data + b->ofs, bytes_left(b), 0) != hash) {
        return broken(error, "checksum of the batch does not match");
    }
    n = byte_buf_get_uvarint(b);
    retval = batch_sections_read(&sections, b, error);
    if (retval) {
        return retval;
    }
    if (n > HISTORY_BATCH_MAX || sections.raw_len > HISTORY_BATCH_MAX_RAW) {
        return broken(error, "the batch says that it is too long");
    }
    *np = (uint32_t) n;
    retval = make_room(r, sections.raw_len, error);
    if (!retval) {
        retval = batch_sections_expand(&sections, b, r->payload, error);
    }
    return retval
               ? retval
               : column_decoder_open_list(r->payload, sections.raw_len,
                                          &sections.list, &r->decoder, error);
}

bool
history_batch_is_newer(const uint8_t *data, size_t len, struct lh_error *error)
{
    if (!len || data[0] <= HISTORY_BATCH_VERSION) {
        return false;
    }
    lh_error_set(error,
                 "a newer server packed it: version %u, this one reads up "
                 "to %u",
                 data[0], HISTORY_BATCH_VERSION);
    return true;
}

static int
open_columns(struct history_batch_reader *r, struct bytes_reader *b,
             uint32_t *np, struct lh_error *error)
{
    bool is_newer = history_batch_is_newer(b->data, b->len, error);
    uint8_t version = bytes_get_u8(b);

    if (b->failed) {
        return broken(error, "the batch is too short");
    }
    if (is_newer) {
        return EPROTONOSUPPORT;
    }
    if (b->len > HISTORY_BATCH_MAX_SIZE) {
        return broken(error, "the batch says that it is too long");
    }
    return version == 1   ? open_1(r, b, np, error)
           : version == 2 ? open_2(r, b, np, error)
                          : broken(error, "the batch has no version");
}

int
history_batch_reader_open(struct history_batch_reader *r, const uint8_t *data,
                          size_t len, struct lh_error *error)
{
    static atomic_uint_least64_t n_batches;
    struct bytes_reader b = bytes_reader(data, len);
    uint32_t n = 0;
    int retval;

    forget(r);
    trajectory_memo_shrink(r->memo);
    r->first_flow = atomic_fetch_add(&n_batches, 1) << 32;
    r->n_read = 0;
    r->flow = 0;
    r->row = 0;
    retval = open_columns(r, &b, &n, error);
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
