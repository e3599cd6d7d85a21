/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_profile_leg - this server's part of profiles of others. */
#include <config.h>

#include "server/cluster_profile_leg.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/byte_buf.h"
#include "lib/crew.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/time_spec.h"
#include "phf/profile.h"
#include "server/cluster_rpc.h"

#define SILENCE_MS 10000 /* Of an asker. */
#define MAX_SHARDS 65536

struct leg {
    char *id;                      /* Owned. */
    struct profile *profile;       /* Owned. */
    size_t next;                   /* Row. */
    bool is_over;                  /* All was taken. */
    struct cluster_rpc_call *call; /* Waits for a piece; or NULL. */
    int64_t heard_ms;
};

struct cluster_profile_legs {
    struct cluster_legs_config config;
    struct cluster_rpc *rpc;  /* Owned. */
    struct crew *crew;        /* NULL: none.  Owned. */
    struct event *crew_event; /* It has done something.  Owned. */
    struct event *beat;       /* Owned. */
    size_t n;
    struct leg *all[CLUSTER_PROFILE_MAX]; /* Owned. */
    struct cluster_legs_counters counters;
};

static void
remove_leg(struct cluster_profile_legs *legs, size_t i)
{
    struct leg *leg = legs->all[i];

    legs->all[i] = legs->all[--legs->n];
    if (leg->call) {
        cluster_rpc_fail(leg->call, ECANCELED, "it was cancelled");
    }
    profile_destroy(leg->profile);
    free(leg->id);
    free(leg);
}

static struct leg *
find(const struct cluster_profile_legs *legs, const char *id, size_t *i)
{
    for (*i = 0; *i < legs->n; ++*i) {
        if (!strcmp(legs->all[*i]->id, id)) {
            return legs->all[*i];
        }
    }
    return NULL;
}

/* --- Pieces -------------------------------------------------------------- */

/* Answers who waits for a piece, if there is one. */
static void
answer(struct leg *leg)
{
    struct cluster_rpc_call *call = leg->call;
    struct byte_buf rows = BYTE_BUF_INIT;
    size_t next;

    if (!call || !profile_is_done(leg->profile)) {
        return;
    }
    leg->call = NULL;
    next = profile_put_rows(leg->profile, leg->next, &rows);
    leg->is_over = next == leg->next;
    if (leg->is_over) {
        cluster_rpc_answer(
            call, json_pack("{s:o}", "end", profile_answer(leg->profile)));
    } else {
        leg->next = next;
        cluster_rpc_answer_bytes(call, rows.data, rows.len);
    }
    byte_buf_uninit(&rows);
}

static void
on_crew(evutil_socket_t fd, short what, void *legs_)
{
    struct cluster_profile_legs *legs = legs_;
    struct crew_job *job;

    while ((job = crew_take(legs->crew)) != NULL) {
        profile_take(job);
    }
    for (size_t i = 0; i < legs->n; i++) {
        answer(legs->all[i]);
    }
}

static void
on_beat(evutil_socket_t fd, short what, void *legs_)
{
    struct cluster_profile_legs *legs = legs_;
    int64_t now = monotonic_ms();

    for (size_t i = legs->n; i-- > 0;) {
        struct leg *leg = legs->all[i];

        if (leg->call) {
            cluster_rpc_answer(leg->call, NULL);
            leg->call = NULL;
        } else if (leg->is_over || now - leg->heard_ms > SILENCE_MS) {
            legs->counters.silent += !leg->is_over;
            remove_leg(legs, i);
        }
    }
}

/* --- Questions ----------------------------------------------------------- */

static void
free_pending(struct profile_config *config)
{
    for (size_t i = 0; i < config->n_pending; i++) {
        free(config->pending[i].payload);
    }
    free(config->pending);
}

/* A time that is asked for. */
static uint64_t
get_time(const json_t *request, const char *key, uint64_t otherwise)
{
    const json_t *time = json_object_get(request, key);

    return json_is_integer(time) && json_integer_value(time) >= 0
               ? (uint64_t) json_integer_value(time)
               : otherwise;
}

