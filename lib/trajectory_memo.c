/* SPDX-License-Identifier: Apache-2.0 */
/* trajectory_memo - the trajectories that a reader has met. */
#include <config.h>

#include "lib/trajectory_memo.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/lh_alloc.h"
#include "lib/random64.h"

#define MAX_KNOWN  8192u /* A power of two; some 2 KB each. */
#define N_SLOTS    (2 * MAX_KNOWN)
#define MAX_SHAPES ((size_t) 8 << 20) /* Bytes. */

struct known {
    uint64_t hash;
    uint32_t shape;
    struct flow_bytes flow;
    struct trajectory *trajectory; /* Owned reference. */
};

struct trajectory_memo {
    struct shape_memo *shapes; /* Owned. */
    uint64_t secret;           /* Of hashes. */
    size_t n;
    struct known *all;       /* Room for MAX_KNOWN.  Owned. */
    uint32_t slot;           /* Where one was not found. */
    uint32_t slots[N_SLOTS]; /* Number + 1. */
};

struct trajectory_memo *
trajectory_memo_create(void)
{
    struct trajectory_memo *memo = lh_alloc_zero(sizeof *memo);

    memo->secret = random64_draw();
    memo->shapes = shape_memo_create();
    memo->all = lh_alloc_array(NULL, MAX_KNOWN, sizeof *memo->all);
    return memo;
}

static void
forget(struct trajectory_memo *memo)
{
    for (size_t i = 0; i < memo->n; i++) {
        trajectory_unref(memo->all[i].trajectory);
    }
    memo->n = 0;
}

void
trajectory_memo_destroy(struct trajectory_memo *memo)
{
    if (memo) {
        forget(memo);
        shape_memo_destroy(memo->shapes);
        free(memo->all);
        free(memo);
    }
}

struct shape_memo *
trajectory_memo_shapes(struct trajectory_memo *memo)
{
    return memo->shapes;
}

void
trajectory_memo_shrink(struct trajectory_memo *memo)
{
    if (memo->n == MAX_KNOWN || shape_memo_size(memo->shapes) > MAX_SHAPES) {
        forget(memo);
        memset(memo->slots, 0, sizeof memo->slots);
        shape_memo_forget(memo->shapes);
    }
}

/* NULL: it is not known, and 'memo->slot' is where it would stand. */
static struct trajectory *
find(struct trajectory_memo *memo, const struct known *wanted)
{
    for (memo->slot = (uint32_t) wanted->hash & (N_SLOTS - 1);
         memo->slots[memo->slot];
         memo->slot = (memo->slot + 1) & (N_SLOTS - 1)) {
        const struct known *k = &memo->all[memo->slots[memo->slot] - 1];

        if (k->hash == wanted->hash && k->shape == wanted->shape &&
            !memcmp(&k->flow, &wanted->flow, sizeof k->flow)) {
            return k->trajectory;
        }
    }
    return NULL;
}

struct trajectory *
trajectory_memo_take(struct trajectory_memo *memo, uint32_t shape,
                     const struct flow_bytes *flow,
                     const struct history *(*model)(void *aux, size_t index),
                     void *aux, size_t index)
{
    struct known k = {
        .hash = XXH3_64bits_withSeed(flow, sizeof *flow, memo->secret ^ shape),
        .shape = shape,
        .flow = *flow};
    struct trajectory *t = find(memo, &k);

    if (t) {
        return trajectory_ref(t);
    }
    t = trajectory_create(model(aux, index));
    if (t && memo->n < MAX_KNOWN) {
        k.trajectory = trajectory_ref(t);
        memo->all[memo->n] = k;
        memo->slots[memo->slot] = (uint32_t) ++memo->n;
    }
    return t;
}
