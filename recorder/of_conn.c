/* SPDX-License-Identifier: Apache-2.0 */
/* of_conn - a bufferevent with OpenFlow's framing. */
#include <config.h>

#include "recorder/of_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "lib/lh_alloc.h"
#include "recorder/of_framing.h"
#include "lib/tls.h"

struct of_conn {
    struct bufferevent *bev; /* Owned. */
    struct evbuffer *turn;   /* Sent in this turn of the loop.  Owned. */
    struct event *flush;     /* At the end of the turn.  Owned. */
    bool is_plain;           /* Bytes go as they are, without TLS. */
    struct event *deadline;  /* Of the rest of a message.  Owned. */
    struct of_framing framing;
    const struct of_conn_callbacks *callbacks;
    void *aux;
    bool is_connected;
    bool is_full;       /* Until drained() is called. */
    bool is_holding;    /* message() said "not now". */
    bool is_processing; /* Inside process(). */
    bool is_destroyed;  /* To be freed when process() returns. */
    bool has_ended;     /* The other side closed; 'reason' says how. */
    bool is_closed;     /* closed() was called. */
    char *reason;       /* Owned. */
};

static void
free_conn(struct of_conn *conn)
{
    if (conn->bev) {
        bufferevent_free(conn->bev);
    }
    if (conn->deadline) {
        event_free(conn->deadline);
    }
    if (conn->turn) {
        evbuffer_free(conn->turn);
    }
    if (conn->flush) {
        event_free(conn->flush);
    }
    free(conn->reason);
    free(conn);
}

static void
end(struct of_conn *conn, const char *reason)
{
    if (!conn->has_ended) {
        conn->has_ended = true;
        conn->reason = lh_strdup(reason);
        bufferevent_disable(conn->bev, EV_READ);
    }
}

/* Gives the next message to its taker; false when there is none now. */
static bool
process_one(struct of_conn *conn)
{
    struct evbuffer *input = bufferevent_get_input(conn->bev);
    struct lh_error error;
    size_t len = evbuffer_get_length(input);
    size_t need = len < 8 ? len : 8, msg_len = 0;

    for (;;) {
        const uint8_t *data = evbuffer_pullup(input, (ev_ssize_t) need);

        switch (
            of_framing_next(&conn->framing, data, need, &msg_len, &error)) {
        case OF_FRAMING_MORE:
            if (msg_len > len) {
                return false;
            }
            need = msg_len;
            continue;
        case OF_FRAMING_GARBAGE:
            evbuffer_drain(input, len);
            end(conn, error.text);
            return false;
        case OF_FRAMING_MESSAGE:
            if (!conn->callbacks->message(conn->aux, data, msg_len)) {
                conn->is_holding = true;
                return false;
            }
            if (!conn->is_destroyed) {
                evbuffer_drain(input, msg_len);
            }
            return !conn->is_destroyed;
        }
    }
}

/* Half a message is waited for, but not for ever. */
static void
set_deadline(struct of_conn *conn, bool has_progress)
{
    struct timeval timeout = {.tv_sec = OF_CONN_MESSAGE_S};
    bool waits = !conn->has_ended && !conn->is_holding &&
                 evbuffer_get_length(bufferevent_get_input(conn->bev));

    if (has_progress || !waits) {
        evtimer_del(conn->deadline);
    }
    if (waits && !evtimer_pending(conn->deadline, NULL)) {
        evtimer_add(conn->deadline, &timeout);
    }
}

static void
process(struct of_conn *conn)
{
    bool has_progress = false;

    if (conn->is_processing || conn->is_closed) {
        return;
    }
    conn->is_processing = true;
    conn->is_holding = false;
    while (process_one(conn)) {
        has_progress = true;
    }
    if (!conn->is_destroyed) {
        set_deadline(conn, has_progress);
    }
    if (conn->has_ended && !conn->is_holding && !conn->is_destroyed) {
        conn->is_closed = true;
        conn->callbacks->closed(conn->aux, conn->reason);
    }
    conn->is_processing = false;
    if (conn->is_destroyed) {
        free_conn(conn);
    }
}

static void
on_read(struct bufferevent *bev, void *conn)
{
    process(conn);
}

