/* SPDX-License-Identifier: Apache-2.0 */
/* trigger_keys - removes keys of live filters from the bucket lh-meta. */
#include <config.h>

#include "server/trigger_keys.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_kv.h"
#include "lib/lh_alloc.h"
#include "server/cluster_setup.h"

#define STREAM     "KV_" CLUSTER_BUCKET_META
#define TIMEOUT_MS 4000
#define AGAIN      5  /* Turns until a deletion that failed is tried again. */
#define AT_A_TIME  64 /* Purges of one turn. */
/* Deletions that NATS is asked for at a time, so that others find room. */
#define MAX_ASKED 128

/* A key that is to be deleted. */
struct deletion {
    struct trigger_keys *keys;
    char *key;          /* Owned. */
    unsigned int again; /* Turns until it is asked for; 0: at once. */
    bool is_asking;
};

/* What is left of one that was. */
struct remnant {
    char *key; /* Owned. */
    uint64_t revision;
    uint64_t due; /* Turn. */
};

struct trigger_keys {
    struct bus *bus;
    uint64_t turn;
    size_t n, allocated;
    struct deletion **all; /* Owned. */
    size_t n_asked, next;  /* Of these; where to look for more. */
    size_t n_remnants, allocated_remnants;
    struct remnant *remnants; /* In the order of their turns.  Owned. */

    enum { NOT_KNOWN, ASKING, SAFE, UNSAFE } purges;
    uint64_t n_connects; /* Of the bus, when that was asked. */
};

/* --- Deleting ------------------------------------------------------------ */

static void ask_some(struct trigger_keys *);

static void
remove_deletion(struct deletion *deletion)
{
    struct trigger_keys *keys = deletion->keys;
    size_t i = 0;

    while (keys->all[i] != deletion) {
        i++;
    }
    keys->all[i] = keys->all[--keys->n];
    free(deletion->key);
    free(deletion);
}

static void
on_deleted(void *deletion_, int error_number, const char *why,
           uint64_t revision, bool was_there)
{
    struct deletion *deletion = deletion_;

    struct trigger_keys *keys = deletion->keys;

    deletion->is_asking = false;
    keys->n_asked--;
    if (error_number) {
        deletion->again = AGAIN;
    } else {
        trigger_keys_purge(keys, deletion->key, revision);
        remove_deletion(deletion);
    }
    ask_some(keys);
}

static void
ask(struct deletion *deletion)
{
    deletion->is_asking =
        !bus_kv_delete(deletion->keys->bus, CLUSTER_BUCKET_META, deletion->key,
                       BUS_KV_ANY, TIMEOUT_MS, on_deleted, deletion, NULL);
    deletion->again = deletion->is_asking ? 0 : AGAIN;
    deletion->keys->n_asked += deletion->is_asking;
}

/* Asks for those that wait, as far as there is room. */
static void
ask_some(struct trigger_keys *keys)
{
    for (size_t i = 0; i < keys->n && keys->n_asked < MAX_ASKED; i++) {
        struct deletion *deletion = keys->all[keys->next++ % keys->n];

        if (!deletion->is_asking && !deletion->again) {
            ask(deletion);
        }
    }
}

void
trigger_keys_delete(struct trigger_keys *keys, const char *key)
{
    struct deletion *deletion;

    if (keys->n == TRIGGER_KEYS_MAX) {
        return; /* Who watches again finds it again. */
    }
    deletion = lh_alloc_zero(sizeof *deletion);
    deletion->keys = keys;
    deletion->key = lh_strdup(key);
    keys->all =
        lh_alloc_grow(keys->all, keys->n, &keys->allocated, sizeof *keys->all);
    keys->all[keys->n++] = deletion;
    if (keys->n_asked < MAX_ASKED) {
        ask(deletion);
    }
}

/* --- Purging ------------------------------------------------------------- */

void
trigger_keys_purge(struct trigger_keys *keys, const char *key,
                   uint64_t revision)
{
    if (keys->n_remnants < TRIGGER_KEYS_MAX) {
        keys->remnants =
            lh_alloc_grow(keys->remnants, keys->n_remnants,
                          &keys->allocated_remnants, sizeof *keys->remnants);
        keys->remnants[keys->n_remnants++] = (struct remnant){
            lh_strdup(key), revision, keys->turn + TRIGGER_KEYS_WAIT};
    }
}

static void
on_purged(void *keys, int error_number, const char *why)
{
    /* What is left is found again when the next process watches. */
}

static void
on_state(void *keys_, int error_number, const char *why,
         const struct bus_stream_state *state)
{
    struct trigger_keys *keys = keys_;

    keys->purges = error_number           ? NOT_KNOWN
                   : state->is_purge_safe ? SAFE
                                          : UNSAFE;
}

/* NATS may be another after a connection ended. */
static void
find_out(struct trigger_keys *keys)
{
    struct bus_counters counters;

    bus_get_counters(keys->bus, &counters);
    if (keys->purges == NOT_KNOWN ||
        (keys->purges != ASKING && counters.connects != keys->n_connects)) {
        keys->n_connects = counters.connects;
        keys->purges =
            bus_stream_ask(keys->bus, STREAM, TIMEOUT_MS, on_state, keys, NULL)
                ? NOT_KNOWN
                : ASKING;
    }
}

static bool
purge(struct trigger_keys *keys, const struct remnant *remnant)
{
    char *subject =
        lh_asprintf("$KV." CLUSTER_BUCKET_META ".%s", remnant->key);
    int retval =
        bus_stream_purge(keys->bus, STREAM, subject, remnant->revision + 1,
                         TIMEOUT_MS, on_purged, keys, NULL);

    free(subject);
    return !retval;
}

static void
purge_due(struct trigger_keys *keys)
{
    size_t n = 0;

    while (n < keys->n_remnants && n < AT_A_TIME &&
           keys->remnants[n].due <= keys->turn &&
           (keys->purges == UNSAFE || purge(keys, &keys->remnants[n]))) {
        free(keys->remnants[n++].key);
    }
    if (n) {
        keys->n_remnants -= n;
        memmove(keys->remnants, keys->remnants + n,
                keys->n_remnants * sizeof *keys->remnants);
    }
}

/* --- Life ---------------------------------------------------------------- */

void
trigger_keys_tick(struct trigger_keys *keys)
{
    keys->turn++;
    for (size_t i = 0; i < keys->n; i++) {
        keys->all[i]->again -= keys->all[i]->again > 0;
    }
    ask_some(keys);
    if (keys->n_remnants && keys->remnants[0].due <= keys->turn &&
        bus_is_connected(keys->bus)) {
        find_out(keys);
        if (keys->purges == SAFE || keys->purges == UNSAFE) {
            purge_due(keys);
        }
    }
}

size_t
trigger_keys_n(const struct trigger_keys *keys)
{
    return keys->n + keys->n_remnants;
}

struct trigger_keys *
trigger_keys_create(struct bus *bus)
{
    struct trigger_keys *keys = lh_alloc_zero(sizeof *keys);

    keys->bus = bus;
    return keys;
}

void
trigger_keys_destroy(struct trigger_keys *keys)
{
    if (keys) {
        bus_forget(keys->bus, keys);
        while (keys->n) {
            bus_forget(keys->bus, keys->all[0]);
            remove_deletion(keys->all[0]);
        }
        for (size_t i = 0; i < keys->n_remnants; i++) {
            free(keys->remnants[i].key);
        }
        free(keys->all);
        free(keys->remnants);
        free(keys);
    }
}
