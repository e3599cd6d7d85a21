/* SPDX-License-Identifier: Apache-2.0 */
/* path_group - the postcards of one packet ID, while it is open. */
#include <config.h>
#include "server/path_group.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/keyed_hash.h"

#define FIRST_BUCKETS    1024
#define GROUPS_PER_BLOCK 256

struct block {
    struct block *next;
    struct path_group groups[GROUPS_PER_BLOCK];
};

struct path_index {
    struct keyed_hash hash;
    uint64_t secret;
    bool is_portable;
    size_t n_groups;
    size_t n_buckets; /* A power of 2. */
    struct path_group **buckets;
    struct path_group *free; /* For use again, by hash_next. */
    struct block *blocks;    /* Owned, newest first. */
    size_t n_used;           /* Of the newest block, ever given. */
};

void
path_list_push(struct path_list *list, struct path_group *g,
               enum path_list_kind kind)
{
    g->links[kind] = (struct path_link){list->last, NULL};
    if (list->last) {
        list->last->links[kind].next = g;
    } else {
        list->first = g;
    }
    list->last = g;
}

void
path_list_remove(struct path_list *list, struct path_group *g,
                 enum path_list_kind kind)
{
    struct path_link *link = &g->links[kind];

    if (link->prev) {
        link->prev->links[kind].next = link->next;
    } else {
        list->first = link->next;
    }
    if (link->next) {
        link->next->links[kind].prev = link->prev;
    } else {
        list->last = link->prev;
    }
}

void
path_group_turn_folds(struct path_group *g)
{
    struct postcard_fold *turned = NULL;

    while (g->folds) {
        struct postcard_fold *fold = g->folds;

        g->folds = fold->next;
        fold->next = turned;
        turned = fold;
    }
    g->folds = turned;
}

/* A hash of what makes a postcard equal to another of its packet.  Bytes
 * behind those of the packet ID may tell two packets apart. */
static uint32_t
card_hash(const struct path_group *g, const struct postcard_entry *e)
{
    const struct postcard *p = &e->p;
    /* Has all but the header in it, or is 0. */
    uint64_t seed = g->is_portable ? 0 : e->key;

    if (!seed) {
        const struct {
            uint64_t dpid;
            uint32_t version, in_port, out_port, flags;
        } about = {p->dpid, p->version, p->in_port, p->out_port, p->flags};

        seed = XXH3_64bits_withSeed(&about, sizeof about, g->secret);
    }
    return (uint32_t) (XXH3_64bits_withSeed(p->header, p->caplen, seed) >> 32);
}

void
path_seen_init(struct path_seen *seen, const struct path_group *g)
{
    seen->n = 0;
    seen->more = NULL;
    if (g->n_cards > PATH_SEEN_INLINE) {
        seen->more =
            malloc((g->n_cards - PATH_SEEN_INLINE) * sizeof *seen->more);
    }
    for (const struct postcard_entry *e = g->first; e; e = e->next) {
        if (seen->n < PATH_SEEN_INLINE) {
            seen->hashes[seen->n++] = card_hash(g, e);
        } else if (seen->more) {
            seen->more[seen->n++ - PATH_SEEN_INLINE] = card_hash(g, e);
        }
    }
}

void
path_seen_uninit(struct path_seen *seen)
{
    free(seen->more);
    *seen = (struct path_seen){.n = 0};
}

static bool
was_seen(const struct path_group *g, const struct postcard_entry *e)
{
    const struct path_seen *seen = &g->seen;
    uint32_t hash = card_hash(g, e);

    for (uint32_t i = 0; i < seen->n; i++) {
        if (hash == (i < PATH_SEEN_INLINE
                         ? seen->hashes[i]
                         : seen->more[i - PATH_SEEN_INLINE])) {
            return true;
        }
    }
    return false;
}

bool
path_group_is_double(const struct path_group *g)
{
    if (!g->seen.n) {
        return false;
    }
    for (const struct postcard_entry *e = g->first; e; e = e->next) {
        if (!was_seen(g, e)) {
            return false;
        }
    }
    return true;
}

struct path_index *
path_index_create(uint64_t secret)
{
    struct path_index *index = calloc(1, sizeof *index);

    if (index) {
        index->n_buckets = FIRST_BUCKETS;
        index->buckets = calloc(index->n_buckets, sizeof *index->buckets);
        index->hash = keyed_hash_create();
        index->secret = secret ? secret : index->hash.key[0];
        index->is_portable = secret;
        if (!index->buckets) {
            free(index);
            return NULL;
        }
    }
    return index;
}

