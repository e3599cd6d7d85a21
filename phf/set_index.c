/* SPDX-License-Identifier: Apache-2.0 */
/* set_index - which filters of a set a history can match at all. */
#include <config.h>
#include "phf/set_index.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/of_port.h"

/* A filter with more keys than this is run on every history. */
#define MAX_KEYS 16

void
set_index_uninit(struct set_index *x)
{
    free(x->keys);
    free(x->slots);
    free(x->always);
    free(x->marks);
    free(x->found);
}

/* --- Choosing keys ------------------------------------------------------ */

struct chooser {
    const struct predicates *shared;
    uint32_t *n_users; /* By term: filters that ask for it.  Owned. */
    uint32_t *last;    /* By term: the last of them + 1.  Owned. */
};

/* Terms, one of which must hold at some hop of a match. */
struct cut {
    size_t n;
    uint32_t terms[MAX_KEYS];
    uint64_t cost; /* Filters that ask for them. */
};

static void
count_users(struct chooser *c, const struct set_index_filter *filter,
            uint32_t number)
{
    for (size_t i = 0; i < filter->phf->predicates.n_predicates; i++) {
        const struct predicate *p = &c->shared->predicates[filter->map[i]];

        for (uint32_t j = 0; j < p->filters.n; j++) {
            const struct predicates_members *terms =
                &c->shared->filters[p->filters.ids[j]].terms;

            for (uint32_t k = 0; k < terms->n; k++) {
                uint32_t id = terms->ids[k];

                c->n_users[id] += c->last[id] != number;
                c->last[id] = number;
            }
        }
    }
}

static bool
can_be_key(const struct term *term)
{
    return term->kind <= TERM_VERSION && !term->is_negated && !term->name;
}

/* Adds the term of 'filter' that the fewest ask for. */
static bool
add_term(const struct chooser *c, const struct postcard_filter *filter,
         struct cut *cut)
{
    uint32_t best = UINT32_MAX;

    for (uint32_t i = 0; i < filter->terms.n; i++) {
        uint32_t id = filter->terms.ids[i];

        if (can_be_key(&c->shared->terms[id]) &&
            (best == UINT32_MAX || c->n_users[id] < c->n_users[best])) {
            best = id;
        }
    }
    if (best == UINT32_MAX || cut->n == MAX_KEYS) {
        return false;
    }
    cut->terms[cut->n++] = best;
    cut->cost += c->n_users[best];
    return true;
}

/* Adds what a hop must have that 'position' consumes; false when there is no
 * such thing. */
static bool
add_position(const struct chooser *c, const struct set_index_filter *filter,
             size_t position, struct cut *cut)
{
    const struct automaton *a = filter->phf->automaton;
    const struct predicate *p =
        &c->shared->predicates[filter->map[a->predicate_of[position]]];

    for (uint32_t i = 0; i < p->filters.n; i++) {
        if (!add_term(c, &c->shared->filters[p->filters.ids[i]], cut)) {
            return false;
        }
    }
    return !p->is_negated;
}

/* Takes 'positions', one of which every match passes, into '*best' if they
 * have keys that cost less. */
static void
try_cut(const struct chooser *c, const struct set_index_filter *filter,
        const uint64_t *positions, struct cut *best)
{
    struct cut cut = {.n = 0};

    for (size_t i = 0; i < filter->phf->automaton->n_positions; i++) {
        if (automaton_has(positions, i) && !add_position(c, filter, i, &cut)) {
            return;
        }
    }
    if (cut.cost < best->cost) {
        *best = cut;
    }
}

/* Whether some match of an automaton of one word goes round 'position'. */
static bool
can_avoid(const struct automaton *a, size_t position)
{
    uint64_t avoided = UINT64_C(1) << position;
    uint64_t ahead = (a->first[0] | a->anew[0]) & ~avoided, seen = ahead;

    while (ahead) {
        uint64_t follow = a->follow[__builtin_ctzll(ahead)] & ~avoided & ~seen;

        ahead = (ahead & (ahead - 1)) | follow;
        seen |= follow;
    }
    return seen & (a->accept[0] | a->accept_end[0]);
}

/* False when the filter has no keys. */
static bool
choose(const struct chooser *c, const struct set_index_filter *filter,
       struct cut *best)
{
    const struct phf *phf = filter->phf;
    const struct automaton *a = phf->automaton;

    best->cost = UINT64_MAX;
    if (phf->has_backrefs || a->matches_all || a->matches_no_hops) {
        return false;
    }
    /* Every match begins at one of 'first' and ends at one of 'accept_end'. */
    try_cut(c, filter, a->first, best);
    try_cut(c, filter, a->accept_end, best);
    for (size_t i = 0; a->n_words == 1 && i < a->n_positions; i++) {
        uint64_t only = UINT64_C(1) << i;

        if (!can_avoid(a, i)) {
            try_cut(c, filter, &only, best);
        }
    }
    return best->cost != UINT64_MAX;
}

/* --- Building ----------------------------------------------------------- */

static int
compare_keys(const void *a_, const void *b_)
{
    const struct set_index_key *a = a_, *b = b_;

    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    if (a->value != b->value) {
        return a->value < b->value ? -1 : 1;
    }
    return (a->index > b->index) - (a->index < b->index);
}

static size_t
hash_of(enum term_kind kind, uint64_t value)
{
    uint64_t hash = (value + (uint64_t) kind) * 0x9e3779b97f4a7c15ULL;

    return (size_t) (hash ^ hash >> 32);
}

