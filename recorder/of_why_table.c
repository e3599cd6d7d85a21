/* SPDX-License-Identifier: Apache-2.0 */
/* of_why_table - the rules, groups and ports that a packet is sent through. */
#include <config.h>
#include "recorder/of_why.h"

#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_flow.h"
#include "recorder/of_why_state.h"

struct of_why_table *
of_why_table_create(void)
{
    return lh_alloc_zero(sizeof(struct of_why_table));
}

void
of_why_table_destroy(struct of_why_table *t)
{
    if (!t) {
        return;
    }
    for (size_t i = 0; i < t->n_rules; i++) {
        minimatch_destroy(&t->rules[i].match);
        of_acts_uninit(&t->rules[i].acts);
        free((char *) t->rules[i].r.match);
        free((char *) t->rules[i].r.actions);
    }
    for (size_t i = 0; i < t->n_groups; i++) {
        for (size_t j = 0; j < t->groups[i].n_buckets; j++) {
            of_acts_uninit(&t->groups[i].buckets[j].acts);
        }
        free(t->groups[i].buckets);
    }
    free(t->rules);
    free(t->groups);
    free(t->ports);
    free(t);
}

static bool
is_conjunction(const struct of_acts *acts)
{
    const struct ofpact *a;

    OFPACT_FOR_EACH(a, acts->data, acts->len)
    {
        if (a->type == OFPACT_CONJUNCTION) {
            return true;
        }
    }
    return false;
}

/* Reads the rule from its texts. */
static bool
read_texts(const struct of_why_rule *r, struct of_flow *flow)
{
    char *text = lh_asprintf("%s%sactions=%s", r->match ? r->match : "",
                             r->match && *r->match ? "," : "",
                             r->actions && *r->actions ? r->actions : "drop");
    char *error = of_flow_from_text(flow, OF_FLOW_ADD, text);
    bool ok = !error;

    free(error);
    free(text);
    return ok;
}

bool
of_why_table_add_rule(struct of_why_table *t, const struct of_why_rule *r,
                      const uint8_t *raw, size_t raw_len)
{
    struct why_rule rule = {.r = *r, .order = t->n_rules};
    struct match match;
    struct of_flow flow;

    if (!(raw_len >= 8 && of_flow_decode(raw, raw_len, true, &flow)) &&
        !read_texts(r, &flow)) {
        t->n_bad++;
        return false;
    }
    rule.r.match = lh_strdup(r->match ? r->match : "");
    rule.r.actions = lh_strdup(r->actions ? r->actions : "");
    of_match_expand(flow.match, &match);
    minimatch_init(&rule.match, &match);
    of_acts_move(&rule.acts, &flow.acts);
    rule.is_conjunction = is_conjunction(&rule.acts);
    of_flow_uninit(&flow);
    t->rules = lh_alloc_grow(t->rules, t->n_rules, &t->allocated_rules,
                             sizeof *t->rules);
    t->rules[t->n_rules++] = rule;
    t->is_sorted = false;
    return true;
}

void
of_why_table_add_miss(struct of_why_table *t, uint8_t table_id,
                      uint32_t version, bool to_controller)
{
    t->miss[table_id] = (struct why_miss){version, to_controller};
}

static uint32_t
find_version(const struct of_why_bucket *buckets, size_t n, uint32_t id)
{
    for (size_t i = 0; i < n; i++) {
        if (buckets[i].id == id) {
            return buckets[i].version;
        }
    }
    return 0;
}

static void
add_bucket(struct why_group *group, const struct ofputil_bucket *b,
           uint32_t version)
{
    struct why_bucket bucket = {
        .version = version,
        .watch_port = of_ovs_u16(b->watch_port),
        .watch_group = b->watch_group,
    };

    of_acts_from_ovs(&bucket.acts, b->ofpacts, b->ofpacts_len);
    group->buckets = lh_alloc_array(group->buckets, group->n_buckets + 1,
                                    sizeof *group->buckets);
    group->buckets[group->n_buckets++] = bucket;
}

bool
of_why_table_add_group(struct of_why_table *t,
                       const struct of_why_bucket *buckets, size_t n,
                       const uint8_t *raw, size_t raw_len)
{
    struct why_group group = {.buckets = NULL};
    struct ofputil_group_mod gm;
    struct ofputil_bucket *b;
    struct ofpbuf *msg;
    enum ofptype type;

    if (raw_len < 8) {
        t->n_bad++;
        return false;
    }
    msg = of_ovs_message(raw, raw_len);
    if (ofptype_decode(&type, msg->data) || type != OFPTYPE_GROUP_MOD ||
        ofputil_decode_group_mod(msg->data, &gm)) {
        ofpbuf_delete(msg);
        t->n_bad++;
        return false;
    }
    group.id = gm.group_id;
    group.type = gm.type;
    LIST_FOR_EACH(b, list_node, &gm.buckets)
    {
        add_bucket(&group, b, find_version(buckets, n, b->bucket_id));
    }
    ofputil_uninit_group_mod(&gm);
    ofpbuf_delete(msg);
    t->groups = lh_alloc_grow(t->groups, t->n_groups, &t->allocated_groups,
                              sizeof *t->groups);
    t->groups[t->n_groups++] = group;
    return true;
}

void
of_why_table_add_port(struct of_why_table *t, uint16_t port, bool is_up)
{
    for (size_t i = 0; i < t->n_ports; i++) {
        if (t->ports[i].no == port) {
            t->ports[i].is_up = is_up;
            return;
        }
    }
    t->ports = lh_alloc_grow(t->ports, t->n_ports, &t->allocated_ports,
                             sizeof *t->ports);
    t->ports[t->n_ports++] = (struct why_port){port, is_up};
}

size_t
of_why_table_n_bad(const struct of_why_table *t)
{
    return t->n_bad;
}

static int
compare_rules(const void *a_, const void *b_)
{
    const struct why_rule *a = a_, *b = b_;

    if (a->r.table_id != b->r.table_id) {
        return a->r.table_id < b->r.table_id ? -1 : 1;
    }
    if (a->r.priority != b->r.priority) {
        return a->r.priority > b->r.priority ? -1 : 1;
    }
    return a->order < b->order ? -1 : a->order > b->order;
}

void
why_table_sort(struct of_why_table *t)
{
    size_t i = 0;

    if (t->is_sorted) {
        return;
    }
    if (t->n_rules) {
        qsort(t->rules, t->n_rules, sizeof *t->rules, compare_rules);
    }
    for (size_t table = 0; table <= 256; table++) {
        while (i < t->n_rules && t->rules[i].r.table_id < table) {
            i++;
        }
        t->first[table] = i;
    }
    t->is_sorted = true;
}

const struct why_group *
why_table_group(const struct of_why_table *t, uint32_t id)
{
    for (size_t i = 0; i < t->n_groups; i++) {
        if (t->groups[i].id == id) {
            return &t->groups[i];
        }
    }
    return NULL;
}

const struct why_port *
why_table_port(const struct of_why_table *t, uint16_t no)
{
    for (size_t i = 0; i < t->n_ports; i++) {
        if (t->ports[i].no == no) {
            return &t->ports[i];
        }
    }
    return NULL;
}
