/* SPDX-License-Identifier: Apache-2.0 */
/* gen_queue - postcards on their way to the capture, by time.
 *
 * Equal times leave in the order in which they came.
 *
 * Ownership: the queue copies headers.  What gen_queue_first() gives is good
 * until the next call.
 *
 * Threads: one at a time. */
#ifndef GEN_GEN_QUEUE_H
#define GEN_GEN_QUEUE_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/postcard.h"

struct gen_queue;

/* 'max_header' bytes of a header are kept. */
struct gen_queue *gen_queue_create(uint16_t max_header);
void gen_queue_destroy(struct gen_queue *);
size_t gen_queue_length(const struct gen_queue *);
/* 'sw' and 'tag' are the caller's own. */
void gen_queue_add(struct gen_queue *, const struct postcard *, uint32_t sw,
                   uint16_t tag);
/* The time of the first postcard, UINT64_MAX when there is none. */
uint64_t gen_queue_time(const struct gen_queue *);
/* Takes out the first, of at least one. */
const struct postcard *gen_queue_take(struct gen_queue *, uint32_t *sw,
                                      uint16_t *tag);

#endif /* gen/gen_queue.h */
