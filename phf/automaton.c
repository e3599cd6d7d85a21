/* SPDX-License-Identifier: Apache-2.0 */
/* automaton - a program as sets of positions. */
#include <config.h>
#include "phf/automaton.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

/* States kept on the stack when matching a tree. */
#define STACK_WORDS 512

static void
add(uint64_t *set, size_t position)
{
    set[position / 64] |= UINT64_C(1) << position % 64;
}

/* --- building ------------------------------------------------------------ */

struct builder {
    const struct program *program;
    size_t *position_of; /* By instruction.  Owned. */
    size_t *stack;       /* Instructions to visit.  Owned. */
    uint32_t *visited;   /* By instruction: the round of the last visit.
                          * Owned. */
    uint32_t round;
    size_t n_stack;
};

/* Where in the path a closure is taken. */
struct place {
    bool is_start, is_end;
};

static void
visit(struct builder *b, size_t pc)
{
    assert(pc < b->program->n);
    if (b->visited[pc] != b->round) {
        b->visited[pc] = b->round;
        b->stack[b->n_stack++] = pc;
    }
}

/* Adds to 'set' (which may be NULL) the positions that can be reached from
 * instruction 'pc' without consuming a hop.  Returns whether the end of the
 * program can. */
static bool
closure(struct builder *b, size_t pc, struct place place, uint64_t *set)
{
    bool is_match = false;

    b->round++;
    b->n_stack = 0;
    visit(b, pc);
    while (b->n_stack) {
        const struct program_instr *instr;

        pc = b->stack[--b->n_stack];
        instr = &b->program->instrs[pc];
        switch (instr->op) {
        case PROGRAM_HOP:
            if (set) {
                add(set, b->position_of[pc]);
            }
            break;
        case PROGRAM_SPLIT:
            visit(b, pc + (size_t) (ptrdiff_t) instr->x);
            visit(b, pc + (size_t) (ptrdiff_t) instr->y);
            break;
        case PROGRAM_JUMP:
            visit(b, pc + (size_t) (ptrdiff_t) instr->x);
            break;
        case PROGRAM_START:
            if (place.is_start) {
                visit(b, pc + 1);
            }
            break;
        case PROGRAM_END:
            if (place.is_end) {
                visit(b, pc + 1);
            }
            break;
        case PROGRAM_OPEN:
        case PROGRAM_CLOSE:
            visit(b, pc + 1);
            break;
        case PROGRAM_MATCH:
            is_match = true;
            break;
        case PROGRAM_BACKREF:
            break;
        }
    }
    return is_match;
}

static uint64_t *
new_sets(const struct automaton *a, size_t n)
{
    return lh_alloc_zero(n * a->n_words * sizeof(uint64_t));
}

/* Fills in what is known of each position by itself. */
static void
add_position(struct automaton *a, size_t position, uint32_t predicate,
             const struct predicates *predicates)
{
    size_t i;

    a->predicate_of[position] = predicate;
    for (i = 0; i < a->n_distinct && a->distinct[i] != predicate; i++) {
        continue;
    }
    if (i == a->n_distinct) {
        a->distinct[a->n_distinct++] = predicate;
    }
    a->distinct_of[position] = (uint32_t) i;
    add(a->positions + i * a->n_words, position);
    if (predicate == PREDICATE_ANY) {
        add(a->any, position);
    }
    a->on_verdict |= predicates->predicates[predicate].on_verdict;
}

static void
make_nibbles(struct automaton *a)
{
    size_t n = (a->n_positions + 3) / 4;

    a->nibbles = lh_alloc_zero((n ? n : 1) * 16 * sizeof *a->nibbles);
    for (size_t subset = 0; subset < 16; subset++) {
        a->nibbles[subset] = a->anew[0];
    }
    for (size_t position = 0; position < a->n_positions; position++) {
        uint64_t *table = a->nibbles + position / 4 * 16;

        for (size_t subset = 0; subset < 16; subset++) {
            if (subset >> position % 4 & 1) {
                table[subset] |= a->follow[position];
            }
        }
    }
}

static void
build_sets(struct automaton *a, struct builder *b,
           const struct predicates *predicates)
{
    static const struct place start = {true, false}, middle = {false, false},
                              end = {false, true}, both = {true, true};
    const struct program *program = b->program;

    a->matches_no_hops = closure(b, 0, both, NULL);
    a->matches_all = closure(b, 0, start, a->first);
    closure(b, 0, middle, a->anew);
    a->matches_all |= closure(b, 0, end, NULL);
    for (size_t pc = 0; pc < program->n; pc++) {
        size_t position = b->position_of[pc];

        if (program->instrs[pc].op != PROGRAM_HOP) {
            continue;
        }
        add_position(a, position, (uint32_t) program->instrs[pc].x,
                     predicates);
        if (closure(b, pc + 1, middle, a->follow + position * a->n_words)) {
            add(a->accept, position);
        }
        if (closure(b, pc + 1, end, NULL)) {
            add(a->accept_end, position);
        }
    }
}

