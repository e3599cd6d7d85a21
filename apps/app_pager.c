/* SPDX-License-Identifier: Apache-2.0 */
/* app_pager - long output at a terminal goes through $PAGER. */
#include <config.h>
#include "apps/app_pager.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* The user's pager, or NULL when none is wanted. */
static const char *
pager_command(void)
{
    const char *pager = getenv("LASTHOP_PAGER");

    if (!pager) {
        pager = getenv("PAGER");
    }
    if (!pager) {
        pager = "less";
    }
    if (!*pager || !strcmp(pager, "cat") || !isatty(STDOUT_FILENO)) {
        return NULL;
    }
    /* As git does: quit if it fits a screen, show colours, leave it there. */
    setenv("LESS", "FRX", 0);
    return pager;
}

FILE *
app_pager_open(void)
{
    const char *pager = pager_command();
    FILE *stream;

    if (!pager) {
        return stdout;
    }
    fflush(stdout);
    signal(SIGPIPE, SIG_IGN);
    stream = popen(pager, "w");
    return stream ? stream : stdout;
}

void
app_pager_close(FILE *stream)
{
    if (stream != stdout) {
        pclose(stream);
    }
}

static pid_t pager_pid;

static void
wait_for_pager(void)
{
    fflush(stdout);
    /* The pager reads up to the end. */
    close(STDOUT_FILENO);
    while (waitpid(pager_pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

void
app_pager_start(void)
{
    const char *pager = pager_command();
    int fds[2];

    if (!pager || pipe(fds)) {
        return;
    }
    fflush(stdout);
    pager_pid = fork();
    if (!pager_pid) {
        dup2(fds[0], STDIN_FILENO);
        close(fds[0]);
        close(fds[1]);
        execl("/bin/sh", "sh", "-c", pager, (char *) NULL);
        _exit(127);
    }
    close(fds[0]);
    if (pager_pid > 0) {
        dup2(fds[1], STDOUT_FILENO);
        atexit(wait_for_pager);
    }
    close(fds[1]);
}
