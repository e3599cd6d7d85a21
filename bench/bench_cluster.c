/* SPDX-License-Identifier: Apache-2.0 */
/* bench_cluster - what a cluster's way from received frame to durable archive
 * costs, beside that of one process.
 *
 * The geneve postcards of the preset mix (snap 64, five switches of 45 in a
 * fat tree for each packet) go through ingest and the pipeline of a server
 * alone to an archive; then, in the same run, the same ones through a cluster
 * and a real nats-server: each switch sends to one server's ingest and door;
 * 64 shards of packets and 16 of histories are spread over the servers, each
 * of which has a connection of its own.  All servers of a cluster are in this
 * process and its one loop: leases, queries and the like are not in it.  Every
 * postcard must be archived; how many histories more they are than alone is
 * told.
 *
 * What is in a message, and so the cost, depends on the rate: it is RATE
 * postcards a second at each server for SECONDS, by a clock that stands while
 * nothing is fed, or while something that was sent is not acknowledged or read
 * (bench/slow_clock.h).  What NATS does by its own clock, a beat for who has
 * waited half a second, is therefore done too often.
 *
 * Reported per postcard: CPU, user and system, of making messages (doors), of
 * the rest of the servers' loop (owners) and of their other threads (bus); of
 * NATS; bytes published on the bus at each stage.
 *
 * Before that the same goes for as long, and is not in the figures: what grows
 * and what is learnt once is there then.
 *
 * usage: bench_cluster [SECONDS [SERVERS [LEAST]]]   (2; 8 at most, 1)
 * $BENCH_KEEP: a directory that the archives are left in. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_alone.h"
#include "bench/bench_done.h"
#include "bench/bench_frames.h"
#include "bench/slow_clock.h"
#include "lib/bus_kv.h"
#include "lib/bus_stream.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "server/cluster_codecs.h"
#include "server/cluster_door.h"
#include "server/cluster_split.h"
#include "server/cluster_store.h"
#include "server/ingest.h"
#include "server/path_kit.h"
#include "server/rule_cache.h"
#include "tests/lib/nats_fixture.h"

#define MAX_SERVERS 8
#define N_SHARDS    64
#define N_STORES    16
#define SNAP        64
#define L2_LEN      18 /* Of Ethernet with one tag. */
#define N_HOPS      5
#define RATE        500000 /* Postcards a second at each server. */
#define SECONDS     2.0
#define STEP_NS     5000000 /* So much is fed before all is settled. */
#define MAX_TURNS   20000   /* Until then, with the clock standing. */
#define REST_NS     200000  /* At a time when nothing is fed any more. */
#define MAX_RESTS   1000000

static struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;
static double seconds = SECONDS;
static unsigned int max_servers = MAX_SERVERS, least_servers = 1;
static char dir[4096] = "/tmp/bench_cluster.XXXXXX";
static const char *traffic = "mix";

static void
open_frames(struct bench_frames *frames, unsigned int n_servers)
{
    uint64_t rate = RATE / N_HOPS * n_servers;

    bench_frames_open(frames, 2 * (size_t) (seconds * (double) rate), rate,
                      SNAP);
    traffic = frames->traffic;
}

/* --- Figures. ------------------------------------------------------------ */

static void
print(const char *what, unsigned int n, const char *metric, double value,
      const char *unit)
{
    printf("{\"bench\":\"cluster %s snap %d\",\"metric\":\"%s of %s %u\","
           "\"value\":%.2f,\"unit\":\"%s\",\"runs\":1,\"min\":%.2f,"
           "\"max\":%.2f}\n",
           traffic, SNAP, metric, what, n, value, unit, value, value);
    fflush(stdout);
}

static void
remove_dir(void)
{
    char *command = lh_asprintf("rm -rf '%s'", dir);

    if (system(command)) {
        fprintf(stderr, "bench_cluster: %s is left\n", dir);
    }
    free(command);
}

/* --- A cluster. ---------------------------------------------------------- */

struct cluster {
    unsigned int n;
    struct nats nats;
    struct event_base *base;
    struct bus *buses[MAX_SERVERS];
    struct ingest *ingests[MAX_SERVERS];
    struct cluster_door *doors[MAX_SERVERS];
    struct path_kit *kits[MAX_SERVERS];
    struct cluster_codecs *codecs[MAX_SERVERS];
    struct cluster_split *splits[N_SHARDS];
    struct cluster_store *stores[N_STORES];
    struct bench_frames frames;
    size_t n_frames; /* Fed so far. */
    double doors_s;  /* CPU of that, */
    double bench_s;  /* and of waiting and looking here. */
};

/* What was used and sent up to a moment. */
struct used {
    double cards;
    double all_s, loop_s, doors_s, nats_s;
    double messages, card_bytes, history_bytes, snapshot_bytes;
};

