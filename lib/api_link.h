/* SPDX-License-Identifier: Apache-2.0 */
/* api_link - a daemon's standing connection to another daemon's API.
 *
 * It connects, and connects again with growing pauses whenever the other side
 * is not there or goes away.  Callbacks come from the event loop only (but
 * for api_link_destroy(), which must not be called from one).
 *
 * Threads: that of the event loop. */
#ifndef LIB_API_LINK_H
#define LIB_API_LINK_H 1

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "lib/lh_error.h"

struct event_base;

struct api_link_config {
    const char *path;      /* Copied. */
    uint32_t min_pause_ms; /* Before the second try; 0: 100. */
    uint32_t max_pause_ms; /* The pause doubles up to this; 0: 5000. */

    /* Each may be NULL.  on_up: connected (again), time to subscribe;
     * on_down: no more, or not yet, and why (told once until the next
     * on_up).  'event' is borrowed. */
    void (*on_up)(void *aux);
    void (*on_down)(void *aux, const char *why);
    void (*on_event)(void *aux, const json_t *event);
    void *aux;
};

struct api_link_counters {
    uint64_t connects; /* Connections made. */
    uint64_t calls;
    uint64_t timeouts; /* Calls not answered in time. */
    uint64_t garbage;  /* Messages that are not the protocol. */
};

/* Takes the end of a call: 'error_number' is 0 and 'answer' (borrowed) the
 * answer; or 'answer' is NULL, 'error_number' is api_code_errno() of what the
 * other side said, ETIMEDOUT, ECONNRESET or ECANCELED (the link was
 * destroyed), and 'error' says it in words. */
typedef void api_link_answer(void *aux, int error_number, const json_t *answer,
                             const struct lh_error *error);

struct api_link *api_link_create(struct event_base *,
                                 const struct api_link_config *);
/* Ends all calls with ECANCELED. */
void api_link_destroy(struct api_link *);

bool api_link_is_up(const struct api_link *);
/* Sends request 'op' with 'members' (NULL: none; taken).  'on_answer' is
 * called exactly once, after this returns.  Returns 0, or ENOTCONN when the
 * link is down: then it is not called. */
int api_link_call(struct api_link *, const char *op, json_t *members,
                  uint32_t timeout_ms, api_link_answer *on_answer, void *aux);
const struct api_link_counters *api_link_counters(const struct api_link *);

#endif /* lib/api_link.h */
