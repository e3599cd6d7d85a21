/* SPDX-License-Identifier: Apache-2.0 */
/* datapath - one switch: what its connections share. */
#include <config.h>

#include "recorder/datapath.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <event2/event.h>

#include "lib/dpid.h"
#include "lib/flow_log.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "recorder/api.h"
#include "recorder/control.h"
#include "recorder/datapath_state.h"
#include "recorder/discovery.h"
#include "recorder/inband.h"
#include "recorder/mono_clock.h"
#include "recorder/session_state.h"

/* People's clock may be put back by less, unnoticed. */
#define CLOCK_SLACK_NS UINT64_C(10000000)

const char *
datapath_describe(const struct datapath *dp, char *buf, size_t size)
{
    if (dp->name) {
        snprintf(buf, size, "switch " DPID_FMT " (%s)", dp->dpid, dp->name);
    } else {
        snprintf(buf, size, "switch " DPID_FMT, dp->dpid);
    }
    return buf;
}

struct datapath *
datapath_next(const struct datapath *dp)
{
    return dp->next;
}

uint64_t
datapath_dpid(const struct datapath *dp)
{
    return dp->dpid;
}

bool
datapath_detach(struct datapath *dp, void (*done)(void *aux), void *aux)
{
    struct instr_out out = INSTR_OUT_INIT;

    if (!dp->instr || dp->state != DATAPATH_RUN) {
        return false;
    }
    dp->detached = done;
    dp->detached_aux = aux;
    instr_detach(dp->instr, time_spec_now(), &out);
    datapath_apply(dp, &out);
    return true;
}

const char *
datapath_geneve_name(const struct datapath *dp)
{
    return dp->geneve_name;
}

struct instr *
datapath_instr(const struct datapath *dp)
{
    return dp->instr;
}

struct datapath *
datapath_find(const struct session_env *env, uint64_t dpid)
{
    struct datapath *dp = *env->datapaths;

    while (dp && dp->dpid != dpid) {
        dp = dp->next;
    }
    return dp;
}

static void
destroy(struct datapath *dp)
{
    struct datapath **p;

    for (p = dp->env->datapaths; *p != dp; p = &(*p)->next) {
        continue;
    }
    *p = dp->next;
    inband_went(dp->env->inband);
    datapath_setup_cancel(dp);
    event_free(dp->resume);
    instr_destroy(dp->instr);
    free(dp->sessions);
    free(dp->ports);
    free(dp->name);
    free(dp->address);
    free(dp->geneve_name);
    free(dp->why);
    free(dp);
}

/* An auxiliary connection, or a guest's, whose main one has gone. */
static void
end_follower(const struct datapath *dp, struct session *s)
{
    char who[96];

    if (session_is_guest(s)) {
        say_warn("%s: not connected any more; who came by %s is let go",
                 datapath_describe(dp, who, sizeof who), session_who(s));
    }
    session_end(s, "the main connection has gone");
}

/* What one session waited for another has done, or has not in time. */
static void
on_resume(evutil_socket_t fd, short what, void *dp_)
{
    struct datapath *dp = dp_;
    struct instr_out out = INSTR_OUT_INIT;
    size_t n = dp->n_sessions;
    struct session **sessions = lh_memdup(dp->sessions, n * sizeof *sessions);
    bool has_main = false;

    for (size_t i = 0; i < n; i++) {
        has_main |= session_is_main(sessions[i]);
    }
    if (dp->state == DATAPATH_RUN) {
        instr_catch_up(dp->instr, time_spec_now(), &out);
        datapath_apply(dp, &out);
    }
    /* They may end and take the datapath with them. */
    for (size_t i = 0; i < n; i++) {
        if (has_main) {
            session_resume(sessions[i]);
        } else {
            end_follower(dp, sessions[i]);
        }
    }
    free(sessions);
}

static struct datapath *
create(const struct session_env *env, uint64_t dpid, const char *address)
{
    struct datapath *dp = lh_alloc_zero(sizeof *dp);

    dp->env = env;
    dp->dpid = dpid;
    dp->resume = evtimer_new(env->base, on_resume, dp);
    dp->next = *env->datapaths;
    *env->datapaths = dp;
    dp->is_paused = control_is_paused(env->control, dpid);
    postcard_rate_init(&dp->rate, env->config->max_postcards);
    dp->address = address ? lh_strdup(address) : NULL;
    dp->index = flow_log_put_switch(env->log, dpid, NULL, dp->address);
    return dp;
}

/* A switch that connects again before its old connection was found dead. */
static void
end_older(struct datapath *dp, struct session *s)
{
    for (size_t i = 0; i < dp->n_sessions; i++) {
        if (session_is_same(dp->sessions[i], s)) {
            session_end(dp->sessions[i], "the switch connected anew");
            return;
        }
    }
}

