/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_query - what the log knows: one rule, a table as it was, events.
 *
 * First the notes that wait to be written are copied, then the disk is read;
 * notes that it does not have yet are applied to its answer, in their
 * order. */
#include <config.h>

#include "lib/flow_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

void
flow_log_rules_uninit(struct flow_log_rules *rules)
{
    for (size_t i = 0; i < rules->n; i++) {
        rule_unref(rules->rules[i]);
    }
    free(rules->rules);
    *rules = (struct flow_log_rules) FLOW_LOG_RULES_INIT;
}

/* Takes the reference. */
static void
add_rule(struct flow_log_rules *rules, struct rule *rule)
{
    rules->rules = lh_alloc_grow(rules->rules, rules->n, &rules->allocated,
                                 sizeof *rules->rules);
    rules->rules[rules->n++] = rule;
}

static char *
column_text(const struct db_statement *s, int column)
{
    return lh_strdup(db_text(s, column));
}

/* Puts a column's text into a member that owns another. */
static void
set_text(char **member, const struct db_statement *s, int column)
{
    free(*member);
    *member = column_text(s, column);
}

/* Gives 'r', which has none, the steps that 'text' holds. */
static int
set_steps(struct rule *r, const char *text, struct lh_error *error)
{
    if (!text || !strcmp(text, "[]")) {
        return 0;
    }

    json_t *steps = json_loads(text, 0, NULL);

    if (!steps) {
        lh_error_set(error, "steps: not JSON");
        return EINVAL;
    }

    int retval = rule_steps_from_json(steps, r, error);

    json_decref(steps);
    return retval;
}

/* The rule in the current row of 's', or NULL with a reason. */
static struct rule *
rule_from_row(struct flow_log *log, struct db_statement *s,
              struct lh_error *error)
{
    struct rule *r = rule_create();
    int64_t kind = db_int(s, 2);
    int64_t removed_ns = db_int(s, 16);

    r->dpid = (uint64_t) db_int(s, 0);
    r->version = (uint32_t) db_int(s, 1);
    r->kind = kind >= RULE_FLOW && kind <= RULE_PACKET_OUT
                  ? (enum rule_kind) kind
                  : RULE_FLOW;
    set_text(&r->command, s, 3);
    r->table_id = (uint8_t) db_int(s, 4);
    r->priority = (uint16_t) db_int(s, 5);
    set_text(&r->match, s, 6);
    set_text(&r->actions, s, 7);
    r->cookie = (uint64_t) db_int(s, 8);
    r->idle_timeout = (uint16_t) db_int(s, 9);
    r->hard_timeout = (uint16_t) db_int(s, 10);
    r->flags = (uint16_t) db_int(s, 11);
    r->importance = (uint16_t) db_int(s, 12);
    set_text(&r->who, s, 13);
    r->change = (uint64_t) db_int(s, 14);
    r->installed_ns = (uint64_t) db_int(s, 15);
    r->removed_ns = removed_ns == FLOW_LOG_NEVER ? 0 : (uint64_t) removed_ns;
    set_text(&r->removed_reason, s, 17);
    r->is_transit = db_int(s, 18);
    r->is_instrumented = db_int(s, 19);

    const void *raw = db_blob(s, 21, &r->raw_len);

    r->raw = lh_memdup(raw, r->raw_len);
    if (set_steps(r, db_text(s, 20), error)) {
        lh_error_prefix(error, "flow log %s: rule %u of switch %016llx",
                        log->path, (unsigned) r->version,
                        (unsigned long long) r->dpid);
        rule_unref(r);
        return NULL;
    }
    return r;
}

/* Adds the rule of every row. */
static int
collect(struct flow_log *log, struct db_statement *s,
        struct flow_log_rules *rules, struct lh_error *error)
{
    while (db_step(s)) {
        struct rule *rule = rule_from_row(log, s, error);

        if (!rule) {
            db_reset(s);
            return EBADMSG;
        }
        add_rule(rules, rule);
    }
    return db_reset(s) ? 0 : db_error(log->db, "cannot read", error);
}

