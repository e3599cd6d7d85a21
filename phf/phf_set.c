/* SPDX-License-Identifier: Apache-2.0 */
/* phf_set - live filters that are matched together. */
#include <config.h>
#include "phf/phf_set.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/trajectory_pen.h"
#include "phf/phf_impl.h"
#include "phf/set_verdicts.h"

/* A filter that names more switches than this is run on every history. */
#define MAX_KEYS 16
/* A memo larger than this (entries) is not worth its memory: the filters then
 * ask on their own. */
#define MAX_MEMO (1 << 22)

struct entry {
    uint32_t id;
    struct phf *phf; /* Owned. */
    void *aux;
    uint32_t *map; /* The set's number for each of its predicates.  Owned. */
};

/* A history that meets 'dpid' may match the filter at 'index'. */
struct key {
    uint64_t dpid;
    size_t index;
};

struct phf_set {
    size_t n, allocated;
    struct entry *entries; /* In order of 'id'.  Owned. */
    uint32_t last_id;
    struct phf_set_counters counters;

    /* Made anew before a match when filters came or went. */
    bool is_stale;
    struct predicates predicates;
    size_t n_keys, allocated_keys;
    struct key *keys; /* Sorted by dpid.  Owned. */
    size_t n_always;
    size_t *always; /* Entries without keys, in order.  Owned. */

    uint32_t round;  /* Of marks and memo; counts matches. */
    uint32_t *marks; /* By entry: the last round in which a hop met one of its
                      * keys.  Owned. */
    size_t n_due;
    size_t *due; /* Entries marked in this round.  Owned. */
    size_t n_memo;
    uint32_t *memo; /* See hop_tests.  Owned. */
    struct set_verdicts verdicts;

    /* What is matched now. */
    const struct history *history; /* NULL: to be made of: */
    struct trajectory *trajectory;
    const struct trajectory_packet *packet;
    struct trajectory_pen *pen; /* Made when first needed.  Owned. */
};

/* Who is told of hits. */
struct matching {
    void (*hit)(void *aux, uint32_t id, void *filter_aux, enum phf_result);
    void *aux;
};

struct phf_set *
phf_set_create(void)
{
    struct phf_set *set = lh_alloc_zero(sizeof *set);

    predicates_init(&set->predicates);
    return set;
}

static void
entry_uninit(struct entry *entry)
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
        free(set->keys);
        free(set->always);
        free(set->marks);
        free(set->due);
        free(set->memo);
        set_verdicts_uninit(&set->verdicts);
        trajectory_pen_destroy(set->pen);
        free(set);
    }
}

