/* SPDX-License-Identifier: Apache-2.0 */
/* archive_survey - all of an archive read once: what is in it, and each place
 * that is damaged.
 *
 * meta.json is not read: nothing in the files of blocks depends on it.
 *
 * Ownership: archive_survey_uninit() frees what it holds; all zero is an empty
 * one.
 *
 * Threads: one. */
#ifndef APPS_ARCHIVE_SURVEY_H
#define APPS_ARCHIVE_SURVEY_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/archive_check.h"
#include "lib/archive_damages.h"
#include "lib/archive_dir.h"
#include "lib/archive_sums.h"
#include "lib/lh_error.h"

/* A place that is damaged. */
struct survey_damage {
    enum archive_damage_kind kind;
    struct archive_segment segment;
    uint64_t offset, len;         /* In the file; 0 when it has none. */
    uint64_t first_seq, last_seq; /* Blocks that it was; 0: not known. */
    uint64_t min_ns, max_ns;      /* Times it held; UINT64_MAX in max_ns: up
                                   * to the end. */
    uint64_t n_histories;         /* That it held; UINT64_MAX: not known. */
    bool is_open;                 /* The next sound block bounds it. */
    char why[256];
};

/* A file of sums that is of no use (lib/archive_sums.h). */
struct survey_sums {
    struct archive_segment segment;
    bool is_damaged; /* Else it is of other blocks, or newer. */
    char why[256];
};

struct archive_survey {
    char *dir; /* Owned. */
    uint64_t n_files, n_blocks, n_bytes;
    uint64_t n_newer; /* Blocks of a format that we do not know. */
    uint64_t min_ns, max_ns;
    struct archive_check all; /* Sums over the blocks. */
    bool is_torn;             /* The newest file ends within a block. */
    struct archive_segment torn_segment;
    uint64_t torn_offset, torn_len;

    size_t n_damages, allocated;
    struct survey_damage *damages; /* In the order of the files.  Owned. */

    uint64_t n_sums; /* Files of sums that are right. */
    size_t n_useless, allocated_useless;
    struct survey_sums *useless; /* Owned. */

    /* While it goes on. */
    bool has_block;
    uint64_t last_seq, last_ns;
    struct archive_sums_id sums_id; /* Of the file at hand. */
};

/* Reads the archive in 'dir'.  Returns 0, or an errno when the directory
 * cannot be read. */
int archive_survey_take(struct archive_survey *, const char *dir,
                        struct lh_error *);
void archive_survey_uninit(struct archive_survey *);

#endif /* apps/archive_survey.h */
