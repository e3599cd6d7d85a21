/* SPDX-License-Identifier: Apache-2.0 */
/* history_columns - many histories as columns: rows of what was read. */
#include <config.h>

#include "lib/history_columns.h"

#include <errno.h>
#include <string.h>

#include "lib/column_writer.h"
#include "lib/history_columns_read_impl.h"

const uint64_t *
column_decoder_times_of(const struct column_decoder *d, size_t flow,
                        size_t row, size_t *n)
{
    const struct column_flow *f = &d->dictionary.flows[flow];

    *n = d->dictionary.shapes[f->shape].n_hops;
    return d->times + f->first_time + row * *n;
}

uint64_t
column_decoder_first_ns(const struct column_decoder *d, size_t flow,
                        size_t row)
{
    size_t n;
    const uint64_t *times = column_decoder_times_of(d, flow, row, &n);
    uint64_t first = times[0];

    while (--n) {
        first = times[n] < first ? times[n] : first;
    }
    return first;
}

uint64_t
column_decoder_last_ns(const struct column_decoder *d, size_t flow, size_t row)
{
    size_t n;
    const uint64_t *times = column_decoder_times_of(d, flow, row, &n);
    uint64_t last = times[0];

    while (--n) {
        last = times[n] > last ? times[n] : last;
    }
    return last;
}

/* Makes the flow's L2 header the one at hand. */
static int
need_l2(struct column_decoder *d, size_t flow, struct lh_error *error)
{
    const struct column_flow *f = &d->dictionary.flows[flow];
    const struct column_shape *shape = &d->dictionary.shapes[f->shape];
    const struct row *r = &d->rows[f->first_row];
    struct header_split split;

    if (d->row_flow == flow) {
        return 0;
    }
    d->flow = SIZE_MAX;
    d->row_flow = flow;
    memcpy(d->header, column_dictionary_l2(&d->dictionary, flow),
           shape->l3_ofs);
    memcpy(d->header + shape->l3_ofs, d->headers + r->at, r->l3_len);
    if (!header_split(d->header, (size_t) shape->l3_ofs + r->l3_len, &split) ||
        split.kind != shape->kind || split.l3_ofs != shape->l3_ofs) {
        d->row_flow = SIZE_MAX;
        lh_error_set(error, "a flow of the dictionary is no trajectory");
        return EBADMSG;
    }
    return 0;
}

int
column_decoder_row(struct column_decoder *d, size_t flow, size_t row,
                   const struct packet_id_config *ids,
                   struct trajectory_packet *packet, struct lh_error *error)
{
    const struct column_flow *f = &d->dictionary.flows[flow];
    const struct row *r = &d->rows[f->first_row + row];
    const struct column_shape *shape = &d->dictionary.shapes[f->shape];
    size_t n_hops;
    int retval = need_l2(d, flow, error);

    *packet = (struct trajectory_packet){
        .packet_id = r->packet_id,
        .header = d->header,
        .caplen = (uint16_t) (shape->l3_ofs + r->l3_len),
        .times_ns = column_decoder_times_of(d, flow, row, &n_hops),
        .has_own_id = !r->has_id &&
                      ids->seed == d->dictionary.packet_id.seed &&
                      ids->n_bytes == d->dictionary.packet_id.n_bytes,
    };
    if (retval) {
        return retval;
    }
    memcpy(d->header + shape->l3_ofs, d->headers + r->at, r->l3_len);
    if (!r->has_id && !packet->has_own_id) {
        column_row_id(&d->dictionary.packet_id, shape->kind, shape->l3_ofs,
                      d->header, packet->caplen, &packet->packet_id);
    }
    return 0;
}

size_t
column_decoder_n_hops(const struct column_decoder *d, size_t flow)
{
    return d->dictionary.shapes[d->dictionary.flows[flow].shape].n_hops;
}