static int
compare_rules(const void *a_, const void *b_)
{
    const struct rule *a = *(struct rule *const *) a_;
    const struct rule *b = *(struct rule *const *) b_;

    if (a->table_id != b->table_id) {
        return a->table_id < b->table_id ? -1 : 1;
    }
    if (a->priority != b->priority) {
        return a->priority > b->priority ? -1 : 1;
    }
    return a->version < b->version ? -1 : a->version > b->version;
}

/* --- What is not on the disk yet. --- */

struct wanted {
    uint64_t dpid;
    uint32_t version; /* 0: any. */
};

static bool
is_wanted_rule(const struct flow_log_note *note, const void *wanted_)
{
    const struct wanted *wanted = wanted_;

    return note->type <= NOTE_REMOVED && note->dpid == wanted->dpid &&
           (!wanted->version || note->version == wanted->version);
}

/* Begins a view of the log: what waits for the disk, and what is on it. */
static bool
begin_view(struct flow_log *log, uint64_t dpid, uint32_t version,
           struct flow_log_notes *waiting)
{
    struct wanted wanted = {dpid, version};
    uint64_t seq;

    *waiting = (struct flow_log_notes){.notes = NULL};
    flow_log_notes_waiting(log, is_wanted_rule, &wanted, waiting);
    if (!db_run(log->db, "BEGIN") || !flow_log_db_get(log, "seq", &seq)) {
        return false;
    }
    while (waiting->first < waiting->n &&
           waiting->notes[waiting->first].seq <= seq) {
        flow_log_note_uninit(&waiting->notes[waiting->first++]);
    }
    return true;
}

static int
end_view(struct flow_log *log, int retval, struct flow_log_notes *waiting)
{
    db_run(log->db, "ROLLBACK");
    flow_log_notes_uninit(waiting);
    return retval;
}

/* Which notes a query takes in: those up to a change, or up to a time. */
struct until {
    bool by_time;
    uint64_t bound;
};

static bool
is_until(const struct until *until, const struct flow_log_note *note)
{
    return (until->by_time ? note->time_ns : note->change) <= until->bound;
}

static void
remove_version(struct flow_log_rules *rules, size_t first, uint32_t version)
{
    for (size_t i = first; i < rules->n; i++) {
        if (rules->rules[i]->version == version) {
            rule_unref(rules->rules[i]);
            rules->rules[i] = rules->rules[--rules->n];
            return;
        }
    }
}

/* Sets '*rulep' to the rule with its end as of now. */
static void
set_end(struct rule **rulep, uint64_t removed_ns, const char *reason)
{
    struct rule *rule = rule_clone(*rulep);

    rule_unref(*rulep);
    rule->removed_ns = removed_ns;
    free(rule->removed_reason);
    rule->removed_reason = lh_strdup(reason);
    *rulep = rule;
}

/* Tells the rule that stood then of its end. */
static void
end_version(struct flow_log_rules *rules, size_t first,
            const struct flow_log_note *note)
{
    for (size_t i = first; i < rules->n; i++) {
        if (note->type == NOTE_REMOVED &&
            rules->rules[i]->version == note->version) {
            set_end(&rules->rules[i], note->time_ns, note->text);
        }
    }
}

/* Applies the notes to rules[first..]; with 'all' also groups. */
static void
apply_notes(const struct flow_log_notes *waiting, const struct until *until,
            bool all, size_t first, struct flow_log_rules *rules)
{
    for (size_t i = waiting->first; i < waiting->n; i++) {
        const struct flow_log_note *note = &waiting->notes[i];

        if (!is_until(until, note)) {
            end_version(rules, first, note);
        } else if (note->type == NOTE_REMOVED) {
            remove_version(rules, first, note->version);
        } else if (note->rule->kind != RULE_PACKET_OUT &&
                   (all || note->rule->kind < RULE_GROUP)) {
            remove_version(rules, first, note->rule->version);
            add_rule(rules, rule_ref(note->rule));
        }
    }
    if (waiting->first < waiting->n && rules->n > first) {
        qsort(&rules->rules[first], rules->n - first, sizeof *rules->rules,
              compare_rules);
    }
}

