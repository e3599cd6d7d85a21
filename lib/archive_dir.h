/* SPDX-License-Identifier: Apache-2.0 */
/* archive_dir - the files of an archive's directory.
 *
 *     meta.json                      what the archive is (archive_meta)
 *     segment-0000000000000001.lha   blocks, oldest first
 *     segment-0000000000000002.lha
 *     segment-0000000000000001-0000000000000002.lha
 *                                    the same in fewer blocks
 *     lock                           held by the server that writes
 *     shard-00, shard-01, ..         of a server in a cluster: archives of
 *                                    their own, which are read as one with
 *                                    this (lib/archive_shards.h),
 *     shard-00.1, shard-01.1, ..     and second copies of such
 *
 * Paths are made here and nowhere else.
 *
 * Threads: no hidden state. */
#ifndef LIB_ARCHIVE_DIR_H
#define LIB_ARCHIVE_DIR_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/lh_error.h"
#include "lib/packet_id.h"

/* What holds for all of an archive. */
struct archive_meta {
    unsigned int version; /* At most ARCHIVE_VERSION. */
    uint64_t created_ns;
    struct packet_id_config packet_id;
    char *flow_log; /* Path of the recorder's log, or NULL.  Owned. */
};

void archive_meta_uninit(struct archive_meta *);
/* Returns 0; ENOENT when there is no meta.json, EINVAL when it is no
 * archive's, EPROTONOSUPPORT for a newer format, or another errno. */
int archive_meta_load(const char *dir, struct archive_meta *,
                      struct lh_error *);
/* Writes meta.json whole or not at all, durably. */
int archive_meta_store(const char *dir, const struct archive_meta *,
                       struct lh_error *);

/* Makes sure that what is in 'dir' was and will be written with the constants
 * 'packet_id': writes meta.json when there is none, and 'flow_log' (may be
 * NULL) and the version into it when they have changed.  Returns 0, EINVAL
 * when the constants are others, or an errno as archive_meta_load() and
 * archive_meta_store(). */
int archive_meta_agree(const char *dir,
                       const struct packet_id_config *packet_id,
                       const char *flow_log, uint64_t now_ns,
                       struct lh_error *);

/* A file of blocks: one as it was written ('first' == 'last'), or what all
 * those from 'first' to 'last' were merged into. */
struct archive_segment {
    uint64_t first, last;
    uint32_t shard; /* 0: in the directory itself; n: in that of
                     * archive_dir_shard_name(n - 1). */
};

/* A shard's directory by its number, of which the bits from
 * ARCHIVE_DIR_COPY_SHIFT on say which copy it is. */
#define ARCHIVE_DIR_COPY_SHIFT      16
#define ARCHIVE_DIR_SHARD_NAME_SIZE 24
void archive_dir_shard_name(uint32_t shard,
                            char name[ARCHIVE_DIR_SHARD_NAME_SIZE]);

/* The path of a segment, for free(). */
char *archive_dir_segment(const char *dir,
                          const struct archive_segment *segment);
/* The same of a file beside it, whose name has 'suffix' more. */
char *archive_dir_beside(const char *dir,
                         const struct archive_segment *segment,
                         const char *suffix);
/* All segments in rising order, '*segments' for free() (NULL when there are
 * none).  Those that are part of another one are left out, and are in
 * '*covered' (for free(), may be NULL).  Other files are not looked at. */
int archive_dir_list(const char *dir, struct archive_segment **segments,
                     size_t *n, struct archive_segment **covered,
                     size_t *n_covered, struct lh_error *);
/* Creates the directory (its parent must be there) unless it is there. */
int archive_dir_create(const char *dir, struct lh_error *);
/* Removes what a merge left that had not ended. */
void archive_dir_clean(const char *dir);
/* Makes the names in the directory durable. */
int archive_dir_sync(const char *dir);
/* When the file was last written to, by the system's clock; UINT64_MAX when
 * nobody knows. */
uint64_t archive_dir_written_ns(int fd);
/* Takes the right to write.  Returns 0 with a descriptor that holds it until
 * closed, or EBUSY with who has it, or another errno. */
int archive_dir_lock(const char *dir, int *fdp, struct lh_error *);
/* The same of a directory that is made unless it is there. */
int archive_dir_claim(const char *dir, int *fdp, struct lh_error *);

#endif /* lib/archive_dir.h */
