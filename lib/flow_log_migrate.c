/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_migrate - logs of format 1, which had one row per rule with its
 * beginning and its end, become notes in their order. */
#include <config.h>

#include "lib/flow_log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"

/* In removed_ns of what still stands. */
#define NEVER INT64_MAX

static const char order[] =
    "SELECT change, what, a, b FROM ("
    "SELECT made_change AS change, 0 AS what, dpid AS a, version AS b"
    " FROM old.rule UNION ALL"
    " SELECT removed_change, 1, dpid, version FROM old.rule"
    " WHERE removed_change < 9223372036854775807 AND kind <> 3 UNION ALL"
    " SELECT change, 2, rowid, 0 FROM old.event) ORDER BY change, what";

static const char rule_of[] =
    "SELECT kind, command, table_id, priority, match, actions, cookie,"
    " idle_timeout, hard_timeout, flags, importance, who, change,"
    " installed_ns, removed_ns, removed_reason, is_transit, is_instrumented,"
    " steps, raw FROM old.rule WHERE dpid = ?1 AND version = ?2";

static const char event_of[] =
    "SELECT time_ns, dpid, kind, port, text FROM old.event WHERE rowid = ?1";

struct migration {
    struct flow_log *log;
    struct db_statement *rules, *events;
    struct flow_log_note note; /* Its number and change go on. */
};

static void
set_text(char **member, const struct db_statement *s, int column)
{
    free(*member);
    *member = lh_strdup(db_text(s, column));
}

static int
set_steps(struct rule *r, const char *text, struct lh_error *error)
{
    json_t *steps = json_loads(text ? text : "[]", 0, NULL);
    int retval;

    if (!steps) {
        lh_error_set(error, "steps: not JSON");
        return EINVAL;
    }
    retval = rule_steps_from_json(steps, r, error);
    json_decref(steps);
    return retval;
}

static int
read_rule(struct db_statement *s, struct rule *r, struct lh_error *error)
{
    const void *raw;

    r->kind = (enum rule_kind)(db_int(s, 0) & 3);
    set_text(&r->command, s, 1);
    r->table_id = (uint8_t) db_int(s, 2);
    r->priority = (uint16_t) db_int(s, 3);
    set_text(&r->match, s, 4);
    set_text(&r->actions, s, 5);
    r->cookie = (uint64_t) db_int(s, 6);
    r->idle_timeout = (uint16_t) db_int(s, 7);
    r->hard_timeout = (uint16_t) db_int(s, 8);
    r->flags = (uint16_t) db_int(s, 9);
    r->importance = (uint16_t) db_int(s, 10);
    set_text(&r->who, s, 11);
    r->change = (uint64_t) db_int(s, 12);
    r->installed_ns = (uint64_t) db_int(s, 13);
    r->is_transit = db_int(s, 16);
    r->is_instrumented = db_int(s, 17);
    raw = db_blob(s, 19, &r->raw_len);
    r->raw = lh_memdup(raw, r->raw_len);
    return set_steps(r, db_text(s, 18), error);
}

static bool
store(struct migration *m)
{
    uint64_t n_duplicates = 0;

    m->note.seq++;
    return flow_log_store_note(m->log, &m->note, &n_duplicates);
}

/* The note that a rule was made, or that it was removed. */
static int
move_rule(struct migration *m, uint64_t dpid, uint32_t version, bool is_end,
          struct lh_error *error)
{
    struct rule *r = rule_create();
    struct db_statement *s = m->rules;
    int retval = 0;

    r->dpid = dpid;
    r->version = version;
    db_bind_int(s, 1, (int64_t) dpid);
    db_bind_int(s, 2, version);
    if (db_step(s)) {
        retval = read_rule(s, r, error);
        m->note.type = is_end ? NOTE_REMOVED : NOTE_MADE;
        m->note.dpid = dpid;
        m->note.version = version;
        m->note.rule = r;
        m->note.time_ns = is_end ? (uint64_t) db_int(s, 14) : r->installed_ns;
        m->note.text = is_end ? lh_strdup(db_text(s, 15)) : NULL;
    }
    if (!db_reset(s) || (!retval && !store(m))) {
        retval = db_error(m->log->db, "cannot take over", error);
    }
    free(m->note.text);
    m->note.text = NULL;
    m->note.rule = NULL;
    rule_unref(r);
    return retval;
}

static enum flow_log_event
event_from_name(const char *name)
{
    for (int i = 0; i <= FLOW_LOG_ROLE; i++) {
        if (name &&
            !strcmp(name, flow_log_event_name((enum flow_log_event) i))) {
            return (enum flow_log_event) i;
        }
    }
    return FLOW_LOG_NOTE;
}

