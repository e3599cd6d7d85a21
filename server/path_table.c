/* SPDX-License-Identifier: Apache-2.0 */
/* path_table - the postcards of open packets, grouped by packet ID. */
#include <config.h>

#include <assert.h>
#include <stdlib.h>

#include "server/path_table_impl.h"

#define MAX_TRIES 16 /* Looks at a group that waits for a rule. */

void
path_table_stop_settling(struct path_table *pt, struct path_group *g)
{
    if (g->is_settling) {
        path_list_remove(&pt->settling, g, PATH_LIST_SETTLE);
        g->is_settling = false;
    } else if (g->is_ripe) {
        path_list_remove(&pt->ripe, g, PATH_LIST_SETTLE);
        g->is_ripe = false;
    }
}

void
path_table_start_settling(struct path_table *pt, struct path_group *g)
{
    path_table_stop_settling(pt, g);
    g->settle_ns = pt->clock_ns + pt->config.settle_ns;
    g->is_settling = true;
    path_list_push(&pt->settling, g, PATH_LIST_SETTLE);
}

void
path_table_ripen(struct path_table *pt, struct path_group *g)
{
    if (!g->is_ripe) {
        path_table_stop_settling(pt, g);
        g->is_ripe = true;
        path_list_push(&pt->ripe, g, PATH_LIST_SETTLE);
    }
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
    if (!pt->config.max_plain) {
        pt->config.max_plain = PATH_TABLE_MAX_PLAIN;
    }
    if (!pt->config.max_postcards) {
        pt->config.max_postcards = PATH_TABLE_MAX_POSTCARDS;
    }
    if (!pt->config.id_config.n_bytes) {
        pt->config.id_config = (struct packet_id_config) PACKET_ID_CONFIG_INIT;
    }
    pt->pool = postcard_pool_create();
    pt->tunnels = tunnel_map_create();
    pt->past = topology_past_create(2 * pt->config.window_ns +
                                    TOPOLOGY_PAST_SLACK_NS);
    pt->index = path_index_create(config->secret);
    pt->closed = path_closed_create();
    pt->own_kit =
        config->kit ? NULL : path_kit_create(config->emit_packet != NULL);
    pt->kit = config->kit ? config->kit : pt->own_kit;
    if (!pt->pool || !pt->tunnels || !pt->past || !pt->index || !pt->closed ||
        !pt->kit) {
        path_table_destroy(pt);
        return NULL;
    }
    pt->kinds = pt->kit->kinds;
    pt->assembler = pt->kit->assembler;
    pt->trajectories = config->emit_packet ? pt->kit->trajectories : NULL;
    return pt;
}

void
path_table_forget(struct path_table *pt, struct path_group *g)
{
    path_list_remove(&pt->open, g, PATH_LIST_ORDER);
    pt->n.open_groups--;
    path_table_stop_settling(pt, g);
    pt->n.held -= g->n_cards;
    postcard_pool_put(pt->pool, g->first);
    postcard_pool_put_folds(pt->pool, g->folds);
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
        postcard_pool_put(
            pt->pool,
            pt->pushed[pt->first_pushed++ & (PATH_TABLE_PUSHED - 1)]);
    }
    while (pt->open.first) {
        path_table_forget(pt, pt->open.first);
    }
    topology_past_destroy(pt->past);
    path_closed_destroy(pt->closed);
    postcard_pool_destroy(pt->pool);
    tunnel_map_destroy(pt->tunnels);
    path_index_destroy(pt->index);
    path_kit_destroy(pt->own_kit);
    free(pt);
}

void
path_table_set_topology(struct path_table *pt, const struct topology *topology)
{
    path_table_drain(pt);
    topology_past_set(pt->past, topology);
    pt->topology = topology_past_newest(pt->past);
    path_kit_set_topology(pt->kit, pt->topology);
    for (struct path_group *g = pt->open.first; g;
         g = g->links[PATH_LIST_ORDER].next) {
        g->sum.is_soft = true;
        path_table_start_settling(pt, g);
    }
}

