/* SPDX-License-Identifier: Apache-2.0 */
/* assemble_judge - what became of every output, and whether anything may
 * still come. */
#include <config.h>
#include "server/assemble_scratch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/dpid.h"
#include "lib/of_port.h"

/* What became of the outputs of one visit. */
struct fate {
    bool has_gone_on;
    bool has_left; /* Delivered by an edge port. */
    uint32_t left_port;
    bool is_punted;
    uint32_t lost_port; /* OF_PORT_NONE: nothing lost. */
    uint64_t lost_dpid; /* The far end. */
    uint32_t lost_peer_port;
    bool has_lost;
    const char *open;   /* Why it cannot be told, or NULL. */
    const char *dead;   /* Why an output did not happen, or NULL. */
    uint32_t dead_port; /* The port of that, */
    int dead_card;      /* and whose output it was; -1: nobody's. */
    int card;           /* Of the output that is judged now. */
};

static void
set_lost(struct fate *fate, uint32_t port, uint64_t dpid, uint32_t peer_port)
{
    if (!fate->has_lost) {
        fate->has_lost = true;
        fate->lost_port = port;
        fate->lost_dpid = dpid;
        fate->lost_peer_port = peer_port;
    }
}

static void
set_dead(struct fate *fate, uint32_t port, const char *why)
{
    if (!fate->dead) {
        fate->dead = why;
        fate->dead_port = port;
        fate->dead_card = fate->card;
    }
}

static void
set_left(struct fate *fate, uint32_t port)
{
    fate->left_port = fate->has_left ? OF_PORT_UNKNOWN : port;
    fate->has_left = true;
}

/* Nothing is known of what came to the switch at the far end: it does not
 * tell of all packets. */
static bool
is_silent(const struct assembler *a, uint64_t dpid)
{
    return a->env->is_silent && a->env->is_silent(a->env->aux, dpid);
}

/* Why what became of a packet that goes to 'dpid', which is_silent(), is not
 * known. */
static const char *
silent_text(const struct assembler *a, uint64_t dpid)
{
    return a->env->is_capped && a->env->is_capped(a->env->aux, dpid)
               ? "the next switch does not send postcards of all packets: "
                 "some of its rules are stopped by --max-postcards"
               : "the next switch does not send postcards of all packets";
}

static const char changed_text[] = "links changed at that time";

/* True when the far ends of 'branch' or of another of its port, which was
 * moved, saw the packet. */
static bool
is_taken(const struct assembler *a, const struct assemble_branch *branch)
{
    for (int b = a->outs[branch->out].first_branch; b >= 0;
         b = a->branches[b].next) {
        if (a->branches[b].port == branch->port && a->branches[b].child >= 0) {
            return true;
        }
    }
    return false;
}

/* Looks at the links that output 'o' leads onto; true when one was taken.
 * With 'is_sent' those that were not are lost. */
static bool
judge_branches(const struct assembler *a, int o, bool is_sent,
               struct fate *fate)
{
    bool has_child = false;

    for (int b = a->outs[o].first_branch; b >= 0; b = a->branches[b].next) {
        const struct assemble_branch *branch = &a->branches[b];

        if (assemble_link_is_backward(a, branch)) {
            continue;
        }
        if (branch->child >= 0) {
            fate->has_gone_on = true;
            has_child = true;
        } else if (branch->is_moved) {
            if (is_sent && !is_taken(a, branch)) {
                fate->open = changed_text;
            }
        } else if (!branch->is_soft && is_sent &&
                   is_silent(a, branch->peer_dpid)) {
            fate->open = silent_text(a, branch->peer_dpid);
        } else if (!branch->is_soft && is_sent) {
            set_lost(fate, branch->port, branch->peer_dpid, branch->peer_port);
        }
    }
    return has_child;
}

/* Counts the ports besides the input port that are up and lead to no switch,
 * and those that lead to one. */
