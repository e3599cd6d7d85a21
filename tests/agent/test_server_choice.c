/* SPDX-License-Identifier: Apache-2.0 */
/* test_server_choice - agents are spread over servers, and go to the next one
 * in an order of their own. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/server_choice.h"

static struct server_choice *
create(const char *text, const char *name)
{
    struct server_choice *choice;
    struct lh_error error;

    ck_assert_msg(!server_choice_create(text, name, &choice, &error), "%s",
                  error.text);
    return choice;
}

START_TEST(addresses_are_read)
{
    static const struct {
        const char *text, *as, *host;
    } good[] = {
        {"a.example", "a.example:6082", "a.example"},
        {"a.example:7", "a.example:7", "a.example"},
        {"[fd00::1]:7", "[fd00::1]:7", "fd00::1"},
        {"[fd00::1]", "[fd00::1]:6082", "fd00::1"},
        {"fd00::1", "[fd00::1]:6082", "fd00::1"},
    };
    static const char *const bad[] = {
        "",    ":7",    "a:",          "a:0", "a:65536", "[::1",     "[::1]7",
        "a,b", "a,or=", "a,or=a:6082", "a,",  "a,or=b,", "or=a,or=", "a,ot=b",
    };

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct server_choice *choice = create(good[i].text, "x");

        ck_assert_str_eq(server_choice_get(choice, 0)->at.text, good[i].as);
        ck_assert_str_eq(server_choice_get(choice, 0)->at.host, good[i].host);
        server_choice_destroy(choice);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct server_choice *choice;
        struct lh_error error;

        ck_assert_msg(server_choice_create(bad[i], "x", &choice, &error) ==
                          EINVAL,
                      "%s", bad[i]);
        ck_assert_ptr_null(choice);
        ck_assert_uint_gt(strlen(error.text), 0);
    }
}
END_TEST

START_TEST(agents_are_spread)
{
    size_t n_own[3] = {0}, n_second[3] = {0};

    for (size_t i = 0; i < 300; i++) {
        char name[16], host;
        struct server_choice *choice;

        snprintf(name, sizeof name, "host-%zu", i);
        choice = create("a,or=b,or=c", name);
        host = *server_choice_get(choice, 0)->at.host;
        n_own[host - 'a']++;
        if (host == 'a') {
            n_second[*server_choice_get(choice, 1)->at.host - 'a']++;
        }
        server_choice_destroy(choice);
        /* The order in which they are written does not matter. */
        choice = create("c,or=a,or=b", name);
        ck_assert_int_eq(*server_choice_get(choice, 0)->at.host, host);
        server_choice_destroy(choice);
    }
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_gt(n_own[i], 60);
    }
    /* Those of one that dies go to all others. */
    ck_assert_uint_gt(n_second[1], 15);
    ck_assert_uint_gt(n_second[2], 15);
}
END_TEST

START_TEST(each_is_tried_once_in_a_round)
{
    struct server_choice *choice = create("a,or=b,or=c", "x");

    ck_assert(server_choice_has_others(choice));
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 3; i++) {
            ck_assert_uint_eq(server_choice_next(choice), i);
            ck_assert_int_eq(server_choice_fail(choice, i), i == 2);
        }
        ck_assert(!server_choice_has_others(choice));
    }
    /* The second takes it, and fails: then the third, not the first. */
    ck_assert(!server_choice_fail(choice, 0));
    server_choice_work(choice, 1);
    ck_assert(server_choice_has_others(choice));
    ck_assert(!server_choice_fail(choice, 1));
    ck_assert_uint_eq(server_choice_next(choice), 2);
    server_choice_destroy(choice);

    choice = create("a", "x");
    ck_assert(!server_choice_has_others(choice));
    ck_assert(server_choice_fail(choice, 0));
    ck_assert_uint_eq(server_choice_next(choice), 0);
    server_choice_destroy(choice);
}
END_TEST

