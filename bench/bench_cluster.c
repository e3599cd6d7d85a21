/* SPDX-License-Identifier: Apache-2.0 */
/* bench_cluster - what one server of a cluster costs, from received frame to
 * durable archive, beside one process that does it all.
 *
 * The geneve postcards of the preset mix (snap 64, five switches of 45 in a
 * fat tree for each packet) go through ingest and the pipeline of a server
 * alone to an archive; then, in the same run, the same ones through a cluster
 * and a real nats-server.  Each switch sends to one server's ingest and door,
 * and each server gets about as many postcards; 64 shards of packets and 16 of
 * histories are spread over the servers, each of which has a connection of its
 * own.  Leases, queries and the like are not in it.
 *
 * What is measured has the first core: the server alone, and one server of the
 * cluster, each a process of its own, so that its caches hold what one server
 * has.  All else is on the last core: the other servers of the cluster, in one
 * process and its one loop, nats-server, and making frames.
 *
 * Every postcard must be in a history that is archived, or be counted as a
 * double, alone and in the cluster; what all servers archive is held against
 * what is archived alone, history by history, and what differs is told.
 *
 * What is in a message, and so the cost, depends on the rate: it is RATE
 * postcards a second at each server for SECONDS, by a clock that stands while
 * nothing is fed, or while something that was sent is not acknowledged or read
 * (bench/slow_clock.h).  What NATS does by its own clock, a beat for who has
 * waited half a second, is therefore done too often.
 *
 * Reported per postcard: CPU, user and system, of the one server: from frame
 * to message (doors), of the rest of its loop (owners) and of its other
 * threads (libnats), and of NATS for all; bytes published on the bus at each
 * stage. Doors are told by the postcards of this server's door, all else by a
 * server's share of all.  As root also what receiving a postcard by UDP costs,
 * before both.
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
#include <time.h>

#include "bench/bench_alone.h"
#include "bench/bench_boost.h"
#include "bench/bench_census.h"
#include "bench/bench_frames.h"
#include "bench/bench_pin.h"
#include "bench/bench_wire.h"
#include "bench/cluster_rig.h"
#include "bench/door_map.h"
#include "bench/figure.h"
#include "bench/lone_server.h"
#include "bench/slow_clock.h"
#include "lib/lh_alloc.h"

#define SNAP      64
#define L2_LEN    18 /* Of Ethernet with one tag. */
#define N_HOPS    5
#define RATE      500000 /* Postcards a second at each server. */
#define SECONDS   2.0
#define WIRE_S    0.2     /* At each rate, of receiving. */
#define STEP_NS   5000000 /* So much is fed before all is settled. */
#define MAX_TURNS 20000   /* Until then, with the clock standing. */
#define NAP_NS    1000000 /* Of each. */
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

static void
print(const char *what, unsigned int n, const char *metric, double value,
      const char *unit)
{
    char text[128];

    snprintf(text, sizeof text, "%s of %s %u", metric, what, n);
    figure_print_one(value, unit, text, "cluster %s snap %d", traffic, SNAP);
}

/* --- A cluster. ---------------------------------------------------------- */

/* A cluster that runs: one server by itself, the others here. */
struct cluster {
    struct nats nats;
    struct bench_frames frames;
    struct door_map map;
    struct lone_server *lone;
    struct cluster_rig rest;
    uint64_t n_frames; /* Fed so far. */
};

/* What was used and sent up to a moment. */
struct used {
    struct lone_used lone;
    struct cluster_sum sum; /* Of all. */
    double cards, nats_s;
};

static void
nap(long ns)
{
    const struct timespec a_little = {.tv_nsec = ns};

    nanosleep(&a_little, NULL);
}

/* A turn of the servers here. */
static void
turn(struct cluster *c)
{
    cluster_rig_run_doors(&c->rest);
    event_base_loop(c->rest.base, EVLOOP_NONBLOCK);
}

static struct cluster_sum
get_sum(struct cluster *c)
{
    struct cluster_sum sum, lone;

    cluster_rig_sum(&c->rest, &sum);
    lone_server_get_sum(c->lone, &lone);
    cluster_sum_add(&sum, &lone);
    return sum;
}

/* Whether all that was fed is archived and committed. */
static bool
is_archived(struct cluster *c)
{
    struct cluster_sum sum = get_sum(c);

    return !sum.n_busy && !sum.held && !sum.waiting &&
           sum.read == c->n_frames && sum.archived == sum.committed;
}

/* Lets what doors sent be kept and read, while the clock stands. */
static void
settle(struct cluster *c)
{
    for (int i = 0; i < MAX_TURNS; i++) {
        struct cluster_sum sum = get_sum(c);

        /* What waits for other doors' watermarks is less than that. */
        if (!sum.packed && sum.sent < sum.read + RATE / 2 * c->rest.n) {
            break;
        }
        nap(NAP_NS);
        turn(c);
    }
}

