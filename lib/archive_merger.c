/* SPDX-License-Identifier: Apache-2.0 */
/* archive_merger - merges files of an archive in the background, or makes the
 * sums of one. */
#include <config.h>

#include "lib/archive_merger.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/archive_sums.h"
#include "lib/lh_alloc.h"

/* Sums are made: one file's at a time, however many archives a process has,
 * for what they take in memory. */
static atomic_flag sums_are_made = ATOMIC_FLAG_INIT;

struct archive_merger {
    char *dir; /* Owned. */
    struct packet_id_config packet_id;

    bool is_busy; /* There is a thread to join. */
    pthread_t thread;
    atomic_bool is_cancelled;

    bool makes_sums; /* That is what it does. */

    /* The thread's, until is_done. */
    struct archive_merge job;
    struct archive_segment segment;   /* Of which sums are made, */
    uint64_t sums_size;               /* and how long they are. */
    struct archive_old_file *sources; /* Owned. */
    int retval;
    struct lh_error error;
    atomic_bool is_done;
};

struct archive_merger *
archive_merger_create(const char *dir,
                      const struct packet_id_config *packet_id)
{
    struct archive_merger *m = lh_alloc_zero(sizeof *m);

    m->dir = lh_strdup(dir);
    m->packet_id = *packet_id;
    return m;
}

void
archive_merger_cancel(struct archive_merger *m)
{
    atomic_store(&m->is_cancelled, true);
}

bool
archive_merger_is_busy(const struct archive_merger *m)
{
    return m->is_busy;
}

void
archive_merger_destroy(struct archive_merger *m)
{
    if (!m) {
        return;
    }
    if (m->is_busy) {
        archive_merger_cancel(m);
        pthread_join(m->thread, NULL);
        if (!m->retval) {
            char *path =
                m->makes_sums
                    ? archive_sums_new_path(m->dir, &m->segment)
                    : archive_merge_path(m->dir, &m->job.merged.segment);

            unlink(path);
            free(path);
        }
    }
    free(m->sources);
    free(m->dir);
    free(m);
}

static void *
run(void *m_)
{
    struct archive_merger *m = m_;
    struct sched_param param = {.sched_priority = 0};

    /* Where that is refused it runs like any other. */
    pthread_setschedparam(pthread_self(), SCHED_IDLE, &param);
    if (m->makes_sums) {
        m->retval = archive_sums_write(m->dir, &m->segment, &m->is_cancelled,
                                       &m->sums_size, &m->error);
        atomic_flag_clear(&sums_are_made);
    } else {
        m->retval = archive_merge_run(&m->job, &m->error);
    }
    atomic_store(&m->is_done, true);
    return NULL;
}

static int
begin(struct archive_merger *m)
{
    sigset_t all, before;
    int retval;

    assert(!m->is_busy);
    m->error = (struct lh_error){.pos = -1};
    atomic_store(&m->is_done, false);
    atomic_store(&m->is_cancelled, false);
    /* Signals are for the caller's thread. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    retval = pthread_create(&m->thread, NULL, run, m);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    m->is_busy = !retval;
    return retval;
}

int
archive_merger_begin(struct archive_merger *m,
                     const struct archive_old_file *files, size_t n)
{
    m->makes_sums = false;
    free(m->sources);
    m->sources = lh_memdup(files, n * sizeof *files);
    m->job = (struct archive_merge){.dir = m->dir,
                                    .packet_id = m->packet_id,
                                    .sources = m->sources,
                                    .n_sources = n,
                                    .is_cancelled = &m->is_cancelled};
    return begin(m);
}

int
archive_merger_begin_sums(struct archive_merger *m,
                          const struct archive_segment *segment)
{
    int retval;

    if (atomic_flag_test_and_set(&sums_are_made)) {
        return EBUSY;
    }
    m->makes_sums = true;
    m->segment = *segment;
    retval = begin(m);
    if (retval) {
        atomic_flag_clear(&sums_are_made);
    }
    return retval;
}

/* Whether what was begun, of that kind, has ended; then the thread is gone. */
static bool
has_ended(struct archive_merger *m, bool makes_sums)
{
    if (!m->is_busy || m->makes_sums != makes_sums ||
        !atomic_load(&m->is_done)) {
        return false;
    }
    pthread_join(m->thread, NULL);
    m->is_busy = false;
    return true;
}

bool
archive_merger_end(struct archive_merger *m, int *retval,
                   const struct archive_merge **job, struct lh_error *error)
{
    if (!has_ended(m, false)) {
        return false;
    }
    *retval = m->retval;
    *job = &m->job;
    lh_error_set(error, "%s", m->error.text);
    return true;
}

bool
archive_merger_end_sums(struct archive_merger *m, int *retval,
                        struct archive_segment *segment, uint64_t *size)
{
    if (!has_ended(m, true)) {
        return false;
    }
    *retval = m->retval;
    *segment = m->segment;
    *size = m->sums_size;
    return true;
}
