/* SPDX-License-Identifier: Apache-2.0 */
/* server_link - the agent's connection to its server. */
#include <config.h>

#include "agent/server_link.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/event.h>

#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "lib/text_number.h"
#include "lib/time_spec.h"
#include "lib/tls.h"

/* No more than this waits unsent in the connection. */
#define MAX_UNSENT   (512u << 10)
#define LOW_UNSENT   (128u << 10)
#define PING_S       5  /* Between two when nothing else comes. */
#define SILENT_S     20 /* Then the server is away. */
#define RETRY_MS     200
#define MAX_RETRY_MS 5000
/* A number that no agent comes to. */
#define MAX_SEQ (UINT64_MAX / 4)

enum state { STATE_AWAY, STATE_CONNECTING, STATE_HELLO, STATE_UP };

struct server_link {
    struct event_base *base;
    struct evdns_base *dns; /* Owned. */
    struct server_link_config config;
    char *host; /* Owned. */
    uint16_t port;
    enum state state;
    struct bufferevent *stream; /* Owned. */
    struct event *retry, *ping; /* Owned. */
    unsigned int retry_ms;
    unsigned int silent_s;
    uint64_t sent_seq;  /* On this connection. */
    uint64_t ever_sent; /* On any. */
    uint32_t want;
    bool has_want;
    bool was_said; /* That it is away. */
    struct byte_buf out;
    struct server_link_counters counters;
};

static void on_event(struct bufferevent *, short what, void *link);

/* --- Going away and coming back ------------------------------------------
 */

static void
schedule_retry(struct server_link *link)
{
    struct timeval delay = {.tv_sec = link->retry_ms / 1000,
                            .tv_usec = link->retry_ms % 1000 * 1000};

    event_add(link->retry, &delay);
    link->retry_ms *= 2;
    if (link->retry_ms > MAX_RETRY_MS) {
        link->retry_ms = MAX_RETRY_MS;
    }
}

static void
fail(struct server_link *link, const char *why)
{
    bool was_up = link->state == STATE_UP;

    if (link->stream) {
        bufferevent_free(link->stream);
        link->stream = NULL;
    }
    event_del(link->ping);
    link->state = STATE_AWAY;
    link->counters.is_up = false;
    link->counters.n_failures++;
    if (was_up || !link->was_said) {
        link->was_said = true;
        link->config.on_state(link->config.aux, false, why);
    }
    if (was_up) {
        link->config.on_threshold(link->config.aux, AGENT_THRESHOLD_ALL);
    }
    schedule_retry(link);
}

static void
fail_malformed(struct server_link *link, const char *why)
{
    link->counters.n_malformed++;
    fail(link, why);
}

/* --- Sending -------------------------------------------------------------
 */

static void
flush_out(struct server_link *link)
{
    link->counters.bytes += link->out.len;
    bufferevent_write(link->stream, link->out.data, link->out.len);
    byte_buf_clear(&link->out);
}

static void
send_more(struct server_link *link)
{
    struct evbuffer *unsent = bufferevent_get_output(link->stream);
    uint64_t seq;

    while (evbuffer_get_length(unsent) < MAX_UNSENT &&
           outbox_get(link->config.outbox, link->sent_seq, &link->out, &seq)) {
        link->sent_seq = seq;
        link->counters.n_sent++;
        if (seq <= link->ever_sent) {
            link->counters.n_resent++;
        } else {
            link->ever_sent = seq;
        }
        flush_out(link);
    }
}

static void
send_want(struct server_link *link)
{
    if (link->has_want && link->state == STATE_UP) {
        agent_frame_put_threshold(&link->out, AGENT_WANT, link->want);
        flush_out(link);
    }
}

static void
send_ping(struct server_link *link, enum agent_frame_type type,
          uint64_t sent_ns)
{
    agent_frame_put_ping(
        &link->out, type,
        &(struct agent_ping){.sent_ns = sent_ns, .now_ns = time_spec_now()});
    flush_out(link);
}

static void
on_writable(struct bufferevent *stream, void *link_)
{
    struct server_link *link = link_;

    if (link->state == STATE_UP) {
        send_more(link);
    }
}

static void
on_ping(evutil_socket_t fd, short what, void *link_)
{
    struct server_link *link = link_;

    link->silent_s += PING_S;
    if (link->silent_s >= SILENT_S) {
        fail(link, "it does not answer");
    } else if (link->state == STATE_UP) {
        send_ping(link, AGENT_PING, time_spec_now());
    }
}

