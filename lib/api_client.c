/* SPDX-License-Identifier: Apache-2.0 */
/* api_client - asks an API server and waits, with a deadline. */
#include <config.h>
#include "lib/api_client.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/util.h>

#include "lib/api_code.h"
#include "lib/api_line.h"
#include "lib/api_socket.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"

struct api_client {
    int fd;
    struct evbuffer *in; /* Owned. */
    struct api_line line;
    json_t *kept; /* Array of events not asked for yet.  Owned. */
    uint64_t n_dropped;
    json_int_t last_id;
};

struct api_client *
api_client_adopt(int fd)
{
    struct api_client *client = lh_alloc_zero(sizeof *client);

    evutil_make_socket_nonblocking(fd);
    client->fd = fd;
    client->in = evbuffer_new();
    client->line.max_len = API_LINE_MAX_ANSWER;
    client->kept = json_array();
    assert(client->in && client->kept);
    return client;
}

int
api_client_open(const char *path, struct api_client **clientp,
                struct lh_error *error)
{
    int fd, retval;

    *clientp = NULL;
    retval = api_socket_connect(path, &fd, error);
    if (!retval) {
        *clientp = api_client_adopt(fd);
    }
    return retval;
}

void
api_client_close(struct api_client *client)
{
    if (client) {
        close(client->fd);
        evbuffer_free(client->in);
        json_decref(client->kept);
        free(client);
    }
}

static long long
deadline(int timeout_ms)
{
    return timeout_ms < 0 ? LLONG_MAX : monotonic_ms() + timeout_ms;
}

/* Sets '*error' to the reason of 'error_number', which it returns. */
static int
fail(int error_number, struct lh_error *error)
{
    switch (error_number) {
    case ETIMEDOUT:
        lh_error_set(error, "no answer in time");
        break;
    case EINTR:
        lh_error_set(error, "interrupted");
        break;
    case ECONNRESET:
    case EPIPE:
        lh_error_set(error, "the server closed the connection");
        return ECONNRESET;
    case EPROTO:
        lh_error_set(error, "the server sent what is not the protocol");
        break;
    default:
        lh_error_set(error, "connection failed: %s", strerror(error_number));
        break;
    }
    return error_number;
}

/* Waits until the socket is ready for 'events'. */
static int
wait_for(const struct api_client *client, short events, long long until_ms)
{
    struct pollfd pfd = {.fd = client->fd, .events = events};
    long long left_ms = until_ms - monotonic_ms();
    int n;

    if (until_ms == LLONG_MAX) {
        left_ms = -1;
    } else if (left_ms < 0) {
        left_ms = 0;
    } else if (left_ms > INT_MAX) {
        left_ms = INT_MAX;
    }
    n = poll(&pfd, 1, (int) left_ms);
    return n > 0 ? 0 : n < 0 ? errno : ETIMEDOUT;
}

/* Writes all of 'text'.  A request that the deadline cuts short ends the
 * connection, since what followed would be read as its rest; a signal does not
 * cut it. */
