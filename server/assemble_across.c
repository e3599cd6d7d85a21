/* SPDX-License-Identifier: Apache-2.0 */
/* assemble_across - joins orphans across several hops that nobody saw.
 *
 * Only to a tree whose start was seen is it sure that an orphan belongs, for
 * every packet has a start.  Where one output leads there by one way, all hops
 * on it are deduced; otherwise the gap is marked, at the last hop that is
 * before every output that can have led there. */
#include <config.h>
#include "server/assemble_scratch.h"

#include "lib/of_port.h"

/* Times that orphans which wait for others are asked again. */
#define MAX_PASSES 8

/* What a rank says besides time and TTL: address, kind, direction. */
static uint64_t
rank_kind(uint64_t r)
{
    return r >> 60;
}

/* True when what follows the branch is not the visit at its far end: between
 * them the packet may have spread. */
static bool
leads_across(const struct assembler *a, const struct assemble_branch *branch)
{
    const struct assemble_visit *child;

    if (branch->child < 0) {
        return false;
    }
    child = &a->visits[branch->child];
    return child->has_gap_before && (child->dpid != branch->peer_dpid ||
                                     child->in_port != branch->peer_port);
}

/* The rank of branch 'b', also when an orphan was joined to it already. */
static uint64_t
rank_of(struct assembler *a, int v, size_t b)
{
    struct assemble_branch *branch = &a->branches[b];
    int child = branch->child;
    uint64_t r;

    if (leads_across(a, branch)) {
        branch->child = -1;
    }
    r = assemble_gap_rank(a, v, b, -1);
    branch->child = child;
    return r;
}

/* Joins 'v' to branch 'b' by all the hops of the way. */
static bool
join_by_way(struct assembler *a, int v, size_t b,
            const struct assemble_way *way)
{
    int before = (int) b, fall;
    bool same_flow;

    if (way->n_ways != 1 || a->branches[b].child >= 0 ||
        !assemble_header_fall(a, a->branches[b].out, v, &fall, &same_flow) ||
        fall > (int) way->length) {
        return false;
    }
    for (size_t i = 0; i < way->length; i++) {
        int branch;
        int deduced =
            assemble_gap_deduce(a, way->found_dpid[i], way->found_in[i],
                                way->found_out[i], &branch);

        if (deduced < 0) {
            return false;
        }
        assemble_link_join(a, a->branches[before].visit, before, deduced);
        before = branch;
    }
    assemble_link_join(a, a->branches[before].visit, before, v);
    return true;
}

/* The last visit that is before both, or -1. */
static int
common_ancestor(const struct assembler *a, int v, int w)
{
    for (int x = v; x >= 0; x = a->visits[x].parent) {
        for (int y = w; y >= 0; y = a->visits[y].parent) {
            if (x == y) {
                return x;
            }
        }
    }
    return -1;
}

/* True for the root of a tree whose start was seen. */
static bool
is_started(const struct assembler *a, int root)
{
    return !a->visits[root].is_deduced && assemble_link_is_start(a, root) &&
           (a->visits[root].is_packet_out ||
            a->visits[root].in_port != OF_PORT_UNKNOWN);
}

/* The time of visit 'w', or of the last one before it that was seen. */
static uint64_t
time_before(const struct assembler *a, int w)
{
    while (a->visits[w].is_deduced && a->visits[w].parent >= 0) {
        w = a->visits[w].parent;
    }
    return a->visits[w].time_ns;
}

/* True when the TTL with which the packet was last seen on the way to visit
 * 'w' is no less than that of 'v'. */
static bool
has_ttl_for(struct assembler *a, int w, int v)
{
    const struct assemble_brief *sent, *seen;

    while (w >= 0 && a->visits[w].rep < 0) {
        w = a->visits[w].parent;
    }
    if (w < 0 || a->visits[v].rep < 0) {
        return true;
    }
    sent = assemble_header_of_card(a, a->visits[w].rep);
    seen = assemble_header_of_card(a, a->visits[v].rep);
    return !sent->has_ttl || !seen->has_ttl || sent->ttl >= seen->ttl;
}

/* True when visit 'w' may have had an output that no postcard and no rule
 * tells of, and that can have led to 'v', which came from (dpid, port). */
