/* SPDX-License-Identifier: Apache-2.0 */
/* archive_writer - appends histories to an archive, round by round.
 *
 * Histories are collected in memory and become one block when the block is
 * full or archive_writer_round() is called, which the server does once per
 * round (default 1 s).  When archive_writer_round() returns, everything added
 * before is durable, or counted as lost.
 *
 * Kill it at any moment: opening the archive again cuts what was half
 * written, and says so.  When the disk is full or fails, the block at hand is
 * lost and counted; a note of what was lost is stored as soon as the disk
 * takes bytes again, and so are later histories.
 *
 * A round of few packets makes a small block.  After many of them a file ends,
 * and neighbouring files are merged into one of larger blocks by a thread in
 * the background; what they were made of stays for readers a while longer.
 * Killed at any moment, nothing is lost or doubled.
 *
 * Ownership: histories are copied, trajectories referenced until their block
 * is written.
 *
 * Threads: one, but for archive_writer_set_topology(), archive_writer_round()
 * and the functions that tell: any thread may call these.  Several threads add
 * histories by an archive_part each; one that does not add by itself makes no
 * call that would wait for another's disk, if it takes archive_writer_peek()
 * for the counters. */
#ifndef LIB_ARCHIVE_WRITER_H
#define LIB_ARCHIVE_WRITER_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/archive_cut.h"
#include "lib/byte_buf.h"
#include "lib/history.h"
#include "lib/history_columns.h"
#include "lib/lh_error.h"
#include "lib/packet_id.h"
#include "lib/topology.h"
#include "lib/trajectory.h"

/* Zero stands for the default where there is one. */
struct archive_writer_config {
    const char *dir;
    struct packet_id_config packet_id;
    const char *flow_log;   /* For whoever reads without a server; NULL. */
    uint64_t segment_bytes; /* A new file past this; default 64 MiB. */
    size_t block_bytes;     /* Block full; before compression; 16 MiB. */
    enum column_unit unit;  /* Of times. */
    uint64_t retain_bytes;  /* Oldest segments go past this; 0: never. */
    uint64_t retain_ns;     /* And when all in them is older; 0: never. */
    uint64_t now_ns;        /* For meta.json. */
    bool merges;            /* Small blocks become larger in the background. */
    uint64_t merge_blocks;  /* After so many a file ends; default 64. */
    uint64_t merge_keep_ns; /* What was merged goes after; default 10 min. */
    uint64_t sums_records;  /* Files of so many histories, written no more,
                             * get sums if 'merges'; default 65536. */
    bool is_tentative;      /* What is written may be cut off again, up to what
                             * archive_writer_commit() named last. */
    uint64_t min_number;    /* Files begun now have this number or more. */
};

/* What opening found after a writer that died. */
struct archive_recovery {
    bool was_torn;    /* The end of a file was cut: */
    char file[512];   /* which, */
    uint64_t offset;  /* from here on, */
    uint64_t n_cut;   /* so many bytes. */
    bool is_damaged;  /* Bytes there are no block (nothing was cut; a new file
                       * was begun): */
    char damage[600]; /* where, for people. */
};

struct archive_writer_counters {
    uint64_t in;           /* Histories and packets added. */
    uint64_t durable;      /* Of these, on disk after an fsync. */
    uint64_t lost;         /* Of these, not stored: disk full or failing. */
    uint64_t refused;      /* Of these, too big for the format. */
    uint64_t held;         /* Of these, not durable yet. */
    uint64_t hops;         /* Of durable histories. */
    uint64_t blocks;       /* Written. */
    uint64_t bytes;        /* Written. */
    uint64_t raw_bytes;    /* The same before compression. */
    uint64_t write_errors; /* Writes, syncs and opens that failed. */
    uint64_t segments_removed; /* By retention. */
    uint64_t merges;           /* Files made of others. */
    uint64_t merged_bytes;     /* Written for them. */
    uint64_t sums;             /* Files that got sums. */
    uint64_t merge_errors;     /* Merges that failed, and sums; nothing is
                                * lost. */
    uint64_t total_bytes;      /* Size of all segments now. */
};

struct archive_writer;

/* Opens or creates the archive.  '*recovery' (may be NULL) says what was
 * found.  Returns 0, or a positive errno: EBUSY when another server writes
 * there, EINVAL when its packet IDs are made with other constants,
 * EPROTONOSUPPORT when its format is newer. */
int archive_writer_open(const struct archive_writer_config *,
                        struct archive_writer **,
                        struct archive_recovery *recovery, struct lh_error *);
/* Ends with a last round. */
void archive_writer_close(struct archive_writer *);
/* Ends without: what was added and is not in a file is forgotten. */
void archive_writer_abandon(struct archive_writer *);

void archive_writer_add(struct archive_writer *, const struct history *);
/* Adds the history of a packet, for which trajectory_predicts() is true at
 * every hop. */
void archive_writer_add_packet(struct archive_writer *, struct trajectory *,
                               const struct trajectory_packet *);
/* From 'now_ns' on, names are these; stored at once and at the beginning of
 * each file. */
void archive_writer_set_topology(struct archive_writer *,
                                 const struct topology *, uint64_t now_ns);
/* Makes what was added durable and applies retention. */
void archive_writer_round(struct archive_writer *, uint64_t now_ns);

/* Of a tentative archive: where the next block goes, and that what stands
 * before 'place' will not be cut off, so that it may be merged.  Each opening
 * begins a new file. */
void archive_writer_get_place(const struct archive_writer *,
                              struct archive_place *);
void archive_writer_commit(struct archive_writer *,
                           const struct archive_place *);
/* What is there at most, from now on; 0: no limit. */
void archive_writer_set_retain(struct archive_writer *, uint64_t bytes,
                               uint64_t ns);

/* What is not in a file yet; everything before is seen by an
 * archive_reader. */
struct archive_pending {
    uint8_t *payload; /* Of history_columns, for free(); NULL: nothing. */
    size_t len, table_len;
    bool is_sampled;         /* Others were left out. */
    uint64_t min_ns, max_ns; /* Earliest first, latest last postcard. */
};

void archive_writer_pending(struct archive_writer *, struct archive_pending *);

void archive_writer_get_counters(const struct archive_writer *,
                                 struct archive_writer_counters *);
/* The same without waiting: false, and nothing set, while a thread writes.
 * What parts have added and not written is in neither. */
bool archive_writer_peek(const struct archive_writer *,
                         struct archive_writer_counters *);
/* What went wrong last, until histories have been written again; false while
 * all is well. */
bool archive_writer_trouble(const struct archive_writer *, struct lh_error *);

#endif /* lib/archive_writer.h */
