/* SPDX-License-Identifier: Apache-2.0 */
/* lone_server - a server of a cluster in a process of its own. */
#include <config.h>
#include "bench/lone_server.h"

#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench_pin.h"
#include "bench/figure.h"
#include "bench/frame_pipe.h"
#include "bench/slow_clock.h"
#include "lib/lh_alloc.h"

#define NAME   "lone-server"
#define NAP_NS 100000

/* In memory of both processes. */
struct shared {
    uint64_t clock_ns;
    int order; /* Written by the owner, */
    int done;  /* and by the server. */
    struct lone_used used;
    pthread_mutex_t lock; /* Of 'sum', which is read while it is written. */
    struct cluster_sum sum;
};

struct lone_server {
    struct shared *shared;
    struct frame_pipe *pipe;
    int wake_fd;
    pid_t pid;
};

/* The server's process. */
struct server {
    struct shared *shared;
    struct frame_pipe *pipe;
    struct cluster_rig rig;
    struct frame_portion portion;
    double doors_s, bench_s;
};

/* --- The server's process. ----------------------------------------------- */

static void
on_wake(evutil_socket_t fd, short what, void *aux)
{
    uint64_t n;

    if (read(fd, &n, sizeof n) != sizeof n) {
        figure_die_errno("lone server");
    }
}

static double
thread_s(void)
{
    return figure_s(CLOCK_THREAD_CPUTIME_ID);
}

static void
tell(struct server *s)
{
    double loop_s =
        thread_s() - s->bench_s - (double) slow_clock_waited_ns() / 1e9;
    struct lone_used *used = &s->shared->used;

    used->others_s = figure_s(CLOCK_PROCESS_CPUTIME_ID) - thread_s();
    used->doors_s = s->doors_s;
    used->owners_s = loop_s - s->doors_s;
    cluster_rig_sum(&s->rig, &used->sum);
}

static enum lone_order
get_order(const struct server *s)
{
    return (enum lone_order) __atomic_load_n(&s->shared->order,
                                             __ATOMIC_ACQUIRE);
}

static void
carry_out(struct server *s, enum lone_order order)
{
    switch (order) {
    case LONE_OPEN:
        cluster_rig_make_streams(&s->rig);
        cluster_rig_open(&s->rig);
        break;
    case LONE_ANNOUNCE:
        cluster_rig_announce(&s->rig);
        break;
    case LONE_TELL:
        tell(s);
        break;
    case LONE_END:
        cluster_rig_end(&s->rig);
        break;
    case LONE_CLOSE:
        break;
    }
    __atomic_store_n(&s->shared->order, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&s->shared->done, order, __ATOMIC_RELEASE);
}

/* Feeds a portion, if there is one. */
static bool
feed(struct server *s)
{
    double at_s = thread_s(), taken_s;
    bool is_there = frame_pipe_take(s->pipe, &s->portion, s->rig.rules);

    taken_s = thread_s();
    s->bench_s += taken_s - at_s;
    if (is_there) {
        cluster_rig_feed(&s->rig, 0, s->portion.frames, s->portion.n);
    }
    cluster_rig_run_doors(&s->rig);
    s->doors_s += thread_s() - taken_s;
    frame_pipe_done(s->pipe);
    return is_there;
}

static void
publish(struct server *s)
{
    double before = thread_s();

    pthread_mutex_lock(&s->shared->lock);
    cluster_rig_sum(&s->rig, &s->shared->sum);
    pthread_mutex_unlock(&s->shared->lock);
    s->bench_s += thread_s() - before;
}

