/* SPDX-License-Identifier: Apache-2.0 */
/* phf_set_path - what live filters say of whole paths, and of histories that
 * are packets of no trajectory. */
#include <config.h>

#include <assert.h>
#include <string.h>

#include "phf/phf_set_impl.h"

/* Adds what filter 'index' says of all that 'tests' is the model of.  One with
 * keys in headers is asked only where a header has one: until then nothing is
 * run. */
static bool
judge(struct phf_set *set, struct hop_tests *tests, uint32_t index,
      uint64_t *keyed)
{
    const struct set_entry *entry = &set->entries[index];
    bool has_keys = set_index_has_header_keys(&set->index, index);
    struct set_verdict_item item = {.index = index};

    if (!entry->phf) {
        return false;
    }
    if (has_keys && !entry->phf->has_backrefs) { /* It never gives up. */
        keyed[index / 64] |= UINT64_C(1) << index % 64;
        return false;
    }
    phf_set_turn_to(set, tests, entry);
    item.result = phf_run_model(entry->phf, tests, &item.is_asked);
    if (item.is_asked && has_keys) {
        keyed[index / 64] |= UINT64_C(1) << index % 64;
    } else if (item.is_asked || item.result != PHF_MISS) {
        set_verdicts_add(&set->verdicts, item);
    }
    return true;
}

uint32_t
phf_set_judge_path(struct phf_set *set, const struct history *history,
                   const struct topology *topology, size_t *n_runs)
{
    struct set_verdicts *verdicts = &set->verdicts;
    struct set_verdict_path found = {.is_level = false};
    struct history_hop hops[TRAJECTORY_MAX_HOPS];
    struct history bare = *history; /* No header: what asks for one varies. */
    const uint32_t *indices;
    struct hop_tests tests;
    uint32_t number;
    uint64_t owner;
    size_t n;

    *n_runs = 0;
    if (set_paths_find(&verdicts->known, history, &number)) {
        return number;
    }
    set->counters.paths++;
    assert(bare.n_hops <= TRAJECTORY_MAX_HOPS);
    memcpy(hops, bare.hops, bare.n_hops * sizeof *hops);
    bare.hops = hops;
    for (size_t i = 0; i < bare.n_hops; i++) {
        hops[i].caplen = 0;
    }
    phf_set_begin_round(set);
    indices = set_index_find_path(&set->index, &bare, topology, &n);
    tests = phf_set_tests(set, &bare, topology);
    found.keyed = set_verdicts_add_keyed(verdicts, set->n / 64 + 1);
    for (size_t i = 0; i < n; i++) {
        *n_runs +=
            judge(set, &tests, indices[i], verdicts->keyed + found.keyed);
    }
    set_verdicts_end(verdicts, &owner, &found.verdict);
    number = set_verdicts_add_path(verdicts, &found);
    set_paths_add(&verdicts->known, number);
    return number;
}

/* A history that is matched, and what was run on it. */
struct plain {
    struct hop_tests tests;
    size_t n_runs;
};

static void
run(struct phf_set *set, struct plain *plain, uint32_t index,
    const struct set_matching *m)
{
    const struct set_entry *entry = &set->entries[index];

    if (entry->phf) {
        phf_set_turn_to(set, &plain->tests, entry);
        phf_set_tell(set, entry, phf_run(entry->phf, &plain->tests), m);
        plain->n_runs++;
    }
}

/* Runs the filters that the path and the headers do not answer for. */
static void
run_candidates(struct phf_set *set, struct plain *plain,
               const struct set_verdict_path *path,
               const struct set_matching *m)
{
    struct set_verdict all = set->verdicts.all[path->verdict];
    const uint32_t *found = NULL;
    size_t i = 0, n = 0;
    uint32_t j = 0;

    if (set_index_asks_headers(&set->index)) {
        found =
            set_index_find_headers(&set->index, plain->tests.history, false,
                                   set->verdicts.keyed + path->keyed, &n);
    }
    while (i < n || j < all.n) {
        const struct set_verdict_item *item =
            j < all.n ? &set->verdicts.items[all.first + j] : NULL;

        if (i < n && (!item || found[i] < item->index)) {
            run(set, plain, found[i++], m);
        } else {
            if (item->is_asked) {
                run(set, plain, item->index, m);
            } else if (set->entries[item->index].phf) {
                phf_set_tell(set, &set->entries[item->index], item->result, m);
            }
            j++;
        }
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
    struct plain plain;
    uint32_t number;
    size_t n_runs;

    phf_set_refresh(set);
    if (!history->n_hops || history->n_hops > TRAJECTORY_MAX_HOPS) {
        phf_set_match_alone(set, history, topology, &m);
        return;
    }
    set_verdicts_prepare(&set->verdicts, topology);
    number = phf_set_judge_path(set, history, topology, &n_runs);
    phf_set_begin_round(set);
    set->history = history;
    plain = (struct plain){phf_set_tests(set, history, topology), n_runs};
    run_candidates(set, &plain, &set->verdicts.paths[number], &m);
    phf_set_count_runs(set, plain.n_runs);
}
