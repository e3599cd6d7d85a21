/* SPDX-License-Identifier: Apache-2.0 */
/* dispatch - hands what was received to all workers, in order. */
#include <config.h>

#include "server/dispatch.h"

#include <stdlib.h>

#include "lib/lh_alloc.h"
#include "server/batch.h"

#define LIVE_BATCHES (WORKER_MAX_BATCHES - RESERVED)
#define RESERVED     8  /* Of these, for what are no packets. */
#define FILE_AHEAD   8  /* From a file: what waits for the first worker, */
#define FILE_BATCHES 64 /* and for the last. */
#define FILE_SLACK   16 /* Room there is again when so many are done. */
#define FEW_BATCHES  2  /* A worker with no more than so many has little. */
#define MANY_BATCHES 4  /* Worth to wake it for. */

struct dispatch {
    struct worker *const *workers;
    size_t n_workers;
    bool is_file;
    struct ingest *door;
    struct sieve sieve;

    struct batch *current; /* Being filled, or NULL.  Owned. */
    struct batch *free;    /* Empty ones, last used first.  Owned. */
    /* What workers have, oldest first.  Owned. */
    struct batch *oldest, *newest;
    size_t n_out;
};

struct dispatch *
dispatch_create(struct worker *const *workers, size_t n_workers, bool is_file,
                struct ingest *door, uint32_t id_bytes)
{
    struct dispatch *d = lh_alloc_zero(sizeof *d);

    d->workers = workers;
    d->n_workers = n_workers;
    d->is_file = is_file;
    d->door = door;
    d->sieve =
        (struct sieve){.n_shares = (uint32_t) n_workers, .id_bytes = id_bytes};
    return d;
}

static void
destroy_all(struct batch *batch)
{
    while (batch) {
        struct batch *newer = batch->newer;

        batch_destroy(batch);
        batch = newer;
    }
}

void
dispatch_destroy(struct dispatch *d)
{
    if (d) {
        batch_destroy(d->current);
        destroy_all(d->free);
        destroy_all(d->oldest);
        free(d);
    }
}

/* --- Batches --------------------------------------------------------------
 */

static void
put_free(struct dispatch *d, struct batch *batch)
{
    batch_clear(batch);
    batch->newer = d->free;
    d->free = batch;
}

/* Takes it out of those that workers have. */
static void
take_out(struct dispatch *d, struct batch *batch)
{
    if (batch->older) {
        batch->older->newer = batch->newer;
    } else {
        d->oldest = batch->newer;
    }
    if (batch->newer) {
        batch->newer->older = batch->older;
    } else {
        d->newest = batch->older;
    }
    d->n_out--;
}

/* Takes back what all workers are done with. */
static void
take_back(struct dispatch *d)
{
    for (size_t i = 0; i < d->n_workers; i++) {
        struct batch *batch;

        while ((batch = worker_take_back(d->workers[i]))) {
            take_out(d, batch);
            put_free(d, batch);
        }
    }
}

static struct batch *
take_free(struct dispatch *d, enum batch_kind kind, uint64_t now_ns)
{
    struct batch *batch;

    take_back(d);
    batch = d->free;
    if (batch) {
        d->free = batch->newer;
        batch->newer = NULL;
    } else {
        batch = batch_create();
    }
    batch->kind = kind;
    batch->now_ns = now_ns;
    return batch;
}

static size_t
most_waiting(const struct dispatch *d)
{
    size_t most = 0;

    for (size_t i = 0; i < d->n_workers; i++) {
        size_t n = worker_n_waiting(d->workers[i]);

        most = n > most ? n : most;
    }
    return most;
}

static size_t
least_waiting(const struct dispatch *d)
{
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < d->n_workers; i++) {
        size_t n = worker_n_waiting(d->workers[i]);

        least = n < least ? n : least;
    }
    return least;
}

bool
dispatch_has_room(struct dispatch *d)
{
    if (!d->is_file) {
        return most_waiting(d) < LIVE_BATCHES;
    }
    take_back(d);
    return d->current ||
           (d->n_out < FILE_BATCHES && least_waiting(d) < FILE_AHEAD);
}

bool
dispatch_want_room(struct dispatch *d)
{
    bool is_one_behind;
    size_t most;

    if (dispatch_has_room(d)) {
        return false;
    }
    is_one_behind = d->n_out >= FILE_BATCHES;
    most = most_waiting(d);
    for (size_t i = 0; i < d->n_workers; i++) {
        size_t n = worker_n_waiting(d->workers[i]);

        if (!is_one_behind) {
            worker_tell_room(d->workers[i], FILE_AHEAD / 2);
        } else if (n + FILE_SLACK > most) {
            worker_tell_room(d->workers[i],
                             n > FILE_SLACK ? n - FILE_SLACK : 0);
        }
        worker_wake(d->workers[i]);
    }
    /* There may be room since before they were asked. */
    return !dispatch_has_room(d);
}

/* --- Handing over ---------------------------------------------------------
 */

