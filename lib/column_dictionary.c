/* SPDX-License-Identifier: Apache-2.0 */
/* column_dictionary - the shapes and flows of a block of columns. */
#include <config.h>

#include "lib/column_dictionary.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/column_writer.h"
#include "lib/history_codec.h"
#include "lib/lh_alloc.h"
#include "lib/trajectory_memo.h"

static int
broken(struct lh_error *error, const char *what)
{
    lh_error_set(error, "%s", what);
    return EBADMSG;
}

/* --- Sections ----------------------------------------------------------- */

/* Reads what is stored of a section: '*owned' is for free(). */
static int
read_stored(struct column_dictionary *d, const struct section *s,
            uint8_t **owned, struct lh_error *error)
{
    int retval;

    *owned = malloc(s->stored_len ? s->stored_len : 1);
    if (!*owned) {
        lh_error_set(error, "no memory for %u bytes", s->stored_len);
        return ENOMEM;
    }
    retval = d->source.read(d->source.aux, s->offset, *owned, s->stored_len);
    if (retval) {
        lh_error_set(error, "%s",
                     retval == ENODATA ? "the file has become shorter"
                                       : strerror(retval));
        retval = retval == ENODATA ? EBADMSG : retval;
    }
    return retval;
}

int
column_dictionary_load(struct column_dictionary *d, unsigned int id,
                       const uint8_t **raw, size_t *len, uint8_t **owned,
                       struct lh_error *error)
{
    const struct section *s = section_list_find(&d->list, (uint8_t) id);
    uint8_t *stored = NULL;
    int retval = 0;

    *raw = NULL;
    *len = 0;
    *owned = NULL;
    if (!s) {
        return 0;
    }
    if (!d->source.bytes) {
        retval = read_stored(d, s, &stored, error);
    } else if (s->offset > d->source.n_bytes ||
               s->stored_len > d->source.n_bytes - s->offset) {
        retval = broken(error, "the payload is too short");
    } else if (s->is_checked && !s->is_compressed) {
        *raw = d->source.bytes + s->offset;
        *len = s->raw_len;
        return 0;
    }
    if (!retval) {
        retval = section_expand(
            s, stored ? stored : d->source.bytes + s->offset, owned, error);
        *raw = *owned;
        *len = retval ? 0 : s->raw_len;
    }
    free(stored);
    return retval;
}

int
column_dictionary_load_range(struct column_dictionary *d,
                             struct column_reader *r, unsigned int first,
                             unsigned int last, uint8_t **owned,
                             struct lh_error *error)
{
    for (unsigned int i = first; i <= last; i++) {
        const uint8_t *raw;
        size_t len;
        int retval =
            column_dictionary_load(d, i, &raw, &len, &owned[i], error);

        if (retval) {
            return retval;
        }
        column_reader_set(r, i, raw, len);
    }
    return 0;
}

int
column_dictionary_kept(struct column_dictionary *d, struct sample_tally *kept,
                       struct lh_error *error)
{
    const uint8_t *raw;
    uint8_t *owned;
    size_t len;
    int retval =
        column_dictionary_load(d, COLUMN_LEFT_OUT, &raw, &len, &owned, error);

    memset(kept, 0, sizeof *kept);
    if (!retval && raw) {
        retval = sample_tally_read(kept, raw, len, error);
    }
    free(owned);
    return retval;
}

/* --- Dictionary --------------------------------------------------------- */

