/* SPDX-License-Identifier: Apache-2.0 */
/* assemble_whole - visits of switches that know them: one postcard tells every
 * output, the rules in order, and why the packet was dropped.
 *
 * A switch looks at a packet anew after recirculation; each pass has a
 * postcard, and a visit is all of them.  A meter that drops a packet says so
 * in one more. */
#include <config.h>
#include "server/assemble_scratch.h"

#include <string.h>

#include "lib/hop_template.h"
#include "lib/of_port.h"

/* A header may grow by this much in a rule (tags and labels pushed). */
#define MAX_GROWTH 64

static bool
has_output(const struct hop_template *t, uint32_t port)
{
    const struct hop_output *outputs = hop_template_outputs(t);

    for (size_t i = 0; i < t->n_outputs; i++) {
        if (outputs[i].port == port) {
            return true;
        }
    }
    return false;
}

/* True when a stock postcard with that output may be of the same visit: rules
 * carried both kinds when they changed from one to the other. */
static bool
tells_too(const struct hop_template *t, uint32_t port)
{
    return port >= OF_PORT_GROUP || has_output(t, port);
}

/* How many passes of the visit are announced and not there; '*n_passesp' is
 * how many there are. */
static int
count_passes_due(const struct assembler *a, const struct assemble_visit *visit,
                 int *n_passesp)
{
    int due = 0;

    *n_passesp = 0;
    for (int c = visit->first_card; c >= 0; c = a->cards[c].next) {
        uint8_t flags = a->cards[c].flags;

        if (a->cards[c].p->visit && !(flags & POSTCARD_DROPPED)) {
            *n_passesp += 1;
            due += !!(flags & POSTCARD_CONTINUES) -
                   !!(flags & POSTCARD_CONTINUED);
        }
    }
    return due;
}

/* The drop of a packet whose visit is 'v'. */
static bool
is_drop_of(const struct assembler *a, const struct assemble_visit *visit,
           const struct postcard *p)
{
    bool has_template = false;

    for (int c = visit->first_card; c >= 0; c = a->cards[c].next) {
        const struct postcard *q = a->cards[c].p;

        if (q->visit && q->version == p->version &&
            q->out_port == p->out_port) {
            if (q->flags & POSTCARD_DROPPED) {
                return false;
            }
            has_template = true;
        }
    }
    return has_template;
}

int
assemble_whole_fit(const struct assembler *a, int v, int c)
{
    const struct assemble_visit *visit = &a->visits[v];
    const struct postcard *p = a->cards[c].p;
    int n_passes, due;

    if (!p->visit || !visit->is_whole) {
        for (int d = visit->first_card; d >= 0; d = a->cards[d].next) {
            const struct postcard *q = a->cards[d].p;

            if (p->visit ? !tells_too(p->visit, q->out_port)
                         : q->visit && !tells_too(q->visit, p->out_port)) {
                return 0;
            }
        }
        return !p->visit || !(p->flags & POSTCARD_CONTINUED);
    }
    if (p->flags & POSTCARD_DROPPED) {
        return is_drop_of(a, visit, p) ? 2 : 0;
    }
    if (!(p->flags & POSTCARD_CONTINUED)) {
        return 0;
    }
    due = count_passes_due(a, visit, &n_passes);
    return due > 0 ? 2 : n_passes > 1;
}

void
assemble_whole_make_outs(struct assembler *a, int v)
{
    int n_passes;

    for (int c = a->visits[v].first_card; c >= 0; c = a->cards[c].next) {
        const struct hop_template *t = a->cards[c].p->visit;
        const struct hop_output *outputs = t ? hop_template_outputs(t) : NULL;

        a->visits[v].is_metered |= !!(a->cards[c].flags & POSTCARD_DROPPED);
        for (size_t i = 0; t && i < t->n_outputs; i++) {
            uint32_t port = outputs[i].port;
            int o;

            if (port == a->visits[v].in_port) {
                port = OF_PORT_IN_PORT;
            }
            /* A mirror's copy is not where the packet went. */
            if (outputs[i].flags & HOP_OUTPUT_MIRROR ||
                assemble_visit_has_out(a, v, port)) {
                continue;
            }
            o = assemble_visit_add_out(a, v, port, c);
            if (o < 0) {
                return;
            }
            a->outs[o].is_maybe = outputs[i].flags & HOP_OUTPUT_MAYBE;
        }
    }
    a->visits[v].n_passes_due = count_passes_due(a, &a->visits[v], &n_passes);
    a->visits[v].is_open = a->visits[v].n_passes_due != 0;
}

