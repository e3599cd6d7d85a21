/* SPDX-License-Identifier: Apache-2.0 */
/* api - the operations of recorder.sock. */
#include <config.h>

#include "recorder/api.h"

#include <stdlib.h>

#include "lib/api_server.h"
#include "lib/flow_log.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/metrics_http.h"
#include "lib/time_spec.h"
#include "lib/past.h"
#include "recorder/metrics.h"
#include "recorder/past_worker.h"

/* Questions that may wait: for single rules, of which a server asks up to a
 * thousand at once, and others. */
#define MAX_QUICK 4096
#define MAX_JOBS  64

/* A client that subscribed. */
struct subscriber {
    struct api_peer *peer;
    json_t *id; /* Owned. */
    bool wants_rules, wants_rounds;
};

struct recorder_api {
    struct api_server *server;    /* Owned. */
    struct metrics_http *metrics; /* Owned; NULL: none. */
    struct past_worker *quick;  /* For `flow`, which many wait for.  Owned. */
    struct past_worker *worker; /* For the rest.  Owned. */
    struct flow_log *log;
    const struct recorder_api_callbacks *callbacks;
    void *aux;
    struct subscriber *subscribers; /* Owned. */
    size_t n_subscribers, allocated_subscribers;
};

/* --- Subscribers. --- */

static void
on_close(struct api_peer *peer, void *api_)
{
    struct recorder_api *api = api_;
    size_t n = 0;

    past_worker_forget(api->quick, peer);
    past_worker_forget(api->worker, peer);
    for (size_t i = 0; i < api->n_subscribers; i++) {
        if (api->subscribers[i].peer == peer) {
            json_decref(api->subscribers[i].id);
        } else {
            api->subscribers[n++] = api->subscribers[i];
        }
    }
    api->n_subscribers = n;
}

static void
send_topology(const struct subscriber *s, const struct topology *topology)
{
    api_peer_send(s->peer, s->id, "topology",
                  json_pack("{s:o}", "topology", topology_to_json(topology)));
}

static void
send_rule(const struct subscriber *s, const struct rule *rule)
{
    api_peer_send(s->peer, s->id, "rule",
                  json_pack("{s:o}", "rule", rule_to_json(rule)));
}

void
recorder_api_made(struct recorder_api *api, const struct rule *rule)
{
    for (size_t i = 0; api && i < api->n_subscribers; i++) {
        if (api->subscribers[i].wants_rules) {
            send_rule(&api->subscribers[i], rule);
        }
    }
}

void
recorder_api_removed(struct recorder_api *api, uint64_t dpid, uint32_t version,
                     uint64_t removed_ns, const char *reason)
{
    for (size_t i = 0; api && i < api->n_subscribers; i++) {
        const struct subscriber *s = &api->subscribers[i];

        if (s->wants_rules) {
            api_peer_send(s->peer, s->id, "removed",
                          json_pack("{s:o, s:I, s:I, s:s}", "dpid",
                                    jmember_dpid_new(dpid), "version",
                                    (json_int_t) version, "removed_ns",
                                    (json_int_t) removed_ns, "reason",
                                    reason));
        }
    }
}

void
recorder_api_round(struct recorder_api *api, uint64_t dpid, uint64_t asked_ns,
                   uint64_t time_ns, const struct postcard_counters *counters)
{
    for (size_t i = 0; api && i < api->n_subscribers; i++) {
        const struct subscriber *s = &api->subscribers[i];

        if (s->wants_rounds) {
            json_t *json = json_pack(
                "{s:o, s:I, s:I}", "dpid", jmember_dpid_new(dpid), "asked_ns",
                (json_int_t) asked_ns, "time_ns", (json_int_t) time_ns);

            postcard_counters_to_json(counters, json);
            api_peer_send(s->peer, s->id, "round", json);
        }
    }
}

void
recorder_api_topology(struct recorder_api *api,
                      const struct topology *topology)
{
    for (size_t i = 0; api && i < api->n_subscribers; i++) {
        send_topology(&api->subscribers[i], topology);
    }
}

/* Sends every rule that stands. */
static void
send_standing(struct recorder_api *api, const struct subscriber *s)
{
    struct flow_log_switch *switches;
    size_t n;

    if (flow_log_switches(api->log, &switches, &n, NULL)) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct flow_log_rules rules = FLOW_LOG_RULES_INIT;

        flow_log_standing(api->log, switches[i].dpid, &rules, NULL);
        for (size_t j = 0; j < rules.n; j++) {
            send_rule(s, rules.rules[j]);
        }
        flow_log_rules_uninit(&rules);
    }
    flow_log_switches_free(switches, n);
}

static void
handle_subscribe(struct api_call *call, const json_t *request, void *api_)
{
    struct recorder_api *api = api_;
    struct jmember root = jmember_root(request);
    struct jmember rules = jmember_get(&root, "rules");
    struct jmember rounds = jmember_get(&root, "rounds");
    struct api_peer *peer = api_call_peer(call);
    struct subscriber subscriber = {.peer = peer};
    struct lh_error error;

    if ((jmember_is_there(&rules) &&
         jmember_bool(&rules, &subscriber.wants_rules, &error)) ||
        (jmember_is_there(&rounds) &&
         jmember_bool(&rounds, &subscriber.wants_rounds, &error))) {
        api_call_fail_error(call, API_BAD_REQUEST, &error);
        return;
    }
    subscriber.id = json_incref(api_call_id(call));
    api_call_answer(call, NULL);
    if (!peer) {
        json_decref(subscriber.id);
        return;
    }
    api->subscribers =
        lh_alloc_grow(api->subscribers, api->n_subscribers,
                      &api->allocated_subscribers, sizeof *api->subscribers);
    api->subscribers[api->n_subscribers++] = subscriber;
    send_topology(&subscriber, api->callbacks->topology(api->aux));
    if (subscriber.wants_rules) {
        send_standing(api, &subscriber);
        api_peer_send(peer, subscriber.id, "synced", NULL);
    }
}

