/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_members - what the servers of a cluster tell of themselves. */
#include <config.h>

#include "server/cluster_members.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "server/cluster_setup.h"

#define KEY        "server."
#define TIMEOUT_MS 4000
#define SILENCE_MS 2000
/* The watch tells what NATS answers not later than this; if not, it is begun
 * anew, not more often than this. */
#define BEHIND_MS 2000
#define DOUBT_MS  10000

struct cluster_members {
    struct bus *bus;
    struct bus_kv_watch *watch; /* Owned. */
    void (*on_change)(void *aux);
    void *aux;
    size_t n, allocated;
    struct cluster_member *all; /* Owned. */
    char *told;                 /* What was put last, or NULL.  Owned. */
    bool is_putting;
    char self[SHARD_LEASE_MAX_NAME + 1]; /* Who tells; "": nobody yet. */

    /* What is asked for; "": nothing. */
    char checked[SHARD_LEASE_MAX_NAME + 1];
    uint64_t watched;   /* The highest revision that the watch told, */
    uint64_t behind;    /* and one that it should tell; 0: none, */
    int64_t behind_ms;  /* since when. */
    int64_t doubted_ms; /* When it was last begun anew for that. */
    uint64_t n_doubts;
};

static struct cluster_member *
find(const struct cluster_members *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++) {
        if (!strcmp(m->all[i].name, name)) {
            return &m->all[i];
        }
    }
    return NULL;
}

static json_t *
to_json(const struct cluster_member *member)
{
    return json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:I, s:s, s:s}",
        "version", member->version, "disk", (json_int_t) member->disk, "short",
        (json_int_t) member->n_short, "lost", (json_int_t) member->n_lost,
        "fetching", (json_int_t) member->n_fetching, "wire_min",
        (json_int_t) member->wire_min, "wire_max",
        (json_int_t) member->wire_max, "started_ns",
        (json_int_t) member->started_ns, "archive", (int) member->has_archive,
        "since_ns", (json_int_t) member->since_ns, "until_ns",
        (json_int_t) member->until_ns, "postcards_at", member->postcards_at,
        "agents_at", member->agents_at);
}

/* 0 where there is none, as of servers that do not tell it. */
static uint64_t
number_of(const json_t *json, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(json, name));

    return n > 0 ? (uint64_t) n : 0;
}

/* False when it is none of ours. */
static bool
read_member(const struct bus_kv_entry *entry, struct cluster_member *member)
{
    const char *name = entry->key + strlen(KEY);
    json_t *json =
        json_loadb((const char *) entry->data, entry->size, 0, NULL);
    struct jmember root = jmember_root(json);
    struct jmember min = jmember_get(&root, "wire_min");
    struct jmember max = jmember_get(&root, "wire_max");
    struct jmember started = jmember_get(&root, "started_ns");
    struct jmember since = jmember_get(&root, "since_ns");
    struct jmember until = jmember_get(&root, "until_ns");
    const char *version = json_string_value(json_object_get(json, "version"));
    const char *at = json_string_value(json_object_get(json, "postcards_at"));
    const char *agents = json_string_value(json_object_get(json, "agents_at"));
    uint64_t wire_min, wire_max;
    bool is_good = strlen(name) <= SHARD_LEASE_MAX_NAME && version &&
                   !jmember_u64(&min, UINT32_MAX, &wire_min, NULL) &&
                   !jmember_u64(&max, UINT32_MAX, &wire_max, NULL);

    *member = (struct cluster_member){.wire_min = 0};
    if (is_good) {
        snprintf(member->name, sizeof member->name, "%s", name);
        snprintf(member->version, sizeof member->version, "%s", version);
        snprintf(member->postcards_at, sizeof member->postcards_at, "%s",
                 at ? at : "");
        snprintf(member->agents_at, sizeof member->agents_at, "%s",
                 agents ? agents : "");
        member->wire_min = (uint32_t) wire_min;
        member->wire_max = (uint32_t) wire_max;
        member->has_archive = json_is_true(json_object_get(json, "archive"));
        is_good =
            !jmember_u64(&started, INT64_MAX, &member->started_ns, NULL) &&
            !jmember_u64(&since, INT64_MAX, &member->since_ns, NULL) &&
            !jmember_u64(&until, INT64_MAX, &member->until_ns, NULL);
        member->disk = number_of(json, "disk");
        member->n_short = (uint32_t) number_of(json, "short");
        member->n_lost = (uint32_t) number_of(json, "lost");
        member->n_fetching = (uint32_t) number_of(json, "fetching");
        member->revision = entry->revision;
    }
    json_decref(json);
    return is_good;
}

