/* SPDX-License-Identifier: Apache-2.0 */
/* assemble_outs - the outputs of a visit: those that postcards show, and those
 * that the rules of these name besides. */
#include <config.h>
#include "server/assemble_scratch.h"

#include <string.h>

#include "lib/of_port.h"

/* Outputs of one rule that are looked at. */
#define MAX_RULE_OUTPUTS 256

static bool
has_version_before(const struct assembler *a, const struct assemble_visit *v,
                   int card)
{
    for (int c = v->first_card; c != card; c = a->cards[c].next) {
        if (a->cards[c].p->version == a->cards[card].p->version) {
            return true;
        }
    }
    return false;
}

static void
expect_out(struct assembler *a, int v, int card, uint32_t port)
{
    int out;

    if (assemble_visit_has_out(a, v, port)) {
        return;
    }
    out = assemble_visit_add_out(a, v, port, card);
    if (out >= 0) {
        a->outs[out].is_expected = true;
    }
}

/* True when the port was as it is for all of the packet's time. */
static bool
was_there(const struct assembler *a, int v, uint32_t port)
{
    struct topology_span_port at = {.is_same = true};

    if (a->env->span) {
        topology_span_port(a->env->span, a->visits[v].dpid, port, &at);
    }
    return at.is_same;
}

/* ALL, or FLOOD, for which the switch may have been given the list of its
 * ports instead: if one was seen, all others were meant too. */
static void
expect_flood(struct assembler *a, int v, int card, uint32_t port)
{
    const struct topology_switch *sw =
        a->env->topology ? topology_find(a->env->topology, a->visits[v].dpid)
                         : NULL;
    bool is_list = false;

    for (size_t i = 0; sw && i < sw->n_ports; i++) {
        is_list = is_list || assemble_visit_has_out(a, v, sw->ports[i].no);
    }
    if (!is_list) {
        expect_out(a, v, card, port);
        return;
    }
    for (size_t i = 0; i < sw->n_ports; i++) {
        if (!sw->ports[i].down && sw->ports[i].no != a->visits[v].in_port &&
            was_there(a, v, sw->ports[i].no)) {
            expect_out(a, v, card, sw->ports[i].no);
        }
    }
}

/* Adds the outputs that the rule of 'card' names and no postcard showed. */
static void
expect_outs(struct assembler *a, int v, int card)
{
    const struct rule *rule = a->cards[card].rule;
    uint32_t ports[MAX_RULE_OUTPUTS];
    size_t n = rule_outputs(rule, ports, MAX_RULE_OUTPUTS);

    /* What is written to an action set, a later table may replace. */
    if (n > MAX_RULE_OUTPUTS ||
        (rule->is_transit && strstr(rule->actions, "write_actions"))) {
        a->visits[v].is_open = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        switch (ports[i]) {
        case OF_PORT_UNKNOWN:
            break;
        case OF_PORT_ALL:
        case OF_PORT_FLOOD:
            if (!assemble_visit_has_out(a, v, ports[i])) {
                expect_flood(a, v, card, ports[i]);
            }
            break;
        case OF_PORT_IN_PORT:
            if (!assemble_visit_has_out(a, v, a->visits[v].in_port)) {
                expect_out(a, v, card, ports[i]);
            }
            break;
        default:
            expect_out(a, v, card, ports[i]);
            break;
        }
    }
}

/* True when a visit with this card has other tables, before or after, whose
 * outputs neither it nor its rule names. */
static bool
may_have_more(const struct assemble_card *card)
{
    return card->rule && (card->rule->table_id > 0 ||
                          assemble_visit_is_passed_on(card->rule));
}

void
assemble_outs_make(struct assembler *a, int v)
{
    if (a->visits[v].n_cards > 1) {
        assemble_visit_order(a, &a->visits[v]);
    } else {
        a->visits[v].rep = a->visits[v].first_card;
    }

    if (a->visits[v].is_whole) {
        assemble_whole_make_outs(a, v);
        return;
    }
    for (int c = a->visits[v].first_card; c >= 0; c = a->cards[c].next) {
        uint32_t port = a->cards[c].p->out_port;

        if (port != OF_PORT_NONE && !assemble_visit_has_out(a, v, port)) {
            if (assemble_visit_add_out(a, v, port, c) < 0) {
                return;
            }
        }
    }
    for (int c = a->visits[v].first_card; c >= 0; c = a->cards[c].next) {
        if (may_have_more(&a->cards[c])) {
            a->visits[v].is_open = true;
        }
        if (a->cards[c].rule && !has_version_before(a, &a->visits[v], c)) {
            expect_outs(a, v, c);
        }
    }
}
