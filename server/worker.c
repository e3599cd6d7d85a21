/* SPDX-License-Identifier: Apache-2.0 */
/* worker - a thread with a shard. */
#include <config.h>

#include "server/worker.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "lib/lh_alloc.h"
#include "lib/ring.h"
#include "server/batch.h"
#include "server/bell.h"

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
    struct shard *shard;        /* Owned. */
    struct rule_cache *rules;   /* Owned. */
    struct ingest *ingest;      /* Owned. */
    struct sieve sieve;         /* Before it, of a file. */
    struct accept_list *accept; /* Owned, or NULL. */
    /* What the ledger is told of after the batch, if it counts. */
    bool is_counting;
    size_t n_came;
    struct loss_came came[BATCH_PACKETS];
    uint64_t now_ns;
    atomic_uint_least64_t next_ns; /* Of the shard. */
    atomic_size_t room_at; /* The main thread waits until one less wait than
                            * so many; 0: it does not. */
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
work_on_postcard(void *w_, const struct postcard *p)
{
    struct worker *w = w_;

    if (!p->visit) {
        w->now_ns = p->time_ns;
    }
    if (w->is_counting && !p->visit) {
        w->came[w->n_came++] = (struct loss_came){p->dpid, p->time_ns};
    }
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

/* A packet of another's carries one that may be this worker's. */
static void
note_inner(void *w_, uint64_t inner, uint64_t outer, uint64_t time_ns)
{
    struct worker *w = w_;

    shard_note_inner(w->shard, inner, outer, time_ns);
}

static void
work_on_packets(struct worker *w, const struct batch *batch)
{
    w->is_counting =
        w->config.ledger && loss_ledger_is_counting(w->config.ledger);
    w->n_came = 0;
    for (size_t i = 0; i < batch->n; i++) {
        uint32_t share = batch->shares[i];

        if (share == w->config.index || share == SIEVE_ANY) {
            struct ingest_packet packet = batch->packets[i];

            batch_prefetch(batch, i);
            packet.is_mine = share != SIEVE_ANY;
            ingest_take(w->ingest, &packet);
        }
    }
    if (w->n_came) {
        loss_ledger_came(w->config.ledger, w->came, w->n_came);
    }
}

static void
set_topology(struct worker *w, const struct topology *topology,
             uint64_t now_ns)
{
    ingest_set_topology(w->ingest, topology);
    if (w->accept) {
        accept_list_set_topology(w->accept, topology);
    }
    shard_set_topology(w->shard, topology, now_ns);
    w->config.on_topology(w->config.aux, w->config.index, topology, now_ns);
}

static void
seal(struct worker *w)
{
    if (shard_archive(w->shard)) {
        archive_part_seal(shard_archive(w->shard));
    }
}

/* Closes what is open and writes it: a round, which waits for all workers,
 * finds little left to do. */
static void
flush(struct worker *w, uint64_t now_ns)
{
    shard_flush(w->shard, now_ns);
    seal(w);
}

static void
work_on(struct worker *w, const struct batch *batch)
{
    switch (batch->kind) {
    case BATCH_RECEIVED:
        work_on_packets(w, batch);
        break;
    case BATCH_FILE:
        split_file_read(batch->file, w->config.index, batch->end, &w->sieve,
                        w->ingest);
        if (batch->is_last) {
            shard_drain(w->shard);
            wait_for_rules(w);
            flush(w, w->now_ns);
        }
        break;
    case BATCH_TOPOLOGY:
        set_topology(w, batch->topology, batch->now_ns);
        break;
    case BATCH_RUN:
        w->now_ns = batch->now_ns;
        shard_run(w->shard, batch->now_ns);
        break;
    case BATCH_ROUND:
        seal(w);
        break;
    case BATCH_FLUSH:
        flush(w, batch->now_ns);
        break;
    }
}

/* Tells of a round or flush.  The worker holds nothing: a round may wait for
 * the disk. */
static void
tell_done(struct worker *w, const struct batch *batch)
{
    if (batch->kind == BATCH_ROUND || batch->kind == BATCH_FLUSH) {
        w->config.on_done(w->config.aux, w->config.index, batch->round);
    }
}

/* Gives the batch back, and wakes the main thread when it waits for room and
 * there is plenty. */
static void
give_back(struct worker *w, struct batch *batch)
{
    size_t room_at;

    if (batch_unref(batch)) {
        bool has_room = ring_push(w->emptied, batch);

        /* Of each batch that it got it gives back one at most. */
        assert(has_room);
    }
    room_at = atomic_load(&w->room_at);
    if (room_at && ring_count(w->full) < room_at) {
        atomic_store(&w->room_at, 0);
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
        if (batch) {
            work_on(w, batch);
        }
        shard_drain(w->shard);
        atomic_store(&w->next_ns, shard_next_ns(w->shard));
        pthread_mutex_unlock(&w->mutex);
        if (batch) {
            tell_done(w, batch);
            give_back(w, batch);
        }
    }
    /* Here, as there is much to free, and each does it at the same time. */
    shard_destroy(w->shard);
    return NULL;
}

/* --- Life ---------------------------------------------------------------- */

static void
wake(void *w_)
{
    struct worker *w = w_;

    bell_ring(w->bell);
}

static void
create_ingest(struct worker *w)
{
    struct ingest_config *config = &w->config.ingest;

    if (config->accept) {
        w->accept = accept_list_clone(config->accept);
        config->accept = w->accept;
    }
    config->rules = w->rules;
    config->give = work_on_postcard;
    config->give_inner = note_inner;
    config->aux = w;
    w->ingest = ingest_create(config);
    w->sieve = (struct sieve){.n_shares = config->n_shares,
                              .id_bytes = config->id_config.n_bytes};
}

struct worker *
worker_create(const struct worker_config *config)
{
    struct worker *w = lh_alloc_zero(sizeof *w);
    struct rule_cache_config rules = {.ask = ask, .aux = w};
    sigset_t all, before;

    w->config = *config;
    w->rules = rule_cache_create(&rules);
    w->config.shard.rules = w->rules;
    w->shard = shard_create(&w->config.shard);
    create_ingest(w);
    w->bell = bell_create();
    w->full = ring_create(WORKER_MAX_BATCHES);
    w->emptied = ring_create(WORKER_MAX_BATCHES);
    w->mail = mailbox_create(SIZE_MAX, wake, w);
    pthread_mutex_init(&w->mutex, NULL);
    pthread_mutex_init(&w->gate, NULL);
    atomic_init(&w->is_stopping, false);
    atomic_init(&w->next_ns, UINT64_MAX);
    atomic_init(&w->room_at, 0);
    /* Signals are the event loop's. */
    sigfillset(&all);
    sigdelset(&all, SIGBUS); /* Of files that are cut. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&w->thread, NULL, run, w)) {
        abort();
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return w;
}

void
worker_stop(struct worker *w)
{
    atomic_store(&w->is_stopping, true);
    bell_ring(w->bell);
}

void
worker_destroy(struct worker *w)
{
    if (!w) {
        return;
    }
    worker_stop(w);
    pthread_join(w->thread, NULL);
    mailbox_destroy(w->mail);
    ingest_destroy(w->ingest);
    accept_list_destroy(w->accept);
    rule_cache_destroy(w->rules);
    ring_destroy(w->full);
    ring_destroy(w->emptied);
    bell_destroy(w->bell);
    pthread_mutex_destroy(&w->mutex);
    pthread_mutex_destroy(&w->gate);
    free(w);
}

/* --- The main thread ----------------------------------------------------- */

void
worker_push(struct worker *w, struct batch *batch)
{
    bool has_room = ring_push(w->full, batch);

    assert(has_room);
}

void
worker_wake(struct worker *w)
{
    bell_ring(w->bell);
}

struct batch *
worker_take_back(struct worker *w)
{
    return ring_pop(w->emptied);
}

size_t
worker_n_waiting(const struct worker *w)
{
    return ring_count(w->full);
}

void
worker_tell_room(struct worker *w, size_t n)
{
    atomic_store(&w->room_at, n + 1);
}

void
worker_post(struct worker *w, struct mail *mail)
{
    mailbox_post(w->mail, mail);
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
worker_collect(struct worker *w, struct counters *counters)
{
    struct rule_cache_counters rules;

    ingest_collect(w->ingest, counters);
    shard_collect(w->shard, counters);
    rule_cache_get_counters(w->rules, &rules);
    counters->versions_guessed += rules.guessed;
}
