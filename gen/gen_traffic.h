/* SPDX-License-Identifier: Apache-2.0 */
/* gen_traffic - packets made up: TCP, UDP and ICMP over IPv4 and IPv6, and a
 * little ARP, of many flows of which few are busy.
 *
 * No two packets are equal: payloads begin with the packet's number, and what
 * has none differs by sequence number and IP ID, ARP by the sender's MAC.
 * Checksums are right, for payloads that are zeros after that; not those of
 * datagrams in fragments, which follow each other at once.
 *
 * Threads: one at a time. */
#ifndef GEN_GEN_TRAFFIC_H
#define GEN_GEN_TRAFFIC_H 1

#include "gen/gen_packet.h"
#include "gen/gen_random.h"
#include "lib/lh_error.h"

#define GEN_TRAFFIC_MAX_FLOWS 100000000u
#define GEN_TRAFFIC_MIN_SIZE  60 /* Of frames, without their checksum. */
#define GEN_TRAFFIC_MAX_SIZE  9014

enum gen_sizes {
    GEN_SIZES_IMIX,   /* 7 of 60 bytes, 4 of 590, 1 of 1514 (the simple mix
                       * of Internet sizes). */
    GEN_SIZES_UNIFORM /* From a to b. */
};

struct gen_traffic_options {
    uint32_t n_flows;
    enum gen_sizes sizes;
    uint32_t size_a, size_b;
    uint32_t ip6_share; /* Of flows, in parts of GEN_RANDOM_ALL. */
    uint32_t
        fragments;     /* Of UDP and ICMP datagrams: that come in fragments. */
    bool has_zero_ids; /* IPv4's ID is always 0. */
    uint64_t seed;
};

/* "imix", "fixed:N" or "uniform:A-B".  Returns 0, or EINVAL. */
int gen_traffic_parse_sizes(const char *text, struct gen_traffic_options *,
                            struct lh_error *);

struct gen_traffic;

struct gen_traffic *gen_traffic_create(const struct gen_traffic_options *,
                                       uint32_t max_len);
void gen_traffic_destroy(struct gen_traffic *);
/* Sets length and data. */
void gen_traffic_next(struct gen_traffic *, struct gen_packet *);

#endif /* gen/gen_traffic.h */
