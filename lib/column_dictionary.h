/* SPDX-License-Identifier: Apache-2.0 */
/* column_dictionary - the shapes and flows of a block of columns, and where
 * its other columns are read from.
 *
 * Used by history_columns_read.c only.
 *
 * Ownership: column_dictionary_uninit() frees what was read; all zero is an
 * empty one.
 *
 * Threads: one. */
#ifndef LIB_COLUMN_DICTIONARY_H
#define LIB_COLUMN_DICTIONARY_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/column_reader.h"
#include "lib/history_columns.h"
#include "lib/packet_id.h"
#include "lib/packet_row.h"
#include "lib/section_list.h"
#include "lib/trajectory_shape.h"

struct column_dictionary {
    struct column_source source;
    struct section_list list;

    struct packet_id_config packet_id;
    uint64_t unit_ns;
    uint16_t snap;
    unsigned int n_planes;
    size_t n_rows;
    uint64_t n_times; /* Hops of all rows together. */

    size_t n_shapes;
    struct trajectory_shape **shapes; /* Owned, as what is in it. */
    size_t n_flows;
    struct column_flow *flows;   /* Owned. */
    uint8_t *columns[N_COLUMNS]; /* Owned. */
};

/* Reads parameters, shapes and flows.  Returns 0 or an errno as
 * column_decoder_create(). */
int column_dictionary_read(struct column_dictionary *, const uint8_t *table,
                           size_t table_len, const struct column_source *,
                           struct lh_error *);
void column_dictionary_uninit(struct column_dictionary *);

/* Reads section 'id': '*raw' is for free(), '*len' its length; NULL and 0 when
 * there is none.  Returns 0 or an errno as above. */
int column_dictionary_load(struct column_dictionary *, unsigned int id,
                           uint8_t **raw, size_t *len, struct lh_error *);
/* Reads the sections from 'first' to 'last' for 'r', into 'raws'
 * (N_COLUMNS of them), which are for free(), also after an error. */
int column_dictionary_load_range(struct column_dictionary *,
                                 struct column_reader *r, unsigned int first,
                                 unsigned int last, uint8_t **raws,
                                 struct lh_error *);

/* Sets '*bytes' to those of flow 'flow'. */
void column_dictionary_flow(const struct column_dictionary *, size_t flow,
                            struct flow_bytes *bytes);

#endif /* lib/column_dictionary.h */
