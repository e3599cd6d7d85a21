/* SPDX-License-Identifier: Apache-2.0 */
/* past_why - which rules a packet would have matched at a moment of the past,
 * as JSON (docs/api.md). */
#include <config.h>

#include "lib/past.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "recorder/of_why.h"
#include "recorder/past_worker.h"

#define MAX_PACKET 65535
#define MAX_SEEN   64

struct why_request {
    uint64_t dpid;
    struct past_moment moment;
    struct of_why_packet *packet; /* Owned. */
    uint64_t version_not;
    uint32_t seen[MAX_SEEN]; /* Versions that are known to have matched. */
    size_t n_seen;
};

/* --- the request --------------------------------------------------------- */

static int
read_frame(const struct jmember *root, const struct jmember *hex,
           struct why_request *r, struct lh_error *error)
{
    struct jmember port = jmember_get(root, "in_port");
    struct jmember length = jmember_get(root, "length");
    uint64_t in_port, full_len = 0;
    uint8_t *data;
    size_t len;

    if (jmember_u64(&port, UINT16_MAX, &in_port, error) ||
        (jmember_is_there(&length) &&
         jmember_u64(&length, MAX_PACKET, &full_len, error)) ||
        jmember_hex(hex, MAX_PACKET, &data, &len, error)) {
        return EINVAL;
    }
    if (len < 14) {
        free(data);
        return jmember_error(
            hex, error, "%zu bytes are less than an Ethernet header", len);
    }
    r->packet = of_why_packet_create(data, len, full_len, (uint16_t) in_port);
    free(data);
    return 0;
}

static int
read_packet(const struct jmember *root, struct why_request *r,
            struct lh_error *error)
{
    struct jmember hex = jmember_get(root, "packet");
    struct jmember flow = jmember_get(root, "flow");
    const char *text;
    char *reason;
    int retval;

    if (jmember_is_there(&hex) == jmember_is_there(&flow)) {
        return jmember_error(&hex, error,
                             "either packet (hex) or flow (as ovs-ofctl "
                             "writes it) must be there");
    }
    if (jmember_is_there(&hex)) {
        return read_frame(root, &hex, r, error);
    }
    retval = jmember_string(&flow, &text, error);
    if (retval) {
        return retval;
    }
    reason = of_why_packet_from_text(text, &r->packet);
    if (reason) {
        jmember_error(&flow, error, "%s", reason);
        free(reason);
        return EINVAL;
    }
    return 0;
}

static int
read_seen(const struct jmember *root, struct why_request *r,
          struct lh_error *error)
{
    struct jmember seen = jmember_get(root, "seen");
    size_t n;

    if (!jmember_is_there(&seen)) {
        return 0;
    }
    if (jmember_array(&seen, &n, error)) {
        return EINVAL;
    }
    for (size_t i = 0; i < n && i < MAX_SEEN; i++) {
        struct jmember member = jmember_at(&seen, i);
        uint64_t version;

        if (jmember_u64(&member, UINT32_MAX, &version, error)) {
            return EINVAL;
        }
        r->seen[r->n_seen++] = (uint32_t) version;
    }
    return 0;
}

static int
read_request(const struct past_query *q, struct why_request *r,
             struct lh_error *error)
{
    struct jmember root = jmember_root(q->request);
    struct jmember version = jmember_get(&root, "version");
    struct jmember at = jmember_get(&root, "at");
    struct jmember not = jmember_get(&root, "version_not");
    int retval = past_moment_dpid(q, &r->dpid, error);

    if (!retval && jmember_is_there(&not )) {
        retval = jmember_u64(&not, UINT32_MAX, &r->version_not, error);
    }
    if (!retval) {
        retval = read_seen(&root, r, error);
    }
    if (!retval) {
        retval = read_packet(&root, r, error);
    }
    return retval ? retval
                  : past_moment_read(q, r->dpid, &version, &at, &r->moment,
                                     error);
}

/* --- the tables ---------------------------------------------------------- */

static bool
has_version(const struct past_state *state, uint32_t version)
{
    for (size_t i = 0; i < state->n_rules; i++) {
        if (state->rules[i]->version == version) {
            return true;
        }
    }
    return false;
}

/* A postcard that names a rule knows better than its time, which is another
 * clock's: where that rule did not stand at the moment, the moment is that
 * when it was made. */
static int
trust_seen(const struct past_query *q, struct why_request *r,
           struct past_state *state, struct lh_error *error)
{
    struct rule *rule;
    int retval = 0;

