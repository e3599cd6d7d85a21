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
    "CREATE TABLE IF NOT EXISTS kind("
    " kind INTEGER PRIMARY KEY, name TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS note("
    " seq INTEGER PRIMARY KEY, change INTEGER NOT NULL,"
    " time_ns INTEGER NOT NULL, dpid INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, id INTEGER NOT NULL, text TEXT, actions TEXT,"
    " body BLOB);"
    "CREATE INDEX IF NOT EXISTS note_of_switch ON note(dpid);"
    "CREATE INDEX IF NOT EXISTS note_of_rule ON note(dpid, id, kind)"
    " WHERE kind < 8;"
    "CREATE INDEX IF NOT EXISTS note_of_object ON note(dpid, id, kind)"
    " WHERE kind BETWEEN 8 AND 15;"
    "CREATE TABLE IF NOT EXISTS clock("
    " seq INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS snapshot("
    " dpid INTEGER NOT NULL, seq INTEGER NOT NULL, n INTEGER NOT NULL,"
    " data BLOB NOT NULL, PRIMARY KEY(dpid, seq));"
    "CREATE VIEW IF NOT EXISTS timeline AS SELECT seq, change,"
    " strftime('%Y-%m-%dT%H:%M:%f', time_ns / 1000000 / 1000.0, 'unixepoch')"
    " AS time, printf('%016x', dpid) AS dpid, name AS kind, id, text, actions"
    " FROM note LEFT JOIN kind USING(kind) ORDER BY seq;";

#define ROW FLOW_LOG_ROW_COLUMNS

static const char *const statements[N_STATEMENTS] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_INSERT_NOTE] = "INSERT INTO note(" ROW ")"
                              " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)",
    [STATEMENT_RULE_NOTES] = "SELECT " ROW " FROM note"
                             " INDEXED BY note_of_rule WHERE dpid = ?1"
                             " AND id = ?2 AND kind < 8 ORDER BY seq",
    [STATEMENT_OBJECT_NOTES] =
        "SELECT " ROW " FROM note"
        " INDEXED BY note_of_object WHERE dpid = ?1 AND id = ?2"
        " AND kind BETWEEN ?3 AND ?3 + 1 AND kind BETWEEN 8 AND 15"
        " ORDER BY seq DESC",
    [STATEMENT_SET_KIND] = "UPDATE note SET kind = ?2 WHERE seq = ?1",
    [STATEMENT_LAST_VERSION] = "SELECT id FROM note INDEXED BY note_of_rule"
                               " WHERE dpid = ?1 AND kind < 8"
                               " ORDER BY id DESC LIMIT 1",
    [STATEMENT_CUT_SNAPSHOTS] =
        "DELETE FROM snapshot WHERE dpid = ?1 AND seq >= ?2",
    [STATEMENT_PUT_CLOCK] = "INSERT OR REPLACE INTO clock VALUES(?1, ?2)",
    [STATEMENT_GET_CLOCK] = "SELECT seq FROM clock WHERE seq < ?1"
                            " ORDER BY seq DESC LIMIT 1",
    [STATEMENT_TIME_AT] = "SELECT seq, time_ns FROM note WHERE seq >= ?1"
                          " ORDER BY seq LIMIT 1",
    [STATEMENT_END_OF_CHANGE] =
        "SELECT seq, change FROM note WHERE seq >= ?1 ORDER BY seq",
    [STATEMENT_SNAPSHOT] = "SELECT seq, data FROM snapshot WHERE dpid = ?1"
                           " AND seq <= ?2 ORDER BY seq DESC LIMIT 1",
    [STATEMENT_PUT_SNAPSHOT] =
        "INSERT OR REPLACE INTO snapshot(dpid, seq, n, data)"
        " VALUES(?1, ?2, ?3, ?4)",
    [STATEMENT_NOTES_OF_SWITCH] =
        "SELECT " ROW " FROM note INDEXED BY note_of_switch"
        " WHERE dpid = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq",
    [STATEMENT_NOTES_BETWEEN] =
        "SELECT " ROW " FROM note NOT INDEXED"
        " WHERE seq > ?2 AND seq <= ?3 AND dpid = ?1 ORDER BY seq",
    [STATEMENT_N_SINCE] =
        "SELECT count(*) FROM note WHERE dpid = ?1 AND seq > (SELECT"
        " coalesce(max(seq), 0) FROM snapshot WHERE dpid = ?1)",
    [STATEMENT_END] =
        "SELECT time_ns, text FROM note"
        " INDEXED BY note_of_rule WHERE dpid = ?1 AND id = ?2"
        " AND kind = 1 AND kind < 8 AND seq > ?3 ORDER BY seq LIMIT 1",
    [STATEMENT_TRIM_ROWS] = "SELECT seq, dpid, kind, id FROM note"
                            " WHERE seq >= ?1 AND seq < ?2 ORDER BY seq"
                            " LIMIT ?3",
    [STATEMENT_TRIM_RULE] = "DELETE FROM note WHERE dpid = ?2 AND id = ?3"
                            " AND kind < 8 AND seq <= ?1",
    [STATEMENT_TRIM_OBJECT] =
        "DELETE FROM note WHERE dpid = ?2 AND id = ?3"
        " AND kind BETWEEN 8 AND 15 AND kind BETWEEN ?4 AND ?4 + 1"
        " AND seq < ?5 AND ?1 > 0",
    [STATEMENT_TRIM_ONE] = "DELETE FROM note WHERE seq = ?1",
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

