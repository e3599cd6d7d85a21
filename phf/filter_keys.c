/* SPDX-License-Identifier: Apache-2.0 */
/* filter_keys - facts, one of which every history has that a filter
 * matches. */
#include <config.h>
#include "phf/filter_keys.h"

#include <string.h>

#include "lib/header_split.h"
#include "lib/of_port.h"

/* How often histories have a fact, in 1/65536. */
#define COST_SWITCH  8000
#define COST_PORT    20000
#define COST_DROP    3000
#define COST_VERSION 1500
#define COST_TWICE   200

struct finder {
    const struct phf *phf;
    bool on_path, on_headers;
    struct filter_keys *best;
    bool has_best;
};

uint64_t
filter_keys_name(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a. */

    while (*name) {
        hash = (hash ^ (uint8_t) *name++) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* --- Terms -------------------------------------------------------------- */

static uint32_t
verdict_cost(uint64_t verdict)
{
    return verdict == VERDICT_DELIVERED ? 50000
           : verdict == VERDICT_LOOPED  ? 500
                                        : COST_DROP;
}

/* The fact that a term about the path needs; returns its cost, 0 when there
 * is no such fact. */
static uint32_t
path_key(const struct term *term, struct filter_key *key)
{
    *key = (struct filter_key){.low = term->value, .high = term->value};
    if (term->is_negated || (term->name && term->kind != TERM_DPID)) {
        return 0;
    }
    switch (term->kind) {
    case TERM_DPID:
        key->fact = term->name ? FACT_SWITCH : FACT_DPID;
        if (term->name) {
            key->low = key->high = filter_keys_name(term->name);
        }
        return COST_SWITCH;
    case TERM_IN_PORT:
        key->fact = FACT_IN_PORT;
        return COST_PORT;
    case TERM_OUT_PORT:
        key->fact = FACT_OUT_PORT;
        return term->value == OF_PORT_NONE ? COST_DROP : COST_PORT;
    case TERM_VERSION:
        key->fact = FACT_VERSION;
        return COST_VERSION;
    case TERM_VERDICT:
        key->fact = FACT_VERDICT;
        return verdict_cost(term->value);
    case TERM_BPF:
        break;
    }
    return 0;
}

static bool
add_key(struct filter_keys *keys, const struct filter_key *key, uint32_t cost)
{
    if (keys->n == FILTER_KEYS_MAX) {
        return false;
    }
    keys->keys[keys->n++] = *key;
    keys->cost += cost;
    return true;
}

/* Whether some packets of a flow may have the field and others not, whatever
 * their kind. */
static bool
always_varies(const struct bpf_field *f)
{
    static const enum header_kind kinds[] = {HEADER_IP4_UDP, HEADER_IP6_UDP,
                                             HEADER_IP4_OTHER};
    struct header_split split = {.l3_ofs = 14};
    uint32_t ofs = f->base == UINT32_MAX ? f->ofs : f->ofs + 20;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        bool is_ip4 = header_kind_is_ip4(kinds[i]);

        split.kind = kinds[i];
        split.l4_ofs = is_ip4 ? 34 : 54;
        if (f->ethers & (is_ip4 ? BPF_ETHER_IP4 : BPF_ETHER_IP6) &&
            header_split_is_constant(&split, ofs, f->size)) {
            return false;
        }
    }
    return f->ethers & (BPF_ETHER_IP4 | BPF_ETHER_IP6);
}

/* Adds the keys of a BPF expression; false when it has none. */
static bool
add_bpf(const struct bpf_test *test, struct filter_keys *to)
{
    const struct bpf_keys *keys = bpf_test_keys(test);

    for (size_t i = 0; keys && i < keys->n; i++) {
        const struct bpf_key *k = &keys->keys[i];
        struct filter_key key = {FACT_HEADER, k->field, k->low, k->high};

        if (always_varies(&k->field) || !add_key(to, &key, bpf_key_cost(k))) {
            return false;
        }
    }
    return keys != NULL;
}

/* --- Choosing ----------------------------------------------------------- */

/* Adds the keys of the term of 'filter' that cost least. */
static bool
add_filter(const struct finder *f, const struct postcard_filter *filter,
           struct filter_keys *keys)
{
    struct filter_keys best;

    best.n = 0; /* The rest is large, and not looked at. */
    best.cost = UINT64_MAX;
    for (uint32_t i = 0; i < filter->terms.n; i++) {
        const struct term *term =
            &f->phf->predicates.terms[filter->terms.ids[i]];
        struct filter_keys own;
        struct filter_key key;
        uint32_t cost = path_key(term, &key);
        bool has_keys = false;

        own.n = 0;
        own.cost = 0;

        if (term->kind == TERM_BPF) {
            has_keys = f->on_headers && add_bpf(term->bpf, &own);
        } else if (cost && f->on_path) {
            has_keys = add_key(&own, &key, cost);
        }
        if (has_keys && own.cost < best.cost) {
            best.n = own.n;
            best.cost = own.cost;
            memcpy(best.keys, own.keys, own.n * sizeof *own.keys);
        }
    }
    if (best.cost == UINT64_MAX || keys->n + best.n > FILTER_KEYS_MAX) {
        return false;
    }
    memcpy(keys->keys + keys->n, best.keys, best.n * sizeof *best.keys);
    keys->n += best.n;
    keys->cost += best.cost;
    return true;
}

static const struct predicate *
predicate_at(const struct phf *phf, size_t position)
{
    return &phf->predicates.predicates[phf->automaton->predicate_of[position]];
}

/* Adds what a hop must have that 'position' consumes; false when there is no
 * such thing. */
static bool
add_position(const struct finder *f, size_t position, struct filter_keys *keys)
{
    const struct predicate *p = predicate_at(f->phf, position);

    for (uint32_t i = 0; i < p->filters.n; i++) {
        uint32_t id = p->filters.ids[i];

        if (!add_filter(f, &f->phf->predicates.filters[id], keys)) {
            return false;
        }
    }
    return !p->is_negated;
}

/* Takes keys of 'positions', one of which every match passes, if they cost
 * less than those that there are. */
static void
try(struct finder *f, const uint64_t *positions)
{
    struct filter_keys keys = {.n = 0};

    if (f->phf->has_backrefs) {
        struct filter_key twice = {.fact = FACT_TWICE, .low = 1, .high = 1};

        add_key(&keys, &twice, COST_TWICE);
    }
    for (size_t i = 0; i < f->phf->automaton->n_positions; i++) {
        if (automaton_has(positions, i) && !add_position(f, i, &keys)) {
            return;
        }
    }
    if (!f->has_best || keys.cost < f->best->cost) {
        *f->best = keys;
        f->has_best = true;
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

/* Whether matches pass positions at all. */
static bool
has_positions(const struct phf *phf)
{
    const struct automaton *a = phf->automaton;

    return a && !a->matches_all && !a->matches_no_hops;
}

bool
filter_keys_find(const struct phf *phf, bool on_path, bool on_headers,
                 struct filter_keys *best)
{
    const struct automaton *a = phf->automaton;
    struct finder f = {phf, on_path, on_headers, best, false};

    best->n = 0;
    if (!has_positions(phf) || (phf->has_backrefs && !on_path)) {
        return false;
    }
    /* Every match begins at one of 'first' or 'anew' and ends at one of
     * 'accept_end' or 'accept'. */
    try(&f, a->first);
    try(&f, a->accept_end);
    for (size_t i = 0; a->n_words == 1 && i < a->n_positions; i++) {
        uint64_t only = UINT64_C(1) << i;

        if (!can_avoid(a, i)) {
            try(&f, &only);
        }
    }
    return f.has_best;
}

void
filter_keys_needs(const struct phf *phf,
                  void (*need)(void *aux, const struct filter_key *),
                  void *aux)
{
    const struct automaton *a = phf->automaton;

    if (phf->has_backrefs || !has_positions(phf) || a->n_words > 1) {
        return;
    }
    for (size_t i = 0; i < a->n_positions; i++) {
        const struct predicate *p = predicate_at(phf, i);
        const struct predicates_members *terms;

        if (p->is_negated || p->filters.n != 1 || can_avoid(a, i)) {
            continue;
        }
        terms = &phf->predicates.filters[p->filters.ids[0]].terms;
        for (uint32_t j = 0; j < terms->n; j++) {
            struct filter_key key;

            if (path_key(&phf->predicates.terms[terms->ids[j]], &key)) {
                need(aux, &key);
            }
        }
    }
}