static void
count_ports(const struct topology_switch *sw, uint32_t in_port,
            size_t *n_edgep, size_t *n_linkp, uint32_t *edgep)
{
    *n_edgep = *n_linkp = 0;
    for (size_t i = 0; i < sw->n_ports; i++) {
        const struct topology_port *port = &sw->ports[i];

        if (port->no != in_port && !port->down) {
            if (port->edge) {
                *edgep = port->no;
                ++*n_edgep;
            } else if (port->has_peer) {
                ++*n_linkp;
            }
        }
    }
}

static size_t
count_untaken(const struct assembler *a, int o)
{
    size_t n = 0;

    for (int b = a->outs[o].first_branch; b >= 0; b = a->branches[b].next) {
        n += a->branches[b].child < 0 && !a->branches[b].is_soft;
    }
    return n;
}

/* NULL: to none. */
static const char *
leads_to_silent(const struct assembler *a, int o)
{
    for (int b = a->outs[o].first_branch; b >= 0; b = a->branches[b].next) {
        if (is_silent(a, a->branches[b].peer_dpid)) {
            return silent_text(a, a->branches[b].peer_dpid);
        }
    }
    return NULL;
}

static void
judge_flood(const struct assembler *a, const struct assemble_visit *visit,
            int o, struct fate *fate)
{
    const struct topology_switch *sw =
        a->env->topology ? topology_find(a->env->topology, visit->dpid) : NULL;
    bool is_normal = a->outs[o].port == OF_PORT_NORMAL;
    size_t n_edge, n_link;
    uint32_t edge_port = OF_PORT_UNKNOWN;
    bool has_child;

    if (!sw) {
        fate->open = "the switch is not in the topology";
        return;
    }
    if (a->env->span && !topology_span_is_same(a->env->span, visit->dpid)) {
        judge_branches(a, o, true, fate);
        fate->open = changed_text;
        return;
    }
    count_ports(sw, visit->in_port, &n_edge, &n_link, &edge_port);
    if (visit->in_port == OF_PORT_UNKNOWN && count_untaken(a, o) == 1) {
        fate->open = "it may have come by the link that it was not seen at";
    }
    has_child = judge_branches(a, o, !fate->open, fate);
    if (n_edge && !(is_normal && has_child)) {
        set_left(fate, n_edge == 1 ? edge_port : OF_PORT_UNKNOWN);
    } else if (is_normal && !has_child && leads_to_silent(a, o)) {
        fate->open = leads_to_silent(a, o);
    } else if (is_normal && !has_child && n_link) {
        set_lost(fate, OF_PORT_UNKNOWN, 0, OF_PORT_UNKNOWN);
    } else if (!n_link) {
        set_dead(fate, a->outs[o].port, "no port to send it to");
    }
}

/* A port that was not the same for all of the packet's time, and nobody saw
 * the packet behind it. */
static void
judge_changed(const struct topology_span_port *at, uint32_t port,
              struct fate *fate)
{
    if (at->n_ends && !at->may_leave) {
        set_lost(fate, port, 0, OF_PORT_UNKNOWN);
    } else {
        fate->open = changed_text;
    }
}

static void
judge_port(const struct assembler *a, const struct assemble_visit *visit,
           int o, uint32_t port, struct fate *fate)
{
    const struct topology *topology = a->env->topology;
    const struct topology_port *p;

    if (judge_branches(a, o, false, fate)) {
        return;
    }
    if (!topology || !topology_find(topology, visit->dpid)) {
        fate->open = "the switch is not in the topology";
        return;
    }
    if (a->env->span) {
        struct topology_span_port at;

        topology_span_port(a->env->span, visit->dpid, port, &at);
        if (!at.is_same) {
            judge_changed(&at, port, fate);
            return;
        }
    }
    p = topology_port(topology, visit->dpid, port);
    if (!p) {
        set_dead(fate, port, "output to a port that is not there");
    } else if (p->down) {
        set_dead(fate, port, "output to a port that is down");
    } else if (p->edge) {
        set_left(fate, port);
    } else if (p->has_peer) {
        judge_branches(a, o, true, fate);
    } else {
        fate->open = "nothing is known of what the port leads to";
    }
}