struct automaton *
automaton_create(const struct program *program,
                 const struct predicates *predicates)
{
    struct automaton *a = lh_alloc_zero(sizeof *a);
    struct builder b = {.program = program};

    b.position_of = lh_alloc_zero(program->n * sizeof *b.position_of);
    b.stack = lh_alloc_zero(program->n * sizeof *b.stack);
    b.visited = lh_alloc_zero(program->n * sizeof *b.visited);
    for (size_t pc = 0; pc < program->n; pc++) {
        if (program->instrs[pc].op == PROGRAM_HOP) {
            b.position_of[pc] = a->n_positions++;
        }
    }
    a->n_words = a->n_positions ? (a->n_positions + 63) / 64 : 1;
    a->predicate_of = lh_alloc_zero(a->n_positions * sizeof(uint32_t));
    a->distinct_of = lh_alloc_zero(a->n_positions * sizeof(uint32_t));
    a->distinct = lh_alloc_zero(a->n_positions * sizeof(uint32_t));
    a->positions = new_sets(a, a->n_positions);
    a->any = new_sets(a, 1);
    a->first = new_sets(a, 1);
    a->anew = new_sets(a, 1);
    a->accept = new_sets(a, 1);
    a->accept_end = new_sets(a, 1);
    a->follow = new_sets(a, a->n_positions);
    build_sets(a, &b, predicates);
    if (a->n_words == 1) {
        make_nibbles(a);
    }
    free(b.position_of);
    free(b.stack);
    free(b.visited);
    return a;
}

void
automaton_destroy(struct automaton *a)
{
    if (a) {
        free(a->predicate_of);
        free(a->distinct_of);
        free(a->distinct);
        free(a->positions);
        free(a->any);
        free(a->first);
        free(a->anew);
        free(a->accept);
        free(a->accept_end);
        free(a->follow);
        free(a->nibbles);
        free(a);
    }
}

/* --- matching ------------------------------------------------------------ */

/* One pass over a history, or over those of its paths that have a certain
 * verdict. */
struct pass {
    const struct automaton *a;
    struct hop_tests *tests;
    enum verdict_name verdict; /* At the end of every path passed over. */
    const bool *included;      /* By hop; NULL: all. */
    bool is_path;              /* Every hop's parent is the hop before. */
    uint64_t *states;          /* After each hop; on a path, after the last
                                * one passed. */
};

/* Whether one of the paths passed over ends at 'hop'. */
static bool
is_end(const struct pass *pass, size_t hop)
{
    const struct history *h = pass->tests->history;

    return hop_tests_is_end(h, hop) &&
           (!pass->included || hop_tests_verdict(h, hop) == pass->verdict);
}

static uint64_t *
state_after(const struct pass *pass, size_t hop)
{
    return pass->states + (pass->is_path ? 0 : hop * pass->a->n_words);
}

/* The part of the set 'may' (one word) whose predicates hold at 'hop'. */
static uint64_t
consume_word(const struct pass *pass, uint64_t may, size_t hop)
{
    const struct automaton *a = pass->a;
    uint64_t consumed = may & a->any[0];

    may &= ~consumed;
    while (may) {
        uint32_t i = a->distinct_of[__builtin_ctzll(may)];

        if (hop_tests_get(pass->tests, a->distinct[i], hop, pass->verdict)) {
            consumed |= may & a->positions[i];
        }
        may &= ~a->positions[i];
    }
    return consumed;
}

static bool
pass_words(const struct pass *pass)
{
    const struct history *h = pass->tests->history;
    const struct automaton *a = pass->a;

    for (size_t i = 0; i < h->n_hops; i++) {
        int parent = h->hops[i].parent;
        uint64_t may, state;

        if (pass->included && !pass->included[i]) {
            continue;
        }
        if (parent < 0) {
            may = a->first[0];
        } else {
            const uint64_t *table = a->nibbles;

            state = *state_after(pass, (size_t) parent);
            may = table[state & 15];
            for (state >>= 4; state; state >>= 4) {
                table += 16;
                may |= table[state & 15];
            }
        }
        state = may ? consume_word(pass, may, i) : 0;
        if (state && (state & a->accept[0] ||
                      (state & a->accept_end[0] && is_end(pass, i)))) {
            return true;
        }
        *state_after(pass, i) = state;
    }
    return false;
}

/* The same as consume_word() for sets of any size: takes from 'may' and adds
 * to 'consumed'. */
static void
consume_set(const struct pass *pass, uint64_t *may, uint64_t *consumed,
            size_t hop)
{
    const struct automaton *a = pass->a;

    for (size_t w = 0; w < a->n_words; w++) {
        consumed[w] = may[w] & a->any[w];
        may[w] &= ~consumed[w];
    }
    for (size_t w = 0; w < a->n_words; w++) {
        while (may[w]) {
            size_t position = 64 * w + (size_t) __builtin_ctzll(may[w]);
            uint32_t i = a->distinct_of[position];
            const uint64_t *same = a->positions + i * a->n_words;
            bool holds =
                hop_tests_get(pass->tests, a->distinct[i], hop, pass->verdict);

            for (size_t v = w; v < a->n_words; v++) {
                consumed[v] |= holds ? may[v] & same[v] : 0;
                may[v] &= ~same[v];
            }
        }
    }
}

