/* SPDX-License-Identifier: Apache-2.0 */
/* bench_cluster - what a cluster's way from received frame to durable archive
 * costs, beside that of one process.
 *
 * The geneve postcards of the preset mix (snap 64, five switches) are in
 * memory.  First they go through ingest and the pipeline of a server alone to
 * an archive.  Then, in the same run, through clusters of 1, 2, 4 and 8
 * servers and a real nats-server: each switch sends to one server's ingest and
 * door; 64 shards of packets and 16 of histories are spread over the servers,
 * each of which has a connection of its own.  All servers of a cluster are in
 * this process and its one loop: leases, queries and the like are not in it.
 * Every postcard must be archived; how many histories more they are than alone
 * is told.
 *
 * Doors pack what comes within 20 ms, owners commit every 200 ms and archive
 * every second, so that the cost depends on the rate: here it is RATE
 * postcards a second at each server, by the doors' clock, and the periods of
 * the owners are as much longer as the run is slower than that.
 *
 * Reported per postcard: CPU of the servers and of NATS, user and system;
 * bytes published on the bus at each stage.
 *
 * usage: bench_cluster [PACKETS [SERVERS]]   (default 100,000, and 8 at most)
 */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/bench_preset.h"
#include "gen/gen.h"
#include "lib/bus_kv.h"
#include "lib/bus_stream.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "server/cluster_door.h"
#include "server/cluster_split.h"
#include "server/cluster_store.h"
#include "server/ingest.h"
#include "server/pipeline.h"
#include "server/rule_cache.h"
#include "tests/lib/nats_fixture.h"

#define N_PACKETS   100000
#define MAX_SERVERS 8
#define N_SHARDS    64
#define N_STORES    16
#define SNAP        64
#define L2_LEN      18   /* Of Ethernet with one tag. */
#define BURST       2000 /* Frames between two looks at the loop. */
#define ROUND_MS    1000
#define COMMIT_MS   200
#define RATE        500000 /* Postcards a second at each server. */
#define REAL_RATE   100000 /* About what this process does of all. */
#define DEADLINE_MS 600000

struct frame {
    uint64_t time_ns;
    const uint8_t *data;
    size_t len;
};

static struct frame *frames;
static size_t n_frames;
static struct topology *topology;
static struct rule_cache *rules;
static const char *traffic;
static struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;
static size_t n_packets = N_PACKETS;
static unsigned int max_servers = MAX_SERVERS;
static char dir[] = "/tmp/bench_cluster.XXXXXX";

/* --- Frames. ------------------------------------------------------------- */

static void
put_rule(void *aux, const struct rule *rule)
{
    rule_cache_add(rules, rule_ref(rule));
}

static void
make_frames(void)
{
    const struct rule_cache_config rules_config = {.max_rules = 0};
    struct gen_frame batch[GEN_BATCH];
    struct gen_config config;
    struct lh_error error;
    struct gen *gen;
    size_t n, allocated = 0;
    char *trace;

    traffic = bench_preset(&config, &trace);
    config.n_packets = n_packets;
    config.snap = SNAP;
    id_config.n_bytes = SNAP - L2_LEN;
    rules = rule_cache_create(&rules_config);
    ck_assert_int_eq(gen_create(&config, &gen, &error), 0);
    while (!gen_next(gen, batch, GEN_BATCH, &n, &error) && n) {
        for (size_t i = 0; i < n; i++) {
            uint8_t *data = lh_alloc(batch[i].len);

            memcpy(data, batch[i].data, batch[i].len);
            frames =
                lh_alloc_grow(frames, n_frames, &allocated, sizeof *frames);
            frames[n_frames++] =
                (struct frame){batch[i].time_ns, data, batch[i].len};
        }
    }
    gen_net_each_version(gen_get_net(gen), put_rule, NULL);
    topology = topology_ref(gen_net_topology(gen_get_net(gen)));
    gen_destroy(gen);
    free(trace);
}

/* --- Figures. ------------------------------------------------------------ */

