/* SPDX-License-Identifier: Apache-2.0 */
/* archive_sums - the file of sums beside a file of blocks that is written no
 * more: what each flow sent on each way in all of it (lib/flow_sums.h), so
 * that profiles need not read the blocks.
 *
 *     segment-0000000000000001.lha        blocks
 *     segment-0000000000000001.lha.sums   their sums
 *
 * Sums only spare work: without them, or where they are damaged or of other
 * blocks than those that are there, the blocks are read.  They tell by a hash
 * of which blocks they are.
 *
 * Threads: no hidden state. */
#ifndef LIB_ARCHIVE_SUMS_H
#define LIB_ARCHIVE_SUMS_H 1

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/archive_block.h"
#include "lib/archive_dir.h"
#include "lib/flow_sums.h"
#include "lib/lh_error.h"

/* Which blocks of histories a file has: all zero, and then each in turn. */
struct archive_sums_id {
    uint64_t hash;
    uint64_t n_records; /* Histories in them. */
    bool is_sampled;    /* Packets were left out for some: no sums are made,
                         * for each block scales by a figure of its own. */
};
void archive_sums_id_add(struct archive_sums_id *, uint64_t offset,
                         const struct archive_block *);

/* The path of the sums of a segment, and that under which they are written,
 * for free(). */
char *archive_sums_path(const char *dir, const struct archive_segment *);
char *archive_sums_new_path(const char *dir, const struct archive_segment *);

/* Adds up all blocks of the segment.  Returns 0 with '*sums' and '*id';
 * ECANCELED; ENOTSUP when packets were left out for some; EFBIG when it is too
 * much; EBADMSG when some of the file is damaged; or another errno.
 * 'is_cancelled' may be NULL. */
int archive_sums_make(const char *dir, const struct archive_segment *,
                      const atomic_bool *is_cancelled, struct flow_sums **sums,
                      struct archive_sums_id *id, struct lh_error *);
/* Makes them, and writes them under the new path, durably; '*size' is then how
 * many bytes these are.  Returns as archive_sums_make(); after a failure there
 * is no such file. */
int archive_sums_write(const char *dir, const struct archive_segment *,
                       const atomic_bool *is_cancelled, uint64_t *size,
                       struct lh_error *);

/* Reads the sums of a segment whose blocks are 'id'.  Returns 0; ENOENT when
 * there are none; ESTALE when they are of other blocks; EPROTONOSUPPORT when a
 * newer program wrote them; EBADMSG when they are damaged; or another errno,
 * with the reason. */
int archive_sums_read(const char *dir, const struct archive_segment *,
                      const struct archive_sums_id *id, enum flow_sums_depth,
                      struct flow_sums_view *, struct lh_error *);
/* Compares the sums that are there with what the blocks hold.  Returns as
 * archive_sums_read() and, when the blocks cannot be read, as
 * archive_sums_make(); EBADMSG when they differ. */
int archive_sums_check(const char *dir, const struct archive_segment *,
                       const struct archive_sums_id *id, struct lh_error *);
/* How many bytes the sums have that are there and, by their header, of these
 * blocks; 0: none. */
uint64_t archive_sums_find(const char *dir, const struct archive_segment *,
                           const struct archive_sums_id *id);
/* The bytes of the file of sums, whatever is in it; 0: there is none. */
uint64_t archive_sums_size(const char *dir, const struct archive_segment *);
/* Removes them.  0 (also when there are none) or an errno. */
int archive_sums_remove(const char *dir, const struct archive_segment *);

#endif /* lib/archive_sums.h */
