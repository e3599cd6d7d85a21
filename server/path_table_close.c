/* SPDX-License-Identifier: Apache-2.0 */
/* path_table_close - groups of postcards become histories. */
#include <config.h>

#include "lib/hop_template.h"
#include "server/path_table_impl.h"

void
path_table_close(struct path_table *pt, struct path_group *g)
{
    path_closed_add(pt->closed, g, pt->clock_ns + pt->config.window_ns);
    path_closed_limit(pt->closed, pt->config.max_postcards);
    path_table_forget(pt, g);
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

/* The topologies of the time of the 'n' postcards, if there are several. */
static const struct topology_span *
find_span(const struct path_table *pt, size_t n, struct topology_span *span)
{
    uint64_t first_ns = UINT64_MAX;

    for (size_t i = 0; i < n; i++) {
        if (pt->cards[i]->time_ns < first_ns) {
            first_ns = pt->cards[i]->time_ns;
        }
    }
    return topology_past_span(pt->past, first_ns, span) ? span : NULL;
}

/* 'span': of its time, NULL: one topology. */
static void
learn(struct path_table *pt, const struct path_group *g,
      enum assemble_state state, const struct history *h,
      const struct topology_span *span)
{
    struct rule *rules[TRAJECTORY_MAX_HOPS] = {NULL};

    if (!pt->trajectories || g->is_strange || state < ASSEMBLE_SETTLING ||
        h->n_hops > TRAJECTORY_MAX_HOPS) {
        return;
    }
    for (size_t i = 0; span && i < h->n_hops; i++) {
        if (!topology_span_is_same(span, h->hops[i].dpid)) {
            return;
        }
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

/* What was left out when the packet was kept: the most of all its hops. */
static uint32_t
left_out_of(const struct path_group *g)
{
    uint32_t left_out = 0;

    for (const struct postcard_entry *e = g->first; e && e->p.visit;
         e = e->next) {
        left_out =
            e->p.visit->left_out > left_out ? e->p.visit->left_out : left_out;
    }
    return left_out;
}

/* Emits the group as a packet of a known trajectory. */
static bool
recognise(struct path_table *pt, const struct path_group *g,
          enum assemble_state wanted, struct trajectory_hint *hint)
{
    struct trajectory_hint none = {.entry = NULL};
    struct trajectory_hit hit;

    if (!pt->trajectories || g->is_strange ||
        !trajectory_cache_find(pt->trajectories, g->first, g->n_cards,
                               g->key_sum, wanted, hint ? hint : &none,
                               &hit) ||
        find_outer(pt, g->id, hit.times_ns[0])) {
        return false;
    }
    pt->n.out += g->n_cards;
    pt->n.histories++;
    pt->n.recognised++;
    hit.packet.left_out = left_out_of(g);
    pt->config.emit_packet(pt->config.aux, hit.trajectory, &hit.packet);
    return true;
}

size_t
path_table_assemble(struct path_table *pt, const struct path_group *g,
                    size_t n, enum assemble_state wanted,
                    enum assemble_state *statep)
{
    struct topology_span span;
    struct assemble_env env = {
        .topology = pt->topology,
        .span = find_span(pt, n, &span),
        .id_config = &pt->config.id_config,
        .find_rule = pt->config.find_rule,
        .has_lossless = pt->config.has_lossless,
        .is_silent = pt->config.is_silent,
        .is_capped = pt->config.is_capped,
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
            learn(pt, g, result.state, h, env.span);
        }
        h->left_out = g ? left_out_of(g) : 0;
        pt->config.emit(pt->config.aux, h);
    }
    return result.n_in_hops;
}

/* Unfolds the group's postcards, to where they came.  Those for which there is
 * no memory are gone. */
static void
unfold(struct path_table *pt, struct path_group *g)
{
    struct postcard_entry *before = g->first;
    size_t n = 1; /* Up to 'before'. */

    path_group_turn_folds(g);
    while (g->folds) {
        struct postcard_fold *fold = g->folds;
        size_t place = fold->place;
        struct postcard_entry *entry;

        g->folds = fold->next;
        for (; n < place && before->next; n++) {
            before = before->next;
        }
        entry = postcard_pool_unfold(pt->pool, fold, g->first);
        if (!entry) {
            pt->n.dropped_memory++;
            pt->n.held--;
            g->n_cards--;
            g->is_strange = true;
            continue;
        }
        entry->next = before->next;
        before->next = entry;
        if (!entry->next) {
            g->last = entry;
        }
    }
}

/* Counts the group's postcards, which are all doubles. */
static void
count_doubles(struct path_table *pt, const struct path_group *g)
{
    *(g->n_cards > 1 && g->n_cards == g->seen.n ? &pt->n.ambiguous
                                                : &pt->n.duplicates) +=
        g->n_cards;
}

bool
path_table_drop_doubles(struct path_table *pt, struct path_group *g)
{
    if (g->folds) {
        unfold(pt, g);
    }
    if (!path_group_is_double(g)) {
        return false;
    }
    count_doubles(pt, g);
    path_table_forget(pt, g);
    return true;
}

enum assemble_state
path_table_try_close(struct path_table *pt, struct path_group *g,
                     enum assemble_state wanted, struct trajectory_hint *hint,
                     uint64_t *counter)
{
    enum assemble_state state;
    size_t n = 0, n_out;

    if (g->folds) {
        unfold(pt, g);
    }
    if (wanted >= ASSEMBLE_SETTLING && !path_group_is_double(g) &&
        recognise(pt, g, wanted, hint)) {
        ++*counter;
        path_table_close(pt, g);
        return ASSEMBLE_COMPLETE;
    }
    for (const struct postcard_entry *e = g->first; e; e = e->next) {
        pt->cards[n++] = &e->p;
    }
    if (path_group_is_double(g)) {
        /* Nothing but what the closed group had; more may come. */
        if (wanted == ASSEMBLE_PARTIAL) {
            count_doubles(pt, g);
            path_table_close(pt, g);
        }
        return ASSEMBLE_PARTIAL;
    }
    if (wanted == ASSEMBLE_PARTIAL && g->first->p.visit &&
        pt->config.is_sampled_out &&
        pt->config.is_sampled_out(pt->config.aux, g->id)) {
        /* Had it been whole, it would have closed before. */
        pt->n.sampled_out += n;
        path_table_close(pt, g);
        return ASSEMBLE_PARTIAL;
    }
    n_out = path_table_assemble(pt, g, n, wanted, &state);
    if (state >= wanted) {
        if (g->was_closed && state < ASSEMBLE_SETTLING) {
            pt->n.late += n_out;
        }
        ++*counter;
        path_table_close(pt, g);
    }
    return state;
}
