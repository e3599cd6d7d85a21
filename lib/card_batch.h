/* SPDX-License-Identifier: Apache-2.0 */
/* card_batch - any postcards, many together, packed for the way from server to
 * server (docs/formats/cluster.md).
 *
 * A batch stands alone.  Writing:
 *
 *     w = card_batch_writer_create(&id_config);
 *     while (card_batch_writer_add(w, &postcard)) ..
 *     card_batch_writer_finish(w, &bytes);
 *
 * Reading, in the order of writing:
 *
 *     if (card_batch_reader_open(reader, data, len, &error)) ..
 *     while (card_batch_reader_next_inner(reader, &inner)) ..
 *     while (card_batch_reader_next(reader, &postcard)) ..
 *
 * Every member of a postcard is what it was, bytes of the header and the whole
 * visit too.  A packet ID is sent only where it is not the one that the header
 * has by the cluster's packet_id_config: both sides must have the same one.
 *
 * Beside postcards a batch has notes of tunnels, for whoever groups packets
 * never sees those of others: see path_table_note_inner().
 *
 * Ownership: headers and visits that are added are borrowed until
 * card_batch_writer_finish().  What was read is good until the reader's next
 * open or its destruction.
 *
 * Threads: one per writer or reader. */
#ifndef LIB_CARD_BATCH_H
#define LIB_CARD_BATCH_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/lh_error.h"
#include "lib/packet_id.h"
#include "lib/postcard.h"

#define CARD_BATCH_VERSION   2            /* The newest. */
#define CARD_BATCH_MAX       4096         /* Postcards. */
#define CARD_BATCH_MAX_INNER 1024         /* Notes. */
#define CARD_BATCH_MAX_BYTES (448u << 10) /* Headers and visits together. */
#define CARD_BATCH_MAX_SIZE  (960u << 10) /* Packed: no batch is longer. */

#define CARD_BATCH_MARKS 32768 /* Numbers of marks that a caller may have. */

/* Packet 'outer' was seen to carry 'inner'. */
struct card_batch_inner {
    uint64_t inner, outer, time_ns;
};

/* What a postcard says of its packet. */
struct card_batch_packet {
    const uint8_t *header;
    uint64_t packet_id, time_ns;
    uint16_t caplen;
    bool has_id;
};

struct card_batch_writer;

struct card_batch_writer *
card_batch_writer_create(const struct packet_id_config *);
void card_batch_writer_destroy(struct card_batch_writer *);
/* Batches are of that version from now on, 1 to CARD_BATCH_VERSION, which it
 * is at first.  The writer is empty. */
void card_batch_writer_set_version(struct card_batch_writer *,
                                   unsigned int version);
/* False, and the postcard is not in it, when the batch is full: finish it
 * first.  Never false for the first postcard of a batch. */
bool card_batch_writer_add(struct card_batch_writer *,
                           const struct postcard *);
/* The same of a postcard with the packet ID that its header has, or without
 * one because its header has none, and with a mark that the caller knows: all
 * that it says but time, packet ID and header is what 'mark' says, which has
 * the number 'number', below CARD_BATCH_MARKS, in all of the batch. */
bool card_batch_writer_add_known(struct card_batch_writer *,
                                 const struct card_batch_packet *,
                                 const struct postcard *mark, uint32_t number);
/* The same for a note. */
bool card_batch_writer_add_inner(struct card_batch_writer *,
                                 const struct card_batch_inner *);
/* Postcards so far, without notes. */
uint32_t card_batch_writer_n(const struct card_batch_writer *);
/* Appends the packed batch to 'out', also an empty one; the writer is empty
 * then. */
void card_batch_writer_finish(struct card_batch_writer *,
                              struct byte_buf *out);

/* What readers need while they open a batch, and not any more then: readers of
 * one thread may share it, so that it stays in the cache.  Reference counted;
 * NULL is fine. */
struct card_batch_scratch;

struct card_batch_scratch *card_batch_scratch_create(void);
void card_batch_scratch_unref(struct card_batch_scratch *);

struct card_batch_reader;

struct card_batch_reader *
card_batch_reader_create(const struct packet_id_config *);
/* Takes a reference to the scratch. */
struct card_batch_reader *
card_batch_reader_create_with(const struct packet_id_config *,
                              struct card_batch_scratch *);
void card_batch_reader_destroy(struct card_batch_reader *);
/* Reads a batch, all of it, so that 'data' is not needed any more; after 0
 * there are card_batch_reader_n() postcards. Returns EBADMSG with the reason
 * when it is malformed, and ENOTSUP when it is of another version. */
int card_batch_reader_open(struct card_batch_reader *, const uint8_t *data,
                           size_t len, struct lh_error *);
/* Postcards of the batch. */
uint32_t card_batch_reader_n(const struct card_batch_reader *);
/* False at the end. */
bool card_batch_reader_next(struct card_batch_reader *, struct postcard *);
/* The same, until the next is asked for; NULL at the end. */
const struct postcard *card_batch_reader_look(struct card_batch_reader *);
bool card_batch_reader_next_inner(struct card_batch_reader *,
                                  struct card_batch_inner *);

#endif /* lib/card_batch.h */
