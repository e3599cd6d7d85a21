/* SPDX-License-Identifier: Apache-2.0 */
/* assemble_link - joins visits into trees.
 *
 * An output onto a link and a visit at its far end belong together.  Where
 * one link has several of either (loops, equal packets, packets that share an
 * ID), those whose headers fit best are joined first, and among equal ones
 * each visit to the output that was last before it. */
#include <config.h>
#include "server/assemble_scratch.h"

#include <stdlib.h>
#include <string.h>

#include "lib/of_port.h"

int
assemble_link_root(struct assembler *a, int v)
{
    while (a->visits[v].root != v) {
        a->visits[v].root = a->visits[a->visits[v].root].root;
        v = a->visits[v].root;
    }
    return v;
}

void
assemble_link_refresh(struct assembler *a)
{
    for (size_t v = 0; v < a->n_visits; v++) {
        a->visits[v].root =
            a->visits[v].parent >= 0 ? a->visits[v].parent : (int) v;
    }
}

void
assemble_link_join(struct assembler *a, int parent, int branch, int child)
{
    struct assemble_visit *visit = &a->visits[child];

    visit->parent = parent;
    visit->parent_branch = branch;
    visit->root = parent;
    if (branch >= 0) {
        a->branches[branch].child = child;
        if (visit->in_port == OF_PORT_UNKNOWN) {
            visit->in_port = a->branches[branch].peer_port;
            visit->is_in_port_deduced = true;
        }
    }
}

bool
assemble_link_is_start(const struct assembler *a, int v)
{
    const struct assemble_visit *visit = &a->visits[v];
    uint64_t dpid;
    uint32_t port;

    if (a->env->span && !visit->is_packet_out &&
        visit->in_port != OF_PORT_UNKNOWN) {
        struct topology_span_port at;

        topology_span_port(a->env->span, visit->dpid, visit->in_port, &at);
        return !at.n_ends;
    }
    return visit->is_packet_out || !a->env->topology ||
           visit->in_port == OF_PORT_UNKNOWN ||
           !topology_peer(a->env->topology, visit->dpid, visit->in_port, &dpid,
                          &port);
}

uint64_t
assemble_link_apart(const struct assembler *a, int v, int w)
{
    uint64_t x = a->visits[v].time_ns;
    uint64_t y = a->visits[w].time_ns;

    return x > y ? x - y : y - x;
}

bool
assemble_link_is_backward(const struct assembler *a,
                          const struct assemble_branch *branch)
{
    const struct assemble_visit *visit = &a->visits[branch->visit];
    uint32_t port = a->outs[branch->out].port;

    if (port == OF_PORT_IN_PORT) {
        return branch->port != visit->in_port;
    }
    return branch->port == visit->in_port &&
           (port >= OF_PORT_GROUP || !visit->is_packet_out);
}

static struct assemble_branch *
add_branch_to(struct assembler *a, int visit, int out, uint32_t port,
              const struct topology_end *end, bool is_soft)
{
    struct assemble_branch *branch;

    if (!assemble_scratch_grow(a, (void **) &a->branches,
                               &a->allocated_branches, a->n_branches,
                               sizeof *a->branches)) {
        return NULL;
    }
    branch = &a->branches[a->n_branches++];
    *branch = (struct assemble_branch){
        .visit = visit,
        .out = out,
        .port = port,
        .peer_dpid = end->dpid,
        .peer_port = end->port,
        .is_soft = is_soft,
        .child = -1,
    };
    return branch;
}

/* A branch to each end that the link had in the packet's time. */
static void
add_moving_branches(struct assembler *a, int v, int out, uint32_t port,
                    bool is_soft)
{
    const struct assemble_visit *visit = &a->visits[v];
    struct topology_span_port at;
    struct topology_end then = {0, 0};
    bool has_then =
        visit->time_ns && topology_span_peer(a->env->span, visit->dpid, port,
                                             visit->time_ns, &then);

    topology_span_port(a->env->span, visit->dpid, port, &at);
    for (size_t i = 0; i < at.n_ends; i++) {
        struct assemble_branch *branch =
            add_branch_to(a, v, out, port, &at.ends[i], is_soft);

        if (branch && !at.is_same) {
            branch->is_moved = true;
            branch->is_other = !has_then || then.dpid != at.ends[i].dpid ||
                               then.port != at.ends[i].port;
        }
    }
}

static void
add_branch(struct assembler *a, int visit, int out, uint32_t port,
           bool is_soft)
{
    struct topology_end end;

    if (a->env->span) {
        add_moving_branches(a, visit, out, port, is_soft);
    } else if (topology_peer(a->env->topology, a->visits[visit].dpid, port,
                             &end.dpid, &end.port)) {
        add_branch_to(a, visit, out, port, &end, is_soft);
    }
}

