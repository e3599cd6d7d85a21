/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_setup - makes what a cluster needs in NATS. */
#include <config.h>

#include "server/cluster_setup.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_urls.h"
#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "server/shard_lease.h"

#define TIMEOUT_MS   4000
#define AGAIN_MS     500
#define BUCKET_BYTES (UINT64_C(256) << 20)
/* No message is longer: of postcards, histories or a snapshot. */
#define MAX_PAYLOAD (UINT64_C(1) << 20)

enum step {
    STEP_POSTCARDS,
    STEP_SNAPSHOTS,
    STEP_HISTORIES,
    STEP_COMMIT_1,
    STEP_COMMIT_2,
    STEP_META,
    STEP_GET_CONFIG,
    STEP_PUT_CONFIG,
    STEP_DONE
};

struct cluster_setup {
    struct cluster_setup_config config;
    struct event *again; /* Owned. */
    enum step step;
    bool is_update;    /* Of a stream that is there with other limits. */
    char trouble[480]; /* "": none. */
};

static void
arm(struct cluster_setup *s, int ms)
{
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    event_add(s->again, &tv);
}

/* Tries the step again in a moment, and says why, if that is new. */
static void
try_again(struct cluster_setup *s, const char *why)
{
    if (strncmp(s->trouble, why, sizeof s->trouble - 1) != 0) {
        char *urls = bus_urls_shown(s->config.options->urls);

        snprintf(s->trouble, sizeof s->trouble, "%s", why);
        say_warn("cluster: waiting for NATS at %s: %s", urls, why);
        free(urls);
    }
    arm(s, AGAIN_MS);
}

static void
next(struct cluster_setup *s, enum step step)
{
    s->step = step;
    s->is_update = false;
    arm(s, 0);
}

static void
end(struct cluster_setup *s, const struct cluster_config *has)
{
    struct lh_error error;

    s->step = STEP_DONE;
    s->trouble[0] = '\0';
    if (cluster_config_compare(has, &s->config.own, &error)) {
        lh_error_prefix(&error, "--cluster");
        s->config.on_refused(s->config.aux, &error);
    } else {
        s->config.on_ready(s->config.aux, has);
    }
}

/* --- Streams and buckets ------------------------------------------------- */

static const struct {
    const char *name, *subjects;
} streams[] = {
    [STEP_POSTCARDS] = {CLUSTER_STREAM_POSTCARDS, "lh.1.*"},
    [STEP_SNAPSHOTS] = {CLUSTER_STREAM_SNAPSHOTS, "lh.s.*"},
    [STEP_HISTORIES] = {CLUSTER_STREAM_HISTORIES, "lh.2.*"},
};

static const char *const buckets[] = {
    [STEP_COMMIT_1] = CLUSTER_BUCKET_COMMIT_1,
    [STEP_COMMIT_2] = CLUSTER_BUCKET_COMMIT_2,
    [STEP_META] = CLUSTER_BUCKET_META,
};

static uint64_t
stream_bytes(const struct cluster_options *o)
{
    return o->n_bytes ? o->n_bytes : CLUSTER_OPTIONS_BYTES;
}

/* What NATS does not want to make, and what to do about it. */
static void
say_not_made(struct cluster_setup *s, const char *why)
{
    const struct cluster_options *o = s->config.options;
    bool is_stream = s->step <= STEP_HISTORIES;
    struct lh_error text;

    lh_error_set(&text,
                 "the %s %s of %" PRIu64 " MB%s and --bus-replicas %" PRIu32
                 ": %s%s",
                 is_stream ? "stream" : "bucket",
                 is_stream ? streams[s->step].name : buckets[s->step],
                 (is_stream ? stream_bytes(o) : BUCKET_BYTES) >> 20,
                 is_stream ? " (--cluster-bytes)" : "",
                 o->bus_replicas ? o->bus_replicas : 1, why,
                 strstr(why, "insufficient storage")
                     ? "; max_file of its jetstream must have room for three "
                       "times --cluster-bytes and 1 GB more"
                     : "");
    try_again(s, text.text);
}

static void
on_made(void *s_, int error_number, const char *why)
{
    struct cluster_setup *s = s_;
    bool is_stream = s->step <= STEP_HISTORIES;
    const struct cluster_options *o = s->config.options;

    if (error_number == EEXIST && is_stream && !s->is_update &&
        (o->n_bytes || o->bus_replicas)) {
        s->is_update = true; /* It was asked for. */
        arm(s, 0);
    } else if (error_number && error_number != EEXIST) {
        s->is_update = false;
        say_not_made(s, why);
    } else {
        next(s, s->step + 1);
    }
}

