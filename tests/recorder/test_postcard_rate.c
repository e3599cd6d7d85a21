/* SPDX-License-Identifier: Apache-2.0 */
/* test_postcard_rate - what goes when postcards are too many. */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "recorder/postcard_rate.h"

#define S UINT64_C(1000000000)

/* A switch whose selections of priority 10, 20 and 30 make so many postcards a
 * second. */
struct fake {
    struct postcard_rate rate;
    uint64_t now_s, sent;
    uint64_t pps[3];
    unsigned int n_looks;
};

static int
next_priority(void *aux, int above)
{
    return above <= 10 ? 10 : above <= 20 ? 20 : above <= 30 ? 30 : -1;
}

static enum postcard_rate_action
tick(struct fake *f)
{
    struct postcard_counters now;

    f->now_s++;
    for (unsigned int i = 0; i < 3; i++) {
        if (10 * (i + 1) >= postcard_rate_shed_below(&f->rate)) {
            f->sent += f->pps[i];
        }
    }
    now = (struct postcard_counters){.time_ns = f->now_s * S,
                                     .tx_packets = f->sent};
    switch (postcard_rate_count(&f->rate, &now)) {
    case POSTCARD_RATE_SHED:
        return postcard_rate_raise(&f->rate, next_priority, NULL)
                   ? POSTCARD_RATE_SHED
                   : POSTCARD_RATE_KEEP;
    case POSTCARD_RATE_RESTORE:
        ck_assert(postcard_rate_lower(&f->rate));
        return POSTCARD_RATE_RESTORE;
    case POSTCARD_RATE_LOOK:
        f->n_looks++;
        break;
    case POSTCARD_RATE_KEEP:
        break;
    }
    return POSTCARD_RATE_KEEP;
}

/* Seconds until 'action', at most 'max'; then max + 1. */
static unsigned int
until(struct fake *f, enum postcard_rate_action action, unsigned int max)
{
    for (unsigned int i = 1; i <= max; i++) {
        if (tick(f) == action) {
            return i;
        }
    }
    return max + 1;
}

static struct fake
fake(uint32_t max_pps, uint64_t a, uint64_t b, uint64_t c)
{
    struct fake f = {.pps = {a, b, c}};

    postcard_rate_init(&f.rate, max_pps);
    tick(&f);
    return f;
}

START_TEST(the_rate_is_measured)
{
    struct fake f = fake(0, 100, 20, 3);

    ck_assert_int_eq(tick(&f), POSTCARD_RATE_KEEP);
    ck_assert_uint_eq(f.rate.pps, 123);
    ck_assert_uint_eq(until(&f, POSTCARD_RATE_SHED, 100), 101);
}
END_TEST

START_TEST(below_the_cap_nothing_goes)
{
    struct fake f = fake(123, 100, 20, 3);

    ck_assert_uint_eq(until(&f, POSTCARD_RATE_SHED, 100), 101);
    ck_assert_uint_eq(postcard_rate_shed_below(&f.rate), 0);
}
END_TEST

START_TEST(the_lowest_goes_first_and_no_more_than_needed)
{
    struct fake f = fake(1000, 500, 600, 300);

    /* A look comes first. */
    ck_assert_int_eq(tick(&f), POSTCARD_RATE_KEEP);
    ck_assert_uint_eq(f.n_looks, 1);
    ck_assert_int_eq(tick(&f), POSTCARD_RATE_SHED);
    ck_assert_uint_eq(f.n_looks, 1);
    ck_assert_uint_eq(postcard_rate_shed_below(&f.rate), 11);
    ck_assert_uint_eq(until(&f, POSTCARD_RATE_SHED, 60), 61);
}
END_TEST

START_TEST(one_after_the_other_goes)
{
    struct fake f = fake(1000, 10, 2000, 1300);

    ck_assert_uint_le(until(&f, POSTCARD_RATE_SHED, 3), 3);
    ck_assert_uint_eq(postcard_rate_shed_below(&f.rate), 11);
    ck_assert_uint_le(until(&f, POSTCARD_RATE_SHED, 3), 3);
    ck_assert_uint_eq(postcard_rate_shed_below(&f.rate), 21);
    ck_assert_uint_le(until(&f, POSTCARD_RATE_SHED, 3), 3);
    ck_assert_uint_eq(postcard_rate_shed_below(&f.rate), 31);
    f.pps[2] = 2000; /* Nothing is left to be given up. */
    ck_assert_uint_eq(until(&f, POSTCARD_RATE_SHED, 5), 6);
}
END_TEST

