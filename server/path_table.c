/* SPDX-License-Identifier: Apache-2.0 */
/* path_table - the postcards of open packets, grouped by packet ID.
 *
 * Whether a group may be complete is asked of a path_sum first; only then is
 * the group assembled to see. */
#include <config.h>
#include "server/path_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/of_port.h"
#include "server/assemble.h"
#include "server/path_group.h"
#include "server/postcard_pool.h"
#include "server/trajectory_cache.h"
#include "server/tunnel.h"

#define MAX_TRIES  16 /* Looks at a group that waits for a rule. */
#define MAX_SUMMED 32 /* Postcards of a group that the sum is kept for. */
#define N_PUSHED   16 /* A power of 2. */

struct path_table {
    /* Set at creation. */
    struct path_table_config config;
    struct postcard_pool *pool;
    struct tunnel_map *tunnels;
    struct assembler *assembler;
    struct trajectory_cache *trajectories; /* NULL: nobody takes packets. */

    struct topology *topology; /* A reference, or NULL. */
    uint64_t clock_ns;
    struct path_index *index; /* Owned, with all groups in it. */
    struct path_list open, closed, settling;
    struct path_table_counters n;
    struct postcard_entry *pushed[N_PUSHED]; /* A ring of what was pushed. */
    size_t first_pushed, n_pushed;
    const struct postcard *cards[ASSEMBLE_MAX];
};

static void
stop_settling(struct path_table *pt, struct path_group *g)
{
    if (g->is_settling) {
        path_list_remove(&pt->settling, g, PATH_LIST_SETTLE);
        g->is_settling = false;
    }
}

static void
start_settling(struct path_table *pt, struct path_group *g)
{
    stop_settling(pt, g);
    g->settle_ns = pt->clock_ns + pt->config.settle_ns;
    g->is_settling = true;
    path_list_push(&pt->settling, g, PATH_LIST_SETTLE);
}

/* --- Life. ----------------------------------------------------------------
 */

struct path_table *
path_table_create(const struct path_table_config *config)
{
    struct path_table *pt = calloc(1, sizeof *pt);

    assert(config->emit);
    if (!pt) {
        return NULL;
    }
    pt->config = *config;
    if (!pt->config.window_ns) {
        pt->config.window_ns = PATH_TABLE_WINDOW_NS;
    }
    if (!pt->config.settle_ns) {
        pt->config.settle_ns = PATH_TABLE_SETTLE_NS;
    }
    if (pt->config.settle_ns > pt->config.window_ns) {
        pt->config.settle_ns = pt->config.window_ns;
    }
    if (!pt->config.max_postcards) {
        pt->config.max_postcards = PATH_TABLE_MAX_POSTCARDS;
    }
    if (!pt->config.id_config.n_bytes) {
        pt->config.id_config = (struct packet_id_config) PACKET_ID_CONFIG_INIT;
    }
    pt->pool = postcard_pool_create();
    pt->tunnels = tunnel_map_create();
    pt->assembler = assembler_create();
    pt->index = path_index_create();
    if (pt->config.emit_packet) {
        pt->trajectories = trajectory_cache_create();
    }
    if (!pt->pool || !pt->tunnels || !pt->assembler || !pt->index ||
        (pt->config.emit_packet && !pt->trajectories)) {
        path_table_destroy(pt);
        return NULL;
    }
    return pt;
}

static void
forget(struct path_table *pt, struct path_group *g)
{
    if (g->is_open) {
        path_list_remove(&pt->open, g, PATH_LIST_ORDER);
        pt->n.open_groups--;
    } else {
        path_list_remove(&pt->closed, g, PATH_LIST_ORDER);
        pt->n.closed_groups--;
    }
    stop_settling(pt, g);
    pt->n.held -= g->n_cards;
    postcard_pool_put(pt->pool, g->first);
    path_index_remove(pt->index, g);
}

