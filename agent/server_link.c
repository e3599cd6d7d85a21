/* SPDX-License-Identifier: Apache-2.0 */
/* server_link - the agent's connection to a server. */
#include <config.h>

#include "agent/server_link.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/dns.h>
#include <event2/event.h>

#include "agent/server_choice.h"
#include "agent/server_conn.h"
#include "agent/server_list.h"
#include "lib/lh_alloc.h"
#include "lib/random64.h"
#include "lib/say.h"
#include "lib/time_spec.h"

/* No more than this waits unsent in the connection. */
#define MAX_UNSENT (512u << 10)
/* Pings, and how long a server may be silent: of one, and of several. */
#define PING_S        5
#define SILENT_S      20
#define PING_MANY_S   1
#define SILENT_MANY_S 4
/* Between two rounds of tries. */
#define RETRY_MS     200
#define MAX_RETRY_MS 5000
/* A number that no agent comes to. */
#define MAX_SEQ (UINT64_MAX / 4)

struct server_link {
    struct event_base *base;
    struct evdns_base *dns; /* Owned, as what follows. */
    struct server_link_config config;
    struct server_choice *choice;
    struct server_conn *conn;   /* NULL: away. */
    struct server_conn *better; /* To one that is more its own, or NULL. */
    struct event *retry, *back;
    size_t now;       /* The server of 'conn', or of the next one; */
    size_t better_at; /* that of 'better', or the last such; */
    char *last_up;    /* and the last that welcomed, or NULL.  Owned. */
    unsigned int retry_ms;
    uint64_t sent_seq;  /* On this connection. */
    uint64_t ever_sent; /* On any. */
    uint32_t want;
    bool has_want;
    struct byte_buf out;
    struct server_link_counters counters;
};

static const char *
text_of(const struct server_link *link, size_t i)
{
    return server_choice_get(link->choice, i)->at.text;
}

static bool *
was_said(const struct server_link *link, size_t i)
{
    return &server_choice_get(link->choice, i)->was_said;
}

static void
set_last_up(struct server_link *link)
{
    free(link->last_up);
    link->last_up = lh_strdup(text_of(link, link->now));
}

static bool
is_up(const struct server_link *link)
{
    return link->conn && server_conn_is_welcome(link->conn);
}

/* --- Sending -------------------------------------------------------------
 */

static void
flush_out(struct server_link *link)
{
    link->counters.bytes += server_conn_send(link->conn, &link->out);
}

