/* SPDX-License-Identifier: Apache-2.0 */
/* profile_shapes - where packets of each shape cross the links of a
 * profile. */
#include <config.h>

#include "phf/profile_shapes.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "lib/shape_memo.h"
#include "phf/flow_sieve.h"

/* Bytes. */
#define MAX_SIZE ((size_t) 64 << 20)

struct shape {
    size_t first, n; /* Of the crossings. */
    enum header_kind kind;
};

struct profile_shapes {
    const struct profile_ask *ask;
    struct profile_table *table;
    struct shape_memo *memo;  /* Without a filter.  Owned. */
    struct flow_sieve *sieve; /* With one.  Owned. */
    size_t n, allocated;
    struct shape *all; /* By number.  Owned. */
    struct profile_crossings crossings;
};

struct profile_shapes *
profile_shapes_create(const struct profile_ask *ask,
                      struct profile_table *table)
{
    struct profile_shapes *s = lh_alloc_zero(sizeof *s);

    s->ask = ask;
    s->table = table;
    if (ask->phf) {
        s->sieve = flow_sieve_create(ask->phf, ask->topology);
    } else {
        s->memo = shape_memo_create();
    }
    return s;
}

void
profile_shapes_destroy(struct profile_shapes *s)
{
    if (s) {
        shape_memo_destroy(s->memo);
        flow_sieve_destroy(s->sieve);
        free(s->all);
        free(s->crossings.all);
        free(s);
    }
}

bool
profile_shapes_is_full(const struct profile_shapes *s)
{
    size_t size = s->allocated * sizeof *s->all +
                  s->crossings.allocated * sizeof *s->crossings.all;

    return (s->sieve && flow_sieve_size(s->sieve) > FLOW_SIEVE_MAX_SIZE) ||
           (s->memo && shape_memo_size(s->memo) + size > MAX_SIZE);
}

/* Where the IP header is when the packet crosses there. */
static uint32_t
l3_ofs_at(const struct trajectory_skim *skim, const struct profile_crossing *c)
{
    const struct flow_key_at *key = &trajectory_skim_keys(skim)[c->hop];

    return !c->is_in && key->out_l3_ofs ? key->out_l3_ofs : key->l3_ofs;
}

static void
note_shape(void *shapes_, const struct history *h,
           const struct trajectory_skim *skim)
{
    struct profile_shapes *s = shapes_;
    struct profile_crossings *crossings = &s->crossings;
    struct shape *shape;

    s->all = lh_alloc_grow(s->all, s->n, &s->allocated, sizeof *s->all);
    shape = &s->all[s->n++];
    shape->first = crossings->n;
    shape->kind = trajectory_skim_kind(skim);
    profile_crossings_add(crossings, s->ask, h, s->table);
    shape->n = crossings->n - shape->first;
    for (size_t i = shape->first; i < crossings->n; i++) {
        crossings->all[i].extra = l3_ofs_at(skim, &crossings->all[i]);
    }
}

int
profile_shapes_read(struct profile_shapes *s, struct query_block *block,
                    struct lh_error *why)
{
    const struct profile_ask *ask = s->ask;
    struct query_filter filter = {.phf = ask->phf,
                                  .topology = ask->topology,
                                  .since_ns = ask->since_ns,
                                  .until_ns = ask->until_ns};
    struct query_block_counters ignored = {0};

    query_block_rewind(block);
    return s->sieve ? query_block_decide(block, &filter, s->sieve, &ignored,
                                         note_shape, s, why)
                    : column_decoder_need_new_shapes(block->columns, s->memo,
                                                     note_shape, s, why);
}

struct profile_shape
profile_shapes_get(const struct profile_shapes *s, uint32_t number)
{
    const struct shape *known = &s->all[number];

    return (struct profile_shape){
        .crossings = s->crossings.all + known->first,
        .n = known->n,
        .number = number,
        .kind = known->kind,
    };
}

struct profile_shape
profile_shapes_of(const struct profile_shapes *s,
                  const struct query_block *block, size_t shape)
{
    return profile_shapes_get(
        s, column_decoder_shape_number(block->columns, shape));
}

void
profile_shapes_spread(const struct profile_shapes *s,
                      struct profile_table *flows, struct profile_table *table)
{
    for (size_t i = 0; i < flows->n; i++) {
        const struct profile_row *row = &flows->rows[i];
        struct profile_shape shape = profile_shapes_get(s, row->key.link);
        struct profile_key key = row->key;

        for (size_t k = 0; k < shape.n; k++) {
            key.link = shape.crossings[k].link;
            key.way = shape.crossings[k].way;
            profile_table_count(table, &key, row->packets,
                                row->bytes +
                                    row->packets * shape.crossings[k].extra);
        }
    }
    profile_table_uninit(flows);
}