static void
serve(struct server *s, int wake_fd)
{
    struct event *wake;
    enum lone_order order;

    cluster_rig_connect(&s->rig);
    wake =
        event_new(s->rig.base, wake_fd, EV_READ | EV_PERSIST, on_wake, NULL);
    event_add(wake, NULL);
    while (get_order(s) != LONE_OPEN) {
        event_base_loop(s->rig.base, EVLOOP_ONCE);
    }
    carry_out(s, LONE_OPEN);
    while ((order = get_order(s)) != LONE_CLOSE) {
        bool is_fed = feed(s);

        if (!is_fed && order) {
            carry_out(s, order);
        }
        if (!is_fed) {
            publish(s);
        }
        event_base_loop(s->rig.base, is_fed ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
    }
    event_free(wake);
    cluster_rig_close(&s->rig);
}

static void
become_server(const struct lone_server *l, const struct cluster_rig *rig)
{
    const struct rule_cache_config rules = {.max_rules = 0};
    struct server *s = lh_alloc_zero(sizeof *s);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, NAME);
    bench_pin(BENCH_PIN_FIRST);
    slow_clock_follow(&l->shared->clock_ns);
    s->shared = l->shared;
    s->pipe = l->pipe;
    s->rig = *rig;
    s->rig.first = 0;
    s->rig.end = 1;
    s->rig.rules = rule_cache_create(&rules);
    serve(s, l->wake_fd);
    rule_cache_destroy(s->rig.rules);
    free(s);
    _exit(EXIT_SUCCESS);
}

/* --- Its owner. ---------------------------------------------------------- */

struct lone_server *
lone_server_start(const struct cluster_rig *rig)
{
    struct lone_server *l = lh_alloc_zero(sizeof *l);
    pthread_mutexattr_t attr;

    l->shared = mmap(NULL, sizeof *l->shared, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    l->pipe = frame_pipe_create();
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->shared == MAP_FAILED || l->wake_fd < 0) {
        figure_die_errno("lone server");
    }
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&l->shared->lock, &attr);
    l->pid = fork();
    if (l->pid < 0) {
        figure_die_errno("fork");
    } else if (!l->pid) {
        become_server(l, rig);
    }
    return l;
}

/* Waits a moment for the process, which is not to end. */
static void
nap(const struct lone_server *l)
{
    const struct timespec a_little = {.tv_nsec = NAP_NS};

    if (waitpid(l->pid, NULL, WNOHANG)) {
        figure_die("the lone server has ended");
    }
    nanosleep(&a_little, NULL);
}

static void
give_order(struct lone_server *l, enum lone_order order)
{
    __atomic_store_n(&l->shared->done, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&l->shared->order, order, __ATOMIC_RELEASE);
    lone_server_wake(l);
}

void
lone_server_order(struct lone_server *l, enum lone_order order)
{
    give_order(l, order);
    while (__atomic_load_n(&l->shared->done, __ATOMIC_ACQUIRE) !=
           (int) order) {
        nap(l);
    }
}

void
lone_server_close(struct lone_server *l)
{
    int status;

    give_order(l, LONE_CLOSE);
    if (waitpid(l->pid, &status, 0) < 0 || status) {
        figure_die("the lone server has failed");
    }
    close(l->wake_fd);
    frame_pipe_destroy(l->pipe);
    free(l);
}

void
lone_server_add_rule(void *l_, const struct rule *rule)
{
    struct lone_server *l = l_;

    frame_pipe_add_rule(l->pipe, rule);
}

void
lone_server_give(struct lone_server *l, const struct gen_frame *frame)
{
    bool is_full;

    while (!frame_pipe_add(l->pipe, frame, &is_full)) {
        nap(l);
    }
    if (is_full) {
        lone_server_wake(l);
    }
}

void
lone_server_wake(struct lone_server *l)
{
    const uint64_t one = 1;

    if (write(l->wake_fd, &one, sizeof one) != sizeof one) {
        figure_die_errno("lone server");
    }
}

void
lone_server_flush(struct lone_server *l)
{
    frame_pipe_flush(l->pipe);
    lone_server_wake(l);
}

void
lone_server_wait(struct lone_server *l)
{
    while (!frame_pipe_is_empty(l->pipe)) {
        nap(l);
    }
}

uint64_t *
lone_server_clock(struct lone_server *l)
{
    return &l->shared->clock_ns;
}

void
lone_server_get_sum(struct lone_server *l, struct cluster_sum *sum)
{
    pthread_mutex_lock(&l->shared->lock);
    *sum = l->shared->sum;
    pthread_mutex_unlock(&l->shared->lock);
}

void
lone_server_get_used(const struct lone_server *l, struct lone_used *used)
{
    *used = l->shared->used;
}