static bool
may_have_led(struct assembler *a, int v, int w, uint64_t dpid, uint32_t port)
{
    const struct assemble_visit *before = &a->visits[w];
    const struct topology_switch *sw;
    struct assemble_way way;

    if (before->is_removed || !(before->is_open || before->is_deduced) ||
        time_before(a, w) > a->visits[v].time_ns ||
        assemble_link_root(a, w) == v || !has_ttl_for(a, w, v)) {
        return false;
    }
    if (before->dpid == dpid) {
        return before->in_port != port && !assemble_visit_has_out(a, w, port);
    }
    sw = topology_find(a->env->topology, before->dpid);
    for (size_t i = 0; sw && i < sw->n_ports; i++) {
        uint32_t no = sw->ports[i].no;

        if (sw->ports[i].has_peer && no != before->in_port &&
            !assemble_visit_has_out(a, w, no)) {
            assemble_way_find(a, w, no, v, dpid, port, &way);
            if (way.n_ways) {
                return true;
            }
        }
    }
    return false;
}

/* Joins 'v' across hops that are all missing, to the output that can have led
 * to it, or to the last hop before all outputs that can.  That it is after one
 * of them is sure only in a tree whose start was seen; '*waitsp' when other
 * trees could lead to it too. */
static bool
join_across(struct assembler *a, int v, bool *waitsp)
{
    uint64_t dpid, best_rank = 0;
    uint32_t port;
    struct assemble_way way, best_way = {.n_ways = 0};
    int best = -1, before = -1, best_root = -1;
    size_t n = 0;

    if (!topology_peer(a->env->topology, a->visits[v].dpid,
                       a->visits[v].in_port, &dpid, &port)) {
        return false;
    }
    for (size_t b = 0; b < a->n_branches; b++) {
        uint64_t r = rank_of(a, v, b);
        int root = assemble_link_root(a, a->branches[b].visit);

        /* Not later than the visit. */
        if (!(r >> 60 & 1) || rank_kind(r) < rank_kind(best_rank)) {
            continue;
        }
        assemble_way_find(a, a->branches[b].visit, a->branches[b].port, v,
                          dpid, port, &way);
        if (!way.n_ways) {
            continue;
        }
        if (!is_started(a, root)) {
            *waitsp = true;
            return false;
        }
        if (rank_kind(r) > rank_kind(best_rank)) {
            n = 0;
        } else if (n && root != best_root) {
            /* Two packets; the one nearer in time. */
            if (r <= best_rank) {
                continue;
            }
            n = 0;
        }
        before = n++ ? common_ancestor(a, before, a->branches[b].visit)
                     : a->branches[b].visit;
        best_root = root;
        if (n == 1 || r > best_rank) {
            best = (int) b;
            best_rank = r;
            best_way = way;
        }
    }
    for (size_t w = 0; w < a->n_visits; w++) {
        int root = assemble_link_root(a, (int) w);

        if ((n && is_started(a, root) && root != best_root) ||
            !may_have_led(a, v, (int) w, dpid, port)) {
            continue;
        }
        if (!is_started(a, root)) {
            *waitsp = true;
            return false;
        }
        before = n++ ? common_ancestor(a, before, (int) w) : (int) w;
        best = -1;
        best_root = root;
    }
    if (!n) {
        return false;
    }
    if (n > 1 || best < 0 || !join_by_way(a, v, (size_t) best, &best_way)) {
        if (n > 1 || (best >= 0 && a->branches[best].child >= 0)) {
            best = -1;
        }
        assemble_link_join(a, before, best, v);
        a->visits[v].has_gap_before = true;
    }
    return true;
}

/* Joins the orphans across; each that is may make another sure. */
void
assemble_across_join(struct assembler *a)
{
    int orphans[ASSEMBLE_MAX];
    size_t n = assemble_gap_list_orphans(a, orphans);
    bool has_joined = true, waits = true;

    for (size_t pass = 0; pass < MAX_PASSES && has_joined && waits; pass++) {
        has_joined = waits = false;
        for (size_t i = 0; i < n; i++) {
            if (assemble_gap_is_orphan(a, orphans[i])) {
                has_joined = join_across(a, orphans[i], &waits) || has_joined;
            }
        }
    }
}