static int
read_params(struct column_dictionary *d, struct lh_error *error)
{
    const uint8_t *raw;
    uint8_t *owned;
    size_t len;
    int retval =
        column_dictionary_load(d, COLUMN_PARAMS, &raw, &len, &owned, error);

    if (retval) {
        return retval;
    }

    struct bytes_reader r = bytes_reader(raw, len);
    uint64_t unit = byte_buf_get_uvarint(&r);
    uint64_t seed = bytes_get_u64(&r);
    uint64_t n_bytes = byte_buf_get_uvarint(&r);
    uint64_t snap = byte_buf_get_uvarint(&r);
    uint64_t n_planes = byte_buf_get_uvarint(&r);
    uint64_t n_rows = byte_buf_get_uvarint(&r);

    free(owned);
    if (r.failed || (unit != 1 && unit != 1000) ||
        n_bytes < PACKET_ID_MIN_BYTES || n_bytes > PACKET_ID_MAX_BYTES ||
        snap > TRAJECTORY_MAX_HEADER || !n_planes || n_planes > 4 ||
        n_rows > COLUMNS_MAX_ROWS) {
        return broken(error, "the parameters of a block are broken");
    }
    d->unit_ns = unit;
    d->packet_id = (struct packet_id_config){seed, (uint16_t) n_bytes};
    d->snap = (uint16_t) snap;
    d->n_planes = (unsigned int) n_planes;
    d->n_rows = (size_t) n_rows;
    return 0;
}

/* Descriptions are none. */
static void
forget_headers(struct history *h)
{
    for (size_t i = 0; i < h->n_hops; i++) {
        h->hops[i].caplen = 0;
        h->hops[i].has_header_out = false;
        h->hops[i].header_out_len = 0;
    }
}

/* Where shapes are read to. */
struct shape_reader {
    struct column_dictionary *d;
    struct shape_memo *memo; /* Or NULL. */
    column_visit_function *visit;
    void *aux;
    struct history_view *view;
    struct trajectory_skim *skim;
    size_t allocated; /* Of the dictionary's shapes. */
};

static void
add_shape(struct shape_reader *sr, size_t offset,
          const struct shape_memo_entry *entry)
{
    struct column_dictionary *d = sr->d;

    d->shapes = lh_alloc_grow(d->shapes, d->n_shapes, &sr->allocated,
                              sizeof *d->shapes);
    d->shapes[d->n_shapes++] = (struct column_shape){
        .offset = offset,
        .n_hops = entry->n_hops,
        .bases = d->bases.len,
        .kind = entry->kind,
        .l3_ofs = entry->l3_ofs,
        .number = entry->number,
    };
    byte_buf_put(&d->bases, entry->bases, entry->n_hops);
}

/* Reads a shape that the memo does not know and, if 'is_keyed', gets to know,
 * without making what only its flows need. */
static int
read_new_shape(struct shape_reader *sr, size_t offset, bool is_keyed,
               struct lh_error *error)
{
    uint8_t bases[TRAJECTORY_MAX_HOPS];
    struct shape_memo_entry entry = {.number = (uint32_t) sr->d->n_shapes,
                                     .bases = bases};
    struct history *h;
    int retval = history_decoder_view(sr->d->shape_decoder, offset, sr->view,
                                      &h, error);

    if (retval) {
        return retval;
    }
    if (!trajectory_skim_read(sr->skim, h)) {
        return broken(error, "a shape describes no trajectory");
    }
    entry.n_hops = (uint32_t) h->n_hops;
    entry.kind = trajectory_skim_kind(sr->skim);
    entry.l3_ofs = trajectory_skim_l3_ofs(sr->skim);
    column_time_bases(h, bases);
    assert(is_keyed || !sr->memo);
    if (is_keyed) {
        shape_memo_add(sr->memo, &entry);
    }
    add_shape(sr, offset, &entry);
    if (sr->visit) {
        forget_headers(h);
        sr->visit(sr->aux, h, sr->skim);
    }
    return 0;
}

static int
read_shape(struct shape_reader *sr, size_t offset, struct lh_error *error)
{
    bool is_keyed =
        sr->memo && history_decoder_key(sr->d->shape_decoder, offset,
                                        shape_memo_key(sr->memo));
    struct shape_memo_entry entry;

    if (!is_keyed || !shape_memo_find(sr->memo, &entry)) {
        return read_new_shape(sr, offset, is_keyed, error);
    }
    add_shape(sr, offset, &entry);
    return 0;
}

