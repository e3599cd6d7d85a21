/* SPDX-License-Identifier: Apache-2.0 */
/* block_sieve - whether a filter can match anything in a block, by its
 * index. */
#include <config.h>
#include "phf/block_sieve.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "phf/bpf_demands.h"
#include "phf/phf_impl.h"

/* What each BPF term of the filter demands of headers of a form. */
struct form {
    struct form *next;
    struct block_index_form of;
    struct bpf_demands demands[]; /* By number of the term. */
};

struct block_sieve {
    const struct phf *phf;
    bool asks_headers;
    /* Walking a BPF program for a form takes longer than asking an index, so
     * the threads share what came of it. */
    pthread_mutex_t lock;
    struct form *forms; /* Locked; what it leads to is immutable.  Owned. */
};

/* One question. */
struct question {
    struct block_sieve *sieve;
    const struct block_index *index;
    bool with_others; /* Headers that no trajectory has count. */
    size_t n_forms;
    const struct form *forms[BLOCK_INDEX_MAX_FORMS];
};

struct block_sieve *
block_sieve_create(const struct phf *phf)
{
    struct block_sieve *sieve = lh_alloc_zero(sizeof *sieve);

    sieve->phf = phf;
    sieve->asks_headers = phf_asks_headers(phf);
    pthread_mutex_init(&sieve->lock, NULL);
    return sieve;
}

void
block_sieve_destroy(struct block_sieve *sieve)
{
    if (sieve) {
        while (sieve->forms) {
            struct form *form = sieve->forms;

            sieve->forms = form->next;
            free(form);
        }
        pthread_mutex_destroy(&sieve->lock);
        free(sieve);
    }
}

/* --- Terms --------------------------------------------------------------- */

/* With the lock held. */
static const struct form *
need_form(struct block_sieve *sieve, const struct block_index_form *of)
{
    const struct predicates *p = &sieve->phf->predicates;
    struct form *form = sieve->forms;

    while (form &&
           (form->of.kind != of->kind || form->of.l3_ofs != of->l3_ofs)) {
        form = form->next;
    }
    if (!form) {
        form =
            lh_alloc_zero(sizeof *form + p->n_terms * sizeof form->demands[0]);
        form->of = *of;
        for (size_t i = 0; i < p->n_terms; i++) {
            if (p->terms[i].kind == TERM_BPF) {
                bpf_test_demands(p->terms[i].bpf, (enum header_kind) of->kind,
                                 of->l3_ofs, &form->demands[i]);
            }
        }
        form->next = sieve->forms;
        sieve->forms = form;
    }
    return form;
}

static void
need_forms(struct question *q)
{
    pthread_mutex_lock(&q->sieve->lock);
    for (size_t i = 0; i < q->index->n_forms; i++) {
        q->forms[i] = need_form(q->sieve, &q->index->forms[i]);
    }
    pthread_mutex_unlock(&q->sieve->lock);
    q->n_forms = q->index->n_forms;
}

/* Whether the BPF term of that number may hold for some header. */
static bool
can_be_bpf(const struct question *q, uint32_t term)
{
    if (q->index->has_any || (q->with_others && q->index->has_others)) {
        return true;
    }
    for (size_t i = 0; i < q->n_forms; i++) {
        const struct form *form = q->forms[i];
        const struct bpf_demands *demands = &form->demands[term];

        if (form->of.kind >= N_HEADER_KINDS && !q->with_others) {
            continue;
        }
        if (demands->is_any) {
            return true;
        }
        for (size_t k = 0; k < demands->n; k++) {
            if (block_index_has_key(q->index, (enum header_kind) form->of.kind,
                                    &demands->all[k].mask,
                                    &demands->all[k].value)) {
                return true;
            }
        }
    }
    return false;
}

