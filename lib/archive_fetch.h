/* SPDX-License-Identifier: Apache-2.0 */
/* archive_fetch - reads one block of an archive.
 *
 * What archive_reader does without an index, for whoever has an entry of one;
 * what is damaged is only returned, and told to the reader by its owner with
 * archive_reader_broken().
 *
 * Threads: any, at once. */
#ifndef LIB_ARCHIVE_FETCH_H
#define LIB_ARCHIVE_FETCH_H 1

#include <stdint.h>

#include "lib/archive_reader.h"
#include "lib/history_columns.h"
#include "lib/lh_error.h"

/* Reads, checks and decompresses the payload of a block of any kind but
 * ARCHIVE_COLUMNS, for free().  Returns 0, ENOENT when the file is gone,
 * EBADMSG when the block is damaged, ENODATA when the file ends before it, or
 * another errno; '*why' has no text unless there is a reason. */
int archive_fetch_load(const char *dir, const struct archive_entry *,
                       uint8_t **payload, struct lh_error *why);
/* Opens a block of ARCHIVE_COLUMNS; the decoder has the file open.  Returns
 * the same. */
int archive_fetch_columns(const char *dir, const struct archive_entry *,
                          struct column_decoder **, struct lh_error *why);

#endif /* lib/archive_fetch.h */
