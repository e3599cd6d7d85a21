/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_profile - a profile of what all servers of the cluster have. */
#include <config.h>

#include "server/cluster_profile.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/time_spec.h"
#include "phf/profile_request.h"
#include "server/cluster_cover.h"
#include "server/cluster_missing.h"
#include "server/cluster_profile_leg.h"
#include "server/cluster_rpc.h"
#include "server/shard_divide.h"

#define ANSWER_MS 5000 /* For an answer of a server. */

enum part_state {
    PART_ASKED, /* Which times it has. */
    PART_READY, /* It has said so. */
    PART_COUNTING,
    PART_DONE,
    PART_FAILED
};

/* What one server counts. */
struct part {
    struct cluster_profile *whole;
    char name[SHARD_LEASE_MAX_NAME + 1];
    enum part_state state;
    char *why;       /* It failed.  Owned. */
    bool has_times;  /* It has histories of the range: */
    bool is_damaged; /* Not all of them could be read. */
    uint64_t min_ns, max_ns;
    struct store_vouch vouch;
    json_t *shards; /* To be counted.  Owned; NULL: all. */
};

struct cluster_profile {
    struct cluster_profile_config config;
    json_t *request;              /* Owned reference. */
    struct profile_request asked; /* Owned; its topology too. */
    json_t *numeric;              /* The same in numbers.  Owned. */
    uint64_t since_ns, until_ns;  /* Asked for, or found. */
    struct event *step;           /* Owned. */
    enum { LOOKING, COVERING, COUNTING, ENDING } phase;
    char *id; /* Of this try.  Owned. */
    size_t n_parts;
    struct part *parts;          /* Owned. */
    struct cluster_cover *cover; /* Owned. */
    struct profile *profile;     /* Owned. */
    struct cluster_fan *fan;     /* Owned. */
    json_t *fan_missing;         /* By the fan.  Owned; NULL: none. */
    bool is_truncated;
    struct store_vouch vouch;        /* Of all who answered. */
    struct cluster_missing *missing; /* Owned. */
};

static void
arm(struct cluster_profile *whole)
{
    static const struct timeval at_once = {0, 0};

    event_add(whole->step, &at_once);
}

static void
fail(struct part *part, const char *why)
{
    part->state = PART_FAILED;
    free(part->why);
    part->why = lh_strdup(why ? why : "it does not answer");
    arm(part->whole);
}

static char *
subject_of(const struct part *part)
{
    return lh_asprintf(CLUSTER_PROFILE_SUBJECT "%s", part->name);
}

static void
ask(struct part *part, const char *op, json_t *members, cluster_rpc_fn *done)
{
    char *subject = subject_of(part);

    if (cluster_rpc_ask(part->whole->config.cluster.bus, subject, op, members,
                        ANSWER_MS, done, part)) {
        fail(part, "too much waits for NATS");
    }
    free(subject);
}

/* --- Which times there are ----------------------------------------------- */

static void
on_looked(void *part_, int error_number, const char *why, const json_t *answer)
{
    struct part *part = part_;
    const json_t *min = json_object_get(answer, "min");
    const json_t *has = json_object_get(answer, "has");

    if (error_number) {
        fail(part, error_number == ECONNREFUSED ? NULL : why);
        return;
    }
    part->state = PART_READY;
    part->has_times = json_is_integer(min);
    part->min_ns = (uint64_t) json_integer_value(min);
    part->max_ns =
        (uint64_t) json_integer_value(json_object_get(answer, "max"));
    if (has) {
        /* Whoever cannot say what it has vouches for nothing. */
        store_vouch_read(&part->vouch, has);
    }
    arm(part->whole);
}

static json_t *
time_json(uint64_t ns)
{
    return json_integer(ns < INT64_MAX ? (json_int_t) ns : INT64_MAX);
}

static void
look(struct cluster_profile *whole)
{
    whole->phase = LOOKING;
    free(whole->id);
    whole->id = bus_new_inbox(whole->config.cluster.bus);
    for (size_t i = 0; i < whole->n_parts; i++) {
        struct part *part = &whole->parts[i];

        if (part->state != PART_FAILED) {
            part->state = PART_ASKED;
            ask(part, "look",
                json_pack("{s:o, s:o}", "since",
                          time_json(whole->asked.ask.since_ns), "until",
                          time_json(whole->asked.ask.until_ns)),
                on_looked);
        }
    }
    arm(whole);
}