void
datapath_join(struct session *s, uint64_t dpid)
{
    struct datapath *dp = datapath_find(s->env, dpid);
    char who[96];

    if (dp) {
        end_older(dp, s);
        dp = datapath_find(s->env, dpid);
    }

    bool is_first = !dp;

    if (is_first) {
        dp = create(s->env, dpid, s->peer_ip);
    }
    s->dp = dp;
    dp->sessions =
        lh_alloc_grow(dp->sessions, dp->n_sessions, &dp->allocated_sessions,
                      sizeof *dp->sessions);
    dp->sessions[dp->n_sessions++] = s;
    if (session_is_guest(s)) {
        say_debug("%s: a guest by %s, OpenFlow 1.%d",
                  datapath_describe(dp, who, sizeof who), session_who(s),
                  s->version - 1);
    } else {
        say_info("%s: connected from %s, OpenFlow 1.%d",
                 datapath_describe(dp, who, sizeof who), s->peer,
                 s->version - 1);
        flow_log_event(s->env->log, FLOW_LOG_CONNECT, dpid, OF_PORT_UNKNOWN,
                       time_spec_now(), s->peer);
        s->env->wake(s->env->aux);
    }
    if (!instr_knows_version(s->version)) {
        say_warn("%s: OpenFlow 1.%d is passed through, not instrumented",
                 datapath_describe(dp, who, sizeof who), s->version - 1);
    }
    if (is_first && !instr_knows_version(s->version)) {
        datapath_control_why(dp, "its OpenFlow version passes through");
        datapath_setup_pass(dp);
    } else if (is_first) {
        datapath_setup_begin(dp);
    } else if (dp->state == DATAPATH_RUN) {
        session_run(s);
    } else if (dp->state == DATAPATH_PASS) {
        session_pass(s);
    }
}

void
datapath_leave(struct session *s, const char *reason)
{
    struct datapath *dp = s->dp;
    size_t i = 0;
    char who[96];

    if (!dp) {
        return;
    }
    if (reason && !session_is_guest(s)) {
        say_info("%s: disconnected: %s",
                 datapath_describe(dp, who, sizeof who), reason);
        flow_log_event(dp->env->log, FLOW_LOG_DISCONNECT, dp->dpid,
                       OF_PORT_UNKNOWN, time_spec_now(), reason);
        dp->env->wake(dp->env->aux);
    }
    while (dp->sessions[i] != s) {
        i++;
    }
    memmove(&dp->sessions[i], &dp->sessions[i + 1],
            (--dp->n_sessions - i) * sizeof *dp->sessions);
    s->dp = NULL;
    instr_link_destroy(s->link);
    s->link = NULL;
    if (!dp->n_sessions) {
        if (reason && dp->state == DATAPATH_RUN) {
            discovery_disconnected(dp->env->discovery, dp->dpid);
        }
        destroy(dp);
    } else if (reason) {
        static const struct timeval at_once = {0};

        bool was_first = dp->first == s;

        dp->first = was_first ? NULL : dp->first;
        if (dp->state == DATAPATH_SETTLE) {
            datapath_retry_settled(dp);
        } else if (was_first && dp->state != DATAPATH_RUN &&
                   dp->state != DATAPATH_PASS) {
            datapath_setup_begin(dp);
        }
        evtimer_add(dp->resume, &at_once);
    }
}

/* --- What instr wants done. --- */

/* Tells instr that people's clock was put back. */
static void
follow_clock(struct datapath *dp)
{
    uint64_t ahead_ns = time_spec_now() - mono_clock_ns();
    uint64_t back_ns = dp->ahead_ns - ahead_ns;

    if (back_ns > UINT64_MAX / 2) {
        dp->ahead_ns = ahead_ns; /* Forward. */
    } else if (back_ns >= CLOCK_SLACK_NS) {
        dp->ahead_ns = ahead_ns;
        instr_clock_put_back(dp->instr, back_ns);
    }
}

static void
on_due(evutil_socket_t fd, short what, void *dp_)
{
    struct datapath *dp = dp_;
    struct instr_out out = INSTR_OUT_INIT;

    dp->planned_ns = 0;
    if (dp->instr && dp->state == DATAPATH_RUN) {
        follow_clock(dp);
        instr_run(dp->instr, time_spec_now(), &out);
        datapath_apply(dp, &out);
    }
}

