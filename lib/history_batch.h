/* SPDX-License-Identifier: Apache-2.0 */
/* history_batch - many histories packed for the way from server to server
 * (docs/formats/cluster.md), and back.
 *
 * A batch stands alone.  It is the archive's block of columns
 * (lib/history_columns.h) without what only searching needs, compressed in a
 * few pieces.  Histories that have the form of a packet of a trajectory are
 * found and stored as such, so that what they have in common is stored once.
 *
 *     w = history_batch_writer_create(&id_config);
 *     while (!history_batch_writer_add(w, h)) ..
 *     history_batch_writer_finish(w, &bytes, &error);
 *
 *     if (!history_batch_reader_open(r, data, len, &error)) {
 *         while (!(retval = history_batch_reader_next(r, &item, &error))) ..
 *     }
 *
 * What is read equals what was added in every member; those of a trajectory
 * come together, in no other order than that.  As many have the same
 * 'left_out' as before, but it may be others.
 *
 * Ownership: what is added is copied.  What was read is good until the
 * reader's next call.
 *
 * Threads: one per writer or reader. */
#ifndef LIB_HISTORY_BATCH_H
#define LIB_HISTORY_BATCH_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/history.h"
#include "lib/lh_error.h"
#include "lib/packet_id.h"
#include "lib/trajectory.h"

#define HISTORY_BATCH_VERSION  2            /* The newest. */
#define HISTORY_BATCH_MAX      4096         /* Histories. */
#define HISTORY_BATCH_MAX_SIZE (512u << 10) /* Packed: none is longer. */
#define HISTORY_BATCH_MAX_RAW  (32u << 20)  /* Before compression. */

struct column_shapes;
struct history_batch_writer;

struct history_batch_writer *
history_batch_writer_create(const struct packet_id_config *);
void history_batch_writer_destroy(struct history_batch_writer *);
/* From now on batches are of that version, 1 or, as at first, the newest. */
void history_batch_writer_set_version(struct history_batch_writer *,
                                      unsigned int version);
/* Adds a copy of 'h'.  Returns 0; ENOBUFS, with nothing added, when the batch
 * is full: finish it first (never for the first history of a batch); or EFBIG
 * when the history is larger than the format takes. */
int history_batch_writer_add(struct history_batch_writer *,
                             const struct history *h);
/* The same for a packet for which trajectory_predicts() is true at every
 * hop. */
int history_batch_writer_add_packet(struct history_batch_writer *,
                                    struct trajectory *,
                                    const struct trajectory_packet *);
/* For rows: the shapes that they are of, of which a reference is taken.  While
 * the writer is empty; for all batches from then on. */
void history_batch_writer_use_shapes(struct history_batch_writer *,
                                     struct column_shapes *);
/* The same for a packet of a trajectory of that shape (column_shapes_find(),
 * not COLUMN_NO_SHAPE). */
int history_batch_writer_add_row(struct history_batch_writer *, uint32_t shape,
                                 const struct trajectory_packet *);
/* Histories in it. */
uint32_t history_batch_writer_n(const struct history_batch_writer *);
/* Appends the packed histories to 'out'; the writer is empty then.  Returns 0,
 * or EFBIG, with nothing appended, when a single history is too large even
 * packed. */
int history_batch_writer_finish(struct history_batch_writer *,
                                struct byte_buf *out, struct lh_error *);

/* One of many: a packet of a trajectory, a row, which is one whose trajectory
 * was not made, or a history that is neither. */
struct history_batch_item {
    struct trajectory *trajectory; /* NULL: a row, or see 'history'. */
    struct trajectory_packet packet;
    size_t n_hops; /* Of it. */
    const struct history *history;
    uint64_t last_ns; /* Of its last postcard. */

    /* Of a row: */
    struct history_batch_reader *reader; /* Otherwise NULL. */
    uint64_t flow; /* No row of another flow, of any batch, has that. */
};

struct history_batch_reader;

struct history_batch_reader *history_batch_reader_create(void);
void history_batch_reader_destroy(struct history_batch_reader *);
/* From the next batch on, packets are read as rows, for whoever stores them by
 * these constants; NULL, as at first: with their trajectories. */
void history_batch_reader_want_rows(struct history_batch_reader *,
                                    const struct packet_id_config *);
/* Reads what all of the batch needs; the bytes may go then.  Returns 0,
 * EBADMSG with the reason, EPROTONOSUPPORT: of a newer version, or ENOMEM. */
int history_batch_reader_open(struct history_batch_reader *,
                              const uint8_t *data, size_t len,
                              struct lh_error *);
/* Whether a newer version packed it, so that it cannot be opened. */
bool history_batch_is_newer(const uint8_t *data, size_t len,
                            struct lh_error *);
/* How many histories the batch says it has. */
uint32_t history_batch_reader_n(const struct history_batch_reader *);
/* Returns 0 with the next one, ENODATA after the last, or EBADMSG with the
 * reason: nothing more can be read. */
int history_batch_reader_next(struct history_batch_reader *,
                              struct history_batch_item *, struct lh_error *);
/* The number of the last row's shape in 'shapes'; COLUMN_NO_SHAPE: it has none
 * there. */
uint32_t history_batch_reader_shape(struct history_batch_reader *,
                                    struct column_shapes *shapes);
/* Makes an item of the last row that has its trajectory, and its packet ID.
 * Returns 0 or EBADMSG. */
int history_batch_reader_trajectory(struct history_batch_reader *,
                                    struct history_batch_item *,
                                    struct lh_error *);
/* The history of an item that is no row, made of the trajectory if it is
 * one's: good until the reader's next call. */
const struct history *
history_batch_reader_history(struct history_batch_reader *,
                             const struct history_batch_item *);

#endif /* lib/history_batch.h */
