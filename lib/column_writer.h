/* SPDX-License-Identifier: Apache-2.0 */
/* column_writer - makes columns of packets that come grouped by flow, or of
 * packets of many flows in any order.
 *
 * Used by history_columns.c for the first, by agent_batch.c and card_batch.c
 * for the second.
 *
 * Ownership: column_writer_uninit() frees the columns; all zero is a new one.
 *
 * Threads: one. */
#ifndef LIB_COLUMN_WRITER_H
#define LIB_COLUMN_WRITER_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/history.h"
#include "lib/packet_id.h"
#include "lib/packet_row.h"
#include "lib/trajectory.h"

struct column_writer {
    struct byte_buf columns[N_COLUMNS]; /* Owned. */
    uint8_t *at[N_COLUMNS];             /* Where the next byte goes. */
    struct row_block block;
    uint64_t unit_ns;
    unsigned int n_planes; /* Of COLUMN_HOPS. */

    /* Times. */
    uint64_t first_time;    /* Of the flow before. */
    uint64_t previous_time; /* Of the row before. */
    uint64_t bits;
    unsigned int n_bits;

    /* The flow at hand. */
    struct packet_row row;
    uint64_t flow_bytes; /* From the IP header on. */
    size_t n_hops;
    const uint8_t *bases; /* Whose times are the base.  Borrowed. */
};

/* One packet. */
struct column_row {
    uint64_t packet_id;
    bool has_id;     /* It is to be stored. */
    uint16_t l3_len; /* Captured from the IP header on. */
    const uint64_t *times_ns;
    const uint8_t *ip;
};

void column_writer_uninit(struct column_writer *);
/* Begins a block of so many rows, hops, and captured bytes. */
void column_writer_begin(struct column_writer *,
                         const struct packet_id_config *, uint64_t unit_ns,
                         size_t n_rows, size_t n_hops, size_t n_bytes,
                         uint16_t snap);
/* Begins a flow of 'n_rows' rows, whose reference shows 'header', with so many
 * hops and their column_time_bases(), which must stay until its end. */
void column_writer_begin_flow(struct column_writer *, enum header_kind,
                              uint16_t l3_ofs, const uint8_t *header,
                              uint32_t shape, uint32_t n_rows, size_t n_hops,
                              const uint8_t *bases);
void column_writer_put_row(struct column_writer *, const struct column_row *);
/* Ends the flow and returns how many bytes its packets have together, from the
 * IP header on. */
uint64_t column_writer_end_flow(struct column_writer *);

/* Packets in any order: the caller keeps a packet_row for each flow
 * (packet_row_begin()).  A row's packet before must still be where it was.
 * Times are the caller's. */
void column_writer_begin_packets(struct column_writer *, size_t n_rows,
                                 size_t n_bytes, uint16_t snap);
void column_writer_put_packet(struct column_writer *, struct packet_row *,
                              const struct column_row *);

void column_writer_end(struct column_writer *);

/* Sets 'bases[i]' to the hop whose time that of hop 'i' is stored as a
 * difference to: its parent, or the first. */
void column_time_bases(const struct history *model, uint8_t *bases);

/* The packet ID of a header of a known kind, 0 when too little was
 * captured. */
void column_row_id(const struct packet_id_config *, enum header_kind,
                   uint16_t l3_ofs, const uint8_t *header, size_t len,
                   uint64_t *id);

#endif /* lib/column_writer.h */
