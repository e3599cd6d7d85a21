/* SPDX-License-Identifier: Apache-2.0 */
/* later - requests of clients that are tried again in a moment. */
#include <config.h>

#include "server/later.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/api_peer.h"
#include "lib/lh_alloc.h"

#define PAUSE_US 50000

struct waiting {
    struct api_call *call; /* Owned. */
    json_t *request;       /* Owned reference. */
    api_handler *handler;
    void *aux;
};

struct later {
    struct event *event; /* Owned. */
    size_t n;
    struct waiting waiting[LATER_MAX]; /* Oldest first. */
};

static void
arm(struct later *later)
{
    static const struct timeval pause = {0, PAUSE_US};

    if (later->n && !event_pending(later->event, EV_TIMEOUT, NULL)) {
        event_add(later->event, &pause);
    }
}

static void
on_time(evutil_socket_t fd, short what, void *later_)
{
    struct later *later = later_;
    struct waiting due[LATER_MAX];
    size_t n = later->n;

    /* Handlers may add theirs again. */
    memcpy(due, later->waiting, n * sizeof *due);
    later->n = 0;
    for (size_t i = 0; i < n; i++) {
        if (api_call_peer(due[i].call)) {
            due[i].handler(due[i].call, due[i].request, due[i].aux);
        } else {
            api_call_answer(due[i].call, NULL);
        }
        json_decref(due[i].request);
    }
    arm(later);
}

struct later *
later_create(struct event_base *base)
{
    struct later *later = lh_alloc_zero(sizeof *later);

    later->event = evtimer_new(base, on_time, later);
    return later;
}

void
later_destroy(struct later *later)
{
    if (later) {
        for (size_t i = 0; i < later->n; i++) {
            api_call_fail(later->waiting[i].call, API_UNAVAILABLE,
                          "the server ends");
            json_decref(later->waiting[i].request);
        }
        event_free(later->event);
        free(later);
    }
}

bool
later_add(struct later *later, struct api_call *call, const json_t *request,
          api_handler *handler, void *aux)
{
    if (later->n == LATER_MAX) {
        return false;
    }
    later->waiting[later->n++] = (struct waiting){
        .call = call,
        .request = json_incref((json_t *) request),
        .handler = handler,
        .aux = aux,
    };
    arm(later);
    return true;
}

bool
later_cancel(struct later *later, const struct api_peer *peer,
             const json_t *id, api_handler *handler)
{
    for (size_t i = 0; i < later->n; i++) {
        struct waiting w = later->waiting[i];

        if (w.handler == handler && api_call_peer(w.call) == peer &&
            json_equal(api_call_id(w.call), id)) {
            later->n--;
            memmove(later->waiting + i, later->waiting + i + 1,
                    (later->n - i) * sizeof *later->waiting);
            api_call_fail(w.call, API_UNAVAILABLE, "cancelled");
            json_decref(w.request);
            return true;
        }
    }
    return false;
}

size_t
later_count(const struct later *later)
{
    return later->n;
}
