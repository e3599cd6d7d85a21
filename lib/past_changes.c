/* SPDX-License-Identifier: Apache-2.0 */
/* past_changes - one timeline of all that happened to switches. */
#include <config.h>

#include "lib/past.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/flow_log.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/time_spec.h"

#define DEFAULT_LIMIT 1000

struct changes_request {
    uint64_t dpid; /* 0: of all switches. */
    uint64_t since_ns, until_ns;
    bool has_after;
    uint64_t after_seq;
    uint64_t limit;
    bool is_desc;
};

static int
read_order(const struct jmember *order, bool *is_desc, struct lh_error *error)
{
    const char *text = "asc";

    if (jmember_is_there(order) && jmember_string(order, &text, error)) {
        return EINVAL;
    }
    *is_desc = !strcmp(text, "desc");
    return *is_desc || !strcmp(text, "asc")
               ? 0
               : jmember_error(order, error, "must be \"asc\" or \"desc\"");
}

/* A cursor is the number of the last entry that was told. */
static int
read_cursor(const struct jmember *member, struct changes_request *r,
            struct lh_error *error)
{
    unsigned long long seq;
    const char *text;
    int n = 0;

    r->has_after = jmember_is_there(member);
    if (!r->has_after) {
        return 0;
    }
    if (jmember_string(member, &text, error)) {
        return EINVAL;
    }
    if (sscanf(text, "%llu%n", &seq, &n) != 1 || text[n]) {
        return jmember_error(member, error,
                             "must be the cursor of an answer before");
    }
    r->after_seq = seq;
    return 0;
}

static int
read_request(const struct past_query *q, struct changes_request *r,
             struct lh_error *error)
{
    struct jmember root = jmember_root(q->request);
    struct jmember dpid = jmember_get(&root, "dpid");
    struct jmember since = jmember_get(&root, "since");
    struct jmember until = jmember_get(&root, "until");
    struct jmember after = jmember_get(&root, "after");
    struct jmember limit = jmember_get(&root, "limit");
    struct jmember order = jmember_get(&root, "order");
    struct jmember none = {.value = NULL};
    struct past_moment m;

    *r = (struct changes_request){.until_ns = INT64_MAX,
                                  .limit = DEFAULT_LIMIT};
    if ((jmember_is_there(&dpid) && jmember_dpid(&dpid, &r->dpid, error)) ||
        (jmember_is_there(&since) &&
         time_spec_member(&since, q->now_ns, &r->since_ns, error)) ||
        (jmember_is_there(&until) &&
         time_spec_member(&until, q->now_ns, &r->until_ns, error)) ||
        read_cursor(&after, r, error) ||
        (jmember_is_there(&limit) &&
         jmember_u64(&limit, PAST_MAX_CHANGES, &r->limit, error)) ||
        read_order(&order, &r->is_desc, error)) {
        return EINVAL;
    }
    if (r->has_after && r->is_desc) {
        return jmember_error(&order, error, "\"desc\" does not go with after");
    }
    if (r->since_ns > INT64_MAX || r->until_ns > INT64_MAX) {
        return jmember_error(r->since_ns > INT64_MAX ? &since : &until, error,
                             "too far in the future");
    }
    /* A switch that was never seen is a mistake. */
    return jmember_is_there(&dpid)
               ? past_moment_read(q, r->dpid, &none, &none, &m, error)
               : 0;
}

/* Adds what a person wants to know of the rule. */
static void
add_rule(const struct past_query *q, uint64_t dpid, uint32_t version,
         bool is_made, json_t *entry)
{
    struct rule *rule;
    char *text = NULL;

    json_object_set_new(entry, "version", json_integer(version));
    if (flow_log_find(q->log, dpid, version, &rule, NULL)) {
        return;
    }
    json_object_set_new(
        entry, "what",
        json_string(
            rule->kind == RULE_GROUP ? is_made ? "group-made" : "group-removed"
            : rule->kind == RULE_MISS ? is_made ? "miss-made" : "miss-removed"
            : is_made                 ? "rule-made"
                                      : "rule-removed"));
    text = rule_flow_text(rule);
    json_object_set_new(entry, "text", jmember_text_new(text));
    free(text);
    json_object_set_new(entry, "of_change",
                        json_integer((json_int_t) rule->change));
    if (is_made) {
        json_object_set_new(entry, "command", jmember_text_new(rule->command));
        json_object_set_new(entry, "who", jmember_text_new(rule->who));
    } else {
        json_object_set_new(entry, "reason",
                            jmember_text_new(rule->removed_reason
                                                 ? rule->removed_reason
                                                 : "?"));
    }
    rule_unref(rule);
}

