/* SPDX-License-Identifier: Apache-2.0 */
/* session - messages between the two connections. */
#include <config.h>

#include "recorder/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <event2/buffer.h>
#include <event2/event.h>

#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "recorder/of_hello.h"
#include "recorder/of_wire.h"
#include "recorder/session_state.h"

/* Messages without an answer after which a barrier of ours settles them. */
#define BARRIER_AFTER 1024

static bool on_switch_message(void *, const uint8_t *, size_t);
static void on_switch_drained(void *);
static void on_switch_closed(void *, const char *);
static bool on_controller_message(void *, const uint8_t *, size_t);
static void on_controller_drained(void *);
static void on_controller_closed(void *, const char *);

const struct of_conn_callbacks session_down_callbacks = {
    on_switch_message, on_switch_drained, on_switch_closed};
const struct of_conn_callbacks session_up_callbacks = {
    on_controller_message, on_controller_drained, on_controller_closed};

const char *
session_describe(const struct session *s, char *buf, size_t size)
{
    if (s->dp) {
        return datapath_describe(s->dp, buf, size);
    }
    snprintf(buf, size, "switch at %s", s->peer);
    return buf;
}

const char *
session_who(const struct session *s)
{
    return s->route->controller  ? s->route->controller->text
           : session_is_guest(s) ? s->route->listen.text
                                 : NULL;
}

static void
on_reaper(evutil_socket_t fd, short what, void *s)
{
    session_destroy(s);
}

static void
warn_no_controller(const struct session *s, const char *reason)
{
    char who[96];

    say_warn("controller %s: %s; %s is let go and will try again",
             s->route->controller->text, reason,
             session_describe(s, who, sizeof who));
}

static bool
open_controller(struct session *s)
{
    const struct session_env *env = s->env;
    const struct endpoint *ep = s->route->controller;

    s->up =
        of_conn_connect(env->base, ep, ep->is_tls ? env->controller_tls : NULL,
                        &session_up_callbacks, s);
    if (!s->up) {
        warn_no_controller(s, strerror(errno));
    }
    return s->up;
}

struct session *
session_new(const struct session_env *env, const struct recorder_route *route,
            char *peer)
{
    struct session *s = lh_alloc_zero(sizeof *s);

    s->env = env;
    s->route = route;
    s->peer = peer;
    s->began_ns = time_spec_now();
    s->waiting = evbuffer_new();
    s->early = evbuffer_new();
    instr_kept_init(&s->kept);
    s->xids = xid_map_create();
    s->reaper = evtimer_new(env->base, on_reaper, s);
    return s;
}

struct session *
session_create(const struct session_env *env,
               const struct recorder_route *route, int fd,
               const struct sockaddr *peer, socklen_t peer_len)
{
    struct session *s =
        session_new(env, route, endpoint_format(peer, peer_len));

    s->peer_ip =
        endpoint_is_local(peer) ? NULL : endpoint_format_ip(peer, peer_len);
    if (route->listen.is_tls && !strncmp(s->peer, "tcp", 3)) {
        memcpy(s->peer, "ssl", 3);
    }
    s->down = of_conn_accept(env->base, fd,
                             route->listen.is_tls ? env->switch_tls : NULL,
                             &session_down_callbacks, s);
    if (!s->down) {
        close(fd);
        session_destroy(s);
        return NULL;
    }
    /* Over TLS the switch has to prove who it is before. */
    if (!route->listen.is_tls && !open_controller(s)) {
        session_destroy(s);
        return NULL;
    }
    session_setup_await(s);
    say_debug("switch at %s: connected", s->peer);
    return s;
}

void
session_destroy(struct session *s)
{
    if (!s) {
        return;
    }
    session_setup_cancel(s);
    datapath_leave(s, NULL);
    of_conn_destroy(s->down);
    of_conn_destroy(s->up);
    xid_map_destroy(s->xids);
    evbuffer_free(s->waiting);
    evbuffer_free(s->early);
    if (s->reaper) {
        event_free(s->reaper);
    }
    free(s->peer);
    free(s->peer_ip);
    free(s);
}

