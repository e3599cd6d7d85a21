/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_store - how notes become rows. */
#include <config.h>

#include "lib/flow_log.h"

#include <stdlib.h>
#include <string.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

/* A clock that goes back by less does not go back. */
#define MAX_JITTER_NS UINT64_C(1000000000)

bool
flow_log_store_load(struct flow_log *writer)
{
    int64_t last_ns;

    if (!db_get_int(writer->db,
                    "SELECT time_ns FROM note ORDER BY seq DESC LIMIT 1",
                    &last_ns)) {
        return false;
    }
    writer->last_ns = (uint64_t) last_ns;
    return true;
}

/* Reads what the log has of a switch. */
static bool
load_tally(struct flow_log *writer, struct flow_log_tally *tally)
{
    struct db_statement *s =
        flow_log_db_statement(writer, STATEMENT_LAST_VERSION);

    db_bind_int(s, 1, (int64_t) tally->dpid);
    tally->last_version = db_step(s) ? (uint64_t) db_int(s, 0) : 0;
    if (!db_reset(s)) {
        return false;
    }
    s = flow_log_db_statement(writer, STATEMENT_N_SINCE);
    db_bind_int(s, 1, (int64_t) tally->dpid);
    tally->n_since = db_step(s) ? (uint64_t) db_int(s, 0) : 0;
    tally->snapshot_at = FLOW_LOG_SNAPSHOT_MIN;
    return db_reset(s);
}

struct flow_log_tally *
flow_log_store_tally(struct flow_log *writer, uint64_t dpid)
{
    struct flow_log_tally *tally;

    for (size_t i = 0; i < writer->n_tallies; i++) {
        if (writer->tallies[i].dpid == dpid) {
            return &writer->tallies[i];
        }
    }
    writer->tallies =
        lh_alloc_grow(writer->tallies, writer->n_tallies,
                      &writer->allocated_tallies, sizeof *writer->tallies);
    tally = &writer->tallies[writer->n_tallies];
    *tally = (struct flow_log_tally){.dpid = dpid};
    if (!load_tally(writer, tally)) {
        return NULL;
    }
    writer->n_tallies++;
    return tally;
}

/* --- One row. --- */

/* The time of a row: times rise with the rows, but where the clock was set
 * back by much, of which the table `clock` tells. */
static bool
set_time(struct flow_log *writer, struct flow_log_row *row)
{
    if (row->time_ns + MAX_JITTER_NS < writer->last_ns) {
        struct db_statement *s =
            flow_log_db_statement(writer, STATEMENT_PUT_CLOCK);

        db_bind_int(s, 1, (int64_t) row->seq);
        db_bind_int(s, 2, (int64_t) row->time_ns);
        db_step(s);
        if (!db_reset(s)) {
            return false;
        }
    } else if (row->time_ns < writer->last_ns) {
        row->time_ns = writer->last_ns;
    }
    writer->last_ns = row->time_ns;
    return true;
}

static bool
insert(struct flow_log *writer, const struct flow_log_row *row)
{
    struct db_statement *s =
        flow_log_db_statement(writer, STATEMENT_INSERT_NOTE);

    db_bind_int(s, 1, (int64_t) row->seq);
    db_bind_int(s, 2, (int64_t) row->change);
    db_bind_int(s, 3, (int64_t) row->time_ns);
    db_bind_int(s, 4, (int64_t) row->dpid);
    db_bind_int(s, 5, row->kind);
    db_bind_int(s, 6, row->id);
    if (row->text) {
        db_bind_text(s, 7, row->text);
    }
    if (row->actions) {
        db_bind_text(s, 8, row->actions);
    }
    if (row->body) {
        db_bind_blob(s, 9, row->body, row->body_len);
    }
    db_step(s);
    return db_reset(s);
}

void
flow_log_store_row(const struct db_statement *s, struct flow_log_row *row)
{
    row->seq = (uint64_t) db_int(s, 0);
    row->change = (uint64_t) db_int(s, 1);
    row->time_ns = (uint64_t) db_int(s, 2);
    row->dpid = (uint64_t) db_int(s, 3);
    row->kind = (int) db_int(s, 4);
    row->id = (uint32_t) db_int(s, 5);
    row->text = db_text(s, 6);
    row->actions = db_text(s, 7);
    row->body = db_blob(s, 8, &row->body_len);
}

