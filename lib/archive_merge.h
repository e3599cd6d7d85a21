/* SPDX-License-Identifier: Apache-2.0 */
/* archive_merge - writes the blocks of several files of an archive into one
 * file, as fewer and larger blocks.
 *
 * A round of few packets makes a small block, which compresses badly and is
 * slow to search.  Blocks are put together up to 64 Ki histories and more;
 * large ones are copied as they are.  Topologies equal to the one before are
 * left out.
 *
 * The file is written under a name that nobody reads, synced, and left to the
 * caller to rename.
 *
 * Threads: one per merge. */
#ifndef LIB_ARCHIVE_MERGE_H
#define LIB_ARCHIVE_MERGE_H 1

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/archive_old.h"
#include "lib/lh_error.h"
#include "lib/packet_id.h"

struct archive_merge {
    /* Set by the caller. */
    const char *dir;
    struct packet_id_config packet_id;
    const struct archive_old_file *sources; /* Neighbours, oldest first. */
    size_t n_sources;
    const atomic_bool *is_cancelled;

    /* Set by archive_merge_run(). */
    struct archive_old_file merged;
    size_t bad; /* The source that cannot be merged; n_sources: none. */
};

/* The name under which 'segment' is written, for free(). */
char *archive_merge_path(const char *dir, const struct archive_segment *);

/* Writes the file.  Returns 0; ECANCELED; EBADMSG when a source, '->bad', is
 * damaged; or another errno.  Then the file is gone again. */
int archive_merge_run(struct archive_merge *, struct lh_error *);

#endif /* lib/archive_merge.h */
