/* SPDX-License-Identifier: Apache-2.0 */
/* ring - pointers on their way from one thread to one other, in order.
 *
 * Bounded: a push that finds it full is refused, and nobody waits.  The
 * pointer's object belongs to the side that has it; what was written before
 * the push is seen after the pop.
 *
 * Threads: one pushes, one pops; any may ask for the count, which is exact for
 * these two as far as their own side goes. */
#ifndef LIB_RING_H
#define LIB_RING_H 1

#include <stdbool.h>
#include <stddef.h>

struct ring;

/* For up to 'size' pointers, a power of 2. */
struct ring *ring_create(size_t size);
/* What is in it is left alone. */
void ring_destroy(struct ring *);

/* False when full. */
bool ring_push(struct ring *, void *);
/* NULL when empty. */
void *ring_pop(struct ring *);
size_t ring_count(const struct ring *);

#endif /* lib/ring.h */