START_TEST(what_went_comes_back_when_it_is_calm)
{
    struct fake f = fake(1000, 500, 600, 300);

    ck_assert_uint_eq(until(&f, POSTCARD_RATE_SHED, 3), 2);
    f.pps[1] = 501; /* 801 now: below the cap, not calm. */
    ck_assert_uint_eq(until(&f, POSTCARD_RATE_RESTORE, 60), 61);
    f.pps[1] = 100; /* 400. */
    ck_assert_uint_eq(until(&f, POSTCARD_RATE_RESTORE, 60), 11);
    ck_assert_uint_eq(postcard_rate_shed_below(&f.rate), 0);
    ck_assert_uint_eq(until(&f, POSTCARD_RATE_SHED, 60), 61);
}
END_TEST

/* Rules that go one by one: 3 of them, of 200 postcards a second each. */
START_TEST(rules_come_back_as_far_as_they_fit)
{
    struct postcard_rate rate;
    struct postcard_counters now = {.time_ns = S};
    unsigned int s;

    postcard_rate_init(&rate, 1000);
    postcard_rate_count(&rate, &now);
    for (s = 2; s <= 3; s++) {
        now.time_ns = s * S;
        now.tx_packets += 1200;
        ck_assert_int_eq(postcard_rate_count(&rate, &now),
                         s == 2 ? POSTCARD_RATE_LOOK : POSTCARD_RATE_SHED);
    }
    ck_assert_uint_eq(postcard_rate_excess(&rate), 500);
    ck_assert_uint_eq(postcard_rate_room(&rate), 0);
    postcard_rate_shed(&rate, 3);
    ck_assert_uint_eq(postcard_rate_shed_below(&rate), 0);
    for (; s <= 14; s++) {
        now.time_ns = s * S;
        now.tx_packets += 600;
        /* The first one began when the rules went. */
        ck_assert_int_eq(postcard_rate_count(&rate, &now),
                         s == 4    ? POSTCARD_RATE_LOOK
                         : s == 14 ? POSTCARD_RATE_RESTORE
                                   : POSTCARD_RATE_KEEP);
    }
    ck_assert_uint_eq(postcard_rate_room(&rate), 200);
    ck_assert(!postcard_rate_lower(&rate));
    postcard_rate_restored(&rate, 2);
    for (; s <= 16; s++) {
        now.time_ns = s * S;
        now.tx_packets += 800;
        ck_assert_int_eq(postcard_rate_count(&rate, &now),
                         s == 15 ? POSTCARD_RATE_LOOK : POSTCARD_RATE_KEEP);
    }
    ck_assert_uint_eq(postcard_rate_room(&rate), 0);
}
END_TEST

START_TEST(a_steady_overload_is_tried_less_and_less)
{
    struct fake f = fake(1000, 5000, 0, 0);
    unsigned int wait_s = 10;

    for (int i = 0; i < 8; i++) {
        ck_assert_uint_le(until(&f, POSTCARD_RATE_SHED, 3), 3);

        unsigned int took = until(&f, POSTCARD_RATE_RESTORE, 400);

        ck_assert_uint_ge(took, wait_s);
        ck_assert_uint_le(took, wait_s + 2);
        wait_s = wait_s >= 320 ? 320 : wait_s * 2;
    }
}
END_TEST

START_TEST(after_a_long_calm_the_wait_is_short_again)
{
    struct fake f = fake(1000, 5000, 0, 0);

    for (int i = 0; i < 3; i++) {
        until(&f, POSTCARD_RATE_SHED, 3);
        until(&f, POSTCARD_RATE_RESTORE, 400);
    }
    f.pps[0] = 10;
    ck_assert_uint_eq(until(&f, POSTCARD_RATE_SHED, 60), 61);
    f.pps[0] = 5000;
    ck_assert_uint_le(until(&f, POSTCARD_RATE_SHED, 3), 3);
    ck_assert_uint_le(until(&f, POSTCARD_RATE_RESTORE, 400), 12);
}
END_TEST

START_TEST(counters_that_fell_begin_anew)
{
    struct fake f = fake(1000, 100, 0, 0);

    f.sent = 0;
    ck_assert_int_eq(tick(&f), POSTCARD_RATE_KEEP);
    ck_assert_uint_eq(f.rate.pps, 0);
    ck_assert_int_eq(tick(&f), POSTCARD_RATE_KEEP);
    ck_assert_uint_eq(f.rate.pps, 100);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("postcard_rate");
    TCase *tc = tcase_create("postcard_rate");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_add_test(tc, the_rate_is_measured);
    tcase_add_test(tc, below_the_cap_nothing_goes);
    tcase_add_test(tc, the_lowest_goes_first_and_no_more_than_needed);
    tcase_add_test(tc, one_after_the_other_goes);
    tcase_add_test(tc, what_went_comes_back_when_it_is_calm);
    tcase_add_test(tc, rules_come_back_as_far_as_they_fit);
    tcase_add_test(tc, a_steady_overload_is_tried_less_and_less);
    tcase_add_test(tc, after_a_long_calm_the_wait_is_short_again);
    tcase_add_test(tc, counters_that_fell_begin_anew);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
