/* SPDX-License-Identifier: Apache-2.0 */
/* assemble_blind - what postcards leave to find out that carry neither in_port
 * nor flags, as those in a destination MAC.
 *
 * Before visits are made, the rule tells: its kind whether it is a packet-out,
 * its match what the in_port was, its actions whether the copy was made after
 * edits.  Then links tell the in_port of every visit but the first, which is
 * the business of assemble_link.  At last a first visit gets the one edge port
 * that its switch has. */
#include <config.h>
#include "server/assemble_scratch.h"

#include <string.h>

#include "lib/of_port.h"

/* The in_port that 'match' asks for, or OF_PORT_UNKNOWN. */
static uint32_t
in_port_of_match(const char *match)
{
    static const char key[] = "in_port=";
    const char *at = match;
    uint32_t port = OF_PORT_UNKNOWN;
    char value[16];
    size_t len;

    while ((at = strstr(at, key)) && at != match && at[-1] != ',' &&
           at[-1] != ' ') {
        at += sizeof key - 1;
    }
    if (!at) {
        return OF_PORT_UNKNOWN;
    }
    at += sizeof key - 1;
    len = strcspn(at, ", ");
    if (len && len < sizeof value) {
        memcpy(value, at, len);
        value[len] = '\0';
        of_port_from_string(value, &port);
    }
    return port;
}

static bool
has_edit(const struct rule *rule)
{
    for (size_t i = 0; i < rule->n_steps; i++) {
        if (rule->steps[i].type != STEP_OUTPUT &&
            rule->steps[i].type != STEP_GROUP) {
            return true;
        }
    }
    return false;
}

/* True when the postcard with this output comes from an action set, that is
 * from the end of the pipeline, or from a bucket that edits. */
static bool
is_after(const struct rule *rule, uint32_t out_port)
{
    if (rule->kind == RULE_GROUP) {
        return has_edit(rule);
    }
    /* A rule that hands the packet on drops nothing itself. */
    return strstr(rule->actions, "write_actions") ||
           (out_port == OF_PORT_NONE && rule->is_transit);
}

bool
assemble_blind_load(struct assembler *a)
{
    const struct assemble_env *env = a->env;
    bool has_blind = false;

    for (size_t i = 0; i < a->n_cards; i++) {
        struct assemble_card *card = &a->cards[i];
        const struct rule *rule;

        if (card->p->in_port != OF_PORT_UNKNOWN || card->p->visit) {
            continue;
        }
        has_blind = true;
        rule = env->find_rule
                   ? env->find_rule(env->aux, card->p->dpid, card->p->version)
                   : NULL;
        if (!rule) {
            continue;
        }
        if (rule->kind == RULE_PACKET_OUT) {
            card->flags |= POSTCARD_PACKET_OUT;
        } else {
            card->in_port = in_port_of_match(rule->match);
            if (is_after(rule, card->p->out_port)) {
                card->flags |= POSTCARD_AFTER;
            }
        }
    }
    return has_blind;
}

/* The one port that is up and no link's end, if it is an edge port and the
 * only one; OF_PORT_UNKNOWN otherwise. */
static uint32_t
only_edge_port(const struct topology_switch *sw)
{
    uint32_t found = OF_PORT_UNKNOWN;

    for (size_t i = 0; i < sw->n_ports; i++) {
        const struct topology_port *port = &sw->ports[i];

        if (port->down || port->has_peer) {
            continue;
        }
        if (found != OF_PORT_UNKNOWN ||
            !(port->edge || port->no == OF_PORT_LOCAL)) {
            return OF_PORT_UNKNOWN;
        }
        found = port->no;
    }
    return found;
}

/* True when an output that nobody saw arrive may have led to visit 'v', over
 * other hops that nobody saw. */
static bool
may_be_later(struct assembler *a, int v)
{
    for (size_t b = 0; b < a->n_branches; b++) {
        /* The same addresses, not just NORMAL, not later. */
        if (assemble_gap_rank(a, v, b, -1) >> 60 == 7) {
            return true;
        }
    }
    return false;
}

void
assemble_blind_settle(struct assembler *a)
{
    for (size_t v = 0; a->env->topology && !a->env->span && v < a->n_visits;
         v++) {
        struct assemble_visit *visit = &a->visits[v];
        const struct topology_switch *sw;
        uint32_t port;

        if (visit->in_port != OF_PORT_UNKNOWN || visit->is_removed ||
            visit->is_packet_out || visit->is_deduced ||
            visit->has_gap_before || visit->parent >= 0) {
            continue;
        }
        sw = topology_find(a->env->topology, visit->dpid);
        port = sw ? only_edge_port(sw) : OF_PORT_UNKNOWN;
        /* What leaves by that port rather came by a link, unseen. */
        if (port != OF_PORT_UNKNOWN &&
            !assemble_visit_has_out(a, (int) v, port) &&
            !may_be_later(a, (int) v)) {
            visit->in_port = port;
            visit->is_in_port_deduced = true;
        }
    }
}
