/* SPDX-License-Identifier: Apache-2.0 */
/* alert_command - runs a command for every alert, without waiting for it. */
#define _GNU_SOURCE 1 /* memfd_create() */
#include <config.h>
#include "apps/alert_command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/lh_alloc.h"
#include "lib/monotonic.h"

extern char **environ;

struct waiting {
    int input;  /* A file at its beginning, closed by us. */
    char **env; /* All of it, ended by NULL.  Owned, and the first n_own. */
    size_t n_own;
};

struct alert_command {
    const char *command;
    uint64_t timeout_ns;
    void (*say)(void *aux, const char *what);
    void *aux;
    pid_t pid; /* 0: none runs. */
    uint64_t started_ns;
    bool is_killed;
    size_t first, n; /* Of those that wait. */
    struct waiting queue[ALERT_COMMAND_QUEUE];
    struct alert_command_totals totals;
};

static void
say(struct alert_command *ac, const char *what, const char *why)
{
    char *text = lh_asprintf("%s%s%s", what, why ? ": " : "", why ? why : "");

    ac->say(ac->aux, text);
    free(text);
}

struct alert_command *
alert_command_create(const char *command, uint64_t timeout_ns,
                     void (*say_)(void *aux, const char *what), void *aux)
{
    struct alert_command *ac = lh_alloc_zero(sizeof *ac);

    ac->command = command;
    ac->timeout_ns = timeout_ns;
    ac->say = say_;
    ac->aux = aux;
    return ac;
}

static void
waiting_uninit(struct waiting *w)
{
    close(w->input);
    for (size_t i = 0; i < w->n_own; i++) {
        free(w->env[i]);
    }
    free(w->env);
}

void
alert_command_destroy(struct alert_command *ac)
{
    if (!ac) {
        return;
    }
    if (ac->pid) {
        kill(-ac->pid, SIGKILL);
        waitpid(ac->pid, NULL, 0);
    }
    while (ac->n) {
        waiting_uninit(&ac->queue[ac->first]);
        ac->first = (ac->first + 1) % ALERT_COMMAND_QUEUE;
        ac->n--;
    }
    free(ac);
}

/* A file that holds 'text', or -1.  A pipe would make us wait for who reads
 * it. */
static int
file_of(const char *text)
{
    int fd = memfd_create("alert", MFD_CLOEXEC);
    size_t len = strlen(text);

    for (size_t done = 0; fd >= 0 && done < len;) {
        ssize_t n = write(fd, text + done, len - done);

        if (n < 0 && errno != EINTR) {
            int error = errno;

            close(fd);
            errno = error;
            return -1;
        }
        done += n > 0 ? (size_t) n : 0;
    }
    if (fd >= 0) {
        lseek(fd, 0, SEEK_SET);
    }
    return fd;
}

void
alert_command_run(struct alert_command *ac, const char *input,
                  const char *const *environment)
{
    size_t n_ours = 0, n = 0;
    struct waiting *w;

    if (ac->n == ALERT_COMMAND_QUEUE) {
        if (!ac->totals.dropped++) {
            say(ac,
                "the command does not keep up; it is not run for some "
                "alerts",
                NULL);
        }
        return;
    }
    w = &ac->queue[(ac->first + ac->n) % ALERT_COMMAND_QUEUE];
    w->input = file_of(input);
    if (w->input < 0) {
        ac->totals.failed++;
        say(ac, "the command's input could not be written", strerror(errno));
        return;
    }
    while (environ[n_ours]) {
        n_ours++;
    }
    while (environment[n]) {
        n++;
    }
    w->env = lh_alloc_array(NULL, n + n_ours + 1, sizeof *w->env);
    w->n_own = n;
    for (size_t i = 0; i < n; i++) {
        w->env[i] = lh_strdup(environment[i]);
    }
    memcpy(w->env + n, environ, (n_ours + 1) * sizeof *environ);
    ac->n++;
    alert_command_tick(ac);
}

/* Starts the next one. */
static void
start(struct alert_command *ac)
{
    struct waiting *w = &ac->queue[ac->first];
    char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, lh_strdup(ac->command),
                    NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t signals;
    int error;

    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, w->input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
    posix_spawnattr_init(&attributes);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    /* A group of its own: Ctrl-C is for us, and all of it can be killed. */
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP |
                                              POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETSIGMASK);
    error =
        posix_spawn(&ac->pid, "/bin/sh", &files, &attributes, argv, w->env);
    if (error) {
        ac->pid = 0;
        ac->totals.failed++;
        say(ac, "the command could not be run", strerror(error));
    } else {
        ac->totals.run++;
        ac->started_ns = monotonic_ns();
        ac->is_killed = false;
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    free(argv[2]);
    waiting_uninit(w);
    ac->first = (ac->first + 1) % ALERT_COMMAND_QUEUE;
    ac->n--;
}

/* Takes note of how it ended, if it has. */
static void
reap(struct alert_command *ac)
{
    int status;

    if (waitpid(ac->pid, &status, WNOHANG) == ac->pid) {
        ac->pid = 0;
        if (ac->is_killed) {
            ac->totals.killed++;
            say(ac, "the command took too long and was killed", NULL);
        } else if (!WIFEXITED(status) || WEXITSTATUS(status)) {
            char *how = lh_asprintf(
                WIFEXITED(status) ? "exit status %d" : "signal %d",
                WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));

            ac->totals.failed++;
            say(ac, "the command failed", how);
            free(how);
        }
    } else if (!ac->is_killed &&
               monotonic_ns() - ac->started_ns > ac->timeout_ns) {
        ac->is_killed = true;
        kill(-ac->pid, SIGKILL);
    }
}

bool
alert_command_tick(struct alert_command *ac)
{
    if (ac->pid) {
        reap(ac);
    }
    while (!ac->pid && ac->n) {
        start(ac);
    }
    return ac->pid != 0;
}

const struct alert_command_totals *
alert_command_totals(const struct alert_command *ac)
{
    return &ac->totals;
}
