/* SPDX-License-Identifier: Apache-2.0 */
/* api_peer - one client of an API server. */
#include <config.h>
#include "lib/api_peer.h"

#include <assert.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "lib/api_line.h"
#include "lib/api_peer_owner.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"

/* Requests whose dropped events are counted apart, per client; the rest are
 * counted together under the id null. */
#define MAX_MISSED 32

/* How often we look whether a client that ended its side is still there. */
static const struct timeval half_closed_interval = {0, 250000};
static const struct timeval at_once = {0, 0};

struct missed {
    json_t *id; /* Owned. */
    uint64_t n;
};

struct api_call {
    LIST_ENTRY(api_call) node; /* In peer->calls, while 'peer' is there. */
    struct api_peer *peer;
    json_t *id; /* Owned. */
};

struct api_peer {
    struct api_peer_owner *owner;
    uint64_t number;
    char *address; /* Owned. */
    char *program; /* Owned; NULL: not known. */
    unsigned int rights;
    unsigned int frame; /* As in struct api_peer_info. */
    uint64_t since_ns;
    uint64_t n_requests, n_events, n_dropped;
    void *data;
    struct bufferevent *stream; /* Owned. */
    struct event *later; /* Ends a doomed peer, watches a half-closed one. */
    struct api_line line;
    bool is_doomed;
    bool has_ended; /* The client ended its side. */
    LIST_HEAD(, api_call) calls;
    size_t n_missed;
    struct missed missed[MAX_MISSED];
};

/* --- calls --------------------------------------------------------------- */

struct api_call *
api_call_create(struct api_peer *peer, json_t *id)
{
    struct api_call *call = lh_alloc(sizeof *call);

    call->peer = peer;
    call->id = id ? json_incref(id) : json_null();
    LIST_INSERT_HEAD(&peer->calls, call, node);
    return call;
}

static void
call_destroy(struct api_call *call)
{
    if (call->peer) {
        LIST_REMOVE(call, node);
    }
    json_decref(call->id);
    free(call);
}

json_t *
api_call_id(const struct api_call *call)
{
    return call->id;
}

struct api_peer *
api_call_peer(const struct api_call *call)
{
    return call->peer;
}

/* --- writing ------------------------------------------------------------- */

static size_t
n_waiting(const struct api_peer *peer)
{
    return evbuffer_get_length(bufferevent_get_output(peer->stream));
}

/* Has 'peer' ended from the event loop. */
static void
doom(struct api_peer *peer)
{
    if (!peer->is_doomed) {
        peer->is_doomed = true;
        bufferevent_disable(peer->stream, EV_READ | EV_WRITE);
        evtimer_add(peer->later, &at_once);
    }
}

/* Gives up a client for which too much waits. */
static void
check_queue(struct api_peer *peer)
{
    if (n_waiting(peer) > peer->owner->config.max_queue) {
        peer->owner->counters.peers_slow++;
        doom(peer);
    }
}

static void
free_text(const void *data, size_t len, void *text)
{
    free(text);
}

/* Queues 'text' without its first 'skip' bytes, and ends the line; 'text' is
 * taken. */
static void
queue_text(struct api_peer *peer, char *text, size_t skip)
{
    struct evbuffer *out = bufferevent_get_output(peer->stream);

    evbuffer_add_reference(out, text + skip, strlen(text) - skip, free_text,
                           text);
    evbuffer_add(out, "\n", 1);
    check_queue(peer);
}

/* Queues 'message', which is taken. */
static void
queue(struct api_peer *peer, json_t *message)
{
    if (!peer->is_doomed) {
        char *text = json_dumps(message, JSON_COMPACT);

        assert(text);
        queue_text(peer, text, 0);
    }
    json_decref(message);
}

/* A message with 'id', then 'name': 'value' (taken), then 'members'
 * (taken). */
static json_t *
envelope(json_t *id, const char *name, json_t *value, json_t *members)
{
    json_t *message = json_object();

    json_object_set(message, "id", id);
    json_object_set_new(message, name, value);
    json_object_update_missing(message, members);
    json_decref(members);
    return message;
}

void
api_call_answer(struct api_call *call, json_t *members)
{
    if (call->peer) {
        queue(call->peer, envelope(call->id, "ok", json_true(), members));
    } else {
        json_decref(members);
    }
    call_destroy(call);
}

void
api_call_answer_text(struct api_call *call, char *members)
{
    struct api_peer *peer = call->peer;

    if (peer && !peer->is_doomed) {
        json_t *start = envelope(call->id, "ok", json_true(), NULL);
        char *text = json_dumps(start, JSON_COMPACT);
        bool is_empty = !strcmp(members, "{}");

        /* Both are objects: the first without its end, then the second without
         * its beginning. */
        assert(text);
        evbuffer_add_printf(bufferevent_get_output(peer->stream), "%.*s%s",
                            (int) strlen(text) - 1, text, is_empty ? "" : ",");
        queue_text(peer, members, 1);
        free(text);
        json_decref(start);
    } else {
        free(members);
    }
    call_destroy(call);
}

