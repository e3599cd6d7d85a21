/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_merge - puts the postcards that several doors sent to one shard into
 * the order of time again, and tells how far that time has come.
 *
 *     cluster_merge_take(merge, &message, now_ns, &error);   each that is read
 *     while (cluster_merge_run(merge, now_ns, is_idle, 4096)) ..
 *     path_table_run(paths, cluster_merge_clock_ns(merge));
 *
 * A door's postcards come in the order in which it received them, and each of
 * its messages has a watermark: what it sends later it received after that
 * (docs/formats/cluster.md).  A postcard is given when no door that is waited
 * for can still send an earlier one.  Not waited for is
 *
 *   - a door that has said it ended,
 *   - one from which nothing came for CLUSTER_MERGE_SILENT_NS, by the times at
 *     which NATS stored the messages of all,
 *   - a live one whose watermark is CLUSTER_MERGE_BEHIND_NS behind the
 *     greatest,
 *   - any, when the subject has been idle for CLUSTER_MERGE_QUIET_NS.
 *
 * A door that goes without a word, and had agents, is missed for
 * CLUSTER_MERGE_MISSED_NS: its agents will send what it had to others.
 *
 * What such a door still sends is given at once.  More than 'max_bytes' does
 * not wait.  When none is left, time goes on by this machine's clock where
 * live doors were; where there were files only it stands, and after the quiet
 * cluster_merge_is_over() says that nothing more comes.
 *
 * Postcards of agents that come again, by another door, are left out
 * (server/cluster_reach.h).
 *
 * Messages of a door have numbers without gaps.  Where 'mends' says so, what
 * comes behind a gap waits until the rest has come, which
 * cluster_merge_get_gap() tells of, or is given up by
 * cluster_merge_give_up().
 *
 * What has been given can be written down (cluster_merge_put()), so that a
 * successor who reads from cluster_merge_floor() on gives the rest and nothing
 * twice.
 *
 * Ownership: messages are copied.  Threads: one. */
#ifndef SERVER_CLUSTER_MERGE_H
#define SERVER_CLUSTER_MERGE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/bytes.h"
#include "lib/lh_error.h"
#include "lib/packet_id.h"
#include "lib/postcard.h"

#define CLUSTER_MERGE_SILENT_NS UINT64_C(2000000000)
#define CLUSTER_MERGE_BEHIND_NS UINT64_C(2000000000)
#define CLUSTER_MERGE_QUIET_NS  UINT64_C(3000000000)
#define CLUSTER_MERGE_MISSED_NS UINT64_C(20000000000)
/* Doors tell of themselves at least so long after postcards. */
#define CLUSTER_MERGE_TOLD_NS UINT64_C(2500000000)
/* Of doors that sent nothing for long the first are forgotten. */
#define CLUSTER_MERGE_MAX_DOORS 1024

struct cluster_codecs;
struct cluster_merge;

struct cluster_merge_config {
    struct packet_id_config id_config;
    struct cluster_codecs *codecs; /* Takes a reference; NULL: its own. */
    size_t max_bytes;              /* Of messages that wait; 0: 64 MiB. */
    uint64_t silent_ns;            /* 0: CLUSTER_MERGE_SILENT_NS. */
    bool mends; /* What is behind a gap in a door's numbers waits. */
    /* The next postcard; 'time_ns' goes back only when clocks were put
     * back.  False: no more for now. */
    bool (*on_card)(void *aux, const struct postcard *, uint64_t time_ns);
    /* See path_table_note_inner(). */
    void (*on_inner)(void *aux, uint64_t inner, uint64_t outer,
                     uint64_t time_ns);
    /* Agents of a live door kept packets up to that threshold, and whether
     * they send what is old, or will: by what the door says (struct
     * cluster_cards_head), or because it has gone.  'time_ns' is by the clock
     * of the merge, or later.  May be NULL. */
    void (*on_agents)(void *aux, uint32_t threshold, bool is_catching_up,
                      uint64_t time_ns);
    /* So many messages are given up; their postcards were received between
     * these times, as far as is known (0, UINT64_MAX); 'is_hurried': because
     * more than 'max_bytes' waited behind them.  May be NULL. */
    void (*on_missing)(void *aux, uint64_t n, uint64_t since_ns,
                       uint64_t until_ns, bool is_hurried);
    void *aux;
};

struct cluster_merge_message {
    uint64_t seq;       /* In the stream; they rise. */
    uint64_t stored_ns; /* When NATS had it. */
    const uint8_t *data;
    size_t size;
};

