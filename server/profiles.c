/* SPDX-License-Identifier: Apache-2.0 */
/* profiles - the requests `profile` of all clients. */
#include <config.h>

#include "server/profiles.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "lib/crew.h"
#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "phf/phf.h"
#include "phf/profile.h"
#include "server/cluster_profile.h"
#include "server/filter_right.h"

/* One of them. */
struct running {
    struct profiles *profiles;
    struct api_call *call;
    struct api_peer *peer;         /* NULL: gone. */
    struct cluster_profile *whole; /* Asks all servers; or NULL.  Owned. */
    struct profile *profile;       /* NULL: not yet.  Owned. */
    json_t *missing;               /* Of a cluster's.  Owned. */
    bool is_truncated;
};

struct profiles {
    struct queries *queries;
    const struct cluster *cluster;
    struct event *sweep;      /* Some have no client any more.  Owned. */
    struct crew *crew;        /* NULL: none.  Owned. */
    struct event *crew_event; /* It has done something.  Owned. */
    size_t n;
    struct running *all[PROFILES_MAX]; /* Owned. */
};

/* Its call has been answered. */
static void
forget(struct running *running)
{
    struct profiles *profiles = running->profiles;
    size_t i = 0;

    while (profiles->all[i] != running) {
        i++;
    }
    profiles->all[i] = profiles->all[--profiles->n];
    cluster_profile_destroy(running->whole);
    profile_destroy(running->profile);
    json_decref(running->missing);
    free(running);
}

static json_t *
answer_of(const struct running *running)
{
    json_t *answer = profile_answer(running->profile);

    if (running->missing) {
        json_object_set(answer, "missing", running->missing);
        json_object_set_new(answer, "truncated",
                            json_boolean(running->is_truncated));
    }
    return answer;
}

/* Answers and forgets those that are done. */
static void
answer_done(struct profiles *profiles)
{
    for (size_t i = profiles->n; i-- > 0;) {
        struct running *running = profiles->all[i];

        if (running->profile && profile_is_done(running->profile)) {
            api_call_answer(running->call, answer_of(running));
            forget(running);
        }
    }
}

/* Ends those whose client went while servers were asked. */
static void
on_sweep(evutil_socket_t fd, short what, void *profiles_)
{
    struct profiles *profiles = profiles_;

    for (size_t i = profiles->n; i-- > 0;) {
        struct running *running = profiles->all[i];

        if (!running->peer && running->whole) {
            api_call_fail(running->call, API_UNAVAILABLE, "nobody waits");
            forget(running);
        }
    }
}

static void
on_crew(evutil_socket_t fd, short what, void *profiles_)
{
    struct profiles *profiles = profiles_;
    struct crew_job *job;

    while ((job = crew_take(profiles->crew)) != NULL) {
        profile_take(job);
    }
    answer_done(profiles);
}

struct profiles *
profiles_create(struct event_base *base, struct queries *queries,
                const struct cluster *cluster, unsigned int n_threads)
{
    struct profiles *profiles = lh_alloc_zero(sizeof *profiles);

    profiles->queries = queries;
    profiles->cluster = cluster;
    profiles->sweep = evtimer_new(base, on_sweep, profiles);
    profiles->crew =
        n_threads ? crew_create(n_threads, CREW_BACKGROUND) : NULL;
    if (profiles->crew) {
        profiles->crew_event =
            event_new(base, crew_fd(profiles->crew), EV_READ | EV_PERSIST,
                      on_crew, profiles);
        event_add(profiles->crew_event, NULL);
    } else if (n_threads) {
        say_warn("no thread could be made for profiles: each holds the "
                 "server up");
    }
    return profiles;
}

void
profiles_end(struct profiles *profiles)
{
    while (profiles && profiles->n) {
        api_call_fail(profiles->all[0]->call, API_UNAVAILABLE,
                      "the server ends");
        forget(profiles->all[0]);
    }
}

void
profiles_destroy(struct profiles *profiles)
{
    if (profiles) {
        profiles_end(profiles);
        while (profiles->crew && crew_n_jobs(profiles->crew)) {
            struct crew_job *job = crew_take(profiles->crew);

            if (job) {
                profile_take(job);
            } else {
                crew_wait(profiles->crew, -1);
            }
        }
        if (profiles->crew) {
            event_free(profiles->crew_event);
            crew_destroy(profiles->crew);
        }
        event_free(profiles->sweep);
        free(profiles);
    }
}

static size_t
count_of(const struct profiles *profiles, const struct api_peer *peer)
{
    size_t n = 0;

    for (size_t i = 0; i < profiles->n; i++) {
        n += profiles->all[i]->peer == peer;
    }
    return n;
}

static void
handle_again(struct api_call *call, const json_t *request, void *profiles_)
{
    struct profiles *profiles = profiles_;

    profiles_handle(profiles, call, request,
                    queries_topology(profiles->queries));
}

