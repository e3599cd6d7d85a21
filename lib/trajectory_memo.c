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

#define MAX_KNOWN  32768u /* A power of two; some 2 KB each. */
#define N_SLOTS    (2 * MAX_KNOWN)
#define MAX_SHAPES ((size_t) 8 << 20) /* Bytes. */

struct known {
    XXH128_hash_t hash;
    struct trajectory *trajectory; /* Owned reference; NULL: free. */
    uint32_t shape;
};

struct trajectory_memo {
    struct shape_memo *shapes; /* Owned. */
    uint64_t secret;           /* Of hashes. */
    size_t n;
    struct known *slots; /* N_SLOTS.  Owned. */
};

struct trajectory_memo *
trajectory_memo_create(void)
{
    struct trajectory_memo *memo = lh_alloc_zero(sizeof *memo);

    memo->secret = random64_draw();
    memo->shapes = shape_memo_create();
    memo->slots = lh_alloc_zero(N_SLOTS * sizeof *memo->slots);
    return memo;
}

static void
forget(struct trajectory_memo *memo)
{
    for (size_t i = 0; memo->n && i < N_SLOTS; i++) {
        trajectory_unref(memo->slots[i].trajectory);
    }
    memo->n = 0;
}

void
trajectory_memo_destroy(struct trajectory_memo *memo)
{
    if (memo) {
        forget(memo);
        shape_memo_destroy(memo->shapes);
        free(memo->slots);
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
        memset(memo->slots, 0, N_SLOTS * sizeof *memo->slots);
        shape_memo_forget(memo->shapes);
    }
}

static XXH128_hash_t
hash_of(const struct trajectory_memo *memo, uint32_t shape,
        const struct flow_bytes *flow)
{
    return XXH3_128bits_withSeed(flow, sizeof *flow, memo->secret ^ shape);
}

uint64_t
trajectory_memo_ask(const struct trajectory_memo *memo, uint32_t shape,
                    const struct flow_bytes *flow)
{
    uint64_t low = hash_of(memo, shape, flow).low64;

    __builtin_prefetch(&memo->slots[low & (N_SLOTS - 1)]);
    return low;
}

void
trajectory_memo_prefetch(const struct trajectory_memo *memo, uint64_t asked)
{
    /* A number, as there may be none. */
    uintptr_t t = (uintptr_t) memo->slots[asked & (N_SLOTS - 1)].trajectory;

    __builtin_prefetch((const void *) t);
    __builtin_prefetch((const void *) (t + 64));
    __builtin_prefetch((const void *) (t + 128));
}

/* Where it stands, or would. */
static struct known *
find(struct trajectory_memo *memo, uint32_t shape, XXH128_hash_t hash)
{
    size_t i = (size_t) hash.low64 & (N_SLOTS - 1);

    while (memo->slots[i].trajectory &&
           (memo->slots[i].shape != shape ||
            !XXH128_isEqual(memo->slots[i].hash, hash))) {
        i = (i + 1) & (N_SLOTS - 1);
    }
    return &memo->slots[i];
}

struct trajectory *
trajectory_memo_take(struct trajectory_memo *memo, uint32_t shape,
                     const struct flow_bytes *flow,
                     const struct history *(*model)(void *aux, size_t index),
                     void *aux, size_t index)
{
    XXH128_hash_t hash = hash_of(memo, shape, flow);
    struct known *k = find(memo, shape, hash);
    struct flow_bytes own;
    struct trajectory *t;

    if (k->trajectory) {
        return trajectory_ref(k->trajectory);
    }
    t = trajectory_create(model(aux, index));
    if (!t) {
        return NULL;
    }
    flow_bytes_init(&own, trajectory_split(t)->kind,
                    trajectory_split(t)->l3_ofs);
    if (own.n_cold != flow->n_cold) {
        trajectory_unref(t);
        return NULL;
    }
    if (memo->n < MAX_KNOWN) {
        *k = (struct known){hash, trajectory_ref(t), shape};
        memo->n++;
    }
    return t;
}
