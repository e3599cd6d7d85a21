/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of server/loss_ledger. */
#include <config.h>

#include "server/loss_ledger.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>

#define S  UINT64_C(1000000000)
#define MS UINT64_C(1000000)
#define T0 (UINT64_C(1700000000) * S)
#define SW 7

static struct loss_ledger *ledger;
static bool has_begun;

static void
set_up(void)
{
    ledger = loss_ledger_create();
    has_begun = false;
}

static void
tear_down(void)
{
    loss_ledger_destroy(ledger);
}

/* The switch says at 'ms' after T0 that it sent 'n'. */
static void
count(uint64_t ms, uint64_t n)
{
    /* Times begin when readings are taken. */
    if (!has_begun) {
        has_begun = true;
        loss_ledger_count(ledger, SW, T0 - 3 * S, T0 - 3 * S, n);
    }
    loss_ledger_count(ledger, SW, T0 + ms * MS, T0 + (ms + 2) * MS, n);
}

static void
came(uint64_t ms)
{
    struct loss_came came = {SW, T0 + ms * MS};

    loss_ledger_came(ledger, &came, 1);
}

static enum loss_answer
ask(uint64_t from_ms, uint64_t to_ms, uint64_t now_ms)
{
    return loss_ledger_ask(ledger, SW, T0 + from_ms * MS, T0 + to_ms * MS,
                           T0 + now_ms * MS);
}

START_TEST(knows_nothing_before_it_is_told)
{
    ck_assert_int_eq(ask(0, 10, 20), LOSS_UNKNOWN);
    came(5);
    count(1000, 500);
    ck_assert_int_eq(ask(0, 10, 1100), LOSS_UNKNOWN);
}
END_TEST

START_TEST(proves_that_all_came_after_a_quiet_time)
{
    count(0, 1000); /* Ten that it does not know of went before. */
    for (uint64_t ms = 2100; ms < 2110; ms++) {
        came(ms);
    }
    count(1000, 1000);
    count(2000, 1000);
    ck_assert_int_eq(ask(2101, 3100, 3100), LOSS_NOT_YET);
    count(3000, 1010);
    count(4000, 1010);
    count(5000, 1010);
    ck_assert_int_eq(ask(2101, 3100, 5050), LOSS_NOT_YET);
    count(6000, 1010);
    ck_assert_int_eq(ask(2101, 3100, 6003), LOSS_NOT_YET); /* May be late. */
    ck_assert_int_eq(ask(2101, 3100, 6100), LOSS_NONE);
}
END_TEST

START_TEST(never_says_that_all_came_when_one_did_not)
{
    uint64_t min, max;

    count(0, 0);
    for (uint64_t ms = 2100; ms < 2109; ms++) {
        came(ms);
    }
    for (uint64_t s = 1; s <= 2; s++) {
        count(s * 1000, 0);
    }
    for (uint64_t s = 3; s < 20; s++) {
        count(s * 1000, 10);
        ck_assert_int_ne(ask(2101, 3100, s * 1000 + 500), LOSS_NONE);
    }
    ck_assert_int_eq(ask(8000, 9000, 19500), LOSS_NONE); /* Not then. */
    loss_ledger_sum(ledger, T0 + 19500 * MS, &min, &max);
    ck_assert_uint_eq(min, 1);
    ck_assert_uint_eq(max, 1);
}
END_TEST

/* Postcards all the time: of what is on its way nothing is known, and the
 * answer is never that all came although some did not. */
START_TEST(does_not_guess_under_load)
{
    uint64_t sent = 0, min, max;

    for (uint64_t ms = 0; ms < 20000; ms++) {
        sent++;
        if (ms < 9000 || ms >= 9050) {
            came(ms);
        }
        if (ms % 1000 == 999) {
            /* The counter is a second late. */
            count(ms, sent > 1000 ? sent - 1000 : 0);
            ck_assert_int_ne(ask(8500, 9500, ms), LOSS_NONE);
        }
    }
    loss_ledger_sum(ledger, T0 + 20000 * MS, &min, &max);
    ck_assert_uint_le(min, 50);
    ck_assert_uint_ge(max, 50);
    ck_assert_uint_lt(max, 50 + 3100 + 2100);
}
END_TEST

START_TEST(begins_anew_with_a_new_port)
{
    count(0, 1000);
    count(1000, 1000);
    came(1500);
    count(2000, 3);
    ck_assert_int_eq(ask(1400, 1600, 2100), LOSS_UNKNOWN);
    count(3000, 3);
    ck_assert_int_eq(ask(3500, 4000, 3100), LOSS_UNKNOWN);
    count(5000, 3);
    count(9000, 3);
    ck_assert_int_eq(ask(5500, 6000, 9100), LOSS_NONE);
}
END_TEST

/* Readings, the last at 5 s, of a switch of which ten postcards came. */
static void
count_ten(void)
{
    count(0, 0);
    count(1000, 0);
    count(2000, 0);
    loss_ledger_add(ledger, SW, T0 + 2100 * MS, 10);
    for (uint64_t ms = 3000; ms <= 6000; ms += 1000) {
        count(ms, 10);
    }
}

START_TEST(judges_what_it_was_told)
{
    loss_ledger_set_told(ledger, T0 + 5020 * MS);
    count_ten();
    ck_assert_int_eq(ask(2101, 3000, 7000), LOSS_NOT_YET);
    loss_ledger_set_told(ledger, T0 + 5100 * MS);
    ck_assert_int_eq(ask(2101, 3000, 7000), LOSS_NONE);
}
END_TEST

START_TEST(begins_anew_when_something_comes_late)
{
    count_ten();
    ck_assert_int_eq(ask(2101, 3000, 7000), LOSS_NONE);
    loss_ledger_add(ledger, SW, T0 + 6500 * MS, 1);
    ck_assert_int_eq(ask(2101, 3000, 7000), LOSS_NONE);
    loss_ledger_add(ledger, SW, T0 + 2300 * MS, 1);
    ck_assert_int_eq(ask(2101, 3000, 7000), LOSS_UNKNOWN);
}
END_TEST

START_TEST(begins_anew_when_some_were_lost_after_all)
{
    count_ten();
    ck_assert_int_eq(ask(2101, 3000, 7000), LOSS_NONE);
    loss_ledger_add(ledger, SW, 0, 0);
    ck_assert_int_eq(ask(2101, 3000, 7000), LOSS_UNKNOWN);
}
END_TEST

START_TEST(does_not_wait_for_one_who_is_silent)
{
    count(0, 0);
    count(1000, 0);
    ck_assert_int_eq(ask(1500, 2500, 2500), LOSS_NOT_YET);
    ck_assert_int_eq(ask(1500, 2500, 4500), LOSS_UNKNOWN);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("loss_ledger");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, knows_nothing_before_it_is_told);
    tcase_add_test(tc, proves_that_all_came_after_a_quiet_time);
    tcase_add_test(tc, never_says_that_all_came_when_one_did_not);
    tcase_add_test(tc, does_not_guess_under_load);
    tcase_add_test(tc, begins_anew_with_a_new_port);
    tcase_add_test(tc, judges_what_it_was_told);
    tcase_add_test(tc, begins_anew_when_something_comes_late);
    tcase_add_test(tc, begins_anew_when_some_were_lost_after_all);
    tcase_add_test(tc, does_not_wait_for_one_who_is_silent);
    suite_add_tcase(s, tc);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
