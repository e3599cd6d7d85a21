/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_impl - what the parts of pipeline share.
 *
 *   pipeline          all that does not depend on the number of threads
 *   pipeline_workers  threads: their life, and what they tell
 *
 * Included by pipeline*.c only. */
#ifndef SERVER_PIPELINE_IMPL_H
#define SERVER_PIPELINE_IMPL_H 1

#include <stdatomic.h>

#include "server/dispatch.h"
#include "server/json_lines.h"
#include "server/loss_ledger.h"
#include "server/loss_wait.h"
#include "server/mailbox.h"
#include "server/pipeline.h"
#include "server/shard.h"
#include "server/worker.h"

/* A round of the archive that workers are at. */
struct round {
    atomic_uint n_left; /* Workers that have not sealed their part. */
    uint64_t now_ns;
};

/* What a worker's shard calls. */
struct waiter {
    struct pipeline *pipeline;
    uint32_t index;
};

struct pipeline {
    struct pipeline_config config;
    struct topology *topology;              /* Owned reference, or NULL. */
    uint64_t now_ns;                        /* The latest time heard of. */
    struct json_lines *json;                /* Owned, or NULL. */
    struct loss_wait *wait;                 /* Owned; NULL without a ledger. */
    struct archive_writer_counters archive; /* As far as heard of. */

    struct shard *shard; /* Of one thread; NULL: */
    size_t n_workers;
    struct worker **workers;      /* Owned. */
    struct trigger_share **share; /* One of each.  Owned. */
    struct dispatch *dispatch;    /* To the workers.  Owned. */
    struct ingest *door;          /* Counts what they have no room for.
                                   * Owned. */
    uint64_t n_dropped;           /* Postcards that were. */
    bool is_topology_due;         /* Workers had no room for it. */
    struct waiter *waiters;       /* One of each.  Owned. */
    struct mailbox *mail;         /* From workers.  Owned. */
    int wake_fd;                  /* Readable when there is mail, or: */
    struct event *woken;          /* Owned. */
    atomic_uint n_flushing;       /* Workers that are. */
    atomic_uint n_rounds;         /* That workers are at. */

    struct counters rested; /* What was counted when all rested last. */

    /* Of whoever makes a round, one at a time. */
    bool is_losing; /* The archive's trouble was said. */
    uint64_t n_lost_said;
};

/* Of each shard, to be completed. */
struct shard_config pipeline_shard_config(struct pipeline *);
/* Tells the ledger of losses how far workers have come. */
void pipeline_tell_ledger(struct pipeline *);
/* Makes durable what all parts have sealed.  Any thread, one at a time. */
void pipeline_end_round(struct pipeline *, uint64_t now_ns);

void pipeline_create_workers(struct pipeline *);
void pipeline_destroy_workers(struct pipeline *);
/* Waits until all have closed what is open. */
void pipeline_flush_workers(struct pipeline *, uint64_t now_ns);
/* Waits until '*n' is 0, while workers' mail is worked on. */
void pipeline_wait_for(struct pipeline *, atomic_uint *n);
/* Waits until the workers can be told something. */
void pipeline_wait_to_tell(struct pipeline *);

#endif /* server/pipeline_impl.h */
