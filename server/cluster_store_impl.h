/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_store_impl - what the parts of cluster_store share.
 *
 *   cluster_store         life, rounds, failing
 *   cluster_store_read    reading
 *   cluster_store_missing what markers tell of, and has not come
 *   cluster_store_fall    streams that number from lower than before
 *   cluster_store_copies  what is different where a shard has copies
 *
 * Included by cluster_store*.c only. */
#ifndef SERVER_CLUSTER_STORE_IMPL_H
#define SERVER_CLUSTER_STORE_IMPL_H 1

#include "lib/bus_pull.h"
#include "lib/bus_sweep.h"
#include "lib/history_batch.h"
#include "server/cluster_store.h"
#include "server/shard_commit.h"
#include "server/store_copies.h"
#include "server/store_disk.h"
#include "server/store_intake.h"
#include "server/store_note.h"

enum state {
    CLAIMING, /* Asks for the record, or writes its first note. */
    READING,
    FAILED, /* The disk: it tries again. */
    ENDED   /* Drained or fenced. */
};

struct cluster_store {
    struct cluster_store_config config;
    char *stream, *subject; /* Owned. */
    enum state state;
    bool is_draining;
    struct event *timer;       /* Rounds, tries, ends.  Owned. */
    struct topology *topology; /* Reference, or NULL. */
    uint64_t topology_ns;

    struct shard_commit *commit; /* Owned. */
    uint64_t position;           /* Committed, with */
    uint64_t note_epoch;         /* the owner that did, */
    struct store_note note;      /* and what it noted. */

    struct store_disk *disk;        /* Owned. */
    struct bus_pull *pull;          /* Owned; NULL: it does not read. */
    struct store_intake *intake;    /* Owned. */
    uint64_t oldest_seq, oldest_ns; /* That waits for its marker, and since
                                     * when it is that one. */
    uint64_t missing_ns; /* Since when messages are missing; 0: they are not,
                          */
    uint64_t again_ns, again_wait_ns; /* when they were read again, and for
                                       * the next time, */
    uint64_t read_seq;                /* from below this. */
    uint64_t n_connects;              /* Of the bus, when it began to read. */
    bool is_idle;                     /* All that is there has been read. */
    bool has_asked;     /* NATS for the end of the stream, since then; */
    uint64_t asked_seq; /* it was to be below this. */
    bool stands;        /* Before this message, which a newer version wrote, */
    uint64_t stand_seq, stood_ns; /* since; 0: there is none. */
    uint64_t fallen_seq; /* Up to here numbers are given anew; 0: none are. */
    bool is_fall_due;    /* The record is to be brought to that. */
    bool has_news;       /* A message came since the last round. */
    bool is_held;
    bool is_open;                        /* STORE_OPEN was said. */
    enum cluster_store_event last_event; /* To be said. */
    uint64_t disk_ns;                    /* When the disk had a round. */

    /* The round under way. */
    bool is_busy;
    bool is_under_way;             /* A change of the record. */
    bool is_on_disk;               /* It has a part on disk. */
    uint64_t wanted;               /* Position to be committed. */
    struct store_note wanted_note; /* With this. */
    uint64_t n_round;              /* Histories in it. */

    struct bus_sweep *sweep; /* Owned. */
    uint64_t purge_ns;       /* When it was last told. */

    /* Where the shard has copies (cluster_store_copies.c). */
    struct store_copies *copies; /* Owned; NULL: it has one. */
    bool is_claimed, is_begun;
    uint64_t min_ns, max_ns; /* Of histories since the last round. */
    uint64_t force;          /* Others below are not waited for. */
    bool has_piece;          /* This was added, and is to be noted: */
    bool is_piece_due;       /* by the round under way. */
    struct store_span piece;
    /* At the last look at the other copies. */
    uint64_t seen_position, seen_read, seen_forced;
    bool is_skipping; /* To here, as messages were removed: */
    uint64_t skip_position, skip_read, skip_from;

    uint32_t retry_ms;
    char trouble[600];     /* Empty while all is well. */
    char bus_trouble[300]; /* Of reading. */
    char stand_trouble[500];
    struct cluster_store_counters counters;
};

/* Ends reading; what was not committed is forgotten. */
void cluster_store_stop(struct cluster_store *);
/* Draws the number of a record that is new. */
void cluster_store_draw(struct cluster_store *);
/* Sets 'wanted_note' to that of the next round, and writes it, with
 * 'wanted'. */
void cluster_store_prepare(struct cluster_store *);
void cluster_store_advance(struct cluster_store *);

/* --- cluster_store_read.c --- */

/* Reads all that is there, by another reader.  What is below 'read_seq' was
 * read before. */
void cluster_store_read(struct cluster_store *);
/* Up to where this reader has come. */
uint64_t cluster_store_read_seq(const struct cluster_store *);
/* What is to be read next; less is read once more. */
uint64_t cluster_store_next_seq(const struct cluster_store *);
/* Reads all once more. */
void cluster_store_read_again(struct cluster_store *);
/* Sees to what may have to be read again; now and then, while it reads. */
void cluster_store_look(struct cluster_store *);

/* --- cluster_store_fall.c --- */

/* Reads again what came under numbers that were read before, if any may
 * have. */
void cluster_store_look_at_stream(struct cluster_store *);
/* Whether all has been read that may be there under numbers that were read
 * before, so that messages may be removed by number. */
bool cluster_store_has_read(const struct cluster_store *);
/* Positions above are of before the stream fell back. */
uint64_t cluster_store_end_seq(const struct cluster_store *);

/* --- cluster_store_missing.c --- */

/* Sees to messages that markers tell of and that have not come. */
void cluster_store_look_for_missing(struct cluster_store *);

/* --- cluster_store_copies.c --- */

void cluster_store_open_copies(struct cluster_store *);
/* Begins, once the record is claimed and those of the other copies are
 * known. */
void cluster_store_begin_copies(struct cluster_store *);
/* Leaves out what was removed, and begins anew behind it. */
void cluster_store_skip(struct cluster_store *);
/* The stream has lost its end: brings the note of the round under way to
 * that. */
void cluster_store_fall_copies(struct cluster_store *);
/* Ends what is being fetched. */
void cluster_store_stop_refill(struct cluster_store *);
/* The same, and what no round has yet is forgotten. */
void cluster_store_forget_copies(struct cluster_store *);
/* What the round under way says of this disk. */
void cluster_store_note_copies(struct cluster_store *);
/* That round is committed. */
void cluster_store_end_copies(struct cluster_store *);
void cluster_store_note_time(struct cluster_store *,
                             const struct history_batch_item *);
/* Below which messages may be removed. */
uint64_t cluster_store_floor(struct cluster_store *);

#endif /* server/cluster_store_impl.h */