static void
on_deadline(evutil_socket_t fd, short what, void *conn_)
{
    struct of_conn *conn = conn_;
    struct evbuffer *input = bufferevent_get_input(conn->bev);
    char *reason = lh_asprintf("half a message (%zu bytes) and nothing more "
                               "for %d s",
                               evbuffer_get_length(input), OF_CONN_MESSAGE_S);

    end(conn, reason);
    free(reason);
    process(conn);
}

static size_t
unsent(const struct of_conn *conn)
{
    return evbuffer_get_length(conn->turn) +
           evbuffer_get_length(bufferevent_get_output(conn->bev));
}

static void
on_write(struct bufferevent *bev, void *conn_)
{
    struct of_conn *conn = conn_;

    if (conn->is_full && !conn->is_closed) {
        conn->is_full = false;
        conn->callbacks->drained(conn->aux);
    }
}

/* What was sent in this turn of the loop leaves with one system call, and the
 * socket is waited for only when it does not take all. */
static void
on_flush(evutil_socket_t fd, short what, void *conn_)
{
    struct of_conn *conn = conn_;
    int n = 0;

    while (evbuffer_get_length(conn->turn) && n >= 0) {
        n = evbuffer_write(conn->turn, bufferevent_getfd(conn->bev));
    }
    /* It also finds out what is wrong with the socket, if anything is. */
    bufferevent_write_buffer(conn->bev, conn->turn);
    if (conn->is_full && unsent(conn) <= OF_CONN_DRAINED) {
        on_write(conn->bev, conn);
    }
}

/* Messages go out at once, and a host that is gone is found.  Fails on Unix
 * sockets, which need none of it. */
static void
set_tcp_options(struct bufferevent *bev)
{
    int fd = bufferevent_getfd(bev);
    int on = 1, idle_s = OF_CONN_ALIVE_S / 2, interval_s = 5;
    int n_probes = (OF_CONN_ALIVE_S - idle_s) / interval_s;
    unsigned int unacknowledged_ms = OF_CONN_ALIVE_S * 1000;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &n_probes, sizeof n_probes);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms,
               sizeof unacknowledged_ms);
}

/* Who sends and hangs up is heard to the end, also when it was an answer to it
 * that found the socket closed: takes what has come. */
static void
read_rest(struct of_conn *conn)
{
    struct evbuffer *input = bufferevent_get_input(conn->bev);
    int fd = bufferevent_getfd(conn->bev), len, n = 1;

    if (conn->is_plain && conn->is_connected && !ioctl(fd, FIONREAD, &len)) {
        evbuffer_unfreeze(input, 0);
        for (; len > 0 && n > 0; len -= n) {
            n = evbuffer_read(input, fd, len);
        }
        evbuffer_freeze(input, 0);
    }
}

static void
on_event(struct bufferevent *bev, short what, void *conn_)
{
    struct of_conn *conn = conn_;
    int socket_error = EVUTIL_SOCKET_ERROR();

    if (what & BEV_EVENT_CONNECTED) {
        conn->is_connected = true;
        set_tcp_options(bev);
        bufferevent_set_timeouts(bev, NULL, NULL);
        return;
    }
    if (what & BEV_EVENT_EOF) {
        end(conn, "closed by the other side");
    } else if (what & BEV_EVENT_TIMEOUT) {
        end(conn, "no answer in time");
    } else if (what & BEV_EVENT_ERROR) {
        char *reason = tls_reason(bev);

        if (what & BEV_EVENT_WRITING && !conn->has_ended) {
            read_rest(conn);
        }
        end(conn,
            reason ? reason : evutil_socket_error_to_string(socket_error));
        free(reason);
    }
    process(conn);
}

