/* SPDX-License-Identifier: Apache-2.0 */
/* archive_writer - small blocks become larger ones, and files get sums, in the
 * background. */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/archive_sums.h"
#include "lib/archive_writer_impl.h"

/* Blocks of so many histories are large enough. */
#define LARGE_BLOCK 32768u
/* After a failure the next merge waits so long. */
#define PAUSE_NS (60ull * 1000000000)

bool
archive_writer_has_small(const struct archive_writer *w)
{
    return w->merger && w->n_blocks >= w->merge_blocks &&
           w->n_records / w->n_blocks < LARGE_BLOCK;
}

/* Gives a merged file its name: from then on it counts. */
static int
install(struct archive_writer *w, const struct archive_old_file *merged,
        uint64_t now_ns)
{
    char *from = archive_merge_path(w->dir, &merged->segment);
    char *to = archive_dir_segment(w->dir, &merged->segment);
    int error = 0;

    if (!archive_old_has(w->old, &merged->segment)) {
        /* Retention has removed some of it meanwhile. */
        unlink(from);
    } else if (rename(from, to) || (error = archive_dir_sync(w->dir))) {
        error = error ? error : errno;
        unlink(from);
        unlink(to);
    } else {
        archive_old_replace(w->old, merged, now_ns);
        w->counters.merges++;
        w->counters.merged_bytes += merged->size;
    }
    free(from);
    free(to);
    return error;
}

static void
end_merge(struct archive_writer *w, uint64_t now_ns)
{
    const struct archive_merge *job;
    struct lh_error error;
    int retval;

    if (!archive_merger_end(w->merger, &retval, &job, &error)) {
        return;
    }
    if (!retval) {
        retval = install(w, &job->merged, now_ns);
    } else if (job->bad < job->n_sources) {
        archive_old_fix(w->old, job->sources[job->bad].segment.first);
    }
    if (retval) {
        w->counters.merge_errors++;
        w->merge_after_ns = now_ns + PAUSE_NS;
    }
}

/* Gives sums their name, if their file is still there. */
static int
install_sums(struct archive_writer *w, const struct archive_segment *segment,
             uint64_t size)
{
    char *from = archive_sums_new_path(w->dir, segment);
    char *to = archive_sums_path(w->dir, segment);
    int error = 0;

    if (!archive_old_has(w->old, segment) || rename(from, to)) {
        unlink(from);
    } else if (archive_old_set_sums(w->old, segment, size)) {
        w->counters.sums++;
    } else {
        /* Its file was merged meanwhile. */
        error = archive_sums_remove(w->dir, segment);
    }
    free(from);
    free(to);
    return error;
}

static void
end_sums(struct archive_writer *w, uint64_t now_ns)
{
    struct archive_segment segment;
    uint64_t size;
    int retval;

    if (!archive_merger_end_sums(w->merger, &retval, &segment, &size)) {
        return;
    }
    if (!retval) {
        retval = install_sums(w, &segment, size);
    } else if (retval == ENOTSUP || retval == EFBIG || retval == EBADMSG) {
        /* Nothing will change that. */
        archive_old_set_sums(w->old, &segment, 0);
        retval = 0;
    }
    if (retval) {
        w->counters.merge_errors++;
        w->merge_after_ns = now_ns + PAUSE_NS;
    }
}

/* Begins to make sums where there are none, while nothing is to be merged. */
static void
begin_sums(struct archive_writer *w, uint64_t now_ns)
{
    const struct archive_old_file *file =
        archive_old_plan_sums(w->old, w->sums_records, w->committed);
    int retval =
        file ? archive_merger_begin_sums(w->merger, &file->segment) : 0;

    if (retval && retval != EBUSY) {
        w->counters.merge_errors++;
        w->merge_after_ns = now_ns + PAUSE_NS;
    }
}

void
archive_writer_merge(struct archive_writer *w, uint64_t now_ns)
{
    const struct archive_old_file *files;
    size_t n;

    if (!w->merger) {
        return;
    }
    end_merge(w, now_ns);
    end_sums(w, now_ns);
    if (w->must_shrink) {
        w->must_shrink = false;
        w->merge_after_ns = now_ns + PAUSE_NS;
    }
    if (archive_merger_is_busy(w->merger) || now_ns < w->merge_after_ns) {
        return;
    }
    n = archive_old_plan(w->old, w->segment_bytes, w->committed, &files);
    if (n && archive_merger_begin(w->merger, files, n)) {
        w->counters.merge_errors++;
        w->merge_after_ns = now_ns + PAUSE_NS;
    } else if (!n) {
        begin_sums(w, now_ns);
    }
}
