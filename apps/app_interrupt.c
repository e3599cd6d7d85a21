/* SPDX-License-Identifier: Apache-2.0 */
/* app_interrupt - Ctrl-C ends what a program waits for, not the
 * program. */
#include <config.h>
#include "apps/app_interrupt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static volatile sig_atomic_t came;

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
    struct timespec timeout = {timeout_ms / 1000,
                               timeout_ms % 1000 * 1000000L};
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    sigset_t blocked, before;
    int n = -1, retval = EINTR;

    /* Between the look at the flag and the wait the signal is kept back, so
     * that none is missed. */
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    if (!came) {
        n = ppoll(&pfd, 1, timeout_ms < 0 ? NULL : &timeout, &before);
        retval = n > 0 ? 0 : n < 0 ? errno : ETIMEDOUT;
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return retval;
}
