/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_missing - which servers an answer of a cluster lacks. */
#include <config.h>

#include "server/cluster_missing.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "server/cluster_cover.h"

/* A server tells about once a second up to when it has histories: when it died
 * it had some that it did not tell of. */
#define UNTOLD_NS UINT64_C(5000000000)

struct cluster_missing {
    struct cluster_missing_config config;
    json_t *list;                /* Owned reference. */
    struct cluster_cover *cover; /* Owned. */
};

static json_t *
time_json(const struct cluster_member *m, uint64_t ns)
{
    return m && ns ? json_integer((json_int_t) ns) : json_null();
}

static void
add(json_t *list, const char *name, const struct cluster_member *m,
    const char *why)
{
    json_array_append_new(
        list, json_pack("{s:s, s:o, s:o, s:s}", "server", name, "since_ns",
                        time_json(m, m ? m->since_ns : 0), "until_ns",
                        time_json(m, m ? m->until_ns : 0), "why", why));
}

static bool
is_asked(const struct cluster_missing_part *parts, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(parts[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* All of them, whatever others have. */
static json_t *
list_all(const struct cluster_missing_config *config,
         const struct cluster_missing_part *parts, size_t n)
{
    const struct cluster_members *members = config->members;
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        if (parts[i].why) {
            add(list, parts[i].name,
                cluster_members_find(members, parts[i].name), parts[i].why);
        }
    }
    for (size_t i = 0; i < cluster_members_n(members); i++) {
        const struct cluster_member *m = cluster_members_get(members, i);

        if (m->since_ns && m->since_ns < config->until_ns &&
            m->until_ns + UNTOLD_NS >= config->since_ns &&
            !is_asked(parts, n, m->name)) {
            add(list, m->name, m, "it is not running");
        }
    }
    return list;
}

/* Whether those who answered have all that the server has of these times. */
static bool
is_covered(const struct cluster_missing *missing, const char *name)
{
    const struct cluster_missing_config *config = &missing->config;
    const struct cluster_member *m =
        cluster_members_find(config->members, name);
    uint64_t oldest_ns, since_ns = config->since_ns;

    if (!m || !m->disk) {
        return false;
    }
    oldest_ns = cluster_cover_oldest(missing->cover, m->disk);
    /* It has something that records do not tell of: from before there was this
     * cluster. */
    if (m->since_ns && m->since_ns < oldest_ns && since_ns < oldest_ns) {
        return false;
    }
    /* What it removed itself nobody misses. */
    if (m->since_ns > since_ns) {
        since_ns = m->since_ns;
    }
    return since_ns >= config->until_ns ||
           cluster_cover_from(missing->cover, config->vouch, m->disk, since_ns,
                              config->until_ns) == since_ns;
}

/* Adds what is lost whoever answers. */
static void
give(const struct cluster_missing_config *config, json_t *list)
{
    if (config->holes) {
        cluster_holes_list(config->holes, config->since_ns, config->until_ns,
                           list);
    }
    config->done(config->aux, list);
}

static void
on_cover(void *missing_)
{
    struct cluster_missing *missing = missing_;
    json_t *list = json_array();
    size_t i;
    json_t *one;

    json_array_foreach(missing->list, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "server"));

        if (!is_covered(missing, name)) {
            json_array_append(list, one);
        }
    }
    give(&missing->config, list);
}

struct cluster_missing *
cluster_missing_find(const struct cluster_missing_config *config,
                     const struct cluster_missing_part *parts, size_t n)
{
    json_t *list = list_all(config, parts, n);
    struct cluster_missing *missing;

    if (!json_array_size(list) || config->n_copies < 2) {
        give(config, list);
        return NULL;
    }
    missing = lh_alloc_zero(sizeof *missing);
    missing->config = *config;
    missing->list = list;
    missing->cover = cluster_cover_create(config->bus, config->n_stores,
                                          config->n_copies, on_cover, missing);
    return missing;
}

void
cluster_missing_destroy(struct cluster_missing *missing)
{
    if (missing) {
        cluster_cover_destroy(missing->cover);
        json_decref(missing->list);
        free(missing);
    }
}

/* Whether they name the same server, or are the same hole. */
static bool
is_same(const json_t *a, const json_t *b)
{
    if (json_object_get(a, "what") || json_object_get(b, "what")) {
        return json_equal(a, b);
    }
    return json_equal(json_object_get(a, "server"),
                      json_object_get(b, "server"));
}

void
cluster_missing_add(json_t *list, const json_t *other)
{
    json_t *one, *listed;
    size_t i, j;

    json_array_foreach(other, i, one)
    {
        bool is_there = false;

        json_array_foreach(list, j, listed)
        {
            is_there = is_there || is_same(one, listed);
        }
        if (!is_there) {
            json_array_append(list, one);
        }
    }
}
