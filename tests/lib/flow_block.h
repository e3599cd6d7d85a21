/* SPDX-License-Identifier: Apache-2.0 */
/* flow_block - a block of columns in memory: packets of flows over some of a
 * dozen switches, and a few histories that are no trajectory's.
 *
 * Flows that are in several blocks have the same shapes there; each block has
 * a dictionary of switches of its own.
 *
 * Ownership: flow_block_init() to flow_block_uninit().
 *
 * Threads: plain data. */
#ifndef TESTS_LIB_FLOW_BLOCK_H
#define TESTS_LIB_FLOW_BLOCK_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/history_columns.h"
#include "tests/lib/flow_fixture.h"

#define FLOW_BLOCK_SWITCHES 13 /* Numbered from 1 on. */

struct flow_block {
    struct byte_buf payload;
    size_t table_len;
    size_t n;             /* Histories, */
    struct history **all; /* as they were added.  Owned. */
    size_t n_plain;       /* Of these, no trajectory's. */
};

/* 'n' histories: packets of the flows from 'first' on, up to before 'last';
 * one in 'plain_in' is random instead (0: none). */
void flow_block_init(struct flow_block *, struct flow *flows, size_t first,
                     size_t last, size_t n, uint32_t plain_in, uint64_t *seed);
void flow_block_uninit(struct flow_block *);
/* A decoder of it, the caller's, which borrows the block. */
struct column_decoder *flow_block_open(const struct flow_block *);

#endif /* tests/lib/flow_block.h */
