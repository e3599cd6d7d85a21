/* SPDX-License-Identifier: Apache-2.0 */
/* api_link - a daemon's standing connection to another daemon's API. */
#include <config.h>
#include "lib/api_link.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "lib/api_code.h"
#include "lib/api_line.h"
#include "lib/api_socket.h"
#include "lib/lh_alloc.h"

struct call {
    TAILQ_ENTRY(call) node; /* In link->calls. */
    struct api_link *link;
    json_int_t id;
    struct event *timer; /* Owned. */
    api_link_answer *on_answer;
    void *aux;
};

struct api_link {
    struct event_base *base;
    struct api_link_config config; /* 'path' is owned. */
    struct api_link_counters counters;
    struct event *retry;        /* Connects.  Owned. */
    struct bufferevent *stream; /* NULL while down.  Owned. */
    struct api_line line;
    uint32_t pause_ms; /* Before the next try. */
    bool is_told_down; /* on_down was called since the last on_up. */
    json_int_t last_id;
    TAILQ_HEAD(, call) calls;
};

static void
start_timer(struct event *timer, uint32_t ms)
{
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};

    evtimer_add(timer, &tv);
}

/* --- calls --------------------------------------------------------------- */

/* Ends 'call' with an answer, or with 'error'. */
static void
end_call(struct call *call, int error_number, const json_t *answer,
         const struct lh_error *error)
{
    TAILQ_REMOVE(&call->link->calls, call, node);
    event_free(call->timer);
    call->on_answer(call->aux, error_number, answer, error);
    free(call);
}

static void
end_all_calls(struct api_link *link, int error_number, const char *why)
{
    struct lh_error error;
    struct call *call;

    lh_error_set(&error, "%s: %s", link->config.path, why);
    while ((call = TAILQ_FIRST(&link->calls))) {
        end_call(call, error_number, NULL, &error);
    }
}

static void
on_timeout(evutil_socket_t fd, short what, void *call_)
{
    struct call *call = call_;
    struct lh_error error;

    call->link->counters.timeouts++;
    lh_error_set(&error, "%s: no answer in time", call->link->config.path);
    end_call(call, ETIMEDOUT, NULL, &error);
}

static struct call *
find_call(struct api_link *link, const json_t *id)
{
    struct call *call;

    TAILQ_FOREACH(call, &link->calls, node)
    {
        if (json_is_integer(id) && json_integer_value(id) == call->id) {
            return call;
        }
    }
    return NULL;
}

/* Ends 'call' with what the answer 'message' says. */
static void
take_answer(struct call *call, const json_t *message)
{
    const json_t *reason = json_object_get(message, "error");
    const json_t *pos = json_object_get(reason, "pos");
    const char *text = json_string_value(json_object_get(reason, "message"));
    const char *code = json_string_value(json_object_get(reason, "code"));
    struct lh_error error;

    if (json_is_true(json_object_get(message, "ok"))) {
        end_call(call, 0, message, NULL);
        return;
    }
    lh_error_set_at(&error,
                    json_is_integer(pos) ? (int) json_integer_value(pos) : -1,
                    "%s", text && *text ? text : "refused without a reason");
    end_call(call, api_code_errno(api_code_from_name(code)), NULL, &error);
}

/* --- connection ---------------------------------------------------------- */

/* Drops the connection, if there is one, and tries again later. */
static void
go_down(struct api_link *link, const char *why)
{
    if (link->stream) {
        bufferevent_free(link->stream);
        link->stream = NULL;
    }
    link->line = (struct api_line){.max_len = API_LINE_MAX_ANSWER};
    start_timer(link->retry, link->pause_ms);
    link->pause_ms = link->pause_ms < link->config.max_pause_ms / 2
                         ? link->pause_ms * 2
                         : link->config.max_pause_ms;
    end_all_calls(link, ECONNRESET, "the connection was lost");
    if (!link->is_told_down) {
        link->is_told_down = true;
        if (link->config.on_down) {
            link->config.on_down(link->config.aux, why);
        }
    }
}