/* Where the range has an end that nobody named, what there is ends it. */
static bool
find_range(struct cluster_profile *whole)
{
    uint64_t min_ns = UINT64_MAX, max_ns = 0;
    bool is_there = false;

    for (size_t i = 0; i < whole->n_parts; i++) {
        const struct part *part = &whole->parts[i];

        if (part->state == PART_READY && part->has_times) {
            is_there = true;
            min_ns = part->min_ns < min_ns ? part->min_ns : min_ns;
            max_ns = part->max_ns > max_ns ? part->max_ns : max_ns;
        }
    }
    whole->since_ns = whole->asked.has_since || !is_there
                          ? whole->asked.ask.since_ns
                          : min_ns;
    whole->until_ns = whole->asked.has_until ? whole->asked.ask.until_ns
                      : is_there && max_ns >= whole->since_ns
                          ? max_ns + 1
                          : whole->since_ns + 1;
    return is_there;
}

/* --- Who counts what ----------------------------------------------------- */

/* Divides shards among servers; returns from when on that is sure to be all
 * that any of them has. */
static uint64_t
divide(struct cluster_profile *whole)
{
    const struct cluster_fan_cluster *cluster = &whole->config.cluster;
    const struct store_vouch **offers =
        lh_alloc_array(NULL, whole->n_parts + 1, sizeof *offers);
    size_t *who = lh_alloc_array(NULL, cluster->n_stores + 1, sizeof *who);
    struct store_vouch vouch = {.n = 0};
    uint64_t from_ns = whole->since_ns;

    for (size_t i = 0; i < whole->n_parts; i++) {
        whole->parts[i].shards = json_array();
        offers[i] = &whole->parts[i].vouch;
    }
    shard_divide(offers, whole->n_parts, cluster->n_stores, who, &vouch);
    for (uint32_t shard = 0; shard < cluster->n_stores; shard++) {
        if (who[shard] < whole->n_parts) {
            json_array_append_new(whole->parts[who[shard]].shards,
                                  json_integer(shard));
        }
    }
    for (size_t i = 0; i < whole->n_parts; i++) {
        const struct part *part = &whole->parts[i];
        const struct cluster_member *m =
            cluster_members_find(cluster->members, part->name);

        if (part->state == PART_READY && part->has_times) {
            from_ns = !m || !m->disk
                          ? whole->until_ns
                          : cluster_cover_from(whole->cover, &vouch, m->disk,
                                               from_ns, whole->until_ns);
        }
    }
    store_vouch_uninit(&vouch);
    free(offers);
    free(who);
    return from_ns;
}

/* --- Counting ------------------------------------------------------------ */

static void take(struct part *part);

static void
on_taken(void *part_, int error_number, const char *why, const json_t *answer,
         const uint8_t *data, size_t size)
{
    struct part *part = part_;
    const json_t *end = json_object_get(answer, "end");

    if (error_number) {
        fail(part, why);
    } else if (data && profile_add_rows(part->whole->profile, data, size)) {
        fail(part, "its answer cannot be read");
    } else if (end) {
        profile_add_totals(part->whole->profile, end);
        part->is_damaged =
            json_integer_value(json_object_get(end, "damaged")) != 0;
        part->state = PART_DONE;
        arm(part->whole);
    } else {
        take(part);
    }
}

static void
take(struct part *part)
{
    char *subject = subject_of(part);

    if (cluster_rpc_ask_bytes(part->whole->config.cluster.bus, subject, "take",
                              json_pack("{s:s}", "id", part->whole->id),
                              ANSWER_MS, on_taken, part)) {
        fail(part, "too much waits for NATS");
    }
    free(subject);
}

static void
on_started(void *part_, int error_number, const char *why,
           const json_t *answer)
{
    struct part *part = part_;

    if (error_number) {
        fail(part, why);
    } else {
        take(part);
    }
}

static void
start_part(struct part *part, uint64_t from_ns)
{
    json_t *members =
        json_pack("{s:s, s:O, s:o}", "id", part->whole->id, "request",
                  part->whole->numeric, "from", time_json(from_ns));

    if (part->shards) {
        json_object_set(members, "shards", part->shards);
    }
    part->state = PART_COUNTING;
    ask(part, "start", members, on_started);
}

static void
give(void *whole_, const struct history *h)
{
    struct cluster_profile *whole = whole_;

    profile_add_history(whole->profile, h);
}

static bool
is_never_busy(void *whole)
{
    return false;
}

static void
ignore_progress(void *whole, json_t *progress)
{
    json_decref(progress);
}

