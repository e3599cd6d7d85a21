/* SPDX-License-Identifier: Apache-2.0 */
/* child - posix_spawn(), two pipes, SIGCHLD and a timer. */
#include <config.h>

#include "recorder/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <event2/buffer.h>
#include <event2/event.h>

#include "lib/lh_alloc.h"

extern char **environ;

struct child_pipe {
    struct child *child;
    int fd;              /* -1 when at its end. */
    struct event *event; /* Owned. */
    struct evbuffer *bytes;
};

struct child {
    char *name;
    pid_t pid;
    bool has_exited;
    int status; /* Of waitpid(). */
    bool is_late, is_too_long;
    struct child_pipe out, err;
    struct event *on_exit; /* SIGCHLD. */
    struct event *deadline;
    child_done *done;
    void *aux;
};

static void
uninit_pipe(struct child_pipe *p)
{
    if (p->event) {
        event_free(p->event);
    }
    if (p->fd >= 0) {
        close(p->fd);
    }
    evbuffer_free(p->bytes);
}

static void
free_child(struct child *child)
{
    uninit_pipe(&child->out);
    uninit_pipe(&child->err);
    if (child->on_exit) {
        event_free(child->on_exit);
    }
    if (child->deadline) {
        event_free(child->deadline);
    }
    free(child->name);
    free(child);
}

/* What 'p' gave, NUL-terminated. */
static char *
text_of(struct child_pipe *p)
{
    evbuffer_add(p->bytes, "", 1);
    return (char *) evbuffer_pullup(p->bytes, -1);
}

static char *
describe(struct child *child)
{
    char *err = text_of(&child->err);
    size_t len = strlen(err);

    while (len && err[len - 1] == '\n') {
        err[--len] = '\0';
    }
    for (char *p = err; *p; p++) {
        if (*p == '\n') {
            *p = ' ';
        }
    }
    if (child->is_late) {
        return lh_asprintf("%s: no answer in time", child->name);
    }
    if (child->is_too_long) {
        return lh_asprintf("%s: too much output", child->name);
    }
    if (WIFEXITED(child->status)) {
        return WEXITSTATUS(child->status)
                   ? lh_asprintf("%s%s%s (exit status %d)", child->name,
                                 *err ? ": " : "", err,
                                 WEXITSTATUS(child->status))
                   : NULL;
    }
    return lh_asprintf("%s: killed by signal %d", child->name,
                       WTERMSIG(child->status));
}

static void
end_if_done(struct child *child)
{
    if (!child->has_exited || ((child->out.fd >= 0 || child->err.fd >= 0) &&
                               !child->is_late && !child->is_too_long)) {
        return;
    }

    char *error = describe(child);

    child->done(child->aux, text_of(&child->out), error);
    free(error);
    free_child(child);
}

static void
on_signal(evutil_socket_t sig, short what, void *child_)
{
    struct child *child = child_;

    if (!child->has_exited &&
        waitpid(child->pid, &child->status, WNOHANG) == child->pid) {
        child->has_exited = true;
        end_if_done(child);
    }
}

static void
on_deadline(evutil_socket_t fd, short what, void *child_)
{
    struct child *child = child_;

    child->is_late = true;
    if (!child->has_exited) {
        kill(child->pid, SIGKILL); /* on_signal() follows. */
    } else {
        end_if_done(child);
    }
}

static void
on_readable(evutil_socket_t fd, short what, void *pipe_)
{
    struct child_pipe *p = pipe_;
    struct child *child = p->child;
    int n = evbuffer_read(p->bytes, fd, 65536);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (evbuffer_get_length(p->bytes) > CHILD_MAX_OUTPUT) {
        child->is_too_long = true;
        if (!child->has_exited) {
            kill(child->pid, SIGKILL);
        }
        n = 0;
    }
    if (n <= 0) {
        event_del(p->event);
        close(p->fd);
        p->fd = -1;
        end_if_done(child);
    }
}

/* Makes the pipe; '*write_fd' is the program's end. */
static int
init_pipe(struct child *child, struct event_base *base, struct child_pipe *p,
          int *write_fd)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC)) {
        return errno;
    }
    evutil_make_socket_nonblocking(fds[0]);
    p->fd = fds[0];
    *write_fd = fds[1];
    p->event = event_new(base, p->fd, EV_READ | EV_PERSIST, on_readable, p);
    event_add(p->event, NULL);
    return 0;
}

int
child_start(struct event_base *base, const char *const argv[],
            unsigned timeout_s, child_done *done, void *aux,
            struct child **childp, struct lh_error *error)
{
    struct child *child = lh_alloc_zero(sizeof *child);
    struct timeval timeout = {.tv_sec = (time_t) timeout_s};
    int out_fd = -1, err_fd = -1, retval;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t signals;

    child->name = lh_strdup(argv[0]);
    child->done = done;
    child->aux = aux;
    child->out = (struct child_pipe){child, -1, NULL, evbuffer_new()};
    child->err = (struct child_pipe){child, -1, NULL, evbuffer_new()};
    child->on_exit = evsignal_new(base, SIGCHLD, on_signal, child);
    child->deadline = evtimer_new(base, on_deadline, child);
    event_add(child->on_exit, NULL);
    event_add(child->deadline, &timeout);

    retval = init_pipe(child, base, &child->out, &out_fd);
    if (!retval) {
        retval = init_pipe(child, base, &child->err, &err_fd);
    }
    if (!retval) {
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY,
                                         0);
        posix_spawn_file_actions_adddup2(&actions, out_fd, 1);
        posix_spawn_file_actions_adddup2(&actions, err_fd, 2);
        posix_spawnattr_init(&attributes);
        sigemptyset(&signals);
        sigaddset(&signals, SIGPIPE);
        sigaddset(&signals, SIGXFSZ);
        posix_spawnattr_setsigdefault(&attributes, &signals);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
        retval = posix_spawnp(&child->pid, argv[0], &actions, &attributes,
                              (char *const *) argv, environ);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
    }
    if (out_fd >= 0) {
        close(out_fd);
    }
    if (err_fd >= 0) {
        close(err_fd);
    }
    if (retval) {
        lh_error_set(error, "cannot run %s: %s", argv[0], strerror(retval));
        free_child(child);
        return retval;
    }
    if (childp) {
        *childp = child;
    }
    return 0;
}

void
child_cancel(struct child *child)
{
    if (!child) {
        return;
    }
    if (!child->has_exited) {
        kill(child->pid, SIGKILL);
        waitpid(child->pid, NULL, 0);
    }
    free_child(child);
}
