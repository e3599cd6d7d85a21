/* SPDX-License-Identifier: Apache-2.0 */
/* store_refill - gives a disk what it lacks of a shard's histories: reads
 * those of a stretch of time from another server's archive and adds what this
 * server does not have.
 *
 * The other server answers as it answers any query (server/cluster_leg.h).
 * What is on its way to this server anyway must not be added: so when the
 * other one has begun, a marker that means nothing is sent to the shard's own
 * subject, and nothing is compared before the store has read past it and
 * committed.  Then, slice by slice, what came is compared with the shard's
 * histories in this server's archive, of whichever copy (lib/copy_gate.h).
 *
 * Begun again after an end, it adds what is still missing.
 *
 * Threads: the bus's. */
#ifndef SERVER_STORE_REFILL_H
#define SERVER_STORE_REFILL_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/bus.h"
#include "lib/history.h"

struct queries;
struct store_refill;

struct store_refill_config {
    struct bus *bus;
    struct queries *queries; /* Of this server's archive. */
    const char *server;      /* That is asked. */
    const char *subject;     /* The shard's: "lh.2.3". */
    uint32_t shard;
    uint64_t min_ns, max_ns; /* Times of what is missing, both included. */
    /* Whether all messages up to 'seq' are read, and what came of them
     * committed. */
    bool (*has_stored)(void *aux, uint64_t seq);
    /* Whether one more may be added now. */
    bool (*has_room)(void *aux);
    void (*add)(void *aux, const struct history *);
    /* Once: all was added, or what went wrong.  It may be destroyed in
     * there. */
    void (*on_end)(void *aux, const char *why);
    void *aux;
};

struct store_refill *store_refill_create(const struct store_refill_config *);
/* NULL is fine. */
void store_refill_destroy(struct store_refill *);
/* Up to which time it has come. */
uint64_t store_refill_time_ns(const struct store_refill *);

#endif /* server/store_refill.h */
