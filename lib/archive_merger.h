/* SPDX-License-Identifier: Apache-2.0 */
/* archive_merger - merges files of an archive in the background.
 *
 * One merge at a time, in a thread that runs when nothing else wants the
 * processor.  The thread writes a file of its own; what of the archive is that
 * file's changes only in archive_merger_end(), in the caller's thread.
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
/* If a merge has ended since it began: true, with its result in '*retval' and
 * '*job' as archive_merge_run() left them, good until the next begin. */
bool archive_merger_end(struct archive_merger *, int *retval,
                        const struct archive_merge **job,
                        struct lh_error *error);

#endif /* lib/archive_merger.h */
