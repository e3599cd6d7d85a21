/* SPDX-License-Identifier: Apache-2.0 */
/* column_flows - the flows of the block that an encoder of columns fills. */
#include <config.h>

#include "lib/column_flows.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/flow_words.h"
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

static struct flow_slot
slot_of(const struct column_flows *f, size_t flow)
{
    return (struct flow_slot){.flow = (uint32_t) flow + 1,
                              .hash = (uint32_t) f->all[flow].hash[1]};
}

static void
grow_slots(struct column_flows *f)
{
    f->n_slots = f->n_slots ? f->n_slots * 2 : FIRST_SLOTS;
    free(f->slots);
    f->slots = lh_alloc_zero(f->n_slots * sizeof *f->slots);
    for (size_t i = 0; i < f->n; i++) {
        const struct flow_entry *flow = &f->all[i];
        size_t slot = flow->hash[0] & (f->n_slots - 1);

        if (flow->hash[0] | flow->hash[1]) {
            while (f->slots[slot].flow) {
                slot = (slot + 1) & (f->n_slots - 1);
            }
            f->slots[slot] = slot_of(f, i);
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
        .at = (uint32_t) f->constants.len,
        .form = form ? *form : (struct column_form){.n_hops = 0},
    };
    if (form) {
        byte_buf_put(&f->constants, constants, form->tail_ofs);
    }
    return (uint32_t) f->n++;
}

/* Adds the flow of that header. */
static uint32_t
add_of_header(struct column_flows *f, uint32_t shape,
              const struct column_form *form, const struct header_split *split,
              const uint8_t *header)
{
    uint8_t constants[TRAJECTORY_MAX_CONSTANT];

    header_split_constant(header, split, constants);
    return column_flows_add(f, shape, form, constants);
}

uint32_t
column_flows_find(struct column_flows *f, uint32_t shape,
                  const struct column_form *form, const uint8_t *header)
{
    const struct header_split split = {
        .kind = (enum header_kind) form->kind,
        .l3_ofs = form->l3_ofs,
        .l4_ofs = (uint16_t) (form->l3_ofs + header_shapes[form->kind].l3_len),
        .tail_ofs = form->tail_ofs,
    };
    uint64_t words[FLOW_WORDS_MAX(TRAJECTORY_MAX_CONSTANT)];
    unsigned int n_words = flow_words_get(header, &split, words);
    XXH128_hash_t hash = XXH3_128bits_withSeed(words, n_words * sizeof *words,
                                               f->secret + shape);
    struct flow_slot *slot;

    hash.high64 += !hash.high64;
    if (2 * (f->n + 1) > f->n_slots) {
        grow_slots(f);
    }
    for (size_t i = (size_t) hash.low64;; i++) {
        slot = &f->slots[i & (f->n_slots - 1)];
        if (!slot->flow) {
            break;
        }
        if (slot->hash == (uint32_t) hash.high64) {
            const struct flow_entry *flow = &f->all[slot->flow - 1];

            if (flow->hash[0] == hash.low64 && flow->hash[1] == hash.high64 &&
                flow->shape == shape) {
                return slot->flow - 1;
            }
        }
    }

    uint32_t index = add_of_header(f, shape, form, &split, header);

    f->all[index].hash[0] = hash.low64;
    f->all[index].hash[1] = hash.high64;
    *slot = slot_of(f, index);
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
