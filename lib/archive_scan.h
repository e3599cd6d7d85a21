/* SPDX-License-Identifier: Apache-2.0 */
/* archive_scan - walks the blocks of one segment file by their headers.
 *
 * The walk reads headers only, never trusts a length it has not checked, and
 * finds its way again after damaged bytes: it looks for the next header whose
 * checksum is right.
 *
 *     archive_scan_init(&scan, fd, 0, size);
 *     while (archive_scan_next(&scan, &item) != ARCHIVE_SCAN_END) { .. }
 *
 * Ownership: the descriptor is borrowed.
 *
 * Threads: reads with pread(); one scan per thread. */
#ifndef LIB_ARCHIVE_SCAN_H
#define LIB_ARCHIVE_SCAN_H 1

#include <stdint.h>

#include "lib/archive_block.h"

enum archive_scan_what {
    ARCHIVE_SCAN_BLOCK,  /* A sound header and as many bytes as it says. */
    ARCHIVE_SCAN_NEWER,  /* The same, of a format version we do not know. */
    ARCHIVE_SCAN_DAMAGE, /* Bytes that are no block, up to the next sound
                          * header or the end. */
    ARCHIVE_SCAN_TORN,   /* The beginning of a block that the end of the file
                          * cuts, or nothing but zeros up to there: what a
                          * writer that died leaves. */
    ARCHIVE_SCAN_ERROR,  /* The file cannot be read here: see 'error'. */
    ARCHIVE_SCAN_END
};

struct archive_scan_item {
    enum archive_scan_what what;
    uint64_t offset; /* Of the header, in the file. */
    uint64_t len;    /* Header and payload, or of the damage. */
    int error;       /* errno of ARCHIVE_SCAN_ERROR. */
    struct archive_block block;
};

struct archive_scan {
    int fd;
    uint64_t offset; /* Of the next header. */
    uint64_t size;   /* No byte from here on is read. */
};

void archive_scan_init(struct archive_scan *, int fd, uint64_t offset,
                       uint64_t size);
/* Sets '*item' to what comes next and returns item->what.  The scan ends
 * after ARCHIVE_SCAN_TORN and ARCHIVE_SCAN_ERROR. */
enum archive_scan_what archive_scan_next(struct archive_scan *,
                                         struct archive_scan_item *item);

/* Reads 'n' bytes at 'offset' of 'fd' whole.  Returns 0, a positive errno, or
 * ENODATA when the file ends before. */
int archive_read_at(int fd, uint64_t offset, void *data, size_t n);

#endif /* lib/archive_scan.h */
