/* SPDX-License-Identifier: Apache-2.0 */
/* client_conn - the connection of a client: made, watched, lost, made again.
 */
#include <config.h>

#include "lib/client_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/event.h>

#include "lib/api_code.h"
#include "lib/api_socket.h"
#include "lib/history_frame.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"
#include "lib/tls.h"

#define PROTOCOL     1
#define MIN_PAUSE_MS 100
/* How often a server whose queue of connections is full is tried. */
#define FULL_PAUSE_MS 50
/* Of a name in an address. */
#define MAX_HOST 255

/* The id of `hello`; requests have higher ones. */
#define HELLO_ID 0

static void lose(struct lasthop_client *, int error_number, const char *why);

static void
start_timer(struct event *timer, unsigned int ms)
{
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    evtimer_add(timer, &tv);
}

static unsigned int
half(unsigned int ms)
{
    return ms > 1 ? ms / 2 : 1;
}

/* --- States -------------------------------------------------------------- */

static void
tell_state(struct lasthop_client *client, enum lasthop_state state,
           const char *why)
{
    client->n_happened++;
    if (client->on_state) {
        client->on_state(client, state, why, client->on_state_aux);
    }
}

/* Closes what there is of a connection. */
static void
hang_up(struct lasthop_client *client)
{
    if (client->stream) {
        bufferevent_free(client->stream);
        client->stream = NULL;
    }
    if (client->deadline) {
        evtimer_del(client->deadline);
        evtimer_del(client->alive);
    }
    json_decref(client->features);
    client->features = NULL;
}

/* The next try is after a pause, or there is none. */
static void
pause_or_give_up(struct lasthop_client *client)
{
    client->phase = CLIENT_IDLE;
    if (client->max_pause_ms) {
        client->phase = CLIENT_PAUSED;
        start_timer(client->deadline, client->pause_ms);
        client->pause_ms = client->pause_ms < client->max_pause_ms / 2
                               ? client->pause_ms * 2
                               : client->max_pause_ms;
    }
}

/* There is no connection, because of 'why'. */
static void
lose(struct lasthop_client *client, int error_number, const char *why)
{
    bool was_ready = client->phase == CLIENT_READY;
    char *reason = lh_strdup(why);

    client_enter(client);
    hang_up(client);
    client->lost_error = error_number;
    lh_error_set(&client->error, "%s: %s", client->address, reason);
    pause_or_give_up(client);
    if (was_ready) {
        client->down_ns = time_spec_now();
    }
    client_request_lost_all(client, error_number, client->error.text);
    if (!client->is_destroyed &&
        (!client->told_why || strcmp(client->told_why, reason) != 0)) {
        free(client->told_why);
        client->told_why = lh_strdup(reason);
        tell_state(client, LASTHOP_DOWN, client->error.text);
    }
    free(reason);
    client_leave(client);
}

static void
become_ready(struct lasthop_client *client)
{
    client->phase = CLIENT_READY;
    client->pause_ms = MIN_PAUSE_MS;
    free(client->told_why);
    client->told_why = NULL;
    evtimer_del(client->deadline);
    client->has_pinged = client->was_silent = false;
    start_timer(client->alive, half(client->timeout_ms));
    client_request_resume_all(client);
    if (!client->is_destroyed) {
        tell_state(client, LASTHOP_UP, NULL);
    }
}

/* --- Messages ------------------------------------------------------------ */

void
client_conn_send(struct lasthop_client *client, json_t *message)
{
    char *text = json_dumps(message, JSON_COMPACT);

    assert(text && client->stream);
    json_decref(message);
    evbuffer_add_printf(bufferevent_get_output(client->stream), "%s\n", text);
    free(text);
}

static void
send_hello(struct lasthop_client *client)
{
    client_conn_send(client, json_pack("{s:i, s:s, s:i, s:s, s:b, s:i}", "id",
                                       HELLO_ID, "op", "hello", "protocol",
                                       PROTOCOL, "client", client->name,
                                       "binary", (int) !client->is_json,
                                       "frame", HISTORY_FRAME_CLOCKS));
}

/* A server from before `hello` refuses it, and has no features. */
static void
take_hello(struct lasthop_client *client, const json_t *answer)
{
    const json_t *error = json_object_get(answer, "error");
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *text = json_string_value(json_object_get(error, "message"));

    if (client->phase != CLIENT_GREETING) {
        return; /* Of a ping. */
    }
    if (error && api_code_from_name(code) != API_UNKNOWN_OP) {
        lose(client, api_code_errno(api_code_from_name(code)),
             text ? text : "it does not want us");
        return;
    }
    client->features = json_incref(json_object_get(answer, "features"));
    become_ready(client);
}

