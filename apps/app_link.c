/* SPDX-License-Identifier: Apache-2.0 */
/* app_link - a program's connection to a server. */
#include <config.h>
#include "apps/app_link.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apps/app_interrupt.h"
#include "lib/client_json.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"

#define MAX_FDS 8
/* The library's timers are told by the wall clock, which may jump. */
#define MAX_WAIT_MS 1000

struct app_link {
    struct lasthop_client *client; /* Owned. */
};

/* --- SIGPIPE ------------------------------------------------------------- */

struct pipe_guard {
    sigset_t before;
    bool was_pending;
};

static void
guard_begin(struct pipe_guard *guard)
{
    sigset_t pipe, pending;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    guard->was_pending = sigismember(&pending, SIGPIPE);
    sigprocmask(SIG_BLOCK, &pipe, &guard->before);
}

static void
guard_end(const struct pipe_guard *guard)
{
    const struct timespec now = {0, 0};
    sigset_t pipe;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    while (!guard->was_pending && sigtimedwait(&pipe, NULL, &now) == SIGPIPE) {
        continue;
    }
    sigprocmask(SIG_SETMASK, &guard->before, NULL);
}

/* --- the link ------------------------------------------------------------ */

static const char *
either(const char *given, const char *variable)
{
    return given ? given : getenv(variable);
}

int
app_link_open(const struct app_server *where, struct app_link **linkp,
              struct lh_error *error)
{
    struct app_link *link = lh_alloc_zero(sizeof *link);
    struct sigaction on_pipe;
    struct pipe_guard guard;
    int retval;

    guard_begin(&guard);
    sigaction(SIGPIPE, NULL, &on_pipe);
    link->client = lasthop_client_create(where->address);
    sigaction(SIGPIPE, &on_pipe, NULL);
    lasthop_client_set_name(link->client, where->name);
    lasthop_client_set_timeout(link->client, (unsigned int) where->timeout_ms);
    lasthop_client_set_tls(link->client, either(where->tls_key, "LASTHOP_KEY"),
                           either(where->tls_cert, "LASTHOP_CERT"),
                           either(where->tls_ca, "LASTHOP_CA"));
    retval = lasthop_client_connect(link->client);
    guard_end(&guard);
    if (retval) {
        const char *why = lasthop_client_error(link->client);

        lh_error_set(error, "%s", *why ? why : strerror(retval));
        app_link_close(link);
        link = NULL;
    }
    *linkp = link;
    return retval;
}

void
app_link_close(struct app_link *link)
{
    struct pipe_guard guard;

    if (link) {
        guard_begin(&guard);
        lasthop_client_destroy(link->client);
        guard_end(&guard);
        free(link);
    }
}

struct lasthop_client *
app_link_client(struct app_link *link)
{
    return link->client;
}

/* What is due now. */
static int
process(struct app_link *link)
{
    struct pipe_guard guard;
    int retval;

    guard_begin(&guard);
    retval = lasthop_client_process(link->client, 0);
    guard_end(&guard);
    return retval;
}

bool
app_link_is_up(struct app_link *link)
{
    return lasthop_client_state(link->client) == LASTHOP_UP;
}

/* Sleeps until the library has something to do, up to 'left_ms' (negative: no
 * limit).  0, or EINTR. */
static int
sleep_for(struct app_link *link, int64_t left_ms)
{
    struct pollfd fds[MAX_FDS];
    int due_ms, retval;
    size_t n;

    n = lasthop_client_pollfds(link->client, fds, MAX_FDS, &due_ms);
    if (left_ms < 0 || left_ms > MAX_WAIT_MS) {
        left_ms = MAX_WAIT_MS;
    }
    if (due_ms >= 0 && due_ms < left_ms) {
        left_ms = due_ms;
    }
    retval = app_interrupt_poll(fds, n, (int) left_ms);
    return retval == ETIMEDOUT ? 0 : retval;
}

int
app_link_wait(struct app_link *link, int timeout_ms, struct lh_error *error)
{
    int64_t until_ms = monotonic_ms() + timeout_ms;

    for (;;) {
        int64_t left_ms = -1;
        int retval = process(link);

        if (!app_link_is_up(link)) {
            retval = retval && retval != ETIMEDOUT ? retval : ECONNRESET;
        }
        if (retval && retval != ETIMEDOUT) {
            lh_error_set(error, "%s", lasthop_client_error(link->client));
        }
        if (retval != ETIMEDOUT) {
            return retval;
        }
        if (timeout_ms >= 0) {
            left_ms = until_ms - monotonic_ms();
            if (left_ms <= 0) {
                return ETIMEDOUT;
            }
        }
        retval = sleep_for(link, left_ms);
        if (retval) {
            return retval;
        }
    }
}

/* The reason why 'request' ended with 'retval'. */
static int
explain(const struct lasthop_request *request, int retval,
        struct lh_error *error)
{
    const char *text = lasthop_request_error(request);

    if (retval) {
        lh_error_set_at(error, lasthop_request_error_pos(request), "%s",
                        text ? text : strerror(retval));
    }
    return retval;
}

int
app_link_ask(struct app_link *link, struct lasthop_request *request,
             struct lh_error *error)
{
    int retval = lasthop_request_start(request);

    if (retval) {
        return explain(request, retval, error);
    }
    while (lasthop_request_result(request) == EINPROGRESS &&
           !client_json_answer(request)) {
        retval = app_link_wait(link, -1, error);
        if (retval == EINTR) {
            return EINTR;
        }
    }
    retval = lasthop_request_result(request);
    return retval == EINPROGRESS ? 0 : explain(request, retval, error);
}

int
app_link_call(struct app_link *link, const char *op, json_t *members,
              json_t **answer, struct lh_error *error)
{
    struct lasthop_request *request = lasthop_request_create(link->client, op);
    const char *name;
    json_t *value;
    int retval;

    json_object_foreach(members, name, value)
    {
        client_json_set(request, name, json_incref(value));
    }
    retval = app_link_ask(link, request, error);
    if (answer) {
        *answer = retval ? NULL
                         : json_incref((json_t *) client_json_answer(request));
    }
    lasthop_request_destroy(request);
    json_decref(members);
    return retval;
}
