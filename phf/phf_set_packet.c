/* SPDX-License-Identifier: Apache-2.0 */
/* phf_set_packet - live filters on packets of trajectories. */
#include <config.h>

#include "phf/bpf.h"
#include "phf/phf_set_impl.h"

/* Answers that a number holds. */
#define MAX_ANSWERS 16
#define ETH_LEN     14

/* A flow that is judged, one packet of which is at hand. */
struct flow {
    const struct topology *topology;
    uint32_t path; /* Its number among the verdicts. */
    bool is_level; /* As they say of the path. */
    uint64_t kept[2], constant[2];
    const struct header_split *split;
    struct hop_tests tests; /* All zero before they are needed. */
};

/* What 'flow' needs to be asked hop by hop. */
static struct hop_tests *
tests_of_flow(struct phf_set *set, struct flow *flow)
{
    if (!flow->tests.history) {
        flow->tests = phf_set_tests(set, phf_set_history(set), flow->topology);
    }
    return &flow->tests;
}

/* Whether nothing that the expression reads differs from hop to hop. */
static bool
reads_kept(const struct flow *flow, const struct bpf_test *test,
           uint64_t reads[2])
{
    return flow->is_level && header_kind_is_ip4(flow->split->kind) &&
           bpf_test_reads(test, reads) && !(reads[0] & ~flow->kept[0]) &&
           !(reads[1] & ~flow->kept[1]);
}

static enum set_answer
ask_expression(const struct phf_set *set, const struct flow *flow,
               const struct bpf_test *test)
{
    const uint8_t *header = set->packet->header;
    bool varies = false, holds;
    uint64_t reads[2];

    if (!reads_kept(flow, test, reads)) {
        return SET_ANSWER_HOP_BY_HOP;
    }
    holds = reads[0] & ~flow->constant[0] || reads[1] & ~flow->constant[1]
                ? bpf_test_run_constant(test, header, flow->constant, &varies)
                : bpf_test_run(test, header, set->packet->caplen);
    return varies  ? SET_ANSWER_VARIES
           : holds ? SET_ANSWER_TRUE
                   : SET_ANSWER_FALSE;
}

/* What the set's term 'term', an expression, says of the flow. */
static enum set_answer
answer_of(struct phf_set *set, const struct flow *flow, uint32_t term)
{
    enum set_answer answer;

    if (!set_answers_find(&set->flow_answers, term, &answer)) {
        answer = ask_expression(set, flow, set->predicates.terms[term].bpf);
        set_answers_put(&set->flow_answers, term, answer);
    }
    return answer;
}

/* Sees whether packets of the flow are missed by the filter if none of some
 * tests is true for the header at the reference hop, which then are those of
 * '*item'.  It is so when the filter misses where all that varies is false,
 * and all that its expressions read is the same at all hops. */
static void
find_tests(struct phf_set *set, struct flow *flow,
           const struct set_entry *entry, struct set_verdict_item *item)
{
    item->first_test = (uint32_t) set->verdicts.n_tests;
    for (size_t i = 0; i < entry->n_bpf; i++) {
        if (answer_of(set, flow, entry->bpf[i]) == SET_ANSWER_HOP_BY_HOP) {
            return;
        }
    }
    if (phf_run_plain(entry->phf, tests_of_flow(set, flow)) != PHF_MISS) {
        return;
    }
    for (size_t i = 0; i < entry->n_bpf; i++) {
        if (answer_of(set, flow, entry->bpf[i]) == SET_ANSWER_VARIES) {
            set_verdicts_add_test(&set->verdicts, entry->bpf[i]);
        }
    }
    item->n_tests = (uint32_t) set->verdicts.n_tests - item->first_test;
}

/* The answers of the filter's expressions, three to each, as a number.  False
 * when they may differ from hop to hop, or are too many. */
static bool
find_answers(struct phf_set *set, const struct flow *flow,
             const struct set_entry *entry, uint32_t *answers)
{
    *answers = 0;
    if (entry->n_bpf > MAX_ANSWERS) {
        return false;
    }
    for (size_t i = 0; i < entry->n_bpf; i++) {
        enum set_answer answer = answer_of(set, flow, entry->bpf[i]);

        if (answer == SET_ANSWER_HOP_BY_HOP) {
            return false;
        }
        *answers = 3 * *answers + answer;
    }
    return true;
}