/* --- Reading -------------------------------------------------------------
 */

static void
welcome(struct server_link *link, const struct agent_welcome *w)
{
    uint64_t next = outbox_next_seq(link->config.outbox);
    char text[160];

    if (w->protocol != AGENT_PROTOCOL || w->last_seq > MAX_SEQ) {
        fail_malformed(link, "it speaks another protocol");
        return;
    }
    if (w->id_seed != link->config.hello.id_seed ||
        w->id_bytes != link->config.hello.id_bytes) {
        snprintf(text, sizeof text,
                 "its packet IDs are others: give lasthop-agent and the "
                 "bridges --id-seed %" PRIx64 " --id-bytes %u",
                 w->id_seed, w->id_bytes);
        fail(link, text);
        return;
    }
    if (w->last_seq >= next) {
        say_warn("the server has taken frame %" PRIu64 " of this agent, which "
                 "knows of %" PRIu64 ": the host's disk forgot",
                 w->last_seq, next - 1);
    }
    link->state = STATE_UP;
    link->retry_ms = RETRY_MS;
    link->was_said = false;
    link->counters.is_up = true;
    link->counters.n_connections++;
    link->sent_seq = w->last_seq;
    outbox_ack(link->config.outbox, w->last_seq);
    link->config.on_state(link->config.aux, true, "");
    link->config.on_threshold(link->config.aux, w->threshold);
    send_want(link);
    send_more(link);
}

/* False when the connection is no more. */
static bool
handle(struct server_link *link, const struct agent_frame *f)
{
    char text[AGENT_MAX_TEXT + 1];

    link->silent_s = 0;
    if (link->state == STATE_HELLO) {
        if (f->type == AGENT_WELCOME) {
            welcome(link, &f->welcome);
        } else if (f->type == AGENT_REFUSED) {
            memcpy(text, f->refused.text, f->refused.len);
            text[f->refused.len] = '\0';
            link->counters.n_refused++;
            fail(link, text);
        } else {
            fail_malformed(link, "it does not begin with a welcome");
        }
        return link->state == STATE_UP;
    }
    switch (f->type) {
    case AGENT_ACK:
        if (f->ack.seq > link->sent_seq) {
            fail_malformed(link, "it acknowledges what was not sent");
            return false;
        }
        outbox_ack(link->config.outbox, f->ack.seq);
        return true;
    case AGENT_THRESHOLD:
        link->config.on_threshold(link->config.aux, f->threshold.threshold);
        return true;
    case AGENT_PING:
        send_ping(link, AGENT_PONG, f->ping.sent_ns);
        return true;
    case AGENT_PONG:
        return true;
    case AGENT_REFUSED:
        memcpy(text, f->refused.text, f->refused.len);
        text[f->refused.len] = '\0';
        link->counters.n_refused++;
        fail(link, text);
        return false;
    case AGENT_HELLO:
    case AGENT_WELCOME:
    case AGENT_BATCH:
    case AGENT_LOSS:
    case AGENT_WANT:
    case N_AGENT_FRAME_TYPES:
        break;
    }
    fail_malformed(link, "it says what only agents say");
    return false;
}

static void
on_readable(struct bufferevent *stream, void *link_)
{
    struct server_link *link = link_;
    struct evbuffer *in = bufferevent_get_input(stream);

    for (;;) {
        /* A server says nothing long. */
        size_t len = evbuffer_get_length(in), used;
        struct agent_frame frame;
        struct lh_error error;
        int retval;

        if (!len) {
            return;
        }
        if (len > AGENT_FRAME_MAX_HELLO) {
            len = AGENT_FRAME_MAX_HELLO;
        }
        retval =
            agent_frame_read(evbuffer_pullup(in, (ev_ssize_t) len), len,
                             AGENT_FRAME_MAX_HELLO, &used, &frame, &error);
        if (retval == EAGAIN) {
            return;
        }
        if (retval) {
            fail_malformed(link, error.text);
            return;
        }
        if (!handle(link, &frame)) {
            return;
        }
        evbuffer_drain(in, used);
    }
}

/* --- Connections ---------------------------------------------------------
 */

static void
on_connected(struct server_link *link)
{
    link->state = STATE_HELLO;
    agent_frame_put_hello(&link->out, &link->config.hello);
    flush_out(link);
}

