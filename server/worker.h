/* SPDX-License-Identifier: Apache-2.0 */
/* worker - a thread with a shard.
 *
 * The thread of the event loop hands it batches of postcards through a ring
 * and gets them back, empty, through another.  Of batches there are so many
 * and no more: when all are under way, worker_has_room() is false, and who has
 * postcards drops them, or waits where they come from a file.  The last few
 * are kept for what is no postcard.
 *
 * Rules come as mail, before the batches that were sent after them.
 *
 * Between two batches the worker can be made to rest, for a look at what is
 * its own.
 *
 * Threads: all functions but worker_create() and worker_destroy() only from
 * the thread that made it, which calls them "the main thread". */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/postcard.h"
#include "lib/topology.h"
#include "server/mailbox.h"
#include "server/piece.h"
#include "server/shard.h"

/* Between two looks whether a worker rests. */
#define WORKER_LOOK_NS 100000

struct worker_config {
    uint32_t index;
    struct shard_config shard; /* 'rules' is the worker's own affair. */
    bool can_ask;              /* Whether somebody knows more rules. */
    /* Postcards wait until rules that were asked for have come; for a file,
     * whose time stands still meanwhile. */
    bool waits_for_rules;
    struct mailbox *main; /* Where MAIL_ASK goes. */
    /* Called by the worker: a record of BATCH_ROUND, BATCH_FLUSH (NULL) was
     * worked on; 'round' is the record's. */
    void (*on_done)(void *aux, uint32_t index, void *round);
    /* The topology has reached the worker. */
    void (*on_topology)(void *aux, uint32_t index, const struct topology *,
                        uint64_t now_ns);
    /* There is room again, which worker_want_room() asked for. */
    void (*on_room)(void *aux);
    void *aux;
};

struct worker_counters {
    uint64_t n_sent;    /* Postcards handed over. */
    uint64_t n_dropped; /* Postcards refused: no room. */
    uint64_t n_waiting; /* Of the sent, not worked on yet. */
};

struct worker;

struct worker *worker_create(const struct worker_config *);
/* Stops the thread.  What was not worked on is dropped: flush first. */
void worker_destroy(struct worker *);

/* Whether the next postcard finds room. */
bool worker_has_room(struct worker *);
/* Where there is no room, asks for 'on_room', and returns true when it is
 * worth to wait for that. */
bool worker_want_room(struct worker *);
/* When there is no room, counts the postcard as dropped and returns false. A
 * header that lies in 'piece' (NULL: none) is not copied. */
bool worker_add(struct worker *, const struct postcard *, struct piece *);
/* The following are false, and nothing done, when there is no room. */
bool worker_add_inner(struct worker *, uint64_t inner, uint64_t outer,
                      uint64_t time_ns);
bool worker_add_topology(struct worker *, const struct topology *,
                         uint64_t now_ns);
bool worker_add_run(struct worker *, uint64_t now_ns);
bool worker_add_round(struct worker *, void *round);
bool worker_add_flush(struct worker *, uint64_t now_ns);
/* Whether one of these finds room. */
bool worker_can_tell(struct worker *);

/* Hands over what was added, at the latest now ... */
void worker_send(struct worker *);
/* ... or when the worker has little to do. */
void worker_send_if_idle(struct worker *);
/* Moves the mail to the worker. */
void worker_post(struct worker *, struct mail *);

/* Whether it has nothing to do. */
bool worker_is_idle(const struct worker *);
/* As path_table_next_ns(), of when it last had nothing to do. */
uint64_t worker_next_ns(const struct worker *);

/* The worker rests between these two, after the batch at hand; its shard may
 * be used. */
void worker_pause(struct worker *);
/* The same, but looks no more than '*n_looks' times, which it counts down, and
 * returns false then: the batch at hand may wait for the disk. */
bool worker_try_pause(struct worker *, unsigned int *n_looks);
void worker_resume(struct worker *);
struct shard *worker_shard(struct worker *);
void worker_get_counters(struct worker *, struct worker_counters *);

#endif /* server/worker.h */
