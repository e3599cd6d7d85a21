/* SPDX-License-Identifier: Apache-2.0 */
/* crew - threads that do jobs for one thread, their owner. */
#include <config.h>

#include "lib/crew.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/lh_alloc.h"

/* Of ioprio_set(2), for which there is no header. */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE        (3 << 13)

/* A list of jobs that any thread puts to and one takes, all at once, the
 * newest first. */
typedef _Atomic(struct crew_job *) job_list;

struct worker {
    struct crew *crew;
    pthread_t thread;
    sem_t given; /* Posted for each job given, and at the end. */
    job_list inbox;
    size_t n_jobs; /* Owner: given and not taken. */
};

struct crew {
    /* Set at creation. */
    unsigned int n_workers;
    enum crew_priority priority;
    int fd;

    job_list outbox;
    atomic_bool is_ending;

    /* Owner. */
    size_t n_jobs;
    struct crew_job *done; /* In order. */
    struct worker workers[];
};

static void
put(job_list *list, struct crew_job *job)
{
    job->next = atomic_load_explicit(list, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(
        list, &job->next, job, memory_order_release, memory_order_relaxed)) {
    }
}

/* All that was put, the oldest first. */
static struct crew_job *
take_all(job_list *list)
{
    struct crew_job *job =
        atomic_exchange_explicit(list, NULL, memory_order_acquire);
    struct crew_job *oldest = NULL;

    while (job) {
        struct crew_job *next = job->next;

        job->next = oldest;
        oldest = job;
        job = next;
    }
    return oldest;
}

/* --- In the crew's threads ---------------------------------------------- */

/* What the system refuses is done without. */
static void
step_back(void)
{
    static const struct sched_param param = {.sched_priority = 0};

    pthread_setschedparam(pthread_self(), SCHED_IDLE, &param);
    setpriority(PRIO_PROCESS, (id_t) syscall(SYS_gettid), 19);
    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
}

static void *
work(void *worker_)
{
    static const uint64_t one = 1;
    struct worker *worker = worker_;
    struct crew *crew = worker->crew;
    struct crew_job *job;

    if (crew->priority == CREW_BACKGROUND) {
        step_back();
    }
    for (;;) {
        while (sem_wait(&worker->given)) {
            assert(errno == EINTR);
        }
        job = take_all(&worker->inbox);
        if (!job && atomic_load(&crew->is_ending)) {
            return NULL;
        }
        while (job) {
            struct crew_job *next = job->next;

            job->run(job);
            put(&crew->outbox, job);
            /* Only a counter that is full refuses. */
            if (write(crew->fd, &one, sizeof one) < 0) {
                assert(errno == EAGAIN || errno == EINTR);
            }
            job = next;
        }
    }
}

/* --- In the owner's ----------------------------------------------------- */

/* Begins a thread that no signal goes to. */
static bool
begin(struct worker *worker)
{
    sigset_t all, old;
    int retval;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    retval = pthread_create(&worker->thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return !retval;
}

struct crew *
crew_create(unsigned int n, enum crew_priority priority)
{
    struct crew *crew =
        lh_alloc_zero(sizeof *crew + n * sizeof crew->workers[0]);

    assert(n && n <= CREW_MAX_THREADS);
    crew->priority = priority;
    atomic_init(&crew->outbox, NULL);
    atomic_init(&crew->is_ending, false);
    crew->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    while (crew->fd >= 0 && crew->n_workers < n) {
        struct worker *worker = &crew->workers[crew->n_workers];

        worker->crew = crew;
        atomic_init(&worker->inbox, NULL);
        sem_init(&worker->given, 0, 0);
        if (!begin(worker)) {
            sem_destroy(&worker->given);
            break;
        }
        crew->n_workers++;
    }
    if (!crew->n_workers) {
        crew_destroy(crew);
        return NULL;
    }
    return crew;
}

void
crew_destroy(struct crew *crew)
{
    if (!crew) {
        return;
    }
    assert(!crew->n_jobs);
    atomic_store(&crew->is_ending, true);
    for (unsigned int i = 0; i < crew->n_workers; i++) {
        sem_post(&crew->workers[i].given);
    }
    for (unsigned int i = 0; i < crew->n_workers; i++) {
        pthread_join(crew->workers[i].thread, NULL);
        sem_destroy(&crew->workers[i].given);
    }
    if (crew->fd >= 0) {
        close(crew->fd);
    }
    free(crew);
}

unsigned int
crew_n_threads(const struct crew *crew)
{
    return crew->n_workers;
}

void
crew_give(struct crew *crew, struct crew_job *job)
{
    unsigned int least = 0;

    for (unsigned int i = 1; i < crew->n_workers; i++) {
        if (crew->workers[i].n_jobs < crew->workers[least].n_jobs) {
            least = i;
        }
    }
    job->worker = least;
    crew->workers[least].n_jobs++;
    crew->n_jobs++;
    put(&crew->workers[least].inbox, job);
    sem_post(&crew->workers[least].given);
}

struct crew_job *
crew_take(struct crew *crew)
{
    struct crew_job *job;
    uint64_t n;

    if (!crew->done) {
        /* First this: what comes after it makes it readable again. */
        if (read(crew->fd, &n, sizeof n) < 0) {
            assert(errno == EAGAIN || errno == EINTR);
        }
        crew->done = take_all(&crew->outbox);
    }
    job = crew->done;
    if (job) {
        crew->done = job->next;
        crew->workers[job->worker].n_jobs--;
        crew->n_jobs--;
    }
    return job;
}

size_t
crew_n_jobs(const struct crew *crew)
{
    return crew->n_jobs;
}

void
crew_wait(struct crew *crew, int ms)
{
    struct pollfd fd = {.fd = crew->fd, .events = POLLIN};

    if (!crew->done) {
        poll(&fd, 1, ms);
    }
}

int
crew_fd(const struct crew *crew)
{
    return crew->fd;
}

unsigned int
crew_n_processors(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);

    return n < 1 ? 1 : n > CREW_MAX_THREADS ? CREW_MAX_THREADS : (unsigned) n;
}