void
path_table_destroy(struct path_table *pt)
{
    if (!pt) {
        return;
    }
    while (pt->n_pushed) {
        pt->n_pushed--;
        postcard_pool_put(pt->pool,
                          pt->pushed[pt->first_pushed++ & (N_PUSHED - 1)]);
    }
    while (pt->open.first) {
        forget(pt, pt->open.first);
    }
    while (pt->closed.first) {
        forget(pt, pt->closed.first);
    }
    topology_unref(pt->topology);
    postcard_pool_destroy(pt->pool);
    tunnel_map_destroy(pt->tunnels);
    assembler_destroy(pt->assembler);
    trajectory_cache_destroy(pt->trajectories);
    path_index_destroy(pt->index);
    free(pt);
}

void
path_table_set_topology(struct path_table *pt, const struct topology *topology)
{
    path_table_drain(pt);
    topology_unref(pt->topology);
    pt->topology = topology ? topology_ref(topology) : NULL;
    path_table_forget_trajectories(pt);
    for (struct path_group *g = pt->open.first; g;
         g = g->links[PATH_LIST_ORDER].next) {
        g->sum.is_soft = true;
        start_settling(pt, g);
    }
}

void
path_table_forget_trajectories(struct path_table *pt)
{
    if (pt->trajectories) {
        trajectory_cache_clear(pt->trajectories);
    }
}

/* --- Closing. -------------------------------------------------------------
 */

/* Takes the postcards out of the group and remembers its ID. */
static void
close_group(struct path_table *pt, struct path_group *g)
{
    path_group_remember(g);
    pt->n.held -= g->n_cards;
    postcard_pool_put(pt->pool, g->first);
    g->first = g->last = NULL;
    g->n_cards = 0;
    stop_settling(pt, g);
    path_list_remove(&pt->open, g, PATH_LIST_ORDER);
    pt->n.open_groups--;
    g->is_open = false;
    g->due_ns = pt->clock_ns + pt->config.window_ns;
    path_list_push(&pt->closed, g, PATH_LIST_ORDER);
    pt->n.closed_groups++;
    while (pt->n.closed_groups > pt->config.max_postcards) {
        forget(pt, pt->closed.first);
    }
}

/* The packet around this one, 0 if none. */
static uint64_t
find_outer(const struct path_table *pt, uint64_t id, uint64_t first_ns)
{
    return tunnel_map_find(
        pt->tunnels, id,
        first_ns > pt->config.window_ns ? first_ns - pt->config.window_ns : 0);
}

/* The rule that alone decided what hop 'hop' sent, for the caller to unref, or
 * NULL. */
static struct rule *
find_only_rule(const struct path_table *pt, const struct history_hop *hop)
{
    const struct rule *rule = NULL;
    uint32_t port;

    if (pt->config.find_rule && hop->n_versions == 1 && hop->n_out == 1) {
        rule =
            pt->config.find_rule(pt->config.aux, hop->dpid, hop->versions[0]);
    }
    return rule && rule_outputs(rule, &port, 1) == 1 ? rule_ref(rule) : NULL;
}

static void
learn(struct path_table *pt, const struct path_group *g,
      enum assemble_state state, const struct history *h)
{
    struct rule *rules[TRAJECTORY_MAX_HOPS] = {NULL};

    if (!pt->trajectories || g->is_strange || state < ASSEMBLE_SETTLING ||
        h->n_hops > TRAJECTORY_MAX_HOPS) {
        return;
    }
    for (size_t i = 0; i < h->n_hops; i++) {
        rules[i] = find_only_rule(pt, &h->hops[i]);
    }
    trajectory_cache_learn(pt->trajectories, g->first, g->n_cards, g->key_sum,
                           state, h, pt->topology,
                           (const struct rule *const *) rules);
    for (size_t i = 0; i < h->n_hops; i++) {
        rule_unref(rules[i]);
    }
}

/* Emits the group as a packet of a known trajectory. */
static bool
recognise(struct path_table *pt, const struct path_group *g,
          enum assemble_state wanted)
{
    struct trajectory_hit hit;

