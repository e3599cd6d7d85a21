/* SPDX-License-Identifier: Apache-2.0 */
/* topology_past - the topologies of the last moments, and when each began. */
#include <config.h>
#include "server/topology_past.h"

#include <stdlib.h>
#include <string.h>

struct topology_past {
    uint64_t keep_ns;
    size_t n;
    struct topology *of[TOPOLOGY_PAST_MAX]; /* Oldest first.  References. */
    uint64_t since_ns[TOPOLOGY_PAST_MAX];
    uint64_t n_forgotten;
};

/* --- Spans. ---------------------------------------------------------------
 */

/* What one topology says of a port. */
enum say { SAYS_NOTHING, SAYS_ABSENT, SAYS_EDGE, SAYS_LINK };

static enum say
ask(const struct topology *t, uint64_t dpid, uint32_t no,
    const struct topology_port **portp)
{
    const struct topology_switch *sw = topology_find(t, dpid);

    *portp = sw ? topology_port(t, dpid, no) : NULL;
    if (!sw) {
        return SAYS_NOTHING;
    } else if (!*portp) {
        return SAYS_ABSENT;
    } else if ((*portp)->has_peer) {
        return SAYS_LINK;
    }
    return (*portp)->edge ? SAYS_EDGE : SAYS_NOTHING;
}

static void
add_end(struct topology_span_port *p, const struct topology_port *port)
{
    p->n_linked++;
    for (size_t i = 0; i < p->n_ends; i++) {
        if (p->ends[i].dpid == port->peer_dpid &&
            p->ends[i].port == port->peer_port) {
            return;
        }
    }
    p->ends[p->n_ends++] =
        (struct topology_end){port->peer_dpid, port->peer_port};
}

void
topology_span_port(const struct topology_span *span, uint64_t dpid,
                   uint32_t no, struct topology_span_port *p)
{
    const struct topology_port *port;
    enum say first = SAYS_NOTHING;
    size_t n_down = 0;

    *p = (struct topology_span_port){.is_same = true};
    for (size_t i = 0; i < span->n; i++) {
        enum say say = ask(span->of[i], dpid, no, &port);

        if (say == SAYS_NOTHING) {
            continue;
        }
        first = p->n_known++ ? first : say;
        p->is_same = p->is_same && say == first;
        p->may_leave = p->may_leave || say == SAYS_EDGE;
        if (say == SAYS_LINK) {
            add_end(p, port);
        }
        if (port) {
            n_down += port->down;
            p->may_be_up = p->may_be_up || !port->down;
        }
    }
    p->is_same =
        p->is_same && p->n_ends <= 1 && (!n_down || n_down == p->n_known);
}

static bool
is_same_port(const struct topology_port *a, const struct topology_port *b)
{
    return a->no == b->no && a->down == b->down && a->edge == b->edge &&
           a->has_peer == b->has_peer &&
           (!a->has_peer ||
            (a->peer_dpid == b->peer_dpid && a->peer_port == b->peer_port));
}

bool
topology_past_differ(const struct topology *a, const struct topology *b,
                     uint64_t dpid)
{
    const struct topology_switch *x = topology_find(a, dpid);
    const struct topology_switch *y = topology_find(b, dpid);

    if (!x || !y || x->n_ports != y->n_ports) {
        return true;
    }
    for (size_t i = 0; i < x->n_ports; i++) {
        if (!is_same_port(&x->ports[i], &y->ports[i])) {
            return true;
        }
    }
    return false;
}

bool
topology_span_is_same(const struct topology_span *span, uint64_t dpid)
{
    struct topology_span_port p;

    for (size_t i = 0; i < span->n; i++) {
        const struct topology_switch *sw = topology_find(span->of[i], dpid);

        for (size_t k = 0; sw && k < sw->n_ports; k++) {
            topology_span_port(span, dpid, sw->ports[k].no, &p);
            if (!p.is_same) {
                return false;
            }
        }
    }
    return true;
}

bool
topology_span_peer(const struct topology_span *span, uint64_t dpid,
                   uint32_t port, uint64_t time_ns, struct topology_end *end)
{
    size_t i = span->n;

    while (i > 1 && span->since_ns[i - 1] > time_ns) {
        i--;
    }
    return i &&
           topology_peer(span->of[i - 1], dpid, port, &end->dpid, &end->port);
}

/* --- The past. ------------------------------------------------------------
 */

struct topology_past *
topology_past_create(uint64_t keep_ns)
{
    struct topology_past *past = calloc(1, sizeof *past);

    if (past) {
        past->keep_ns = keep_ns;
    }
    return past;
}

static void
drop_oldest(struct topology_past *past)
{
    topology_unref(past->of[0]);
    past->n--;
    memmove(past->of, past->of + 1, past->n * sizeof *past->of);
    memmove(past->since_ns, past->since_ns + 1,
            past->n * sizeof *past->since_ns);
}

void
topology_past_destroy(struct topology_past *past)
{
    if (past) {
        while (past->n) {
            drop_oldest(past);
        }
        free(past);
    }
}

void
topology_past_set(struct topology_past *past, const struct topology *t)
{
    struct topology *ref = t ? topology_ref(t) : NULL;

    while (past->n) {
        drop_oldest(past);
    }
    if (ref) {
        past->of[0] = ref;
        past->since_ns[0] = 0;
        past->n = 1;
    }
}

void
topology_past_settle(struct topology_past *past)
{
    while (past->n > 1) {
        drop_oldest(past);
    }
}

/* True when links or ports that both know of are not the same. */
static bool
has_moves(const struct topology *a, const struct topology *b)
{
    const struct topology_span span = {.n = 2, .of = {a, b}};

    for (size_t i = 0; i < topology_n_switches(a); i++) {
        if (!topology_span_is_same(&span, topology_switch_at(a, i)->dpid)) {
            return true;
        }
    }
    return false;
}

void
topology_past_add(struct topology_past *past, const struct topology *t,
                  uint64_t since_ns)
{
    if (past->n && !has_moves(topology_past_newest(past), t)) {
        struct topology **newest = &past->of[past->n - 1];

        topology_unref(*newest);
        *newest = topology_ref(t);
        return;
    }
    if (past->n && since_ns < past->since_ns[past->n - 1]) {
        topology_past_settle(past);
    }
    while (past->n > 1 && past->since_ns[1] + past->keep_ns < since_ns) {
        drop_oldest(past);
    }
    if (past->n == TOPOLOGY_PAST_MAX) {
        drop_oldest(past);
        past->n_forgotten++;
    }
    past->of[past->n] = topology_ref(t);
    past->since_ns[past->n++] = since_ns;
}

const struct topology *
topology_past_newest(const struct topology_past *past)
{
    return past->n ? past->of[past->n - 1] : NULL;
}

bool
topology_past_span(const struct topology_past *past, uint64_t from_ns,
                   struct topology_span *span)
{
    size_t first = past->n ? past->n - 1 : 0;

    while (first > 0 &&
           past->since_ns[first] + TOPOLOGY_PAST_SLACK_NS > from_ns) {
        first--;
    }
    span->n = past->n - first;
    for (size_t i = 0; i < span->n; i++) {
        span->of[i] = past->of[first + i];
        span->since_ns[i] = i ? past->since_ns[first + i] : 0;
    }
    return span->n > 1;
}

uint64_t
topology_past_n_forgotten(const struct topology_past *past)
{
    return past->n_forgotten;
}