static void
send_more(struct server_link *link)
{
    uint64_t seq;

    while (server_conn_unsent(link->conn) < MAX_UNSENT &&
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
    if (link->has_want && is_up(link)) {
        agent_frame_put_threshold(&link->out, AGENT_WANT, link->want);
        flush_out(link);
    }
}

static void
on_room(void *link_, struct server_conn *conn)
{
    struct server_link *link = link_;

    if (conn == link->conn) {
        send_more(link);
    }
}

/* --- Going away and coming back ------------------------------------------
 */

static void
wait_ms(struct event *event, unsigned int ms)
{
    struct timeval delay = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    event_add(event, &delay);
}

static void
drop_better(struct server_link *link)
{
    server_conn_destroy(link->better);
    link->better = NULL;
    event_del(link->back);
}

/* After a failure the next server is tried at once, and after one of each
 * of them all again in a while. */
static void
schedule_retry(struct server_link *link)
{
    if (!server_choice_fail(link->choice, link->now)) {
        wait_ms(link->retry, 0);
    } else {
        wait_ms(link->retry, link->retry_ms);
        link->retry_ms *= 2;
        if (link->retry_ms > MAX_RETRY_MS) {
            link->retry_ms = MAX_RETRY_MS;
        }
    }
    link->now = server_choice_next(link->choice);
}

static void
fail(struct server_link *link, const char *why)
{
    bool was_up = is_up(link);
    size_t who = link->now;

    server_conn_destroy(link->conn);
    link->conn = NULL;
    drop_better(link);
    link->counters.is_up = false;
    link->counters.n_failures++;
    if (was_up || !*was_said(link, who)) {
        *was_said(link, who) = true;
        link->config.on_state(link->config.aux, false, text_of(link, who),
                              why);
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

/* --- Reading -------------------------------------------------------------
 */

/* Whether the welcome can be relied on; if not, why. */
static bool
is_good_welcome(const struct server_link *link, const struct agent_welcome *w,
                char why[160])
{
    if (w->protocol != AGENT_PROTOCOL || w->last_seq > MAX_SEQ) {
        snprintf(why, 160, "it speaks another protocol");
        return false;
    }
    if (w->id_seed != link->config.hello.id_seed ||
        w->id_bytes != link->config.hello.id_bytes) {
        snprintf(why, 160,
                 "its packet IDs are others: give lasthop-agent and the "
                 "bridges --id-seed %" PRIx64 " --id-bytes %u",
                 w->id_seed, w->id_bytes);
        return false;
    }
    return true;
}

static void
welcome(struct server_link *link, const struct agent_welcome *w)
{
    uint64_t next = outbox_next_seq(link->config.outbox);

    if (w->last_seq >= next) {
        say_warn("the server has taken frame %" PRIu64 " of this agent, which "
                 "knows of %" PRIu64 ": the host's disk forgot",
                 w->last_seq, next - 1);
    }
    server_conn_welcome(link->conn);
    server_choice_work(link->choice, link->now);
    link->retry_ms = RETRY_MS;
    *was_said(link, link->now) = false;
    link->counters.is_up = true;
    link->counters.n_connections++;
    link->counters.n_moves +=
        link->last_up && strcmp(link->last_up, text_of(link, link->now)) != 0;
    set_last_up(link);
    link->sent_seq = w->last_seq;
    outbox_ack(link->config.outbox, w->last_seq);
    link->config.on_state(link->config.aux, true, text_of(link, link->now),
                          "");
    link->config.on_threshold(link->config.aux, w->threshold);
    send_want(link);
    send_more(link);
    if (link->now) {
        wait_ms(link->back, SERVER_LINK_BACK_MS);
    }
}

static void
copy_text(const struct agent_frame *f, char text[AGENT_MAX_TEXT + 1])
{
    memcpy(text, f->refused.text, f->refused.len);
    text[f->refused.len] = '\0';
}

/* The first frame of a connection; false when that is no more. */
static bool
take_first(struct server_link *link, const struct agent_frame *f)
{
    char text[AGENT_MAX_TEXT + 1];

    if (f->type == AGENT_REFUSED) {
        copy_text(f, text);
        link->counters.n_refused++;
        fail(link, text);
        return false;
    }
    if (f->type != AGENT_WELCOME) {
        fail_malformed(link, "it does not begin with a welcome");
        return false;
    }
    if (!is_good_welcome(link, &f->welcome, text)) {
        link->counters.n_malformed += f->welcome.protocol != AGENT_PROTOCOL ||
                                      f->welcome.last_seq > MAX_SEQ;
        fail(link, text);
        return false;
    }
    welcome(link, &f->welcome);
    return true;
}

/* What one that is more its own answers: it goes there, or stays. */
static bool
take_better(struct server_link *link, const struct agent_frame *f)
{
    struct server_conn *conn = link->better;
    char text[160];

    if (f->type != AGENT_WELCOME ||
        !is_good_welcome(link, &f->welcome, text)) {
        drop_better(link);
        wait_ms(link->back, SERVER_LINK_BACK_MS);
        return false;
    }
    say_info("server %s is back", text_of(link, link->better_at));
    server_conn_destroy(link->conn);
    link->conn = conn;
    link->now = link->better_at;
    link->better = NULL;
    welcome(link, &f->welcome);
    return true;
}

static unsigned int
ping_s(const struct server_link *link)
{
    return server_choice_n(link->choice) > 1 ? PING_MANY_S : PING_S;
}

static unsigned int
silent_s(const struct server_link *link)
{
    return server_choice_n(link->choice) > 1 ? SILENT_MANY_S : SILENT_S;
}

/* The server says which servers take agents now. */
static void
take_servers(struct server_link *link, const struct agent_servers *servers)
{
    struct agent_server all[AGENT_SERVERS_MAX];
    struct lh_error error;

    agent_servers_get(servers, all);
    link->counters.n_told = servers->n;
    if (!server_choice_tell(link->choice, all, servers->n, &link->now)) {
        return;
    }
    say_info("server %s tells of %u that take agents",
             text_of(link, link->now), servers->n);
    set_last_up(link); /* It may be known by another address now. */
    server_conn_set_pings(link->conn, ping_s(link), silent_s(link));
    drop_better(link);
    link->better_at = SIZE_MAX;
    if (link->now) {
        wait_ms(link->back,
                (unsigned int) (random64_draw() % SERVER_LINK_SPREAD_MS));
    }
    if (link->config.spool && servers->n &&
        server_list_save(link->config.spool, servers, &error)) {
        say_warn("which servers there are is not remembered: %s", error.text);
    }
}

/* False when the connection is no more. */
static bool
on_frame(void *link_, struct server_conn *conn, const struct agent_frame *f)
{
    struct server_link *link = link_;
    char text[AGENT_MAX_TEXT + 1];

    if (conn == link->better) {
        return take_better(link, f);
    }
    if (!server_conn_is_welcome(conn)) {
        return take_first(link, f);
    }
    switch (f->type) {
    case AGENT_ACK:
        /* It may be of what went on an earlier connection. */
        if (f->ack.seq >= outbox_next_seq(link->config.outbox)) {
            fail_malformed(link, "it acknowledges what was not sent");
            return false;
        }
        outbox_ack(link->config.outbox, f->ack.seq);
        return true;
    case AGENT_THRESHOLD:
        link->config.on_threshold(link->config.aux, f->threshold.threshold);
        return true;
    case AGENT_SERVERS:
        take_servers(link, &f->servers);
        return true;
    case AGENT_PING:
        agent_frame_put_ping(&link->out, AGENT_PONG,
                             &(struct agent_ping){.sent_ns = f->ping.sent_ns,
                                                  .now_ns = time_spec_now()});
        flush_out(link);
        return true;
    case AGENT_PONG:
        return true;
    case AGENT_REFUSED:
        copy_text(f, text);
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
on_end(void *link_, struct server_conn *conn, enum server_conn_end cause,
       const char *why)
{
    struct server_link *link = link_;

    if (conn == link->better) {
        drop_better(link);
        wait_ms(link->back, SERVER_LINK_BACK_MS);
    } else if (cause == SERVER_CONN_MALFORMED) {
        fail_malformed(link, why);
    } else {
        fail(link, why);
    }
}

/* --- Connections ---------------------------------------------------------
 */

static struct server_conn *
connect_to(struct server_link *link, size_t i, bool has_others)
{
    struct server_conn_config config = {
        .base = link->base,
        .dns = link->dns,
        .tls = link->config.tls,
        .target = &server_choice_get(link->choice, i)->at,
        .hello = link->config.hello,
        .ping_s = ping_s(link),
        .silent_s = silent_s(link),
        .on_frame = on_frame,
        .on_room = on_room,
        .on_end = on_end,
        .aux = link,
    };

    config.hello.taken_seq = outbox_taken_seq(link->config.outbox);
    config.hello.has_others = has_others;
    config.hello.wants_servers = true;
    return server_conn_create(&config);
}

static void
on_retry(evutil_socket_t fd, short what, void *link_)
{
    struct server_link *link = link_;

    assert(!link->conn);
    link->conn =
        connect_to(link, link->now, server_choice_has_others(link->choice));
    if (!link->conn) {
        fail(link, "cannot connect");
    }
}

/* Looks whether one of those that come before is back. */
static void
on_back(evutil_socket_t fd, short what, void *link_)
{
    struct server_link *link = link_;

    if (!is_up(link) || !link->now) {
        return;
    }
    server_conn_destroy(link->better);
    link->better_at =
        link->better_at + 1 < link->now ? link->better_at + 1 : 0;
    link->better = connect_to(link, link->better_at, true);
    if (!link->better) {
        wait_ms(link->back, SERVER_LINK_BACK_MS);
    }
}

/* --- Interface -----------------------------------------------------------
 */

/* What an agent before was told. */
static void
load_list(struct server_link *link)
{
    struct byte_buf frame = BYTE_BUF_INIT;
    struct agent_server all[AGENT_SERVERS_MAX];
    struct agent_servers servers;
    struct lh_error error;
    int retval =
        server_list_load(link->config.spool, &frame, &servers, &error);

    if (retval && retval != ENOENT) {
        say_warn("which servers there were is not known: %s", error.text);
    } else if (!retval) {
        agent_servers_get(&servers, all);
        server_choice_tell(link->choice, all, servers.n, &link->now);
        link->now = 0;
    }
    byte_buf_uninit(&frame);
}

int
server_link_create(struct event_base *base,
                   const struct server_link_config *config,
                   struct server_link **linkp, struct lh_error *error)
{
    struct server_link *link = lh_alloc_zero(sizeof *link);
    int retval;

    *linkp = NULL;
    link->base = base;
    link->config = *config;
    link->retry_ms = RETRY_MS;
    link->better_at = SIZE_MAX;
    retval = server_choice_create(config->servers,
                                  (const char *) config->hello.name,
                                  &link->choice, error);
    if (retval) {
        free(link);
        return retval;
    }
    if (config->spool) {
        load_list(link);
    }
    link->dns = evdns_base_new(base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
                                         EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!link->dns) {
        /* No /etc/resolv.conf: addresses work. */
        link->dns = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    }
    link->retry = evtimer_new(base, on_retry, link);
    link->back = evtimer_new(base, on_back, link);
    wait_ms(link->retry, 0);
    *linkp = link;
    return 0;
}

void
server_link_destroy(struct server_link *link)
{
    if (link) {
        server_conn_destroy(link->conn);
        server_conn_destroy(link->better);
        event_free(link->retry);
        event_free(link->back);
        if (link->dns) {
            evdns_base_free(link->dns, 0);
        }
        byte_buf_uninit(&link->out);
        server_choice_destroy(link->choice);
        free(link->last_up);
        free(link);
    }
}

void
server_link_kick(struct server_link *link)
{
    if (is_up(link)) {
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

const char *
server_link_server(const struct server_link *link)
{
    return text_of(link, link->now);
}

const struct server_link_counters *
server_link_counters(const struct server_link *link)
{
    return &link->counters;
}
