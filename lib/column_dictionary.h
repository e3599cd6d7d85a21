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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/column_reader.h"
#include "lib/history_columns.h"
#include "lib/packet_id.h"
#include "lib/packet_row.h"
#include "lib/section_list.h"
#include "lib/shape_memo.h"
#include "lib/trajectory_shape.h"
#include "lib/trajectory_skim.h"

struct trajectory_memo;

/* So many flows ahead a trajectory is asked for. */
#define COLUMN_N_ASKED 8u

/* A shape, of which most are never looked at closely. */
struct column_shape {
    size_t offset; /* Of its record. */
    size_t n_hops;
    size_t bases; /* column_time_bases(), in the dictionary's. */
    enum header_kind kind;
    uint16_t l3_ofs;
    uint32_t number;                /* Of the memo's, or its own. */
    struct trajectory_shape *whole; /* NULL: not made yet.  Owned. */
};

struct column_dictionary {
    struct column_source source;
    struct section_list list;

    struct packet_id_config packet_id;
    uint64_t unit_ns;
    uint16_t snap;
    unsigned int n_planes;
    size_t n_rows;
    uint64_t n_times; /* Hops of all rows together. */

    uint8_t *shape_payload;                /* Owned, or NULL. */
    struct history_decoder *shape_decoder; /* Owned. */
    size_t n_shapes;
    struct column_shape *shapes; /* Owned. */
    struct byte_buf bases;
    size_t n_flows;
    struct column_flow *flows; /* NULL: not read.  Owned. */
    bool has_keys, has_cold;   /* What is to be read of each flow was. */
    const uint8_t *columns[N_COLUMNS]; /* The source's, or these: */
    uint8_t *owned[N_COLUMNS];         /* Owned, or NULL. */
};

/* Reads parameters.  Returns 0 or an errno as column_decoder_create(). */
int column_dictionary_begin(struct column_dictionary *, const uint8_t *table,
                            size_t table_len, const struct column_source *,
                            struct lh_error *);
/* The same where its list and its source are set. */
int column_dictionary_begin_list(struct column_dictionary *,
                                 struct lh_error *);
/* Reads shapes, each of which that 'memo' (which may be NULL) did not know is
 * shown to 'visit' (which may be NULL), then what shape and how many rows each
 * flow has.  Nothing when it was read. */
int column_dictionary_need_flows(struct column_dictionary *,
                                 struct shape_memo *memo,
                                 column_visit_function *visit, void *aux,
                                 struct lh_error *);
/* Reads addresses and ports of flows. */
int column_dictionary_need_keys(struct column_dictionary *, struct lh_error *);
/* Reads these and all else of flows. */
int column_dictionary_need_all(struct column_dictionary *, struct lh_error *);
void column_dictionary_uninit(struct column_dictionary *);
/* Bytes of memory that what was read of flows takes. */
size_t column_dictionary_size(const struct column_dictionary *);

/* Reads section 'id': '*raw' and '*len' are its bytes, NULL and 0 when there
 * is none.  They are the source's if it has them as they are, and '*owned' is
 * NULL, or '*owned', for free().  Returns 0 or an errno as above. */
int column_dictionary_load(struct column_dictionary *, unsigned int id,
                           const uint8_t **raw, size_t *len, uint8_t **owned,
                           struct lh_error *);
/* As column_decoder_index(), _sums(), _kept(). */
int column_dictionary_index(struct column_dictionary *, struct block_index *,
                            struct lh_error *);
int column_dictionary_sums(struct column_dictionary *, struct block_sums *,
                           struct lh_error *);
int column_dictionary_kept(struct column_dictionary *, struct sample_tally *,
                           struct lh_error *);
/* Reads the sections from 'first' to 'last' for 'r'; 'owned' (N_COLUMNS of
 * them) are for free(), also after an error. */
int column_dictionary_load_range(struct column_dictionary *,
                                 struct column_reader *r, unsigned int first,
                                 unsigned int last, uint8_t **owned,
                                 struct lh_error *);

/* The shape, for models; after need_flows(). */
struct trajectory_shape *column_dictionary_shape(struct column_dictionary *,
                                                 size_t shape);
/* Addresses and ports of flow 'flow'; after need_keys(). */
struct column_key column_dictionary_key(const struct column_dictionary *,
                                        size_t flow);
/* Before the trajectory of flow 'flow' is taken from 'memo', asks it for those
 * of the flows that come next, if they are taken in their order.  'asked' is
 * for this function; after need_all(). */
void column_dictionary_ask(const struct column_dictionary *,
                           const struct trajectory_memo *memo, size_t flow,
                           uint64_t asked[COLUMN_N_ASKED]);
/* Its bytes before the IP header; after need_all(). */
const uint8_t *column_dictionary_l2(const struct column_dictionary *,
                                    size_t flow);
/* Sets '*bytes' to those of flow 'flow'; after need_all(). */
void column_dictionary_flow(const struct column_dictionary *, size_t flow,
                            struct flow_bytes *bytes);

#endif /* lib/column_dictionary.h */
