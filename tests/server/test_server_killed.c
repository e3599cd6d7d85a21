/* SPDX-License-Identifier: Apache-2.0 */
/* test_server_killed - lasthop-server killed with SIGKILL at random moments of
 * ingest, round after round on one archive.
 *
 * Each round a made-up network sends postcards of many flows by UDP while
 * rounds of the archive pass every 20 ms; what it should make of them is
 * assembled here from the same postcards.  After each kill `lasthopctl archive
 * verify` finds the archive sound, with its sums and indexes, and a query
 * gives
 *   - all that the server had said to be durable in any round, by identity:
 *     histories become durable in the order in which they were made,
 *   - nothing that was not sent, nothing that differs from what was sent but
 *     in times, and nothing twice.
 * In the end the server answers the same over its socket.
 *
 * LASTHOP_SERVER_KILLS says how many rounds (4), LASTHOP_SERVER_SEED which,
 * LASTHOP_SERVER_ROUND how often the archive is synced (20ms): with 1ms there
 * are so many small blocks that kills fall into merges, which are counted. */
#include <config.h>

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gen/gen.h"
#include "lib/hdr.h"
#include "lib/lh_alloc.h"
#include "lib/postcard_geneve.h"
#include "phf/query.h"
#include "server/path_table.h"
#include "tests/lib/archive_fixture.h"
#include "tests/lib/random_history.h"
#include "tests/server/live.h"

#define N_KILLS     4
#define MAX_LIFE_US 300000
#define N_BURST     48  /* Frames between two looks at the counters. */
#define N_AHEAD     128 /* Frames that the server need not have taken yet. */
#define FRAME_HEAD  (14 + 20 + 8) /* Ethernet, IPv4, UDP. */
#define MAX_PACKETS 2000000

static struct live live;

/* A history that the server may have archived. */
struct sent {
    struct history *history; /* Owned. */
    bool is_promised;
    bool is_stored; /* Found by the query at hand. */
};

static struct sent *all; /* Owned. */
static size_t n_all, allocated_all;
static uint64_t n_promised;
static uint64_t n_in_merge; /* Kills that left a file half merged. */
static uint64_t n_merged;   /* Files made of others that a kill left. */

/* What one life of the server is given. */
struct life {
    struct gen *gen;          /* Owned. */
    struct path_table *paths; /* Owned. */
    uint64_t n_frames;        /* Sent. */
    uint64_t time_ns;         /* That of the last. */
    uint64_t n_durable;       /* As the server said last. */
};

static uint64_t
setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* --- what is sent -------------------------------------------------------- */

static void
note(void *life, struct history *h)
{
    all = lh_alloc_grow(all, n_all, &allocated_all, sizeof *all);
    all[n_all++] = (struct sent){.history = h};
}

static const struct rule *
find_rule(void *life_, uint64_t dpid, uint32_t version)
{
    struct life *life = life_;

    return gen_net_find_rule(gen_get_net(life->gen), dpid, version);
}

static void
set_traffic(struct gen_config *config, uint64_t seed)
{
    gen_config_init(config);
    config->seed = seed;
    config->topology = "fat-tree:4";
    config->n_packets = MAX_PACKETS;
    config->traffic.n_flows = 300;
    /* Kinds that are over with their last postcard, not by a timer. */
    config->shares[GEN_NAT] = GEN_RANDOM_ALL / 10;
    config->shares[GEN_DROP] = GEN_RANDOM_ALL / 10;
}

static void
put_line(FILE *file, json_t *json)
{
    json_dumpf(json, file, JSON_COMPACT);
    putc('\n', file);
    json_decref(json);
}

static void
put_rule(void *file, const struct rule *rule)
{
    put_line(file, rule_to_json(rule));
}

/* A second stream of the same config, for the rules that packets will meet:
 * they are made as packets come. */
