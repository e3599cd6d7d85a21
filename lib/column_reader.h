/* SPDX-License-Identifier: Apache-2.0 */
/* column_reader - makes packets of columns again: the other side of
 * column_writer.
 *
 * Bytes come from outside: every read is bounded, and the first that does not
 * fit makes the whole reader fail.  Used by history_columns_read.c,
 * agent_batch_reader.c and card_batch_reader.c.
 *
 * Ownership: the columns are borrowed.
 *
 * Threads: plain data. */
#ifndef LIB_COLUMN_READER_H
#define LIB_COLUMN_READER_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/packet_row.h"
#include "lib/trajectory.h"

struct column_reader {
    const uint8_t *at[N_COLUMNS];
    const uint8_t *end[N_COLUMNS];
    bool failed;
    struct row_block block;
    unsigned int n_planes;

    uint64_t first_time, previous_time;
    uint64_t bits;
    unsigned int n_bits;

    struct packet_row row;
};

void column_reader_init(struct column_reader *, uint16_t snap,
                        unsigned int n_planes);
void column_reader_set(struct column_reader *, unsigned int column,
                       const uint8_t *data, size_t len);

/* The next number or bytes of a column; 0 and NULL once it has failed. */
uint64_t column_reader_uvarint(struct column_reader *, unsigned int column);
const uint8_t *column_reader_bytes(struct column_reader *, unsigned int column,
                                   size_t n);

/* The times of the next row, in units, of which 'n' hops have the bases
 * 'bases'; 'is_first' in its flow. */
void column_reader_times(struct column_reader *, bool is_first, size_t n,
                         const uint8_t *bases, uint64_t *times);

/* Begins the flow whose constant header bytes stand at 'ip'. */
void column_reader_begin_flow(struct column_reader *, enum header_kind,
                              uint16_t l3_ofs, const uint8_t *ip);
/* Makes the next row of the flow at 'ip', of 'room' bytes, where the flow's
 * fixed header stands already.  Returns how many bytes it has, or 0 (and the
 * reader has failed).  '*id' is set, and '*has_id' says whether one is stored.
 * The row before must still be where it was made. */
size_t column_reader_row(struct column_reader *, uint8_t *ip, size_t room,
                         bool *has_id, uint64_t *id);
/* The same of packets that come in any order: 'row' is that of the packet's
 * flow, which the caller keeps. */
size_t column_reader_packet(struct column_reader *, struct packet_row *row,
                            uint8_t *ip, size_t room, bool *has_id,
                            uint64_t *id);

#endif /* lib/column_reader.h */
