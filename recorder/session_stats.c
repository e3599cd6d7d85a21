/* SPDX-License-Identifier: Apache-2.0 */
/* session_stats - a session's part of the answer to `stats`. */
#include <config.h>

#include "recorder/session.h"

#include "lib/jmember.h"
#include "recorder/session_state.h"

json_t *
session_stats(const struct session *s)
{
    static const char *const names[] = {
        [SESSION_HELLO] = "hello",         [SESSION_FEATURES] = "features",
        [SESSION_SETTLE] = "settling",     [SESSION_WAIT] = "waiting",
        [SESSION_READ] = "reading",        [SESSION_RUN] = "instrumented",
        [SESSION_PASS] = "passed through", [SESSION_END] = "ended",
    };
    const struct session_counters *c = &s->counters;
    json_t *json = json_pack(
        "{s:s, s:s?, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "peer", s->peer,
        "controller", session_who(s), "state", names[s->state], "of_version",
        (int) s->version, "began_ns", (json_int_t) s->began_ns, "from_switch",
        (json_int_t) c->from_switch, "from_controller",
        (json_int_t) c->from_controller, "unmatched",
        (json_int_t) c->unmatched, "held", (json_int_t) c->held, "xids_lost",
        (json_int_t) xid_map_n_lost(s->xids));

    if (s->link) {
        static const char *const roles[] = {
            [INSTR_ROLE_EQUAL] = "equal",
            [INSTR_ROLE_MASTER] = "master",
            [INSTR_ROLE_SLAVE] = "slave",
            [INSTR_ROLE_UNSURE] = "unsure",
        };

        json_object_set_new(json, "role",
                            json_string(roles[instr_link_role(s->link)]));
    }
    if (session_is_guest(s)) {
        json_object_set_new(json, "guest", json_true());
    }
    if (s->aux_id) {
        json_object_set_new(json, "auxiliary", json_integer(s->aux_id));
    }
    if (s->dp) {
        datapath_stats(s->dp, json);
    }
    return json;
}