/* --- Rules. --- */

/* Of one object, in one change: a bundle may change it often. */
#define MAX_TAKEN_BACK 256

/* What is known of a version. */
struct known {
    size_t n;      /* Rows. */
    uint64_t made; /* The last row of that kind that counts, or 0. */
    uint64_t removed;
    bool is_instrumented;
};

static bool
get_known(struct flow_log *writer, uint64_t dpid, uint32_t version,
          struct known *known)
{
    struct db_statement *s =
        flow_log_db_statement(writer, STATEMENT_RULE_NOTES);

    *known = (struct known){.n = 0};
    db_bind_int(s, 1, (int64_t) dpid);
    db_bind_int(s, 2, version);
    while (db_step(s)) {
        struct flow_log_row row;

        flow_log_store_row(s, &row);
        known->n++;
        if (row.kind == KIND_REMOVED) {
            known->removed = row.seq;
        } else if (row.kind == KIND_MADE || row.kind == KIND_AGAIN) {
            known->made = row.kind == KIND_MADE ? row.seq : known->made;
            known->is_instrumented =
                flow_log_record_is_instrumented(row.body, row.body_len);
        }
    }
    return db_reset(s);
}

/* Changes what a row says.  Snapshots of after it are wrong then. */
static bool
set_kind(struct flow_log *writer, uint64_t dpid, uint64_t seq, int kind)
{
    struct db_statement *s = flow_log_db_statement(writer, STATEMENT_SET_KIND);

    db_bind_int(s, 1, (int64_t) seq);
    db_bind_int(s, 2, kind);
    db_step(s);
    if (!db_reset(s)) {
        return false;
    }
    s = flow_log_db_statement(writer, STATEMENT_CUT_SNAPSHOTS);
    db_bind_int(s, 1, (int64_t) dpid);
    db_bind_int(s, 2, (int64_t) seq);
    db_step(s);
    return db_reset(s);
}

static bool
insert_rule(struct flow_log *writer, const struct rule *r,
            struct flow_log_row *row)
{
    rule_describe(r);
    row->text = r->match;
    row->actions = r->actions;
    byte_buf_clear(&writer->body);
    flow_log_record_put_body(&writer->body, r, row->change, row->time_ns);
    row->body = writer->body.data;
    row->body_len = writer->body.len;
    return insert(writer, row);
}

static bool
store_made(struct flow_log *writer, const struct flow_log_note *note,
           struct flow_log_row *row, uint64_t *n_duplicates)
{
    const struct rule *r = note->rule;
    struct flow_log_tally *tally = flow_log_store_tally(writer, note->dpid);
    struct known known = {.n = 0};

    if (!tally ||
        (r->version <= tally->last_version &&
         !get_known(writer, note->dpid, note->version, &known)) ||
        !set_time(writer, row)) {
        return false;
    }
    tally->n_since++;
    if (known.removed) {
        row->kind = KIND_RESTORED;
        return set_kind(writer, row->dpid, known.removed, KIND_UNDONE) &&
               insert(writer, row);
    }
    if (known.n &&
        (!known.made || known.is_instrumented == r->is_instrumented)) {
        ++*n_duplicates;
        return true;
    }
    row->kind = known.n                      ? KIND_AGAIN
                : r->kind == RULE_PACKET_OUT ? KIND_PACKET_OUT
                                             : KIND_MADE;
    if (r->version > tally->last_version) {
        tally->last_version = r->version;
    }
    return insert_rule(writer, r, row);
}

static bool
store_removed(struct flow_log *writer, const struct flow_log_note *note,
              struct flow_log_row *row)
{
    struct flow_log_tally *tally = flow_log_store_tally(writer, note->dpid);
    struct known known;

    if (!tally || !set_time(writer, row)) {
        return false;
    }
    tally->n_since++;
    row->kind = KIND_REMOVED;
    row->text = note->text;
    if (note->text && !strcmp(note->text, "error")) {
        if (!get_known(writer, row->dpid, row->id, &known) ||
            (known.made &&
             !set_kind(writer, row->dpid, known.made, KIND_REFUSED))) {
            return false;
        }
    }
    return insert(writer, row);
}

