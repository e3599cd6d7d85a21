/* SPDX-License-Identifier: Apache-2.0 */
/* app_pager - long output at a terminal goes through $PAGER. */
#include <config.h>
#include "apps/app_pager.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

FILE *
app_pager_open(void)
{
    const char *pager = getenv("LASTHOP_PAGER");
    FILE *stream;

    if (!pager) {
        pager = getenv("PAGER");
    }
    if (!pager) {
        pager = "less";
    }
    if (!*pager || !strcmp(pager, "cat") || !isatty(STDOUT_FILENO)) {
        return stdout;
    }
    /* As git does: quit if it fits a screen, show colours, leave it there. */
    setenv("LESS", "FRX", 0);
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
