/* SPDX-License-Identifier: Apache-2.0 */
/* assemble_visit - from postcards to visits: one packet at one switch, once.
 *
 * Postcards with equal (switch, in_port) and different outputs are one visit;
 * an equal output is another visit.  A postcard that is in all the equal of
 * one just before is set aside as a double until links are known.  Where the
 * in_port is not known, every rule makes a visit of its own, and assemble_link
 * merges those that no link asks for. */
#include <config.h>
#include "server/assemble_scratch.h"

#include <stdlib.h>
#include <string.h>

#include "lib/of_port.h"

/* Orders cards so that a visit's stand together, in time order, the same
 * whatever order they came in. */
static int
compare_cards(const void *a_, const void *b_)
{
    const struct assemble_card *card_a = a_;
    const struct assemble_card *card_b = b_;
    const struct postcard *a = card_a->p;
    const struct postcard *b = card_b->p;
    uint16_t min_len;
    int order;

#define ORDER(X, Y)                                                           \
    if ((X) != (Y)) {                                                         \
        return (X) < (Y) ? -1 : 1;                                            \
    }
    ORDER(a->dpid, b->dpid);
    ORDER(card_a->in_port, card_b->in_port);
    ORDER(card_a->flags & POSTCARD_PACKET_OUT,
          card_b->flags & POSTCARD_PACKET_OUT);
    ORDER(a->time_ns, b->time_ns);
    ORDER(a->flags & POSTCARD_CONTINUED, b->flags & POSTCARD_CONTINUED);
    ORDER(a->version, b->version);
    ORDER(a->out_port, b->out_port);
    ORDER(a->flags, b->flags);
#undef ORDER
    min_len = a->caplen < b->caplen ? a->caplen : b->caplen;
    order = min_len ? memcmp(a->header, b->header, min_len) : 0;
    return order ? order : (int) a->caplen - (int) b->caplen;
}

static void
sort_cards(struct assembler *a)
{
    if (a->n_cards > 16) {
        qsort(a->cards, a->n_cards, sizeof *a->cards, compare_cards);
        return;
    }
    for (size_t i = 1; i < a->n_cards; i++) {
        struct assemble_card card = a->cards[i];
        size_t j = i;

        while (j > 0 && compare_cards(&a->cards[j - 1], &card) > 0) {
            a->cards[j] = a->cards[j - 1];
            j--;
        }
        a->cards[j] = card;
    }
}

int
assemble_visit_add(struct assembler *a, uint64_t dpid, uint32_t in_port)
{
    struct assemble_visit *visit;

    if (!assemble_scratch_grow(a, (void **) &a->visits, &a->allocated_visits,
                               a->n_visits, sizeof *a->visits)) {
        return -1;
    }
    visit = &a->visits[a->n_visits];
    *visit = (struct assemble_visit){
        .dpid = dpid,
        .in_port = in_port,
        .first_card = -1,
        .last_card = -1,
        .rep = -1,
        .first_out = -1,
        .parent = -1,
        .parent_branch = -1,
        .first_child = -1,
        .next_sibling = -1,
        .root = (int) a->n_visits,
    };
    return (int) a->n_visits++;
}

int
assemble_visit_add_out(struct assembler *a, int visit, uint32_t port, int card)
{
    struct assemble_out *out;
    int *link = &a->visits[visit].first_out;

    if (!assemble_scratch_grow(a, (void **) &a->outs, &a->allocated_outs,
                               a->n_outs, sizeof *a->outs)) {
        return -1;
    }
    while (*link >= 0) {
        link = &a->outs[*link].next;
    }
    *link = (int) a->n_outs;
    out = &a->outs[a->n_outs];
    *out = (struct assemble_out){.next = -1, .port = port, .card = card};
    return (int) a->n_outs++;
}

bool
assemble_visit_has_out(const struct assembler *a, int v, uint32_t port)
{
    for (int o = a->visits[v].first_out; o >= 0; o = a->outs[o].next) {
        if (a->outs[o].port == port) {
            return true;
        }
    }
    return false;
}

static bool
rule_has_group(const struct rule *rule)
{
    for (size_t i = 0; i < rule->n_steps; i++) {
        if (rule->steps[i].type == STEP_GROUP) {
            return true;
        }
    }
    return false;
}

bool
assemble_visit_is_passed_on(const struct rule *rule)
{
    return rule->is_transit || rule->kind == RULE_GROUP ||
           rule_has_group(rule);
}

bool
assemble_visit_may_share(struct assembler *a, int card_a, int card_b)
{
    const struct rule *x = a->cards[card_a].rule;
    const struct rule *y = a->cards[card_b].rule;

    if (a->cards[card_a].p->version == a->cards[card_b].p->version) {
        /* One rule sees one header. */
        return (a->cards[card_a].flags ^ a->cards[card_b].flags) &
                   POSTCARD_AFTER ||
               assemble_header_is_equal(a->cards[card_a].p,
                                        a->cards[card_b].p);
    }
    if (x && y) {
        if (x->kind == RULE_PACKET_OUT || y->kind == RULE_PACKET_OUT) {
            return true;
        }
        if (x->kind == RULE_GROUP || y->kind == RULE_GROUP) {
            return true;
        }
        /* A packet matches one rule of a table, and one that hands on comes
         * before any other. */
        return x->table_id != y->table_id && (assemble_visit_is_passed_on(x) ||
                                              assemble_visit_is_passed_on(y));
    }
    return assemble_header_of_card(a, card_a)->flow ==
           assemble_header_of_card(a, card_b)->flow;
}

