/* SPDX-License-Identifier: Apache-2.0 */
/* history_columns - many histories as columns: what is added is kept raw, and
 * in the end grouped by trajectory. */
#include <config.h>
#include "lib/history_columns.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/block_index.h"
#include "lib/column_flows.h"
#include "lib/column_shapes.h"
#include "lib/column_sums.h"
#include "lib/column_writer.h"
#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/packet_row.h"
#include "lib/random64.h"
#include "lib/section_list.h"

/* An index has at most so many bytes, and one for so many of its block. */
#define INDEX_MIN_ROOM 2048
#define INDEX_SHARE    40
/* Sums are left out if they have more before compression. */
#define SUMS_MIN_ROOM 1024
#define SUMS_SHARE    4

/* Of any flow, so many rows ahead are asked for. */
#define ROWS_AHEAD 4

/* A packet as it was added: its times, then its header from the IP header on
 * follow.  All is aligned to 8 bytes. */
struct raw_row {
    uint64_t packet_id;
    uint16_t l3_len;
    bool has_id; /* The packet ID is not that of the header. */
};

struct row_ref {
    uint32_t flow;
    uint32_t at; /* In raw, in units of 8 bytes. */
};

struct column_encoder {
    struct packet_id_config packet_id;
    enum column_unit unit;
    uint64_t block; /* Unique to the encoder and its block. */
    struct column_totals totals;

    /* Rows. */
    struct byte_buf raw;
    size_t allocated_rows;
    struct row_ref *rows;   /* Owned. */
    struct row_ref *sorted; /* Scratch.  Owned. */
    uint16_t snap;
    bool is_us; /* No time so far needs more than microseconds. */
    size_t n_header_bytes;

    struct column_flows flows;
    bool joins_flows;
    bool has_no_index; /* And no sums. */

    struct history_encoder *plain;
    size_t plain_size; /* Bytes it holds. */

    struct column_shapes *shapes;    /* Owned reference. */
    bool has_own_shapes;             /* Nobody else numbers by them. */
    struct block_index_maker *index; /* Owned. */
    struct column_sums *sums;        /* Owned. */
    struct column_writer writer;
    struct compressor *compressor;
    struct byte_buf sections; /* Scratch. */
};

struct column_encoder *
column_encoder_create(const struct packet_id_config *packet_id,
                      enum column_unit unit)
{
    static atomic_uint_least64_t n_created;
    struct column_encoder *e = lh_alloc_zero(sizeof *e);

    e->packet_id = *packet_id;
    e->unit = unit;
    e->block = (atomic_fetch_add(&n_created, 1) + 1) << 32;
    e->flows.secret = random64_draw();
    e->is_us = true;
    e->plain = history_encoder_create();
    e->shapes = column_shapes_create();
    e->has_own_shapes = true;
    e->index = block_index_maker_create();
    e->sums = column_sums_create();
    e->compressor = compressor_create();
    return e;
}

void
column_encoder_reset(struct column_encoder *e)
{
    column_flows_clear(&e->flows);
    e->block++;
    memset(&e->totals, 0, sizeof e->totals);
    byte_buf_clear(&e->raw);
    e->snap = 0;
    e->is_us = true;
    e->n_header_bytes = 0;
    history_encoder_reset(e->plain);
    e->plain_size = 0;
    if (e->has_own_shapes) {
        column_shapes_renew(&e->shapes);
    }
    block_index_maker_reset(e->index);
    column_sums_reset(e->sums);
}

void
column_encoder_destroy(struct column_encoder *e)
{
    if (e) {
        column_encoder_reset(e);
        history_encoder_destroy(e->plain);
        byte_buf_uninit(&e->raw);
        byte_buf_uninit(&e->sections);
        column_writer_uninit(&e->writer);
        compressor_destroy(e->compressor);
        free(e->rows);
        free(e->sorted);
        column_flows_uninit(&e->flows);
        column_shapes_unref(e->shapes);
        block_index_maker_destroy(e->index);
        column_sums_destroy(e->sums);
        free(e);
    }
}

const struct column_totals *
column_encoder_totals(const struct column_encoder *e)
{
    return &e->totals;
}

bool
column_encoder_is_full(const struct column_encoder *e)
{
    return e->totals.n_records >= COLUMNS_MAX_ROWS ||
           e->totals.n_hops > COLUMNS_MAX_HOPS - HISTORY_CODEC_MAX_HOPS ||
           e->n_header_bytes > COLUMNS_MAX_BYTES - TRAJECTORY_MAX_HEADER ||
           e->plain_size > SECTION_MAX_RAW / 2;
}

