/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_size - how many servers, and how much of a bus, a network needs.
 *
 * A calculation, by figures that were measured (docs/performance.md,
 * docs/cluster-sizing.md) and stand in cluster_size.c with their sources.
 * Doubles: nobody needs the ninth digit.
 *
 * Threads: any. */
#ifndef APPS_CLUSTER_SIZE_H
#define APPS_CLUSTER_SIZE_H 1

#include <stdbool.h>
#include <stdint.h>

struct cluster_size_input {
    double gbit;         /* Gb/s that enter the network. */
    double packet_bytes; /* On average. */
    double hops;         /* Postcards of a packet, on average. */
    uint32_t snap;       /* Bytes of each packet that are told: 64 or 96. */
    double days;         /* That the archive keeps. */
    uint32_t cores;      /* Of a server. */
    double load;         /* Part of the cores that is planned for: 0 .. 1. */
    uint32_t copies;     /* Of each history. */
    uint32_t replicas;   /* Of the bus. */
    double backlog_s;    /* That the bus must hold while shards move. */
};

struct cluster_size {
    double packets_per_s, postcards_per_s;
    double udp_cores, ring_cores; /* For receiving, by sockets or --capture. */
    double alone_cores;           /* For the rest, without a cluster. */
    double cluster_cores;         /* The same in one, without what each
                                   * server has to do besides. */
    /* Servers of so many cores; the bus's are others. */
    bool is_one_enough_udp, is_one_enough_ring; /* Without a cluster. */
    double servers_udp, servers_ring;
    double in_bytes_per_s;       /* Postcards, as they come to the servers. */
    double bus_bytes_per_s;      /* Published, both stages. */
    double stream_bytes_per_s;   /* Of that, postcards: one stream. */
    double clusters;             /* That so much needs, at least: 1 and up. */
    double stream_backlog_gib;   /* --cluster-bytes, of each cluster. */
    double bus_disk_bytes_per_s; /* Written by all NATS servers together. */
    double bus_backlog_bytes;    /* On disk, both stages, all replicas. */
    double nats_cores;           /* Of all NATS servers together. */
    double nats_servers;         /* A multiple of 'replicas', 1 and up, and
                                  * enough for each cluster. */
    double archive_bytes_per_day, archive_bytes;
};

void cluster_size_calculate(const struct cluster_size_input *,
                            struct cluster_size *);

#endif /* apps/cluster_size.h */
