/* SPDX-License-Identifier: Apache-2.0 */
/* child - another program, run beside the event loop: no shell, standard
 * input empty, a deadline after which it is killed, output kept up to
 * CHILD_MAX_OUTPUT bytes.
 *
 * Threads: that of the event loop. */
#ifndef RECORDER_CHILD_H
#define RECORDER_CHILD_H 1

#include "lib/lh_error.h"

#define CHILD_MAX_OUTPUT (4 * 1024 * 1024)

struct child;
struct event_base;

/* Called once, from the event loop, when the program has ended; 'child' is
 * freed after it.  'error' is NULL when it exited with 0, otherwise the reason
 * in words, with what it wrote to standard error.  'output' is its standard
 * output, NUL-terminated. */
typedef void child_done(void *aux, const char *output, const char *error);

/* Runs argv[0], looked up in PATH.  Returns 0, or an errno value with a reason
 * that names the program; then 'done' is not called.  With 'childp' (may be
 * NULL) it can be cancelled until 'done' was called. */
int child_start(struct event_base *, const char *const argv[],
                unsigned timeout_s, child_done *done, void *aux,
                struct child **childp, struct lh_error *);
/* Kills it; 'done' is not called. */
void child_cancel(struct child *);

#endif /* recorder/child.h */