/* --- Adding ------------------------------------------------------------- */

static inline void
count_record(struct column_encoder *e, size_t n_hops, uint64_t first_ns,
             uint64_t last_ns)
{
    struct column_totals *t = &e->totals;

    if (e->unit == COLUMN_UNIT_US) {
        first_ns -= first_ns % 1000;
        last_ns -= last_ns % 1000;
    }
    if (!t->n_records || first_ns < t->min_ns) {
        t->min_ns = first_ns;
    }
    if (last_ns > t->max_ns) {
        t->max_ns = last_ns;
    }
    t->n_records++;
    t->n_hops += (uint32_t) n_hops;
    t->size = e->raw.len + e->plain_size;
}

void
column_encoder_count_kept(struct column_encoder *e, uint32_t left_out,
                          uint64_t packets)
{
    sample_tally_add(&e->totals.kept, left_out, packets);
}

int
column_encoder_add_history(struct column_encoder *e, const struct history *h)
{
    struct history *cut = NULL;
    int error;

    if (e->unit == COLUMN_UNIT_US) {
        cut = history_clone(h);
        for (size_t i = 0; i < cut->n_hops; i++) {
            cut->hops[i].time_ns -= cut->hops[i].time_ns % 1000;
        }
    }
    error = history_encoder_add(e->plain, cut ? cut : h);
    if (!error) {
        e->plain_size = history_encoder_totals(e->plain)->size;
        count_record(e, h->n_hops, history_first_ns(h), history_last_ns(h));
        if (!e->has_no_index) {
            block_index_maker_add_history(e->index, h);
            column_sums_add_history(e->sums, h);
        }
    }
    history_destroy(cut);
    return error;
}

void
column_encoder_leave_out_index(struct column_encoder *e)
{
    e->has_no_index = true;
}

void
column_encoder_join_flows(struct column_encoder *e)
{
    e->joins_flows = true;
}

/* The trajectory's flow in this block. */
static uint32_t
find_flow(struct column_encoder *e, struct trajectory *t,
          const struct trajectory_packet *packet)
{
    struct trajectory_mark *mark = trajectory_mark(t);

    if (mark->owner == e->block) {
        return mark->index;
    }

    uint32_t shape = column_shapes_find(e->shapes, t, packet);
    const uint8_t *constants = trajectory_constants(t);

    mark->owner = e->block;
    if (shape == COLUMN_NO_SHAPE) {
        mark->index = column_flows_add(&e->flows, shape, NULL, constants);
    } else {
        const struct column_form *form = column_shapes_form(e->shapes, shape);

        mark->index =
            e->joins_flows
                ? column_flows_find(&e->flows, shape, form, constants)
                : column_flows_add(&e->flows, shape, form, constants);
    }
    return mark->index;
}

static bool
is_own_id(const struct column_encoder *e, const struct column_form *form,
          const struct trajectory_packet *packet)
{
    uint64_t id;

    column_row_id(&e->packet_id, (enum header_kind) form->kind, form->l3_ofs,
                  packet->header, packet->caplen, &id);
    return id == packet->packet_id;
}

void
column_encoder_add(struct column_encoder *e, struct trajectory *t,
                   const struct trajectory_packet *packet)
{
    uint32_t flow = find_flow(e, t, packet);

    if (e->flows.all[flow].shape == COLUMN_NO_SHAPE) {
        struct history *h = trajectory_history(t, packet);

        column_encoder_add_history(e, h);
        history_destroy(h);
    } else {
        column_encoder_add_row(e, flow, packet);
    }
}

void
column_encoder_use_shapes(struct column_encoder *e,
                          struct column_shapes *shapes)
{
    assert(!e->totals.n_records);
    e->has_own_shapes = false;
    if (e->shapes != shapes) {
        column_shapes_unref(e->shapes);
        e->shapes = column_shapes_ref(shapes);
    }
}

struct column_shapes *
column_encoder_shapes(const struct column_encoder *e)
{
    return e->shapes;
}

uint32_t
column_encoder_flow(struct column_encoder *e, uint32_t shape,
                    const uint8_t *header)
{
    const struct column_form *form = column_shapes_form(e->shapes, shape);

    return column_flows_find(&e->flows, shape, form, header);
}

