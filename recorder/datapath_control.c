/* SPDX-License-Identifier: Apache-2.0 */
/* datapath_control - what the operator, or the cap, has decided about a
 * switch's postcards, brought to the switch. */
#include <config.h>

#include <inttypes.h>
#include <stdlib.h>

#include "lib/flow_log.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "recorder/api.h"
#include "recorder/control.h"
#include "recorder/datapath_state.h"
#include "recorder/mono_clock.h"
#include "recorder/session_state.h"

void
datapath_control_note(struct datapath *dp, char *text)
{
    char who[96];

    say_info("%s: %s", datapath_describe(dp, who, sizeof who), text);
    flow_log_event(dp->env->log, FLOW_LOG_NOTE, dp->dpid, OF_PORT_UNKNOWN,
                   time_spec_now(), text);
    dp->env->wake(dp->env->aux);
    free(text);
}

void
datapath_control_get(const struct datapath *dp,
                     struct instr_selection *selection)
{
    const struct control *control = dp->env->control;
    const struct postcard_port *p;

    *selection = (struct instr_selection){
        .list = control_selections(control),
        .bridge = dp->name,
        .is_paused = control_is_paused(control, dp->dpid),
        .shed_below = postcard_rate_shed_below(&dp->rate),
    };
    p = postcard_ports_default(&dp->env->config->postcards, dp->name);
    if (p) {
        selection->encapsulation = p->encapsulation;
    }
}

size_t
datapath_control_select(struct datapath *dp)
{
    struct instr_out out = INSTR_OUT_INIT;
    struct instr_selection selection;
    size_t n;

    datapath_control_get(dp, &selection);
    n = instr_select(dp->instr, &selection, time_spec_now(), &out);
    datapath_apply(dp, &out);
    return n;
}

size_t
datapath_control_apply(struct datapath *dp)
{
    bool was_paused = dp->is_paused;
    size_t n, n_rules, n_cards;

    dp->is_paused = control_is_paused(dp->env->control, dp->dpid);
    if (dp->state != DATAPATH_RUN) {
        return 0;
    }
    n = datapath_control_select(dp);
    n_rules = instr_counters(dp->instr)->rules;
    n_cards = instr_select_count(dp->instr);
    if (was_paused != dp->is_paused && dp->postcards[INSTR_AGENT].is_wanted &&
        dp->env->config->ovsdb.db) {
        datapath_ports_prepare(dp);
    }
    if (was_paused != dp->is_paused) {
        datapath_control_note(
            dp, lh_asprintf("%s; %zu of %zu rules send postcards",
                            dp->is_paused ? "paused" : "resumed", n_cards,
                            n_rules));
    } else if (n) {
        datapath_control_note(
            dp, lh_asprintf("other rules are selected: %zu rewritten, %zu of "
                            "%zu send postcards",
                            n, n_cards, n_rules));
    }
    return n;
}

/* --- Status. --- */

static const char *
state_name(const struct datapath *dp)
{
    switch (dp->state) {
    case DATAPATH_PREPARE:
        return "preparing";
    case DATAPATH_READ:
        return "reading";
    case DATAPATH_PASS:
        return "passed through";
    case DATAPATH_SETTLE:
        return "settling";
    case DATAPATH_RUN:
        break;
    }
    return dp->is_paused                      ? "paused"
           : datapath_ports_has_postcards(dp) ? "instrumented"
                                              : "recorded";
}

static const char *
switch_answer(const struct datapath *dp)
{
    switch (instr_select_state(dp->instr)) {
    case INSTR_SELECT_WAITING:
        return "waiting";
    case INSTR_SELECT_REFUSED:
        return "refused";
    case INSTR_SELECT_DONE:
        break;
    }
    return "done";
}

void
datapath_control_ports(const struct datapath *dp, json_t *json)
{
    struct instr_selection selection;
    json_t *ports = json_array();
    uint32_t first = 0;

    datapath_control_get(dp, &selection);
    for (int i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
        const struct instr_port_counters *counted = &dp->counted[i];
        uint32_t no =
            dp->instr
                ? instr_card_port_of(dp->instr, (enum instr_encapsulation) i)
                : dp->postcards[i].no;
        json_t *port;

        if (!no) {
            continue;
        }
        port = json_pack("{s:s, s:I}", "encap",
                         postcard_port_kind((enum instr_encapsulation) i),
                         "port", (json_int_t) no);
        if (counted->is_there) {
            postcard_counters_to_json(
                &(struct postcard_counters){.tx_packets = counted->tx_packets,
                                            .tx_dropped = counted->tx_dropped,
                                            .tx_errors = counted->tx_errors},
                port);
        }
        if (!first || i == (int) selection.encapsulation) {
            first = no;
            json_array_insert_new(ports, 0, port);
        } else {
            json_array_append_new(ports, port);
        }
    }
    json_object_set_new(
        json, "makes_postcards",
        json_boolean(dp->instr && instr_makes_cards(dp->instr)));
    json_object_set_new(json, "postcard_port",
                        first ? json_integer((json_int_t) first)
                              : json_null());
    json_object_set_new(json, "postcard_ports", ports);
    json_object_set_new(json, "collector",
                        dp->collector ? json_string(dp->collector)
                                      : json_null());
}

static json_t *
rate_status(const struct datapath *dp)
{
    const struct postcard_rate *rate = &dp->rate;
    uint32_t below = postcard_rate_shed_below(rate);
    struct instr_shed shed = {.n_rules = 0};
    json_t *json;

    if (!rate->has_last) {
        return json_null();
    }
    if (dp->instr && rate->n_rules) {
        shed = instr_get_shed(dp->instr);
    }
    json = json_pack(
        "{s:I, s:I, s:I, s:I, s:o}", "time_ns", (json_int_t) dp->counted_ns,
        "pps", (json_int_t) rate->pps, "shed_rules", (json_int_t) shed.n_rules,
        "shed_pps", (json_int_t) shed.pps, "shed_below",
        below ? json_integer((json_int_t) below) : json_null());
    postcard_counters_to_json(&rate->last, json);
    return json;
}

json_t *
datapath_status(const struct datapath *dp)
{
    json_t *connections = json_array();
    json_t *json;

    for (size_t i = 0; i < dp->n_sessions; i++) {
        json_array_append_new(connections, session_stats(dp->sessions[i]));
    }
    json = json_pack("{s:o, s:s, s:b, s:o, s:o}", "dpid",
                     jmember_dpid_new(dp->dpid), "state", state_name(dp),
                     "paused", dp->is_paused, "postcards", rate_status(dp),
                     "connections", connections);
    if (dp->name) {
        json_object_set_new(json, "name", jmember_text_new(dp->name));
    }
    if (dp->why) {
        json_object_set_new(json, "why", jmember_text_new(dp->why));
    }
    if (dp->instr) {
        json_object_set_new(
            json, "rules",
            json_integer((json_int_t) instr_counters(dp->instr)->rules));
        json_object_set_new(
            json, "carded",
            json_integer((json_int_t) instr_select_count(dp->instr)));
        json_object_set_new(json, "switch", json_string(switch_answer(dp)));
        datapath_control_ports(dp, json);
    }
    return json;
}

void
datapath_control_why(struct datapath *dp, const char *why)
{
    free(dp->why);
    dp->why = lh_strdup(why);
}
