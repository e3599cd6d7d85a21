/* SPDX-License-Identifier: Apache-2.0 */
/* history_columns - many histories as columns: the reading side. */
#include <config.h>

#include "lib/history_columns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/column_lengths.h"
#include "lib/column_reader.h"
#include "lib/column_writer.h"
#include "lib/history_columns_read_impl.h"
#include "lib/lh_alloc.h"
#include "lib/trajectory_memo.h"
#include "lib/trajectory_shape.h"

static int
broken(struct lh_error *error, const char *what)
{
    lh_error_set(error, "%s", what);
    return EBADMSG;
}

static void
free_raws(uint8_t **raws)
{
    for (unsigned int i = 0; i < N_COLUMNS; i++) {
        free(raws[i]);
    }
}

/* --- Life ---------------------------------------------------------------- */

/* Makes a decoder; its dictionary has been begun, which came to 'retval'. */
static int
create(const struct column_dictionary *dictionary, int retval,
       struct column_decoder **dp)
{
    struct column_decoder *d = lh_alloc_zero(sizeof *d);

    *dp = NULL;
    d->dictionary = *dictionary;
    d->flow = d->row_flow = SIZE_MAX;
    d->n_wanted = SIZE_MAX;
    if (retval) {
        column_decoder_destroy(d);
        return retval;
    }
    *dp = d;
    return 0;
}

int
column_decoder_create(const uint8_t *table, size_t table_len,
                      const struct column_source *source,
                      struct column_decoder **dp, struct lh_error *error)
{
    struct column_dictionary dictionary = {.n_rows = 0};
    int retval =
        column_dictionary_begin(&dictionary, table, table_len, source, error);

    return create(&dictionary, retval, dp);
}

int
column_decoder_open_list(const uint8_t *payload, size_t len,
                         const struct section_list *list,
                         struct column_decoder **dp, struct lh_error *error)
{
    struct column_dictionary dictionary = {
        .source = {.bytes = payload, .n_bytes = len},
        .list = *list,
    };
    int retval = column_dictionary_begin_list(&dictionary, error);

    return create(&dictionary, retval, dp);
}

void
column_decoder_destroy(struct column_decoder *d)
{
    if (d) {
        column_dictionary_uninit(&d->dictionary);
        column_decoder_drop_rows(d);
        history_decoder_destroy(d->plain);
        free(d->plain_payload);
        free(d);
    }
}

size_t
column_decoder_n_rows(const struct column_decoder *d)
{
    return d->dictionary.n_rows;
}

int
column_decoder_index(struct column_decoder *d, struct block_index *index,
                     struct lh_error *error)
{
    return column_dictionary_index(&d->dictionary, index, error);
}

int
column_decoder_sums(struct column_decoder *d, struct block_sums *sums,
                    struct lh_error *error)
{
    return column_dictionary_sums(&d->dictionary, sums, error);
}

int
column_decoder_kept(struct column_decoder *d, struct sample_tally *kept,
                    struct lh_error *error)
{
    return column_dictionary_kept(&d->dictionary, kept, error);
}

int
column_decoder_need_shapes(struct column_decoder *d,
                           column_visit_function *visit, void *aux,
                           struct lh_error *error)
{
    return column_decoder_need_new_shapes(
        d, d->memo ? trajectory_memo_shapes(d->memo) : NULL, visit, aux,
        error);
}

void
column_decoder_use_memo(struct column_decoder *d, struct trajectory_memo *memo)
{
    d->memo = memo;
}

int
column_decoder_need_new_shapes(struct column_decoder *d,
                               struct shape_memo *memo,
                               column_visit_function *visit, void *aux,
                               struct lh_error *error)
{
    return column_dictionary_need_flows(&d->dictionary, memo, visit, aux,
                                        error);
}

uint32_t
column_decoder_shape_number(const struct column_decoder *d, size_t shape)
{
    return d->dictionary.shapes[shape].number;
}

size_t
column_decoder_n_shapes(const struct column_decoder *d)
{
    return d->dictionary.n_shapes;
}

size_t
column_decoder_n_flows(const struct column_decoder *d)
{
    return d->dictionary.n_flows;
}

const struct column_flow *
column_decoder_flow(const struct column_decoder *d, size_t flow)
{
    return &d->dictionary.flows[flow];
}

