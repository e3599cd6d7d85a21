/* SPDX-License-Identifier: Apache-2.0 */
/* past_group - what stood in a switch at a moment: rules, groups with their
 * buckets, meters. */
#include <config.h>

#include "lib/past.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

/* The number in `name`=number, which the match of a bucket has. */
static uint32_t
number_of(const struct rule *bucket, const char *name)
{
    const char *found = strstr(bucket->match, name);

    return found ? (uint32_t) strtoul(found + strlen(name), NULL, 10) : 0;
}

static uint32_t
group_of(const struct rule *bucket)
{
    return number_of(bucket, "group_id=");
}

uint32_t
past_bucket_id(const struct rule *bucket)
{
    return number_of(bucket, ",bucket=");
}

static int
compare_buckets(const void *a_, const void *b_)
{
    const struct rule *a = *(struct rule *const *) a_;
    const struct rule *b = *(struct rule *const *) b_;
    uint32_t x = group_of(a), y = group_of(b);

    if (x != y) {
        return x < y ? -1 : 1;
    }
    return a->version < b->version ? -1 : a->version > b->version;
}

static int
compare_groups(const void *a_, const void *b_)
{
    const struct past_group *a = a_, *b = b_;

    return a->id < b->id ? -1 : a->id > b->id;
}

/* Groups of which the log has the buckets only: it is of an older recorder. */
static void
add_bare_groups(const struct past_query *q, struct past_state *s)
{
    size_t n_known = s->n_groups, allocated = s->n_groups + 1;

    for (size_t i = 0; i < s->n_buckets; i++) {
        const struct rule *b = s->buckets[i];
        struct past_group key = {.id = group_of(b)};

        if ((s->n_groups > n_known &&
             s->groups[s->n_groups - 1].id == key.id) ||
            bsearch(&key, s->groups, n_known, sizeof *s->groups,
                    compare_groups)) {
            continue;
        }
        key.change = b->change;
        key.raw = b->raw;
        key.raw_len = b->raw_len;
        key.text =
            q->group_text && b->raw ? q->group_text(b->raw, b->raw_len) : NULL;
        s->groups = lh_alloc_grow(s->groups, s->n_groups, &allocated,
                                  sizeof *s->groups);
        s->groups[s->n_groups++] = key;
    }
    if (s->n_groups > n_known) {
        qsort(s->groups, s->n_groups, sizeof *s->groups, compare_groups);
    }
}

static void
find_groups(const struct past_query *q, struct past_state *s)
{
    const struct flow_log_object *objects = s->all.objects;
    size_t n = 0;

    while (n < s->all.n_objects && objects[n].class == FLOW_LOG_GROUP) {
        n++;
    }
    s->meters = objects + n;
    s->n_meters = s->all.n_objects - n;
    s->groups = lh_alloc_array(NULL, n + 1, sizeof *s->groups);
    for (size_t i = 0; i < n; i++) {
        s->groups[i] = (struct past_group){
            .id = objects[i].id,
            .change = objects[i].change,
            .text = lh_strdup(objects[i].text),
            .raw = objects[i].raw,
            .raw_len = objects[i].raw_len,
        };
    }
    s->n_groups = n;
    add_bare_groups(q, s);
    for (size_t i = 0, b = 0; i < s->n_groups; i++) {
        while (b < s->n_buckets && group_of(s->buckets[b]) < s->groups[i].id) {
            b++;
        }
        s->groups[i].buckets = s->buckets + b;
        while (b < s->n_buckets &&
               group_of(s->buckets[b]) == s->groups[i].id) {
            s->groups[i].n_buckets++;
            b++;
        }
    }
}

int
past_state_read(const struct past_query *q, const struct past_moment *m,
                bool with_ends, struct past_state *s, struct lh_error *error)
{
    struct flow_log_moment moment = {
        .when = m->is_now      ? FLOW_LOG_NOW
                : m->by_change ? FLOW_LOG_AT_VERSION
                               : FLOW_LOG_AT_TIME,
        .version = m->version,
        .time_ns = m->at_ns,
    };
    struct flow_log_rules *rules = &s->all.rules;
    int retval;

    *s = (struct past_state){.rules = NULL};
    if (past_is_cancelled(q)) {
        lh_error_set(error, "cancelled");
        return ECANCELED;
    }
    retval = flow_log_state_at(q->log, m->dpid, &moment, &s->all, error);
    if (!retval && with_ends && !m->is_now) {
        retval = flow_log_state_ends(q->log, &s->all, error);
    }
    if (retval) {
        flow_log_state_uninit(&s->all);
        return retval;
    }
    s->rules = rules->rules;
    while (s->n_rules < rules->n &&
           rules->rules[s->n_rules]->kind != RULE_GROUP) {
        s->n_rules++;
    }
    s->n_buckets = rules->n - s->n_rules;
    if (s->n_buckets) {
        s->buckets = s->rules + s->n_rules;
        qsort(s->buckets, s->n_buckets, sizeof *s->buckets, compare_buckets);
    }
    find_groups(q, s);
    return 0;
}

void
past_state_uninit(struct past_state *s)
{
    for (size_t i = 0; i < s->n_groups; i++) {
        free(s->groups[i].text);
    }
    free(s->groups);
    flow_log_state_uninit(&s->all);
    *s = (struct past_state){.rules = NULL};
}

json_t *
past_group_json(const struct past_group *group)
{
    json_t *buckets = json_array(), *json;

    for (size_t i = 0; i < group->n_buckets; i++) {
        json_array_append_new(buckets, past_rule_json(group->buckets[i]));
    }
    json = json_pack("{s:I, s:o}", "group", (json_int_t) group->id, "buckets",
                     buckets);
    if (group->text) {
        json_object_set_new(json, "text", jmember_text_new(group->text));
    }
    return json;
}

json_t *
past_meter_json(const struct flow_log_object *meter)
{
    return json_pack("{s:I, s:o}", "meter", (json_int_t) meter->id, "text",
                     jmember_text_new(meter->text));
}
