/* SPDX-License-Identifier: Apache-2.0 */
/* path_closed - what is remembered of the packet IDs whose groups have closed.
 *
 * Records stand in a ring in order of closing; a table of open addressing with
 * linear probing leads from the hash of an ID to its place in the ring.  A
 * slot has the upper half of the hash, which says where its search began, so
 * that neither growing nor taking away looks at records. */
#include <config.h>

#include "server/path_closed.h"

#include <stdlib.h>

#include "lib/huge_alloc.h"
#include "lib/keyed_hash.h"

#define FIRST_RECORDS 1024 /* A power of 2; there are twice as many slots. */
#define AHEAD         8    /* Slots asked for before their records go. */

/* One line of the cache. */
struct record {
    uint64_t id;
    uint64_t forget_ns;
    struct path_seen seen; /* Owned; none where it was taken. */
};

struct slot {
    uint32_t tag;   /* Upper half of the ID's hash. */
    uint32_t place; /* In the ring, counted from 1; 0: empty. */
};

struct path_closed {
    struct keyed_hash hash;
    struct record *records; /* Owned ring. */
    struct slot *slots;     /* Owned. */
    size_t n_records;       /* Room, a power of 2. */
    size_t n_slots;         /* The same. */
    uint32_t first;         /* Place of the oldest, */
    uint32_t n_used;        /* and so many from it on, taken ones too. */
    size_t n;               /* Not taken. */
};

static void
free_tables(struct record *records, struct slot *slots, size_t n_records)
{
    huge_free(records, n_records * sizeof *records);
    huge_free(slots, n_records * 2 * sizeof *slots);
}

struct path_closed *
path_closed_create(void)
{
    struct path_closed *closed = calloc(1, sizeof *closed);

    if (!closed) {
        return NULL;
    }
    closed->hash = keyed_hash_create();
    closed->n_records = FIRST_RECORDS;
    closed->n_slots = FIRST_RECORDS * 2;
    closed->records = huge_alloc(closed->n_records * sizeof *closed->records);
    closed->slots = huge_alloc_full(closed->n_slots * sizeof *closed->slots);
    if (!closed->records || !closed->slots) {
        path_closed_destroy(closed);
        return NULL;
    }
    return closed;
}

static struct record *
record_at(const struct path_closed *closed, uint32_t place)
{
    return &closed->records[place & (closed->n_records - 1)];
}

void
path_closed_destroy(struct path_closed *closed)
{
    if (closed) {
        for (uint32_t i = 0; i < closed->n_used; i++) {
            path_seen_uninit(&record_at(closed, closed->first + i)->seen);
        }
        free_tables(closed->records, closed->slots, closed->n_records);
        free(closed);
    }
}

size_t
path_closed_count(const struct path_closed *closed)
{
    return closed->n;
}

static uint32_t
tag_of(const struct path_closed *closed, uint64_t id)
{
    return (uint32_t) (keyed_hash_number(&closed->hash, id) >> 32);
}

static size_t
next_slot(const struct path_closed *closed, size_t i)
{
    return (i + 1) & (closed->n_slots - 1);
}

void
path_closed_prefetch(const struct path_closed *closed, uint64_t id)
{
    __builtin_prefetch(
        &closed->slots[tag_of(closed, id) & (closed->n_slots - 1)]);
}

static void
put_slot(struct slot *slots, size_t n_slots, struct slot slot)
{
    size_t i = slot.tag & (n_slots - 1);

    while (slots[i].place) {
        i = (i + 1) & (n_slots - 1);
    }
    slots[i] = slot;
}

/* Empties the slot and moves those up whose search came past it. */
static void
clear_slot(struct path_closed *closed, size_t i)
{
    struct slot *slots = closed->slots;
    size_t mask = closed->n_slots - 1;

    for (size_t j = next_slot(closed, i); slots[j].place;
         j = next_slot(closed, j)) {
        size_t home = slots[j].tag & mask;

        if (((j - home) & mask) >= ((j - i) & mask)) {
            slots[i] = slots[j];
            i = j;
        }
    }
    slots[i].place = 0;
}

/* Twice the room, as long as places fit their numbers. */
static bool
grow(struct path_closed *closed)
{
    size_t n_records = closed->n_records * 2;
    struct record *records;
    struct slot *slots;

    if (n_records > UINT32_MAX / 2) {
        return false;
    }
    records = huge_alloc(n_records * sizeof *records);
    slots = huge_alloc_full(n_records * 2 * sizeof *slots);
    if (!records || !slots) {
        free_tables(records, slots, n_records);
        return false;
    }
    for (uint32_t i = 0; i < closed->n_used; i++) {
        uint32_t place = closed->first + i;

        records[place & (n_records - 1)] = *record_at(closed, place);
    }
    for (size_t i = 0; i < closed->n_slots; i++) {
        if (closed->slots[i].place) {
            put_slot(slots, n_records * 2, closed->slots[i]);
        }
    }
    free_tables(closed->records, closed->slots, closed->n_records);
    closed->records = records;
    closed->slots = slots;
    closed->n_records = n_records;
    closed->n_slots = n_records * 2;
    return true;
}

