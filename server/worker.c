/* SPDX-License-Identifier: Apache-2.0 */
/* worker - a thread with a shard. */
#include <config.h>

#include "server/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "lib/lh_alloc.h"
#include "lib/ring.h"
#include "server/batch.h"
#include "server/bell.h"

#define MAX_BATCHES  512 /* 16 MiB of postcards. */
#define LIVE_BATCHES (MAX_BATCHES - RESERVED)
#define FILE_BATCHES 24 /* From a file: as much as caches hold. */
#define RESERVED     8  /* Of these, for what is no postcard. */
#define FEW_BATCHES  2  /* A worker with no more than so many has little. */
#define MANY_BATCHES 4  /* Worth to wake it for. */

struct worker {
    struct worker_config config;
    pthread_t thread;
    atomic_bool is_stopping;
    struct bell *bell;    /* Rings when there is a batch or mail. */
    struct ring *full;    /* To the worker. */
    struct ring *emptied; /* Back. */
    struct mailbox *mail; /* To the worker. */

    /* Held by the worker while it works on a batch, by the main thread while
     * the worker shall rest: it guards what is the worker's own.  A lock and
     * not messages, so that who asks sees all workers at one moment.  'gate'
     * lets the main thread have its turn between two batches. */
    pthread_mutex_t mutex, gate;

    /* The worker's. */
    struct shard *shard;      /* Owned. */
    struct rule_cache *rules; /* Owned. */
    uint64_t now_ns;
    atomic_uint_least64_t next_ns;     /* Of the shard. */
    atomic_uint_least64_t n_postcards; /* Worked on. */
    atomic_uint_least64_t n_batches;   /* Worked on. */
    atomic_bool is_room_wanted;        /* The main thread waits for some. */

    /* The main thread's. */
    struct batch *current; /* Being filled; NULL: none. */
    struct batch *free;    /* Empty ones, last used first. */
    size_t n_free, n_allocated, max_batches;
    uint64_t n_batches_sent;
    struct worker_counters counters;
};

/* --- The worker's thread ------------------------------------------------- */

static bool
ask(void *w_, uint64_t dpid, uint32_t version)
{
    struct worker *w = w_;
    struct mail *mail;

    if (!w->config.can_ask) {
        return false;
    }
    mail = mail_create(MAIL_ASK, 0);
    mail->worker = w->config.index;
    mail->dpid = dpid;
    mail->version = version;
    mailbox_post(w->config.main, mail);
    return true;
}

static void
take_mail(struct worker *w)
{
    struct mail *next;

    if (mailbox_is_empty(w->mail)) {
        return;
    }
    for (struct mail *mail = mailbox_take(w->mail); mail; mail = next) {
        next = mail->next;
        switch (mail->kind) {
        case MAIL_RULE_ADDED:
            rule_cache_add(w->rules, mail->rule);
            mail->rule = NULL;
            break;
        case MAIL_RULE_DENIED:
            rule_cache_deny(w->rules, mail->dpid, mail->version, w->now_ns);
            break;
        case MAIL_RULE_GONE:
            rule_cache_gone(w->rules, mail->dpid, mail->version);
            break;
        case MAIL_RULE_RESTART:
            rule_cache_restart(w->rules);
            break;
        case MAIL_GIVE:
            shard_give(w->shard, mail->history);
            mail->history = NULL;
            break;
        case MAIL_FILTER_ADDED:
            trigger_share_add(w->config.shard.share, mail->trigger, mail->phf);
            mail->phf = NULL;
            break;
        case MAIL_FILTER_GONE:
            trigger_share_remove(w->config.shard.share, mail->trigger);
            break;
        case MAIL_ASK:
        case MAIL_WAIT:
        case MAIL_HIT:
            break; /* These go the other way. */
        }
        mail_destroy(mail);
    }
}

/* Sleeps until there is mail, while the main thread may look. */
static void
wait_for_rules(struct worker *w)
{
    while (rule_cache_n_waiting(w->rules) && !atomic_load(&w->is_stopping)) {
        pthread_mutex_unlock(&w->mutex);
        bell_prepare(w->bell);
        if (!mailbox_is_empty(w->mail) || atomic_load(&w->is_stopping)) {
            bell_cancel(w->bell);
        } else {
            bell_wait(w->bell);
        }
        pthread_mutex_lock(&w->mutex);
        take_mail(w);
    }
}