static void
write_network(const struct gen_config *config)
{
    char *path = lh_asprintf("%s/rules.jsonl", live.dir);
    FILE *file = fopen(path, "w");
    struct gen_config ahead = *config;
    struct gen_frame frames[GEN_BATCH];
    struct lh_error error;
    struct gen *gen;
    size_t n;

    ahead.n_packets = 20 * ahead.traffic.n_flows;
    ck_assert_int_eq(gen_create(&ahead, &gen, &error), 0);
    while (!gen_next(gen, frames, GEN_BATCH, &n, &error) && n) {
    }
    gen_net_each_version(gen_get_net(gen), put_rule, file);
    fclose(file);
    free(path);
    path = lh_asprintf("%s/topology.json", live.dir);
    file = fopen(path, "w");
    put_line(file, topology_to_json(gen_net_topology(gen_get_net(gen))));
    fclose(file);
    free(path);
    gen_destroy(gen);
}

static void
life_begin(struct life *life, uint64_t seed)
{
    struct path_table_config paths = {.emit = note,
                                      .find_rule = find_rule,
                                      .window_ns = 3600000000000u,
                                      .aux = life};
    struct gen_config config;
    struct lh_error error;

    memset(life, 0, sizeof *life);
    set_traffic(&config, seed);
    write_network(&config);
    ck_assert_int_eq(gen_create(&config, &life->gen, &error), 0);
    paths.id_config = config.id_config;
    life->paths = path_table_create(&paths);
    path_table_set_topology(life->paths,
                            gen_net_topology(gen_get_net(life->gen)));
}

/* What was begun and not finished is nobody's. */
static void
life_end(struct life *life)
{
    path_table_destroy(life->paths);
    gen_destroy(life->gen);
}

static void
assemble(struct life *life, const struct gen_frame *frame)
{
    struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;
    struct postcard p;
    struct hdr outer, h;

    ck_assert_int_eq(
        postcard_geneve_decode_frame(frame->data, frame->len, &outer, &p),
        POSTCARD_OK);
    p.time_ns = ++life->time_ns;
    hdr_parse(p.header, p.caplen, &h);
    p.has_id = packet_id(&id_config, p.header, p.caplen, &h, &p.packet_id) !=
               PACKET_ID_SHORT;
    path_table_add(life->paths, &p);
}

/* --- sending until it is dead -------------------------------------------- */

/* Kills the server from a process of its own, so that the moment depends on
 * nothing that is done here. */
static pid_t
start_killer(unsigned int after_us)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (!pid) {
        struct timespec ts = {0, (long) after_us * 1000};

        nanosleep(&ts, NULL);
        kill(live.pid, SIGKILL);
        _exit(0);
    }
    return pid;
}

/* Asks for the counters; false when the server is gone. */
static bool
ask(struct api_client *client, struct life *life, uint64_t *datagrams)
{
    struct lh_error error = {.text = "-"};
    json_t *answer;

    if (api_client_call(client, "stats", NULL, LIVE_DEADLINE_MS, &answer,
                        &error)) {
        ck_assert_msg(kill(live.pid, 0) == 0, "%s", error.text);
        return false;
    }

    json_t *stats = json_object_get(answer, "stats");

    *datagrams =
        (uint64_t) json_integer_value(json_object_get(stats, "datagrams"));
    life->n_durable =
        (uint64_t) json_integer_value(json_object_get(stats, "archived"));
    ck_assert_int_eq(
        json_integer_value(json_object_get(stats, "archive_lost")), 0);
    json_decref(answer);
    return true;
}

/* Sends a burst; false when the server is gone. */
static bool
burst(struct api_client *client, struct life *life)
{
    struct gen_frame frames[N_BURST];
    struct lh_error error = {.text = "-"};
    uint64_t datagrams = 0;
    size_t n;

    ck_assert_msg(!gen_next(life->gen, frames, N_BURST, &n, &error), "%s",
                  error.text);
    ck_assert_msg(n, "the server outlives all packets");
    for (size_t i = 0; i < n; i++) {
        /* Before it is sent: the server may be ahead of the next look. */
        assemble(life, &frames[i]);
        if (send(live.fd, frames[i].data + FRAME_HEAD,
                 frames[i].len - FRAME_HEAD, 0) < 0) {
            ck_assert_int_eq(errno, ECONNREFUSED);
            return false;
        }
        life->n_frames++;
    }
    do {
        if (!ask(client, life, &datagrams)) {
            return false;
        }
    } while (datagrams + N_AHEAD < life->n_frames);
    return true;
}

