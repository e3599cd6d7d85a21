/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_share - what one server of a cluster knows of the network. */
#include <config.h>

#include "server/cluster_share.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_kv.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/say.h"
#include "lib/time_spec.h"
#include "server/cluster_setup.h"
#include "server/shard_lease.h"

#define RULES      "lh.rule"
#define KEY        "topology"
#define SILENCE_MS 2000
#define TIMEOUT_MS 4000
#define ASK_MS     5000
#define CALL_MS    35000 /* As long as the recorder may take, and more. */
/* A recorder that is away longer is none. */
#define AWAY_MS 3000

/* One question for a rule. */
struct question {
    struct cluster_share *share;
    struct question *next;
    uint64_t dpid;
    uint32_t version;
};

struct cluster_share {
    struct cluster_share_config config;
    struct shard_lease *lease;  /* Owned; NULL: no recorder is there. */
    struct cluster_rpc *rpc;    /* Owned; NULL: not the coordinator. */
    struct bus_kv_watch *watch; /* Owned. */
    struct bus_sub *rules;      /* Owned. */
    char *topology;             /* As JSON: what the recorder said last. */
    char *told;                 /* The same, as the key has it, or NULL. */
    bool is_putting;
    bool is_taking; /* A rule is not told again. */
    int64_t up_ms;  /* When the recorder was last there. */
    size_t n_asked;
    struct question *questions; /* Owned. */
};

static bool
has_recorder(const struct cluster_share *s)
{
    struct recorder_link *link = s->config.recorder(s->config.aux);

    return link && recorder_link_is_up(link);
}

bool
cluster_share_is_coordinator(const struct cluster_share *s)
{
    return s->rpc;
}

/* --- The coordinator ----------------------------------------------------- */

static void
on_put(void *share, int error_number, const char *why, uint64_t revision,
       bool was_there)
{
    struct cluster_share *s = share;

    s->is_putting = false;
    if (error_number) {
        free(s->told);
        s->told = NULL;
    }
}

/* Writes the topology, if it is not what the key has. */
static void
put_topology(struct cluster_share *s)
{
    size_t size = s->topology ? strlen(s->topology) : 0;

    if (!s->rpc || !size || s->is_putting ||
        (s->told && !strcmp(s->told, s->topology))) {
        return;
    }
    free(s->told);
    s->told = lh_strdup(s->topology);
    if (size > CLUSTER_RPC_MAX) {
        say_warn("cluster: the topology is too long for a key in NATS (%zu "
                 "bytes): give every server --recorder or --topology",
                 size);
        return;
    }
    s->is_putting =
        !bus_kv_put(s->config.bus, CLUSTER_BUCKET_META, KEY, s->topology, size,
                    BUS_KV_ANY, TIMEOUT_MS, on_put, s, NULL);
    if (!s->is_putting) {
        free(s->told);
        s->told = NULL;
    }
}

void
cluster_share_topology(struct cluster_share *s,
                       const struct topology *topology)
{
    json_t *json = topology_to_json(topology);

    free(s->topology);
    s->topology = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    put_topology(s);
}

void
cluster_share_rule(struct cluster_share *s, enum rule_cache_change change,
                   uint64_t dpid, uint32_t version, const struct rule *rule)
{
    struct bus_letter letter = {.subject = RULES};
    json_t *json;
    char *text;

    if (!s->rpc || s->is_taking ||
        (change != RULE_CACHE_ADDED && change != RULE_CACHE_GONE)) {
        return;
    }
    json = change == RULE_CACHE_ADDED
               ? json_pack("{s:o}", "rule", rule_to_json(rule))
               : json_pack("{s:o, s:I}", "gone", jmember_dpid_new(dpid),
                           "version", (json_int_t) version);
    text = json_dumps(json, JSON_COMPACT);
    letter.data = text;
    letter.size = strlen(text);
    bus_send(s->config.bus, &letter, NULL, TIMEOUT_MS, NULL);
    free(text);
    json_decref(json);
}

static void
on_recorder(void *call, int error_number, const json_t *answer,
            const struct lh_error *error)
{
    if (error_number) {
        cluster_rpc_fail(call, error_number, error->text);
    } else {
        json_t *members = json_copy((json_t *) answer);

        json_object_del(members, "id");
        json_object_del(members, "ok");
        cluster_rpc_answer(call, members);
    }
}

static void
on_asked(void *share, struct cluster_rpc_call *call, const char *op,
         const json_t *request)
{
    struct cluster_share *s = share;
    struct recorder_link *link = s->config.recorder(s->config.aux);
    json_t *members = json_copy((json_t *) request);

    json_object_del(members, "op");
    if (!link) {
        json_decref(members);
        cluster_rpc_fail(call, EHOSTUNREACH, "there is no recorder");
    } else if (recorder_link_call(link, op, members, on_recorder, call)) {
        cluster_rpc_fail(call, EHOSTUNREACH, "the recorder cannot be reached");
    }
}

static void
on_lease(void *share, enum shard_event event, uint32_t shard, uint64_t epoch)
{
    struct cluster_share *s = share;

    if (event == SHARD_TAKEN) {
        say_info("cluster: this server has the coordinator's duties: it "
                 "shares what the recorder knows");
        s->rpc = cluster_rpc_create(s->config.bus, CLUSTER_RPC_COORDINATOR,
                                    on_asked, s);
        put_topology(s);
        return;
    }
    cluster_rpc_destroy(s->rpc);
    s->rpc = NULL;
    if (event == SHARD_UNWANTED) {
        shard_lease_release(s->lease, shard);
    }
}

