/* SPDX-License-Identifier: Apache-2.0 */
/* app_progress - how far long work has come, on standard error if that is a
 * terminal, from its first second on.
 *
 *     struct app_progress progress = app_progress_begin("blocks");
 *
 *     app_progress_show(&progress, n_done, n_all, n_found);    (now and then)
 *     app_progress_end(&progress);
 *
 * Threads: one. */
#ifndef APPS_APP_PROGRESS_H
#define APPS_APP_PROGRESS_H 1

#include <stdbool.h>
#include <stdint.h>

struct app_progress {
    const char *what;
    bool is_wanted; /* A terminal. */
    bool has_shown;
    uint64_t next_ns;
};

struct app_progress app_progress_begin(const char *what);
void app_progress_show(struct app_progress *, uint64_t n_done, uint64_t n_all,
                       uint64_t n_found);
/* Takes the line away; before anything else is written to the terminal. */
void app_progress_end(struct app_progress *);

#endif /* apps/app_progress.h */