void
path_table_change_topology(struct path_table *pt,
                           const struct topology *topology, uint64_t now_ns)
{
    if (!pt->topology) {
        path_table_set_topology(pt, topology);
        return;
    }
    path_table_drain(pt);
    topology_past_add(pt->past, topology, now_ns);
    pt->topology = topology_past_newest(pt->past);
    path_kit_change_topology(pt->kit, pt->topology);
}

/* --- Time. ----------------------------------------------------------------
 */

static void
set_clock(struct path_table *pt, uint64_t time_ns)
{
    if (pt->ripe.first) {
        path_table_end_moment(pt);
    }
    pt->clock_ns = time_ns;
}

/* The clock went back by more than a window: what is open waits from now. */
static void
step_back(struct path_table *pt, uint64_t now_ns)
{
    set_clock(pt, now_ns);
    path_table_close_waiting(pt);
    topology_past_settle(pt->past);
    for (struct path_group *g = pt->open.first; g;
         g = g->links[PATH_LIST_ORDER].next) {
        g->due_ns = now_ns + pt->config.window_ns;
    }
    path_closed_restart(pt->closed, now_ns + pt->config.window_ns);
    for (struct path_group *g = pt->settling.first; g;
         g = g->links[PATH_LIST_SETTLE].next) {
        g->settle_ns = now_ns + pt->config.settle_ns;
    }
}

static bool
is_ahead(const struct path_table *pt, uint64_t time_ns)
{
    return pt->clock_ns && time_ns > pt->clock_ns &&
           time_ns - pt->clock_ns > PATH_TABLE_LEAP_NS;
}

static bool
is_behind(const struct path_table *pt, uint64_t time_ns)
{
    return time_ns < pt->clock_ns &&
           pt->clock_ns - time_ns > pt->config.window_ns;
}

/* A time that the clock does not believe, until others agree. */
static __attribute__((noinline)) void
note_odd_time(struct path_table *pt, uint64_t time_ns, bool ahead)
{
    pt->n.odd_times++;
    pt->n_odd = ahead == pt->is_odd_ahead ? pt->n_odd + 1 : 1;
    pt->is_odd_ahead = ahead;
    if (pt->n_odd >= PATH_TABLE_N_AGREE) {
        pt->n_odd = 0;
        if (ahead) {
            set_clock(pt, time_ns);
        } else {
            step_back(pt, time_ns);
        }
    }
}

void
path_table_keep_time(struct path_table *pt, uint64_t time_ns)
{
    bool ahead = is_ahead(pt, time_ns);

    if (pt->config.is_driven) {
        if (time_ns > pt->clock_ns && time_ns <= pt->lead_ns) {
            set_clock(pt, time_ns);
        }
    } else if (!ahead && !is_behind(pt, time_ns)) {
        pt->n_odd = 0;
        if (time_ns > pt->clock_ns) {
            set_clock(pt, time_ns);
        }
    } else {
        note_odd_time(pt, time_ns, ahead);
    }
}

/* Looks at a group that was quiet, or waited for a rule. */
static void
look_again(struct path_table *pt, struct path_group *g)
{
    path_table_stop_settling(pt, g);
    if (path_table_try_close(pt, g, ASSEMBLE_SETTLING, NULL,
                             &pt->n.closed_settle) == ASSEMBLE_WAITS_RULE &&
        g->n_tries++ < MAX_TRIES) {
        path_table_start_settling(pt, g);
    }
}

static void
close_open_group(struct path_table *pt, struct path_group *g)
{
    if (g->first) {
        path_table_try_close(pt, g, ASSEMBLE_PARTIAL, NULL,
                             &pt->n.closed_window);
    } else {
        path_table_forget(pt, g); /* Its first postcard found no memory. */
    }
}

static uint64_t
extra_window(const struct path_table *pt, uint64_t now_ns)
{
    return pt->config.extra_window
               ? pt->config.extra_window(pt->config.aux, now_ns)
               : 0;
}

