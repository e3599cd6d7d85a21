/* SPDX-License-Identifier: Apache-2.0 */
/* archive_shards - the files of an archive and of those of its shards, which
 * are read as one.
 *
 * A server in a cluster writes an archive for each shard that it owns, in
 * shard-<nn> of its directory.  Their blocks overlap in time, as those of
 * threads do, so that readers need only know where each file is.
 *
 * Where a cluster keeps two copies of each shard the directory of the second
 * one is shard-<nn>.1, and a server may have been given either, at different
 * times: a history that is in both is the same one (lib/copy_gate.h).
 *
 * Threads: no hidden state. */
#ifndef LIB_ARCHIVE_SHARDS_H
#define LIB_ARCHIVE_SHARDS_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/archive_dir.h"
#include "lib/lh_error.h"

/* The number of copy 'copy' (0 to 9) of shard 'shard' (below 65,536), which
 * is 'shard' below: for the first copy, that of the shard. */
uint32_t archive_shards_number(uint32_t shard, uint32_t copy);
/* The path of a shard's archive, for free(). */
char *archive_shards_path(const char *dir, uint32_t shard);
/* The numbers of the shards in 'dir', rising, for free(); none: NULL.  Returns
 * 0 or an errno with the reason. */
int archive_shards_find(const char *dir, uint32_t **shards, size_t *n,
                        struct lh_error *);
/* The segments of 'dir' as archive_dir_list(), then those of its shards, in
 * rising order each.  A shard that goes meanwhile has none. */
int archive_shards_list(const char *dir, struct archive_segment **segments,
                        size_t *n, struct lh_error *);

/* Adds up the bytes of the segments of 'shard' and of all. */
int archive_shards_bytes(const char *dir, uint32_t shard, uint64_t *own,
                         uint64_t *all, struct lh_error *);

#endif /* lib/archive_shards.h */