static void
end_lease(struct cluster_share *s)
{
    cluster_rpc_destroy(s->rpc);
    s->rpc = NULL;
    if (s->lease) {
        shard_lease_destroy(s->lease);
        s->lease = NULL;
    }
}

void
cluster_share_tick(struct cluster_share *s)
{
    const struct shard_lease_options options = {
        .bucket = CLUSTER_BUCKET_LEASE_0,
        .name = s->config.name,
        .n_shards = 1,
        .lease_ms = s->config.lease_ms,
        .replicas = s->config.replicas,
        .on_event = on_lease,
        .aux = s,
    };

    if (has_recorder(s)) {
        s->up_ms = monotonic_ms();
        if (!s->lease) {
            /* The name and the number were good for the other leases. */
            shard_lease_create(s->config.bus, &options, &s->lease, NULL);
        }
    } else if (s->lease && monotonic_ms() - s->up_ms > AWAY_MS) {
        end_lease(s);
    }
    put_topology(s);
}

/* --- Those without a recorder -------------------------------------------- */

static void
on_watch(void *share, enum bus_kv_event event, const char *why,
         const struct bus_kv_entry *entry)
{
    struct cluster_share *s = share;
    struct topology *topology;
    struct lh_error error;
    json_t *json;

    if (event != BUS_KV_ENTRY || entry->is_deleted || s->rpc) {
        return;
    }
    json = json_loadb((const char *) entry->data, entry->size, 0, NULL);
    free(s->told);
    s->told = NULL;
    if (topology_from_json(json, &topology, &error)) {
        say_warn("cluster: the topology of the others cannot be read: %s",
                 error.text);
    } else {
        s->config.on_topology(s->config.aux, topology);
        topology_unref(topology);
    }
    json_decref(json);
}

/* Returns false when it is none. */
static bool
take_rule(struct cluster_share *s, const json_t *json)
{
    struct lh_error error;
    struct rule *rule;

    if (rule_from_json(json, &rule, &error)) {
        return false;
    }
    s->is_taking = true;
    rule_cache_add(s->config.rules, rule);
    s->is_taking = false;
    return true;
}

static void
on_rule(void *share, const struct bus_message *message)
{
    struct cluster_share *s = share;
    json_t *json =
        json_loadb((const char *) message->data, message->size, 0, NULL);
    struct jmember root = jmember_root(json);
    struct jmember gone = jmember_get(&root, "gone");
    struct jmember member = jmember_get(&root, "version");
    uint64_t dpid, version;

    if (s->rpc || has_recorder(s)) {
        /* It has its own word. */
    } else if (json_object_get(json, "rule")) {
        if (take_rule(s, json_object_get(json, "rule"))) {
            s->config.on_rules(s->config.aux);
        }
    } else if (!jmember_dpid(&gone, &dpid, NULL) &&
               !jmember_u64(&member, UINT32_MAX, &version, NULL)) {
        rule_cache_gone(s->config.rules, dpid, (uint32_t) version);
    }
    json_decref(json);
}

static void
on_answer(void *question_, int error_number, const char *why,
          const json_t *answer)
{
    struct question *question = question_, **at;
    struct cluster_share *s = question->share;

    for (at = &s->questions; *at != question; at = &(*at)->next) {
    }
    *at = question->next;
    s->n_asked--;
    if (!error_number) {
        take_rule(s, json_object_get(answer, "rule"));
    }
    /* No effect when it was given. */
    rule_cache_deny(s->config.rules, question->dpid, question->version,
                    time_spec_now());
    s->config.on_rules(s->config.aux);
    free(question);
}

bool
cluster_share_ask(struct cluster_share *s, uint64_t dpid, uint32_t version)
{
    struct question *question;

    if (s->n_asked >= RECORDER_LINK_MAX_ASKED) {
        return false;
    }
    question = lh_alloc(sizeof *question);
    *question = (struct question){s, s->questions, dpid, version};
    if (cluster_rpc_ask(s->config.bus, CLUSTER_RPC_COORDINATOR, "flow",
                        json_pack("{s:o, s:I}", "dpid", jmember_dpid_new(dpid),
                                  "version", (json_int_t) version),
                        ASK_MS, on_answer, question)) {
        free(question);
        return false;
    }
    s->questions = question;
    s->n_asked++;
    return true;
}

int
cluster_share_call(struct cluster_share *s, const char *op, json_t *members,
                   cluster_rpc_fn *done, void *aux)
{
    return cluster_rpc_ask(s->config.bus, CLUSTER_RPC_COORDINATOR, op, members,
                           CALL_MS, done, aux);
}

/* --- Life ---------------------------------------------------------------- */

struct cluster_share *
cluster_share_create(const struct cluster_share_config *config)
{
    struct cluster_share *s = lh_alloc_zero(sizeof *s);

    s->config = *config;
    s->watch = bus_kv_watch(config->bus, CLUSTER_BUCKET_META, KEY, SILENCE_MS,
                            on_watch, s);
    s->rules = bus_subscribe(config->bus, RULES, on_rule, s);
    return s;
}

void
cluster_share_destroy(struct cluster_share *s)
{
    if (!s) {
        return;
    }
    end_lease(s);
    bus_forget(s->config.bus, s);
    while (s->questions) {
        struct question *question = s->questions;

        s->questions = question->next;
        bus_forget(s->config.bus, question);
        free(question);
    }
    bus_kv_unwatch(s->watch);
    bus_unsubscribe(s->rules);
    free(s->topology);
    free(s->told);
    free(s);
}
