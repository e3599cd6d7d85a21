/* SPDX-License-Identifier: Apache-2.0 */
/* fake_ring - what a thread of a patched ovs-vswitchd does with its ring, in
 * this process.
 *
 * Ownership: fake_ring_create() to fake_ring_destroy().
 *
 * Threads: one. */
#ifndef TESTS_AGENT_FAKE_RING_H
#define TESTS_AGENT_FAKE_RING_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/ring_layout.h"
#include "lib/hop_template.h"

struct fake_ring {
    int fd;
    uint8_t *map;
    struct ring_header *header;
    struct ring_reader_page *page;
    uint8_t *records;
    uint64_t size, head;
    uint64_t seq;
    uint32_t epoch;
    uint64_t hashes[RING_N_SLOTS]; /* 0: not told. */
    struct ring_gap gap;
    uint64_t gap_dpid;
};

struct fake_ring *fake_ring_create(uint64_t size);
void fake_ring_destroy(struct fake_ring *);
/* A new descriptor of it, as another process opens it. */
int fake_ring_open(const struct fake_ring *);
/* Writes a postcard, or counts it as dropped: false. */
bool fake_ring_put(struct fake_ring *, const struct hop_template *,
                   uint64_t time_ns, const void *header, uint16_t caplen,
                   uint32_t packet_len, bool is_dropped);
/* The GAP that is owed, if there is room. */
void fake_ring_idle(struct fake_ring *);
/* Shows the reader what was written. */
void fake_ring_publish(struct fake_ring *);
/* The switch ends in good order. */
void fake_ring_end(struct fake_ring *);

#endif /* tests/agent/fake_ring.h */
