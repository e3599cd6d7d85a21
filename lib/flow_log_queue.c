/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_queue - notes that wait to be written, and how each becomes a
 * row. */
#include <config.h>

#include "lib/flow_log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

static const char *const event_names[] = {
    [FLOW_LOG_START] = "start",
    [FLOW_LOG_STOP] = "stop",
    [FLOW_LOG_CONNECT] = "connect",
    [FLOW_LOG_READY] = "ready",
    [FLOW_LOG_DISCONNECT] = "disconnect",
    [FLOW_LOG_PORT] = "port",
    [FLOW_LOG_LINK_UP] = "link-up",
    [FLOW_LOG_LINK_DOWN] = "link-down",
    [FLOW_LOG_NOTE] = "note",
};

const char *
flow_log_event_name(enum flow_log_event event)
{
    assert(event <= FLOW_LOG_NOTE);
    return event_names[event];
}

static void
note_uninit(struct flow_log_note *note)
{
    rule_unref(note->rule);
    free(note->text);
}

void
flow_log_queue_clear(struct flow_log *log)
{
    for (size_t i = 0; i < log->n_notes; i++) {
        note_uninit(&log->notes[i]);
    }
    log->n_notes = 0;
}

void
flow_log_queue_add(struct flow_log *log, const struct flow_log_note *note)
{
    assert(!log->is_readonly);
    log->counters.notes++;
    if (log->n_notes >= FLOW_LOG_MAX_QUEUE) {
        struct flow_log_note lost = *note;

        note_uninit(&lost);
        log->counters.lost++;
        return;
    }
    log->notes = lh_alloc_grow(log->notes, log->n_notes, &log->allocated_notes,
                               sizeof *log->notes);
    log->notes[log->n_notes] = *note;
    log->notes[log->n_notes].change = log->change;
    log->n_notes++;
}

void
flow_log_made(struct flow_log *log, const struct rule *rule)
{
    struct flow_log_note note = {
        .type = NOTE_MADE,
        .dpid = rule->dpid,
        .version = rule->version,
        .time_ns = rule->installed_ns,
        .rule = rule_ref(rule),
    };

    flow_log_queue_add(log, &note);
}

void
flow_log_removed(struct flow_log *log, uint64_t dpid, uint32_t version,
                 uint64_t time_ns, const char *reason)
{
    struct flow_log_note note = {
        .type = NOTE_REMOVED,
        .dpid = dpid,
        .version = version,
        .time_ns = time_ns,
        .text = lh_strdup(reason),
    };

    flow_log_queue_add(log, &note);
}

void
flow_log_event(struct flow_log *log, enum flow_log_event event, uint64_t dpid,
               uint32_t port, uint64_t time_ns, const char *text)
{
    struct flow_log_note note = {
        .type = NOTE_EVENT,
        .event = event,
        .dpid = dpid,
        .port = port,
        .time_ns = time_ns,
        .text = lh_strdup(text),
    };

    flow_log_queue_add(log, &note);
}

static void
bind_text(struct db_statement *s, int parameter, const char *text)
{
    db_bind_text(s, parameter, text ? text : "");
}

static void
bind_steps(struct db_statement *s, int parameter, const struct rule *rule)
{
    json_t *steps = rule_steps_to_json(rule);
    char *text = json_dumps(steps, JSON_COMPACT);

    bind_text(s, parameter, text ? text : "[]");
    free(text);
    json_decref(steps);
}

static void
bind_rule(struct db_statement *s, const struct flow_log_note *note)
{
    const struct rule *r = note->rule;
    bool is_over = r->kind == RULE_PACKET_OUT;
    int64_t installed_ns = (int64_t) r->installed_ns;

    rule_describe(r);
    db_bind_int(s, 1, (int64_t) r->dpid);
    db_bind_int(s, 2, r->version);
    db_bind_int(s, 3, r->kind);
    db_bind_text(s, 4, r->command);
    db_bind_int(s, 5, r->table_id);
    db_bind_int(s, 6, r->priority);
    bind_text(s, 7, r->match);
    bind_text(s, 8, r->actions);
    db_bind_int(s, 9, (int64_t) r->cookie);
    db_bind_int(s, 10, r->idle_timeout);
    db_bind_int(s, 11, r->hard_timeout);
    db_bind_int(s, 12, r->flags);
    db_bind_int(s, 13, r->importance);
    db_bind_text(s, 14, r->who);
    db_bind_int(s, 15, (int64_t) r->change);
    db_bind_int(s, 16, installed_ns);
    db_bind_int(s, 17, is_over ? installed_ns : FLOW_LOG_NEVER);
    db_bind_text(s, 18, NULL);
    db_bind_int(s, 19, r->is_transit);
    db_bind_int(s, 20, r->is_instrumented);
    bind_steps(s, 21, r);
    db_bind_blob(s, 22, r->raw, r->raw_len);
    db_bind_int(s, 23, (int64_t) note->change);
    db_bind_int(s, 24, is_over ? (int64_t) note->change : FLOW_LOG_NEVER);
}

static void
bind_removed(struct db_statement *s, const struct flow_log_note *note)
{
    db_bind_int(s, 1, (int64_t) note->dpid);
    db_bind_int(s, 2, note->version);
    db_bind_int(s, 3, (int64_t) note->change);
    db_bind_int(s, 4, (int64_t) note->time_ns);
    db_bind_text(s, 5, note->text);
}

static void
bind_event(struct db_statement *s, const struct flow_log_note *note)
{
    db_bind_int(s, 1, (int64_t) note->change);
    db_bind_int(s, 2, (int64_t) note->time_ns);
    db_bind_int(s, 3, (int64_t) note->dpid);
    bind_text(s, 4, flow_log_event_name(note->event));
    if (note->port != OF_PORT_UNKNOWN) {
        db_bind_int(s, 5, note->port);
    }
    db_bind_text(s, 6, note->text);
}

bool
flow_log_queue_write(struct flow_log *log, uint64_t *n_duplicates)
{
    static const enum flow_log_statement by_type[] = {
        [NOTE_MADE] = STATEMENT_INSERT_RULE,
        [NOTE_REMOVED] = STATEMENT_REMOVE_RULE,
        [NOTE_EVENT] = STATEMENT_INSERT_EVENT,
    };

    for (size_t i = 0; i < log->n_notes; i++) {
        const struct flow_log_note *note = &log->notes[i];
        struct db_statement *s =
            flow_log_db_statement(log, by_type[note->type]);

        switch (note->type) {
        case NOTE_MADE:
            bind_rule(s, note);
            break;
        case NOTE_REMOVED:
            bind_removed(s, note);
            break;
        case NOTE_EVENT:
            bind_event(s, note);
            break;
        }

        db_step(s);
        if (!db_reset(s)) {
            return false;
        }
        if (note->type == NOTE_MADE && !db_n_changed(log->db)) {
            ++*n_duplicates;
        }
    }
    return true;
}
