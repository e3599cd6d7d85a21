/* SPDX-License-Identifier: Apache-2.0 */
/* db - an SQLite database, as small as lasthop needs it.
 *
 *     struct db_statement *s = db_prepare(db, "SELECT a, b FROM t"
 *                                             " WHERE c = ?1");
 *     db_bind_int(s, 1, c);
 *     while (db_step(s)) {
 *         use(db_int(s, 0), db_text(s, 1));
 *     }
 *     if (db_finish(s)) {
 *         return db_error(db, "cannot read", error);
 *     }
 *
 * Errors stay: db_prepare() never returns NULL; binding to a statement that
 * could not be prepared does nothing, db_step() returns false then and at
 * every other error, and db_reset() and db_finish() return what went wrong.
 *
 * Parameters count from 1, columns from 0.
 *
 * Ownership: texts and blobs that are bound stay the caller's and must live
 * until the steps that use them are done; those of a column live until the
 * next step.
 *
 * Threads: a database and its statements belong to one thread. */
#ifndef LIB_DB_H
#define LIB_DB_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/lh_error.h"

struct db;
struct db_statement;

enum db_mode { DB_READ, DB_WRITE /* Made if it is not there. */ };

/* Opens the database at 'path'; 'what' ("flow log") names it in errors.
 * Returns 0, or an errno value with a reason.  A database is not read before
 * the first statement: a damaged file shows then. */
int db_open(const char *what, const char *path, enum db_mode, struct db **,
            struct lh_error *);
void db_close(struct db *);

/* Runs statements that give no rows, separated by semicolons, up to the first
 * that fails.  True when all went well. */
bool db_run(struct db *, const char *sql);
/* What the first column of the first row of 'sql' holds; 0 without a row. */
bool db_get_int(struct db *, const char *sql, int64_t *);

struct db_statement *db_prepare(struct db *, const char *sql);
void db_bind_int(struct db_statement *, int parameter, int64_t);
/* NULL binds NULL. */
void db_bind_text(struct db_statement *, int parameter, const char *);
void db_bind_blob(struct db_statement *, int parameter, const void *,
                  size_t len);
/* True with a row. */
bool db_step(struct db_statement *);
int64_t db_int(const struct db_statement *, int column);
/* NULL for NULL. */
const char *db_text(const struct db_statement *, int column);
const void *db_blob(const struct db_statement *, int column, size_t *len);
bool db_is_null(const struct db_statement *, int column);
/* Makes it ready for db_step() once more, without parameters.  True when all
 * steps since the last reset went well. */
bool db_reset(struct db_statement *);
/* The same, and ends the statement; NULL is well. */
bool db_finish(struct db_statement *);

/* Rows that the last INSERT, UPDATE or DELETE touched. */
int db_n_changed(const struct db *);

/* Sets '*error' to what failed ("cannot write"), in which file and why, by
 * the database's last error, and returns the errno value for it: ENOSPC,
 * EBADMSG when the file is damaged or no database, EBUSY, ... */
int db_error(const struct db *, const char *what_failed, struct lh_error *);

#endif /* lib/db.h */