/* A flood's, where links changed: all ports that there were. */
static void
add_moving_flood(struct assembler *a, int visit, int out, bool is_soft)
{
    const struct topology_span *span = a->env->span;
    uint64_t dpid = a->visits[visit].dpid;

    for (size_t t = 0; t < span->n; t++) {
        const struct topology_switch *sw = topology_find(span->of[t], dpid);

        for (size_t i = 0; sw && i < sw->n_ports; i++) {
            struct topology_span_port at;
            uint16_t no = sw->ports[i].no;
            bool was_there = false;

            for (size_t k = 0; k < t && !was_there; k++) {
                was_there = topology_port(span->of[k], dpid, no) != NULL;
            }
            if (!was_there && no != a->visits[visit].in_port) {
                topology_span_port(span, dpid, no, &at);
                add_branch(a, visit, out, no,
                           is_soft || !at.is_same || !at.may_be_up);
            }
        }
    }
}

/* Adds the branches of a flood: every port that is up but the input port. */
static void
add_flood(struct assembler *a, int visit, int out, bool is_soft)
{
    if (a->env->span) {
        add_moving_flood(a, visit, out, is_soft);
        return;
    }

    const struct topology_switch *sw =
        topology_find(a->env->topology, a->visits[visit].dpid);

    for (size_t i = 0; sw && i < sw->n_ports; i++) {
        const struct topology_port *port = &sw->ports[i];

        if (port->has_peer && port->no != a->visits[visit].in_port) {
            /* A port that is down must not, but a stale topology may say so
             * of one that is up. */
            add_branch(a, visit, out, port->no, is_soft || port->down);
        }
    }
}

void
assemble_link_add_branches(struct assembler *a, int visit, int o)
{
    uint32_t port = a->outs[o].port;
    uint32_t in_port = a->visits[visit].in_port;

    if (!a->env->topology) {
        return;
    }
    switch (port) {
    case OF_PORT_FLOOD:
    case OF_PORT_ALL:
        add_flood(a, visit, o, false);
        break;
    case OF_PORT_NORMAL:
        add_flood(a, visit, o, true);
        break;
    case OF_PORT_IN_PORT:
        if (in_port < OF_PORT_GROUP) {
            add_branch(a, visit, o, in_port, false);
        } else if (in_port == OF_PORT_UNKNOWN) {
            add_flood(a, visit, o, false); /* Until it is known. */
        }
        break;
    default:
        /* An output to the very port it came from is not done. */
        if (port < OF_PORT_GROUP &&
            (port != in_port || a->visits[visit].is_packet_out)) {
            add_branch(a, visit, o, port, a->outs[o].is_maybe);
        }
        break;
    }
}

static int
compare_branches(const void *a_, const void *b_)
{
    const struct assemble_branch *a = a_;
    const struct assemble_branch *b = b_;

    if (a->peer_dpid != b->peer_dpid) {
        return a->peer_dpid < b->peer_dpid ? -1 : 1;
    }
    if (a->peer_port != b->peer_port) {
        return a->peer_port < b->peer_port ? -1 : 1;
    }
    if (a->visit != b->visit) {
        return a->visit < b->visit ? -1 : 1;
    }
    return a->out < b->out ? -1 : a->out > b->out;
}

static void
sort_branches(struct assembler *a)
{
    if (a->n_branches > 16) {
        qsort(a->branches, a->n_branches, sizeof *a->branches,
              compare_branches);
        return;
    }
    for (size_t i = 1; i < a->n_branches; i++) {
        struct assemble_branch branch = a->branches[i];
        size_t j = i;

        while (j > 0 && compare_branches(&a->branches[j - 1], &branch) > 0) {
            a->branches[j] = a->branches[j - 1];
            j--;
        }
        a->branches[j] = branch;
    }
}

/* The branches that lead to (dpid, port), or to any port of the switch when
 * that is not known: from the returned index up to '*endp'. */
static size_t
branches_to(const struct assembler *a, uint64_t dpid, uint32_t port,
            size_t *endp)
{
    uint32_t first = port == OF_PORT_UNKNOWN ? 0 : port;
    size_t lo = 0, hi = a->n_branches;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct assemble_branch *b = &a->branches[mid];

        if (b->peer_dpid < dpid ||
            (b->peer_dpid == dpid && b->peer_port < first)) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    hi = lo;
    while (hi < a->n_branches && a->branches[hi].peer_dpid == dpid &&
           (port == OF_PORT_UNKNOWN || a->branches[hi].peer_port == port)) {
        hi++;
    }
    *endp = hi;
    return lo;
}

