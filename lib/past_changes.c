/* SPDX-License-Identifier: Apache-2.0 */
/* past_changes - one timeline of all that happened to switches. */
#include <config.h>

#include "lib/past.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"

#define DEFAULT_LIMIT 1000

struct changes_request {
    uint64_t dpid; /* 0: of all switches. */
    uint64_t since_ns, until_ns;
    bool has_after;
    int64_t change, event; /* After these: a change, a row of events. */
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

/* A cursor is "CHANGE.EVENT": an event that no change belongs to has the
 * number of the one before it, so that the number alone does not do. */
static int
read_cursor(const struct jmember *member, struct changes_request *r,
            struct lh_error *error)
{
    long long change, event;
    const char *text;
    int n = 0;

    r->has_after = jmember_is_there(member);
    r->change = r->event = -1;
    if (!r->has_after) {
        return 0;
    }
    if (jmember_string(member, &text, error)) {
        return EINVAL;
    }
    if (sscanf(text, "%lld.%lld%n", &change, &event, &n) != 2 || text[n]) {
        return jmember_error(member, error,
                             "must be the cursor of an answer before");
    }
    r->change = change;
    r->event = event;
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

/* The entries, the rules among them by version only; columns: change, time,
 * dpid, what, version, port, text, row of events. */
static const char select_all[] =
    "SELECT made_change AS c, installed_ns AS t, dpid, 'made', version AS v,"
    " NULL, NULL, NULL AS e, 1 AS o FROM rule"
    " WHERE (?1 = 0 OR dpid = ?1) AND installed_ns >= ?2"
    " AND installed_ns < ?3 AND made_change > ?4 AND kind <> 3"
    " UNION ALL "
    "SELECT removed_change, removed_ns, dpid, 'removed', version,"
    " NULL, NULL, NULL, 0 FROM rule"
    " WHERE (?1 = 0 OR dpid = ?1) AND removed_ns >= ?2"
    " AND removed_ns < ?3 AND removed_change > ?4 AND kind <> 3"
    " AND removed_change < 9223372036854775807"
    " UNION ALL "
    "SELECT change, time_ns, dpid, kind, NULL, port, text, rowid, 2"
    " FROM event WHERE (?1 = 0 OR dpid = ?1) AND time_ns >= ?2"
    " AND time_ns < ?3 AND rowid > ?6 ";

static struct db_statement *
select_changes(const struct past_query *q, const struct changes_request *r)
{
    char *sql = lh_asprintf(
        "%s%s", select_all,
        r->is_desc ? "ORDER BY c DESC, t DESC, o DESC, e DESC, v DESC LIMIT ?5"
                   : "ORDER BY c, t, o, e, v LIMIT ?5");
    struct db_statement *s = db_prepare(q->log->db, sql);

    db_bind_int(s, 1, (int64_t) r->dpid);
    db_bind_int(s, 2, (int64_t) r->since_ns);
    db_bind_int(s, 3, (int64_t) r->until_ns);
    db_bind_int(s, 4, r->change);
    /* Who goes on after a change must have got all of it. */
    db_bind_int(s, 5, r->has_after ? INT64_MAX : (int64_t) r->limit + 1);
    db_bind_int(s, 6, r->event);
    free(sql);
    return s;
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

static json_t *
make_entry(const struct past_query *q, const struct db_statement *s)
{
    uint64_t dpid = (uint64_t) db_int(s, 2);
    const char *what = db_text(s, 3);
    json_t *entry =
        json_pack("{s:I, s:I, s:o, s:o}", "time_ns", (json_int_t) db_int(s, 1),
                  "change", (json_int_t) db_int(s, 0), "dpid",
                  dpid ? jmember_dpid_new(dpid) : json_null(), "what",
                  jmember_text_new(what ? what : "note"));

    if (!db_is_null(s, 4)) {
        add_rule(q, dpid, (uint32_t) db_int(s, 4), !strcmp(what, "made"),
                 entry);
        return entry;
    }
    if (!db_is_null(s, 5)) {
        json_object_set_new(entry, "port", json_integer(db_int(s, 5)));
    }
    if (db_text(s, 6)) {
        json_object_set_new(entry, "text", jmember_text_new(db_text(s, 6)));
    }
    return entry;
}

int
past_changes(const struct past_query *q, json_t **answer,
             struct lh_error *error)
{
    json_t *changes = json_array();
    struct changes_request r;
    struct db_statement *s;
    int64_t change, event;
    bool is_truncated = false;
    uint64_t n = 0;
    int retval = read_request(q, &r, error);

    *answer = NULL;
    if (retval) {
        json_decref(changes);
        return retval;
    }
    change = r.change;
    event = r.event;
    s = select_changes(q, &r);
    while (!retval && db_step(s)) {
        if (n >= r.limit && !(r.has_after && db_int(s, 0) == change)) {
            is_truncated = true;
            break;
        }
        n++;
        change = db_int(s, 0) > change ? db_int(s, 0) : change;
        event = db_int(s, 7) > event ? db_int(s, 7) : event;
        json_array_append_new(changes, make_entry(q, s));
        if (past_is_cancelled(q)) {
            lh_error_set(error, "cancelled");
            retval = ECANCELED;
        }
    }
    if (!db_finish(s) && !retval) {
        retval = db_error(q->log->db, "cannot read", error);
    }
    if (!retval) {
        char *cursor =
            lh_asprintf("%lld.%lld", (long long) change, (long long) event);

        *answer = json_pack("{s:O, s:s, s:s, s:b}", "changes", changes,
                            "order", r.is_desc ? "desc" : "asc", "cursor",
                            cursor, "truncated", (int) is_truncated);
        free(cursor);
    }
    json_decref(changes);
    return retval;
}