uint32_t
phf_set_add(struct phf_set *set, struct phf *phf, void *filter_aux)
{
    struct entry *entry;

    set->entries = lh_alloc_grow(set->entries, set->n, &set->allocated,
                                 sizeof *set->entries);
    entry = &set->entries[set->n++];
    *entry = (struct entry){
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

/* --- the index ----------------------------------------------------------- */

static void
add_key(struct phf_set *set, uint64_t dpid, size_t index)
{
    set->keys = lh_alloc_grow(set->keys, set->n_keys, &set->allocated_keys,
                              sizeof *set->keys);
    set->keys[set->n_keys++] = (struct key){dpid, index};
}

/* Adds the dpids that every hop consumed by one of 'positions' must have, as
 * keys of the filter at 'index'.  False, with none added, when there is no
 * such small set. */
static bool
add_keys(struct phf_set *set, size_t index, const uint64_t *positions)
{
    const struct phf *phf = set->entries[index].phf;
    size_t n_before = set->n_keys;

    for (size_t i = 0; i < phf->automaton->n_positions; i++) {
        uint64_t dpids[MAX_KEYS];
        size_t n;

        if (!automaton_has(positions, i)) {
            continue;
        }
        if (!predicates_dpids(&phf->predicates,
                              phf->automaton->predicate_of[i], dpids, MAX_KEYS,
                              &n) ||
            set->n_keys - n_before + n > MAX_KEYS) {
            set->n_keys = n_before;
            return false;
        }
        for (size_t j = 0; j < n; j++) {
            add_key(set, dpids[j], index);
        }
    }
    return true;
}

static int
compare_keys(const void *a_, const void *b_)
{
    const struct key *a = a_, *b = b_;

    if (a->dpid != b->dpid) {
        return a->dpid < b->dpid ? -1 : 1;
    }
    return (a->index > b->index) - (a->index < b->index);
}

/* Every match begins at a position of 'first' and ends at one of
 * 'accept_end'. */
static bool
has_keys(struct phf_set *set, size_t index)
{
    const struct phf *phf = set->entries[index].phf;
    const struct automaton *a = phf->automaton;

    return !phf->has_backrefs && !a->matches_all && !a->matches_no_hops &&
           (add_keys(set, index, a->first) ||
            add_keys(set, index, a->accept_end));
}

static void
rebuild(struct phf_set *set)
{
    predicates_uninit(&set->predicates);
    predicates_init(&set->predicates);
    set->n_keys = set->n_always = 0;
    set->round = 0;
    set->always = lh_alloc_array(set->always, set->n, sizeof *set->always);
    set->due = lh_alloc_array(set->due, set->n, sizeof *set->due);
    free(set->marks);
    set->marks = lh_alloc_zero(set->n * sizeof *set->marks);
    for (size_t i = 0; i < set->n; i++) {
        struct entry *entry = &set->entries[i];
        const struct predicates *own = &entry->phf->predicates;

        entry->map =
            lh_alloc_array(entry->map, own->n_predicates, sizeof *entry->map);
        for (uint32_t id = 0; id < own->n_predicates; id++) {
            entry->map[id] = predicates_import(&set->predicates, own, id);
        }
        if (!has_keys(set, i)) {
            set->always[set->n_always++] = i;
        }
    }
    if (set->n_keys) {
        qsort(set->keys, set->n_keys, sizeof *set->keys, compare_keys);
    }
    free(set->memo);
    set->memo = NULL;
    set->n_memo = 0;
    set->is_stale = false;
    set_verdicts_clear(&set->verdicts);
}

/* --- matching ------------------------------------------------------------ */

/* Puts the filters that have 'dpid' as a key among those that are due. */
static void
mark(struct phf_set *set, uint64_t dpid)
{
    size_t low = 0, high = set->n_keys;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (set->keys[middle].dpid < dpid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < set->n_keys && set->keys[low].dpid == dpid; low++) {
        size_t index = set->keys[low].index;

        if (set->marks[index] != set->round) {
            set->marks[index] = set->round;
            set->due[set->n_due++] = index;
        }
    }
}

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

static int
compare_indices(const void *a_, const void *b_)
{
    const size_t *a = a_, *b = b_;

    return (*a > *b) - (*a < *b);
}

static void
refresh(struct phf_set *set)
{
    if (set->is_stale) {
        rebuild(set);
    }
}

/* Begins a round: nothing is known of any hop. */
static void
begin_round(struct phf_set *set)
{
    refresh(set);
    if (set->round == HOP_TESTS_MAX_ROUND) {
        rebuild(set);
    }
    set->round++;
}

/* Finds which filters with keys are due. */
static void
find_due(struct phf_set *set, const struct history *history)
{
    set->n_due = 0;
    for (size_t i = 0; set->n_keys && i < history->n_hops; i++) {
        mark(set, history->hops[i].dpid);
    }
    if (set->n_due > 1) {
        qsort(set->due, set->n_due, sizeof *set->due, compare_indices);
    }
}

/* Counts a history on which so many filters were run. */
static void
count(struct phf_set *set, size_t n_runs)
{
    set->counters.histories++;
    set->counters.runs += n_runs;
    set->counters.skipped += set->n - n_runs;
}

/* Takes the next of the two sorted lists of entries to run. */
static size_t
next_entry(const struct phf_set *set, size_t *i_always, size_t *i_due)
{
    if (*i_due == set->n_due || (*i_always < set->n_always &&
                                 set->always[*i_always] < set->due[*i_due])) {
        return set->always[(*i_always)++];
    }
    return set->due[(*i_due)++];
}

static struct hop_tests
tests_of(struct phf_set *set, const struct history *history,
         const struct topology *topology)
{
    return (struct hop_tests){
        .history = history,
        .topology = topology,
        .memo = make_memo(set, history->n_hops) ? set->memo : NULL,
        .round = set->round,
    };
}

/* Makes the tests those of 'entry'. */
static void
turn_to(const struct phf_set *set, struct hop_tests *tests,
        const struct entry *entry)
{
    tests->predicates =
        tests->memo ? &set->predicates : &entry->phf->predicates;
    tests->map = entry->map;
}

static void
tell(struct phf_set *set, const struct entry *entry, enum phf_result result,
     const struct matching *m)
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
    const struct matching m = {hit, aux};
    size_t i_always = 0, i_due = 0, n_runs;
    struct hop_tests tests;

    begin_round(set);
    find_due(set, history);
    n_runs = set->n_always + set->n_due;
    count(set, n_runs);
    if (!n_runs) {
        return;
    }
    set->history = history;
    tests = tests_of(set, history, topology);
    for (; n_runs; n_runs--) {
        const struct entry *entry =
            &set->entries[next_entry(set, &i_always, &i_due)];

        turn_to(set, &tests, entry);
        tell(set, entry, phf_run(entry->phf, &tests), &m);
    }
}

/* --- packets ------------------------------------------------------------- */

/* Finds what the set says of all packets of 't', one of which is at hand. */
static const struct set_verdict *
find_verdict(struct phf_set *set, struct trajectory *t,
             const struct topology *topology)
{
    const struct history *history = phf_set_history(set);
    size_t i_always = 0, i_due = 0, n_runs;
    struct hop_tests tests;

    set->counters.trajectories++;
    begin_round(set);
    find_due(set, history);
    n_runs = set->n_always + set->n_due;
    tests = tests_of(set, history, topology);
    for (; n_runs; n_runs--) {
        size_t index = next_entry(set, &i_always, &i_due);
        struct set_verdict_item item = {.index = (uint32_t) index};

        turn_to(set, &tests, &set->entries[index]);
        item.result =
            phf_run_model(set->entries[index].phf, &tests, &item.is_asked);
        if (item.is_asked || item.result != PHF_MISS) {
            set_verdicts_add(&set->verdicts, item);
        }
    }
    return set_verdicts_end(&set->verdicts, t);
}

static void
match_by(struct phf_set *set, const struct set_verdict *verdict,
         const struct topology *topology, const struct matching *m)
{
    struct hop_tests tests = {.history = NULL};
    size_t n_runs = 0;

    for (uint32_t i = 0; i < verdict->n; i++) {
        const struct set_verdict_item *item =
            &set->verdicts.items[verdict->first + i];
        const struct entry *entry = &set->entries[item->index];
        enum phf_result result = item->result;

        if (item->is_asked) {
            if (!n_runs++) {
                begin_round(set);
                tests = tests_of(set, phf_set_history(set), topology);
            }
            turn_to(set, &tests, entry);
            result = phf_run(entry->phf, &tests);
        }
        tell(set, entry, result, m);
    }
    count(set, n_runs);
}

void
phf_set_match_packet(struct phf_set *set, struct trajectory *t,
                     const struct trajectory_packet *packet,
                     const struct topology *topology,
                     void (*hit)(void *aux, uint32_t id, void *filter_aux,
                                 enum phf_result),
                     void *aux)
{
    const struct matching m = {hit, aux};
    const struct set_verdict *verdict;

    refresh(set);
    set_verdicts_prepare(&set->verdicts, topology);
    set->history = NULL;
    set->trajectory = t;
    set->packet = packet;
    verdict = set_verdicts_find(&set->verdicts, t);
    if (!verdict) {
        verdict = find_verdict(set, t, topology);
    }
    match_by(set, verdict, topology, &m);
}

const struct history *
phf_set_history(struct phf_set *set)
{
    if (!set->history) {
        if (!set->pen) {
            set->pen = trajectory_pen_create();
        }
        set->history =
            trajectory_pen_write(set->pen, set->trajectory, set->packet);
        set->counters.written++;
    }
    return set->history;
}
