/* SPDX-License-Identifier: Apache-2.0 */
/* column_sums - counts what a block of columns holds, for its section of sums
 * (block_sums), while the block is made.
 *
 * Other histories are counted when they come; shapes and their flows when the
 * block is finished, which may be several times.
 *
 * Used by history_columns.c only.
 *
 * Ownership: column_sums_create() to column_sums_destroy(); shapes are
 * borrowed until column_sums_put().
 *
 * Threads: one. */
#ifndef LIB_COLUMN_SUMS_H
#define LIB_COLUMN_SUMS_H 1

#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/history.h"

struct column_sums;

struct column_sums *column_sums_create(void);
void column_sums_destroy(struct column_sums *);
/* Forgets all. */
void column_sums_reset(struct column_sums *);
/* Adds a history that is no trajectory's. */
void column_sums_add_history(struct column_sums *, const struct history *);

/* Begins the dictionary of a block: no shapes yet. */
void column_sums_begin(struct column_sums *);
/* Adds the next shape, */
void column_sums_add_shape(struct column_sums *, const struct history *shape);
/* and a flow of the shape so numbered, of 'bytes' from the IP header on. */
void column_sums_add_flow(struct column_sums *, uint32_t shape,
                          uint32_t packets, uint64_t bytes);
/* Appends the sums of all. */
void column_sums_put(struct column_sums *, struct byte_buf *out);

#endif /* lib/column_sums.h */
