/* SPDX-License-Identifier: Apache-2.0 */
/* piece - received bytes that postcards under way refer to.
 *
 * Who reads fills a piece, and may fill it again when nobody else holds it.
 * Batches hold the pieces that the headers of their postcards lie in, so that
 * these need no copy to reach another thread.
 *
 * Ownership: counted; a piece that nobody holds goes back to its pool, which
 * stays until its last piece has come back.
 *
 * Threads: all functions that of the event loop; other threads read the bytes
 * while a batch holds the piece for them. */
#ifndef SERVER_PIECE_H
#define SERVER_PIECE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct piece_pool;

struct piece {
    struct piece_pool *pool;
    struct piece *next; /* Of the free ones. */
    unsigned int n_refs;
    size_t size;
    uint8_t bytes[];
};

/* Of pieces of 'size' bytes. */
struct piece_pool *piece_pool_create(size_t size);
void piece_pool_destroy(struct piece_pool *);

/* One that nobody else holds; its bytes are of any value. */
struct piece *piece_create(struct piece_pool *);
struct piece *piece_ref(struct piece *);
void piece_unref(struct piece *);
/* Whether others hold it too. */
static inline bool
piece_is_shared(const struct piece *piece)
{
    return piece->n_refs > 1;
}

/* Whether the 'len' bytes from 'data' on are the piece's. */
static inline bool
piece_has(const struct piece *piece, const uint8_t *data, size_t len)
{
    return data >= piece->bytes && len <= piece->size &&
           (size_t) (data - piece->bytes) <= piece->size - len;
}

#endif /* server/piece.h */
