/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of server/pipeline with one thread and with several: the same
 * histories, every postcard accounted for, and nobody who waits. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gen/gen.h"
#include "gen/gen_config.h"
#include "lib/lh_alloc.h"
#include "server/ingest.h"
#include "server/loss_ledger.h"
#include "server/pipeline.h"
#include "tests/lib/archive_fixture.h"

#define N_PACKETS 1500

/* Postcards made up, and what is known of their network. */
static struct {
    struct gen *gen;
    size_t n, allocated;
    struct gen_frame *frames; /* With copies of their bytes. */
} made;

static void
make_frames(uint64_t seed)
{
    struct gen_frame batch[GEN_BATCH];
    struct gen_config config;
    struct lh_error error;
    char *path;
    size_t n;

    memset(&made, 0, sizeof made);
    gen_config_init(&config);
    ck_assert_int_eq(gen_config_preset(&config, "faults", NULL, &path, &error),
                     0);
    config.n_packets = N_PACKETS;
    config.seed = seed;
    ck_assert_int_eq(gen_create(&config, &made.gen, &error), 0);
    while (!gen_next(made.gen, batch, GEN_BATCH, &n, &error) && n) {
        for (size_t i = 0; i < n; i++) {
            made.frames = lh_alloc_grow(made.frames, made.n, &made.allocated,
                                        sizeof *made.frames);
            made.frames[made.n] = batch[i];
            made.frames[made.n++].data =
                lh_memdup(batch[i].data, batch[i].len);
        }
    }
    free(path);
}

static void
free_frames(void)
{
    for (size_t i = 0; i < made.n; i++) {
        free((uint8_t *) made.frames[i].data);
    }
    free(made.frames);
    gen_destroy(made.gen);
}

/* A pipeline as a server has it. */
struct rig {
    struct event_base *base;
    struct rule_cache *rules;
    struct triggers *triggers;
    struct pipeline *pipeline;
    struct ingest *ingest;
    FILE *json;
    char *dir; /* Of the archive; NULL: none. */
    uint64_t now_ns;
    size_t n_asked;
};

static void
on_change(void *rig_, enum rule_cache_change change, uint64_t dpid,
          uint32_t version, const struct rule *rule)
{
    struct rig *rig = rig_;

    if (rig->pipeline) {
        pipeline_change_rules(rig->pipeline, change, dpid, version, rule);
    }
}

/* A recorder that answers when it is let. */
static bool
ask(void *rig_, uint64_t dpid, uint32_t version)
{
    struct rig *rig = rig_;

    rig->n_asked++;
    return true;
}

static void
give(void *rig_, const struct postcard *p)
{
    struct rig *rig = rig_;

    pipeline_add(rig->pipeline, p);
}

static void
pass(void *rig_, const struct ingest_packet *packet)
{
    struct rig *rig = rig_;

    pipeline_pass(rig->pipeline, packet);
}

static void
add_rule(void *rig_, const struct rule *rule)
{
    struct rig *rig = rig_;

    rule_cache_add(rig->rules, rule_clone(rule));
}

static void
set_up_json(struct rig *rig, unsigned int n_threads, bool is_file,
            bool can_ask, bool has_archive, FILE *json)
{
    struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;
    struct rule_cache_config rules = {
        .ask = can_ask ? ask : NULL, .on_change = on_change, .aux = rig};

    memset(rig, 0, sizeof *rig);
    rig->base = event_base_new();
    rig->rules = rule_cache_create(&rules);
    rig->triggers = triggers_create();
    rig->json = json;

    struct pipeline_config config = {
        .base = rig->base,
        .n_threads = n_threads,
        .is_file = is_file,
        .can_ask = can_ask,
        .id_config = id_config,
        .ingest = {.id_config = id_config},
        .ledger = loss_ledger_create(),
        .rules = rig->rules,
        .triggers = rig->triggers,
        .json = rig->json,
    };

    if (has_archive) {
        rig->dir = fixture_dir();
        config.archive = fixture_writer(rig->dir, NULL);
    }
    rig->pipeline = pipeline_create(&config);

    struct ingest_config ingest = {
        .id_config = id_config,
        .rules = rig->rules,
        .give = give,
        .pass = pipeline_n_workers(rig->pipeline) ? pass : NULL,
        .aux = rig,
    };

    rig->ingest = ingest_create(&ingest);
    ingest_set_topology(rig->ingest, gen_net_topology(gen_get_net(made.gen)));
    pipeline_set_topology(rig->pipeline,
                          gen_net_topology(gen_get_net(made.gen)), 0);
    if (!can_ask) {
        gen_net_each_version(gen_get_net(made.gen), add_rule, rig);
    }
}

