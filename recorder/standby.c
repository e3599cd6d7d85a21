/* SPDX-License-Identifier: Apache-2.0 */
/* standby - waits until the flow log is free. */
#include <config.h>
#include "recorder/standby.h"

#include <errno.h>
#include <time.h>
#include <event2/event.h>

#include "lib/flow_log.h"
#include "lib/say.h"
#include "recorder/endpoint.h"

#define TRY_EVERY_US  50000
#define LISTEN_TRIES  100
#define LISTEN_TRY_NS 20000000

struct standby {
    struct event_base *base;
    const char *path;
    struct flow_log **log;
    struct lh_error *error;
    int retval; /* Of the latest try. */
};

static void
on_try(evutil_socket_t fd, short what, void *s_)
{
    struct standby *s = s_;

    s->retval = flow_log_open(s->path, s->log, s->error);
    if (s->retval != EBUSY) {
        event_base_loopbreak(s->base);
    }
}

int
standby_open_log(struct event_base *base, const char *path,
                 struct flow_log **log, struct lh_error *error)
{
    struct standby s = {
        .base = base, .path = path, .log = log, .error = error};
    struct timeval every = {.tv_usec = TRY_EVERY_US};
    struct event *timer;

    s.retval = flow_log_open(path, log, error);
    if (s.retval != EBUSY) {
        return s.retval;
    }
    say_info("standing by: another recorder writes to %s", path);
    timer = event_new(base, -1, EV_PERSIST, on_try, &s);
    event_add(timer, &every);
    event_base_dispatch(base);
    event_free(timer);
    if (s.retval == EBUSY) {
        return ECANCELED; /* Told to end. */
    }
    if (!s.retval) {
        say_warn("taking over: the recorder that wrote to %s has ended", path);
    }
    return s.retval;
}

int
standby_listen(const struct endpoint *ep, int *fd, struct lh_error *error)
{
    const struct timespec pause = {.tv_nsec = LISTEN_TRY_NS};
    int retval = endpoint_listen(ep, fd, error);

    for (int i = 0; retval == EADDRINUSE && i < LISTEN_TRIES; i++) {
        nanosleep(&pause, NULL);
        retval = endpoint_listen(ep, fd, error);
    }
    return retval;
}