static struct running *
add(struct profiles *profiles, struct api_call *call)
{
    struct running *running = lh_alloc_zero(sizeof *running);

    running->profiles = profiles;
    running->call = call;
    running->peer = api_call_peer(call);
    profiles->all[profiles->n++] = running;
    return running;
}

/* --- Of a cluster -------------------------------------------------------- */

static void
on_whole(void *running_, struct profile *profile, json_t *missing,
         bool is_truncated)
{
    struct running *running = running_;
    struct profiles *profiles = running->profiles;

    cluster_profile_destroy(running->whole);
    running->whole = NULL;
    running->profile = profile;
    running->missing = missing;
    running->is_truncated = is_truncated;
    profile_start(profile, profiles->crew);
    answer_done(profiles);
}

static void
on_fail(void *running_, const struct lh_error *error)
{
    struct running *running = running_;

    api_call_fail_error(running->call, API_BAD_REQUEST, error);
    forget(running);
}

static void
ask_all(struct profiles *profiles, struct api_call *call,
        const json_t *request, const struct topology *topology)
{
    const struct cluster_fan_cluster *servers =
        cluster_get_servers(profiles->cluster);
    struct cluster_profile_config config = {
        .topology = topology,
        .done = on_whole,
        .fail = on_fail,
    };
    struct running *running;
    struct lh_error error;

    if (!servers) {
        api_call_fail(call, API_UNAVAILABLE,
                      "this server waits for NATS to join its cluster");
        return;
    }
    config.cluster = *servers;
    running = add(profiles, call);
    config.aux = running;
    error.pos = -1;
    if (cluster_profile_create(&config, request, &running->whole, &error)) {
        on_fail(running, &error);
    }
}

/* --- Of this server ------------------------------------------------------ */

static void
start(struct profiles *profiles, struct api_call *call, const json_t *request,
      const struct topology *topology)
{
    struct profile_config config = {.topology = topology,
                                    .now_ns = time_spec_now()};
    struct profile *profile;
    struct lh_error error;
    int retval = queries_look(profiles->queries, &config.reader,
                              &config.pending, &config.n_pending, &error);

    error.pos = -1;
    if (retval == EAGAIN) {
        queries_again(profiles->queries, call, request, handle_again,
                      profiles);
        return;
    } else if (retval) {
        api_call_fail_error(
            call, retval == ENOENT ? API_UNAVAILABLE : API_INTERNAL, &error);
        return;
    }
    retval = profile_create(&config, request, &profile, &error);
    if (retval) {
        for (size_t i = 0; i < config.n_pending; i++) {
            free(config.pending[i].payload);
        }
        free(config.pending);
        api_call_fail_error(call, API_BAD_REQUEST, &error);
        return;
    }
    add(profiles, call)->profile = profile;
    profile_start(profile, profiles->crew);
    answer_done(profiles);
}

/* Whether the client may use the filter of the request, which is a good one;
 * if not, it has been answered. */
static bool
check_filter(struct api_call *call, const json_t *request,
             const struct topology *topology)
{
    const char *text = json_string_value(json_object_get(request, "phf"));
    struct phf *phf = NULL;
    bool is_allowed;

    if (!text || phf_compile(text, topology, &phf, NULL)) {
        return true;
    }
    is_allowed = filter_right_check(call, phf);
    phf_destroy(phf);
    return is_allowed;
}

void
profiles_handle(struct profiles *profiles, struct api_call *call,
                const json_t *request, const struct topology *topology)
{
    struct profile_config config = {.topology = topology,
                                    .now_ns = time_spec_now()};
    struct api_peer *peer = api_call_peer(call);
    struct profile_verdict verdict;
    struct lh_error error;

    error.pos = -1;
    if (profile_check(&config, request, &verdict, &error)) {
        api_call_fail_error(
            call, verdict.is_bad_filter ? API_BAD_FILTER : API_BAD_REQUEST,
            &error);
    } else if (verdict.tells_addresses &&
               !api_peer_has(peer, API_RIGHT_BYTES)) {
        api_call_fail(call, API_DENIED,
                      "by: this client may not see packets, so only link, "
                      "ingress and path");
    } else if (!check_filter(call, request, topology)) {
        return;
    } else if (profiles->n >= PROFILES_MAX ||
               count_of(profiles, peer) >= PROFILES_MAX_PER_PEER) {
        api_call_fail(call, API_LIMIT,
                      "no more than %d profiles at a time, %d of one client",
                      PROFILES_MAX, PROFILES_MAX_PER_PEER);
    } else if (profiles->cluster) {
        ask_all(profiles, call, request, topology);
    } else {
        start(profiles, call, request, topology);
    }
}

void
profiles_forget_peer(struct profiles *profiles, struct api_peer *peer)
{
    for (size_t i = 0; i < profiles->n; i++) {
        struct running *running = profiles->all[i];

        if (running->peer == peer) {
            running->peer = NULL;
            if (running->profile) {
                profile_cancel(running->profile);
            } else {
                event_active(profiles->sweep, EV_TIMEOUT, 0);
            }
        }
    }
}
