/* SPDX-License-Identifier: Apache-2.0 */
/* datapath_setup - from the first connection to a switch that emits
 * postcards. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <event2/event.h>

#include "lib/flow_log.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "recorder/api.h"
#include "recorder/datapath_state.h"
#include "recorder/discovery.h"
#include "recorder/inband.h"
#include "recorder/lldp.h"
#include "recorder/mono_clock.h"
#include "recorder/session_state.h"

static void
free_event(struct event **event)
{
    if (*event) {
        event_free(*event);
        *event = NULL;
    }
}

/* instr and all its links are gone. */
static void
drop_instr(struct datapath *dp)
{
    for (size_t i = 0; i < dp->n_sessions; i++) {
        dp->sessions[i]->link = NULL;
    }
    instr_destroy(dp->instr);
    dp->instr = NULL;
}

unsigned int
datapath_setup_limit_s(const struct datapath *dp)
{
    unsigned int setup_s = dp->env->config->setup_s;

    return dp->n_tries ? (setup_s + 2) / 3 : setup_s;
}

void
datapath_setup_too_long(evutil_socket_t fd, short what, void *dp_)
{
    struct datapath *dp = dp_;
    char who[96];

    if (dp->state == DATAPATH_RUN) {
        free_event(&dp->deadline);
        session_end(instr_link_aux(instr_reader(dp->instr)),
                    "the switch does not answer");
        return;
    }
    say_error("%s: the set-up took more than %u s",
              datapath_describe(dp, who, sizeof who),
              datapath_setup_limit_s(dp));
    datapath_control_why(dp, "the set-up took too long");
    datapath_setup_pass(dp);
    datapath_retry_plan(dp);
}

void
datapath_setup_cancel(struct datapath *dp)
{
    free_event(&dp->deadline);
    free_event(&dp->retry);
    free_event(&dp->again);
    free_event(&dp->due);
    dp->planned_ns = 0;
    ovsdb_cancel(dp->task);
    dp->task = NULL;
}

void
datapath_setup_pass(struct datapath *dp)
{
    struct session **sessions;
    size_t n = dp->n_sessions;

    datapath_setup_cancel(dp);
    drop_instr(dp);
    dp->first = NULL;
    dp->state = DATAPATH_PASS;
    flow_log_event(dp->env->log, FLOW_LOG_NOTE, dp->dpid, OF_PORT_UNKNOWN,
                   time_spec_now(), "not instrumented");
    dp->env->wake(dp->env->aux);
    sessions = lh_memdup(dp->sessions, n * sizeof *sessions);
    for (size_t i = 0; i < n; i++) {
        session_pass(sessions[i]);
    }
    free(sessions);
}

static uint32_t
next_version(void *dp_)
{
    struct datapath *dp = dp_;

    return flow_log_next_version(dp->env->log, dp->dpid);
}

static void
skip_version(void *dp_, uint32_t version)
{
    struct datapath *dp = dp_;

    flow_log_skip_version(dp->env->log, dp->dpid, version);
}

static uint64_t
steady_ns(void *dp_)
{
    return mono_clock_ns();
}

static struct rule *
known_rule(void *dp_, uint32_t version)
{
    struct datapath *dp = dp_;
    struct lh_error error;
    struct rule *rule;

    switch (flow_log_find(dp->env->log, dp->dpid, version, &rule, &error)) {
    case 0:
        return rule;
    default:
        say_warn("%s", error.text);
        /* fall through */
    case ENOENT:
        return NULL;
    }
}

static void
each_standing(void *dp_, void (*each)(void *, const struct rule *),
              void *each_aux)
{
    struct datapath *dp = dp_;
    struct flow_log_rules rules = FLOW_LOG_RULES_INIT;
    struct lh_error error;

    if (flow_log_standing(dp->env->log, dp->dpid, &rules, &error)) {
        say_warn("%s", error.text);
    }
    for (size_t i = 0; i < rules.n; i++) {
        each(each_aux, rules.rules[i]);
    }
    flow_log_rules_uninit(&rules);
}

/* The bridge's own port bears its name. */
static bool
is_chosen(void *dp_, const char *name)
{
    struct datapath *dp = dp_;

    if (!dp->name && name) {
        dp->name = lh_strdup(name);
    }
    return datapath_setup_is_chosen(dp);
}