static void
on_fan_end(void *whole_, json_t *end)
{
    struct cluster_profile *whole = whole_;

    json_object_del(end, "scanned"); /* Counted as they were given. */
    profile_add_totals(whole->profile, end);
    whole->is_truncated = json_is_true(json_object_get(end, "truncated"));
    whole->fan_missing = json_incref(json_object_get(end, "missing"));
    json_decref(end);
    cluster_fan_destroy(whole->fan);
    whole->fan = NULL;
    arm(whole);
}

static void
start_fan(struct cluster_profile *whole, uint64_t until_ns)
{
    const char *phf =
        json_string_value(json_object_get(whole->request, "phf"));
    const struct cluster_fan_config fan = {
        .cluster = whole->config.cluster,
        .phf = phf ? phf : ".*",
        .since_ns = whole->since_ns,
        .until_ns = until_ns,
        .give = give,
        .is_busy = is_never_busy,
        .progress = ignore_progress,
        .end = on_fan_end,
        .aux = whole,
    };

    whole->fan = cluster_fan_create(&fan);
}

/* Makes the profile that all is added to: 0, or EINVAL with the reason. */
static int
make_profile(struct cluster_profile *whole, bool has_times,
             struct lh_error *error)
{
    const struct profile_config config = {.topology = whole->config.topology,
                                          .now_ns = time_spec_now()};
    json_t *request = json_copy(whole->request);
    int retval;

    if (has_times || whole->asked.has_since) {
        json_object_set_new(request, "since", time_json(whole->since_ns));
    }
    if (has_times || whole->asked.has_until) {
        json_object_set_new(request, "until", time_json(whole->until_ns));
    }
    json_object_set_new(whole->numeric, "since", time_json(whole->since_ns));
    json_object_set_new(whole->numeric, "until", time_json(whole->until_ns));
    retval = profile_create(&config, request, &whole->profile, error);
    json_decref(request);
    return retval;
}

static void
count(struct cluster_profile *whole)
{
    bool has_times = find_range(whole);
    uint64_t from_ns = whole->since_ns;
    struct lh_error error;

    error.pos = -1;
    whole->phase = COUNTING;
    if (make_profile(whole, has_times, &error)) {
        whole->config.fail(whole->config.aux, &error);
        return;
    }
    if (whole->cover) {
        from_ns = divide(whole);
    }
    for (size_t i = 0; i < whole->n_parts; i++) {
        struct part *part = &whole->parts[i];

        if (part->state == PART_READY && part->has_times &&
            from_ns < whole->until_ns) {
            start_part(part, from_ns);
        }
    }
    if (has_times && from_ns > whole->since_ns) {
        start_fan(whole, from_ns);
    }
    arm(whole);
}

static void
on_cover(void *whole_)
{
    count(whole_);
}

/* --- The end ------------------------------------------------------------- */

/* Ends what is under way. */
static void
end_try(struct cluster_profile *whole)
{
    struct bus *bus = whole->config.cluster.bus;

    for (size_t i = 0; i < whole->n_parts; i++) {
        struct part *part = &whole->parts[i];

        bus_forget(bus, part);
        if (part->state == PART_COUNTING) {
            char *subject = subject_of(part);

            cluster_rpc_send(bus, subject, "cancel",
                             json_pack("{s:s}", "id", whole->id));
            free(subject);
        }
        store_vouch_uninit(&part->vouch);
        json_decref(part->shards);
        part->shards = NULL;
        part->has_times = part->is_damaged = false;
    }
    cluster_missing_destroy(whole->missing);
    cluster_fan_destroy(whole->fan);
    cluster_cover_destroy(whole->cover);
    profile_destroy(whole->profile);
    json_decref(whole->fan_missing);
    whole->missing = NULL;
    whole->fan = NULL;
    whole->cover = NULL;
    whole->profile = NULL;
    whole->fan_missing = NULL;
}

static void
on_missing(void *whole_, json_t *missing)
{
    struct cluster_profile *whole = whole_;
    struct profile *profile = whole->profile;

    cluster_missing_add(missing, whole->fan_missing);
    whole->profile = NULL;
    whole->config.done(whole->config.aux, profile, missing,
                       whole->is_truncated);
}

