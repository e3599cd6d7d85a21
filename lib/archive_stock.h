/* SPDX-License-Identifier: Apache-2.0 */
/* archive_stock - what stands in a segment file, found before writing on.
 *
 * Threads: no hidden state. */
#ifndef LIB_ARCHIVE_STOCK_H
#define LIB_ARCHIVE_STOCK_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/archive_sums.h"
#include "lib/lh_error.h"

struct archive_stock {
    uint64_t size;
    uint64_t max_ns;        /* Latest last postcard of a history. */
    uint64_t last_sequence; /* Of the last block, if has_block. */
    bool has_block;
    uint64_t n_blocks;              /* Of histories. */
    uint64_t n_records;             /* In them. */
    struct archive_sums_id sums_id; /* Which blocks these are. */
    bool has_newer;  /* Blocks of a format version we do not know. */
    bool has_damage; /* Bytes that are no block; the last such place: */
    uint64_t damage_offset, damage_len;
    bool is_torn; /* The last block is cut by the end of the file. */
    uint64_t torn_offset;
};

/* Walks all of 'fd' ('path' is for messages).  Returns 0 or a positive
 * errno. */
int archive_stock_take(const char *path, int fd, struct archive_stock *,
                       struct lh_error *);

#endif /* lib/archive_stock.h */
