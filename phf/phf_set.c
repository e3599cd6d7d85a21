/* SPDX-License-Identifier: Apache-2.0 */
/* phf_set - live filters that are matched together. */
#include <config.h>
#include "phf/phf_set.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "phf/phf_set_impl.h"

/* A memo larger than this (entries) is not worth its memory: the filters then
 * ask on their own. */
#define MAX_MEMO (1 << 22)
struct phf_set *
phf_set_create(void)
{
    struct phf_set *set = lh_alloc_zero(sizeof *set);

    predicates_init(&set->predicates);
    return set;
}

static void
entry_uninit(struct set_entry *entry)
{
    phf_destroy(entry->phf);
    free(entry->map);
}

void
phf_set_destroy(struct phf_set *set)
{
    if (set) {
        for (size_t i = 0; i < set->n; i++) {
            entry_uninit(&set->entries[i]);
        }
        predicates_uninit(&set->predicates);
        free(set->entries);
        set_index_uninit(&set->index);
        free(set->memo);
        set_verdicts_uninit(&set->verdicts);
        trajectory_pen_destroy(set->pen);
        free(set);
    }
}

uint32_t
phf_set_add(struct phf_set *set, struct phf *phf, void *filter_aux)
{
    struct set_entry *entry;

    set->entries = lh_alloc_grow(set->entries, set->n, &set->allocated,
                                 sizeof *set->entries);
    entry = &set->entries[set->n++];
    *entry = (struct set_entry){
        .id = ++set->last_id,
        .phf = phf,
        .aux = filter_aux,
    };
    set->is_stale = true;
    return entry->id;
}

bool
phf_set_remove(struct phf_set *set, uint32_t id)
{
    for (size_t i = 0; i < set->n; i++) {
        if (set->entries[i].id == id) {
            entry_uninit(&set->entries[i]);
            memmove(&set->entries[i], &set->entries[i + 1],
                    (set->n - i - 1) * sizeof *set->entries);
            set->n--;
            set->is_stale = true;
            return true;
        }
    }
    return false;
}

size_t
phf_set_count(const struct phf_set *set)
{
    return set->n;
}

void
phf_set_get_counters(const struct phf_set *set,
                     struct phf_set_counters *counters)
{
    *counters = set->counters;
}

static void
rebuild(struct phf_set *set)
{
    const struct phf **filters = lh_alloc(set->n * sizeof *filters);

    predicates_uninit(&set->predicates);
    predicates_init(&set->predicates);
    set->round = 0;
    for (size_t i = 0; i < set->n; i++) {
        struct set_entry *entry = &set->entries[i];
        const struct predicates *own = &entry->phf->predicates;

        entry->map =
            lh_alloc_array(entry->map, own->n_predicates, sizeof *entry->map);
        for (uint32_t id = 0; id < own->n_predicates; id++) {
            entry->map[id] = predicates_import(&set->predicates, own, id);
        }
        filters[i] = entry->phf;
    }
    set_index_build(&set->index, filters, set->n);
    free(filters);
    free(set->memo);
    set->memo = NULL;
    set->n_memo = 0;
    set->is_stale = false;
    set_verdicts_clear(&set->verdicts);
}

/* --- matching ------------------------------------------------------------ */

/* Makes the memo large enough for a history of 'n_hops'; false when that would
 * be too large. */
static bool
make_memo(struct phf_set *set, size_t n_hops)
{
    size_t n;

    if (n_hops > MAX_MEMO / set->predicates.n_predicates) {
        return false;
    }
    n = n_hops * set->predicates.n_predicates;
    if (n > set->n_memo) {
        set->memo = lh_alloc_array(set->memo, n, sizeof *set->memo);
        memset(set->memo + set->n_memo, 0,
               (n - set->n_memo) * sizeof *set->memo);
        set->n_memo = n;
    }
    return true;
}

void
phf_set_refresh(struct phf_set *set)
{
    if (set->is_stale) {
        rebuild(set);
    }
}

void
phf_set_begin_round(struct phf_set *set)
{
    phf_set_refresh(set);
    if (set->round == HOP_TESTS_MAX_ROUND) { /* Old answers look new. */
        if (set->memo) {
            memset(set->memo, 0, set->n_memo * sizeof *set->memo);
        }
        set->round = 0;
    }
    set->round++;
}

void
phf_set_count_runs(struct phf_set *set, size_t n_runs)
{
    set->counters.histories++;
    set->counters.runs += n_runs;
    set->counters.skipped += set->n - n_runs;
}

struct hop_tests
phf_set_tests(struct phf_set *set, const struct history *history,
              const struct topology *topology)
{
    return (struct hop_tests){
        .history = history,
        .topology = topology,
        .memo = make_memo(set, history->n_hops) ? set->memo : NULL,
        .round = set->round,
    };
}

void
phf_set_turn_to(const struct phf_set *set, struct hop_tests *tests,
                const struct set_entry *entry)
{
    tests->predicates =
        tests->memo ? &set->predicates : &entry->phf->predicates;
    tests->map = entry->map;
}

void
phf_set_tell(struct phf_set *set, const struct set_entry *entry,
             enum phf_result result, const struct set_matching *m)
{
    set->counters.matches += result == PHF_MATCH;
    set->counters.limits += result == PHF_LIMIT;
    if (result != PHF_MISS) {
        m->hit(m->aux, entry->id, entry->aux, result);
    }
}

void
phf_set_match(struct phf_set *set, const struct history *history,
              const struct topology *topology,
              void (*hit)(void *aux, uint32_t id, void *filter_aux,
                          enum phf_result),
              void *aux)
{
    const struct set_matching m = {hit, aux};
    const uint32_t *found;
    struct hop_tests tests;
    size_t n;

    phf_set_begin_round(set);
    found = set_index_find(&set->index, history, topology, &n);
    phf_set_count_runs(set, n);
    if (!n) {
        return;
    }
    set->history = history;
    tests = phf_set_tests(set, history, topology);
    for (size_t i = 0; i < n; i++) {
        const struct set_entry *entry = &set->entries[found[i]];

        phf_set_turn_to(set, &tests, entry);
        phf_set_tell(set, entry, phf_run(entry->phf, &tests), &m);
    }
}
