/* SPDX-License-Identifier: Apache-2.0 */
/* log_watch - looks after the flow log: says when the disk does not keep up
 * and when it does again, and has what is too old deleted.
 *
 * Threads: the event loop's. */
#ifndef RECORDER_LOG_WATCH_H
#define RECORDER_LOG_WATCH_H 1

#include <stdint.h>
#include <jansson.h>

#include "lib/lh_error.h"

/* The disk does not keep up when something has waited for it so long. */
#define LOG_WATCH_LATE_NS UINT64_C(2000000000)

struct event_base;
struct floors;
struct flow_log;
struct log_watch;

/* 'log' must outlive it.  What was over is kept for 'keep_ns' (0: for
 * ever) while the log takes no more than 'keep_bytes' (0: any), and what a
 * server needs until it has not said so for 'retain_ns' (0: for ever). */
struct log_watch *log_watch_create(struct event_base *, struct flow_log *log,
                                   uint64_t keep_ns, uint64_t keep_bytes,
                                   uint64_t retain_ns);
/* What servers need. */
struct floors *log_watch_floors(struct log_watch *);
/* A log in 'dir' could not be opened: adds to 'error' that the disk is full,
 * if it is. */
void log_watch_explain(const char *dir, struct lh_error *error);
/* 'found' is called when notes were lost and the disk has caught up: what
 * stands is to be logged anew. */
void log_watch_set_found(struct log_watch *, void (*found)(void *aux),
                         void *aux);
void log_watch_destroy(struct log_watch *);

/* The member "flow_log" of the recorder's stats (docs/api.md); 'path' is that
 * of the log. */
json_t *log_watch_stats(const struct log_watch *, const char *path);

#endif /* recorder/log_watch.h */
