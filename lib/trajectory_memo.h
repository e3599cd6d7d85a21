/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_memo - the trajectories that a reader of many small batches has
 * met, so that each is made once.
 *
 * A trajectory is known by a keyed hash of 128 bits of its shape, under the
 * number that the memo's shape_memo gave it, and the constant bytes of its
 * flow.
 *
 * Ownership: keeps references; trajectory_memo_create() to
 * trajectory_memo_destroy().
 *
 * Threads: one. */
#ifndef LIB_TRAJECTORY_MEMO_H
#define LIB_TRAJECTORY_MEMO_H 1

#include <stdint.h>

#include "lib/shape_memo.h"
#include "lib/trajectory.h"
#include "lib/trajectory_shape.h"

struct trajectory_memo;

struct trajectory_memo *trajectory_memo_create(void);
/* NULL is fine. */
void trajectory_memo_destroy(struct trajectory_memo *);

struct shape_memo *trajectory_memo_shapes(struct trajectory_memo *);
/* Between batches: forgets all, shapes too, when there are many. */
void trajectory_memo_shrink(struct trajectory_memo *);

/* Asks for the memory where the trajectory of that shape and flow would be
 * found, for trajectory_memo_prefetch() a little later, with what this
 * returns. */
uint64_t trajectory_memo_ask(const struct trajectory_memo *, uint32_t shape,
                             const struct flow_bytes *flow);
/* Asks for its own, for trajectory_memo_take() a little later. */
void trajectory_memo_prefetch(const struct trajectory_memo *, uint64_t asked);

/* A reference to the trajectory of that shape and flow, for the caller to
 * unref: one that is known, or one made of what 'model' returns for 'index';
 * NULL when that is none, or begins its IP header elsewhere.  All bytes of
 * '*flow' that are not used must be 0. */
struct trajectory *
trajectory_memo_take(struct trajectory_memo *, uint32_t shape,
                     const struct flow_bytes *flow,
                     const struct history *(*model)(void *aux, size_t index),
                     void *aux, size_t index);

#endif /* lib/trajectory_memo.h */
