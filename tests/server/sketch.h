/* SPDX-License-Identifier: Apache-2.0 */
/* sketch - a small network and postcards, written down by hand, for tests.
 *
 *        1 |    | 2           edge ports: s1 1 and 2, s2 3, s3 3
 *         s1 ------ s2        links: s1 4 - s2 1, s2 2 - s3 1, s1 5 - s3 2
 *          4 5    1 |2  3     s1 9 is down, s1 8 leads nobody knows where
 *             \     |
 *            2 s3 --+ 1
 *              | 3
 *
 * Every postcard is of the UDP packet 10.0.0.1:4000 > 10.0.0.2:53. */
#ifndef TESTS_SERVER_SKETCH_H
#define TESTS_SERVER_SKETCH_H 1

#include "lib/history.h"
#include "lib/postcard.h"
#include "lib/rule.h"
#include "lib/topology.h"
#include "server/assemble.h"

#define SKETCH_MAX_RULES 64
#define SKETCH_MAX_CARDS 64
#define SKETCH_T0        1000000000ULL

struct sketch {
    struct topology *topology; /* Owned. */
    struct rule *rules[SKETCH_MAX_RULES];
    size_t n_rules;
    size_t n_cards;
    struct postcard *cards[SKETCH_MAX_CARDS]; /* Owned. */
    bool is_lossless;
    uint64_t silent_dpid; /* Not all its rules send postcards; 0: none. */
    bool is_capped;       /* Because of the cap. */
    struct assembler *assembler;
    struct assemble_result result;
};

void sketch_init(struct sketch *);
void sketch_uninit(struct sketch *);

/* A rule of table 0 with version 'version' that sends to 'n' ports. */
struct rule *sketch_rule(struct sketch *, uint64_t dpid, uint32_t version,
                         size_t n, ...);
/* A postcard 'time_us' after SKETCH_T0; what it carries has TTL 'ttl'. */
struct postcard *sketch_card(struct sketch *, uint64_t dpid, uint32_t in_port,
                             uint32_t out_port, uint32_t version, uint8_t ttl,
                             uint64_t time_us);
/* For struct assemble_env and path_table_config, with aux the sketch. */
const struct rule *sketch_find_rule(void *, uint64_t dpid, uint32_t version);
bool sketch_has_lossless(void *, uint64_t dpid, uint64_t from_ns,
                         uint64_t to_ns);
/* Assembles all postcards as if the window had ended; the histories are the
 * sketch's. */
const struct assemble_result *sketch_assemble(struct sketch *);
/* The tree of history 'i' as "1.1>4 (2.1>3)": dpid.in>out,out with the
 * children in brackets; '~' before a deduced hop, '|' before a gap, '!' before
 * a packet-out. */
const char *sketch_tree(const struct history *);

#endif /* tests/server/sketch.h */
