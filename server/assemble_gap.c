/* SPDX-License-Identifier: Apache-2.0 */
/* assemble_gap - joins trees across postcards that never came.
 *
 * A visit that came in by a link although nobody sent it there is an orphan:
 * the postcard before it is missing.  In this order:
 *
 *   - it went to the controller from the same port: the packet-out is missing;
 *   - the switch before was seen, but not what its last table or the group
 *     did: that was to send it here;
 *   - one hop is missing, and just one output leads to that switch: the hop is
 *     deduced, with both its ports;
 *   - the output before is there, but the TTL fell too far: whole rounds of a
 *     loop are missing;
 *   - several hops are missing, and one way leads across: all are deduced;
 *     several ways: the gap is marked at the orphan;
 *   - several outputs could have led to it: it follows the last hop that is
 *     before all of them, with a gap;
 *   - several orphans that came from one switch: that switch is their root;
 *   - nothing leads to it: it is a root with a gap before it. */
#include <config.h>
#include "server/assemble_scratch.h"

#include <stdlib.h>
#include <string.h>

#include "lib/of_port.h"

/* By so much clocks may differ from switch to switch. */
#define CLOCKS_NS 1000000

bool
assemble_gap_is_orphan(const struct assembler *a, int v)
{
    const struct assemble_visit *visit = &a->visits[v];

    return !visit->is_removed && visit->parent < 0 &&
           !assemble_link_is_start(a, v);
}

/* True for a root that may as well have come from another switch: its in_port
 * is not known. */
static bool
is_blind_root(const struct assembler *a, int v)
{
    const struct assemble_visit *visit = &a->visits[v];

    return !visit->is_removed && visit->parent < 0 && !visit->is_packet_out &&
           !visit->is_deduced && visit->in_port == OF_PORT_UNKNOWN;
}

uint64_t
assemble_gap_rank(struct assembler *a, int v, size_t b, int n_missing)
{
    const struct assemble_branch *branch = &a->branches[b];
    uint64_t apart = assemble_link_apart(a, v, branch->visit);
    bool same_flow, is_forward;
    int fall;

    if (branch->child >= 0 || a->visits[branch->visit].is_removed ||
        assemble_link_is_backward(a, branch) ||
        assemble_link_root(a, branch->visit) == v ||
        !assemble_header_fall(a, branch->out, v, &fall, &same_flow) ||
        (n_missing >= 0 && fall > n_missing)) {
        return 0;
    }
    is_forward = a->visits[branch->visit].time_ns <= a->visits[v].time_ns;
    return (uint64_t) same_flow << 62 | (uint64_t) !branch->is_soft << 61 |
           (uint64_t) is_forward << 60 | (uint64_t) (255 - fall) << 50 |
           ((1ULL << 49) - (apart < 1ULL << 49 ? apart : (1ULL << 49) - 1));
}

/* What of a rank is more than nearness in time. */
static uint64_t
rank_class(uint64_t r)
{
    return r >> 50;
}

int
assemble_gap_deduce(struct assembler *a, uint64_t dpid, uint32_t in_port,
                    uint32_t port, int *branchp)
{
    int v = assemble_visit_add(a, dpid, in_port);
    int out = v >= 0 ? assemble_visit_add_out(a, v, port, -1) : -1;

    if (out < 0) {
        return -1;
    }
    a->visits[v].is_deduced = true;
    *branchp = (int) a->n_branches;
    assemble_link_add_branches(a, v, out);
    return a->n_branches > (size_t) *branchp ? v : -1;
}

/* Gives a deduced or open visit 'v' one more output that 'child' proves. */
static void
prove_out(struct assembler *a, int v, uint32_t port, int child)
{
    int out = assemble_visit_add_out(a, v, port, -1);
    size_t branch = a->n_branches;

    if (out >= 0) {
        assemble_link_add_branches(a, v, out);
        if (a->n_branches > branch) {
            assemble_link_join(a, v, (int) branch, child);
        }
    }
}

/* The best branch onto a link to switch 'dpid' that 'v' may continue after one
 * missing hop; -1 when there is none, or two through different ports that
 * nothing tells apart. */
