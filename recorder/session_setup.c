/* SPDX-License-Identifier: Apache-2.0 */
/* session_setup - from the HELLOs to a switch that emits postcards. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <event2/event.h>

#include "lib/dpid.h"
#include "lib/flow_log.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "recorder/api.h"
#include "recorder/discovery.h"
#include "recorder/lldp.h"
#include "recorder/mono_clock.h"
#include "recorder/of_hello.h"
#include "recorder/of_wire.h"
#include "recorder/session_state.h"

#define FEATURES_DPID_OFS 8
#define FEATURES_AUX_OFS  21 /* OpenFlow 1.3 and later. */
#define FEATURES_MIN_LEN  32

static void prepare(struct session *);

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
            lh_asprintf("controller %s", s->env->config->controller.text);

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
on_deadline(evutil_socket_t fd, short what, void *s_)
{
    struct session *s = s_;
    char who[96];

    if (s->state == SESSION_FEATURES) {
        end_silent(s, session_describe(s, who, sizeof who), "FEATURES_REPLY");
        return;
    }

    say_error("%s: NOT INSTRUMENTED: the set-up took more than %d s; its "
              "control channel goes on without lasthop until it reconnects",
              session_describe(s, who, sizeof who), SESSION_SETUP_S);
    session_setup_pass(s);
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
        s->state = SESSION_PASS;
        return;
    }
    s->state = SESSION_FEATURES;
    s->deadline = evtimer_new(s->env->base, on_deadline, s);
    event_add(s->deadline, &timeout);
    of_wire_put_header(msg, s->version, OF_WIRE_FEATURES_REQUEST, sizeof msg,
                       0);
    session_send_own(s, msg, sizeof msg);
}

void
session_setup_cancel(struct session *s)
{
    free_event(&s->deadline);
    free_event(&s->retry);
    ovsdb_cancel(s->task);
    s->task = NULL;
}

void
session_setup_pass(struct session *s)
{
    session_setup_cancel(s);
    instr_destroy(s->instr);
    s->instr = NULL;
    s->state = SESSION_PASS;
    if (s->has_dpid) {
        flow_log_event(s->env->log, FLOW_LOG_NOTE, s->dpid, OF_PORT_UNKNOWN,
                       time_spec_now(), "not instrumented");
        s->env->wake(s->env->aux);
    }
    session_release(s);
}

/* --- instr. --- */

static uint32_t
next_version(void *s_)
{
    struct session *s = s_;

    return flow_log_next_version(s->env->log, s->dpid);
}

