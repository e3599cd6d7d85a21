/* SPDX-License-Identifier: Apache-2.0 */
/* archive_check - reads one block of an archive whole: every checksum is
 * compared and every history decoded.
 *
 * archive_reader reads what it is asked for; this reads what nobody asked for
 * yet.
 *
 * Threads: no hidden state. */
#ifndef LIB_ARCHIVE_CHECK_H
#define LIB_ARCHIVE_CHECK_H 1

#include <stdbool.h>
#include <stdint.h>

#include "lib/archive_block.h"
#include "lib/lh_error.h"
#include "lib/packet_id.h"

/* What a sound block holds. */
struct archive_check {
    uint64_t first_sequence; /* Of the first block that it was made of. */
    uint64_t n_histories, n_hops;
    uint64_t n_rows;  /* Of the histories, packets of trajectories. */
    uint64_t n_flows; /* The trajectories of the block, */
    uint64_t n_shapes;
    uint64_t n_lost;                   /* Of ARCHIVE_LOSS. */
    bool has_packet_id;                /* Of ARCHIVE_COLUMNS. */
    struct packet_id_config packet_id; /* Made with these constants. */
};

/* Reads the block whose header, 'block', stands at 'offset' of 'fd'.  Returns
 * 0 with '*check' set; EBADMSG, with the reason, when it is damaged; or
 * another errno, with the reason, when it cannot be read. */
int archive_check_block(int fd, uint64_t offset, const struct archive_block *,
                        struct archive_check *check, struct lh_error *);

#endif /* lib/archive_check.h */