    if (!pt->trajectories || g->is_strange ||
        !trajectory_cache_find(pt->trajectories, g->first, g->n_cards,
                               g->key_sum, wanted, &hit) ||
        find_outer(pt, g->id, hit.times_ns[0])) {
        return false;
    }
    pt->n.out += g->n_cards;
    pt->n.histories++;
    pt->n.recognised++;
    pt->config.emit_packet(pt->config.aux, hit.trajectory, &hit.packet);
    return true;
}

/* Assembles 'n' postcards of pt->cards, those of 'g' if it is not NULL, and
 * emits, if the state is as wanted.
 * '*statep' is the state.  Returns the number of postcards that went into
 * hops, 0 when nothing was emitted. */
static size_t
assemble_cards(struct path_table *pt, const struct path_group *g, size_t n,
               enum assemble_state wanted, enum assemble_state *statep)
{
    struct assemble_env env = {
        .topology = pt->topology,
        .id_config = &pt->config.id_config,
        .find_rule = pt->config.find_rule,
        .has_lossless = pt->config.has_lossless,
        .is_silent = pt->config.is_silent,
        .aux = pt->config.aux,
        .until_ns = pt->clock_ns,
    };
    struct assemble_result result;
    int error = assemble(pt->assembler, &env, pt->cards, n, wanted, &result);

    *statep = result.state;
    if (error) {
        *statep = ASSEMBLE_PARTIAL;
        pt->n.dropped_memory += wanted == ASSEMBLE_PARTIAL ? n : 0;
        return 0;
    }
    if (result.state < wanted) {
        return 0;
    }
    pt->n.duplicates += result.n_duplicates;
    pt->n.ambiguous += result.n_ambiguous;
    pt->n.out += result.n_in_hops;
    pt->n.histories += result.n_histories;
    for (size_t i = 0; i < result.n_histories; i++) {
        struct history *h = result.histories[i];

        if (h->has_packet_id) {
            h->carried_by = find_outer(pt, h->packet_id, history_first_ns(h));
        }
        if (g && result.n_histories == 1 && result.n_in_hops == n) {
            learn(pt, g, result.state, h);
        }
        pt->config.emit(pt->config.aux, h);
    }
    return result.n_in_hops;
}

/* Closes the group if its state is as wanted, counting in '*counter'. */
static enum assemble_state
try_close(struct path_table *pt, struct path_group *g,
          enum assemble_state wanted, uint64_t *counter)
{
    enum assemble_state state;
    size_t n = 0, n_out;

    if (wanted >= ASSEMBLE_SETTLING && !g->was_closed &&
        recognise(pt, g, wanted)) {
        ++*counter;
        close_group(pt, g);
        return ASSEMBLE_COMPLETE;
    }
    for (const struct postcard_entry *e = g->first; e; e = e->next) {
        pt->cards[n++] = &e->p;
    }
    if (path_group_is_double(g)) {
        /* Nothing but what the closed group had; more may come. */
        if (wanted == ASSEMBLE_PARTIAL) {
            *(n > 1 && n == g->n_seen ? &pt->n.ambiguous
                                      : &pt->n.duplicates) += n;
            close_group(pt, g);
        }
        return ASSEMBLE_PARTIAL;
    }
    n_out = assemble_cards(pt, g, n, wanted, &state);
    if (state >= wanted) {
        if (g->was_closed && state < ASSEMBLE_SETTLING) {
            pt->n.late += n_out;
        }
        ++*counter;
        close_group(pt, g);
    }
    return state;
}

/* --- Adding. --------------------------------------------------------------
 */

/* Looks whether the group that just grew is complete. */
static void
look(struct path_table *pt, struct path_group *g)
{
    if (g->n_cards >= ASSEMBLE_MAX) {
        try_close(pt, g, ASSEMBLE_PARTIAL, &pt->n.closed_size);
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
    } else if (g->sum.sum || !g->sum.has_start) {
        return;
    }
    switch (try_close(pt, g, ASSEMBLE_COMPLETE, &pt->n.closed_early)) {
    case ASSEMBLE_SETTLING:
    case ASSEMBLE_WAITS_RULE:
        g->n_tries = 0;
        start_settling(pt, g);
        break;
    case ASSEMBLE_PARTIAL:
    case ASSEMBLE_COMPLETE:
        break;
    }
}