/* --- One rule. --- */

/* The rule that is on the disk, and the number of the change that made it;
 * ENOENT without a reason. */
static int
find_written(struct flow_log *log, uint64_t dpid, uint32_t version,
             struct rule **rulep, uint64_t *change, struct lh_error *error)
{
    struct db_statement *s = flow_log_db_statement(log, STATEMENT_FIND);
    int retval = 0;

    *rulep = NULL;
    db_bind_int(s, 1, (int64_t) dpid);
    db_bind_int(s, 2, version);
    if (!db_step(s)) {
        return db_reset(s) ? ENOENT : db_error(log->db, "cannot read", error);
    }
    *rulep = rule_from_row(log, s, error);
    *change = (uint64_t) db_int(s, 22);
    if (!*rulep) {
        retval = EBADMSG;
    }
    db_reset(s);
    return retval;
}

/* Finds the rule and the number of the change that made it. */
static int
find(struct flow_log *log, uint64_t dpid, uint32_t version,
     struct rule **rulep, uint64_t *change, struct lh_error *error)
{
    struct flow_log_notes waiting;
    int retval;

    *rulep = NULL;
    if (!begin_view(log, dpid, version, &waiting)) {
        retval = db_error(log->db, "cannot read", error);
        return end_view(log, retval, &waiting);
    }
    retval = find_written(log, dpid, version, rulep, change, error);
    for (size_t i = waiting.first; i < waiting.n; i++) {
        const struct flow_log_note *note = &waiting.notes[i];

        if (note->type == NOTE_REMOVED && *rulep) {
            set_end(rulep, note->time_ns, note->text);
        } else if (note->type == NOTE_MADE && *rulep) {
            set_end(rulep, 0, NULL);
        } else if (note->type == NOTE_MADE && retval == ENOENT) {
            *rulep = rule_ref(note->rule);
            *change = note->change;
            retval = 0;
        }
    }
    if (retval == ENOENT) {
        lh_error_set(error, "switch %016llx has no version %u",
                     (unsigned long long) dpid, (unsigned) version);
    }
    return end_view(log, retval, &waiting);
}

int
flow_log_find(struct flow_log *log, uint64_t dpid, uint32_t version,
              struct rule **rulep, struct lh_error *error)
{
    uint64_t change;

    return find(log, dpid, version, rulep, &change, error);
}

/* --- Tables. --- */

static int
query_rules(struct flow_log *log, enum flow_log_statement which, uint64_t dpid,
            const struct until *until, struct flow_log_rules *rules,
            struct lh_error *error)
{
    struct flow_log_notes waiting;
    size_t first = rules->n;
    struct db_statement *s;
    int retval;

    if (!begin_view(log, dpid, 0, &waiting)) {
        retval = db_error(log->db, "cannot read", error);
        return end_view(log, retval, &waiting);
    }
    s = flow_log_db_statement(log, which);
    db_bind_int(s, 1, (int64_t) dpid);
    if (which != STATEMENT_STANDING) {
        db_bind_int(s, 2, (int64_t) until->bound);
    }
    retval = collect(log, s, rules, error);
    if (!retval) {
        apply_notes(&waiting, until, which == STATEMENT_STANDING, first,
                    rules);
    }
    return end_view(log, retval, &waiting);
}

int
flow_log_table_at_version(struct flow_log *log, uint64_t dpid,
                          uint32_t version, struct flow_log_rules *rules,
                          uint64_t *at_ns, struct lh_error *error)
{
    struct until until = {.by_time = false};
    struct rule *rule;
    int retval = find(log, dpid, version, &rule, &until.bound, error);

    if (retval) {
        return retval;
    }
    *at_ns = rule->installed_ns;
    rule_unref(rule);
    return query_rules(log, STATEMENT_TABLE_BY_CHANGE, dpid, &until, rules,
                       error);
}