/* --- Questions. --- */

static void
handle_topology(struct api_call *call, const json_t *request, void *api_)
{
    struct recorder_api *api = api_;

    api_call_answer(
        call, json_pack("{s:o}", "topology",
                        topology_to_json(api->callbacks->topology(api->aux))));
}

/* What both workers counted. */
static json_t *
past_stats(const struct recorder_api *api)
{
    struct past_worker_counters a = past_worker_counters(api->quick);
    struct past_worker_counters b = past_worker_counters(api->worker);

    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "asked",
                     (json_int_t) (a.asked + b.asked), "answered",
                     (json_int_t) (a.answered + b.answered), "failed",
                     (json_int_t) (a.failed + b.failed), "cancelled",
                     (json_int_t) (a.cancelled + b.cancelled), "refused",
                     (json_int_t) (a.refused + b.refused));
}

json_t *
recorder_api_stats(struct recorder_api *api)
{
    const struct api_server_counters *c = api_server_counters(api->server);
    json_t *stats = api->callbacks->stats(api->aux);

    json_object_set_new(
        stats, "api",
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "peers",
                  (json_int_t) c->peers, "peers_refused",
                  (json_int_t) c->peers_refused, "peers_slow",
                  (json_int_t) c->peers_slow, "requests",
                  (json_int_t) c->requests, "refusals",
                  (json_int_t) c->refusals, "events", (json_int_t) c->events,
                  "subscribers", (json_int_t) api->n_subscribers));
    json_object_set_new(stats, "past", past_stats(api));
    return stats;
}

static void
handle_stats(struct api_call *call, const json_t *request, void *api)
{
    api_call_answer(call,
                    json_pack("{s:o}", "stats", recorder_api_stats(api)));
}

/* --- Questions about the past: the worker's. --- */

static void
ask(struct recorder_api *api, struct api_call *call, const json_t *request,
    past_handler *handler)
{
    flow_log_hand_over(api->log);
    past_worker_ask(handler == past_flow ? api->quick : api->worker, call,
                    request, handler);
}

static void
handle_flow(struct api_call *call, const json_t *request, void *api)
{
    ask(api, call, request, past_flow);
}

static void
handle_table(struct api_call *call, const json_t *request, void *api)
{
    ask(api, call, request, past_table);
}

static void
handle_diff(struct api_call *call, const json_t *request, void *api)
{
    ask(api, call, request, past_diff);
}

static void
handle_changes(struct api_call *call, const json_t *request, void *api)
{
    ask(api, call, request, past_changes);
}

static void
handle_why(struct api_call *call, const json_t *request, void *api)
{
    ask(api, call, request, past_why);
}

int
recorder_api_create(struct event_base *base, const char *path,
                    struct flow_log *log,
                    const struct recorder_api_callbacks *callbacks, void *aux,
                    struct recorder_api **apip, struct lh_error *error)
{
    struct recorder_api *api = lh_alloc_zero(sizeof *api);
    struct api_server_config config = {
        .program = "lasthop-recorder", .on_close = on_close, .aux = api};
    int retval;

    *apip = NULL;
    api->log = log;
    api->callbacks = callbacks;
    api->aux = aux;
    api->quick = past_worker_create(base, log, MAX_QUICK);
    api->worker = past_worker_create(base, log, MAX_JOBS);
    api->server = api_server_create(base, &config);
    api_server_add_op(api->server, "flow", handle_flow, api);
    api_server_add_op(api->server, "table", handle_table, api);
    api_server_add_op(api->server, "diff", handle_diff, api);
    api_server_add_op(api->server, "changes", handle_changes, api);
    api_server_add_op(api->server, "why", handle_why, api);
    api_server_add_op(api->server, "topology", handle_topology, api);
    api_server_add_op(api->server, "stats", handle_stats, api);
    api_server_add_op(api->server, "subscribe", handle_subscribe, api);
    retval = api_server_listen(api->server, path, error);
    if (retval) {
        recorder_api_destroy(api);
        return retval;
    }
    *apip = api;
    return 0;
}

static void
write_metrics(void *api, struct evbuffer *text)
{
    json_t *stats = recorder_api_stats(api);

    metrics_write(stats, text);
    json_decref(stats);
}

int
recorder_api_metrics(struct recorder_api *api, struct event_base *base,
                     const char *listen, struct lh_error *error)
{
    int retval = metrics_http_open(base, listen, write_metrics, api,
                                   &api->metrics, error);

    if (retval) {
        lh_error_prefix(error, "--metrics");
    }
    return retval;
}

struct api_server *
recorder_api_server(struct recorder_api *api)
{
    return api->server;
}

void
recorder_api_destroy(struct recorder_api *api)
{
    if (api) {
        metrics_http_close(api->metrics);
        api_server_destroy(api->server);
        past_worker_destroy(api->quick);
        past_worker_destroy(api->worker);
        free(api->subscribers);
        free(api);
    }
}