static void
judge_out(struct assembler *a, const struct assemble_visit *visit, int o,
          struct fate *fate)
{
    uint32_t port = assemble_header_of_out(a, o)->port;

    if (a->outs[o].state == ASSEMBLE_HEADER_TTL) {
        set_dead(fate, port, "ttl expired");
        return;
    }
    switch (port) {
    case OF_PORT_CONTROLLER:
        fate->is_punted = true;
        fate->has_gone_on = fate->has_gone_on || visit->n_packet_outs;
        break;
    case OF_PORT_LOCAL:
        set_left(fate, port);
        break;
    case OF_PORT_FLOOD:
    case OF_PORT_ALL:
    case OF_PORT_NORMAL:
        judge_flood(a, visit, o, fate);
        break;
    case OF_PORT_GROUP:
    case OF_PORT_TABLE:
        /* Says only that another output follows. */
        if (visit->first_out == o && a->outs[o].next < 0) {
            fate->open = port == OF_PORT_GROUP
                             ? "no bucket of the group was seen"
                             : "what the tables did was not seen";
        }
        break;
    case OF_PORT_IN_PORT:
        if (visit->in_port >= OF_PORT_GROUP) {
            fate->open = "the input port is not known";
        } else {
            judge_port(a, visit, o, visit->in_port, fate);
        }
        break;
    case OF_PORT_UNKNOWN:
        fate->open = "the output port is not known";
        break;
    default:
        if (port >= OF_PORT_GROUP) {
            fate->open = "the output port is a reserved one";
        } else if (port == visit->in_port && !visit->is_packet_out) {
            set_dead(fate, port, "output to the input port");
        } else {
            judge_port(a, visit, o, port, fate);
        }
        break;
    }
}

static void
judge(struct assembler *a, const struct assemble_visit *visit,
      struct fate *fate)
{
    *fate = (struct fate){.lost_port = OF_PORT_UNKNOWN, .dead_card = -1};
    if (assemble_whole_has_died(a, visit)) {
        set_dead(fate, OF_PORT_UNKNOWN, "ttl expired");
        return;
    }
    for (int o = visit->first_out; o >= 0; o = a->outs[o].next) {
        fate->card = a->outs[o].card;
        if (visit->is_metered) {
            judge_branches(a, o, false, fate);
        } else {
            judge_out(a, visit, o, fate);
        }
    }
    if (visit->n_passes_due > 0 && !fate->has_gone_on) {
        fate->open = "what the switch did after recirculation was not seen";
    }
}

static bool
is_lossless(const struct assembler *a, const struct assemble_visit *visit,
            uint64_t dpid)
{
    const struct assemble_env *env = a->env;
    uint64_t from = visit->time_ns, until = env->until_ns;

    for (size_t i = 0; i < a->n_cards; i++) {
        uint64_t time = a->cards[i].p->time_ns;

        until = time > until ? time : until;
        if (!visit->time_ns && (!from || time < from)) {
            from = time;
        }
    }
    return dpid && env->has_lossless &&
           env->has_lossless(env->aux, dpid, from, until);
}

/* The rule that had the last word in a visit without output: the last in the
 * tables.  That an action set was empty in the end says only that no rule
 * wrote to it, and names the one that could have been the first to. */
static int
find_last_word(const struct assembler *a, const struct assemble_visit *visit)
{
    int last = visit->last_card;

    for (int c = visit->first_card; c >= 0; c = a->cards[c].next) {
        if (a->cards[c].p->out_port == OF_PORT_NONE &&
            !(a->cards[c].flags & POSTCARD_AFTER)) {
            last = c;
        }
    }
    return last;
}

