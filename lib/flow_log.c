/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log - opening and closing. */
#include <config.h>

#include "lib/flow_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/time_spec.h"

/* The lock that keeps a second writer out lies on a file beside the database;
 * the operating system lets it go when the process ends. */
int
flow_log_hold(const char *log_path, int *fdp, struct lh_error *error)
{
    char *path = lh_asprintf("%s.lock", log_path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    int retval = 0;

    if (fd < 0) {
        retval = errno;
        lh_error_set(error, "flow log %s: cannot open %s: %s", log_path, path,
                     strerror(retval));
    } else if (flock(fd, LOCK_EX | LOCK_NB)) {
        retval = errno == EWOULDBLOCK ? EBUSY : errno;
        lh_error_set(error, "flow log %s: %s", log_path,
                     retval == EBUSY ? "another process writes to it"
                                     : strerror(retval));
        close(fd);
        fd = -1;
    }
    free(path);
    *fdp = fd;
    return retval;
}

static struct flow_log *
new_handle(const char *path)
{
    struct flow_log *log = lh_alloc_zero(sizeof *log);

    log->path = lh_strdup(path);
    log->lock_fd = -1;
    return log;
}

/* A connection of its own to the database. */
static int
connect_db(struct flow_log *log, bool is_writer, struct lh_error *error)
{
    int retval = db_open("flow log", log->path, is_writer ? DB_WRITE : DB_READ,
                         &log->db, error);

    return retval ? retval : flow_log_db_schema(log, is_writer, error);
}

static void
free_handle(struct flow_log *log)
{
    if (log) {
        flow_log_db_close(log);
        flow_log_notes_uninit(&log->pending);
        flow_log_switches_free(log->switches, log->n_switches);
        free(log->versions);
        free(log->tallies);
        byte_buf_uninit(&log->body);
        free(log->path);
        free(log);
    }
}

int
flow_log_open_readonly(const char *path, struct flow_log **logp,
                       struct lh_error *error)
{
    struct flow_log *log = new_handle(path);
    int retval = connect_db(log, false, error);

    if (retval) {
        free_handle(log);
        log = NULL;
    }
    *logp = log;
    return retval;
}

int
flow_log_open_reader(struct flow_log *writer, struct flow_log **logp,
                     struct lh_error *error)
{
    int retval = flow_log_open_readonly(writer->path, logp, error);

    if (!retval) {
        (*logp)->shared = writer->shared;
    }
    return retval;
}

/* --- For writing. --- */

static struct flow_log_shared *
new_shared(const char *path)
{
    struct flow_log_shared *shared = lh_alloc_zero(sizeof *shared);
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&shared->mutex, NULL);
    pthread_cond_init(&shared->work, &attr);
    pthread_cond_init(&shared->done, &attr);
    pthread_condattr_destroy(&attr);
    shared->max_bytes = FLOW_LOG_MAX_BYTES;
    shared->writer = new_handle(path);
    return shared;
}

static void
free_shared(struct flow_log_shared *shared)
{
    if (shared) {
        free_handle(shared->writer);
        flow_log_notes_uninit(&shared->writing);
        flow_log_notes_uninit(&shared->queue);
        pthread_cond_destroy(&shared->work);
        pthread_cond_destroy(&shared->done);
        pthread_mutex_destroy(&shared->mutex);
        free(shared->marks);
        free(shared);
    }
}

/* Reads how the log ended. */
static bool
read_state(struct flow_log *log)
{
    struct flow_log_shared *shared = log->shared;
    struct flow_log *writer = shared->writer;
    uint64_t is_open, alive_ns, base;

    if (!flow_log_db_get(writer, "change", &log->change) ||
        !flow_log_db_get(writer, "seq", &shared->seq) ||
        !flow_log_db_get(writer, "is_open", &is_open) ||
        !flow_log_db_get(writer, "alive_ns", &alive_ns) ||
        !flow_log_db_get(writer, "new_mark", &base) ||
        !flow_log_db_get(writer, "retain_ns", &shared->retain_ns) ||
        !flow_log_versions_load(log, base) || !flow_log_switches_load(log)) {
        return false;
    }
    if (!shared->retain_ns) {
        shared->retain_ns = UINT64_MAX; /* Nobody has said anything. */
    }
    shared->written_seq = shared->durable_seq = shared->seq;
    shared->lag.written_change = shared->lag.durable_change = log->change;
    shared->lag.written_ns = shared->lag.durable_ns = time_spec_now();
    if (is_open) {
        log->gap = (struct flow_log_gap){
            .is_there = true,
            .since_ns = alive_ns,
            .until_ns = time_spec_now(),
            .change = log->change,
        };
    }
    return true;
}

