/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_timeline - all that happened, in order. */
#include <config.h>

#include "lib/flow_log.h"

#include <stdlib.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

/* One question. */
struct walk {
    struct flow_log *log;
    const struct flow_log_span *span;
    bool (*each)(void *aux, const struct flow_log_entry *);
    void *aux;
    uint64_t n;
    bool is_over;
};

static bool
is_timeline(const struct flow_log_note *note, const void *walk_)
{
    const struct walk *walk = walk_;
    const struct flow_log_span *span = walk->span;

    return note->type <= NOTE_GONE &&
           (!span->only_events || note->type == NOTE_EVENT) &&
           (!span->dpid || note->dpid == span->dpid) &&
           note->seq > span->after_seq && note->time_ns >= span->since_ns &&
           note->time_ns < span->until_ns;
}

static void
tell(struct walk *walk, struct flow_log_entry *entry)
{
    if (entry->time_ns >= walk->span->since_ns &&
        entry->time_ns < walk->span->until_ns) {
        walk->n++;
        walk->is_over =
            !walk->each(walk->aux, entry) || walk->n == walk->span->limit;
    }
    rule_unref(entry->rule);
    free(entry->text);
    free(entry->how);
}

static void
set_kind(struct flow_log_entry *entry, const struct flow_log_row *row)
{
    switch (row->kind) {
    case KIND_MADE:
    case KIND_PACKET_OUT:
    case KIND_REFUSED:
        entry->what = FLOW_LOG_WHAT_MADE;
        break;
    case KIND_REMOVED:
    case KIND_UNDONE:
        entry->what = FLOW_LOG_WHAT_REMOVED;
        break;
    case KIND_RESTORED:
        entry->what = FLOW_LOG_WHAT_RESTORED;
        break;
    case KIND_AGAIN:
        entry->what = FLOW_LOG_WHAT_AGAIN;
        break;
    case KIND_GROUP:
    case KIND_METER:
    case KIND_GROUP + KIND_NEVER:
    case KIND_METER + KIND_NEVER:
        entry->what = FLOW_LOG_WHAT_SET;
        break;
    case KIND_GROUP_GONE:
    case KIND_METER_GONE:
    case KIND_GROUP_GONE + KIND_NEVER:
    case KIND_METER_GONE + KIND_NEVER:
        entry->what = FLOW_LOG_WHAT_GONE;
        break;
    default:
        entry->what = FLOW_LOG_WHAT_EVENT;
        entry->event = row->kind <= MAX_KIND
                           ? (enum flow_log_event)(row->kind - KIND_EVENT)
                           : FLOW_LOG_NOTE;
        break;
    }
}

static int
tell_row(struct walk *walk, const struct flow_log_row *row,
         struct lh_error *error)
{
    struct flow_log_entry entry = {
        .seq = row->seq,
        .change = row->change,
        .time_ns = row->time_ns,
        .dpid = row->dpid,
        .port = OF_PORT_UNKNOWN,
    };
    int retval = 0;

    set_kind(&entry, row);
    switch (entry.what) {
    case FLOW_LOG_WHAT_EVENT:
        entry.port = row->id;
        entry.text = lh_strdup(row->text);
        break;
    case FLOW_LOG_WHAT_MADE:
    case FLOW_LOG_WHAT_AGAIN:
        entry.version = row->id;
        retval = flow_log_query_row_rule(walk->log, row, &entry.rule, error);
        break;
    case FLOW_LOG_WHAT_REMOVED:
    case FLOW_LOG_WHAT_RESTORED:
        entry.version = row->id;
        entry.text = lh_strdup(row->text);
        break;
    case FLOW_LOG_WHAT_SET:
    case FLOW_LOG_WHAT_GONE:
        entry.class = (row->kind & ~KIND_NEVER) < KIND_METER ? FLOW_LOG_GROUP
                                                             : FLOW_LOG_METER;
        entry.id = row->id;
        entry.text = lh_strdup(row->text);
        entry.how = lh_strdup(row->actions);
        break;
    }
    if (!retval) {
        tell(walk, &entry);
    }
    return retval;
}