static void
take_message(struct lasthop_client *client, const json_t *message)
{
    const json_t *id = json_object_get(message, "id");
    const char *event = json_string_value(json_object_get(message, "event"));

    if (!json_is_object(message)) {
        lose(client, EPROTO, "it sent what is not the protocol");
    } else if (json_is_integer(id) && json_integer_value(id) == HELLO_ID) {
        take_hello(client, message);
    } else if (event && json_is_null(id) && !strcmp(event, "missed")) {
        client->n_happened++;
        if (client->on_missed) {
            client->on_missed(
                client,
                (uint64_t) json_integer_value(json_object_get(message, "n")),
                client->on_missed_aux);
        }
    } else if (!event && json_is_null(id) &&
               client->phase == CLIENT_GREETING) {
        /* It says why it takes no client. */
        const json_t *error = json_object_get(message, "error");
        const char *text =
            json_string_value(json_object_get(error, "message"));
        const char *code = json_string_value(json_object_get(error, "code"));

        lose(client, api_code_errno(api_code_from_name(code)),
             text ? text : "it takes no client");
    } else {
        client_request_take(client, message);
    }
}

/* True when what comes next is no line. */
static bool
is_frame_next(const struct lasthop_client *client, struct bufferevent *stream)
{
    uint8_t mark;

    return !client->line.n_searched && !client->line.is_skipping &&
           evbuffer_copyout(bufferevent_get_input(stream), &mark, 1) == 1 &&
           mark == HISTORY_FRAME_MARK;
}

/* Takes the frame that comes next; false when it is not all there. */
static bool
take_frame(struct lasthop_client *client, struct bufferevent *stream)
{
    struct evbuffer *in = bufferevent_get_input(stream);
    uint8_t head[HISTORY_FRAME_HEAD];
    struct history_frame_info info;
    struct lasthop_history *h;

    if (evbuffer_copyout(in, head, sizeof head) < (ev_ssize_t) sizeof head) {
        return false;
    }
    if (history_frame_read_head(head, &info)) {
        lose(client, EPROTO, "it sent what is not the protocol");
        return false;
    }
    if (evbuffer_get_length(in) < sizeof head + info.len) {
        return false;
    }
    h = client_history_from_frame(
        evbuffer_pullup(in, (ev_ssize_t) (sizeof head + info.len)) +
            sizeof head,
        info.len, info.version);
    evbuffer_drain(in, sizeof head + info.len);
    client_request_take_history(client, (json_int_t) info.id, h);
    lasthop_history_unref(h);
    return true;
}

static void
on_read(struct bufferevent *stream, void *client_)
{
    struct lasthop_client *client = client_;
    enum api_line_result result;

    client_enter(client);
    client->has_pinged = false;
    while (client->stream == stream && !client->is_destroyed) {
        char *text;
        size_t len;

        if (is_frame_next(client, stream)) {
            if (take_frame(client, stream)) {
                continue;
            }
            break;
        }

        result = api_line_next(&client->line, bufferevent_get_input(stream),
                               &text, &len);
        if (result == API_LINE_PARTIAL) {
            break;
        }

        json_t *message =
            result == API_LINE_OK ? json_loadb(text, len, 0, NULL) : NULL;

        free(text);
        take_message(client, message);
        json_decref(message);
    }
    client_leave(client);
}

/* --- Life of a connection ------------------------------------------------ */

static const char *
reason_of(struct lasthop_client *client, char **owned)
{
    int dns = bufferevent_socket_get_dns_error(client->stream);
    int error_number = EVUTIL_SOCKET_ERROR();

    *owned = tls_reason(client->stream);
    if (*owned) {
        return *owned;
    }
    return dns            ? evutil_gai_strerror(dns)
           : error_number ? strerror(error_number)
                          : "the connection failed";
}

static void
on_stream_event(struct bufferevent *stream, short what, void *client_)
{
    struct lasthop_client *client = client_;
    char *owned;

    if (what & BEV_EVENT_CONNECTED) {
        client->phase = CLIENT_GREETING;
        send_hello(client);
    } else if (what & BEV_EVENT_EOF) {
        lose(client, ECONNRESET, "the server closed the connection");
    } else if (what & BEV_EVENT_ERROR) {
        const char *why = reason_of(client, &owned);

        lose(client, ECONNRESET, why);
        free(owned);
    }
}

/* The server has been silent for half of the time-out: asks whether it is
 * there; or has not answered that either. */
static void
on_alive(evutil_socket_t fd, short what, void *client_)
{
    struct lasthop_client *client = client_;

    if (client->has_pinged) {
        client->was_silent = true;
        lose(client, ECONNRESET, "the server answers nothing any more");
        return;
    }
    client->has_pinged = true;
    send_hello(client);
    start_timer(client->alive, half(client->timeout_ms));
}

/* Takes the connected or connecting 'stream'. */
static void
use_stream(struct lasthop_client *client, struct bufferevent *stream)
{
    client->stream = stream;
    client->line = (struct api_line){.max_len = API_LINE_MAX_ANSWER};
    client->phase = CLIENT_CONNECTING;
    bufferevent_setcb(stream, on_read, NULL, on_stream_event, client);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
}

