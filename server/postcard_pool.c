/* SPDX-License-Identifier: Apache-2.0 */
/* postcard_pool - copies of postcards, given and taken back without malloc().
 */
#include <config.h>
#include "server/postcard_pool.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/huge_alloc.h"
#include "server/visit_table.h"

/* As many as a huge page holds. */
#define ENTRIES_PER_BLOCK                                                     \
    ((HUGE_ALLOC_PAGE - sizeof(void *)) / sizeof(struct postcard_entry))

struct block {
    struct block *next;
    struct postcard_entry entries[ENTRIES_PER_BLOCK];
};

/* The sizes of folded ones: what a router changes of a header (addresses of
 * Ethernet, TTL, checksum) fits into the large one. */
#define SMALL_FOLD  64
#define LARGE_FOLD  96
#define MAX_CHANGED fold_room(LARGE_FOLD)

struct fold_block {
    struct fold_block *next;
    uint8_t bytes[HUGE_ALLOC_PAGE - sizeof(void *)];
};

/* Folded ones of one size. */
struct fold_pool {
    struct fold_block *blocks;  /* Newest first. */
    size_t n_used;              /* Bytes of the newest, ever given. */
    struct postcard_fold *free; /* Given back. */
};

struct postcard_pool {
    struct block *blocks;        /* Newest first. */
    size_t n_used;               /* Of the newest block, ever given. */
    struct postcard_entry *free; /* Given back. */
    struct visit_table *visits;  /* Owned; NULL until there is one. */
    struct fold_pool folds[2];   /* Small and large ones. */
};

/* How many changed bytes a folded one of 'size' bytes has room for. */
static size_t
fold_room(size_t size)
{
    const struct postcard_fold *fold = NULL;

    return (size - offsetof(struct postcard_fold, changed)) /
           sizeof fold->changed[0];
}

struct postcard_pool *
postcard_pool_create(void)
{
    return calloc(1, sizeof(struct postcard_pool));
}

void
postcard_pool_destroy(struct postcard_pool *pool)
{
    if (pool) {
        while (pool->blocks) {
            struct block *block = pool->blocks;

            pool->blocks = block->next;
            huge_free(block, sizeof *block);
        }
        for (size_t i = 0; i < 2; i++) {
            while (pool->folds[i].blocks) {
                struct fold_block *block = pool->folds[i].blocks;

                pool->folds[i].blocks = block->next;
                huge_free(block, sizeof *block);
            }
        }
        visit_table_destroy(pool->visits);
        free(pool);
    }
}

static struct postcard_entry *
take(struct postcard_pool *pool)
{
    struct postcard_entry *entry = pool->free;

    if (entry) {
        pool->free = entry->next;
        return entry;
    }
    if (!pool->blocks || pool->n_used == ENTRIES_PER_BLOCK) {
        struct block *block = huge_alloc(sizeof *block);

        if (!block) {
            return NULL;
        }
        block->next = pool->blocks;
        pool->blocks = block;
        pool->n_used = 0;
    }
    return &pool->blocks->entries[pool->n_used++];
}

/* The pool's own copy of the visit; NULL when memory is short. */
static const struct hop_template *
keep_visit(struct postcard_pool *pool, const struct hop_template *visit)
{
    if (!pool->visits) {
        pool->visits = visit_table_create();
    }
    return pool->visits ? visit_table_get(pool->visits, visit) : NULL;
}

static void
put_one(struct postcard_pool *pool, struct postcard_entry *entry)
{
    if (entry->p.header != entry->header) {
        free((uint8_t *) entry->p.header);
    }
    if (entry->p.visit) {
        visit_table_put(pool->visits, entry->p.visit);
    }
    entry->next = pool->free;
    pool->free = entry;
}

struct postcard_entry *
postcard_pool_get(struct postcard_pool *pool, const struct postcard *p)
{
    struct postcard_entry *entry = take(pool);
    uint8_t *header;

    if (!entry) {
        return NULL;
    }
    header = entry->header;
    if (p->caplen > sizeof entry->header) {
        header = malloc(p->caplen);
        if (!header) {
            entry->next = pool->free;
            pool->free = entry;
            return NULL;
        }
    }
    if (p->caplen) {
        memcpy(header, p->header, p->caplen);
    }
    entry->next = NULL;
    entry->key = 0;
    entry->p = *p;
    entry->p.header = header;
    if (p->visit) {
        entry->p.visit = keep_visit(pool, p->visit);
        if (!entry->p.visit) {
            put_one(pool, entry);
            return NULL;
        }
    }
    return entry;
}