int
column_decoder_need_keys(struct column_decoder *d, struct lh_error *error)
{
    return column_dictionary_need_keys(&d->dictionary, error);
}

struct column_key
column_decoder_key(const struct column_decoder *d, size_t flow)
{
    return column_dictionary_key(&d->dictionary, flow);
}

int
column_decoder_need_models(struct column_decoder *d, struct lh_error *error)
{
    return column_dictionary_need_all(&d->dictionary, error);
}

const struct history *
column_decoder_model(struct column_decoder *d, size_t flow)
{
    struct flow_bytes bytes;

    column_dictionary_flow(&d->dictionary, flow, &bytes);
    return trajectory_shape_model(
        column_dictionary_shape(&d->dictionary,
                                d->dictionary.flows[flow].shape),
        &bytes);
}

/* --- Rows --------------------------------------------------------------- */

size_t
column_decoder_size(const struct column_decoder *d)
{
    size_t n =
        sizeof *d + d->n_headers + column_dictionary_size(&d->dictionary);

    n += d->times ? d->dictionary.n_times * sizeof *d->times : 0;
    n += d->flow_bytes ? d->dictionary.n_flows * sizeof *d->flow_bytes : 0;
    n += d->lengths ? d->dictionary.n_rows * sizeof *d->lengths : 0;
    n += d->rows ? d->dictionary.n_rows * sizeof *d->rows : 0;
    return n;
}

static void
free_rows(struct column_decoder *d)
{
    free(d->rows);
    free(d->headers);
    d->rows = NULL;
    d->headers = NULL;
    d->n_headers = 0;
}

void
column_decoder_drop_rows(struct column_decoder *d)
{
    free(d->times);
    free(d->lengths);
    free(d->flow_bytes);
    free_rows(d);
    d->times = NULL;
    d->lengths = NULL;
    d->flow_bytes = NULL;
    trajectory_unref(d->trajectory);
    history_destroy(d->history);
    d->trajectory = NULL;
    d->history = NULL;
    d->flow = d->row_flow = SIZE_MAX;
}

void
column_decoder_want_flows(struct column_decoder *d, size_t n)
{
    d->n_wanted = n;
}

/* Of how many flows rows are to be read. */
static size_t
n_wanted(const struct column_decoder *d)
{
    return d->n_wanted < d->dictionary.n_flows ? d->n_wanted
                                               : d->dictionary.n_flows;
}

int
column_decoder_need_times(struct column_decoder *d, struct lh_error *error)
{
    uint8_t *raws[N_COLUMNS] = {NULL};
    struct column_reader r;
    size_t n_flows;
    uint64_t n_times, *at;
    int retval = column_decoder_need_shapes(d, NULL, NULL, error);

    n_flows = retval ? 0 : n_wanted(d);
    if (retval || (d->times && n_flows <= d->n_timed)) {
        return retval;
    }
    n_times = n_flows < d->dictionary.n_flows
                  ? d->dictionary.flows[n_flows].first_time
                  : d->dictionary.n_times;
    column_reader_init(&r, d->dictionary.snap, d->dictionary.n_planes);
    retval = column_dictionary_load_range(
        &d->dictionary, &r, COLUMN_TIME_FIRST, COLUMN_HOPS + 3, raws, error);
    if (retval) {
        free_raws(raws);
        return retval;
    }
    at = malloc(n_times ? n_times * sizeof *at : 1);
    if (!at) {
        free_raws(raws);
        lh_error_set(error, "no memory for %llu times",
                     (unsigned long long) n_times);
        return ENOMEM;
    }
    free(d->times);
    d->times = at;
    d->n_timed = n_flows;
    for (size_t i = 0; i < n_flows && !r.failed; i++) {
        const struct column_flow *flow = &d->dictionary.flows[i];
        const struct column_shape *shape = &d->dictionary.shapes[flow->shape];
        const uint8_t *bases = d->dictionary.bases.data + shape->bases;

        for (uint32_t row = 0; row < flow->n_rows; row++) {
            column_reader_times(&r, !row, shape->n_hops, bases, at);
            at += shape->n_hops;
        }
    }
    free_raws(raws);
    if (r.failed) {
        free(d->times);
        d->times = NULL;
        return broken(error, "the columns of times are broken");
    }
    for (uint64_t i = 0; i < n_times; i++) {
        d->times[i] *= d->dictionary.unit_ns;
    }
    return 0;
}