/* The clock goes on as it does, so that NATS has the time that it is given. */
static void
rest(struct cluster *c)
{
    nap(REST_NS);
    slow_clock_go(REST_NS);
    lone_server_wake(c->lone);
    turn(c);
}

/* Waits until all is archived. */
static void
end(struct cluster *c)
{
    lone_server_order(c->lone, LONE_END);
    cluster_rig_end(&c->rest);
    for (unsigned int i = 0; i % 256 || !is_archived(c); i++) {
        ck_assert_msg(i < MAX_RESTS, "not all is archived");
        rest(c);
        settle(c);
    }
}

/* All doors begin at the same time. */
static void
announce(struct cluster *c)
{
    lone_server_order(c->lone, LONE_ANNOUNCE);
    cluster_rig_announce(&c->rest);
    do {
        rest(c);
    } while (get_sum(c).n_busy);
}

static void
feed_batch(struct cluster *c)
{
    lone_server_wait(c->lone);
    for (size_t i = 0; i < c->frames.n; i++) {
        const struct gen_frame *f = &c->frames.frames[i];
        unsigned int s = door_map_find(&c->map, f);

        if (s) {
            cluster_rig_feed(&c->rest, s, f, 1);
        } else {
            lone_server_give(c->lone, f);
        }
    }
    c->n_frames += c->frames.n;
}

/* Feeds 'n_frames' in all, give or take a batch; the clock goes with it. */
static void
feed(struct cluster *c, uint64_t n_frames)
{
    uint64_t step_ns = 0;

    while (c->n_frames < n_frames && bench_frames_next(&c->frames)) {
        uint64_t ns = c->frames.n * UINT64_C(1000000000) / (RATE * c->rest.n);

        feed_batch(c);
        slow_clock_go(ns);
        step_ns += ns;
        turn(c);
        if (step_ns >= STEP_NS) {
            step_ns = 0;
            settle(c);
        }
    }
    lone_server_flush(c->lone);
    lone_server_wait(c->lone);
}

static void
add_rule(void *c_, const struct rule *rule)
{
    struct cluster *c = c_;

    lone_server_add_rule(c->lone, rule);
}

static void
open_cluster(struct cluster *c, unsigned int n, const char *archive)
{
    open_frames(&c->frames, n);
    nats_start(&c->nats, NULL);
    c->rest = (struct cluster_rig){.id_config = id_config,
                                   .nats = &c->nats,
                                   .archive = archive,
                                   .topology = c->frames.topology,
                                   .rules = c->frames.rules,
                                   .n = n,
                                   .first = 1,
                                   .end = n};
    c->lone = lone_server_start(&c->rest);
    c->frames.on_rule = add_rule;
    c->frames.aux = c;
    slow_clock_follow(lone_server_clock(c->lone));
    lone_server_order(c->lone, LONE_OPEN);
    cluster_rig_connect(&c->rest);
    cluster_rig_open(&c->rest);
}

static void
close_cluster(struct cluster *c)
{
    lone_server_close(c->lone);
    cluster_rig_close(&c->rest);
    nats_end(&c->nats);
    bench_frames_close(&c->frames);
}

/* --- Figures. ------------------------------------------------------------ */

static struct used
get_used(struct cluster *c)
{
    struct used used = {.cards = (double) c->n_frames,
                        .nats_s = bench_child_s(c->nats.pid)};

    lone_server_order(c->lone, LONE_TELL);
    lone_server_get_used(c->lone, &used.lone);
    cluster_rig_sum(&c->rest, &used.sum);
    cluster_sum_add(&used.sum, &used.lone.sum);
    return used;
}

static void
print_costs(unsigned int n, double wire_ns, double alone_ns,
            const struct used *from, const struct used *to)
{
    double cards = to->cards - from->cards, share = cards / n;
    double own = (double) (to->lone.sum.in - from->lone.sum.in);
    double doors = (to->lone.doors_s - from->lone.doors_s) * 1e9 / own;
    double owners = (to->lone.owners_s - from->lone.owners_s) * 1e9 / share;
    double others = (to->lone.others_s - from->lone.others_s) * 1e9 / share;
    double nats = (to->nats_s - from->nats_s) * 1e9 / cards;
    double all = doors + owners + others;

    print("process", n, "CPU per postcard of what is for", alone_ns, "ns");
    print("servers", n, "CPU per postcard of one", all, "ns");
    print("servers", n, "beside alone", all / alone_ns, "times");
    print("servers", n, "with NATS", (all + nats) / alone_ns, "times");
    if (wire_ns > 0) {
        print("servers", n, "CPU of receiving a postcard", wire_ns, "ns");
        print("servers", n, "from the wire, beside alone",
              (wire_ns + all) / (wire_ns + alone_ns), "times");
    }
    print("servers", n, "CPU per postcard in the doors", doors, "ns");
    print("servers", n, "CPU per postcard in the owners", owners, "ns");
    print("servers", n, "CPU per postcard in other threads", others, "ns");
    print("servers", n, "CPU of NATS per postcard", nats, "ns");
    print("servers", n, "postcards at the door to a mean", own / share,
          "times");
}