/* What filter 'index' says of the flow. */
static struct set_verdict_item
ask_flow(struct phf_set *set, struct flow *flow, uint32_t index)
{
    const struct set_entry *entry = &set->entries[index];
    struct set_verdict_item item = {.index = index};
    struct hop_tests *tests = tests_of_flow(set, flow);

    phf_set_turn_to(set, tests, entry);
    item.result = phf_run_model(entry->phf, tests, &item.is_asked);
    if (item.is_asked) {
        find_tests(set, flow, entry, &item);
    }
    return item;
}

static void
add_item(struct phf_set *set, const struct set_verdict_item *item)
{
    if (item->is_asked || item->result != PHF_MISS) {
        set_verdicts_add(&set->verdicts, *item);
    }
}

/* Adds what filter 'index' says of the flow, which is what it said of flows on
 * the same path for whose headers its expressions gave the same answers. */
static void
judge(struct phf_set *set, struct flow *flow, uint32_t index)
{
    const struct set_entry *entry = &set->entries[index];
    struct set_verdict_item item;
    struct set_verdict_memo *memo;
    uint32_t answers;

    if (!entry->phf) {
        return;
    }
    if (!find_answers(set, flow, entry, &answers)) {
        item = ask_flow(set, flow, index);
    } else {
        memo = set_verdicts_memo(&set->verdicts, flow->path, index, answers);
        if (memo->owner != set->verdicts.owner) {
            memo->item = ask_flow(set, flow, index);
            memo->owner = set->verdicts.owner;
        }
        item = memo->item;
    }
    add_item(set, &item);
}

static void
add_reading(void *verdicts, const struct set_index_reading *reading)
{
    set_verdicts_add_reading(verdicts, reading);
}

/* Finds what is read of each flow on 'path'. */
static void
find_readings(struct phf_set *set, const struct trajectory_path *path,
              struct set_verdict_path *found)
{
    const struct set_index_level level = {.path = path,
                                          .header = set->packet->header,
                                          .caplen = set->packet->caplen,
                                          .kept = found->kept,
                                          .constant = found->constant};

    found->first_reading = (uint32_t) set->verdicts.n_readings;
    if (found->is_level) {
        set_index_read_level(&set->index, &level, add_reading, &set->verdicts);
    }
    found->n_readings =
        (uint32_t) set->verdicts.n_readings - found->first_reading;
}

/* What the set says of all flows on the path of 't'. */
static uint32_t
find_path(struct phf_set *set, const struct trajectory *t,
          const struct topology *topology)
{
    const struct trajectory_path *path = trajectory_path(t);
    const struct header_split *split = trajectory_path_split(path);
    struct trajectory_path_mark *mark = trajectory_path_filter_mark(path);
    struct set_verdict_path found;
    uint32_t number;
    size_t n_runs;

    if (mark->owner == set->verdicts.owner) {
        return mark->index;
    }
    number = phf_set_judge_path(set, trajectory_path_model(path), topology,
                                &n_runs);
    found = set->verdicts.paths[number];
    header_split_constant_bytes(split, found.constant);
    trajectory_path_kept(path, found.kept);
    found.is_level =
        split->l3_ofs == ETH_LEN && found.kept[0] >> (ETH_LEN - 1) & 1;
    find_readings(set, path, &found);
    mark->owner = set->verdicts.owner;
    mark->index = set_verdicts_add_path(&set->verdicts, &found);
    return mark->index;
}

/* Adds what the set says of a flow on 'path', where it has found 'n' filters.
 */
static void
judge_flow(struct phf_set *set, struct flow *flow,
           const struct set_verdict_path *path, const uint32_t *found,
           size_t n)
{
    struct set_verdict all = set->verdicts.all[path->verdict];
    uint32_t j = 0;
    size_t i = 0;

    while (i < n || j < all.n) {
        struct set_verdict_item item = {.index = UINT32_MAX};

        if (j < all.n) {
            item = set->verdicts.items[all.first + j];
        }
        if (i < n && found[i] < item.index) {
            judge(set, flow, found[i++]);
            continue;
        }
        if (item.is_asked) {
            judge(set, flow, item.index);
        } else {
            set_verdicts_add(&set->verdicts, item);
        }
        j++;
    }
}

