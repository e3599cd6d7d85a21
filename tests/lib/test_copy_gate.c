/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/copy_gate. */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "lib/copy_gate.h"
#include "tests/lib/random_history.h"

#define TIME_NS 1700000000000000000ull

/* What two sets have goes through once, what one has twice twice, in whatever
 * order they come. */
START_TEST(goes_through_as_often_as_one_set_has_it)
{
    static const uint32_t orders[][5] = {
        {1, 1, 2, 2, 3}, {1, 2, 3, 1, 2}, {3, 2, 1, 2, 1}, {2, 1, 1, 3, 2}};
    struct copy_gate *gate = copy_gate_create();
    struct history *h = line_history(7, 3, TIME_NS, 64);
    struct copy_gate_counters c;

    for (size_t i = 0; i < 4; i++) {
        int n = 0;

        for (size_t j = 0; j < 5; j++) {
            n += copy_gate_admits(gate, TIME_NS + i, orders[i][j], h);
        }
        ck_assert_int_eq(n, 2);
    }
    copy_gate_get_counters(gate, &c);
    ck_assert_uint_eq(c.doubles, 4 * 3);
    ck_assert_uint_eq(c.unsure, 0);
    history_destroy(h);
    copy_gate_destroy(gate);
}
END_TEST

/* Whatever member differs, they are two; a copy is the same. */
START_TEST(tells_apart_what_differs)
{
    struct copy_gate *gate = copy_gate_create();
    uint64_t seed = _i;

    for (int i = 0; i < 60; i++) {
        struct history *h = random_history(&seed, 6, TIME_NS);
        struct history *other = random_history(&seed, 6, TIME_NS);
        struct history *copy = history_clone(h);
        bool is_same = history_is_same(h, other);

        ck_assert(copy_gate_admits(gate, TIME_NS + (uint64_t) i, 1, h));
        ck_assert(!copy_gate_admits(gate, TIME_NS + (uint64_t) i, 2, copy));
        ck_assert_int_eq(
            copy_gate_admits(gate, TIME_NS + (uint64_t) i, 2, other), true);
        ck_assert_int_eq(
            copy_gate_admits(gate, TIME_NS + (uint64_t) i, 3, other), is_same);
        if (copy->n_hops && copy->hops[0].caplen) {
            copy->hops[0].header[0] ^= 1;
            ck_assert(copy_gate_admits(gate, TIME_NS + (uint64_t) i, 4, copy));
        }
        history_destroy(h);
        history_destroy(other);
        history_destroy(copy);
    }
    copy_gate_destroy(gate);
}
END_TEST

/* Many of one time are told apart; past the limit each goes through. */
START_TEST(many_of_one_time)
{
    struct copy_gate *gate = copy_gate_create();
    struct history *h = line_history(1, 1, TIME_NS, 20);
    struct copy_gate_counters c;
    uint64_t n = 0;

    for (uint32_t set = 1; set <= 2; set++) {
        for (uint64_t id = 0; id < 100000; id++) {
            h->packet_id = id;
            n += copy_gate_admits(gate, TIME_NS, set, h);
        }
    }
    ck_assert_uint_eq(n, 100000);
    for (uint64_t id = 0; id < 2 * COPY_GATE_MAX; id++) {
        h->packet_id = id;
        copy_gate_admits(gate, TIME_NS, 3, h);
    }
    copy_gate_get_counters(gate, &c);
    ck_assert_uint_gt(c.unsure, 0);
    ck_assert(copy_gate_admits(gate, TIME_NS + 1, 1, h));
    ck_assert(!copy_gate_admits(gate, TIME_NS + 1, 2, h));
    history_destroy(h);
    copy_gate_destroy(gate);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("copy_gate");
    TCase *cases = tcase_create("copy_gate");
    SRunner *runner;
    int n_failed;

    tcase_add_test(cases, goes_through_as_often_as_one_set_has_it);
    tcase_add_loop_test(cases, tells_apart_what_differs, 1, 5);
    tcase_add_test(cases, many_of_one_time);
    suite_add_tcase(suite, cases);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