static void
take_entry(struct cluster_members *m, const struct bus_kv_entry *entry)
{
    struct cluster_member member, *known;

    known = find(m, entry->key + strlen(KEY));
    if (known && entry->revision < known->revision) {
        known->is_old = false; /* NATS has answered something newer. */
        return;
    }
    if (entry->is_deleted) {
        if (known) {
            *known = m->all[--m->n];
        }
    } else if (!read_member(entry, &member)) {
        return;
    } else if (known) {
        *known = member;
    } else if (m->n < SHARD_LEASE_MAX_SERVERS) {
        m->all = lh_alloc_grow(m->all, m->n, &m->allocated, sizeof *m->all);
        m->all[m->n++] = member;
    }
    if (m->on_change) {
        m->on_change(m->aux);
    }
}

/* All has been told: who was not is not there any more. */
static void
remove_old(struct cluster_members *m)
{
    bool has_changed;
    size_t n = 0;

    for (size_t i = 0; i < m->n; i++) {
        if (!m->all[i].is_old) {
            m->all[n++] = m->all[i];
        }
    }
    has_changed = n < m->n;
    m->n = n;
    if (has_changed && m->on_change) {
        m->on_change(m->aux);
    }
}

static void
on_watch(void *members, enum bus_kv_event event, const char *why,
         const struct bus_kv_entry *entry)
{
    struct cluster_members *m = members;

    switch (event) {
    case BUS_KV_BEGIN:
        m->watched = m->behind = 0;
        for (size_t i = 0; i < m->n; i++) {
            m->all[i].is_old = true;
            m->all[i].revision = 0; /* The bucket may be another one. */
        }
        break;
    case BUS_KV_ENTRY:
        if (entry->revision > m->watched) {
            m->watched = entry->revision;
        }
        take_entry(m, entry);
        break;
    case BUS_KV_COMPLETE:
        remove_old(m);
        break;
    case BUS_KV_BROKEN:
        break;
    }
}

struct cluster_members *
cluster_members_create(struct bus *bus, void (*on_change)(void *aux),
                       void *aux)
{
    struct cluster_members *m = lh_alloc_zero(sizeof *m);

    m->bus = bus;
    m->on_change = on_change;
    m->aux = aux;
    m->watch = bus_kv_watch(bus, CLUSTER_BUCKET_META, KEY ">", SILENCE_MS,
                            on_watch, m);
    return m;
}

void
cluster_members_destroy(struct cluster_members *m)
{
    if (m) {
        bus_forget(m->bus, m);
        bus_kv_unwatch(m->watch);
        free(m->all);
        free(m->told);
        free(m);
    }
}

static void
on_put(void *members, int error_number, const char *why, uint64_t revision,
       bool was_there)
{
    struct cluster_members *m = members;

    m->is_putting = false;
    if (error_number) {
        free(m->told); /* So that it is told again. */
        m->told = NULL;
    }
}

