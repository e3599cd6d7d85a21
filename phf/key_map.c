/* SPDX-License-Identifier: Apache-2.0 */
/* key_map - which numbers were put under a value, or under bounds that it is
 * within. */
#include <config.h>
#include "phf/key_map.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"

/* Numbers in segments, for each number with bounds, at most. */
#define MAX_COPIES 64

void
key_map_uninit(struct key_map *m)
{
    for (size_t i = 0; i < m->n_columns; i++) {
        free(m->columns[i].segments.bounds);
        free(m->columns[i].segments.ends);
        free(m->columns[i].segments.numbers);
    }
    free(m->items);
    free(m->columns);
    free(m->slots);
}

void
key_map_add(struct key_map *m, uint32_t column, uint64_t low, uint64_t high,
            uint32_t number)
{
    assert(low == high || (low < high && high != UINT64_MAX));
    m->items = lh_alloc_grow(m->items, m->n, &m->allocated, sizeof *m->items);
    m->items[m->n++] = (struct key_map_item){column, number, low, high};
}

/* --- Points ------------------------------------------------------------- */

static bool
is_point(const struct key_map_item *item)
{
    return item->low == item->high;
}

static int
compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* By column, points first. */
static int
compare_items(const void *a_, const void *b_)
{
    const struct key_map_item *a = a_, *b = b_;

    if (a->column != b->column) {
        return compare_u64(a->column, b->column);
    }
    if (is_point(a) != is_point(b)) {
        return is_point(a) ? -1 : 1;
    }
    if (a->low != b->low) {
        return compare_u64(a->low, b->low);
    }
    return compare_u64(a->number, b->number);
}

static bool
is_key(const struct key_map_item *item, uint32_t column, uint64_t value)
{
    return item->column == column && item->low == value && is_point(item);
}

static size_t
hash_of(uint32_t column, uint64_t value)
{
    uint64_t hash =
        (value ^ (uint64_t) column << 40) * UINT64_C(0x9e3779b97f4a7c15);

    return (size_t) (hash ^ hash >> 32);
}

static void
make_slots(struct key_map *m)
{
    for (m->n_slots = 16; m->n_slots < 2 * m->n; m->n_slots *= 2) {
        continue;
    }
    m->slots = lh_alloc_zero(m->n_slots * sizeof *m->slots);
    for (size_t i = 0; i < m->n; i++) {
        const struct key_map_item *item = &m->items[i];
        size_t slot = hash_of(item->column, item->low);

        if (!is_point(item) ||
            (i && is_key(&m->items[i - 1], item->column, item->low))) {
            continue;
        }
        while (m->slots[slot & (m->n_slots - 1)]) {
            slot++;
        }
        m->slots[slot & (m->n_slots - 1)] = (uint32_t) i + 1;
    }
}

/* --- Segments ----------------------------------------------------------- */

static int
compare_bounds(const void *a, const void *b)
{
    return compare_u64(*(const uint64_t *) a, *(const uint64_t *) b);
}

