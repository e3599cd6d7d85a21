/* SPDX-License-Identifier: Apache-2.0 */
/* test_collectors - switches are spread over the servers that live, and few
 * move. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/collectors.h"

#define N 300

static struct postcard_ports ports;
static const struct postcard_port *port;
static struct collectors *c;
static const char *const all[] = {"192.0.2.1:6081", "192.0.2.2:6081",
                                  "192.0.2.3:7000"};

static void
set_up(void)
{
    struct lh_error error;

    ports = (struct postcard_ports){.ports = NULL};
    ck_assert(!postcard_ports_add(
        &ports, "geneve:192.0.2.1,or=192.0.2.2,or=192.0.2.3:7000", &error));
    port = &ports.ports[0];
    c = collectors_create(&ports);
}

static void
tear_down(void)
{
    collectors_destroy(c);
    postcard_ports_uninit(&ports);
}

/* Lets all switches choose; returns how many changed. */
static size_t
choose(size_t chosen[N], size_t share[3])
{
    size_t n_moved = 0;

    memset(share, 0, 3 * sizeof *share);
    for (uint64_t dpid = 0; dpid < N; dpid++) {
        size_t now = collectors_choose(c, port, dpid + 1, chosen[dpid]);

        ck_assert_uint_lt(now, 3);
        n_moved += now != chosen[dpid];
        chosen[dpid] = now;
        share[now]++;
    }
    return n_moved;
}

static void
begin(size_t chosen[N], size_t share[3])
{
    for (size_t i = 0; i < N; i++) {
        chosen[i] = 3;
    }
    ck_assert_uint_eq(choose(chosen, share), N);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_gt(share[i], N / 5);
    }
}

START_TEST(only_those_of_the_dead_move_and_come_back)
{
    size_t first[N], chosen[N], share[3], of_second;

    begin(chosen, share);
    memcpy(first, chosen, sizeof first);
    of_second = share[1];
    collectors_tell(c, "a", all[0], all, 3, 1000);
    ck_assert_uint_eq(choose(chosen, share), 0);

    const char *const two[] = {all[0], all[2]};

    /* Who has just come may not know all. */
    collectors_tell(c, "b", all[2], two, 2, 1500);
    ck_assert_uint_eq(choose(chosen, share), 0);
    collectors_tell(c, "a", all[0], two, 2, 12000);
    ck_assert_uint_eq(choose(chosen, share), of_second);
    ck_assert_uint_eq(share[1], 0);
    ck_assert_uint_gt(share[0], N / 3);
    ck_assert_uint_gt(share[2], N / 3);

    /* Back, but it may go again. */
    collectors_tell(c, "a", all[0], all, 3, 13000);
    ck_assert_uint_eq(choose(chosen, share), 0);
    collectors_tell(c, "a", all[0], all, 3, 13000 + COLLECTORS_BACK_MS);
    ck_assert_uint_eq(choose(chosen, share), of_second);
    ck_assert_mem_eq(chosen, first, sizeof first);
}
END_TEST

START_TEST(who_speaks_no_more_is_dead_unless_another_speaks)
{
    size_t chosen[N], share[3];

    begin(chosen, share);
    collectors_tell(c, "a", all[0], all, 3, 1000);
    collectors_tell(c, "b", all[1], all, 3, 1000);
    collectors_tell(c, "b", all[1], all, 3, 6000);
    collectors_run(c, 6500);
    ck_assert_uint_eq(choose(chosen, share), 0);
    collectors_run(c, 6000 + COLLECTORS_SILENT_MS);
    choose(chosen, share);
    ck_assert_uint_eq(share[0], 0);
    ck_assert_uint_eq(share[1], 0);
    ck_assert_uint_eq(share[2], N);
    /* It was only late. */
    collectors_tell(c, "a", all[0], all, 3, 20000);
    collectors_run(c, 20000 + COLLECTORS_BACK_MS - 1);
    ck_assert_uint_eq(choose(chosen, share), 0);
    collectors_tell(c, "a", all[0], all, 3, 20000 + COLLECTORS_BACK_MS);
    ck_assert_uint_gt(choose(chosen, share), N / 3);
}
END_TEST

START_TEST(a_port_stays_while_nothing_is_known_or_all_are_dead)
{
    size_t chosen[N], share[3];

    for (size_t i = 0; i < N; i++) {
        chosen[i] = i % 3;
    }
    ck_assert_uint_eq(choose(chosen, share), 0);
    collectors_tell(c, "a", NULL, NULL, 0, 1000);
    collectors_tell(c, "a", NULL, NULL, 0, 1000 + COLLECTORS_NEW_MS);
    ck_assert_uint_eq(choose(chosen, share), 0);
    /* A new switch has to go somewhere. */
    ck_assert_uint_lt(collectors_choose(c, port, 7, 3), 3);
}
END_TEST

START_TEST(what_others_say_of_strangers_is_no_matter)
{
    size_t chosen[N], share[3];
    const char *const strange[] = {"198.51.100.1:6081", all[2], ""};

    begin(chosen, share);
    for (int i = 0; i < COLLECTORS_MAX + 5; i++) {
        char name[8];

        snprintf(name, sizeof name, "s%d", i);
        collectors_tell(c, name, strange[0], strange, 3, 1000);
        collectors_tell(c, name, strange[0], strange, 3, 12000);
    }
    choose(chosen, share);
    ck_assert_uint_eq(share[2], N);
    collectors_run(c, 100000);
    ck_assert_uint_eq(choose(chosen, share), 0);
}
END_TEST

START_TEST(it_says_what_it_knows)
{
    json_t *json = collectors_to_json(c);

    ck_assert_uint_eq(json_array_size(json), 3);
    ck_assert(json_is_null(json_object_get(json_array_get(json, 0), "alive")));
    json_decref(json);
    collectors_tell(c, "a", NULL, all, 1, 1000);
    collectors_tell(c, "a", NULL, all, 1, 12000);
    json = collectors_to_json(c);
    ck_assert(json_is_true(json_object_get(json_array_get(json, 0), "alive")));
    ck_assert(
        json_is_false(json_object_get(json_array_get(json, 2), "alive")));
    ck_assert_str_eq(
        json_string_value(json_object_get(json_array_get(json, 2), "address")),
        all[2]);
    json_decref(json);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("collectors");
    TCase *tc = tcase_create("collectors");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, only_those_of_the_dead_move_and_come_back);
    tcase_add_test(tc, who_speaks_no_more_is_dead_unless_another_speaks);
    tcase_add_test(tc, a_port_stays_while_nothing_is_known_or_all_are_dead);
    tcase_add_test(tc, what_others_say_of_strangers_is_no_matter);
    tcase_add_test(tc, it_says_what_it_knows);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