static void
make_streams(struct cluster *c)
{
    static const char *const names[][2] = {
        {"LH1", "lh.1.*"}, {"LHS", "lh.s.*"}, {"LH2", "lh.2.*"}};
    static const char *const buckets[] = {"lh-commit-1", "lh-commit-2"};
    size_t n = 5;

    for (size_t i = 0; i < 3; i++) {
        const struct bus_stream_config stream = {.name = names[i][0],
                                                 .subjects = names[i][1],
                                                 .max_bytes = 1u << 30,
                                                 .discards_new = true};

        ck_assert_int_eq(bus_stream_create(c->buses[0], &stream, 20000,
                                           bench_done_take, &n, NULL),
                         0);
    }
    for (size_t i = 0; i < 2; i++) {
        const struct bus_kv_config bucket = {.bucket = buckets[i],
                                             .max_bytes = 8u << 20};

        ck_assert_int_eq(bus_kv_create(c->buses[0], &bucket, 20000,
                                       bench_done_take, &n, NULL),
                         0);
    }
    bench_done_wait(c->base, &n);
}

static void
on_split(void *aux, struct cluster_split *split, enum cluster_split_event e)
{
    ck_assert_int_ne(e, CLUSTER_SPLIT_FENCED);
}

static void
on_store(void *aux, struct cluster_store *store, enum cluster_store_event e)
{
    ck_assert_int_ne(e, STORE_FENCED);
}

static void
give_door(void *door, const struct postcard *p)
{
    cluster_door_add(door, p);
}

static void
open_server(struct cluster *c, unsigned int s)
{
    const struct cluster_door_config door = {.bus = c->buses[s],
                                             .n_shards = N_SHARDS,
                                             .id_config = id_config,
                                             .is_file = true};
    struct ingest_config ingest = {
        .id_config = id_config, .give = give_door, .rules = c->frames.rules};

    c->codecs[s] = cluster_codecs_create(&id_config);
    c->kits[s] = path_kit_create(true);
    ck_assert_ptr_nonnull(c->kits[s]);
    path_kit_set_topology(c->kits[s], c->frames.topology);
    c->doors[s] = cluster_door_create(&door);
    ingest.aux = c->doors[s];
    c->ingests[s] = ingest_create(&ingest);
    ingest_set_topology(c->ingests[s], c->frames.topology);
}

static void
open_cluster(struct cluster *c, unsigned int n, const char *archive)
{
    *c = (struct cluster){.n = n};
    open_frames(&c->frames, n);
    slow_clock_go(0);
    c->base = event_base_new();
    nats_start(&c->nats, NULL);
    for (unsigned int s = 0; s < n; s++) {
        c->buses[s] = nats_open(&c->nats, c->base);
    }
    make_streams(c);
    for (unsigned int s = 0; s < n; s++) {
        open_server(c, s);
    }
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        const struct cluster_split_config split = {
            .bus = c->buses[k % n],
            .shard = k,
            .epoch = 1,
            .n_stores = N_STORES,
            .silent_ns = UINT64_MAX / 4, /* NATS has another clock. */
            .id_config = id_config,
            .is_lossless = true,
            .kit = c->kits[k % n],
            .codecs = c->codecs[k % n],
            .rules = c->frames.rules,
            .on_event = on_split};

        c->splits[k] = cluster_split_create(&split);
        cluster_split_set_topology(c->splits[k], c->frames.topology, 0);
    }
    for (uint32_t m = 0; m < N_STORES; m++) {
        const struct cluster_store_config store = {.bus = c->buses[m % n],
                                                   .stream = "LH2",
                                                   .subject = "lh.2",
                                                   .bucket = "lh-commit-2",
                                                   .shard = m,
                                                   .slot = m,
                                                   .epoch = 1,
                                                   .dir = archive,
                                                   .codecs = c->codecs[m % n],
                                                   .packet_id = id_config,
                                                   .on_event = on_store};

        c->stores[m] = cluster_store_create(&store);
        cluster_store_set_topology(c->stores[m], c->frames.topology, 0);
    }
}

static void
close_cluster(struct cluster *c)
{
    for (uint32_t m = 0; m < N_STORES; m++) {
        cluster_store_destroy(c->stores[m]);
    }
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        cluster_split_destroy(c->splits[k]);
    }
    for (unsigned int s = 0; s < c->n; s++) {
        ingest_destroy(c->ingests[s]);
        cluster_door_destroy(c->doors[s]);
        path_kit_destroy(c->kits[s]);
        cluster_codecs_unref(c->codecs[s]);
        bus_close(c->buses[s]);
    }
    nats_end(&c->nats);
    event_base_free(c->base);
    bench_frames_close(&c->frames);
}

