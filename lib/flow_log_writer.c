/* SPDX-License-Identifier: Apache-2.0 */
/* flow_log_writer - the thread that writes the log: notes in transactions,
 * marks of versions ahead of need, what is over deleted bit by bit. */
#include <config.h>

#include "lib/flow_log.h"

#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/flow_log_db.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/time_spec.h"

#define MS_NS     UINT64_C(1000000)
#define GATHER_NS (5 * MS_NS)     /* The first note waits for others. */
#define STREAM_NS (40 * MS_NS)    /* Between transactions while they come. */
#define RETRY_NS  (200 * MS_NS)   /* After a failure. */
#define SYNC_NS   (1000 * MS_NS)  /* Written, then on the disk. */
#define ALIVE_NS  (60000 * MS_NS) /* Says that all is written so far. */
#define MAX_BATCH 16384           /* Notes in a transaction. */
#define NICE      10

/* Memory that a burst has used is given back when nothing came for SYNC_NS, if
 * so many notes were written since then last. */
#define BURST_NOTES 4096
/* Places for notes that are kept for the next ones. */
#define KEPT_NOTES 1024

/* One transaction. */
struct batch {
    size_t n_notes; /* Of shared->writing. */
    size_t n_bytes; /* Of these. */
    uint64_t change, seq;
    uint64_t alive_ns; /* All handed over before this time is in it. */
    bool must_sync;
    struct flow_log_mark *marks; /* Wanted ones.  Owned. */
    size_t n_marks;
    uint64_t new_wanted; /* 0: as it is. */
    bool has_trim;
    uint64_t trim_ns, trim_bytes, retain_ns;
    uint64_t n_duplicates, n_trimmed;
    bool is_trim_done, is_too_large;
};

/* Waits for 'cond' until the monotonic time 'until_ns'. */
static void
wait_until(struct flow_log_shared *shared, uint64_t until_ns)
{
    struct timespec ts = {
        .tv_sec = (time_t) (until_ns / (1000 * MS_NS)),
        .tv_nsec = (long) (until_ns % (1000 * MS_NS)),
    };

    pthread_cond_timedwait(&shared->work, &shared->mutex, &ts);
}

/* --- A transaction. --- */

static bool
run_statement(struct flow_log *writer, enum flow_log_statement which)
{
    struct db_statement *s = flow_log_db_statement(writer, which);

    db_step(s);
    return db_reset(s);
}

/* Whether COMMIT waits for the disk. */
static bool
set_sync(struct flow_log *writer, bool must_sync)
{
    enum flow_log_sync sync = must_sync ? SYNC_FULL : SYNC_NORMAL;

    if (writer->sync == sync) {
        return true;
    }
    writer->sync = SYNC_UNKNOWN;
    if (!db_run(writer->db, must_sync ? "PRAGMA synchronous = FULL"
                                      : "PRAGMA synchronous = NORMAL")) {
        return false;
    }
    writer->sync = sync;
    return true;
}

static bool
write_batch(struct flow_log_shared *shared, struct batch *batch)
{
    struct flow_log *writer = shared->writer;
    const struct flow_log_notes *notes = &shared->writing;

    if (!set_sync(writer, batch->must_sync) ||
        !run_statement(writer, STATEMENT_BEGIN)) {
        return false;
    }
    for (size_t i = 0; i < batch->n_notes; i++) {
        const struct flow_log_note *note = &notes->notes[notes->first + i];

        if (!flow_log_store_note(writer, note, &batch->n_duplicates)) {
            return false;
        }
        batch->n_bytes += note->n_bytes;
    }
    for (size_t i = 0; i < batch->n_marks; i++) {
        if (!flow_log_db_put_mark(writer, batch->marks[i].dpid,
                                  batch->marks[i].wanted)) {
            return false;
        }
    }
    return (!batch->new_wanted ||
            flow_log_db_put(writer, "new_mark", batch->new_wanted)) &&
           flow_log_snapshot_all(writer, batch->seq) &&
           (!batch->has_trim ||
            flow_log_trim_some(writer, batch->trim_ns, batch->trim_bytes,
                               batch->retain_ns, &batch->n_trimmed,
                               &batch->is_trim_done, &batch->is_too_large)) &&
           flow_log_db_put(writer, "change", batch->change) &&
           flow_log_db_put(writer, "seq", batch->seq) &&
           flow_log_db_put(writer, "alive_ns", batch->alive_ns) &&
           run_statement(writer, STATEMENT_COMMIT);
}

/* --- What there is to do. --- */

static bool
has_notes(const struct flow_log_shared *shared)
{
    return shared->writing.first < shared->writing.n ||
           shared->queue.first < shared->queue.n;
}

