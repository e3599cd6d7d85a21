/* SPDX-License-Identifier: Apache-2.0 */
/* batch - postcards, and what belongs between them, on their way to a worker.
 *
 * Records stand one after the other in one piece of memory, each with the
 * bytes of its header, so that handing over many postcards costs one pointer.
 *
 * Ownership: a batch owns what its records refer to until they are read.
 *
 * Threads: one at a time. */
#ifndef SERVER_BATCH_H
#define SERVER_BATCH_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/postcard.h"
#include "lib/topology.h"

#define BATCH_BYTES 32768 /* Full from there on. */

enum batch_kind {
    BATCH_POSTCARD,
    BATCH_INNER,    /* A packet carries another. */
    BATCH_TOPOLOGY, /* The network is this from now on. */
    BATCH_RUN,      /* So late is it. */
    BATCH_ROUND,    /* What was archived becomes durable. */
    BATCH_FLUSH     /* Everything that is open is closed. */
};

struct batch_record {
    enum batch_kind kind;
    uint32_t len; /* Of the record with what follows it. */
    union {
        struct postcard postcard; /* Its header follows. */
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
    size_t len, n_postcards;
    bool is_awaited; /* Has a round or flush. */
    /* Room for one record more when all but full. */
    _Alignas(struct batch_record) uint8_t
        bytes[BATCH_BYTES + sizeof(struct batch_record) + UINT16_MAX + 8];
};

struct batch *batch_create(void);
/* Gives back what its records refer to. */
void batch_destroy(struct batch *);

bool batch_is_full(const struct batch *);
/* Adds a record, to be filled in; the batch must not be full. */
struct batch_record *batch_add(struct batch *, enum batch_kind);
void batch_add_postcard(struct batch *, const struct postcard *);

/* The record at '*ofs', which is moved on; NULL at the end. */
struct batch_record *batch_next(struct batch *, size_t *ofs);
/* Empties it; topologies go. */
void batch_clear(struct batch *);

#endif /* server/batch.h */
