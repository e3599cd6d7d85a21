/* SPDX-License-Identifier: Apache-2.0 */
/* past_worker - answers questions about the past beside the event loop.
 *
 * A thread with a handle of its own on the flow log takes one question after
 * the other, so that neither a large table nor a slow disk keeps the control
 * channels waiting.  Its answers, already written as text, come back to the
 * loop.  A client that goes away takes its questions along.
 *
 * Threads: that of the event loop calls this; handlers run in the worker. */
#ifndef RECORDER_PAST_WORKER_H
#define RECORDER_PAST_WORKER_H 1

#include <stdint.h>
#include <jansson.h>

#include "lib/api_peer.h"
#include "lib/lh_error.h"
#include "lib/past.h"

struct event_base;
struct past_worker;

/* One question; as the functions of lib/past.h. */
typedef int past_handler(const struct past_query *, json_t **answer,
                         struct lh_error *);

struct past_worker_counters {
    uint64_t asked;
    uint64_t answered, failed;
    uint64_t cancelled; /* The client went away. */
    uint64_t refused;   /* Too many waited. */
};
/* asked = answered + failed + cancelled + refused + those that wait. */

/* Answers from 'log', which must outlive it, by a handle of its own; up to
 * 'max_jobs' questions may wait at a time. */
struct past_worker *past_worker_create(struct event_base *,
                                       struct flow_log *log, size_t max_jobs);
/* Waits for the question at hand, which is cancelled. */
void past_worker_destroy(struct past_worker *);

/* Has 'handler' answer 'call'. */
void past_worker_ask(struct past_worker *, struct api_call *call,
                     const json_t *request, past_handler *handler);
/* The client is going away. */
void past_worker_forget(struct past_worker *, const struct api_peer *);

struct past_worker_counters past_worker_counters(const struct past_worker *);

/* `why` of docs/api.md. */
int past_why(const struct past_query *, json_t **answer, struct lh_error *);

#endif /* recorder/past_worker.h */