void
session_end(struct session *s, const char *reason)
{
    struct timeval now = {0};

    if (s->state == SESSION_END) {
        return;
    }
    session_setup_cancel(s);
    s->state = SESSION_END;
    of_conn_finish(s->down);
    if (s->up) {
        of_conn_finish(s->up);
    }
    s->down = s->up = NULL;
    datapath_leave(s, reason);
    s->env->ended(s->env->aux, s);
    event_add(s->reaper, &now);
}

static void
on_switch_closed(void *s_, const char *reason)
{
    struct session *s = s_;
    char who[96];

    if (session_is_guest(s) && !of_conn_is_connected(s->down)) {
        say_warn("%s: %s; who came by %s is let go", s->peer, reason,
                 session_who(s));
    } else if (!s->dp) {
        say_warn("%s: %s", session_describe(s, who, sizeof who), reason);
    }
    session_end(s, reason);
}

static void
on_controller_closed(void *s_, const char *reason)
{
    struct session *s = s_;
    char text[256];

    if (session_linger(s)) {
        return;
    }
    if (!of_conn_is_connected(s->up)) {
        warn_no_controller(s, reason);
    }
    snprintf(text, sizeof text, "controller %s: %s", session_who(s), reason);
    session_end(s, text);
}

/* --- To the switch. --- */

/* True when the ID of a message to the switch is the switch's own or has no
 * answer that could need it.  To an error a switch answers with an error, but
 * for the one that refuses its HELLO. */
static bool
keeps_xid(const struct session *s, uint8_t type)
{
    return type == OF_WIRE_HELLO || type == OF_WIRE_ECHO_REPLY ||
           (type == OF_WIRE_ERROR && !s->version);
}

static void
send_barrier(struct session *s)
{
    uint8_t msg[OF_WIRE_HEADER_LEN];

    of_wire_put_header(msg, s->version, of_wire_barrier_request(s->version),
                       sizeof msg, 0);
    session_send_own(s, SESSION_TAG, msg, sizeof msg);
    s->barrier_xid = of_wire_xid(msg);
}

void
session_send(struct session *s, struct instr_msg *m)
{
    if (!s->down) {
        return;
    }
    if (!keeps_xid(s, m->data[1])) {
        uint32_t xid = !m->is_own && m->original_len >= OF_WIRE_HEADER_LEN
                           ? of_wire_xid(m->original)
                           : 0;

        of_wire_set_xid(m->data, m->len,
                        xid_map_add(s->xids, m->is_own, m->tag, xid,
                                    m->original, m->original_len));
        m->original = NULL; /* Taken. */
    }
    of_conn_send(s->down, m->data, m->len);
    if (!s->barrier_xid && s->version &&
        xid_map_n_open(s->xids) >= BARRIER_AFTER) {
        send_barrier(s);
    }
}

void
session_send_own(struct session *s, uint64_t tag, uint8_t *msg, size_t len)
{
    of_wire_set_xid(msg, len, xid_map_add(s->xids, true, tag, 0, NULL, 0));
    of_conn_send(s->down, msg, len);
}

/* A message of the controller to the switch as it is. */
static void
pass_to_switch(struct session *s, const uint8_t *msg, size_t len)
{
    struct instr_msg m = {
        .data = lh_memdup(msg, len),
        .len = len,
        .original = lh_memdup(msg, len),
        .original_len = len,
    };

    if (s->state == SESSION_PASS && instr_knows_version(s->version)) {
        instr_kept_down(&s->kept, msg, len);
    }
    session_send(s, &m);
    free(m.data);
    free(m.original);
}

void
session_tell(struct session *s, const uint8_t *msg, size_t len)
{
    if (s->up) {
        of_conn_send(s->up, msg, len);
    }
}

bool
session_is_full(const struct session *s)
{
    return !s->down || of_conn_is_full(s->down) || xid_map_is_full(s->xids);
}

/* --- From the switch. --- */

