/* SPDX-License-Identifier: Apache-2.0 */
/* oracle - made-up networks and packets whose true histories are known.
 *
 * A net has switches, links, edge ports and rules.  A flow is a program: which
 * rules a packet meets at which (switch, in_port).  oracle_send() moves one
 * packet through it as switches do and gives the postcards that they emit and
 * the history as it was.
 *
 * Everything is drawn from one seeded generator, so that a failure can be had
 * again by its seed.
 *
 * Ownership: nets own flows and rules; packets are the caller's. */
#ifndef TESTS_SERVER_ORACLE_H
#define TESTS_SERVER_ORACLE_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/history.h"
#include "lib/postcard.h"
#include "lib/rule.h"
#include "lib/topology.h"

struct oracle_random {
    uint64_t state;
};

uint64_t oracle_random(struct oracle_random *);
/* 0 .. n - 1. */
uint32_t oracle_pick(struct oracle_random *, uint32_t n);
/* True 'percent' times of 100. */
bool oracle_chance(struct oracle_random *, uint32_t percent);

enum oracle_shape { ORACLE_LINE, ORACLE_RING, ORACLE_FAT_TREE };

struct oracle_net;

/* 'n' switches, or k of the fat tree.  Every switch of a line or ring, and
 * every lowest switch of the tree, has two edge ports and one that is down. */
struct oracle_net *oracle_net_create(enum oracle_shape, int n, uint64_t seed);
void oracle_net_destroy(struct oracle_net *);
const struct topology *oracle_net_topology(const struct oracle_net *);
struct oracle_random *oracle_net_random(struct oracle_net *);
/* For assemble_env: 'aux' is the net. */
const struct rule *oracle_net_find_rule(void *aux, uint64_t dpid,
                                        uint32_t version);

enum oracle_kind {
    ORACLE_UNICAST,    /* With NAT, tags, TTL and several tables by chance. */
    ORACLE_TREE,       /* Several outputs per rule, to every edge port. */
    ORACLE_FLOOD,      /* The same by FLOOD (a line; elsewhere as TREE). */
    ORACLE_LOOP_TTL,   /* Round and round until the TTL ends. */
    ORACLE_LOOP,       /* Round and round, nothing tells the rounds apart. */
    ORACLE_DROP,       /* A rule without output. */
    ORACLE_MISS,       /* A table miss. */
    ORACLE_TTL,        /* The TTL ends on the way. */
    ORACLE_TO_IN_PORT, /* The last rule names the input port, */
    ORACLE_TO_DOWN,    /* a port that is down, */
    ORACLE_TO_ABSENT,  /* or one that is not there. */
    ORACLE_PUNT,       /* To the controller, nothing follows. */
    ORACLE_PACKET_OUT, /* To the controller, which sends it on. */
    ORACLE_PACKET_OUT_TABLE, /* The same by output to TABLE. */
    ORACLE_TWICE,            /* A switch twice, by different ports. */
    ORACLE_LINK_LOSS,        /* The wire loses it. */
    ORACLE_LOOP_IN_PORT,     /* To and fro by IN_PORT until the TTL ends. */
    N_ORACLE_KINDS
};

struct oracle_flow;

/* A flow of that kind at random; NULL when the net has no room for one. */
struct oracle_flow *oracle_flow_create(struct oracle_net *, enum oracle_kind);

struct oracle_card {
    struct postcard p; /* p.header is owned. */
    int hop;           /* Of the true history. */
    bool is_lost;      /* The caller's to set. */
    bool is_double;    /* Added by oracle_packet_double(). */
};

struct oracle_packet {
    struct history *truth; /* Hop i's time_ns is that of its first postcard. */
    uint32_t *via;         /* By hop: version of the rule that its parent sent
                            * it by, 0 at the start. */
    size_t allocated_via;
    size_t n_cards, allocated_cards;
    struct oracle_card *cards;
    struct oracle_flow *flow;
};

/* Sends a packet with ID 'id' at 'time_ns'; its addresses and ports come from
 * 'variant'. */
struct oracle_packet *oracle_send(struct oracle_flow *, uint64_t id,
                                  uint64_t time_ns, uint32_t variant);
void oracle_packet_destroy(struct oracle_packet *);
/* Adds doubles of postcards, 'percent' of them, a moment later. */
void oracle_packet_double(struct oracle_packet *, struct oracle_random *,
                          uint32_t percent);
/* Takes from the postcards what those in a destination MAC lack: in_port,
 * flags, and that address. */
void oracle_packet_blind(struct oracle_packet *);
/* Marks 'percent' of the postcards lost. */
void oracle_packet_lose(struct oracle_packet *, struct oracle_random *,
                        uint32_t percent);

#endif /* tests/server/oracle.h */
