/* SPDX-License-Identifier: Apache-2.0 */
/* archive_reader - reads an archive, also while a server writes to it.
 *
 * The reader keeps an index of all block headers; archive_reader_refresh()
 * adds what came since.  Blocks are numbered from 0 in the order they were
 * written; the numbers hold until the next refresh.
 *
 * What is damaged is skipped and told by archive_reader_damage(); the rest is
 * readable.  Bytes at the end of the newest file that are no whole block yet
 * are not damage: a writer may be at work.
 *
 *     archive_reader_open(dir, &reader, &error);
 *     for (i = 0; i < archive_reader_n_blocks(reader); i++) {
 *         const struct archive_entry *e = archive_reader_entry(reader, i);
 *         if (e->block.kind == ARCHIVE_COLUMNS &&
 *             !archive_reader_columns(reader, e, &decoder, &error)) {
 *             ..
 *         }
 *     }
 *
 * Threads: one per reader. */
#ifndef LIB_ARCHIVE_READER_H
#define LIB_ARCHIVE_READER_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/archive_block.h"
#include "lib/archive_damages.h"
#include "lib/archive_dir.h"
#include "lib/history_columns.h"
#include "lib/lh_error.h"
#include "lib/topology.h"

struct archive_entry {
    struct archive_segment segment; /* The file. */
    uint64_t offset;                /* Of the header in it. */
    struct archive_block block;
};

struct archive_reader;

/* Opens the archive in 'dir'.  Returns 0, or an errno as
 * archive_meta_load(). */
int archive_reader_open(const char *dir, struct archive_reader **,
                        struct lh_error *);
void archive_reader_close(struct archive_reader *);
/* Looks for new blocks and for files that retention removed. */
int archive_reader_refresh(struct archive_reader *, struct lh_error *);

/* The directory, as long as the reader is open. */
const char *archive_reader_dir(const struct archive_reader *);
const struct archive_meta *archive_reader_meta(const struct archive_reader *);
/* The files that are there, also those in which there is nothing: of each
 * shard in the order of their numbers. */
size_t archive_reader_n_files(const struct archive_reader *);
const struct archive_segment *
archive_reader_file(const struct archive_reader *, size_t i);

size_t archive_reader_n_blocks(const struct archive_reader *);
const struct archive_entry *archive_reader_entry(const struct archive_reader *,
                                                 size_t i);

/* Reads, checks and decompresses the payload of the block, of any kind but
 * ARCHIVE_COLUMNS, that 'entry' (which
 * may be a copy from before a refresh) names, for free().  Returns 0; ENOENT
 * when retention has removed the file meanwhile; EBADMSG, with the block named
 * by file, offset and time, when it is damaged (which archive_reader_damage()
 * then also tells); or another errno. */
int archive_reader_load(struct archive_reader *,
                        const struct archive_entry *entry, uint8_t **payload,
                        struct lh_error *);

/* Opens a block of ARCHIVE_COLUMNS.  Returns as archive_reader_load(). */
int archive_reader_columns(struct archive_reader *,
                           const struct archive_entry *entry,
                           struct column_decoder **, struct lh_error *);
/* Tells that such a decoder gave 'retval' (not 0) for the reason 'why':
 * returns as archive_reader_load(). */
int archive_reader_broken(struct archive_reader *,
                          const struct archive_entry *entry, int retval,
                          const struct lh_error *why, struct lh_error *);

size_t archive_reader_n_damages(const struct archive_reader *);
const struct archive_damage *
archive_reader_damage(const struct archive_reader *, size_t i);

/* The topology in force at 'at_ns' (the last one stored not after it, else
 * the first; UINT64_MAX: the newest), a reference for the caller, or NULL
 * when none is stored. */
struct topology *archive_reader_topology(struct archive_reader *,
                                         uint64_t at_ns);

/* How many histories a server reported lost with times between the two. */
uint64_t archive_reader_lost(struct archive_reader *, uint64_t since_ns,
                             uint64_t until_ns);

#endif /* lib/archive_reader.h */
