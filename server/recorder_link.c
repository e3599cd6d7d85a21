/* SPDX-License-Identifier: Apache-2.0 */
/* recorder_link - the server's standing connection to the recorder. */
#include <config.h>

#include "server/recorder_link.h"

#include <stdlib.h>
#include <string.h>

#include "lib/dpid.h"
#include "lib/jmember.h"
#include "lib/lh_alloc.h"
#include "lib/say.h"
#include "lib/time_spec.h"

#define CALL_TIMEOUT_MS 5000
/* What clients ask may be a large table. */
#define PASSED_TIMEOUT_MS 30000

struct recorder_link {
    struct recorder_link_config config;
    char *path; /* Owned. */
    struct api_link *link;
    bool is_synced;
    bool is_ending;
    size_t n_asked;
    uint64_t n_connects, n_topologies;
    uint64_t n_rounds;  /* Counters of switches. */
    uint64_t n_rules;   /* Events and answers with a rule. */
    uint64_t n_garbage; /* Events that cannot be understood. */
};

/* One question for a rule. */
struct question {
    struct recorder_link *link;
    uint64_t dpid;
    uint32_t version;
};

static void
note_garbage(struct recorder_link *link, const struct lh_error *error)
{
    link->n_garbage++;
    say_warn("recorder %s sent what is not understood: %s", link->path,
             error->text);
}

static void
take_rule(struct recorder_link *link, const json_t *json)
{
    struct lh_error error;
    struct rule *rule;

    if (rule_from_json(json, &rule, &error)) {
        note_garbage(link, &error);
    } else {
        link->n_rules++;
        rule_cache_add(link->config.rules, rule);
    }
}

/* What is removed stays known: postcards of it may still come. */
static void
take_removed(struct recorder_link *link, const json_t *event)
{
    struct jmember root = jmember_root(event);
    struct jmember dpid_member = jmember_get(&root, "dpid");
    struct jmember version_member = jmember_get(&root, "version");
    uint64_t dpid, version;
    struct lh_error error;

    if (jmember_dpid(&dpid_member, &dpid, &error) ||
        jmember_u64(&version_member, UINT32_MAX, &version, &error)) {
        note_garbage(link, &error);
    } else {
        rule_cache_gone(link->config.rules, dpid, (uint32_t) version);
    }
}

/* A switch that does not count says null: nothing is known of it. */
static void
take_count(struct recorder_link *link, const json_t *event)
{
    struct jmember root = jmember_root(event);
    struct jmember dpid_member = jmember_get(&root, "dpid");
    struct jmember asked_member = jmember_get(&root, "asked_ns");
    struct jmember time_member = jmember_get(&root, "time_ns");
    struct jmember sent_member = jmember_get(&root, "tx_packets");
    uint64_t dpid, asked_ns, time_ns, n_sent;
    struct lh_error error;

    if (json_is_null(json_object_get(event, "tx_packets"))) {
        return;
    }
    if (jmember_dpid(&dpid_member, &dpid, &error) ||
        jmember_u64(&asked_member, INT64_MAX, &asked_ns, &error) ||
        jmember_u64(&time_member, INT64_MAX, &time_ns, &error) ||
        jmember_u64(&sent_member, INT64_MAX, &n_sent, &error)) {
        note_garbage(link, &error);
        return;
    }
    link->n_rounds++;
    link->config.on_count(link->config.aux, dpid, asked_ns, time_ns, n_sent);
}

static void
on_event(void *link_, const json_t *event)
{
    struct recorder_link *link = link_;
    const char *name = json_string_value(json_object_get(event, "event"));
    struct lh_error error;

    if (!name) {
        return;
    }
    if (!strcmp(name, "topology")) {
        struct topology *topology;

        if (topology_from_json(json_object_get(event, "topology"), &topology,
                               &error)) {
            note_garbage(link, &error);
        } else {
            link->n_topologies++;
            link->config.on_topology(link->config.aux, topology);
            topology_unref(topology);
        }
    } else if (!strcmp(name, "rule")) {
        take_rule(link, json_object_get(event, "rule"));
        link->config.on_rules(link->config.aux);
    } else if (!strcmp(name, "removed")) {
        take_removed(link, event);
    } else if (!strcmp(name, "round") && link->config.on_count) {
        take_count(link, event);
    } else if (!strcmp(name, "synced")) {
        link->is_synced = true;
        link->config.on_rules(link->config.aux);
    }
}

