/* SPDX-License-Identifier: Apache-2.0 */
/* flow_sieve - which flows of a block of columns a filter has to be asked
 * of. */
#include <config.h>
#include "phf/flow_sieve.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/shape_memo.h"
#include "phf/bpf_demands.h"
#include "phf/phf_impl.h"

/* What some BPF expression of the filter demands of headers of a kind. */
struct form {
    enum header_kind kind;
    uint16_t l3_ofs;
    struct bpf_demands keys;
};

struct shape {
    uint8_t answer;    /* enum flow_sieve_answer; */
    uint8_t otherwise; /* ... and where no expression can hold. */
    uint32_t form;     /* Of the reference, and most hops. */
    uint32_t first, n; /* Of 'keys': what is demanded at other hops. */
};

struct flow_sieve {
    const struct phf *phf;
    const struct topology *topology;
    bool asks_headers;
    struct shape_memo *memo; /* NULL: none is known again.  Owned. */
    size_t n_forms, allocated_forms;
    struct form *forms; /* Owned. */
    size_t n_shapes, allocated_shapes;
    struct shape *shapes; /* Owned. */
    size_t n_keys, allocated_keys;
    struct bpf_demand *keys; /* Owned. */
};

struct flow_sieve *
flow_sieve_create(const struct phf *phf, const struct topology *topology)
{
    struct flow_sieve *sieve = lh_alloc_zero(sizeof *sieve);

    sieve->phf = phf;
    sieve->topology = topology;
    sieve->asks_headers = phf_asks_headers(phf);
    return sieve;
}

void
flow_sieve_destroy(struct flow_sieve *sieve)
{
    if (sieve) {
        shape_memo_destroy(sieve->memo);
        free(sieve->forms);
        free(sieve->shapes);
        free(sieve->keys);
        free(sieve);
    }
}

/* --- Shapes -------------------------------------------------------------- */

/* The number of the form of such headers. */
static uint32_t
need_form(struct flow_sieve *sieve, enum header_kind kind, uint16_t l3_ofs)
{
    const struct predicates *p = &sieve->phf->predicates;
    struct form *form;
    size_t i = 0;

    while (i < sieve->n_forms && (sieve->forms[i].kind != kind ||
                                  sieve->forms[i].l3_ofs != l3_ofs)) {
        i++;
    }
    if (i < sieve->n_forms) {
        return (uint32_t) i;
    }
    sieve->forms =
        lh_alloc_grow(sieve->forms, sieve->n_forms, &sieve->allocated_forms,
                      sizeof *sieve->forms);
    form = &sieve->forms[sieve->n_forms++];
    memset(form, 0, sizeof *form);
    form->kind = kind;
    form->l3_ofs = l3_ofs;
    for (size_t t = 0; t < p->n_terms; t++) {
        struct bpf_demands keys;

        if (p->terms[t].kind != TERM_BPF) {
            continue;
        }
        bpf_test_demands(p->terms[t].bpf, kind, l3_ofs, &keys);
        form->keys.is_any = form->keys.is_any || keys.is_any;
        for (size_t k = 0; k < keys.n; k++) {
            bpf_demands_add(&form->keys, &keys.all[k]);
        }
    }
    return (uint32_t) i;
}

/* What 'demanded' comes to where the bits that the hop has of its own are
 * known.  False when they contradict it. */
static bool
reduce(const struct bpf_demand *demanded, const struct flow_key_at *at,
       struct bpf_demand *left)
{
    *left = *demanded;
    for (int i = 0; i < FLOW_KEY_WORDS && at->is_own; i++) {
        uint64_t own = at->mask.words[i] & demanded->mask.words[i];

        if ((at->own.words[i] ^ demanded->value.words[i]) & own) {
            return false;
        }
        left->mask.words[i] &= ~own;
        left->value.words[i] &= ~own;
    }
    return true;
}

/* Notes what is demanded at a hop that differs from the reference.  False when
 * nothing is. */
static bool
add_hop(struct flow_sieve *sieve, struct shape *shape, enum header_kind kind,
        const struct flow_key_at *at)
{
    uint32_t form = need_form(sieve, kind, at->l3_ofs);
    const struct bpf_demands *keys = &sieve->forms[form].keys;
    struct bpf_demands left = {.is_any = keys->is_any};

    for (size_t i = 0; i < keys->n && !left.is_any; i++) {
        struct bpf_demand key;

        if (reduce(&keys->all[i], at, &key)) {
            bpf_demands_add(&left, &key);
        }
    }
    for (size_t i = 0; i < left.n && !left.is_any; i++) {
        sieve->keys =
            lh_alloc_grow(sieve->keys, sieve->n_keys, &sieve->allocated_keys,
                          sizeof *sieve->keys);
        sieve->keys[sieve->n_keys++] = left.all[i];
        shape->n++;
    }
    return !left.is_any;
}

