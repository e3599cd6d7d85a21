/* SPDX-License-Identifier: Apache-2.0 */
/* app_interrupt - Ctrl-C ends what a program waits for, not the
 * program. */
#include <config.h>
#include "apps/app_interrupt.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t came;
static bool watches_output, is_output_gone;

static void
note(int number)
{
    came = 1;
}

void
app_interrupt_init(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = note; /* Without SA_RESTART. */
    sigaction(SIGINT, &action, NULL);
}

void
app_interrupt_also(void)
{
    struct sigaction action;
    struct stat st;

    memset(&action, 0, sizeof action);
    action.sa_handler = note;
    sigaction(SIGTERM, &action, NULL);
    watches_output = !fstat(STDOUT_FILENO, &st) &&
                     (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

bool
app_interrupt_output_gone(void)
{
    return is_output_gone;
}

bool
app_interrupt_came(void)
{
    return came;
}

void
app_interrupt_clear(void)
{
    if (came) {
        /* A write that Ctrl-C cut short is no fault of the output. */
        clearerr(stdout);
    }
    came = 0;
}

int
app_interrupt_wait(int fd, int timeout_ms)
{
    const struct pollfd pfd = {.fd = fd, .events = POLLIN};

    return app_interrupt_poll(&pfd, 1, timeout_ms);
}

int
app_interrupt_poll(const struct pollfd *fds, size_t n_fds, int timeout_ms)
{
    struct timespec timeout = {timeout_ms / 1000,
                               timeout_ms % 1000 * 1000000L};
    struct pollfd pfds[APP_INTERRUPT_MAX_FDS + 1] = {
        {.fd = watches_output ? STDOUT_FILENO : -1, .events = 0}};
    sigset_t blocked, before;
    int n = -1, retval = EINTR;

    assert(n_fds <= APP_INTERRUPT_MAX_FDS);
    memcpy(pfds + 1, fds, n_fds * sizeof *fds);
    /* Between the look at the flag and the wait the signal is kept back, so
     * that none is missed. */
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    if (!came) {
        n = ppoll(pfds, n_fds + 1, timeout_ms < 0 ? NULL : &timeout, &before);
        retval = n > 0 ? 0 : n < 0 ? errno : ETIMEDOUT;
    }
    if (n > 0 && pfds[0].revents & (POLLERR | POLLHUP)) {
        is_output_gone = true;
        retval = EINTR;
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return retval;
}