static int
move_event(struct migration *m, int64_t rowid, struct lh_error *error)
{
    struct db_statement *s = m->events;
    bool went_well = true;

    db_bind_int(s, 1, rowid);
    if (db_step(s)) {
        m->note.type = NOTE_EVENT;
        m->note.time_ns = (uint64_t) db_int(s, 0);
        m->note.dpid = (uint64_t) db_int(s, 1);
        m->note.version = 0;
        m->note.event = event_from_name(db_text(s, 2));
        m->note.port =
            db_is_null(s, 3) ? OF_PORT_UNKNOWN : (uint32_t) db_int(s, 3);
        m->note.text = lh_strdup(db_text(s, 4));
        went_well = store(m);
        free(m->note.text);
        m->note.text = NULL;
    }
    return db_reset(s) && went_well
               ? 0
               : db_error(m->log->db, "cannot take over", error);
}

static int
move_all(struct migration *m, struct lh_error *error)
{
    struct db_statement *s = db_prepare(m->log->db, order);
    int retval = 0;

    while (!retval && db_step(s)) {
        int64_t what = db_int(s, 1);

        m->note.change = (uint64_t) db_int(s, 0);
        retval = what == 2
                     ? move_event(m, db_int(s, 2), error)
                     : move_rule(m, (uint64_t) db_int(s, 2),
                                 (uint32_t) db_int(s, 3), what == 1, error);
    }
    if (!db_finish(s) && !retval) {
        retval = db_error(m->log->db, "cannot take over", error);
    }
    return retval;
}

int
flow_log_migrate_copy(struct flow_log *log, struct lh_error *error)
{
    static const char rest[] =
        "INSERT OR REPLACE INTO meta SELECT key, value FROM old.meta;"
        "INSERT INTO switch SELECT dpid, name, address, idx, version_mark"
        " FROM old.switch";
    struct db_statement *s = db_prepare(log->db, "ATTACH ?1 AS old");
    struct migration m = {.log = log};
    int retval = 0;

    db_bind_text(s, 1, log->path);
    db_step(s);
    if (!db_finish(s) || !db_run(log->db, "BEGIN IMMEDIATE")) {
        return db_error(log->db, "cannot take over", error);
    }
    m.rules = db_prepare(log->db, rule_of);
    m.events = db_prepare(log->db, event_of);
    if (!db_run(log->db, rest)) {
        retval = db_error(log->db, "cannot take over", error);
    }
    if (!retval) {
        retval = move_all(&m, error);
    }
    db_finish(m.rules);
    db_finish(m.events);
    if (!retval &&
        (!flow_log_snapshot_all(log, m.note.seq) ||
         !flow_log_db_put(log, "seq", m.note.seq) ||
         !db_run(log->db, "COMMIT") || !db_run(log->db, "DETACH old"))) {
        retval = db_error(log->db, "cannot take over", error);
    }
    if (retval) {
        db_run(log->db, "ROLLBACK");
    }
    log->n_tallies = 0; /* What is counted of it is no longer of use. */
    return retval;
}

/* Sees to it that all is in the file itself: a -wal file beside it would be
 * taken for that of the new one. */
static int
settle_old(struct flow_log *log, struct lh_error *error)
{
    struct db *db;
    char *wal = lh_asprintf("%s-wal", log->path);
    int retval = db_open("flow log", log->path, DB_WRITE, &db, error);

    if (!retval && !db_run(db, "PRAGMA journal_mode = DELETE")) {
        retval = db_error(db,
                          "cannot take over (does another program "
                          "read it?)",
                          error);
    }
    db_close(db);
    if (!retval && !access(wal, F_OK)) {
        lh_error_set(error,
                     "flow log %s: cannot take over: another program reads "
                     "it",
                     log->path);
        retval = EBUSY;
    }
    free(wal);
    return retval;
}

int
flow_log_migrate_file(struct flow_log *log, struct lh_error *error)
{
    char *new_path = lh_asprintf("%s.new", log->path);
    int retval = settle_old(log, error);

    unlink(new_path);
    if (!retval) {
        retval = db_open("flow log", new_path, DB_WRITE, &log->db, error);
    }
    if (!retval) {
        retval = flow_log_db_make(log, error);
    }
    if (!retval) {
        retval = flow_log_migrate_copy(log, error);
    }
    flow_log_db_close(log);
    if (!retval && rename(new_path, log->path)) {
        retval = errno;
        lh_error_set(error, "flow log %s: cannot rename %s: %s", log->path,
                     new_path, strerror(retval));
    }
    if (retval) {
        unlink(new_path);
    }
    free(new_path);
    return retval;
}
