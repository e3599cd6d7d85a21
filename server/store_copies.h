/* SPDX-License-Identifier: Apache-2.0 */
/* store_copies - what the owner of one copy of a stage-2 shard knows of the
 * others, and does about what its disk lacks
 * (docs/decisions/cluster-copies.md).
 *
 * The records of the other copies are looked at once a second.  They say what
 * may be purged, from where this copy may be read, and which disk has what
 * (server/store_span.h).  What this disk lacks and too few have is fetched, a
 * piece at a time (server/store_refill.h).
 *
 * Threads: the bus's. */
#ifndef SERVER_STORE_COPIES_H
#define SERVER_STORE_COPIES_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/bus.h"
#include "lib/history.h"
#include "server/store_note.h"
#include "server/store_vouch.h"

struct queries;
struct store_copies;

/* What all stores of a server share; of the cluster's part of it. */
struct store_team {
    uint32_t n_shards, n_copies;
    uint64_t disk; /* This server's. */
    struct queries *queries;
    unsigned int n_refills; /* Under way. */
    /* The state of a disk, and the server that has it where it is there. */
    enum store_disk_state (*disk_state)(void *aux, uint64_t disk,
                                        const char **server);
    /* Whether messages stay for a slot that has committed this position, and
     * not these others. */
    bool (*is_waited_for)(void *aux, uint32_t slot, uint64_t position);
    void *aux;
};

struct store_copies_config {
    struct bus *bus;
    const char *bucket;
    const char *subject; /* The shard's: "lh.2.3". */
    uint32_t shard, slot;
    struct store_team *team;
    /* All other records have been looked at. */
    void (*on_look)(void *aux);
    /* As in struct store_refill_config. */
    bool (*has_stored)(void *aux, uint64_t seq);
    bool (*has_room)(void *aux);
    void (*add)(void *aux, const struct history *);
    /* Everything of the piece is added. */
    void (*on_piece)(void *aux, const struct store_span *);
    void *aux;
};

struct store_copies *store_copies_create(const struct store_copies_config *);
/* NULL is fine. */
void store_copies_destroy(struct store_copies *);

/* What other copies' records say of messages above is of before the stream
 * lost its end, until their owners have seen that. */
void store_copies_set_end(struct store_copies *, uint64_t end);

/* From where this copy can be read in full: at least 'position', and what was
 * accepted by messages from '*read' on.  False: not known yet. */
bool store_copies_start(const struct store_copies *, uint64_t *position,
                        uint64_t *read);
/* Below which number messages may go, when this copy has committed 'position':
 * no other one wants them, or 'forced' is known to all.  '*force' is set to
 * what 'forced' should become, or 0. */
uint64_t store_copies_floor(const struct store_copies *, uint64_t position,
                            uint64_t forced, uint64_t *force);
/* Begins to fetch what is missing by this note of its own, unless it does or
 * others do already. */
void store_copies_refill(struct store_copies *, const struct store_note *);
/* Ends that: what was added did not become durable. */
void store_copies_stop(struct store_copies *);

/* Adds what the other copies' records say that this server's disk has of the
 * shard, of times from since_ns on. */
void store_copies_vouch(const struct store_copies *, uint64_t since_ns,
                        struct store_vouch *);

struct store_copies_status {
    bool is_known, is_short, is_lost, is_refilling;
    uint64_t refill_ns;  /* The time up to which it has come. */
    uint64_t n_refilled; /* Histories, ever; */
    uint64_t n_pieces;   /* in so many pieces. */
    const char *trouble; /* Why the last piece was given up, or NULL. */
};

void store_copies_get_status(const struct store_copies *,
                             struct store_copies_status *);

#endif /* server/store_copies.h */
