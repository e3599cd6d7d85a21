/* SPDX-License-Identifier: Apache-2.0 */
/* column_flows - the flows of the block that an encoder of columns fills:
 * each a shape and the constant bytes of a header.  Those that are looked for
 * are known by 128 bits of a hash of these with a secret, as shapes are.
 *
 * Used by history_columns.c only.
 *
 * Ownership: column_flows_uninit() frees all; all zero, but for 'secret', is
 * an empty one.
 *
 * Threads: one. */
#ifndef LIB_COLUMN_FLOWS_H
#define LIB_COLUMN_FLOWS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/column_shapes.h"

/* A flow of the block. */
struct flow_entry {
    uint64_t hash[2]; /* Of the constant bytes; 0, 0: not made. */
    uint32_t shape;   /* Of shapes, or COLUMN_NO_SHAPE. */
    uint32_t n_rows;
    uint32_t at;             /* The constant bytes, in 'constants'. */
    struct column_form form; /* Of the shape. */
};

struct flow_slot {
    uint32_t flow; /* 1 + index. */
    uint32_t hash; /* Some of it. */
};

struct column_flows {
    uint64_t secret; /* Of hashes. */
    size_t n, allocated;
    struct flow_entry *all;    /* Owned. */
    struct byte_buf constants; /* form.tail_ofs bytes of each. */
    size_t n_slots;            /* A power of two, or 0. */
    struct flow_slot *slots;   /* Owned. */
};

void column_flows_uninit(struct column_flows *);
/* Forgets all flows. */
void column_flows_clear(struct column_flows *);
/* The number of the flow of that shape and form whose packet has 'header'; it
 * is added if it is not there.  Those that column_flows_add() added are not
 * found. */
uint32_t column_flows_find(struct column_flows *, uint32_t shape,
                           const struct column_form *form,
                           const uint8_t *header);
/* Adds one without looking; 'constants' are the bytes of a header that stay
 * the same, all others 0.  'form' is NULL for COLUMN_NO_SHAPE. */
uint32_t column_flows_add(struct column_flows *, uint32_t shape,
                          const struct column_form *form,
                          const uint8_t *constants);

static inline const uint8_t *
column_flows_constants(const struct column_flows *f, uint32_t flow)
{
    return f->constants.data + f->all[flow].at;
}

/* The order of flows in the block, for free(): as they came, or sorted. */
uint32_t *column_flows_order(struct column_flows *, bool is_sorted);

#endif /* lib/column_flows.h */