/* One life of the server, to its violent end. */
static void
live_and_die(struct gen_random *r)
{
    size_t first = n_all;
    struct life life;

    life_begin(&life, gen_random_next(r));
    live_start(&live);

    struct api_client *client = live_client(&live);
    pid_t killer = start_killer(gen_random_pick(r, MAX_LIFE_US));

    /* An error that is left from the server before. */
    send(live.fd, "", 0, 0);
    while (burst(client, &life)) {
    }
    api_client_close(client);
    ck_assert_int_eq(waitpid(killer, NULL, 0), killer);
    ck_assert_int_eq(live_stop(&live, SIGKILL), 128 + SIGKILL);
    ck_assert_uint_le(life.n_durable, n_all - first);
    for (size_t i = 0; i < life.n_durable; i++) {
        all[first + i].is_promised = true;
    }
    n_promised += life.n_durable;
    life_end(&life);
}

/* --- what must hold ------------------------------------------------------ */

static int
compare_sent(const void *a_, const void *b_)
{
    const struct sent *a = a_, *b = b_;

    return a->history->packet_id < b->history->packet_id
               ? -1
               : a->history->packet_id > b->history->packet_id;
}

/* The first with that packet ID or a higher one. */
static size_t
first_of(uint64_t packet_id)
{
    size_t low = 0, high = n_all;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (all[middle].history->packet_id < packet_id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* True when both are the same but for their times, which 'h' then has. */
static bool
is_same_but_times(struct history *h, const struct history *stored)
{
    if (h->n_hops != stored->n_hops) {
        return false;
    }
    for (size_t i = 0; i < h->n_hops; i++) {
        h->hops[i].time_ns = stored->hops[i].time_ns;
    }
    return history_is_same(h, stored);
}

/* For whoever looks into a failure. */
static void
print_both(const struct history *stored)
{
    fprintf(stderr, "stored: ");
    json_dumpf(history_to_json(stored, NULL), stderr, JSON_COMPACT);
    for (size_t i = first_of(stored->packet_id);
         i < n_all && all[i].history->packet_id == stored->packet_id; i++) {
        fprintf(stderr, "\nsent%s: ", all[i].is_stored ? " (found)" : "");
        json_dumpf(history_to_json(all[i].history, NULL), stderr,
                   JSON_COMPACT);
    }
    fputc('\n', stderr);
}

static void
give(void *aux, const struct history *stored)
{
    size_t i = first_of(stored->packet_id);

    for (; i < n_all && all[i].history->packet_id == stored->packet_id; i++) {
        if (!all[i].is_stored && is_same_but_times(all[i].history, stored)) {
            all[i].is_stored = true;
            return;
        }
    }
    print_both(stored);
    ck_abort_msg("packet %016" PRIx64
                 " is stored twice, or not as it was sent",
                 stored->packet_id);
}

static bool
is_busy(void *aux)
{
    return false;
}

static void
clear_stored(void)
{
    qsort(all, n_all, sizeof *all, compare_sent);
    for (size_t i = 0; i < n_all; i++) {
        all[i].is_stored = false;
    }
}

/* How many are stored. */
static uint64_t
count_stored(uint64_t round)
{
    uint64_t n = 0;

    for (size_t i = 0; i < n_all; i++) {
        ck_assert_msg(all[i].is_stored || !all[i].is_promised,
                      "round %" PRIu64 ": packet %016" PRIx64
                      " was durable and is gone",
                      round, all[i].history->packet_id);
        n += all[i].is_stored;
    }
    return n;
}

/* Looks at what a kill left: the name of a file that a merge was writing ends
 * with ".new", and that of one which was merged has a second number. */
static void
count_merges(const char *dir)
{
    DIR *stream = opendir(dir);
    const struct dirent *entry;

    ck_assert_ptr_nonnull(stream);
    while ((entry = readdir(stream)) != NULL) {
        const char *number = strchr(entry->d_name, '-');
        const char *end = strrchr(entry->d_name, '.');

        if (number && end && !strcmp(end, ".new")) {
            n_in_merge++;
        } else if (number && strchr(number + 1, '-')) {
            n_merged++;
        }
    }
    closedir(stream);
}

/* Compares every checksum, sum and index, and decodes every history. */
static void
verify(const char *dir, uint64_t round)
{
    char *command = lh_asprintf("bin/lasthopctl archive verify %s >&2", dir);

    ck_assert_msg(!system(command), "round %" PRIu64 ": not sound", round);
    free(command);
}

static void
check_archive(uint64_t round)
{
    char *dir = lh_asprintf("%s/archive", live.dir);

    count_merges(dir);
    verify(dir, round);

    struct archive_reader *reader = fixture_reader(dir);
    struct query_config config = {.reader = reader,
                                  .until_ns = UINT64_MAX,
                                  .give = give,
                                  .is_busy = is_busy};
    struct lh_error error;

    ck_assert(!phf_compile(".*", NULL, &config.phf, &error));
    clear_stored();

    struct query *q = query_create(&config);

    while (query_step(q) != QUERY_DONE) {
    }
    ck_assert_msg(
        !query_totals(q)->damaged && !archive_reader_n_damages(reader),
        "round %" PRIu64 ": %zu damages, %" PRIu64 " damaged blocks: %s",
        round, archive_reader_n_damages(reader), query_totals(q)->damaged,
        query_totals(q)->damage.text);

    uint64_t n = count_stored(round);

    ck_assert_uint_eq(n, query_totals(q)->n);
    printf("round %" PRIu64 ": %" PRIu64 " promised, %" PRIu64
           " stored of %zu made, %" PRIu64 " blocks\n",
           round, n_promised, n, n_all, query_totals(q)->n_blocks);
    fflush(stdout);
    query_destroy(q);
    archive_reader_close(reader);
    free(dir);
}

static struct history *
from_json(const json_t *json)
{
    struct lh_error error = {.text = "-"};
    struct history *h;

    ck_assert_msg(!history_from_json(json, &h, &error), "%s", error.text);
    return h;
}

/* Makes of all that was sent what JSON tells of it. */
static void
pass_through_json(void)
{
    for (size_t i = 0; i < n_all; i++) {
        json_t *json = history_to_json(all[i].history, NULL);

        history_destroy(all[i].history);
        all[i].history = from_json(json);
        json_decref(json);
    }
}

/* The same over the socket, in a server that found what its dead predecessors
 * left. */
static void
check_answers(uint64_t round)
{
    struct lh_error error = {.text = "-"};
    json_t *json;

    live_start(&live);
    pass_through_json();
    clear_stored();

    struct api_client *client = live_client(&live);

    ck_assert_msg(!api_client_call(client, "query",
                                   json_pack("{s:s}", "phf", ".*"),
                                   LIVE_DEADLINE_MS, NULL, &error),
                  "%s", error.text);
    while ((json = live_next(client))) {
        struct history *h = from_json(json);

        give(NULL, h);
        history_destroy(h);
        json_decref(json);
    }
    count_stored(round);
    api_client_close(client);
    ck_assert_int_eq(live_stop(&live, SIGTERM), 0);
}

static void
tear_down(void)
{
    if (live.dir) {
        live_uninit(&live);
    }
    for (size_t i = 0; i < n_all; i++) {
        history_destroy(all[i].history);
    }
    free(all);
}

START_TEST(what_was_durable_outlives_every_kill)
{
    uint64_t n_kills = setting("LASTHOP_SERVER_KILLS", N_KILLS);
    const char *every = getenv("LASTHOP_SERVER_ROUND");
    char *option = lh_asprintf("--round=%s", every ? every : "20ms");
    struct gen_random r = {setting("LASTHOP_SERVER_SEED", 1)};

    live_init(&live, "--topology=@/topology.json", "--rules=@/rules.jsonl",
              "--recorder=none", "--accept=127.0.0.1", "--window=1h", option,
              "--archive=@/archive", NULL);
    free(option);
    for (uint64_t round = 1; round <= n_kills; round++) {
        live_and_die(&r);
        check_archive(round);
    }
    printf("%" PRIu64 " of %" PRIu64 " kills fell into a merge, %" PRIu64
           " left files that were merged\n",
           n_in_merge, n_kills, n_merged);
    ck_assert_uint_gt(n_promised, 0);
    check_answers(n_kills);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("server_killed");
    TCase *tc = tcase_create("killed");

    tcase_add_checked_fixture(tc, NULL, tear_down);
    tcase_add_test(tc, what_was_durable_outlives_every_kill);
    tcase_set_timeout(tc, 1800);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
