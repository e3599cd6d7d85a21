/* SPDX-License-Identifier: Apache-2.0 */
/* rule_slab - memory for rules, and what belongs to them, that come by the
 * thousand and go together.
 *
 * Rules wait for the log, and changes for the switch, between pieces of memory
 * that stay.  Taken from the same heap they would leave holes behind that the
 * operating system never gets back; a slab goes back as a whole when all in it
 * is freed.
 *
 * Ownership: each piece holds its slab.
 *
 * Threads: a piece may be freed by any thread. */
#ifndef LIB_RULE_SLAB_H
#define LIB_RULE_SLAB_H 1

#include <stddef.h>

#define RULE_SLAB_SIZE ((size_t) 256 << 10)
/* The largest piece that a slab is used for. */
#define RULE_SLAB_PIECE ((size_t) 4 << 10)

struct rule_slab;

/* 'size' bytes of zeros, at most RULE_SLAB_PIECE, aligned for anything; NULL
 * when there is no memory.  '*slab' is what to free. */
void *rule_slab_alloc(size_t size, struct rule_slab **slab);
/* Frees one piece of it. */
void rule_slab_free(struct rule_slab *);

#endif /* lib/rule_slab.h */
