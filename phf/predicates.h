/* SPDX-License-Identifier: Apache-2.0 */
/* predicates - the distinct tests of one filter, or of a set of filters.
 *
 * Three layers, each holding every distinct thing once: terms (`--dpid 1`),
 * postcard filters (terms ANDed: what stands in one pair of braces) and
 * predicates (a postcard filter, or any or none of several: `[..]`, `[^..]`).
 * An instruction of a program names a predicate by its number.  Predicate 0 is
 * `.`, which always holds.
 *
 * Ownership: owns its terms; predicates_import() copies.
 *
 * Threads: one thread builds; then it is immutable and any may test. */
#ifndef PHF_PREDICATES_H
#define PHF_PREDICATES_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "phf/term.h"

#define PREDICATE_ANY 0 /* The predicate of `.`. */

/* A sorted set of numbers. */
struct predicates_members {
    uint32_t n;
    uint32_t *ids; /* Owned. */
};

/* Terms ANDed. */
struct postcard_filter {
    struct predicates_members terms;
};

struct predicate {
    bool is_negated; /* Holds if none of 'filters' does. */
    bool on_verdict; /* A term is about the verdict, so the answer depends on
                      * the path. */
    bool is_dpid;    /* Just `--dpid N`, the most usual one, */
    uint64_t dpid;   /* of which this is N. */
    struct predicates_members filters;
};

/* Finds a number by its content: open addressing, 'n_slots' a power of two. */
struct predicates_index {
    uint32_t *slots; /* Number + 1, or 0.  Owned. */
    size_t n_slots;
};

struct predicates {
    size_t n_terms, allocated_terms;
    struct term *terms; /* Owned. */
    size_t n_filters, allocated_filters;
    struct postcard_filter *filters; /* Owned. */
    size_t n_predicates, allocated_predicates;
    struct predicate *predicates; /* Owned. */
    struct predicates_index term_index, filter_index, predicate_index;
};

void predicates_init(struct predicates *);
void predicates_uninit(struct predicates *);

/* Each finds or adds and returns the number.  The term is taken; arrays are
 * sorted in place and copied. */
uint32_t predicates_add_term(struct predicates *, struct term *term);
uint32_t predicates_add_filter(struct predicates *, uint32_t *terms, size_t n);
uint32_t predicates_add(struct predicates *, uint32_t *filters, size_t n,
                        bool is_negated);

/* Each finds or adds what term or predicate 'id' of 'src' is, and returns its
 * number. */
uint32_t predicates_import_term(struct predicates *,
                                const struct predicates *src, uint32_t id);
uint32_t predicates_import(struct predicates *, const struct predicates *src,
                           uint32_t id);

/* Whether predicate 'id' holds at 'hop'; 'varies' as for term_test(). */
bool predicates_test(const struct predicates *, uint32_t id,
                     const struct history_hop *hop, enum verdict_name verdict,
                     const struct topology *topology, bool *varies);

/* Writes predicate 'id' in the language. */
void predicates_format(const struct predicates *, uint32_t id, FILE *);

#endif /* phf/predicates.h */
