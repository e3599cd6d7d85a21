/* SPDX-License-Identifier: Apache-2.0 */
/* path_table_open - what is open goes into another table. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "server/path_table_impl.h"

uint64_t
path_table_clock_ns(const struct path_table *pt)
{
    return pt->clock_ns;
}

/* --- Out. ----------------------------------------------------------------
 */

void
path_table_each_seen(struct path_table *pt, path_table_seen_fn *fn, void *aux)
{
    uint64_t forget_ns = pt->clock_ns + pt->config.window_ns;

    path_table_drain(pt);
    /* Of others it does not matter what they had. */
    path_closed_each(
        pt->closed,
        forget_ns > ASSEMBLE_TWIN_NS ? forget_ns - ASSEMBLE_TWIN_NS : 0, fn,
        aux);
    for (const struct path_group *g = pt->open.first; g;
         g = g->links[PATH_LIST_ORDER].next) {
        if (g->seen.n) {
            fn(aux, g->id, forget_ns, &g->seen);
        }
    }
}

struct inner_call {
    struct path_table *pt;
    path_table_inner_fn *fn;
    void *aux;
};

/* Only of packets that are open, or may be about to. */
static void
give_inner(void *call_, uint64_t inner, uint64_t outer, uint64_t time_ns)
{
    const struct inner_call *call = call_;

    if (time_ns + call->pt->config.settle_ns >= call->pt->clock_ns ||
        path_index_find(call->pt->index, inner)) {
        call->fn(call->aux, inner, outer, time_ns);
    }
}

void
path_table_each_inner(struct path_table *pt, path_table_inner_fn *fn,
                      void *aux)
{
    struct inner_call call = {pt, fn, aux};
    uint64_t span_ns = 2 * pt->config.window_ns;

    path_table_drain(pt);
    tunnel_map_each(pt->tunnels,
                    pt->clock_ns > span_ns ? pt->clock_ns - span_ns : 0,
                    give_inner, &call);
}

/* In order of arrival. */
static void
each_card(struct path_group *g, path_table_open_fn *fn, void *aux)
{
    const struct postcard_entry *e = g->first;
    size_t n = 0;

    path_group_turn_folds(g);
    for (const struct postcard_fold *f = g->folds; f; f = f->next, n++) {
        uint8_t header[POSTCARD_POOL_HEADER];
        struct postcard p;

        for (; n < f->place && e; n++, e = e->next) {
            fn(aux, &e->p, g->due_ns);
        }
        postcard_pool_show(f, g->first, &p, header);
        fn(aux, &p, g->due_ns);
    }
    path_group_turn_folds(g);
    for (; e; e = e->next) {
        fn(aux, &e->p, g->due_ns);
    }
}

void
path_table_each_open(struct path_table *pt, path_table_open_fn *fn, void *aux)
{
    path_table_drain(pt);
    for (struct path_group *g = pt->open.first; g;
         g = g->links[PATH_LIST_ORDER].next) {
        each_card(g, fn, aux);
    }
}

/* --- In. -----------------------------------------------------------------
 */

void
path_table_resee(struct path_table *pt, uint64_t id, uint64_t forget_ns,
                 const uint32_t *hashes, uint32_t n)
{
    struct path_seen seen = {.n = n < PATH_SEEN_INLINE ? n : PATH_SEEN_INLINE};
    struct path_seen was;
    uint64_t latest_ns = pt->clock_ns + pt->config.window_ns, was_ns;

    memcpy(seen.hashes, hashes, seen.n * sizeof *hashes);
    if (n > seen.n) {
        seen.more = malloc((n - seen.n) * sizeof *hashes);
        if (seen.more) {
            memcpy(seen.more, hashes + seen.n, (n - seen.n) * sizeof *hashes);
            seen.n = n;
        }
    }
    if (path_closed_take(pt->closed, id, &was, &was_ns)) {
        path_seen_uninit(&was);
    }
    path_closed_put(pt->closed, id,
                    forget_ns < latest_ns ? forget_ns : latest_ns, &seen);
}

/* The group that was open, with all that it had seen. */
static struct path_group *
open_again(struct path_table *pt, uint64_t id, uint64_t due_ns)
{
    struct path_group *g = path_index_find(pt->index, id);
    uint64_t forget_ns;
    uint64_t latest_ns = pt->clock_ns + pt->config.window_ns;

    if (g) {
        return g;
    }
    g = path_index_add(pt->index, id);
    if (!g) {
        return NULL;
    }
    g->was_closed = path_closed_take(pt->closed, id, &g->seen, &forget_ns);
    g->due_ns = due_ns < latest_ns ? due_ns : latest_ns;
    if (pt->open.last && g->due_ns < pt->open.last->due_ns) {
        g->due_ns = pt->open.last->due_ns;
    }
    path_list_push(&pt->open, g, PATH_LIST_ORDER);
    pt->n.open_groups++;
    return g;
}

void
path_table_reopen(struct path_table *pt, const struct postcard *p,
                  uint64_t due_ns)
{
    struct postcard_entry *entry;

    if (!p->has_id || !open_again(pt, p->packet_id, due_ns)) {
        path_table_add(pt, p);
        return;
    }
    path_table_drain(pt);
    pt->n.in++;
    entry = postcard_pool_get(pt->pool, p);
    if (!entry) {
        pt->n.dropped_memory++;
        return;
    }
    entry->key = card_kind_expect(pt->kinds, &entry->p);
    path_table_add_entry(pt, entry);
    path_table_close_waiting(pt);
}