static void
set_up(struct rig *rig, unsigned int n_threads, bool is_file, bool can_ask,
       bool has_archive)
{
    set_up_json(rig, n_threads, is_file, can_ask, has_archive, tmpfile());
}

static void
collect(struct rig *rig, struct counters *c)
{
    memset(c, 0, sizeof *c);
    ingest_collect(rig->ingest, c);
    pipeline_collect(rig->pipeline, c);
}

/* In = out + dropped + held, of every stage. */
static void
check_sums(struct rig *rig)
{
    struct counters c;

    collect(rig, &c);
    ck_assert_uint_eq(c.received, c.postcards + c.foreign + c.other +
                                      c.truncated + c.malformed + c.no_option +
                                      c.unknown_format + c.unknown_index);
    ck_assert_uint_eq(c.postcards, c.assembled + c.duplicates + c.ambiguous +
                                       c.dropped_busy + c.dropped_full +
                                       c.dropped_memory + c.sampled_out +
                                       c.open_postcards);
    ck_assert_uint_eq(c.histories, c.delivered + c.controller + c.open +
                                       c.lost + c.dropped + c.looped +
                                       c.no_verdict);
    if (rig->dir) {
        ck_assert_uint_eq(c.histories, c.archived + c.archive_lost +
                                           c.archive_refused + c.archive_held);
    }
}

/* Lets workers' mail in. */
static void
turn(struct rig *rig)
{
    event_base_loop(rig->base, EVLOOP_NONBLOCK);
}

static void
feed(struct rig *rig, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        const struct gen_frame *frame = &made.frames[i];

        while (!pipeline_has_room(rig->pipeline)) {
            turn(rig);
        }
        if (frame->time_ns >= pipeline_next_ns(rig->pipeline)) {
            pipeline_run_to(rig->pipeline, frame->time_ns);
        }
        ingest_frame(rig->ingest, INGEST_AUTO, frame->data, frame->len,
                     frame->time_ns);
        rig->now_ns = frame->time_ns;
    }
    pipeline_drain(rig->pipeline);
}