/* Seconds of CPU of this process. */
static double
cpu_s(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double) (u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double) (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* The same of NATS, in clock ticks. */
static double
nats_cpu_s(const struct nats *nats)
{
    char path[64], text[1024];
    unsigned long user = 0, system = 0;
    FILE *file;
    size_t n;

    snprintf(path, sizeof path, "/proc/%d/stat", (int) nats->pid);
    file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    sscanf(strrchr(text, ')') + 2,
           "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
           &system);
    return (double) (user + system) / (double) sysconf(_SC_CLK_TCK);
}

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

/* --- One process. -------------------------------------------------------- */

static void
give_pipeline(void *pipeline, const struct postcard *p)
{
    if (p->time_ns >= pipeline_next_ns(pipeline)) {
        pipeline_run_to(pipeline, p->time_ns);
    }
    pipeline_add(pipeline, p);
}

/* Histories that one process archives of all frames. */
static uint64_t
run_alone(double *ns)
{
    char *archive = lh_asprintf("%s/alone", dir);
    const struct archive_writer_config writer = {.dir = archive,
                                                 .packet_id = id_config};
    struct pipeline_config config = {.n_threads = 1,
                                     .is_file = true,
                                     .id_config = id_config,
                                     .is_lossless = true,
                                     .rules = rules};
    struct ingest_config ingest_config = {
        .id_config = id_config, .give = give_pipeline, .rules = rules};
    struct triggers *triggers = triggers_create();
    struct counters counters = {.archived = 0};
    struct ingest *ingest;
    struct pipeline *pipeline;
    struct lh_error error;
    int64_t round_ms = monotonic_ms();
    double before = cpu_s();

    ck_assert_msg(!archive_writer_open(&writer, &config.archive, NULL, &error),
                  "%s", error.text);
    config.triggers = triggers;
    pipeline = pipeline_create(&config);
    pipeline_set_topology(pipeline, topology, 0);
    ingest_config.aux = pipeline;
    ingest = ingest_create(&ingest_config);
    ingest_set_topology(ingest, topology);
    for (size_t i = 0; i < n_frames; i++) {
        ingest_frame(ingest, INGEST_AUTO, frames[i].data, frames[i].len,
                     frames[i].time_ns);
        if (i % BURST == 0) {
            pipeline_drain(pipeline);
            if (monotonic_ms() - round_ms >= ROUND_MS) {
                round_ms = monotonic_ms();
                pipeline_round(pipeline, frames[i].time_ns);
            }
        }
    }
    pipeline_drain(pipeline);
    pipeline_flush(pipeline, frames[n_frames - 1].time_ns);
    pipeline_collect(pipeline, &counters);
    *ns = (cpu_s() - before) * 1e9 / (double) n_frames;
    pipeline_destroy(pipeline);
    ingest_destroy(ingest);
    triggers_destroy(triggers);
    free(archive);
    return counters.archived;
}

/* --- A cluster. ---------------------------------------------------------- */

struct cluster {
    unsigned int n;
    struct nats nats;
    struct event_base *base;
    struct bus *buses[MAX_SERVERS];
    struct ingest *ingests[MAX_SERVERS];
    struct cluster_door *doors[MAX_SERVERS];
    struct cluster_split *splits[N_SHARDS];
    struct cluster_store *stores[N_STORES];
    uint64_t now_ns; /* Of the doors. */
};

static void
take_done(void *n, int error_number, const char *why)
{
    ck_assert_msg(!error_number, "%s", why);
    --*(int *) n;
}

static bool
is_positive(void *n)
{
    return *(int *) n > 0;
}

static void
make_streams(struct cluster *c)
{
    static const char *const names[][2] = {
        {"LH1", "lh.1.*"}, {"LHS", "lh.s.*"}, {"LH2", "lh.2.*"}};
    static const char *const buckets[] = {"lh-commit-1", "lh-commit-2"};
    int n = 5;

    for (size_t i = 0; i < 3; i++) {
        const struct bus_stream_config stream = {.name = names[i][0],
                                                 .subjects = names[i][1],
                                                 .max_bytes = 60u << 20,
                                                 .discards_new = true};

        ck_assert_int_eq(bus_stream_create(c->buses[0], &stream, 20000,
                                           take_done, &n, NULL),
                         0);
    }
    for (size_t i = 0; i < 2; i++) {
        const struct bus_kv_config bucket = {.bucket = buckets[i],
                                             .max_bytes = 8u << 20};

        ck_assert_int_eq(
            bus_kv_create(c->buses[0], &bucket, 20000, take_done, &n, NULL),
            0);
    }
    nats_loop_while(c->base, is_positive, &n);
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
        .id_config = id_config, .give = give_door, .rules = rules};

    c->doors[s] = cluster_door_create(&door);
    ingest.aux = c->doors[s];
    c->ingests[s] = ingest_create(&ingest);
    ingest_set_topology(c->ingests[s], topology);
}

/* How many times slower everything is than it would be with 'n' servers. */
static uint32_t
slower(unsigned int n)
{
    return RATE * n / REAL_RATE;
}

static void
open_cluster(struct cluster *c, unsigned int n, const char *archive)
{
    *c = (struct cluster){.n = n, .now_ns = monotonic_ns()};
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
        const struct cluster_split_config split = {.bus = c->buses[k % n],
                                                   .shard = k,
                                                   .epoch = 1,
                                                   .n_stores = N_STORES,
                                                   .interval_ms =
                                                       COMMIT_MS * slower(n),
                                                   .id_config = id_config,
                                                   .is_lossless = true,
                                                   .rules = rules,
                                                   .on_event = on_split};

        c->splits[k] = cluster_split_create(&split);
        cluster_split_set_topology(c->splits[k], topology, 0);
    }
    for (uint32_t m = 0; m < N_STORES; m++) {
        const struct cluster_store_config store = {.bus = c->buses[m % n],
                                                   .stream = "LH2",
                                                   .subject = "lh.2",
                                                   .bucket = "lh-commit-2",
                                                   .shard = m,
                                                   .epoch = 1,
                                                   .dir = archive,
                                                   .packet_id = id_config,
                                                   .round_ms =
                                                       ROUND_MS * slower(n),
                                                   .on_event = on_store};

        c->stores[m] = cluster_store_create(&store);
        cluster_store_set_topology(c->stores[m], topology, 0);
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
        bus_close(c->buses[s]);
    }
    nats_end(&c->nats);
    event_base_free(c->base);
}

