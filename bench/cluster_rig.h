/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_rig - the servers of a cluster in one process, with a real
 * nats-server: doors, owners of packets and of histories, each server with a
 * connection of its own and all of them on one loop.
 *
 * Threads: one. */
#ifndef BENCH_CLUSTER_RIG_H
#define BENCH_CLUSTER_RIG_H 1

#include <stddef.h>
#include <stdint.h>

#include "bench/bench_frames.h"
#include "lib/packet_id.h"
#include "tests/lib/nats_fixture.h"

#define CLUSTER_RIG_SERVERS 8
#define CLUSTER_RIG_SHARDS  64
#define CLUSTER_RIG_STORES  16

struct cluster_rig {
    struct packet_id_config id_config; /* Set before it is opened, */
    struct bench_frames frames;        /* and open. */
    unsigned int n;                    /* Servers. */
    struct nats nats;
    struct event_base *base;
    struct bus *buses[CLUSTER_RIG_SERVERS];
    struct ingest *ingests[CLUSTER_RIG_SERVERS];
    struct cluster_door *doors[CLUSTER_RIG_SERVERS];
    struct path_kit *kits[CLUSTER_RIG_SERVERS];
    struct cluster_codecs *codecs[CLUSTER_RIG_SERVERS];
    struct cluster_split *splits[CLUSTER_RIG_SHARDS];
    struct cluster_store *stores[CLUSTER_RIG_STORES];
    size_t n_frames; /* Fed so far. */
    double doors_s;  /* CPU of that, */
    double bench_s;  /* and of waiting and looking here. */
};

/* Opens 'n' servers, which archive into that directory. */
void cluster_rig_open(struct cluster_rig *, unsigned int n,
                      const char *archive);
/* Closes the frames, too. */
void cluster_rig_close(struct cluster_rig *);

#endif /* bench/cluster_rig.h */