static struct rule *
known_rule(void *s_, uint32_t version)
{
    struct session *s = s_;
    struct lh_error error;
    struct rule *rule;

    switch (flow_log_find(s->env->log, s->dpid, version, &rule, &error)) {
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
start_instr(struct session *s)
{
    const struct postcard_port *p = &s->env->config->postcards;
    struct instr_out out = INSTR_OUT_INIT;
    struct instr_config config = {
        .dpid = s->dpid,
        .of_version = s->version,
        .encapsulation = p->encapsulation,
        .postcard_port = s->postcard_port,
        .snap_len = s->env->config->snap_len,
        .switch_index = s->index,
        .mac_vlan = p->vlan,
        .is_no_flood = s->is_no_flood,
        .lldp_type = LLDP_ETHERTYPE,
        .next_version = next_version,
        .known_rule = known_rule,
        .aux = s,
    };

    memcpy(config.lldp_dst, lldp_destination, 6);
    s->state = SESSION_READ;
    s->instr = instr_create(&config);
    if (!s->instr) {
        session_setup_pass(s);
        return;
    }
    instr_start(s->instr, time_spec_now(), &out);

    bool is_ready = out.became_ready || instr_is_ready(s->instr);

    session_apply(s, &out);
    if (is_ready && s->state == SESSION_READ) {
        session_setup_ready(s);
    }
    if (s->down) {
        of_conn_resume(s->down);
    }
}

/* --- The postcard port. --- */

static void
set_postcard_port(struct session *s, uint32_t port, bool is_no_flood)
{
    struct instr_out out = INSTR_OUT_INIT;
    char who[96];

    if (port == s->postcard_port && is_no_flood == s->is_no_flood) {
        return;
    }
    s->postcard_port = port;
    s->is_no_flood = is_no_flood;
    if (!s->instr) {
        return;
    }
    if (port) {
        say_info("%s: postcards leave by port %u",
                 session_describe(s, who, sizeof who), (unsigned) port);
    } else {
        say_warn("%s: its postcard port is gone: no postcards",
                 session_describe(s, who, sizeof who));
    }
    instr_set_postcard_port(s->instr, port, is_no_flood, time_spec_now(),
                            &out);
    session_apply(s, &out);
}

static bool
is_chosen(const struct session *s, const char *bridge)
{
    const struct recorder_config *config = s->env->config;

    for (size_t i = 0; i < config->n_bridges; i++) {
        if (bridge && !strcmp(bridge, config->bridges[i])) {
            return true;
        }
    }
    return !config->n_bridges;
}

static void
on_retry(evutil_socket_t fd, short what, void *s)
{
    prepare(s);
}

static void
retry_later(struct session *s)
{
    struct timeval timeout = {.tv_sec = SESSION_RETRY_S};

    if (!s->retry) {
        s->retry = evtimer_new(s->env->base, on_retry, s);
    }
    event_add(s->retry, &timeout);
}

static void
set_text(char **text, const char *value)
{
    if (value) {
        free(*text);
        *text = lh_strdup(value);
    }
}

static void
on_prepared(void *s_, const struct ovsdb_result *result)
{
    struct session *s = s_;
    char who[96];

    s->task = NULL;
    set_text(&s->name, result->bridge);
    set_text(&s->address, result->address);
    session_describe(s, who, sizeof who);
    if (!is_chosen(s, s->name)) {
        say_info("%s: not among the --bridge names: not instrumented", who);
        s->is_passed_on_purpose = true;
        session_setup_pass(s);
        return;
    }
    if (result->warning) {
        say_warn("%s: %s", who, result->warning);
    }
    if (result->error) {
        say_error("%s: no postcards (next try in %d s): %s", who,
                  SESSION_RETRY_S, result->error);
        flow_log_event(s->env->log, FLOW_LOG_NOTE, s->dpid, OF_PORT_UNKNOWN,
                       time_spec_now(), result->error);
        retry_later(s);
    }
    if (s->state == SESSION_PREPARE) {
        s->postcard_port = result->port;
        s->is_no_flood = result->is_no_flood;
        start_instr(s);
    } else {
        set_postcard_port(s, result->port, result->is_no_flood);
    }
}

static void
prepare(struct session *s)
{
    if (!s->task) {
        s->task = ovsdb_start(s->env->base, &s->env->config->ovsdb, s->dpid,
                              s->index, on_prepared, s);
    }
}

/* The port of that name, or NULL. */
static const struct instr_port *
find_port(const struct session *s, const char *name)
{
    size_t n;
    const struct instr_port *ports = instr_ports(s->instr, &n);

    for (size_t i = 0; i < n; i++) {
        if (!strcmp(ports[i].name, name)) {
            return &ports[i];
        }
    }
    return NULL;
}

/* Without OVSDB the port is found by its name. */
static void
choose_port_by_name(struct session *s)
{
    char *name =
        postcard_port_name(&s->env->config->postcards, s->name, s->index);
    const struct instr_port *port = find_port(s, name);
    char who[96];

    session_describe(s, who, sizeof who);
    if (port && port->no != s->postcard_port) {
        if (s->version != OF_WIRE_10) {
            say_warn("%s: whether port %s is kept out of NORMAL cannot be "
                     "seen without --ovsdb; on its host run: ovs-ofctl -O "
                     "OpenFlow10 mod-port %s %s no-flood",
                     who, name, s->name ? s->name : "BRIDGE", name);
        }
        set_postcard_port(s, port->no, false);
    } else if (!port && s->state == SESSION_READ) {
        say_error("%s: no postcards: it has no port %s", who, name);
    }
    if (!port) {
        set_postcard_port(s, 0, false);
    }
    free(name);
}

/* Looks after the postcard port when the ports have changed. */
static void
check_postcard_port(struct session *s)
{
    size_t n;
    const struct instr_port *ports = instr_ports(s->instr, &n);
    bool is_there = false;

    if (!s->env->config->has_postcards) {
        return;
    }
    if (!s->env->config->ovsdb.db) {
        choose_port_by_name(s);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        is_there |= ports[i].no == s->postcard_port;
    }
    if (s->postcard_port && !is_there) {
        set_postcard_port(s, 0, false);
        prepare(s);
    }
}

/* --- Features and readiness. --- */

/* A switch that connects again before its old connection was found dead. */
static void
end_older(struct session *s)
{
    struct session *older = s->env->find(s->env->aux, s->dpid, s);

    if (older) {
        session_end(older, "the switch connected anew");
    }
}

void
session_setup_features(struct session *s, const uint8_t *msg, size_t len)
{
    const struct recorder_config *config = s->env->config;
    bool is_known = s->version == OF_WIRE_10 || s->version == OF_WIRE_13;
    struct lh_error error;
    char who[96];

    if (len < (s->version == OF_WIRE_10 ? FEATURES_MIN_LEN - 8u
                                        : FEATURES_MIN_LEN)) {
        session_end(s, "its FEATURES_REPLY is too short");
        return;
    }
    if (s->version >= OF_WIRE_13 && msg[FEATURES_AUX_OFS]) {
        session_setup_pass(s); /* An auxiliary connection. */
        return;
    }
    s->dpid = of_wire_get64(msg + FEATURES_DPID_OFS);
    s->has_dpid = true;
    set_text(&s->address, s->peer_ip);
    end_older(s);
    if (flow_log_put_switch(s->env->log, s->dpid, NULL, s->address, &s->index,
                            &error)) {
        say_error("%s", error.text);
    }
    say_info("%s: connected from %s, OpenFlow 1.%d",
             session_describe(s, who, sizeof who), s->peer, s->version - 1);
    flow_log_event(s->env->log, FLOW_LOG_CONNECT, s->dpid, OF_PORT_UNKNOWN,
                   time_spec_now(), s->peer);
    s->env->wake(s->env->aux);
    if (!is_known) {
        say_warn("%s: OpenFlow 1.%d is passed through, not instrumented", who,
                 s->version - 1);
        session_setup_pass(s);
    } else if (config->has_postcards && config->ovsdb.db) {
        s->state = SESSION_PREPARE;
        prepare(s);
    } else {
        start_instr(s);
    }
}

/* What the log has standing and the switch has not is gone. */
static void
reconcile_log(struct session *s)
{
    struct flow_log_rules rules = FLOW_LOG_RULES_INIT;
    uint64_t now_ns = time_spec_now();
    struct lh_error error;

    if (flow_log_standing(s->env->log, s->dpid, &rules, &error)) {
        say_error("%s", error.text);
    }
    flow_log_begin_change(s->env->log);
    for (size_t i = 0; i < rules.n; i++) {
        uint32_t version = rules.rules[i]->version;

        if (!instr_stands(s->instr, version)) {
            flow_log_removed(s->env->log, s->dpid, version, now_ns, "gone");
            recorder_api_removed(s->env->api, s->dpid, version, now_ns,
                                 "gone");
        }
    }
    flow_log_rules_uninit(&rules);
}

void
session_setup_ready(struct session *s)
{
    const struct instr_port *local;
    char who[96];
    struct lh_error error;
    size_t n;

    /* The bridge's own port bears its name. */
    local = instr_ports(s->instr, &n);
    for (size_t i = 0; !s->name && i < n; i++) {
        if (local[i].no == OF_PORT_LOCAL && local[i].name[0]) {
            s->name = lh_strdup(local[i].name);
        }
    }
    if (!is_chosen(s, s->name)) {
        say_info("%s: not among the --bridge names: not instrumented",
                 session_describe(s, who, sizeof who));
        session_setup_pass(s);
        return;
    }
    check_postcard_port(s);
    reconcile_log(s);
    if (flow_log_put_switch(s->env->log, s->dpid, s->name, s->address,
                            &s->index, &error)) {
        say_error("%s", error.text);
    }
    s->state = SESSION_RUN;
    free_event(&s->deadline);
    flow_log_event(s->env->log, FLOW_LOG_READY, s->dpid, OF_PORT_UNKNOWN,
                   time_spec_now(), s->name);
    session_describe(s, who, sizeof who);
    if (s->postcard_port) {
        say_info("%s: instrumented, %llu rules, postcards leave by port %u",
                 who, (unsigned long long) instr_counters(s->instr)->rules,
                 (unsigned) s->postcard_port);
    } else {
        say_info("%s: recorded, %llu rules, no postcards", who,
                 (unsigned long long) instr_counters(s->instr)->rules);
    }
    discovery_connected(s->env->discovery, s->dpid, s->name, s->index,
                        s->address, mono_clock_ns());
    session_setup_ports(s);
    s->env->wake(s->env->aux);
    session_release(s);
}

/* --- Ports. --- */

/* Puts what changed between the ports last published and 'now' on the
 * timeline. */
static void
log_ports(struct session *s, const struct instr_port *now, size_t n)
{
    uint64_t now_ns = time_spec_now();

    for (size_t i = 0; i < n; i++) {
        const struct instr_port *old = NULL;

        for (size_t j = 0; j < s->n_ports; j++) {
            if (s->ports[j].no == now[i].no) {
                old = &s->ports[j];
            }
        }
        if (!old || old->is_down != now[i].is_down) {
            char *text = lh_asprintf("%s %s", now[i].name,
                                     now[i].is_down ? "down" : "up");

            flow_log_event(s->env->log, FLOW_LOG_PORT, s->dpid, now[i].no,
                           now_ns, text);
            free(text);
        }
    }
    for (size_t j = 0; j < s->n_ports; j++) {
        bool is_there = false;

        for (size_t i = 0; i < n; i++) {
            is_there |= now[i].no == s->ports[j].no;
        }
        if (!is_there) {
            char *text = lh_asprintf("%s gone", s->ports[j].name);

            flow_log_event(s->env->log, FLOW_LOG_PORT, s->dpid, s->ports[j].no,
                           now_ns, text);
            free(text);
        }
    }
}

void
session_setup_ports(struct session *s)
{
    size_t n, n_shown = 0;
    const struct instr_port *ports = instr_ports(s->instr, &n);
    struct discovery_port *shown = lh_alloc_zero(n * sizeof *shown);

    log_ports(s, ports, n);
    free(s->ports);
    s->ports = lh_memdup(ports, n * sizeof *ports);
    s->n_ports = n;
    for (size_t i = 0; i < n; i++) {
        struct discovery_port *p = &shown[n_shown];

        if (s->ports[i].is_postcard || s->ports[i].no == s->postcard_port) {
            continue;
        }
        p->no = s->ports[i].no;
        p->name = s->ports[i].name;
        memcpy(p->mac, s->ports[i].mac, 6);
        p->is_down = s->ports[i].is_down;
        n_shown++;
    }
    discovery_ports(s->env->discovery, s->dpid, shown, n_shown,
                    mono_clock_ns());
    free(shown);
    s->env->wake(s->env->aux);
    check_postcard_port(s);
}