static int
find_branch_to(struct assembler *a, int v, uint64_t dpid, uint64_t *rankp)
{
    int best = -1;
    bool is_ambiguous = false;
    uint64_t best_rank = 0;

    for (size_t b = 0; b < a->n_branches; b++) {
        uint64_t r;

        if (a->branches[b].peer_dpid != dpid) {
            continue;
        }
        r = assemble_gap_rank(a, v, b, 1);
        if (!r) {
            continue;
        }
        if (best >= 0 && rank_class(r) == rank_class(best_rank) &&
            a->branches[b].peer_port != a->branches[best].peer_port) {
            is_ambiguous = true;
        }
        if (r > best_rank) {
            is_ambiguous =
                is_ambiguous && rank_class(r) == rank_class(best_rank);
            best = (int) b;
            best_rank = r;
        }
    }
    *rankp = best_rank;
    return is_ambiguous ? -1 : best;
}

/* Another orphan already made us deduce the hop before 'v'. */
static bool
join_deduced(struct assembler *a, int v, uint64_t dpid, uint32_t port)
{
    for (size_t w = 0; w < a->n_visits; w++) {
        const struct assemble_visit *before = &a->visits[w];
        int fall;
        bool same_flow;

        if (before->is_deduced && !before->is_removed &&
            before->dpid == dpid && before->in_port != port &&
            before->parent_branch >= 0 &&
            !assemble_visit_has_out(a, (int) w, port) &&
            assemble_link_root(a, (int) w) != v &&
            assemble_header_fall(a, a->branches[before->parent_branch].out, v,
                                 &fall, &same_flow) &&
            fall <= 1) {
            prove_out(a, (int) w, port, v);
            return true;
        }
    }
    return false;
}

/* True when it may as well be the other way round: nobody saw where the tree
 * of branch 'before' began, and 'v' led somewhere from where the packet may
 * have come to that root.  So little time lies between that clocks which
 * differ may have it wrong. */
static bool
may_be_turned_round(struct assembler *a, int v, int before)
{
    int root = assemble_link_root(a, a->branches[before].visit);

    if (!assemble_gap_is_orphan(a, root) ||
        assemble_link_apart(a, v, a->branches[before].visit) >= CLOCKS_NS) {
        return false;
    }
    for (size_t b = 0; b < a->n_branches; b++) {
        const struct assemble_branch *branch = &a->branches[b];

        if (assemble_link_root(a, branch->visit) == v &&
            assemble_gap_rank(a, root, b, -1)) {
            return true;
        }
    }
    return false;
}

/* One hop is missing before 'v', which came from (dpid, port).  What came
 * later than 'v' did not lead to it: a packet may pass a switch twice. */
static bool
join_by_one_hop(struct assembler *a, int v, uint64_t dpid, uint32_t port)
{
    uint64_t r;
    int before = find_branch_to(a, v, dpid, &r);
    int deduced, branch;

    if (before < 0 || a->branches[before].peer_port == port ||
        !(r >> 60 & 1) || may_be_turned_round(a, v, before)) {
        return false;
    }
    deduced = assemble_gap_deduce(a, dpid, a->branches[before].peer_port, port,
                                  &branch);
    if (deduced < 0) {
        return false;
    }
    assemble_link_join(a, a->branches[before].visit, before, deduced);
    assemble_link_join(a, deduced, branch, v);
    return true;
}

/* True when some output of the visit must be missing: what was seen only says
 * that a table or a group does the rest. */
static bool
is_unresolved(const struct assembler *a, const struct assemble_visit *visit)
{
    if (visit->is_whole) {
        return visit->n_passes_due != 0;
    }
    for (int c = visit->first_card; c >= 0; c = a->cards[c].next) {
        const struct assemble_card *card = &a->cards[c];

        if (card->p->out_port != OF_PORT_TABLE &&
            card->p->out_port != OF_PORT_GROUP &&
            (!card->rule || !card->rule->is_transit)) {
            return false;
        }
    }
    return visit->first_card >= 0;
}

/* The postcard of one output of an observed visit is missing. */
static bool
join_by_open_visit(struct assembler *a, int v, uint64_t dpid, uint32_t port)
{
    int best = -1;
    uint64_t best_apart = 0;
    bool best_is_forward = false;

    for (size_t w = 0; w < a->n_visits; w++) {
        const struct assemble_visit *before = &a->visits[w];
        const struct assemble_brief *x, *y;
        uint64_t apart = assemble_link_apart(a, v, (int) w);
        bool is_forward = before->time_ns <= a->visits[v].time_ns;

        if (before->is_removed || before->dpid != dpid ||
            !is_unresolved(a, before) || (before->is_whole && !is_forward) ||
            (before->in_port == port && !before->is_packet_out) ||
            assemble_visit_has_out(a, (int) w, port) ||
            assemble_link_root(a, (int) w) == v) {
            continue;
        }
        x = assemble_header_of_card(a, before->rep);
        y = assemble_header_of_card(a, a->visits[v].rep);
        if (x->has_ttl && y->has_ttl &&
            (y->ttl > x->ttl || y->ttl + 2 < x->ttl)) {
            continue;
        }
        if (best < 0 || is_forward > best_is_forward ||
            (is_forward == best_is_forward && apart < best_apart)) {
            best = (int) w;
            best_apart = apart;
            best_is_forward = is_forward;
        }
    }
    if (best < 0) {
        return false;
    }
    prove_out(a, best, port, v);
    return a->visits[v].parent >= 0;
}

