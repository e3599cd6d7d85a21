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
        [SESSION_HELLO] = "hello",       [SESSION_FEATURES] = "features",
        [SESSION_PREPARE] = "preparing", [SESSION_READ] = "reading",
        [SESSION_RUN] = "instrumented",  [SESSION_PASS] = "passed through",
        [SESSION_END] = "ended",
    };
    const struct session_counters *c = &s->counters;
    json_t *json = json_pack(
        "{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "peer",
        s->peer, "state", names[s->state], "of_version", (int) s->version,
        "began_ns", (json_int_t) s->began_ns, "from_switch",
        (json_int_t) c->from_switch, "from_controller",
        (json_int_t) c->from_controller, "unmatched",
        (json_int_t) c->unmatched, "held", (json_int_t) c->held, "rules_made",
        (json_int_t) c->rules_made, "rules_removed",
        (json_int_t) c->rules_removed, "lldp_skipped",
        (json_int_t) c->lldp_skipped, "xids_lost",
        (json_int_t) xid_map_n_lost(s->xids));

    if (s->has_dpid) {
        json_object_set_new(json, "dpid", jmember_dpid_new(s->dpid));
        json_object_set_new(json, "postcard_port",
                            s->postcard_port
                                ? json_integer((json_int_t) s->postcard_port)
                                : json_null());
    }
    if (s->name) {
        json_object_set_new(json, "name", jmember_text_new(s->name));
    }
    if (s->instr) {
        const struct instr_counters *i = instr_counters(s->instr);

        json_object_set_new(
            json, "instr",
            json_pack(
                "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
                " s:I, s:I, s:I, s:I, s:I}",
                "passed_unknown", (json_int_t) i->passed_unknown,
                "passed_malformed", (json_int_t) i->passed_malformed,
                "flow_mods", (json_int_t) i->flow_mods, "group_mods",
                (json_int_t) i->group_mods, "packet_outs",
                (json_int_t) i->packet_outs, "injected",
                (json_int_t) i->injected, "not_injected",
                (json_int_t) i->not_injected, "refused",
                (json_int_t) i->refused, "hidden", (json_int_t) i->hidden,
                "restored", (json_int_t) i->restored, "own_errors",
                (json_int_t) i->own_errors, "rolled_back",
                (json_int_t) i->rolled_back, "unknown_rules",
                (json_int_t) i->unknown_rules, "index_full",
                (json_int_t) i->index_full, "pending_dropped",
                (json_int_t) i->pending_dropped, "rules",
                (json_int_t) i->rules, "groups", (json_int_t) i->groups));
    }
    return json;
}