/* The table `kind`, for people who look into the file. */
static bool
put_kinds(struct flow_log *log)
{
    static const struct {
        int kind;
        const char *name;
    } kinds[] = {
        {KIND_MADE, "made"},
        {KIND_REMOVED, "removed"},
        {KIND_PACKET_OUT, "packet-out"},
        {KIND_REFUSED, "refused"},
        {KIND_UNDONE, "undone"},
        {KIND_RESTORED, "restored"},
        {KIND_AGAIN, "again"},
        {KIND_GROUP, "group"},
        {KIND_GROUP_GONE, "group-gone"},
        {KIND_METER, "meter"},
        {KIND_METER_GONE, "meter-gone"},
        {KIND_GROUP + KIND_NEVER, "group-refused"},
        {KIND_GROUP_GONE + KIND_NEVER, "group-undone"},
        {KIND_METER + KIND_NEVER, "meter-refused"},
        {KIND_METER_GONE + KIND_NEVER, "meter-undone"},
    };
    struct db_statement *s =
        db_prepare(log->db, "INSERT OR REPLACE INTO kind VALUES(?1, ?2)");
    size_t n = sizeof kinds / sizeof kinds[0];
    bool went_well = true;

    for (size_t i = 0; went_well && i < n + FLOW_LOG_ROLE + 1; i++) {
        db_bind_int(s, 1, i < n ? kinds[i].kind : KIND_EVENT + (int) (i - n));
        db_bind_text(s, 2,
                     i < n
                         ? kinds[i].name
                         : flow_log_event_name((enum flow_log_event)(i - n)));
        db_step(s);
        went_well = db_reset(s);
    }
    return db_finish(s) && went_well;
}

int
flow_log_db_make(struct flow_log *log, struct lh_error *error)
{
    char *sql = lh_asprintf("PRAGMA application_id = %d;"
                            "PRAGMA user_version = %d;%s",
                            APPLICATION_ID, FLOW_LOG_FORMAT, schema);
    bool went_well = db_run(log->db, "PRAGMA page_size = 8192;"
                                     "PRAGMA auto_vacuum = INCREMENTAL") &&
                     db_run(log->db, "BEGIN IMMEDIATE") &&
                     db_run(log->db, sql) && put_kinds(log) &&
                     flow_log_db_put(log, "trim_next", 1) &&
                     db_run(log->db, "COMMIT");

    free(sql);
    return went_well ? 0 : db_error(log->db, "cannot prepare", error);
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

/* The number of the format of log->db; 0 when it is empty. */
static int
read_format(struct flow_log *log, int64_t *format, struct lh_error *error)
{
    int64_t application, n_tables;

    if (!db_get_int(log->db, "PRAGMA application_id", &application) ||
        !db_get_int(log->db, "PRAGMA user_version", format) ||
        !db_get_int(log->db, "SELECT count(*) FROM sqlite_schema",
                    &n_tables)) {
        int retval = db_error(log->db, "cannot read", error);

        if (retval == EBADMSG) {
            flow_log_db_advise(log, error);
        }
        return retval;
    }
    if (!n_tables) {
        *format = 0;
    } else if (application != APPLICATION_ID) {
        lh_error_set(error, "flow log %s: a database, but not a flow log",
                     log->path);
        return EPROTO;
    } else if (*format < 1 || *format > FLOW_LOG_FORMAT) {
        lh_error_set(error,
                     "flow log %s: format %lld, but this program knows "
                     "formats up to %d only",
                     log->path, (long long) *format, FLOW_LOG_FORMAT);
        return EPROTO;
    }
    return 0;
}

void
flow_log_db_advise(const struct flow_log *log, struct lh_error *error)
{
    struct lh_error why;

    if (error) {
        why = *error;
        lh_error_set(error,
                     "%.300s; move it away with its -wal file, and a new log "
                     "is begun: versions go on above those that the "
                     "switches' rules have",
                     why.text);
    }
}

/* An older log is read out of a copy in memory. */
static int
read_old(struct flow_log *log, struct lh_error *error)
{
    int retval;

    flow_log_db_close(log);
    retval = db_open("flow log", ":memory:", DB_WRITE, &log->db, error);
    if (!retval) {
        retval = flow_log_db_make(log, error);
    }
    return retval ? retval : flow_log_migrate_copy(log, error);
}

static int
write_old(struct flow_log *log, struct lh_error *error)
{
    int retval;

    flow_log_db_close(log);
    retval = flow_log_migrate_file(log, error);
    return retval ? retval
                  : db_open("flow log", log->path, DB_WRITE, &log->db, error);
}

int
flow_log_db_schema(struct flow_log *log, bool is_writer,
                   struct lh_error *error)
{
    int64_t format;
    int retval = read_format(log, &format, error);

    if (!retval && !is_writer && !format) {
        lh_error_set(error, "flow log %s: empty", log->path);
        retval = EPROTO;
    }
    if (!retval && !format) {
        retval = flow_log_db_make(log, error);
    } else if (!retval && format < FLOW_LOG_FORMAT) {
        retval = is_writer ? write_old(log, error) : read_old(log, error);
    }
    /* The writer's pages are the newest; who asks about the past needs more.
     */
    if (!retval &&
        !db_run(log->db, is_writer ? "PRAGMA cache_size = -8192"
                                   : "PRAGMA cache_size = -32768")) {
        retval = db_error(log->db, "cannot prepare", error);
    }
    if (!retval && is_writer &&
        (!db_run(log->db, "PRAGMA journal_mode = WAL;"
                          "PRAGMA wal_autocheckpoint = 2000") ||
         !flow_log_store_load(log))) {
        retval = db_error(log->db, "cannot prepare", error);
    }
    return retval;
}
