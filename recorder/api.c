/* SPDX-License-Identifier: Apache-2.0 */
/* api - the operations of recorder.sock. */
#include <config.h>

#include "recorder/api.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/api_server.h"
#include "lib/flow_log.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"

/* Rules in one answer; a larger table is asked for by its parts. */
#define TABLE_MAX 50000

/* A client that subscribed. */
struct subscriber {
    struct api_peer *peer;
    json_t *id; /* Owned. */
    bool wants_rules;
};

struct recorder_api {
    struct api_server *server; /* Owned. */
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
    struct api_peer *peer = api_call_peer(call);
    struct subscriber subscriber = {.peer = peer};
    struct lh_error error;

    if (jmember_is_there(&rules) &&
        jmember_bool(&rules, &subscriber.wants_rules, &error)) {
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

static void
handle_stats(struct api_call *call, const json_t *request, void *api_)
{
    struct recorder_api *api = api_;
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
    api_call_answer(call, json_pack("{s:o}", "stats", stats));
}

/* Ends the call with what the log answered. */
static void
fail(struct api_call *call, int retval, const struct lh_error *error)
{
    api_call_fail_error(call, retval == ENOENT ? API_NOT_FOUND : API_INTERNAL,
                        error);
}

static void
handle_flow(struct api_call *call, const json_t *request, void *api_)
{
    struct recorder_api *api = api_;
    struct jmember root = jmember_root(request);
    struct jmember dpid_member = jmember_get(&root, "dpid");
    struct jmember version_member = jmember_get(&root, "version");
    uint64_t dpid, version;
    struct lh_error error;
    struct rule *rule;

    if (jmember_dpid(&dpid_member, &dpid, &error) ||
        jmember_u64(&version_member, UINT32_MAX, &version, &error)) {
        api_call_fail_error(call, API_BAD_REQUEST, &error);
        return;
    }

    int retval =
        flow_log_find(api->log, dpid, (uint32_t) version, &rule, &error);

    if (retval) {
        fail(call, retval, &error);
        return;
    }
    api_call_answer(call, json_pack("{s:o}", "rule", rule_to_json(rule)));
    rule_unref(rule);
}

struct table_request {
    uint64_t dpid;
    bool has_version, has_at, has_table;
    uint64_t version;
    uint64_t at_ns;
    uint64_t table;
};

static int
read_table_request(const json_t *request, struct table_request *r,
                   struct lh_error *error)
{
    struct jmember root = jmember_root(request);
    struct jmember dpid = jmember_get(&root, "dpid");
    struct jmember version = jmember_get(&root, "version");
    struct jmember at = jmember_get(&root, "at");
    struct jmember table = jmember_get(&root, "table");

    r->has_version = jmember_is_there(&version);
    r->has_at = jmember_is_there(&at);
    r->has_table = jmember_is_there(&table);
    if (jmember_dpid(&dpid, &r->dpid, error) ||
        (r->has_version &&
         jmember_u64(&version, UINT32_MAX, &r->version, error)) ||
        (r->has_at &&
         time_spec_member(&at, time_spec_now(), &r->at_ns, error)) ||
        (r->has_table && jmember_u64(&table, 255, &r->table, error))) {
        return EINVAL;
    }
    if (r->has_version && r->has_at) {
        return jmember_error(&at, error, "version was given as well");
    }
    return 0;
}

/* The table that 'r' asks for; sets r->at_ns. */
static int
find_table(struct recorder_api *api, struct table_request *r,
           struct flow_log_rules *rules, struct lh_error *error)
{
    if (r->has_version) {
        return flow_log_table_at_version(
            api->log, r->dpid, (uint32_t) r->version, rules, &r->at_ns, error);
    }
    if (r->has_at) {
        return flow_log_table_at_time(api->log, r->dpid, r->at_ns, rules,
                                      error);
    }
    r->at_ns = time_spec_now();
    return flow_log_table_standing(api->log, r->dpid, rules, error);
}

static void
handle_table(struct api_call *call, const json_t *request, void *api_)
{
    struct recorder_api *api = api_;
    struct flow_log_rules rules = FLOW_LOG_RULES_INIT;
    struct table_request r = {.dpid = 0};
    struct lh_error error;
    json_t *array;
    int retval;

    if (read_table_request(request, &r, &error)) {
        api_call_fail_error(call, API_BAD_REQUEST, &error);
        return;
    }
    retval = find_table(api, &r, &rules, &error);
    if (retval) {
        fail(call, retval, &error);
        flow_log_rules_uninit(&rules);
        return;
    }
    array = json_array();
    for (size_t i = 0; i < rules.n; i++) {
        if (!r.has_table || rules.rules[i]->table_id == r.table) {
            json_array_append_new(array, rule_to_json(rules.rules[i]));
        }
    }
    flow_log_rules_uninit(&rules);
    if (json_array_size(array) > TABLE_MAX) {
        api_call_fail(call, API_LIMIT,
                      "%zu rules are more than the %d of one answer; ask with "
                      "\"table\"",
                      json_array_size(array), TABLE_MAX);
        json_decref(array);
        return;
    }
    api_call_answer(call, json_pack("{s:o, s:I, s:o}", "dpid",
                                    jmember_dpid_new(r.dpid), "at_ns",
                                    (json_int_t) r.at_ns, "rules", array));
}

int
recorder_api_create(struct event_base *base, const char *path,
                    struct flow_log *log,
                    const struct recorder_api_callbacks *callbacks, void *aux,
                    struct recorder_api **apip, struct lh_error *error)
{
    struct recorder_api *api = lh_alloc_zero(sizeof *api);
    struct api_server_config config = {.on_close = on_close, .aux = api};
    int retval;

    *apip = NULL;
    api->log = log;
    api->callbacks = callbacks;
    api->aux = aux;
    api->server = api_server_create(base, &config);
    api_server_add_op(api->server, "flow", handle_flow, api);
    api_server_add_op(api->server, "table", handle_table, api);
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

void
recorder_api_destroy(struct recorder_api *api)
{
    if (api) {
        api_server_destroy(api->server);
        free(api->subscribers);
        free(api);
    }
}