/* The last segment that begins at 'value' or before; SIZE_MAX: none. */
static size_t
segment_of(const struct key_map_segments *s, uint64_t value)
{
    size_t low = 0, n = s->n;

    while (n) {
        size_t half = n / 2;

        if (s->bounds[low + half] <= value) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return low - 1;
}

static size_t
n_copies(const struct key_map_segments *s, const struct key_map_item *items,
         size_t n)
{
    size_t copies = 0;

    for (size_t i = 0; i < n; i++) {
        copies +=
            segment_of(s, items[i].high) - segment_of(s, items[i].low) + 1;
    }
    return copies;
}

static void
make_bounds(struct key_map_segments *s, const struct key_map_item *items,
            size_t n)
{
    size_t n_bounds = 0;

    s->bounds = lh_alloc(2 * n * sizeof *s->bounds);
    for (size_t i = 0; i < n; i++) {
        s->bounds[2 * i] = items[i].low;
        s->bounds[2 * i + 1] = items[i].high + 1;
    }
    qsort(s->bounds, 2 * n, sizeof *s->bounds, compare_bounds);
    for (size_t i = 0; i < 2 * n; i++) {
        if (!n_bounds || s->bounds[n_bounds - 1] != s->bounds[i]) {
            s->bounds[n_bounds++] = s->bounds[i];
        }
    }
    s->n = n_bounds;
    while (s->n > 1 && n_copies(s, items, n) > MAX_COPIES * n) {
        for (size_t i = 0; 2 * i < s->n; i++) { /* Every second one goes. */
            s->bounds[i] = s->bounds[2 * i];
        }
        s->n = (s->n + 1) / 2;
    }
}

static void
make_segments(struct key_map_segments *s, const struct key_map_item *items,
              size_t n)
{
    make_bounds(s, items, n);
    s->ends = lh_alloc_zero((s->n + 1) * sizeof *s->ends);
    s->numbers = lh_alloc(n_copies(s, items, n) * sizeof *s->numbers);
    /* Counts, then beginnings, which filling moves on to ends. */
    for (size_t i = 0; i < n; i++) {
        for (size_t j = segment_of(s, items[i].low);
             j <= segment_of(s, items[i].high); j++) {
            s->ends[j + 1]++;
        }
    }
    for (size_t j = 0; j < s->n; j++) {
        s->ends[j + 1] += s->ends[j];
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = segment_of(s, items[i].low);
             j <= segment_of(s, items[i].high); j++) {
            s->numbers[s->ends[j]++] = items[i].number;
        }
    }
}

void
key_map_build(struct key_map *m, size_t n_columns)
{
    if (m->n) {
        qsort(m->items, m->n, sizeof *m->items, compare_items);
    }
    make_slots(m);
    m->n_columns = n_columns;
    m->columns = lh_alloc_zero((n_columns + 1) * sizeof *m->columns);
    for (size_t i = 0; i < m->n; i++) {
        const struct key_map_item *item = &m->items[i];
        struct key_map_column *column = &m->columns[item->column];

        assert(item->column < n_columns);
        if (!column->n++) {
            column->first = i;
            column->low = item->low;
        }
        column->low = item->low < column->low ? item->low : column->low;
        column->high = item->high > column->high ? item->high : column->high;
        column->n_points += is_point(item);
    }
    for (size_t i = 0; i < n_columns; i++) {
        struct key_map_column *column = &m->columns[i];

        if (column->n > column->n_points) {
            make_segments(&column->segments,
                          &m->items[column->first + column->n_points],
                          column->n - column->n_points);
        }
    }
}

/* --- Finding ------------------------------------------------------------ */

static void
find_point(const struct key_map *m, uint32_t column, uint64_t value,
           struct key_map_found *found)
{
    size_t slot = hash_of(column, value), i;

    while ((i = m->slots[slot & (m->n_slots - 1)])) {
        if (is_key(&m->items[i - 1], column, value)) {
            for (i--; i < m->n && is_key(&m->items[i], column, value); i++) {
                found->found(found, m->items[i].number);
            }
            return;
        }
        slot++;
    }
}

void
key_map_find_within(const struct key_map *m, uint32_t column, uint64_t value,
                    struct key_map_found *found)
{
    const struct key_map_segments *s;
    size_t i;

    if (m->columns[column].n_points) {
        find_point(m, column, value, found);
    }
    s = &m->columns[column].segments;
    if (!s->n || (i = segment_of(s, value)) == SIZE_MAX) {
        return;
    }
    for (size_t j = i ? s->ends[i - 1] : 0; j < s->ends[i]; j++) {
        found->found(found, s->numbers[j]);
    }
}

void
key_map_find_all(const struct key_map *m, uint32_t column,
                 struct key_map_found *found)
{
    if (key_map_has_column(m, column)) {
        const struct key_map_column *c = &m->columns[column];

        for (size_t i = 0; i < c->n; i++) {
            found->found(found, m->items[c->first + i].number);
        }
    }
}