int
flow_log_table_at_time(struct flow_log *log, uint64_t dpid, uint64_t time_ns,
                       struct flow_log_rules *rules, struct lh_error *error)
{
    struct until until = {
        .by_time = true,
        .bound = time_ns < FLOW_LOG_NEVER ? time_ns : FLOW_LOG_NEVER - 1,
    };

    return query_rules(log, STATEMENT_TABLE_BY_TIME, dpid, &until, rules,
                       error);
}

int
flow_log_table_standing(struct flow_log *log, uint64_t dpid,
                        struct flow_log_rules *rules, struct lh_error *error)
{
    struct until until = {.by_time = false, .bound = FLOW_LOG_NEVER - 1};

    return query_rules(log, STATEMENT_TABLE_BY_CHANGE, dpid, &until, rules,
                       error);
}

int
flow_log_standing(struct flow_log *log, uint64_t dpid,
                  struct flow_log_rules *rules, struct lh_error *error)
{
    struct until until = {.by_time = false, .bound = FLOW_LOG_NEVER - 1};

    return query_rules(log, STATEMENT_STANDING, dpid, &until, rules, error);
}

/* --- Events. --- */

static enum flow_log_event
event_from_name(const char *name)
{
    for (int i = 0; i <= FLOW_LOG_GAP; i++) {
        if (name &&
            !strcmp(name, flow_log_event_name((enum flow_log_event) i))) {
            return (enum flow_log_event) i;
        }
    }
    return FLOW_LOG_NOTE;
}

static bool
is_event(const struct flow_log_note *note, const void *aux)
{
    return note->type == NOTE_EVENT;
}

int
flow_log_events(struct flow_log *log, uint64_t dpid, uint64_t since_ns,
                uint64_t until_ns,
                bool (*each)(void *aux, const struct flow_log_entry *),
                void *aux, struct lh_error *error)
{
    static const char sql[] =
        "SELECT change, time_ns, dpid, kind, port, text FROM event"
        " WHERE time_ns >= ?1 AND time_ns < ?2 AND (?3 = 0 OR dpid = ?3)"
        " ORDER BY time_ns, change";
    struct flow_log_notes waiting = {.notes = NULL};
    struct db_statement *s;
    bool go_on = true;
    uint64_t seq;

    flow_log_notes_waiting(log, is_event, NULL, &waiting);
    if (!db_run(log->db, "BEGIN") || !flow_log_db_get(log, "seq", &seq)) {
        return end_view(log, db_error(log->db, "cannot read", error),
                        &waiting);
    }
    s = db_prepare(log->db, sql);
    if (until_ns > FLOW_LOG_NEVER) {
        until_ns = FLOW_LOG_NEVER;
    }
    db_bind_int(s, 1, (int64_t) since_ns);
    db_bind_int(s, 2, (int64_t) until_ns);
    db_bind_int(s, 3, (int64_t) dpid);
    while (go_on && db_step(s)) {
        struct flow_log_entry entry = {
            .change = (uint64_t) db_int(s, 0),
            .time_ns = (uint64_t) db_int(s, 1),
            .dpid = (uint64_t) db_int(s, 2),
            .event = event_from_name(db_text(s, 3)),
            .port =
                db_is_null(s, 4) ? OF_PORT_UNKNOWN : (uint32_t) db_int(s, 4),
            .text = column_text(s, 5),
        };

        go_on = each(aux, &entry);
        free(entry.text);
    }

    int retval = db_finish(s) ? 0 : db_error(log->db, "cannot read", error);

    for (size_t i = 0; !retval && go_on && i < waiting.n; i++) {
        const struct flow_log_note *note = &waiting.notes[i];

        if (note->seq > seq && note->time_ns >= since_ns &&
            note->time_ns < until_ns && (!dpid || note->dpid == dpid)) {
            struct flow_log_entry entry = {
                .change = note->change,
                .time_ns = note->time_ns,
                .dpid = note->dpid,
                .event = note->event,
                .port = note->port,
                .text = note->text,
            };

            go_on = each(aux, &entry);
        }
    }
    return end_view(log, retval, &waiting);
}
