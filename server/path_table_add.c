/* SPDX-License-Identifier: Apache-2.0 */
/* path_table_add - postcards come into the path table.
 *
 * Whether a group may be complete is asked of a path_sum first; only then is
 * it looked at. */
#include <config.h>

#include "lib/of_port.h"
#include "server/path_table_impl.h"

#define MAX_SUMMED 32 /* Postcards of a group that the sum is kept for. */
/* In a timed table a group closes when a moment ends that leaves it less room
 * than this. */
#define MOMENT_ROOM 64

/* Whether the sum says that the group may be complete. */
static bool
may_be_whole(const struct path_group *g)
{
    return !g->sum.sum && g->sum.has_start;
}

static bool
is_nearly_full(const struct path_group *g)
{
    return g->n_cards > ASSEMBLE_MAX - MOMENT_ROOM;
}

static void
look_at_ripe(struct path_table *pt, struct path_group *g)
{
    if (is_nearly_full(g)) {
        path_table_close_waiting(pt);
        path_table_try_close(pt, g, ASSEMBLE_PARTIAL, NULL,
                             &pt->n.closed_size);
    } else if (g->n_cards > MAX_SUMMED) {
        path_table_close_waiting(pt);
        if (!path_table_try_whole(pt, g, NULL)) {
            path_table_start_settling(pt, g);
        }
    } else if (!g->sum.is_punted && may_be_whole(g)) {
        path_table_close_soon(pt, g);
    }
}

void
path_table_end_moment(struct path_table *pt)
{
    while (pt->ripe.first) {
        struct path_group *g = pt->ripe.first;

        path_table_stop_settling(pt, g);
        look_at_ripe(pt, g);
    }
}

/* The list of what settles is in order of time. */
static void
start_settling(struct path_table *pt, struct path_group *g)
{
    path_table_close_waiting(pt);
    path_table_start_settling(pt, g);
}

/* Looks whether the group that just grew is complete. */
static void
look(struct path_table *pt, struct path_group *g)
{
    if (g->n_cards >= ASSEMBLE_MAX) {
        path_table_close_waiting(pt);
        path_table_try_close(pt, g, ASSEMBLE_PARTIAL, NULL,
                             &pt->n.closed_size);
        return;
    }
    if (pt->config.is_timed && is_nearly_full(g)) {
        path_table_ripen(pt, g);
        return;
    }
    if (g->sum.is_punted) {
        return;
    }
    if (g->n_cards > MAX_SUMMED) {
        if (g->n_cards < g->try_at) {
            start_settling(pt, g);
            return;
        }
        g->try_at = g->n_cards * 2;
    } else if (g->sum.is_soft) {
        start_settling(pt, g);
        return;
    } else if (!may_be_whole(g)) {
        return;
    }
    if (pt->config.is_timed) {
        path_table_ripen(pt, g);
    } else {
        path_table_close_soon(pt, g);
    }
}

/* Notes what was remembered of the group's ID, if anything. */
static void
recall(struct path_table *pt, struct path_group *g)
{
    uint64_t forget_ns, closed_ns;

    g->was_closed = path_closed_take(pt->closed, g->id, &g->seen, &forget_ns);
    if (g->was_closed) {
        closed_ns = forget_ns - pt->config.window_ns;
        if (pt->clock_ns >= closed_ns + ASSEMBLE_TWIN_NS) {
            path_seen_uninit(&g->seen);
        }
    }
}

/* The open group of 'id', made if there is none, for a postcard of that time;
 * NULL when memory is short. */
static struct path_group *
open_group(struct path_table *pt, uint64_t id, uint64_t time_ns)
{
    struct path_group *g = path_index_find(pt->index, id);
    bool was_closed = false;

    if (g && g->is_closing) {
        path_table_close_waiting(pt);
        g = path_index_find(pt->index, id);
    }
    if (g && g->seen.n && g->first && time_ns >= g->twin_ns) {
        was_closed = path_table_drop_doubles(pt, g);
    }
    if (g && !was_closed) {
        return g;
    }
    g = path_index_add(pt->index, id);
    if (g) {
        recall(pt, g);
        g->was_closed |= was_closed;
        g->due_ns = pt->clock_ns + pt->config.window_ns;
        path_list_push(&pt->open, g, PATH_LIST_ORDER);
        pt->n.open_groups++;
    }
    return g;
}

/* A postcard that has no packet ID is a history of its own. */
static void
add_without_id(struct path_table *pt, const struct postcard *p)
{
    enum assemble_state state;

    pt->cards[0] = p;
    pt->n.without_id +=
        path_table_assemble(pt, NULL, 1, ASSEMBLE_PARTIAL, &state);
}