/* The first transaction: from now on an end is in order only if the last one
 * says so.  On a full disk it fails, and the writer goes on trying. */
static void
begin_writing(struct flow_log *log)
{
    struct flow_log *writer = log->shared->writer;

    if (!db_run(writer->db, "PRAGMA synchronous = FULL; BEGIN IMMEDIATE") ||
        !flow_log_db_put(writer, "is_open", 1) ||
        !flow_log_db_put(writer, "alive_ns", time_spec_now()) ||
        !flow_log_versions_reserve_all(log) || !db_run(writer->db, "COMMIT")) {
        db_run(writer->db, "ROLLBACK");
        return;
    }
    flow_log_versions_reserved_all(log);
}

static void
say_gap(struct flow_log *log)
{
    const struct flow_log_gap *gap = &log->gap;
    char since[TIME_SPEC_BUFSIZE], *text;

    time_spec_format(gap->since_ns, true, 3, since);
    text = lh_asprintf("the recorder did not end in order: changes after %s "
                       "may be missing",
                       since);
    flow_log_event(log, FLOW_LOG_GAP, 0, OF_PORT_UNKNOWN, gap->until_ns, text);
    flow_log_hand_over(log);
    free(text);
}

int
flow_log_open(const char *path, struct flow_log **logp, struct lh_error *error)
{
    struct flow_log *log = new_handle(path);
    int retval = flow_log_hold(path, &log->lock_fd, error);

    *logp = NULL;
    if (!retval) {
        log->is_owner = true;
        log->shared = new_shared(path);
        retval = connect_db(log->shared->writer, true, error);
    }
    if (!retval) {
        retval = connect_db(log, false, error);
    }
    if (!retval && !read_state(log)) {
        retval = db_error(log->shared->writer->db, "cannot read", error);
    }
    if (!retval) {
        begin_writing(log);
        retval = flow_log_writer_start(log->shared, error);
    }
    if (retval) {
        flow_log_close(log);
        return retval;
    }
    if (log->gap.is_there) {
        say_gap(log);
    }
    *logp = log;
    return 0;
}

struct flow_log_gap
flow_log_gap(const struct flow_log *log)
{
    return log->gap;
}

/* Says that the end was in order, if all is written, and gives reserved
 * versions back that were not used, so that they leave no gap. */
static void
end_writing(struct flow_log *log)
{
    struct flow_log_shared *shared = log->shared;
    struct flow_log *writer = shared->writer;

    if (shared->queue.first < shared->queue.n ||
        shared->writing.first < shared->writing.n ||
        !db_run(writer->db, "PRAGMA synchronous = FULL; BEGIN IMMEDIATE") ||
        !flow_log_db_put(writer, "is_open", 0) ||
        !flow_log_db_put(writer, "alive_ns", time_spec_now()) ||
        !flow_log_versions_return_all(log) || !db_run(writer->db, "COMMIT")) {
        db_run(writer->db, "ROLLBACK");
    }
}

void
flow_log_close(struct flow_log *log)
{
    if (!log) {
        return;
    }
    if (log->is_owner) {
        if (log->shared->is_running) {
            flow_log_hand_over(log);
            flow_log_writer_stop(log->shared);
            end_writing(log);
        }
        /* The writer's connection, the last, takes the -wal file away. */
        flow_log_db_close(log);
        free_shared(log->shared);
    }
    if (log->lock_fd >= 0) {
        close(log->lock_fd);
    }
    free_handle(log);
}