/* A turn of the doors and of the loop. */
static void
turn(struct cluster *c)
{
    double before = bench_thread_s();

    for (unsigned int s = 0; s < c->n; s++) {
        cluster_door_run(c->doors[s], monotonic_ns());
    }
    c->doors_s += bench_thread_s() - before;
    event_base_loop(c->base, EVLOOP_NONBLOCK);
}

/* Histories that are archived and committed. */
static uint64_t
count_archived(const struct cluster *c)
{
    struct cluster_store_counters counters;
    uint64_t n = 0;

    for (uint32_t m = 0; m < N_STORES; m++) {
        cluster_store_get_counters(c->stores[m], &counters);
        n += counters.archived;
    }
    return n;
}

/* Whether all that was fed is archived and committed. */
static bool
is_archived(const struct cluster *c)
{
    struct cluster_split_counters counters;
    uint64_t n_cards = 0, n_histories = 0;

    for (unsigned int s = 0; s < c->n; s++) {
        if (!cluster_door_is_idle(c->doors[s])) {
            return false;
        }
    }
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        cluster_split_get_counters(c->splits[k], &counters);
        if (counters.paths.held || counters.waiting) {
            return false;
        }
        n_cards += counters.postcards;
        n_histories += counters.committed;
    }
    return n_cards == c->n_frames && count_archived(c) == n_histories;
}

static void
feed_batch(struct cluster *c)
{
    double before = bench_thread_s();

    for (size_t i = 0; i < c->frames.n; i++) {
        const struct gen_frame *f = &c->frames.frames[i];
        /* By the switch's address, of the outer IP header. */
        unsigned int s = f->data[29] % c->n;

        ingest_frame(c->ingests[s], INGEST_AUTO, f->data, f->len, f->time_ns);
    }
    c->doors_s += bench_thread_s() - before;
    c->n_frames += c->frames.n;
}

/* Whether what doors sent is kept and read. */
static bool
is_settled(const struct cluster *c)
{
    uint64_t n_sent = 0, n_read = 0;

    for (unsigned int s = 0; s < c->n; s++) {
        struct cluster_door_counters counters;

        cluster_door_get_counters(c->doors[s], &counters);
        n_sent += counters.acknowledged;
        if (counters.packed_bytes) {
            return false;
        }
    }
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        struct cluster_split_counters counters;

        cluster_split_get_counters(c->splits[k], &counters);
        n_read += counters.postcards;
    }
    /* What waits for other doors' watermarks is less than that. */
    return n_sent < n_read + RATE / 2 * c->n;
}

/* Waits a little; false: for nothing. */
static bool
wait_a_little(struct cluster *c)
{
    const struct timespec little = {.tv_nsec = 1000000};
    double before = bench_thread_s();
    bool waits = !is_settled(c);

    if (waits) {
        nanosleep(&little, NULL);
    }
    c->bench_s += bench_thread_s() - before;
    return waits;
}

/* Lets all settle, while the clock stands. */
static void
settle(struct cluster *c)
{
    for (int i = 0; i < MAX_TURNS && wait_a_little(c); i++) {
        turn(c);
    }
}

/* The clock goes on as it does, so that NATS has the time that it is given. */
static void
rest(struct cluster *c)
{
    const struct timespec rest = {.tv_nsec = REST_NS};
    double before = bench_thread_s();

    nanosleep(&rest, NULL);
    c->bench_s += bench_thread_s() - before;
    slow_clock_go(REST_NS);
}

/* Waits until all is archived. */
static void
end(struct cluster *c)
{
    for (unsigned int s = 0; s < c->n; s++) {
        cluster_door_end(c->doors[s]);
    }
    for (unsigned int i = 0; i % 256 || !is_archived(c); i++) {
        ck_assert_msg(i < MAX_RESTS, "not all is archived");
        rest(c);
        turn(c);
        settle(c);
    }
}

/* Feeds 'n_frames' in all, give or take a batch; the clock goes with it. */
static void
feed(struct cluster *c, uint64_t n_frames)
{
    uint64_t step_ns = 0;

    while (c->n_frames < n_frames && bench_frames_next(&c->frames)) {
        uint64_t ns = c->frames.n * UINT64_C(1000000000) / (RATE * c->n);

        feed_batch(c);
        slow_clock_go(ns);
        step_ns += ns;
        turn(c);
        if (step_ns >= STEP_NS) {
            step_ns = 0;
            settle(c);
        }
    }
}

static void
add_bytes(const struct cluster *c, struct used *used)
{
    for (unsigned int s = 0; s < c->n; s++) {
        struct cluster_door_counters counters;

        cluster_door_get_counters(c->doors[s], &counters);
        used->card_bytes += (double) counters.bytes;
        used->messages += (double) counters.messages;
    }
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        struct cluster_split_counters counters;

        cluster_split_get_counters(c->splits[k], &counters);
        used->history_bytes += (double) counters.tentative_bytes;
        used->snapshot_bytes += (double) counters.snapshot_bytes;
    }
}

