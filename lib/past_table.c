/* SPDX-License-Identifier: Apache-2.0 */
/* past_table - a flow table as it was, and one rule. */
#include <config.h>

#include "lib/past.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *
past_rule_json(const struct rule *rule)
{
    json_t *json = rule_to_json(rule);
    char *text = rule_flow_text(rule);

    json_object_set_new(json, "text", jmember_text_new(text));
    free(text);
    return json;
}

uint32_t
past_group_id(const struct rule *bucket)
{
    unsigned int id = 0;

    sscanf(bucket->match, "group_id=%u", &id);
    return id;
}

json_t *
past_group_json(const struct past_query *q,
                const struct flow_log_rules *buckets, size_t first, size_t *n)
{
    const struct rule *rule = buckets->rules[first];
    uint32_t id = past_group_id(rule);
    json_t *array = json_array(), *json;
    char *text = q->group_text && rule->raw
                     ? q->group_text(rule->raw, rule->raw_len)
                     : NULL;

    *n = 0;
    for (size_t i = first;
         i < buckets->n && past_group_id(buckets->rules[i]) == id &&
         buckets->rules[i]->change == rule->change;
         i++) {
        json_array_append_new(array, past_rule_json(buckets->rules[i]));
        ++*n;
    }
    json = json_pack("{s:I, s:o}", "group", (json_int_t) id, "buckets", array);
    if (text) {
        json_object_set_new(json, "text", jmember_text_new(text));
    }
    free(text);
    return json;
}

/* Adds the groups of the moment to 'answer'. */
static int
add_groups(const struct past_query *q, const struct past_moment *m,
           json_t *answer, struct lh_error *error)
{
    struct flow_log_rules buckets = FLOW_LOG_RULES_INIT;
    int retval = past_moment_rules(q, m, true, &buckets, error);
    json_t *groups = json_array();

    for (size_t i = 0, n; !retval && i < buckets.n; i += n) {
        json_array_append_new(groups, past_group_json(q, &buckets, i, &n));
    }
    json_object_set_new(answer, "groups", groups);
    flow_log_rules_uninit(&buckets);
    return retval;
}

/* What the request wants besides the moment. */
struct wanted {
    bool has_table;
    uint64_t table;
    bool groups;
};

static int
read_wanted(const struct jmember *root, struct wanted *w,
            struct lh_error *error)
{
    struct jmember table = jmember_get(root, "table");
    struct jmember groups = jmember_get(root, "groups");

    *w = (struct wanted){.has_table = jmember_is_there(&table)};
    if ((w->has_table && jmember_u64(&table, 255, &w->table, error)) ||
        (jmember_is_there(&groups) &&
         jmember_bool(&groups, &w->groups, error))) {
        return EINVAL;
    }
    return 0;
}

static int
too_many(size_t n, struct lh_error *error)
{
    lh_error_set(error,
                 "%zu rules are more than the %d of one answer; ask with "
                 "\"table\"",
                 n, PAST_MAX_RULES);
    return E2BIG;
}

/* The rules that are wanted, as JSON. */
static int
make_rules(const struct past_query *q, const struct flow_log_rules *rules,
           const struct wanted *w, json_t *array, struct lh_error *error)
{
    size_t n = 0;

    for (size_t i = 0; i < rules->n; i++) {
        n += !w->has_table || rules->rules[i]->table_id == w->table;
    }
    if (n > PAST_MAX_RULES) {
        return too_many(n, error);
    }
    for (size_t i = 0; i < rules->n; i++) {
        if (!w->has_table || rules->rules[i]->table_id == w->table) {
            json_array_append_new(array, past_rule_json(rules->rules[i]));
        }
        if (!(i % 256) && past_is_cancelled(q)) {
            lh_error_set(error, "cancelled");
            return ECANCELED;
        }
    }
    return 0;
}

int
past_table(const struct past_query *q, json_t **answer, struct lh_error *error)
{
    struct jmember root = jmember_root(q->request);
    struct jmember version = jmember_get(&root, "version");
    struct jmember at = jmember_get(&root, "at");
    struct flow_log_rules rules = FLOW_LOG_RULES_INIT;
    json_t *array = json_array(), *blind;
    struct past_moment m;
    struct wanted w;
    uint64_t dpid;
    int retval = past_moment_dpid(q, &dpid, error);

    *answer = NULL;
    if (!retval) {
        retval = read_wanted(&root, &w, error);
    }
    if (!retval) {
        retval = past_moment_read(q, dpid, &version, &at, &m, error);
    }
    if (!retval) {
        retval = past_moment_rules(q, &m, false, &rules, error);
    }
    if (!retval) {
        retval = make_rules(q, &rules, &w, array, error);
    }
    if (!retval) {
        *answer = json_pack("{s:o, s:I, s:O}", "dpid", jmember_dpid_new(dpid),
                            "at_ns", (json_int_t) m.at_ns, "rules", array);
        blind = past_moment_blind(q, &m);
        if (blind) {
            json_object_set_new(*answer, "blind", blind);
        }
        retval = w.groups ? add_groups(q, &m, *answer, error) : 0;
    }
    if (retval) {
        json_decref(*answer);
        *answer = NULL;
    }
    json_decref(array);
    flow_log_rules_uninit(&rules);
    return retval;
}

int
past_flow(const struct past_query *q, json_t **answer, struct lh_error *error)
{
    struct jmember root = jmember_root(q->request);
    struct jmember member = jmember_get(&root, "version");
    uint64_t dpid, version;
    struct rule *rule;
    int retval;

    *answer = NULL;
    if (past_moment_dpid(q, &dpid, error) ||
        jmember_u64(&member, UINT32_MAX, &version, error)) {
        return EINVAL;
    }
    retval = flow_log_find(q->log, dpid, (uint32_t) version, &rule, error);
    if (!retval) {
        *answer = json_pack("{s:o}", "rule", past_rule_json(rule));
        rule_unref(rule);
    }
    return retval;
}