/* The output before is there, but rounds of a loop lie between. */
static bool
join_by_rounds(struct assembler *a, int v)
{
    const struct assemble_visit *visit = &a->visits[v];
    uint64_t best_rank = 0;
    int best = -1;

    for (size_t b = 0; b < a->n_branches; b++) {
        uint64_t r;

        if (a->branches[b].peer_dpid != visit->dpid ||
            a->branches[b].peer_port != visit->in_port) {
            continue;
        }
        r = assemble_gap_rank(a, v, b, -1);
        if (r > best_rank && assemble_header_fit(a, a->branches[b].out, v) ==
                                 ASSEMBLE_FIT_LATER) {
            best = (int) b;
            best_rank = r;
        }
    }
    if (best < 0) {
        return false;
    }
    assemble_link_join(a, a->branches[best].visit, best, v);
    a->visits[v].has_gap_before = true;
    return true;
}

/* The very packet went to the controller from this port, and what it sent back
 * through the tables is seen, though not its packet-out. */
static bool
join_by_packet_in(struct assembler *a, int v)
{
    const struct assemble_visit *visit = &a->visits[v];
    int best = -1;

    if (visit->is_removed || visit->is_packet_out || visit->is_deduced ||
        visit->parent >= 0 || visit->in_port == OF_PORT_UNKNOWN ||
        assemble_visit_has_out(a, v, OF_PORT_CONTROLLER)) {
        return false;
    }
    for (size_t w = 0; w < a->n_visits; w++) {
        const struct assemble_visit *in = &a->visits[w];

        if (!in->is_removed && in->dpid == visit->dpid &&
            in->in_port == visit->in_port && in->rep >= 0 &&
            in->time_ns <= visit->time_ns && !in->n_packet_outs &&
            assemble_visit_has_out(a, (int) w, OF_PORT_CONTROLLER) &&
            assemble_link_root(a, (int) w) != v &&
            assemble_header_is_equal(a->cards[in->rep].p,
                                     a->cards[visit->rep].p) &&
            (best < 0 || in->time_ns > a->visits[best].time_ns)) {
            best = (int) w;
        }
    }
    if (best < 0) {
        return false;
    }
    assemble_link_join(a, best, -1, v);
    a->visits[best].n_packet_outs++;
    a->visits[v].is_packet_out = true;
    a->visits[v].has_gap_before = true;
    return true;
}

/* A root without in_port: the one link by which it can have come after one
 * missing hop, if there is just one. */
static void
join_blind_root(struct assembler *a, int v)
{
    const struct topology_switch *sw =
        topology_find(a->env->topology, a->visits[v].dpid);
    const struct topology_port *found = NULL;
    uint64_t best_rank = 0;

    for (size_t i = 0; sw && i < sw->n_ports; i++) {
        const struct topology_port *port = &sw->ports[i];
        uint64_t r;

        if (port->has_peer && find_branch_to(a, v, port->peer_dpid, &r) >= 0 &&
            r > best_rank) {
            if (found && rank_class(r) == rank_class(best_rank)) {
                return;
            }
            found = port;
            best_rank = r;
        }
    }
    /* It may as well be where the packet came in: the same addresses, and
     * later, or nothing. */
    if (found && (rank_class(best_rank) & 0x1400) == 0x1400) {
        join_by_one_hop(a, v, found->peer_dpid, found->peer_port);
    }
}

/* --- Several missing hops. ------------------------------------------------
 */

/* Orphans that came from one switch, each by another port: that switch is
 * their root, though nobody saw it. */
