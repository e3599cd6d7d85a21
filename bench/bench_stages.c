/* SPDX-License-Identifier: Apache-2.0 */
/* bench_stages - what a history costs on its way from the owner of its packet
 * to the archive of the owner of its flow, without the bus.
 *
 * The postcards of bench_cluster, at the same rate, go to 64 path tables, of
 * which those of one server share what they know.  After each second of that
 * all shards pack what they have for 16 stores, and the stores' owners read
 * and archive it; the first second is not counted.
 *
 *   pack        histories packed by their packets' owners
 *   read        the same read by their flows' owners, and forgotten
 *   archive     read and given to the archive, less what reading costs
 *   seal        blocks made of it, without the disk
 *   bytes       of messages
 *
 * usage: bench_stages [SECONDS [SERVERS [SHARDS]]]   (default 3 8 64) */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_frames.h"
#include "bench/bench_out.h"
#include "bench/figure.h"
#include "lib/archive_part.h"
#include "lib/archive_writer.h"
#include "lib/history_batch.h"
#include "lib/lh_alloc.h"
#include "server/cluster_codecs.h"
#include "server/cluster_outbox.h"
#include "server/cluster_wire.h"
#include "server/ingest.h"
#include "server/path_kit.h"
#include "server/path_table.h"
#include "server/rule_cache.h"
#include "server/store_message.h"

#define MAX_SERVERS 64
#define MAX_SHARDS  4096
#define N_STORES    16
#define SNAP        64
#define L2_LEN      18 /* Of Ethernet with one tag. */
#define N_HOPS      5
#define RATE        500000 /* Postcards a second at each server. */
#define ROUND_NS    UINT64_C(1000000000)
#define STEP_NS     UINT64_C(5000000)

struct server {
    struct path_kit *kit;
    struct cluster_codecs *codecs;
};

struct shard {
    struct path_table *paths;
    struct bench_out out;
};

struct store {
    struct archive_writer *writer;
    struct archive_part *part;
    struct history_batch_reader *reader;
    struct byte_buf *messages; /* Owned. */
    size_t n, allocated;
};

static struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;
static struct bench_frames frames;
static struct server servers[MAX_SERVERS];
static struct shard shards[MAX_SHARDS];
static struct store stores[N_STORES];
static unsigned int n_servers = 8, n_shards = 64;
static bool skips_first;
static char dir[] = "/tmp/bench_stages.XXXXXX";
static struct bench_out_n n_out;
static uint64_t n_cards, n_counted, n_messages;
static uint64_t n_read, n_whole;
static uint64_t pack_ns, read_ns, archive_ns, seal_ns, n_bytes;

