/* SPDX-License-Identifier: Apache-2.0 */
/* profile_file - what a whole file of an archive sent over the links of a
 * profile, from the sums beside it (lib/archive_sums.h): none of its blocks is
 * read.
 *
 * Sums tell neither times nor what a filter asks for: the file has to be in
 * the range, and there may be neither a filter nor intervals.
 *
 *     files = profile_files_create(ask);
 *     if (profile_file_count(files, dir, &segment, &id, &table, &why)) {
 *         .. the blocks are to be read
 *     }
 *     profile_files_end(files, &table);
 *
 * Ways of many files are one where they are the same, and links are looked up
 * once for each; flows are kept once for each way, and spread over the links
 * that it crosses in the end.
 *
 * Ownership: borrows the ask.
 *
 * Threads: one per object. */
#ifndef PHF_PROFILE_FILE_H
#define PHF_PROFILE_FILE_H 1

#include <stdbool.h>

#include "lib/archive_dir.h"
#include "lib/archive_sums.h"
#include "lib/lh_error.h"
#include "phf/profile_block.h"
#include "phf/profile_table.h"

struct profile_files;

struct profile_files *profile_files_create(const struct profile_ask *);
void profile_files_destroy(struct profile_files *);
/* Whether sums can answer such a thing at all. */
bool profile_files_can(const struct profile_ask *);

/* Adds what is in the file of blocks 'id'.  Returns 0, or an errno as
 * archive_sums_read() with the reason; then nothing was added. */
int profile_file_count(struct profile_files *, const char *dir,
                       const struct archive_segment *,
                       const struct archive_sums_id *id,
                       struct profile_table *, struct lh_error *why);
/* Puts what is left into the table. */
void profile_files_end(struct profile_files *, struct profile_table *);

#endif /* phf/profile_file.h */
