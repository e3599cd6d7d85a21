/* SPDX-License-Identifier: Apache-2.0 */
/* column_flows - the flows of the block that an encoder of columns fills. */
#include <config.h>

#include "lib/column_flows.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/lh_alloc.h"

#define FIRST_SLOTS 1024u

void
column_flows_uninit(struct column_flows *f)
{
    free(f->all);
    free(f->slots);
    byte_buf_uninit(&f->constants);
}

void
column_flows_clear(struct column_flows *f)
{
    f->n = 0;
    byte_buf_clear(&f->constants);
    if (f->slots) {
        memset(f->slots, 0, f->n_slots * sizeof *f->slots);
    }
}

static void
grow_slots(struct column_flows *f)
{
    f->n_slots = f->n_slots ? f->n_slots * 2 : FIRST_SLOTS;
    free(f->slots);
    f->slots = lh_alloc_zero(f->n_slots * sizeof *f->slots);
    for (size_t i = 0; i < f->n; i++) {
        size_t slot = f->all[i].hash & (f->n_slots - 1);

        if (f->all[i].hash) {
            while (f->slots[slot]) {
                slot = (slot + 1) & (f->n_slots - 1);
            }
            f->slots[slot] = (uint32_t) i + 1;
        }
    }
}

uint32_t
column_flows_add(struct column_flows *f, uint32_t shape,
                 const struct column_form *form, const uint8_t *constants)
{
    f->all = lh_alloc_grow(f->all, f->n, &f->allocated, sizeof *f->all);
    f->all[f->n] = (struct flow_entry){
        .shape = shape,
        .at = f->constants.len,
        .form = form ? *form : (struct column_form){.n_hops = 0},
    };
    if (form) {
        byte_buf_put(&f->constants, constants, form->tail_ofs);
    }
    return (uint32_t) f->n++;
}

uint32_t
column_flows_find(struct column_flows *f, uint32_t shape,
                  const struct column_form *form, const uint8_t *constants)
{
    uint32_t hash = (uint32_t) XXH3_64bits_withSeed(constants, form->tail_ofs,
                                                    f->secret + shape);
    size_t slot;

    hash += !hash;
    if (2 * (f->n + 1) > f->n_slots) {
        grow_slots(f);
    }
    slot = hash & (f->n_slots - 1);
    for (; f->slots[slot]; slot = (slot + 1) & (f->n_slots - 1)) {
        uint32_t index = f->slots[slot] - 1;
        const struct flow_entry *flow = &f->all[index];

        if (flow->hash == hash && flow->shape == shape &&
            !memcmp(column_flows_constants(f, index), constants,
                    form->tail_ofs)) {
            return index;
        }
    }
    f->slots[slot] = (uint32_t) f->n + 1;

    uint32_t index = column_flows_add(f, shape, form, constants);

    f->all[index].hash = hash;
    return index;
}

/* Flows of one shape stand together, and with them those of one host, as
 * neighbours compress best. */
static int
compare_flows(const void *a_, const void *b_, void *f_)
{
    const struct column_flows *f = f_;
    const struct flow_entry *a = &f->all[*(const uint32_t *) a_];
    const struct flow_entry *b = &f->all[*(const uint32_t *) b_];

    if (a->shape != b->shape) {
        return a->shape < b->shape ? -1 : 1;
    }
    return memcmp(f->constants.data + a->at, f->constants.data + b->at,
                  a->form.tail_ofs);
}

uint32_t *
column_flows_order(struct column_flows *f, bool is_sorted)
{
    uint32_t *order = lh_alloc((f->n + 1) * sizeof *order);

    for (size_t i = 0; i < f->n; i++) {
        order[i] = (uint32_t) i;
    }
    if (is_sorted) {
        qsort_r(order, f->n, sizeof *order, compare_flows, f);
    }
    return order;
}
