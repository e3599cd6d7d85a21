/* SPDX-License-Identifier: Apache-2.0 */
/* query - finds stored histories that match a filter, in order of time.
 *
 * The time of a history is that of its first postcard.  A query sees what was
 * in the archive and what was pending when it was made, each history once,
 * also where two copies of a shard have it (lib/copy_gate.h).
 * It is worked off in small steps, so that who runs it can do other things in
 * between; blocks are read by the threads of a crew, several at a time, or
 * where there is none, one in a step.
 *
 * Blocks overlap in time.  A match is given out when no block that is still to
 * be read can hold an earlier one (a later one, in descending order); until
 * then it is remembered by its place, in 16 bytes.
 *
 * Threads: one, the owner of the crew. */
#ifndef PHF_QUERY_H
#define PHF_QUERY_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/archive_reader.h"
#include "lib/archive_writer.h"
#include "lib/crew.h"
#include "lib/history.h"
#include "lib/lh_error.h"
#include "lib/topology.h"
#include "phf/phf.h"

/* Matches that wait for their turn; a query that needs more ends there. */
#define QUERY_MAX_WAITING ((size_t) 4 << 20)
/* Bytes of payloads kept for matches that wait; past it they are read
 * again. */
#define QUERY_MAX_KEPT ((size_t) 64 << 20)

struct query_config {
    /* Who reads blocks; NULL: query_step().  Several queries may share it. Its
     * owner gives what it takes from it to query_take(). */
    struct crew *crew;
    struct archive_reader *reader;   /* NULL: only what is pending. */
    struct archive_pending *pending; /* Taken, with the payloads. */
    size_t n_pending;
    struct phf *phf;                 /* Taken. */
    const struct topology *topology; /* Referenced; may be NULL. */
    uint64_t since_ns, until_ns;     /* Times from since on, before until. */
    uint64_t limit;                  /* 0: none. */
    bool is_desc;                    /* Latest first. */
    bool has_shard;                  /* Only of this shard of a cluster, all
                                      * copies. */
    uint32_t shard;
    /* Takes a match (borrowed); it is not called while 'is_busy' is true. */
    void (*give)(void *aux, const struct history *);
    bool (*is_busy)(void *aux);
    void *aux;
};

struct query_totals {
    uint64_t n;             /* Given out. */
    uint64_t scanned;       /* Histories looked at. */
    uint64_t n_blocks;      /* To be read in all. */
    uint64_t n_read;        /* Read. */
    uint64_t n_skipped;     /* Of these, only their index. */
    uint64_t damaged;       /* Blocks that could not be read. */
    struct lh_error damage; /* Which was the first, and why: empty if none. */
    uint64_t lost; /* Histories of that time that were never stored. */
    /* From when to when packets were left out of what is stored (of the first
     * to the last one that was kept); 0: none were. */
    uint64_t sampled_since_ns, sampled_until_ns;
    uint64_t n_limits; /* Matchings that gave up. */
    bool is_truncated; /* The limit, or QUERY_MAX_WAITING, was reached. */
};

enum query_state {
    QUERY_MORE, /* Step again. */
    QUERY_BUSY, /* Step again when 'is_busy' is false. */
    QUERY_WAIT, /* Step again when the crew has finished a job. */
    QUERY_DONE
};

struct query;

struct query *query_create(const struct query_config *);
void query_destroy(struct query *);
/* Reads a block, or gives out some histories. */
enum query_state query_step(struct query *);
/* A job of a query that the crew has finished; of one that is destroyed
 * meanwhile as well. */
void query_take(struct crew_job *);
/* Waits for all that the crew still has; before crew_destroy(). */
void query_drain(struct crew *);
/* Steps until it is done or, if not NULL, 'is_ended' is true; waits where it
 * has to, as whoever has nothing else to do. */
void query_run(struct query *, bool (*is_ended)(void *aux), void *aux);
const struct query_totals *query_totals(const struct query *);

#endif /* phf/query.h */