static int
read_shapes(struct shape_reader *sr, struct lh_error *error)
{
    struct column_dictionary *d = sr->d;
    const uint8_t *raw;
    size_t len;
    int retval = column_dictionary_load(d, COLUMN_SHAPES, &raw, &len,
                                        &d->shape_payload, error);

    if (!retval && raw) {
        retval = history_decoder_create(raw, len, &d->shape_decoder, error);
    }
    while (!retval && d->shape_decoder) {
        struct history_record record;

        retval = history_decoder_next(d->shape_decoder, &record, error);
        if (retval == ENODATA) {
            return 0;
        }
        if (!retval) {
            retval = read_shape(sr, record.offset, error);
        }
    }
    return retval;
}

/* Reads columns of the dictionary, and keeps them. */
static int
load_columns(struct column_dictionary *d, struct column_reader *r,
             unsigned int first, unsigned int last, struct lh_error *error)
{
    int retval =
        column_dictionary_load_range(d, r, first, last, d->owned, error);

    for (unsigned int i = first; i <= last && !retval; i++) {
        d->columns[i] = r->at[i];
    }
    return retval;
}

static int
read_flows(struct column_dictionary *d, struct lh_error *error)
{
    struct column_reader r;
    uint64_t n_rows = 0, n_times = 0;
    size_t allocated = 0;
    int retval;

    column_reader_init(&r, d->snap, d->n_planes);
    retval = load_columns(d, &r, COLUMN_FLOW_SHAPE, COLUMN_FLOW_ROWS, error);
    if (retval) {
        return retval;
    }
    d->flows = lh_alloc_grow(d->flows, 0, &allocated, sizeof *d->flows);
    while (n_rows < d->n_rows) {
        uint64_t shape = column_reader_uvarint(&r, COLUMN_FLOW_SHAPE);
        uint64_t n = column_reader_uvarint(&r, COLUMN_FLOW_ROWS);

        if (r.failed || shape >= d->n_shapes || !n || n > d->n_rows - n_rows) {
            return broken(error, "the dictionary of flows is broken");
        }
        d->flows =
            lh_alloc_grow(d->flows, d->n_flows, &allocated, sizeof *d->flows);
        d->flows[d->n_flows++] = (struct column_flow){
            .shape = (uint32_t) shape,
            .first_row = (uint32_t) n_rows,
            .n_rows = (uint32_t) n,
            .first_time = n_times,
        };
        n_rows += n;
        n_times += n * d->shapes[shape].n_hops;
    }
    if (n_times > COLUMNS_MAX_HOPS) {
        return broken(error, "the dictionary of flows is broken");
    }
    d->n_times = n_times;
    return 0;
}

int
column_dictionary_begin(struct column_dictionary *d, const uint8_t *table,
                        size_t table_len, const struct column_source *source,
                        struct lh_error *error)
{
    int retval = section_list_parse(&d->list, table, table_len, error);

    d->source = *source;
    return retval ? retval : read_params(d, error);
}

int
column_dictionary_begin_list(struct column_dictionary *d,
                             struct lh_error *error)
{
    return read_params(d, error);
}

/* Frees all but the table of sections and the parameters. */
static void
forget(struct column_dictionary *d)
{
    while (d->n_shapes) {
        trajectory_shape_destroy(d->shapes[--d->n_shapes].whole);
    }
    free(d->shapes);
    history_decoder_destroy(d->shape_decoder);
    free(d->shape_payload);
    byte_buf_uninit(&d->bases);
    free(d->flows);
    for (unsigned int i = 0; i < N_COLUMNS; i++) {
        free(d->owned[i]);
        d->owned[i] = NULL;
        d->columns[i] = NULL;
    }
    d->shapes = NULL;
    d->shape_decoder = NULL;
    d->shape_payload = NULL;
    d->flows = NULL;
    d->n_flows = 0;
}