struct times {
    bool is_there;
    uint64_t since_ns, until_ns; /* Asked for. */
    uint64_t min_ns, max_ns;
};

static void
add_times(struct times *times, uint64_t min_ns, uint64_t max_ns)
{
    if (max_ns >= times->since_ns && min_ns < times->until_ns) {
        times->min_ns = !times->is_there || min_ns < times->min_ns
                            ? min_ns
                            : times->min_ns;
        times->max_ns = !times->is_there || max_ns > times->max_ns
                            ? max_ns
                            : times->max_ns;
        times->is_there = true;
    }
}

/* Says what times there are, and what is vouched for. */
static void
look(struct cluster_profile_legs *legs, struct cluster_rpc_call *call,
     const json_t *request)
{
    struct times times = {.since_ns = get_time(request, "since", 0),
                          .until_ns = get_time(request, "until", UINT64_MAX)};
    struct profile_config config = {.n_pending = 0};
    json_t *told, *has;
    struct lh_error error;
    int retval = queries_look(legs->config.queries, &config.reader,
                              &config.pending, &config.n_pending, &error);

    if (retval == ENOENT) {
        cluster_rpc_answer(call, NULL); /* No shard was ever stored here. */
        return;
    } else if (retval) {
        cluster_rpc_fail(call, retval, error.text);
        return;
    }
    for (size_t i = 0; i < archive_reader_n_blocks(config.reader); i++) {
        const struct archive_block *b =
            &archive_reader_entry(config.reader, i)->block;

        if (b->kind == ARCHIVE_HISTORIES || b->kind == ARCHIVE_COLUMNS) {
            add_times(&times, b->min_ns, b->max_ns);
        }
    }
    for (size_t i = 0; i < config.n_pending; i++) {
        if (config.pending[i].len) {
            add_times(&times, config.pending[i].min_ns,
                      config.pending[i].max_ns);
        }
    }
    free_pending(&config);
    told = json_object();
    has = legs->config.vouch(legs->config.aux, config.reader);
    if (has) {
        json_object_set_new(told, "has", has);
    }
    if (times.is_there) {
        json_object_set_new(told, "min",
                            json_integer((json_int_t) times.min_ns));
        json_object_set_new(told, "max",
                            json_integer((json_int_t) times.max_ns));
    }
    cluster_rpc_answer(call, told);
}

/* The shards that are asked for, for free(); false: that is no list. */
static bool
read_shards(const json_t *list, uint32_t **shards, size_t *n)
{
    *shards = NULL;
    *n = 0;
    if (!list) {
        return true;
    }
    if (!json_is_array(list) || json_array_size(list) > MAX_SHARDS) {
        return false;
    }
    *shards = lh_alloc_zero((json_array_size(list) + 1) * sizeof **shards);
    for (; *n < json_array_size(list); ++*n) {
        json_int_t shard = json_integer_value(json_array_get(list, *n));

        if (shard < 0 || shard >= MAX_SHARDS) {
            free(*shards);
            return false;
        }
        (*shards)[*n] = (uint32_t) shard;
    }
    return true;
}

static void
start(struct cluster_profile_legs *legs, struct cluster_rpc_call *call,
      const json_t *request, const char *id)
{
    struct queries *queries = legs->config.queries;
    struct profile_config config = {.topology = queries_topology(queries),
                                    .now_ns = time_spec_now(),
                                    .is_part = true,
                                    .from_ns = get_time(request, "from", 0)};
    struct profile *profile;
    struct lh_error error;
    uint32_t *shards;
    struct leg *leg;
    int retval;

    if (legs->n == CLUSTER_PROFILE_MAX) {
        cluster_rpc_fail(call, EBUSY, "too many profiles are made there");
        return;
    }
    if (!json_is_object(json_object_get(request, "request"))) {
        cluster_rpc_fail(call, EINVAL, "no request is there");
        return;
    }
    if (!read_shards(json_object_get(request, "shards"), &shards,
                     &config.n_shards)) {
        cluster_rpc_fail(call, EINVAL, "shards: not a list of numbers");
        return;
    }
    config.shards = shards;
    retval = queries_look(queries, &config.reader, &config.pending,
                          &config.n_pending, &error);
    if (!retval) {
        retval = profile_create(&config, json_object_get(request, "request"),
                                &profile, &error);
        if (retval) {
            free_pending(&config);
        }
    }
    free(shards);
    if (retval) {
        cluster_rpc_fail(call, retval, error.text);
        return;
    }
    leg = lh_alloc_zero(sizeof *leg);
    leg->id = lh_strdup(id);
    leg->profile = profile;
    leg->heard_ms = monotonic_ms();
    legs->all[legs->n++] = leg;
    profile_start(profile, legs->crew);
    cluster_rpc_answer(call, NULL);
}