void
column_encoder_add_row(struct column_encoder *e, uint32_t flow_index,
                       const struct trajectory_packet *packet)
{
    struct flow_entry *flow = &e->flows.all[flow_index];
    const struct column_form *form = &flow->form;
    size_t l3_len = (size_t) packet->caplen - form->l3_ofs;
    size_t n_times = form->n_hops * sizeof(uint64_t);
    size_t at = e->raw.len;
    struct raw_row *row = (struct raw_row *) (void *) byte_buf_extend(
        &e->raw, sizeof *row + n_times + ((l3_len + 7) & ~(size_t) 7));
    uint8_t *p = (uint8_t *) (row + 1);
    uint64_t first_ns = packet->times_ns[0], last_ns = first_ns;
    uint64_t below_us = first_ns % 1000;

    row->packet_id = packet->packet_id;
    row->l3_len = (uint16_t) l3_len;
    row->has_id = !packet->has_own_id && !is_own_id(e, form, packet);
    memcpy(p, packet->times_ns, n_times);
    memcpy(p + n_times, packet->header + form->l3_ofs, l3_len);
    for (uint32_t i = 1; i < form->n_hops; i++) {
        uint64_t time = packet->times_ns[i];

        first_ns = time < first_ns ? time : first_ns;
        last_ns = time > last_ns ? time : last_ns;
        below_us |= time % 1000;
    }
    e->is_us &= !below_us;
    if (e->totals.n_rows == e->allocated_rows) {
        e->allocated_rows = e->allocated_rows * 2 + 1024;
        e->rows = lh_alloc_array(e->rows, e->allocated_rows, sizeof *e->rows);
        e->sorted =
            lh_alloc_array(e->sorted, e->allocated_rows, sizeof *e->sorted);
    }
    e->rows[e->totals.n_rows++] =
        (struct row_ref){flow_index, (uint32_t) (at / 8)};
    e->snap = packet->caplen > e->snap ? packet->caplen : e->snap;
    e->n_header_bytes += packet->caplen;
    flow->n_rows++;
    count_record(e, form->n_hops, first_ns, last_ns);
}

/* --- Finishing ---------------------------------------------------------- */

/* Sorts the rows by flow, keeping their order within each. */
static void
group(struct column_encoder *e, const uint32_t *order)
{
    uint32_t *next = lh_alloc((e->flows.n + 1) * sizeof *next);
    uint32_t at = 0;

    for (size_t i = 0; i < e->flows.n; i++) {
        next[order[i]] = at;
        at += e->flows.all[order[i]].n_rows;
    }
    for (size_t i = 0; i < e->totals.n_rows; i++) {
        e->sorted[next[e->rows[i].flow]++] = e->rows[i];
    }
    free(next);
}

/* Numbers the shapes that flows of this block use, and writes them. */
static void
put_shapes(struct column_encoder *e, const uint32_t *order)
{
    struct history_encoder *shapes = history_encoder_create();

    column_shapes_begin(e->shapes);
    column_sums_begin(e->sums);
    block_index_maker_begin_shapes(e->index);
    for (size_t i = 0; i < e->flows.n; i++) {
        const struct flow_entry *flow = &e->flows.all[order[i]];

        if (i + 8 < e->flows.n) {
            column_shapes_prefetch(e->shapes,
                                   e->flows.all[order[i + 8]].shape);
        }
        if (flow->n_rows &&
            column_shapes_number(e->shapes, flow->shape, shapes) &&
            !e->has_no_index) {
            const struct history *shape =
                column_shapes_history(e->shapes, flow->shape);

            block_index_maker_add_shape(e->index, shape);
            column_sums_add_shape(e->sums, shape);
        }
    }
    if (history_encoder_totals(shapes)->n_records) {
        history_encoder_finish(shapes, &e->writer.columns[COLUMN_SHAPES]);
    }
    history_encoder_destroy(shapes);
}

static const struct raw_row *
raw_row_at(const struct column_encoder *e, const struct row_ref *ref)
{
    return (const struct raw_row *) (const void *) (e->raw.data +
                                                    (size_t) ref->at * 8);
}

static struct column_row
get_row(const struct column_encoder *e, const struct row_ref *ref,
        uint32_t n_hops)
{
    const struct raw_row *raw = raw_row_at(e, ref);
    const uint64_t *times = (const uint64_t *) (raw + 1);

    return (struct column_row){
        .packet_id = raw->packet_id,
        .has_id = raw->has_id,
        .l3_len = raw->l3_len,
        .times_ns = times,
        .ip = (const uint8_t *) (times + n_hops),
    };
}