/* The filters that may match the flow by what its headers have. */
static const uint32_t *
find_by_flow(struct phf_set *set, const struct set_verdict_path *path,
             const struct trajectory *t, size_t *n)
{
    const struct set_verdicts *verdicts = &set->verdicts;
    struct set_index_flow flow = {.path = trajectory_path(t),
                                  .header = set->packet->header,
                                  .n_readings = path->n_readings,
                                  .keyed = verdicts->keyed + path->keyed};

    *n = 0;
    if (!path->is_level) {
        return set_index_find_headers(&set->index, phf_set_history(set), true,
                                      flow.keyed, n);
    }
    if (!path->n_readings) {
        return NULL;
    }
    flow.readings = &verdicts->readings[path->first_reading];
    return set_index_find_level(&set->index, &flow, n);
}

/* Finds what the set says of all packets of 't', one of which is at hand. */
static const struct set_verdict *
find_verdict(struct phf_set *set, struct trajectory *t,
             const struct topology *topology)
{
    uint32_t number = find_path(set, t, topology);
    const struct set_verdict_path *path = &set->verdicts.paths[number];
    struct trajectory_mark *mark = trajectory_filter_mark(t);
    struct flow flow = {
        .topology = topology,
        .path = number,
        .is_level = path->is_level,
        .kept = {path->kept[0], path->kept[1]},
        .constant = {path->constant[0], path->constant[1]},
        .split = trajectory_path_split(trajectory_path(t)),
    };
    const uint32_t *found;
    size_t n;

    set->counters.trajectories++;
    if (path->verdict || set_index_asks_headers(&set->index)) {
        phf_set_begin_round(set);
        set_answers_begin(&set->flow_answers, set->predicates.n_terms);
        found = find_by_flow(set, path, t, &n);
        judge_flow(set, &flow, path, found, n);
    }
    return set_verdicts_end(&set->verdicts, &mark->owner, &mark->index);
}

/* Whether the expression holds for the packet at hand. */
static bool
holds(struct phf_set *set, uint32_t term)
{
    enum set_answer answer;

    if (!set_answers_find(&set->packet_answers, term, &answer)) {
        answer = bpf_test_run(set->predicates.terms[term].bpf,
                              set->packet->header, set->packet->caplen)
                     ? SET_ANSWER_TRUE
                     : SET_ANSWER_FALSE;
        set_answers_put(&set->packet_answers, term, answer);
    }
    return answer == SET_ANSWER_TRUE;
}

/* Whether the packet at hand may match the filter of 'item', which is
 * asked. */
static bool
may_match(struct phf_set *set, const struct set_verdict_item *item)
{
    for (uint32_t i = 0; i < item->n_tests; i++) {
        if (holds(set, set->verdicts.tests[item->first_test + i])) {
            return true;
        }
    }
    return item->n_tests == 0;
}

static void
match_by(struct phf_set *set, const struct set_verdict *verdict,
         const struct topology *topology, const struct set_matching *m)
{
    struct hop_tests tests = {.history = NULL};
    size_t n_runs = 0;

    if (verdict->n) {
        set_answers_begin(&set->packet_answers, set->predicates.n_terms);
    }
    for (uint32_t i = 0; i < verdict->n; i++) {
        const struct set_verdict_item *item =
            &set->verdicts.items[verdict->first + i];
        const struct set_entry *entry = &set->entries[item->index];
        enum phf_result result = item->result;

        if (!entry->phf || (item->is_asked && !may_match(set, item))) {
            continue;
        }
        if (item->is_asked) {
            if (!n_runs++) {
                phf_set_begin_round(set);
                tests = phf_set_tests(set, phf_set_history(set), topology);
            }
            phf_set_turn_to(set, &tests, entry);
            result = phf_run(entry->phf, &tests);
        }
        phf_set_tell(set, entry, result, m);
    }
    phf_set_count_runs(set, n_runs);
}

void
phf_set_match_packet(struct phf_set *set, struct trajectory *t,
                     const struct trajectory_packet *packet,
                     const struct topology *topology,
                     void (*hit)(void *aux, uint32_t id, void *filter_aux,
                                 enum phf_result),
                     void *aux)
{
    const struct set_matching m = {hit, aux};
    const struct trajectory_mark *mark;
    const struct set_verdict *verdict;

    phf_set_refresh(set);
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
