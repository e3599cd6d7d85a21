/* SPDX-License-Identifier: Apache-2.0 */
/* bench_paths - what it costs to make histories of postcards, in one path
 * table and in those of a cluster's shards.
 *
 * The postcards of bench_cluster, at the same rate, decoded and in order of
 * time.  After each 20 ms of that every shard gets its own, as it does from
 * messages of doors; the first half is not counted, when ways and flows are
 * learnt.
 *
 *   one     one server's share, in one table
 *   shards  the same in the tables of that server's shards
 *   all     all servers' postcards, in the tables of all shards, with
 *           one kit for each server
 *
 * With SWEEP so many KiB of other memory are written to before each time a
 * shard gets its postcards, as if there were other work.
 *
 * usage: bench_paths [one|shards|all [SECONDS [SERVERS [SWEEP]]]]
 *        (default all of them, 1 8 0) */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_frames.h"
#include "bench/bench_out.h"
#include "bench/figure.h"
#include "lib/lh_alloc.h"
#include "server/cluster_codecs.h"
#include "server/cluster_outbox.h"
#include "server/cluster_wire.h"
#include "server/ingest.h"
#include "server/path_kit.h"
#include "server/path_table.h"
#include "server/rule_cache.h"

#define N_SHARDS    64
#define MAX_SERVERS 64
#define N_STORES    16
#define SNAP        64
#define L2_LEN      18 /* Of Ethernet with one tag. */
#define N_HOPS      5
#define RATE        500000 /* Postcards a second at each server. */
#define STEP_NS     UINT64_C(20000000)
#define N_PACKED    10 /* Steps, until histories are packed. */

struct card {
    struct postcard p;
    uint8_t header[SNAP + 8];
};

struct shard {
    struct path_table *paths; /* Owned. */
    struct bench_out out;
    struct card *cards; /* Of this step.  Owned. */
    size_t n, allocated;
};

static struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;
static struct bench_frames frames;
static struct path_kit *kits[MAX_SERVERS];
static struct cluster_codecs *codecs[MAX_SERVERS];
static struct shard shards[N_SHARDS];
static unsigned int n_servers = 8;
static bool is_one, is_all, is_counting;
static uint8_t *other;
static size_t other_size;
static struct bench_out_n n_out;
static uint64_t n_cards, spent_ns;

static void
take_card(void *aux, const struct postcard *p)
{
    unsigned int k = cluster_wire_shard(p, N_SHARDS);
    struct shard *shard = &shards[is_one ? 0 : k];
    struct card *card;

    if (!is_all && k % n_servers) {
        return;
    }
    if (p->caplen > sizeof card->header) {
        figure_die("a header is too long");
    }
    shard->cards = lh_alloc_grow(shard->cards, shard->n, &shard->allocated,
                                 sizeof *shard->cards);
    card = &shard->cards[shard->n++];
    card->p = *p;
    memcpy(card->header, p->header, p->caplen);
}

static void
sweep(void)
{
    for (size_t i = 0; i < other_size; i += 64) {
        other[i]++;
    }
}

/* Gives the shard its postcards, as a cluster's owner does. */
static inline __attribute__((always_inline)) void
give_cards(struct shard *shard, uint64_t time_ns)
{
    for (size_t i = 0; i < shard->n; i++) {
        const struct postcard *p = &shard->cards[i].p;

        if (p->time_ns >= path_table_next_ns(shard->paths)) {
            path_table_run(shard->paths, p->time_ns);
        }
        path_table_lead(shard->paths, p->time_ns);
        path_table_push_apart(shard->paths, p);
    }
    path_table_drain(shard->paths);
    path_table_run(shard->paths, time_ns);
}

/* For profilers two functions: of the half that is not counted, and of that
 * which is. */
static __attribute__((noipa)) void
learn_cards(struct shard *shard, uint64_t time_ns)
{
    give_cards(shard, time_ns);
}

static __attribute__((noipa)) void
count_cards(struct shard *shard, uint64_t time_ns)
{
    give_cards(shard, time_ns);
}

static void
run_shard(struct shard *shard, uint64_t time_ns)
{
    uint64_t start;

    sweep();
    for (size_t i = 0; i < shard->n; i++) {
        shard->cards[i].p.header = shard->cards[i].header;
    }
    start = figure_ns(CLOCK_THREAD_CPUTIME_ID);
    if (is_counting) {
        count_cards(shard, time_ns);
    } else {
        learn_cards(shard, time_ns);
    }
    spent_ns += figure_ns(CLOCK_THREAD_CPUTIME_ID) - start;
    n_cards += shard->n;
    shard->n = 0;
}

static void
give(void *shard, uint32_t m, uint32_t part, struct byte_buf *bytes)
{
}

