/* SPDX-License-Identifier: Apache-2.0 */
/* session_serve - sessions of guests: who comes by --serve and is connected to
 * the management socket of a bridge. */
#include <config.h>

#include "recorder/session.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <event2/buffer.h>
#include <event2/event.h>

#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "recorder/of_wire.h"
#include "recorder/session_state.h"

bool
session_is_guest(const struct session *s)
{
    return s->route->bridge.text;
}

bool
session_is_main(const struct session *s)
{
    return !s->aux_id && !session_is_guest(s);
}

static void
on_linger(evutil_socket_t fd, short what, void *s)
{
    session_end(s, "the guest has gone");
}

bool
session_linger(struct session *s)
{
    bool is_open = evbuffer_get_length(s->waiting) ||
                   (s->state == SESSION_RUN && instr_link_is_open(s->link));

    if (!session_is_guest(s) || s->state >= SESSION_PASS || !is_open) {
        return false;
    }
    of_conn_finish(s->up);
    s->up = NULL;
    session_linger_on(s);
    return true;
}

void
session_linger_on(struct session *s)
{
    struct timeval timeout = {.tv_sec = SESSION_LINGER_S};
    uint8_t msg[OF_WIRE_HEADER_LEN];

    if (s->up || !session_is_guest(s)) {
        return;
    }
    if (s->state == SESSION_PASS) {
        session_end(s, "the guest has gone");
        return;
    }
    if (s->state != SESSION_RUN) {
        return;
    }
    if (!s->deadline) {
        s->deadline = evtimer_new(s->env->base, on_linger, s);
        event_add(s->deadline, &timeout);
    }
    if (!s->is_last_sent && !evbuffer_get_length(s->waiting)) {
        s->is_last_sent = true;
        of_wire_put_header(msg, s->version,
                           of_wire_barrier_request(s->version), sizeof msg, 0);
        session_send_own(s, SESSION_LINGER_TAG, msg, sizeof msg);
    }
}

void
session_lingered(struct session *s)
{
    if (s->link) {
        instr_link_settle(s->link);
    }
    session_end(s, "the guest has gone");
}

struct session *
session_serve(const struct session_env *env,
              const struct recorder_route *route, int fd)
{
    struct session *s = session_new(env, route, lh_strdup(route->bridge.text));

    instr_kept_init_guest(&s->kept);
    s->up = of_conn_accept(env->base, fd, NULL, &session_up_callbacks, s);
    if (!s->up) {
        close(fd);
        session_destroy(s);
        return NULL;
    }
    s->down = of_conn_connect(env->base, &route->bridge, NULL,
                              &session_down_callbacks, s);
    if (!s->down) {
        say_warn("%s: %s; who came by %s is let go", route->bridge.text,
                 strerror(errno), route->listen.text);
        session_destroy(s);
        return NULL;
    }
    session_setup_await(s);
    return s;
}