    for (size_t i = 0; !retval && i < r->n_seen; i++) {
        uint32_t version = r->seen[i];
        json_t *number = json_integer(version);
        struct jmember member = jmember_root(number);
        struct jmember none = {.value = NULL};

        if (!has_version(state, version) &&
            !flow_log_find(q->log, r->dpid, version, &rule, NULL)) {
            if (rule->kind == RULE_FLOW || rule->kind == RULE_MISS) {
                past_state_uninit(state);
                retval = past_moment_read(q, r->dpid, &member, &none,
                                          &r->moment, error);
                if (!retval) {
                    retval =
                        past_state_read(q, &r->moment, false, state, error);
                }
            }
            rule_unref(rule);
        }
        json_decref(number);
    }
    return retval;
}

static void
add_rules(struct of_why_table *t, const struct past_state *state)
{
    for (size_t i = 0; i < state->n_rules; i++) {
        const struct rule *rule = state->rules[i];
        struct of_why_rule why = {
            .table_id = rule->table_id,
            .priority = rule->priority,
            .version = rule->version,
            .match = rule->match,
            .actions = rule->actions,
        };

        if (rule->kind == RULE_MISS) {
            of_why_table_add_miss(t, rule->table_id, rule->version,
                                  rule_outputs(rule, NULL, 0));
        } else {
            of_why_table_add_rule(t, &why, rule->raw, rule->raw_len);
        }
    }
}

static void
add_groups(struct of_why_table *t, const struct past_state *state)
{
    struct of_why_bucket *buckets =
        lh_alloc_array(NULL, state->n_buckets, sizeof *buckets);

    for (size_t i = 0; i < state->n_groups; i++) {
        const struct past_group *group = &state->groups[i];

        for (size_t j = 0; j < group->n_buckets; j++) {
            buckets[j] = (struct of_why_bucket){
                .id = past_bucket_id(group->buckets[j]),
                .version = group->buckets[j]->version,
            };
        }
        of_why_table_add_group(t, buckets, group->n_buckets, group->raw,
                               group->raw_len);
    }
    free(buckets);
}

static void
add_port(void *t, uint16_t port, bool is_up)
{
    of_why_table_add_port(t, port, is_up);
}

static int
make_table(const struct past_query *q, struct why_request *r,
           struct of_why_table *t, struct lh_error *error)
{
    struct past_state state;
    int retval = past_state_read(q, &r->moment, false, &state, error);

    if (!retval) {
        retval = trust_seen(q, r, &state, error);
    }
    if (!retval) {
        retval = past_moment_ports(q, &r->moment, add_port, t, error);
    }
    if (!retval) {
        add_rules(t, &state);
        add_groups(t, &state);
    }
    past_state_uninit(&state);
    return retval;
}

/* --- the answer ---------------------------------------------------------- */

static json_t *
texts_json(const struct of_why_texts *t)
{
    json_t *array = json_array();

    for (size_t i = 0; i < t->n; i++) {
        json_array_append_new(array, jmember_text_new(t->texts[i]));
    }
    return array;
}

static json_t *
step_json(const struct of_why_step *s)
{
    json_t *json = json_pack("{s:i}", "depth", (int) s->depth);
    json_t *edits = json_array();

    if (s->kind == OF_WHY_TABLE) {
        json_object_set_new(json, "table", json_integer(s->table_id));
        json_object_set_new(json, "version",
                            s->is_miss ? json_null()
                                       : json_integer(s->version));
        if (s->miss_version) {
            json_object_set_new(json, "miss_version",
                                json_integer(s->miss_version));
        }
        if (!s->is_miss) {
            json_object_set_new(json, "priority", json_integer(s->priority));
            json_object_set_new(json, "match", jmember_text_new(s->match));
        }
        if (s->next_version) {
            json_object_set_new(
                json, "next",
                json_pack("{s:I, s:i, s:o, s:o}", "version",
                          (json_int_t) s->next_version, "priority",
                          (int) s->next_priority, "match",
                          jmember_text_new(s->next_match), "actions",
                          jmember_text_new(s->next_actions)));
        }
    } else if (s->kind == OF_WHY_BUCKET) {
        json_object_set_new(json, "group", json_integer(s->group_id));
        json_object_set_new(json, "bucket",
                            json_integer((json_int_t) s->bucket));
        json_object_set_new(json, "version",
                            s->version ? json_integer(s->version)
                                       : json_null());
    } else {
        json_object_set_new(json, "action_set", json_true());
    }
    if (s->actions) {
        json_object_set_new(
            json, "actions",
            jmember_text_new(*s->actions ? s->actions : "drop"));
    }
    json_object_set_new(json, "before", jmember_text_new(s->before));
    for (size_t i = 0; i < s->n_edits; i++) {
        json_array_append_new(
            edits, json_pack("{s:s, s:o, s:o}", "field", s->edits[i].field,
                             "before", jmember_text_new(s->edits[i].before),
                             "after", jmember_text_new(s->edits[i].after)));
    }
    json_object_set_new(json, "edits", edits);
    json_object_set_new(json, "did", texts_json(&s->did));
    return json;
}