/* True when a packet-out to the switch's own table came between the two
 * times: what was before it is another visit. */
static bool
packet_out_between(const struct assembler *a, const struct postcard *p,
                   const struct postcard *q)
{
    uint64_t from = p->time_ns < q->time_ns ? p->time_ns : q->time_ns;
    uint64_t to = p->time_ns < q->time_ns ? q->time_ns : p->time_ns;

    for (size_t i = 0; i < a->n_cards; i++) {
        const struct postcard *r = a->cards[i].p;

        if (a->cards[i].flags & POSTCARD_PACKET_OUT &&
            r->out_port == OF_PORT_TABLE && r->dpid == p->dpid &&
            r->time_ns > from && r->time_ns <= to) {
            return true;
        }
    }
    return false;
}

/* How well card 'c' would belong to visit 'v': 0 not at all, 2 when one of its
 * postcards has the very header. */
static int
card_fit(struct assembler *a, int v, int c, bool has_packet_outs)
{
    const struct postcard *p = a->cards[c].p;
    int fit = 1;

    if (p->visit || a->visits[v].is_whole) {
        return assemble_whole_fit(a, v, c);
    }
    for (int d = a->visits[v].first_card; d >= 0; d = a->cards[d].next) {
        const struct postcard *q = a->cards[d].p;

        if (p->out_port == q->out_port &&
            (p->version == q->version ||
             (p->out_port != OF_PORT_NONE && p->out_port != OF_PORT_GROUP))) {
            return 0;
        }
        if (!assemble_visit_may_share(a, c, d)) {
            return 0;
        }
        if (has_packet_outs && packet_out_between(a, p, q)) {
            return 0;
        }
        if (fit < 2 && assemble_header_is_equal(p, q)) {
            fit = 2;
        }
    }
    return fit;
}

static bool
is_same_card(const struct postcard *p, const struct postcard *q)
{
    return p->version == q->version && p->out_port == q->out_port &&
           p->flags == q->flags && assemble_header_is_equal(p, q);
}

/* The visit that has the equal of card 'c', which came a moment before; -1
 * when there is none.  Moments add up: of a row of equal postcards all but
 * the first are doubles. */
static int
find_equal(const struct assembler *a, size_t begin, size_t c)
{
    for (size_t d = c; d-- > begin;) {
        const struct assemble_card *other = &a->cards[d];

        if (a->cards[c].p->time_ns - other->p->time_ns >= ASSEMBLE_TWIN_NS) {
            break;
        }
        if (is_same_card(a->cards[c].p, other->p)) {
            return other->double_of;
        }
    }
    return -1;
}

static void
put_card(struct assembler *a, int v, int c)
{
    struct assemble_visit *visit = &a->visits[v];

    a->cards[c].next = -1;
    if (visit->last_card >= 0) {
        a->cards[visit->last_card].next = c;
    } else {
        visit->first_card = c;
        visit->time_ns = a->cards[c].p->time_ns;
    }
    visit->last_card = c;
    visit->n_cards++;
    visit->is_whole |= a->cards[c].p->visit != NULL;
}

/* Puts the cards from 'begin' up to 'end', all of one (switch, in_port), into
 * visits. */
static void
make_visits(struct assembler *a, size_t begin, size_t end,
            bool has_packet_outs)
{
    size_t first_visit = a->n_visits;

    for (size_t c = begin; c < end; c++) {
        const struct postcard *p = a->cards[c].p;
        uint32_t in_port = a->cards[c].in_port;
        bool is_packet_out = a->cards[c].flags & POSTCARD_PACKET_OUT;
        bool is_own =
            !p->visit && (is_packet_out || in_port == OF_PORT_UNKNOWN);
        int best = find_equal(a, begin, c), best_fit = 0;

        if (best >= 0) {
            a->cards[c].is_double = true;
            a->cards[c].double_of = best;
            continue;
        }
        for (size_t v = first_visit; v < a->n_visits; v++) {
            int first = a->visits[v].first_card;
            int fit;

            if (is_own && a->cards[first].p->version != p->version) {
                continue;
            }
            fit = card_fit(a, (int) v, (int) c, has_packet_outs);
            if (fit > best_fit) {
                best = (int) v;
                best_fit = fit;
            }
        }
        if (best < 0) {
            best = assemble_visit_add(a, p->dpid, in_port);
            if (best < 0) {
                return;
            }
            a->visits[best].is_packet_out = is_packet_out;
            a->visits[best].is_in_port_deduced = in_port != p->in_port;
        }
        put_card(a, best, (int) c);
        a->cards[c].double_of = best;
    }
}

