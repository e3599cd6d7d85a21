/* SPDX-License-Identifier: Apache-2.0 */
/* bench_split - what a postcard costs at the owner of its packet in a cluster,
 * from a door's message to packed histories, without the bus.
 *
 * "mix": the preset mix of lasthop-gen, at the packets a second that are
 * asked for, from one door, which sends what it has of each shard every 20 ms;
 * each shard makes a checkpoint every second of that.  Of stage1 the first
 * half is not counted.
 *
 *   alone       one path table that gets all postcards, and forgets what it
 *               makes of them: what a server without a cluster does here
 *   read        messages unpacked and put in the order of time
 *   paths       the same in the shards' path tables
 *   pack        histories packed for stage 2
 *   snapshot    what is open, packed
 *   stage1      read + paths + pack + snapshot
 *
 * usage: bench_split [PACKETS [RATE [SHARDS [STORES]]]]
 *        (default 400,000 100,000 64 16) */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_preset.h"
#include "bench/bench_out.h"
#include "bench/figure.h"
#include "gen/gen.h"
#include "lib/card_batch.h"
#include "lib/lh_alloc.h"
#include "lib/packet_id.h"
#include "lib/postcard_geneve.h"
#include "server/cluster_codecs.h"
#include "server/cluster_merge.h"
#include "server/cluster_outbox.h"
#include "server/cluster_snapshot.h"
#include "server/cluster_wire.h"
#include "server/path_kit.h"
#include "server/path_table.h"

#define MAX_SHARDS    4096
#define DOOR_NS       UINT64_C(20000000)
#define CHECKPOINT_NS UINT64_C(1000000000)

/* All of one 20 ms: of each shard one message. */
struct round {
    uint64_t end_ns;
    struct byte_buf *messages; /* Of each shard; empty: none. */
};

struct shard {
    struct cluster_merge *merge;
    struct path_table *paths;
    struct bench_out out;
    struct card_batch_writer *writer;
    uint64_t number;
};

static struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;
static struct gen *gen;
static struct postcard **cards;
static size_t n_cards, allocated_cards;
static struct round *rounds;
static size_t n_rounds, allocated_rounds;
static struct shard shards[MAX_SHARDS];
static uint32_t n_shards = 64, n_stores = 16;
static struct bench_out_n n_out;
static uint64_t n_batches;
static uint64_t tentative_bytes, snapshot_bytes, card_bytes;
static size_t n_counted; /* Postcards. */
static uint64_t read_ns, paths_ns, pack_ns, snapshot_ns;

static void
print(const char *traffic, const char *metric, double value, const char *unit)
{
    figure_print_one(value, unit, metric, "split %s, %u shards, %u stores",
                     traffic, n_shards, n_stores);
}

/* --- Postcards ------------------------------------------------------------
 */

static void
add_card(const struct gen_frame *frame)
{
    struct hdr outer, h;
    struct postcard p;

    if (postcard_geneve_decode_frame(frame->data, frame->len, &outer, &p) !=
        POSTCARD_OK) {
        figure_die("no postcard");
    }
    p.time_ns = frame->time_ns;
    hdr_parse(p.header, p.caplen, &h);
    p.has_id = packet_id(&id_config, p.header, p.caplen, &h, &p.packet_id) !=
               PACKET_ID_SHORT;
    cards = lh_alloc_grow(cards, n_cards, &allocated_cards, sizeof *cards);
    cards[n_cards++] = postcard_clone(&p);
}

static const char *
make_cards(size_t n_packets, uint64_t rate, char **trace)
{
    struct gen_frame batch[GEN_BATCH];
    struct gen_config config;
    struct lh_error error;
    const char *traffic = bench_preset(&config, trace);
    size_t n;

    config.n_packets = n_packets;
    config.rate = rate;
    config.snap = PACKET_ID_SNAP;
    id_config = config.id_config;
    if (gen_create(&config, &gen, &error)) {
        figure_die(error.text);
    }
    while (!gen_next(gen, batch, GEN_BATCH, &n, &error) && n) {
        for (size_t i = 0; i < n; i++) {
            add_card(&batch[i]);
        }
    }
    return traffic;
}

static void
finish_round(uint64_t end_ns)
{
    struct round *round;

    rounds =
        lh_alloc_grow(rounds, n_rounds, &allocated_rounds, sizeof *rounds);
    round = &rounds[n_rounds++];
    round->end_ns = end_ns;
    round->messages = lh_alloc_zero(n_shards * sizeof *round->messages);
    for (uint32_t k = 0; k < n_shards; k++) {
        const struct cluster_cards_head head = {
            .door = 1,
            .number = ++shards[k].number,
            .watermark_ns = end_ns,
        };
        struct byte_buf *message = &round->messages[k];

        cluster_wire_put_cards(message, &head, NULL, 0);
        if (card_batch_writer_n(shards[k].writer)) {
            card_batch_writer_finish(shards[k].writer, message);
        }
        card_bytes += message->len;
    }
}

