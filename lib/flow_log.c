/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log - opening and closing, the versions of each switch, and writing
 * what is queued. */
#include <config.h>

#include "lib/flow_log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"

#define MAX_VERSION UINT32_MAX

/* Takes the lock that keeps a second writer out: it lies on a file beside the
 * database, which the operating system lets go when the process ends. */
static int
lock_log(struct flow_log *log, struct lh_error *error)
{
    char *path = lh_asprintf("%s.lock", log->path);
    int retval = 0;

    log->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (log->lock_fd < 0) {
        retval = errno;
        lh_error_set(error, "flow log %s: cannot open %s: %s", log->path, path,
                     strerror(retval));
    } else if (flock(log->lock_fd, LOCK_EX | LOCK_NB)) {
        retval = errno == EWOULDBLOCK ? EBUSY : errno;
        lh_error_set(error, "flow log %s: %s", log->path,
                     retval == EBUSY ? "another process writes to it"
                                     : strerror(retval));
    }
    free(path);
    return retval;
}

static int
open_log(const char *path, bool is_readonly, struct flow_log **logp,
         struct lh_error *error)
{
    struct flow_log *log = lh_alloc_zero(sizeof *log);
    int retval;

    *logp = NULL;
    log->path = lh_strdup(path);
    log->is_readonly = is_readonly;
    log->lock_fd = -1;
    retval = is_readonly ? 0 : lock_log(log, error);
    if (!retval) {
        retval = db_open("flow log", path, is_readonly ? DB_READ : DB_WRITE,
                         &log->db, error);
    }
    if (!retval) {
        retval = flow_log_db_schema(log, error);
    }
    if (retval) {
        flow_log_close(log);
        return retval;
    }
    *logp = log;
    return 0;
}

int
flow_log_open(const char *path, struct flow_log **logp, struct lh_error *error)
{
    return open_log(path, false, logp, error);
}

int
flow_log_open_readonly(const char *path, struct flow_log **logp,
                       struct lh_error *error)
{
    return open_log(path, true, logp, error);
}

static bool
set_mark(struct flow_log *log, uint64_t dpid, uint64_t mark)
{
    struct db_statement *s = flow_log_db_statement(log, STATEMENT_SET_MARK);

    db_bind_int(s, 1, (int64_t) dpid);
    db_bind_int(s, 2, (int64_t) mark);
    db_step(s);
    return db_reset(s);
}

/* Gives reserved versions back that were not used, so that an orderly end
 * leaves no gap. */
static void
return_versions(struct flow_log *log)
{
    bool went_well = db_run(log->db, "BEGIN IMMEDIATE");

    for (size_t i = 0; went_well && i < log->n_versions; i++) {
        const struct flow_log_versions *v = &log->versions[i];

        went_well = v->mark < v->next || set_mark(log, v->dpid, v->next - 1);
    }
    if (!went_well || !db_run(log->db, "COMMIT")) {
        db_run(log->db, "ROLLBACK");
    }
}

void
flow_log_close(struct flow_log *log)
{
    if (!log) {
        return;
    }
    if (log->db && !log->is_readonly) {
        flow_log_flush(log, NULL);
        return_versions(log);
    }
    flow_log_queue_clear(log);
    flow_log_db_close(log);
    if (log->lock_fd >= 0) {
        close(log->lock_fd);
    }
    free(log->notes);
    free(log->versions);
    free(log->path);
    free(log);
}

/* The versions of 'dpid', made if they are not there. */
static struct flow_log_versions *
find_versions(struct flow_log *log, uint64_t dpid)
{
    size_t low = 0, high = log->n_versions;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (log->versions[mid].dpid < dpid) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    if (low == log->n_versions || log->versions[low].dpid != dpid) {
        log->versions =
            lh_alloc_grow(log->versions, log->n_versions,
                          &log->allocated_versions, sizeof *log->versions);
        memmove(&log->versions[low + 1], &log->versions[low],
                (log->n_versions - low) * sizeof *log->versions);
        log->n_versions++;
        log->versions[low] =
            (struct flow_log_versions){.dpid = dpid, .next = 1};
    }
    return &log->versions[low];
}

/* The mark of 'v' after one more block. */
static uint64_t
next_mark(const struct flow_log_versions *v)
{
    uint64_t mark = v->next - 1 + FLOW_LOG_VERSION_BLOCK;

    return mark < MAX_VERSION ? mark : MAX_VERSION;
}

static bool
is_mark_low(const struct flow_log_versions *v)
{
    return v->mark < MAX_VERSION &&
           v->mark + 1 < v->next + FLOW_LOG_VERSION_BLOCK / 2;
}

/* Makes one more block of 'v' durable.  Failing is remembered until a flush
 * works again, so that a full disk is not asked for every version. */
