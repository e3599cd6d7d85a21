/* SPDX-License-Identifier: Apache-2.0 */
/* profile_tree - what a profile found, as a tree. */
#include <config.h>

#include "phf/profile_tree.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "phf/profile_label.h"

static const char *const level_names[N_PROFILE_LEVELS] = {
    [PROFILE_BY_LINK] = "link", [PROFILE_BY_INGRESS] = "ingress",
    [PROFILE_BY_PATH] = "path", [PROFILE_BY_SRC] = "src",
    [PROFILE_BY_DST] = "dst",   [PROFILE_BY_HOSTS] = "hosts",
    [PROFILE_BY_FLOW] = "flow",
};

const char *
profile_level_name(enum profile_level level)
{
    return level_names[level];
}

bool
profile_level_from_name(const char *name, enum profile_level *level)
{
    for (unsigned int i = 0; i < N_PROFILE_LEVELS; i++) {
        if (!strcmp(level_names[i], name)) {
            *level = (enum profile_level) i;
            return true;
        }
    }
    return false;
}

/* --- Groups ------------------------------------------------------------- */

/* Rows that are one node. */
struct group {
    const struct profile_row *row; /* Any of them. */
    size_t n;
    size_t at; /* Of what is below: where they begin, or the next goes. */
    uint64_t hash;
    double packets, bytes;
};

struct groups {
    size_t n, allocated;
    struct group *all; /* Owned. */
    uint32_t *of;      /* Of each row, the index of its group.  Owned. */
};

struct builder {
    const struct profile_tree_config *config;
    double total_packets, total_bytes;
    size_t n_nodes; /* Made so far. */
};

/* The group of a row among the 'n_slots' slots, made if there is none. */
static struct group *
find_group(const struct profile_table *table, struct groups *groups,
           uint32_t *slots, size_t n_slots, enum profile_level level,
           const struct profile_row *row)
{
    uint64_t hash = profile_label_hash(table, level, &row->key);
    size_t i = (size_t) hash & (n_slots - 1);

    for (; slots[i]; i = (i + 1) & (n_slots - 1)) {
        struct group *g = &groups->all[slots[i] - 1];

        if (g->hash == hash &&
            !profile_label_compare(table, level, &g->row->key, &row->key)) {
            return g;
        }
    }
    groups->all = lh_alloc_grow(groups->all, groups->n, &groups->allocated,
                                sizeof *groups->all);
    groups->all[groups->n] = (struct group){.row = row, .hash = hash};
    slots[i] = (uint32_t) ++groups->n;
    return &groups->all[groups->n - 1];
}

/* The nodes of 'level' in the 'n' rows, in no order. */
static struct groups
make_groups(const struct builder *b, const struct profile_row *const *rows,
            size_t n, enum profile_level level)
{
    struct groups groups = {.n = 0};
    size_t n_slots = 16;
    uint32_t *slots;

    while (n_slots < 2 * n) {
        n_slots *= 2;
    }
    slots = lh_alloc_zero(n_slots * sizeof *slots);
    groups.of = lh_alloc_array(NULL, n + 1, sizeof *groups.of);
    for (size_t i = 0; i < n; i++) {
        struct group *g = find_group(b->config->table, &groups, slots, n_slots,
                                     level, rows[i]);

        g->n++;
        g->packets += rows[i]->packets;
        g->bytes += rows[i]->bytes;
        groups.of[i] = (uint32_t) (g - groups.all);
    }
    free(slots);
    return groups;
}

/* What groups are put in order by. */
struct order {
    const struct profile_table *table;
    enum profile_level level;
};

/* The largest first; of equal ones as their labels are in order. */
static int
compare_groups(const void *a_, const void *b_, void *order_)
{
    const struct group *a = *(struct group *const *) a_;
    const struct group *b = *(struct group *const *) b_;
    const struct order *order = order_;

    return a->bytes != b->bytes ? (a->bytes > b->bytes ? -1 : 1)
           : a->packets != b->packets
               ? (a->packets > b->packets ? -1 : 1)
               : profile_label_compare(order->table, order->level,
                                       &a->row->key, &b->row->key);
}

static void
swap(struct group **a, struct group **b)
{
    struct group *c = *a;

    *a = *b;
    *b = c;
}

/* Moves the first 'top' of 'n' to the front, in order. */
static void
select_groups(struct group **all, size_t n, size_t top, struct order *order)
{
    size_t first = 0, end = n;

    /* No two are equal: what is to be in front is divided off by halves. */
    while (end - first > 32 && end > top) {
        size_t at = first;

        swap(&all[first + (end - first) / 2], &all[end - 1]);
        for (size_t i = first; i < end - 1; i++) {
            if (compare_groups(&all[i], &all[end - 1], order) < 0) {
                swap(&all[i], &all[at++]);
            }
        }
        swap(&all[at], &all[end - 1]);
        if (at < top) {
            first = at + 1;
        } else {
            end = at;
        }
    }
    qsort_r(all,
            end > top ? end
            : n < top ? n
                      : top,
            sizeof *all, compare_groups, order);
}

/* The nearest number that is whole. */
static json_t *
whole(double n)
{
    return json_integer(n < (double) INT64_MAX ? (json_int_t) (n + 0.5)
                                               : INT64_MAX);
}