static void
put_flow(struct column_encoder *e, uint32_t index, const struct row_ref *refs)
{
    size_t n_left = e->totals.n_rows - (size_t) (refs - e->sorted);
    const struct flow_entry *flow = &e->flows.all[index];
    const uint8_t *header = column_flows_constants(&e->flows, index);
    uint32_t shape = column_shapes_index(e->shapes, flow->shape);
    const struct column_form *form = &flow->form;
    struct column_row row;

    if (!e->has_no_index) {
        block_index_maker_add_flow(e->index, shape, header);
    }
    column_writer_begin_flow(&e->writer, (enum header_kind) form->kind,
                             form->l3_ofs, header, shape, flow->n_rows,
                             form->n_hops, form->bases);
    for (uint32_t i = 0; i < flow->n_rows; i++) {
        if (i + ROWS_AHEAD < n_left) {
            const char *p =
                (const char *) raw_row_at(e, refs + i + ROWS_AHEAD);

            __builtin_prefetch(p);
            __builtin_prefetch(p + 64);
        }
        row = get_row(e, refs + i, form->n_hops);
        column_writer_put_row(&e->writer, &row);
    }

    uint64_t n_bytes = column_writer_end_flow(&e->writer);

    if (!e->has_no_index) {
        column_sums_add_flow(e->sums, shape, flow->n_rows, n_bytes);
    }
}

static void
put_sums(struct column_encoder *e, int level, struct section_list *list)
{
    struct byte_buf sums = BYTE_BUF_INIT;

    column_sums_put(e->sums, &sums);
    if (sums.len <= SUMS_MIN_ROOM + e->sections.len / SUMS_SHARE) {
        section_list_add(list, COLUMN_SUMS, sums.data, sums.len, level,
                         e->compressor, &e->sections);
    }
    byte_buf_uninit(&sums);
}

static void
put_index(struct column_encoder *e, struct section_list *list)
{
    struct byte_buf index = BYTE_BUF_INIT;

    block_index_maker_finish(e->index, e->totals.n_records,
                             INDEX_MIN_ROOM + e->sections.len / INDEX_SHARE,
                             &index);
    section_list_add(list, COLUMN_INDEX, index.data, index.len, 0,
                     e->compressor, &e->sections);
    byte_buf_uninit(&index);
}

size_t
column_encoder_finish(struct column_encoder *e, int level,
                      struct byte_buf *out)
{
    struct section_list list = {.n = 0};
    bool is_us =
        e->unit == COLUMN_UNIT_US || (e->unit == COLUMN_UNIT_AUTO && e->is_us);
    const struct row_ref *refs = e->sorted;

    uint32_t *order = column_flows_order(&e->flows, e->joins_flows);

    group(e, order);
    column_writer_begin(&e->writer, &e->packet_id, is_us ? 1000 : 1,
                        e->totals.n_rows, e->totals.n_hops, e->raw.len,
                        e->snap);
    put_shapes(e, order);
    for (size_t i = 0; i < e->flows.n; i++) {
        const struct flow_entry *flow = &e->flows.all[order[i]];

        if (flow->n_rows) {
            put_flow(e, order[i], refs);
            refs += flow->n_rows;
        }
    }
    free(order);
    column_writer_end(&e->writer);
    if (history_encoder_totals(e->plain)->n_records) {
        history_encoder_finish(e->plain, &e->writer.columns[COLUMN_PLAIN]);
    }
    sample_tally_put(&e->totals.kept, &e->writer.columns[COLUMN_LEFT_OUT]);
    byte_buf_clear(&e->sections);
    for (uint8_t i = 1; i < N_COLUMNS; i++) {
        const struct byte_buf *column = &e->writer.columns[i];

        if (i == COLUMN_FLOW_BYTES && e->has_no_index) {
            continue;
        }
        section_list_add(&list, i, column->data, column->len, level,
                         e->compressor, &e->sections);
    }
    if (!e->has_no_index) {
        put_sums(e, level, &list);
        put_index(e, &list);
    }

    size_t table_len = section_list_put_table(&list, out);

    byte_buf_put(out, e->sections.data, e->sections.len);
    return table_len;
}
