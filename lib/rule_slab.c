/* SPDX-License-Identifier: Apache-2.0 */
/* rule_slab - memory for rules that come by the thousand and go together. */
#include <config.h>
#include "lib/rule_slab.h"

#include <assert.h>
#include <stdalign.h>
#include <stdint.h>
#include <sys/mman.h>

struct rule_slab {
    size_t n_pieces; /* And one while it is the thread's current. */
    size_t used;     /* Bytes, by that thread only. */
};

#define HEAD                                                                  \
    ((sizeof(struct rule_slab) + alignof(max_align_t) - 1) /                  \
     alignof(max_align_t) * alignof(max_align_t))

static __thread struct rule_slab *current;

static struct rule_slab *
new_slab(void)
{
    struct rule_slab *slab = mmap(NULL, RULE_SLAB_SIZE, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (slab == MAP_FAILED) {
        return NULL;
    }
    slab->n_pieces = 1;
    slab->used = HEAD;
    return slab;
}

void *
rule_slab_alloc(size_t size, struct rule_slab **slabp)
{
    size_t step = (size + alignof(max_align_t) - 1) / alignof(max_align_t) *
                  alignof(max_align_t);
    void *piece;

    assert(step <= RULE_SLAB_PIECE);
    if (current && step > RULE_SLAB_SIZE - current->used) {
        rule_slab_free(current);
        current = NULL;
    }
    if (!current) {
        current = new_slab();
    }
    *slabp = current;
    if (!current) {
        return NULL;
    }
    piece = (uint8_t *) current + current->used;
    current->used += step;
    __atomic_add_fetch(&current->n_pieces, 1, __ATOMIC_RELAXED);
    return piece;
}

void
rule_slab_free(struct rule_slab *slab)
{
    if (!__atomic_sub_fetch(&slab->n_pieces, 1, __ATOMIC_ACQ_REL)) {
        munmap(slab, RULE_SLAB_SIZE);
    }
}
