/* SPDX-License-Identifier: Apache-2.0 */
/* db - the one door to SQLite. */
#include <config.h>

#include "lib/db.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"

#define BUSY_TIMEOUT_MS 2000

struct db {
    sqlite3 *handle;
    char *what;
    char *path;

    /* Of the last failure; kept because a ROLLBACK overwrites SQLite's. */
    int code;
    int system_errno;
    char *message;
};

struct db_statement {
    struct db *db;
    sqlite3_stmt *handle; /* NULL when it could not be prepared. */
    char *sql;
    bool has_failed;
};

static int
errno_from_sqlite(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return ENOSPC;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return EBADMSG;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return EBUSY;
    case SQLITE_READONLY:
        return EROFS;
    case SQLITE_NOMEM:
        return ENOMEM;
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return EACCES;
    default:
        return EIO;
    }
}

static void
note_failure(struct db *db)
{
    free(db->message);
    db->code = sqlite3_extended_errcode(db->handle);
    db->system_errno = sqlite3_system_errno(db->handle);
    db->message = lh_strdup(sqlite3_errmsg(db->handle));
}

int
db_error(const struct db *db, const char *what_failed, struct lh_error *error)
{
    int code = db->code & 0xff;
    const char *message = db->message ? db->message : "no error";

    if ((code == SQLITE_CANTOPEN || code == SQLITE_IOERR) &&
        db->system_errno) {
        lh_error_set(error, "%s %s: %s: %s (%s)", db->what, db->path,
                     what_failed, message, strerror(db->system_errno));
        return db->system_errno;
    }
    lh_error_set(error, "%s %s: %s: %s", db->what, db->path, what_failed,
                 message);
    return errno_from_sqlite(code);
}

/* Nobody asks SQLite how much memory it has, and to keep count takes a lock at
 * every allocation. */
static void
configure(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int
db_open(const char *what, const char *path, enum db_mode mode, struct db **dbp,
        struct lh_error *error)
{
    struct db *db = lh_alloc_zero(sizeof *db);
    int flags = mode == DB_READ ? SQLITE_OPEN_READONLY
                                : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int code, retval;

    pthread_once(&once, configure);
    code =
        sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
    *dbp = NULL;
    db->what = lh_strdup(what);
    db->path = lh_strdup(path);
    if (!db->handle) {
        lh_error_set(error, "%s %s: %s", what, path, sqlite3_errstr(code));
        retval = errno_from_sqlite(code);
    } else if (code) {
        note_failure(db);
        retval = db_error(db, "cannot open", error);
    } else {
        sqlite3_extended_result_codes(db->handle, 1);
        sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
        *dbp = db;
        return 0;
    }
    db_close(db);
    return retval;
}

void
db_close(struct db *db)
{
    if (!db) {
        return;
    }
    sqlite3_close(db->handle);
    free(db->what);
    free(db->path);
    free(db->message);
    free(db);
}

bool
db_run(struct db *db, const char *sql)
{
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL)) {
        note_failure(db);
        return false;
    }
    return true;
}

bool
db_get_int(struct db *db, const char *sql, int64_t *value)
{
    struct db_statement *s = db_prepare(db, sql);

    *value = db_step(s) ? db_int(s, 0) : 0;
    return db_finish(s);
}

static void
prepare(struct db_statement *s)
{
    s->has_failed =
        sqlite3_prepare_v2(s->db->handle, s->sql, -1, &s->handle, NULL);
    if (s->has_failed) {
        note_failure(s->db);
    }
}

struct db_statement *
db_prepare(struct db *db, const char *sql)
{
    struct db_statement *s = lh_alloc_zero(sizeof *s);

    s->db = db;
    s->sql = lh_strdup(sql);
    prepare(s);
    return s;
}

void
db_bind_int(struct db_statement *s, int parameter, int64_t value)
{
    if (s->handle) {
        sqlite3_bind_int64(s->handle, parameter, value);
    }
}

void
db_bind_text(struct db_statement *s, int parameter, const char *text)
{
    if (s->handle) {
        sqlite3_bind_text(s->handle, parameter, text, -1, SQLITE_STATIC);
    }
}

void
db_bind_blob(struct db_statement *s, int parameter, const void *data,
             size_t len)
{
    if (s->handle) {
        sqlite3_bind_blob64(s->handle, parameter, data, len, SQLITE_STATIC);
    }
}

bool
db_step(struct db_statement *s)
{
    if (!s->handle || s->has_failed) {
        return false;
    }

    int code = sqlite3_step(s->handle);

    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        note_failure(s->db);
        s->has_failed = true;
    }
    return code == SQLITE_ROW;
}

int64_t
db_int(const struct db_statement *s, int column)
{
    return sqlite3_column_int64(s->handle, column);
}

const char *
db_text(const struct db_statement *s, int column)
{
    return (const char *) sqlite3_column_text(s->handle, column);
}

const void *
db_blob(const struct db_statement *s, int column, size_t *len)
{
    const void *data = sqlite3_column_blob(s->handle, column);

    *len = (size_t) sqlite3_column_bytes(s->handle, column);
    return data;
}

bool
db_is_null(const struct db_statement *s, int column)
{
    return sqlite3_column_type(s->handle, column) == SQLITE_NULL;
}

bool
db_reset(struct db_statement *s)
{
    bool went_well = !s->has_failed;

    if (s->handle) {
        sqlite3_reset(s->handle);
        sqlite3_clear_bindings(s->handle);
        s->has_failed = false;
    } else {
        prepare(s);
    }
    return went_well;
}

bool
db_finish(struct db_statement *s)
{
    if (!s) {
        return true;
    }

    bool went_well = !s->has_failed;

    sqlite3_finalize(s->handle);
    free(s->sql);
    free(s);
    return went_well;
}

int
db_n_changed(const struct db *db)
{
    return sqlite3_changes(db->handle);
}
