/* SPDX-License-Identifier: Apache-2.0 */
/* set_verdicts - what the filters of a set say of whole paths and
 * trajectories. */
#include <config.h>
#include "phf/set_verdicts.h"

#include <stdatomic.h>
#include <stdlib.h>

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
        v->n + v->n_items + v->n_tests < SET_VERDICTS_MAX_ITEMS) {
        return;
    }
    if (v->topology != topology) {
        topology_unref(v->topology);
        v->topology = topology ? topology_ref(topology) : NULL;
    }
    v->owner =
        atomic_fetch_add_explicit(&last_owner, 1, memory_order_relaxed) + 1;
    v->n = v->n_items = v->n_tests = 0;
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
set_verdicts_add_test(struct set_verdicts *v, const struct bpf_test *test)
{
    v->tests = lh_alloc_grow(v->tests, v->n_tests, &v->allocated_tests,
                             sizeof *v->tests);
    v->tests[v->n_tests++] = test;
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
