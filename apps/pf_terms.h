/* SPDX-License-Identifier: Apache-2.0 */
/* pf_terms - questions about one hop, any of which may hold: what stands in
 * "{{..}}" or "[{{..}}{{..}}]" of a filter.
 *
 *     struct pf_terms at = pf_terms_of("--dpid s1");
 *     struct pf_terms end = pf_terms_of("--verdict dropped");
 *
 *     pf_terms_add(&end, "--verdict lost");
 *     pf_terms_and(&at, &end);
 *     pf_terms_put(&at, stream);
 *
 * writes "[{{--dpid s1 --verdict dropped}}{{--dpid s1 --verdict lost}}]".
 *
 * Ownership: pf_terms_of() to pf_terms_uninit().
 *
 * Threads: plain data. */
#ifndef APPS_PF_TERMS_H
#define APPS_PF_TERMS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* So many alternatives at most; of more the rest is left out, and the whole
 * marked. */
#define PF_TERMS_MAX 512

struct pf_terms {
    size_t n, allocated;
    char **alternatives; /* Owned. */
    bool is_too_many;
};

/* One alternative; "" holds of every hop. */
struct pf_terms pf_terms_of(const char *terms);
struct pf_terms pf_terms_clone(const struct pf_terms *);
void pf_terms_uninit(struct pf_terms *);

void pf_terms_add(struct pf_terms *, const char *terms);
/* Both must hold. */
void pf_terms_and(struct pf_terms *, const struct pf_terms *other);
void pf_terms_and_text(struct pf_terms *, const char *terms);

/* Whether they hold of every hop. */
bool pf_terms_is_any(const struct pf_terms *);

void pf_terms_put(const struct pf_terms *, FILE *);

#endif /* apps/pf_terms.h */
