/* SPDX-License-Identifier: Apache-2.0 */
/* flow_fixture - packets of flows on their ways, for tests of what stores
 * them: protocols, tags, address translation, wrong checksums, padding, lost
 * and repeated bytes, captures cut and whole.
 *
 * Ownership: flow_init() to flow_uninit().
 *
 * Threads: plain data. */
#ifndef TESTS_LIB_FLOW_FIXTURE_H
#define TESTS_LIB_FLOW_FIXTURE_H 1

#include <stddef.h>
#include <stdint.h>

#include "lib/history.h"
#include "lib/packet_id.h"
#include "lib/rule.h"
#include "lib/trajectory.h"

#define FLOW_MAX_HOPS 6

struct flow {
    bool is_ip6;
    uint8_t proto;
    char src[40], dst[40];
    uint16_t src_port, dst_port;
    size_t snap;
    bool has_timestamps, is_padded;
    uint16_t wrong_by; /* Added to the IPv4 checksum. */
    int l4_kind;       /* 0 right, 1 of the pseudo-header only, 2 zero, 3
                        * random. */
    uint32_t seq, ack, ts;
    uint16_t ip_id;
    size_t n_hops;
    struct rule *rules[FLOW_MAX_HOPS]; /* Owned. */
    uint64_t time_ns;                  /* Of its last packet. */

    size_t n_trajectories;
    struct trajectory *trajectories[32]; /* Of its packets so far.  Owned. */
};

/* A flow of 'seed', its first packet after 'time_ns'. */
void flow_init(struct flow *, uint64_t *seed, uint64_t time_ns);
void flow_uninit(struct flow *);
/* The history of its next packet, the caller's, in whole 'unit_ns'. */
struct history *flow_next(struct flow *, uint64_t *seed, uint64_t unit_ns,
                          const struct packet_id_config *);
/* The trajectory of that history, the flow's own, or NULL; then '*packet' and
 * 'times_ns' are set and borrow from 'h'. */
struct trajectory *flow_trajectory(struct flow *, const struct history *h,
                                   struct trajectory_packet *packet,
                                   uint64_t *times_ns);

#endif /* tests/lib/flow_fixture.h */