static bool
tell(struct server_choice *choice, const char *const texts[], size_t n,
     size_t self, size_t *now)
{
    struct agent_server all[AGENT_SERVERS_MAX] = {{false, NULL, 0}};

    for (size_t i = 0; i < n; i++) {
        all[i] = (struct agent_server){i == self, (const uint8_t *) texts[i],
                                       (uint8_t) strlen(texts[i])};
    }
    return server_choice_tell(choice, all, n, now);
}

START_TEST(those_told_come_first_and_those_given_behind)
{
    static const char *const four[] = {"c:1", "a:6082", "d:1", "b:1"};
    struct server_choice *choice = create("a,or=z", "x");
    struct server_choice *same = create("b:1,or=d:1,or=c:1,or=a", "x");
    size_t now = 0;

    /* It is at the one that is given as z, and tells of itself as d:1. */
    now = strcmp(server_choice_get(choice, 0)->at.host, "z") ? 1 : 0;
    server_choice_get(choice, now)->was_said = true;
    ck_assert(tell(choice, four, 4, 2, &now));
    ck_assert_uint_eq(server_choice_n(choice), 5);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_str_eq(server_choice_get(choice, i)->at.text,
                         server_choice_get(same, i)->at.text);
        ck_assert(server_choice_get(choice, i)->is_told);
    }
    ck_assert_str_eq(server_choice_get(choice, 4)->at.host, "z");
    ck_assert(!server_choice_get(choice, 4)->is_told);
    ck_assert_str_eq(server_choice_get(choice, now)->at.host, "d");
    ck_assert(server_choice_get(choice, now)->was_said);
    ck_assert(!tell(choice, four, 4, 2, &now));

    /* One that does not tell of itself is left for those told; it is not
     * forgotten as long as nothing else was found. */
    ck_assert(tell(choice, four, 2, SIZE_MAX, &now));
    ck_assert_uint_eq(server_choice_n(choice), 4);
    ck_assert_uint_eq(now, 3);
    ck_assert_str_eq(server_choice_get(choice, 3)->at.host, "d");

    /* Of what is no address nothing is made, nor of one that is there. */
    ck_assert(tell(choice, (const char *const[]){"a:", "e:1", "e:1", "e"}, 4,
                   1, &now));
    ck_assert_uint_eq(server_choice_n(choice), 4);
    ck_assert_str_eq(server_choice_get(choice, now)->at.text, "e:1");

    /* When none is told of it has those that were given. */
    ck_assert(tell(choice, NULL, 0, SIZE_MAX, &now));
    ck_assert_uint_eq(server_choice_n(choice), 3);
    ck_assert_uint_eq(now, 2);
    server_choice_destroy(choice);
    server_choice_destroy(same);
}
END_TEST

START_TEST(what_has_failed_is_known_of_those_told_again)
{
    static const char *const two[] = {"a:6082", "b:1"};
    struct server_choice *choice = create("a", "x");
    size_t now = 0;

    ck_assert(!server_choice_has_others(choice));
    server_choice_work(choice, 0);
    ck_assert(tell(choice, two, 2, 0, &now));
    ck_assert(server_choice_has_others(choice));
    ck_assert(!server_choice_fail(choice, now));
    now = server_choice_next(choice);
    ck_assert_str_eq(server_choice_get(choice, now)->at.host, "b");
    server_choice_work(choice, now);
    ck_assert(tell(choice, two + 1, 1, 0, &now));
    /* The other one is there still, as given, and is not tried twice. */
    ck_assert_uint_eq(server_choice_n(choice), 2);
    ck_assert_uint_eq(now, 0);
    ck_assert(server_choice_fail(choice, now));
    server_choice_destroy(choice);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("server_choice");
    TCase *tcase = tcase_create("server_choice");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_add_test(tcase, addresses_are_read);
    tcase_add_test(tcase, agents_are_spread);
    tcase_add_test(tcase, each_is_tried_once_in_a_round);
    tcase_add_test(tcase, those_told_come_first_and_those_given_behind);
    tcase_add_test(tcase, what_has_failed_is_known_of_those_told_again);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