/* True when a message of the switch answers nothing, whatever its ID. */
static bool
is_unasked(uint8_t type)
{
    switch (type) {
    case OF_WIRE_HELLO:
    case OF_WIRE_ECHO_REQUEST:
    case OF_WIRE_PACKET_IN:
    case OF_WIRE_FLOW_REMOVED:
    case OF_WIRE_PORT_STATUS:
    case 30: /* Role status, table status, request forward: OpenFlow 1.4. */
    case 31:
    case 32:
    case 35: /* Controller status: 1.5. */
        return true;
    default:
        return false;
    }
}

static void
take_error(struct session *s, const struct xid_entry *e, const uint8_t *msg,
           size_t len)
{
    struct instr_out out = INSTR_OUT_INIT;
    uint64_t tag = e->tag;
    bool tell = !e->is_own && e->quote_len;
    uint16_t type, code;
    uint8_t *error;
    size_t error_len = xid_map_restore_error(e, msg, len, &error);

    if (!error_len || !of_wire_error(msg, len, &type, &code)) {
        s->counters.unmatched++;
        return;
    }
    if (s->link && tag < SESSION_LINGER_TAG) {
        tell = instr_error(s->link, tag, type, code, time_spec_now(), &out) &&
               tell;
        datapath_apply(s->dp, &out);
    }
    if (tell) {
        session_tell(s, error, error_len);
    }
    free(error);
}

/* A message that is the answer to 'e', or to nothing (NULL). */
static void
take_message(struct session *s, const struct xid_entry *e, const uint8_t *msg,
             size_t len)
{
    uint8_t *copy = lh_memdup(msg, len);
    uint64_t tag = e ? e->tag : 0;
    bool is_own = e && e->is_own;

    if (e) {
        of_wire_set_xid(copy, len, e->xid);
    }
    if (tag == SESSION_TAG) {
        if (s->state == SESSION_FEATURES &&
            copy[1] == OF_WIRE_FEATURES_REPLY) {
            session_setup_features(s, copy, len);
        } else if (copy[1] == of_wire_barrier_reply(s->version)) {
            s->barrier_xid = 0;
        }
    } else if (tag == SESSION_LINGER_TAG) {
        session_lingered(s);
    } else if (tag == SESSION_SETTLE_TAG) {
        session_settled(s);
    } else if (s->link) {
        struct instr_out out = INSTR_OUT_INIT;

        instr_from_switch(s->link, copy, len, tag, time_spec_now(), &out);
        datapath_apply(s->dp, &out);
    } else if (!is_own) {
        if (s->dp && instr_knows_version(s->version) &&
            instr_kept_up(&s->kept, copy, len)) {
            datapath_retry_master(s->dp, s);
        }
        session_tell(s, copy, len);
    }
    free(copy);
}

static void
take_hello(struct session *s, uint32_t *versions, const uint8_t *msg,
           size_t len)
{
    *versions = of_hello_versions(msg, len);
    if (s->down_versions && s->up_versions) {
        session_setup_begin(s);
    }
}

void
session_take_from_switch(struct session *s, const uint8_t *msg, size_t len)
{
    uint8_t type = msg[1];

    if (!s->up && type == OF_WIRE_ECHO_REQUEST) {
        uint8_t *reply = lh_memdup(msg, len);

        reply[1] = OF_WIRE_ECHO_REPLY;
        of_conn_send(s->down, reply, len);
        free(reply);
        return;
    }
    if (is_unasked(type)) {
        take_message(s, NULL, msg, len);
        return;
    }

    uint32_t fresh = of_wire_xid(msg);
    const struct xid_entry *found = xid_map_find(s->xids, fresh);

    if (!found) {
        if (type == OF_WIRE_EXPERIMENTER || !fresh ||
            (type == OF_WIRE_ERROR && s->link)) {
            take_message(s, NULL, msg, len);
        } else if (fresh == s->barrier_xid) {
            /* More messages followed it at once than may be open. */
            send_barrier(s);
        } else {
            s->counters.unmatched++;
        }
        return;
    }

    struct xid_entry e = *found;

    if (type == OF_WIRE_ERROR) {
        take_error(s, &e, msg, len);
        xid_map_settle(s->xids, fresh);
    } else {
        if (of_wire_is_last_reply(msg, len)) {
            xid_map_settle(s->xids, fresh);
        }
        take_message(s, &e, msg, len);
    }
    if (s->holds_controller && !xid_map_is_full(s->xids) && s->up) {
        s->holds_controller = false;
        of_conn_resume(s->up);
    }
}

