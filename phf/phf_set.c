/* SPDX-License-Identifier: Apache-2.0 */
/* phf_set - live filters that are matched together. */
#include <config.h>
#include "phf/phf_set.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/trajectory_pen.h"
#include "phf/bpf.h"
#include "phf/phf_impl.h"
#include "phf/set_index.h"
#include "phf/set_verdicts.h"

/* A memo larger than this (entries) is not worth its memory: the filters then
 * ask on their own. */
#define MAX_MEMO (1 << 22)

struct entry {
    uint32_t id;
    struct phf *phf; /* Owned. */
    void *aux;
    uint32_t *map; /* The set's number for each of its predicates.  Owned. */
};

struct phf_set {
    size_t n, allocated;
    struct entry *entries; /* In order of 'id'.  Owned. */
    uint32_t last_id;
    struct phf_set_counters counters;

    /* Made anew before a match when filters came or went. */
    bool is_stale;
    struct predicates predicates;
    struct set_index index;

    uint32_t round; /* Of the memo; counts matches. */
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

static void
rebuild(struct phf_set *set)
{
    const struct phf **filters = lh_alloc(set->n * sizeof *filters);

    predicates_uninit(&set->predicates);
    predicates_init(&set->predicates);
    set->round = 0;
    for (size_t i = 0; i < set->n; i++) {
        struct entry *entry = &set->entries[i];
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

/* Counts a history on which so many filters were run. */
static void
count(struct phf_set *set, size_t n_runs)
{
    set->counters.histories++;
    set->counters.runs += n_runs;
    set->counters.skipped += set->n - n_runs;
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
    const uint32_t *found;
    struct hop_tests tests;
    size_t n;

    begin_round(set);
    found = set_index_find(&set->index, history, topology, &n);
    count(set, n);
    if (!n) {
        return;
    }
    set->history = history;
    tests = tests_of(set, history, topology);
    for (size_t i = 0; i < n; i++) {
        const struct entry *entry = &set->entries[found[i]];

        turn_to(set, &tests, entry);
        tell(set, entry, phf_run(entry->phf, &tests), &m);
    }
}

/* --- packets ------------------------------------------------------------- */

/* Sees whether packets of the flow of 'tests' are missed by the filter if none
 * of some tests is true for the header at the reference hop, which then are
 * those of '*item'.  It is so when the filter misses where all that varies is
 * false, and all that its expressions read is the same at all hops. */
static void
find_tests(struct phf_set *set, struct hop_tests *tests, const struct phf *phf,
           struct set_verdict_item *item)
{
    const struct trajectory_path *path = trajectory_path(set->trajectory);
    const struct header_split *split = trajectory_path_split(path);
    uint64_t kept[2], reads[2];

    item->first_test = (uint32_t) set->verdicts.n_tests;
    if (split->l3_ofs != 14 || !header_kind_is_ip4(split->kind) ||
        phf_run_plain(phf, tests) != PHF_MISS) {
        return;
    }
    trajectory_path_kept(path, kept);
    for (size_t i = 0; i < phf->predicates.n_terms; i++) {
        const struct bpf_test *test = phf->predicates.terms[i].bpf;
        bool varies = false;

        if (test && (!bpf_test_reads(test, reads) || reads[0] & ~kept[0] ||
                     reads[1] & ~kept[1])) {
            return;
        }
        if (test) {
            bpf_test_run_model(test, set->packet->header, set->packet->caplen,
                               &varies);
        }
        if (varies) {
            set_verdicts_add_test(&set->verdicts, test);
        }
    }
    item->n_tests = (uint32_t) set->verdicts.n_tests - item->first_test;
}

/* Adds what filter 'index' says of all that have 'tests' as their model. */
static void
judge(struct phf_set *set, struct hop_tests *tests, uint32_t index,
      bool is_flow)
{
    const struct entry *entry = &set->entries[index];
    struct set_verdict_item item = {.index = index};

    turn_to(set, tests, entry);
    item.result = phf_run_model(entry->phf, tests, &item.is_asked);
    if (item.is_asked && is_flow) {
        find_tests(set, tests, entry->phf, &item);
    }
    if (item.is_asked || item.result != PHF_MISS) {
        set_verdicts_add(&set->verdicts, item);
    }
}

/* What the set says of all flows on the path of 't'. */
static const struct set_verdict *
path_verdict(struct phf_set *set, const struct trajectory *t,
             const struct topology *topology)
{
    const struct trajectory_path *path = trajectory_path(t);
    struct trajectory_path_mark *mark = trajectory_path_filter_mark(path);
    const struct set_verdict *known =
        set_verdicts_find(&set->verdicts, mark->owner, mark->index);
    struct history_hop hops[TRAJECTORY_MAX_HOPS];
    struct history bare; /* No header: what asks for one varies. */
    const uint32_t *found;
    struct hop_tests tests;
    size_t n;

    if (known) {
        return known;
    }
    set->counters.paths++;
    bare = *trajectory_path_model(path);
    assert(bare.n_hops <= TRAJECTORY_MAX_HOPS);
    memcpy(hops, bare.hops, bare.n_hops * sizeof *hops);
    bare.hops = hops;
    for (size_t i = 0; i < bare.n_hops; i++) {
        hops[i].caplen = 0;
    }
    begin_round(set);
    found = set_index_find_path(&set->index, &bare, topology, &n);
    tests = tests_of(set, &bare, topology);
    for (size_t i = 0; i < n; i++) {
        judge(set, &tests, found[i], false);
    }
    return set_verdicts_end(&set->verdicts, &mark->owner, &mark->index);
}

/* Adds what the set says of a flow, one packet of which is 'history', on a
 * path on which it says 'path', where it has found 'n' filters. */
static void
judge_flow(struct phf_set *set, struct hop_tests *tests,
           struct set_verdict path, const uint32_t *found, size_t n)
{
    size_t i = 0;

    for (uint32_t j = 0; j < path.n; j++) {
        struct set_verdict_item item = set->verdicts.items[path.first + j];
        bool is_found;

        for (; i < n && found[i] < item.index; i++) {
            if (set_index_is_on_headers(&set->index, found[i])) {
                judge(set, tests, found[i], true);
            }
        }
        is_found = i < n && found[i] == item.index;
        i += is_found;
        if (!item.is_asked) {
            set_verdicts_add(&set->verdicts, item);
        } else if (is_found ||
                   !set_index_has_header_keys(&set->index, item.index)) {
            judge(set, tests, item.index, true);
        }
    }
    for (; i < n; i++) {
        if (set_index_is_on_headers(&set->index, found[i])) {
            judge(set, tests, found[i], true);
        }
    }
}

/* Finds what the set says of all packets of 't', one of which is at hand. */
static const struct set_verdict *
find_verdict(struct phf_set *set, struct trajectory *t,
             const struct topology *topology)
{
    struct set_verdict path = *path_verdict(set, t, topology);
    struct trajectory_mark *mark = trajectory_filter_mark(t);
    const struct history *history;
    struct hop_tests tests;
    const uint32_t *found;
    size_t n;

    set->counters.trajectories++;
    if (path.n || set_index_asks_headers(&set->index)) {
        history = phf_set_history(set);
        begin_round(set);
        tests = tests_of(set, history, topology);
        found = set_index_find_flow(&set->index, history, &n);
        judge_flow(set, &tests, path, found, n);
    }
    return set_verdicts_end(&set->verdicts, &mark->owner, &mark->index);
}

/* Whether the packet at hand may match the filter of 'item', which is
 * asked. */
static bool
may_match(const struct phf_set *set, const struct set_verdict_item *item)
{
    for (uint32_t i = 0; i < item->n_tests; i++) {
        if (bpf_test_run(set->verdicts.tests[item->first_test + i],
                         set->packet->header, set->packet->caplen)) {
            return true;
        }
    }
    return item->n_tests == 0;
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

        if (item->is_asked && !may_match(set, item)) {
            continue;
        }
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
    const struct trajectory_mark *mark;
    const struct set_verdict *verdict;

    refresh(set);
    set_verdicts_prepare(&set->verdicts, topology);
    set->history = NULL;
    set->trajectory = t;
    set->packet = packet;
    mark = trajectory_filter_mark(t);
    verdict = set_verdicts_find(&set->verdicts, mark->owner, mark->index);
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