/* 'c': the card whose rule did it, or -1. */
static void
set_dropped(const struct assembler *a, const struct assemble_visit *visit,
            uint32_t port, const char *reason, int c, struct verdict *v)
{
    const struct assemble_card *card;

    if (visit->is_whole) {
        assemble_whole_set_dropped(a, visit, port, reason, v);
        return;
    }
    c = c >= 0 ? c : find_last_word(a, visit);
    card = c >= 0 ? &a->cards[c] : NULL;
    if (!reason) {
        reason = card && card->rule && card->rule->kind == RULE_MISS
                     ? "table miss"
                     : "no output";
    }
    verdict_set(v, VERDICT_DROPPED, visit->dpid, port, reason);
    if (card) {
        v->has_version = true;
        v->version = card->p->version;
    }
}

static void
set_verdict_lost(const struct assembler *a, const struct assemble_visit *visit,
                 const struct fate *fate, struct verdict *v)
{
    char reason[160], dpid[DPID_BUFSIZE];
    const struct topology_switch *sw =
        fate->lost_dpid ? topology_find(a->env->topology, fate->lost_dpid)
                        : NULL;

    if (fate->lost_dpid) {
        snprintf(reason, sizeof reason, "not seen at %s port %" PRIu32,
                 sw && sw->name ? sw->name
                                : dpid_to_string(fate->lost_dpid, dpid),
                 fate->lost_peer_port);
    } else {
        snprintf(reason, sizeof reason, "not seen at any next switch");
    }
    verdict_set(v, VERDICT_LOST, visit->dpid, fate->lost_port, reason);
    v->evidence = is_lossless(a, visit, fate->lost_dpid) ? EVIDENCE_COMPLETE
                                                         : EVIDENCE_UNCERTAIN;
}

void
assemble_judge_visit(struct assembler *a, int v, struct verdict *verdict)
{
    const struct assemble_visit *visit = &a->visits[v];
    struct fate fate;

    verdict_set(verdict, VERDICT_NONE, visit->dpid, OF_PORT_UNKNOWN, NULL);
    if (visit->first_out < 0 && visit->n_passes_due <= 0) {
        set_dropped(a, visit, OF_PORT_UNKNOWN, NULL, -1, verdict);
        return;
    }
    judge(a, visit, &fate);
    /* By gap alone a visit may have a child that no output is known for. */
    fate.has_gone_on = fate.has_gone_on || visit->first_child >= 0;
    if (fate.has_lost) {
        set_verdict_lost(a, visit, &fate, verdict);
    } else if (fate.open) {
        verdict_set(verdict, VERDICT_OPEN, visit->dpid, OF_PORT_UNKNOWN,
                    fate.open);
    } else if (visit->is_metered) {
        set_dropped(a, visit, OF_PORT_UNKNOWN, NULL, -1, verdict);
    } else if (fate.has_gone_on) {
        return;
    } else if (fate.has_left) {
        verdict_set(verdict, VERDICT_DELIVERED, visit->dpid, fate.left_port,
                    NULL);
    } else if (fate.is_punted) {
        verdict_set(verdict, VERDICT_CONTROLLER, visit->dpid,
                    OF_PORT_CONTROLLER, NULL);
    } else {
        set_dropped(a, visit, fate.dead_port, fate.dead, fate.dead_card,
                    verdict);
    }
}

/* --- Is anything still to come? -------------------------------------------
 */

