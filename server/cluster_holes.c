/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_holes - what a cluster has lost. */
#include <config.h>

#include "server/cluster_holes.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_kv.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"
#include "server/cluster_setup.h"
#include "server/shard_lease.h"

#define KEY        "hole."
#define TIMEOUT_MS 4000
#define SILENCE_MS 2000
#define WHY_SIZE   120
/* What is not farther apart is one. */
#define NEAR_NS UINT64_C(1000000000)

struct noted {
    struct cluster_hole hole;
    uint64_t found_ns; /* By its server's clock; rises. */
};

/* What one server has noted. */
struct notes {
    char name[SHARD_LEASE_MAX_NAME + 1];
    size_t n;
    struct noted all[CLUSTER_HOLES_MAX + 1]; /* One more while adding. */
    uint64_t told_ns; /* What was found up to then was told. */
};

struct cluster_holes {
    struct cluster_holes_config config;
    struct bus_kv_watch *watch; /* Owned. */
    size_t n, allocated;
    struct notes **all; /* Owned; the first is this server's. */
    bool is_known;      /* What a former process of this name noted. */
    bool is_there;      /* NATS has told what this server notes. */
    bool is_due;        /* It is to be written. */
    bool is_putting;
};

static const char *const what_names[] = {
    [HOLE_POSTCARDS] = "postcards", [HOLE_HISTORIES] = "histories"};

/* --- Notes. -------------------------------------------------------------- */

/* How far apart they are; UINT64_MAX: they cannot be one. */
static uint64_t
distance(const struct cluster_hole *a, const struct cluster_hole *b)
{
    return a->what != b->what          ? UINT64_MAX
           : a->since_ns > b->until_ns ? a->since_ns - b->until_ns
           : b->since_ns > a->until_ns ? b->since_ns - a->until_ns
                                       : 0;
}

static void
join(struct noted *to, const struct noted *from)
{
    to->hole.n += from->hole.n;
    if (from->hole.since_ns < to->hole.since_ns) {
        to->hole.since_ns = from->hole.since_ns;
    }
    if (from->hole.until_ns > to->hole.until_ns) {
        to->hole.until_ns = from->hole.until_ns;
    }
    if (from->found_ns > to->found_ns) {
        to->found_ns = from->found_ns;
    }
}

/* Makes one of the two that are nearest, if they are not farther apart than
 * 'most_ns'. */
static bool
join_nearest(struct notes *notes, uint64_t most_ns)
{
    size_t a = 0, b = 0;

    for (size_t i = 0; i < notes->n; i++) {
        for (size_t j = i + 1; j < notes->n; j++) {
            uint64_t ns = distance(&notes->all[i].hole, &notes->all[j].hole);

            if (ns < most_ns) {
                most_ns = ns;
                a = i;
                b = j;
            }
        }
    }
    if (a != b) {
        join(&notes->all[a], &notes->all[b]);
        notes->all[b] = notes->all[--notes->n];
    }
    return a != b;
}

static void
add(struct notes *notes, const struct noted *noted)
{
    notes->all[notes->n++] = *noted;
    while (join_nearest(notes, NEAR_NS)) {
    }
    if (notes->n > CLUSTER_HOLES_MAX) {
        join_nearest(notes, UINT64_MAX);
    }
}

static json_t *
time_json(uint64_t ns)
{
    return ns && ns != UINT64_MAX ? json_integer((json_int_t) ns)
                                  : json_null();
}