static void
work_on_postcard(struct worker *w, const struct postcard *p)
{
    w->now_ns = p->time_ns;
    if (w->config.waits_for_rules) {
        /* Only time in the file tells when something is due. */
        if (p->time_ns >= shard_next_ns(w->shard)) {
            shard_run_to(w->shard, p->time_ns);
        }
        shard_push(w->shard, p);
        if (rule_cache_n_waiting(w->rules)) {
            wait_for_rules(w);
        }
    } else {
        shard_push(w->shard, p);
    }
}

static void
work_on(struct worker *w, struct batch_record *r)
{
    switch (r->kind) {
    case BATCH_POSTCARD:
        work_on_postcard(w, &r->postcard);
        break;
    case BATCH_INNER:
        shard_note_inner(w->shard, r->inner.inner, r->inner.outer,
                         r->inner.time_ns);
        break;
    case BATCH_TOPOLOGY:
        shard_set_topology(w->shard, r->topology.topology, r->topology.now_ns);
        w->config.on_topology(w->config.aux, w->config.index,
                              r->topology.topology, r->topology.now_ns);
        break;
    case BATCH_RUN:
        w->now_ns = r->now_ns;
        shard_run(w->shard, r->now_ns);
        break;
    case BATCH_ROUND:
        if (shard_archive(w->shard)) {
            archive_part_seal(shard_archive(w->shard));
        }
        break;
    case BATCH_FLUSH:
        shard_flush(w->shard, r->now_ns);
        break;
    }
}

/* Tells of rounds and flushes that were in the batch.  The worker holds
 * nothing: a round may wait for the disk. */
static void
tell_done(struct worker *w, struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        const struct batch_record *r = &batch->records[i];

        if (r->kind == BATCH_ROUND) {
            w->config.on_done(w->config.aux, w->config.index, r->round.round);
        } else if (r->kind == BATCH_FLUSH) {
            w->config.on_done(w->config.aux, w->config.index, NULL);
        }
    }
}

static void
work_on_batch(struct worker *w, struct batch *batch)
{
    uint64_t n_postcards = 0;

    if (batch) {
        for (size_t i = 0; i < batch->n; i++) {
            batch_prefetch(batch, i);
            work_on(w, &batch->records[i]);
        }
        n_postcards = batch->n_postcards;
    }
    shard_drain(w->shard);
    atomic_store(&w->next_ns, shard_next_ns(w->shard));
    atomic_store_explicit(&w->n_postcards,
                          atomic_load(&w->n_postcards) + n_postcards,
                          memory_order_relaxed);
}

/* Batches that wait for the worker when there is plenty of room again. */
static size_t
low_water(const struct worker *w)
{
    return (w->max_batches - RESERVED) / 2;
}

/* Wakes the main thread when it waits for room and there is plenty. */
static void
tell_room(struct worker *w)
{
    if (atomic_load(&w->is_room_wanted) &&
        ring_count(w->full) <= low_water(w)) {
        atomic_store(&w->is_room_wanted, false);
        w->config.on_room(w->config.aux);
    }
}

static void *
run(void *w_)
{
    struct worker *w = w_;

    while (!atomic_load(&w->is_stopping)) {
        struct batch *batch = ring_pop(w->full);

        if (!batch && mailbox_is_empty(w->mail)) {
            bell_prepare(w->bell);
            if (ring_count(w->full) || !mailbox_is_empty(w->mail) ||
                atomic_load(&w->is_stopping)) {
                bell_cancel(w->bell);
            } else {
                bell_wait(w->bell);
            }
            continue;
        }
        pthread_mutex_lock(&w->gate);
        pthread_mutex_unlock(&w->gate);
        pthread_mutex_lock(&w->mutex);
        take_mail(w);
        work_on_batch(w, batch);
        pthread_mutex_unlock(&w->mutex);
        if (batch) {
            if (batch->is_awaited) {
                tell_done(w, batch);
            }
            ring_push(w->emptied, batch);
            atomic_store(&w->n_batches, atomic_load(&w->n_batches) + 1);
            tell_room(w);
        }
    }
    return NULL;
}

