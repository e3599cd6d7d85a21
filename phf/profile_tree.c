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

/* Rows that are one node: 'n' of them from 'first' on. */
struct group {
    size_t first, n;
    double packets, bytes;
};

struct builder {
    const struct profile_tree_config *config;
    const struct profile_row **rows; /* Of all of the range, sorted. */
    size_t n_rows;
    double total_packets, total_bytes;
    size_t n_nodes; /* Made so far. */
};

static int
compare_rows(const void *a_, const void *b_, void *config_)
{
    const struct profile_row *const *a = a_, *const *b = b_;
    const struct profile_tree_config *config = config_;
    int order = 0;

    for (size_t i = 0; i < config->ask->n_by && !order; i++) {
        order = profile_label_compare(config->table, config->ask->by[i],
                                      &(*a)->key, &(*b)->key);
    }
    return order;
}

/* The largest first; of equal ones as rows are sorted. */
static int
compare_groups(const void *a_, const void *b_)
{
    const struct group *a = a_, *b = b_;

    return a->bytes != b->bytes       ? (a->bytes > b->bytes ? -1 : 1)
           : a->packets != b->packets ? (a->packets > b->packets ? -1 : 1)
           : a->first < b->first      ? -1
                                      : a->first > b->first;
}

/* The nodes of 'level' in rows from 'first' to before 'end', for free(). */
static struct group *
make_groups(const struct builder *b, size_t first, size_t end,
            enum profile_level level, size_t *n_groups)
{
    struct group *groups = NULL, *g = NULL;
    size_t allocated = 0;

    *n_groups = 0;
    for (size_t i = first; i < end; i++) {
        const struct profile_row *row = b->rows[i];

        if (!g || profile_label_compare(b->config->table, level,
                                        &b->rows[g->first]->key, &row->key)) {
            groups =
                lh_alloc_grow(groups, *n_groups, &allocated, sizeof *groups);
            g = &groups[(*n_groups)++];
            *g = (struct group){.first = i};
        }
        g->n++;
        g->packets += row->packets;
        g->bytes += row->bytes;
    }
    if (groups) {
        qsort(groups, *n_groups, sizeof *groups, compare_groups);
    }
    return groups;
}

/* The nearest number that is whole. */
static json_t *
whole(double n)
{
    return json_integer((json_int_t) (n + 0.5));
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

/* The nodes of level 'depth' and below. */
static json_t *
make_nodes(struct builder *b, size_t first, size_t end, size_t depth)
{
    const struct profile_tree_config *config = b->config;
    const struct profile_ask *ask = config->ask;
    struct group others = {.n = 0};
    json_t *nodes = json_array();
    struct group *groups;
    size_t n;

    groups = make_groups(b, first, end, ask->by[depth], &n);
    for (size_t i = 0; i < n; i++) {
        const struct group *g = &groups[i];
        json_t *node;

        if (i >= config->top || b->n_nodes >= config->max_nodes) {
            others.n++;
            others.packets += g->packets;
            others.bytes += g->bytes;
            continue;
        }
        b->n_nodes++;
        node = profile_label_json(config->table, ask->by[depth],
                                  &b->rows[g->first]->key, config->topology);
        set_counts(b, node, g->packets, g->bytes);
        if (!depth && config->n_intervals) {
            json_object_set_new(node, "series",
                                make_series(b, &b->rows[g->first]->key));
        }
        if (depth + 1 < ask->n_by) {
            json_object_set_new(
                node, "nodes",
                make_nodes(b, g->first, g->first + g->n, depth + 1));
        }
        json_array_append_new(nodes, node);
    }
    if (others.n) {
        json_t *node = json_pack("{s:s, s:s, s:I}", "by", "others", "name",
                                 "others", "n", (json_int_t) others.n);

        set_counts(b, node, others.packets, others.bytes);
        json_array_append_new(nodes, node);
    }
    free(groups);
    return nodes;
}

void
profile_tree_put(const struct profile_tree_config *config, json_t *to)
{
    const struct profile_table *table = config->table;
    struct builder b = {.config = config};

    b.rows = lh_alloc_array(NULL, table->n + 1, sizeof *b.rows);
    for (size_t i = 0; i < table->n; i++) {
        if (!table->rows[i].key.bucket) {
            b.rows[b.n_rows++] = &table->rows[i];
            b.total_packets += table->rows[i].packets;
            b.total_bytes += table->rows[i].bytes;
        }
    }
    qsort_r(b.rows, b.n_rows, sizeof *b.rows, compare_rows, (void *) config);
    json_object_set_new(to, "packets", whole(b.total_packets));
    json_object_set_new(to, "bytes", whole(b.total_bytes));
    if (config->n_intervals) {
        json_object_set_new(to, "series", make_series(&b, NULL));
    }
    json_object_set_new(to, "tree",
                        config->ask->n_by ? make_nodes(&b, 0, b.n_rows, 0)
                                          : json_array());
    free(b.rows);
}
