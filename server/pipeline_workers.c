/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_workers - the threads of a pipeline, and what they tell. */
#include <config.h>

#include <event2/event.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/lh_alloc.h"
#include "server/pipeline_impl.h"

/* Histories that triggers matched and no client was told of yet. */
#define MAX_MAIL 4096
/* A file is kept waiting no longer at once: rules may be what is needed. */
#define MAX_WAIT_MS 2

/* --- Called by workers ----------------------------------------------------
 */

static void
wake(void *p_)
{
    struct pipeline *p = p_;
    uint64_t one = 1;

    /* Fails only when the count is full: then it is readable. */
    if (write(p->wake_fd, &one, sizeof one) < 0) {
        return;
    }
}

static void
on_done(void *p_, uint32_t index, void *round_)
{
    struct pipeline *p = p_;
    struct round *round = round_;

    if (!round) {
        atomic_fetch_sub(&p->n_flushing, 1);
        wake(p);
    } else if (atomic_fetch_sub(&round->n_left, 1) == 1) {
        pipeline_end_round(p, round->now_ns);
        free(round);
        atomic_fetch_sub(&p->n_rounds, 1);
        wake(p);
    }
}

static void
on_worker_topology(void *p_, uint32_t index, const struct topology *topology,
                   uint64_t now_ns)
{
    struct pipeline *p = p_;

    if (!index && p->config.archive) {
        archive_writer_set_topology(p->config.archive, topology, now_ns);
    }
}

static bool
wait_at_main(void *waiter_, struct history *h, uint64_t dpid, uint64_t now_ns)
{
    const struct waiter *waiter = waiter_;
    struct pipeline *p = waiter->pipeline;
    struct mail *mail;

    if (!loss_ledger_is_counting(p->config.ledger) && !p->config.book) {
        return false;
    }
    mail = mail_create(MAIL_WAIT, 0);
    mail->worker = waiter->index;
    mail->dpid = dpid;
    mail->history = h;
    if (!mailbox_offer(p->mail, mail)) {
        mail->history = NULL;
        mail_destroy(mail);
        return false;
    }
    return true;
}

/* --- Mail from workers ----------------------------------------------------
 */

/* A worker lacks a rule. */
static void
answer_rule(struct pipeline *p, struct mail *mail)
{
    const struct rule *rule =
        rule_cache_find(p->config.rules, mail->dpid, mail->version, p->now_ns);
    struct mail *answer;

    if (!rule &&
        rule_cache_is_asked(p->config.rules, mail->dpid, mail->version)) {
        return; /* All will hear of the answer. */
    }
    answer = mail_create(rule ? MAIL_RULE_ADDED : MAIL_RULE_DENIED, 0);
    answer->dpid = mail->dpid;
    answer->version = mail->version;
    answer->rule = rule ? rule_ref(rule) : NULL;
    worker_post(p->workers[mail->worker], answer);
}

static void
take_mail(struct pipeline *p)
{
    struct mail *next;
    uint64_t n;

    if (read(p->wake_fd, &n, sizeof n) < 0 && mailbox_is_empty(p->mail)) {
        return;
    }
    for (struct mail *mail = mailbox_take(p->mail); mail; mail = next) {
        next = mail->next;
        switch (mail->kind) {
        case MAIL_ASK:
            answer_rule(p, mail);
            break;
        case MAIL_WAIT:
            pipeline_tell_ledger(p);
            loss_wait_add(p->wait, mail->history, mail->dpid, mail->worker,
                          p->now_ns);
            mail->history = NULL;
            break;
        case MAIL_HIT:
            triggers_deliver(p->config.triggers, mail);
            break;
        case MAIL_RULE_ADDED:
        case MAIL_RULE_DENIED:
        case MAIL_RULE_GONE:
        case MAIL_RULE_RESTART:
        case MAIL_GIVE:
        case MAIL_FILTER_ADDED:
        case MAIL_FILTER_GONE:
            break; /* These go the other way. */
        }
        mail_destroy(mail);
    }
}

static void
on_woken(evutil_socket_t fd, short what, void *p)
{
    take_mail(p);
}

void
pipeline_wait_for(struct pipeline *p, atomic_uint *n)
{
    while (atomic_load(n)) {
        struct pollfd fd = {.fd = p->wake_fd, .events = POLLIN};

        poll(&fd, 1, 100);
        take_mail(p);
    }
    take_mail(p);
}

void
pipeline_wait_to_tell(struct pipeline *p)
{
    while (!dispatch_can_tell(p->dispatch)) {
        struct pollfd fd = {.fd = p->wake_fd, .events = POLLIN};

        poll(&fd, 1, 1);
        take_mail(p);
    }
}

void
pipeline_wait_room(struct pipeline *p)
{
    struct pollfd fd = {.fd = p->wake_fd, .events = POLLIN};

    if (p->dispatch && dispatch_want_room(p->dispatch)) {
        poll(&fd, 1, MAX_WAIT_MS);
        take_mail(p);
    }
}

