/* SPDX-License-Identifier: Apache-2.0 */
/* ring_layout - the shared memory in which a thread of a patched ovs-vswitchd
 * tells a reader what it observed: version 1 (docs/formats/ring.md).
 *
 * A page that only the switch writes, a page that only the reader writes, then
 * records, in the host's byte order.  What the switch wrote may be anything
 * where it died, and is looked at as any input is.
 *
 * Threads: plain data; the atomic members are shared with another process. */
#ifndef AGENT_RING_LAYOUT_H
#define AGENT_RING_LAYOUT_H 1

#include <stddef.h>
#include <stdint.h>

#define RING_NAME           "lasthop-ring"
#define RING_MAGIC          "LASTHOPR" /* Without a NUL. */
#define RING_VERSION        1
#define RING_READER_OFFSET  4096
#define RING_RECORDS_OFFSET 8192
#define RING_N_SLOTS        4096
#define RING_MAX_TEMPLATE   1024

enum ring_counter {
    RING_N_POSTCARDS, /* Written. */
    RING_N_DROPPED,   /* The ring was full. */
    RING_N_TEMPLATES,
    RING_N_UNSAMPLED, /* Packets above the threshold. */
    RING_N_UNREAD,    /* Packets before a reader attached. */
    RING_N_GAPS,
    RING_N_COUNTERS
};

/* Offset 0. */
struct ring_header {
    char magic[8];
    uint32_t version;
    uint32_t records_offset;
    uint64_t size; /* Of the records, a power of two. */
    uint64_t start_ns;
    uint32_t pid, tid; /* As the PID namespace of the switch has them. */
    char thread[16];
    uint8_t pad1[72];
    _Atomic uint64_t head; /* Bytes ever written. */
    uint8_t pad2[56];
    _Atomic uint64_t counters[RING_N_COUNTERS];
    _Atomic uint32_t closed; /* 1: nothing more will be written. */
};

_Static_assert(offsetof(struct ring_header, head) == 128, "as documented");
_Static_assert(offsetof(struct ring_header, counters) == 192, "as documented");

/* Offset 4096. */
struct ring_reader_page {
    _Atomic uint64_t tail;      /* Bytes ever read. */
    _Atomic uint32_t epoch;     /* 0: nobody ever read.  When it changes all
                                 * templates are told again. */
    _Atomic uint32_t threshold; /* Of packet IDs' upper 32 bits. */
    _Atomic uint64_t beat;      /* ns of the last visit. */
};

enum ring_record_type {
    RING_POSTCARD = 1,
    RING_TEMPLATE,
    RING_GAP,
    RING_SKIP, /* Its first 8 bytes are there, at least. */
    RING_DROPPED
};

/* Begins each record. */
struct ring_record {
    uint32_t size; /* Of all of it, a multiple of 8. */
    uint8_t type;
    uint8_t flags;
    uint16_t slot;
    uint64_t seq; /* Postcards before it, those dropped included. */
};

/* POSTCARD, DROPPED; then `caplen` bytes. */
struct ring_postcard {
    struct ring_record r;
    uint64_t time_ns;
    uint32_t packet_len;
    uint16_t caplen;
    uint16_t reason;
};

/* Then `len` bytes. */
struct ring_template {
    struct ring_record r;
    uint64_t hash;
    uint32_t len;
    uint32_t pad;
};

/* Then `n` struct ring_gap_count. */
struct ring_gap {
    struct ring_record r;
    uint64_t first_ns, last_ns;
    uint64_t count; /* Of all, also those of no switch below. */
    uint32_t n;
    uint32_t pad;
};

struct ring_gap_count {
    uint64_t dpid;
    uint64_t count;
};

#endif /* agent/ring_layout.h */
