/* SPDX-License-Identifier: Apache-2.0 */
/* archive_writer_impl - what the files of archive_writer share.
 *
 * Ownership, threads: as in lib/archive_writer.h. */
#ifndef LIB_ARCHIVE_WRITER_IMPL_H
#define LIB_ARCHIVE_WRITER_IMPL_H 1

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/archive_merger.h"
#include "lib/archive_old.h"
#include "lib/archive_writer.h"
#include "lib/byte_buf.h"
#include "lib/history_columns.h"

struct archive_writer {
    /* Set when opened. */
    char *dir; /* Owned. */
    uint64_t segment_bytes;
    size_t block_bytes;
    struct archive_old_limits limits;
    uint64_t merge_blocks, sums_records;
    int lock_fd;
    struct packet_id_config packet_id;
    enum column_unit unit;

    /* Parts of several threads append whole blocks here, and any of them makes
     * a round: a lock, for there are few of them in a second.  It guards all
     * of the following but 'encoder'. */
    pthread_mutex_t mutex;

    /* The file being written. */
    int fd;          /* -1: none; the next write opens one. */
    uint64_t number; /* Of the newest file, open or not; 0: none yet. */
    uint64_t size;   /* Where the next block goes. */
    uint64_t max_ns; /* Latest last postcard in it. */
    uint64_t n_blocks, n_records; /* Of histories, in it. */
    char *path;                   /* For messages.  Owned. */

    struct archive_old *old; /* All other files.  Owned. */

    struct archive_merger *merger; /* NULL: nothing is merged.  Owned. */
    uint64_t committed;      /* Files from this number on are not merged. */
    uint64_t merge_after_ns; /* Not before, after a failure. */
    bool must_shrink;        /* The disk was full. */

    uint64_t next_sequence;
    struct column_encoder *encoder; /* What is not in a file yet. */
    struct byte_buf packed;         /* Scratch. */
    char *topology;                 /* JSON, or NULL.  Owned. */
    uint64_t topology_ns;
    bool is_topology_due; /* The file does not have it yet. */

    uint64_t n_unsynced; /* Histories written and not yet durable. */
    uint64_t n_unsynced_hops;
    uint64_t unsynced_min_ns, unsynced_max_ns;
    bool needs_dir_sync;

    /* Lost and not yet told in the archive. */
    uint64_t n_untold;
    uint64_t untold_min_ns, untold_max_ns;

    struct archive_writer_counters counters;
    char trouble[600]; /* Empty while all is well. */
};

#define ARCHIVE_ZSTD_LEVEL 1

/* What a column_encoder finished. */
struct archive_columns {
    struct byte_buf payload;
    size_t table_len;
};

/* Appends a block of what a part has finished, or loses it.  Any thread. */
void archive_writer_append(struct archive_writer *,
                           const struct column_totals *,
                           const struct archive_columns *);
/* What is in the encoder, as archive_writer_pending(). */
void archive_writer_encode(struct column_encoder *, struct archive_pending *);
/* Whether the encoder should become a block. */
bool archive_writer_is_full(const struct archive_writer *,
                            const struct column_encoder *);
/* Whether the file being written has so many small blocks that they should be
 * merged, for which it has to end. */
bool archive_writer_has_small(const struct archive_writer *);
/* Takes what a merge has made, and begins the next. */
void archive_writer_merge(struct archive_writer *, uint64_t now_ns);
/* Closes the file being written; the next write opens another. */
void archive_writer_retire(struct archive_writer *);

#endif /* lib/archive_writer_impl.h */
