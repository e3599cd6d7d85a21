/* SPDX-License-Identifier: Apache-2.0 */
/* session_setup - from the HELLOs to the switch that it is. */
#include <config.h>

#include <stdlib.h>
#include <event2/event.h>

#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "recorder/of_hello.h"
#include "recorder/of_wire.h"
#include "recorder/session_state.h"

#define FEATURES_DPID_OFS 8
#define FEATURES_AUX_OFS  21 /* OpenFlow 1.3 and later. */
#define FEATURES_MIN_LEN  32

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
        char *controller =
            lh_asprintf("controller %s", s->route->controller->text);

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
    session_send_own(s, msg, sizeof msg);
}

void
session_setup_cancel(struct session *s)
{
    free_event(&s->deadline);
}

void
session_setup_features(struct session *s, const uint8_t *msg, size_t len)
{
    if (len < (s->version == OF_WIRE_10 ? FEATURES_MIN_LEN - 8u
                                        : FEATURES_MIN_LEN)) {
        session_end(s, "its FEATURES_REPLY is too short");
        return;
    }
    free_event(&s->deadline);
    if (s->version >= OF_WIRE_13 && msg[FEATURES_AUX_OFS]) {
        session_pass(s); /* An auxiliary connection. */
        return;
    }
    s->state = SESSION_WAIT;
    datapath_join(s, of_wire_get64(msg + FEATURES_DPID_OFS));
}