/* What may consume the hop after 'state'. */
static void
advance_set(const struct automaton *a, const uint64_t *state, uint64_t *may)
{
    memcpy(may, a->anew, a->n_words * sizeof *may);
    for (size_t w = 0; w < a->n_words; w++) {
        for (uint64_t bits = state[w]; bits; bits &= bits - 1) {
            size_t position = 64 * w + (size_t) __builtin_ctzll(bits);
            const uint64_t *follow = a->follow + position * a->n_words;

            for (size_t v = 0; v < a->n_words; v++) {
                may[v] |= follow[v];
            }
        }
    }
}

static bool
intersects(const uint64_t *a, const uint64_t *b, size_t n_words)
{
    for (size_t w = 0; w < n_words; w++) {
        if (a[w] & b[w]) {
            return true;
        }
    }
    return false;
}

static bool
pass_sets(const struct pass *pass)
{
    const struct history *h = pass->tests->history;
    const struct automaton *a = pass->a;
    uint64_t may[(PHF_MAX_STATES + 63) / 64];

    for (size_t i = 0; i < h->n_hops; i++) {
        int parent = h->hops[i].parent;
        uint64_t *state = state_after(pass, i);

        if (pass->included && !pass->included[i]) {
            continue;
        }
        if (parent < 0) {
            memcpy(may, a->first, a->n_words * sizeof *may);
        } else {
            advance_set(a, state_after(pass, (size_t) parent), may);
        }
        consume_set(pass, may, state, i);
        if (intersects(state, a->accept, a->n_words) ||
            (is_end(pass, i) &&
             intersects(state, a->accept_end, a->n_words))) {
            return true;
        }
    }
    return false;
}

static bool
run_pass(const struct pass *pass)
{
    return pass->a->n_words == 1 ? pass_words(pass) : pass_sets(pass);
}

/* A pass for every verdict that a path has, over the hops of such paths. */
static enum phf_result
pass_by_verdict(struct pass *pass)
{
    const struct history *h = pass->tests->history;
    bool *included = malloc(h->n_hops * sizeof *included);
    bool is_match = false;

    if (!included) {
        return PHF_LIMIT;
    }
    pass->included = included;
    for (int v = VERDICT_NONE; v <= VERDICT_LOOPED && !is_match; v++) {
        bool any = false;

        memset(included, 0, h->n_hops * sizeof *included);
        for (size_t i = h->n_hops; i-- > 0;) {
            if (hop_tests_is_end(h, i) &&
                hop_tests_verdict(h, i) == (enum verdict_name) v) {
                included[i] = any = true;
            }
            if (included[i] && h->hops[i].parent >= 0) {
                included[h->hops[i].parent] = true;
            }
        }
        pass->verdict = (enum verdict_name) v;
        is_match = any && run_pass(pass);
    }
    free(included);
    return is_match ? PHF_MATCH : PHF_MISS;
}

static bool
has_one_end(const struct history *h)
{
    size_t n_ends = 0;

    for (size_t i = 0; i < h->n_hops; i++) {
        n_ends += hop_tests_is_end(h, i);
    }
    return n_ends == 1;
}

static bool
is_path(const struct history *h)
{
    for (size_t i = 0; i < h->n_hops; i++) {
        if (h->hops[i].parent != (int) i - 1) {
            return false;
        }
    }
    return true;
}

enum phf_result
automaton_match(const struct automaton *a, struct hop_tests *tests)
{
    const struct history *h = tests->history;
    uint64_t stack[STACK_WORDS];
    struct pass pass = {.a = a, .tests = tests, .states = stack};
    enum phf_result result;
    size_t n_states;

    if (!h->n_hops || a->matches_all) {
        return (h->n_hops ? a->matches_all : a->matches_no_hops) ? PHF_MATCH
                                                                 : PHF_MISS;
    }
    pass.is_path = is_path(h);
    n_states = pass.is_path ? 1 : h->n_hops;
    if (n_states > STACK_WORDS / a->n_words) {
        pass.states = calloc(n_states * a->n_words, sizeof *pass.states);
        if (!pass.states) {
            return PHF_LIMIT;
        }
    }
    if (a->on_verdict && !has_one_end(h)) {
        result = pass_by_verdict(&pass);
    } else {
        if (a->on_verdict) {
            pass.verdict = hop_tests_verdict(h, h->n_hops - 1);
        }
        result = run_pass(&pass) ? PHF_MATCH : PHF_MISS;
    }
    if (pass.states != stack) {
        free(pass.states);
    }
    return result;
}