void
api_call_fail_error(struct api_call *call, enum api_code code,
                    const struct lh_error *error)
{
    if (call->peer) {
        json_t *reason = json_pack("{s:s,s:o}", "code", api_code_name(code),
                                   "message", jmember_text_new(error->text));

        if (error->pos >= 0) {
            json_object_set_new(reason, "pos", json_integer(error->pos));
        }
        call->peer->owner->counters.refusals++;
        queue(call->peer, envelope(call->id, "ok", json_false(),
                                   json_pack("{s:o}", "error", reason)));
    }
    call_destroy(call);
}

void
api_call_fail(struct api_call *call, enum api_code code, const char *format,
              ...)
{
    struct lh_error error = {.pos = -1};
    va_list args;

    va_start(args, format);
    vsnprintf(error.text, sizeof error.text, format, args);
    va_end(args);
    api_call_fail_error(call, code, &error);
}

bool
api_peer_is_busy(const struct api_peer *peer)
{
    return peer->is_doomed ||
           n_waiting(peer) >= peer->owner->config.max_events;
}

static void
count_event(struct api_peer *peer)
{
    peer->owner->counters.events++;
    peer->n_events++;
}

void
api_peer_send(struct api_peer *peer, json_t *id, const char *event,
              json_t *members)
{
    count_event(peer);
    queue(peer, envelope(id, "event", json_string(event), members));
}

/* Tells the client of what it missed. */
static void
tell_missed(struct api_peer *peer)
{
    for (size_t i = 0; i < peer->n_missed; i++) {
        struct missed *m = &peer->missed[i];

        api_peer_send(peer, m->id, "missed",
                      json_pack("{s:I}", "n", (json_int_t) m->n));
        json_decref(m->id);
    }
    peer->n_missed = 0;
}

void
api_peer_miss(struct api_peer *peer, json_t *id, uint64_t n)
{
    struct missed *m = peer->missed;

    while (m < &peer->missed[peer->n_missed] && !json_equal(m->id, id)) {
        m++;
    }
    if (m == &peer->missed[MAX_MISSED]) {
        m--;
        json_decref(m->id);
        m->id = json_null();
    } else if (m == &peer->missed[peer->n_missed]) {
        *m = (struct missed){.id = json_incref(id)};
        peer->n_missed++;
    }
    m->n += n;
    peer->owner->counters.missed += n;
    peer->n_dropped += n;
    if (!api_peer_is_busy(peer)) {
        tell_missed(peer);
    }
}

bool
api_peer_offer(struct api_peer *peer, json_t *id, const char *event,
               json_t *members)
{
    if (api_peer_is_busy(peer)) {
        api_peer_miss(peer, id, 1);
        json_decref(members);
        return false;
    }
    api_peer_send(peer, id, event, members);
    return true;
}

void
api_peer_send_text(struct api_peer *peer, json_t *id, const char *event,
                   json_t *members, const char *text)
{
    json_t *start = envelope(id, "event", json_string(event), members);

    count_event(peer);
    if (!peer->is_doomed) {
        char *head = json_dumps(start, JSON_COMPACT);

        assert(head);
        evbuffer_add_printf(bufferevent_get_output(peer->stream),
                            "%.*s,\"%s\":", (int) strlen(head) - 1, head,
                            event);
        evbuffer_add(bufferevent_get_output(peer->stream), text, strlen(text));
        evbuffer_add(bufferevent_get_output(peer->stream), "}\n", 2);
        free(head);
        check_queue(peer);
    }
    json_decref(start);
}

void
api_peer_send_frame(struct api_peer *peer, const void *head, size_t head_len,
                    const void *body, size_t len)
{
    struct evbuffer *out = bufferevent_get_output(peer->stream);

    count_event(peer);
    if (!peer->is_doomed) {
        evbuffer_add(out, head, head_len);
        evbuffer_add(out, body, len);
        check_queue(peer);
    }
}

/* --- reading ------------------------------------------------------------- */

/* Takes requests while the client reads our answers, and reads on when it
 * does: libevent would call us again and again for input that we leave. */
