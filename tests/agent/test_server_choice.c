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

        ck_assert_str_eq(server_choice_get(choice, 0)->text, good[i].as);
        ck_assert_str_eq(server_choice_get(choice, 0)->host, good[i].host);
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
        host = *server_choice_get(choice, 0)->host;
        n_own[host - 'a']++;
        if (host == 'a') {
            n_second[*server_choice_get(choice, 1)->host - 'a']++;
        }
        server_choice_destroy(choice);
        /* The order in which they are written does not matter. */
        choice = create("c,or=a,or=b", name);
        ck_assert_int_eq(*server_choice_get(choice, 0)->host, host);
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
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
