/* SPDX-License-Identifier: Apache-2.0 */
/* profile_crossing - where a history crosses the links of a profile. */
#include <config.h>

#include "phf/profile_crossing.h"

#include <stdlib.h>

#include "lib/hop_traffic.h"
#include "lib/lh_alloc.h"

static bool
has_level(const struct profile_ask *ask, size_t n, enum profile_level level)
{
    for (size_t i = 0; i < n; i++) {
        if (ask->by[i] == level) {
            return true;
        }
    }
    return false;
}

/* The switches on the way through hop 'i', to the leaf that its first children
 * lead to; for free(). */
static uint64_t *
path_through(const struct history *h, size_t i, uint32_t *n)
{
    uint64_t *dpids = lh_alloc_array(NULL, h->n_hops + 1, sizeof *dpids);
    size_t at = i;

    *n = 0;
    for (int k = (int) i; k >= 0 && *n < h->n_hops; k = h->hops[k].parent) {
        ++*n;
    }
    for (uint32_t k = *n; k > 0; k--) {
        dpids[k - 1] = h->hops[at].dpid;
        at = h->hops[at].parent >= 0 ? (size_t) h->hops[at].parent : 0;
    }
    /* Depth first: the first child, if any, is the next hop. */
    for (at = i; at + 1 < h->n_hops && h->hops[at + 1].parent == (int) at;
         at++) {
        dpids[(*n)++] = h->hops[at + 1].dpid;
    }
    return dpids;
}

/* The number of the way through hop 'i' as far as the first 'n' levels ask. */
static uint32_t
way_of(const struct profile_ask *ask, size_t n, const struct history *h,
       size_t i, struct profile_table *table)
{
    struct profile_way way = {.n = 0};
    uint32_t number;

    if (has_level(ask, n, PROFILE_BY_INGRESS)) {
        way.dpid = h->hops[0].dpid;
        way.in_port = h->hops[0].in_port;
    }
    if (has_level(ask, n, PROFILE_BY_PATH)) {
        way.dpids = path_through(h, i, &way.n);
    }
    number = profile_table_way(table, &way);
    free(way.dpids);
    return number;
}

static void
add(struct profile_crossings *c, const struct profile_ask *ask,
    const struct history *h, size_t i, const struct profile_link *link,
    struct profile_table *table)
{
    struct profile_crossing crossing = {.hop = (uint32_t) i,
                                        .is_in = link->is_in};

    if (!profile_links_has(&ask->links, link, h->hops[i].parent < 0)) {
        return;
    }
    if (has_level(ask, ask->n_by, PROFILE_BY_LINK)) {
        crossing.link = profile_table_link(table, link);
    }
    crossing.way = way_of(ask, ask->n_by, h, i, table);
    crossing.first_way = way_of(ask, ask->n_by ? 1 : 0, h, i, table);
    c->all = lh_alloc_grow(c->all, c->n, &c->allocated, sizeof *c->all);
    c->all[c->n++] = crossing;
}

void
profile_crossings_add(struct profile_crossings *c,
                      const struct profile_ask *ask, const struct history *h,
                      struct profile_table *table)
{
    struct hop_ports sent = {.n = 0};

    for (size_t i = 0; i < h->n_hops; i++) {
        const struct history_hop *hop = &h->hops[i];
        struct profile_link in = {hop->dpid, hop->in_port, true};

        if (ask->links.scope == PROFILE_ENTRY ? !i : !hop->is_packet_out) {
            add(c, ask, h, i, &in, table);
        }
        if (ask->links.scope == PROFILE_ENTRY) {
            continue;
        }
        hop_traffic_ports(hop, &sent);
        for (size_t k = 0; k < sent.n; k++) {
            struct profile_link out = {hop->dpid, sent.ports[k], false};

            add(c, ask, h, i, &out, table);
        }
    }
    free(sent.ports);
}
