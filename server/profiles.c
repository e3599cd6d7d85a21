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
#include "server/filter_right.h"

/* One of them. */
struct running {
    struct api_call *call;
    struct api_peer *peer;   /* NULL: gone. */
    struct profile *profile; /* Owned. */
};

struct profiles {
    struct queries *queries;
    struct crew *crew;        /* NULL: none.  Owned. */
    struct event *crew_event; /* It has done something.  Owned. */
    size_t n;
    struct running all[PROFILES_MAX];
};

/* Answers and forgets those that are done. */
static void
answer_done(struct profiles *profiles)
{
    for (size_t i = profiles->n; i-- > 0;) {
        struct running done = profiles->all[i];

        if (profile_is_done(done.profile)) {
            profiles->all[i] = profiles->all[--profiles->n];
            api_call_answer(done.call, profile_answer(done.profile));
            profile_destroy(done.profile);
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
                unsigned int n_threads)
{
    struct profiles *profiles = lh_alloc_zero(sizeof *profiles);

    profiles->queries = queries;
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
    for (size_t i = 0; profiles && i < profiles->n; i++) {
        api_call_fail(profiles->all[i].call, API_UNAVAILABLE,
                      "the server ends");
        profile_destroy(profiles->all[i].profile);
    }
    if (profiles) {
        profiles->n = 0;
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
        free(profiles);
    }
}

static size_t
count_of(const struct profiles *profiles, const struct api_peer *peer)
{
    size_t n = 0;

    for (size_t i = 0; i < profiles->n; i++) {
        n += profiles->all[i].peer == peer;
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
    profiles->all[profiles->n++] =
        (struct running){call, api_call_peer(call), profile};
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
    } else {
        start(profiles, call, request, topology);
    }
}

void
profiles_forget_peer(struct profiles *profiles, struct api_peer *peer)
{
    for (size_t i = 0; i < profiles->n; i++) {
        if (profiles->all[i].peer == peer) {
            profiles->all[i].peer = NULL;
            profile_cancel(profiles->all[i].profile);
        }
    }
}
