/* SPDX-License-Identifier: Apache-2.0 */
/* profile_table - packets and bytes by who sent them over which link.
 *
 * A row's key has the link, the way, addresses and ports, each as far as the
 * profile asks for it: what is not asked for is 0, so that rows that differ
 * in nothing else are one.  Links and ways are numbered; numbers are a
 * table's own.
 *
 * A table that has PROFILE_MAX_ROWS rows forgets addresses and ports of new
 * ones and counts how many packets that were.
 *
 * Threads: one per table. */
#ifndef PHF_PROFILE_TABLE_H
#define PHF_PROFILE_TABLE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/trajectory_skim.h"
#include "phf/profile_links.h"

#define PROFILE_MAX_ROWS ((size_t) 1 << 20)

/* Where packets came in and which switches they passed. */
struct profile_way {
    uint64_t dpid;
    uint32_t in_port;
    uint32_t n;      /* 0: not asked for. */
    uint64_t *dpids; /* Owned. */
};

/* All zero where nothing is asked for: it is compared as bytes. */
struct profile_key {
    uint32_t link; /* Number, */
    uint32_t way;  /* and number. */
    uint16_t proto;
    uint8_t n_addr; /* 4, 6 (MAC) or 16; 0: not asked for, or none. */
    uint8_t has_ports;
    uint32_t bucket; /* Interval. */
    struct flow_key flow;
};

struct profile_row {
    struct profile_key key;
    double packets, bytes; /* Scaled to those that were left out. */
};

/* Finds numbers by hash. */
struct profile_index {
    size_t n, n_slots; /* A power of two, or 0. */
    struct profile_index_slot {
        uint64_t hash;
        uint32_t number; /* 1 + it; 0: free. */
    } * slots;           /* Owned. */
};

struct profile_table {
    size_t n, allocated;
    struct profile_row *rows; /* Owned. */
    size_t n_slots;           /* A power of two, or 0. */
    uint32_t *slots;          /* 1 + index.  Owned. */
    size_t n_links, allocated_links;
    struct profile_link *links; /* Owned. */
    size_t n_ways, allocated_ways;
    struct profile_way *ways; /* Owned. */
    struct profile_index link_index, way_index;
    double n_folded; /* Packets. */
};

/* An empty table is all zero. */
void profile_table_uninit(struct profile_table *);
/* The number of a link, or of a way, which is copied. */
uint32_t profile_table_link(struct profile_table *,
                            const struct profile_link *);
uint32_t profile_table_way(struct profile_table *, const struct profile_way *);
void profile_table_count(struct profile_table *, const struct profile_key *,
                         double packets, double bytes);
/* Adds all that 'other' has. */
void profile_table_merge(struct profile_table *,
                         const struct profile_table *other);

#endif /* phf/profile_table.h */