/* True when the packet is known to have gone to another end of the link. */
static bool
is_taken(const struct assembler *a, const struct assemble_branch *branch)
{
    for (size_t b = 0; branch->is_moved && b < a->n_branches; b++) {
        const struct assemble_branch *other = &a->branches[b];

        if (other->child >= 0 && other->out == branch->out &&
            other->port == branch->port) {
            return true;
        }
    }
    return false;
}

/* Among the branches from 'lo' up to 'hi' that fit visit 'v' by exactly 'fit',
 * the best in time; -1 when there is none.  With 'is_forward' only those that
 * are not later than the visit; with 'is_other' only links that were not there
 * when the packet left, otherwise only those that were. */
static int
best_branch(struct assembler *a, int v, size_t lo, size_t hi,
            enum assemble_fit fit, bool is_forward, bool is_other)
{
    uint64_t time = a->visits[v].time_ns;
    uint64_t best_apart = 0;
    int best = -1, best_cost = 0;

    for (size_t b = lo; b < hi; b++) {
        const struct assemble_branch *branch = &a->branches[b];
        uint64_t apart = assemble_link_apart(a, v, branch->visit);
        int cost;

        if (branch->child >= 0 || branch->is_other != is_other ||
            is_taken(a, branch) ||
            (is_forward && a->visits[branch->visit].time_ns > time) ||
            assemble_link_is_backward(a, branch)) {
            continue;
        }
        /* It is seldom sent back where it came from. */
        cost = (branch->is_soft ? 2 : 0) +
               assemble_visit_has_out(a, v, branch->peer_port);
        if (best >= 0 &&
            (cost > best_cost || (cost == best_cost && apart >= best_apart))) {
            continue;
        }
        if (assemble_link_root(a, branch->visit) == v ||
            assemble_header_fit(a, branch->out, v) != fit) {
            continue;
        }
        best = (int) b;
        best_cost = cost;
        best_apart = apart;
    }
    return best;
}

/* Joins visits to the outputs that fit them by exactly 'fit', with
 * 'is_forward' only to those that are not later.  Returns the number of
 * visits that an output could still lead to; '*has_newp' when one was joined
 * whose output to IN_PORT has a port only now. */
static size_t
join_by_links(struct assembler *a, enum assemble_fit fit, bool is_forward,
              bool is_other, bool *has_newp)
{
    size_t n_left = 0, lo = 0, hi = 0;

    for (size_t v = 0; v < a->n_visits; v++) {
        const struct assemble_visit *visit = &a->visits[v];
        int b;

        if (visit->is_packet_out || visit->is_removed || visit->parent >= 0) {
            continue;
        }
        lo = branches_to(a, visit->dpid, visit->in_port, &hi);
        b = best_branch(a, (int) v, lo, hi, fit, is_forward, is_other);
        if (b >= 0) {
            *has_newp = *has_newp ||
                        (visit->in_port == OF_PORT_UNKNOWN &&
                         assemble_visit_has_out(a, (int) v, OF_PORT_IN_PORT));
            assemble_link_join(a, a->branches[b].visit, b, (int) v);
        } else if (hi > lo) {
            n_left++;
        }
    }
    return n_left;
}

/* Joins visits to outputs, the best fits first.  An output to IN_PORT leads
 * somewhere only once its visit was joined: then the best may fit anew. */
static void
join_all_by_links(struct assembler *a)
{
    bool has_new;

    do {
        has_new = false;
        for (enum assemble_fit fit = ASSEMBLE_FIT_EXACT;
             fit >= ASSEMBLE_FIT_EDITED && !has_new; fit--) {
            if (!join_by_links(a, fit, true, false, &has_new) ||
                (!has_new && !join_by_links(a, fit, false, false, &has_new))) {
                return;
            }
            if (a->env->span && !has_new) {
                join_by_links(a, fit, true, true, &has_new);
            }
            if (a->env->span && !has_new) {
                join_by_links(a, fit, false, true, &has_new);
            }
        }
    } while (has_new);
}

/* The visit whose output to the controller packet-out 'v' answers, or -1. */
static int
find_packet_in(struct assembler *a, int v)
{
    const struct assemble_visit *out = &a->visits[v];
    int best = -1;
    uint64_t best_rank = 0;

    for (size_t i = 0; i < a->n_visits; i++) {
        const struct assemble_visit *in = &a->visits[i];
        uint64_t apart = assemble_link_apart(a, v, (int) i);
        uint64_t rank;

        if (in->is_removed || (int) i == v ||
            !assemble_visit_has_out(a, (int) i, OF_PORT_CONTROLLER) ||
            assemble_link_root(a, (int) i) == v) {
            continue;
        }
        /* The same switch, the same header, not later, then the nearest. */
        rank =
            ((uint64_t) (in->dpid == out->dpid) << 62) |
            ((uint64_t) assemble_header_is_equal(a->cards[in->rep].p,
                                                 a->cards[out->rep].p)
             << 61) |
            ((uint64_t) (in->time_ns <= out->time_ns) << 60) |
            ((1ULL << 59) - (apart < (1ULL << 59) ? apart : (1ULL << 59) - 1));
        if (rank > best_rank) {
            best = (int) i;
            best_rank = rank;
        }
    }
    return best;
}