static void
set_counts(const struct builder *b, json_t *o, double packets, double bytes)
{
    double share = b->total_bytes > 0 ? bytes / b->total_bytes : 0;

    json_object_set_new(o, "packets", whole(packets));
    json_object_set_new(o, "bytes", whole(bytes));
    json_object_set_new(o, "share", json_real(share));
}

/* --- Series ------------------------------------------------------------- */

/* Packets and bytes of each interval, of the rows that are 'key' at the first
 * level (NULL: of all). */
static json_t *
make_series(const struct builder *b, const struct profile_key *key)
{
    const struct profile_table *table = b->config->table;
    const struct profile_ask *ask = b->config->ask;
    size_t n = b->config->n_intervals;
    double(*sums)[2] = lh_alloc_zero((n + 1) * sizeof *sums);
    json_t *series = json_array();

    for (size_t i = 0; i < table->n; i++) {
        const struct profile_row *row = &table->rows[i];

        if (row->key.bucket && row->key.bucket <= n &&
            (!key ||
             !profile_label_compare(table, ask->by[0], key, &row->key))) {
            sums[row->key.bucket - 1][0] += row->packets;
            sums[row->key.bucket - 1][1] += row->bytes;
        }
    }
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(
            series, json_pack("[o, o]", whole(sums[i][0]), whole(sums[i][1])));
    }
    free(sums);
    return series;
}

/* --- The tree ----------------------------------------------------------- */

/* The rows of the first 'n' groups, each group's one behind the other, for
 * free(). */
static const struct profile_row **
rows_of(const struct groups *groups, struct group *const *first, size_t n,
        const struct profile_row *const *rows, size_t n_rows)
{
    const struct profile_row **below;
    size_t n_below = 0;

    for (size_t i = 0; i < groups->n; i++) {
        groups->all[i].at = SIZE_MAX;
    }
    for (size_t i = 0; i < n; i++) {
        first[i]->at = n_below;
        n_below += first[i]->n;
    }
    below = lh_alloc_array(NULL, n_below + 1, sizeof *below);
    for (size_t i = 0; i < n_rows; i++) {
        struct group *g = &groups->all[groups->of[i]];

        if (g->at != SIZE_MAX) {
            below[g->at++] = rows[i];
        }
    }
    return below;
}

/* The nodes of level 'depth' and below, of the 'n_rows' rows. */
static json_t *
make_nodes(struct builder *b, const struct profile_row *const *rows,
           size_t n_rows, size_t depth)
{
    const struct profile_tree_config *config = b->config;
    const struct profile_ask *ask = config->ask;
    struct order order = {config->table, ask->by[depth]};
    struct groups groups = make_groups(b, rows, n_rows, ask->by[depth]);
    struct group **sorted = lh_alloc_array(NULL, groups.n + 1, sizeof *sorted);
    size_t top = config->top < groups.n ? config->top : groups.n, at = 0;
    struct group others = {.n = 0};
    const struct profile_row **below = NULL;
    json_t *nodes = json_array();

    for (size_t i = 0; i < groups.n; i++) {
        sorted[i] = &groups.all[i];
    }
    select_groups(sorted, groups.n, top, &order);
    if (depth + 1 < ask->n_by) {
        below = rows_of(&groups, sorted, top, rows, n_rows);
    }
    for (size_t i = 0; i < groups.n; i++) {
        const struct group *g = sorted[i];
        json_t *node;

        if (i >= top || b->n_nodes >= config->max_nodes) {
            others.n++;
            others.packets += g->packets;
            others.bytes += g->bytes;
            continue;
        }
        b->n_nodes++;
        node = profile_label_json(config->table, ask->by[depth], &g->row->key,
                                  config->topology);
        set_counts(b, node, g->packets, g->bytes);
        if (!depth && config->n_intervals) {
            json_object_set_new(node, "series", make_series(b, &g->row->key));
        }
        if (below) {
            json_object_set_new(node, "nodes",
                                make_nodes(b, below + at, g->n, depth + 1));
            at += g->n;
        }
        json_array_append_new(nodes, node);
    }
    if (others.n) {
        json_t *node = json_pack("{s:s, s:s, s:I}", "by", "others", "name",
                                 "others", "n", (json_int_t) others.n);

        set_counts(b, node, others.packets, others.bytes);
        json_array_append_new(nodes, node);
    }
    free(below);
    free(sorted);
    free(groups.all);
    free(groups.of);
    return nodes;
}

void
profile_tree_put(const struct profile_tree_config *config, json_t *to)
{
    const struct profile_table *table = config->table;
    struct builder b = {.config = config};
    const struct profile_row **rows =
        lh_alloc_array(NULL, table->n + 1, sizeof *rows);
    size_t n_rows = 0;

    for (size_t i = 0; i < table->n; i++) {
        if (!table->rows[i].key.bucket) {
            rows[n_rows++] = &table->rows[i];
            b.total_packets += table->rows[i].packets;
            b.total_bytes += table->rows[i].bytes;
        }
    }
    json_object_set_new(to, "packets", whole(b.total_packets));
    json_object_set_new(to, "bytes", whole(b.total_bytes));
    if (config->n_intervals) {
        json_object_set_new(to, "series", make_series(&b, NULL));
    }
    json_object_set_new(to, "tree",
                        config->ask->n_by ? make_nodes(&b, rows, n_rows, 0)
                                          : json_array());
    free(rows);
}
