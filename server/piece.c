/* SPDX-License-Identifier: Apache-2.0 */
/* piece - received bytes that postcards under way refer to. */
#include <config.h>

#include "server/piece.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"

struct piece_pool {
    size_t size;
    size_t n_out; /* Pieces that somebody holds. */
    bool is_closed;
    struct piece *free; /* Owned; what was used last first. */
};

struct piece_pool *
piece_pool_create(size_t size)
{
    struct piece_pool *pool = lh_alloc_zero(sizeof *pool);

    pool->size = size;
    return pool;
}

void
piece_pool_destroy(struct piece_pool *pool)
{
    struct piece *piece;

    if (!pool) {
        return;
    }
    while ((piece = pool->free)) {
        pool->free = piece->next;
        free(piece);
    }
    pool->is_closed = true;
    if (!pool->n_out) {
        free(pool);
    }
}

struct piece *
piece_create(struct piece_pool *pool)
{
    struct piece *piece = pool->free;

    if (piece) {
        pool->free = piece->next;
    } else {
        piece = lh_alloc(sizeof *piece + pool->size);
        piece->pool = pool;
        piece->size = pool->size;
    }
    piece->next = NULL;
    piece->n_refs = 1;
    pool->n_out++;
    return piece;
}

struct piece *
piece_ref(struct piece *piece)
{
    piece->n_refs++;
    return piece;
}

void
piece_unref(struct piece *piece)
{
    struct piece_pool *pool;

    if (!piece) {
        return;
    }
    assert(piece->n_refs);
    if (--piece->n_refs) {
        return;
    }
    pool = piece->pool;
    pool->n_out--;
    if (!pool->is_closed) {
        piece->next = pool->free;
        pool->free = piece;
        return;
    }
    free(piece);
    if (!pool->n_out) {
        free(pool);
    }
}