static void
make_messages(void)
{
    uint64_t end_ns = cards[0]->time_ns + DOOR_NS;

    for (uint32_t k = 0; k < n_shards; k++) {
        shards[k].writer = card_batch_writer_create(&id_config);
    }
    for (size_t i = 0; i < n_cards; i++) {
        uint32_t k = cluster_wire_shard(cards[i], n_shards);
        bool is_new = cards[i]->time_ns > end_ns;

        if (is_new || !card_batch_writer_add(shards[k].writer, cards[i])) {
            finish_round(is_new ? end_ns : cards[i]->time_ns);
            end_ns = cards[i]->time_ns + DOOR_NS;
            card_batch_writer_add(shards[k].writer, cards[i]);
        }
    }
    finish_round(cards[n_cards - 1]->time_ns + 5000000000u);
}

/* --- Measuring ------------------------------------------------------------
 */

static const struct rule *
find_rule(void *aux, uint64_t dpid, uint32_t version)
{
    return gen_net_find_rule(gen_get_net(gen), dpid, version);
}

static void
forget(void *aux, struct history *h)
{
    n_out.histories++;
    history_destroy(h);
}

static void
forget_packet(void *aux, struct trajectory *t,
              const struct trajectory_packet *packet)
{
    n_out.histories++;
    n_out.packets++;
}

static struct path_table *
create_paths(struct path_table_config config)
{
    struct path_table *paths;

    config.find_rule = find_rule;
    config.id_config = id_config;
    paths = path_table_create(&config);
    path_table_set_topology(paths, gen_net_topology(gen_get_net(gen)));
    return paths;
}

static double
measure_alone(void)
{
    struct path_table *paths = create_paths((struct path_table_config){
        .emit = forget, .emit_packet = forget_packet});
    uint64_t start = figure_ns(CLOCK_PROCESS_CPUTIME_ID);

    for (size_t i = 0; i < n_cards; i++) {
        if (cards[i]->time_ns >= path_table_next_ns(paths)) {
            path_table_run_to(paths, cards[i]->time_ns);
        }
        path_table_push(paths, cards[i]);
    }
    path_table_flush(paths);
    start = figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
    path_table_destroy(paths);
    return (double) start / (double) n_cards;
}

static bool
on_card(void *shard_, const struct postcard *p, uint64_t time_ns)
{
    struct shard *shard = shard_;

    n_counted++;
    if (time_ns >= path_table_next_ns(shard->paths)) {
        path_table_run(shard->paths, time_ns);
    }
    path_table_lead(shard->paths, time_ns);
    path_table_push(shard->paths, p);
    return true;
}

static bool
skip_card(void *aux, const struct postcard *p, uint64_t time_ns)
{
    return true;
}

static void
on_inner(void *aux, uint64_t inner, uint64_t outer, uint64_t time_ns)
{
}

static void
give(void *aux, uint32_t store, uint32_t part, struct byte_buf *bytes)
{
    n_batches++;
    tentative_bytes += bytes->len;
}

static void
checkpoint(struct shard *shard)
{
    const struct cluster_snapshot_head head = {1, 1, 1};
    struct byte_buf *parts;
    uint64_t start = figure_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint32_t n = cluster_snapshot_put(&head, shard->writer, shard->paths,
                                      shard->merge, NULL, &parts);

    for (uint32_t i = 0; i < n; i++) {
        snapshot_bytes += parts[i].len;
        byte_buf_uninit(&parts[i]);
    }
    free(parts);
    snapshot_ns += figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
    start = figure_ns(CLOCK_PROCESS_CPUTIME_ID);
    cluster_outbox_pack(shard->out.box, 26, give, NULL);
    pack_ns += figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
}

static void
take(struct shard *shard, uint64_t seq, const struct byte_buf *message)
{
    const struct cluster_merge_message m = {
        .seq = seq,
        .stored_ns = seq,
        .data = message->data,
        .size = message->len,
    };
    struct lh_error error;

    if (cluster_merge_take(shard->merge, &m, 1, &error)) {
        figure_die(error.text);
    }
    while (cluster_merge_run(shard->merge, 1, false, 4096)) {
    }
}

/* Messages through the merge alone. */
static void
measure_read(void)
{
    uint64_t start = figure_ns(CLOCK_PROCESS_CPUTIME_ID);

    for (size_t i = 0; i < n_rounds; i++) {
        for (uint32_t k = 0; k < n_shards; k++) {
            take(&shards[k], i + 1, &rounds[i].messages[k]);
        }
    }
    read_ns = figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
}

