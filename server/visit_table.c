/* SPDX-License-Identifier: Apache-2.0 */
/* visit_table - the visits that postcards of open packets tell of, each once.
 *
 * Chains by the hash under a key of the table's own, for who makes up visits
 * knows theirs. */
#include <config.h>
#include "server/visit_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/keyed_hash.h"

#define FIRST_BUCKETS 256

struct entry {
    struct entry *next;    /* In its bucket. */
    struct entry *newer;   /* Among the spare ones, */
    struct entry *older;   /* when it is one. */
    size_t n_users;        /* 0: spare. */
    struct hop_template t; /* And what follows it. */
};

struct visit_table {
    struct keyed_hash hash;
    struct entry **buckets; /* Owned. */
    size_t n_buckets;       /* A power of 2. */
    size_t n, n_spare;
    struct entry *newest, *oldest; /* Spare ones. */
};

struct visit_table *
visit_table_create(void)
{
    struct visit_table *table = calloc(1, sizeof *table);

    if (table) {
        table->hash = keyed_hash_create();
        table->n_buckets = FIRST_BUCKETS;
        table->buckets = calloc(table->n_buckets, sizeof *table->buckets);
        if (!table->buckets) {
            free(table);
            return NULL;
        }
    }
    return table;
}

void
visit_table_destroy(struct visit_table *table)
{
    if (table) {
        for (size_t i = 0; i < table->n_buckets; i++) {
            while (table->buckets[i]) {
                struct entry *entry = table->buckets[i];

                table->buckets[i] = entry->next;
                free(entry);
            }
        }
        free(table->buckets);
        free(table);
    }
}

size_t
visit_table_count(const struct visit_table *table)
{
    return table->n;
}

static struct entry **
bucket_of(const struct visit_table *table, const struct hop_template *t)
{
    return &table->buckets[keyed_hash_number(&table->hash, t->hash) &
                           (table->n_buckets - 1)];
}

static void
grow(struct visit_table *table)
{
    size_t n_old = table->n_buckets;
    struct entry **old = table->buckets;
    struct entry **buckets = calloc(n_old * 2, sizeof *buckets);

    if (!buckets) {
        return; /* Longer chains, nothing else. */
    }
    table->buckets = buckets;
    table->n_buckets = n_old * 2;
    for (size_t i = 0; i < n_old; i++) {
        while (old[i]) {
            struct entry *entry = old[i];
            struct entry **bucket = bucket_of(table, &entry->t);

            old[i] = entry->next;
            entry->next = *bucket;
            *bucket = entry;
        }
    }
    free(old);
}

static void
take_from_spare(struct visit_table *table, struct entry *entry)
{
    *(entry->newer ? &entry->newer->older : &table->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &table->oldest) = entry->newer;
    table->n_spare--;
}

static void
make_spare(struct visit_table *table, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = table->newest;
    *(table->newest ? &table->newest->newer : &table->oldest) = entry;
    table->newest = entry;
    table->n_spare++;
}

static void
forget_oldest(struct visit_table *table)
{
    struct entry *entry = table->oldest;
    struct entry **link = bucket_of(table, &entry->t);

    while (*link != entry) {
        link = &(*link)->next;
    }
    *link = entry->next;
    take_from_spare(table, entry);
    table->n--;
    free(entry);
}

const struct hop_template *
visit_table_get(struct visit_table *table, const struct hop_template *t)
{
    struct entry **bucket = bucket_of(table, t);
    struct entry *entry = *bucket;

    while (entry && !hop_template_equal(&entry->t, t)) {
        entry = entry->next;
    }
    if (!entry) {
        entry = malloc(offsetof(struct entry, t) + t->size);
        if (!entry) {
            return NULL;
        }
        memcpy(&entry->t, t, t->size);
        entry->n_users = 0;
        entry->next = *bucket;
        *bucket = entry;
        if (++table->n > table->n_buckets) {
            grow(table);
        }
    } else if (!entry->n_users) {
        take_from_spare(table, entry);
    }
    entry->n_users++;
    return &entry->t;
}

void
visit_table_put(struct visit_table *table, const struct hop_template *t)
{
    struct entry *entry =
        (struct entry *) ((char *) t - offsetof(struct entry, t));

    assert(entry->n_users);
    if (!--entry->n_users) {
        make_spare(table, entry);
        if (table->n_spare > VISIT_TABLE_SPARE) {
            forget_oldest(table);
        }
    }
}
