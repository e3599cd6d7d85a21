/* SPDX-License-Identifier: Apache-2.0 */
/* column_lengths - the length of each packet of a block of columns, read
 * without its header.
 *
 * Used by history_columns_read.c only.
 *
 * Threads: one. */
#ifndef LIB_COLUMN_LENGTHS_H
#define LIB_COLUMN_LENGTHS_H 1

#include <stdint.h>

#include "lib/column_dictionary.h"
#include "lib/lh_error.h"

/* Reads, for each row in order, the packet's own length from the IP header on.
 * After column_dictionary_need_flows().  '*lengths' is for free().  Returns 0,
 * or an errno as column_decoder_create(). */
int column_lengths_read(struct column_dictionary *, uint32_t **lengths,
                        struct lh_error *);

/* Reads, for each flow, the sum of these, which most blocks have.  '*bytes' is
 * for free().  The rest is as above. */
int column_lengths_read_flows(struct column_dictionary *, uint64_t **bytes,
                              struct lh_error *);

#endif /* lib/column_lengths.h */