static bool
wants_marks(const struct flow_log_shared *shared)
{
    for (size_t i = 0; i < shared->n_marks; i++) {
        if (shared->marks[i].wanted > shared->marks[i].durable) {
            return true;
        }
    }
    return shared->new_wanted > shared->new_durable;
}

/* Waits until there is something to write; false at the end.  Locked. */
static bool
wait_for_work(struct flow_log_shared *shared)
{
    uint64_t alive_ns = monotonic_ns() + ALIVE_NS;
    uint64_t first_ns = 0;

    for (;;) {
        uint64_t now_ns = monotonic_ns();
        uint64_t until_ns = alive_ns;
        bool has_work = has_notes(shared);

        if (shared->is_urgent || wants_marks(shared) || shared->has_trim ||
            now_ns >= alive_ns) {
            return true;
        }
        if (shared->is_stopping) {
            return has_work;
        }
        if (has_work) {
            first_ns = first_ns ? first_ns : now_ns;
            until_ns = first_ns + GATHER_NS;
            if (until_ns < shared->begun_ns + STREAM_NS) {
                until_ns = shared->begun_ns + STREAM_NS;
            }
            if (now_ns >= until_ns || flow_log_is_crowded(shared)) {
                return true;
            }
        } else if (shared->durable_seq < shared->written_seq) {
            until_ns = shared->synced_ns + SYNC_NS;
            if (now_ns >= until_ns) {
                return true;
            }
        }
        wait_until(shared, until_ns);
    }
}

/* Takes from what there is what goes into one transaction.  Locked. */
static void
take_batch(struct flow_log_shared *shared, struct batch *batch)
{
    struct flow_log_notes *writing = &shared->writing;

    if (writing->first == writing->n) {
        struct flow_log_notes empty = *writing;

        *writing = shared->queue;
        empty.first = empty.n = 0;
        if (empty.allocated > KEPT_NOTES) {
            free(empty.notes);
            empty = (struct flow_log_notes){.notes = NULL};
        }
        shared->queue = empty;
    }

    size_t n = writing->n - writing->first;
    const struct flow_log_note *notes = &writing->notes[writing->first];

    *batch = (struct batch){
        .change = shared->lag.written_change,
        .seq = shared->written_seq,
        .has_trim = shared->has_trim,
        .trim_ns = shared->trim_ns,
        .trim_bytes = shared->trim_bytes,
        .retain_ns = shared->retain_ns,
    };
    if (n > MAX_BATCH) {
        /* Changes are written whole. */
        for (n = MAX_BATCH; n < writing->n - writing->first &&
                            notes[n].change == notes[n - 1].change;
             n++) {
        }
    }
    batch->n_notes = n;
    if (n) {
        batch->change = notes[n - 1].change;
        batch->seq = notes[n - 1].seq;
    }
    for (size_t i = 0; i < shared->n_marks; i++) {
        size_t allocated = batch->n_marks;

        if (shared->marks[i].wanted > shared->marks[i].durable) {
            batch->marks = lh_alloc_grow(batch->marks, batch->n_marks,
                                         &allocated, sizeof *batch->marks);
            batch->marks[batch->n_marks++] = shared->marks[i];
        }
    }
    if (shared->new_wanted > shared->new_durable) {
        batch->new_wanted = shared->new_wanted;
    }
    batch->must_sync = batch->n_marks || batch->new_wanted ||
                       shared->is_urgent ||
                       monotonic_ns() >= shared->synced_ns + SYNC_NS;
    /* What is left for the next transaction came before now. */
    batch->alive_ns = n < writing->n - writing->first ? shared->lag.written_ns
                                                      : time_spec_now();
    shared->is_urgent = false;
    shared->begun_ns = monotonic_ns();
    shared->n_started++;
}

/* The batch is written.  Locked. */
static void
settle_batch(struct flow_log_shared *shared, const struct batch *batch)
{
    struct flow_log_notes *writing = &shared->writing;
    struct flow_log_lag *lag = &shared->lag;

    shared->n_bytes -= batch->n_bytes;
    writing->first += batch->n_notes;
    shared->counters.written += batch->n_notes;
    shared->counters.duplicates += batch->n_duplicates;
    shared->counters.trimmed += batch->n_trimmed;
    shared->written_seq = batch->seq;
    lag->written_change = batch->change;
    lag->written_ns = batch->alive_ns;
    if (batch->must_sync) {
        shared->durable_seq = batch->seq;
        lag->durable_change = batch->change;
        lag->durable_ns = batch->alive_ns;
        shared->synced_ns = monotonic_ns();
        for (size_t i = 0; i < batch->n_marks; i++) {
            for (size_t j = 0; j < shared->n_marks; j++) {
                if (shared->marks[j].dpid == batch->marks[i].dpid) {
                    shared->marks[j].durable = batch->marks[i].wanted;
                }
            }
        }
        if (batch->new_wanted) {
            shared->new_durable = batch->new_wanted;
        }
    }
    if (batch->has_trim) {
        shared->counters.is_too_large = batch->is_too_large;
    }
    if (batch->is_trim_done && shared->trim_ns == batch->trim_ns &&
        shared->trim_bytes == batch->trim_bytes) {
        shared->has_trim = false;
    }
}