static void
end_step(unsigned int n, uint64_t time_ns)
{
    for (unsigned int k = 0; k < N_SHARDS; k++) {
        struct shard *shard = &shards[k];

        if (!shard->paths) {
            continue;
        }
        run_shard(shard, time_ns);
        if ((n + k) % N_PACKED == 0) {
            cluster_outbox_pack(shard->out.box, 0, give, shard);
        }
    }
}

static void
feed(struct ingest *ingest, uint64_t half_ns)
{
    uint64_t end_ns = 0;
    unsigned int n = 0;

    is_counting = false;
    while (bench_frames_next(&frames)) {
        for (size_t i = 0; i < frames.n; i++) {
            const struct gen_frame *f = &frames.frames[i];

            if (!end_ns) {
                end_ns = f->time_ns + STEP_NS;
                half_ns += f->time_ns;
            }
            if (f->time_ns >= end_ns) {
                end_step(n++, end_ns - 1);
                end_ns += STEP_NS;
            }
            if (!is_counting && f->time_ns >= half_ns) {
                is_counting = true;
                n_cards = spent_ns = 0;
                n_out = (struct bench_out_n){.histories = 0};
            }
            ingest_frame(ingest, INGEST_AUTO, f->data, f->len, f->time_ns);
        }
    }
    end_step(n, end_ns);
}

static void
open_shard(unsigned int k)
{
    const struct path_table_config config = {.id_config = id_config,
                                             .kit = kits[k % n_servers],
                                             .max_plain = SIZE_MAX,
                                             .is_driven = true,
                                             .is_timed = true,
                                             .secret = 1,
                                             .emit = bench_out_history,
                                             .emit_packet = bench_out_packet,
                                             .find_rule = bench_out_find_rule,
                                             .has_lossless =
                                                 bench_out_has_lossless,
                                             .aux = &shards[k].out};

    shards[k].paths = path_table_create(&config);
    shards[k].out = (struct bench_out){
        .box = cluster_outbox_create(codecs[k % n_servers], N_STORES),
        .rules = frames.rules,
        .n = &n_out};
    path_table_set_topology(shards[k].paths, frames.topology);
}

static void
run(const char *name, double seconds)
{
    struct ingest_config config = {.id_config = id_config, .give = take_card};
    uint64_t rate = (uint64_t) RATE / N_HOPS * n_servers;
    struct ingest *ingest;

    is_one = !strcmp(name, "one");
    is_all = !strcmp(name, "all");
    bench_frames_open(&frames, (size_t) (seconds * (double) rate), rate, SNAP);
    config.rules = frames.rules;
    for (unsigned int s = 0; s < (is_all ? n_servers : 1); s++) {
        kits[s] = path_kit_create(true);
        codecs[s] = cluster_codecs_create(&id_config);
        path_kit_set_topology(kits[s], frames.topology);
    }
    for (unsigned int k = 0; k < (is_one ? 1 : N_SHARDS); k++) {
        if (is_all || k % n_servers == 0) {
            open_shard(k);
        }
    }
    ingest = ingest_create(&config);
    ingest_set_topology(ingest, frames.topology);
    feed(ingest, (uint64_t) (seconds * 5e8));
    figure_print_one((double) spent_ns / (double) n_cards, "ns/postcard", name,
                     "paths %s, %u servers", frames.traffic, n_servers);
    figure_print_one(100 * (double) n_out.packets / (double) n_out.histories,
                     "%", "recognised", "paths %s, %u servers, %s",
                     frames.traffic, n_servers, name);
    ingest_destroy(ingest);
    for (unsigned int k = 0; k < N_SHARDS; k++) {
        path_table_destroy(shards[k].paths);
        cluster_outbox_destroy(shards[k].out.box);
        free(shards[k].cards);
        shards[k] = (struct shard){.n = 0};
    }
    for (unsigned int s = 0; s < (is_all ? n_servers : 1); s++) {
        path_kit_destroy(kits[s]);
        cluster_codecs_unref(codecs[s]);
    }
    bench_frames_close(&frames);
}

int
main(int argc, char *argv[])
{
    static const char *const names[] = {"one", "shards", "all"};
    const char *only = argc > 1 ? argv[1] : "each";
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 1;

    n_servers = argc > 3 ? (unsigned int) atoi(argv[3]) : n_servers;
    other_size = argc > 4 ? strtoul(argv[4], NULL, 10) << 10 : 0;
    if (seconds <= 0 || !n_servers || n_servers > MAX_SERVERS) {
        figure_die("usage: bench_paths [one|shards|all [SECONDS [SERVERS "
                   "[SWEEP]]]]");
    }
    other = lh_alloc_zero(other_size);
    id_config.n_bytes = SNAP - L2_LEN;
    for (size_t i = 0; i < 3; i++) {
        if (!strcmp(only, names[i]) || !strcmp(only, "each")) {
            run(names[i], seconds);
        }
    }
    free(other);
    return EXIT_SUCCESS;
}
