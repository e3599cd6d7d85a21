/* SPDX-License-Identifier: Apache-2.0 */
/* server_conn - one connection to a server. */
#include <config.h>

#include "agent/server_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/event.h>

#include "lib/lh_alloc.h"
#include "lib/time_spec.h"
#include "lib/tls.h"

#define LOW_UNSENT (128u << 10)

struct server_conn {
    struct server_conn_config config;
    struct bufferevent *stream; /* Owned. */
    struct event *ping;         /* Owned. */
    unsigned int silent_s;
    bool is_welcome;
    struct byte_buf out;
};

size_t
server_conn_send(struct server_conn *c, struct byte_buf *out)
{
    size_t len = out->len;

    bufferevent_write(c->stream, out->data, len);
    byte_buf_clear(out);
    return len;
}

size_t
server_conn_unsent(const struct server_conn *c)
{
    return evbuffer_get_length(bufferevent_get_output(c->stream));
}

void
server_conn_welcome(struct server_conn *c)
{
    c->is_welcome = true;
}

bool
server_conn_is_welcome(const struct server_conn *c)
{
    return c->is_welcome;
}

void
server_conn_set_pings(struct server_conn *c, unsigned int ping_s,
                      unsigned int silent_s)
{
    struct timeval ping = {.tv_sec = ping_s};

    if (ping_s != c->config.ping_s) {
        c->config.ping_s = ping_s;
        event_add(c->ping, &ping);
    }
    c->config.silent_s = silent_s;
}

static void
end(struct server_conn *c, enum server_conn_end cause, const char *why)
{
    c->config.on_end(c->config.aux, c, cause, why);
}

static void
on_room(struct bufferevent *stream, void *conn)
{
    struct server_conn *c = conn;

    if (c->is_welcome) {
        c->config.on_room(c->config.aux, c);
    }
}

static void
on_ping(evutil_socket_t fd, short what, void *conn)
{
    struct server_conn *c = conn;
    uint64_t now_ns = time_spec_now();

    c->silent_s += c->config.ping_s;
    if (c->silent_s >= c->config.silent_s) {
        end(c, SERVER_CONN_FAILED, "it does not answer");
    } else if (c->is_welcome) {
        agent_frame_put_ping(
            &c->out, AGENT_PING,
            &(struct agent_ping){.sent_ns = now_ns, .now_ns = now_ns});
        server_conn_send(c, &c->out);
    }
}

static void
on_readable(struct bufferevent *stream, void *conn)
{
    struct server_conn *c = conn;
    struct evbuffer *in = bufferevent_get_input(stream);

    for (;;) {
        /* A server says nothing long, and before its welcome less. */
        size_t max =
            c->is_welcome ? AGENT_FRAME_MAX_SERVER : AGENT_FRAME_MAX_HELLO;
        size_t len = evbuffer_get_length(in), used;
        struct agent_frame frame;
        struct lh_error error;
        int retval;

        if (!len) {
            return;
        }
        if (len > max) {
            len = max;
        }
        retval = agent_frame_read(evbuffer_pullup(in, (ev_ssize_t) len), len,
                                  max, &used, &frame, &error);
        if (retval == EAGAIN) {
            return;
        }
        if (retval) {
            end(c, SERVER_CONN_MALFORMED, error.text);
            return;
        }
        c->silent_s = 0;
        if (!c->config.on_frame(c->config.aux, c, &frame)) {
            return;
        }
        evbuffer_drain(in, used);
    }
}

static void
on_event(struct bufferevent *stream, short what, void *conn)
{
    struct server_conn *c = conn;

    if (what & BEV_EVENT_CONNECTED) {
        agent_frame_put_hello(&c->out, &c->config.hello);
        server_conn_send(c, &c->out);
        return;
    }

    int dns_error = bufferevent_socket_get_dns_error(stream);
    char *tls_error = c->config.tls ? tls_reason(stream) : NULL;
    int error = EVUTIL_SOCKET_ERROR();
    const char *why = tls_error                  ? tls_error
                      : dns_error                ? "its name is not known"
                      : what & BEV_EVENT_TIMEOUT ? "it does not answer"
                      : what & BEV_EVENT_EOF     ? "it hung up"
                                                 : strerror(error);

    end(c, SERVER_CONN_FAILED, why);
    free(tls_error);
}

struct server_conn *
server_conn_create(const struct server_conn_config *config)
{
    struct server_conn *c = lh_alloc_zero(sizeof *c);
    struct timeval ping = {.tv_sec = config->ping_s};
    int options = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS;

    c->config = *config;
    c->ping = event_new(config->base, -1, EV_PERSIST, on_ping, c);
    c->stream =
        config->tls
            ? tls_bufferevent(config->tls, config->base, -1, false, options)
            : bufferevent_socket_new(config->base, -1, options);
    if (!c->ping || !c->stream) {
        server_conn_destroy(c);
        return NULL;
    }
    event_add(c->ping, &ping);
    bufferevent_setcb(c->stream, on_readable, on_room, on_event, c);
    bufferevent_setwatermark(c->stream, EV_READ, 0,
                             2 * AGENT_FRAME_MAX_SERVER);
    bufferevent_setwatermark(c->stream, EV_WRITE, LOW_UNSENT, 0);
    bufferevent_enable(c->stream, EV_READ | EV_WRITE);
    if (bufferevent_socket_connect_hostname(c->stream, config->dns, AF_UNSPEC,
                                            config->target->host,
                                            config->target->port)) {
        server_conn_destroy(c);
        return NULL;
    }
    return c;
}

void
server_conn_destroy(struct server_conn *c)
{
    if (c) {
        if (c->stream) {
            bufferevent_free(c->stream);
        }
        if (c->ping) {
            event_free(c->ping);
        }
        byte_buf_uninit(&c->out);
        free(c);
    }
}