/* Wakes instr when it wants to. */
static void
plan_run(struct datapath *dp)
{
    uint64_t due_ns = dp->instr ? instr_due_ns(dp->instr) : UINT64_MAX;
    uint64_t now_ns, wait_ns;
    struct timeval timeout;

    if (due_ns == UINT64_MAX || (due_ns && due_ns == dp->planned_ns)) {
        return;
    }
    follow_clock(dp);
    due_ns = instr_due_ns(dp->instr);
    dp->planned_ns = due_ns;
    now_ns = time_spec_now();
    wait_ns = due_ns > now_ns ? due_ns - now_ns : 0;
    timeout.tv_sec = (time_t) (wait_ns / 1000000000);
    timeout.tv_usec = (suseconds_t) (wait_ns % 1000000000 / 1000) + 1;
    if (!dp->due) {
        dp->due = evtimer_new(dp->env->base, on_due, dp);
    }
    event_add(dp->due, &timeout);
}

static void
note_event(struct datapath *dp, const struct instr_event *e, uint64_t now_ns)
{
    const struct session *s = e->link ? instr_link_aux(e->link) : NULL;
    const char *who = s ? session_who(s) : NULL;
    char *text = lh_asprintf("%s: %s", who ? who : e->kind, e->text);

    flow_log_event(dp->env->log, s ? FLOW_LOG_ROLE : FLOW_LOG_NOTE, dp->dpid,
                   OF_PORT_UNKNOWN, now_ns, text);
    if (!strcmp(e->kind, "given-up")) {
        say_warn("switch " DPID_FMT ": %s", dp->dpid, text);
    }
    free(text);
}

static void
note_made(struct datapath *dp, struct rule *rule, uint64_t change,
          uint64_t now_ns)
{
    bool is_old = !strcmp(rule->command, "selected") ||
                  !strcmp(rule->command, "capped") ||
                  !strcmp(rule->command, "restored");

    rule->change = change;
    flow_log_made_again(dp->env->log, rule,
                        is_old ? now_ns : rule->installed_ns);
    recorder_api_made(dp->env->api, rule);
}

static void
note_removed(struct datapath *dp, const struct instr_removed *removed,
             uint64_t now_ns)
{
    flow_log_removed(dp->env->log, dp->dpid, removed->version, now_ns,
                     removed->reason);
    recorder_api_removed(dp->env->api, dp->dpid, removed->version, now_ns,
                         removed->reason);
}

/* The lowest version that was made. */
static uint32_t
first_made(const struct instr_out *out)
{
    uint32_t first = UINT32_MAX;

    for (size_t i = 0; i < out->n_made; i++) {
        if (out->made[i]->version < first) {
            first = out->made[i]->version;
        }
    }
    return first;
}

static void
note_changes(struct datapath *dp, struct instr_out *out)
{
    uint64_t change, now_ns = time_spec_now();
    uint32_t first = first_made(out);
    const struct session_env *env = dp->env;

    for (size_t i = 0; i < out->n_events; i++) {
        note_event(dp, &out->events[i], now_ns);
    }
    if (!out->n_made && !out->n_removed && !out->n_objects) {
        return;
    }
    change = flow_log_begin_change(env->log);
    /* The end of a rule comes before the one that takes its place, and after
     * its own beginning. */
    for (size_t i = 0; i < out->n_removed; i++) {
        if (out->removed[i].version < first) {
            note_removed(dp, &out->removed[i], now_ns);
        }
    }
    for (size_t i = 0; i < out->n_made; i++) {
        note_made(dp, out->made[i], change, now_ns);
    }
    for (size_t i = 0; i < out->n_removed; i++) {
        if (out->removed[i].version >= first) {
            note_removed(dp, &out->removed[i], now_ns);
        }
    }
    for (size_t i = 0; i < out->n_objects; i++) {
        datapath_object_note(dp, &out->objects[i], now_ns);
    }
    dp->counters.rules_made += out->n_made;
    dp->counters.rules_removed += out->n_removed;
    env->wake(env->aux);
}

