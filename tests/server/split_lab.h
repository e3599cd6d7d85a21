/* SPDX-License-Identifier: Apache-2.0 */
/* split_lab - a stage-1 shard of a cluster in a laboratory: postcards of a
 * generated network, doors that publish them, and what the stage-2 owners
 * accept, to be compared with what one process says of the same postcards.
 *
 *     split_lab_init(&lab, seed, n_packets);       what is to come out
 *     split_lab_open(&lab, nats.url, k, n_doors);  streams and buckets
 *     while (split_lab_feed(&lab)) ..              publishes on
 *     split_lab_check(&lab);                       exactly that came out
 *
 * Threads: one. */
#ifndef TESTS_SERVER_SPLIT_LAB_H
#define TESTS_SERVER_SPLIT_LAB_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gen/gen_random.h"
#include "lib/bus.h"
#include "lib/packet_id.h"
#include "lib/postcard.h"
#include "server/cluster_split.h"
#include "server/loss_ledger.h"
#include "server/rule_cache.h"
#include "tests/lib/nats_fixture.h"

#define SPLIT_LAB_STORES    3
#define SPLIT_LAB_MAX_DOORS 3

struct split_lines {
    char **line; /* Owned. */
    size_t n, allocated;
};

struct split_door {
    struct split_lab *lab;
    uint64_t nonce, number;
};

struct split_lab {
    struct gen_random random;
    struct packet_id_config id_config;
    struct topology *topology; /* Owned. */
    struct rule_cache *rules;  /* Owned. */
    struct postcard **cards;   /* In order of time.  Owned. */
    size_t n_cards, allocated_cards;
    struct split_lines expected;

    struct event_base *base; /* Of the doors.  Owned. */
    struct bus *bus;         /* Owned. */
    uint32_t shard;
    struct split_door doors[SPLIT_LAB_MAX_DOORS];
    size_t n_doors;
    bool is_file;
    struct cluster_posts *posts; /* Owned. */
    size_t n_fed;
    bool has_ended;
    /* Always about to say whether postcards were lost, so that histories wait.
     * Owned. */
    struct loss_ledger *ledger;
};

void split_lab_init(struct split_lab *, uint64_t seed, size_t n_packets);
void split_lab_uninit(struct split_lab *);

/* Connects, and makes streams and buckets if need be. */
void split_lab_open(struct split_lab *, const struct nats *, uint32_t shard,
                    size_t n_doors);
void split_lab_close(struct split_lab *);

/* Publishes a few more postcards if those before are kept.  False: all are,
 * and the last watermarks. */
bool split_lab_feed(struct split_lab *);

/* A config for an owner, but for bus, epoch and callbacks. */
struct cluster_split_config split_lab_config(const struct split_lab *);

/* Fails unless the histories that stage 2 accepts of all that was published
 * are those expected.  Returns how many histories were told and not
 * accepted. */
uint64_t split_lab_check(struct split_lab *);

/* Runs a loop for about a millisecond. */
void split_lab_turn(struct event_base *);

#endif /* tests/server/split_lab.h */
