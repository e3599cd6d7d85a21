/* SPDX-License-Identifier: Apache-2.0 */
/* datapath_ports - a switch's ports: published, and the postcards' own. */
#include <config.h>

#include <stdlib.h>
#include <string.h>
#include <event2/event.h>

#include "lib/flow_log.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "recorder/datapath_state.h"
#include "recorder/discovery.h"
#include "recorder/mono_clock.h"
#include "recorder/session_state.h"

bool
datapath_ports_has_postcards(const struct datapath *dp)
{
    return dp->postcards[INSTR_GENEVE].no || dp->postcards[INSTR_MAC].no ||
           (dp->instr &&
            (instr_makes_cards(dp->instr) || instr_card_port(dp->instr)));
}

char *
datapath_ports_text(const struct datapath *dp)
{
    uint32_t geneve = dp->postcards[INSTR_GENEVE].no;
    uint32_t mac = dp->postcards[INSTR_MAC].no;

    if (instr_makes_cards(dp->instr)) {
        return lh_strdup("are made by the switch itself, for lasthop-agent");
    }
    return geneve && mac
               ? lh_asprintf("leave by port %u (geneve) and port %u (mac)",
                             (unsigned) geneve, (unsigned) mac)
               : lh_asprintf("leave by port %u",
                             (unsigned) instr_card_port(dp->instr));
}

void
datapath_ports_plan(struct datapath *dp)
{
    const struct postcard_ports *all = &dp->env->config->postcards;

    for (int i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
        struct instr_postcard_port *port = &dp->postcards[i];
        const struct postcard_port *p =
            postcard_ports_find(all, dp->name, (enum instr_encapsulation) i);

        port->is_wanted = p != NULL;
        port->vlan = p ? p->vlan : 0;
        /* While its name is not known it may be any bridge. */
        for (size_t j = 0; !dp->name && j < all->n; j++) {
            port->is_wanted |= (int) all->ports[j].encapsulation == i;
        }
    }
}

static void
set_postcard_port(struct datapath *dp, enum instr_encapsulation kind,
                  uint32_t no, bool is_no_flood)
{
    struct instr_postcard_port *port = &dp->postcards[kind];
    struct instr_out out = INSTR_OUT_INIT;
    char who[96];

    if (no == port->no && is_no_flood == port->is_no_flood) {
        return;
    }
    datapath_ports_plan(dp);
    port->no = no;
    port->is_no_flood = is_no_flood;
    if (!dp->instr) {
        return;
    }
    if (no) {
        say_info("%s: %s postcards leave by port %u",
                 datapath_describe(dp, who, sizeof who),
                 postcard_port_kind(kind), (unsigned) no);
    } else {
        say_warn("%s: the port of its %s postcards is gone%s",
                 datapath_describe(dp, who, sizeof who),
                 postcard_port_kind(kind),
                 dp->postcards[INSTR_GENEVE].no || dp->postcards[INSTR_MAC].no
                     ? ""
                     : ": no postcards");
    }
    instr_set_postcard_port(dp->instr, kind, port, time_spec_now(), &out);
    datapath_apply(dp, &out);
}

static void
set_postcard_ports(struct datapath *dp, const struct ovsdb_result *result)
{
    for (int i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
        const struct ovsdb_port *p = &result->ports[i];

        if (dp->state == DATAPATH_PREPARE) {
            dp->postcards[i].no = p->no;
            dp->postcards[i].is_no_flood = p->is_no_flood;
        } else {
            set_postcard_port(dp, (enum instr_encapsulation) i, p->no,
                              p->is_no_flood);
        }
    }
}

static void
on_retry(evutil_socket_t fd, short what, void *dp)
{
    datapath_ports_prepare(dp);
}

