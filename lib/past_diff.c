/* SPDX-License-Identifier: Apache-2.0 */
/* past_diff - what differs between two moments of a switch. */
#include <config.h>

#include "lib/past.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What stood at one moment. */
struct side {
    struct past_moment moment;
    struct past_state state; /* Rules by table, priority, match. */
};

static int
compare_keys(const struct rule *a, const struct rule *b)
{
    if (a->table_id != b->table_id) {
        return a->table_id < b->table_id ? -1 : 1;
    }
    if (a->priority != b->priority) {
        return a->priority > b->priority ? -1 : 1;
    }
    return strcmp(a->match, b->match);
}

static int
compare_rules(const void *a, const void *b)
{
    return compare_keys(*(struct rule *const *) a, *(struct rule *const *) b);
}

/* Leaves out the recorder's own table-miss rules. */
static void
drop_own(struct past_state *state)
{
    size_t n = 0;

    for (size_t i = 0; i < state->n_rules; i++) {
        struct rule *rule = state->rules[i];

        if (rule->kind != RULE_MISS) {
            state->rules[i] = state->rules[n];
            state->rules[n++] = rule;
        }
    }
    state->n_rules = n;
}

static int
read_side(const struct past_query *q, struct side *side,
          struct lh_error *error)
{
    int retval = past_state_read(q, &side->moment, true, &side->state, error);

    if (!retval) {
        drop_own(&side->state);
        if (side->state.n_rules) {
            qsort(side->state.rules, side->state.n_rules,
                  sizeof(struct rule *), compare_rules);
        }
    }
    return retval;
}

/* The names of what differs between two rules of one key. */
static json_t *
differences(const struct rule *a, const struct rule *b)
{
    json_t *names = json_array();

    if (strcmp(a->actions, b->actions) != 0) {
        json_array_append_new(names, json_string("actions"));
    }
    if (a->cookie != b->cookie) {
        json_array_append_new(names, json_string("cookie"));
    }
    if (a->idle_timeout != b->idle_timeout) {
        json_array_append_new(names, json_string("idle_timeout"));
    }
    if (a->hard_timeout != b->hard_timeout) {
        json_array_append_new(names, json_string("hard_timeout"));
    }
    if (a->flags != b->flags) {
        json_array_append_new(names, json_string("flags"));
    }
    if (a->importance != b->importance) {
        json_array_append_new(names, json_string("importance"));
    }
    return names;
}

struct lists {
    json_t *added, *removed, *modified;
};

static struct lists
lists_new(void)
{
    return (struct lists){json_array(), json_array(), json_array()};
}

static void
lists_put(const struct lists *l, json_t *object)
{
    json_object_set_new(object, "added", l->added);
    json_object_set_new(object, "removed", l->removed);
    json_object_set_new(object, "modified", l->modified);
}

static void
merge_rules(const struct past_state *from, const struct past_state *to,
            const struct lists *l)
{
    size_t i = 0, j = 0;

    while (i < from->n_rules || j < to->n_rules) {
        const struct rule *a = i < from->n_rules ? from->rules[i] : NULL;
        const struct rule *b = j < to->n_rules ? to->rules[j] : NULL;
        int order = !a ? 1 : !b ? -1 : compare_keys(a, b);

        if (order < 0) {
            json_array_append_new(l->removed, past_rule_json(a));
        } else if (order > 0) {
            json_array_append_new(l->added, past_rule_json(b));
        } else if (a->version != b->version) {
            json_array_append_new(l->modified,
                                  json_pack("{s:o, s:o, s:o}", "before",
                                            past_rule_json(a), "after",
                                            past_rule_json(b), "differs",
                                            differences(a, b)));
        }
        i += order <= 0;
        j += order >= 0;
    }
}

/* True when a bucket came, went or was made anew. */
static bool
differ(const struct past_group *a, const struct past_group *b)
{
    if (a->n_buckets != b->n_buckets || !a->text != !b->text ||
        (a->text && strcmp(a->text, b->text) != 0)) {
        return true;
    }
    for (size_t i = 0; i < a->n_buckets; i++) {
        if (a->buckets[i]->version != b->buckets[i]->version) {
            return true;
        }
    }
    return false;
}

