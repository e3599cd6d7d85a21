/* SPDX-License-Identifier: Apache-2.0 */
/* bench_receive - postcards from a veth, by UDP socket and by packet ring.
 *
 * A process in another network namespace sends the geneve postcards of the
 * preset mix of lasthop-gen, 96-byte snap, one to a packet, over a veth, at
 * higher and higher rates.  The server's own sources take them: from the
 * kernel, decoded, their sender looked up, named by packet ID, and left at
 * the door of the path table.  The kernel's part of receiving (softirq) runs
 * on the sender's core, as veth has it, or is steered to the reader's ("one
 * core": that core does all there is to do for a received postcard).
 *
 * Reported: the highest rate of which not one was missing and that the reader
 * kept up with (the sender being done, the rest came within a tenth of its
 * time), found by bisection; the reader's CPU per postcard, its parts in user
 * and kernel mode (where the reader's core does it all, softirq is in both),
 * and how many a core would take by that; the sender's CPU, which pays for
 * the receiving in softirq where that is not steered away.
 *
 * Needs root, ip(8) and ethtool(8); without root it says so and does nothing.
 *
 * usage: bench_receive [SECONDS]   (of each rate; default 1) */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/figure.h"
#include "bench/receive_reader.h"
#include "bench/receive_sender.h"

#define N_RUNS 3

static const struct receive_way ways[] = {
    {"udp", NULL, false},
    {"ring", RECEIVE_INTERFACE, false},
    {"udp one core", NULL, true},
    {"ring one core", RECEIVE_INTERFACE, true},
};
#define N_WAYS (sizeof ways / sizeof ways[0])

static void
print(const char *way, const char *traffic, const char *metric,
      const char *unit, double values[N_RUNS])
{
    figure_print(values, N_RUNS, unit, metric, "receive %s %s snap %d", way,
                 traffic, PACKET_ID_SNAP);
}

static void
measure(struct receive_reader *r, const struct receive_way *way,
        double duration_s)
{
    const char *traffic = receive_reader_traffic(r);
    double rate[N_RUNS], reader[N_RUNS], user[N_RUNS], kernel[N_RUNS],
        core[N_RUNS], sending[N_RUNS];

    for (size_t i = 0; i < N_RUNS; i++) {
        struct receive_result best = receive_reader_climb(r, way, duration_s);

        rate[i] = best.rate;
        user[i] = best.user_ns;
        kernel[i] = best.kernel_ns;
        reader[i] = best.user_ns + best.kernel_ns;
        core[i] = reader[i] > 0 ? 1e9 / reader[i] : 0;
        sending[i] = best.sender_ns;
    }
    print(way->name, traffic, "postcards_per_s", "postcards/s", rate);
    print(way->name, traffic, "reader_ns_per_postcard", "ns CPU", reader);
    print(way->name, traffic, "reader_user_ns_per_postcard", "ns CPU", user);
    print(way->name, traffic, "reader_kernel_ns_per_postcard", "ns CPU",
          kernel);
    print(way->name, traffic, "postcards_per_reader_cpu_s", "postcards/s",
          core);
    print(way->name, traffic, "sender_ns_per_postcard", "ns CPU", sending);
}

int
main(int argc, char *argv[])
{
    double duration_s = argc > 1 ? strtod(argv[1], NULL) : 1;
    const struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;
    struct receive_reader *r;

    if (geteuid()) {
        fprintf(stderr, "bench_receive: needs root: left out\n");
        return EXIT_SUCCESS;
    }
    r = receive_reader_start(PACKET_ID_SNAP, &id_config);
    for (size_t i = 0; i < N_WAYS; i++) {
        measure(r, &ways[i], duration_s);
    }
    receive_reader_stop(r);
    return EXIT_SUCCESS;
}
