/* SPDX-License-Identifier: Apache-2.0 */
/* test_clock_offset - made-up clocks are found again, within the error that is
 * told. */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "gen/gen_random.h"
#include "server/clock_offset.h"

#define T0      UINT64_C(1700000000000000000)
#define N_HOSTS 6

static struct clock_delays *delays;
static struct gen_random r;
static int64_t ahead[N_HOSTS];

/* Switches 10 * host + i. */
static size_t
host_of(void *aux, uint64_t dpid)
{
    return dpid / 10 < N_HOSTS ? (size_t) (dpid / 10) : SIZE_MAX;
}

static void
setup(void)
{
    delays = clock_delays_create();
    r.state = 5;
    for (size_t i = 0; i < N_HOSTS; i++) {
        ahead[i] = (int64_t) gen_random_pick(&r, 2000000000) - 1000000000;
    }
}

static void
teardown(void)
{
    clock_delays_destroy(delays);
}

/* 'n' packets from host a to host b, of delays from 'min_us' on. */
static void
send(size_t a, size_t b, int n, uint32_t min_us, uint64_t now_ns)
{
    for (int i = 0; i < n; i++) {
        int64_t delay = (int64_t) (min_us + gen_random_pick(&r, 500)) * 1000;

        clock_delays_note(delays, a * 10 + gen_random_pick(&r, 3),
                          b * 10 + gen_random_pick(&r, 3),
                          delay + ahead[b] - ahead[a], now_ns);
    }
}

static void
check(const struct clock_offset *offsets, size_t host, uint64_t max_error_ns)
{
    int64_t want = ahead[host] - ahead[0];
    int64_t off = offsets[host].offset_ns - want;

    ck_assert(offsets[host].is_known);
    ck_assert_uint_le(offsets[host].error_ns, max_error_ns);
    ck_assert_int_le(off < 0 ? -off : off, (int64_t) offsets[host].error_ns);
}

START_TEST(skew_is_found_within_the_error)
{
    struct clock_offset offsets[N_HOSTS];

    for (size_t a = 0; a < N_HOSTS; a++) {
        for (size_t b = 0; b < N_HOSTS; b++) {
            if (a != b) {
                /* One direction is slower: the error says so. */
                send(a, b, 300, a < b ? 10 : 60, T0);
            }
        }
    }
    clock_offset_estimate(delays, host_of, NULL, N_HOSTS, T0, offsets);
    ck_assert_int_eq(offsets[0].offset_ns, 0);
    for (size_t i = 1; i < N_HOSTS; i++) {
        check(offsets, i, 60000);
    }
}
END_TEST

/* A line of hosts: errors add up. */
START_TEST(hosts_are_compared_by_way_of_others)
{
    struct clock_offset offsets[N_HOSTS];

    for (size_t i = 0; i + 2 < N_HOSTS; i++) {
        send(i, i + 1, 300, 10, T0);
        send(i + 1, i, 300, 10, T0);
    }
    /* The last one answers nobody: nothing is known of it. */
    send(N_HOSTS - 2, N_HOSTS - 1, 300, 10, T0);
    clock_offset_estimate(delays, host_of, NULL, N_HOSTS, T0, offsets);
    for (size_t i = 1; i + 1 < N_HOSTS; i++) {
        check(offsets, i, 25000 * i);
        ck_assert_uint_gt(offsets[i].error_ns, offsets[i - 1].error_ns);
    }
    ck_assert(!offsets[N_HOSTS - 1].is_known);
}
END_TEST

START_TEST(a_clock_that_was_set_is_followed)
{
    struct clock_offset offsets[N_HOSTS];
    uint64_t later = T0 + 3 * CLOCK_DELAYS_SPAN_NS;

    send(0, 1, 300, 10, T0);
    send(1, 0, 300, 10, T0);
    clock_offset_estimate(delays, host_of, NULL, N_HOSTS, T0, offsets);
    check(offsets, 1, 30000);
    clock_offset_estimate(delays, host_of, NULL, N_HOSTS, later, offsets);
    ck_assert(!offsets[1].is_known);
    ahead[1] += 5000000000;
    send(0, 1, 300, 10, later);
    send(1, 0, 300, 10, later);
    clock_offset_estimate(delays, host_of, NULL, N_HOSTS, later, offsets);
    check(offsets, 1, 30000);
}
END_TEST

START_TEST(threads_put_together_what_they_saw)
{
    struct clock_delays *other = clock_delays_create(), *mine = delays;
    struct clock_offset offsets[N_HOSTS];

    send(0, 1, 300, 10, T0);
    delays = other;
    send(1, 0, 300, 10, T0);
    delays = mine;
    clock_delays_merge(delays, other, T0);
    clock_offset_estimate(delays, host_of, NULL, N_HOSTS, T0, offsets);
    check(offsets, 1, 30000);
    clock_delays_destroy(other);
}
END_TEST

/* Hops of a history; what was not seen, or came by the controller, tells
 * nothing. */
START_TEST(histories_tell_of_neighbours)
{
    struct history *h = history_create(1);
    struct clock_offset offsets[N_HOSTS];
    static const uint64_t dpids[] = {1, 11, 1, 12};

    for (int i = 0; i < 4; i++) {
        struct history_hop *hop = history_add_hop(h);

        hop->dpid = dpids[i];
        hop->parent = i - 1;
        hop->time_ns = T0 + (uint64_t) i * 1000 + (i % 2 ? 500000 : 0);
    }
    h->hops[3].has_gap_before = true;
    h->hops[3].time_ns = 5;
    clock_delays_note_history(delays, h, NULL, T0);
    clock_offset_estimate(delays, host_of, NULL, N_HOSTS, T0, offsets);
    ck_assert(offsets[1].is_known);
    ck_assert_int_eq(offsets[1].offset_ns, 500000);
    ck_assert_uint_eq(offsets[1].error_ns, 1000);
    history_destroy(h);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("clock_offset");
    TCase *tc = tcase_create("clock_offset");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, skew_is_found_within_the_error);
    tcase_add_test(tc, hosts_are_compared_by_way_of_others);
    tcase_add_test(tc, a_clock_that_was_set_is_followed);
    tcase_add_test(tc, threads_put_together_what_they_saw);
    tcase_add_test(tc, histories_tell_of_neighbours);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