int
column_decoder_need_lengths(struct column_decoder *d, struct lh_error *error)
{
    int retval =
        d->lengths ? 0 : column_decoder_need_shapes(d, NULL, NULL, error);

    return d->lengths || retval
               ? retval
               : column_lengths_read(&d->dictionary, &d->lengths, error);
}

const uint32_t *
column_decoder_lengths(const struct column_decoder *d, size_t flow)
{
    return d->lengths + d->dictionary.flows[flow].first_row;
}

int
column_decoder_need_flow_bytes(struct column_decoder *d,
                               struct lh_error *error)
{
    int retval =
        d->flow_bytes ? 0 : column_decoder_need_shapes(d, NULL, NULL, error);

    return d->flow_bytes || retval
               ? retval
               : column_lengths_read_flows(&d->dictionary, &d->flow_bytes,
                                           error);
}

uint64_t
column_decoder_flow_bytes(const struct column_decoder *d, size_t flow)
{
    return d->flow_bytes[flow];
}

/* Makes all rows of a flow; false when they are broken. */
static bool
read_flow_rows(struct column_decoder *d, struct column_reader *r,
               const struct column_flow *flow, const uint8_t *ip)
{
    enum header_kind kind = d->dictionary.shapes[flow->shape].kind;
    uint16_t l3_ofs = d->dictionary.shapes[flow->shape].l3_ofs;
    uint16_t fixed_len = header_kind_fixed_len(kind);
    size_t room =
        d->dictionary.snap > l3_ofs ? (size_t) d->dictionary.snap - l3_ofs : 0;

    column_reader_begin_flow(r, kind, l3_ofs, ip);
    for (uint32_t i = 0; i < flow->n_rows; i++) {
        struct row *row = &d->rows[flow->first_row + i];
        uint8_t *to = d->headers + d->n_headers;
        bool has_id;

        memcpy(to, ip, fixed_len);

        size_t n = column_reader_row(r, to, room, &has_id, &row->packet_id);

        if (!n || d->n_headers + n > COLUMNS_MAX_BYTES) {
            return false;
        }
        row->at = (uint32_t) d->n_headers;
        row->l3_len = (uint16_t) n;
        row->has_id = has_id;
        d->n_headers += n;
    }
    return true;
}

int
column_decoder_need_rows(struct column_decoder *d, struct lh_error *error)
{
    uint8_t *raws[N_COLUMNS] = {NULL};
    struct column_reader r;
    size_t n_flows, n_rows, room;
    int retval = column_decoder_need_shapes(d, NULL, NULL, error);

    n_flows = retval ? 0 : n_wanted(d);
    if (retval || (d->rows && n_flows <= d->n_made)) {
        return retval;
    }
    n_rows = n_flows < d->dictionary.n_flows
                 ? d->dictionary.flows[n_flows].first_row
                 : d->dictionary.n_rows;
    retval = column_decoder_need_models(d, error);
    if (retval) {
        return retval;
    }
    free_rows(d);
    column_reader_init(&r, d->dictionary.snap, d->dictionary.n_planes);
    retval = column_dictionary_load_range(&d->dictionary, &r, COLUMN_CONTROL,
                                          COLUMN_TAIL, raws, error);
    if (!retval) {
        retval = column_dictionary_load_range(&d->dictionary, &r,
                                              COLUMN_FIELD_FIRST,
                                              N_COLUMNS - 1, raws, error);
    }
    if (retval) {
        free_raws(raws);
        return retval;
    }
    /* No header is longer than the snap length. */
    room = n_rows * d->dictionary.snap;
    room = (room < COLUMNS_MAX_BYTES ? room : COLUMNS_MAX_BYTES) +
           TRAJECTORY_MAX_HEADER;
    d->headers = malloc(room);
    d->rows = malloc(n_rows ? n_rows * sizeof *d->rows : 1);
    d->n_made = n_flows;
    if (!d->headers || !d->rows) {
        lh_error_set(error, "no memory for %zu bytes", room);
        retval = ENOMEM;
    }
    for (size_t i = 0; i < n_flows && !retval; i++) {
        const struct column_flow *flow = &d->dictionary.flows[i];
        uint16_t l3_ofs = d->dictionary.shapes[flow->shape].l3_ofs;
        struct flow_bytes bytes;

        column_dictionary_flow(&d->dictionary, i, &bytes);
        memset(d->header, 0, sizeof d->header);
        flow_bytes_fill(&bytes, d->dictionary.shapes[flow->shape].kind, l3_ofs,
                        d->header);
        if (!read_flow_rows(d, &r, flow, d->header + l3_ofs)) {
            retval = broken(error, "the columns of headers are broken");
        }
    }
    free_raws(raws);
    d->flow = d->row_flow = SIZE_MAX;
    if (retval) {
        free_rows(d);
    }
    return retval;
}