/* What has to be known of flows of the shape. */
static enum flow_sieve_answer
find_keys(struct flow_sieve *sieve, struct shape *shape,
          const struct trajectory_skim *skim)
{
    const struct flow_key_at *at = trajectory_skim_keys(skim);
    enum header_kind kind = trajectory_skim_kind(skim);
    uint16_t l3_ofs = trajectory_skim_l3_ofs(skim);

    shape->form = need_form(sieve, kind, l3_ofs);
    shape->first = (uint32_t) sieve->n_keys;
    if (sieve->forms[shape->form].keys.is_any) {
        return FLOW_SIEVE_ASK;
    }
    for (size_t i = 0; i < trajectory_skim_n_hops(skim); i++) {
        if ((at[i].is_own || at[i].l3_ofs != l3_ofs) &&
            !add_hop(sieve, shape, kind, &at[i])) {
            return FLOW_SIEVE_ASK;
        }
    }
    return sieve->forms[shape->form].keys.n || shape->n
               ? FLOW_SIEVE_SIFT
               : (enum flow_sieve_answer) shape->otherwise;
}

static enum flow_sieve_answer
answer_of(enum phf_result result)
{
    return result == PHF_MATCH  ? FLOW_SIEVE_MATCH
           : result == PHF_MISS ? FLOW_SIEVE_MISS
                                : FLOW_SIEVE_LIMIT;
}

void
flow_sieve_visit(void *sieve_, const struct history *h,
                 const struct trajectory_skim *skim)
{
    struct flow_sieve *sieve = sieve_;
    const struct phf *phf = sieve->phf;
    struct shape shape = {.n = 0};
    bool varies = sieve->asks_headers;

    /* Where no header is captured, no expression holds. */
    shape.otherwise = (uint8_t) answer_of(phf_match(phf, h, sieve->topology));
    shape.answer = shape.otherwise;
    if (varies && !phf->has_backrefs) {
        enum phf_result result =
            phf_match_model(phf, h, sieve->topology, &varies);

        shape.answer = (uint8_t) answer_of(result);
    }
    if (varies) {
        shape.answer = (uint8_t) find_keys(sieve, &shape, skim);
    }
    sieve->shapes =
        lh_alloc_grow(sieve->shapes, sieve->n_shapes, &sieve->allocated_shapes,
                      sizeof *sieve->shapes);
    sieve->shapes[sieve->n_shapes++] = shape;
}

size_t
flow_sieve_size(const struct flow_sieve *sieve)
{
    return (sieve->memo ? shape_memo_size(sieve->memo) : 0) +
           sieve->allocated_shapes * sizeof *sieve->shapes +
           sieve->allocated_keys * sizeof *sieve->keys;
}

/* Who is shown the shapes. */
struct viewers {
    struct flow_sieve *sieve;
    column_visit_function *visit;
    void *aux;
};

static void
show(void *viewers_, const struct history *h,
     const struct trajectory_skim *skim)
{
    struct viewers *viewers = viewers_;

    flow_sieve_visit(viewers->sieve, h, skim);
    if (viewers->visit) {
        viewers->visit(viewers->aux, h, skim);
    }
}

int
flow_sieve_read(struct flow_sieve *sieve, struct column_decoder *d,
                column_visit_function *visit, void *aux,
                struct lh_error *error)
{
    struct viewers viewers = {sieve, visit, aux};

    if (!sieve->memo) {
        sieve->memo = shape_memo_create();
    }
    if (flow_sieve_size(sieve) > FLOW_SIEVE_MAX_SIZE) {
        shape_memo_forget(sieve->memo);
        free(sieve->shapes);
        free(sieve->keys);
        sieve->shapes = NULL;
        sieve->keys = NULL;
        sieve->n_shapes = sieve->allocated_shapes = 0;
        sieve->n_keys = sieve->allocated_keys = 0;
    }
    return column_decoder_need_new_shapes(d, sieve->memo, show, &viewers,
                                          error);
}

enum flow_sieve_answer
flow_sieve_shape(const struct flow_sieve *sieve, size_t shape)
{
    return (enum flow_sieve_answer) sieve->shapes[shape].answer;
}

/* --- Flows --------------------------------------------------------------- */

enum flow_sieve_answer
flow_sieve_sift(const struct flow_sieve *sieve, size_t index,
                const struct flow_key *key)
{
    const struct shape *shape = &sieve->shapes[index];
    const struct bpf_demands *usual = &sieve->forms[shape->form].keys;

    assert(shape->answer == FLOW_SIEVE_SIFT);
    for (size_t i = 0; i < usual->n; i++) {
        if (bpf_demand_fits(&usual->all[i], key)) {
            return FLOW_SIEVE_ASK;
        }
    }
    for (size_t i = 0; i < shape->n; i++) {
        if (bpf_demand_fits(&sieve->keys[shape->first + i], key)) {
            return FLOW_SIEVE_ASK;
        }
    }
    return (enum flow_sieve_answer) shape->otherwise;
}