static void
join_siblings(struct assembler *a, int v, size_t n_visits)
{
    const struct assemble_brief *x, *y;
    uint64_t dpid, other_dpid;
    uint32_t port, other_port;
    int root = -1, branch;

    if (!topology_peer(a->env->topology, a->visits[v].dpid,
                       a->visits[v].in_port, &dpid, &port)) {
        return;
    }
    x = assemble_header_of_card(a, a->visits[v].rep);
    for (size_t w = 0; w < n_visits; w++) {
        if ((int) w == v || !assemble_gap_is_orphan(a, (int) w) ||
            a->visits[w].is_packet_out ||
            !topology_peer(a->env->topology, a->visits[w].dpid,
                           a->visits[w].in_port, &other_dpid, &other_port) ||
            other_dpid != dpid || other_port == port ||
            (root >= 0 && assemble_visit_has_out(a, root, other_port))) {
            continue;
        }
        y = assemble_header_of_card(a, a->visits[w].rep);
        if (x->flow != y->flow || x->ttl != y->ttl) {
            continue;
        }
        if (root < 0) {
            root =
                assemble_gap_deduce(a, dpid, OF_PORT_UNKNOWN, port, &branch);
            if (root < 0) {
                return;
            }
            a->visits[root].has_gap_before = true;
            assemble_link_join(a, root, branch, v);
        }
        prove_out(a, root, other_port, (int) w);
    }
}

static int
compare_by_time(const struct assembler *a, int v, int w)
{
    uint64_t x = a->visits[v].time_ns;
    uint64_t y = a->visits[w].time_ns;

    return x != y ? (x < y ? -1 : 1) : v - w;
}

size_t
assemble_gap_list_orphans(const struct assembler *a, int *orphans)
{
    size_t n = 0;

    for (size_t v = 0; v < a->n_visits && n < ASSEMBLE_MAX; v++) {
        if (assemble_gap_is_orphan(a, (int) v) || is_blind_root(a, (int) v)) {
            size_t i = n++;

            while (i > 0 && compare_by_time(a, orphans[i - 1], (int) v) > 0) {
                orphans[i] = orphans[i - 1];
                i--;
            }
            orphans[i] = (int) v;
        }
    }
    return n;
}

/* A hop that was deduced since may be the one before 'v'. */
static void
join_late(struct assembler *a, int v)
{
    uint64_t dpid;
    uint32_t port;

    if (assemble_gap_is_orphan(a, v) &&
        topology_peer(a->env->topology, a->visits[v].dpid,
                      a->visits[v].in_port, &dpid, &port)) {
        join_deduced(a, v, dpid, port);
    }
}

/* Joins 'v' across one missing postcard or rounds of a loop. */
static void
join_nearby(struct assembler *a, int v)
{
    uint64_t dpid;
    uint32_t port;

    if (is_blind_root(a, v)) {
        join_blind_root(a, v);
    } else if (assemble_gap_is_orphan(a, v) &&
               topology_peer(a->env->topology, a->visits[v].dpid,
                             a->visits[v].in_port, &dpid, &port) &&
               !join_by_open_visit(a, v, dpid, port) &&
               !join_deduced(a, v, dpid, port) &&
               !join_by_one_hop(a, v, dpid, port)) {
        join_by_rounds(a, v);
    }
}

bool
assemble_gap_is_sure(const struct assembler *a)
{
    bool has_orphan = false;

    for (size_t v = 0; v < a->n_visits && a->env->topology; v++) {
        const struct assemble_visit *visit = &a->visits[v];

        if (visit->is_removed) {
            continue;
        }
        if (visit->in_port == OF_PORT_UNKNOWN || is_unresolved(a, visit)) {
            return false;
        }
        has_orphan |= assemble_gap_is_orphan(a, (int) v);
    }
    return has_orphan;
}

static void
mark_orphans(struct assembler *a, size_t n_visits)
{
    for (size_t v = 0; v < n_visits; v++) {
        if (assemble_gap_is_orphan(a, (int) v)) {
            a->visits[v].has_gap_before = true;
        }
    }
}

void
assemble_gap_close(struct assembler *a)
{
    int orphans[ASSEMBLE_MAX];
    size_t n_orphans, n_visits = a->n_visits;

    if (a->is_short_of_memory) {
        return;
    }
    for (size_t v = 0; v < n_visits; v++) {
        join_by_packet_in(a, (int) v);
    }
    n_orphans = a->env->topology ? assemble_gap_list_orphans(a, orphans) : 0;
    if (!n_orphans) {
        return;
    }
    if (a->env->span) {
        /* Links changed: there is more than one possibility. */
        mark_orphans(a, n_visits);
        return;
    }
    for (size_t i = 0; i < n_orphans; i++) {
        join_nearby(a, orphans[i]);
    }
    for (size_t i = 0; i < n_orphans; i++) {
        join_late(a, orphans[i]);
    }
    for (size_t v = 0; v < n_visits; v++) {
        if (assemble_gap_is_orphan(a, (int) v)) {
            join_siblings(a, (int) v, n_visits);
        }
    }
    assemble_across_join(a);
    mark_orphans(a, n_visits);
}