static int
write_all(struct api_client *client, const char *text, size_t len,
          long long until_ms)
{
    size_t n_written = 0;

    while (n_written < len) {
        ssize_t n =
            send(client->fd, text + n_written, len - n_written, MSG_NOSIGNAL);

        if (n >= 0) {
            n_written += (size_t) n;
        } else if (errno == EAGAIN) {
            int retval = wait_for(client, POLLOUT, until_ms);

            if (retval && (retval != EINTR || !n_written)) {
                if (n_written) {
                    shutdown(client->fd, SHUT_RDWR);
                }
                return retval;
            }
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

/* Sends 'request', which is taken. */
static int
send_request(struct api_client *client, json_t *request, long long until_ms)
{
    size_t size = json_dumpb(request, NULL, 0, JSON_COMPACT);
    char *text = lh_alloc(size + 1);
    int retval;

    json_dumpb(request, text, size, JSON_COMPACT);
    json_decref(request);
    text[size] = '\n';
    retval = write_all(client, text, size + 1, until_ms);
    free(text);
    return retval;
}

/* Waits for the next message of the server, whatever it is. */
static int
receive(struct api_client *client, long long until_ms, json_t **message)
{
    for (;;) {
        enum api_line_result result;
        char *text;
        size_t len;
        int retval;

        result = api_line_next(&client->line, client->in, &text, &len);
        if (result == API_LINE_OK) {
            *message = json_loadb(text, len, 0, NULL);
            free(text);
            return json_is_object(*message) ? 0 : EPROTO;
        } else if (result == API_LINE_TOO_LONG) {
            return EPROTO;
        }
        retval = wait_for(client, POLLIN, until_ms);
        if (retval) {
            return retval;
        }
        switch (evbuffer_read(client->in, client->fd, -1)) {
        case 0:
            return ECONNRESET;
        case -1:
            if (errno != EAGAIN && errno != EINTR) {
                return errno;
            }
            break;
        default:
            break;
        }
    }
}

/* Keeps 'event', which is taken, for api_client_next_event(). */
static void
keep(struct api_client *client, json_t *event)
{
    if (json_array_size(client->kept) >= API_CLIENT_MAX_KEPT) {
        json_array_remove(client->kept, 0);
        client->n_dropped++;
    }
    json_array_append_new(client->kept, event);
}

/* Takes apart the answer 'message', which is taken. */
static int
take_answer(json_t *message, json_t **answer, struct lh_error *error)
{
    const json_t *reason = json_object_get(message, "error");
    const json_t *pos = json_object_get(reason, "pos");
    const char *text = json_string_value(json_object_get(reason, "message"));
    const char *code = json_string_value(json_object_get(reason, "code"));
    int retval = api_code_errno(api_code_from_name(code));

    if (json_is_true(json_object_get(message, "ok"))) {
        if (answer) {
            *answer = message;
        } else {
            json_decref(message);
        }
        return 0;
    }
    lh_error_set_at(
        error, json_is_integer(pos) ? (int) json_integer_value(pos) : -1, "%s",
        text && *text ? text : "the server refused without a reason");
    json_decref(message);
    return retval;
}

int
api_client_call(struct api_client *client, const char *op, json_t *members,
                int timeout_ms, json_t **answer, struct lh_error *error)
{
    long long until_ms = deadline(timeout_ms);
    json_t *request =
        json_pack("{s:I,s:s}", "id", ++client->last_id, "op", op);
    int retval;

    assert(request);
    if (answer) {
        *answer = NULL;
    }
    json_object_update_missing(request, members);
    json_decref(members);
    retval = send_request(client, request, until_ms);
    while (!retval) {
        json_t *message = NULL;
        const json_t *id;

        retval = receive(client, until_ms, &message);
        id = json_object_get(message, "id");
        if (retval) {
            json_decref(message);
        } else if (json_object_get(message, "event")) {
            keep(client, message);
        } else if (json_is_null(id) ||
                   json_integer_value(id) == client->last_id) {
            return take_answer(message, answer, error);
        } else {
            /* The answer to a call that was given up. */
            json_decref(message);
        }
    }
    return fail(retval, error);
}

json_int_t
api_client_last_id(const struct api_client *client)
{
    return client->last_id;
}

int
api_client_next_event(struct api_client *client, int timeout_ms,
                      json_t **event, struct lh_error *error)
{
    long long until_ms = deadline(timeout_ms);
    int retval;

    *event = NULL;
    if (json_array_size(client->kept)) {
        *event = json_incref(json_array_get(client->kept, 0));
        json_array_remove(client->kept, 0);
        return 0;
    }
    do {
        json_t *message = NULL;

        retval = receive(client, until_ms, &message);
        if (!retval && json_object_get(message, "event")) {
            *event = message;
            return 0;
        }
        json_decref(message);
    } while (!retval);
    return fail(retval, error);
}

uint64_t
api_client_n_dropped(const struct api_client *client)
{
    return client->n_dropped;
}

int
api_client_fd(const struct api_client *client)
{
    return client->fd;
}
