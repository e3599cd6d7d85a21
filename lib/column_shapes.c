/* SPDX-License-Identifier: Apache-2.0 */
/* column_shapes - the shapes of the trajectories that an encoder meets. */
#include <config.h>

#include "lib/column_shapes.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/byte_buf.h"
#include "lib/column_writer.h"
#include "lib/lh_alloc.h"
#include "lib/random64.h"
#include "lib/trajectory_shape.h"

/* Kept from block to block at most. */
#define MAX_SHAPES 16384u
#define NOT_TOLD   (COLUMN_NO_SHAPE - 1)

struct shape {
    XXH128_hash_t key;
    struct trajectory_shape *shape; /* NULL: its packets are stored as
                                     * histories.  Owned. */
    struct history_form *form;      /* Of its history.  Owned. */
    struct column_form columns;     /* Its bases are owned. */
    uint64_t block;                 /* The last that used it. */
    uint32_t index;                 /* In that dictionary. */
};

struct column_shapes {
    unsigned int n_refs;
    uint64_t secret; /* Of hashes. */
    uint64_t epoch;  /* Unique to this one and its numbers. */
    uint64_t n_blocks;
    uint32_t n_indexes; /* In the dictionary at hand. */
    size_t n;
    struct shape *all;   /* Room for MAX_SHAPES.  Owned. */
    uint32_t *slots;     /* 1 + index; 2 * MAX_SHAPES of them.  Owned. */
    struct byte_buf key; /* Scratch. */

    /* What was told. */
    uint64_t owner;
    size_t n_told;
    uint32_t *told; /* Shapes, or NOT_TOLD.  Owned. */
};

/* It is none any more. */
static void
empty(struct shape *shape)
{
    trajectory_shape_destroy(shape->shape);
    history_form_destroy(shape->form);
    free((uint8_t *) shape->columns.bases);
    shape->shape = NULL;
    shape->form = NULL;
    shape->columns.bases = NULL;
}

struct column_shapes *
column_shapes_create(void)
{
    static atomic_uint_least64_t n_epochs;
    struct column_shapes *s = lh_alloc_zero(sizeof *s);

    s->n_refs = 1;
    s->epoch = atomic_fetch_add(&n_epochs, 1) + 1;
    s->secret = random64_draw();
    s->all = lh_alloc_array(NULL, MAX_SHAPES, sizeof *s->all);
    s->slots = lh_alloc_zero(2 * MAX_SHAPES * sizeof *s->slots);
    return s;
}

struct column_shapes *
column_shapes_ref(struct column_shapes *s)
{
    s->n_refs++;
    return s;
}

void
column_shapes_unref(struct column_shapes *s)
{
    if (s && !--s->n_refs) {
        for (size_t i = 0; i < s->n; i++) {
            empty(&s->all[i]);
        }
        byte_buf_uninit(&s->key);
        free(s->all);
        free(s->slots);
        free(s->told);
        free(s);
    }
}

void
column_shapes_renew(struct column_shapes **shapes)
{
    if ((*shapes)->n > MAX_SHAPES / 2) {
        column_shapes_unref(*shapes);
        *shapes = column_shapes_create();
    }
}

/* Whether what a reader makes of the shape and the packet's flow is the
 * packet's history. */
static bool
is_faithful(struct trajectory_shape *shape, const struct trajectory *t,
            const struct trajectory_packet *packet)
{
    struct history_encoder *e = history_encoder_create();
    struct byte_buf bufs[2] = {BYTE_BUF_INIT, BYTE_BUF_INIT};
    struct flow_bytes flow;
    bool is_same = false;

    flow_bytes_take(&flow, trajectory_split(t)->kind,
                    trajectory_split(t)->l3_ofs, packet->header);

    struct trajectory *again =
        trajectory_create(trajectory_shape_model(shape, &flow));

    if (again && trajectory_reference(again) == trajectory_reference(t)) {
        const struct trajectory *both[2] = {t, again};

        for (int i = 0; i < 2; i++) {
            struct history *h = trajectory_history(both[i], packet);

            is_same = !history_encoder_add(e, h);
            history_encoder_finish(e, &bufs[i]);
            history_encoder_reset(e);
            history_destroy(h);
        }
        is_same = is_same && bufs[0].len == bufs[1].len &&
                  !memcmp(bufs[0].data, bufs[1].data, bufs[0].len);
    }
    trajectory_unref(again);
    history_encoder_destroy(e);
    byte_buf_uninit(&bufs[0]);
    byte_buf_uninit(&bufs[1]);
    return is_same;
}

/* Makes the trajectory's shape; false: packets of it are stored as
 * histories. */
