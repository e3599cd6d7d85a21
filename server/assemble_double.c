/* SPDX-License-Identifier: Apache-2.0 */
/* assemble_double - postcards that equal another to the last byte, a moment
 * later.
 *
 * Where a link leads to their (switch, in_port) and nobody came by it, they
 * are another visit of the packet: it goes round in a loop, or two branches
 * of a flood met.  Otherwise the network doubled them. */
#include <config.h>
#include "server/assemble_scratch.h"

#include <stdlib.h>

#include "lib/of_port.h"

/* The untaken branch that card 'c' may have come by, the last before it; -1
 * when there is none.  Nothing that a controller sends comes by one. */
static int
find_branch(struct assembler *a, int c)
{
    const struct postcard *p = a->cards[c].p;
    int best = -1;
    uint64_t best_ns = 0;

    if (a->visits[a->cards[c].double_of].is_packet_out) {
        return -1;
    }
    for (size_t b = 0; b < a->n_branches; b++) {
        const struct assemble_branch *branch = &a->branches[b];
        uint64_t sent_ns = a->visits[branch->visit].time_ns;

        if (branch->child < 0 && branch->peer_dpid == p->dpid &&
            (branch->peer_port == a->cards[c].in_port ||
             a->cards[c].in_port == OF_PORT_UNKNOWN) &&
            !branch->is_soft && !branch->is_other && sent_ns <= p->time_ns &&
            sent_ns >= best_ns && !assemble_link_is_backward(a, branch) &&
            assemble_header_fit(a, branch->out, a->cards[c].double_of) >=
                ASSEMBLE_FIT_FLOW) {
            best = (int) b;
            best_ns = sent_ns;
        }
    }
    return best;
}

/* Makes the double 'c' and those after it that belong to the same visit a
 * visit, if a link asks for one. */
static bool
make_visit(struct assembler *a, const int *doubles, size_t i, size_t n)
{
    int c = doubles[i];
    int branch = find_branch(a, c);
    int v;

    if (branch < 0) {
        return false;
    }
    v = assemble_visit_add(a, a->cards[c].p->dpid, a->cards[c].in_port);
    if (v < 0) {
        return false;
    }
    for (size_t k = i; k < n; k++) {
        struct assemble_card *card = &a->cards[doubles[k]];

        if (card->is_double && card->double_of == a->cards[c].double_of &&
            card->p->time_ns - a->cards[c].p->time_ns < ASSEMBLE_TWIN_NS &&
            assemble_visit_put(a, v, doubles[k])) {
            card->is_double = k == i; /* The first till all are in. */
        }
    }
    a->cards[c].is_double = false;
    assemble_outs_make(a, v);
    for (int o = a->visits[v].first_out; o >= 0; o = a->outs[o].next) {
        assemble_link_add_branches(a, v, o);
    }
    assemble_link_join(a, a->branches[branch].visit, branch, v);
    return true;
}

static int
compare_times(const struct assembler *a, int c, int d)
{
    uint64_t x = a->cards[c].p->time_ns;
    uint64_t y = a->cards[d].p->time_ns;

    return x != y ? (x < y ? -1 : 1) : c - d;
}

/* True when every visit has a double: then it may be another packet. */
static bool
is_whole_packet(const struct assembler *a)
{
    size_t n_visits = 0;

    for (size_t v = 0; v < a->n_visits; v++) {
        bool has_double = false;

        for (size_t c = 0; c < a->n_cards && !has_double; c++) {
            has_double =
                a->cards[c].is_double && a->cards[c].double_of == (int) v;
        }
        if (!has_double && !a->visits[v].is_removed) {
            return false;
        }
        n_visits++;
    }
    return n_visits > 1;
}

void
assemble_double_settle(struct assembler *a)
{
    int doubles[ASSEMBLE_MAX];
    size_t n = 0, n_left = 0;

    for (size_t c = 0; c < a->n_cards; c++) {
        if (a->cards[c].is_double) {
            size_t i = n++;

            while (i > 0 && compare_times(a, doubles[i - 1], (int) c) > 0) {
                doubles[i] = doubles[i - 1];
                i--;
            }
            doubles[i] = (int) c;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (a->cards[doubles[i]].is_double && !make_visit(a, doubles, i, n)) {
            n_left++;
        }
    }
    if (n_left) {
        *(is_whole_packet(a) ? &a->n_ambiguous : &a->n_duplicates) = n_left;
    }
}