/* A packet-out to the switch's tables and what the tables did are one hop. */
static void
merge_table_output(struct assembler *a, int v)
{
    const struct assemble_visit *out = &a->visits[v];
    int best = -1;

    for (size_t i = 0; i < a->n_visits; i++) {
        const struct assemble_visit *in = &a->visits[i];

        if (in->is_removed || in->is_packet_out || in->dpid != out->dpid ||
            in->parent >= 0 || in->time_ns < out->time_ns ||
            assemble_link_root(a, v) == (int) i ||
            (in->in_port != out->in_port && in->in_port < OF_PORT_GROUP &&
             out->in_port < OF_PORT_GROUP)) {
            continue;
        }
        if (best < 0 || in->time_ns < a->visits[best].time_ns) {
            best = (int) i;
        }
    }
    if (best >= 0) {
        assemble_visit_merge(a, v, best);
    }
}

/* Before links are asked: what the tables did has the in_port that the
 * packet-out named, which may be that of a link. */
static void
merge_table_outputs(struct assembler *a)
{
    for (size_t v = 0; v < a->n_visits; v++) {
        if (a->visits[v].is_packet_out &&
            assemble_visit_has_out(a, (int) v, OF_PORT_TABLE)) {
            merge_table_output(a, (int) v);
        }
    }
}

static void
join_packet_outs(struct assembler *a)
{
    for (size_t v = 0; v < a->n_visits; v++) {
        if (a->visits[v].is_packet_out && !a->visits[v].is_removed) {
            int in = find_packet_in(a, (int) v);

            if (in >= 0) {
                assemble_link_join(a, in, -1, (int) v);
                a->visits[in].n_packet_outs++;
            }
        }
    }
}

static bool
has_common_out(const struct assembler *a, int v, int w)
{
    for (int o = a->visits[v].first_out; o >= 0; o = a->outs[o].next) {
        if (assemble_visit_has_out(a, w, a->outs[o].port)) {
            return true;
        }
    }
    return false;
}

/* Without an in_port, several rules of one visit began as visits of their
 * own.  What no link asked for goes to the visit that its rule may share. */
static void
merge_blind(struct assembler *a)
{
    for (size_t v = 0; v < a->n_visits; v++) {
        const struct assemble_visit *visit = &a->visits[v];
        int best = -1;

        if ((visit->in_port != OF_PORT_UNKNOWN &&
             !visit->is_in_port_deduced) ||
            visit->is_removed || visit->is_packet_out || visit->parent >= 0) {
            continue;
        }
        for (size_t w = 0; w < a->n_visits; w++) {
            const struct assemble_visit *into = &a->visits[w];

            if (w == v || into->dpid != visit->dpid || into->is_removed ||
                into->is_packet_out || into->rep < 0 ||
                (into->in_port != OF_PORT_UNKNOWN &&
                 visit->in_port != OF_PORT_UNKNOWN &&
                 into->in_port != visit->in_port) ||
                (into->in_port != OF_PORT_UNKNOWN &&
                 !into->is_in_port_deduced) ||
                assemble_link_root(a, (int) w) == (int) v ||
                has_common_out(a, (int) v, (int) w) ||
                a->cards[into->rep].p->version ==
                    a->cards[visit->rep].p->version ||
                !assemble_visit_may_share(a, into->rep, visit->rep)) {
                continue;
            }
            if (best < 0 || into->parent >= 0) {
                best = (int) w;
            }
        }
        if (best >= 0) {
            assemble_visit_merge(a, best, (int) v);
        }
    }
}

void
assemble_link_make(struct assembler *a)
{
    size_t n = a->n_visits;
    bool has_packet_out = false, has_blind = false;

    for (size_t v = 0; v < n; v++) {
        has_packet_out = has_packet_out || a->visits[v].is_packet_out;
        has_blind = has_blind || a->visits[v].in_port == OF_PORT_UNKNOWN ||
                    a->visits[v].is_in_port_deduced;
        for (int o = a->visits[v].first_out; o >= 0; o = a->outs[o].next) {
            assemble_link_add_branches(a, (int) v, o);
        }
    }
    if (has_packet_out) {
        merge_table_outputs(a);
    }
    sort_branches(a);
    join_all_by_links(a);
    if (has_packet_out) {
        join_packet_outs(a);
        assemble_link_refresh(a);
    }
    if (has_blind) {
        merge_blind(a);
        assemble_link_refresh(a);
    }
}