static int
make_stream(struct cluster_setup *s, struct lh_error *error)
{
    const struct cluster_options *o = s->config.options;
    const struct bus_stream_config config = {
        .name = streams[s->step].name,
        .subjects = streams[s->step].subjects,
        .max_bytes = stream_bytes(o),
        .replicas = o->bus_replicas,
        .discards_new = true,
    };

    return (s->is_update ? bus_stream_update : bus_stream_create)(
        s->config.bus, &config, TIMEOUT_MS, on_made, s, error);
}

static int
make_bucket(struct cluster_setup *s, struct lh_error *error)
{
    const struct bus_kv_config config = {
        .bucket = buckets[s->step],
        .max_bytes = BUCKET_BYTES,
        .replicas = s->config.options->bus_replicas,
    };

    return bus_kv_create(s->config.bus, &config, TIMEOUT_MS, on_made, s,
                         error);
}

/* --- The configuration --------------------------------------------------- */

static void
on_config(void *s_, int error_number, const char *why,
          const struct bus_kv_entry *entry)
{
    struct cluster_setup *s = s_;
    struct cluster_config has;
    struct lh_error error;

    if (error_number == ENOENT || (!error_number && entry->is_deleted)) {
        next(s, STEP_PUT_CONFIG);
    } else if (error_number) {
        try_again(s, why);
    } else if (cluster_config_read(&has, entry->data, entry->size, &error)) {
        s->step = STEP_DONE;
        s->config.on_refused(s->config.aux, &error);
    } else {
        end(s, &has);
    }
}

static void
on_put(void *s_, int error_number, const char *why, uint64_t revision,
       bool was_there)
{
    struct cluster_setup *s = s_;

    if (error_number && error_number != ESTALE) {
        try_again(s, why);
    } else {
        /* What it is now: another server may have been quicker. */
        next(s, STEP_GET_CONFIG);
    }
}

static int
put_config(struct cluster_setup *s, struct lh_error *error)
{
    struct cluster_config config = s->config.own;
    json_t *json;
    char *text;
    int retval;

    config.wire = config.wire_max;
    if (!config.n_shards) {
        config.n_shards = CLUSTER_OPTIONS_SHARDS;
    }
    if (!config.n_copies) {
        config.n_copies = 1;
    }
    if (!config.lease_ms) {
        config.lease_ms = SHARD_LEASE_MS;
    }
    json = cluster_config_to_json(&config);
    text = json_dumps(json, JSON_COMPACT);
    retval =
        bus_kv_put(s->config.bus, CLUSTER_BUCKET_META, "config", text,
                   strlen(text), BUS_KV_ABSENT, TIMEOUT_MS, on_put, s, error);
    free(text);
    json_decref(json);
    return retval;
}

/* Whether NATS takes messages as long as they may be here. */
static bool
has_payload(const struct cluster_setup *s, struct lh_error *error)
{
    struct bus_counters n;

    bus_get_counters(s->config.bus, &n);
    if (!n.wire.max_payload || n.wire.max_payload >= MAX_PAYLOAD) {
        return true;
    }
    lh_error_set(error,
                 "max_payload of nats-server is %" PRIu64
                 " bytes, and %" PRIu64
                 " are needed: raise it there to 1MB, which is its default",
                 n.wire.max_payload, MAX_PAYLOAD);
    return false;
}

/* --- Life ---------------------------------------------------------------- */

static void
go_on(struct cluster_setup *s)
{
    struct lh_error error;
    int retval = 0;

    if (!has_payload(s, &error)) {
        retval = EMSGSIZE;
    } else if (s->step < STEP_COMMIT_1) {
        retval = make_stream(s, &error);
    } else if (s->step < STEP_GET_CONFIG) {
        retval = make_bucket(s, &error);
    } else if (s->step == STEP_GET_CONFIG) {
        retval = bus_kv_get(s->config.bus, CLUSTER_BUCKET_META, "config",
                            TIMEOUT_MS, on_config, s, &error);
    } else if (s->step == STEP_PUT_CONFIG) {
        retval = put_config(s, &error);
    }
    if (retval) {
        try_again(s, error.text);
    }
}

static void
on_again(evutil_socket_t fd, short what, void *s)
{
    go_on(s);
}

struct cluster_setup *
cluster_setup_create(const struct cluster_setup_config *config)
{
    struct cluster_setup *s = lh_alloc_zero(sizeof *s);

    s->config = *config;
    s->again = evtimer_new(bus_get_base(config->bus), on_again, s);
    arm(s, 0);
    return s;
}

void
cluster_setup_destroy(struct cluster_setup *s)
{
    if (s) {
        bus_forget(s->config.bus, s);
        event_free(s->again);
        free(s);
    }
}

const char *
cluster_setup_trouble(const struct cluster_setup *s)
{
    return *s->trouble ? s->trouble : NULL;
}
