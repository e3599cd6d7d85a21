/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of a switch: whatever stands in it, reading ends, and what is read
 * lies within it.  The first 8 bytes are how much was written (host order),
 * what follows are records. */
#include <config.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ring_reader.h"
#include "tests/agent/fake_ring.h"
#include "tests/fuzz/fuzz.h"

#define SIZE 8192

static void
check(const struct fake_ring *ring, const struct ring_item *item)
{
    const struct agent_postcard *p = &item->postcard;
    uint64_t sum = 0;

    if (item->type == RING_ITEM_LOSS) {
        if (item->loss.n > sizeof item->switches / sizeof *item->switches) {
            abort();
        }
        return;
    }
    /* In the reader's own mapping: every byte can be read. */
    for (size_t i = 0; i < p->caplen; i++) {
        sum += p->header[i];
    }
    if (p->caplen > ring->size || !p->template || sum > 255u * 65536) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fake_ring *ring;
    struct ring_reader *reader;
    struct ring_item item;
    uint64_t head;
    size_t n = 0;

    if (size < sizeof head) {
        return 0;
    }
    ring = fake_ring_create(SIZE);
    memcpy(&head, data, sizeof head);
    if (ring_reader_open(fake_ring_open(ring), &reader, NULL)) {
        abort();
    }
    ring_reader_attach(reader, NULL, NULL);
    data += sizeof head;
    size -= sizeof head;
    memcpy(ring->records, data, size < SIZE ? size : SIZE);
    atomic_store(&ring->header->head, head);
    while (ring_reader_next(reader, &item)) {
        check(ring, &item);
        if (n++ > SIZE / 8) {
            abort();
        }
    }
    ring_reader_last_loss(reader, &item);
    ring_reader_publish(reader, 1);
    ring_reader_close(reader);
    fake_ring_destroy(ring);
    return 0;
}