static void
take(struct leg *leg, struct cluster_rpc_call *call)
{
    leg->heard_ms = monotonic_ms();
    if (leg->call) {
        cluster_rpc_fail(leg->call, EBUSY, "asked twice");
    }
    leg->call = call;
    answer(leg);
}

static void
on_asked(void *legs_, struct cluster_rpc_call *call, const char *op,
         const json_t *request)
{
    struct cluster_profile_legs *legs = legs_;
    const char *id = json_string_value(json_object_get(request, "id"));
    size_t i = 0;
    struct leg *leg = id ? find(legs, id, &i) : NULL;

    if (!strcmp(op, "look")) {
        look(legs, call, request);
    } else if (!id) {
        cluster_rpc_fail(call, EINVAL, "no profile is named");
    } else if (!strcmp(op, "start") && !leg) {
        start(legs, call, request, id);
    } else if (!strcmp(op, "take") && leg) {
        take(leg, call);
    } else if (!strcmp(op, "cancel") && leg) {
        legs->counters.cancelled += !leg->is_over;
        remove_leg(legs, i);
        cluster_rpc_answer(call, NULL);
    } else {
        cluster_rpc_fail(call, ENOENT, "there is no such profile");
    }
}

/* --- Life ---------------------------------------------------------------- */

struct cluster_profile_legs *
cluster_profile_legs_create(const struct cluster_legs_config *config,
                            unsigned int n_threads)
{
    static const struct timeval beat = {.tv_usec =
                                            CLUSTER_PROFILE_BEAT_MS * 1000};
    struct cluster_profile_legs *legs = lh_alloc_zero(sizeof *legs);
    struct event_base *base = bus_get_base(config->bus);
    char *subject = lh_asprintf(CLUSTER_PROFILE_SUBJECT "%s", config->name);

    legs->config = *config;
    legs->crew = n_threads ? crew_create(n_threads, CREW_BACKGROUND) : NULL;
    if (legs->crew) {
        legs->crew_event = event_new(base, crew_fd(legs->crew),
                                     EV_READ | EV_PERSIST, on_crew, legs);
        event_add(legs->crew_event, NULL);
    }
    legs->rpc = cluster_rpc_create(config->bus, subject, on_asked, legs);
    legs->beat = event_new(base, -1, EV_PERSIST, on_beat, legs);
    event_add(legs->beat, &beat);
    free(subject);
    return legs;
}

void
cluster_profile_legs_collect(const struct cluster_profile_legs *legs,
                             struct cluster_legs_counters *counters)
{
    counters->cancelled += legs->counters.cancelled;
    counters->silent += legs->counters.silent;
}

void
cluster_profile_legs_destroy(struct cluster_profile_legs *legs)
{
    if (!legs) {
        return;
    }
    while (legs->n) {
        remove_leg(legs, 0);
    }
    while (legs->crew && crew_n_jobs(legs->crew)) {
        struct crew_job *job = crew_take(legs->crew);

        if (job) {
            profile_take(job);
        } else {
            crew_wait(legs->crew, -1);
        }
    }
    if (legs->crew) {
        event_free(legs->crew_event);
        crew_destroy(legs->crew);
    }
    cluster_rpc_destroy(legs->rpc);
    event_free(legs->beat);
    free(legs);
}