static void
merge_groups(const struct past_state *from, const struct past_state *to,
             const struct lists *l)
{
    size_t i = 0, j = 0;

    while (i < from->n_groups || j < to->n_groups) {
        const struct past_group *a =
            i < from->n_groups ? &from->groups[i] : NULL;
        const struct past_group *b = j < to->n_groups ? &to->groups[j] : NULL;
        int64_t order = !a ? 1 : !b ? -1 : (int64_t) a->id - (int64_t) b->id;

        if (order < 0) {
            json_array_append_new(l->removed, past_group_json(a));
        } else if (order > 0) {
            json_array_append_new(l->added, past_group_json(b));
        } else if (differ(a, b)) {
            json_array_append_new(l->modified,
                                  json_pack("{s:o, s:o}", "before",
                                            past_group_json(a), "after",
                                            past_group_json(b)));
        }
        i += order <= 0;
        j += order >= 0;
    }
}

static void
merge_meters(const struct past_state *from, const struct past_state *to,
             const struct lists *l)
{
    size_t i = 0, j = 0;

    while (i < from->n_meters || j < to->n_meters) {
        const struct flow_log_object *a =
            i < from->n_meters ? &from->meters[i] : NULL;
        const struct flow_log_object *b =
            j < to->n_meters ? &to->meters[j] : NULL;
        int64_t order = !a ? 1 : !b ? -1 : (int64_t) a->id - (int64_t) b->id;

        if (order < 0) {
            json_array_append_new(l->removed, past_meter_json(a));
        } else if (order > 0) {
            json_array_append_new(l->added, past_meter_json(b));
        } else if (strcmp(a->text, b->text) != 0) {
            json_array_append_new(l->modified,
                                  json_pack("{s:o, s:o}", "before",
                                            past_meter_json(a), "after",
                                            past_meter_json(b)));
        }
        i += order <= 0;
        j += order >= 0;
    }
}

/* The member 'name' as a moment: a number up to 2^32 is a version, anything
 * else a time. */
static int
read_moment(const struct past_query *q, uint64_t dpid,
            const struct jmember *member, struct past_moment *m,
            struct lh_error *error)
{
    struct jmember none = {.value = NULL};
    bool is_version = json_is_integer(member->value) &&
                      json_integer_value(member->value) >= 0 &&
                      json_integer_value(member->value) <= UINT32_MAX;

    return is_version ? past_moment_read(q, dpid, member, &none, m, error)
                      : past_moment_read(q, dpid, &none, member, m, error);
}

static json_t *
make_answer(const struct past_query *q, const struct side *from,
            const struct side *to)
{
    struct lists rules = lists_new(), groups = lists_new();
    struct lists meters = lists_new();
    json_t *answer = json_pack("{s:o, s:I, s:I}", "dpid",
                               jmember_dpid_new(from->moment.dpid), "from_ns",
                               (json_int_t) from->moment.at_ns, "to_ns",
                               (json_int_t) to->moment.at_ns);
    json_t *object = json_object(), *array = json_array(), *blind;

    merge_rules(&from->state, &to->state, &rules);
    merge_groups(&from->state, &to->state, &groups);
    merge_meters(&from->state, &to->state, &meters);
    lists_put(&rules, answer);
    lists_put(&groups, object);
    json_object_set_new(answer, "groups", object);
    object = json_object();
    lists_put(&meters, object);
    json_object_set_new(answer, "meters", object);
    blind = past_moment_blind(q, &from->moment);
    if (blind) {
        json_array_append_new(array, blind);
    }
    blind = past_moment_blind(q, &to->moment);
    if (blind) {
        json_array_append_new(array, blind);
    }
    if (json_array_size(array)) {
        json_object_set(answer, "blind", array);
    }
    json_decref(array);
    return answer;
}

int
past_diff(const struct past_query *q, json_t **answer, struct lh_error *error)
{
    struct jmember root = jmember_root(q->request);
    struct jmember from_member = jmember_get(&root, "from");
    struct jmember to_member = jmember_get(&root, "to");
    struct side from = {.state.rules = NULL};
    struct side to = {.state.rules = NULL};
    uint64_t dpid;
    int retval = past_moment_dpid(q, &dpid, error);

    *answer = NULL;
    if (!retval && !jmember_is_there(&from_member)) {
        retval = jmember_error(&from_member, error,
                               "must be there: a time or a version");
    }
    if (!retval) {
        retval = read_moment(q, dpid, &from_member, &from.moment, error);
    }
    if (!retval) {
        retval = read_moment(q, dpid, &to_member, &to.moment, error);
    }
    if (!retval) {
        retval = read_side(q, &from, error);
    }
    if (!retval) {
        retval = read_side(q, &to, error);
    }
    if (!retval) {
        *answer = make_answer(q, &from, &to);
    }
    past_state_uninit(&from.state);
    past_state_uninit(&to.state);
    return retval;
}
