/* SPDX-License-Identifier: Apache-2.0 */
/* strip_switch - one switch that is rid of all that is ours in its tables. */
#include <config.h>
#include "recorder/strip_switch.h"

#include <stdlib.h>
#include <event2/event.h>

#include "lib/lh_alloc.h"
#include "recorder/mono_clock.h"
#include "recorder/of_ask.h"
#include "recorder/of_conn.h"
#include "recorder/of_hello.h"
#include "recorder/of_msg.h"
#include "recorder/of_wire.h"

#define OPTION_RETRY_US   20000
#define FEATURES_MIN_LEN  24
#define FEATURES_DPID_OFS 8

enum state {
    HELLO,
    FEATURES,
    READ,   /* Until the answer to the barrier behind the questions. */
    APPLY,  /* The same, behind what takes rules out. */
    OPTION, /* The same, behind what takes the option out. */
    PAUSE   /* Until it is tried again. */
};

struct strip_switch {
    struct event_base *base;
    strip_plan_known *known;
    void *known_aux;
    strip_switch_done *done;
    void *aux;

    struct of_conn *conn;
    struct event *silence;
    struct event *pause;
    enum state state;
    uint8_t version;
    uint64_t dpid;
    uint32_t next_xid, barrier_xid;
    unsigned int n_passes;
    bool no_bundle;              /* The switch has refused one. */
    bool is_refused;             /* In this state. */
    char *error;                 /* The latest of the switch.  Owned. */
    uint64_t option_deadline_ns; /* 0: not yet begun. */
    struct strip_plan *plan;     /* Of the latest reading. */
    struct strip_plan_counts removed;
};

static void
destroy(struct strip_switch *s)
{
    of_conn_destroy(s->conn);
    event_free(s->silence);
    event_free(s->pause);
    strip_plan_destroy(s->plan);
    free(s->error);
    free(s);
}

static void
finish(struct strip_switch *s, const char *error)
{
    struct strip_switch_result result = {
        .error = error, .dpid = s->dpid, .removed = s->removed};

    if (error && s->plan) {
        result.left = strip_plan_counts(s->plan);
    }
    s->done(s->aux, &result);
    destroy(s);
}

static void
on_silence(evutil_socket_t fd, short what, void *s)
{
    finish(s, "the switch did not answer in time");
}

static void
keep_waiting(struct strip_switch *s)
{
    struct timeval timeout = {.tv_sec = STRIP_SWITCH_SILENCE_S};

    event_add(s->silence, &timeout);
}

/* Takes 'msg' and gives it an ID. */
static void
send_message(void *s_, uint8_t *msg, size_t len)
{
    struct strip_switch *s = s_;

    of_wire_set_xid(msg, len, s->next_xid++);
    of_conn_send(s->conn, msg, len);
    free(msg);
}

static void
send_barrier(struct strip_switch *s, enum state state)
{
    s->state = state;
    s->is_refused = false;
    s->barrier_xid = s->next_xid;
    of_ask_barrier(s->version, send_message, s);
    keep_waiting(s);
}

static void
send_hello(struct strip_switch *s)
{
    uint8_t hello[OF_WIRE_HEADER_LEN + 8];

    of_wire_put_header(hello, OF_WIRE_15, OF_WIRE_HELLO, sizeof hello, 0);
    of_wire_put16(hello + 8, 1); /* A bitmap. */
    of_wire_put16(hello + 10, 8);
    of_wire_put32(hello + 12, (2u << OF_WIRE_15) - (1u << OF_WIRE_10));
    of_conn_send(s->conn, hello, sizeof hello);
}

static void
read_tables(struct strip_switch *s)
{
    strip_plan_destroy(s->plan);
    s->plan = strip_plan_create(s->dpid, s->known, s->known_aux);
    of_ask_tlvs(s->version, send_message, s);
    of_ask_rules(s->version, send_message, s);
    send_barrier(s, READ);
}

/* --- Taking things out. --- */

static void
send_bundle_control(struct strip_switch *s, enum of_bundle_type type)
{
    /* Atomic and ordered. */
    struct of_bundle_control bc = {
        .id = s->n_passes, .type = (uint16_t) type, .flags = 3};
    uint8_t *msg;
    size_t len;

    of_msg_put_bundle_control(s->version, 0, &bc, &msg, &len);
    send_message(s, msg, len);
}

static bool
has_bundles(const struct strip_switch *s)
{
    return of_wire_has_bundles(s->version) && !s->no_bundle;
}

static void
apply(struct strip_switch *s, const struct strip_plan_message *messages,
      size_t n)
{
    bool in_bundle = has_bundles(s);

    s->n_passes++;
    if (in_bundle) {
        send_bundle_control(s, OF_BUNDLE_OPEN_REQUEST);
    }
    for (size_t i = 0; i < n; i++) {
        const struct strip_plan_message *m = &messages[i];
        uint8_t *msg = NULL;
        size_t len;

        if (!in_bundle) {
            send_message(s, lh_memdup(m->data, m->len), m->len);
        } else if (!of_msg_put_bundle_add(s->version, 0, s->n_passes, 3,
                                          m->data, m->len, &msg, &len)) {
            send_message(s, msg, len);
        } else {
            s->no_bundle = true; /* Too long for one: next time. */
        }
    }
    if (in_bundle) {
        send_bundle_control(s, OF_BUNDLE_COMMIT_REQUEST);
    }
    send_barrier(s, APPLY);
}

static void
take_option(struct strip_switch *s)
{
    const struct strip_plan_message *m =
        strip_plan_option(s->plan, s->version);

    if (!s->option_deadline_ns) {
        s->option_deadline_ns =
            mono_clock_ns() + STRIP_SWITCH_OPTION_S * UINT64_C(1000000000);
    }
    send_message(s, lh_memdup(m->data, m->len), m->len);
    send_barrier(s, OPTION);
}

