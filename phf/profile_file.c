/* SPDX-License-Identifier: Apache-2.0 */
/* profile_file - what a whole file of an archive sent over the links of a
 * profile. */
#include <config.h>

#include "phf/profile_file.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "phf/profile_crossing.h"
#include "phf/profile_who.h"

/* Flows kept before they are put into the table. */
#define MAX_FLOWS ((size_t) 1 << 20)
/* Bytes of ways kept before they are forgotten. */
#define MAX_WAYS_SIZE ((size_t) 64 << 20)

/* Where packets of a way cross links: 'n' crossings from 'first' on, of which
 * 'extra' is how many bytes a frame there has more than at first. */
struct way {
    size_t first, n;
};

struct profile_files {
    const struct profile_ask *ask;
    enum flow_sums_depth depth;
    struct way_table *ways; /* Owned. */
    size_t n, allocated;
    struct way *crossed; /* By number.  Owned. */
    struct profile_crossings crossings;
    struct profile_table flows; /* With the number of a way in place of a
                                 * link's, and bytes as at first.  Owned. */
    uint32_t *numbers;          /* Scratch: of the ways of a file.  Owned. */
};

static enum flow_sums_depth
depth_of(const struct profile_ask *ask)
{
    enum flow_sums_depth depth = FLOW_SUMS_WAYS;

    for (size_t i = 0; i < ask->n_by; i++) {
        if (ask->by[i] == PROFILE_BY_FLOW) {
            depth = FLOW_SUMS_FLOWS;
        } else if (ask->by[i] >= PROFILE_BY_SRC && depth < FLOW_SUMS_PAIRS) {
            depth = FLOW_SUMS_PAIRS;
        }
    }
    return depth;
}

bool
profile_files_can(const struct profile_ask *ask)
{
    return !ask->phf && !ask->interval_ns;
}

struct profile_files *
profile_files_create(const struct profile_ask *ask)
{
    struct profile_files *f = lh_alloc_zero(sizeof *f);

    f->ask = ask;
    f->depth = depth_of(ask);
    f->ways = way_table_create();
    return f;
}

void
profile_files_destroy(struct profile_files *f)
{
    if (f) {
        way_table_destroy(f->ways);
        free(f->crossed);
        free(f->crossings.all);
        profile_table_uninit(&f->flows);
        free(f->numbers);
        free(f);
    }
}

/* Moves flows to where packets of their way cross. */
static void
spread(struct profile_files *f, struct profile_table *table)
{
    for (size_t i = 0; i < f->flows.n; i++) {
        const struct profile_row *row = &f->flows.rows[i];
        const struct way *way = &f->crossed[row->key.link];
        struct profile_key key = row->key;

        for (size_t k = 0; k < way->n; k++) {
            const struct profile_crossing *c =
                &f->crossings.all[way->first + k];

            key.link = c->link;
            key.way = c->way;
            profile_table_count(table, &key, row->packets,
                                row->bytes +
                                    row->packets * (int32_t) c->extra);
        }
    }
    profile_table_uninit(&f->flows);
}

/* Follows the way that is new over its links. */
static void
follow_way(struct profile_files *f, struct profile_table *table)
{
    struct profile_crossings *crossings = &f->crossings;
    size_t first = crossings->n;
    struct way_view view;

    way_table_get(f->ways, (uint32_t) f->n, &view);
    profile_crossings_add(crossings, f->ask, view.h, table);
    for (size_t i = first; i < crossings->n; i++) {
        struct profile_crossing *c = &crossings->all[i];

        c->extra = (uint32_t) view.more[2 * c->hop + (c->is_in ? 0 : 1)];
    }
    f->crossed =
        lh_alloc_grow(f->crossed, f->n, &f->allocated, sizeof *f->crossed);
    f->crossed[f->n++] =
        (struct way){.first = first, .n = crossings->n - first};
}

/* Finds the numbers of the ways of a file. */
static void
number_ways(struct profile_files *f, const struct way_table *ways,
            struct profile_table *table)
{
    size_t n = way_table_n(ways);

    if (way_table_size(f->ways) +
            f->crossings.allocated * sizeof *f->crossings.all >
        MAX_WAYS_SIZE) {
        spread(f, table);
        way_table_destroy(f->ways);
        f->ways = way_table_create();
        f->n = 0;
        f->crossings.n = 0;
    }
    f->numbers = lh_alloc_array(f->numbers, n + 1, sizeof *f->numbers);
    for (uint32_t i = 0; i < n; i++) {
        f->numbers[i] = way_table_add(f->ways, ways, i);
        if (f->numbers[i] == f->n) {
            follow_way(f, table);
        }
    }
}

static void
count_row(struct profile_files *f, const struct flow_sums_row *row)
{
    uint32_t number = f->numbers[row->way];
    struct packet_who who = {.proto = row->proto,
                             .n_addr = row->n_addr,
                             .n_ports = row->n_ports,
                             .src = row->name,
                             .dst = row->name + row->n_addr,
                             .ports = row->name + 2 * row->n_addr};
    struct profile_key key;

    if (f->crossed[number].n) {
        profile_who_key(f->ask, f->ask->n_by, &who, &key);
        key.link = number;
        profile_table_count(&f->flows, &key, (double) row->packets,
                            (double) row->bytes);
    }
}

int
profile_file_count(struct profile_files *f, const char *dir,
                   const struct archive_segment *segment,
                   const struct archive_sums_id *id,
                   struct profile_table *table, struct lh_error *why)
{
    struct flow_sums_view view;
    int retval = archive_sums_read(dir, segment, id, f->depth, &view, why);

    if (retval) {
        return retval;
    }
    number_ways(f, view.ways, table);
    for (size_t i = 0; i < view.n; i++) {
        if (f->flows.n >= MAX_FLOWS) {
            spread(f, table);
        }
        count_row(f, &view.rows[i]);
    }
    flow_sums_view_uninit(&view);
    return 0;
}

void
profile_files_end(struct profile_files *f, struct profile_table *table)
{
    spread(f, table);
}
