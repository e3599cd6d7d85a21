/* SPDX-License-Identifier: Apache-2.0 */
/* server_api - the server's socket for other programs. */
#include <config.h>

#include "server/server_api.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "lib/api_door.h"
#include "lib/api_service.h"
#include "lib/crew.h"
#include "lib/dpid.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/metrics_http.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "server/cluster_api.h"
#include "server/health.h"
#include "server/profiles.h"
#include "server/server_metrics.h"
#include "server/server_status.h"

/* What `hello` says this server has. */
static const char *const features[] = {API_FEATURE_BINARY, "pause",   "rate",
                                       "health",           "profile", "status",
                                       "cluster",          NULL};

struct server_api {
    struct server_api_config config;
    struct health health;
    struct server_status status;
    const char *archive;          /* Its directory, or NULL. */
    struct profiles *profiles;    /* Owned. */
    struct api_server *server;    /* Owned. */
    struct cluster_api *cluster;  /* Owned. */
    struct api_door *door;        /* Owned; NULL: none. */
    struct event *reload;         /* SIGHUP, while there is a door. */
    struct metrics_http *metrics; /* The same. */
};

/* --- Passing on to the recorder ----------------------------------------- */

/* The code that a client gets for what the recorder said. */
static enum api_code
code_of(int error_number)
{
    static const enum api_code codes[] = {
        API_BAD_REQUEST, API_UNKNOWN_OP, API_BAD_FILTER, API_NOT_FOUND,
        API_LIMIT,       API_DENIED,     API_INTERNAL,
    };

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (api_code_errno(codes[i]) == error_number) {
            return codes[i];
        }
    }
    return API_UNAVAILABLE;
}

static void
on_answer(void *call, int error_number, const json_t *answer,
          const struct lh_error *error)
{
    if (error_number) {
        struct lh_error text = *error;

        text.pos = -1;
        lh_error_prefix(&text, "recorder");
        api_call_fail_error(call, code_of(error_number), &text);
    } else {
        json_t *members = json_copy((json_t *) answer);

        json_object_del(members, "id");
        json_object_del(members, "ok");
        api_call_answer(call, members);
    }
}

/* What another server's recorder said. */
static void
on_shared_answer(void *call, int error_number, const char *why,
                 const json_t *answer)
{
    struct lh_error error;

    if (error_number == ECONNREFUSED) {
        api_call_fail(call, API_UNAVAILABLE,
                      "no server of the cluster is connected to a recorder");
    } else {
        lh_error_set(&error, "%s", why ? why : "");
        on_answer(call, error_number, answer, &error);
    }
}

static struct cluster_share *
share_of(const struct server_api *api)
{
    return api->config.cluster ? cluster_get_share(api->config.cluster) : NULL;
}

static void
pass_on(struct server_api *api, struct api_call *call, const char *op,
        const json_t *request)
{
    const char *trouble =
        api->config.cluster ? cluster_trouble(api->config.cluster) : NULL;
    json_t *members = json_copy((json_t *) request);

    json_object_del(members, "id");
    json_object_del(members, "op");
    if (share_of(api) && (!api->config.recorder ||
                          !recorder_link_is_up(api->config.recorder))) {
        if (trouble) {
            json_decref(members);
            api_call_fail(call, API_UNAVAILABLE,
                          "no recorder can be asked: %s", trouble);
        } else if (cluster_share_call(share_of(api), op, members,
                                      on_shared_answer, call)) {
            api_call_fail(call, API_LIMIT, "too much waits for NATS");
        }
        return;
    }
    if (!api->config.recorder) {
        json_decref(members);
        api_call_fail(call, API_UNAVAILABLE,
                      "this server runs without a recorder");
    } else if (recorder_link_call(api->config.recorder, op, members, on_answer,
                                  call)) {
        api_call_fail(call, API_UNAVAILABLE, "the recorder cannot be reached");
    }
}

/* --- Handlers ----------------------------------------------------------- */

static void
handle_flow(struct api_call *call, const json_t *request, void *api_)
{
    struct server_api *api = api_;
    struct jmember root = jmember_root(request);
    struct jmember dpid_member = jmember_get(&root, "dpid");
    struct jmember version_member = jmember_get(&root, "version");
    const struct rule *rule = NULL;
    uint64_t dpid, version;

    /* Whether a rule still stands only the recorder knows: ask it first. */
    if (api->config.recorder && recorder_link_is_up(api->config.recorder)) {
        pass_on(api, call, "flow", request);
        return;
    }
    if (!jmember_dpid(&dpid_member, &dpid, NULL) &&
        !jmember_u64(&version_member, UINT32_MAX, &version, NULL)) {
        rule = rule_cache_find(api->config.rules, dpid, (uint32_t) version,
                               time_spec_now());
    }
    if (rule) {
        api_call_answer(call, json_pack("{s:o}", "rule", rule_to_json(rule)));
    } else {
        pass_on(api, call, "flow", request);
    }
}