static char *
to_text(const struct notes *notes)
{
    json_t *list = json_array();
    json_t *json;
    char *text;

    for (size_t i = 0; i < notes->n; i++) {
        const struct noted *noted = &notes->all[i];

        json_array_append_new(
            list, json_pack("{s:s, s:I, s:o, s:o, s:I}", "what",
                            what_names[noted->hole.what], "n",
                            (json_int_t) noted->hole.n, "since_ns",
                            time_json(noted->hole.since_ns), "until_ns",
                            time_json(noted->hole.until_ns), "found_ns",
                            (json_int_t) noted->found_ns));
    }
    json = json_pack("{s:o}", "holes", list);
    text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

/* False: it is none of ours, or of what this version does not know. */
static bool
read_noted(const json_t *json, struct noted *noted)
{
    struct jmember root = jmember_root(json);
    struct jmember n = jmember_get(&root, "n");
    struct jmember since = jmember_get(&root, "since_ns");
    struct jmember until = jmember_get(&root, "until_ns");
    struct jmember found = jmember_get(&root, "found_ns");
    const char *what = json_string_value(json_object_get(json, "what"));
    size_t i = 0;

    while (i < 2 && (!what || strcmp(what, what_names[i]) != 0)) {
        i++;
    }
    *noted = (struct noted){.hole.what = (enum cluster_hole_what) i,
                            .hole.until_ns = UINT64_MAX};
    return i < 2 && !jmember_u64(&n, INT64_MAX, &noted->hole.n, NULL) &&
           (json_is_null(json_object_get(json, "since_ns")) ||
            !jmember_u64(&since, INT64_MAX, &noted->hole.since_ns, NULL)) &&
           (json_is_null(json_object_get(json, "until_ns")) ||
            !jmember_u64(&until, INT64_MAX, &noted->hole.until_ns, NULL)) &&
           !jmember_u64(&found, INT64_MAX, &noted->found_ns, NULL);
}

static void
read_notes(const struct bus_kv_entry *entry, struct notes *notes)
{
    json_t *json =
        json_loadb((const char *) entry->data, entry->size, 0, NULL);
    struct noted noted;
    json_t *one;
    size_t i;

    json_array_foreach(json_object_get(json, "holes"), i, one)
    {
        if (read_noted(one, &noted)) {
            add(notes, &noted);
        }
    }
    json_decref(json);
}

/* --- Telling. ------------------------------------------------------------ */

static void
put_why(const struct cluster_hole *hole, char why[WHY_SIZE])
{
    snprintf(why, WHY_SIZE,
             "NATS lost %" PRIu64 " messages of %s that it had acknowledged",
             hole->n, what_names[hole->what]);
}

/* Tells those that are new. */
static void
tell(struct cluster_holes *holes, struct notes *notes)
{
    uint64_t told_ns = notes->told_ns;
    char why[WHY_SIZE];

    for (size_t i = 0; i < notes->n; i++) {
        const struct noted *noted = &notes->all[i];

        if (noted->found_ns > notes->told_ns) {
            told_ns = noted->found_ns > told_ns ? noted->found_ns : told_ns;
            put_why(&noted->hole, why);
            holes->config.on_hole(holes->config.aux, &noted->hole, why);
        }
    }
    notes->told_ns = told_ns;
}

void
cluster_holes_list(const struct cluster_holes *holes, uint64_t since_ns,
                   uint64_t until_ns, json_t *list)
{
    char why[WHY_SIZE];

    for (size_t i = 0; i < holes->n; i++) {
        const struct notes *notes = holes->all[i];

        for (size_t j = 0; j < notes->n; j++) {
            const struct cluster_hole *hole = &notes->all[j].hole;

            if (hole->since_ns < until_ns && hole->until_ns >= since_ns) {
                put_why(hole, why);
                json_array_append_new(
                    list, json_pack("{s:s, s:o, s:o, s:s, s:s, s:I}", "server",
                                    notes->name, "since_ns",
                                    time_json(hole->since_ns), "until_ns",
                                    time_json(hole->until_ns), "why", why,
                                    "what", what_names[hole->what], "messages",
                                    (json_int_t) hole->n));
            }
        }
    }
}

/* --- NATS. --------------------------------------------------------------- */

static void put_own(struct cluster_holes *);

static void
on_put(void *holes_, int error_number, const char *why, uint64_t revision,
       bool was_there)
{
    struct cluster_holes *holes = holes_;

    holes->is_putting = false;
    if (error_number) {
        holes->is_due = true; /* With the next tick. */
    } else {
        put_own(holes);
    }
}

static void
put_own(struct cluster_holes *holes)
{
    char key[sizeof KEY + SHARD_LEASE_MAX_NAME];
    char *text;

    if (!holes->is_known || !holes->is_due || holes->is_putting) {
        return;
    }
    snprintf(key, sizeof key, KEY "%s", holes->all[0]->name);
    text = to_text(holes->all[0]);
    holes->is_putting =
        !bus_kv_put(holes->config.bus, CLUSTER_BUCKET_META, key, text,
                    strlen(text), BUS_KV_ANY, TIMEOUT_MS, on_put, holes, NULL);
    holes->is_due = !holes->is_putting;
    free(text);
}

/* NULL: there are too many. */
static struct notes *
need_notes(struct cluster_holes *holes, const char *name)
{
    struct notes *notes;

    for (size_t i = 0; i < holes->n; i++) {
        if (!strcmp(holes->all[i]->name, name)) {
            return holes->all[i];
        }
    }
    if (holes->n == SHARD_LEASE_MAX_SERVERS ||
        strlen(name) > SHARD_LEASE_MAX_NAME) {
        return NULL;
    }
    notes = lh_alloc_zero(sizeof *notes);
    snprintf(notes->name, sizeof notes->name, "%s", name);
    notes->told_ns = holes->config.started_ns;
    holes->all = lh_alloc_grow(holes->all, holes->n, &holes->allocated,
                               sizeof(struct notes *));
    holes->all[holes->n++] = notes;
    return notes;
}

/* What NATS says of this server's notes. */
static void
take_own(struct cluster_holes *holes, const struct bus_kv_entry *entry)
{
    struct notes *own = holes->all[0];
    char *text;

    if (entry->is_deleted) {
        own->n = 0; /* A person saw to that. */
        holes->is_due = false;
        return;
    }
    if (!holes->is_known) {
        read_notes(entry, own);
    }
    text = to_text(own);
    holes->is_there =
        strlen(text) == entry->size && !memcmp(text, entry->data, entry->size);
    free(text);
}

static void
take_entry(struct cluster_holes *holes, const struct bus_kv_entry *entry)
{
    struct notes *notes = need_notes(holes, entry->key + strlen(KEY));

    if (notes == holes->all[0]) {
        take_own(holes, entry);
    } else if (notes) {
        notes->n = 0;
        if (!entry->is_deleted) {
            read_notes(entry, notes);
        }
        tell(holes, notes);
    }
}

static void
on_watch(void *holes_, enum bus_kv_event event, const char *why,
         const struct bus_kv_entry *entry)
{
    struct cluster_holes *holes = holes_;

    switch (event) {
    case BUS_KV_BEGIN:
        holes->is_there = false;
        break;
    case BUS_KV_ENTRY:
        take_entry(holes, entry);
        break;
    case BUS_KV_COMPLETE:
        holes->is_known = true;
        /* Also what NATS has lost. */
        holes->is_due |= !holes->is_there && holes->all[0]->n;
        put_own(holes);
        break;
    case BUS_KV_BROKEN:
        break;
    }
}

/* --- Life. --------------------------------------------------------------- */

struct cluster_holes *
cluster_holes_create(const struct cluster_holes_config *config)
{
    struct cluster_holes *holes = lh_alloc_zero(sizeof *holes);

    holes->config = *config;
    need_notes(holes, config->name);
    holes->watch = bus_kv_watch(config->bus, CLUSTER_BUCKET_META, KEY ">",
                                SILENCE_MS, on_watch, holes);
    return holes;
}

void
cluster_holes_destroy(struct cluster_holes *holes)
{
    if (holes) {
        bus_forget(holes->config.bus, holes);
        bus_kv_unwatch(holes->watch);
        for (size_t i = 0; i < holes->n; i++) {
            free(holes->all[i]);
        }
        free(holes->all);
        free(holes);
    }
}

void
cluster_holes_add(struct cluster_holes *holes, const struct cluster_hole *hole)
{
    struct notes *own = holes->all[0];
    struct noted noted = {.hole = *hole, .found_ns = time_spec_now()};

    if (noted.found_ns <= own->told_ns) {
        noted.found_ns = own->told_ns + 1; /* The clock was put back. */
    }
    add(own, &noted);
    holes->is_due = true;
    put_own(holes);
}

void
cluster_holes_tick(struct cluster_holes *holes)
{
    tell(holes, holes->all[0]);
    put_own(holes);
}