static json_t *
path_json(const struct of_why_path *p)
{
    json_t *steps = json_array(), *outputs = json_array();
    json_t *verdict =
        json_pack("{s:s}", "name", of_why_verdict_name(p->verdict));

    if (p->reason) {
        json_object_set_new(verdict, "reason", jmember_text_new(p->reason));
    }
    for (size_t i = 0; i < p->n_steps; i++) {
        json_array_append_new(steps, step_json(&p->steps[i]));
    }
    for (size_t i = 0; i < p->n_outputs; i++) {
        const struct of_why_output *o = &p->outputs[i];

        json_array_append_new(
            outputs,
            json_pack("{s:o, s:I, s:o}", "port",
                      o->is_known ? json_integer(o->port) : json_null(),
                      "step", (json_int_t) o->step, "header",
                      jmember_text_new(o->header)));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "steps", steps, "outputs",
                     outputs, "verdict", verdict, "assumed",
                     texts_json(&p->assumed), "uncertain",
                     texts_json(&p->uncertain));
}

static json_t *
not_json(const struct of_why_not *n)
{
    json_t *json =
        json_pack("{s:I, s:b, s:b, s:b}", "version", (json_int_t) n->version,
                  "found", (int) n->is_found, "reached", (int) n->is_reached,
                  "matched", (int) n->is_matched);
    json_t *fields = json_array();

    for (size_t i = 0; i < n->n_fields; i++) {
        json_array_append_new(
            fields, json_pack("{s:s, s:o, s:o}", "field", n->fields[i].field,
                              "rule", jmember_text_new(n->fields[i].before),
                              "packet", jmember_text_new(n->fields[i].after)));
    }
    json_object_set_new(json, "fields", fields);
    json_object_set_new(json, "shadowed_by",
                        n->shadowed_by ? json_integer(n->shadowed_by)
                                       : json_null());
    json_object_set_new(json, "undefined", json_boolean(n->is_undefined));
    if (n->is_reached) {
        json_object_set_new(json, "step", json_integer((json_int_t) n->step));
    }
    return json;
}

static bool
is_on_path(const struct of_why_path *p, uint32_t version)
{
    for (size_t i = 0; i < p->n_steps; i++) {
        if (p->steps[i].version == version ||
            p->steps[i].miss_version == version) {
            return true;
        }
    }
    return false;
}

/* The path that has most of the rules that are known to have matched. */
static size_t
best_path(const struct why_request *r, const struct of_why_answer *a)
{
    size_t best = 0, best_n = 0;

    for (size_t i = 0; i < a->n_paths; i++) {
        size_t n = 0;

        for (size_t j = 0; j < r->n_seen; j++) {
            n += is_on_path(&a->paths[i], r->seen[j]);
        }
        if (n > best_n) {
            best = i;
            best_n = n;
        }
    }
    return best;
}

static json_t *
make_answer(const struct past_query *q, const struct why_request *r,
            const struct of_why_table *t, const struct of_why_answer *a)
{
    size_t best = best_path(r, a);
    json_t *answer = path_json(&a->paths[best]);
    json_t *alternatives = json_array(), *blind;
    char *text = of_why_packet_to_text(r->packet);

    for (size_t i = 0; i < a->n_paths; i++) {
        if (i != best) {
            json_array_append_new(alternatives, path_json(&a->paths[i]));
        }
    }
    json_object_set_new(answer, "dpid", jmember_dpid_new(r->dpid));
    json_object_set_new(answer, "at_ns",
                        json_integer((json_int_t) r->moment.at_ns));
    json_object_set_new(answer, "packet", jmember_text_new(text));
    json_object_set_new(answer, "alternatives", alternatives);
    json_object_set_new(answer, "truncated", json_boolean(a->is_truncated));
    if (of_why_table_n_bad(t)) {
        json_object_set_new(answer, "unreadable",
                            json_integer((json_int_t) of_why_table_n_bad(t)));
    }
    if (r->version_not) {
        json_object_set_new(answer, "not", not_json(&a->not ));
    }
    blind = past_moment_blind(q, &r->moment);
    if (blind) {
        json_object_set_new(answer, "blind", blind);
    }
    free(text);
    return answer;
}

int
past_why(const struct past_query *q, json_t **answer, struct lh_error *error)
{
    struct of_why_table *table = of_why_table_create();
    struct why_request r = {.packet = NULL};
    struct of_why_answer a;
    int retval = read_request(q, &r, error);

    *answer = NULL;
    if (!retval) {
        retval = make_table(q, &r, table, error);
    }
    if (!retval) {
        of_why_run(table, r.packet, (uint32_t) r.version_not, &a);
        if (a.n_paths) {
            *answer = make_answer(q, &r, table, &a);
        } else {
            lh_error_set(error, "no way through the tables is possible");
            retval = EPROTO;
        }
        of_why_answer_uninit(&a);
    }
    of_why_packet_destroy(r.packet);
    of_why_table_destroy(table);
    return retval;
}
