/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU budget, on a host that is made up: what it uses grows with the
 * packets it keeps. */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "agent/budget.h"
#include "agent/threshold_log.h"

#define PERIOD_NS (BUDGET_PERIOD_MS * UINT64_C(1000000))
#define PER_S     (1000 / BUDGET_PERIOD_MS)

/* An agent that uses 'idle' of a processor, and 'load' more if it kept all. */
struct host {
    struct budget budget;
    double idle, load;
    uint32_t threshold;
    uint64_t cpu_ns, now_ns;
    uint32_t random;
};

static void
host_init(struct host *h, double share)
{
    *h = (struct host){.threshold = UINT32_MAX, .random = 1, .idle = 0.004};
    budget_init(&h->budget, share);
    budget_step(&h->budget, 0, 0, UINT32_MAX);
}

static double
host_used(const struct host *h)
{
    double used =
        h->idle + h->load * ((double) h->threshold + 1) / 4294967296.0;

    return used > 1 ? 1 : used;
}

/* One period, in which the load is up to 'noise' off. */
static void
host_step(struct host *h, double noise)
{
    double off;

    h->random = h->random * 1664525 + 1013904223;
    off = 1 + noise * ((double) (h->random >> 8) / (1 << 23) - 1);
    h->cpu_ns += (uint64_t) (host_used(h) * off * (double) PERIOD_NS);
    h->now_ns += PERIOD_NS;
    h->threshold = budget_step(&h->budget, h->cpu_ns, h->now_ns, h->threshold);
}

static void
host_run(struct host *h, unsigned int seconds, double noise)
{
    for (unsigned int i = 0; i < seconds * PER_S; i++) {
        host_step(h, noise);
    }
}

static void
check_holds(const struct host *h)
{
    ck_assert_double_ge(host_used(h), 0.09);
    ck_assert_double_le(host_used(h), 0.11);
}

START_TEST(a_small_load_is_kept_whole)
{
    struct host h;

    host_init(&h, 0.1);
    h.load = 0.08;
    host_run(&h, 10, 0.1);
    ck_assert_uint_eq(h.threshold, UINT32_MAX);
}
END_TEST

START_TEST(steps_of_load_are_followed_within_5_seconds)
{
    static const double loads[] = {0.5, 0.2, 3, 0.15, 10, 0.3, 0.9};
    struct host h;

    host_init(&h, 0.1);
    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
        h.load = loads[i];
        host_run(&h, 5, 0.05);
        for (unsigned int k = 0; k < 10 * PER_S; k++) {
            check_holds(&h);
            host_step(&h, 0.05);
        }
    }
    h.load = 0.01;
    host_run(&h, 5, 0.05);
    ck_assert_uint_eq(h.threshold, UINT32_MAX);
}
END_TEST

START_TEST(it_comes_back_after_idle_hours)
{
    struct host h;

    host_init(&h, 0.1);
    h.load = 100;
    host_run(&h, 10, 0.05);
    h.load = 0;
    host_run(&h, 10, 0.05);
    ck_assert_uint_eq(h.threshold, UINT32_MAX);
    h.load = 2;
    host_run(&h, 5, 0.05);
    check_holds(&h);
}
END_TEST

START_TEST(a_steady_load_leaves_the_threshold_alone)
{
    struct host h;
    unsigned int n_changes = 0;

    host_init(&h, 0.1);
    h.load = 1;
    host_run(&h, 5, 0.01);
    for (unsigned int i = 0; i < 60 * PER_S; i++) {
        uint32_t before = h.threshold;

        host_step(&h, 0.01);
        n_changes += h.threshold != before;
    }
    ck_assert_uint_le(n_changes, 12);
}
END_TEST

START_TEST(what_others_keep_less_is_no_reason_to_want_more)
{
    struct host h;
    uint32_t others = UINT32_MAX / 100;

    host_init(&h, 0.1);
    h.load = 1;
    host_run(&h, 5, 0.05);
    /* The server says less than this host could stand. */
    for (unsigned int i = 0; i < 10 * PER_S; i++) {
        host_step(&h, 0.05);
        if (h.threshold > others) {
            h.threshold = others;
        }
    }
    ck_assert_uint_le(h.budget.want, 2 * others + 2);
}
END_TEST

START_TEST(without_a_budget_all_is_kept)
{
    struct host h;

    host_init(&h, 0);
    h.load = 100;
    host_run(&h, 3, 0);
    ck_assert_uint_eq(h.threshold, UINT32_MAX);
}
END_TEST

START_TEST(a_batch_has_the_least_threshold_of_its_time)
{
    struct threshold_log log;

    threshold_log_init(&log, UINT32_MAX);
    ck_assert_uint_eq(threshold_log_least(&log, 0, 1), UINT32_MAX);
    threshold_log_set(&log, 1000, 500); /* Lower: from now on. */
    ck_assert_uint_eq(threshold_log_now(&log), 500);
    ck_assert_uint_eq(threshold_log_least(&log, 10, 999), UINT32_MAX);
    ck_assert_uint_eq(threshold_log_least(&log, 10, 1000), 500);
    ck_assert_uint_eq(threshold_log_least(&log, 2000, 3000), 500);
    threshold_log_set(&log, 5000, 900); /* Higher: a little later. */
    ck_assert_uint_eq(threshold_log_now(&log), 900);
    ck_assert_uint_eq(threshold_log_least(&log, 5001, 5002), 500);
    ck_assert_uint_eq(threshold_log_least(&log, 5001 + THRESHOLD_LOG_RISE_NS,
                                          5002 + THRESHOLD_LOG_RISE_NS),
                      900);
    ck_assert_uint_eq(
        threshold_log_least(&log, 4000, 5002 + THRESHOLD_LOG_RISE_NS), 500);
}
END_TEST

START_TEST(many_changes_are_remembered_safely)
{
    struct threshold_log log;

    threshold_log_init(&log, 1000000);
    for (uint32_t i = 1; i <= 1000; i++) {
        threshold_log_set(&log, i * UINT64_C(1000000000),
                          i % 2 ? 1000 + i : 1000000 + i);
    }
    /* Of what is forgotten the least is said. */
    ck_assert_uint_le(threshold_log_least(&log, 1500000000, 1600000000), 1001);
    ck_assert_uint_eq(threshold_log_least(&log, UINT64_C(999500000000),
                                          UINT64_C(999600000000)),
                      1999);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("budget");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(tcase, a_small_load_is_kept_whole);
    tcase_add_test(tcase, steps_of_load_are_followed_within_5_seconds);
    tcase_add_test(tcase, it_comes_back_after_idle_hours);
    tcase_add_test(tcase, a_steady_load_leaves_the_threshold_alone);
    tcase_add_test(tcase, what_others_keep_less_is_no_reason_to_want_more);
    tcase_add_test(tcase, without_a_budget_all_is_kept);
    tcase_add_test(tcase, a_batch_has_the_least_threshold_of_its_time);
    tcase_add_test(tcase, many_changes_are_remembered_safely);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