static bool
is_key(const struct set_index_key *key, enum term_kind kind, uint64_t value)
{
    return key->kind == kind && key->value == value;
}

static void
make_slots(struct set_index *x)
{
    if (x->n_keys) {
        qsort(x->keys, x->n_keys, sizeof *x->keys, compare_keys);
    }
    for (x->n_slots = 16; x->n_slots < 2 * x->n_keys; x->n_slots *= 2) {
        continue;
    }
    free(x->slots);
    x->slots = lh_alloc_zero(x->n_slots * sizeof *x->slots);
    for (size_t i = 0; i < x->n_keys; i++) {
        const struct set_index_key *key = &x->keys[i];
        size_t slot = hash_of(key->kind, key->value);

        if (i && is_key(&x->keys[i - 1], key->kind, key->value)) {
            continue;
        }
        while (x->slots[slot & (x->n_slots - 1)]) {
            slot++;
        }
        x->slots[slot & (x->n_slots - 1)] = (uint32_t) i + 1;
    }
}

static void
add_keys(struct set_index *x, const struct chooser *c, const struct cut *cut,
         uint32_t index)
{
    for (size_t i = 0; i < cut->n; i++) {
        const struct term *term = &c->shared->terms[cut->terms[i]];

        x->keys = lh_alloc_grow(x->keys, x->n_keys, &x->allocated_keys,
                                sizeof *x->keys);
        x->keys[x->n_keys++] = (struct set_index_key){
            .kind = term->kind, .index = index, .value = term->value};
        x->kinds |= 1u << term->kind;
    }
}

void
set_index_build(struct set_index *x, const struct predicates *shared,
                const struct set_index_filter *filters, size_t n)
{
    struct chooser c = {.shared = shared};

    c.n_users = lh_alloc_zero((shared->n_terms + 1) * sizeof *c.n_users);
    c.last = lh_alloc_zero((shared->n_terms + 1) * sizeof *c.last);
    for (size_t i = 0; i < n; i++) {
        count_users(&c, &filters[i], (uint32_t) i + 1);
    }
    x->n_keys = x->n_always = 0;
    x->kinds = 0;
    x->round = 0;
    x->always = lh_alloc_array(x->always, n, sizeof *x->always);
    x->found = lh_alloc_array(x->found, n, sizeof *x->found);
    free(x->marks);
    x->marks = lh_alloc_zero(n * sizeof *x->marks);
    for (uint32_t i = 0; i < n; i++) {
        struct cut cut;

        if (choose(&c, &filters[i], &cut)) {
            add_keys(x, &c, &cut, i);
        } else {
            x->always[x->n_always++] = i;
        }
    }
    make_slots(x);
    free(c.n_users);
    free(c.last);
}

/* --- Finding ------------------------------------------------------------ */

static void
mark(struct set_index *x, uint32_t index)
{
    if (x->marks[index] != x->round) {
        x->marks[index] = x->round;
        x->found[x->n_found++] = index;
    }
}

static void
find(struct set_index *x, enum term_kind kind, uint64_t value)
{
    size_t slot = hash_of(kind, value), i;

    while ((i = x->slots[slot & (x->n_slots - 1)])) {
        if (is_key(&x->keys[i - 1], kind, value)) {
            for (i--; i < x->n_keys && is_key(&x->keys[i], kind, value); i++) {
                mark(x, x->keys[i].index);
            }
            return;
        }
        slot++;
    }
}

static void
find_all(struct set_index *x, enum term_kind kind, const uint32_t *values,
         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        find(x, kind, values[i]);
    }
}

static void
find_hop(struct set_index *x, const struct history_hop *hop)
{
    static const uint32_t none = OF_PORT_NONE;

    if (x->kinds & 1u << TERM_DPID) {
        find(x, TERM_DPID, hop->dpid);
    }
    if (x->kinds & 1u << TERM_IN_PORT) {
        find(x, TERM_IN_PORT, hop->in_port);
    }
    if (x->kinds & 1u << TERM_OUT_PORT) {
        find_all(x, TERM_OUT_PORT, hop->out_ports, hop->n_out);
        find_all(x, TERM_OUT_PORT, hop->branches, hop->n_branches);
        find_all(x, TERM_OUT_PORT, &none, !hop->n_out);
    }
    if (x->kinds & 1u << TERM_VERSION) {
        find_all(x, TERM_VERSION, hop->versions, hop->n_versions);
    }
}

static int
compare_indices(const void *a_, const void *b_)
{
    const uint32_t *a = a_, *b = b_;

    return (*a > *b) - (*a < *b);
}

const uint32_t *
set_index_find(struct set_index *x, const struct history *history, size_t *n)
{
    if (!x->n_keys) {
        *n = x->n_always;
        return x->always;
    }
    if (++x->round == 0) { /* Old marks would look new. */
        uint32_t n_marks = 0;

        for (size_t i = 0; i < x->n_keys; i++) {
            n_marks =
                x->keys[i].index >= n_marks ? x->keys[i].index + 1 : n_marks;
        }
        memset(x->marks, 0, n_marks * sizeof *x->marks);
        x->round = 1;
    }
    x->n_found = 0;
    for (size_t i = 0; i < history->n_hops; i++) {
        find_hop(x, &history->hops[i]);
    }
    if (!x->n_found) {
        *n = x->n_always;
        return x->always;
    }
    for (size_t i = 0; i < x->n_always; i++) {
        x->found[x->n_found++] = x->always[i];
    }
    if (x->n_found > 1) {
        qsort(x->found, x->n_found, sizeof *x->found, compare_indices);
    }
    *n = x->n_found;
    return x->found;
}