/* Before, memory was new and ways of packets unknown. */
static void
start_counting(void)
{
    paths_ns = pack_ns = snapshot_ns = 0;
    n_batches = 0;
    n_out = (struct bench_out_n){.histories = 0};
    tentative_bytes = snapshot_bytes = 0;
    n_counted = 0;
}

static void
measure_all(void)
{
    uint64_t start, next_ns = rounds[0].end_ns + CHECKPOINT_NS;

    for (size_t i = 0; i < n_rounds; i++) {
        bool is_due = rounds[i].end_ns >= next_ns;

        if (i == n_rounds / 2) {
            start_counting();
        }
        for (uint32_t k = 0; k < n_shards; k++) {
            struct shard *shard = &shards[k];

            start = figure_ns(CLOCK_PROCESS_CPUTIME_ID);
            take(shard, i + 1, &rounds[i].messages[k]);
            path_table_run(shard->paths, cluster_merge_clock_ns(shard->merge));
            paths_ns += figure_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
            if (is_due) {
                checkpoint(shard);
            }
        }
        next_ns = is_due ? rounds[i].end_ns + CHECKPOINT_NS : next_ns;
    }
}

static void
make_merges(bool (*take_card)(void *aux, const struct postcard *, uint64_t))
{
    for (uint32_t k = 0; k < n_shards; k++) {
        cluster_merge_destroy(shards[k].merge);
        shards[k].merge = cluster_merge_create(&(struct cluster_merge_config){
            .id_config = id_config,
            .on_card = take_card,
            .on_inner = on_inner,
            .aux = &shards[k],
        });
    }
}

static void
make_shards(void)
{
    struct path_kit *kit =
        getenv("BENCH_SPLIT_ALONE") ? NULL : path_kit_create(true);

    struct cluster_codecs *codecs = cluster_codecs_create(&id_config);

    make_merges(on_card);
    for (uint32_t k = 0; k < n_shards; k++) {
        shards[k].out = (struct bench_out){
            .box = cluster_outbox_create(codecs, n_stores), .n = &n_out};
        shards[k].paths = create_paths((struct path_table_config){
            .emit = bench_out_history,
            .emit_packet =
                getenv("BENCH_SPLIT_WHOLE") ? NULL : bench_out_packet,
            .kit = kit,
            .is_driven = true,
            .secret = 1,
            .aux = &shards[k].out});
    }
}

static size_t
number(int argc, char *argv[], int i, size_t otherwise)
{
    return argc > i ? (size_t) strtoull(argv[i], NULL, 10) : otherwise;
}

int
main(int argc, char *argv[])
{
    size_t n_packets = number(argc, argv, 1, 400000);
    size_t rate = number(argc, argv, 2, 100000);
    const char *traffic;
    double alone_ns, read_per, n;
    char *trace;

    n_shards = (uint32_t) number(argc, argv, 3, n_shards);
    n_stores = (uint32_t) number(argc, argv, 4, n_stores);
    if (!n_packets || !rate || !n_shards || n_shards > MAX_SHARDS ||
        !n_stores) {
        figure_die("usage: bench_split [PACKETS [RATE [SHARDS [STORES]]]]");
    }
    traffic = make_cards(n_packets, rate, &trace);
    make_messages();
    measure_alone();
    alone_ns = measure_alone();
    make_merges(skip_card);
    measure_read();
    make_shards();
    n_out = (struct bench_out_n){.histories = 0};
    measure_all();
    print(traffic, "alone", alone_ns, "ns/postcard");
    read_per = (double) read_ns / (double) n_cards;
    n = (double) n_counted;
    print(traffic, "read", read_per, "ns/postcard");
    print(traffic, "paths", (double) paths_ns / n - read_per, "ns/postcard");
    print(traffic, "pack", (double) pack_ns / n, "ns/postcard");
    print(traffic, "snapshot", (double) snapshot_ns / n, "ns/postcard");
    print(traffic, "stage1", (double) (paths_ns + pack_ns + snapshot_ns) / n,
          "ns/postcard");
    print(traffic, "cards", (double) card_bytes / (double) n_cards,
          "bytes/postcard");
    print(traffic, "histories", (double) tentative_bytes / n,
          "bytes/postcard");
    print(traffic, "snapshots", (double) snapshot_bytes / n, "bytes/postcard");
    print(traffic, "batch", (double) n_out.histories / (double) n_batches,
          "histories");
    print(traffic, "recognised",
          100 * (double) n_out.packets / (double) n_out.histories, "%");
    return EXIT_SUCCESS;
}