static void
take_message(struct api_link *link, const json_t *message)
{
    const json_t *id = json_object_get(message, "id");
    struct call *call;

    if (json_is_string(json_object_get(message, "event"))) {
        if (link->config.on_event) {
            link->config.on_event(link->config.aux, message);
        }
    } else if (!json_is_boolean(json_object_get(message, "ok"))) {
        link->counters.garbage++;
    } else if ((call = find_call(link, id))) {
        take_answer(call, message);
    }
}

static void
on_read(struct bufferevent *stream, void *link_)
{
    struct api_link *link = link_;
    enum api_line_result result;
    char *text;
    size_t len;

    while ((result = api_line_next(&link->line, bufferevent_get_input(stream),
                                   &text, &len)) != API_LINE_PARTIAL) {
        json_t *message =
            result == API_LINE_OK ? json_loadb(text, len, 0, NULL) : NULL;

        free(text);
        link->pause_ms = link->config.min_pause_ms;
        take_message(link, message);
        json_decref(message);
    }
}

static void
on_stream_event(struct bufferevent *stream, short what, void *link)
{
    go_down(link, what & BEV_EVENT_EOF ? "it closed the connection"
                                       : "the connection failed");
}

static void
on_retry(evutil_socket_t retry_fd, short what, void *link_)
{
    struct api_link *link = link_;
    struct lh_error error;
    int fd;

    if (api_socket_connect(link->config.path, &fd, &error)) {
        go_down(link, error.text);
        return;
    }
    link->stream =
        bufferevent_socket_new(link->base, fd, BEV_OPT_CLOSE_ON_FREE);
    assert(link->stream);
    bufferevent_setcb(link->stream, on_read, NULL, on_stream_event, link);
    bufferevent_enable(link->stream, EV_READ | EV_WRITE);
    link->counters.connects++;
    link->is_told_down = false;
    if (link->config.on_up) {
        link->config.on_up(link->config.aux);
    }
}

/* --- life ---------------------------------------------------------------- */

struct api_link *
api_link_create(struct event_base *base, const struct api_link_config *config)
{
    struct api_link *link = lh_alloc_zero(sizeof *link);

    link->base = base;
    link->config = *config;
    link->config.path = lh_strdup(config->path);
    if (!link->config.min_pause_ms) {
        link->config.min_pause_ms = 100;
    }
    if (!link->config.max_pause_ms) {
        link->config.max_pause_ms = 5000;
    }
    link->pause_ms = link->config.min_pause_ms;
    link->line.max_len = API_LINE_MAX_ANSWER;
    TAILQ_INIT(&link->calls);
    link->retry = evtimer_new(base, on_retry, link);
    assert(link->retry);
    start_timer(link->retry, 0);
    signal(SIGPIPE, SIG_IGN);
    return link;
}

void
api_link_destroy(struct api_link *link)
{
    if (!link) {
        return;
    }
    if (link->stream) {
        bufferevent_free(link->stream);
        link->stream = NULL;
    }
    end_all_calls(link, ECANCELED, "the link was destroyed");
    event_free(link->retry);
    free((char *) link->config.path);
    free(link);
}

bool
api_link_is_up(const struct api_link *link)
{
    return link->stream != NULL;
}

int
api_link_call(struct api_link *link, const char *op, json_t *members,
              uint32_t timeout_ms, api_link_answer *on_answer, void *aux)
{
    struct evbuffer *out;
    struct call *call;
    json_t *request;
    char *text;

    if (!link->stream) {
        json_decref(members);
        return ENOTCONN;
    }
    link->counters.calls++;
    call = lh_alloc_zero(sizeof *call);
    call->link = link;
    call->id = ++link->last_id;
    call->on_answer = on_answer;
    call->aux = aux;
    call->timer = evtimer_new(link->base, on_timeout, call);
    assert(call->timer);
    start_timer(call->timer, timeout_ms);
    TAILQ_INSERT_TAIL(&link->calls, call, node);

    request = json_pack("{s:I,s:s}", "id", call->id, "op", op);
    json_object_update_missing(request, members);
    json_decref(members);
    text = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    assert(text);
    out = bufferevent_get_output(link->stream);
    evbuffer_add_printf(out, "%s\n", text);
    free(text);
    return 0;
}

const struct api_link_counters *
api_link_counters(const struct api_link *link)
{
    return &link->counters;
}
