/* SPDX-License-Identifier: Apache-2.0 */
/* oracle - packets whose true histories are known, one by one.
 *
 * Networks, routes and walks are gen's; what is here holds a packet's
 * postcards and its truth together, so that tests can lose, double and shuffle
 * them, and oracle_check can compare.
 *
 * Everything is drawn from one seeded generator, so that a failure can be had
 * again by its seed.
 *
 * Ownership: nets own flows; packets are the caller's. */
#ifndef TESTS_SERVER_ORACLE_H
#define TESTS_SERVER_ORACLE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gen/gen_random.h"
#include "gen/gen_walk.h"
#include "lib/history.h"
#include "lib/postcard.h"

struct oracle_net;

/* 'topology' as gen_topology reads it; edge switches have two edge ports. */
struct oracle_net *oracle_net_create(const char *topology, uint64_t seed);
void oracle_net_destroy(struct oracle_net *);
const struct topology *oracle_net_topology(const struct oracle_net *);
struct gen_random *oracle_net_random(struct oracle_net *);
/* For assemble_env: 'aux' is the net. */
const struct rule *oracle_net_find_rule(void *aux, uint64_t dpid,
                                        uint32_t version);

struct oracle_flow;

/* A flow of that kind at random; NULL when the net has no room for one. */
struct oracle_flow *oracle_flow_create(struct oracle_net *, enum gen_kind);

struct oracle_card {
    struct postcard p; /* p.header and p.visit are owned. */
    int hop;           /* Of the true history. */
    bool is_lost;      /* The caller's to set. */
    bool is_double;
};

struct oracle_packet {
    struct history *truth; /* Headers are those that came in, before any
                            * table. */
    uint32_t *via;         /* By hop: version of the rule that its parent sent
                            * it by, 0 at the start. */
    size_t n_cards, allocated_cards;
    struct oracle_card *cards;
};

/* Sends a packet with ID 'id' at 'time_ns'; its addresses and ports come from
 * 'variant'. */
struct oracle_packet *oracle_send(struct oracle_flow *, uint64_t id,
                                  uint64_t time_ns, uint32_t variant);
/* The same, as switches tell it that know their visits; some of them need two
 * passes. */
struct oracle_packet *oracle_send_whole(struct oracle_flow *, uint64_t id,
                                        uint64_t time_ns, uint32_t variant);
/* What a walk was, with the losses and doubles of its cards. */
struct oracle_packet *oracle_packet_of_walk(const struct gen_walk *,
                                            const struct packet_id_config *,
                                            uint16_t snap);
void oracle_packet_destroy(struct oracle_packet *);
/* Adds doubles of postcards, 'percent' of them, a moment later. */
void oracle_packet_double(struct oracle_packet *, struct gen_random *,
                          uint32_t percent);
/* Takes from the postcards what those in a destination MAC lack: in_port,
 * flags, and that address. */
void oracle_packet_blind(struct oracle_packet *);
/* Marks 'percent' of the postcards lost. */
void oracle_packet_lose(struct oracle_packet *, struct gen_random *,
                        uint32_t percent);

#endif /* tests/server/oracle.h */
