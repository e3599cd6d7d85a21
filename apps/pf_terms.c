/* SPDX-License-Identifier: Apache-2.0 */
/* pf_terms - questions about one hop, any of which may hold. */
#include <config.h>
#include "apps/pf_terms.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

struct pf_terms
pf_terms_of(const char *text)
{
    struct pf_terms terms = {.n = 0};

    pf_terms_add(&terms, text);
    return terms;
}

struct pf_terms
pf_terms_clone(const struct pf_terms *terms)
{
    struct pf_terms copy = {.is_too_many = terms->is_too_many};

    for (size_t i = 0; i < terms->n; i++) {
        pf_terms_add(&copy, terms->alternatives[i]);
    }
    return copy;
}

void
pf_terms_uninit(struct pf_terms *terms)
{
    for (size_t i = 0; i < terms->n; i++) {
        free(terms->alternatives[i]);
    }
    free(terms->alternatives);
    memset(terms, 0, sizeof *terms);
}

void
pf_terms_add(struct pf_terms *terms, const char *text)
{
    if (terms->n >= PF_TERMS_MAX) {
        terms->is_too_many = true;
        return;
    }
    terms->alternatives =
        lh_alloc_grow(terms->alternatives, terms->n, &terms->allocated,
                      sizeof *terms->alternatives);
    terms->alternatives[terms->n++] = lh_strdup(text);
}

void
pf_terms_and(struct pf_terms *terms, const struct pf_terms *other)
{
    struct pf_terms both = {.is_too_many =
                                terms->is_too_many || other->is_too_many};

    for (size_t i = 0; i < terms->n; i++) {
        for (size_t j = 0; j < other->n; j++) {
            const char *a = terms->alternatives[i];
            const char *b = other->alternatives[j];
            char *text = lh_asprintf("%s%s%s", a, *a && *b ? " " : "", b);

            pf_terms_add(&both, text);
            free(text);
        }
    }
    pf_terms_uninit(terms);
    *terms = both;
}

void
pf_terms_and_text(struct pf_terms *terms, const char *text)
{
    struct pf_terms other = pf_terms_of(text);

    pf_terms_and(terms, &other);
    pf_terms_uninit(&other);
}

bool
pf_terms_is_any(const struct pf_terms *terms)
{
    return terms->n == 1 && !*terms->alternatives[0];
}

void
pf_terms_put(const struct pf_terms *terms, FILE *stream)
{
    if (pf_terms_is_any(terms)) {
        fputc('.', stream);
        return;
    }
    fputs(terms->n > 1 ? "[" : "", stream);
    for (size_t i = 0; i < terms->n; i++) {
        fprintf(stream, "{{%s}}", terms->alternatives[i]);
    }
    fputs(terms->n > 1 ? "]" : "", stream);
}