/* Makes the group of 'id' open and returns it, NULL when memory is short. */
static struct path_group *
open_group(struct path_table *pt, uint64_t id)
{
    struct path_group *g = path_index_find(pt->index, id);

    if (g && g->is_open) {
        return g;
    }
    if (g) {
        uint64_t closed_ns = g->due_ns - pt->config.window_ns;
        bool is_recent = pt->clock_ns < closed_ns + ASSEMBLE_TWIN_NS;

        path_list_remove(&pt->closed, g, PATH_LIST_ORDER);
        pt->n.closed_groups--;
        g->sum = (struct path_sum){0};
        g->key_sum = 0;
        g->is_strange = false;
        g->n_tries = 0;
        g->try_at = 0;
        g->was_closed = true;
        g->may_be_double = is_recent;
    } else {
        g = path_index_add(pt->index, id);
        if (!g) {
            return NULL;
        }
    }
    g->is_open = true;
    g->due_ns = pt->clock_ns + pt->config.window_ns;
    path_list_push(&pt->open, g, PATH_LIST_ORDER);
    pt->n.open_groups++;
    return g;
}

/* A postcard that has no packet ID is a history of its own. */
static void
add_without_id(struct path_table *pt, const struct postcard *p)
{
    enum assemble_state state;

    pt->cards[0] = p;
    pt->n.without_id += assemble_cards(pt, NULL, 1, ASSEMBLE_PARTIAL, &state);
}

/* A copy with its key; NULL when memory is short. */
static struct postcard_entry *
copy_postcard(struct path_table *pt, const struct postcard *p)
{
    struct postcard_entry *entry = postcard_pool_get(pt->pool, p);

    if (entry && pt->trajectories) {
        entry->key = trajectory_cache_key(pt->trajectories, p);
    }
    return entry;
}

/* Notes which packet travels inside the first postcard's. */
static void
note_inner(struct path_table *pt, struct path_group *g,
           const struct postcard *p)
{
    uint64_t inner =
        packet_id_inner(&pt->config.id_config, p->header, p->caplen);

    if (inner) {
        tunnel_map_add(pt->tunnels, inner, p->packet_id, p->time_ns);
        g->is_strange = true;
    }
}

/* Adds the copy to the group of its packet ID. */
static void
add_entry(struct path_table *pt, struct postcard_entry *entry)
{
    const struct postcard *p = &entry->p;
    struct path_group *g;

    pt->clock_ns = p->time_ns > pt->clock_ns ? p->time_ns : pt->clock_ns;
    while (pt->n.held >= pt->config.max_postcards) {
        pt->n.dropped_full += pt->open.first->n_cards;
        forget(pt, pt->open.first);
    }
    g = open_group(pt, p->packet_id);
    if (!g) {
        pt->n.dropped_memory++;
        postcard_pool_put(pt->pool, entry);
        return;
    }
    if (!g->first) {
        note_inner(pt, g, p);
    }
    g->key_sum += entry->key;
    g->is_strange |= !entry->key;
    if (g->n_cards < MAX_SUMMED) {
        path_sum_add(&g->sum, pt->topology, g->first, p);
    }
    if (g->last) {
        g->last->next = entry;
    } else {
        g->first = entry;
    }
    g->last = entry;
    g->n_cards++;
    pt->n.held++;
    look(pt, g);
}

void
path_table_drain(struct path_table *pt)
{
    while (pt->n_pushed) {
        struct postcard_entry *entry =
            pt->pushed[pt->first_pushed++ & (N_PUSHED - 1)];

        pt->n_pushed--;
        add_entry(pt, entry);
    }
}

void
path_table_add(struct path_table *pt, const struct postcard *p)
{
    path_table_push(pt, p);
    path_table_drain(pt);
}

