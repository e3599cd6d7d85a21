/* SPDX-License-Identifier: Apache-2.0 */
/* predicates - the distinct tests of one filter, or of a set of filters. */
#include <config.h>
#include "phf/predicates.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

/* --- the index ----------------------------------------------------------- */

/* Whether item 'id' of the caller's is what is looked for, and the hash of
 * item 'id'. */
typedef bool equal_function(const struct predicates *, uint32_t id,
                            const void *what);
typedef uint32_t hash_function(const struct predicates *, uint32_t id);

static bool
index_find(const struct predicates *p, const struct predicates_index *index,
           uint32_t hash, equal_function *equal, const void *what,
           uint32_t *idp)
{
    if (!index->n_slots) {
        return false;
    }
    for (size_t i = hash & (index->n_slots - 1); index->slots[i];
         i = (i + 1) & (index->n_slots - 1)) {
        if (equal(p, index->slots[i] - 1, what)) {
            *idp = index->slots[i] - 1;
            return true;
        }
    }
    return false;
}

static void
index_put(struct predicates_index *index, uint32_t hash, uint32_t id)
{
    size_t i = hash & (index->n_slots - 1);

    while (index->slots[i]) {
        i = (i + 1) & (index->n_slots - 1);
    }
    index->slots[i] = id + 1;
}

/* Makes room for one item more than the 'n' there are. */
static void
index_grow(const struct predicates *p, struct predicates_index *index,
           size_t n, hash_function *hash)
{
    struct predicates_index larger;

    if (2 * (n + 1) <= index->n_slots) {
        return;
    }
    larger.n_slots = index->n_slots ? 2 * index->n_slots : 16;
    larger.slots = lh_alloc_zero(larger.n_slots * sizeof *larger.slots);
    for (uint32_t id = 0; id < n; id++) {
        index_put(&larger, hash(p, id), id);
    }
    free(index->slots);
    *index = larger;
}

/* --- what is indexed ----------------------------------------------------- */

static bool
term_is(const struct predicates *p, uint32_t id, const void *what)
{
    return !term_compare(&p->terms[id], what);
}

static uint32_t
hash_of_term(const struct predicates *p, uint32_t id)
{
    return term_hash(&p->terms[id]);
}

static bool
members_equal(const struct predicates_members *a,
              const struct predicates_members *b)
{
    return a->n == b->n &&
           (!a->n || !memcmp(a->ids, b->ids, a->n * sizeof *a->ids));
}

static uint32_t
members_hash(const struct predicates_members *members)
{
    uint32_t hash = 2166136261u;

    for (uint32_t i = 0; i < members->n; i++) {
        hash = (hash ^ members->ids[i]) * 16777619u;
        hash ^= hash >> 15;
    }
    return hash;
}

static bool
filter_is(const struct predicates *p, uint32_t id, const void *what)
{
    return members_equal(&p->filters[id].terms, what);
}

static uint32_t
hash_of_filter(const struct predicates *p, uint32_t id)
{
    return members_hash(&p->filters[id].terms);
}

static bool
predicate_is(const struct predicates *p, uint32_t id, const void *what)
{
    const struct predicate *predicate = what;

    return p->predicates[id].is_negated == predicate->is_negated &&
           members_equal(&p->predicates[id].filters, &predicate->filters);
}

static uint32_t
predicate_hash(const struct predicate *predicate)
{
    return members_hash(&predicate->filters) ^ predicate->is_negated;
}

static uint32_t
hash_of_predicate(const struct predicates *p, uint32_t id)
{
    return predicate_hash(&p->predicates[id]);
}

/* --- sorted sets of numbers ---------------------------------------------- */

static int
compare_ids(const void *a_, const void *b_)
{
    const uint32_t *a = a_, *b = b_;

    return (*a > *b) - (*a < *b);
}

/* Sorts 'ids' and takes out what stands twice. */
static size_t
sort_unique(uint32_t *ids, size_t n)
{
    size_t n_unique = 0;

    if (n) {
        qsort(ids, n, sizeof *ids, compare_ids);
    }
    for (size_t i = 0; i < n; i++) {
        if (!n_unique || ids[n_unique - 1] != ids[i]) {
            ids[n_unique++] = ids[i];
        }
    }
    return n_unique;
}

