/* SPDX-License-Identifier: Apache-2.0 */
/* lh_alloc - memory that is there, or the program ends.
 *
 * For the small things that a program cannot go on without: names, nodes,
 * messages of bounded size.  Each function returns memory for free(), never
 * NULL (a size of 0 counts as 1), and calls abort() when there is none: a
 * daemon that cannot get 100 bytes is restarted, not limped along with.  What
 * grows with the traffic is bounded and counted by its owner and uses
 * malloc().
 *
 * Threads: as malloc(). */
#ifndef LIB_LH_ALLOC_H
#define LIB_LH_ALLOC_H 1

#include <stddef.h>

void *lh_alloc(size_t size) __attribute__((malloc));
/* All bytes zero. */
void *lh_alloc_zero(size_t size) __attribute__((malloc));
/* All zero, at a multiple of 'line', a power of 2. */
void *lh_alloc_lines(size_t line, size_t size) __attribute__((malloc));
/* 'n' objects of 'size' bytes, from 'old' (NULL: new). */
void *lh_alloc_array(void *old, size_t n, size_t size);
/* Makes room for one more object after the 'n' of 'size' bytes in 'array':
 * returns 'array' or what it moved to, with '*allocated' (in objects) grown
 * when it was full. */
void *lh_alloc_grow(void *array, size_t n, size_t *allocated, size_t size);

/* Copies; NULL (or a 'len' of 0) gives NULL. */
char *lh_strdup(const char *text);
void *lh_memdup(const void *data, size_t len);
char *lh_asprintf(const char *format, ...)
    __attribute__((format(printf, 1, 2), malloc));

#endif /* lib/lh_alloc.h */