void
postcard_pool_put(struct postcard_pool *pool, struct postcard_entry *first)
{
    while (first) {
        struct postcard_entry *next = first->next;

        put_one(pool, first);
        first = next;
    }
}

/* --- Folded ones. ---------------------------------------------------------
 */

static struct postcard_fold *
take_fold(struct postcard_pool *pool, bool is_large)
{
    struct fold_pool *folds = &pool->folds[is_large];
    struct postcard_fold *fold = folds->free;
    size_t size = is_large ? LARGE_FOLD : SMALL_FOLD;

    if (fold) {
        folds->free = fold->next;
        return fold;
    }
    if (!folds->blocks || folds->n_used + size > sizeof folds->blocks->bytes) {
        struct fold_block *block = huge_alloc(sizeof *block);

        if (!block) {
            return NULL;
        }
        block->next = folds->blocks;
        folds->blocks = block;
        folds->n_used = 0;
    }
    fold = (struct postcard_fold *) (folds->blocks->bytes + folds->n_used);
    folds->n_used += size;
    return fold;
}

static void
put_fold(struct postcard_pool *pool, struct postcard_fold *fold)
{
    fold->next = pool->folds[fold->is_large].free;
    pool->folds[fold->is_large].free = fold;
}

struct postcard_fold *
postcard_pool_fold(struct postcard_pool *pool, struct postcard_entry *entry,
                   const struct postcard_entry *like)
{
    const struct postcard *p = &entry->p;
    uint8_t places[LARGE_FOLD];
    size_t n = 0;
    struct postcard_fold *fold;

    if (p->caplen != like->p.caplen || p->caplen > POSTCARD_POOL_HEADER ||
        p->packet_id != like->p.packet_id) {
        return NULL;
    }
    for (size_t i = 0; i < p->caplen; i++) {
        while (i + 8 < p->caplen &&
               !memcmp(p->header + i, like->p.header + i, 8)) {
            i += 8;
        }
        if (p->header[i] != like->p.header[i]) {
            if (n == MAX_CHANGED) {
                return NULL;
            }
            places[n++] = (uint8_t) i;
        }
    }
    fold = take_fold(pool, n > fold_room(SMALL_FOLD));
    if (!fold) {
        return NULL;
    }
    fold->next = NULL;
    fold->place = 0;
    fold->key = entry->key;
    fold->dpid = p->dpid;
    fold->time_ns = p->time_ns;
    fold->version = p->version;
    fold->in_port = p->in_port;
    fold->out_port = p->out_port;
    fold->flags = p->flags;
    fold->version_bits = p->version_bits;
    fold->n_changed = (uint8_t) n;
    fold->is_large = n > fold_room(SMALL_FOLD);
    fold->visit = p->visit;
    for (size_t i = 0; i < n; i++) {
        fold->changed[i].ofs = places[i];
        fold->changed[i].value = p->header[places[i]];
    }
    entry->p.visit = NULL;
    put_one(pool, entry);
    return fold;
}

void
postcard_pool_show(const struct postcard_fold *fold,
                   const struct postcard_entry *like, struct postcard *p,
                   uint8_t header[POSTCARD_POOL_HEADER])
{
    *p = like->p;
    p->dpid = fold->dpid;
    p->time_ns = fold->time_ns;
    p->version = fold->version;
    p->in_port = fold->in_port;
    p->out_port = fold->out_port;
    p->flags = fold->flags;
    p->version_bits = fold->version_bits & 0x7f;
    p->visit = fold->visit;
    p->header = header;
    memcpy(header, like->p.header, like->p.caplen);
    for (size_t i = 0; i < fold->n_changed; i++) {
        header[fold->changed[i].ofs] = fold->changed[i].value;
    }
}

struct postcard_entry *
postcard_pool_unfold(struct postcard_pool *pool, struct postcard_fold *fold,
                     const struct postcard_entry *like)
{
    uint8_t header[POSTCARD_POOL_HEADER];
    struct postcard p;
    struct postcard_entry *entry;

    postcard_pool_show(fold, like, &p, header);
    p.visit = NULL;
    entry = postcard_pool_get(pool, &p);
    if (!entry) {
        fold->next = NULL;
        postcard_pool_put_folds(pool, fold);
        return NULL;
    }
    entry->key = fold->key;
    entry->p.visit = fold->visit;
    put_fold(pool, fold);
    return entry;
}

void
postcard_pool_put_folds(struct postcard_pool *pool,
                        struct postcard_fold *first)
{
    while (first) {
        struct postcard_fold *next = first->next;

        if (first->visit) {
            visit_table_put(pool->visits, first->visit);
        }
        put_fold(pool, first);
        first = next;
    }
}
