/* SPDX-License-Identifier: Apache-2.0 */
/* file_map - a part of a file in memory, to be read.
 *
 * Nothing is copied out of the page cache, and several threads may read the
 * same part.  Who cuts a file that is mapped does not kill its readers: what
 * is no longer there reads as zeros.  For that a handler of SIGBUS is
 * installed with the first map; a thread that reads one must not block this
 * signal.
 *
 * Ownership: counted references.
 *
 * Threads: any. */
#ifndef LIB_FILE_MAP_H
#define LIB_FILE_MAP_H 1

#include <stddef.h>
#include <stdint.h>

/* Maps that there may be at one time. */
#define FILE_MAP_MAX 256

struct file_map;

/* Maps 'len' bytes, at least 1, from 'offset' on; the file should have them.
 * Returns 0 or an errno: ENFILE when there are too many. */
int file_map_create(int fd, uint64_t offset, size_t len, struct file_map **);
struct file_map *file_map_ref(struct file_map *);
/* NULL is taken. */
void file_map_unref(struct file_map *);

/* The byte at 'offset'; aligned no better than that. */
const uint8_t *file_map_data(const struct file_map *);

#endif /* lib/file_map.h */