int
column_dictionary_need_flows(struct column_dictionary *d,
                             struct shape_memo *memo,
                             column_visit_function *visit, void *aux,
                             struct lh_error *error)
{
    struct shape_reader sr = {
        .d = d, .memo = memo, .visit = visit, .aux = aux};
    int retval;

    if (d->flows) {
        return 0;
    }
    sr.view = history_view_create();
    sr.skim = trajectory_skim_create();
    retval = read_shapes(&sr, error);
    trajectory_skim_destroy(sr.skim);
    history_view_destroy(sr.view);
    if (!retval) {
        retval = read_flows(d, error);
    }
    if (retval) { /* Who asks again is told again. */
        forget(d);
    }
    return retval;
}

/* Where the next flow's bytes stand in a column. */
static uint32_t
skip(const struct column_dictionary *d, struct column_reader *r,
     unsigned int column, size_t n)
{
    const uint8_t *p = column_reader_bytes(r, column, n);

    return p && n ? (uint32_t) (p - d->columns[column]) : 0;
}

int
column_dictionary_need_keys(struct column_dictionary *d,
                            struct lh_error *error)
{
    struct column_reader r;
    int retval;

    if (d->has_keys) {
        return 0;
    }
    column_reader_init(&r, d->snap, d->n_planes);
    retval = load_columns(d, &r, COLUMN_FLOW_SRC, COLUMN_FLOW_PORTS, error);
    for (size_t i = 0; !retval && i < d->n_flows; i++) {
        struct column_flow *flow = &d->flows[i];
        const struct column_shape *shape = &d->shapes[flow->shape];
        struct flow_bytes bytes;

        flow_bytes_init(&bytes, shape->kind, shape->l3_ofs);
        flow->src = skip(d, &r, COLUMN_FLOW_SRC, bytes.n_addr);
        flow->dst = skip(d, &r, COLUMN_FLOW_DST, bytes.n_addr);
        flow->ports = skip(d, &r, COLUMN_FLOW_PORTS, bytes.n_ports);
        if (r.failed) {
            retval = broken(error, "the dictionary of flows is broken");
        }
    }
    d->has_keys = !retval;
    return retval;
}

int
column_dictionary_need_all(struct column_dictionary *d, struct lh_error *error)
{
    struct column_reader r;
    int retval = column_dictionary_need_keys(d, error);

    if (retval || d->has_cold) {
        return retval;
    }
    column_reader_init(&r, d->snap, d->n_planes);
    retval = load_columns(d, &r, COLUMN_FLOW_COLD, COLUMN_FLOW_COLD, error);
    for (size_t i = 0; !retval && i < d->n_flows; i++) {
        struct column_flow *flow = &d->flows[i];
        const struct column_shape *shape = &d->shapes[flow->shape];
        struct flow_bytes bytes;

        flow_bytes_init(&bytes, shape->kind, shape->l3_ofs);
        flow->cold = skip(d, &r, COLUMN_FLOW_COLD, bytes.n_cold);
        if (r.failed) {
            retval = broken(error, "the dictionary of flows is broken");
        }
    }
    d->has_cold = !retval;
    return retval;
}

void
column_dictionary_uninit(struct column_dictionary *d)
{
    forget(d);
    if (d->source.close) {
        d->source.close(d->source.aux);
    }
}

struct trajectory_shape *
column_dictionary_shape(struct column_dictionary *d, size_t index)
{
    struct column_shape *shape = &d->shapes[index];

    if (!shape->whole) {
        struct history *h;
        /* It was read before. */
        int retval =
            history_decoder_read(d->shape_decoder, shape->offset, &h, NULL);

        assert(!retval);
        retval = trajectory_shape_create(h, &shape->whole, NULL);
        assert(!retval);
    }
    return shape->whole;
}

const uint8_t *
column_dictionary_l2(const struct column_dictionary *d, size_t index)
{
    return d->columns[COLUMN_FLOW_COLD] + d->flows[index].cold;
}

