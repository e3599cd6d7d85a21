/* SPDX-License-Identifier: Apache-2.0 */
/* door_marks - what postcards that wait say besides time, packet ID and
 * header. */
#include <config.h>

#include "server/door_marks.h"

#include <stdlib.h>
#include <string.h>

#include "lib/card_marks.h"
#include "lib/lh_alloc.h"

/* At first: few marks are all that there are as a rule, and they should stay
 * in the cache. */
#define FEW_BUCKETS 256

struct door_marks {
    struct visit_table *visits; /* Owned. */
    struct postcard *marks;     /* Owned. */
    size_t n, allocated;
    uint16_t *buckets; /* Number + 1.  Owned. */
    size_t n_buckets;  /* A power of two. */
};

struct door_marks *
door_marks_create(void)
{
    struct door_marks *m = lh_alloc_zero(sizeof *m);

    m->visits = visit_table_create();
    if (!m->visits) {
        abort();
    }
    m->n_buckets = FEW_BUCKETS;
    m->buckets = lh_alloc_zero(m->n_buckets * sizeof *m->buckets);
    return m;
}

void
door_marks_clear(struct door_marks *m)
{
    for (size_t i = 0; i < m->n; i++) {
        if (m->marks[i].visit) {
            visit_table_put(m->visits, m->marks[i].visit);
        }
    }
    if (m->n) {
        memset(m->buckets, 0, m->n_buckets * sizeof *m->buckets);
    }
    m->n = 0;
}

void
door_marks_destroy(struct door_marks *m)
{
    if (m) {
        door_marks_clear(m);
        visit_table_destroy(m->visits);
        free(m->marks);
        free(m->buckets);
        free(m);
    }
}

/* The bucket of the mark of 'p', empty if it has none. */
static uint16_t *
find_bucket(const struct door_marks *m, const struct postcard *p)
{
    for (uint32_t i = (uint32_t) card_mark_hash(p);; i++) {
        uint16_t *bucket = &m->buckets[i & (m->n_buckets - 1)];

        if (!*bucket || card_mark_is(&m->marks[*bucket - 1], p)) {
            return bucket;
        }
    }
}

static void
grow(struct door_marks *m)
{
    free(m->buckets);
    m->n_buckets *= 2;
    m->buckets = lh_alloc_zero(m->n_buckets * sizeof *m->buckets);
    for (size_t i = 0; i < m->n; i++) {
        *find_bucket(m, &m->marks[i]) = (uint16_t) (i + 1);
    }
}

static uint32_t
add(struct door_marks *m, const struct postcard *p)
{
    struct postcard *mark;

    m->marks = lh_alloc_grow(m->marks, m->n, &m->allocated, sizeof *m->marks);
    mark = &m->marks[m->n++];
    *mark = *p;
    mark->header = NULL;
    if (p->visit) {
        mark->visit = visit_table_get(m->visits, p->visit);
        if (!mark->visit) {
            abort();
        }
    }
    return (uint32_t) m->n;
}

uint32_t
door_marks_find(struct door_marks *m, const struct postcard *p)
{
    uint16_t *bucket = find_bucket(m, p);

    if (!*bucket) {
        if (m->n == CARD_BATCH_MARKS) {
            return DOOR_MARKS_FULL;
        }
        if (m->n >= m->n_buckets / 2) {
            grow(m);
            bucket = find_bucket(m, p);
        }
        *bucket = (uint16_t) add(m, p);
    }
    return *bucket - 1u;
}

const struct postcard *
door_marks_get(const struct door_marks *m, uint32_t mark)
{
    return &m->marks[mark];
}