static void
on_subscribed(void *link_, int error_number, const json_t *answer,
              const struct lh_error *error)
{
    struct recorder_link *link = link_;

    if (error_number && !link->is_ending) {
        say_warn("recorder %s: cannot subscribe: %s", link->path, error->text);
    }
}

static void
on_stats(void *link_, int error_number, const json_t *answer,
         const struct lh_error *error)
{
    struct recorder_link *link = link_;
    const char *path = json_string_value(json_object_get(
        json_object_get(json_object_get(answer, "stats"), "flow_log"),
        "path"));

    /* One that does not say it is no worse for that. */
    if (path && !link->is_ending) {
        link->config.on_flow_log(link->config.aux, path);
    }
}

static void
on_up(void *link_)
{
    struct recorder_link *link = link_;

    say_info("recorder %s: connected", link->path);
    link->n_connects++;
    link->is_synced = false;
    rule_cache_restart(link->config.rules);
    api_link_call(link->link, "subscribe",
                  json_pack("{s:b, s:b}", "rules", 1, "rounds",
                            link->config.on_count != NULL),
                  CALL_TIMEOUT_MS, on_subscribed, link);
    api_link_call(link->link, "stats", NULL, CALL_TIMEOUT_MS, on_stats, link);
}

static void
on_down(void *link_, const char *why)
{
    struct recorder_link *link = link_;

    link->is_synced = false;
    say_warn("recorder %s: %s; trying again", link->path, why);
}

struct recorder_link *
recorder_link_create(struct event_base *base,
                     const struct recorder_link_config *config)
{
    struct recorder_link *link = lh_alloc_zero(sizeof *link);
    struct api_link_config link_config = {
        .path = config->path,
        .on_up = on_up,
        .on_down = on_down,
        .on_event = on_event,
        .aux = link,
    };

    link->config = *config;
    link->path = lh_strdup(config->path);
    link->link = api_link_create(base, &link_config);
    return link;
}

void
recorder_link_destroy(struct recorder_link *link)
{
    if (link) {
        link->is_ending = true;
        api_link_destroy(link->link);
        free(link->path);
        free(link);
    }
}

bool
recorder_link_is_up(const struct recorder_link *link)
{
    return api_link_is_up(link->link);
}

bool
recorder_link_is_synced(const struct recorder_link *link)
{
    return link->is_synced;
}

static void
on_rule(void *question_, int error_number, const json_t *answer,
        const struct lh_error *error)
{
    struct question *question = question_;
    struct recorder_link *link = question->link;

    link->n_asked--;
    if (!link->is_ending) {
        if (!error_number) {
            take_rule(link, json_object_get(answer, "rule"));
        }
        /* No effect when it was given. */
        rule_cache_deny(link->config.rules, question->dpid, question->version,
                        time_spec_now());
        link->config.on_rules(link->config.aux);
    }
    free(question);
}

bool
recorder_link_ask(void *link_, uint64_t dpid, uint32_t version)
{
    struct recorder_link *link = link_;

    if (link->n_asked >= RECORDER_LINK_MAX_ASKED) {
        return false;
    }

    struct question *question = lh_alloc(sizeof *question);

    *question = (struct question){link, dpid, version};
    if (api_link_call(link->link, "flow",
                      json_pack("{s:o, s:I}", "dpid", jmember_dpid_new(dpid),
                                "version", (json_int_t) version),
                      CALL_TIMEOUT_MS, on_rule, question)) {
        free(question);
        return false;
    }
    link->n_asked++;
    return true;
}

int
recorder_link_call(struct recorder_link *link, const char *op, json_t *members,
                   api_link_answer *on_answer, void *aux)
{
    return api_link_call(link->link, op, members, PASSED_TIMEOUT_MS, on_answer,
                         aux);
}

void
recorder_link_collect(const struct recorder_link *link, struct counters *c)
{
    const struct api_link_counters *api = api_link_counters(link->link);

    c->recorder_connects = link->n_connects;
    c->recorder_topologies = link->n_topologies;
    c->recorder_rules = link->n_rules;
    c->recorder_rounds = link->n_rounds;
    c->recorder_garbage = link->n_garbage + api->garbage;
    c->recorder_timeouts = api->timeouts;
}
