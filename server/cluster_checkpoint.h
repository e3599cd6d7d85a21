/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_checkpoint - what a stage-1 shard has done becomes final, in one
 * step or not at all.
 *
 * A checkpoint c of shard k in epoch e is: where the next owner reads on, what
 * is open then (a snapshot, on lh.s.<k>), and the histories that were made of
 * the rest (tentative messages, on lh.2.<m>).  When NATS has kept all of it,
 * the record of k is changed by compare-and-set (server/shard_commit.h): from
 * then on the checkpoint counts.  A marker on each lh.2.<m> says so; an owner
 * that dies before leaves that to the next, who sends the marker of the last
 * checkpoint to all before it commits one of its own.
 *
 *     cluster_checkpoint_create()         claims the record
 *     on_claimed:                         take up the snapshot, read on
 *     cluster_checkpoint_box()            histories go in
 *     cluster_checkpoint_begin()          when is_ready()
 *     on_committed:                       it counts
 *
 * Why that is enough: docs/decisions/cluster-transactions.md.
 *
 * Threads: the bus's. */
#ifndef SERVER_CLUSTER_CHECKPOINT_H
#define SERVER_CLUSTER_CHECKPOINT_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"

struct bus;
struct cluster_checkpoint;
struct cluster_codecs;
struct cluster_outbox;

/* How the owner before left it. */
struct cluster_checkpoint_past {
    uint64_t position;     /* To be read next; 0: from the beginning. */
    uint64_t epoch;        /* In which it was committed; 0: nothing was. */
    uint64_t checkpoint;   /* Its number; 0: the same. */
    uint64_t snapshot_seq; /* First message of the snapshot, */
    uint32_t n_parts;      /* and how many it has; 0: nothing was open. */
};

struct cluster_checkpoint_config {
    struct bus *bus;
    uint32_t shard;
    uint64_t epoch;
    uint32_t n_stores;
    struct cluster_codecs *codecs; /* Takes a reference. */
    struct cluster_sent *sent;     /* Keeps what is sent; NULL: none does. */
    /* Each at most once but for on_committed; none may destroy it. */
    void (*on_claimed)(void *aux, const struct cluster_checkpoint_past *);
    void (*on_committed)(void *aux);
    void (*on_fenced)(void *aux); /* Nothing more happens. */
    /* Whether what came of a message on lh.1.<k> is committed; may be NULL. */
    bool (*may_go)(void *aux, const uint8_t *data, size_t size);
    void *aux;
};

enum cluster_checkpoint_state {
    CHECKPOINT_CLAIMING,
    CHECKPOINT_ANNOUNCING, /* The last owner's marker, to all. */
    CHECKPOINT_IDLE,       /* Markers may still be on their way. */
    CHECKPOINT_PUBLISHING, /* Snapshot and histories, */
    CHECKPOINT_COMMITTING, /* the record. */
    CHECKPOINT_FENCED
};

struct cluster_checkpoint_counters {
    uint64_t n;         /* Committed in this epoch. */
    uint64_t last;      /* Number of the last one. */
    uint64_t position;  /* As committed. */
    uint64_t histories; /* In those that count. */
    uint64_t under_way; /* In one that does not count yet. */
    uint64_t too_large; /* Dropped: larger than a message may be. */
    uint64_t snapshot_bytes, tentative_bytes;
    uint64_t sent_again;
};

struct cluster_checkpoint *
cluster_checkpoint_create(const struct cluster_checkpoint_config *);
/* No callback comes any more.  NULL is fine. */
void cluster_checkpoint_destroy(struct cluster_checkpoint *);

/* Histories for the next checkpoint go in here. */
struct cluster_outbox *cluster_checkpoint_box(struct cluster_checkpoint *);

/* Whether one can begin: none is under way. */
bool cluster_checkpoint_is_ready(const struct cluster_checkpoint *);
/* Begins one: 'position' is to be read next, and the 'n' buffers at 'parts',
 * which are taken, are the snapshot.  It must be ready. */
void cluster_checkpoint_begin(struct cluster_checkpoint *, uint64_t position,
                              struct byte_buf *parts, uint32_t n);
/* Whether nothing is under way, markers neither. */
bool cluster_checkpoint_is_done(const struct cluster_checkpoint *);

/* Removes what is not needed any more, now and then, and tells stores again
 * what they were told last; at least once a second. */
void cluster_checkpoint_run(struct cluster_checkpoint *, uint64_t now_ns);

enum cluster_checkpoint_state
cluster_checkpoint_state(const struct cluster_checkpoint *);
/* Number of the one that is under way or comes next. */
uint64_t cluster_checkpoint_next(const struct cluster_checkpoint *);
/* Why it does not get on; NULL: it does. */
const char *cluster_checkpoint_trouble(const struct cluster_checkpoint *);
void cluster_checkpoint_get_counters(const struct cluster_checkpoint *,
                                     struct cluster_checkpoint_counters *);

#endif /* server/cluster_checkpoint.h */
