/* SPDX-License-Identifier: Apache-2.0 */
/* key_map - which numbers were put under a value, or under bounds that it is
 * within.
 *
 *     key_map_add(&map, column, 80, 80, 7);
 *     key_map_add(&map, column, 1000, 1023, 8);
 *     key_map_build(&map, n_columns);
 *     key_map_find(&map, column, 1005, &found);
 *
 * Single values are hashed.  Bounds cut the values of their column into
 * segments, each with the numbers that hold there, found by halving; where
 * bounds overlap too much, segments are put together, so that memory stays
 * linear: what is found may then be more than what was put there, never less.
 *
 * Ownership: all zero to key_map_uninit().
 *
 * Threads: immutable once built. */
#ifndef PHF_KEY_MAP_H
#define PHF_KEY_MAP_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct key_map_item {
    uint32_t column, number;
    uint64_t low, high; /* Inclusive; not UINT64_MAX where they differ. */
};

struct key_map_segments {
    size_t n;          /* Segment i is from bounds[i] to before the next. */
    uint64_t *bounds;  /* Owned. */
    size_t *ends;      /* Of each segment's numbers in 'numbers'.  Owned. */
    uint32_t *numbers; /* Owned. */
};

struct key_map_column {
    size_t first, n_points, n; /* Items; points come first. */
    uint64_t low, high;        /* Of all of them. */
    struct key_map_segments segments;
};

struct key_map {
    size_t n, allocated;
    struct key_map_item *items; /* Sorted once built.  Owned. */
    size_t n_columns;
    struct key_map_column *columns; /* Owned. */
    size_t n_slots;                 /* A power of two. */
    uint32_t *slots; /* Number + 1 of the first item that is one value, or 0.
                      * Owned. */
};

/* What is found is told to this. */
struct key_map_found {
    void (*found)(struct key_map_found *, uint32_t number);
};

void key_map_uninit(struct key_map *);
/* Puts 'number' under what is from 'low' to 'high'. */
void key_map_add(struct key_map *, uint32_t column, uint64_t low,
                 uint64_t high, uint32_t number);
/* Makes ready for finding; columns are below 'n_columns'. */
void key_map_build(struct key_map *, size_t n_columns);

static inline bool
key_map_has_column(const struct key_map *m, uint32_t column)
{
    return column < m->n_columns && m->columns[column].n;
}

/* Tells the numbers under 'value', which is within the column's bounds. */
void key_map_find_within(const struct key_map *, uint32_t column,
                         uint64_t value, struct key_map_found *);
static inline void
key_map_find(const struct key_map *m, uint32_t column, uint64_t value,
             struct key_map_found *found)
{
    if (key_map_has_column(m, column) && value >= m->columns[column].low &&
        value <= m->columns[column].high) {
        key_map_find_within(m, column, value, found);
    }
}

/* All numbers of a column. */
void key_map_find_all(const struct key_map *, uint32_t column,
                      struct key_map_found *);

#endif /* phf/key_map.h */
