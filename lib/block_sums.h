/* SPDX-License-Identifier: Apache-2.0 */
/* block_sums - how many packets went which way through the network, and how
 * many bytes they were at each hop: what a profile by links, switches and
 * paths asks of a block of an archive.
 *
 * A way is a history without all that differs from packet to packet: its hops
 * with switch, in_port and the ports that the packet went out by.
 *
 * The writer of a block counts what it holds and puts the sums into a section
 * of their own; readers add up those of many blocks.  docs/formats/archive.md
 * is the format.
 *
 * Ownership: block_sums_create() to block_sums_destroy(); nothing is kept of
 * what is added.
 *
 * Threads: one per table. */
#ifndef LIB_BLOCK_SUMS_H
#define LIB_BLOCK_SUMS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/byte_buf.h"
#include "lib/history.h"
#include "lib/lh_error.h"
#include "lib/trajectory_skim.h"

struct block_sums;

struct block_sums *block_sums_create(void);
void block_sums_destroy(struct block_sums *);
/* Forgets all. */
void block_sums_reset(struct block_sums *);
/* Bytes of memory it holds. */
size_t block_sums_size(const struct block_sums *);

/* Adds a packet. */
void block_sums_add_history(struct block_sums *, const struct history *h);
/* Adds 'packets' of the shape 'h', of which 'keys' has one for each hop, that
 * are 'bytes' long together from the IP header on. */
void block_sums_add_shape(struct block_sums *, const struct history *h,
                          const struct flow_key_at *keys, uint64_t packets,
                          uint64_t bytes);

/* Adds all that 'from' has. */
void block_sums_merge(struct block_sums *, const struct block_sums *from);

/* Appends all to 'out'. */
void block_sums_put(const struct block_sums *, struct byte_buf *out);
/* Adds what block_sums_put() put.  Returns 0, or EBADMSG with the reason; then
 * some of it may have been added. */
int block_sums_read(struct block_sums *, const uint8_t *data, size_t len,
                    struct lh_error *);

/* Packets in all. */
uint64_t block_sums_n_packets(const struct block_sums *);
/* Whether both have the same ways with the same sums. */
bool block_sums_equal(const struct block_sums *, const struct block_sums *);

/* Shows each way: 'h' has hops with what a way is and nothing else, its
 * ports as lib/hop_traffic.h tells them; 'bytes'
 * has for each hop how many came in, then how many went out at a port. */
typedef void block_sums_visit_function(void *aux, const struct history *h,
                                       uint64_t packets,
                                       const uint64_t *bytes);
void block_sums_visit(const struct block_sums *, block_sums_visit_function *,
                      void *aux);

#endif /* lib/block_sums.h */