static int
compare(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* The histories, in the order of their text: one string. */
static char *
sorted_histories(struct rig *rig)
{
    size_t n = 0, allocated = 0, size = 0, len = 0;
    char **lines = NULL, *line = NULL, *all;

    rewind(rig->json);
    while (getline(&line, &size, rig->json) > 0) {
        lines = lh_alloc_grow(lines, n, &allocated, sizeof *lines);
        len += strlen(line);
        lines[n++] = lh_strdup(line);
    }
    free(line);
    if (n) {
        qsort(lines, n, sizeof *lines, compare);
    }
    all = lh_alloc(len + 1);
    len = 0;
    for (size_t i = 0; i < n; i++) {
        memcpy(all + len, lines[i], strlen(lines[i]));
        len += strlen(lines[i]);
        free(lines[i]);
    }
    all[len] = '\0';
    free(lines);
    return all;
}

/* Ends it, and returns its histories. */
static char *
tear_down(struct rig *rig)
{
    char *all;

    pipeline_flush(rig->pipeline, rig->now_ns);
    check_sums(rig);
    all = sorted_histories(rig);
    pipeline_destroy(rig->pipeline);
    triggers_destroy(rig->triggers);
    ingest_destroy(rig->ingest);
    rig->pipeline = NULL;
    rule_cache_destroy(rig->rules);
    event_base_free(rig->base);
    fclose(rig->json);
    if (rig->dir) {
        fixture_remove(rig->dir);
    }
    return all;
}

/* Says where two texts differ, if they do. */
static void
check_same(const char *a, const char *b, const char *what)
{
    size_t i = 0;

    ck_assert_uint_gt(strlen(a), 1000);
    while (a[i] && a[i] == b[i]) {
        i++;
    }
    ck_assert_msg(a[i] == b[i], "%s: \"%.300s\" against \"%.300s\"", what,
                  a + (i > 100 ? i - 100 : 0), b + (i > 100 ? i - 100 : 0));
}

/* All frames, while rounds are made and counters asked for. */
static char *
run(unsigned int n_threads, bool has_archive)
{
    struct rig rig;
    size_t step = made.n / 10 + 1;

    set_up(&rig, n_threads, true, false, has_archive);
    for (size_t i = 0; i < made.n; i += step) {
        feed(&rig, i, i + step < made.n ? i + step : made.n);
        check_sums(&rig);
        pipeline_round(rig.pipeline, rig.now_ns);
    }
    return tear_down(&rig);
}

START_TEST(histories_are_the_same_whatever_the_threads)
{
    static const unsigned int n_threads[] = {2, 4, 7};
    char *one, *several;

    make_frames((uint64_t) _i + 1);
    one = run(1, false);
    for (size_t i = 0; i < sizeof n_threads / sizeof n_threads[0]; i++) {
        several = run(n_threads[i], i == 1);
        check_same(one, several, "threads");
        free(several);
    }
    free(one);
    free_frames();
}
END_TEST

/* The network becomes another in the middle: all ports of a switch go. */
static char *
run_with_change(unsigned int n_threads, struct topology *other)
{
    struct rig rig;
    uint64_t at_ns;

    set_up(&rig, n_threads, true, false, false);
    feed(&rig, 0, made.n / 2);
    at_ns = rig.now_ns;
    pipeline_set_topology(rig.pipeline, other, at_ns);
    ingest_set_topology(rig.ingest, other);
    feed(&rig, made.n / 2, made.n);
    return tear_down(&rig);
}

START_TEST(a_new_topology_holds_from_the_same_postcard_on)
{
    struct topology *other;
    struct lh_error error;
    char *one, *several;
    json_t *json;

    make_frames(11);
    json = topology_to_json(gen_net_topology(gen_get_net(made.gen)));
    json_array_remove(json_object_get(json, "links"), 0);
    ck_assert_int_eq(topology_from_json(json, &other, &error), 0);
    json_decref(json);
    one = run_with_change(1, other);
    several = run_with_change(3, other);
    check_same(one, several, "topology");
    free(one);
    free(several);
    topology_unref(other);
    free_frames();
}
END_TEST

/* Rules that nobody knows yet are asked for, and postcards wait for them. */
static char *
run_asking(unsigned int n_threads, size_t *n_asked)
{
    struct rig rig;
    uint64_t held;
    struct counters c;

    set_up(&rig, n_threads, true, true, false);
    /* Few enough not to fill the rings while nobody answers. */
    feed(&rig, 0, 2000);
    pipeline_is_idle(rig.pipeline);
    while (!rule_cache_n_waiting(rig.rules)) {
        turn(&rig);
    }
    collect(&rig, &c);
    held = c.open_postcards;
    ck_assert_uint_gt(held, 0);
    gen_net_each_version(gen_get_net(made.gen), add_rule, &rig);
    while (!pipeline_is_idle(rig.pipeline)) {
        turn(&rig);
    }
    *n_asked = rig.n_asked;
    return tear_down(&rig);
}

START_TEST(postcards_of_a_file_wait_for_rules)
{
    char *two, *four, *known;
    struct rig rig;
    size_t n_asked;

    make_frames(21);
    set_up(&rig, 1, true, false, false);
    feed(&rig, 0, 2000);
    known = tear_down(&rig);
    two = run_asking(2, &n_asked);
    ck_assert_uint_gt(n_asked, 0);
    four = run_asking(4, &n_asked);
    check_same(known, two, "two");
    check_same(known, four, "four");
    free(known);
    free(two);
    free(four);
    free_frames();
}
END_TEST

/* Workers that do nothing: what finds no room is dropped and counted, and this
 * thread goes on. */
START_TEST(a_slow_worker_costs_postcards_not_time)
{
    struct counters c;
    struct rig rig;
    char *all;
    size_t n_rounds = 0;

    make_frames(31);
    set_up(&rig, 2, false, false, true);
    pipeline_pause(rig.pipeline);
    while (pipeline_has_room(rig.pipeline)) {
        for (size_t i = 0; i < made.n; i++) {
            ingest_frame(rig.ingest, INGEST_AUTO, made.frames[i].data,
                         made.frames[i].len, made.frames[i].time_ns);
        }
        ck_assert_uint_lt(n_rounds++, 100);
    }
    for (size_t i = 0; i < made.n; i++) {
        ingest_frame(rig.ingest, INGEST_AUTO, made.frames[i].data,
                     made.frames[i].len, made.frames[i].time_ns);
    }
    pipeline_run(rig.pipeline, made.frames[made.n - 1].time_ns);
    pipeline_round(rig.pipeline, made.frames[made.n - 1].time_ns);
    pipeline_resume(rig.pipeline);
    check_sums(&rig);
    collect(&rig, &c);
    ck_assert_uint_gt(c.dropped_busy, 0);
    rig.now_ns = made.frames[made.n - 1].time_ns;
    all = tear_down(&rig);
    ck_assert_uint_gt(strlen(all), 0);
    free(all);
    free_frames();
}
END_TEST

/* Counters of switches tell that nothing is missing: histories that waited for
 * them, with whatever worker, are complete. */
START_TEST(workers_histories_wait_for_counters)
{
    struct counters c;
    struct rig rig;
    char *all;

    make_frames(41);
    set_up(&rig, 2, false, false, true);
    /* Known to the ledger, though no counter says enough yet. */
    for (size_t i = 0;
         i < topology_n_switches(pipeline_topology(rig.pipeline)); i++) {
        uint64_t dpid =
            topology_switch_at(pipeline_topology(rig.pipeline), i)->dpid;
        uint64_t ns = made.frames[0].time_ns;

        for (uint64_t s = 1; s <= 20; s++) {
            pipeline_count(rig.pipeline, dpid,
                           ns - 20000000000 + s * 1000000000,
                           ns - 20000000000 + s * 1000000000 + 1000, 0);
        }
    }
    feed(&rig, 0, made.n);
    pipeline_run(rig.pipeline, rig.now_ns + 1500000000);
    while (!pipeline_is_idle(rig.pipeline)) {
        turn(&rig);
    }
    turn(&rig);
    collect(&rig, &c);
    check_sums(&rig);
    ck_assert_uint_gt(c.awaiting_counters, 0);
    rig.now_ns += 1500000000;
    all = tear_down(&rig);
    free(all);
    free_frames();
}
END_TEST

/* A worker that waits, here for who reads what it writes: statistics are those
 * of before, add up, and cost this thread a moment only. */
START_TEST(who_waits_for_the_disk_holds_nobody_up)
{
    struct counters before, while_waiting, after;
    int ends[2];
    struct rig rig;
    char buf[4096];

    make_frames(51);
    ck_assert_int_eq(pipe(ends), 0);
    set_up_json(&rig, 2, false, false, false, fdopen(ends[1], "w"));
    while (pipeline_try_pause(rig.pipeline, 1000000)) {
        pipeline_resume(rig.pipeline);
        collect(&rig, &before);
        for (size_t i = 0; i < 500; i++) {
            ingest_frame(rig.ingest, INGEST_AUTO, made.frames[i].data,
                         made.frames[i].len, made.frames[i].time_ns);
        }
        pipeline_drain(rig.pipeline);
        rig.now_ns += 2000000000;
        pipeline_run(rig.pipeline, rig.now_ns);
    }
    check_sums(&rig);
    collect(&rig, &while_waiting);
    ck_assert_uint_ge(while_waiting.received, before.received);
    /* What comes is taken all the same. */
    for (size_t i = 0; i < 500; i++) {
        ingest_frame(rig.ingest, INGEST_AUTO, made.frames[i].data,
                     made.frames[i].len, made.frames[i].time_ns);
    }
    pipeline_drain(rig.pipeline);
    collect(&rig, &after);
    ck_assert_uint_eq(after.received, while_waiting.received);
    ck_assert_uint_eq(after.dropped_busy, 0);
    /* The reader wakes up. */
    ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    while (!pipeline_is_idle(rig.pipeline)) {
        while (read(ends[0], buf, sizeof buf) > 0) {
        }
        turn(&rig);
    }
    check_sums(&rig);
    collect(&rig, &after);
    ck_assert_uint_gt(after.received, while_waiting.received);
    ck_assert_uint_eq(after.received % 500, 0);
    ck_assert_int_eq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    free(tear_down(&rig));
    close(ends[0]);
    free_frames();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("pipeline_threads");
    TCase *tc = tcase_create("all");

    tcase_add_loop_test(tc, histories_are_the_same_whatever_the_threads, 0, 2);
    tcase_add_test(tc, a_new_topology_holds_from_the_same_postcard_on);
    tcase_add_test(tc, postcards_of_a_file_wait_for_rules);
    tcase_add_test(tc, a_slow_worker_costs_postcards_not_time);
    tcase_add_test(tc, who_waits_for_the_disk_holds_nobody_up);
    tcase_add_test(tc, workers_histories_wait_for_counters);
    tcase_set_timeout(tc, 240);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
