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
/* Filters, of a large set, that are tried everywhere before an index is made
 * of them: making it is dear. */
#define MAX_RECENT 32
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
    free(entry->bpf);
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
        set_answers_uninit(&set->flow_answers);
        set_answers_uninit(&set->packet_answers);
        trajectory_pen_destroy(set->pen);
        free(set);
    }
}

/* Gives the entry the set's numbers for its predicates and expressions. */
static void
import(struct phf_set *set, struct set_entry *entry)
{
    const struct predicates *own = &entry->phf->predicates;

    entry->map =
        lh_alloc_array(entry->map, own->n_predicates, sizeof *entry->map);
    for (uint32_t id = 0; id < own->n_predicates; id++) {
        entry->map[id] = predicates_import(&set->predicates, own, id);
    }
    entry->n_bpf = 0;
    entry->bpf = lh_alloc_array(entry->bpf, own->n_terms, sizeof *entry->bpf);
    for (uint32_t id = 0; id < own->n_terms; id++) {
        if (own->terms[id].bpf) {
            entry->bpf[entry->n_bpf++] =
                predicates_import_term(&set->predicates, own, id);
        }
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
    import(set, entry);
    return entry->id;
}

bool
phf_set_remove(struct phf_set *set, uint32_t id)
{
    for (size_t i = 0; i < set->n; i++) {
        if (set->entries[i].id == id && set->entries[i].phf) {
            entry_uninit(&set->entries[i]);
            set->entries[i].phf = NULL;
            set->entries[i].map = NULL;
            set->entries[i].bpf = NULL;
            set->n_gone++;
            return true;
        }
    }
    return false;
}

size_t
phf_set_count(const struct phf_set *set)
{
    return set->n - set->n_gone;
}

void
phf_set_get_counters(const struct phf_set *set,
                     struct phf_set_counters *counters)
{
    *counters = set->counters;
}

/* Forgets the entries that were taken out. */
static void
compact(struct phf_set *set)
{
    size_t n = 0;

    for (size_t i = 0; i < set->n; i++) {
        if (set->entries[i].phf) {
            set->entries[n++] = set->entries[i];
        }
    }
    set->n = n;
    set->n_gone = 0;
}

static void
rebuild(struct phf_set *set)
{
    const struct phf **filters;

    compact(set);
    filters = lh_alloc((set->n + 1) * sizeof *filters);
    predicates_uninit(&set->predicates);
    predicates_init(&set->predicates);
    set->round = 0;
    for (size_t i = 0; i < set->n; i++) {
        import(set, &set->entries[i]);
        filters[i] = set->entries[i].phf;
    }
    set_index_build(&set->index, filters, set->n);
    free(filters);
    free(set->memo);
    set->memo = NULL;
    set->n_memo = 0;
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
    size_t n_indexed = set_index_count(&set->index);
    size_t max_recent =
        n_indexed < 16 * MAX_RECENT ? n_indexed / 16 : MAX_RECENT;

    if (set->n - n_indexed > max_recent || set->n_gone > set->n / 4) {
        rebuild(set);
    } else if (set_index_extend(&set->index, set->n)) {
        set_verdicts_clear(&set->verdicts);
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
    set->counters.skipped += phf_set_count(set) - n_runs;
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

/* Takes filters that are no more out of 'n'; returns how many are left. */
static size_t
drop_gone(const struct phf_set *set, uint32_t *found, size_t n)
{
    size_t n_left = 0;

    for (size_t i = 0; i < n; i++) {
        if (set->entries[found[i]].phf) {
            found[n_left++] = found[i];
        }
    }
    return n_left;
}

void
phf_set_match_alone(struct phf_set *set, const struct history *history,
                    const struct topology *topology,
                    const struct set_matching *m)
{
    uint32_t *found;
    struct hop_tests tests;
    size_t n;

    phf_set_begin_round(set);
    found = set_index_find(&set->index, history, topology, &n);
    n = drop_gone(set, found, n);
    phf_set_count_runs(set, n);
    if (!n) {
        return;
    }
    set->history = history;
    tests = phf_set_tests(set, history, topology);
    for (size_t i = 0; i < n; i++) {
        const struct set_entry *entry = &set->entries[found[i]];

        phf_set_turn_to(set, &tests, entry);
        phf_set_tell(set, entry, phf_run(entry->phf, &tests), m);
    }
}
