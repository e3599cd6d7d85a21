/* SPDX-License-Identifier: Apache-2.0 */
/* archive_merger - merges files of an archive in the background, or makes the
 * sums of one (lib/archive_sums.h).
 *
 * One of these at a time, in a thread that runs when nothing else wants the
 * processor.  The thread writes a file of its own; what of the archive is that
 * file's changes only when its owner renames it, in the caller's thread.
 *
 * Threads: one may call; it need not be the one that created. */
#ifndef LIB_ARCHIVE_MERGER_H
#define LIB_ARCHIVE_MERGER_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/archive_merge.h"
#include "lib/archive_old.h"
#include "lib/lh_error.h"
#include "lib/packet_id.h"

struct archive_merger;

struct archive_merger *archive_merger_create(const char *dir,
                                             const struct packet_id_config *);
/* Ends a merge at once, as if it had never begun. */
void archive_merger_destroy(struct archive_merger *);
void archive_merger_cancel(struct archive_merger *);
bool archive_merger_is_busy(const struct archive_merger *);
/* Begins to merge copies of the 'n' files; not while busy.  Returns 0 or a
 * positive errno. */
int archive_merger_begin(struct archive_merger *,
                         const struct archive_old_file *files, size_t n);
/* Begins to make the sums of a file; not while busy.  Returns 0, EBUSY while
 * another merger of this process makes sums, for which it may take some 100
 * MB, or another errno. */
int archive_merger_begin_sums(struct archive_merger *,
                              const struct archive_segment *);
/* If a merge has ended since it began: true, with its result in '*retval' and
 * '*job' as archive_merge_run() left them, good until the next begin. */
bool archive_merger_end(struct archive_merger *, int *retval,
                        const struct archive_merge **job,
                        struct lh_error *error);
/* The same of sums: '*retval' and '*size' as archive_sums_write() left
 * them. */
bool archive_merger_end_sums(struct archive_merger *, int *retval,
                             struct archive_segment *, uint64_t *size);

#endif /* lib/archive_merger.h */
