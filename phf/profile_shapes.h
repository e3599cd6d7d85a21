/* SPDX-License-Identifier: Apache-2.0 */
/* profile_shapes - where packets of each shape cross the links of a profile.
 *
 * Blocks have the same shapes again and again: each is decoded, asked of the
 * filter and followed over its links once, when it is first met.
 *
 *     shapes = profile_shapes_create(ask, table);
 *     for (each block of columns) {
 *         profile_shapes_read(shapes, block, &error);
 *         for (each flow) {
 *             shape = profile_shapes_of(shapes, block, flow);
 *
 * Ownership: borrows ask and table.
 *
 * Threads: one. */
#ifndef PHF_PROFILE_SHAPES_H
#define PHF_PROFILE_SHAPES_H 1

#include <stddef.h>

#include "lib/header_split.h"
#include "phf/profile_block.h"
#include "phf/profile_crossing.h"

struct profile_shape {
    const struct profile_crossing *crossings; /* 'extra' is where the IP header
                                               * is when a packet crosses. */
    size_t n;
    uint32_t number; /* None other that is known has it. */
    enum header_kind kind;
};

struct profile_shapes;

/* Links and ways get their numbers in 'table'. */
struct profile_shapes *profile_shapes_create(const struct profile_ask *,
                                             struct profile_table *table);
void profile_shapes_destroy(struct profile_shapes *);

/* Whether so much is known that it had better be forgotten, by a
 * profile_shapes_destroy(), before the next block. */
bool profile_shapes_is_full(const struct profile_shapes *);
/* Reads the shapes and the numbers of rows of an open block of columns of
 * which nothing was read, and where there is a filter decides on its flows
 * (query_block_verdict()).  Returns 0, or an errno as query_block_decide(). */
int profile_shapes_read(struct profile_shapes *, struct query_block *,
                        struct lh_error *);
/* The one of that number; good until more are read. */
struct profile_shape profile_shapes_get(const struct profile_shapes *,
                                        uint32_t number);
/* A shape of that block; as long. */
struct profile_shape profile_shapes_of(const struct profile_shapes *,
                                       const struct query_block *,
                                       size_t shape);
/* Moves rows, in which the number of a shape stands in place of that of a link
 * and bytes are from the IP header on, to where packets of that shape cross,
 * and leaves 'flows' empty. */
void profile_shapes_spread(const struct profile_shapes *,
                           struct profile_table *flows,
                           struct profile_table *table);

#endif /* phf/profile_shapes.h */
