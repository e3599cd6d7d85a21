/* SPDX-License-Identifier: Apache-2.0 */
/* archive_part - what one of several threads adds to an archive.
 *
 * Each thread collects and compresses blocks of its own; only whole blocks go
 * through the writer's lock.  So a round is durable once every part was sealed
 * and archive_writer_round() has returned.  Blocks of parts overlap in time;
 * readers give histories in order all the same.
 *
 * Ownership: parts go before their writer.
 *
 * Threads: one thread per part.  Sealing waits for the disk. */
#ifndef LIB_ARCHIVE_PART_H
#define LIB_ARCHIVE_PART_H 1

#include <stdint.h>

#include "lib/archive_writer.h"
#include "lib/history_batch.h"

struct archive_part;

struct archive_part_counters {
    uint64_t in;      /* Histories and packets added. */
    uint64_t refused; /* Of these, too big for the format. */
};

struct archive_part *archive_part_create(struct archive_writer *);
/* Seals it. */
void archive_part_destroy(struct archive_part *);
/* Forgets what was added and is not in a file.  NULL is fine. */
void archive_part_abandon(struct archive_part *);

/* As the functions of archive_writer of these names. */
void archive_part_add(struct archive_part *, const struct history *);
void archive_part_add_packet(struct archive_part *, struct trajectory *,
                             const struct trajectory_packet *);
/* The same of what was read of a batch, quickest of rows.  Returns 0, or
 * EBADMSG with the reason: it is a row that is no trajectory's. */
int archive_part_add_item(struct archive_part *,
                          const struct history_batch_item *,
                          struct lh_error *);
/* From the next block on shapes are those at '*shapes', which others of this
 * thread may have too and renew (column_shapes_renew()); it must live as
 * long. */
void archive_part_share_shapes(struct archive_part *,
                               struct column_shapes **shapes);
void archive_part_pending(struct archive_part *, struct archive_pending *);
/* Writes what was added. */
void archive_part_seal(struct archive_part *);

void archive_part_get_counters(const struct archive_part *,
                               struct archive_part_counters *);

#endif /* lib/archive_part.h */
