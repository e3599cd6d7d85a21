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
 * process and its one loop: leases, queries and the like are not in it.
 *
 * Every postcard must be in a history that is archived, or be counted as a
 * double, alone and in the cluster; what is archived is held against what is
 * archived alone, history by history, and what differs is told.
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
 * and what is learnt once is there then.  At the end of either as much is
 * under way, so the figures end when the last frame is fed, and not when all
 * is archived.
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
#include "bench/bench_census.h"
#include "bench/bench_frames.h"
#include "bench/cluster_rig.h"
#include "bench/slow_clock.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "server/cluster_door.h"
#include "server/cluster_split.h"
#include "server/cluster_store.h"
#include "server/ingest.h"
#include "server/store_disk.h"

#define SNAP      64
#define L2_LEN    18 /* Of Ethernet with one tag. */
#define N_HOPS    5
#define RATE      500000 /* Postcards a second at each server. */
#define SECONDS   2.0
#define STEP_NS   5000000 /* So much is fed before all is settled. */
#define MAX_TURNS 20000   /* Until then, with the clock standing. */
#define REST_NS   200000  /* At a time when nothing is fed any more. */
#define MAX_RESTS 1000000

static struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;
static double seconds = SECONDS;
static unsigned int max_servers = CLUSTER_RIG_SERVERS, least_servers = 1;
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

/* What was used and sent up to a moment. */
struct used {
    double cards;
    double all_s, loop_s, doors_s, nats_s;
    double messages, card_bytes, history_bytes, snapshot_bytes;
};

/* A turn of the doors and of the loop. */
static void
turn(struct cluster_rig *c)
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
count_archived(const struct cluster_rig *c)
{
    struct cluster_store_counters counters;
    uint64_t n = 0;

    for (uint32_t m = 0; m < CLUSTER_RIG_STORES; m++) {
        cluster_store_get_counters(c->stores[m], &counters);
        n += counters.archived;
    }
    return n;
}

