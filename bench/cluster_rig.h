/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_rig - some of the servers of a cluster in one process, or all:
 * doors, owners of packets and of histories, each server with a connection of
 * its own to a real nats-server, and all on one loop.
 *
 * Threads: one. */
#ifndef BENCH_CLUSTER_RIG_H
#define BENCH_CLUSTER_RIG_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gen/gen.h"
#include "lib/packet_id.h"
#include "lib/topology.h"
#include "server/rule_cache.h"
#include "tests/lib/nats_fixture.h"

#define CLUSTER_RIG_SERVERS 8
#define CLUSTER_RIG_SHARDS  64
#define CLUSTER_RIG_STORES  16

struct cluster_rig {
    /* Set before it is opened. */
    struct packet_id_config id_config;
    const struct nats *nats;
    const char *archive;             /* Before the directory's name. */
    const struct topology *topology; /* Borrowed, */
    struct rule_cache *rules;        /* and this. */
    unsigned int n;                  /* Servers of the cluster, */
    unsigned int first, end;         /* of which these are here. */

    char *dirs[CLUSTER_RIG_SERVERS]; /* Of their archives.  Owned. */
    struct event_base *base;
    struct bus *buses[CLUSTER_RIG_SERVERS];
    struct ingest *ingests[CLUSTER_RIG_SERVERS];
    struct cluster_door *doors[CLUSTER_RIG_SERVERS];
    struct path_kit *kits[CLUSTER_RIG_SERVERS];
    struct cluster_codecs *codecs[CLUSTER_RIG_SERVERS];
    struct cluster_sent *sent[CLUSTER_RIG_SERVERS];
    struct cluster_split *splits[CLUSTER_RIG_SHARDS];
    struct cluster_store *stores[CLUSTER_RIG_STORES];
};

/* What the servers here have done. */
struct cluster_sum {
    uint64_t in;         /* Postcards at the doors, */
    uint64_t sent;       /* those that NATS has acknowledged; */
    uint64_t packed;     /* bytes in messages that it has not. */
    uint64_t n_busy;     /* Doors that have something to do. */
    uint64_t read;       /* Postcards read by owners of packets, */
    uint64_t held;       /* messages that wait there, */
    uint64_t waiting;    /* histories that are not committed, */
    uint64_t committed;  /* and those that are. */
    uint64_t doubles;    /* Postcards that are another's double, */
    uint64_t late;       /* or came after their time. */
    uint64_t archived;   /* Histories that are archived and committed. */
    uint64_t messages;   /* Of doors, */
    uint64_t card_bytes; /* and theirs. */
    uint64_t history_bytes, snapshot_bytes; /* Published. */
};

/* Where shard 'm' of histories is archived; to be freed. */
char *cluster_rig_shard_path(const struct cluster_rig *, uint32_t m);

/* Makes streams and buckets; once for a cluster, by a rig that has a server
 * and is open. */
void cluster_rig_make_streams(struct cluster_rig *);
/* Opens the connections. */
void cluster_rig_connect(struct cluster_rig *);
/* Opens the servers, when the streams are there. */
void cluster_rig_open(struct cluster_rig *);
void cluster_rig_close(struct cluster_rig *);

/* All doors tell each other that they are there. */
void cluster_rig_announce(struct cluster_rig *);
/* Gives frames to server 's', one of those here. */
void cluster_rig_feed(struct cluster_rig *, unsigned int s,
                      const struct gen_frame *, size_t n);
/* A turn of the doors; the loop has one of its own. */
void cluster_rig_run_doors(struct cluster_rig *);
/* Nothing is fed any more. */
void cluster_rig_end(struct cluster_rig *);

void cluster_rig_sum(const struct cluster_rig *, struct cluster_sum *);
void cluster_sum_add(struct cluster_sum *, const struct cluster_sum *);

#endif /* bench/cluster_rig.h */
