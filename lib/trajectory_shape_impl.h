/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_shape_impl - a shape as trajectory_shape.c and trajectory_skim.c
 * keep it.
 *
 * Threads: plain data. */
#ifndef LIB_TRAJECTORY_SHAPE_IMPL_H
#define LIB_TRAJECTORY_SHAPE_IMPL_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/header_split.h"
#include "lib/history.h"

/* Fields that a hop may show with other bytes than the reference: two MAC
 * addresses, the rest of L2, then those of IP and what is
 * behind it, of which the last are N_KEY_FIELDS: addresses and ports. */
#define N_L2_FIELDS  3
#define N_KEY_FIELDS 4
#define N_FIELDS     (N_L2_FIELDS + 8)

/* How one header follows from the reference's. */
struct view {
    uint16_t l3_ofs;
    uint16_t l3_limit;    /* Bytes from l3_ofs on at most, or NO_LIMIT. */
    uint8_t ttl_diff;     /* Added. */
    uint16_t own;         /* Bits: fields with bytes of their own. */
    const uint8_t *bytes; /* Those. */
};

struct trajectory_shape {
    struct history *history; /* Owned. */
    struct history *model;   /* Owned. */
    enum header_kind kind;
    uint16_t l3_ofs;     /* Of the reference. */
    uint16_t l3_len;     /* Of the model's headers without a limit. */
    struct view views[]; /* Of each hop, then of each header_out. */
};

/* Reads the views of 's->history' and checks that they are a trajectory's.
 * All else in '*s', which was zeros, is not set. */
bool trajectory_shape_parse(struct trajectory_shape *s);
/* Bytes of a field at a hop with that L3 offset; 0: there is none. */
size_t trajectory_shape_field_len(enum header_kind, uint16_t l3_ofs,
                                  unsigned int field);

#endif /* lib/trajectory_shape_impl.h */
