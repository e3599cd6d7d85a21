/* SPDX-License-Identifier: Apache-2.0 */
/* path_table_soon - groups that are complete wait for their memory.
 *
 * To recognise a packet takes memory of its path, then of its flow, each of
 * which is only found when the one before has come.  So a group is asked for
 * by one step more each time that another one comes, and closed after that. */
#include <config.h>

#include "server/path_table_impl.h"

/* So many others come between two steps. */
#define PATH_STEP 2

_Static_assert(3 * PATH_STEP < PATH_TABLE_SOON, "all steps are taken");

bool
path_table_try_whole(struct path_table *pt, struct path_group *g,
                     struct trajectory_hint *hint)
{
    switch (path_table_try_close(pt, g, ASSEMBLE_COMPLETE, hint,
                                 &pt->n.closed_early)) {
    case ASSEMBLE_SETTLING:
    case ASSEMBLE_WAITS_RULE:
        g->n_tries = 0;
        path_table_start_settling(pt, g);
        break;
    case ASSEMBLE_PARTIAL:
        return false;
    case ASSEMBLE_COMPLETE:
        break;
    }
    return true;
}

/* The one that came 'n' before the last, or NULL: it cannot be recognised. */
static struct path_soon *
soon_before(struct path_table *pt, size_t n)
{
    struct path_soon *soon;

    if (n >= pt->n_soon) {
        return NULL;
    }
    soon = &pt->soon[(pt->first_soon + pt->n_soon - 1 - n) &
                     (PATH_TABLE_SOON - 1)];
    return soon->group->is_strange ? NULL : soon;
}

static void
take_steps(struct path_table *pt)
{
    struct trajectory_cache *cache = pt->trajectories;
    struct path_soon *soon;

    if ((soon = soon_before(pt, 0))) {
        trajectory_cache_expect(cache, soon->group->key_sum);
    }
    if ((soon = soon_before(pt, PATH_STEP))) {
        trajectory_cache_expect_path(cache, soon->group->key_sum);
    }
    if ((soon = soon_before(pt, 2 * PATH_STEP))) {
        trajectory_cache_expect_flow(cache, soon->group->first,
                                     soon->group->key_sum, &soon->hint);
    }
    if ((soon = soon_before(pt, 3 * PATH_STEP))) {
        trajectory_cache_expect_trajectory(cache, &soon->hint);
    }
}

static void
close_first(struct path_table *pt)
{
    struct path_soon *soon =
        &pt->soon[pt->first_soon++ & (PATH_TABLE_SOON - 1)];
    uint64_t clock_ns = pt->clock_ns;

    pt->n_soon--;
    soon->group->is_closing = false;
    pt->clock_ns = soon->clock_ns;
    path_table_try_whole(pt, soon->group, &soon->hint);
    pt->clock_ns = clock_ns;
}

/* All wait no longer: takes the steps that are left, one after the other for
 * all of them, so that they wait for their memory together. */
static void
take_steps_left(struct path_table *pt)
{
    struct trajectory_cache *cache = pt->trajectories;
    struct path_soon *soon;

    for (size_t n = PATH_STEP; n-- > 0;) {
        if ((soon = soon_before(pt, n))) {
            trajectory_cache_expect_path(cache, soon->group->key_sum);
        }
    }
    for (size_t n = 2 * PATH_STEP; n-- > 0;) {
        if ((soon = soon_before(pt, n))) {
            trajectory_cache_expect_flow(cache, soon->group->first,
                                         soon->group->key_sum, &soon->hint);
        }
    }
    for (size_t n = 3 * PATH_STEP; n-- > 0;) {
        if ((soon = soon_before(pt, n))) {
            trajectory_cache_expect_trajectory(cache, &soon->hint);
        }
    }
}

void
path_table_close_soon(struct path_table *pt, struct path_group *g)
{
    struct path_soon *soon;

    if (g->is_closing) {
        return;
    }
    if (pt->n_soon == PATH_TABLE_SOON) {
        close_first(pt);
    }
    soon = &pt->soon[(pt->first_soon + pt->n_soon++) & (PATH_TABLE_SOON - 1)];
    soon->group = g;
    soon->clock_ns = pt->clock_ns;
    soon->hint.entry = NULL;
    g->is_closing = true;
    if (pt->trajectories) {
        take_steps(pt);
    }
}

void
path_table_close_waiting(struct path_table *pt)
{
    if (pt->n_soon > 1 && pt->trajectories) {
        take_steps_left(pt);
    }
    while (pt->n_soon) {
        close_first(pt);
    }
}
