/* SPDX-License-Identifier: Apache-2.0 */
/* app_progress - how far long work has come. */
#include <config.h>
#include "apps/app_progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/time_spec.h"

#define FIRST_NS UINT64_C(1000000000)
#define EVERY_NS UINT64_C(100000000)

struct app_progress
app_progress_begin(const char *what)
{
    return (struct app_progress){.what = what,
                                 .is_wanted = isatty(STDERR_FILENO),
                                 .next_ns = time_spec_now() + FIRST_NS};
}

void
app_progress_show(struct app_progress *progress, uint64_t n_done,
                  uint64_t n_all, uint64_t n_found)
{
    uint64_t now_ns;

    if (!progress->is_wanted) {
        return;
    }
    now_ns = time_spec_now();
    if (now_ns < progress->next_ns) {
        return;
    }
    progress->next_ns = now_ns + EVERY_NS;
    progress->has_shown = true;
    fprintf(stderr,
            "\r\033[Kread %" PRIu64 " of %" PRIu64 " %s, %" PRIu64 " found ",
            n_done, n_all, progress->what, n_found);
    fflush(stderr);
}

void
app_progress_end(struct app_progress *progress)
{
    if (progress->has_shown) {
        fputs("\r\033[K", stderr);
        progress->has_shown = false;
    }
}
