/* SPDX-License-Identifier: Apache-2.0 */
/* postcard_pool - copies of postcards, given and taken back without malloc().
 */
#include <config.h>
#include "server/postcard_pool.h"

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

struct postcard_pool {
    struct block *blocks;        /* Newest first. */
    size_t n_used;               /* Of the newest block, ever given. */
    struct postcard_entry *free; /* Given back. */
    struct visit_table *visits;  /* Owned; NULL until there is one. */
};

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