/* --- Others. --- */

/* True when it says that the switch refused what was said before it. */
static bool
is_refusal(const char *text, const char *how, bool is_gone)
{
    const char *why = is_gone ? text : how;

    return why && !strcmp(why, is_gone ? "error" : "restored");
}

/* The switch has refused the last change of the object: it never stood, nor
 * what was restored of later ones. */
static bool
take_back(struct flow_log *writer, const struct flow_log_row *row)
{
    struct db_statement *s =
        flow_log_db_statement(writer, STATEMENT_OBJECT_NOTES);
    struct {
        uint64_t seq;
        int kind;
    } found[MAX_TAKEN_BACK];
    bool goes_on = true;
    size_t n = 0;

    db_bind_int(s, 1, (int64_t) row->dpid);
    db_bind_int(s, 2, row->id);
    db_bind_int(s, 3, row->kind & ~1);
    while (goes_on && n < MAX_TAKEN_BACK && db_step(s)) {
        struct flow_log_row old;

        flow_log_store_row(s, &old);
        found[n].seq = old.seq;
        found[n++].kind = old.kind;
        goes_on = old.change == row->change &&
                  is_refusal(old.text, old.actions, old.kind & 1);
    }
    if (!db_reset(s)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!set_kind(writer, row->dpid, found[i].seq,
                      found[i].kind + KIND_NEVER)) {
            return false;
        }
    }
    return true;
}

static bool
store_object(struct flow_log *writer, const struct flow_log_note *note,
             struct flow_log_row *row)
{
    struct flow_log_tally *tally = flow_log_store_tally(writer, note->dpid);

    if (!tally || !set_time(writer, row)) {
        return false;
    }
    tally->n_since++;
    row->kind = note->class == FLOW_LOG_GROUP ? KIND_GROUP : KIND_METER;
    row->kind += note->type == NOTE_GONE;
    row->text = note->text;
    row->actions = note->more;
    row->body = note->raw;
    row->body_len = note->raw_len;
    if (is_refusal(row->text, row->actions, note->type == NOTE_GONE) &&
        !take_back(writer, row)) {
        return false;
    }
    return insert(writer, row);
}

static bool
store_event(struct flow_log *writer, const struct flow_log_note *note,
            struct flow_log_row *row)
{
    if (!set_time(writer, row)) {
        return false;
    }
    row->kind = KIND_EVENT + (int) note->event;
    row->id = note->port;
    row->text = note->text;
    return insert(writer, row);
}

static bool
store_switch(struct flow_log *writer, const struct flow_log_note *note)
{
    struct db_statement *s =
        flow_log_db_statement(writer, STATEMENT_PUT_SWITCH);

    db_bind_int(s, 1, (int64_t) note->dpid);
    db_bind_text(s, 2, note->text);
    db_bind_text(s, 3, note->more);
    db_bind_int(s, 4, note->port);
    db_step(s);
    return db_reset(s);
}

static bool
store_text(struct flow_log *writer, const struct flow_log_note *note)
{
    struct db_statement *s = flow_log_db_statement(writer, STATEMENT_PUT_META);
    char *key = lh_asprintf("text.%s", note->text);

    db_bind_text(s, 1, key);
    db_bind_text(s, 2, note->more);
    db_step(s);
    free(key);
    return db_reset(s);
}

bool
flow_log_store_note(struct flow_log *writer, const struct flow_log_note *note,
                    uint64_t *n_duplicates)
{
    struct flow_log_row row = {
        .seq = note->seq,
        .change = note->change,
        .time_ns = note->time_ns,
        .dpid = note->dpid,
        .id = note->version,
    };

    switch (note->type) {
    case NOTE_MADE:
        return store_made(writer, note, &row, n_duplicates);
    case NOTE_REMOVED:
        return store_removed(writer, note, &row);
    case NOTE_EVENT:
        return store_event(writer, note, &row);
    case NOTE_SET:
    case NOTE_GONE:
        return store_object(writer, note, &row);
    case NOTE_SWITCH:
        return store_switch(writer, note);
    case NOTE_TEXT:
        return store_text(writer, note);
    case NOTE_RETAIN:
        return flow_log_db_put(writer, "retain_ns", note->time_ns);
    }
    return true;
}
