/* SPDX-License-Identifier: Apache-2.0 */
/* set_paths - knows paths again by all that filters may ask of one. */
#include <config.h>
#include "phf/set_paths.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

#define N_PLACES  4096 /* A power of two. */
#define HOP_WORDS 4    /* Of a hop, its lists apart. */

void
set_paths_uninit(struct set_paths *p)
{
    free(p->places);
    free(p->words);
}

void
set_paths_clear(struct set_paths *p)
{
    if (p->places) {
        memset(p->places, 0, N_PLACES * sizeof *p->places);
    }
    p->n_words = p->n_asked = 0;
}

static size_t
count_words(const struct history *h)
{
    size_t n = 1;

    for (size_t i = 0; i < h->n_hops; i++) {
        const struct history_hop *hop = &h->hops[i];

        n += HOP_WORDS + hop->n_out + hop->n_branches + hop->n_versions;
    }
    return n;
}

static uint64_t *
write_list(uint64_t *to, const uint32_t *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        *to++ = values[i];
    }
    return to;
}

static void
write_words(uint64_t *to, const struct history *h)
{
    *to++ = (uint64_t) h->n_hops << 32 | (uint64_t) h->verdict.name;
    for (size_t i = 0; i < h->n_hops; i++) {
        const struct history_hop *hop = &h->hops[i];

        *to++ = hop->dpid;
        *to++ = (uint64_t) hop->in_port << 32 | (uint32_t) hop->parent;
        *to++ = (uint64_t) hop->n_out << 32 | (uint64_t) hop->n_branches;
        *to++ = (uint64_t) hop->n_versions << 32 |
                (uint64_t) hop->verdict.name << 1 | hop->is_deduced;
        to = write_list(to, hop->out_ports, hop->n_out);
        to = write_list(to, hop->branches, hop->n_branches);
        to = write_list(to, hop->versions, hop->n_versions);
    }
}

static uint64_t
hash_of(const uint64_t *words, size_t n)
{
    uint64_t hash = n;

    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return hash;
}

bool
set_paths_find(struct set_paths *p, const struct history *history,
               uint32_t *number)
{
    const struct set_paths_place *place;
    uint64_t *asked;

    p->n_asked = count_words(history);
    while (p->n_words + p->n_asked > p->allocated_words) {
        p->words = lh_alloc_grow(p->words, p->allocated_words,
                                 &p->allocated_words, sizeof *p->words);
    }
    asked = p->words + p->n_words;
    write_words(asked, history);
    p->hash = hash_of(asked, p->n_asked);
    if (!p->places) {
        p->places = lh_alloc_zero(N_PLACES * sizeof *p->places);
    }
    place = &p->places[p->hash & (N_PLACES - 1)];
    if (place->n != p->n_asked || place->hash != p->hash ||
        memcmp(p->words + place->first, asked, place->n * sizeof *asked)) {
        return false;
    }
    *number = place->number;
    return true;
}

void
set_paths_add(struct set_paths *p, uint32_t number)
{
    p->places[p->hash & (N_PLACES - 1)] = (struct set_paths_place){
        .first = p->n_words,
        .n = p->n_asked,
        .hash = p->hash,
        .number = number,
    };
    p->n_words += p->n_asked;
    p->n_asked = 0;
}