static bool
is_echo(uint8_t type)
{
    return type == OF_WIRE_ECHO_REQUEST || type == OF_WIRE_ECHO_REPLY;
}

static bool
on_switch_message(void *s_, const uint8_t *msg, size_t len)
{
    struct session *s = s_;
    uint8_t type = msg[1];

    if (!s->up && s->state == SESSION_HELLO && s->route->controller &&
        !open_controller(s)) {
        session_end(s, "the controller cannot be reached");
        return true;
    }
    if (s->up && of_conn_is_full(s->up)) {
        return false;
    }
    if (s->state == SESSION_WAIT && !is_echo(type)) {
        /* Echoes have to get past it: who gets no answer hangs up. */
        if (evbuffer_get_length(s->early) > SESSION_MAX_WAITING) {
            return false;
        }
        s->counters.from_switch++;
        evbuffer_add(s->early, msg, len);
        return true;
    }
    s->counters.from_switch++;
    if (s->state == SESSION_HELLO) {
        session_tell(s, msg, len);
        if (type == OF_WIRE_HELLO) {
            take_hello(s, &s->down_versions, msg, len);
        }
    } else {
        session_take_from_switch(s, msg, len);
    }
    return true;
}

static void
on_controller_drained(void *s_)
{
    struct session *s = s_;

    if (s->down) {
        of_conn_resume(s->down);
    }
}

/* --- From the controller. --- */

void
session_take_from_controller(struct session *s, const uint8_t *msg, size_t len)
{
    if (s->state == SESSION_RUN) {
        struct instr_out out = INSTR_OUT_INIT;

        instr_from_controller(s->link, msg, len, time_spec_now(),
                              session_who(s), &out);
        datapath_apply(s->dp, &out);
    } else {
        pass_to_switch(s, msg, len);
    }
}

bool
session_must_wait(struct session *s, const uint8_t *msg)
{
    struct instr_out out = INSTR_OUT_INIT;
    bool waits;

    if (s->state != SESSION_RUN) {
        return false;
    }
    waits = instr_link_must_wait(s->link, msg, time_spec_now(), &out);
    datapath_apply(s->dp, &out);
    return waits;
}

/* True when the controller did not wait for the switch's HELLO with it. */
static bool
is_after_hello(const struct session *s, uint8_t type)
{
    return s->up_versions && type != OF_WIRE_HELLO && type != OF_WIRE_ERROR &&
           !is_echo(type);
}

static bool
on_controller_message(void *s_, const uint8_t *msg, size_t len)
{
    struct session *s = s_;
    uint8_t type = msg[1];

    if (of_conn_is_full(s->down)) {
        s->counters.held++;
        return false;
    }
    if (xid_map_is_full(s->xids)) {
        s->counters.held++;
        s->holds_controller = true;
        return false;
    }
    if (s->state == SESSION_HELLO && !is_after_hello(s, type)) {
        s->counters.from_controller++;
        pass_to_switch(s, msg, len);
        if (type == OF_WIRE_HELLO) {
            take_hello(s, &s->up_versions, msg, len);
        }
        return true;
    }
    if (s->state < SESSION_RUN && !is_echo(type)) {
        if (evbuffer_get_length(s->waiting) > SESSION_MAX_WAITING) {
            return false;
        }
        s->counters.from_controller++;
        evbuffer_add(s->waiting, msg, len);
        return true;
    }
    if (!is_echo(type) &&
        (evbuffer_get_length(s->waiting) || session_must_wait(s, msg))) {
        s->counters.held++;
        return false;
    }
    s->counters.from_controller++;
    if (s->state < SESSION_RUN) {
        pass_to_switch(s, msg, len);
    } else {
        session_take_from_controller(s, msg, len);
    }
    return true;
}

static void
on_switch_drained(void *s_)
{
    struct session *s = s_;

    if (s->up) {
        of_conn_resume(s->up);
    }
}