static void
reserve(struct flow_log *log, struct flow_log_versions *v)
{
    if (log->cannot_reserve) {
        return;
    }
    if (!db_run(log->db, "PRAGMA synchronous = FULL;"
                         "BEGIN IMMEDIATE") ||
        !set_mark(log, v->dpid, next_mark(v)) || !db_run(log->db, "COMMIT")) {
        db_run(log->db, "ROLLBACK");
        log->cannot_reserve = true;
        log->counters.failures++;
        return;
    }
    v->mark = next_mark(v);
}

uint32_t
flow_log_next_version(struct flow_log *log, uint64_t dpid)
{
    assert(!log->is_readonly);

    struct flow_log_versions *v = find_versions(log, dpid);

    if (v->next > MAX_VERSION) {
        log->counters.exhausted++;
        return MAX_VERSION;
    }
    if (v->next > v->mark) {
        reserve(log, v);
        if (v->next > v->mark) {
            log->counters.unreserved++;
        }
    }
    return (uint32_t) v->next++;
}

void
flow_log_skip_version(struct flow_log *log, uint64_t dpid, uint32_t version)
{
    struct flow_log_versions *v = find_versions(log, dpid);

    if (v->next <= version) {
        v->next = (uint64_t) version + 1;
    }
}

uint64_t
flow_log_begin_change(struct flow_log *log)
{
    return ++log->change;
}

/* Writes the number of the last change. */
static bool
set_change(struct flow_log *log)
{
    struct db_statement *s = flow_log_db_statement(log, STATEMENT_SET_CHANGE);

    db_bind_int(s, 1, (int64_t) log->change);
    db_step(s);
    return db_reset(s);
}

/* Versions must survive a power failure, notes only a crash of ours. */
static bool
write_all(struct flow_log *log, bool any_low, uint64_t *n_duplicates)
{
    if (!db_run(log->db, any_low ? "PRAGMA synchronous = FULL"
                                 : "PRAGMA synchronous = NORMAL") ||
        !db_run(log->db, "BEGIN IMMEDIATE") ||
        !flow_log_queue_write(log, n_duplicates) || !set_change(log)) {
        return false;
    }
    for (size_t i = 0; i < log->n_versions; i++) {
        const struct flow_log_versions *v = &log->versions[i];

        if (is_mark_low(v) && !set_mark(log, v->dpid, next_mark(v))) {
            return false;
        }
    }
    return db_run(log->db, "COMMIT");
}

int
flow_log_flush(struct flow_log *log, struct lh_error *error)
{
    uint64_t n_duplicates = 0;
    bool any_low = false;

    assert(!log->is_readonly);
    for (size_t i = 0; i < log->n_versions; i++) {
        any_low |= is_mark_low(&log->versions[i]);
    }
    if (!log->n_notes && !any_low) {
        return 0;
    }
    if (!write_all(log, any_low, &n_duplicates)) {
        int retval = db_error(log->db, "cannot write", error);

        db_run(log->db, "ROLLBACK");
        log->counters.failures++;
        return retval;
    }
    for (size_t i = 0; i < log->n_versions; i++) {
        struct flow_log_versions *v = &log->versions[i];

        if (is_mark_low(v)) {
            v->mark = next_mark(v);
        }
    }
    log->cannot_reserve = false;
    log->counters.written += log->n_notes;
    log->counters.duplicates += n_duplicates;
    flow_log_queue_clear(log);
    return 0;
}

int
flow_log_trim(struct flow_log *log, uint64_t time_ns, int max_rows, int *n,
              struct lh_error *error)
{
    static const char *const deletes[] = {
        "DELETE FROM rule WHERE (dpid, version) IN (SELECT r.dpid, r.version"
        " FROM switch s CROSS JOIN rule r ON r.dpid = s.dpid"
        " WHERE r.removed_ns < ?1 LIMIT ?2)",
        "DELETE FROM event WHERE rowid IN (SELECT rowid FROM event"
        " WHERE time_ns < ?1 LIMIT ?2)",
    };

    *n = 0;
    for (size_t i = 0; i < 2 && *n < max_rows; i++) {
        struct db_statement *s = db_prepare(log->db, deletes[i]);

        db_bind_int(s, 1, (int64_t) time_ns);
        db_bind_int(s, 2, max_rows - *n);
        db_step(s);
        if (!db_finish(s)) {
            return db_error(log->db, "cannot trim", error);
        }
        *n += db_n_changed(log->db);
    }
    return 0;
}

size_t
flow_log_n_queued(const struct flow_log *log)
{
    return log->n_notes;
}

struct flow_log_counters
flow_log_counters(const struct flow_log *log)
{
    return log->counters;
}
