/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_trim - deletes what is too old, a little at a time.
 *
 * All rows before a cut go but those that say what still stood there: the
 * rows that made rules, groups and meters which were removed or replaced only
 * later, or never.  A row that ends something takes what it ended with it.
 * Snapshots before the cut go first: what they hold may be removed by rows
 * that are deleted.  The rows that stay say the same. */
#include <config.h>

#include "lib/flow_log.h"

#include "lib/flow_log_db.h"

#define TRIM_ROWS  1000 /* Looked at in one transaction. */
#define TRIM_PAGES 256  /* Given back to the file system in one. */
#define SIZE_STEPS 64   /* Parts of the log that go at once to make room. */

/* Deletes what the row makes superfluous. */
static bool
trim_row(struct flow_log *writer, uint64_t seq, uint64_t dpid, int kind,
         uint32_t id, uint64_t *n_rows)
{
    enum flow_log_statement which = STATEMENT_TRIM_ONE;
    struct db_statement *s;

    switch (kind) {
    case KIND_MADE:
    case KIND_AGAIN:
        return true;
    case KIND_REMOVED:
        which = STATEMENT_TRIM_RULE;
        break;
    case KIND_GROUP:
    case KIND_GROUP_GONE:
    case KIND_METER:
    case KIND_METER_GONE:
        which = STATEMENT_TRIM_OBJECT;
        break;
    default:
        break;
    }
    s = flow_log_db_statement(writer, which);
    db_bind_int(s, 1, (int64_t) seq);
    if (which != STATEMENT_TRIM_ONE) {
        db_bind_int(s, 2, (int64_t) dpid);
        db_bind_int(s, 3, id);
    }
    if (which == STATEMENT_TRIM_OBJECT) {
        db_bind_int(s, 4, kind & ~1);
        /* What sets it stays until it is set anew. */
        db_bind_int(s, 5, (int64_t) seq + (kind & 1));
    }
    db_step(s);
    if (!db_reset(s)) {
        return false;
    }
    *n_rows += (uint64_t) db_n_changed(writer->db);
    return true;
}

/* Looks at some rows from 'from' on, before 'cut'; '*next' is the first that
 * was not looked at. */
static bool
trim_rows(struct flow_log *writer, uint64_t from, uint64_t cut, uint64_t *next,
          uint64_t *n_rows)
{
    struct {
        uint64_t seq, dpid;
        int kind;
        uint32_t id;
    } rows[TRIM_ROWS];
    struct db_statement *s =
        flow_log_db_statement(writer, STATEMENT_TRIM_ROWS);
    size_t n = 0;

    db_bind_int(s, 1, (int64_t) from);
    db_bind_int(s, 2, (int64_t) cut);
    db_bind_int(s, 3, TRIM_ROWS);
    while (n < TRIM_ROWS && db_step(s)) {
        rows[n].seq = (uint64_t) db_int(s, 0);
        rows[n].dpid = (uint64_t) db_int(s, 1);
        rows[n].kind = (int) db_int(s, 2);
        rows[n].id = (uint32_t) db_int(s, 3);
        n++;
    }
    if (!db_reset(s)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!trim_row(writer, rows[i].seq, rows[i].dpid, rows[i].kind,
                      rows[i].id, n_rows)) {
            return false;
        }
    }
    *next = n == TRIM_ROWS ? rows[n - 1].seq + 1 : cut;
    return true;
}

static bool
trim_snapshots(struct flow_log *writer, uint64_t cut, uint64_t *n_rows)
{
    struct db_statement *s =
        db_prepare(writer->db, "DELETE FROM snapshot WHERE seq < ?1");

    db_bind_int(s, 1, (int64_t) cut);
    db_step(s);
    if (!db_finish(s)) {
        return false;
    }
    *n_rows += (uint64_t) db_n_changed(writer->db);
    return true;
}

/* Bytes of the file that are used. */
static bool
used_bytes(struct flow_log *writer, uint64_t *n_bytes)
{
    int64_t n_pages, n_free, page_size;

    if (!db_get_int(writer->db, "PRAGMA page_count", &n_pages) ||
        !db_get_int(writer->db, "PRAGMA freelist_count", &n_free) ||
        !db_get_int(writer->db, "PRAGMA page_size", &page_size)) {
        return false;
    }
    *n_bytes = (uint64_t) ((n_pages - n_free) * page_size);
    return true;
}

/* The first row that is to stay: '*cut'. */
static bool
find_cut(struct flow_log *writer, uint64_t time_ns, uint64_t max_bytes,
         uint64_t retain_ns, uint64_t kept, uint64_t *cut)
{
    uint64_t by_floor, n_bytes;
    int64_t last;

    *cut = 0;
    if (time_ns && !flow_log_clock_seek(writer, time_ns - 1, cut)) {
        return false;
    }
    *cut += time_ns && *cut;
    if (max_bytes) {
        if (!used_bytes(writer, &n_bytes) ||
            !db_get_int(writer->db, "SELECT max(seq) FROM note", &last)) {
            return false;
        }
        if (n_bytes > max_bytes && *cut <= kept && (uint64_t) last > kept) {
            *cut = kept + ((uint64_t) last - kept) / SIZE_STEPS + 1;
        }
    }
    if (retain_ns != UINT64_MAX) {
        if (!retain_ns) {
            by_floor = 0;
        } else if (!flow_log_clock_seek(writer, retain_ns, &by_floor)) {
            return false;
        }
        *cut = *cut < by_floor ? *cut : by_floor;
    }
    return true;
}

/* Nothing before 'cut' is told of any more. */
static bool
put_cut(struct flow_log *writer, uint64_t cut)
{
    struct db_statement *s = flow_log_db_statement(writer, STATEMENT_TIME_AT);
    uint64_t time_ns;

    db_bind_int(s, 1, (int64_t) cut);
    time_ns = db_step(s) ? (uint64_t) db_int(s, 1) : writer->last_ns;
    return db_reset(s) && flow_log_db_put(writer, "kept_seq", cut - 1) &&
           flow_log_db_put(writer, "kept_ns", time_ns);
}

bool
flow_log_trim_some(struct flow_log *writer, uint64_t time_ns,
                   uint64_t max_bytes, uint64_t retain_ns, uint64_t *n_rows,
                   bool *is_done, bool *is_too_large)
{
    uint64_t next, kept, cut, n_bytes;
    int64_t n_free;

    *is_done = true;
    *is_too_large = false;
    if (!flow_log_db_get(writer, "trim_next", &next) ||
        !flow_log_db_get(writer, "kept_seq", &kept)) {
        return false;
    }
    if (next <= kept) {
        cut = kept + 1; /* Not yet done with the last cut. */
    } else if (!find_cut(writer, time_ns, max_bytes, retain_ns, kept, &cut)) {
        return false;
    }
    if (cut > next) {
        *is_done = false;
        if ((cut > kept + 1 && (!put_cut(writer, cut) ||
                                !trim_snapshots(writer, cut, n_rows))) ||
            !trim_rows(writer, next, cut, &next, n_rows) ||
            !flow_log_db_put(writer, "trim_next", next)) {
            return false;
        }
    }
    if (*is_done && max_bytes) {
        if (!used_bytes(writer, &n_bytes)) {
            return false;
        }
        *is_too_large = n_bytes > max_bytes;
    }
    if (!db_get_int(writer->db, "PRAGMA freelist_count", &n_free)) {
        return false;
    }
    if (n_free > TRIM_PAGES) {
        return db_run(writer->db, "PRAGMA incremental_vacuum(256)");
    }
    return true;
}
