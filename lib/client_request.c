/* SPDX-License-Identifier: Apache-2.0 */
/* client_request - what is asked of a server, and what comes of it. */
#include <config.h>

#include "lib/client_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>

#include "lib/api_code.h"
#include "lib/client_json.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/time_spec.h"

static void
enter(struct lasthop_request *r)
{
    r->n_uses++;
    client_enter(r->client);
}

static void
forget_texts(struct lasthop_request *r)
{
    json_decref(r->answer);
    json_decref(r->end);
    free(r->answer_text);
    free(r->end_text);
    free(r->error);
    r->answer = r->end = NULL;
    r->answer_text = r->end_text = r->error = NULL;
    r->error_pos = -1;
}

static void
free_request(struct lasthop_request *r)
{
    LIST_REMOVE(r, node);
    if (r->timer) {
        event_free(r->timer);
    }
    forget_texts(r);
    json_decref(r->members);
    free(r->op);
    free(r);
}

/* True when the request or its client is gone. */
static bool
leave(struct lasthop_request *r)
{
    struct lasthop_client *client = r->client;
    bool is_gone = r->is_destroyed;

    if (!--r->n_uses && r->is_destroyed) {
        free_request(r);
    }
    return client_leave(client) || is_gone;
}

/* True when nobody is to be called any more. */
static bool
is_silent(const struct lasthop_request *r)
{
    return r->is_destroyed || r->client->is_destroyed;
}

/* --- Those that run ------------------------------------------------------ */

static void
add_running(struct lasthop_request *r)
{
    struct lasthop_client *client = r->client;

    client->requests =
        lh_alloc_grow(client->requests, client->n_requests,
                      &client->allocated_requests, sizeof *client->requests);
    client->requests[client->n_requests++] = r;
}

static void
remove_running(struct lasthop_request *r)
{
    struct lasthop_client *client = r->client;

    for (size_t i = 0; i < client->n_requests; i++) {
        if (client->requests[i] == r) {
            client->n_requests--;
            memmove(&client->requests[i], &client->requests[i + 1],
                    (client->n_requests - i) * sizeof *client->requests);
            return;
        }
    }
}

static struct lasthop_request *
find_running(const struct lasthop_client *client, json_int_t id)
{
    size_t low = 0, high = client->n_requests;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (client->requests[middle]->id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < client->n_requests && client->requests[low]->id == id
               ? client->requests[low]
               : NULL;
}

static void
set_error(struct lasthop_request *r, int pos, const char *text)
{
    /* The text may be the client's own. */
    char *copy = lh_strdup(text);

    free(r->error);
    r->error = copy;
    r->error_pos = pos;
    lh_error_set_at(&r->client->error, pos, "%s", copy);
}

/* Ends 'r'; 'text' is NULL when nothing is wrong. */
static void
end(struct lasthop_request *r, int result, const char *text)
{
    enter(r);
    remove_running(r);
    if (r->timer) {
        evtimer_del(r->timer);
    }
    r->phase = REQUEST_ENDED;
    r->result = result;
    if (text) {
        set_error(r, r->error_pos, text);
    }
    r->client->n_happened++;
    if (r->on_end && !is_silent(r)) {
        r->on_end(r, result, r->on_end_aux);
    }
    leave(r);
}

static void
on_timeout(evutil_socket_t fd, short what, void *r_)
{
    struct lasthop_request *r = r_;
    char *text = lh_asprintf("%s: no answer in time", r->client->address);

    end(r, ETIMEDOUT, text);
    free(text);
}

static void
send_request(struct lasthop_request *r)
{
    struct lasthop_client *client = r->client;
    struct timeval tv = {.tv_sec = client->timeout_ms / 1000,
                         .tv_usec = client->timeout_ms % 1000 * 1000};
    json_t *message;

    r->id = ++client->last_id;
    r->phase = REQUEST_ASKED;
    message = json_pack("{s:I, s:s}", "id", r->id, "op", r->op);
    json_object_update_missing(message, r->members);
    client_conn_send(client, message);
    if (!r->timer) {
        r->timer = evtimer_new(client->base, on_timeout, r);
        assert(r->timer);
    }
    evtimer_add(r->timer, &tv);
}

void
client_request_resume_all(struct lasthop_client *client)
{
    for (size_t i = 0; i < client->n_requests; i++) {
        send_request(client->requests[i]);
    }
}

/* Only those that stand are left afterwards.  Callbacks may start others and
 * end some. */
void
client_request_lost_all(struct lasthop_client *client, int error_number,
                        const char *why)
{
    size_t i = 0;

    client_enter(client);
    while (i < client->n_requests) {
        struct lasthop_request *r = client->requests[i];

        if (r->phase == REQUEST_WAITING) {
            i++;
        } else if (r->is_standing && client->max_pause_ms) {
            if (r->phase == REQUEST_FLOWING) {
                r->gap_ns = client->down_ns;
            }
            evtimer_del(r->timer);
            r->phase = REQUEST_WAITING;
        } else {
            end(r, error_number, why);
            i = 0;
        }
    }
    client_leave(client);
}

/* --- What the server says ------------------------------------------------ */

static uint64_t
number_of(const json_t *object, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(object, name));

    return n > 0 ? (uint64_t) n : 0;
}