static bool
fill(struct shape *shape, const struct trajectory *t,
     const struct trajectory_packet *packet)
{
    const struct header_split *split = trajectory_split(t);
    const struct history *h;
    uint8_t *bases;

    if (trajectory_shape_create(trajectory_shape_describe(t), &shape->shape,
                                NULL)) {
        return false;
    }
    h = trajectory_shape_history(shape->shape);
    shape->form = history_form_create(h);
    if (!shape->form || !is_faithful(shape->shape, t, packet)) {
        empty(shape);
        return false;
    }
    bases = lh_alloc(h->n_hops);
    column_time_bases(h, bases);
    shape->columns = (struct column_form){
        .bases = bases,
        .n_hops = (uint16_t) h->n_hops,
        .l3_ofs = split->l3_ofs,
        .tail_ofs = split->tail_ofs,
        .kind = (uint8_t) split->kind,
    };
    return true;
}

static uint32_t
find_by_key(struct column_shapes *s, const struct trajectory *t,
            const struct trajectory_packet *packet)
{
    byte_buf_clear(&s->key);
    trajectory_shape_put_key(t, &s->key);

    XXH128_hash_t key =
        XXH3_128bits_withSeed(s->key.data, s->key.len, s->secret);
    size_t i = (size_t) key.low64 & (2 * MAX_SHAPES - 1);

    for (; s->slots[i]; i = (i + 1) & (2 * MAX_SHAPES - 1)) {
        uint32_t index = s->slots[i] - 1;

        if (XXH128_isEqual(s->all[index].key, key)) {
            return s->all[index].shape ? index : COLUMN_NO_SHAPE;
        }
    }
    if (s->n == MAX_SHAPES) {
        return COLUMN_NO_SHAPE;
    }

    struct shape *shape = &s->all[s->n];

    *shape = (struct shape){.key = key};
    s->slots[i] = (uint32_t) ++s->n;
    return fill(shape, t, packet) ? (uint32_t) s->n - 1 : COLUMN_NO_SHAPE;
}

static uint32_t
find_by_path(struct column_shapes *s, const struct trajectory *t,
             const struct trajectory_packet *packet)
{
    /* Most flows of a path have the shape of the one before. */
    const struct trajectory_path *path = trajectory_path(t);
    struct trajectory_path_mark *mark = trajectory_path_mark(path);
    uint64_t kind;
    uint32_t shape;

    if (!trajectory_path_flow_kind(path, packet->header, &kind)) {
        return find_by_key(s, t, packet);
    }
    if (mark->owner == s->epoch && mark->kind == kind) {
        return mark->index;
    }
    shape = find_by_key(s, t, packet);
    *mark = (struct trajectory_path_mark){s->epoch, kind, shape};
    return shape;
}

uint32_t
column_shapes_find(struct column_shapes *s, const struct trajectory *t,
                   const struct trajectory_packet *packet)
{
    struct trajectory_mark *mark = trajectory_shape_mark(t);

    if (mark->owner != s->epoch) {
        mark->index = find_by_path(s, t, packet);
        mark->owner = s->epoch;
    }
    return mark->index;
}

const struct history *
column_shapes_history(const struct column_shapes *s, uint32_t shape)
{
    return trajectory_shape_history(s->all[shape].shape);
}

void
column_shapes_begin(struct column_shapes *s)
{
    s->n_blocks++;
    s->n_indexes = 0;
}

const struct column_form *
column_shapes_form(const struct column_shapes *s, uint32_t shape)
{
    return &s->all[shape].columns;
}

void
column_shapes_prefetch_form(const struct column_shapes *s, uint32_t shape)
{
    __builtin_prefetch(&s->all[shape].columns);
}

void
column_shapes_prefetch(const struct column_shapes *s, uint32_t shape)
{
    if (shape != COLUMN_NO_SHAPE && s->all[shape].block != s->n_blocks) {
        history_form_prefetch(s->all[shape].form);
    }
}

bool
column_shapes_number(struct column_shapes *s, uint32_t shape,
                     struct history_encoder *out)
{
    struct shape *entry = &s->all[shape];

    if (entry->block == s->n_blocks) {
        return false;
    }
    entry->block = s->n_blocks;
    entry->index = s->n_indexes++;
    history_encoder_add_form(out, entry->form);
    return true;
}

uint32_t
column_shapes_index(const struct column_shapes *s, uint32_t shape)
{
    return s->all[shape].index;
}

void
column_shapes_tell(struct column_shapes *s, uint64_t owner, uint32_t number,
                   uint32_t shape)
{
    if (s->owner != owner) {
        s->owner = owner;
        s->n_told = 0;
    }
    if (number >= s->n_told) {
        size_t n = 2 * (size_t) number + 64;

        s->told = lh_alloc_array(s->told, n, sizeof *s->told);
        for (size_t i = s->n_told; i < n; i++) {
            s->told[i] = NOT_TOLD;
        }
        s->n_told = n;
    }
    s->told[number] = shape;
}

bool
column_shapes_told(const struct column_shapes *s, uint64_t owner,
                   uint32_t number, uint32_t *shape)
{
    *shape =
        s->owner == owner && number < s->n_told ? s->told[number] : NOT_TOLD;
    return *shape != NOT_TOLD;
}
