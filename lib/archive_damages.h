/* SPDX-License-Identifier: Apache-2.0 */
/* archive_damages - what of an archive cannot be read, each place once, with
 * the times between which what was there lies.
 *
 * Ownership: archive_damages_uninit() frees the list; all zero is an empty
 * one.
 *
 * Threads: plain data. */
#ifndef LIB_ARCHIVE_DAMAGES_H
#define LIB_ARCHIVE_DAMAGES_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/archive_dir.h"

enum archive_damage_kind {
    ARCHIVE_DAMAGE_BYTES,   /* Bytes in a file that are no block. */
    ARCHIVE_DAMAGE_PAYLOAD, /* A block whose payload fails its checksum. */
    ARCHIVE_DAMAGE_MISSING, /* Blocks that are not there, by their sequence
                             * (a file was removed from between). */
    ARCHIVE_DAMAGE_NEWER,   /* A block of a newer format version. */
    ARCHIVE_DAMAGE_FILE     /* A file that cannot be read. */
};

struct archive_damage {
    enum archive_damage_kind kind;
    struct archive_segment segment;
    uint64_t offset, len; /* In the file; 0 for MISSING and FILE. */
    uint64_t min_ns;      /* What was there lies between these; UINT64_MAX */
    uint64_t max_ns;      /* in max_ns: no later block says. */
    char text[600];       /* All of it, for people. */
};

struct archive_damages {
    size_t n, allocated;
    struct archive_damage *all; /* Owned. */
};

void archive_damages_uninit(struct archive_damages *);
/* Adds a copy of 'damage', unless one of its kind at that place is there, and
 * returns what is there.  'dir' and 'what' are for its text. */
const struct archive_damage *
archive_damages_add(struct archive_damages *, const char *dir,
                    const struct archive_damage *damage, const char *what);
/* The times of bytes of 'shard' that no later block had bounded end at
 * 'min_ns'. */
void archive_damages_bound(struct archive_damages *, const char *dir,
                           uint32_t shard, uint64_t min_ns);
/* Forgets those in 'segment'. */
void archive_damages_forget(struct archive_damages *,
                            const struct archive_segment *segment);
/* True when there is one, of another kind than MISSING, between two
 * places of one shard. */
bool archive_damages_between(const struct archive_damages *,
                             const struct archive_segment *a, uint64_t a_ofs,
                             const struct archive_segment *b, uint64_t b_ofs);

#endif /* lib/archive_damages.h */