/* --- Life ---------------------------------------------------------------- */

static void
wake(void *w_)
{
    struct worker *w = w_;

    bell_ring(w->bell);
}

struct worker *
worker_create(const struct worker_config *config)
{
    struct worker *w = lh_alloc_zero(sizeof *w);
    struct rule_cache_config rules = {.ask = ask, .aux = w};
    sigset_t all, before;

    w->config = *config;
    w->max_batches =
        (config->waits_for_rules ? FILE_BATCHES : LIVE_BATCHES) + RESERVED;
    w->rules = rule_cache_create(&rules);
    w->config.shard.rules = w->rules;
    w->shard = shard_create(&w->config.shard);
    w->bell = bell_create();
    w->full = ring_create(MAX_BATCHES);
    w->emptied = ring_create(MAX_BATCHES);
    w->mail = mailbox_create(SIZE_MAX, wake, w);
    pthread_mutex_init(&w->mutex, NULL);
    pthread_mutex_init(&w->gate, NULL);
    atomic_init(&w->is_stopping, false);
    atomic_init(&w->next_ns, UINT64_MAX);
    atomic_init(&w->n_postcards, 0);
    atomic_init(&w->n_batches, 0);
    atomic_init(&w->is_room_wanted, false);
    /* Signals are the event loop's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&w->thread, NULL, run, w)) {
        abort();
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return w;
}

void
worker_destroy(struct worker *w)
{
    struct batch *batch;

    if (!w) {
        return;
    }
    atomic_store(&w->is_stopping, true);
    bell_ring(w->bell);
    pthread_join(w->thread, NULL);
    batch_destroy(w->current);
    while ((batch = ring_pop(w->full)) || (batch = ring_pop(w->emptied))) {
        batch_destroy(batch);
    }
    while ((batch = w->free)) {
        w->free = batch->next;
        batch_destroy(batch);
    }
    mailbox_destroy(w->mail);
    shard_destroy(w->shard);
    rule_cache_destroy(w->rules);
    ring_destroy(w->full);
    ring_destroy(w->emptied);
    bell_destroy(w->bell);
    pthread_mutex_destroy(&w->mutex);
    pthread_mutex_destroy(&w->gate);
    free(w);
}

/* --- The main thread ----------------------------------------------------- */

/* An empty batch, if so many more stay; NULL: none. */
static struct batch *
take_free(struct worker *w, size_t n_reserved)
{
    struct batch *batch;

    while ((batch = ring_pop(w->emptied))) {
        batch_clear(batch);
        batch->next = w->free;
        w->free = batch;
        w->n_free++;
    }
    if (w->n_free + (w->max_batches - w->n_allocated) <= n_reserved) {
        return NULL;
    }
    batch = w->free;
    if (batch) {
        w->free = batch->next;
        w->n_free--;
        return batch;
    }
    w->n_allocated++;
    return batch_create();
}

static bool
has_room(struct worker *w, size_t n_reserved)
{
    if (!w->current) {
        w->current = take_free(w, n_reserved);
    }
    return w->current != NULL;
}

bool
worker_has_room(struct worker *w)
{
    return has_room(w, RESERVED);
}

bool
worker_want_room(struct worker *w)
{
    if (worker_has_room(w)) {
        return false;
    }
    atomic_store(&w->is_room_wanted, true);
    bell_ring(w->bell);
    /* It may have made room before it saw that it is wanted. */
    return ring_count(w->full) > low_water(w);
}

bool
worker_can_tell(struct worker *w)
{
    return has_room(w, 0);
}

/* Hands over the current batch. */
static void
push(struct worker *w)
{
    w->counters.n_sent += w->current->n_postcards;
    w->n_batches_sent++;
    /* There are no more batches than it has room for. */
    ring_push(w->full, w->current);
    w->current = NULL;
}

void
worker_send(struct worker *w)
{
    if (w->current && w->current->n) {
        push(w);
    }
    bell_ring(w->bell);
}

void
worker_send_if_idle(struct worker *w)
{
    if (w->current && w->current->n && ring_count(w->full) <= FEW_BATCHES) {
        worker_send(w);
    }
}

static void
send_if_full(struct worker *w)
{
    if (!batch_is_full(w->current)) {
        return;
    }
    push(w);
    /* Nobody waits for what is in a file: not to be woken for each. */
    if (!w->config.waits_for_rules || ring_count(w->full) >= MANY_BATCHES) {
        bell_ring(w->bell);
    }
}

bool
worker_add(struct worker *w, const struct postcard *p, struct piece *piece)
{
    if (!worker_has_room(w)) {
        w->counters.n_dropped++;
        return false;
    }
    batch_add_postcard(w->current, p, piece);
    send_if_full(w);
    return true;
}

static struct batch_record *
add(struct worker *w, enum batch_kind kind)
{
    return worker_can_tell(w) ? batch_add(w->current, kind) : NULL;
}

bool
worker_add_inner(struct worker *w, uint64_t inner, uint64_t outer,
                 uint64_t time_ns)
{
    struct batch_record *r =
        worker_has_room(w) ? batch_add(w->current, BATCH_INNER) : NULL;

    if (r) {
        r->inner.inner = inner;
        r->inner.outer = outer;
        r->inner.time_ns = time_ns;
        send_if_full(w);
    }
    return r != NULL;
}

bool
worker_add_topology(struct worker *w, const struct topology *topology,
                    uint64_t now_ns)
{
    struct batch_record *r = add(w, BATCH_TOPOLOGY);

    if (r) {
        r->topology.topology = topology_ref(topology);
        r->topology.now_ns = now_ns;
        worker_send(w);
    }
    return r != NULL;
}

static bool
add_time(struct worker *w, enum batch_kind kind, uint64_t now_ns)
{
    struct batch_record *r = add(w, kind);

    if (r) {
        r->now_ns = now_ns;
        worker_send(w);
    }
    return r != NULL;
}

bool
worker_add_run(struct worker *w, uint64_t now_ns)
{
    return add_time(w, BATCH_RUN, now_ns);
}

bool
worker_add_flush(struct worker *w, uint64_t now_ns)
{
    return add_time(w, BATCH_FLUSH, now_ns);
}

bool
worker_add_round(struct worker *w, void *round)
{
    struct batch_record *r = add(w, BATCH_ROUND);

    if (r) {
        r->round.round = round;
        worker_send(w);
    }
    return r != NULL;
}

void
worker_post(struct worker *w, struct mail *mail)
{
    mailbox_post(w->mail, mail);
}

bool
worker_is_idle(const struct worker *w)
{
    return (!w->current || !w->current->n) &&
           atomic_load(&w->n_batches) == w->n_batches_sent;
}

uint64_t
worker_next_ns(const struct worker *w)
{
    return atomic_load(&w->next_ns);
}

void
worker_pause(struct worker *w)
{
    pthread_mutex_lock(&w->gate);
    pthread_mutex_lock(&w->mutex);
}

bool
worker_try_pause(struct worker *w, unsigned int *n_looks)
{
    static const struct timespec moment = {.tv_nsec = WORKER_LOOK_NS};

    /* The worker stands at the gate after its batch. */
    pthread_mutex_lock(&w->gate);
    while (pthread_mutex_trylock(&w->mutex)) {
        if (!*n_looks) {
            pthread_mutex_unlock(&w->gate);
            return false;
        }
        --*n_looks;
        nanosleep(&moment, NULL);
    }
    return true;
}

void
worker_resume(struct worker *w)
{
    pthread_mutex_unlock(&w->mutex);
    pthread_mutex_unlock(&w->gate);
}

struct shard *
worker_shard(struct worker *w)
{
    return w->shard;
}

void
worker_get_counters(struct worker *w, struct worker_counters *counters)
{
    *counters = w->counters;
    counters->n_sent += w->current ? w->current->n_postcards : 0;
    counters->n_waiting = counters->n_sent - atomic_load(&w->n_postcards);
}