struct cluster_merge_counters {
    uint64_t messages; /* Taken, of which */
    uint64_t again;    /* came a second time, */
    uint64_t broken;   /* could not be read. */
    uint64_t cards;    /* Given. */
    uint64_t doubled;  /* Left out: they came before. */
    uint64_t late;     /* Of these, after their time. */
    uint64_t hurried;  /* Postcards that should have waited, but for room. */
    uint64_t doors;    /* Now known; of these */
    uint64_t waited;   /* are waited for, */
    uint64_t behind;   /* are not, for they are behind. */
    uint64_t held, held_bytes; /* Messages that wait. */
    uint64_t gaps;             /* That were waited for; so many */
    uint64_t missing;          /* messages did not come all the same. */
};

struct cluster_merge *
cluster_merge_create(const struct cluster_merge_config *);
/* NULL is fine. */
void cluster_merge_destroy(struct cluster_merge *);

/* 'now_ns' is any clock that only goes forward.  Returns 0, also for a message
 * that comes again; EBADMSG, and it is skipped; or ENOTSUP: a newer version
 * wrote it; with the reason. */
int cluster_merge_take(struct cluster_merge *,
                       const struct cluster_merge_message *, uint64_t now_ns,
                       struct lh_error *);

/* Gives what is due, about 'max' postcards.  True: there is more.  'is_idle':
 * all there is in the stream has been taken. */
bool cluster_merge_run(struct cluster_merge *, uint64_t now_ns, bool is_idle,
                       size_t max);
/* Up to when everything was given, so far; 0: nothing is known yet. */
uint64_t cluster_merge_clock_ns(const struct cluster_merge *);
bool cluster_merge_is_over(const struct cluster_merge *);
/* Whether a door that has not ended reads a file. */
bool cluster_merge_has_file(const struct cluster_merge *);

/* The lowest number of a message that was not given in full, or 'next_seq'. */
uint64_t cluster_merge_floor(const struct cluster_merge *, uint64_t next_seq);
/* Whether agents are known: cluster_merge_put_reach() then has something to
 * say. */
bool cluster_merge_has_reach(const struct cluster_merge *);
/* As the two below, what is known of agents. */
void cluster_merge_put_reach(const struct cluster_merge *,
                             struct byte_buf *out);
int cluster_merge_read_reach(struct cluster_merge *, struct bytes_reader *);
/* Appends what a successor must know; reads it, into one that has taken
 * nothing.  Returns 0 or EBADMSG. */
void cluster_merge_put(const struct cluster_merge *, struct byte_buf *out);
int cluster_merge_read(struct cluster_merge *, struct bytes_reader *);

/* Messages of a door that are missing, while later ones have come or are
 * known of. */
struct cluster_merge_gap {
    uint64_t door;
    uint64_t first, last; /* Their numbers. */
    uint64_t seq;         /* In the stream: they are behind this one, as far
                           * as is known. */
    /* By the clock of who called first; for whoever sees to it. */
    uint64_t since_ns, asked_ns;
    bool is_gone; /* Nobody answers for the door. */
};
/* The gap of door number '*i' or a later one, which '*i' then is; it can be
 * changed until the next call of anything.  NULL: there is none.  With
 * 'is_idle' all that there is in the stream has been taken. */
struct cluster_merge_gap *cluster_merge_get_gap(struct cluster_merge *,
                                                size_t *i, uint64_t now_ns,
                                                bool is_idle);
/* The door has sent messages up to that number, it says; nonsense is left
 * out. */
void cluster_merge_expect(struct cluster_merge *, uint64_t door,
                          uint64_t number);
/* Those of the door below 'number' do not come any more; at most those that
 * are known to be missing.  Returns how many
 * that are that were not to be expected, because they are above 'covered'. */
uint64_t cluster_merge_give_up(struct cluster_merge *, uint64_t door,
                               uint64_t number, uint64_t covered);
/* What is written down now is about to be committed; it is. */
void cluster_merge_begin_commit(struct cluster_merge *);
void cluster_merge_end_commit(struct cluster_merge *);
/* Whether what came of that message, of a door that is known, is not committed
 * yet. */
bool cluster_merge_needs(const struct cluster_merge *, const uint8_t *data,
                         size_t size);
/* Door number '*i' or a later one, which '*i' then is, that does not know
 * yet up to which message all is committed.  It is told about once a
 * second. */
bool cluster_merge_get_news(struct cluster_merge *, size_t *i, uint64_t now_ns,
                            uint64_t *door, uint64_t *number);

/* Why a message could not be read, the last one; NULL: all could. */
const char *cluster_merge_trouble(const struct cluster_merge *);
void cluster_merge_get_counters(const struct cluster_merge *,
                                struct cluster_merge_counters *);

#endif /* server/cluster_merge.h */
