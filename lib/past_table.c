/* SPDX-License-Identifier: Apache-2.0 */
/* past_table - a flow table as it was, and one rule. */
#include <config.h>

#include "lib/past.h"

#include <errno.h>
#include <stdlib.h>

json_t *
past_rule_json(const struct rule *rule)
{
    json_t *json = rule_to_json(rule);
    char *text = rule_flow_text(rule);

    json_object_set_new(json, "text", jmember_text_new(text));
    free(text);
    return json;
}

/* Adds groups and meters of the moment to 'answer'. */
static void
add_groups(const struct past_state *state, json_t *answer)
{
    json_t *groups = json_array(), *meters = json_array();

    for (size_t i = 0; i < state->n_groups; i++) {
        json_array_append_new(groups, past_group_json(&state->groups[i]));
    }
    for (size_t i = 0; i < state->n_meters; i++) {
        json_array_append_new(meters, past_meter_json(&state->meters[i]));
    }
    json_object_set_new(answer, "groups", groups);
    json_object_set_new(answer, "meters", meters);
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
make_rules(const struct past_query *q, const struct past_state *state,
           const struct wanted *w, json_t *array, struct lh_error *error)
{
    size_t n = 0;

    for (size_t i = 0; i < state->n_rules; i++) {
        n += !w->has_table || state->rules[i]->table_id == w->table;
    }
    if (n > PAST_MAX_RULES) {
        return too_many(n, error);
    }
    for (size_t i = 0; i < state->n_rules; i++) {
        if (!w->has_table || state->rules[i]->table_id == w->table) {
            json_array_append_new(array, past_rule_json(state->rules[i]));
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
    struct past_state state = {.rules = NULL};
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
        retval = past_state_read(q, &m, true, &state, error);
    }
    if (!retval) {
        retval = make_rules(q, &state, &w, array, error);
    }
    if (!retval) {
        *answer = json_pack("{s:o, s:I, s:O}", "dpid", jmember_dpid_new(dpid),
                            "at_ns", (json_int_t) m.at_ns, "rules", array);
        blind = past_moment_blind(q, &m);
        if (blind) {
            json_object_set_new(*answer, "blind", blind);
        }
        if (w.groups) {
            add_groups(&state, *answer);
        }
    }
    json_decref(array);
    past_state_uninit(&state);
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
