/* SPDX-License-Identifier: Apache-2.0 */
/* assemble_tree - from linked visits to histories. */
#include <config.h>
#include "server/assemble_scratch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/dpid.h"
#include "lib/of_port.h"
#include "server/tunnel.h"

/* The order of children: by the port they went by, then by time. */
static bool
is_before(const struct assembler *a, int v, int w)
{
    const struct assemble_visit *x = &a->visits[v];
    const struct assemble_visit *y = &a->visits[w];
    uint32_t x_port = x->parent_branch >= 0
                          ? a->branches[x->parent_branch].port
                          : OF_PORT_UNKNOWN;
    uint32_t y_port = y->parent_branch >= 0
                          ? a->branches[y->parent_branch].port
                          : OF_PORT_UNKNOWN;

    return x_port != y_port           ? x_port < y_port
           : x->time_ns != y->time_ns ? x->time_ns < y->time_ns
                                      : v < w;
}

static void
index_children(struct assembler *a)
{
    for (size_t v = 0; v < a->n_visits; v++) {
        a->visits[v].first_child = -1;
    }
    for (size_t v = 0; v < a->n_visits; v++) {
        struct assemble_visit *visit = &a->visits[v];

        if (!visit->is_removed && visit->parent >= 0) {
            int *link = &a->visits[visit->parent].first_child;

            while (*link >= 0 && is_before(a, *link, (int) v)) {
                link = &a->visits[*link].next_sibling;
            }
            visit->next_sibling = *link;
            *link = (int) v;
        }
    }
}

static void
fill_ports(struct assembler *a, const struct assemble_visit *visit,
           struct history_hop *hop)
{
    bool is_alone =
        visit->first_out >= 0 && a->outs[visit->first_out].next < 0;

    for (int o = visit->first_out; o >= 0; o = a->outs[o].next) {
        const struct assemble_out *out = &a->outs[o];

        /* GROUP and TABLE only say that another output follows. */
        if ((out->is_expected && out->state == ASSEMBLE_HEADER_TTL) ||
            out->port == OF_PORT_UNKNOWN ||
            (!is_alone &&
             (out->port == OF_PORT_GROUP || out->port == OF_PORT_TABLE)) ||
            !assemble_whole_is_sent(a, visit, o)) {
            continue;
        }
        history_hop_add_out(hop,
                            visit->is_whole && out->port == OF_PORT_IN_PORT
                                ? visit->in_port
                                : out->port);
        if (out->port == OF_PORT_FLOOD || out->port == OF_PORT_ALL ||
            out->port == OF_PORT_NORMAL) {
            for (int b = out->first_branch; b >= 0; b = a->branches[b].next) {
                if (a->branches[b].child >= 0) {
                    history_hop_add_branch(hop, a->branches[b].port);
                }
            }
        }
    }
}

/* Sets the header as it left, when it left the same by every output. */
static void
fill_header_out(struct assembler *a, const struct assemble_visit *visit,
                struct history_hop *hop)
{
    const struct assemble_out *same = NULL;

    for (int o = visit->first_out; o >= 0; o = a->outs[o].next) {
        const struct assemble_out *out = assemble_header_of_out(a, o);

        if (!assemble_whole_is_sent(a, visit, o) ||
            out->port == OF_PORT_CONTROLLER || out->port == OF_PORT_GROUP ||
            out->port == OF_PORT_TABLE || out->state == ASSEMBLE_HEADER_TTL) {
            continue;
        }
        if (out->state != ASSEMBLE_HEADER_KNOWN) {
            return;
        }
        if (same && (same->header_len != out->header_len ||
                     memcmp(a->bytes + same->header_ofs,
                            a->bytes + out->header_ofs, out->header_len))) {
            return;
        }
        same = &a->outs[o];
    }
    if (same) {
        history_hop_set_header_out(
            hop, a->bytes + same->header_ofs,
            same->header_len <= UINT16_MAX ? same->header_len : UINT16_MAX);
    }
}

/* True when this packet was at this (switch, in_port) before. */
static bool
find_loop(const struct assembler *a, const struct assemble_visit *visit)
{
    if (visit->in_port == OF_PORT_UNKNOWN || visit->is_packet_out) {
        return false;
    }
    for (int w = visit->parent; w >= 0; w = a->visits[w].parent) {
        if (a->visits[w].dpid == visit->dpid &&
            a->visits[w].in_port == visit->in_port &&
            !a->visits[w].is_packet_out) {
            return true;
        }
    }
    return false;
}