void
assemble_whole_join_passes(struct assembler *a)
{
    for (size_t v = 0; v < a->n_visits; v++) {
        const struct assemble_visit *late = &a->visits[v];
        int best = -1;

        if (!late->is_whole || late->is_removed || late->n_passes_due >= 0) {
            continue;
        }
        for (size_t w = 0; w < a->n_visits; w++) {
            const struct assemble_visit *first = &a->visits[w];

            if (first->is_whole && !first->is_removed &&
                first->dpid == late->dpid && first->n_passes_due > 0 &&
                (first->is_packet_out || first->in_port == OF_PORT_UNKNOWN) &&
                first->time_ns <= late->time_ns &&
                (best < 0 || first->time_ns > a->visits[best].time_ns)) {
                best = (int) w;
            }
        }
        if (best >= 0) {
            assemble_visit_merge(a, best, (int) v);
            a->visits[best].n_passes_due += late->n_passes_due;
            a->visits[best].is_open = a->visits[best].n_passes_due != 0;
        }
    }
}

/* --- Headers. -------------------------------------------------------------
 */

static bool
is_rewritten(const struct assembler *a, const struct assemble_out *out)
{
    const struct assemble_card *card = &a->cards[out->card];
    const struct hop_template *t = card->p->visit;
    const struct hop_output *outputs = hop_template_outputs(t);
    uint32_t port = out->port == OF_PORT_IN_PORT ? card->in_port : out->port;

    for (size_t i = 0; i < t->n_outputs; i++) {
        if (outputs[i].port == port &&
            outputs[i].flags & HOP_OUTPUT_REWRITTEN) {
            return true;
        }
    }
    return false;
}

/* A rule that only edits and hands on, in its place. */
static bool
is_plain_transit(const struct rule *rule)
{
    uint32_t port;

    for (size_t i = 0; i < rule->n_steps; i++) {
        if (rule->steps[i].type == STEP_GROUP) {
            return false;
        }
    }
    return rule->is_transit && !rule_outputs(rule, &port, 1) &&
           !strstr(rule->actions, "write_actions") &&
           !strstr(rule->actions, "resubmit") &&
           !strstr(rule->actions, "clone");
}

/* Which output of the last rule led to 'port'; -1 when none surely did. */
static int
find_output(const struct rule *rule, uint32_t port, uint32_t in_port)
{
    int n = 0, found = -1;

    if (rule->is_transit) {
        return -1;
    }
    for (size_t i = 0; i < rule->n_steps; i++) {
        const struct step *step = &rule->steps[i];

        if (step->type == STEP_GROUP) {
            return -1;
        }
        if (step->type != STEP_OUTPUT) {
            continue;
        }
        if (step->port == port || step->port >= OF_PORT_GROUP) {
            bool is_named = step->port == port ||
                            (step->port == OF_PORT_IN_PORT && port == in_port);

            if (is_named) {
                return n;
            }
            found = step->port != OF_PORT_CONTROLLER &&
                            step->port != OF_PORT_LOCAL && found < 0
                        ? n
                        : found;
        }
        n++;
    }
    return found;
}

/* The header as the rules of the trail made it. */
static void
apply_trail(struct assembler *a, struct assemble_out *out)
{
    const struct assemble_card *card = &a->cards[out->card];
    const struct hop_template *t = card->p->visit;
    const struct hop_trail *trail = hop_template_trail(t);
    size_t size = (size_t) card->p->caplen + MAX_GROWTH;
    uint8_t *to = a->bytes + a->n_bytes, *other = to + size;
    const uint8_t *from = card->p->header;
    size_t len = card->p->caplen;

    for (size_t i = 0; i < t->n_trail; i++) {
        bool is_last = i + 1 == t->n_trail;
        const struct rule *rule =
            trail[i].flags & HOP_TRAIL_VERSION && a->env->find_rule
                ? a->env->find_rule(a->env->aux, card->p->dpid,
                                    trail[i].version)
                : NULL;
        int n = -1;

        if (!rule) {
            a->is_short_of_rules |= a->env->find_rule != NULL &&
                                    trail[i].flags & HOP_TRAIL_VERSION;
            return;
        }
        if (is_last) {
            n = find_output(rule, out->port, card->in_port);
        }
        if ((is_last ? n < 0 : !is_plain_transit(rule)) ||
            rule_apply(rule, (size_t) n, from, len, other, size, &len) !=
                RULE_APPLY_OK) {
            return;
        }
        memcpy(to, other, len);
        from = to;
    }
    if (from == to) {
        out->header_len = len;
        out->state = ASSEMBLE_HEADER_KNOWN;
    }
}

void
assemble_whole_compute_out(struct assembler *a, struct assemble_out *out)
{
    const struct assemble_card *card = &a->cards[out->card];
    size_t size = 2 * ((size_t) card->p->caplen + MAX_GROWTH);

    if (!card->p->caplen ||
        !assemble_scratch_grow(a, (void **) &a->bytes, &a->allocated_bytes,
                               a->n_bytes + size, 1)) {
        return;
    }
    out->header_ofs = a->n_bytes;
    if (!is_rewritten(a, out)) {
        memcpy(a->bytes + a->n_bytes, card->p->header, card->p->caplen);
        out->header_len = card->p->caplen;
        out->state = ASSEMBLE_HEADER_KNOWN;
    } else {
        apply_trail(a, out);
    }
}