static void
handle_table(struct api_call *call, const json_t *request, void *api)
{
    pass_on(api, call, "table", request);
}

static void
handle_diff(struct api_call *call, const json_t *request, void *api)
{
    pass_on(api, call, "diff", request);
}

static void
handle_changes(struct api_call *call, const json_t *request, void *api)
{
    pass_on(api, call, "changes", request);
}

static void
handle_why(struct api_call *call, const json_t *request, void *api)
{
    pass_on(api, call, "why", request);
}

static void
handle_profile(struct api_call *call, const json_t *request, void *api_)
{
    struct server_api *api = api_;

    profiles_handle(api->profiles, call, request,
                    api->config.topology(api->config.aux));
}

static void
handle_topology(struct api_call *call, const json_t *request, void *api_)
{
    struct server_api *api = api_;
    const struct topology *topology = api->config.topology(api->config.aux);

    if (topology) {
        json_t *json = topology_to_json(topology);

        api->config.agents(api->config.aux, json);
        api_call_answer(call, json_pack("{s:o}", "topology", json));
    } else {
        api_call_fail(call, API_UNAVAILABLE, "no topology is known yet");
    }
}

static void
handle_stats(struct api_call *call, const json_t *request, void *api_)
{
    struct server_api *api = api_;
    struct counters counters;

    api->config.collect(api->config.aux, &counters);
    api_call_answer(call,
                    json_pack("{s:o}", "stats", counters_to_json(&counters)));
}

static void
handle_health(struct api_call *call, const json_t *request, void *api_)
{
    struct server_api *api = api_;
    const struct recorder_link *recorder = api->config.recorder;
    const struct cluster *cluster = api->config.cluster;
    const struct health_others others = {
        .has_recorder = recorder,
        .is_recorder_up = recorder && recorder_link_is_up(recorder),
        .cluster_trouble = cluster ? cluster_trouble(cluster) : NULL,
        .n_ownerless = cluster ? cluster_n_ownerless(cluster) : 0,
    };
    struct counters counters;

    api->config.collect(api->config.aux, &counters);
    api_call_answer(call, health_to_json(&api->health, &counters, &others));
}

static void
handle_status(struct api_call *call, const json_t *request, void *api_)
{
    struct server_api *api = api_;
    const struct recorder_link *recorder = api->config.recorder;
    struct counters counters;

    json_t *status;

    api->config.collect(api->config.aux, &counters);
    status = server_status_to_json(&api->status, &counters, time_spec_now(),
                                   api->archive, recorder,
                                   recorder && recorder_link_is_up(recorder),
                                   api->config.agents(api->config.aux, NULL));
    json_object_set_new(status, "cluster",
                        api->config.cluster
                            ? cluster_to_json(api->config.cluster)
                            : json_null());
    api_call_answer(call, json_pack("{s:o}", "status", status));
}

static void
handle_recorder_status(struct api_call *call, const json_t *request, void *api)
{
    pass_on(api, call, "status", request);
}

static void
handle_recorder_stats(struct api_call *call, const json_t *request, void *api)
{
    pass_on(api, call, "stats", request);
}

void
server_api_tick(struct server_api *api, uint64_t now_ns)
{
    struct counters counters;

    if (api) {
        api->config.collect(api->config.aux, &counters);
        health_sample(&api->health, &counters, now_ns);
        server_status_sample(&api->status, &counters, now_ns);
    }
}

/* --- Opening ------------------------------------------------------------ */

static void
on_close(struct api_peer *peer, void *api_)
{
    struct server_api *api = api_;

    triggers_forget_peer(api->config.triggers, peer);
    queries_forget_peer(api->config.queries, peer);
    cluster_api_forget_peer(api->cluster, peer);
    profiles_forget_peer(api->profiles, peer);
}

static void
on_drain(struct api_peer *peer, void *api_)
{
    struct server_api *api = api_;

    queries_wake_peer(api->config.queries, peer);
    cluster_api_wake_peer(api->cluster, peer);
}

/* The group of the socket. */
static int
find_group(const char *name, struct api_server_config *config,
           struct lh_error *error)
{
    const struct group *group = name ? getgrnam(name) : NULL;

    if (name && !group) {
        lh_error_set(error, "--socket-group: there is no group \"%s\"", name);
        return EINVAL;
    }
    config->has_group = group;
    config->group = group ? group->gr_gid : 0;
    return 0;
}

static void
write_metrics(void *api_, struct evbuffer *text)
{
    struct server_api *api = api_;
    struct counters counters;

    api->config.collect(api->config.aux, &counters);
    server_metrics_write(&counters, text);
}

static void
on_reload(evutil_socket_t signal_number, short what, void *api_)
{
    struct server_api *api = api_;
    struct lh_error error;

    if (api_door_reload(api->door, &error)) {
        say_error("%s; all rights stay as they were", error.text);
    } else {
        say_info("the access file was read again");
    }
}

