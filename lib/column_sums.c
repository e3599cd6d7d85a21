/* SPDX-License-Identifier: Apache-2.0 */
/* column_sums - counts what a block of columns holds. */
#include <config.h>

#include "lib/column_sums.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/block_sums.h"
#include "lib/lh_alloc.h"

struct shape {
    const struct history *history;
    uint64_t packets, bytes; /* From the IP header on. */
};

struct column_sums {
    struct block_sums *others; /* Of other histories.  Owned. */
    struct block_sums *all;    /* Scratch.  Owned. */
    struct trajectory_skim *skim;
    size_t n, allocated;
    struct shape *shapes; /* Owned. */
};

struct column_sums *
column_sums_create(void)
{
    struct column_sums *s = lh_alloc_zero(sizeof *s);

    s->others = block_sums_create();
    s->all = block_sums_create();
    s->skim = trajectory_skim_create();
    return s;
}

void
column_sums_destroy(struct column_sums *s)
{
    if (s) {
        block_sums_destroy(s->others);
        block_sums_destroy(s->all);
        trajectory_skim_destroy(s->skim);
        free(s->shapes);
        free(s);
    }
}

void
column_sums_reset(struct column_sums *s)
{
    block_sums_reset(s->others);
    s->n = 0;
}

void
column_sums_add_history(struct column_sums *s, const struct history *h)
{
    block_sums_add_history(s->others, h);
}

void
column_sums_begin(struct column_sums *s)
{
    s->n = 0;
}

void
column_sums_add_shape(struct column_sums *s, const struct history *shape)
{
    s->shapes =
        lh_alloc_grow(s->shapes, s->n, &s->allocated, sizeof *s->shapes);
    s->shapes[s->n++] = (struct shape){.history = shape};
}

void
column_sums_add_flow(struct column_sums *s, uint32_t shape, uint32_t packets,
                     uint64_t bytes)
{
    assert(shape < s->n);
    s->shapes[shape].packets += packets;
    s->shapes[shape].bytes += bytes;
}

void
column_sums_put(struct column_sums *s, struct byte_buf *out)
{
    block_sums_reset(s->all);
    for (size_t i = 0; i < s->n; i++) {
        const struct shape *shape = &s->shapes[i];
        bool is_read = trajectory_skim_read(s->skim, shape->history);

        assert(is_read);
        block_sums_add_shape(s->all, shape->history,
                             trajectory_skim_keys(s->skim), shape->packets,
                             shape->bytes);
    }
    block_sums_merge(s->all, s->others);
    block_sums_put(s->all, out);
}
