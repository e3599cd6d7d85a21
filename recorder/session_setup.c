/* SPDX-License-Identifier: Apache-2.0 */
/* session_setup - from the HELLOs to the switch that it is. */
#include <config.h>

#include <stdlib.h>
#include <event2/event.h>

#include "lib/dpid.h"
#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "recorder/of_hello.h"
#include "recorder/of_wire.h"
#include "recorder/session_state.h"

#define FEATURES_DPID_OFS 8
#define FEATURES_AUX_OFS  21 /* OpenFlow 1.3 and later. */
#define FEATURES_MIN_LEN  32

/* Between looks for the switch of an auxiliary connection, or a guest's. */
#define MAIN_RETRY_MS 100
/* A guest waits no longer for it: somebody is watching. */
#define GUEST_WAIT_MS 3000

static void
free_event(struct event **event)
{
    if (*event) {
        event_free(*event);
        *event = NULL;
    }
}

/* A peer that does not say what even a bare switch or controller says. */
static void
end_silent(struct session *s, const char *who, const char *what)
{
    char *reason =
        lh_asprintf("%s sent no %s in %d s", who, what, SESSION_SETUP_S);

    say_warn("%s; %s is let go and may try again", reason, s->peer);
    session_end(s, reason);
    free(reason);
}

static void
on_no_hello(evutil_socket_t fd, short what, void *s_)
{
    struct session *s = s_;
    char who[96];

    if (s->down_versions) {
        char *controller = lh_asprintf("controller %s", session_who(s));

        end_silent(s, controller, "HELLO");
        free(controller);
    } else {
        end_silent(s, session_describe(s, who, sizeof who), "HELLO");
    }
}

void
session_setup_await(struct session *s)
{
    struct timeval timeout = {.tv_sec = SESSION_SETUP_S};

    s->deadline = evtimer_new(s->env->base, on_no_hello, s);
    event_add(s->deadline, &timeout);
}

static void
on_no_features(evutil_socket_t fd, short what, void *s_)
{
    struct session *s = s_;
    char who[96];

    end_silent(s, session_describe(s, who, sizeof who), "FEATURES_REPLY");
}

void
session_setup_begin(struct session *s)
{
    uint8_t msg[OF_WIRE_HEADER_LEN];
    struct timeval timeout = {.tv_sec = SESSION_SETUP_S};

    free_event(&s->deadline);
    s->version = of_hello_agree(s->down_versions, s->up_versions);
    if (!s->version) {
        /* Both will say so themselves. */
        session_pass(s);
        return;
    }
    s->state = SESSION_FEATURES;
    s->deadline = evtimer_new(s->env->base, on_no_features, s);
    event_add(s->deadline, &timeout);
    of_wire_put_header(msg, s->version, OF_WIRE_FEATURES_REQUEST, sizeof msg,
                       0);
    session_send_own(s, SESSION_TAG, msg, sizeof msg);
    if (s->route->is_attached) {
        /* Without it a management connection is told nothing unasked. */
        uint8_t config[OF_WIRE_HEADER_LEN + 4] = {0};

        of_wire_put_header(config, s->version, OF_WIRE_SET_CONFIG,
                           sizeof config, 0);
        of_wire_put16(config + 10, UINT16_MAX);
        session_send_own(s, SESSION_TAG, config, sizeof config);
    }
}

void
session_setup_cancel(struct session *s)
{
    free_event(&s->deadline);
}

static void
end_guest(struct session *s, uint64_t dpid)
{
    char *reason = lh_asprintf("switch " DPID_FMT
                               " is not connected: no controller behind the "
                               "recorder has it now, and no --attach",
                               dpid);

    say_warn("%s: %s; who came by it is let go", session_who(s), reason);
    session_end(s, reason);
    free(reason);
}

/* An auxiliary connection, or a guest's, joins its switch, which has to be
 * there. */
static void
join_main(struct session *s, uint64_t dpid)
{
    struct timeval timeout = {.tv_usec = MAIN_RETRY_MS * 1000};
    unsigned int limit_ms =
        session_is_guest(s) ? GUEST_WAIT_MS : SESSION_SETUP_S * 1000;

    if (datapath_find(s->env, dpid)) {
        free_event(&s->deadline);
        datapath_join(s, dpid);
    } else if (s->n_retries++ < limit_ms / MAIN_RETRY_MS) {
        s->main_dpid = dpid;
        event_add(s->deadline, &timeout);
    } else if (session_is_guest(s)) {
        end_guest(s, dpid);
    } else {
        say_warn("%s: an auxiliary connection of a switch that has no main "
                 "one is let go",
                 s->peer);
        session_end(s, "auxiliary connection without a main one");
    }
}

static void
on_main_retry(evutil_socket_t fd, short what, void *s_)
{
    struct session *s = s_;

    join_main(s, s->main_dpid);
}

void
session_setup_features(struct session *s, const uint8_t *msg, size_t len)
{
    uint64_t dpid;

    if (len < (s->version == OF_WIRE_10 ? FEATURES_MIN_LEN - 8u
                                        : FEATURES_MIN_LEN)) {
        session_end(s, "its FEATURES_REPLY is too short");
        return;
    }
    free_event(&s->deadline);
    dpid = of_wire_get64(msg + FEATURES_DPID_OFS);
    s->state = SESSION_WAIT;
    if (s->version >= OF_WIRE_13) {
        s->aux_id = msg[FEATURES_AUX_OFS];
    }
    if (session_is_main(s)) {
        datapath_join(s, dpid);
    } else {
        s->deadline = evtimer_new(s->env->base, on_main_retry, s);
        join_main(s, dpid);
    }
}
