/* SPDX-License-Identifier: Apache-2.0 */
/* way - packets of random flows that cross four switches, and their histories:
 * the switches route, one translates addresses, one marks and rewrites a MAC
 * address; for some kinds a tag is pushed and popped.
 *
 * Threads: plain data. */
#ifndef TESTS_LIB_WAY_H
#define TESTS_LIB_WAY_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/history.h"
#include "lib/rule.h"
#include "lib/trajectory.h"
#include "tests/lib/frame.h"

#define WAY_NOW_NS   1700000000000000000ull
#define WAY_HOPS     4
#define WAY_N_SHAPES 12

/* What else the third switch sets. */
enum way_part {
    WAY_NO_PART,
    WAY_PART_OF_MAC, /* Two bytes of it. */
    WAY_PART_OF_ADDRESS,
    WAY_LABEL, /* All of IPv6's flow label. */
    WAY_PLAIN  /* Nothing, and no switch does but to lower the TTL. */
};

/* A kind of packet. */
struct way_shape {
    bool is_ip6;
    uint8_t proto;
    bool has_tag; /* The second switch pushes one, the last pops it. */
    enum way_part part;
};

extern const struct way_shape way_shapes[WAY_N_SHAPES];

/* A packet of the flow, all that varies random. */
struct frame way_frame(const struct way_shape *, uint64_t *seed);
/* Makes it a packet of any other flow that takes the same way. */
void way_change_flow(struct frame *, const struct way_shape *, uint64_t *seed);
/* What switch 'i' does, the caller's. */
struct rule *way_rule(const struct way_shape *, size_t i);
/* The history of 'f' through the switches, of which each captures at most
 * 'snap' bytes; NULL when its TTL does not last. */
struct history *way_history(const struct way_shape *, const struct frame *f,
                            size_t snap, uint64_t *seed);

/* True when the trajectory foresees every hop of 'h'. */
bool way_is_predicted(const struct trajectory *, const struct history *h);
/* 'h' as a packet of the trajectory; 'times_ns' has room for its hops. */
struct trajectory_packet way_packet(const struct trajectory *,
                                    const struct history *h,
                                    uint64_t *times_ns);

#endif /* tests/lib/way.h */