/* Listens at all places. */
static int
open_doors(struct event_base *base, struct server_api *api,
           struct lh_error *error)
{
    const struct options *o = api->config.options;
    struct api_door_config door = {
        .listen = o->api_listen,
        .files = {o->private_key, o->certificate, o->ca_cert},
        .access = o->access,
    };
    int retval = 0;

    if (o->metrics) {
        retval = metrics_http_open(base, o->metrics, write_metrics, api,
                                   &api->metrics, error);
        if (retval) {
            lh_error_prefix(error, "--metrics");
        }
    }
    if (!retval && o->api_listen) {
        retval = api_door_open(base, &door, api->server, &api->door, error);
        if (retval) {
            lh_error_prefix(error, "--api-listen");
        } else {
            api->reload = evsignal_new(base, SIGHUP, on_reload, api);
            event_add(api->reload, NULL);
        }
    }
    if (!retval) {
        retval = api_server_listen(api->server, api->config.path, error);
    }
    api->config.options = NULL;
    return retval;
}

/* Threads that read the archive. */
int
server_api_open(struct event_base *base,
                const struct server_api_config *config,
                struct server_api **apip, struct lh_error *error)
{
    struct server_api *api = lh_alloc_zero(sizeof *api);
    struct api_server_config server = {
        .program = "lasthop-server",
        .features = features,
        .on_close = on_close,
        .on_drain = on_drain,
        .aux = api,
    };

    *apip = NULL;
    if (find_group(config->options->socket_group, &server, error)) {
        free(api);
        return EINVAL;
    }
    server.mode = config->options->socket_mode;
    api->config = *config;
    api->archive = config->options->archive;
    api->status.started_ns = time_spec_now();
    api->profiles = profiles_create(base, config->queries, config->cluster,
                                    options_query_threads(config->options));
    api->server = api_server_create(base, &server);
    api_server_add_op(api->server, "trigger.add", triggers_handle_add,
                      config->triggers);
    api_server_add_op(api->server, "trigger.delete", triggers_handle_delete,
                      config->triggers);
    api_server_add_op(api->server, "trigger.list", triggers_handle_list,
                      config->triggers);
    api_server_add_op(api->server, "trigger.pause", triggers_handle_pause,
                      config->triggers);
    api_server_add_op(api->server, "trigger.resume", triggers_handle_resume,
                      config->triggers);
    api_server_require(api->server, "trigger.add", API_RIGHT_TRIGGERS);
    api_server_require(api->server, "trigger.delete", API_RIGHT_TRIGGERS);
    api_server_require(api->server, "trigger.pause", API_RIGHT_TRIGGERS);
    api_server_require(api->server, "trigger.resume", API_RIGHT_TRIGGERS);
    if (!config->cluster) {
        api_server_add_op(api->server, "query", queries_handle_query,
                          config->queries);
        api_server_add_op(api->server, "cancel", queries_handle_cancel,
                          config->queries);
    }
    api_server_add_op(api->server, "profile", handle_profile, api);
    api_server_add_op(api->server, "flow", handle_flow, api);
    api_server_add_op(api->server, "table", handle_table, api);
    api_server_add_op(api->server, "diff", handle_diff, api);
    api_server_add_op(api->server, "changes", handle_changes, api);
    api_server_add_op(api->server, "why", handle_why, api);
    api_server_add_op(api->server, "topology", handle_topology, api);
    api_server_add_op(api->server, "stats", handle_stats, api);
    api_server_add_op(api->server, "health", handle_health, api);
    api_server_add_op(api->server, "status", handle_status, api);
    api_server_add_op(api->server, "recorder.status", handle_recorder_status,
                      api);
    api_server_add_op(api->server, "recorder.stats", handle_recorder_stats,
                      api);
    api->cluster = cluster_api_create(api->server, config->cluster);

    int retval = open_doors(base, api, error);

    if (retval) {
        server_api_close(api);
        return retval;
    }
    *apip = api;
    return 0;
}

void
server_api_close(struct server_api *api)
{
    if (api) {
        if (api->reload) {
            event_free(api->reload);
        }
        api_door_close(api->door);
        metrics_http_close(api->metrics);
        profiles_end(api->profiles);
        api_server_destroy(api->server);
        cluster_api_destroy(api->cluster);
        profiles_destroy(api->profiles);
        free(api);
    }
}

void
server_api_collect(const struct server_api *api, struct counters *counters)
{
    const struct api_server_counters *c = api_server_counters(api->server);

    counters->clients = c->peers;
    counters->clients_now = api_server_n_peers(api->server);
    counters->clients_refused = c->peers_refused;
    counters->clients_slow = c->peers_slow;
    counters->requests = c->requests;
    counters->refusals = c->refusals;
    counters->events = c->events;
    counters->events_missed = c->missed;
}