void
cluster_members_tell(struct cluster_members *m,
                     const struct cluster_member *self)
{
    json_t *json = to_json(self);
    char *text = json_dumps(json, JSON_COMPACT);
    char key[sizeof KEY + SHARD_LEASE_MAX_NAME];

    json_decref(json);
    snprintf(m->self, sizeof m->self, "%s", self->name);
    if (m->is_putting || (m->told && !strcmp(m->told, text))) {
        free(text);
        return;
    }
    snprintf(key, sizeof key, KEY "%s", self->name);
    m->is_putting =
        !bus_kv_put(m->bus, CLUSTER_BUCKET_META, key, text, strlen(text),
                    BUS_KV_ANY, TIMEOUT_MS, on_put, m, NULL);
    free(m->told);
    m->told = NULL;
    if (m->is_putting) {
        m->told = text;
    } else {
        free(text);
    }
}

/* --- Checking. ----------------------------------------------------------- */

static void
doubt(struct cluster_members *m)
{
    int64_t now = monotonic_ms();

    if (!m->doubted_ms || now - m->doubted_ms > DOUBT_MS) {
        m->doubted_ms = now;
        m->n_doubts++;
        m->behind = 0;
        bus_kv_watch_again(m->watch);
    }
}

/* Whether NATS has what this server tells. */
static bool
is_told(const struct cluster_members *m, const struct bus_kv_entry *entry)
{
    return entry && strlen(m->told) == entry->size &&
           !memcmp(m->told, entry->data, entry->size);
}

/* What NATS has of the key; NULL: nothing. */
static void
take_answer(struct cluster_members *m, const char *name,
            const struct bus_kv_entry *entry)
{
    const struct cluster_member *known = find(m, name);

    if (!strcmp(name, m->self) && m->told && !m->is_putting &&
        !is_told(m, entry)) {
        free(m->told); /* So that it is told again. */
        m->told = NULL;
    } else if (!entry && known) {
        doubt(m);
    } else if (entry && (!known || known->revision < entry->revision)) {
        if (!m->behind && m->watched < entry->revision) {
            m->behind = entry->revision;
            m->behind_ms = monotonic_ms();
        }
        take_entry(m, entry);
    }
}

static void
on_checked(void *members, int error_number, const char *why,
           const struct bus_kv_entry *entry)
{
    struct cluster_members *m = members;

    if (!error_number || error_number == ENOENT) {
        take_answer(m, m->checked, error_number ? NULL : entry);
    }
    m->checked[0] = '\0';
}

void
cluster_members_check(struct cluster_members *m, const char *name)
{
    char key[sizeof KEY + SHARD_LEASE_MAX_NAME];

    if (m->behind && m->watched >= m->behind) {
        m->behind = 0;
    } else if (m->behind && monotonic_ms() - m->behind_ms > BEHIND_MS) {
        doubt(m);
    }
    if (*m->checked || !bus_is_connected(m->bus)) {
        return;
    }
    snprintf(key, sizeof key, KEY "%s", name);
    if (!bus_kv_get(m->bus, CLUSTER_BUCKET_META, key, TIMEOUT_MS, on_checked,
                    m, NULL)) {
        snprintf(m->checked, sizeof m->checked, "%s", name);
    }
}

uint64_t
cluster_members_n_doubts(const struct cluster_members *m)
{
    return m->n_doubts;
}

static void
on_deleted(void *members, int error_number, const char *why, uint64_t revision,
           bool was_there)
{
    /* The watch tells. */
}

void
cluster_members_forget(struct cluster_members *m, const char *name)
{
    char key[sizeof KEY + SHARD_LEASE_MAX_NAME];

    snprintf(key, sizeof key, KEY "%s", name);
    bus_kv_delete(m->bus, CLUSTER_BUCKET_META, key, BUS_KV_ANY, TIMEOUT_MS,
                  on_deleted, m, NULL);
}

size_t
cluster_members_n(const struct cluster_members *m)
{
    return m->n;
}

const struct cluster_member *
cluster_members_get(const struct cluster_members *m, size_t i)
{
    return &m->all[i];
}

const struct cluster_member *
cluster_members_find(const struct cluster_members *m, const char *name)
{
    return find(m, name);
}
