/* SPDX-License-Identifier: Apache-2.0 */
/* ring - pointers on their way from one thread to one other, in order. */
#include <config.h>

#include "lib/ring.h"

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/lh_alloc.h"

#define LINE 64 /* Bytes that cores pass to each other. */

/* Each side keeps what it last saw of the other's index, so that the other's
 * line is only read when that is no longer enough. */
struct ring {
    alignas(LINE) atomic_size_t n_pushed; /* Written by the pushing side. */
    size_t seen_popped;
    alignas(LINE) atomic_size_t n_popped; /* Written by the popping side. */
    size_t seen_pushed;
    alignas(LINE) size_t size;
    void *slots[];
};

struct ring *
ring_create(size_t size)
{
    size_t bytes = sizeof(struct ring) + size * sizeof(void *);
    struct ring *ring = aligned_alloc(LINE, (bytes + LINE - 1) / LINE * LINE);

    assert(size && !(size & (size - 1)));
    if (!ring) {
        abort();
    }
    atomic_init(&ring->n_pushed, 0);
    atomic_init(&ring->n_popped, 0);
    ring->seen_popped = ring->seen_pushed = 0;
    ring->size = size;
    return ring;
}

void
ring_destroy(struct ring *ring)
{
    free(ring);
}

/* Sequentially consistent: who pushes and then sees that the other side
 * sleeps, or sleeps and then sees nothing pushed, relies on the order. */
bool
ring_push(struct ring *ring, void *p)
{
    size_t n = atomic_load_explicit(&ring->n_pushed, memory_order_relaxed);

    if (n - ring->seen_popped == ring->size) {
        ring->seen_popped =
            atomic_load_explicit(&ring->n_popped, memory_order_acquire);
        if (n - ring->seen_popped == ring->size) {
            return false;
        }
    }
    ring->slots[n & (ring->size - 1)] = p;
    atomic_store(&ring->n_pushed, n + 1);
    return true;
}

void *
ring_pop(struct ring *ring)
{
    size_t n = atomic_load_explicit(&ring->n_popped, memory_order_relaxed);
    void *p;

    if (n == ring->seen_pushed) {
        ring->seen_pushed = atomic_load(&ring->n_pushed);
        if (n == ring->seen_pushed) {
            return NULL;
        }
    }
    p = ring->slots[n & (ring->size - 1)];
    atomic_store_explicit(&ring->n_popped, n + 1, memory_order_release);
    return p;
}

size_t
ring_count(const struct ring *ring)
{
    size_t n_popped = atomic_load(&ring->n_popped);

    return atomic_load(&ring->n_pushed) - n_popped;
}