static struct predicates_members
members_copy(const struct predicates_members *members)
{
    struct predicates_members copy = {members->n, NULL};

    copy.ids = lh_memdup(members->ids, members->n * sizeof *members->ids);
    return copy;
}

/* --- adding -------------------------------------------------------------- */

void
predicates_init(struct predicates *p)
{
    memset(p, 0, sizeof *p);
    /* PREDICATE_ANY: none of no filters. */
    predicates_add(p, NULL, 0, true);
}

void
predicates_uninit(struct predicates *p)
{
    for (size_t i = 0; i < p->n_terms; i++) {
        term_uninit(&p->terms[i]);
    }
    for (size_t i = 0; i < p->n_filters; i++) {
        free(p->filters[i].terms.ids);
    }
    for (size_t i = 0; i < p->n_predicates; i++) {
        free(p->predicates[i].filters.ids);
    }
    free(p->terms);
    free(p->filters);
    free(p->predicates);
    free(p->term_index.slots);
    free(p->filter_index.slots);
    free(p->predicate_index.slots);
}

uint32_t
predicates_add_term(struct predicates *p, struct term *term)
{
    uint32_t hash = term_hash(term);
    uint32_t id;

    if (index_find(p, &p->term_index, hash, term_is, term, &id)) {
        term_uninit(term);
        return id;
    }
    index_grow(p, &p->term_index, p->n_terms, hash_of_term);
    p->terms = lh_alloc_grow(p->terms, p->n_terms, &p->allocated_terms,
                             sizeof *p->terms);
    id = (uint32_t) p->n_terms++;
    p->terms[id] = *term;
    index_put(&p->term_index, hash, id);
    return id;
}

/* Sorts the numbers of terms by kind first, so that the cheap ones are tested
 * first. */
static size_t
sort_terms(const struct predicates *p, uint32_t *terms, size_t n)
{
    const unsigned int shift = 28;

    for (size_t i = 0; i < n; i++) {
        terms[i] |= (uint32_t) p->terms[terms[i]].kind << shift;
    }
    n = sort_unique(terms, n);
    for (size_t i = 0; i < n; i++) {
        terms[i] &= (1u << shift) - 1;
    }
    return n;
}

uint32_t
predicates_add_filter(struct predicates *p, uint32_t *terms, size_t n)
{
    struct predicates_members key = {(uint32_t) sort_terms(p, terms, n),
                                     terms};
    uint32_t hash = members_hash(&key);
    uint32_t id;

    if (index_find(p, &p->filter_index, hash, filter_is, &key, &id)) {
        return id;
    }
    index_grow(p, &p->filter_index, p->n_filters, hash_of_filter);
    p->filters = lh_alloc_grow(p->filters, p->n_filters, &p->allocated_filters,
                               sizeof *p->filters);
    id = (uint32_t) p->n_filters++;
    p->filters[id].terms = members_copy(&key);
    index_put(&p->filter_index, hash, id);
    return id;
}

static bool
filter_is_on_verdict(const struct predicates *p,
                     const struct postcard_filter *filter)
{
    for (uint32_t i = 0; i < filter->terms.n; i++) {
        if (p->terms[filter->terms.ids[i]].kind == TERM_VERDICT) {
            return true;
        }
    }
    return false;
}

/* Fills in is_dpid and dpid. */
static void
set_dpid(const struct predicates *p, struct predicate *predicate)
{
    const struct predicates_members *terms;
    const struct term *term;

    if (predicate->is_negated || predicate->filters.n != 1) {
        return;
    }
    terms = &p->filters[predicate->filters.ids[0]].terms;
    term = &p->terms[terms->ids[0]];
    predicate->is_dpid = terms->n == 1 && term->kind == TERM_DPID &&
                         !term->is_negated && !term->name;
    predicate->dpid = term->value;
}

