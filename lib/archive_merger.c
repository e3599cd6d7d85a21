/* SPDX-License-Identifier: Apache-2.0 */
/* archive_merger - merges files of an archive in the background. */
#include <config.h>

#include "lib/archive_merger.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/lh_alloc.h"

struct archive_merger {
    char *dir; /* Owned. */
    struct packet_id_config packet_id;

    bool is_busy; /* There is a thread to join. */
    pthread_t thread;
    atomic_bool is_cancelled;

    /* The thread's, until is_done. */
    struct archive_merge job;
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
            char *path = archive_merge_path(m->dir, &m->job.merged.segment);

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
    m->retval = archive_merge_run(&m->job, &m->error);
    atomic_store(&m->is_done, true);
    return NULL;
}

int
archive_merger_begin(struct archive_merger *m,
                     const struct archive_old_file *files, size_t n)
{
    sigset_t all, before;
    int retval;

    assert(!m->is_busy);
    free(m->sources);
    m->sources = lh_memdup(files, n * sizeof *files);
    m->job = (struct archive_merge){.dir = m->dir,
                                    .packet_id = m->packet_id,
                                    .sources = m->sources,
                                    .n_sources = n,
                                    .is_cancelled = &m->is_cancelled};
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

bool
archive_merger_end(struct archive_merger *m, int *retval,
                   const struct archive_merge **job, struct lh_error *error)
{
    if (!m->is_busy || !atomic_load(&m->is_done)) {
        return false;
    }
    pthread_join(m->thread, NULL);
    m->is_busy = false;
    *retval = m->retval;
    *job = &m->job;
    lh_error_set(error, "%s", m->error.text);
    return true;
}