/* Looks at the packets of which a worker takes none. */
static void
drop(struct dispatch *d, const struct batch *batch, uint32_t share)
{
    ingest_set_share(d->door, share);
    for (size_t i = 0; i < batch->n; i++) {
        ingest_take(d->door, &batch->packets[i]);
    }
}

/* Hands the batch to all workers with fewer than 'max' to do. */
static void
push(struct dispatch *d, struct batch *batch, size_t max)
{
    bool takes[WORKER_MAX];
    unsigned int n = 0;

    for (size_t i = 0; i < d->n_workers; i++) {
        takes[i] = worker_n_waiting(d->workers[i]) < max;
        n += takes[i];
        if (!takes[i]) {
            drop(d, batch, (uint32_t) i);
        }
    }
    if (!n) {
        put_free(d, batch);
        return;
    }
    atomic_store_explicit(&batch->n_refs, n, memory_order_relaxed);
    batch->older = d->newest;
    if (d->newest) {
        d->newest->newer = batch;
    } else {
        d->oldest = batch;
    }
    d->newest = batch;
    d->n_out++;
    for (size_t i = 0; i < d->n_workers; i++) {
        if (takes[i]) {
            worker_push(d->workers[i], batch);
        }
    }
}

static void
push_current(struct dispatch *d)
{
    struct batch *batch = d->current;

    d->current = NULL;
    if (batch) {
        push(d, batch, d->is_file ? WORKER_MAX_BATCHES : LIVE_BATCHES);
    }
}

static void
wake_all(struct dispatch *d, size_t n_least)
{
    for (size_t i = 0; i < d->n_workers; i++) {
        if (worker_n_waiting(d->workers[i]) >= n_least) {
            worker_wake(d->workers[i]);
        }
    }
}

void
dispatch_add(struct dispatch *d, const struct ingest_packet *packet)
{
    if (!d->current) {
        d->current = take_free(d, BATCH_RECEIVED, packet->time_ns);
    }
    batch_add(d->current, packet, sieve_share(&d->sieve, packet));
    if (batch_is_full(d->current)) {
        push_current(d);
        /* Nobody waits for what is in a file: not to be woken for each. */
        wake_all(d, d->is_file ? MANY_BATCHES : 0);
    }
}

void
dispatch_read(struct dispatch *d, struct split_file *file, uint64_t end,
              bool is_last)
{
    struct batch *batch;

    push_current(d);
    batch = take_free(d, BATCH_FILE, 0);
    batch->file = file;
    batch->end = end;
    batch->is_last = is_last;
    push(d, batch, WORKER_MAX_BATCHES);
    wake_all(d, 0);
}

void
dispatch_send(struct dispatch *d)
{
    push_current(d);
    wake_all(d, 0);
}

void
dispatch_send_if_idle(struct dispatch *d)
{
    if (d->current && least_waiting(d) <= FEW_BATCHES) {
        dispatch_send(d);
    }
}

bool
dispatch_can_tell(struct dispatch *d)
{
    return most_waiting(d) + 1 < WORKER_MAX_BATCHES;
}

/* A batch that is no packets, to be filled in and sent; NULL: no room. */
static struct batch *
tell(struct dispatch *d, enum batch_kind kind, uint64_t now_ns)
{
    if (!dispatch_can_tell(d)) {
        return NULL;
    }
    push_current(d);
    return take_free(d, kind, now_ns);
}

static bool
send_told(struct dispatch *d, struct batch *batch)
{
    if (batch) {
        push(d, batch, WORKER_MAX_BATCHES);
        wake_all(d, 0);
    }
    return batch != NULL;
}

bool
dispatch_topology(struct dispatch *d, const struct topology *topology,
                  uint64_t now_ns)
{
    struct batch *batch = tell(d, BATCH_TOPOLOGY, now_ns);

    if (batch) {
        batch->topology = topology_ref(topology);
    }
    return send_told(d, batch);
}

bool
dispatch_run(struct dispatch *d, uint64_t now_ns)
{
    return most_waiting(d) < LIVE_BATCHES &&
           send_told(d, tell(d, BATCH_RUN, now_ns));
}

bool
dispatch_round(struct dispatch *d, void *round)
{
    struct batch *batch = tell(d, BATCH_ROUND, UINT64_MAX);

    if (batch) {
        batch->round = round;
    }
    return send_told(d, batch);
}

bool
dispatch_flush(struct dispatch *d, uint64_t now_ns)
{
    return send_told(d, tell(d, BATCH_FLUSH, now_ns));
}

bool
dispatch_is_done(struct dispatch *d)
{
    take_back(d);
    return !d->oldest && !d->current;
}

bool
dispatch_is_idle(struct dispatch *d)
{
    dispatch_send(d);
    return dispatch_is_done(d);
}

uint64_t
dispatch_done_ns(struct dispatch *d)
{
    uint64_t done_ns = UINT64_MAX;

    take_back(d);
    for (const struct batch *b = d->oldest; b; b = b->newer) {
        if (b->kind == BATCH_RECEIVED) {
            done_ns = b->now_ns;
            break;
        }
    }
    return d->current && d->current->now_ns < done_ns ? d->current->now_ns
                                                      : done_ns;
}
