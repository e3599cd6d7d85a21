/* SPDX-License-Identifier: Apache-2.0 */
/* batch - postcards, and what belongs between them, on their way to a worker.
 *
 * A record is a line of the cache.  Headers stay in the pieces that they were
 * received in, which the batch holds, or are copied into it; so handing over
 * many postcards costs one pointer.
 *
 * Ownership: a batch owns what its records refer to until it is cleared.
 *
 * Threads: one at a time; that of the event loop fills it and clears it. */
#ifndef SERVER_BATCH_H
#define SERVER_BATCH_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/hop_template.h"
#include "lib/postcard.h"
#include "lib/topology.h"
#include "server/piece.h"

/* Full from there on. */
#define BATCH_RECORDS 256
#define BATCH_BYTES   32768 /* Of headers and visits that were copied. */
#define BATCH_PIECES  16

enum batch_kind {
    BATCH_POSTCARD,
    BATCH_INNER,    /* A packet carries another. */
    BATCH_TOPOLOGY, /* The network is this from now on. */
    BATCH_RUN,      /* So late is it. */
    BATCH_ROUND,    /* What was archived becomes durable. */
    BATCH_FLUSH     /* Everything that is open is closed. */
};

struct batch_record {
    _Alignas(64) enum batch_kind kind;
    union {
        struct postcard postcard;
        struct {
            uint64_t inner, outer, time_ns;
        } inner;
        struct {
            struct topology *topology; /* Owned reference. */
            uint64_t now_ns;
        } topology;
        uint64_t now_ns; /* Of a run, a flush. */
        struct {
            void *round; /* The caller's. */
        } round;
    };
};

struct batch {
    struct batch *next; /* For the owner's list. */
    size_t n, n_postcards, n_bytes, n_pieces;
    bool is_awaited; /* Has a round or flush. */
    bool has_topology;
    struct piece *pieces[BATCH_PIECES]; /* Owned references. */
    struct batch_record records[BATCH_RECORDS];
    /* Of the last postcard that has one, in 'bytes', or NULL. */
    const struct hop_template *visit;
    _Alignas(
        8) uint8_t bytes[BATCH_BYTES + UINT16_MAX + HOP_TEMPLATE_MAX_SIZE + 8];
};

struct batch *batch_create(void);
/* Gives back what its records refer to. */
void batch_destroy(struct batch *);

static inline bool
batch_is_full(const struct batch *batch)
{
    return batch->n == BATCH_RECORDS || batch->n_bytes >= BATCH_BYTES ||
           batch->n_pieces == BATCH_PIECES;
}

/* Adds a record, to be filled in; the batch must not be full. */
struct batch_record *batch_add(struct batch *, enum batch_kind);
/* A header that lies in 'piece' (NULL: none) is not copied. */
void batch_add_postcard(struct batch *, const struct postcard *,
                        struct piece *);

/* Asks for what the records after 'i' need, as they were written by another
 * core: records a few ahead, and the headers of those that are here. */
static inline void
batch_prefetch(const struct batch *batch, size_t i)
{
    const struct batch_record *r = &batch->records[i];

    /* What stands behind the last record may be asked for too. */
    __builtin_prefetch(r + 6);
    if (i + 3 < batch->n && r[3].kind == BATCH_POSTCARD) {
        __builtin_prefetch(r[3].postcard.header);
        __builtin_prefetch(r[3].postcard.header + 63);
    }
}

/* Empties it; topologies and pieces go. */
void batch_clear(struct batch *);

#endif /* server/batch.h */