/* Writes one batch.  Locked, but for the time the disk takes. */
static void
run_batch(struct flow_log_shared *shared)
{
    struct flow_log_notes *writing = &shared->writing;
    struct lh_error reason = {.text = ""};
    struct batch batch;
    uint64_t last_ns = shared->writer->last_ns;
    size_t first;
    int failure = 0;

    take_batch(shared, &batch);
    first = writing->first;
    pthread_mutex_unlock(&shared->mutex);
    if (!write_batch(shared, &batch)) {
        failure = db_error(shared->writer->db, "cannot write", &reason);
        if (failure == EBADMSG) {
            flow_log_db_advise(shared->writer, &reason);
        }
        db_run(shared->writer->db, "ROLLBACK");
        /* As if it had never been tried. */
        shared->writer->last_ns = last_ns;
        shared->writer->n_tallies = 0;
    }
    pthread_mutex_lock(&shared->mutex);
    shared->failure = failure;
    if (failure) {
        shared->failure_reason = reason;
        shared->counters.failures++;
    } else {
        settle_batch(shared, &batch);
    }
    shared->n_ended++;
    pthread_cond_broadcast(&shared->done);
    if (!failure) {
        /* Nobody looks at those before writing->first. */
        pthread_mutex_unlock(&shared->mutex);
        for (size_t i = 0; i < batch.n_notes; i++) {
            flow_log_note_uninit(&writing->notes[first + i]);
        }
        pthread_mutex_lock(&shared->mutex);
    }
    free(batch.marks);
}

/* Gives what a burst has left free, and SQLite's pages, back to the operating
 * system, which malloc would keep between what is still in use. */
static void
give_back(struct flow_log_shared *shared)
{
    uint64_t n_written = shared->counters.written;

    if (n_written - shared->n_given_back < BURST_NOTES || has_notes(shared) ||
        shared->durable_seq < shared->written_seq) {
        return;
    }
    shared->n_given_back = n_written;
    if (shared->writing.first == shared->writing.n) {
        flow_log_notes_uninit(&shared->writing);
    }
    pthread_mutex_unlock(&shared->mutex);
    db_run(shared->writer->db, "PRAGMA shrink_memory");
    malloc_trim(0);
    pthread_mutex_lock(&shared->mutex);
}

static void
lower_priority(void)
{
    struct sched_param param = {.sched_priority = 0};

    sched_setscheduler((pid_t) syscall(SYS_gettid), SCHED_BATCH, &param);
    setpriority(PRIO_PROCESS, (id_t) syscall(SYS_gettid), NICE);
}

static void *
run(void *shared_)
{
    struct flow_log_shared *shared = shared_;

    lower_priority();
    pthread_mutex_lock(&shared->mutex);
    while (wait_for_work(shared)) {
        run_batch(shared);
        give_back(shared);
        if (shared->failure) {
            uint64_t until_ns = monotonic_ns() + RETRY_NS;

            if (shared->is_stopping) {
                break;
            }
            while (!shared->is_urgent && !shared->is_stopping &&
                   monotonic_ns() < until_ns) {
                wait_until(shared, until_ns);
            }
        }
    }
    pthread_mutex_unlock(&shared->mutex);
    return NULL;
}

int
flow_log_writer_start(struct flow_log_shared *shared, struct lh_error *error)
{
    sigset_t all, old;
    int retval;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    retval = pthread_create(&shared->thread, NULL, run, shared);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (retval) {
        lh_error_set(error, "flow log %s: no thread to write it: %s",
                     shared->writer->path, strerror(retval));
    }
    shared->is_running = !retval;
    return retval;
}

void
flow_log_writer_stop(struct flow_log_shared *shared)
{
    if (!shared->is_running) {
        return;
    }
    pthread_mutex_lock(&shared->mutex);
    shared->is_stopping = true;
    shared->has_trim = false;
    pthread_cond_signal(&shared->work);
    pthread_mutex_unlock(&shared->mutex);
    pthread_join(shared->thread, NULL);
    shared->is_running = false;
}
