/* SPDX-License-Identifier: Apache-2.0 */
/* archive_old - the files of an archive that are written no more, and which
 * of them have to go.
 *
 * Threads: one. */
#ifndef LIB_ARCHIVE_OLD_H
#define LIB_ARCHIVE_OLD_H 1

#include <stdint.h>

#include "lib/archive_dir.h"

struct archive_old;

struct archive_old *archive_old_create(void);
void archive_old_destroy(struct archive_old *);
/* Adds a file newer than those before: 'max_ns' is the time of the latest
 * postcard in it, 0 when it holds none. */
void archive_old_add(struct archive_old *,
                     const struct archive_segment *segment, uint64_t size,
                     uint64_t max_ns);
uint64_t archive_old_bytes(const struct archive_old *);
/* Removes files, oldest first, while all together and 'more' bytes exceed
 * 'max_bytes' or what is in the oldest is older than 'max_ns' (each 0: no
 * limit).  '*n_removed' is counted up.  Returns 0, or the errno of the file
 * that would not go. */
int archive_old_retain(struct archive_old *, const char *dir, uint64_t more,
                       uint64_t max_bytes, uint64_t max_ns, uint64_t now_ns,
                       uint64_t *n_removed);

#endif /* lib/archive_old.h */
