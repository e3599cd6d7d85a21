/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_note - notes, and how each becomes a row. */
#include <config.h>

#include "lib/flow_log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

/* What texts and steps of a rule take that has none yet, or thereabouts. */
#define UNDESCRIBED_BYTES 512

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
    [FLOW_LOG_GAP] = "gap",
};

const char *
flow_log_event_name(enum flow_log_event event)
{
    assert(event <= FLOW_LOG_GAP);
    return event_names[event];
}

void
flow_log_note_uninit(struct flow_log_note *note)
{
    rule_unref(note->rule);
    free(note->text);
    free(note->more);
}

struct flow_log_note
flow_log_note_clone(const struct flow_log_note *note)
{
    struct flow_log_note copy = *note;

    copy.rule = note->rule ? rule_ref(note->rule) : NULL;
    copy.text = lh_strdup(note->text);
    copy.more = lh_strdup(note->more);
    return copy;
}

static size_t
text_bytes(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

size_t
flow_log_note_bytes(const struct flow_log_note *note)
{
    size_t n = sizeof *note + text_bytes(note->text) + text_bytes(note->more);
    const struct rule *r = note->rule;

    if (r && __atomic_load_n(&r->describe, __ATOMIC_ACQUIRE)) {
        n += sizeof *r + r->raw_len + UNDESCRIBED_BYTES;
    } else if (r) {
        n += sizeof *r + text_bytes(r->match) + text_bytes(r->actions) +
             text_bytes(r->command) + text_bytes(r->who) + r->raw_len +
             r->allocated_steps * sizeof *r->steps;
    }
    return n;
}

void
flow_log_notes_add(struct flow_log_notes *to, const struct flow_log_note *note)
{
    to->notes =
        lh_alloc_grow(to->notes, to->n, &to->allocated, sizeof *to->notes);
    to->notes[to->n++] = *note;
}

void
flow_log_notes_uninit(struct flow_log_notes *notes)
{
    for (size_t i = notes->first; i < notes->n; i++) {
        flow_log_note_uninit(&notes->notes[i]);
    }
    free(notes->notes);
    *notes = (struct flow_log_notes){.notes = NULL};
}

static void
copy_wanted(const struct flow_log_notes *from,
            bool (*is_wanted)(const struct flow_log_note *, const void *aux),
            const void *aux, struct flow_log_notes *to)
{
    for (size_t i = from->first; i < from->n; i++) {
        if (is_wanted(&from->notes[i], aux)) {
            struct flow_log_note copy = flow_log_note_clone(&from->notes[i]);

            flow_log_notes_add(to, &copy);
        }
    }
}

void
flow_log_notes_waiting(struct flow_log *log,
                       bool (*is_wanted)(const struct flow_log_note *,
                                         const void *aux),
                       const void *aux, struct flow_log_notes *to)
{
    struct flow_log_shared *shared = log->shared;

    if (!shared) {
        return;
    }
    pthread_mutex_lock(&shared->mutex);
    copy_wanted(&shared->writing, is_wanted, aux, to);
    copy_wanted(&shared->queue, is_wanted, aux, to);
    pthread_mutex_unlock(&shared->mutex);
    copy_wanted(&log->pending, is_wanted, aux, to);
}

/* --- Rows. --- */

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

static void
bind_switch(struct db_statement *s, const struct flow_log_note *note)
{
    db_bind_int(s, 1, (int64_t) note->dpid);
    db_bind_text(s, 2, note->text);
    db_bind_text(s, 3, note->more);
    db_bind_int(s, 4, note->port);
}

static void
bind_meta(struct db_statement *s, const struct flow_log_note *note)
{
    char *key = lh_asprintf("text.%s", note->text);

    db_bind_text(s, 1, key);
    db_bind_text(s, 2, note->more);
    free(key);
}

bool
flow_log_note_write(struct flow_log *log, const struct flow_log_note *note,
                    uint64_t *n_duplicates)
{
    static const enum flow_log_statement by_type[] = {
        [NOTE_MADE] = STATEMENT_INSERT_RULE,
        [NOTE_REMOVED] = STATEMENT_REMOVE_RULE,
        [NOTE_EVENT] = STATEMENT_INSERT_EVENT,
        [NOTE_SWITCH] = STATEMENT_PUT_SWITCH,
        [NOTE_TEXT] = STATEMENT_PUT_META,
    };
    struct db_statement *s = flow_log_db_statement(log, by_type[note->type]);

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
    case NOTE_SWITCH:
        bind_switch(s, note);
        break;
    case NOTE_TEXT:
        bind_meta(s, note);
        break;
    }
    db_step(s);
    if (!db_reset(s)) {
        return false;
    }
    if (note->type == NOTE_MADE && !db_n_changed(log->db)) {
        ++*n_duplicates;
    }
    return true;
}