void
datapath_apply(struct datapath *dp, struct instr_out *out)
{
    static const struct timeval at_once = {0};
    static const struct timeval late = {.tv_usec = 1 + INSTR_FENCE_NS / 1000 %
                                                           1000000,
                                        .tv_sec = INSTR_FENCE_NS / 1000000000};

    note_changes(dp, out);
    for (size_t i = 0; i < out->n_to_switch; i++) {
        struct instr_msg *m = &out->to_switch[i];

        session_send(instr_link_aux(m->link), m);
    }
    for (size_t i = 0; i < out->n_to_controller; i++) {
        const struct instr_msg *m = &out->to_controller[i];

        session_tell(instr_link_aux(m->link), m->data, m->len);
    }
    for (size_t i = 0; i < out->n_lldp; i++) {
        discovery_frame(dp->env->discovery, dp->dpid,
                        (uint16_t) out->lldp[i].in_port, out->lldp[i].frame,
                        out->lldp[i].len, mono_clock_ns());
    }

    if (out->released) {
        evtimer_add(dp->resume, &at_once);
    } else if (out->is_held && !evtimer_pending(dp->resume, NULL)) {
        evtimer_add(dp->resume, &late);
    }

    struct instr_port_counters counters[INSTR_N_ENCAPSULATIONS];
    bool is_ready = out->became_ready, has_ports = out->ports_changed;
    bool is_detached = out->became_detached, is_left = out->is_left;
    bool is_settled = out->tree_settled, has_packets = out->packets_read;

    memcpy(counters, out->postcard_ports, sizeof counters);

    instr_out_uninit(out);
    plan_run(dp);
    if (is_detached && dp->detached) {
        void (*done)(void *) = dp->detached;

        dp->detached = NULL;
        done(dp->detached_aux); /* May end the datapath. */
        return;
    }
    if (is_left) {
        datapath_setup_leave(dp);
        return;
    }
    if (is_settled) {
        inband_settled(dp->env->inband);
    }
    if (dp->state == DATAPATH_RUN) {
        datapath_setup_watch(dp, is_ready);
    }
    if (is_ready && dp->state == DATAPATH_READ) {
        datapath_setup_ready(dp);
    } else if (has_ports && dp->state == DATAPATH_RUN) {
        datapath_ports_publish(dp);
    }
    if ((counters[INSTR_GENEVE].is_there || counters[INSTR_MAC].is_there) &&
        dp->state == DATAPATH_RUN) {
        datapath_cap_counted(dp, counters);
    }
    if (has_packets && dp->state == DATAPATH_RUN) {
        datapath_cap_read(dp);
    }
}

void
datapath_send_packet(struct datapath *dp, uint16_t port, const uint8_t *frame,
                     size_t len)
{
    struct instr_out out = INSTR_OUT_INIT;

    if (dp->state != DATAPATH_RUN) {
        return;
    }
    instr_send_packet(dp->instr, port, frame, len, &out);
    for (size_t i = 0; i < out.n_to_switch; i++) {
        if (session_is_full(instr_link_aux(out.to_switch[i].link))) {
            dp->counters.lldp_skipped++;
            instr_out_uninit(&out);
            return;
        }
    }
    datapath_apply(dp, &out);
}

static json_t *
counters_json(const struct instr_counters *counters)
{
#define COUNTER(NAME)                                                         \
    {                                                                         \
#NAME, &counters->NAME                                                \
    }
    const struct {
        const char *name;
        const uint64_t *value;
    } all[] = {
        COUNTER(passed_unknown),  COUNTER(passed_malformed),
        COUNTER(flow_mods),       COUNTER(group_mods),
        COUNTER(packet_outs),     COUNTER(injected),
        COUNTER(not_injected),    COUNTER(unselected),
        COUNTER(refused),         COUNTER(hidden),
        COUNTER(restored),        COUNTER(own_errors),
        COUNTER(rolled_back),     COUNTER(bundles_passed),
        COUNTER(unknown_rules),   COUNTER(index_full),
        COUNTER(pending_dropped), COUNTER(learned),
        COUNTER(foreign),         COUNTER(reinstrumented),
        COUNTER(contested),       COUNTER(given_up),
        COUNTER(checks),          COUNTER(repaired),
        COUNTER(put_back),        COUNTER(watch_suspended),
        COUNTER(own_waited),      COUNTER(unordered),
        COUNTER(echoes),          COUNTER(readings),
        COUNTER(tlv_moved),       COUNTER(rules),
        COUNTER(groups),          COUNTER(meters),
    };
#undef COUNTER
    json_t *json = json_object();

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        json_object_set_new(json, all[i].name,
                            json_integer((json_int_t) *all[i].value));
    }
    return json;
}

void
datapath_stats(const struct datapath *dp, json_t *json)
{
    const struct datapath_counters *c = &dp->counters;

    json_object_set_new(json, "dpid", jmember_dpid_new(dp->dpid));
    datapath_control_ports(dp, json);
    json_object_set_new(json, "rules_made",
                        json_integer((json_int_t) c->rules_made));
    json_object_set_new(json, "rules_removed",
                        json_integer((json_int_t) c->rules_removed));
    json_object_set_new(json, "lldp_skipped",
                        json_integer((json_int_t) c->lldp_skipped));
    if (dp->name) {
        json_object_set_new(json, "name", jmember_text_new(dp->name));
    }
    if (dp->instr) {
        json_object_set_new(json, "instr",
                            counters_json(instr_counters(dp->instr)));
    }
}