/* --- What is said of it. --------------------------------------------------
 */

bool
assemble_whole_is_sent(const struct assembler *a,
                       const struct assemble_visit *visit, int o)
{
    if (!visit->is_metered) {
        return true;
    }
    for (int b = a->outs[o].first_branch; b >= 0; b = a->branches[b].next) {
        if (a->branches[b].child >= 0) {
            return true;
        }
    }
    return false;
}

/* True when a rule that the card names, or one that is not known, sends to the
 * controller. */
static bool
may_punt(const struct assembler *a, int c)
{
    const struct hop_template *t = a->cards[c].p->visit;
    const struct hop_trail *trail = t ? hop_template_trail(t) : NULL;

    for (size_t i = 0; t && i < t->n_trail; i++) {
        const struct rule *rule =
            trail[i].flags & HOP_TRAIL_VERSION && a->env->find_rule
                ? a->env->find_rule(a->env->aux, t->dpid, trail[i].version)
                : NULL;

        if (!rule) {
            return true;
        }
        for (size_t k = 0; k < rule->n_steps; k++) {
            if (rule->steps[k].type == STEP_GROUP ||
                rule->steps[k].type == STEP_UNKNOWN ||
                (rule->steps[k].type == STEP_OUTPUT &&
                 rule->steps[k].port == OF_PORT_CONTROLLER)) {
                return true;
            }
        }
    }
    return false;
}

bool
assemble_whole_has_died(struct assembler *a,
                        const struct assemble_visit *visit)
{
    const struct assemble_brief *brief;
    bool may = false;

    if (!visit->is_whole || visit->first_out < 0 || visit->rep < 0 ||
        visit->n_packet_outs) {
        return false;
    }
    for (int o = visit->first_out; o >= 0; o = a->outs[o].next) {
        if (a->outs[o].port != OF_PORT_CONTROLLER) {
            return false;
        }
    }
    brief = assemble_header_of_card(a, visit->rep);
    if (!brief->has_ttl || brief->ttl > 1) {
        return false;
    }
    for (int c = visit->first_card; c >= 0 && !may; c = a->cards[c].next) {
        may = may_punt(a, c);
    }
    return !may;
}

void
assemble_whole_add_versions(const struct assembler *a,
                            const struct assemble_visit *visit,
                            struct history_hop *hop)
{
    for (int c = visit->first_card; c >= 0; c = a->cards[c].next) {
        const struct hop_template *t = a->cards[c].p->visit;
        const struct hop_trail *trail = t ? hop_template_trail(t) : NULL;

        for (size_t i = 0; t && i < t->n_trail; i++) {
            if (trail[i].flags & HOP_TRAIL_VERSION) {
                history_hop_add_version(hop, trail[i].version);
            }
        }
    }
}

void
assemble_whole_set_dropped(const struct assembler *a,
                           const struct assemble_visit *visit, uint32_t port,
                           const char *reason, struct verdict *verdict)
{
    bool is_miss = false, has_version = false;
    const char *own = NULL;
    uint32_t version = 0;

    for (int c = visit->first_card; c >= 0; c = a->cards[c].next) {
        const struct hop_template *t = a->cards[c].p->visit;
        const struct hop_trail *trail = t ? hop_template_trail(t) : NULL;

        for (size_t i = 0; t && i < t->n_trail; i++) {
            is_miss = trail[i].flags & HOP_TRAIL_MISS;
            if (trail[i].flags & HOP_TRAIL_VERSION) {
                has_version = true;
                version = trail[i].version;
            }
        }
        if (t && t->reason_len) {
            own = hop_template_reason(t);
        }
    }
    if (visit->is_metered) {
        reason = "meter";
    } else if (!reason) {
        reason = own ? own : is_miss ? "table miss" : "no output";
    }
    verdict_set(verdict, VERDICT_DROPPED, visit->dpid, port, reason);
    verdict->has_version = has_version;
    verdict->version = version;
}

enum assemble_state
assemble_whole_state(struct assembler *a, const struct assemble_visit *visit)
{
    enum assemble_state state = ASSEMBLE_COMPLETE;

    if (visit->n_passes_due) {
        return ASSEMBLE_PARTIAL;
    }
    a->is_short_of_rules = false;
    for (int o = visit->first_out; o >= 0; o = a->outs[o].next) {
        assemble_header_of_out(a, o);
    }
    if (a->is_short_of_rules) {
        return ASSEMBLE_WAITS_RULE;
    }
    for (int c = visit->first_card; c >= 0; c = a->cards[c].next) {
        if (a->cards[c].p->visit && a->cards[c].p->visit->flags & HOP_METER &&
            !visit->is_metered) {
            state = ASSEMBLE_SETTLING; /* It may have dropped it. */
        }
    }
    return state;
}