/* Notes which packet travels inside the first postcard's. */
static void
note_inner(struct path_table *pt, struct path_group *g,
           const struct postcard *p)
{
    uint64_t inner =
        packet_id_inner(&pt->config.id_config, p->header, p->caplen);

    if (inner) {
        path_table_close_waiting(pt); /* They did not know of it. */
        tunnel_map_add(pt->tunnels, inner, p->packet_id, p->time_ns);
        g->is_strange = true;
    }
}

void
path_table_add_entry(struct path_table *pt, struct postcard_entry *entry)
{
    const struct postcard *p = &entry->p;
    const struct card_kind *kind;
    struct postcard_fold *fold;
    struct path_group *g;
    uint64_t time_ns;

    if (!p->visit || !pt->clock_ns) {
        path_table_keep_time(pt, p->time_ns);
    }
    time_ns = p->visit ? pt->clock_ns : p->time_ns;
    kind = card_kind_get(pt->kinds, entry->key, p);
    entry->key = 0;
    if (pt->n.held >= pt->config.max_postcards) {
        path_table_close_waiting(pt);
    }
    while (pt->n.held >= pt->config.max_postcards) {
        pt->n.dropped_full += pt->open.first->n_cards;
        path_table_forget(pt, pt->open.first);
    }
    g = open_group(pt, p->packet_id, time_ns);
    if (!g) {
        pt->n.dropped_memory++;
        postcard_pool_put(pt->pool, entry);
        return;
    }
    if (!g->first) {
        note_inner(pt, g, p);
    }
    if (g->seen.n) {
        g->twin_ns = time_ns + ASSEMBLE_TWIN_NS;
    }
    if (pt->trajectories) {
        entry->key = trajectory_cache_key(pt->trajectories, kind, p);
    }
    g->key_sum += entry->key;
    g->is_strange |= !entry->key;
    if (g->n_cards < MAX_SUMMED) {
        path_sum_add(&g->sum, kind, g->first, g->folds, p);
    }
    if (pt->n.held >= pt->config.max_plain && g->first &&
        (fold = postcard_pool_fold(pt->pool, entry, g->first))) {
        fold->place = (uint16_t) g->n_cards;
        fold->next = g->folds;
        g->folds = fold;
    } else if (g->last) {
        g->last->next = entry;
        g->last = entry;
    } else {
        g->first = g->last = entry;
    }
    g->n_cards++;
    pt->n.held++;
    look(pt, g);
}

void
path_table_drain(struct path_table *pt)
{
    while (pt->n_pushed) {
        struct postcard_entry *entry =
            pt->pushed[pt->first_pushed++ & (PATH_TABLE_PUSHED - 1)];

        pt->n_pushed--;
        path_table_add_entry(pt, entry);
    }
    path_table_close_waiting(pt);
}

static inline __attribute__((always_inline)) void
push(struct path_table *pt, const struct postcard *p)
{
    struct postcard_entry *entry;

    pt->n.in++;
    if (!p->has_id) {
        path_table_drain(pt);
        if (!p->visit || !pt->clock_ns) {
            path_table_keep_time(pt, p->time_ns);
        }
        add_without_id(pt, p);
        return;
    }
    entry = postcard_pool_get(pt->pool, p);
    if (!entry) {
        pt->n.dropped_memory++;
        return;
    }
    if (pt->n_pushed == PATH_TABLE_PUSHED) {
        pt->n_pushed--;
        path_table_add_entry(
            pt, pt->pushed[pt->first_pushed++ & (PATH_TABLE_PUSHED - 1)]);
    }
    path_index_prefetch_place(pt->index, p->packet_id);
    entry->key = card_kind_expect(pt->kinds, p);
    pt->pushed[(pt->first_pushed + pt->n_pushed++) & (PATH_TABLE_PUSHED - 1)] =
        entry;
    if (pt->n_pushed > PATH_TABLE_PUSHED / 2) {
        const struct postcard_entry *next =
            pt->pushed[(pt->first_pushed + PATH_TABLE_PUSHED / 4) &
                       (PATH_TABLE_PUSHED - 1)];

        if (!path_index_prefetch(pt->index, next->p.packet_id)) {
            path_closed_prefetch(pt->closed, next->p.packet_id);
        }
    }
}

/* Part of its callers, when it is linked. */
inline __attribute__((always_inline)) void
path_table_push(struct path_table *pt, const struct postcard *p)
{
    push(pt, p);
}

__attribute__((noinline)) void
path_table_push_apart(struct path_table *pt, const struct postcard *p)
{
    push(pt, p);
}

void
path_table_add(struct path_table *pt, const struct postcard *p)
{
    path_table_push_apart(pt, p);
    path_table_drain(pt);
}