/* A turn of the loop and of the doors. */
static void
turn(struct cluster *c)
{
    const struct timeval at_most = {.tv_usec = 2000};

    for (unsigned int s = 0; s < c->n; s++) {
        cluster_door_run(c->doors[s], c->now_ns);
    }
    event_base_loopexit(c->base, &at_most);
    event_base_loop(c->base, EVLOOP_ONCE);
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
    return n_cards == n_frames && count_archived(c) == n_histories;
}

static void
feed(struct cluster *c)
{
    int64_t deadline_ms = monotonic_ms() + DEADLINE_MS;

    for (size_t i = 0; i < n_frames; i++) {
        /* The switch's address, of the outer IP header. */
        unsigned int s = frames[i].data[29] % c->n;

        while (!cluster_door_has_room(c->doors[s])) {
            ck_assert_int_lt(monotonic_ms(), deadline_ms);
            c->now_ns += 2000000;
            turn(c);
        }
        ingest_frame(c->ingests[s], INGEST_AUTO, frames[i].data, frames[i].len,
                     frames[i].time_ns);
        if (i % BURST == 0) {
            c->now_ns += UINT64_C(1000000000) * BURST / (RATE * c->n);
            turn(c);
        }
    }
    for (unsigned int s = 0; s < c->n; s++) {
        cluster_door_end(c->doors[s]);
    }
}

/* Figures of a cluster of 'n' servers, which must archive 'expected'. */
static void
run_cluster(unsigned int n, uint64_t expected, double alone_ns)
{
    char *archive = lh_asprintf("%s/cluster-%u", dir, n);
    int64_t deadline_ms = monotonic_ms() + DEADLINE_MS;
    double before = cpu_s(), nats_before, ns, bytes_1 = 0, messages = 0,
           bytes_2 = 0, snapshots = 0;
    struct cluster c;

    open_cluster(&c, n, archive);
    nats_before = nats_cpu_s(&c.nats);
    before = cpu_s();
    feed(&c);
    while (!is_archived(&c)) {
        ck_assert_int_lt(monotonic_ms(), deadline_ms);
        c.now_ns += 2000000;
        turn(&c);
    }
    ns = (cpu_s() - before) * 1e9 / (double) n_frames;
    print("servers", n, "CPU per postcard", ns, "ns");
    print("servers", n, "beside alone", ns / alone_ns, "times");
    print("servers", n, "CPU of NATS per postcard",
          (nats_cpu_s(&c.nats) - nats_before) * 1e9 / (double) n_frames, "ns");
    for (unsigned int s = 0; s < n; s++) {
        struct cluster_door_counters counters;

        cluster_door_get_counters(c.doors[s], &counters);
        bytes_1 += (double) counters.bytes;
        messages += (double) counters.messages;
    }
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        struct cluster_split_counters counters;

        cluster_split_get_counters(c.splits[k], &counters);
        bytes_2 += (double) counters.tentative_bytes;
        snapshots += (double) counters.snapshot_bytes;
    }
    print("servers", n, "histories beside alone",
          (double) count_archived(&c) - (double) expected, "histories");
    print("servers", n, "postcards per message", (double) n_frames / messages,
          "postcards");
    print("servers", n, "bytes of postcards per postcard",
          bytes_1 / (double) n_frames, "bytes");
    print("servers", n, "bytes of histories per postcard",
          bytes_2 / (double) n_frames, "bytes");
    print("servers", n, "bytes of snapshots per postcard",
          snapshots / (double) n_frames, "bytes");
    close_cluster(&c);
    free(archive);
}

START_TEST(all)
{
    double alone_ns;
    uint64_t expected;

    make_frames();
    ck_assert_ptr_nonnull(mkdtemp(dir));
    atexit(remove_dir);
    expected = run_alone(&alone_ns);
    ck_assert_uint_gt(expected, 0);
    print("process", 1, "CPU per postcard", alone_ns, "ns");
    for (unsigned int n = 1; n <= max_servers; n *= 2) {
        run_cluster(n, expected, alone_ns);
    }
}
END_TEST

int
main(int argc, char *argv[])
{
    Suite *suite = suite_create("bench_cluster");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    n_packets = argc > 1 ? strtoul(argv[1], NULL, 10) : N_PACKETS;
    if (argc > 2 && strtoul(argv[2], NULL, 10) < MAX_SERVERS) {
        max_servers = (unsigned int) strtoul(argv[2], NULL, 10);
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
