/* SPDX-License-Identifier: Apache-2.0 */
/* history_batch - many histories packed for the way from server to server. */
#include <config.h>

#include "lib/history_batch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/batch_sections.h"
#include "lib/compress.h"
#include "lib/history_columns.h"
#include "lib/lh_alloc.h"

#define IS_COMPRESSED 1 /* In version 1. */
#define ZSTD_LEVEL    3
/* A batch of so many bytes is full.  Columns are at most twice as long as
 * rows before (times that vary by years), so that no batch of several
 * histories is longer than HISTORY_BATCH_MAX_SIZE. */
#define FULL_BYTES (192u << 10)
/* A history of more has a batch of its own. */
#define LARGE_BYTES (32u << 10)

struct history_batch_writer {
    struct column_encoder *encoder; /* Owned. */
    struct compressor *compressor;  /* Owned. */
    unsigned int version;
    struct byte_buf payload; /* Scratch, */
    struct byte_buf groups[2];
    struct byte_buf packed; /* too. */
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
    w->version = HISTORY_BATCH_VERSION;
    return w;
}

void
history_batch_writer_destroy(struct history_batch_writer *w)
{
    if (w) {
        column_encoder_destroy(w->encoder);
        compressor_destroy(w->compressor);
        byte_buf_uninit(&w->payload);
        byte_buf_uninit(&w->groups[0]);
        byte_buf_uninit(&w->groups[1]);
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
    struct trajectory *t = trajectory_borrow(h);

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

void
history_batch_writer_set_version(struct history_batch_writer *w,
                                 unsigned int version)
{
    assert(version && version <= HISTORY_BATCH_VERSION);
    w->version = version;
}

/* Sets w->packed to a batch of version 1. */
static void
pack_1(struct history_batch_writer *w, uint32_t n, size_t table_len)
{
    size_t flags;

    byte_buf_put_u8(&w->packed, 1);
    flags = w->packed.len;
    byte_buf_put_u8(&w->packed, 0);
    byte_buf_put_u32(&w->packed, n);
    byte_buf_put_u32(&w->packed, (uint32_t) table_len);
    byte_buf_put_u32(&w->packed, (uint32_t) w->payload.len);
    if (compressor_put(w->compressor, ZSTD_LEVEL, w->payload.data,
                       w->payload.len, &w->packed)) {
        w->packed.data[flags] = IS_COMPRESSED;
    }
}

/* The same of version 2. */
static void
pack_2(struct history_batch_writer *w, uint32_t n, size_t table_len)
{
    struct section_list list;
    size_t start;
    int retval = section_list_parse(&list, w->payload.data, table_len, NULL);

    assert(!retval);
    byte_buf_put_u8(&w->packed, 2);
    byte_buf_put_u64(&w->packed, 0);
    start = w->packed.len;
    byte_buf_put_uvarint(&w->packed, n);
    batch_sections_put(&list, w->payload.data + table_len, w->compressor,
                       w->groups, &w->packed);
    bytes_put_be64(w->packed.data + 1,
                   XXH64(w->packed.data + start, w->packed.len - start, 0));
}

int
history_batch_writer_finish(struct history_batch_writer *w,
                            struct byte_buf *out, struct lh_error *error)
{
    uint32_t n = history_batch_writer_n(w);
    size_t table_len;

    byte_buf_clear(&w->payload);
    byte_buf_clear(&w->packed);
    table_len = column_encoder_finish(w->encoder, 0, &w->payload);
    column_encoder_reset(w->encoder);
    if (w->version == 1) {
        pack_1(w, n, table_len);
    } else {
        pack_2(w, n, table_len);
    }
    if (w->packed.len > HISTORY_BATCH_MAX_SIZE) {
        lh_error_set(error, "a history of %zu bytes is too large to be sent",
                     w->packed.len);
        return EFBIG;
    }
    byte_buf_put(out, w->packed.data, w->packed.len);
    return 0;
}