static void
print_bytes(unsigned int n, const struct used *from, const struct used *to)
{
    double cards = to->cards - from->cards;

    print("servers", n, "postcards per message",
          cards / (double) (to->sum.messages - from->sum.messages),
          "postcards");
    print("servers", n, "bytes of postcards per postcard",
          (double) (to->sum.card_bytes - from->sum.card_bytes) / cards,
          "bytes");
    print("servers", n, "bytes of histories per postcard",
          (double) (to->sum.history_bytes - from->sum.history_bytes) / cards,
          "bytes");
    print("servers", n, "bytes of snapshots per postcard",
          (double) (to->sum.snapshot_bytes - from->sum.snapshot_bytes) / cards,
          "bytes");
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
compare(struct cluster *c, struct bench_census *alone)
{
    struct bench_census census = {.n = 0};
    struct cluster_sum sum = get_sum(c);
    unsigned int n = c->rest.n;

    for (uint32_t m = 0; m < CLUSTER_RIG_STORES; m++) {
        char *path = cluster_rig_shard_path(&c->rest, m);

        bench_census_add(&census, path);
        free(path);
    }
    check_cards(&census, c->n_frames, sum.doubles);
    print("servers", n, "histories more",
          (double) census.n - (double) alone->n, "histories");
    print("servers", n, "histories that differ",
          (double) bench_census_missing(alone, &census), "histories");
    print("servers", n, "postcards in histories more",
          (double) census.n_cards - (double) alone->n_cards, "postcards");
    print("servers", n, "postcards after their time", (double) sum.late,
          "postcards");
    bench_census_uninit(&census);
}

/* How the doors of 'n' servers share the switches. */
static void
make_map(struct door_map *map, unsigned int n)
{
    struct bench_frames frames;

    open_frames(&frames, n);
    door_map_init(map, n, &frames);
    bench_frames_close(&frames);
}

/* In a process of its own, as no bus may be open when others are forked. */
START_TEST(servers)
{
    unsigned int n = 1u << _i;
    char *archive = lh_asprintf("%s/cluster-%u", dir, n);
    double wire_ns = bench_wire_ns(SNAP, &id_config, WIRE_S);
    struct bench_census alone = {.n = 0};
    struct cluster c = {.n_frames = 0};
    struct used from, to;
    double alone_ns;

    bench_pin(bench_pin_last());
    make_map(&c.map, n);
    alone_ns = run_alone(n, &alone);
    open_cluster(&c, n, archive);
    announce(&c);
    feed(&c, n_warm(n));
    from = get_used(&c);
    feed(&c, UINT64_MAX);
    to = get_used(&c);
    end(&c);
    print_costs(n, wire_ns, alone_ns, &from, &to);
    print_bytes(n, &from, &to);
    compare(&c, &alone);
    close_cluster(&c);
    bench_census_uninit(&alone);
    free(archive);
}
END_TEST

static void
make_dir(void)
{
    const char *keep = getenv("BENCH_KEEP");

    if (keep) {
        snprintf(dir, sizeof dir, "%s", keep);
    } else if (!mkdtemp(dir)) {
        figure_die_errno(dir);
    }
}

static void
remove_dir(void)
{
    char *command = lh_asprintf("rm -rf '%s'", dir);

    if (!getenv("BENCH_KEEP") && system(command)) {
        fprintf(stderr, "bench_cluster: %s is left\n", dir);
    }
    free(command);
}

/* The power of two that is not less. */
static int
logarithm(unsigned int n)
{
    int i = 0;

    while (1u << i < n) {
        i++;
    }
    return i;
}

int
main(int argc, char *argv[])
{
    Suite *suite = suite_create("bench_cluster");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    if (argc > 1) {
        seconds = strtod(argv[1], NULL);
    }
    if (argc > 2 && strtoul(argv[2], NULL, 10) < CLUSTER_RIG_SERVERS) {
        max_servers = (unsigned int) strtoul(argv[2], NULL, 10);
    }
    if (argc > 3 && strtoul(argv[3], NULL, 10)) {
        least_servers = (unsigned int) strtoul(argv[3], NULL, 10);
    }
    id_config.n_bytes = SNAP - L2_LEN;
    bench_boost();
    make_dir();
    tcase_add_loop_test(tcase, servers, logarithm(least_servers),
                        logarithm(max_servers + 1));
    tcase_set_timeout(tcase, 0);
    suite_add_tcase(suite, tcase);
    srunner_set_fork_status(runner, CK_FORK);
    srunner_run_all(runner, CK_SILENT);
    n_failed = srunner_ntests_failed(runner);
    if (n_failed) {
        srunner_print(runner, CK_NORMAL);
    }
    srunner_free(runner);
    remove_dir();
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
