/* SPDX-License-Identifier: Apache-2.0 */
/* bench_open - memory of a path table with a million open packets.
 *
 * Five postcards of 96 bytes each of so many packets are added, the last of
 * which leads on to a switch that stays silent, so that none closes.  Reported
 * is by how much the process has grown.
 *
 * usage: bench_open [PACKETS]   (default 1,000,000) */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/figure.h"
#include "lib/of_port.h"
#include "lib/packet_id.h"
#include "lib/topology.h"
#include "server/path_table.h"

#define N_HOPS    5
#define N_PACKETS 1000000

static size_t n_emitted;

static void
emit(void *aux, struct history *h)
{
    n_emitted++;
    history_destroy(h);
}

static void
emit_packet(void *aux, struct trajectory *t,
            const struct trajectory_packet *packet)
{
    n_emitted++;
}

static double
resident_mb(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (!file || fscanf(file, "%*u %lu", &pages) != 1) {
        fprintf(stderr, "bench_open: /proc/self/statm cannot be read\n");
        exit(EXIT_FAILURE);
    }
    fclose(file);
    return (double) pages * (double) sysconf(_SC_PAGESIZE) / 1e6;
}

/* A line of one switch more than there are postcards of. */
static struct topology *
make_line(void)
{
    struct topology_builder *b = topology_builder_create();

    for (uint64_t dpid = 1; dpid <= N_HOPS + 1; dpid++) {
        topology_builder_add_switch(b, dpid, NULL, 0, NULL);
        topology_builder_add_port(b, dpid, 1, NULL, dpid == 1);
        topology_builder_add_port(b, dpid, 2, NULL, false);
        if (dpid > 1) {
            topology_builder_add_link(b, dpid - 1, 2, dpid, 1);
        }
    }
    return topology_build(b, 1);
}

/* TCP from 10.0.0.1 to 10.0.0.2 with TTL 64. */
static void
make_header(uint8_t header[PACKET_ID_SNAP])
{
    static const uint8_t ip[] = {0x45, 0, 5,    0xdc, 0, 0, 0,  0, 64, 6,
                                 0,    1, 10,   0,    0, 1, 10, 0, 0,  2,
                                 0x10, 1, 0,    80,   0, 0, 0,  1, 0,  0,
                                 0,    2, 0x50, 0x10, 1, 0, 0,  1, 0,  0};

    memset(header, 0, PACKET_ID_SNAP);
    header[12] = 0x08;
    memcpy(header + 14, ip, sizeof ip);
}

int
main(int argc, char *argv[])
{
    size_t n_packets = argc > 1 ? strtoul(argv[1], NULL, 10) : N_PACKETS;
    struct path_table_config config = {
        .emit = emit,
        .emit_packet = emit_packet,
        .max_postcards = n_packets * N_HOPS + 1,
    };
    struct path_table *table = path_table_create(&config);
    struct topology *topology = make_line();
    uint8_t header[PACKET_ID_SNAP];
    double before = resident_mb(), after;

    path_table_set_topology(table, topology);
    make_header(header);
    for (size_t i = 0; i < n_packets; i++) {
        for (uint64_t hop = 0; hop < N_HOPS; hop++) {
            struct postcard p = {
                .dpid = hop + 1,
                .packet_id = (i + 1) * 0x9e3779b97f4a7c15ULL,
                .has_id = true,
                .time_ns = 1000000000 + i,
                .version = 1,
                .version_bits = 32,
                .in_port = 1,
                .out_port = 2,
                .caplen = sizeof header,
                .header = header,
            };

            header[22] = (uint8_t) (64 - hop);
            path_table_push(table, &p);
        }
    }
    path_table_drain(table);
    after = resident_mb();
    if (n_emitted) {
        fprintf(stderr, "bench_open: %zu packets did not stay open\n",
                n_emitted);
        return EXIT_FAILURE;
    }
    figure_print_one(after - before, "MB", "resident", "open packets %zu",
                     n_packets);
    path_table_destroy(table);
    topology_unref(topology);
    return EXIT_SUCCESS;
}