static void
take_lines(struct api_peer *peer)
{
    struct evbuffer *in = bufferevent_get_input(peer->stream);

    while (!api_peer_is_busy(peer)) {
        char *text;
        size_t len;

        switch (api_line_next(&peer->line, in, &text, &len)) {
        case API_LINE_PARTIAL:
            if (!peer->has_ended) {
                bufferevent_enable(peer->stream, EV_READ);
            }
            return;
        case API_LINE_TOO_LONG:
            peer->owner->on_long_line(peer->owner, peer);
            break;
        case API_LINE_OK:
            peer->n_requests++;
            peer->owner->on_line(peer->owner, peer, text, len);
            free(text);
            break;
        }
    }
    bufferevent_disable(peer->stream, EV_READ);
}

static void
on_read(struct bufferevent *stream, void *peer)
{
    take_lines(peer);
}

/* The queue has run low. */
static void
on_written(struct bufferevent *stream, void *peer_)
{
    struct api_peer *peer = peer_;
    const struct api_server_config *config = &peer->owner->config;

    if (!peer->is_doomed) {
        tell_missed(peer);
        take_lines(peer);
    }
    if (!peer->is_doomed && config->on_drain) {
        config->on_drain(peer, config->aux);
    }
}

/* True when the client has closed both directions, not only its own. */
static bool
is_closed(const struct api_peer *peer)
{
    struct pollfd pfd = {.fd = bufferevent_getfd(peer->stream)};

    return poll(&pfd, 1, 0) > 0 && pfd.revents & (POLLHUP | POLLERR);
}

static void
on_later(evutil_socket_t fd, short what, void *peer_)
{
    struct api_peer *peer = peer_;

    if (peer->is_doomed) {
        peer->owner->on_gone(peer->owner, peer);
    } else if (is_closed(peer)) {
        doom(peer);
    } else {
        evtimer_add(peer->later, &half_closed_interval);
    }
}

static void
on_event(struct bufferevent *stream, short what, void *peer_)
{
    struct api_peer *peer = peer_;

    if (what & BEV_EVENT_ERROR || is_closed(peer)) {
        doom(peer);
    } else if (what & BEV_EVENT_EOF && !peer->is_doomed) {
        peer->has_ended = true;
        evtimer_add(peer->later, &half_closed_interval);
    }
}

/* --- life ---------------------------------------------------------------- */

struct api_peer *
api_peer_create(struct api_peer_owner *owner, struct bufferevent *stream,
                const char *address, unsigned int rights, uint64_t number)
{
    const struct api_server_config *config = &owner->config;
    struct api_peer *peer = lh_alloc_zero(sizeof *peer);

    peer->owner = owner;
    peer->number = number;
    peer->line.max_len = config->max_line;
    LIST_INIT(&peer->calls);
    peer->later = evtimer_new(owner->base, on_later, peer);
    peer->stream = stream;
    assert(peer->later && peer->stream);
    peer->address = lh_strdup(address);
    peer->rights = rights;
    peer->since_ns = time_spec_now();
    bufferevent_setcb(peer->stream, on_read, on_written, on_event, peer);
    bufferevent_setwatermark(peer->stream, EV_READ, 0, config->max_line + 2);
    bufferevent_setwatermark(peer->stream, EV_WRITE, config->max_events / 2,
                             0);
    bufferevent_enable(peer->stream, EV_READ | EV_WRITE);
    return peer;
}

void
api_peer_destroy(struct api_peer *peer)
{
    struct api_call *call;

    if (!peer) {
        return;
    }
    LIST_FOREACH(call, &peer->calls, node)
    {
        call->peer = NULL;
    }
    for (size_t i = 0; i < peer->n_missed; i++) {
        json_decref(peer->missed[i].id);
    }
    event_free(peer->later);
    bufferevent_free(peer->stream);
    free(peer->address);
    free(peer->program);
    free(peer);
}

void
api_peer_info(const struct api_peer *peer, struct api_peer_info *info)
{
    *info = (struct api_peer_info){
        .number = peer->number,
        .address = peer->address,
        .program = peer->program,
        .rights = peer->rights,
        .frame = peer->frame,
        .since_ns = peer->since_ns,
        .n_requests = peer->n_requests,
        .n_events = peer->n_events,
        .n_missed = peer->n_dropped,
        .n_waiting = n_waiting(peer),
    };
}

bool
api_peer_has(const struct api_peer *peer, enum api_right right)
{
    return (peer->rights & right) == right;
}

unsigned int
api_peer_frame(const struct api_peer *peer)
{
    return peer->frame;
}

void
api_peer_introduce(struct api_peer *peer, const char *program,
                   unsigned int frame)
{
    free(peer->program);
    peer->program = lh_strdup(program);
    peer->frame = frame;
}

void
api_peer_set_data(struct api_peer *peer, void *data)
{
    peer->data = data;
}

void *
api_peer_data(const struct api_peer *peer)
{
    return peer->data;
}

uint64_t
api_peer_number(const struct api_peer *peer)
{
    return peer->number;
}

void
api_peer_close(struct api_peer *peer)
{
    doom(peer);
}
