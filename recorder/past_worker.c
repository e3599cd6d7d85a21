/* SPDX-License-Identifier: Apache-2.0 */
/* past_worker - answers questions about the past beside the event loop. */
#include <config.h>

#include "recorder/past_worker.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/event.h>

#include "lib/lh_alloc.h"
#include "lib/time_spec.h"
#include "recorder/of_text.h"

/* How long a question waits for the disk to have what came before it; then it
 * is answered without, and says so. */
#define WAIT_MS 500

struct job {
    TAILQ_ENTRY(job) node;
    struct api_call *call; /* The loop's. */
    json_t *request;       /* The worker's copy.  Owned. */
    past_handler *handler;
    atomic_bool is_cancelled;

    /* Set by the worker. */
    char *text; /* The answer, NULL when it failed.  Owned. */
    enum api_code code;
    struct lh_error error;
};
TAILQ_HEAD(jobs, job);

struct past_worker {
    /* Set at creation. */
    struct flow_log *writer; /* The loop's. */
    size_t max_jobs;
    int event_fd;
    struct event *event; /* Owned. */
    pthread_t thread;

    /* The lock is there because two threads hand jobs to each other. */
    pthread_mutex_t lock;
    pthread_cond_t is_work;
    struct jobs waiting; /* For the worker. */
    struct job *at_hand; /* The worker has it. */
    struct jobs done;    /* For the loop. */
    bool is_ending;

    /* The loop's. */
    struct past_worker_counters counters;

    /* The worker's. */
    struct flow_log *log; /* NULL: not opened.  Owned. */
};

static void
job_destroy(struct job *job)
{
    json_decref(job->request);
    free(job->text);
    free(job);
}

/* --- in the worker ------------------------------------------------------- */

static bool
is_cancelled(void *job_)
{
    struct job *job = job_;

    return atomic_load(&job->is_cancelled);
}

static enum api_code
code_of(int retval)
{
    switch (retval) {
    case EINVAL:
        return API_BAD_REQUEST;
    case ENOENT:
        return API_NOT_FOUND;
    case E2BIG:
        return API_LIMIT;
    case EOPNOTSUPP:
        return API_UNAVAILABLE;
    default:
        return API_INTERNAL;
    }
}

static void
answer(struct past_worker *worker, struct job *job)
{
    struct past_query query = {
        .request = job->request,
        .now_ns = time_spec_now(),
        .is_cancelled = is_cancelled,
        .group_text = of_text_from_group,
        .aux = job,
    };
    json_t *members = NULL;
    struct lh_error behind;
    bool is_behind = false;
    int retval = 0;

    if (!worker->log) {
        retval =
            flow_log_open_reader(worker->writer, &worker->log, &job->error);
    }
    query.log = worker->log;
    if (!retval) {
        is_behind = flow_log_wait(worker->log, WAIT_MS, &behind) != 0;
        retval = job->handler(&query, &members, &job->error);
    }
    if (retval) {
        job->code = code_of(retval);
        return;
    }
    if (is_behind) {
        json_object_set_new(members, "incomplete",
                            jmember_text_new(behind.text));
    }
    job->text = json_dumps(members, JSON_COMPACT);
    assert(job->text);
    json_decref(members);
}

static void *
work(void *worker_)
{
    struct past_worker *worker = worker_;
    uint64_t one = 1;

    pthread_mutex_lock(&worker->lock);
    for (;;) {
        while (TAILQ_EMPTY(&worker->waiting) && !worker->is_ending) {
            pthread_cond_wait(&worker->is_work, &worker->lock);
        }
        if (worker->is_ending) {
            break;
        }

        struct job *job = TAILQ_FIRST(&worker->waiting);

        TAILQ_REMOVE(&worker->waiting, job, node);
        worker->at_hand = job;
        pthread_mutex_unlock(&worker->lock);
        if (!is_cancelled(job)) {
            answer(worker, job);
        }
        pthread_mutex_lock(&worker->lock);
        worker->at_hand = NULL;
        TAILQ_INSERT_TAIL(&worker->done, job, node);
        /* The counter of an eventfd is never full here. */
        if (write(worker->event_fd, &one, sizeof one) != sizeof one) {
            abort();
        }
    }
    pthread_mutex_unlock(&worker->lock);
    flow_log_close(worker->log);
    return NULL;
}

/* --- in the loop --------------------------------------------------------- */

