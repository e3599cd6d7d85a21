/* SPDX-License-Identifier: Apache-2.0 */
/* history_columns_read_impl - what the reading side of history_columns shares.
 *
 *   history_columns_read  what is read, and when; packets and histories
 *   history_columns_row   one row at a time
 *
 * Included by these only.
 *
 * Ownership, threads: as in lib/history_columns.h. */
#ifndef LIB_HISTORY_COLUMNS_READ_IMPL_H
#define LIB_HISTORY_COLUMNS_READ_IMPL_H 1

#include "lib/column_dictionary.h"
#include "lib/history_columns.h"

struct row {
    uint64_t packet_id;
    uint32_t at; /* In headers. */
    uint16_t l3_len;
    bool has_id;
};

struct column_decoder {
    struct column_dictionary dictionary;

    uint64_t *times;   /* Of all hops of all rows; NULL: not read.  Owned. */
    uint32_t *lengths; /* Of all rows; NULL: not read.  Owned. */
    uint64_t *flow_bytes;   /* Of all flows; NULL: not read.  Owned. */
    struct row *rows;       /* NULL: not read.  Owned. */
    size_t n_wanted;        /* Flows; SIZE_MAX: all. */
    size_t n_timed, n_made; /* Flows whose times, rows were read. */
    uint8_t *headers;       /* From the IP header on.  Owned. */
    size_t n_headers;

    struct trajectory_memo *memo;   /* NULL: none. */
    uint64_t asked[COLUMN_N_ASKED]; /* Of the flows that come next. */

    /* The flow last asked for. */
    size_t flow;     /* SIZE_MAX: none. */
    size_t row_flow; /* Whose L2 header is in 'header', the same. */
    struct trajectory *trajectory;
    struct history *history; /* Owned. */
    uint8_t header[FLOW_MAX_COLD + TRAJECTORY_MAX_HEADER];

    uint8_t *plain_payload; /* Owned. */
    struct history_decoder *plain;
};

/* The times of a row, of so many hops. */
const uint64_t *column_decoder_times_of(const struct column_decoder *,
                                        size_t flow, size_t row, size_t *n);

#endif /* lib/history_columns_read_impl.h */