static uint64_t
now_ns(void)
{
    return figure_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* --- Stage 1 ------------------------------------------------------------- */

static void
take_card(void *aux, const struct postcard *p)
{
    struct path_table *paths = shards[cluster_wire_shard(p, n_shards)].paths;

    n_cards++;
    path_table_lead(paths, p->time_ns);
    path_table_push(paths, p);
}

static void
give(void *shard, uint32_t m, uint32_t part, struct byte_buf *bytes)
{
    struct store *store = &stores[m];

    n_messages++;
    n_bytes += bytes->len;
    store->messages = lh_alloc_grow(
        store->messages, store->n, &store->allocated, sizeof *store->messages);
    store->messages[store->n++] = *bytes;
    *bytes = (struct byte_buf) BYTE_BUF_INIT;
}

static void
run_tables(uint64_t time_ns)
{
    for (unsigned int k = 0; k < n_shards; k++) {
        path_table_drain(shards[k].paths);
        path_table_run(shards[k].paths, time_ns);
    }
}

static void
pack(void)
{
    uint64_t start = now_ns();

    for (unsigned int k = 0; k < n_shards; k++) {
        cluster_outbox_pack(shards[k].out.box, STORE_MESSAGE_HEADER, give,
                            &shards[k]);
    }
    pack_ns += now_ns() - start;
}

/* --- Stage 2 ------------------------------------------------------------- */

static void
read_message(struct store *store, const struct byte_buf *message, bool keeps)
{
    struct history_batch_item item;
    struct lh_error error;
    int retval;

    history_batch_reader_want_rows(store->reader, &id_config);
    retval = history_batch_reader_open(
        store->reader, message->data + STORE_MESSAGE_HEADER,
        message->len - STORE_MESSAGE_HEADER, &error);

    while (!retval && !(retval = history_batch_reader_next(store->reader,
                                                           &item, &error))) {
        n_read++;
        n_whole += item.history != NULL;
        if (keeps && archive_part_add_item(store->part, &item, &error)) {
            figure_die(error.text);
        }
    }
    if (retval != ENODATA) {
        figure_die(error.text);
    }
}

static void
take_messages(bool keeps)
{
    for (unsigned int m = 0; m < N_STORES; m++) {
        for (size_t i = 0; i < stores[m].n; i++) {
            read_message(&stores[m], &stores[m].messages[i], keeps);
        }
    }
}

static void
archive(void)
{
    uint64_t start = now_ns(), between;

    take_messages(true);
    between = now_ns();
    archive_ns += between - start;
    for (unsigned int m = 0; m < N_STORES; m++) {
        archive_part_seal(stores[m].part);
    }
    seal_ns += now_ns() - between;
    start = now_ns();
    take_messages(false);
    read_ns += now_ns() - start;
    for (unsigned int m = 0; m < N_STORES; m++) {
        while (stores[m].n) {
            byte_buf_uninit(&stores[m].messages[--stores[m].n]);
        }
    }
}

/* --- All ----------------------------------------------------------------- */

static void
open_all(void)
{
    struct lh_error error;

    for (unsigned int s = 0; s < n_servers; s++) {
        servers[s].kit = path_kit_create(true);
        servers[s].codecs = cluster_codecs_create(&id_config);
        path_kit_set_topology(servers[s].kit, frames.topology);
    }
    for (unsigned int k = 0; k < n_shards; k++) {
        const struct path_table_config config = {
            .id_config = id_config,
            .kit = servers[k % n_servers].kit,
            .max_plain = SIZE_MAX,
            .is_driven = true,
            .emit = bench_out_history,
            .emit_packet = bench_out_packet,
            .find_rule = bench_out_find_rule,
            .has_lossless = bench_out_has_lossless,
            .aux = &shards[k].out};

        shards[k].paths = path_table_create(&config);
        shards[k].out =
            (struct bench_out){.box = cluster_outbox_create(
                                   servers[k % n_servers].codecs, N_STORES),
                               .rules = frames.rules,
                               .n = &n_out};
        path_table_set_topology(shards[k].paths, frames.topology);
    }
    for (unsigned int m = 0; m < N_STORES; m++) {
        char *path = lh_asprintf("%s/%u", dir, m);
        const struct archive_writer_config config = {.dir = path,
                                                     .packet_id = id_config};

        if (archive_writer_open(&config, &stores[m].writer, NULL, &error)) {
            figure_die(error.text);
        }
        stores[m].part = archive_part_create(stores[m].writer);
        stores[m].reader =
            cluster_codecs_history_reader(servers[m % n_servers].codecs);
        archive_part_share_shapes(
            stores[m].part,
            cluster_codecs_shapes(servers[m % n_servers].codecs));
        free(path);
    }
}

static void
print(const char *metric, double value, const char *unit)
{
    figure_print_one(value, unit, metric, "stages %s, %u servers, %u shards",
                     frames.traffic, n_servers, n_shards);
}

static void
print_all(void)
{
    double n = (double) n_counted;

    print("pack", (double) pack_ns / n, "ns/postcard");
    print("read", (double) read_ns / n, "ns/postcard");
    print("archive", ((double) archive_ns - (double) read_ns) / n,
          "ns/postcard");
    print("seal", (double) seal_ns / n, "ns/postcard");
    print("bytes", (double) n_bytes / n, "bytes/postcard");
    print("histories in a message",
          (double) n_out.histories / (double) n_messages, "histories");
    print("recognised",
          100 * (double) n_out.packets / (double) n_out.histories, "%");
    print("whole", 100 * (double) n_whole / (double) n_read, "%");
}

static void
start_counting(void)
{
    n_cards = n_messages = n_read = n_whole = 0;
    n_out = (struct bench_out_n){.histories = 0};
    pack_ns = read_ns = archive_ns = seal_ns = n_bytes = 0;
}

/* A second has been fed. */
static void
round_ended(unsigned int i, uint64_t time_ns)
{
    run_tables(time_ns);
    pack();
    archive();
    n_counted = n_cards;
    if (!i && skips_first) {
        start_counting();
    }
}

static void
feed(struct ingest *ingest)
{
    uint64_t end_ns = 0, step_ns = 0;
    unsigned int n = 0;

    while (bench_frames_next(&frames)) {
        for (size_t i = 0; i < frames.n; i++) {
            const struct gen_frame *f = &frames.frames[i];

            end_ns = end_ns ? end_ns : f->time_ns + ROUND_NS;
            if (f->time_ns >= step_ns) {
                step_ns = f->time_ns + STEP_NS;
                run_tables(f->time_ns);
            }
            if (f->time_ns >= end_ns) {
                end_ns += ROUND_NS;
                round_ended(n++, f->time_ns);
            }
            ingest_frame(ingest, INGEST_AUTO, f->data, f->len, f->time_ns);
        }
    }
    round_ended(n, end_ns);
}

static void
remove_dir(void)
{
    char *command = lh_asprintf("rm -rf '%s'", dir);

    if (system(command)) {
        fprintf(stderr, "bench_stages: %s is left\n", dir);
    }
    free(command);
}

int
main(int argc, char *argv[])
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 3;
    struct ingest_config config = {.give = take_card};
    struct ingest *ingest;
    uint64_t rate;

    n_servers = argc > 2 ? (unsigned int) atoi(argv[2]) : n_servers;
    n_shards = argc > 3 ? (unsigned int) atoi(argv[3]) : n_shards;
    if (seconds <= 0 || !n_servers || n_servers > MAX_SERVERS || !n_shards ||
        n_shards > MAX_SHARDS || !mkdtemp(dir)) {
        figure_die("usage: bench_stages [SECONDS [SERVERS [SHARDS]]]");
    }
    atexit(remove_dir);
    skips_first = seconds > 1;
    id_config.n_bytes = SNAP - L2_LEN;
    rate = (uint64_t) RATE / N_HOPS * n_servers * n_shards / 64;
    bench_frames_open(&frames, (size_t) (seconds * (double) rate), rate, SNAP);
    open_all();
    config.id_config = id_config;
    config.rules = frames.rules;
    ingest = ingest_create(&config);
    ingest_set_topology(ingest, frames.topology);
    feed(ingest);
    print_all();
    ingest_destroy(ingest);
    for (unsigned int k = 0; k < n_shards; k++) {
        path_table_destroy(shards[k].paths);
        cluster_outbox_destroy(shards[k].out.box);
    }
    for (unsigned int m = 0; m < N_STORES; m++) {
        archive_part_destroy(stores[m].part);
        archive_writer_close(stores[m].writer);
        free(stores[m].messages);
    }
    for (unsigned int s = 0; s < n_servers; s++) {
        path_kit_destroy(servers[s].kit);
        cluster_codecs_unref(servers[s].codecs);
    }
    bench_frames_close(&frames);
    return EXIT_SUCCESS;
}
