/* SPDX-License-Identifier: Apache-2.0 */
/* huge_alloc - large memory, in huge pages where the system gives them.
 *
 * For tables that are looked at here and there: a huge page has one entry of
 * the TLB for 2 MiB.  Without huge pages it is plain memory.
 *
 * Threads: any. */
#ifndef LIB_HUGE_ALLOC_H
#define LIB_HUGE_ALLOC_H 1

#include <stddef.h>

#define HUGE_ALLOC_PAGE ((size_t) 2 << 20)

/* 'size' bytes, all zero, at a multiple of 64; NULL when memory is short. */
void *huge_alloc(size_t size);
/* The same for a table that is soon written to all over: all of its memory is
 * there at once.  What is read before it is written has the kernel's page of
 * zeros first, and to exchange that interrupts the process's other threads. */
void *huge_alloc_full(size_t size);
/* NULL is taken; 'size' as it was asked for. */
void huge_free(void *, size_t size);

#endif /* lib/huge_alloc.h */