void
path_index_destroy(struct path_index *index)
{
    if (index) {
        for (size_t i = 0; i < index->n_buckets; i++) {
            for (struct path_group *g = index->buckets[i]; g;
                 g = g->hash_next) {
                path_seen_uninit(&g->seen);
            }
        }
        while (index->blocks) {
            struct block *block = index->blocks;

            index->blocks = block->next;
            free(block);
        }
        free(index->buckets);
        free(index);
    }
}

static struct path_group **
bucket_of(const struct path_index *index, uint64_t id)
{
    return &index->buckets[keyed_hash_number(&index->hash, id) &
                           (index->n_buckets - 1)];
}

void
path_index_prefetch_place(const struct path_index *index, uint64_t id)
{
    __builtin_prefetch(bucket_of(index, id));
}

bool
path_index_prefetch(const struct path_index *index, uint64_t id)
{
    const struct path_group *g = *bucket_of(index, id);

    if (g) {
        __builtin_prefetch(g);
        __builtin_prefetch((const uint8_t *) g + 64);
        __builtin_prefetch((const uint8_t *) g + 128);
    }
    return g;
}

size_t
path_index_longest(const struct path_index *index)
{
    size_t longest = 0;

    for (size_t i = 0; i < index->n_buckets; i++) {
        size_t n = 0;

        for (const struct path_group *g = index->buckets[i]; g;
             g = g->hash_next) {
            n++;
        }
        longest = n > longest ? n : longest;
    }
    return longest;
}

struct path_group *
path_index_find(const struct path_index *index, uint64_t id)
{
    struct path_group *g = *bucket_of(index, id);

    while (g && g->id != id) {
        g = g->hash_next;
    }
    return g;
}

static void
grow(struct path_index *index)
{
    struct path_group **old = index->buckets;
    size_t n_old = index->n_buckets;
    struct path_group **buckets = calloc(n_old * 2, sizeof *buckets);

    if (!buckets) {
        return; /* Longer chains, nothing else. */
    }
    index->buckets = buckets;
    index->n_buckets = n_old * 2;
    for (size_t i = 0; i < n_old; i++) {
        while (old[i]) {
            struct path_group *g = old[i];
            struct path_group **bucket = bucket_of(index, g->id);

            old[i] = g->hash_next;
            g->hash_next = *bucket;
            *bucket = g;
        }
    }
    free(old);
}

/* A group of any content, or NULL. */
static struct path_group *
take(struct path_index *index)
{
    struct path_group *g = index->free;

    if (g) {
        index->free = g->hash_next;
        return g;
    }
    if (!index->blocks || index->n_used == GROUPS_PER_BLOCK) {
        struct block *block = malloc(sizeof *block);

        if (!block) {
            return NULL;
        }
        block->next = index->blocks;
        index->blocks = block;
        index->n_used = 0;
    }
    return &index->blocks->groups[index->n_used++];
}

struct path_group *
path_index_add(struct path_index *index, uint64_t id)
{
    struct path_group *g = take(index);
    struct path_group **bucket;

    if (!g) {
        return NULL;
    }
    if (index->n_groups >= index->n_buckets) {
        grow(index);
    }
    index->n_groups++;
    bucket = bucket_of(index, id);
    /* Member by member: that is quicker than zeros over all of it. */
    g->id = id;
    g->hash_next = *bucket;
    for (int i = 0; i < N_PATH_LISTS; i++) {
        g->links[i] = (struct path_link){NULL, NULL};
    }
    g->first = g->last = NULL;
    g->folds = NULL;
    g->n_cards = g->try_at = 0;
    g->due_ns = g->settle_ns = g->twin_ns = 0;
    g->sum = (struct path_sum){.sum = 0};
    g->secret = index->secret;
    g->is_portable = index->is_portable;
    g->key_sum = 0;
    g->is_strange = g->is_settling = g->is_ripe = g->is_closing = false;
    g->was_closed = false;
    g->n_tries = 0;
    g->seen.n = 0;
    g->seen.more = NULL;
    *bucket = g;
    return g;
}

void
path_index_remove(struct path_index *index, struct path_group *g)
{
    struct path_group **link = bucket_of(index, g->id);

    while (*link != g) {
        link = &(*link)->hash_next;
    }
    *link = g->hash_next;
    index->n_groups--;
    path_seen_uninit(&g->seen);
    g->hash_next = index->free;
    index->free = g;
}
