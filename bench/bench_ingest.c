/* SPDX-License-Identifier: Apache-2.0 */
/* bench_ingest - from a captured frame to the door of the path table.
 *
 * The geneve postcards of the preset mix of lasthop-gen, 96-byte snap, are
 * taken from memory that no cache holds, as frames and as datagrams: decoded,
 * their sender looked up, named by packet ID.  And they are read from a file
 * in the page cache, plain pcap, without and with all that.
 *
 * usage: bench_ingest [PACKETS]   (default 100,000) */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench_preset.h"
#include "bench/figure.h"
#include "gen/gen.h"
#include "lib/lh_alloc.h"
#include "server/accept_list.h"
#include "server/ingest.h"
#include "server/pcap_file.h"
#include "server/source_pcap.h"

#define N_RUNS    5
#define N_PACKETS 100000
#define OUTER     42 /* Headers in front of a datagram. */

struct frame {
    uint64_t time_ns;
    const uint8_t *data;
    size_t len;
};

static struct frame *frames;
static size_t n_frames;
static char path[] = "/tmp/bench_ingest.XXXXXX";
static struct ingest *ingest;
static uint64_t sum; /* Of what was given, so that it is not left out. */

static void
give(void *aux, const struct postcard *p)
{
    sum += p->packet_id;
}

static void
put_u32(FILE *file, uint32_t value)
{
    fwrite(&value, sizeof value, 1, file);
}

static void
add_frame(FILE *file, const struct gen_frame *from, size_t *allocated)
{
    uint8_t *data = lh_alloc(from->len);

    memcpy(data, from->data, from->len);
    frames = lh_alloc_grow(frames, n_frames, allocated, sizeof *frames);
    frames[n_frames++] = (struct frame){from->time_ns, data, from->len};
    put_u32(file, (uint32_t) (from->time_ns / 1000000000));
    put_u32(file, (uint32_t) (from->time_ns % 1000000000));
    put_u32(file, (uint32_t) from->len);
    put_u32(file, (uint32_t) from->len);
    fwrite(data, 1, from->len, file);
}

/* The postcards, in memory and in the file; opens 'ingest' for them. */
static const char *
prepare(size_t n_packets)
{
    static const uint32_t header[] = {0xa1b23c4d, 2 | 4 << 16, 0, 0, 65535, 1};
    struct rule_cache_config rules = {0};
    struct gen_frame batch[GEN_BATCH];
    struct ingest_config config = {
        .id_config = PACKET_ID_CONFIG_INIT,
        .give = give,
    };
    struct accept_list *accept = accept_list_create();
    struct gen_config gen_config;
    struct lh_error error;
    char *trace;
    struct gen *gen;
    const char *traffic = bench_preset(&gen_config, &trace);
    FILE *file = fdopen(mkstemp(path), "w");
    size_t n, allocated = 0;

    gen_config.n_packets = n_packets;
    gen_config.snap = PACKET_ID_SNAP;
    if (!file || gen_create(&gen_config, &gen, &error) ||
        accept_list_add(accept, "0.0.0.0/0", &error)) {
        figure_die("cannot begin");
    }
    fwrite(header, sizeof header, 1, file);
    while (!gen_next(gen, batch, GEN_BATCH, &n, &error) && n) {
        for (size_t i = 0; i < n; i++) {
            add_frame(file, &batch[i], &allocated);
        }
    }
    if (fclose(file)) {
        figure_die(strerror(errno));
    }
    config.rules = rule_cache_create(&rules);
    config.accept = accept;
    ingest = ingest_create(&config);
    ingest_set_topology(ingest, gen_net_topology(gen_get_net(gen)));
    gen_destroy(gen);
    free(trace);
    return traffic;
}

static void
take_frames(void)
{
    for (size_t i = 0; i < n_frames; i++) {
        ingest_frame(ingest, INGEST_AUTO, frames[i].data, frames[i].len,
                     frames[i].time_ns);
    }
}

static void
take_datagrams(void)
{
    struct accept_address from = accept_address_ip4(frames[0].data + 26);

    for (size_t i = 0; i < n_frames; i++) {
        ingest_datagram(ingest, frames[i].data + OUTER, frames[i].len - OUTER,
                        frames[i].time_ns, &from);
    }
}

static void
read_file(void)
{
    struct pcap_file_frame frame;
    struct pcap_file *file;
    struct lh_error error;
    size_t n = 0;

    if (pcap_file_open(path, &file, &error)) {
        figure_die(error.text);
    }
    for (; !pcap_file_next(file, &frame, &error); n++) {
        sum += frame.len;
    }
    pcap_file_close(file);
    if (n != n_frames) {
        figure_die("the file does not have all frames");
    }
}

static void
read_and_take(void)
{
    struct source_pcap *source;
    struct lh_error error;
    uint64_t time_ns;

    if (source_pcap_open_file(path, INGEST_AUTO, ingest, &source, &error)) {
        figure_die(error.text);
    }
    while (!source_pcap_peek(source, &time_ns, &error)) {
        source_pcap_take(source);
    }
    source_pcap_close(source);
}

/* Nanoseconds of this thread's CPU per frame. */
static void
measure(const char *traffic, const char *metric, void (*run)(void),
        bool is_taking)
{
    double values[N_RUNS];

    for (size_t i = 0; i < N_RUNS; i++) {
        uint64_t before = ingest_counters(ingest)->postcards;
        uint64_t from = figure_ns(CLOCK_THREAD_CPUTIME_ID);

        run();
        values[i] = (double) (figure_ns(CLOCK_THREAD_CPUTIME_ID) - from) /
                    (double) n_frames;
        if (is_taking &&
            ingest_counters(ingest)->postcards - before != n_frames) {
            figure_die("not every postcard was taken");
        }
    }
    figure_print(values, N_RUNS, "ns CPU", metric, "ingest %s snap %d",
                 traffic, PACKET_ID_SNAP);
}

static void
remove_file(void)
{
    unlink(path);
}

int
main(int argc, char *argv[])
{
    const char *traffic;

    atexit(remove_file);
    traffic = prepare(argc > 1 ? strtoul(argv[1], NULL, 10) : N_PACKETS);
    measure(traffic, "take_frame", take_frames, true);
    measure(traffic, "take_datagram", take_datagrams, true);
    measure(traffic, "read_file", read_file, false);
    measure(traffic, "read_and_take", read_and_take, true);
    return sum ? EXIT_SUCCESS : EXIT_FAILURE;
}
