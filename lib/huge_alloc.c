/* SPDX-License-Identifier: Apache-2.0 */
/* huge_alloc - large memory, in huge pages where the system gives them. */
#include <config.h>

#include "lib/huge_alloc.h"

#include <stdint.h>
#include <sys/mman.h>

/* What the kernel is asked for: whole huge pages, where it is one or more. */
static size_t
round_up(size_t size)
{
    return size < HUGE_ALLOC_PAGE
               ? size
               : (size + HUGE_ALLOC_PAGE - 1) & ~(HUGE_ALLOC_PAGE - 1);
}

static void *
map(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

void *
huge_alloc(size_t size)
{
    size_t n = round_up(size), before;
    uint8_t *p;

    if (n < size || n > SIZE_MAX - HUGE_ALLOC_PAGE) {
        return NULL;
    }
    if (n < HUGE_ALLOC_PAGE) {
        return map(n);
    }
    p = map(n + HUGE_ALLOC_PAGE);
    if (!p) {
        return NULL;
    }
    /* What is before and behind the aligned part goes back. */
    before = (size_t) - (uintptr_t) p & (HUGE_ALLOC_PAGE - 1);
    if (before) {
        munmap(p, before);
    }
    munmap(p + before + n, HUGE_ALLOC_PAGE - before);
    p += before;
    madvise(p, n, MADV_HUGEPAGE);
    return p;
}

void *
huge_alloc_full(size_t size)
{
    void *p = huge_alloc(size);

    /* Where the kernel cannot it comes as it is used. */
#ifdef MADV_POPULATE_WRITE
    if (p) {
        madvise(p, size, MADV_POPULATE_WRITE);
    }
#endif
    return p;
}

void
huge_free(void *p, size_t size)
{
    if (p) {
        munmap(p, round_up(size));
    }
}