static void
take_answer(struct lasthop_request *r, const json_t *message)
{
    const json_t *reason = json_object_get(message, "error");
    const char *text = json_string_value(json_object_get(reason, "message"));
    const char *code = json_string_value(json_object_get(reason, "code"));
    const json_t *pos = json_object_get(reason, "pos");

    evtimer_del(r->timer);
    if (!json_is_true(json_object_get(message, "ok"))) {
        r->error_pos =
            json_is_integer(pos) ? (int) json_integer_value(pos) : -1;
        end(r, api_code_errno(api_code_from_name(code)),
            text && *text ? text : "the server refused without a reason");
        return;
    }
    forget_texts(r);
    r->answer = json_incref((json_t *) message);
    if (r->is_follow) {
        r->phase = REQUEST_FLOWING;
    }
    r->client->n_happened++;
    if (r->on_answer) {
        r->on_answer(r, r->on_answer_aux);
    }
    if (!is_silent(r) && r->gap_ns && r->on_missed) {
        r->why = "there was no connection to the server";
        r->on_missed(r, 0, r->gap_ns, time_spec_now(), r->on_missed_aux);
        r->why = NULL;
    }
    r->gap_ns = 0;
    if (!is_silent(r) && !r->is_follow) {
        end(r, 0, NULL);
    }
}

static void
give_history(struct lasthop_request *r, struct lasthop_history *h)
{
    if (!h) {
        end(r, EPROTO, "the server sent a history that is none");
    } else if (r->on_history) {
        r->on_history(r, h, r->on_history_aux);
    }
}

static void
take_history(struct lasthop_request *r, const json_t *message)
{
    struct lasthop_history *h =
        client_history_from_json(json_object_get(message, "history"));

    give_history(r, h);
    lasthop_history_unref(h);
}

void
client_request_take_history(struct lasthop_client *client, json_int_t id,
                            struct lasthop_history *h)
{
    struct lasthop_request *r = find_running(client, id);

    if (r) {
        enter(r);
        client->n_happened++;
        give_history(r, h);
        leave(r);
    }
}

static void
take_end(struct lasthop_request *r, const json_t *message)
{
    bool is_query = json_object_get(message, "scanned") != NULL;
    bool is_cancelled = json_is_true(json_object_get(message, "cancelled"));

    r->end = json_incref((json_t *) message);
    if (is_query && !is_cancelled) {
        end(r, 0, NULL);
    } else {
        end(r, ECANCELED,
            is_query ? "the query was cancelled" : "the trigger was deleted");
    }
}

static void
take_other(struct lasthop_request *r, const json_t *message)
{
    if (r->on_event) {
        char *text = json_dumps(message, JSON_COMPACT);

        assert(text);
        r->on_event(r, text, r->on_event_aux);
        free(text);
    }
}

static void
take_event(struct lasthop_request *r, const char *name, const json_t *message)
{
    r->client->n_happened++;
    r->event = message;
    if (!strcmp(name, "history")) {
        take_history(r, message);
    } else if (!strcmp(name, "progress")) {
        if (r->on_progress) {
            r->on_progress(r, number_of(message, "blocks_read"),
                           number_of(message, "blocks"), r->on_progress_aux);
        }
    } else if (!strcmp(name, "missed")) {
        if (r->on_missed) {
            r->why = json_string_value(json_object_get(message, "why"));
            r->on_missed(r, number_of(message, "n"),
                         number_of(message, "since_ns"),
                         number_of(message, "until_ns"), r->on_missed_aux);
            r->why = NULL;
        }
    } else if (!strcmp(name, "end")) {
        take_end(r, message);
    } else {
        take_other(r, message);
    }
    r->event = NULL;
}

void
client_request_take(struct lasthop_client *client, const json_t *message)
{
    const json_t *id = json_object_get(message, "id");
    const char *event = json_string_value(json_object_get(message, "event"));
    struct lasthop_request *r =
        json_is_integer(id) ? find_running(client, json_integer_value(id))
                            : NULL;

    if (!r) {
        return; /* Of a request that was cancelled. */
    }
    enter(r);
    if (event) {
        take_event(r, event, message);
    } else if (r->phase == REQUEST_ASKED) {
        take_answer(r, message);
    }
    leave(r);
}

/* --- For programs -------------------------------------------------------- */

struct lasthop_request *
lasthop_request_create(struct lasthop_client *client, const char *op)
{
    struct lasthop_request *r = lh_alloc_zero(sizeof *r);

    r->client = client;
    r->op = lh_strdup(op);
    r->members = json_object();
    r->error_pos = -1;
    r->result = ENOENT;
    r->is_standing = !strcmp(op, "trigger.add") || !strcmp(op, "subscribe");
    r->is_follow = r->is_standing || !strcmp(op, "query");
    LIST_INSERT_HEAD(&client->all, r, node);
    return r;
}

