/* SPDX-License-Identifier: Apache-2.0 */
/* test_time_spec - times are read in every form and written in two. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/time_spec.h"

#define NOW UINT64_C(1700000000123456789)

static struct lh_error error;

static void
set_up(void)
{
    setenv("TZ", "EST5EDT,M3.2.0,M11.1.0", 1);
    tzset();
}

START_TEST(every_form_is_read)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } cases[] = {
        {"0", 0},
        {"1700000000123456789", NOW},
        {"now", NOW},
        {"-0s", NOW},
        {"-10m", NOW - 600000000000},
        {"-1h30m", NOW - 5400000000000},
        {"-2d", NOW - 172800000000000},
        {"-1s250ms3us9ns", NOW - 1250003009},
        {"1970-01-01T00:00:00Z", 0},
        {"2023-11-14T22:13:20Z", UINT64_C(1700000000000000000)},
        {"2023-11-14t22:13:20.5z", UINT64_C(1700000000500000000)},
        {"2023-11-14 22:13:20.123456789Z", NOW},
        {"2023-11-15T00:13:20+02:00", UINT64_C(1700000000000000000)},
        {"2023-11-14T19:43:20-02:30", UINT64_C(1700000000000000000)},
        {"2024-02-29T00:00:00Z", UINT64_C(1709164800000000000)},
        {"2016-12-31T23:59:60Z", UINT64_C(1483228800000000000)},
        /* Eastern time, winter and summer. */
        {"2023-11-14T17:13:20", UINT64_C(1700000000000000000)},
        {"2023-07-01", UINT64_C(1688184000000000000)},
        {"2023-07-01T00:00:00.25", UINT64_C(1688184000250000000)},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t ns;

        ck_assert_msg(!time_spec_parse(cases[i].text, NOW, &ns, &error), "%s",
                      error.text);
        ck_assert_msg(ns == cases[i].ns, "%s: %llu", cases[i].text,
                      (unsigned long long) ns);
    }
}
END_TEST

START_TEST(everything_else_has_a_place_and_a_reason)
{
    static const struct {
        const char *text;
        int pos;
    } cases[] = {
        {"", 0},
        {"yesterday", 0},
        {"+5m", 0},
        {"-", 1},
        {"-5", 2},
        {"-5x", 2},
        {"-5m ", 3},
        {"-999999999d", 10},
        {"-99999999999999999999s", 20},
        {"99999999999999999999", 19},
        {"12 34", 2},
        {"2023-13-01", 5},
        {"2023-02-29", 8},
        {"1969-12-31", 0},
        {"2023-11-14X", 10},
        {"2023-11-14T", 11},
        {"2023-11-14T24:00:00Z", 11},
        {"2023-11-14T22:13", 16},
        {"2023-11-14T22:13:20.Z", 20},
        {"2023-11-14T22:13:20.1234567891Z", 29},
        {"2023-11-14T22:13:20Zulu", 20},
        {"2023-11-14T22:13:20+2:00", 21},
        {"2023-11-14T22:13:20 UTC", 19},
        {"2500-01-01T00:00:00Z", 20},
        {"1970-01-01T00:00:00+01:00", 25},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t ns;

        ck_assert_msg(time_spec_parse(cases[i].text, NOW, &ns, &error) ==
                          EINVAL,
                      "%s", cases[i].text);
        ck_assert_msg(error.pos == cases[i].pos, "%s: %d: %s", cases[i].text,
                      error.pos, error.text);
    }
}
END_TEST

START_TEST(json_members_are_integers_or_text)
{
    json_t *json = json_pack("{s:I,s:s,s:s,s:b}", "a", (json_int_t) 5, "b",
                             "-1s", "c", "soon", "d", 1);
    struct jmember root = jmember_root(json);
    struct jmember a = jmember_get(&root, "a"), b = jmember_get(&root, "b");
    struct jmember c = jmember_get(&root, "c"), d = jmember_get(&root, "d");
    uint64_t ns;

    ck_assert_int_eq(time_spec_member(&a, NOW, &ns, &error), 0);
    ck_assert_uint_eq(ns, 5);
    ck_assert_int_eq(time_spec_member(&b, NOW, &ns, &error), 0);
    ck_assert_uint_eq(ns, NOW - 1000000000);
    ck_assert_int_eq(time_spec_member(&c, NOW, &ns, &error), EINVAL);
    ck_assert_ptr_eq(strstr(error.text, "c: \"soon\""), error.text);
    ck_assert_int_eq(time_spec_member(&d, NOW, &ns, &error), EINVAL);
    ck_assert_ptr_eq(strstr(error.text, "d: must be a time"), error.text);
    json_decref(json);
}
END_TEST

START_TEST(times_are_written_in_utc_and_local_time)
{
    char buf[TIME_SPEC_BUFSIZE];

    ck_assert_str_eq(time_spec_format(NOW, true, 9, buf),
                     "2023-11-14T22:13:20.123456789Z");
    ck_assert_str_eq(time_spec_format(NOW, true, 0, buf),
                     "2023-11-14T22:13:20Z");
    ck_assert_str_eq(time_spec_format(NOW, false, 3, buf),
                     "2023-11-14T17:13:20.123-05:00");
    ck_assert_str_eq(time_spec_format(UINT64_MAX, true, 9, buf),
                     "2554-07-21T23:34:33.709551615Z");
}
END_TEST

START_TEST(what_is_written_is_read)
{
    for (uint64_t ns = 1; ns < INT64_MAX / 3; ns = ns * 3 + 1) {
        char buf[TIME_SPEC_BUFSIZE];
        uint64_t again;

        for (int utc = 0; utc < 2; utc++) {
            time_spec_format(ns, utc, 9, buf);
            if (strncmp(buf, "1969", 4)) {
                ck_assert_msg(!time_spec_parse(buf, NOW, &again, &error), "%s",
                              error.text);
                ck_assert_uint_eq(again, ns);
            }
        }
    }
}
END_TEST

START_TEST(spans_have_a_unit_that_suits)
{
    char buf[TIME_SPEC_BUFSIZE];

    ck_assert_str_eq(time_spec_format_span(0, buf), "0 ns");
    ck_assert_str_eq(time_spec_format_span(999, buf), "999 ns");
    ck_assert_str_eq(time_spec_format_span(12300, buf), "12.3 us");
    ck_assert_str_eq(time_spec_format_span(4560000, buf), "4.56 ms");
    ck_assert_str_eq(time_spec_format_span(1200000000, buf), "1.2 s");
    ck_assert_str_eq(time_spec_format_span(UINT64_C(200000000000), buf),
                     "3 min 20 s");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("time_spec");
    TCase *tc = tcase_create("time_spec");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tc, set_up, NULL);
    tcase_add_test(tc, every_form_is_read);
    tcase_add_test(tc, everything_else_has_a_place_and_a_reason);
    tcase_add_test(tc, json_members_are_integers_or_text);
    tcase_add_test(tc, times_are_written_in_utc_and_local_time);
    tcase_add_test(tc, what_is_written_is_read);
    tcase_add_test(tc, spans_have_a_unit_that_suits);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed != 0;
}