static int
connect_unix(struct lasthop_client *client, struct lh_error *error)
{
    const char *path = client->address;
    int fd, retval;

    retval = api_socket_connect(path, &fd, error);
    if (!retval) {
        use_stream(client, bufferevent_socket_new(client->base, fd,
                                                  BEV_OPT_CLOSE_ON_FREE));
        client->phase = CLIENT_GREETING;
        send_hello(client);
    } else {
        /* The path is said where all addresses are. */
        size_t len = strlen(path);

        if (!strncmp(error->text, path, len) &&
            !strncmp(error->text + len, ": ", 2)) {
            memmove(error->text, error->text + len + 2,
                    strlen(error->text + len + 2) + 1);
        }
    }
    return retval;
}

/* Takes "ssl:HOST:PORT" apart. */
static int
split_address(const char *address, char host[MAX_HOST + 1], int *port,
              struct lh_error *error)
{
    const char *begin = address + 4, *colon = strrchr(begin, ':');
    size_t len = colon ? (size_t) (colon - begin) : 0;
    char *end = NULL;

    if (len > 2 && *begin == '[' && begin[len - 1] == ']') {
        begin++;
        len -= 2;
    }
    *port = colon ? (int) strtol(colon + 1, &end, 10) : 0;
    if (!len || len > MAX_HOST || *port < 1 || *port > 65535 || *end) {
        lh_error_set(error, "an address is ssl:HOST:PORT or a path");
        return EINVAL;
    }
    memcpy(host, begin, len);
    host[len] = '\0';
    return 0;
}

static int
connect_tls(struct lasthop_client *client, struct lh_error *error)
{
    struct tls_files files = {client->private_key, client->certificate,
                              client->ca_cert};
    char host[MAX_HOST + 1];
    int port, retval = split_address(client->address, host, &port, error);

    if (!retval &&
        (!files.private_key || !files.certificate || !files.ca_cert)) {
        lh_error_set(error, "TLS needs a private key, a certificate and the "
                            "CA's (LASTHOP_KEY, LASTHOP_CERT, LASTHOP_CA)");
        retval = EINVAL;
    }
    if (!retval && !client->tls) {
        retval = tls_create(&files, &client->tls, error);
    }
    if (!retval && !client->dns) {
        client->dns =
            evdns_base_new(client->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
                                             EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    }
    if (retval) {
        return retval;
    }
    use_stream(client, tls_bufferevent(client->tls, client->base, -1, false,
                                       BEV_OPT_CLOSE_ON_FREE));
    if (bufferevent_socket_connect_hostname(client->stream, client->dns,
                                            AF_UNSPEC, host, port)) {
        lh_error_set(error, "%s", strerror(errno));
        return errno ? errno : ECONNREFUSED;
    }
    return 0;
}

/* One try to connect; a server for which too many wait is tried again, as long
 * as the time-out allows. */
static int
try_connect(struct lasthop_client *client)
{
    struct lh_error error;
    bool is_tls = !strncmp(client->address, "ssl:", 4);
    int retval =
        is_tls ? connect_tls(client, &error) : connect_unix(client, &error);

    if (retval == EAGAIN &&
        client->n_full < client->timeout_ms / FULL_PAUSE_MS) {
        client->n_full++;
        client->phase = CLIENT_FULL;
        start_timer(client->deadline, FULL_PAUSE_MS);
        return 0;
    }
    client->n_full = 0;
    if (!retval) {
        start_timer(client->deadline, client->timeout_ms);
    } else if (retval == EAGAIN) {
        retval = ETIMEDOUT;
        lose(client, retval, "the server accepts nobody");
    } else {
        lose(client, retval, error.text);
    }
    return retval;
}

static void
on_deadline(evutil_socket_t fd, short what, void *client_)
{
    struct lasthop_client *client = client_;

    if (client->phase == CLIENT_PAUSED || client->phase == CLIENT_FULL) {
        try_connect(client);
    } else {
        lose(client, ETIMEDOUT,
             client->phase == CLIENT_CONNECTING
                 ? "no connection in time"
                 : "connected, but no answer in time");
    }
}

int
client_conn_begin(struct lasthop_client *client)
{
    if (!client->base) {
        client->base = event_base_new();
        client->owns_base = true;
    }
    if (!client->deadline) {
        client->deadline = evtimer_new(client->base, on_deadline, client);
        client->alive = evtimer_new(client->base, on_alive, client);
    }
    assert(client->base && client->deadline && client->alive);
    client->pause_ms = MIN_PAUSE_MS;
    return try_connect(client);
}

void
client_conn_end(struct lasthop_client *client)
{
    hang_up(client);
    client->phase = CLIENT_IDLE;
    if (client->deadline) {
        event_free(client->deadline);
        event_free(client->alive);
        client->deadline = client->alive = NULL;
    }
    if (client->dns) {
        evdns_base_free(client->dns, 0);
        client->dns = NULL;
    }
    tls_destroy(client->tls);
    client->tls = NULL;
}