static void
on_event(struct bufferevent *stream, short what, void *link_)
{
    struct server_link *link = link_;

    if (what & BEV_EVENT_CONNECTED) {
        on_connected(link);
        return;
    }

    int dns_error = bufferevent_socket_get_dns_error(stream);
    char *tls_error = link->config.tls ? tls_reason(stream) : NULL;
    int error = EVUTIL_SOCKET_ERROR();
    const char *why = tls_error                  ? tls_error
                      : dns_error                ? "its name is not known"
                      : what & BEV_EVENT_TIMEOUT ? "it does not answer"
                      : what & BEV_EVENT_EOF     ? "it hung up"
                                                 : strerror(error);

    fail(link, why);
    free(tls_error);
}

static void
on_retry(evutil_socket_t fd, short what, void *link_)
{
    struct server_link *link = link_;
    struct timeval ping = {.tv_sec = PING_S};
    int options = BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS;

    assert(!link->stream);
    link->state = STATE_CONNECTING;
    link->silent_s = 0;
    link->stream =
        link->config.tls
            ? tls_bufferevent(link->config.tls, link->base, -1, false, options)
            : bufferevent_socket_new(link->base, -1, options);
    if (!link->stream) {
        fail(link, "memory is short");
        return;
    }
    event_add(link->ping, &ping);
    bufferevent_setcb(link->stream, on_readable, on_writable, on_event, link);
    bufferevent_setwatermark(link->stream, EV_READ, 0,
                             4 * AGENT_FRAME_MAX_HELLO);
    bufferevent_setwatermark(link->stream, EV_WRITE, LOW_UNSENT, 0);
    bufferevent_enable(link->stream, EV_READ | EV_WRITE);
    if (bufferevent_socket_connect_hostname(link->stream, link->dns, AF_UNSPEC,
                                            link->host, link->port)) {
        fail(link, "cannot connect");
    }
}

/* --- Interface -----------------------------------------------------------
 */

/* "HOST", "HOST:PORT", "[ADDR]", "[ADDR]:PORT"; an IPv6 address alone too. */
static bool
split_address(const char *text, char **host, uint16_t *port)
{
    const char *end, *rest;
    uint64_t number = AGENT_DEFAULT_PORT;
    bool has_bracket = *text == '[';

    if (has_bracket) {
        end = strchr(++text, ']');
        rest = end ? end + 1 : NULL;
    } else {
        end = strchr(text, ':');
        if (!end || strchr(end + 1, ':')) {
            end = text + strlen(text);
        }
        rest = end;
    }
    if (!end || end == text || (*rest && *rest != ':') ||
        (*rest && !text_number(rest + 1, 10, 1, 65535, &number))) {
        return false;
    }
    *host = lh_asprintf("%.*s", (int) (end - text), text);
    *port = (uint16_t) number;
    return true;
}

int
server_link_create(struct event_base *base,
                   const struct server_link_config *config,
                   struct server_link **linkp, struct lh_error *error)
{
    struct server_link *link = lh_alloc_zero(sizeof *link);
    struct timeval now = {.tv_sec = 0};

    *linkp = NULL;
    link->base = base;
    link->config = *config;
    link->retry_ms = RETRY_MS;
    if (!split_address(config->server, &link->host, &link->port)) {
        lh_error_set(error, "%s: must be HOST:PORT or [ADDR]:PORT",
                     config->server);
        free(link);
        return EINVAL;
    }
    link->dns = evdns_base_new(base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
                                         EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!link->dns) {
        /* No /etc/resolv.conf: addresses work. */
        link->dns = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    }
    link->retry = evtimer_new(base, on_retry, link);
    link->ping = event_new(base, -1, EV_PERSIST, on_ping, link);
    event_add(link->retry, &now);
    *linkp = link;
    return 0;
}

void
server_link_destroy(struct server_link *link)
{
    if (link) {
        if (link->stream) {
            bufferevent_free(link->stream);
        }
        event_free(link->retry);
        event_free(link->ping);
        if (link->dns) {
            evdns_base_free(link->dns, 0);
        }
        byte_buf_uninit(&link->out);
        free(link->host);
        free(link);
    }
}

void
server_link_kick(struct server_link *link)
{
    if (link->state == STATE_UP) {
        send_more(link);
    }
}

void
server_link_want(struct server_link *link, uint32_t threshold)
{
    if (!link->has_want || link->want != threshold) {
        link->has_want = true;
        link->want = threshold;
        send_want(link);
    }
}

const struct server_link_counters *
server_link_counters(const struct server_link *link)
{
    return &link->counters;
}