void
column_dictionary_flow(const struct column_dictionary *d, size_t index,
                       struct flow_bytes *bytes)
{
    const struct column_flow *flow = &d->flows[index];
    const struct column_shape *shape = &d->shapes[flow->shape];

    flow_bytes_init(bytes, shape->kind, shape->l3_ofs);
    memcpy(bytes->cold, d->columns[COLUMN_FLOW_COLD] + flow->cold,
           bytes->n_cold);
    memcpy(bytes->addrs[0], d->columns[COLUMN_FLOW_SRC] + flow->src,
           bytes->n_addr);
    memcpy(bytes->addrs[1], d->columns[COLUMN_FLOW_DST] + flow->dst,
           bytes->n_addr);
    if (bytes->n_ports) {
        memcpy(bytes->ports, d->columns[COLUMN_FLOW_PORTS] + flow->ports,
               bytes->n_ports);
    }
}

void
column_dictionary_ask(const struct column_dictionary *d,
                      const struct trajectory_memo *memo, size_t flow,
                      uint64_t asked[COLUMN_N_ASKED])
{
    size_t later = flow ? flow + COLUMN_N_ASKED - 1 : 0;

    for (; later < flow + COLUMN_N_ASKED && later < d->n_flows; later++) {
        const struct column_shape *shape = &d->shapes[d->flows[later].shape];
        struct flow_bytes bytes = {.n_cold = 0};

        column_dictionary_flow(d, later, &bytes);
        asked[later % COLUMN_N_ASKED] =
            trajectory_memo_ask(memo, shape->number, &bytes);
    }
    later = flow + COLUMN_N_ASKED / 2;
    if (later < d->n_flows) {
        trajectory_memo_prefetch(memo, asked[later % COLUMN_N_ASKED]);
    }
}

int
column_dictionary_index(struct column_dictionary *d, struct block_index *index,
                        struct lh_error *error)
{
    const uint8_t *raw;
    uint8_t *owned;
    size_t len;
    int retval =
        column_dictionary_load(d, COLUMN_INDEX, &raw, &len, &owned, error);

    memset(index, 0, sizeof *index);
    owned = raw && !owned ? lh_memdup(raw, len) : owned;
    return retval ? retval
           : raw  ? block_index_parse(index, owned, len, error)
                  : ENOENT;
}

int
column_dictionary_sums(struct column_dictionary *d, struct block_sums *sums,
                       struct lh_error *error)
{
    const uint8_t *raw;
    uint8_t *owned;
    size_t len;
    int retval =
        column_dictionary_load(d, COLUMN_SUMS, &raw, &len, &owned, error);

    if (!retval) {
        retval = raw ? block_sums_read(sums, raw, len, error) : ENOENT;
    }
    free(owned);
    return retval;
}

size_t
column_dictionary_size(const struct column_dictionary *d)
{
    size_t n = d->n_flows * sizeof *d->flows;

    for (unsigned int i = COLUMN_FLOW_SHAPE; i <= COLUMN_FLOW_PORTS; i++) {
        const struct section *s = section_list_find(&d->list, (uint8_t) i);

        n += s ? s->raw_len : 0;
    }
    return n;
}

struct column_key
column_dictionary_key(const struct column_dictionary *d, size_t index)
{
    const struct column_flow *flow = &d->flows[index];
    const struct column_shape *shape = &d->shapes[flow->shape];
    struct flow_bytes bytes;

    flow_bytes_init(&bytes, shape->kind, shape->l3_ofs);
    return (struct column_key){
        .n_addr = bytes.n_addr,
        .n_ports = bytes.n_ports,
        .src = d->columns[COLUMN_FLOW_SRC] + flow->src,
        .dst = d->columns[COLUMN_FLOW_DST] + flow->dst,
        .ports =
            bytes.n_ports ? d->columns[COLUMN_FLOW_PORTS] + flow->ports : NULL,
    };
}
