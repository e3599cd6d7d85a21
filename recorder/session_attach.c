/* SPDX-License-Identifier: Apache-2.0 */
/* session_attach - sessions that begin with us: bridges that the recorder
 * connects to itself, for no controller. */
#include <config.h>

#include "recorder/session.h"

#include <errno.h>

#include "lib/flow_log.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "recorder/of_wire.h"
#include "recorder/session_state.h"

/* What the versions that instr looks into are, as bits. */
static uint32_t
known_versions(void)
{
    uint32_t versions = 0;

    for (uint8_t v = OF_WIRE_10; v < 32; v++) {
        versions |= (uint32_t) instr_knows_version(v) << v;
    }
    return versions;
}

static void
send_hello(struct session *s)
{
    uint8_t hello[OF_WIRE_HEADER_LEN + 8];
    uint8_t version = OF_WIRE_10;

    s->up_versions = known_versions();
    for (uint8_t v = OF_WIRE_10; v < 32; v++) {
        version = s->up_versions >> v & 1 ? v : version;
    }
    of_wire_put_header(hello, version, OF_WIRE_HELLO, sizeof hello, 0);
    of_wire_put16(hello + 8, 1); /* A bitmap. */
    of_wire_put16(hello + 10, 8);
    of_wire_put32(hello + 12, s->up_versions);
    of_conn_send(s->down, hello, sizeof hello);
}

struct session *
session_attach(const struct session_env *env,
               const struct recorder_route *route)
{
    struct session *s = session_new(env, route, lh_strdup(route->listen.text));

    s->down = of_conn_connect(env->base, &route->listen,
                              route->listen.is_tls ? env->switch_tls : NULL,
                              &session_down_callbacks, s);
    if (!s->down) {
        int error = errno;

        session_destroy(s);
        errno = error;
        return NULL;
    }
    send_hello(s);
    session_setup_await(s);
    return s;
}

bool
session_detach(struct session *s, void (*done)(void *aux), void *aux)
{
    return s->dp && datapath_detach(s->dp, done, aux);
}

const char *
session_geneve_name(const struct session *s)
{
    return s->dp ? datapath_geneve_name(s->dp) : NULL;
}

void
session_refuse(struct session *s, const char *reason)
{
    char who[96];

    say_error("%s: NOT ATTACHED: %s", session_describe(s, who, sizeof who),
              reason);
    flow_log_event(s->env->log, FLOW_LOG_NOTE, datapath_dpid(s->dp),
                   OF_PORT_UNKNOWN, time_spec_now(), reason);
    s->is_refused = true;
    session_end(s, reason);
}

bool
session_is_refused(const struct session *s)
{
    return s->is_refused;
}