void
datapath_setup_read(struct datapath *dp)
{
    const struct postcard_ports *all = &dp->env->config->postcards;
    const struct postcard_port *underlay;
    const char **matches = NULL;
    struct instr_out out = INSTR_OUT_INIT;
    struct instr_config config = {
        .dpid = dp->dpid,
        .snap_len = dp->env->config->snap_len,
        .switch_index = dp->index,
        .is_inband = postcard_ports_inband(all) != NULL,
        .is_attached = dp->first->route->is_attached,
        .is_unwatched = dp->env->config->is_unwatched,
        .leaves_misses = dp->first->route->is_attached && dp->has_controllers,
        .lldp_type = LLDP_ETHERTYPE,
        .next_version = next_version,
        .skip_version = skip_version,
        .known_rule = known_rule,
        .each_standing = each_standing,
        .is_chosen = is_chosen,
        .steady_ns = steady_ns,
        .aux = dp,
    };

    underlay = postcard_ports_underlay(all, dp->name);
    for (size_t i = 0; underlay && i < underlay->n_targets; i++) {
        matches = lh_alloc_array(matches, i + 1, sizeof *matches);
        matches[config.n_underlays++] = underlay->targets[i].match;
    }
    config.underlays = matches;
    datapath_ports_plan(dp);
    memcpy(config.ports, dp->postcards, sizeof config.ports);
    datapath_control_get(dp, &config.selection);
    memcpy(config.lldp_dst, lldp_destination, 6);
    dp->state = DATAPATH_READ;
    dp->is_named = dp->name != NULL;
    dp->ahead_ns = time_spec_now() - mono_clock_ns();
    dp->instr = instr_create(&config);
    free(matches);
    inband_prepare(dp->env->inband, dp);
    session_read(dp->first, dp->instr);
    instr_start(dp->first->link, time_spec_now(), &out);
    datapath_apply(dp, &out);
    session_resume(dp->first);
}

void
datapath_setup_begin(struct datapath *dp)
{
    struct timeval timeout = {.tv_sec = datapath_setup_limit_s(dp)};
    const struct recorder_config *config = dp->env->config;

    drop_instr(dp);
    if (!dp->deadline) {
        dp->deadline = evtimer_new(dp->env->base, datapath_setup_too_long, dp);
        event_add(dp->deadline, &timeout);
    }
    dp->first = NULL;
    for (size_t i = 0; !dp->first && i < dp->n_sessions; i++) {
        if (instr_knows_version(dp->sessions[i]->version) &&
            session_is_main(dp->sessions[i]) &&
            dp->sessions[i]->kept.role != INSTR_ROLE_SLAVE) {
            dp->first = dp->sessions[i];
        }
    }
    if (!dp->first) {
        datapath_setup_pass(dp);
        return;
    }
    if (config->postcards.n && config->ovsdb.db && !dp->is_prepared) {
        dp->state = DATAPATH_PREPARE;
        datapath_ports_prepare(dp);
    } else {
        datapath_setup_read(dp);
    }
}

bool
datapath_setup_is_chosen(const struct datapath *dp)
{
    const struct recorder_config *config = dp->env->config;

    for (size_t i = 0; i < config->n_bridges; i++) {
        if (dp->name && !strcmp(dp->name, config->bridges[i])) {
            return true;
        }
    }
    return !config->n_bridges;
}

void
datapath_setup_leave(struct datapath *dp)
{
    char who[96];

    say_info("%s: not among the --bridge names: not instrumented",
             datapath_describe(dp, who, sizeof who));
    datapath_control_why(dp, "not among the --bridge names");
    datapath_setup_pass(dp);
}

/* What the log has standing and the switch has not is gone; groups and meters
 * are as the switch has them. */
static void
reconcile_log(struct datapath *dp)
{
    struct flow_log_moment moment = {.when = FLOW_LOG_NOW};
    uint64_t now_ns = time_spec_now();
    struct flow_log_state state;
    struct lh_error error;

    if (flow_log_state_at(dp->env->log, dp->dpid, &moment, &state, &error)) {
        say_error("%s", error.text);
    }
    flow_log_begin_change(dp->env->log);
    for (size_t i = 0; i < state.rules.n; i++) {
        uint32_t version = state.rules.rules[i]->version;

        if (!instr_stands(dp->instr, version)) {
            flow_log_removed(dp->env->log, dp->dpid, version, now_ns, "gone");
            recorder_api_removed(dp->env->api, dp->dpid, version, now_ns,
                                 "gone");
        }
    }
    datapath_object_reconcile(dp, state.objects, state.n_objects, now_ns);
    flow_log_state_uninit(&state);
}