/* Whether all that was fed is archived and committed. */
static bool
is_archived(const struct cluster_rig *c)
{
    struct cluster_split_counters counters;
    uint64_t n_cards = 0, n_histories = 0;

    for (unsigned int s = 0; s < c->n; s++) {
        if (!cluster_door_is_idle(c->doors[s])) {
            return false;
        }
    }
    for (uint32_t k = 0; k < CLUSTER_RIG_SHARDS; k++) {
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
feed_batch(struct cluster_rig *c)
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
is_settled(const struct cluster_rig *c)
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
    for (uint32_t k = 0; k < CLUSTER_RIG_SHARDS; k++) {
        struct cluster_split_counters counters;

        cluster_split_get_counters(c->splits[k], &counters);
        n_read += counters.postcards;
    }
    /* What waits for other doors' watermarks is less than that. */
    return n_sent < n_read + RATE / 2 * c->n;
}

/* Waits a little; false: for nothing. */
static bool
wait_a_little(struct cluster_rig *c)
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
settle(struct cluster_rig *c)
{
    for (int i = 0; i < MAX_TURNS && wait_a_little(c); i++) {
        turn(c);
    }
}

/* The clock goes on as it does, so that NATS has the time that it is given. */
static void
rest(struct cluster_rig *c)
{
    const struct timespec rest = {.tv_nsec = REST_NS};
    double before = bench_thread_s();

    nanosleep(&rest, NULL);
    c->bench_s += bench_thread_s() - before;
    slow_clock_go(REST_NS);
}

/* Waits until all is archived. */
static void
end(struct cluster_rig *c)
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

/* All doors begin at the same time. */
static void
announce(struct cluster_rig *c)
{
    for (unsigned int s = 0; s < c->n; s++) {
        cluster_door_announce(c->doors[s]);
    }
    for (unsigned int s = 0; s < c->n; s++) {
        while (!cluster_door_is_idle(c->doors[s])) {
            rest(c);
            turn(c);
        }
    }
}

/* Feeds 'n_frames' in all, give or take a batch; the clock goes with it. */
static void
feed(struct cluster_rig *c, uint64_t n_frames)
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
add_bytes(const struct cluster_rig *c, struct used *used)
{
    for (unsigned int s = 0; s < c->n; s++) {
        struct cluster_door_counters counters;

        cluster_door_get_counters(c->doors[s], &counters);
        used->card_bytes += (double) counters.bytes;
        used->messages += (double) counters.messages;
    }
    for (uint32_t k = 0; k < CLUSTER_RIG_SHARDS; k++) {
        struct cluster_split_counters counters;

        cluster_split_get_counters(c->splits[k], &counters);
        used->history_bytes += (double) counters.tentative_bytes;
        used->snapshot_bytes += (double) counters.snapshot_bytes;
    }
}

static struct used
get_used(const struct cluster_rig *c)
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
print_each(const struct cluster_rig *c, const char *metric, double value,
           double cards, const char *unit)
{
    print("servers", c->n, metric, value / cards, unit);
}

static void
print_used(const struct cluster_rig *c, double alone_ns,
           const struct used *from, const struct used *to)
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

/* Every one of 'n_frames' postcards is in a history, or a double of one. */
static void
check_cards(const struct bench_census *census, uint64_t n_frames,
            uint64_t n_doubles)
{
    ck_assert_uint_eq(census->n_cards + n_doubles, n_frames);
}

/* Returns the CPU of a postcard. */
static double
run_alone(unsigned int n, struct bench_census *census)
{
    char *archive = lh_asprintf("%s/alone-%u", dir, n);
    struct bench_frames frames;
    struct counters counters;
    double ns;

    open_frames(&frames, n);
    ns = bench_alone(&frames, &id_config, n_warm(n), archive, &counters);
    bench_census_add(census, archive);
    check_cards(census,
                counters.assembled + counters.duplicates + counters.ambiguous,
                counters.duplicates + counters.ambiguous);
    bench_frames_close(&frames);
    free(archive);
    return ns;
}

/* What the owners counted, and what is archived. */
static void
compare(struct cluster_rig *c, const char *archive, struct bench_census *alone)
{
    struct bench_census census = {.n = 0};
    uint64_t n_doubles = 0, n_late = 0;

    for (uint32_t k = 0; k < CLUSTER_RIG_SHARDS; k++) {
        struct cluster_split_counters n;

        cluster_split_get_counters(c->splits[k], &n);
        n_doubles += n.paths.duplicates + n.paths.ambiguous;
        n_late += n.late;
    }
    for (uint32_t m = 0; m < CLUSTER_RIG_STORES; m++) {
        char *path = store_disk_path(archive, m);

        bench_census_add(&census, path);
        free(path);
    }
    check_cards(&census, c->n_frames, n_doubles);
    print("servers", c->n, "histories more",
          (double) census.n - (double) alone->n, "histories");
    print("servers", c->n, "histories that differ",
          (double) bench_census_missing(alone, &census), "histories");
    print("servers", c->n, "postcards in histories more",
          (double) census.n_cards - (double) alone->n_cards, "postcards");
    print("servers", c->n, "postcards after their time", (double) n_late,
          "postcards");
    bench_census_uninit(&census);
}

static void
run_cluster(unsigned int n)
{
    char *archive = lh_asprintf("%s/cluster-%u", dir, n);
    struct bench_census alone = {.n = 0};
    double alone_ns = run_alone(n, &alone);
    struct used from, to;
    struct cluster_rig c = {.id_config = id_config};

    open_frames(&c.frames, n);
    cluster_rig_open(&c, n, archive);
    announce(&c);
    feed(&c, n_warm(n));
    from = get_used(&c);
    feed(&c, UINT64_MAX);
    to = get_used(&c);
    end(&c);
    print_used(&c, alone_ns, &from, &to);
    compare(&c, archive, &alone);
    cluster_rig_close(&c);
    bench_census_uninit(&alone);
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
    if (argc > 2 && strtoul(argv[2], NULL, 10) < CLUSTER_RIG_SERVERS) {
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