static bool
is_running(const struct lasthop_request *r)
{
    return r->phase == REQUEST_WAITING || r->phase == REQUEST_ASKED ||
           r->phase == REQUEST_FLOWING;
}

/* Tells the server that nobody wants it any more. */
static void
call_off(struct lasthop_request *r)
{
    struct lasthop_client *client = r->client;
    json_t *message = NULL;

    if (client->phase != CLIENT_READY || r->phase == REQUEST_WAITING) {
        return;
    }
    if (!strcmp(r->op, "query")) {
        message = json_pack("{s:s, s:I}", "op", "cancel", "query", r->id);
    } else if (!strcmp(r->op, "trigger.add")) {
        message =
            json_pack("{s:s, s:I}", "op", "trigger.delete", "request", r->id);
    }
    if (message) {
        json_object_set_new(message, "id", json_integer(++client->last_id));
        client_conn_send(client, message);
    }
}

void
lasthop_request_destroy(struct lasthop_request *r)
{
    if (r && !r->is_destroyed) {
        enter(r);
        if (is_running(r)) {
            call_off(r);
            remove_running(r);
            if (r->timer) {
                evtimer_del(r->timer);
            }
        }
        r->is_destroyed = true;
        leave(r);
    }
}

void
client_request_destroy_all(struct lasthop_client *client)
{
    struct lasthop_request *r;

    while ((r = LIST_FIRST(&client->all))) {
        assert(!r->n_uses);
        free_request(r);
    }
}

static void
set_member(struct lasthop_request *r, const char *name, json_t *value)
{
    if (!value || json_object_set_new(r->members, name, value)) {
        char *text = lh_asprintf("%s: cannot be sent as JSON", name);

        r->is_invalid = true;
        set_error(r, -1, text);
        free(text);
    }
}

void
lasthop_request_set_text(struct lasthop_request *r, const char *name,
                         const char *value)
{
    set_member(r, name, json_string(value));
}

void
lasthop_request_set_number(struct lasthop_request *r, const char *name,
                           int64_t value)
{
    set_member(r, name, json_integer(value));
}

void
lasthop_request_set_bool(struct lasthop_request *r, const char *name,
                         bool value)
{
    set_member(r, name, json_boolean(value));
}

void
lasthop_request_set_json(struct lasthop_request *r, const char *name,
                         const char *json)
{
    set_member(r, name, json_loads(json, JSON_DECODE_ANY, NULL));
}

void
client_json_set(struct lasthop_request *r, const char *name, json_t *value)
{
    set_member(r, name, value);
}

int
lasthop_request_start(struct lasthop_request *r)
{
    struct lasthop_client *client = r->client;

    if (is_running(r)) {
        return EALREADY;
    }
    if (r->is_invalid) {
        return EINVAL;
    }
    forget_texts(r);
    r->gap_ns = 0;
    if (client->phase == CLIENT_READY) {
        add_running(r);
        send_request(r);
    } else if (r->is_standing && client->max_pause_ms) {
        add_running(r);
        r->phase = REQUEST_WAITING;
    } else {
        set_error(r, -1,
                  *client->error.text ? client->error.text
                                      : "there is no connection");
        r->phase = REQUEST_ENDED;
        r->result = ENOTCONN;
        return ENOTCONN;
    }
    r->result = EINPROGRESS;
    return 0;
}

/* Waits until 'r' has ended, or, where that is enough, was answered. */
static int
wait_for(struct lasthop_request *r, int timeout_ms, bool is_answer_enough)
{
    int64_t until_ms = monotonic_ms() + timeout_ms;
    int retval = 0;

    while (is_running(r) && (!is_answer_enough || !r->answer)) {
        int left_ms = timeout_ms;

        if (timeout_ms >= 0) {
            int64_t left = until_ms - monotonic_ms();

            left_ms = left > 0 ? (int) left : 0;
        }
        retval = lasthop_client_process(r->client, left_ms);
        if (retval == ETIMEDOUT) {
            return is_running(r) ? EINPROGRESS : r->result;
        } else if (retval) {
            return is_running(r) ? retval : r->result;
        }
    }
    return is_running(r) ? 0 : r->result;
}

int
lasthop_request_wait(struct lasthop_request *r, int timeout_ms)
{
    return wait_for(r, timeout_ms, false);
}

int
lasthop_request_wait_answer(struct lasthop_request *r, int timeout_ms)
{
    return wait_for(r, timeout_ms, true);
}

int
lasthop_request_run(struct lasthop_request *r, int timeout_ms)
{
    int retval = lasthop_request_start(r);

    return retval ? retval : lasthop_request_wait(r, timeout_ms);
}

int
lasthop_request_cancel(struct lasthop_request *r)
{
    if (!is_running(r)) {
        return ENOENT;
    }
    call_off(r);
    end(r, ECANCELED, "cancelled");
    return 0;
}