bool
assemble_visit_put(struct assembler *a, int v, int c)
{
    if (a->visits[v].first_card >= 0 && !card_fit(a, v, c, false)) {
        return false;
    }
    put_card(a, v, c);
    return true;
}

/* The place of a card in the pipeline, as far as it is known: the action set
 * comes after all tables, whichever wrote it. */
static int
stage_of(const struct assemble_card *card)
{
    if (card->p->visit) {
        return -2;
    }
    if (card->flags & POSTCARD_PACKET_OUT) {
        return -1;
    }
    if (card->rule && card->rule->kind == RULE_GROUP) {
        return 257;
    }
    if (card->flags & POSTCARD_AFTER) {
        return 256;
    }
    return card->rule ? card->rule->table_id : 0;
}

void
assemble_visit_order(struct assembler *a, struct assemble_visit *visit)
{
    int sorted = -1;

    while (visit->first_card >= 0) {
        int c = visit->first_card;
        int *link = &sorted;

        visit->first_card = a->cards[c].next;
        while (*link >= 0 &&
               stage_of(&a->cards[*link]) <= stage_of(&a->cards[c])) {
            link = &a->cards[*link].next;
        }
        a->cards[c].next = *link;
        *link = c;
    }
    visit->first_card = sorted;
    visit->rep = sorted;
    for (int c = sorted; c >= 0; c = a->cards[c].next) {
        visit->last_card = c;
    }
}

void
assemble_visit_merge(struct assembler *a, int into, int from)
{
    struct assemble_visit *to = &a->visits[into];
    struct assemble_visit *visit = &a->visits[from];

    if (visit->first_card >= 0) {
        if (to->last_card >= 0) {
            a->cards[to->last_card].next = visit->first_card;
        } else {
            to->first_card = visit->first_card;
        }
        to->last_card = visit->last_card;
        to->n_cards += visit->n_cards;
        if (!to->time_ns || visit->time_ns < to->time_ns) {
            to->time_ns = visit->time_ns;
        }
    }
    if (visit->first_out >= 0) {
        int *link = &to->first_out;

        while (*link >= 0) {
            link = &a->outs[*link].next;
        }
        *link = visit->first_out;
    }
    for (size_t b = 0; b < a->n_branches; b++) {
        if (a->branches[b].visit == from) {
            a->branches[b].visit = into;
        }
    }
    for (size_t v = 0; v < a->n_visits; v++) {
        if (a->visits[v].parent == from) {
            a->visits[v].parent = into;
        }
    }
    if (to->in_port == OF_PORT_UNKNOWN) {
        to->in_port = visit->in_port;
        to->is_in_port_deduced = visit->is_in_port_deduced;
    }
    to->n_packet_outs += visit->n_packet_outs;
    to->is_open = to->is_open || visit->is_open;
    to->is_whole = to->is_whole || visit->is_whole;
    to->is_metered = to->is_metered || visit->is_metered;
    visit->first_card = visit->last_card = visit->first_out = -1;
    visit->n_cards = 0;
    visit->n_packet_outs = 0;
    visit->is_removed = true;
    visit->root = into;
    assemble_visit_order(a, to);
}

void
assemble_visit_make(struct assembler *a, const struct postcard *const *cards,
                    size_t n)
{
    bool has_packet_outs = false, has_whole = false;

    if (!assemble_scratch_grow(a, (void **) &a->cards, &a->allocated_cards, n,
                               sizeof *a->cards)) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        a->cards[i] = (struct assemble_card){.p = cards[i],
                                             .in_port = cards[i]->in_port,
                                             .flags = cards[i]->flags,
                                             .next = -1};
    }
    a->n_cards = n;
    assemble_blind_load(a);
    sort_cards(a);
    for (size_t i = 0; i < n; i++) {
        const struct postcard *p = a->cards[i].p;

        if (a->cards[i].flags & POSTCARD_PACKET_OUT) {
            has_packet_outs = true;
        }
        has_whole |= p->visit != NULL;
        if (p->visit) {
            continue; /* Names several rules, or none. */
        }
        if (i && !a->cards[i - 1].p->visit &&
            a->cards[i - 1].p->dpid == p->dpid &&
            a->cards[i - 1].p->version == p->version) {
            a->cards[i].rule = a->cards[i - 1].rule;
        } else if (a->env->find_rule) {
            a->cards[i].rule =
                a->env->find_rule(a->env->aux, p->dpid, p->version);
        }
    }
    for (size_t begin = 0; begin < n;) {
        const struct postcard *p = a->cards[begin].p;
        size_t end = begin + 1;

        while (end < n && a->cards[end].p->dpid == p->dpid &&
               a->cards[end].in_port == a->cards[begin].in_port &&
               !((a->cards[end].flags ^ a->cards[begin].flags) &
                 POSTCARD_PACKET_OUT)) {
            end++;
        }
        make_visits(a, begin, end, has_packet_outs);
        if (a->is_short_of_memory) {
            return;
        }
        begin = end;
    }
    for (size_t v = 0; v < a->n_visits; v++) {
        assemble_outs_make(a, (int) v);
    }
    if (has_whole) {
        assemble_whole_join_passes(a);
    }
}