static void
retry_later(struct datapath *dp)
{
    struct timeval timeout = {.tv_sec = DATAPATH_RETRY_S};

    if (!dp->retry) {
        dp->retry = evtimer_new(dp->env->base, on_retry, dp);
    }
    event_add(dp->retry, &timeout);
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
on_prepared(void *dp_, const struct ovsdb_result *result)
{
    struct datapath *dp = dp_;
    bool has_ports;
    char who[96];

    dp->task = NULL;
    dp->is_prepared = true;
    dp->has_controllers = result->has_controllers;
    set_text(&dp->name, result->bridge);
    set_text(&dp->address, result->address);
    set_text(&dp->geneve_name, result->geneve_name);
    datapath_move_note(dp, result);
    datapath_describe(dp, who, sizeof who);
    if (!datapath_setup_is_chosen(dp)) {
        datapath_setup_leave(dp);
        return;
    }
    has_ports = result->ports[INSTR_GENEVE].no || result->ports[INSTR_MAC].no;
    if (result->error && !has_ports && dp->first &&
        dp->first->route->is_attached && dp->state == DATAPATH_PREPARE) {
        session_refuse(dp->first, result->error);
        return;
    }
    if (result->warning) {
        say_warn("%s: %s", who, result->warning);
    }
    if (result->error) {
        say_error("%s: %s (next try in %d s): %s", who,
                  has_ports ? "not all postcards" : "no postcards",
                  DATAPATH_RETRY_S, result->error);
        flow_log_event(dp->env->log, FLOW_LOG_NOTE, dp->dpid, OF_PORT_UNKNOWN,
                       time_spec_now(), result->error);
        retry_later(dp);
    }
    if (dp->state != DATAPATH_PASS) {
        datapath_control_why(dp, result->error);
    }
    set_postcard_ports(dp, result);
    if (dp->state == DATAPATH_PREPARE) {
        datapath_setup_read(dp);
    }
    if (dp->state == DATAPATH_PASS) {
        datapath_retry_prepared(dp);
    }
    datapath_move_all(dp->env);
}

void
datapath_ports_prepare(struct datapath *dp)
{
    if (!dp->task) {
        dp->ovsdb = dp->env->config->ovsdb;
        dp->ovsdb.force |= dp->first && dp->first->route->force;
        dp->ovsdb.collectors = dp->env->collectors;
        dp->ovsdb.is_paused = dp->is_paused;
        dp->ovsdb.snap_len = dp->env->config->snap_len;
        dp->task = ovsdb_start(dp->env->base, &dp->ovsdb, dp->dpid, dp->index,
                               on_prepared, dp);
    }
}

/* The port of that name, or NULL. */
static const struct instr_port *
find_port(const struct datapath *dp, const char *name)
{
    size_t n;
    const struct instr_port *ports = instr_ports(dp->instr, &n);

    for (size_t i = 0; i < n; i++) {
        if (!strcmp(ports[i].name, name)) {
            return &ports[i];
        }
    }
    return NULL;
}

/* Without OVSDB a port is found by its name. */
static void
choose_port_by_name(struct datapath *dp, const struct postcard_port *p)
{
    char *name = postcard_port_name(p, dp->name, dp->index);
    const struct instr_port *port = find_port(dp, name);
    char who[96];

    datapath_describe(dp, who, sizeof who);
    if (port && port->no != dp->postcards[p->encapsulation].no) {
        if (!instr_sets_no_flood(dp->instr)) {
            say_warn("%s: whether port %s is kept out of NORMAL cannot be "
                     "seen without --ovsdb; on its host run: ovs-ofctl -O "
                     "OpenFlow10 mod-port %s %s no-flood",
                     who, name, dp->name ? dp->name : "BRIDGE", name);
        }
        set_postcard_port(dp, p->encapsulation, port->no, false);
    } else if (!port && dp->state == DATAPATH_READ) {
        char *why = lh_asprintf("it has no port %s", name);

        say_error("%s: no %s postcards: %s", who,
                  postcard_port_kind(p->encapsulation), why);
        datapath_control_why(dp, why);
        free(why);
    }
    if (!port) {
        set_postcard_port(dp, p->encapsulation, 0, false);
    }
    free(name);
}

static void
choose_ports_by_name(struct datapath *dp)
{
    for (int i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
        const struct postcard_port *p =
            postcard_ports_find(&dp->env->config->postcards, dp->name,
                                (enum instr_encapsulation) i);

        if (p && i != INSTR_AGENT &&
            postcard_port_is_at(p, dp->dpid, dp->name)) {
            choose_port_by_name(dp, p);
        }
    }
}

void
datapath_ports_check(struct datapath *dp)
{
    bool is_gone = false;

    if (!dp->env->config->postcards.n) {
        return;
    }
    if (!dp->env->config->ovsdb.db) {
        choose_ports_by_name(dp);
        return;
    }
    for (int i = 0; i < INSTR_N_ENCAPSULATIONS; i++) {
        uint32_t no = dp->postcards[i].no;
        bool is_there = false;
        size_t n;
        const struct instr_port *ports = instr_ports(dp->instr, &n);

        for (size_t j = 0; j < n; j++) {
            is_there |= ports[j].no == no;
        }
        if (no && !is_there) {
            set_postcard_port(dp, (enum instr_encapsulation) i, 0, false);
            is_gone = true;
        }
    }
    if (is_gone) {
        datapath_ports_prepare(dp);
    }
}

static void
log_port(struct datapath *dp, const struct instr_port *port, const char *how,
         uint64_t now_ns)
{
    char *text = lh_asprintf("%s %s", port->name, how);

    flow_log_event(dp->env->log, FLOW_LOG_PORT, dp->dpid, port->no, now_ns,
                   text);
    free(text);
}

/* Puts what changed between the ports last published and 'now' on the
 * timeline.  Both are sorted by number. */
static void
log_ports(struct datapath *dp, const struct instr_port *now, size_t n)
{
    const struct instr_port *old = dp->ports, *end = old + dp->n_ports;
    uint64_t now_ns = time_spec_now();

    for (size_t i = 0; i < n; i++) {
        for (; old < end && old->no < now[i].no; old++) {
            log_port(dp, old, "gone", now_ns);
        }
        if (old == end || old->no != now[i].no ||
            old->is_down != now[i].is_down) {
            log_port(dp, &now[i], now[i].is_down ? "down" : "up", now_ns);
        }
        if (old < end && old->no == now[i].no) {
            old++;
        }
    }
    for (; old < end; old++) {
        log_port(dp, old, "gone", now_ns);
    }
}

void
datapath_ports_publish(struct datapath *dp)
{
    size_t n, n_shown = 0;
    const struct instr_port *ports = instr_ports(dp->instr, &n);
    struct discovery_port *shown = lh_alloc_zero(n * sizeof *shown);

    log_ports(dp, ports, n);
    free(dp->ports);
    dp->ports = lh_memdup(ports, n * sizeof *ports);
    dp->n_ports = n;
    for (size_t i = 0; i < n; i++) {
        struct discovery_port *p = &shown[n_shown];

        if (dp->ports[i].is_postcard) {
            continue;
        }
        p->no = dp->ports[i].no;
        p->name = dp->ports[i].name;
        memcpy(p->mac, dp->ports[i].mac, 6);
        p->is_down = dp->ports[i].is_down;
        n_shown++;
    }
    discovery_ports(dp->env->discovery, dp->dpid, shown, n_shown,
                    mono_clock_ns());
    free(shown);
    dp->env->wake(dp->env->aux);
    datapath_ports_check(dp);
}
