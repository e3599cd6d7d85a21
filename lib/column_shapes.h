/* SPDX-License-Identifier: Apache-2.0 */
/* column_shapes - the shapes of the trajectories that an encoder of blocks
 * meets, kept from block to block.
 *
 * Several encoders of one thread may share them.  A number is good as long as
 * who uses it holds a reference; so when there are many, column_shapes_renew()
 * makes others for who begins anew.
 *
 * Ownership: reference counted.
 *
 * Threads: one. */
#ifndef LIB_COLUMN_SHAPES_H
#define LIB_COLUMN_SHAPES_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/history.h"
#include "lib/history_codec.h"
#include "lib/trajectory.h"

#define COLUMN_NO_SHAPE UINT32_MAX

struct column_shapes;

struct column_shapes *column_shapes_create(void);
struct column_shapes *column_shapes_ref(struct column_shapes *);
/* NULL is fine. */
void column_shapes_unref(struct column_shapes *);
/* Puts new ones in place of '*shapes' when these are many. */
void column_shapes_renew(struct column_shapes **shapes);

/* What of a shape is needed for each flow. */
struct column_form {
    const uint8_t *bases; /* The column_time_bases() of its hops. */
    uint16_t n_hops;
    uint16_t l3_ofs, tail_ofs; /* As in struct header_split. */
    uint8_t kind;              /* enum header_kind. */
};

/* The number of the trajectory's shape; COLUMN_NO_SHAPE when a reader would
 * not make of it and the packet's flow what the packet's history is, or there
 * are too many. */
uint32_t column_shapes_find(struct column_shapes *, const struct trajectory *,
                            const struct trajectory_packet *);
/* Good until the next column_shapes_find(). */
const struct column_form *column_shapes_form(const struct column_shapes *,
                                             uint32_t shape);

/* Asks for what column_shapes_form() gives a little later. */
void column_shapes_prefetch_form(const struct column_shapes *, uint32_t shape);

/* Somebody else numbers shapes too, 'owner': notes which one his 'number' is;
 * and which one it was said to be, false: that was not said.  What the last
 * owner said is known. */
void column_shapes_tell(struct column_shapes *, uint64_t owner,
                        uint32_t number, uint32_t shape);
bool column_shapes_told(const struct column_shapes *, uint64_t owner,
                        uint32_t number, uint32_t *shape);

/* Begins the dictionary of a block. */
void column_shapes_begin(struct column_shapes *);
/* Gives the shape the next place in it, if it has none: then it is added to
 * 'out', and true returned. */
bool column_shapes_number(struct column_shapes *, uint32_t shape,
                          struct history_encoder *out);
/* Asks for what column_shapes_number() needs of it a little later. */
void column_shapes_prefetch(const struct column_shapes *, uint32_t shape);
/* Its history. */
const struct history *column_shapes_history(const struct column_shapes *,
                                            uint32_t shape);
/* That place. */
uint32_t column_shapes_index(const struct column_shapes *, uint32_t shape);

#endif /* lib/column_shapes.h */
