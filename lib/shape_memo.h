/* SPDX-License-Identifier: Apache-2.0 */
/* shape_memo - the shapes that a reader of many blocks has met, so that each
 * is decoded once.
 *
 * Blocks have the same shapes again and again.  A memo numbers them from 0 on
 * in the order in which they were first met; whoever reads keeps what it found
 * about each under that number:
 *
 *     column_decoder_need_new_shapes(d, memo, visit, aux, &error);
 *     .. 'visit' was shown those that the memo did not know, in the order of
 *     .. their numbers; then
 *     answer = answers[column_decoder_shape_number(d, flow->shape)];
 *
 * A shape is known by all that it is (history_decoder_key()): by 128 bits of
 * a hash of that with a secret of the memo's, as in lib/column_shapes.h.
 *
 * Ownership: shape_memo_create() to shape_memo_destroy().
 *
 * Threads: one thread per memo at a time. */
#ifndef LIB_SHAPE_MEMO_H
#define LIB_SHAPE_MEMO_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/header_split.h"

/* What a reader of blocks needs of each shape. */
struct shape_memo_entry {
    uint32_t number;
    uint32_t n_hops;
    enum header_kind kind;
    uint16_t l3_ofs;
    const uint8_t *bases; /* column_time_bases(); good until the next is
                           * added. */
};

struct shape_memo;

struct shape_memo *shape_memo_create(void);
void shape_memo_destroy(struct shape_memo *);
size_t shape_memo_n(const struct shape_memo *);
/* Whose the numbers are: another one, of all memos, after each forgetting. */
uint64_t shape_memo_epoch(const struct shape_memo *);
/* Bytes of memory it holds. */
size_t shape_memo_size(const struct shape_memo *);
/* Forgets all; numbers begin at 0 again. */
void shape_memo_forget(struct shape_memo *);

/* A buffer for the key of the next call, empty. */
struct byte_buf *shape_memo_key(struct shape_memo *);
/* Whether the shape with that key is known; then sets all of '*entry'. */
bool shape_memo_find(struct shape_memo *, struct shape_memo_entry *);
/* Adds the one with that key, which is not, and sets its number. */
void shape_memo_add(struct shape_memo *, struct shape_memo_entry *);

#endif /* lib/shape_memo.h */
