/* SPDX-License-Identifier: Apache-2.0 */
/* lasthopctl - size: how many servers a network needs. */
#include <config.h>
#include "apps/lasthopctl.h"

#include <stdio.h>

#include "apps/cluster_size.h"

#define GIB (1024.0 * 1024 * 1024)

/* "12 k", "3.4 M": three digits at most before the unit. */
static const char *
scaled(double value, char buf[32])
{
    static const char *const units[] = {"", " k", " M", " G", " T", " P"};
    size_t i = 0;

    for (; value >= 999.5 && i < 5; i++) {
        value /= 1000;
    }
    snprintf(buf, 32, "%.*f%s", value < 9.95 ? 1 : 0, value, units[i]);
    return buf;
}

/* "3.4 GB". */
static const char *
bytes(double value, char buf[32])
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    size_t i = 0;

    for (; value >= 999.5 && i < 5; i++) {
        value /= 1000;
    }
    snprintf(buf, 32, "%.*f %s", i && value < 9.95 ? 1 : 0, value, units[i]);
    return buf;
}

static void
print_json(const struct cluster_size *s)
{
    json_t *json = json_pack(
        "{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:b, s:b}", "packets_per_s",
        s->packets_per_s, "postcards_per_s", s->postcards_per_s,
        "udp_receiving_cores", s->udp_cores, "ring_receiving_cores",
        s->ring_cores, "alone_cores", s->alone_cores, "cluster_cores",
        s->cluster_cores, "servers_udp", s->servers_udp, "servers_ring",
        s->servers_ring, "one_is_enough_udp", s->is_one_enough_udp,
        "one_is_enough_ring", s->is_one_enough_ring);
    json_t *bus = json_pack("{s:f, s:f, s:f, s:f, s:f}", "bytes_per_s",
                            s->bus_bytes_per_s, "disk_bytes_per_s",
                            s->bus_disk_bytes_per_s, "backlog_bytes",
                            s->bus_backlog_bytes, "nats_cores", s->nats_cores,
                            "nats_servers", s->nats_servers);

    json_object_set_new(json, "clusters", json_real(s->clusters));
    json_object_set_new(bus, "cluster_bytes",
                        json_real(s->stream_backlog_gib * GIB));
    json_object_set_new(json, "in_bytes_per_s", json_real(s->in_bytes_per_s));
    json_object_set_new(json, "bus", bus);
    json_object_set_new(json, "archive_bytes_per_day",
                        json_real(s->archive_bytes_per_day));
    json_object_set_new(json, "archive_bytes", json_real(s->archive_bytes));
    ctl_print_json(json);
    json_decref(json);
}

static void
print_servers(const struct ctl *ctl, const struct cluster_size *s)
{
    if (s->is_one_enough_ring) {
        printf("one process  is enough, without --cluster, if it receives by "
               "%s\n",
               s->is_one_enough_udp ? "--capture or by a UDP socket"
                                    : "--capture");
    }
    printf(
        "servers      %.0f (receiving by --capture), %.0f (by UDP sockets), "
        "of %u cores at %u %%\n",
        s->servers_ring, s->servers_udp, (unsigned int) ctl->size.cores,
        (unsigned int) ctl->size.load);
}

/* What of it one cluster cannot do, however many servers it has. */
static void
print_clusters(const struct cluster_size *s)
{
    char a[32];

    if (s->clusters > 1) {
        printf("clusters     %.0f at least, each with NATS of its own and a "
               "part of the network: one stream carries 150 to 300 MB/s, and "
               "this is %s/s of postcards (docs/cluster-sizing.md)\n",
               s->clusters, bytes(s->stream_bytes_per_s, a));
    } else if (s->stream_bytes_per_s > 150e6) {
        printf("clusters     1 may be too few: one stream carries 150 to 300 "
               "MB/s, and this is %s/s of postcards "
               "(docs/cluster-sizing.md)\n",
               bytes(s->stream_bytes_per_s, a));
    }
}

static void
print_text(const struct ctl *ctl, const struct cluster_size *s)
{
    const struct ctl_size *in = &ctl->size;
    char a[32], b[32], c[32];

    printf("traffic      %u Gb/s of packets of %u bytes: %s packets/s\n",
           (unsigned int) in->gbit, (unsigned int) in->packet_bytes,
           scaled(s->packets_per_s, a));
    printf("postcards    %s/s (%u hops), %s/s as geneve with a snap of %u\n",
           scaled(s->postcards_per_s, a), (unsigned int) in->hops,
           bytes(s->in_bytes_per_s, b), (unsigned int) in->snap);
    printf("receiving    %.1f cores by --capture, %.1f by UDP sockets\n",
           s->ring_cores, s->udp_cores);
    printf("assembling   %.1f cores in a cluster (%.1f in one process), "
           "archive and four live filters included\n",
           s->cluster_cores, s->alone_cores);
    print_servers(ctl, s);
    print_clusters(s);
    printf(
        "bus          %s/s, written %s/s with %u replica%s; --cluster-bytes "
        "%.0fG%s holds %u s of it, %s of disk in all\n",
        bytes(s->bus_bytes_per_s, a), bytes(s->bus_disk_bytes_per_s, b),
        (unsigned int) in->replicas, in->replicas == 1 ? "" : "s",
        s->stream_backlog_gib, s->clusters > 1 ? " in each" : "",
        (unsigned int) in->backlog, bytes(s->bus_backlog_bytes, c));
    printf("NATS         %.0f server%s, %.1f cores together\n",
           s->nats_servers, s->nats_servers == 1 ? "" : "s", s->nats_cores);
    printf("archive      %s a day, %s for %u day%s%s\n",
           bytes(s->archive_bytes_per_day, a), bytes(s->archive_bytes, b),
           (unsigned int) in->days, in->days == 1 ? "" : "s",
           in->copies > 1 ? ", on two disks each" : "");
}

int
ctl_size(struct ctl *ctl, int argc, char *argv[])
{
    struct ctl_size *given = &ctl->size;
    struct cluster_size size;

    if (!given->gbit) {
        return app_wrong_usage(ctl->app,
                               "size: --gbit is missing: how many Gb/s "
                               "enter the network?");
    }
    if (given->snap && given->snap != 64 && given->snap != 96) {
        return app_wrong_usage(ctl->app, "size: --snap is 64 or 96, for which "
                                         "there are figures");
    }
    given->packet_bytes = given->packet_bytes ? given->packet_bytes : 700;
    given->hops = given->hops ? given->hops : 5;
    given->snap = given->snap ? given->snap : 64;
    given->days = given->days ? given->days : 7;
    given->cores = given->cores ? given->cores : 16;
    given->load = given->load ? given->load : 50;
    given->copies = given->copies ? given->copies : 1;
    given->replicas = given->replicas ? given->replicas : 1;
    given->backlog = given->backlog ? given->backlog : 60;

    const struct cluster_size_input in = {
        .gbit = (double) given->gbit,
        .packet_bytes = (double) given->packet_bytes,
        .hops = (double) given->hops,
        .snap = (uint32_t) given->snap,
        .days = (double) given->days,
        .cores = (uint32_t) given->cores,
        .load = (double) given->load / 100,
        .copies = (uint32_t) given->copies,
        .replicas = (uint32_t) given->replicas,
        .backlog_s = (double) given->backlog};

    cluster_size_calculate(&in, &size);
    if (ctl->app->is_json) {
        print_json(&size);
    } else {
        print_text(ctl, &size);
    }
    return CTL_OK;
}
