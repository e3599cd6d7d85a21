/* SPDX-License-Identifier: Apache-2.0 */
/* shard_divide - which of several servers is to tell of each shard. */
#include <config.h>

#include "server/shard_divide.h"

#include <stdbool.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"

/* What a server vouches for of a shard. */
struct offer {
    uint64_t to, since_ns, n;
    size_t n_others; /* Shards that it tells of already. */
};

static struct offer
offer_of(const struct store_vouch *vouch, uint32_t shard, size_t n_others)
{
    struct offer offer = {.n_others = n_others};

    for (size_t i = 0; i < vouch->n; i++) {
        const struct store_vouch_item *item = &vouch->all[i];

        if (item->shard == shard) {
            offer.to = item->to > offer.to ? item->to : offer.to;
            offer.since_ns = item->since_ns > offer.since_ns ? item->since_ns
                                                             : offer.since_ns;
            offer.n += item->to - item->from;
        }
    }
    return offer;
}

static bool
is_better(const struct offer *a, const struct offer *b)
{
    return a->to != b->to               ? a->to > b->to
           : a->n != b->n               ? a->n > b->n
           : a->since_ns != b->since_ns ? a->since_ns < b->since_ns
                                        : a->n_others < b->n_others;
}

static void
add_sure(const struct store_vouch *vouch, uint32_t shard, uint64_t to,
         struct store_vouch *sure)
{
    const struct store_vouch_item later = {shard, to, UINT64_MAX, 0};

    for (size_t i = 0; i < vouch->n; i++) {
        if (vouch->all[i].shard == shard) {
            store_vouch_add_item(sure, &vouch->all[i]);
        }
    }
    if (to < UINT64_MAX) {
        store_vouch_add_item(sure, &later);
    }
}

void
shard_divide(const struct store_vouch *const *offers, size_t n,
             uint32_t n_shards, size_t *who, struct store_vouch *sure)
{
    size_t *n_told = lh_alloc_zero((n + 1) * sizeof *n_told);

    for (uint32_t shard = 0; shard < n_shards; shard++) {
        struct offer best = {.n = 0};

        who[shard] = SIZE_MAX;
        for (size_t i = 0; i < n; i++) {
            struct offer offer = offer_of(offers[i], shard, n_told[i]);

            if (offer.n &&
                (who[shard] == SIZE_MAX || is_better(&offer, &best))) {
                who[shard] = i;
                best = offer;
            }
        }
        if (who[shard] != SIZE_MAX) {
            n_told[who[shard]]++;
            add_sure(offers[who[shard]], shard, best.to, sure);
        }
    }
    free(n_told);
}