static struct of_conn *
create(struct event_base *base, int fd, struct tls *tls, bool is_accepting,
       const struct of_conn_callbacks *callbacks, void *aux)
{
    const int options = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS;
    struct of_conn *conn = lh_alloc_zero(sizeof *conn);

    conn->callbacks = callbacks;
    conn->aux = aux;
    conn->bev = tls ? tls_bufferevent(tls, base, fd, is_accepting, options)
                    : bufferevent_socket_new(base, fd, options);
    if (!conn->bev) {
        free_conn(conn);
        return NULL;
    }
    conn->deadline = evtimer_new(base, on_deadline, conn);
    conn->is_plain = !tls;
    conn->turn = evbuffer_new();
    conn->flush = evtimer_new(base, on_flush, conn);
    bufferevent_setcb(conn->bev, on_read, on_write, on_event, conn);
    bufferevent_setwatermark(conn->bev, EV_READ, 0, OF_CONN_MAX_INPUT);
    bufferevent_setwatermark(conn->bev, EV_WRITE, OF_CONN_DRAINED, 0);
    bufferevent_enable(conn->bev, EV_READ | EV_WRITE);
    return conn;
}

struct of_conn *
of_conn_accept(struct event_base *base, int fd, struct tls *tls,
               const struct of_conn_callbacks *callbacks, void *aux)
{
    struct of_conn *conn = create(base, fd, tls, true, callbacks, aux);

    if (conn) {
        conn->is_connected = !tls;
        set_tcp_options(conn->bev);
    }
    return conn;
}

struct of_conn *
of_conn_connect(struct event_base *base, const struct endpoint *ep,
                struct tls *tls, const struct of_conn_callbacks *callbacks,
                void *aux)
{
    struct of_conn *conn = create(base, -1, tls, false, callbacks, aux);
    struct timeval timeout = {.tv_sec = OF_CONN_CONNECT_S};

    if (!conn) {
        return NULL;
    }
    bufferevent_set_timeouts(conn->bev, NULL, &timeout);
    if (bufferevent_socket_connect(conn->bev,
                                   (const struct sockaddr *) &ep->address,
                                   (int) ep->address_len)) {
        int retval = errno;

        of_conn_destroy(conn);
        errno = retval;
        return NULL;
    }
    return conn;
}

void
of_conn_destroy(struct of_conn *conn)
{
    if (!conn) {
        return;
    }
    conn->is_closed = true;
    if (conn->is_processing) {
        conn->is_destroyed = true;
    } else {
        free_conn(conn);
    }
}

static void
on_finished(struct bufferevent *bev, void *aux)
{
    /* The call may be of an earlier write that had not been told yet. */
    if (!evbuffer_get_length(bufferevent_get_output(bev))) {
        bufferevent_free(bev);
    }
}

static void
on_finish_event(struct bufferevent *bev, short what, void *aux)
{
    bufferevent_free(bev);
}

void
of_conn_finish(struct of_conn *conn)
{
    struct timeval timeout = {.tv_sec = OF_CONN_FINISH_S};

    if (!conn) {
        return;
    }
    bufferevent_write_buffer(conn->bev, conn->turn);
    if (conn->is_connected && !conn->has_ended &&
        evbuffer_get_length(bufferevent_get_output(conn->bev))) {
        struct bufferevent *bev = conn->bev;

        conn->bev = NULL;
        bufferevent_disable(bev, EV_READ);
        bufferevent_setwatermark(bev, EV_WRITE, 0, 0);
        bufferevent_set_timeouts(bev, NULL, &timeout);
        bufferevent_setcb(bev, NULL, on_finished, on_finish_event, NULL);
    }
    of_conn_destroy(conn);
}

bool
of_conn_is_connected(const struct of_conn *conn)
{
    return conn->is_connected;
}

void
of_conn_send(struct of_conn *conn, const void *msg, size_t len)
{
    if (!conn->bev) {
        return;
    }
    if (conn->is_plain && conn->is_connected &&
        !evbuffer_get_length(bufferevent_get_output(conn->bev))) {
        evbuffer_add(conn->turn, msg, len);
        event_active(conn->flush, EV_TIMEOUT, 0);
    } else {
        bufferevent_write(conn->bev, msg, len);
    }
}

bool
of_conn_is_full(const struct of_conn *conn)
{
    if (unsent(conn) < OF_CONN_FULL) {
        return false;
    }
    /* Who asks is told when this changes. */
    ((struct of_conn *) conn)->is_full = true;
    return true;
}

void
of_conn_resume(struct of_conn *conn)
{
    if (conn->is_holding) {
        process(conn);
    }
}