/* An answer that is being made. */
struct answer {
    const struct past_query *q;
    json_t *changes;
    uint64_t limit, n, last_seq;
    bool is_truncated, is_cancelled;
};

static void
set_text(json_t *entry, const char *name, const char *text)
{
    if (text) {
        json_object_set_new(entry, name, jmember_text_new(text));
    }
}

static void
add_object(const struct flow_log_entry *e, json_t *entry)
{
    char *what =
        lh_asprintf("%s-%s", e->class == FLOW_LOG_GROUP ? "group" : "meter",
                    e->what == FLOW_LOG_WHAT_GONE ? "gone" : "set");

    set_text(entry, "what", what);
    json_object_set_new(entry, e->class == FLOW_LOG_GROUP ? "group" : "meter",
                        json_integer(e->id));
    set_text(entry, "command", e->how);
    set_text(entry, e->what == FLOW_LOG_WHAT_GONE ? "reason" : "text",
             e->text);
    free(what);
}

static json_t *
make_entry(const struct past_query *q, const struct flow_log_entry *e)
{
    json_t *entry =
        json_pack("{s:I, s:I, s:o}", "time_ns", (json_int_t) e->time_ns,
                  "change", (json_int_t) e->change, "dpid",
                  e->dpid ? jmember_dpid_new(e->dpid) : json_null());

    switch (e->what) {
    case FLOW_LOG_WHAT_EVENT:
        set_text(entry, "what", flow_log_event_name(e->event));
        if (e->port != OF_PORT_UNKNOWN) {
            json_object_set_new(entry, "port", json_integer(e->port));
        }
        set_text(entry, "text", e->text);
        break;
    case FLOW_LOG_WHAT_MADE:
    case FLOW_LOG_WHAT_REMOVED:
        set_text(entry, "what",
                 e->what == FLOW_LOG_WHAT_MADE ? "made" : "removed");
        add_rule(q, e->dpid, e->version, e->what == FLOW_LOG_WHAT_MADE, entry);
        if (e->what == FLOW_LOG_WHAT_REMOVED) {
            set_text(entry, "reason", e->text);
        }
        break;
    case FLOW_LOG_WHAT_RESTORED:
    case FLOW_LOG_WHAT_AGAIN:
        set_text(entry, "what",
                 e->what == FLOW_LOG_WHAT_RESTORED ? "rule-restored"
                 : e->rule && e->rule->is_instrumented
                     ? "rule-instrumented"
                     : "rule-uninstrumented");
        json_object_set_new(entry, "version", json_integer(e->version));
        break;
    case FLOW_LOG_WHAT_SET:
    case FLOW_LOG_WHAT_GONE:
        add_object(e, entry);
        break;
    }
    return entry;
}

static bool
add_entry(void *answer_, const struct flow_log_entry *e)
{
    struct answer *answer = answer_;

    if (e->what == FLOW_LOG_WHAT_MADE && e->rule &&
        e->rule->kind == RULE_PACKET_OUT) {
        return true;
    }
    if (answer->n == answer->limit) {
        answer->is_truncated = true;
        return false;
    }
    answer->n++;
    if (e->seq > answer->last_seq) {
        answer->last_seq = e->seq;
    }
    json_array_append_new(answer->changes, make_entry(answer->q, e));
    answer->is_cancelled = past_is_cancelled(answer->q);
    return !answer->is_cancelled;
}

int
past_changes(const struct past_query *q, json_t **answerp,
             struct lh_error *error)
{
    struct answer answer = {.q = q, .changes = json_array()};
    struct changes_request r;
    int retval = read_request(q, &r, error);

    *answerp = NULL;
    if (!retval) {
        struct flow_log_span span = {
            .dpid = r.dpid,
            .since_ns = r.since_ns,
            .until_ns = r.until_ns,
            .after_seq = r.after_seq,
            .newest_first = r.is_desc,
        };

        answer.limit = r.limit;
        answer.last_seq = r.after_seq;
        retval = flow_log_changes(q->log, &span, add_entry, &answer, error);
    }
    if (!retval && answer.is_cancelled) {
        lh_error_set(error, "cancelled");
        retval = ECANCELED;
    }
    if (!retval) {
        char *cursor =
            lh_asprintf("%llu", (unsigned long long) answer.last_seq);

        *answerp = json_pack("{s:O, s:s, s:s, s:b}", "changes", answer.changes,
                             "order", r.is_desc ? "desc" : "asc", "cursor",
                             cursor, "truncated", (int) answer.is_truncated);
        free(cursor);
    }
    json_decref(answer.changes);
    return retval;
}