static void
on_pause(evutil_socket_t fd, short what, void *s)
{
    take_option(s);
}

/* What the switch said last, after 'what'. */
static void
fail(struct strip_switch *s, const char *what)
{
    char *text =
        s->error ? lh_asprintf("%s: %s", what, s->error) : lh_strdup(what);

    finish(s, text);
    free(text);
}

static void
judge(struct strip_switch *s)
{
    size_t n_others, n;
    const struct strip_plan_message *messages =
        strip_plan_rules(s->plan, s->version, &n_others, &n);
    struct strip_plan_counts found = strip_plan_counts(s->plan);

    if (!s->n_passes) {
        s->removed = found;
    }
    if (found.n_stuck) {
        fail(s, "a rule or group is too long for a message");
    } else if (n && s->n_passes == STRIP_SWITCH_PASSES) {
        fail(s, "the switch still has them, or got them again: is there a "
                "recorder that runs?");
    } else if (n) {
        /* What leads to rules of ours goes first, unless all goes at once. */
        apply(s, messages, n_others && !has_bundles(s) ? n_others : n);
    } else if (found.has_option) {
        take_option(s);
    } else {
        finish(s, NULL);
    }
}

static void
on_barrier(struct strip_switch *s)
{
    struct timeval pause = {.tv_usec = OPTION_RETRY_US};

    switch (s->state) {
    case READ:
        if (s->is_refused) {
            fail(s, "its tables cannot be read");
        } else {
            judge(s);
        }
        break;
    case APPLY:
        s->no_bundle |= s->is_refused;
        read_tables(s);
        break;
    case OPTION:
        if (!s->is_refused) {
            read_tables(s);
        } else if (mono_clock_ns() < s->option_deadline_ns) {
            s->state = PAUSE;
            event_add(s->pause, &pause);
        } else {
            fail(s, "the switch keeps the tunnel option");
        }
        break;
    case HELLO:
    case FEATURES:
    case PAUSE:
    default:
        break;
    }
}

/* --- Messages of the switch. --- */

static void
on_hello(struct strip_switch *s, const uint8_t *msg, size_t len)
{
    uint32_t ours = (2u << OF_WIRE_15) - (1u << OF_WIRE_10);
    uint8_t *request;

    s->version = of_hello_agree(of_hello_versions(msg, len), ours);
    if (!s->version) {
        finish(s, "it speaks no OpenFlow version of ours");
        return;
    }
    s->state = FEATURES;
    of_ask_forms(s->version, send_message, s);
    request = lh_alloc(OF_WIRE_HEADER_LEN);
    of_wire_put_header(request, s->version, OF_WIRE_FEATURES_REQUEST,
                       OF_WIRE_HEADER_LEN, 0);
    send_message(s, request, OF_WIRE_HEADER_LEN);
}

static void
on_error(struct strip_switch *s, const uint8_t *msg, size_t len)
{
    s->is_refused = true;
    free(s->error);
    s->error = of_msg_to_line(msg, len);
}

static void
on_echo(struct strip_switch *s, const uint8_t *msg, size_t len)
{
    uint8_t *reply = lh_memdup(msg, len);

    reply[1] = OF_WIRE_ECHO_REPLY;
    of_conn_send(s->conn, reply, len);
    free(reply);
}

static bool
on_message(void *s_, const uint8_t *msg, size_t len)
{
    struct strip_switch *s = s_;

    if (s->state != HELLO) {
        keep_waiting(s);
    }
    if (s->state == HELLO && msg[1] == OF_WIRE_HELLO) {
        on_hello(s, msg, len);
    } else if (s->state == HELLO) {
        return true;
    } else if (msg[1] == OF_WIRE_ECHO_REQUEST) {
        on_echo(s, msg, len);
    } else if (msg[1] == OF_WIRE_ERROR) {
        on_error(s, msg, len);
    } else if (s->state == FEATURES && msg[1] == OF_WIRE_FEATURES_REPLY &&
               len >= FEATURES_MIN_LEN) {
        s->dpid = of_wire_get64(msg + FEATURES_DPID_OFS);
        read_tables(s);
    } else if (msg[1] == of_wire_barrier_reply(s->version) &&
               of_wire_xid(msg) == s->barrier_xid) {
        on_barrier(s);
    } else if (s->state == READ) {
        strip_plan_take(s->plan, msg, len);
    }
    return true;
}

static void
on_drained(void *s)
{
}

static void
on_closed(void *s_, const char *reason)
{
    struct strip_switch *s = s_;
    char *text = lh_asprintf("its connection has ended: %s", reason);

    finish(s, text);
    free(text);
}

static const struct of_conn_callbacks callbacks = {on_message, on_drained,
                                                   on_closed};

struct strip_switch *
strip_switch_start(struct event_base *base, const struct endpoint *ep,
                   strip_plan_known *known, void *known_aux,
                   strip_switch_done *done, void *aux)
{
    struct strip_switch *s = lh_alloc_zero(sizeof *s);

    s->base = base;
    s->known = known;
    s->known_aux = known_aux;
    s->done = done;
    s->aux = aux;
    s->next_xid = 1;
    s->silence = evtimer_new(base, on_silence, s);
    s->pause = evtimer_new(base, on_pause, s);
    s->conn = of_conn_connect(base, ep, NULL, &callbacks, s);
    if (!s->conn) {
        destroy(s);
        return NULL;
    }
    send_hello(s);
    keep_waiting(s);
    return s;
}