static struct used
get_used(const struct cluster *c)
{
    double bench_s = c->frames.made_s + c->bench_s;
    struct used used = {.cards = (double) c->n_frames,
                        .all_s = bench_process_s() - bench_s,
                        .loop_s = bench_thread_s() - bench_s,
                        .doors_s = c->doors_s,
                        .nats_s = bench_child_s(c->nats.pid)};

    add_bytes(c, &used);
    return used;
}

static void
print_each(const struct cluster *c, const char *metric, double value,
           double cards, const char *unit)
{
    print("servers", c->n, metric, value / cards, unit);
}

static void
print_used(const struct cluster *c, double alone_ns, const struct used *from,
           const struct used *to)
{
    double cards = to->cards - from->cards;
    double all = (to->all_s - from->all_s) * 1e9;
    double loop = (to->loop_s - from->loop_s) * 1e9;
    double doors = (to->doors_s - from->doors_s) * 1e9;
    double nats = (to->nats_s - from->nats_s) * 1e9;

    print("process", c->n, "CPU per postcard of what is for", alone_ns, "ns");
    print_each(c, "CPU per postcard", all, cards, "ns");
    print_each(c, "beside alone", all / alone_ns, cards, "times");
    print_each(c, "with NATS", (all + nats) / alone_ns, cards, "times");
    print_each(c, "CPU per postcard in the doors", doors, cards, "ns");
    print_each(c, "CPU per postcard in the owners", loop - doors, cards, "ns");
    print_each(c, "CPU per postcard in other threads", all - loop, cards,
               "ns");
    print_each(c, "CPU of NATS per postcard", nats, cards, "ns");
    print_each(c, "postcards per message", cards,
               to->messages - from->messages, "postcards");
    print_each(c, "bytes of postcards per postcard",
               to->card_bytes - from->card_bytes, cards, "bytes");
    print_each(c, "bytes of histories per postcard",
               to->history_bytes - from->history_bytes, cards, "bytes");
    print_each(c, "bytes of snapshots per postcard",
               to->snapshot_bytes - from->snapshot_bytes, cards, "bytes");
}

/* Postcards that are not in the figures. */
static uint64_t
n_warm(unsigned int n)
{
    return (uint64_t) (seconds * RATE) * n;
}

static uint64_t
run_alone(unsigned int n, double *ns)
{
    char *archive = lh_asprintf("%s/alone-%u", dir, n);
    struct bench_frames frames;
    uint64_t n_histories;

    open_frames(&frames, n);
    n_histories = bench_alone(&frames, &id_config, n_warm(n), archive, ns);
    bench_frames_close(&frames);
    free(archive);
    return n_histories;
}

static void
run_cluster(unsigned int n)
{
    char *archive = lh_asprintf("%s/cluster-%u", dir, n);
    struct used from, to;
    struct cluster c;
    double alone_ns;
    uint64_t expected = run_alone(n, &alone_ns);

    open_cluster(&c, n, archive);
    feed(&c, n_warm(n));
    from = get_used(&c);
    feed(&c, UINT64_MAX);
    end(&c);
    to = get_used(&c);
    print_used(&c, alone_ns, &from, &to);
    print("servers", n, "histories more",
          (double) count_archived(&c) - (double) expected, "histories");
    close_cluster(&c);
    free(archive);
}

START_TEST(all)
{
    const char *keep = getenv("BENCH_KEEP");

    id_config.n_bytes = SNAP - L2_LEN;
    if (keep) {
        snprintf(dir, sizeof dir, "%s", keep);
    } else {
        ck_assert_ptr_nonnull(mkdtemp(dir));
        atexit(remove_dir);
    }
    for (unsigned int n = least_servers; n <= max_servers; n *= 2) {
        run_cluster(n);
    }
}
END_TEST

int
main(int argc, char *argv[])
{
    Suite *suite = suite_create("bench_cluster");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    if (argc > 1) {
        seconds = strtod(argv[1], NULL);
    }
    if (argc > 2 && strtoul(argv[2], NULL, 10) < MAX_SERVERS) {
        max_servers = (unsigned int) strtoul(argv[2], NULL, 10);
    }
    if (argc > 3 && strtoul(argv[3], NULL, 10)) {
        least_servers = (unsigned int) strtoul(argv[3], NULL, 10);
    }
    tcase_add_test(tcase, all);
    tcase_set_timeout(tcase, 0);
    suite_add_tcase(suite, tcase);
    /* The fixture of NATS speaks Check. */
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_SILENT);
    int n_failed = srunner_ntests_failed(runner);

    if (n_failed) {
        srunner_print(runner, CK_NORMAL);
    }
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