/* Moves the clock to 'until_ns', if that is not behind it, and closes and
 * forgets what is due on the way: each at its time, so that what comes of it
 * does not depend on how often this is called. */
static void
close_due(struct path_table *pt, uint64_t until_ns)
{
    uint64_t extra_ns;

    if (until_ns > pt->clock_ns) {
        path_table_end_moment(pt);
        path_table_close_waiting(pt);
    } else {
        until_ns = pt->clock_ns;
    }
    extra_ns = extra_window(pt, until_ns);
    for (;;) {
        struct path_group *open = pt->open.first;
        struct path_group *settling = pt->settling.first;
        uint64_t open_ns = open ? open->due_ns + extra_ns : UINT64_MAX;
        uint64_t settle_ns = settling ? settling->settle_ns : UINT64_MAX;
        uint64_t next_ns = open_ns < settle_ns ? open_ns : settle_ns;

        if (next_ns > until_ns) {
            break;
        }
        pt->clock_ns = next_ns > pt->clock_ns ? next_ns : pt->clock_ns;
        if (open_ns <= settle_ns) {
            close_open_group(pt, open);
        } else {
            look_again(pt, settling);
        }
    }
    pt->clock_ns = until_ns;
    path_closed_expire(pt->closed, pt->clock_ns);
}

void
path_table_run(struct path_table *pt, uint64_t now_ns)
{
    path_table_drain(pt);
    if (now_ns + pt->config.window_ns < pt->clock_ns) {
        step_back(pt, now_ns);
        pt->lead_ns = now_ns;
    }
    close_due(pt, now_ns);
}

void
path_table_run_to(struct path_table *pt, uint64_t time_ns)
{
    path_table_drain(pt);
    close_due(pt, is_ahead(pt, time_ns) ? 0 : time_ns);
}

void
path_table_lead(struct path_table *pt, uint64_t until_ns)
{
    pt->lead_ns = until_ns;
}

void
path_table_note_inner(struct path_table *pt, uint64_t inner, uint64_t outer,
                      uint64_t time_ns)
{
    tunnel_map_add(pt->tunnels, inner, outer, time_ns);
}

uint64_t
path_table_next_ns(const struct path_table *pt)
{
    uint64_t next_ns = UINT64_MAX;

    if (pt->open.first) {
        uint64_t extra_ns = extra_window(pt, pt->clock_ns);
        uint64_t due_ns = pt->open.first->due_ns;

        /* It may end before. */
        next_ns = extra_ns && due_ns < pt->clock_ns + pt->config.window_ns
                      ? pt->clock_ns + pt->config.window_ns
                      : due_ns;
    }
    if (pt->settling.first && pt->settling.first->settle_ns < next_ns) {
        next_ns = pt->settling.first->settle_ns;
    }
    if (pt->n_pushed) {
        /* It may open a group, or be the last of one. */
        const struct postcard *p =
            &pt->pushed[pt->first_pushed & (PATH_TABLE_PUSHED - 1)]->p;
        uint64_t due_ns = p->time_ns + pt->config.settle_ns;

        next_ns = !p->visit && due_ns < next_ns ? due_ns : next_ns;
    }
    return next_ns;
}

void
path_table_flush(struct path_table *pt)
{
    path_table_drain(pt);
    path_table_end_moment(pt);
    path_table_close_waiting(pt);
    while (pt->open.first) {
        close_open_group(pt, pt->open.first);
    }
}

void
path_table_get_counters(const struct path_table *pt,
                        struct path_table_counters *counters)
{
    *counters = pt->n;
    counters->topologies_forgotten = topology_past_n_forgotten(pt->past);
    counters->held += pt->n_pushed;
    counters->closed_groups = path_closed_count(pt->closed);
    if (pt->trajectories) {
        struct trajectory_cache_counters cache;

        trajectory_cache_get_counters(pt->trajectories, &cache);
        counters->unforeseen = cache.unlike;
        counters->paths = cache.paths;
        counters->flows = cache.flows;
    }
}
