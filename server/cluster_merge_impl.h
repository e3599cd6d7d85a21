/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_merge_impl - what the parts of cluster_merge share.
 *
 *   cluster_merge        messages come in, postcards go out
 *   cluster_merge_clock  how far time has come
 *   cluster_merge_state  what a successor must know
 *   cluster_merge_ahead  what came before its turn
 *
 * Included by cluster_merge*.c only. */
#ifndef SERVER_CLUSTER_MERGE_IMPL_H
#define SERVER_CLUSTER_MERGE_IMPL_H 1

#include "lib/card_batch.h"
#include "server/cluster_codecs.h"
#include "server/cluster_reach.h"
#include "server/cluster_merge.h"

/* Postcards of a message that are left out, counted from 0. */
struct merge_skip {
    uint32_t from, to;
};

/* A message that waits. */
struct merge_message {
    struct merge_message *next;
    struct merge_skip *skips; /* In their order.  Owned. */
    size_t n_skips;
    uint64_t seq, number;
    uint64_t lower_ns, upper_ns; /* Its postcards were received between. */
    size_t size;
    uint8_t data[]; /* The batch. */
};

/* A message whose door's messages before it have not come. */
struct merge_ahead {
    struct merge_ahead *next; /* In the order of numbers. */
    uint64_t number;
    uint64_t seq, stored_ns;
    size_t size;
    uint8_t data[]; /* All of it. */
};

struct merge_door {
    uint64_t nonce;
    bool is_file;
    bool has_ended;
    bool has_agents;
    uint64_t number;       /* Of the last message taken, or given up; */
    uint64_t taken;        /* not given up. */
    uint64_t given_number; /* Of the last given in full. */
    uint64_t last_seq;     /* Of the last message taken. */
    uint64_t watermark_ns;
    uint64_t cards_ns;  /* The same of the last message with postcards. */
    uint64_t stored_ns; /* Of the last message. */
    uint64_t last_ns;   /* Of the last postcard that was looked at. */

    struct merge_message *first, *last; /* Owned. */
    struct card_batch_reader *reader;   /* Of 'first'; NULL: not begun. */
    uint64_t head_ns; /* Of the next postcard: not before this, or, with a
                       * reader, exactly. */
    const struct postcard *head; /* The reader's. */
    uint32_t n_given; /* Postcards of 'first', with those left out. */
    size_t next_skip; /* Of 'first': to be looked at. */

    struct merge_ahead *ahead;      /* Owned, */
    struct merge_ahead *last_ahead; /* too; of no meaning where there are
                                     * none. */
    uint64_t order_seq; /* Of the last message taken in its turn. */
    uint64_t expected;  /* There are messages up to this, it said. */
    struct cluster_merge_gap gap;
    /* Up to which all is written down, committed, and told, when. */
    uint64_t written, covered, told, told_ns;

    /* What the owner before had given of a message that comes again. */
    uint64_t part_number;
    uint32_t part_given;
};

struct cluster_merge {
    struct cluster_merge_config config;
    struct merge_door **doors; /* Owned. */
    size_t n_doors, allocated_doors;
    uint64_t *heads; /* While postcards are given, what the doors' head_ns
                      * are; UINT64_MAX: nothing is there.  Owned. */
    size_t allocated_heads;
    struct cluster_codecs *codecs; /* Owned reference. */
    struct cluster_reach *reach;   /* Owned. */
    uint64_t stream_ns;            /* The latest 'stored_ns'. */
    uint64_t taken_at_ns;          /* By the clock here; 0: nothing was. */
    uint64_t idle_at_ns; /* Since when all has been taken; 0: it is not. */
    uint64_t live_ns;    /* The greatest watermark of a live door. */
    bool is_quiet;
    uint64_t due_ns;   /* What is not after this may be given. */
    uint64_t clock_ns; /* Everything up to here was given. */
    char *trouble;     /* Owned. */
    struct cluster_merge_counters n;
};

/* Sets 'due_ns' from what doors say. */
void cluster_merge_reckon(struct cluster_merge *, uint64_t now_ns,
                          bool is_idle);
/* Whether a door has gone whose agents will send to others. */
bool cluster_merge_misses_agents(const struct cluster_merge *,
                                 uint64_t now_ns);
/* All that is due was given. */
void cluster_merge_advance(struct cluster_merge *);

/* Keeps a message until those before it have come. */
void cluster_merge_put_ahead(struct cluster_merge *, struct merge_door *,
                             uint64_t number,
                             const struct cluster_merge_message *);
/* Messages that were given up come, and nothing that was behind them has: they
 * are waited for again. */
void cluster_merge_take_back(struct merge_door *);
/* Takes messages whose turn has come. */
void cluster_merge_take_ahead(struct cluster_merge *, struct merge_door *);
void cluster_merge_forget_ahead(struct cluster_merge *, struct merge_door *);
/* Takes a message in its turn, or one that comes again. */
struct cluster_cards_head;
void cluster_merge_take_next(struct cluster_merge *, struct merge_door *,
                             struct cluster_cards_head *,
                             const struct cluster_merge_message *,
                             const uint8_t *batch, size_t len);
/* NULL: it is not known. */
struct merge_door *cluster_merge_find_door(const struct cluster_merge *,
                                           uint64_t nonce);
/* Up to which message all is given, or was left to a successor. */
uint64_t cluster_merge_given(const struct merge_door *);

/* Adds a door.  When there are too many, one that nothing is needed of goes;
 * 'floor' is that of the merge. */
struct merge_door *cluster_merge_add_door(struct cluster_merge *,
                                          uint64_t nonce);

#endif /* server/cluster_merge_impl.h */
