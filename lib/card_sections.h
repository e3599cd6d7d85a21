/* SPDX-License-Identifier: Apache-2.0 */
/* card_sections - the columns of a batch of postcards, in few groups that are
 * compressed together: a batch is small, and what a compressor costs to begin
 * with is more than what it costs for the bytes.
 *
 * docs/formats/cluster.md is the format.  Used by card_batch*.c only.
 *
 * Threads: plain data. */
#ifndef LIB_CARD_SECTIONS_H
#define LIB_CARD_SECTIONS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/bytes.h"
#include "lib/compress.h"
#include "lib/lh_error.h"

#define CARD_SECTIONS_MAX 96

/* Of compression, while a batch is written. */
struct card_squeezer {
    struct compressor *compressor; /* Owned. */
    struct byte_buf room[2];
};

void card_squeezer_init(struct card_squeezer *);
void card_squeezer_uninit(struct card_squeezer *);

/* Appends the sections, those that are empty (or NULL) left out, to 'out'.
 * 'has_hops': most are later hops of packets, so much comes again. */
void
card_sections_put(struct card_squeezer *, unsigned int version, bool has_hops,
                  const struct byte_buf *const sections[CARD_SECTIONS_MAX],
                  struct byte_buf *out);

/* All that was read; a section that was not there is empty. */
struct card_sections {
    struct bytes_reader at[CARD_SECTIONS_MAX];
};

/* Reads the rest of 'in'.  What is not compressed stays where it is, what was
 * expanded is in 'room'.  Returns 0, or EBADMSG with the reason. */
int card_sections_open(struct card_sections *, unsigned int version,
                       struct bytes_reader *in, struct byte_buf *room,
                       struct lh_error *);

#endif /* lib/card_sections.h */
