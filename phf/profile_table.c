/* SPDX-License-Identifier: Apache-2.0 */
/* profile_table - packets and bytes by who sent them over which link. */
#include <config.h>

#include "phf/profile_table.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/lh_alloc.h"

/* Others cannot tell where it is: the seed of hashes. */
static const uint8_t place;

static uint64_t
hash_of(const void *data, size_t len)
{
    return XXH3_64bits_withSeed(data, len, (uint64_t) (uintptr_t) &place);
}

void
profile_table_uninit(struct profile_table *t)
{
    for (size_t i = 0; i < t->n_ways; i++) {
        free(t->ways[i].dpids);
    }
    free(t->ways);
    free(t->links);
    free(t->rows);
    free(t->slots);
    free(t->link_index.slots);
    free(t->way_index.slots);
    memset(t, 0, sizeof *t);
}

/* --- Numbers ------------------------------------------------------------ */

/* The next number with that hash, from slot '*at' on; UINT32_MAX after the
 * last. */
static uint32_t
index_next(const struct profile_index *index, uint64_t hash, size_t *at)
{
    if (!index->n_slots) {
        return UINT32_MAX;
    }
    for (;; ++*at) {
        const struct profile_index_slot *slot =
            &index->slots[*at & (index->n_slots - 1)];

        if (!slot->number) {
            return UINT32_MAX;
        }
        if (slot->hash == hash) {
            ++*at;
            return slot->number - 1;
        }
    }
}

static void
index_put(struct profile_index *index, uint64_t hash, uint32_t number)
{
    size_t i = (size_t) hash & (index->n_slots - 1);

    while (index->slots[i].number) {
        i = (i + 1) & (index->n_slots - 1);
    }
    index->slots[i] = (struct profile_index_slot){hash, number + 1};
    index->n++;
}

static void
index_add(struct profile_index *index, uint64_t hash, uint32_t number)
{
    if (2 * (index->n + 1) > index->n_slots) {
        struct profile_index old = *index;

        index->n = 0;
        index->n_slots = old.n_slots ? 2 * old.n_slots : 64;
        index->slots = lh_alloc_zero(index->n_slots * sizeof *index->slots);
        for (size_t i = 0; i < old.n_slots; i++) {
            if (old.slots[i].number) {
                index_put(index, old.slots[i].hash, old.slots[i].number - 1);
            }
        }
        free(old.slots);
    }
    index_put(index, hash, number);
}

uint32_t
profile_table_link(struct profile_table *t, const struct profile_link *link)
{
    const uint64_t words[2] = {link->dpid,
                               (uint64_t) link->is_in << 32 | link->port};
    uint64_t hash = hash_of(words, sizeof words);
    size_t at = (size_t) hash;
    uint32_t i;

    while ((i = index_next(&t->link_index, hash, &at)) != UINT32_MAX) {
        const struct profile_link *other = &t->links[i];

        if (other->dpid == link->dpid && other->port == link->port &&
            other->is_in == link->is_in) {
            return i;
        }
    }
    t->links = lh_alloc_grow(t->links, t->n_links, &t->allocated_links,
                             sizeof *t->links);
    t->links[t->n_links] = *link;
    index_add(&t->link_index, hash, (uint32_t) t->n_links);
    return (uint32_t) t->n_links++;
}

uint32_t
profile_table_way(struct profile_table *t, const struct profile_way *way)
{
    uint64_t hash = hash_of(way->dpids, way->n * sizeof *way->dpids) ^
                    hash_of(&way->dpid, sizeof way->dpid) ^ way->in_port;
    struct profile_way *new;
    size_t at = (size_t) hash;
    uint32_t i;

    while ((i = index_next(&t->way_index, hash, &at)) != UINT32_MAX) {
        const struct profile_way *other = &t->ways[i];

        if (other->dpid == way->dpid && other->in_port == way->in_port &&
            other->n == way->n &&
            (!way->n ||
             !memcmp(other->dpids, way->dpids, way->n * sizeof *way->dpids))) {
            return i;
        }
    }
    t->ways =
        lh_alloc_grow(t->ways, t->n_ways, &t->allocated_ways, sizeof *t->ways);
    new = &t->ways[t->n_ways];
    *new = *way;
    new->dpids = lh_memdup(way->dpids, way->n * sizeof *way->dpids);
    index_add(&t->way_index, hash, (uint32_t) t->n_ways);
    return (uint32_t) t->n_ways++;
}

/* --- Rows --------------------------------------------------------------- */

/* The slot of the key, or where it is to be put. */
static uint32_t *
find_slot(struct profile_table *t, const struct profile_key *key)
{
    size_t i = (size_t) hash_of(key, sizeof *key) & (t->n_slots - 1);

    while (t->slots[i] &&
           memcmp(&t->rows[t->slots[i] - 1].key, key, sizeof *key) != 0) {
        i = (i + 1) & (t->n_slots - 1);
    }
    return &t->slots[i];
}

static void
grow(struct profile_table *t)
{
    t->n_slots = t->n_slots ? 2 * t->n_slots : 1024;
    free(t->slots);
    t->slots = lh_alloc_zero(t->n_slots * sizeof *t->slots);
    for (size_t i = 0; i < t->n; i++) {
        *find_slot(t, &t->rows[i].key) = (uint32_t) i + 1;
    }
}

void
profile_table_count(struct profile_table *t, const struct profile_key *key,
                    double packets, double bytes)
{
    uint32_t *slot;

    if (2 * (t->n + 1) > t->n_slots) {
        grow(t);
    }
    slot = find_slot(t, key);
    if (!*slot && t->n >= PROFILE_MAX_ROWS && key->n_addr) {
        struct profile_key folded = {
            .link = key->link, .way = key->way, .bucket = key->bucket};

        t->n_folded += packets;
        profile_table_count(t, &folded, packets, bytes);
        return;
    }
    if (!*slot) {
        t->rows = lh_alloc_grow(t->rows, t->n, &t->allocated, sizeof *t->rows);
        t->rows[t->n] = (struct profile_row){.key = *key};
        *slot = (uint32_t) ++t->n;
    }
    t->rows[*slot - 1].packets += packets;
    t->rows[*slot - 1].bytes += bytes;
}

void
profile_table_merge(struct profile_table *t, const struct profile_table *other)
{
    /* Number 0 is there also where links are not asked for. */
    uint32_t *links = lh_alloc_zero((other->n_links + 1) * sizeof *links);
    uint32_t *ways = lh_alloc_zero((other->n_ways + 1) * sizeof *ways);

    for (size_t i = 0; i < other->n_links; i++) {
        links[i] = profile_table_link(t, &other->links[i]);
    }
    for (size_t i = 0; i < other->n_ways; i++) {
        ways[i] = profile_table_way(t, &other->ways[i]);
    }
    for (size_t i = 0; i < other->n; i++) {
        struct profile_key key = other->rows[i].key;

        key.link = links[key.link];
        key.way = ways[key.way];
        profile_table_count(t, &key, other->rows[i].packets,
                            other->rows[i].bytes);
    }
    t->n_folded += other->n_folded;
    free(links);
    free(ways);
}