static void
fill_verdict(struct assembler *a, int v, struct history_hop *hop)
{
    const struct assemble_visit *visit = &a->visits[v];
    char reason[240];

    assemble_judge_visit(a, v, &hop->verdict);
    if (visit->is_looped && hop->verdict.name != VERDICT_NONE) {
        snprintf(reason, sizeof reason, "in a loop; it ended %s%s%s",
                 verdict_name_string(hop->verdict.name),
                 hop->verdict.reason ? ": " : "",
                 hop->verdict.reason ? hop->verdict.reason : "");
        verdict_set(&hop->verdict, VERDICT_LOOPED, visit->dpid, visit->in_port,
                    reason);
    }
}

static void
add_hop(struct assembler *a, struct history *h, int v)
{
    struct assemble_visit *visit = &a->visits[v];
    struct history_hop *hop = history_add_hop(h);

    visit->hop = (int) h->n_hops - 1;
    visit->is_looped =
        (visit->parent >= 0 && a->visits[visit->parent].is_looped) ||
        find_loop(a, visit);
    hop->parent = visit->parent >= 0 ? a->visits[visit->parent].hop : -1;
    hop->dpid = visit->dpid;
    hop->in_port = visit->in_port;
    hop->is_packet_out = visit->is_packet_out;
    hop->is_deduced = visit->is_deduced;
    hop->has_gap_before = visit->has_gap_before;
    hop->time_ns = visit->time_ns;
    if (visit->is_whole) {
        assemble_whole_add_versions(a, visit, hop);
    }
    for (int c = visit->first_card; c >= 0 && !visit->is_whole;
         c = a->cards[c].next) {
        history_hop_add_version(hop, a->cards[c].p->version);
    }
    if (visit->rep >= 0) {
        const struct postcard *p = a->cards[visit->rep].p;

        if (p->caplen) {
            history_hop_set_header(hop, p->header, p->caplen);
        }
        hop->is_after = a->cards[visit->rep].flags & POSTCARD_AFTER;
    }
    fill_ports(a, visit, hop);
    if (!hop->n_out && visit->n_passes_due > 0) {
        history_hop_add_out(hop, OF_PORT_UNKNOWN);
    }
    fill_header_out(a, visit, hop);
    fill_verdict(a, v, hop);
}

/* Which visit comes after 'v' in the history of 'root'; -1: none. */
static int
next_visit(const struct assembler *a, int root, int v)
{
    if (a->visits[v].first_child >= 0) {
        return a->visits[v].first_child;
    }
    while (v != root && a->visits[v].next_sibling < 0) {
        v = a->visits[v].parent;
    }
    return v == root ? -1 : a->visits[v].next_sibling;
}

/* The first postcard of the tree at 'root', whose own may be missing. */
static int
first_card(const struct assembler *a, int root)
{
    for (int v = root; v >= 0; v = a->visits[v].first_child) {
        if (a->visits[v].rep >= 0) {
            return a->visits[v].rep;
        }
    }
    return -1;
}

static struct history *
make_history(struct assembler *a, int root)
{
    const struct postcard *any = a->cards[0].p;
    struct history *h = history_create(any->has_id ? any->packet_id : 0);
    size_t n = 0;

    h->has_packet_id = any->has_id;
    for (int v = root; v >= 0; v = next_visit(a, root, v)) {
        n++;
    }
    history_reserve(h, n);
    for (int v = root; v >= 0; v = next_visit(a, root, v)) {
        add_hop(a, h, v);
    }
    if (a->env->id_config && first_card(a, root) >= 0) {
        const struct postcard *p = a->cards[first_card(a, root)].p;

        h->carries = packet_id_inner(a->env->id_config, p->header, p->caplen);
    }
    history_settle(h);
    return h;
}

int
assemble_tree_make(struct assembler *a)
{
    index_children(a);
    for (size_t v = 0; v < a->n_visits; v++) {
        if (a->visits[v].is_removed || a->visits[v].parent >= 0) {
            continue;
        }
        if (!assemble_scratch_grow(a, (void **) &a->histories,
                                   &a->allocated_histories, a->n_histories,
                                   sizeof *a->histories)) {
            while (a->n_histories > 0) {
                history_destroy(a->histories[--a->n_histories]);
            }
            return ENOMEM;
        }
        a->histories[a->n_histories++] = make_history(a, (int) v);
    }
    return 0;
}