/* Whether some hop, of switch '*dpid' unless NULL, may have the term. */
static bool
can_be_term(const struct question *q, uint32_t number, const uint64_t *dpid)
{
    static const enum block_index_hop anywhere[] = {
        [TERM_IN_PORT] = BLOCK_INDEX_IN_PORT,
        [TERM_OUT_PORT] = BLOCK_INDEX_OUT_PORT,
        [TERM_VERSION] = BLOCK_INDEX_VERSION,
    };
    static const enum block_index_hop there[] = {
        [TERM_IN_PORT] = BLOCK_INDEX_IN_PORT_AT,
        [TERM_OUT_PORT] = BLOCK_INDEX_OUT_PORT_AT,
        [TERM_VERSION] = BLOCK_INDEX_VERSION_AT,
    };
    const struct term *term = &q->sieve->phf->predicates.terms[number];

    if (term->kind == TERM_BPF) {
        return can_be_bpf(q, number);
    }
    if (term->is_negated || term->name) {
        return true;
    }
    if (term->kind != TERM_DPID && term->value > UINT32_MAX) {
        return false;
    }
    switch (term->kind) {
    case TERM_DPID:
        return block_index_has_hop(q->index, BLOCK_INDEX_DPID, term->value, 0);
    case TERM_VERDICT:
        return block_index_has_hop(q->index, BLOCK_INDEX_VERDICT, 0,
                                   (uint32_t) term->value);
    case TERM_IN_PORT:
    case TERM_OUT_PORT:
    case TERM_VERSION:
        break;
    case TERM_BPF:
        return true;
    }
    return dpid ? block_index_has_hop(q->index, there[term->kind], *dpid,
                                      (uint32_t) term->value)
                : block_index_has_hop(q->index, anywhere[term->kind], 0,
                                      (uint32_t) term->value);
}

/* --- Predicates ---------------------------------------------------------- */

static bool
can_be_filter(const struct question *q, const struct postcard_filter *filter)
{
    const struct term *terms = q->sieve->phf->predicates.terms;
    const uint64_t *dpid = NULL;

    for (uint32_t i = 0; i < filter->terms.n; i++) {
        const struct term *term = &terms[filter->terms.ids[i]];

        if (term->kind == TERM_DPID && !term->is_negated && !term->name) {
            dpid = &term->value;
        }
    }
    for (uint32_t i = 0; i < filter->terms.n; i++) {
        if (!can_be_term(q, filter->terms.ids[i], dpid)) {
            return false;
        }
    }
    return true;
}

static bool
can_be(const struct question *q, uint32_t id)
{
    const struct predicates *p = &q->sieve->phf->predicates;
    const struct predicate *predicate = &p->predicates[id];

    if (id == PREDICATE_ANY || predicate->is_negated) {
        return true;
    }
    for (uint32_t i = 0; i < predicate->filters.n; i++) {
        if (can_be_filter(q, &p->filters[predicate->filters.ids[i]])) {
            return true;
        }
    }
    return false;
}

/* --- Ways ---------------------------------------------------------------- */

/* Whether a way through the program is left. */
static bool
can_match(const struct question *q)
{
    const struct program *program = &q->sieve->phf->program;
    bool *is_seen = lh_alloc_zero(program->n * sizeof *is_seen + 1);
    size_t *ahead = lh_alloc_array(NULL, 2 * program->n + 1, sizeof *ahead);
    size_t n = 0;
    bool can = false;

    ahead[n++] = 0;
    while (n && !can) {
        size_t pc = ahead[--n];
        const struct program_instr *instr = &program->instrs[pc];

        if (is_seen[pc]) {
            continue;
        }
        is_seen[pc] = true;
        switch (instr->op) {
        case PROGRAM_HOP:
            if (can_be(q, (uint32_t) instr->x)) {
                ahead[n++] = pc + 1;
            }
            break;
        case PROGRAM_SPLIT:
            ahead[n++] = (size_t) ((ptrdiff_t) pc + instr->x);
            ahead[n++] = (size_t) ((ptrdiff_t) pc + instr->y);
            break;
        case PROGRAM_JUMP:
            ahead[n++] = (size_t) ((ptrdiff_t) pc + instr->x);
            break;
        case PROGRAM_START:
        case PROGRAM_END:
        case PROGRAM_OPEN:
        case PROGRAM_CLOSE:
        case PROGRAM_BACKREF:
            ahead[n++] = pc + 1;
            break;
        case PROGRAM_MATCH:
            can = true;
            break;
        }
    }
    free(is_seen);
    free(ahead);
    return can;
}

enum block_sieve_answer
block_sieve_ask(struct block_sieve *sieve, const struct block_index *index)
{
    struct question q = {.sieve = sieve, .index = index};

    if (sieve->asks_headers) {
        need_forms(&q);
    }
    if (can_match(&q)) {
        return BLOCK_SIEVE_ALL;
    }
    q.with_others = true;
    return sieve->asks_headers && can_match(&q) ? BLOCK_SIEVE_PLAIN
                                                : BLOCK_SIEVE_NONE;
}