uint32_t
predicates_add(struct predicates *p, uint32_t *filters, size_t n,
               bool is_negated)
{
    struct predicate key = {
        .is_negated = is_negated,
        .filters = {(uint32_t) sort_unique(filters, n), filters},
    };
    uint32_t hash = predicate_hash(&key);
    uint32_t id;

    if (index_find(p, &p->predicate_index, hash, predicate_is, &key, &id)) {
        return id;
    }
    for (uint32_t i = 0; i < key.filters.n; i++) {
        key.on_verdict =
            key.on_verdict || filter_is_on_verdict(p, &p->filters[filters[i]]);
    }
    set_dpid(p, &key);
    index_grow(p, &p->predicate_index, p->n_predicates, hash_of_predicate);
    p->predicates =
        lh_alloc_grow(p->predicates, p->n_predicates, &p->allocated_predicates,
                      sizeof *p->predicates);
    key.filters = members_copy(&key.filters);
    id = (uint32_t) p->n_predicates++;
    p->predicates[id] = key;
    index_put(&p->predicate_index, hash, id);
    return id;
}

uint32_t
predicates_import_term(struct predicates *p, const struct predicates *src,
                       uint32_t id)
{
    struct term copy;

    term_clone(&copy, &src->terms[id]);
    return predicates_add_term(p, &copy);
}

static uint32_t
import_filter(struct predicates *p, const struct predicates *src, uint32_t id)
{
    const struct predicates_members *terms = &src->filters[id].terms;
    uint32_t *ids = lh_alloc(terms->n * sizeof *ids);

    for (uint32_t i = 0; i < terms->n; i++) {
        ids[i] = predicates_import_term(p, src, terms->ids[i]);
    }
    id = predicates_add_filter(p, ids, terms->n);
    free(ids);
    return id;
}

uint32_t
predicates_import(struct predicates *p, const struct predicates *src,
                  uint32_t id)
{
    const struct predicate *predicate = &src->predicates[id];
    const struct predicates_members *filters = &predicate->filters;
    uint32_t *ids = lh_alloc(filters->n * sizeof *ids);

    for (uint32_t i = 0; i < filters->n; i++) {
        ids[i] = import_filter(p, src, filters->ids[i]);
    }
    id = predicates_add(p, ids, filters->n, predicate->is_negated);
    free(ids);
    return id;
}

/* --- asking -------------------------------------------------------------- */

static bool
filter_holds(const struct predicates *p, const struct postcard_filter *filter,
             const struct history_hop *hop, enum verdict_name verdict,
             const struct topology *topology, bool *varies)
{
    for (uint32_t i = 0; i < filter->terms.n; i++) {
        if (!term_test(&p->terms[filter->terms.ids[i]], hop, verdict, topology,
                       varies)) {
            return false;
        }
    }
    return true;
}

bool
predicates_test(const struct predicates *p, uint32_t id,
                const struct history_hop *hop, enum verdict_name verdict,
                const struct topology *topology, bool *varies)
{
    const struct predicate *predicate = &p->predicates[id];

    for (uint32_t i = 0; i < predicate->filters.n; i++) {
        if (filter_holds(p, &p->filters[predicate->filters.ids[i]], hop,
                         verdict, topology, varies)) {
            return !predicate->is_negated;
        }
    }
    return predicate->is_negated;
}

static void
format_filter(const struct predicates *p, const struct postcard_filter *filter,
              FILE *stream)
{
    fputs("{{", stream);
    for (uint32_t i = 0; i < filter->terms.n; i++) {
        fputs(i ? " " : "", stream);
        term_format(&p->terms[filter->terms.ids[i]], stream);
    }
    fputs("}}", stream);
}

void
predicates_format(const struct predicates *p, uint32_t id, FILE *stream)
{
    const struct predicate *predicate = &p->predicates[id];
    bool has_brackets = predicate->is_negated || predicate->filters.n > 1;

    if (id == PREDICATE_ANY) {
        fputs(".", stream);
        return;
    }
    fputs(has_brackets ? predicate->is_negated ? "[^" : "[" : "", stream);
    for (uint32_t i = 0; i < predicate->filters.n; i++) {
        format_filter(p, &p->filters[predicate->filters.ids[i]], stream);
    }
    fputs(has_brackets ? "]" : "", stream);
}