static void
tell_note(struct walk *walk, const struct flow_log_note *note)
{
    static const enum flow_log_what whats[] = {
        [NOTE_MADE] = FLOW_LOG_WHAT_MADE,
        [NOTE_REMOVED] = FLOW_LOG_WHAT_REMOVED,
        [NOTE_EVENT] = FLOW_LOG_WHAT_EVENT,
        [NOTE_SET] = FLOW_LOG_WHAT_SET,
        [NOTE_GONE] = FLOW_LOG_WHAT_GONE,
    };
    struct flow_log_entry entry = {
        .seq = note->seq,
        .change = note->change,
        .time_ns = note->time_ns,
        .dpid = note->dpid,
        .what = whats[note->type],
        .event = note->event,
        .port = note->type == NOTE_EVENT ? note->port : OF_PORT_UNKNOWN,
        .version = note->type <= NOTE_REMOVED ? note->version : 0,
        .rule = note->rule ? rule_ref(note->rule) : NULL,
        .class = note->class,
        .id = note->type >= NOTE_SET ? note->version : 0,
        .how = lh_strdup(note->more),
        .text = lh_strdup(note->text),
    };

    tell(walk, &entry);
}

/* The rows between the times, of one switch or all. */
static int
tell_rows(struct walk *walk, uint64_t after, uint64_t last,
          struct lh_error *error)
{
    const struct flow_log_span *span = walk->span;
    char *sql = lh_asprintf("SELECT " FLOW_LOG_ROW_COLUMNS " FROM note"
                            " WHERE seq > ?1 AND seq <= ?2%s%s ORDER BY seq%s",
                            span->dpid ? " AND dpid = ?3" : "",
                            span->only_events ? " AND kind >= 16" : "",
                            span->newest_first ? " DESC" : "");
    struct db_statement *s = db_prepare(walk->log->db, sql);
    int retval = 0;

    free(sql);
    db_bind_int(s, 1, (int64_t) after);
    db_bind_int(s, 2, (int64_t) last);
    if (span->dpid) {
        db_bind_int(s, 3, (int64_t) span->dpid);
    }
    while (!retval && !walk->is_over && db_step(s)) {
        struct flow_log_row row;

        flow_log_store_row(s, &row);
        retval = tell_row(walk, &row, error);
    }
    if (!db_finish(s) && !retval) {
        retval = db_error(walk->log->db, "cannot read", error);
    }
    return retval;
}

static void
tell_notes(struct walk *walk, const struct flow_log_notes *waiting)
{
    for (size_t i = waiting->first; i < waiting->n && !walk->is_over; i++) {
        tell_note(walk,
                  &waiting->notes[walk->span->newest_first
                                      ? waiting->n - 1 - i + waiting->first
                                      : i]);
    }
}

static int
run(struct walk *walk, struct lh_error *error)
{
    struct flow_log *log = walk->log;
    const struct flow_log_span *span = walk->span;
    struct flow_log_notes waiting;
    uint64_t seq, kept_seq, after = 0, last;
    int retval = 0;

    if (!flow_log_view_begin(log, is_timeline, walk, &waiting, &seq) ||
        !flow_log_db_get(log, "kept_seq", &kept_seq) ||
        (span->since_ns &&
         !flow_log_clock_first(log, span->since_ns, &after)) ||
        !flow_log_clock_seek(log, span->until_ns - 1, &last)) {
        retval = db_error(log->db, "cannot read", error);
        return flow_log_view_end(log, retval, &waiting);
    }
    after = after < kept_seq ? kept_seq : after;
    after = after < span->after_seq ? span->after_seq : after;
    if (span->newest_first) {
        tell_notes(walk, &waiting);
    }
    if (!walk->is_over) {
        retval = tell_rows(walk, after, last, error);
    }
    if (!span->newest_first && !retval) {
        tell_notes(walk, &waiting);
    }
    return flow_log_view_end(log, retval, &waiting);
}

int
flow_log_changes(struct flow_log *log, const struct flow_log_span *span_,
                 bool (*each)(void *aux, const struct flow_log_entry *),
                 void *aux, struct lh_error *error)
{
    struct flow_log_span span = *span_;
    struct walk walk = {.log = log, .span = &span, .each = each, .aux = aux};

    span.until_ns = span.until_ns < INT64_MAX ? span.until_ns : INT64_MAX;
    return span.since_ns < span.until_ns ? run(&walk, error) : 0;
}

int
flow_log_events(struct flow_log *log, uint64_t dpid, uint64_t since_ns,
                uint64_t until_ns,
                bool (*each)(void *aux, const struct flow_log_entry *),
                void *aux, struct lh_error *error)
{
    struct flow_log_span span = {
        .dpid = dpid,
        .since_ns = since_ns,
        .until_ns = until_ns < INT64_MAX ? until_ns : INT64_MAX,
        .only_events = true,
    };
    struct walk walk = {
        .log = log,
        .span = &span,
        .each = each,
        .aux = aux,
    };

    return since_ns < span.until_ns ? run(&walk, error) : 0;
}
