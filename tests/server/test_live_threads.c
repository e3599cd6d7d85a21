/* SPDX-License-Identifier: Apache-2.0 */
/* What live filters find does not depend on --threads: filters come and go
 * between packets, and each finds the same packets with 1, 2 and 4 threads. */
#include <config.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "tests/server/live.h"

#define N_PACKETS 120

static struct live live;

static void
tear_down(void)
{
    if (live.dir) {
        live_uninit(&live);
        live.dir = NULL;
    }
}

/* Adds the filter under that name; returns the trigger's number. */
static json_int_t
add(struct api_client *client, const char *name, const char *phf)
{
    struct lh_error error = {.text = "-"};
    json_t *answer;
    json_int_t id;

    ck_assert_msg(
        !api_client_call(client, "trigger.add",
                         json_pack("{s:s, s:s}", "phf", phf, "name", name),
                         LIVE_DEADLINE_MS, &answer, &error),
        "%s", error.text);
    id = json_integer_value(json_object_get(answer, "trigger"));
    json_decref(answer);
    return id;
}

static void
delete_trigger(struct api_client *client, json_int_t id)
{
    struct lh_error error = {.text = "-"};

    ck_assert_msg(!api_client_call(client, "trigger.delete",
                                   json_pack("{s:I}", "trigger", id),
                                   LIVE_DEADLINE_MS, NULL, &error),
                  "%s", error.text);
}

/* Packets 'from' to 'to', dropped at different switches or delivered. */
static void
send_packets(uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        uint64_t n_hops = 1 + i % SCENE_SWITCHES;

        live_send(&live, i, n_hops,
                  n_hops < SCENE_SWITCHES || i / SCENE_SWITCHES % 2);
    }
}

static int
compare(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* One line for each packet that the filter of this client found, sorted. */
static char *
take_found(struct api_client *client, size_t n)
{
    char **lines = lh_alloc_array(NULL, n, sizeof *lines);
    char *all = lh_strdup("");

    for (size_t i = 0; i < n; i++) {
        json_t *h = live_next(client);
        json_t *verdict = json_object_get(h, "verdict");

        ck_assert_ptr_nonnull(h);
        lines[i] = lh_asprintf(
            "%s %s %zu\n", json_string_value(json_object_get(h, "packet_id")),
            json_string_value(json_object_get(verdict, "name")),
            json_array_size(json_object_get(h, "hops")));
        json_decref(h);
    }
    qsort(lines, n, sizeof *lines, compare);
    for (size_t i = 0; i < n; i++) {
        char *longer = lh_asprintf("%s%s", all, lines[i]);

        free(all);
        free(lines[i]);
        all = longer;
    }
    free(lines);
    return all;
}

/* What three filters find that come and go, of which one has each client. */
static char *
run(const char *threads)
{
    struct api_client *asking, *drops, *longs, *late;
    char *found[3], *all;
    json_int_t id;

    live_init(&live, "--topology=@/topology.json", "--rules=@/rules.jsonl",
              "--recorder=none", "--accept=127.0.0.1", threads, NULL);
    live_start(&live);
    asking = live_client(&live);
    drops = live_client(&live);
    longs = live_client(&live);
    late = live_client(&live);
    id = add(drops, "drops", "{{--outport DROP}}$");
    add(longs, "longs", "^..{{--dpid 3}}");
    send_packets(0, N_PACKETS);
    live_wait(asking, "histories", N_PACKETS);
    /* Of each 2 x SCENE_SWITCHES packets all but one is dropped. */
    found[0] = take_found(drops, N_PACKETS - N_PACKETS / SCENE_SWITCHES / 2);
    delete_trigger(drops, id);
    add(late, "late", "{{--dpid 2}}$");
    send_packets(N_PACKETS, 2 * N_PACKETS);
    live_wait(asking, "histories", 2 * N_PACKETS);
    found[1] = take_found(longs, 2 * N_PACKETS * (SCENE_SWITCHES - 2) /
                                     SCENE_SWITCHES);
    found[2] = take_found(late, N_PACKETS / SCENE_SWITCHES);
    ck_assert_uint_eq(live_counter(asking, "trigger_hits"),
                      N_PACKETS - N_PACKETS / SCENE_SWITCHES / 2 +
                          2 * N_PACKETS * (SCENE_SWITCHES - 2) /
                              SCENE_SWITCHES +
                          N_PACKETS / SCENE_SWITCHES);
    ck_assert_uint_eq(live_counter(asking, "trigger_histories"),
                      2 * N_PACKETS);
    ck_assert_uint_gt(live_counter(asking, "trigger_runs"), 0);
    live_check_sums(asking);
    all = lh_asprintf("%s--\n%s--\n%s", found[0], found[1], found[2]);
    for (size_t i = 0; i < 3; i++) {
        free(found[i]);
    }
    api_client_close(asking);
    api_client_close(drops);
    api_client_close(longs);
    api_client_close(late);
    tear_down();
    return all;
}

START_TEST(filters_find_the_same_whatever_the_threads)
{
    char *one = run("--threads=1"), *two = run("--threads=2"),
         *four = run("--threads=4");

    ck_assert_str_eq(one, two);
    ck_assert_str_eq(one, four);
    free(one);
    free(two);
    free(four);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("live_threads");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, NULL, tear_down);
    tcase_add_test(tc, filters_find_the_same_whatever_the_threads);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
