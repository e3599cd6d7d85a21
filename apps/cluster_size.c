/* SPDX-License-Identifier: Apache-2.0 */
/* cluster_size - implementation. */
#include <config.h>
#include "apps/cluster_size.h"

#include <math.h>

/* docs/performance.md, Receiving: one core that does all there is to do for a
 * received postcard, kernel included, without a loss. */
#define UDP_PER_CORE  0.70e6
#define RING_PER_CORE 1.27e6

/* From file to archive, one core: postcards per CPU second, decoded,
 * assembled, matched by four live filters and archived; the later and lower
 * figures. */
#define SNAP_64_PER_CORE 2.94e6
#define SNAP_96_PER_CORE 2.32e6

/* Two threads there: what a process was seen to do more than with one. */
#define TWO_THREADS 1.67

/* From file to archive, the first table: whole files, before merging. */
#define SNAP_64_ARCHIVE_BYTES 3.54
#define SNAP_96_ARCHIVE_BYTES 5.79

/* What a postcard takes on a stock switch's way to a server: Ethernet, IPv4,
 * UDP, geneve and its option (docs/performance.md, Switches that make
 * postcards themselves: 138 bytes of a packet of 60). */
#define GENEVE_EXTRA 78

/* docs/cluster-sizing.md, What was measured: CPU of a postcard's way through
 * a cluster of 8 more than in one process, in the time that this takes; bytes
 * of both stages on the bus for a postcard. */
#define PACKING     2.6
#define SNAP_64_BUS 33.0
#define SNAP_96_BUS 46.0

/* The same: what a message costs whoever sends and reads it, and NATS; how
 * many there are at most where they are not full: of each server, to all
 * shards; of all, once a second histories of each of 64 shards for each of 16,
 * and a marker. */
#define MESSAGE_S           29e-6
#define MESSAGE_NATS_S      40e-6
#define MESSAGES_PER_SERVER 320.0
#define MESSAGES            (64 * 16 * 2.0)

/* The same: bytes that one core of NATS takes, stores and gives again. */
#define NATS_BYTES_PER_CORE 100e6
#define NATS_CORES          4 /* Of a NATS server that are planned with. */

/* The same, "What breaks first": bytes that the one leader of the stream of
 * postcards takes and gives in a second, and the share of bytes that are
 * postcards, the rest being histories. */
#define STREAM_BYTES  300e6
#define HISTORIES_BUS 8.0
#define GIB           (1024.0 * 1024 * 1024)

static double
at_least_one(double n)
{
    return n > 1 ? n : 1;
}

/* Servers for 'n' cores of work, and 'own' more in each. */
static double
servers(const struct cluster_size_input *in, double n, double own)
{
    double free_cores = in->cores * in->load - own;

    if (free_cores < in->load / 4) {
        free_cores = in->load / 4; /* Too small for a cluster. */
    }
    return at_least_one(ceil(n / free_cores));
}

void
cluster_size_calculate(const struct cluster_size_input *in,
                       struct cluster_size *out)
{
    bool is_64 = in->snap <= 64;
    double n;

    out->packets_per_s = in->gbit * 1e9 / 8 / in->packet_bytes;
    n = out->postcards_per_s = out->packets_per_s * in->hops;
    out->in_bytes_per_s =
        n * ((in->packet_bytes < in->snap ? in->packet_bytes : in->snap) +
             GENEVE_EXTRA);

    out->udp_cores = n / UDP_PER_CORE;
    out->ring_cores = n / RING_PER_CORE;
    out->alone_cores = n / (is_64 ? SNAP_64_PER_CORE : SNAP_96_PER_CORE);
    out->cluster_cores =
        out->alone_cores * (1 + PACKING) + MESSAGES * MESSAGE_S;
    out->servers_udp = servers(in, out->udp_cores + out->cluster_cores,
                               MESSAGES_PER_SERVER * MESSAGE_S);
    out->servers_ring = servers(in, out->ring_cores + out->cluster_cores,
                                MESSAGES_PER_SERVER * MESSAGE_S);
    out->is_one_enough_udp =
        out->alone_cores <= TWO_THREADS &&
        servers(in, out->udp_cores + out->alone_cores, 0) <= 1;
    out->is_one_enough_ring =
        out->alone_cores <= TWO_THREADS &&
        servers(in, out->ring_cores + out->alone_cores, 0) <= 1;

    out->bus_bytes_per_s = n * (is_64 ? SNAP_64_BUS : SNAP_96_BUS);
    out->stream_bytes_per_s = out->bus_bytes_per_s - n * HISTORIES_BUS;
    out->clusters = at_least_one(ceil(out->stream_bytes_per_s / STREAM_BYTES));
    out->stream_backlog_gib =
        ceil(out->stream_bytes_per_s * in->backlog_s / out->clusters / GIB);
    out->bus_disk_bytes_per_s = out->bus_bytes_per_s * in->replicas;
    out->bus_backlog_bytes = out->bus_disk_bytes_per_s * in->backlog_s;
    out->nats_cores =
        out->bus_disk_bytes_per_s / NATS_BYTES_PER_CORE +
        (MESSAGES + MESSAGES_PER_SERVER * out->servers_ring) * MESSAGE_NATS_S;
    out->nats_servers =
        ceil(out->nats_cores / (NATS_CORES * in->load) / in->replicas) *
        in->replicas;
    if (out->nats_servers < out->clusters * in->replicas) {
        out->nats_servers = out->clusters * in->replicas;
    }

    out->archive_bytes_per_day =
        n * 86400 * in->copies *
        (is_64 ? SNAP_64_ARCHIVE_BYTES : SNAP_96_ARCHIVE_BYTES);
    out->archive_bytes = out->archive_bytes_per_day * in->days;
}
