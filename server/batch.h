/* SPDX-License-Identifier: Apache-2.0 */
/* batch - packets as they were received, or something that belongs between
 * them, on their way to all workers.
 *
 * Every worker gets every packet and takes its share; so all see the same
 * order, and handing over many packets costs a pointer for each worker.  Of a
 * plain capture file workers are told how far to read it themselves.
 *
 * Ownership: a batch owns what it refers to until it is cleared.
 *
 * Threads: that of the event loop fills and clears it; in between workers read
 * it, each until it has called batch_unref(). */
#ifndef SERVER_BATCH_H
#define SERVER_BATCH_H 1

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/hop_template.h"
#include "lib/topology.h"
#include "server/ingest.h"
#include "server/split_file.h"

/* Full from there on. */
#define BATCH_PACKETS 256
#define BATCH_BYTES   65536  /* That were copied. */
#define BATCH_MAX_LEN 262144 /* Of a packet; what is longer is cut. */

enum batch_kind {
    BATCH_RECEIVED, /* Packets. */
    BATCH_FILE,     /* Packets, in a file. */
    BATCH_TOPOLOGY, /* The network is this from now on. */
    BATCH_RUN,      /* So late is it. */
    BATCH_ROUND,    /* What was archived becomes durable. */
    BATCH_FLUSH     /* Everything that is open is closed. */
};

struct batch {
    struct batch *older, *newer; /* For the owner's lists. */
    atomic_uint n_refs;          /* Workers that have it. */
    enum batch_kind kind;
    uint64_t now_ns;           /* Of packets: of the first. */
    struct split_file *file;   /* Borrowed, or NULL. */
    uint64_t end;              /* Of the part to be read. */
    bool is_last;              /* Nothing comes after this part. */
    struct topology *topology; /* Owned reference, or NULL. */
    void *round;               /* The caller's. */
    size_t n, n_bytes;
    const struct hop_template *visit; /* The last that was copied, or NULL. */
    uint32_t shares[BATCH_PACKETS];   /* As sieve_share() says. */
    struct ingest_packet packets[BATCH_PACKETS];
    _Alignas(8) uint8_t
        bytes[BATCH_BYTES + BATCH_MAX_LEN + sizeof(struct accept_address) +
              HOP_TEMPLATE_MAX_SIZE + 8];
};

struct batch *batch_create(void);
/* Gives back what it refers to. */
void batch_destroy(struct batch *);

static inline bool
batch_is_full(const struct batch *batch)
{
    return batch->n == BATCH_PACKETS || batch->n_bytes >= BATCH_BYTES;
}

/* Adds a copy of a packet, of which there may be something for that worker
 * alone, or SIEVE_ANY; the batch must not be full. */
void batch_add(struct batch *, const struct ingest_packet *, uint32_t share);

/* The worker is done with it: true for the last one. */
static inline bool
batch_unref(struct batch *batch)
{
    return atomic_fetch_sub(&batch->n_refs, 1) == 1;
}

/* Asks for the bytes of a packet some packets after 'i'; those of a whole
 * postcard are most often in these lines. */
static inline void
batch_prefetch(const struct batch *batch, size_t i)
{
    const uint8_t *data = batch->packets[(i + 4) % BATCH_PACKETS].data;

    /* What stands behind the last packet may be asked for too. */
    __builtin_prefetch(data);
    __builtin_prefetch(data + 64);
    __builtin_prefetch(data + 128);
}

/* Empties it; topologies go. */
void batch_clear(struct batch *);

#endif /* server/batch.h */
