/* SPDX-License-Identifier: Apache-2.0 */
/* shape_memo - the shapes that a reader of many blocks has met. */
#include <config.h>

#include "lib/shape_memo.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/lh_alloc.h"
#include "lib/random64.h"

#define FIRST_SLOTS 256u /* A power of two. */

/* Bases are in 'bytes'.  Half a cache line: these are what is looked at for
 * each shape of each block. */
struct known {
    XXH128_hash_t hash;
    uint32_t bases, n_hops;
    uint16_t l3_ofs;
    uint8_t kind;
};

struct shape_memo {
    uint64_t epoch;
    uint64_t secret; /* Of hashes. */
    struct byte_buf key;
    XXH128_hash_t hash; /* Of it. */
    uint32_t slot;      /* Where it was not found. */
    uint32_t mask;      /* Slots - 1. */
    uint32_t
        *slots; /* 1 + number; 0: free.  At most half are taken.  Owned. */
    size_t n, allocated;
    struct known *all; /* Owned. */
    struct byte_buf bytes;
};

static uint64_t
next_epoch(void)
{
    static atomic_uint_least64_t n_epochs;

    return atomic_fetch_add(&n_epochs, 1) + 1;
}

struct shape_memo *
shape_memo_create(void)
{
    struct shape_memo *m = lh_alloc_zero(sizeof *m);

    m->epoch = next_epoch();
    m->secret = random64_draw();
    m->mask = FIRST_SLOTS - 1;
    m->slots = lh_alloc_zero(FIRST_SLOTS * sizeof *m->slots);
    return m;
}

void
shape_memo_destroy(struct shape_memo *m)
{
    if (m) {
        free(m->slots);
        free(m->all);
        byte_buf_uninit(&m->key);
        byte_buf_uninit(&m->bytes);
        free(m);
    }
}

size_t
shape_memo_n(const struct shape_memo *m)
{
    return m->n;
}

uint64_t
shape_memo_epoch(const struct shape_memo *m)
{
    return m->epoch;
}

size_t
shape_memo_size(const struct shape_memo *m)
{
    return m->bytes.allocated + m->allocated * sizeof *m->all +
           (m->mask + (size_t) 1) * sizeof *m->slots;
}

void
shape_memo_forget(struct shape_memo *m)
{
    m->epoch = next_epoch();
    byte_buf_uninit(&m->bytes);
    free(m->all);
    m->all = NULL;
    m->n = m->allocated = 0;
    free(m->slots);
    m->mask = FIRST_SLOTS - 1;
    m->slots = lh_alloc_zero(FIRST_SLOTS * sizeof *m->slots);
}

struct byte_buf *
shape_memo_key(struct shape_memo *m)
{
    byte_buf_clear(&m->key);
    return &m->key;
}

bool
shape_memo_find(struct shape_memo *m, struct shape_memo_entry *entry)
{
    m->hash = XXH3_128bits_withSeed(m->key.data, m->key.len, m->secret);
    m->slot = (uint32_t) m->hash.low64 & m->mask;
    for (; m->slots[m->slot]; m->slot = (m->slot + 1) & m->mask) {
        uint32_t number = m->slots[m->slot] - 1;
        const struct known *k = &m->all[number];

        if (XXH128_isEqual(k->hash, m->hash)) {
            *entry = (struct shape_memo_entry){
                .number = number,
                .n_hops = k->n_hops,
                .kind = (enum header_kind) k->kind,
                .l3_ofs = k->l3_ofs,
                .bases = m->bytes.data + k->bases,
            };
            return true;
        }
    }
    return false;
}

/* Makes room for twice as many. */
static void
grow(struct shape_memo *m)
{
    m->mask = 2 * m->mask + 1;
    free(m->slots);
    m->slots = lh_alloc_zero((m->mask + (size_t) 1) * sizeof *m->slots);
    for (size_t i = 0; i < m->n; i++) {
        uint32_t slot = (uint32_t) m->all[i].hash.low64 & m->mask;

        while (m->slots[slot]) {
            slot = (slot + 1) & m->mask;
        }
        m->slots[slot] = (uint32_t) i + 1;
    }
}

void
shape_memo_add(struct shape_memo *m, struct shape_memo_entry *entry)
{
    m->all = lh_alloc_grow(m->all, m->n, &m->allocated, sizeof *m->all);
    m->all[m->n] = (struct known){
        .hash = m->hash,
        .bases = (uint32_t) m->bytes.len,
        .n_hops = entry->n_hops,
        .l3_ofs = entry->l3_ofs,
        .kind = (uint8_t) entry->kind,
    };
    byte_buf_put(&m->bytes, entry->bases, entry->n_hops);
    entry->number = (uint32_t) m->n++;
    m->slots[m->slot] = entry->number + 1;
    if (2 * m->n > m->mask) {
        grow(m);
    }
}
