/* SPDX-License-Identifier: Apache-2.0 */
/* set_verdicts - what the filters of a set say of whole paths and
 * trajectories. */
#include <config.h>
#include "phf/set_verdicts.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

/* Numbers that no two of all caches ever share. */
static atomic_uint_fast64_t last_owner;

void
set_verdicts_uninit(struct set_verdicts *v)
{
    topology_unref(v->topology);
    free(v->all);
    free(v->items);
    free(v->tests);
    free(v->paths);
    free(v->keyed);
    free(v->readings);
    set_paths_uninit(&v->known);
    free(v->memos);
}

void
set_verdicts_clear(struct set_verdicts *v)
{
    v->owner = 0;
}

static void
add_verdict(struct set_verdicts *v, size_t first, size_t n)
{
    v->all = lh_alloc_grow(v->all, v->n, &v->allocated, sizeof *v->all);
    v->all[v->n++] = (struct set_verdict){(uint32_t) first, (uint32_t) n};
}

void
set_verdicts_prepare(struct set_verdicts *v, const struct topology *topology)
{
    if (v->owner && v->topology == topology &&
        v->n + v->n_items + v->n_tests + v->n_paths + v->n_keyed +
                v->n_readings + set_paths_size(&v->known) <
            SET_VERDICTS_MAX_ITEMS) {
        return;
    }
    if (v->topology != topology) {
        topology_unref(v->topology);
        v->topology = topology ? topology_ref(topology) : NULL;
    }
    v->owner =
        atomic_fetch_add_explicit(&last_owner, 1, memory_order_relaxed) + 1;
    v->n = v->n_items = v->n_tests = v->n_paths = v->n_keyed = 0;
    v->n_readings = 0;
    set_paths_clear(&v->known);
    add_verdict(v, 0, 0);
}

void
set_verdicts_add(struct set_verdicts *v, struct set_verdict_item item)
{
    v->items = lh_alloc_grow(v->items, v->n_items, &v->allocated_items,
                             sizeof *v->items);
    v->items[v->n_items++] = item;
}

void
set_verdicts_add_test(struct set_verdicts *v, uint32_t term)
{
    v->tests = lh_alloc_grow(v->tests, v->n_tests, &v->allocated_tests,
                             sizeof *v->tests);
    v->tests[v->n_tests++] = term;
}

const struct set_verdict *
set_verdicts_end(struct set_verdicts *v, uint64_t *owner, uint32_t *index)
{
    const struct set_verdict *last = &v->all[v->n - 1];
    size_t first = last->first + last->n;

    *owner = v->owner;
    *index = 0;
    if (v->n_items > first) {
        *index = (uint32_t) v->n;
        add_verdict(v, first, v->n_items - first);
    }
    return &v->all[*index];
}

uint32_t
set_verdicts_add_path(struct set_verdicts *v,
                      const struct set_verdict_path *path)
{
    v->paths = lh_alloc_grow(v->paths, v->n_paths, &v->allocated_paths,
                             sizeof *v->paths);
    v->paths[v->n_paths] = *path;
    return (uint32_t) v->n_paths++;
}

void
set_verdicts_add_reading(struct set_verdicts *v,
                         const struct set_index_reading *reading)
{
    v->readings = lh_alloc_grow(v->readings, v->n_readings,
                                &v->allocated_readings, sizeof *v->readings);
    v->readings[v->n_readings++] = *reading;
}

size_t
set_verdicts_add_keyed(struct set_verdicts *v, size_t n)
{
    size_t first = v->n_keyed;

    while (first + n > v->allocated_keyed) {
        v->keyed = lh_alloc_grow(v->keyed, v->allocated_keyed,
                                 &v->allocated_keyed, sizeof *v->keyed);
    }
    if (n) {
        memset(v->keyed + first, 0, n * sizeof *v->keyed);
    }
    v->n_keyed += n;
    return first;
}

struct set_verdict_memo *
set_verdicts_memo(struct set_verdicts *v, uint32_t path, uint32_t index,
                  uint32_t answers)
{
    uint64_t hash = ((uint64_t) path << 32 | index) + answers * 0x9e3779b9u;
    struct set_verdict_memo *memo;

    if (!v->memos) {
        v->memos = lh_alloc_zero(SET_VERDICTS_MEMOS * sizeof *v->memos);
    }
    hash *= UINT64_C(0x9e3779b97f4a7c15);
    memo = &v->memos[hash >> 32 & (SET_VERDICTS_MEMOS - 1)];
    if (memo->path != path || memo->answers != answers ||
        memo->item.index != index) {
        *memo = (struct set_verdict_memo){
            .path = path, .answers = answers, .item = {.index = index}};
    }
    return memo;
}