static void
find_missing(struct cluster_profile *whole)
{
    const struct cluster_fan_cluster *cluster = &whole->config.cluster;
    const struct cluster_missing_config config = {
        .bus = cluster->bus,
        .members = cluster->members,
        .holes = cluster->holes,
        .n_stores = cluster->n_stores,
        .n_copies = cluster->n_copies,
        .since_ns = whole->asked.ask.since_ns,
        .until_ns = whole->asked.ask.until_ns,
        .vouch = &whole->vouch,
        .done = on_missing,
        .aux = whole,
    };
    struct cluster_missing_part *parts =
        lh_alloc_array(NULL, whole->n_parts + 1, sizeof *parts);
    struct cluster_missing *missing;

    whole->phase = ENDING;
    for (size_t i = 0; i < whole->n_parts; i++) {
        struct part *part = &whole->parts[i];

        parts[i] = (struct cluster_missing_part){part->name, part->why};
        for (size_t k = 0; k < part->vouch.n && !part->is_damaged; k++) {
            store_vouch_add_item(&whole->vouch, &part->vouch.all[k]);
        }
    }
    /* It may be gone after this. */
    missing = cluster_missing_find(&config, parts, whole->n_parts);
    free(parts);
    if (missing) {
        whole->missing = missing;
    }
}

/* --- Steps --------------------------------------------------------------- */

/* Whether a server is in that state, and of those that are to count. */
static bool
has_part(const struct cluster_profile *whole, enum part_state state,
         bool has_times)
{
    for (size_t i = 0; i < whole->n_parts; i++) {
        if (whole->parts[i].state == state &&
            whole->parts[i].has_times >= has_times) {
            return true;
        }
    }
    return false;
}

static void
on_step(evutil_socket_t fd, short what, void *whole_)
{
    struct cluster_profile *whole = whole_;
    const struct cluster_fan_cluster *cluster = &whole->config.cluster;

    if (whole->phase == LOOKING && !has_part(whole, PART_ASKED, false)) {
        if (cluster->n_copies > 1) {
            whole->phase = COVERING;
            whole->cover =
                cluster_cover_create(cluster->bus, cluster->n_stores,
                                     cluster->n_copies, on_cover, whole);
        } else {
            count(whole);
        }
    } else if (whole->phase == COUNTING &&
               has_part(whole, PART_FAILED, true)) {
        end_try(whole);
        look(whole);
    } else if (whole->phase == COUNTING &&
               !has_part(whole, PART_COUNTING, true) && !whole->fan) {
        find_missing(whole);
    }
}

/* --- Life ---------------------------------------------------------------- */

static void
add_parts(struct cluster_profile *whole)
{
    const struct shard_lease *lease = whole->config.cluster.lease;
    size_t n = shard_lease_n_known(lease);

    whole->parts = lh_alloc_zero((n + 1) * sizeof *whole->parts);
    for (size_t i = 0; i < n; i++) {
        struct part *part = &whole->parts[whole->n_parts];
        struct shard_lease_server server;

        shard_lease_get_server(lease, i, &server);
        if (server.is_alive) {
            part->whole = whole;
            memcpy(part->name, server.name, strlen(server.name));
            whole->n_parts++;
        }
    }
}

int
cluster_profile_create(const struct cluster_profile_config *config,
                       const json_t *request, struct cluster_profile **wholep,
                       struct lh_error *error)
{
    struct cluster_profile *whole = lh_alloc_zero(sizeof *whole);
    struct profile_request_names names = {config->topology, time_spec_now()};
    bool is_filter;
    int retval;

    whole->config = *config;
    whole->request = json_deep_copy(request);
    whole->asked.ask.topology =
        config->topology ? topology_ref(config->topology) : NULL;
    whole->config.topology = whole->asked.ask.topology;
    whole->step =
        evtimer_new(bus_get_base(config->cluster.bus), on_step, whole);
    retval = profile_request_read(&whole->asked, request, &names, &is_filter,
                                  error);
    if (retval) {
        cluster_profile_destroy(whole);
        *wholep = NULL;
        return retval;
    }
    whole->numeric = profile_request_numeric(&whole->asked, request);
    add_parts(whole);
    look(whole);
    *wholep = whole;
    return 0;
}

void
cluster_profile_destroy(struct cluster_profile *whole)
{
    if (!whole) {
        return;
    }
    end_try(whole);
    for (size_t i = 0; i < whole->n_parts; i++) {
        free(whole->parts[i].why);
    }
    event_free(whole->step);
    store_vouch_uninit(&whole->vouch);
    profile_request_uninit(&whole->asked);
    json_decref(whole->numeric);
    json_decref(whole->request);
    free(whole->parts);
    free(whole->id);
    free(whole);
}
