/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_db - the SQLite database beneath flow_log: its schema
 * (docs/formats/flow-log.md), its statements, its errors. */
#include <config.h>

#include "lib/flow_log_db.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"

#define APPLICATION_ID 0x6c68666c /* "lhfl" */

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS meta("
    " key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS switch("
    " dpid INTEGER PRIMARY KEY, name TEXT, address TEXT,"
    " idx INTEGER UNIQUE, version_mark INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE IF NOT EXISTS rule("
    " dpid INTEGER NOT NULL, version INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, command TEXT, table_id INTEGER NOT NULL,"
    " priority INTEGER NOT NULL, match TEXT NOT NULL,"
    " actions TEXT NOT NULL, cookie INTEGER NOT NULL,"
    " idle_timeout INTEGER NOT NULL, hard_timeout INTEGER NOT NULL,"
    " flags INTEGER NOT NULL, importance INTEGER NOT NULL, who TEXT,"
    " change INTEGER NOT NULL, installed_ns INTEGER NOT NULL,"
    " made_change INTEGER NOT NULL,"
    " removed_change INTEGER NOT NULL, removed_ns INTEGER NOT NULL,"
    " removed_reason TEXT, is_transit INTEGER NOT NULL,"
    " is_instrumented INTEGER NOT NULL, steps TEXT NOT NULL, raw BLOB,"
    " PRIMARY KEY(dpid, version)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS rule_by_change"
    " ON rule(dpid, removed_change, made_change) WHERE kind < 2;"
    "CREATE INDEX IF NOT EXISTS rule_by_time"
    " ON rule(dpid, removed_ns, installed_ns);"
    "CREATE TABLE IF NOT EXISTS event("
    " change INTEGER NOT NULL, time_ns INTEGER NOT NULL,"
    " dpid INTEGER NOT NULL, kind TEXT NOT NULL, port INTEGER, text TEXT);"
    "CREATE INDEX IF NOT EXISTS event_by_time ON event(time_ns);";

#define RULE_COLUMNS                                                          \
    "dpid, version, kind, command, table_id, priority, match, actions,"       \
    " cookie, idle_timeout, hard_timeout, flags, importance, who, change,"    \
    " installed_ns, removed_ns, removed_reason, is_transit,"                  \
    " is_instrumented, steps, raw, made_change"
#define TABLE_ORDER " ORDER BY table_id, priority DESC, version"

static const char *const statements[N_STATEMENTS] = {
    [STATEMENT_INSERT_RULE] =
        "INSERT INTO rule(" RULE_COLUMNS ", removed_change)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,"
        "?17,?18,?19,?20,?21,?22,?23,?24)"
        " ON CONFLICT(dpid, version) DO UPDATE SET"
        " removed_change = 9223372036854775807,"
        " removed_ns = 9223372036854775807, removed_reason = NULL,"
        " is_instrumented = ?20"
        " WHERE (removed_change < 9223372036854775807"
        " OR is_instrumented <> ?20) AND kind <> 3",
    [STATEMENT_REMOVE_RULE] =
        "UPDATE rule SET removed_change = ?3, removed_ns = ?4,"
        " removed_reason = ?5 WHERE dpid = ?1 AND version = ?2"
        " AND removed_change = 9223372036854775807",
    [STATEMENT_INSERT_EVENT] =
        "INSERT INTO event(change, time_ns, dpid, kind, port, text)"
        " VALUES(?1,?2,?3,?4,?5,?6)",
    [STATEMENT_PUT_SWITCH] =
        "INSERT INTO switch(dpid, name, address, idx, version_mark)"
        " VALUES(?1, ?2, ?3, nullif(?4, 0), (SELECT coalesce(max(value), 0)"
        " FROM meta WHERE key = 'new_mark')) ON CONFLICT(dpid) DO UPDATE SET"
        " name = coalesce(?2, name), address = coalesce(?3, address),"
        " idx = nullif(?4, 0)",
    [STATEMENT_PUT_META] = "INSERT INTO meta(key, value) VALUES(?1, ?2)"
                           " ON CONFLICT(key) DO UPDATE SET value = ?2",
    [STATEMENT_GET_META] = "SELECT value FROM meta WHERE key = ?1",
    [STATEMENT_SET_MARK] =
        "INSERT INTO switch(dpid, version_mark) VALUES(?1, ?2)"
        " ON CONFLICT(dpid) DO UPDATE SET version_mark = ?2",
    [STATEMENT_FIND] = "SELECT " RULE_COLUMNS " FROM rule"
                       " WHERE dpid = ?1 AND version = ?2",
    [STATEMENT_TABLE_BY_CHANGE] =
        "SELECT " RULE_COLUMNS " FROM rule WHERE dpid = ?1 AND kind < 2"
        " AND removed_change > ?2 AND made_change <= ?2" TABLE_ORDER,
    [STATEMENT_TABLE_BY_TIME] =
        "SELECT " RULE_COLUMNS " FROM rule WHERE dpid = ?1 AND kind < 2"
        " AND removed_ns > ?2 AND installed_ns <= ?2" TABLE_ORDER,
    [STATEMENT_STANDING] =
        "SELECT " RULE_COLUMNS " FROM rule WHERE dpid = ?1"
        " AND removed_change = 9223372036854775807" TABLE_ORDER,
};

struct db_statement *
flow_log_db_statement(struct flow_log *log, enum flow_log_statement which)
{
    struct db_statement **s = &log->statements[which];

    if (!*s) {
        *s = db_prepare(log->db, statements[which]);
    } else {
        db_reset(*s);
    }
    return *s;
}

void
flow_log_db_close(struct flow_log *log)
{
    for (size_t i = 0; i < N_STATEMENTS; i++) {
        db_finish(log->statements[i]);
        log->statements[i] = NULL;
    }
    db_close(log->db);
    log->db = NULL;
}

static bool
make_schema(struct flow_log *log)
{
    char *sql = lh_asprintf("PRAGMA application_id = %d;"
                            "PRAGMA user_version = %d;%s",
                            APPLICATION_ID, FLOW_LOG_FORMAT, schema);
    bool went_well = db_run(log->db, "BEGIN IMMEDIATE") &&
                     db_run(log->db, sql) && db_run(log->db, "COMMIT");

    free(sql);
    return went_well;
}

bool
flow_log_db_put(struct flow_log *log, const char *key, uint64_t value)
{
    struct db_statement *s = flow_log_db_statement(log, STATEMENT_PUT_META);

    db_bind_text(s, 1, key);
    db_bind_int(s, 2, (int64_t) value);
    db_step(s);
    return db_reset(s);
}

bool
flow_log_db_put_mark(struct flow_log *log, uint64_t dpid, uint64_t mark)
{
    struct db_statement *s = flow_log_db_statement(log, STATEMENT_SET_MARK);

    db_bind_int(s, 1, (int64_t) dpid);
    db_bind_int(s, 2, (int64_t) mark);
    db_step(s);
    return db_reset(s);
}

bool
flow_log_db_get(struct flow_log *log, const char *key, uint64_t *value)
{
    struct db_statement *s = flow_log_db_statement(log, STATEMENT_GET_META);

    db_bind_text(s, 1, key);
    *value = db_step(s) ? (uint64_t) db_int(s, 0) : 0;
    return db_reset(s);
}

int
flow_log_db_schema(struct flow_log *log, bool is_writer,
                   struct lh_error *error)
{
    int64_t application, format, n_tables;

    if (!db_get_int(log->db, "PRAGMA application_id", &application) ||
        !db_get_int(log->db, "PRAGMA user_version", &format) ||
        !db_get_int(log->db, "SELECT count(*) FROM sqlite_schema",
                    &n_tables)) {
        return db_error(log->db, "cannot read", error);
    }
    if (n_tables && application != APPLICATION_ID) {
        lh_error_set(error, "flow log %s: a database, but not a flow log",
                     log->path);
        return EPROTO;
    }
    if (n_tables && format != FLOW_LOG_FORMAT) {
        lh_error_set(error,
                     "flow log %s: format %lld, but this program knows "
                     "format %d only",
                     log->path, (long long) format, FLOW_LOG_FORMAT);
        return EPROTO;
    }
    if (!is_writer && !n_tables) {
        lh_error_set(error, "flow log %s: empty", log->path);
        return EPROTO;
    }
    if (is_writer && (!db_run(log->db, "PRAGMA journal_mode = WAL") ||
                      (!n_tables && !make_schema(log)))) {
        return db_error(log->db, "cannot prepare", error);
    }
    return 0;
}