void
path_table_push(struct path_table *pt, const struct postcard *p)
{
    struct postcard_entry *entry;

    pt->n.in++;
    if (!p->has_id) {
        path_table_drain(pt);
        pt->clock_ns = p->time_ns > pt->clock_ns ? p->time_ns : pt->clock_ns;
        add_without_id(pt, p);
        return;
    }
    entry = copy_postcard(pt, p);
    if (!entry) {
        pt->n.dropped_memory++;
        return;
    }
    if (pt->n_pushed == N_PUSHED) {
        pt->n_pushed--;
        add_entry(pt, pt->pushed[pt->first_pushed++ & (N_PUSHED - 1)]);
    }
    path_index_prefetch_place(pt->index, p->packet_id);
    pt->pushed[(pt->first_pushed + pt->n_pushed++) & (N_PUSHED - 1)] = entry;
    if (pt->n_pushed > N_PUSHED / 2) {
        const struct postcard_entry *next =
            pt->pushed[(pt->first_pushed + N_PUSHED / 4) & (N_PUSHED - 1)];

        path_index_prefetch(pt->index, next->p.packet_id);
    }
}

/* --- Time. ----------------------------------------------------------------
 */

/* The clock went back by more than a window: what is open waits from now. */
static void
step_back(struct path_table *pt, uint64_t now_ns)
{
    pt->clock_ns = now_ns;
    for (struct path_group *g = pt->open.first; g;
         g = g->links[PATH_LIST_ORDER].next) {
        g->due_ns = now_ns + pt->config.window_ns;
    }
    for (struct path_group *g = pt->closed.first; g;
         g = g->links[PATH_LIST_ORDER].next) {
        g->due_ns = now_ns + pt->config.window_ns;
    }
    for (struct path_group *g = pt->settling.first; g;
         g = g->links[PATH_LIST_SETTLE].next) {
        g->settle_ns = now_ns + pt->config.settle_ns;
    }
}

/* Looks at a group that was quiet, or waited for a rule. */
static void
look_again(struct path_table *pt, struct path_group *g)
{
    stop_settling(pt, g);
    if (try_close(pt, g, ASSEMBLE_SETTLING, &pt->n.closed_settle) ==
            ASSEMBLE_WAITS_RULE &&
        g->n_tries++ < MAX_TRIES) {
        start_settling(pt, g);
    }
}

static void
close_open_group(struct path_table *pt, struct path_group *g)
{
    if (g->first) {
        try_close(pt, g, ASSEMBLE_PARTIAL, &pt->n.closed_window);
    } else {
        forget(pt, g); /* Its first postcard found no memory. */
    }
}

void
path_table_run(struct path_table *pt, uint64_t now_ns)
{
    path_table_drain(pt);
    if (now_ns + pt->config.window_ns < pt->clock_ns) {
        step_back(pt, now_ns);
    }
    pt->clock_ns = now_ns > pt->clock_ns ? now_ns : pt->clock_ns;
    while (pt->open.first && pt->open.first->due_ns <= pt->clock_ns) {
        close_open_group(pt, pt->open.first);
    }
    while (pt->settling.first &&
           pt->settling.first->settle_ns <= pt->clock_ns) {
        look_again(pt, pt->settling.first);
    }
    while (pt->closed.first && pt->closed.first->due_ns <= pt->clock_ns) {
        forget(pt, pt->closed.first);
    }
}

uint64_t
path_table_next_ns(const struct path_table *pt)
{
    uint64_t next_ns = UINT64_MAX;

    if (pt->open.first) {
        next_ns = pt->open.first->due_ns;
    }
    if (pt->settling.first && pt->settling.first->settle_ns < next_ns) {
        next_ns = pt->settling.first->settle_ns;
    }
    return next_ns;
}

void
path_table_flush(struct path_table *pt)
{
    path_table_drain(pt);
    while (pt->open.first) {
        close_open_group(pt, pt->open.first);
    }
}

void
path_table_get_counters(const struct path_table *pt,
                        struct path_table_counters *counters)
{
    *counters = pt->n;
    counters->held += pt->n_pushed;
    if (pt->trajectories) {
        struct trajectory_cache_counters cache;

        trajectory_cache_get_counters(pt->trajectories, &cache);
        counters->unforeseen = cache.unlike;
        counters->paths = cache.paths;
        counters->flows = cache.flows;
    }
}