/* A postcard that its worker has no room for. */
static void
drop(void *p_, const struct postcard *postcard)
{
    struct pipeline *p = p_;

    p->n_dropped++;
}

/* --- Life -----------------------------------------------------------------
 */

static void
add_filter(void *p_, size_t index, uint32_t trigger, struct phf *phf)
{
    struct pipeline *p = p_;
    struct mail *mail = mail_create(MAIL_FILTER_ADDED, 0);

    mail->trigger = trigger;
    mail->phf = phf;
    worker_post(p->workers[index], mail);
}

static void
remove_filter(void *p_, size_t index, uint32_t trigger)
{
    struct pipeline *p = p_;
    struct mail *mail = mail_create(MAIL_FILTER_GONE, 0);

    mail->trigger = trigger;
    worker_post(p->workers[index], mail);
}

static void
create_door(struct pipeline *p)
{
    struct ingest_config config = p->config.ingest;

    config.n_shares = p->config.n_threads;
    config.rules = p->config.rules;
    config.give = drop;
    config.aux = p;
    p->door = ingest_create(&config);
}

void
pipeline_create_workers(struct pipeline *p)
{
    size_t n = p->config.n_threads;

    p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->wake_fd < 0) {
        abort();
    }
    p->woken = event_new(p->config.base, p->wake_fd, EV_READ | EV_PERSIST,
                         on_woken, p);
    event_add(p->woken, NULL);
    p->mail = mailbox_create(MAX_MAIL, wake, p);
    p->workers = lh_alloc_array(NULL, n, sizeof(struct worker *));
    p->share = lh_alloc_array(NULL, n, sizeof(struct trigger_share *));
    p->waiters = lh_alloc_array(NULL, n, sizeof *p->waiters);
    for (size_t i = 0; i < n; i++) {
        struct worker_config config = {
            .index = (uint32_t) i,
            .shard = pipeline_shard_config(p),
            .ingest = p->config.ingest,
            .ledger = p->config.ledger,
            .can_ask = p->config.can_ask,
            .waits_for_rules = p->config.is_file,
            .main = p->mail,
            .on_done = on_done,
            .on_topology = on_worker_topology,
            .on_room = wake,
            .aux = p,
        };

        p->waiters[i] = (struct waiter){p, (uint32_t) i};
        config.ingest.n_shares = (uint32_t) n;
        config.ingest.share = (uint32_t) i;
        config.shard.max_postcards =
            (config.shard.max_postcards ? config.shard.max_postcards
                                        : PATH_TABLE_MAX_POSTCARDS) /
            n;
        p->share[i] = trigger_share_create(p->mail);
        config.shard.share = p->share[i];
        config.shard.wait = p->wait ? wait_at_main : NULL;
        config.shard.aux = &p->waiters[i];
        p->workers[i] = worker_create(&config);
        p->n_workers++;
    }
    create_door(p);
    p->dispatch = dispatch_create(p->workers, n, p->config.is_file, p->door,
                                  p->config.ingest.id_config.n_bytes);
    triggers_share(p->config.triggers, n, add_filter, remove_filter, p);
}

void
pipeline_destroy_workers(struct pipeline *p)
{
    if (p->n_workers) {
        triggers_share(p->config.triggers, 0, NULL, NULL, NULL);
    }
    for (size_t i = 0; i < p->n_workers; i++) {
        worker_stop(p->workers[i]);
    }
    for (size_t i = 0; i < p->n_workers; i++) {
        worker_destroy(p->workers[i]);
    }
    if (p->n_workers) {
        for (size_t i = 0; i < p->n_workers; i++) {
            trigger_share_destroy(p->share[i]);
        }
        event_free(p->woken);
        close(p->wake_fd);
    }
    dispatch_destroy(p->dispatch);
    ingest_destroy(p->door);
    mailbox_destroy(p->mail);
    free(p->workers);
    free(p->share);
    free(p->waiters);
}

/* --- Telling workers -------------------------------------------------------
 */

void
pipeline_change_rules(struct pipeline *p, enum rule_cache_change change,
                      uint64_t dpid, uint32_t version, const struct rule *rule)
{
    static const enum mail_kind kinds[] = {
        [RULE_CACHE_ADDED] = MAIL_RULE_ADDED,
        [RULE_CACHE_DENIED] = MAIL_RULE_DENIED,
        [RULE_CACHE_GONE] = MAIL_RULE_GONE,
        [RULE_CACHE_RESTART] = MAIL_RULE_RESTART,
    };

    for (size_t i = 0; i < p->n_workers; i++) {
        struct mail *mail = mail_create(kinds[change], 0);

        mail->dpid = dpid;
        mail->version = version;
        mail->rule = rule_ref(rule);
        worker_post(p->workers[i], mail);
    }
}

void
pipeline_flush_workers(struct pipeline *p, uint64_t now_ns)
{
    atomic_store(&p->n_flushing, (unsigned int) p->n_workers);
    pipeline_wait_to_tell(p);
    dispatch_flush(p->dispatch, now_ns);
    pipeline_wait_for(p, &p->n_flushing);
}
