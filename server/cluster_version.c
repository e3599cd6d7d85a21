/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_version - which version of the messages a cluster speaks. */
#include <config.h>

#include "server/cluster_version.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bus_kv.h"
#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "server/cluster_setup.h"

#define KEY        "config"
#define SILENCE_MS 2000
#define TIMEOUT_MS 4000

struct cluster_version {
    struct cluster_version_config config;
    struct bus_kv_watch *watch; /* Owned. */
    struct cluster_config has;  /* As the key says, */
    uint64_t revision;          /* and its revision; 0: not known. */
    uint32_t readable;          /* Since 'since_ms' all know it. */
    int64_t since_ms;
    bool is_putting;
    bool is_refused;
};

static void
refuse(struct cluster_version *v, const struct lh_error *why)
{
    if (!v->is_refused) {
        v->is_refused = true;
        v->config.on_refused(v->config.aux, why);
    }
}

static void
on_watch(void *v_, enum bus_kv_event event, const char *why,
         const struct bus_kv_entry *entry)
{
    struct cluster_version *v = v_;
    struct cluster_config has;
    struct lh_error error;

    if (event != BUS_KV_ENTRY || entry->is_deleted) {
        v->revision = event == BUS_KV_COMPLETE ? v->revision : 0;
        return;
    }
    if (cluster_config_read(&has, entry->data, entry->size, &error)) {
        say_warn("cluster: %s", error.text);
        v->revision = 0;
        return;
    }
    v->has = has;
    v->revision = entry->revision;
    if (has.wire == v->config.wire) {
        return;
    }
    if (cluster_config_compare(&has, &v->config.own, &error)) {
        lh_error_prefix(&error, "--cluster");
        refuse(v, &error);
        return;
    }
    say_info("cluster: version %u is spoken on the bus, not %u any more",
             has.wire, v->config.wire);
    v->config.wire = has.wire;
    v->config.on_change(v->config.aux, has.wire);
}

static void
on_put(void *v_, int error_number, const char *why, uint64_t revision,
       bool was_there)
{
    struct cluster_version *v = v_;

    /* Whoever was quicker, and whatever came of it, the watch tells. */
    v->is_putting = false;
}

static void
raise_to(struct cluster_version *v, uint32_t wire)
{
    struct cluster_config config = v->has;
    json_t *json;
    char *text;

    config.wire = wire;
    json = cluster_config_to_json(&config);
    text = json_dumps(json, JSON_COMPACT);
    v->is_putting =
        !bus_kv_put(v->config.bus, CLUSTER_BUCKET_META, KEY, text,
                    strlen(text), v->revision, TIMEOUT_MS, on_put, v, NULL);
    free(text);
    json_decref(json);
}

void
cluster_version_look(struct cluster_version *v, uint32_t readable,
                     int64_t now_ms)
{
    if (readable != v->readable) {
        v->readable = readable;
        v->since_ms = now_ms;
    }
    if (v->revision && !v->is_putting && !v->is_refused &&
        readable > v->has.wire &&
        now_ms - v->since_ms >= CLUSTER_VERSION_PATIENCE_MS) {
        raise_to(v, readable);
    }
}

struct cluster_version *
cluster_version_create(const struct cluster_version_config *config)
{
    struct cluster_version *v = lh_alloc_zero(sizeof *v);

    v->config = *config;
    v->watch = bus_kv_watch(config->bus, CLUSTER_BUCKET_META, KEY, SILENCE_MS,
                            on_watch, v);
    return v;
}

void
cluster_version_destroy(struct cluster_version *v)
{
    if (v) {
        bus_forget(v->config.bus, v);
        bus_kv_unwatch(v->watch);
        free(v);
    }
}