static const struct history *
make_model(void *d, size_t flow)
{
    return column_decoder_model(d, flow);
}

/* Makes the flow's trajectory the one at hand. */
static int
need_trajectory(struct column_decoder *d, size_t flow, struct lh_error *error)
{
    const struct column_flow *f = &d->dictionary.flows[flow];
    uint16_t l3_ofs = d->dictionary.shapes[f->shape].l3_ofs;
    struct flow_bytes bytes = {.n_cold = 0};

    if (d->flow == flow) {
        return 0;
    }
    trajectory_unref(d->trajectory);
    history_destroy(d->history);
    d->history = NULL;
    d->flow = d->row_flow = SIZE_MAX;
    column_dictionary_flow(&d->dictionary, flow, &bytes);
    if (d->memo) {
        column_dictionary_ask(&d->dictionary, d->memo, flow, d->asked);
        d->trajectory = trajectory_memo_take(
            d->memo, d->dictionary.shapes[f->shape].number, &bytes, make_model,
            d, flow);
    } else {
        d->trajectory = trajectory_create(column_decoder_model(d, flow));
    }
    if (!d->trajectory ||
        (!d->memo && trajectory_split(d->trajectory)->l3_ofs != l3_ofs)) {
        return broken(error, "a flow of the dictionary is no trajectory");
    }
    memcpy(d->header, bytes.cold, l3_ofs);
    d->flow = d->row_flow = flow;
    return 0;
}

int
column_decoder_packet(struct column_decoder *d, size_t flow, size_t row,
                      struct trajectory **tp, struct trajectory_packet *packet,
                      struct lh_error *error)
{
    const struct column_flow *f = &d->dictionary.flows[flow];
    const struct row *r = &d->rows[f->first_row + row];
    uint16_t l3_ofs = d->dictionary.shapes[f->shape].l3_ofs;
    size_t n_hops;
    int retval = need_trajectory(d, flow, error);

    *tp = d->trajectory;
    if (retval) {
        return retval;
    }
    *packet = (struct trajectory_packet){
        .packet_id = r->packet_id,
        .header = d->header,
        .caplen = (uint16_t) (l3_ofs + r->l3_len),
        .times_ns = column_decoder_times_of(d, flow, row, &n_hops),
    };
    memcpy(d->header + l3_ofs, d->headers + r->at, r->l3_len);
    if (!r->has_id) {
        column_row_id(&d->dictionary.packet_id,
                      d->dictionary.shapes[f->shape].kind, l3_ofs, d->header,
                      packet->caplen, &packet->packet_id);
    }
    return 0;
}

int
column_decoder_history(struct column_decoder *d, size_t flow, size_t row,
                       const struct history **hp, struct lh_error *error)
{
    struct trajectory_packet packet;
    struct trajectory *t;
    int retval = column_decoder_packet(d, flow, row, &t, &packet, error);

    *hp = NULL;
    if (retval) {
        return retval;
    }
    if (d->history) {
        trajectory_refill(t, &packet, d->history);
    } else {
        d->history = trajectory_history(t, &packet);
    }
    *hp = d->history;
    return 0;
}

/* --- Histories that are no trajectory's --------------------------------- */

int
column_decoder_plain(struct column_decoder *d, struct history_decoder **hp,
                     struct lh_error *error)
{
    const uint8_t *raw;
    size_t len;
    int retval = 0;

    *hp = NULL;
    if (!d->plain) {
        free(d->plain_payload);
        retval = column_dictionary_load(&d->dictionary, COLUMN_PLAIN, &raw,
                                        &len, &d->plain_payload, error);
        if (!retval && raw) {
            retval = history_decoder_create(raw, len, &d->plain, error);
        }
    }
    if (!retval) {
        *hp = d->plain;
    }
    return retval;
}