struct again {
    struct datapath *dp;
    uint64_t n;
};

static void
log_again(void *again_, struct rule *rule)
{
    struct again *again = again_;

    flow_log_made(again->dp->env->log, rule);
    again->n++;
}

static void
log_one_again(struct datapath *dp)
{
    struct again again = {.dp = dp};
    char *text;

    if (dp->state != DATAPATH_RUN || !instr_is_ready(dp->instr)) {
        return; /* What stands is logged once it is read. */
    }
    reconcile_log(dp);
    instr_rules(dp->instr, log_again, &again);
    flow_log_hand_over(dp->env->log);
    text = lh_asprintf("from here on the log is whole again: %llu rules stand",
                       (unsigned long long) again.n);
    flow_log_event(dp->env->log, FLOW_LOG_NOTE, dp->dpid, OF_PORT_UNKNOWN,
                   time_spec_now(), text);
    flow_log_hand_over(dp->env->log);
    free(text);
}

void
datapath_log_again(void *env_)
{
    const struct session_env *env = env_;

    for (struct datapath *dp = *env->datapaths; dp; dp = dp->next) {
        log_one_again(dp);
    }
}

void
datapath_setup_watch(struct datapath *dp, bool is_ready)
{
    struct timeval timeout = {.tv_sec = DATAPATH_SETUP_S};
    char who[96];

    if (is_ready) {
        reconcile_log(dp);
        say_info("%s: its tables were read again, %llu rules",
                 datapath_describe(dp, who, sizeof who),
                 (unsigned long long) instr_counters(dp->instr)->rules);
    }
    if (!instr_reader(dp->instr)) {
        free_event(&dp->deadline);
    } else if (!dp->deadline) {
        dp->deadline = evtimer_new(dp->env->base, datapath_setup_too_long, dp);
        event_add(dp->deadline, &timeout);
    }
}

void
datapath_setup_ready(struct datapath *dp)
{
    char who[96];
    struct session **sessions;
    size_t n_sessions = dp->n_sessions;

    datapath_ports_check(dp);
    reconcile_log(dp);
    dp->index =
        flow_log_put_switch(dp->env->log, dp->dpid, dp->name, dp->address);
    dp->state = DATAPATH_RUN;
    if (dp->n_tries) {
        dp->n_tries = 0;
        datapath_control_why(dp, NULL);
    }
    free_event(&dp->deadline);
    flow_log_event(dp->env->log, FLOW_LOG_READY, dp->dpid, OF_PORT_UNKNOWN,
                   time_spec_now(), dp->name);
    datapath_describe(dp, who, sizeof who);
    if (dp->is_paused) {
        say_info("%s: paused, %llu rules, no postcards until it is resumed",
                 who, (unsigned long long) instr_counters(dp->instr)->rules);
    } else if (datapath_ports_has_postcards(dp)) {
        char *ports = datapath_ports_text(dp);

        say_info("%s: instrumented, %llu rules, postcards %s", who,
                 (unsigned long long) instr_counters(dp->instr)->rules, ports);
        free(ports);
    } else {
        if (dp->postcards[INSTR_AGENT].is_wanted && !dp->why) {
            datapath_control_why(dp, "the switch has no action "
                                     "postcard(version=N): it is without "
                                     "lasthop's patches");
        }
        say_info("%s: recorded, %llu rules, no postcards%s%s", who,
                 (unsigned long long) instr_counters(dp->instr)->rules,
                 dp->why ? ": " : "", dp->why ? dp->why : "");
    }
    discovery_connected(dp->env->discovery, dp->dpid, dp->name, dp->index,
                        dp->address, mono_clock_ns());
    datapath_ports_publish(dp);
    if (dp->name && !dp->is_named) {
        datapath_control_apply(dp); /* Selections may name it. */
    }
    inband_came(dp->env->inband);
    dp->env->wake(dp->env->aux);
    sessions = lh_memdup(dp->sessions, n_sessions * sizeof *sessions);
    for (size_t i = 0; i < n_sessions; i++) {
        session_run(sessions[i]);
    }
    free(sessions);
}
