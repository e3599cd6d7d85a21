/* SPDX-License-Identifier: Apache-2.0 */
/* archive_old - the files of an archive that are written no more: which of
 * them have to go, which should be merged, and which should get a file of sums
 * (lib/archive_sums.h).
 *
 * Many small blocks become few large ones by steps, so that no history is
 * written anew more than a few times: neighbouring files are worth merging
 * when they have enough blocks of about the same size together.  What they
 * were made of stays readable for a while.
 *
 * Threads: one. */
#ifndef LIB_ARCHIVE_OLD_H
#define LIB_ARCHIVE_OLD_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/archive_dir.h"

struct archive_old_file {
    struct archive_segment segment;
    uint64_t size;
    /* Of the latest postcard in it, but no later than it was written; 0: it
     * has none. */
    uint64_t max_ns;
    uint64_t n_blocks;  /* Of histories. */
    uint64_t n_records; /* In them. */
    bool is_fixed;      /* It is not to be merged: damaged. */
    uint64_t sums_size; /* Of the file of its sums; 0: there is none. */
    bool has_no_sums;   /* Nor can there be one. */
};

/* What is there at most and for how long; 0: no limit. */
struct archive_old_limits {
    uint64_t max_bytes, max_ns;
    uint64_t keep_ns; /* What was merged goes after so long. */
};

struct archive_old;

struct archive_old *archive_old_create(void);
void archive_old_destroy(struct archive_old *);
/* Adds a file newer than those before. */
void archive_old_add(struct archive_old *, const struct archive_old_file *);
/* Adds a file whose blocks are in another one too, since 'now_ns'. */
void archive_old_add_covered(struct archive_old *,
                             const struct archive_segment *, uint64_t size,
                             uint64_t now_ns);
uint64_t archive_old_bytes(const struct archive_old *);

/* The files that should become one of at most 'max_bytes', all with numbers
 * below 'end': '*files' are 'n', good until the next call of another function.
 * Returns n, 0 when none should. */
size_t archive_old_plan(const struct archive_old *, uint64_t max_bytes,
                        uint64_t end, const struct archive_old_file **files);
/* True when all files from merged->segment.first to last are still there. */
bool archive_old_has(const struct archive_old *,
                     const struct archive_segment *);
/* Puts 'merged' in the place of those files. */
void archive_old_replace(struct archive_old *,
                         const struct archive_old_file *merged,
                         uint64_t now_ns);
/* The file that begins with number 'first' is not to be merged. */
void archive_old_fix(struct archive_old *, uint64_t first);

/* The newest file of 'min_records' histories or more, with numbers below
 * 'end', that should get sums; NULL: none should.  Good until the next call of
 * another function. */
const struct archive_old_file *
archive_old_plan_sums(const struct archive_old *, uint64_t min_records,
                      uint64_t end);
/* The file has sums of so many bytes; 0: it cannot have any.  False, and
 * nothing is done, when it is not there any more. */
bool archive_old_set_sums(struct archive_old *, const struct archive_segment *,
                          uint64_t size);

/* Removes files that are in another one (because of 'must_shrink' all), then
 * others, oldest first, while all together and 'more' bytes are too many or
 * what is in the oldest is too old.  '*n_removed' counts the others up.  A
 * file that is empty goes with the one that follows it.
 * Returns 0, or the errno of the file that would not go. */
int archive_old_retain(struct archive_old *, const char *dir, uint64_t more,
                       const struct archive_old_limits *, bool must_shrink,
                       uint64_t now_ns, uint64_t *n_removed);

#endif /* lib/archive_old.h */