static enum assemble_state
state_of_start(const struct assembler *a, int v)
{
    const struct assemble_visit *visit = &a->visits[v];

    if (visit->parent >= 0 || visit->is_packet_out) {
        return ASSEMBLE_COMPLETE;
    }
    if (visit->in_port == OF_PORT_UNKNOWN ||
        (visit->is_in_port_deduced && assemble_link_is_start(a, v))) {
        return ASSEMBLE_SETTLING;
    }
    if (a->env->span && visit->in_port < OF_PORT_GROUP) {
        struct topology_span_port at;

        topology_span_port(a->env->span, visit->dpid, visit->in_port, &at);
        return at.is_same && at.may_leave ? ASSEMBLE_COMPLETE
                                          : ASSEMBLE_PARTIAL;
    }
    if (visit->in_port >= OF_PORT_GROUP ||
        (a->env->topology &&
         topology_is_edge(a->env->topology, visit->dpid, visit->in_port))) {
        return ASSEMBLE_COMPLETE;
    }
    return ASSEMBLE_PARTIAL;
}

/* Whether the rules of a visit may still show other outputs. */
static enum assemble_state
state_of_rules(struct assembler *a, const struct assemble_visit *visit)
{
    bool has_last = false;

    if (visit->is_whole) {
        return assemble_whole_state(a, visit);
    }
    for (int c = visit->first_card; c >= 0; c = a->cards[c].next) {
        const struct rule *rule = a->cards[c].rule;

        if (!rule) {
            return ASSEMBLE_WAITS_RULE;
        }
        if (!rule->is_transit && rule->kind != RULE_GROUP &&
            a->cards[c].p->out_port != OF_PORT_GROUP) {
            /* A drop in a later table: another may have sent it out. */
            has_last =
                has_last || visit->first_out >= 0 || rule->table_id == 0;
        }
    }
    return has_last ? ASSEMBLE_COMPLETE : ASSEMBLE_SETTLING;
}

/* True for a link's port that is down: news that it is up again may be later
 * than the packet. */
static bool
is_link_down(const struct assembler *a, const struct assemble_visit *visit,
             uint32_t port)
{
    const struct topology_port *p =
        a->env->topology ? topology_port(a->env->topology, visit->dpid, port)
                         : NULL;

    return p && p->down && p->has_peer;
}

static enum assemble_state
state_of_outs(struct assembler *a, const struct assemble_visit *visit)
{
    enum assemble_state state = ASSEMBLE_COMPLETE;
    struct fate fate;

    judge(a, visit, &fate);
    if (fate.has_lost || fate.open || fate.is_punted) {
        return ASSEMBLE_PARTIAL;
    }
    for (int o = visit->first_out; o >= 0; o = a->outs[o].next) {
        const struct assemble_out *out = &a->outs[o];

        if ((out->is_expected && out->state != ASSEMBLE_HEADER_TTL) ||
            out->card < 0) {
            return ASSEMBLE_PARTIAL;
        }
        if (out->port == OF_PORT_NORMAL || out->port == OF_PORT_GROUP ||
            is_link_down(a, visit, out->port)) {
            state = ASSEMBLE_SETTLING;
        }
    }
    return state;
}

static enum assemble_state
min_state(enum assemble_state x, enum assemble_state y)
{
    return x < y ? x : y;
}

/* Gives every output the list of its branches. */
static void
index_branches(struct assembler *a)
{
    for (size_t o = 0; o < a->n_outs; o++) {
        a->outs[o].first_branch = -1;
    }
    for (size_t b = a->n_branches; b-- > 0;) {
        struct assemble_out *out = &a->outs[a->branches[b].out];

        a->branches[b].next = out->first_branch;
        out->first_branch = (int) b;
    }
}

enum assemble_state
assemble_judge_state(struct assembler *a)
{
    enum assemble_state state = ASSEMBLE_COMPLETE;

    index_branches(a);
    for (size_t v = 0; v < a->n_visits && state > ASSEMBLE_PARTIAL; v++) {
        const struct assemble_visit *visit = &a->visits[v];

        if (visit->is_removed) {
            continue;
        }
        if (visit->is_deduced || visit->has_gap_before) {
            return ASSEMBLE_PARTIAL;
        }
        state = min_state(state, state_of_start(a, (int) v));
        state = min_state(state, state_of_rules(a, visit));
        state = min_state(state, state_of_outs(a, visit));
    }
    return state;
}
