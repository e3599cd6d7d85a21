/* SPDX-License-Identifier: Apache-2.0 */
/* test_say - lines have their form, and one place cannot flood the log. */
#include <config.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/say.h"

static char *text;
static size_t size;
static FILE *stream;
static uint64_t now_ns;

static uint64_t
fake_now(void)
{
    return now_ns;
}

static void
set_up(void)
{
    now_ns = UINT64_C(1700000000123456789);
    stream = open_memstream(&text, &size);
    say_set_output(stream, fake_now);
    say_set_program("test");
}

static void
tear_down(void)
{
    fclose(stream);
    free(text);
}

static void
repeat(int n)
{
    for (int i = 0; i < n; i++) {
        say_warn("again %d", i);
    }
}

START_TEST(a_line_has_time_program_level_and_text)
{
    say_error("no %s", "luck");
    ck_assert_str_eq(text, "2023-11-14T22:13:20.123Z test: error: no luck\n");
}
END_TEST

START_TEST(what_a_peer_sent_stays_in_its_line)
{
    say_error("port %s is down", "a\nb\x1b[2J\x7f\xc3\xa4");
    ck_assert_str_eq(text, "2023-11-14T22:13:20.123Z test: error: port "
                           "a?b?[2J?\xc3\xa4 is down\n");
}
END_TEST

START_TEST(levels_above_the_limit_are_silent)
{
    enum say_level level;

    say_debug("a");
    ck_assert_uint_eq(size, 0);
    ck_assert(say_level_from_string("debug", &level));
    say_set_level(level);
    say_debug("b");
    say_set_level(SAY_ERROR);
    say_warn("c");
    ck_assert_str_eq(text, "2023-11-14T22:13:20.123Z test: debug: b\n");
    ck_assert(!say_level_from_string("loud", &level));
}
END_TEST

START_TEST(one_place_is_limited_and_says_by_how_much)
{
    const char *expected =
        "2023-11-14T22:13:20.123Z test: warn: again 0\n"
        "2023-11-14T22:13:20.123Z test: warn: again 1\n"
        "2023-11-14T22:13:20.123Z test: warn: again 2\n"
        "2023-11-14T22:13:20.123Z test: warn: again 3\n"
        "2023-11-14T22:13:20.123Z test: warn: again 4\n"
        "2023-11-14T22:13:20.123Z test: info: other\n"
        "2023-11-14T22:13:30.123Z test: warn: again 0 (95 more like this "
        "were suppressed)\n"
        "2023-11-14T22:13:30.123Z test: warn: again 1\n";

    repeat(100);
    say_info("other");
    now_ns += SAY_PERIOD_NS;
    repeat(2);
    ck_assert_str_eq(text, expected);
}
END_TEST

START_TEST(a_clock_that_jumps_back_silences_nobody)
{
    repeat(SAY_BURST);
    now_ns -= 3600 * UINT64_C(1000000000);
    size = 0;
    repeat(1);
    ck_assert_ptr_nonnull(strstr(text, "21:13:20"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("say");
    TCase *tc = tcase_create("say");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_line_has_time_program_level_and_text);
    tcase_add_test(tc, what_a_peer_sent_stays_in_its_line);
    tcase_add_test(tc, levels_above_the_limit_are_silent);
    tcase_add_test(tc, one_place_is_limited_and_says_by_how_much);
    tcase_add_test(tc, a_clock_that_jumps_back_silences_nobody);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed != 0;
}
