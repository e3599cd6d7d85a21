/* SPDX-License-Identifier: Apache-2.0 */
/* test_bus_urls - addresses of nats-servers: which are, which ask for TLS, and
 * that nobody is shown a password. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_urls.h"

START_TEST(addresses_are_taken)
{
    static const char *const texts[] = {
        "nats://127.0.0.1:4222",
        "nats://node1.example.net",
        "tls://node1:4222,nats://node2:4222",
        "nats://[::1]:4222, node3:4222",
        "nats://lh:secret@node1:4222",
        "nats://lh:s@c/r?t@node1:4222",
        "127.0.0.1:4222",
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct lh_error error = {.text = ""};

        ck_assert_msg(!bus_urls_check(texts[i], &error), "%s: %s", texts[i],
                      error.text);
    }
}
END_TEST

START_TEST(nothing_else_is)
{
    static const char *const texts[] = {
        "",
        ",",
        "nats://",
        "nats://:4222",
        "nats://node1:0",
        "nats://node1:99999",
        "nats://node1:port",
        "http://node1:4222",
        "nats:node1:4222",
        "nats://node1:4222/",
        "nats://node1:4222,foo://node2:4222",
        "nats://lh:secret@",
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct lh_error error;

        ck_assert_msg(bus_urls_check(texts[i], &error) == EINVAL, "%s",
                      texts[i]);
        ck_assert(strstr(error.text, "must be nats://HOST:PORT"));
        ck_assert_msg(!strstr(error.text, "secret"), "%s", error.text);
    }
}
END_TEST

START_TEST(no_more_than_are_tried)
{
    char text[BUS_URLS_MAX * 4 + 8] = "";
    struct lh_error error;

    for (int i = 0; i < BUS_URLS_MAX; i++) {
        strcat(text, "n:1,");
    }
    ck_assert_int_eq(bus_urls_check(text, &error), 0);
    strcat(text, "n:1");
    ck_assert_int_eq(bus_urls_check(text, &error), EINVAL);
    ck_assert_str_eq(error.text, "17 addresses, and 16 at most are tried");
}
END_TEST

START_TEST(one_asks_for_tls_of_all)
{
    ck_assert(bus_urls_want_tls("tls://node1"));
    ck_assert(bus_urls_want_tls("nats://node1:4222,tls://node2:4222"));
    ck_assert(!bus_urls_want_tls("nats://node1:4222,node2"));
    ck_assert(!bus_urls_want_tls("nats://tls:x@node1"));
}
END_TEST

START_TEST(no_password_is_shown)
{
    static const char *const cases[][2] = {
        {"nats://node1:4222", "nats://node1:4222"},
        {"nats://lh:secret@node1:4222", "nats://node1:4222"},
        {"tls://lh:se@cret@node1:4222, lh:x@node2", "tls://node1:4222,node2"},
        {"http://lh:secret@node1", "http://node1"},
        {"secret@", ""},
        {"", ""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *shown = bus_urls_shown(cases[i][0]);

        ck_assert_str_eq(shown, cases[i][1]);
        free(shown);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("bus_urls");
    TCase *tcase = tcase_create("all");

    tcase_add_test(tcase, addresses_are_taken);
    tcase_add_test(tcase, nothing_else_is);
    tcase_add_test(tcase, no_more_than_are_tried);
    tcase_add_test(tcase, one_asks_for_tls_of_all);
    tcase_add_test(tcase, no_password_is_shown);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
