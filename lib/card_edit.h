/* SPDX-License-Identifier: Apache-2.0 */
/* card_edit - the header of a later hop, by how it differs from that of the
 * hop before, as CARD_EDIT tells it.
 *
 * docs/formats/cluster.md is the format.  Used by card_batch_reader.c only.
 *
 * Threads: plain data. */
#ifndef LIB_CARD_EDIT_H
#define LIB_CARD_EDIT_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bytes.h"
#include "lib/card_batch_impl.h"

/* Makes the header of the next hop of 'k' at 'to', of 'room' bytes, and sets
 * its lengths in 'k'.  'l2' is what is before its IP header, as long as it
 * was, unless that is told.  False when what is told is malformed. */
bool card_edit_read(struct bytes_reader *in, const uint8_t *l2,
                    struct card_packet *k, uint8_t *to, size_t room);

#endif /* lib/card_edit.h */
