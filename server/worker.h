/* SPDX-License-Identifier: Apache-2.0 */
/* worker - a thread with a shard.
 *
 * The thread of the event loop hands it batches of received packets through a
 * ring and gets them back, from whoever was last to look at them, through
 * another (server/dispatch.h).  The worker takes its share of the packets:
 * decodes them, names them, and gives them to its shard.
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

#include "lib/topology.h"
#include "server/ingest.h"
#include "server/loss_ledger.h"
#include "server/mailbox.h"
#include "server/shard.h"

#define WORKER_MAX         64
#define WORKER_MAX_BATCHES 1024 /* On their way to one; a power of 2. */
/* Between two looks whether a worker rests. */
#define WORKER_LOOK_NS 100000

struct worker_config {
    uint32_t index;
    struct shard_config shard; /* 'rules' is the worker's own affair. */
    /* 'rules', 'accept' (copied; NULL: all), 'give' and 'give_inner' are, too.
     */
    struct ingest_config ingest;
    struct loss_ledger *ledger; /* Told of what came; NULL: nobody counts. */
    bool can_ask;               /* Whether somebody knows more rules. */
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
    /* There is room again, which worker_tell_room() asked for. */
    void (*on_room)(void *aux);
    void *aux;
};

struct batch;
struct worker;

struct worker *worker_create(const struct worker_config *);
/* Lets the thread end, which frees what it has: soon, and beside others.  What
 * was not worked on is dropped: flush first. */
void worker_stop(struct worker *);
/* Waits for that, and stops it before if nobody has. */
void worker_destroy(struct worker *);

/* Hands it a batch, for which there must be room; wake it soon after. */
void worker_push(struct worker *, struct batch *);
void worker_wake(struct worker *);
/* A batch of which it was the last to look at; NULL: none for now. */
struct batch *worker_take_back(struct worker *);
/* Batches that it has not begun with. */
size_t worker_n_waiting(const struct worker *);
/* Asks for one 'on_room' when there are no more than 'n' of these. */
void worker_tell_room(struct worker *, size_t n);
/* Moves the mail to the worker. */
void worker_post(struct worker *, struct mail *);

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
/* Adds to '*counters' what is counted here, while it rests. */
void worker_collect(struct worker *, struct counters *);

#endif /* server/worker.h */