/* Ends the call of 'job', which is freed. */
static void
end_job(struct past_worker *worker, struct job *job)
{
    if (atomic_load(&job->is_cancelled)) {
        worker->counters.cancelled++;
        api_call_answer(job->call, NULL);
    } else if (job->text) {
        worker->counters.answered++;
        api_call_answer_text(job->call, job->text);
        job->text = NULL;
    } else {
        worker->counters.failed++;
        api_call_fail_error(job->call, job->code, &job->error);
    }
    job_destroy(job);
}

static void
on_done(evutil_socket_t fd, short what, void *worker_)
{
    struct past_worker *worker = worker_;
    struct jobs done = TAILQ_HEAD_INITIALIZER(done);
    uint64_t n;

    if (read(fd, &n, sizeof n) != sizeof n) {
        return; /* Woken for nothing. */
    }
    pthread_mutex_lock(&worker->lock);
    TAILQ_CONCAT(&done, &worker->done, node);
    pthread_mutex_unlock(&worker->lock);
    while (!TAILQ_EMPTY(&done)) {
        struct job *job = TAILQ_FIRST(&done);

        TAILQ_REMOVE(&done, job, node);
        end_job(worker, job);
    }
}

struct past_worker *
past_worker_create(struct event_base *base, struct flow_log *log,
                   size_t max_jobs)
{
    struct past_worker *worker = lh_alloc_zero(sizeof *worker);
    sigset_t all, old;
    int retval;

    worker->writer = log;
    worker->max_jobs = max_jobs;
    TAILQ_INIT(&worker->waiting);
    TAILQ_INIT(&worker->done);
    worker->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert(worker->event_fd >= 0);
    worker->event = event_new(base, worker->event_fd, EV_READ | EV_PERSIST,
                              on_done, worker);
    assert(worker->event);
    event_add(worker->event, NULL);
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->is_work, NULL);
    /* Signals are the loop's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    retval = pthread_create(&worker->thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    assert(!retval);
    return worker;
}

void
past_worker_destroy(struct past_worker *worker)
{
    struct job *job;

    if (!worker) {
        return;
    }
    pthread_mutex_lock(&worker->lock);
    worker->is_ending = true;
    if (worker->at_hand) {
        atomic_store(&worker->at_hand->is_cancelled, true);
    }
    pthread_cond_signal(&worker->is_work);
    pthread_mutex_unlock(&worker->lock);
    pthread_join(worker->thread, NULL);
    TAILQ_CONCAT(&worker->done, &worker->waiting, node);
    while ((job = TAILQ_FIRST(&worker->done))) {
        TAILQ_REMOVE(&worker->done, job, node);
        atomic_store(&job->is_cancelled, true);
        end_job(worker, job);
    }
    event_free(worker->event);
    close(worker->event_fd);
    pthread_cond_destroy(&worker->is_work);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}

static size_t
count_waiting(struct past_worker *worker)
{
    const struct job *job;
    size_t n = 0;

    pthread_mutex_lock(&worker->lock);
    TAILQ_FOREACH(job, &worker->waiting, node)
    {
        n++;
    }
    pthread_mutex_unlock(&worker->lock);
    return n;
}

void
past_worker_ask(struct past_worker *worker, struct api_call *call,
                const json_t *request, past_handler *handler)
{
    size_t n = count_waiting(worker);
    struct job *job;

    worker->counters.asked++;
    if (n >= worker->max_jobs) {
        worker->counters.refused++;
        api_call_fail(call, API_LIMIT,
                      "%zu questions about the past wait already; ask again "
                      "later",
                      n);
        return;
    }
    job = lh_alloc_zero(sizeof *job);
    job->call = call;
    job->request = json_deep_copy(request);
    job->handler = handler;
    atomic_init(&job->is_cancelled, false);
    pthread_mutex_lock(&worker->lock);
    TAILQ_INSERT_TAIL(&worker->waiting, job, node);
    pthread_cond_signal(&worker->is_work);
    pthread_mutex_unlock(&worker->lock);
}

void
past_worker_forget(struct past_worker *worker, const struct api_peer *peer)
{
    struct job *job;

    pthread_mutex_lock(&worker->lock);
    TAILQ_FOREACH(job, &worker->waiting, node)
    {
        if (api_call_peer(job->call) == peer) {
            atomic_store(&job->is_cancelled, true);
        }
    }
    job = worker->at_hand;
    if (job && api_call_peer(job->call) == peer) {
        atomic_store(&job->is_cancelled, true);
    }
    pthread_mutex_unlock(&worker->lock);
}

struct past_worker_counters
past_worker_counters(const struct past_worker *worker)
{
    return worker->counters;
}