static void
forget_first(struct path_closed *closed)
{
    struct record *record = record_at(closed, closed->first);
    uint32_t tag = tag_of(closed, record->id);

    for (size_t i = tag & (closed->n_slots - 1); closed->slots[i].place;
         i = next_slot(closed, i)) {
        if (closed->slots[i].place - 1 ==
            (closed->first & (UINT32_MAX >> 1))) {
            clear_slot(closed, i);
            closed->n--;
            break;
        }
    }
    path_seen_uninit(&record->seen);
    closed->first++;
    closed->n_used--;
    __builtin_prefetch(record_at(closed, closed->first + 2 * AHEAD));
    if (closed->n_used > AHEAD) {
        path_closed_prefetch(closed,
                             record_at(closed, closed->first + AHEAD)->id);
    }
}

void
path_closed_put(struct path_closed *closed, uint64_t id, uint64_t forget_ns,
                struct path_seen *seen)
{
    uint32_t place;

    if (closed->n_used == closed->n_records && !grow(closed)) {
        forget_first(closed);
    }
    place = closed->first + closed->n_used++;
    struct record *record = record_at(closed, place);

    __builtin_prefetch(record_at(closed, place + AHEAD), 1);
    record->id = id;
    record->forget_ns = forget_ns;
    record->seen = *seen;
    *seen = (struct path_seen){.n = 0};
    put_slot(
        closed->slots, closed->n_slots,
        (struct slot){tag_of(closed, id), (place & (UINT32_MAX >> 1)) + 1});
    closed->n++;
}

void
path_closed_add(struct path_closed *closed, const struct path_group *g,
                uint64_t forget_ns)
{
    struct path_seen seen;

    path_seen_init(&seen, g);
    path_closed_put(closed, g->id, forget_ns, &seen);
}

/* Whether a record is still found by its ID: it was not taken. */
static bool
is_there(const struct path_closed *closed, uint32_t place)
{
    uint32_t tag = tag_of(closed, record_at(closed, place)->id);

    for (size_t i = tag & (closed->n_slots - 1); closed->slots[i].place;
         i = next_slot(closed, i)) {
        if (closed->slots[i].place - 1 == (place & (UINT32_MAX >> 1))) {
            return true;
        }
    }
    return false;
}

void
path_closed_each(const struct path_closed *closed, uint64_t from_ns,
                 void (*fn)(void *aux, uint64_t id, uint64_t forget_ns,
                            const struct path_seen *),
                 void *aux)
{
    uint32_t i = closed->n_used;

    while (i &&
           record_at(closed, closed->first + i - 1)->forget_ns >= from_ns) {
        i--;
    }
    for (; i < closed->n_used; i++) {
        const struct record *record = record_at(closed, closed->first + i);

        if (is_there(closed, closed->first + i)) {
            fn(aux, record->id, record->forget_ns, &record->seen);
        }
    }
}

bool
path_closed_take(struct path_closed *closed, uint64_t id,
                 struct path_seen *seen, uint64_t *forget_nsp)
{
    uint32_t tag = tag_of(closed, id);

    for (size_t i = tag & (closed->n_slots - 1); closed->slots[i].place;
         i = next_slot(closed, i)) {
        struct record *record;

        if (closed->slots[i].tag != tag) {
            continue;
        }
        record = record_at(closed, closed->slots[i].place - 1);
        if (record->id == id) {
            *seen = record->seen;
            *forget_nsp = record->forget_ns;
            record->seen = (struct path_seen){.n = 0};
            clear_slot(closed, i);
            closed->n--;
            return true;
        }
    }
    return false;
}

void
path_closed_expire(struct path_closed *closed, uint64_t now_ns)
{
    while (closed->n_used &&
           record_at(closed, closed->first)->forget_ns <= now_ns) {
        forget_first(closed);
    }
}

void
path_closed_limit(struct path_closed *closed, size_t n)
{
    while (closed->n > n) {
        forget_first(closed);
    }
}

void
path_closed_restart(struct path_closed *closed, uint64_t forget_ns)
{
    for (uint32_t i = 0; i < closed->n_used; i++) {
        record_at(closed, closed->first + i)->forget_ns = forget_ns;
    }
}
