/* SPDX-License-Identifier: Apache-2.0 */
/* test_path_moments - in a timed path table postcards of one time come at one
 * moment, whatever order they come in; and a postcard that came twice does not
 * swallow the equal packets after it. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "gen/gen_random.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "server/path_table.h"
#include "tests/server/sketch.h"

#define N_CARDS   4096
#define N_SHUFFLE 20
#define N_KINDS   4 /* Of TTLs. */
#define UNIT_NS   UINT64_C(400000)

static struct sketch s;
static struct path_table *pt;

/* Histories as text. */
static char *lines[N_CARDS];
static size_t n_lines;

static void
emit(void *aux, struct history *h)
{
    json_t *json = history_to_json(h, NULL);

    ck_assert_uint_lt(n_lines, N_CARDS);
    lines[n_lines++] = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(json);
    history_destroy(h);
}

static void
create(bool is_timed)
{
    const struct path_table_config config = {.emit = emit,
                                             .find_rule = sketch_find_rule,
                                             .is_timed = is_timed,
                                             .aux = &s};

    path_table_destroy(pt);
    pt = path_table_create(&config);
    path_table_set_topology(pt, s.topology);
}

static void
setup(void)
{
    sketch_init(&s);
    sketch_rule(&s, 1, 11, 1, 4);
    sketch_rule(&s, 2, 22, 1, 3);
    create(true);
}

static void
drop_lines(void)
{
    while (n_lines) {
        free(lines[--n_lines]);
    }
}

static void
teardown(void)
{
    drop_lines();
    path_table_destroy(pt);
    pt = NULL;
    sketch_uninit(&s);
}

static struct path_table_counters
counters(void)
{
    struct path_table_counters n;

    path_table_get_counters(pt, &n);
    ck_assert_uint_eq(n.in, n.out + n.duplicates + n.ambiguous + n.held);
    return n;
}

/* A postcard of s1 (from its edge to s2), or of s2 (from s1 to its edge). */
static struct postcard *
card(int hop, uint64_t time_us)
{
    return hop ? sketch_card(&s, 2, 1, 3, 22, 64, time_us)
               : sketch_card(&s, 1, 1, 4, 11, 64, time_us);
}

START_TEST(what_is_complete_waits_for_the_end_of_the_moment)
{
    path_table_add(pt, card(0, 0));
    path_table_add(pt, card(1, 10));
    ck_assert_uint_eq(n_lines, 0);
    path_table_run(pt, SKETCH_T0 + 10000);
    ck_assert_uint_eq(n_lines, 0);
    path_table_run(pt, SKETCH_T0 + 10001);
    ck_assert_uint_eq(n_lines, 1);
    ck_assert_uint_eq(counters().closed_early, 1);
    /* By the time of another packet's postcard, too. */
    path_table_add(pt, card(0, 3000));
    path_table_add(pt, card(1, 3010));
    ck_assert_uint_eq(n_lines, 1);
    path_table_add(pt, card(0, 3011));
    ck_assert_uint_eq(n_lines, 2);
}
END_TEST

START_TEST(what_comes_last_is_not_forgotten)
{
    path_table_add(pt, card(0, 0));
    path_table_add(pt, card(1, 10));
    path_table_flush(pt);
    ck_assert_uint_eq(n_lines, 1);
    ck_assert_uint_eq(counters().closed_early, 1);
}
END_TEST

/* Of two equal packets, one ends as the other begins: whether or not they are
 * told apart, the order does not matter. */
START_TEST(equal_times_have_no_order)
{
    for (int turn = 0; turn < 2; turn++) {
        create(true);
        drop_lines();
        path_table_add(pt, card(0, 0));
        path_table_add(pt, card(turn, 2000));
        path_table_add(pt, card(!turn, 2000));
        path_table_add(pt, card(1, 2010));
        path_table_flush(pt);
        ck_assert_uint_eq(n_lines, 2);
        ck_assert_uint_eq(counters().out, 4);
        ck_assert_uint_eq(counters().late, 0);
    }
}
END_TEST

static int
compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Adds all; the histories are sorted. */
static void
run(struct postcard *const *cards, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (cards[i]->time_ns >= path_table_next_ns(pt)) {
            path_table_run_to(pt, cards[i]->time_ns);
        }
        path_table_push(pt, cards[i]);
    }
    path_table_flush(pt);
    qsort(lines, n_lines, sizeof *lines, compare_lines);
}

/* Another order of those that have one time. */
static void
shuffle(struct gen_random *random, struct postcard **cards, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t end = i + 1, j;
        struct postcard *p = cards[i];

        while (end < n && cards[end]->time_ns == p->time_ns) {
            end++;
        }
        j = i + gen_random_pick(random, end - i);
        cards[i] = cards[j];
        cards[j] = p;
    }
}

static int
compare_times(const void *a_, const void *b_)
{
    const struct postcard *a = *(struct postcard *const *) a_;
    const struct postcard *b = *(struct postcard *const *) b_;

    return a->time_ns < b->time_ns ? -1 : a->time_ns > b->time_ns;
}

/* Hundreds of packets of one ID that overlap, by a coarse clock, some
 * postcards doubled or lost: more than a group holds, too. */
START_TEST(any_order_of_equal_times_says_the_same)
{
    struct gen_random random = {(uint64_t) _i + 1};
    struct postcard *models[N_KINDS][2];
    struct postcard *cards[N_CARDS];
    uint64_t time_ns = SKETCH_T0;
    char *expected[N_CARDS];
    size_t n = 0, n_expected;

    for (uint8_t i = 0; i < N_KINDS; i++) {
        models[i][0] = sketch_card(&s, 1, 1, 4, 11, 64 - i, 0);
        models[i][1] = sketch_card(&s, 2, 1, 3, 22, 64 - i, 0);
    }
    while (n < 1500) {
        size_t kind = gen_random_pick(&random, N_KINDS);

        time_ns += gen_random_pick(&random, 4) * UNIT_NS;
        for (int hop = 0; hop < 2; hop++) {
            size_t copies = gen_random_pick(&random, 20);

            copies = copies == 0 ? 0 : copies == 1 ? 2 : 1;
            for (size_t k = 0; k < copies; k++) {
                cards[n] = postcard_clone(models[kind][hop]);
                cards[n++]->time_ns =
                    time_ns + hop * gen_random_pick(&random, 6) * UNIT_NS;
            }
        }
    }
    qsort(cards, n, sizeof *cards, compare_times);
    run(cards, n);
    ck_assert_uint_gt(n_lines, 200);
    ck_assert_uint_gt(counters().duplicates, 0);
    n_expected = n_lines;
    memcpy(expected, lines, n_lines * sizeof *lines);
    n_lines = 0;
    for (int k = 0; k < N_SHUFFLE; k++) {
        create(true);
        shuffle(&random, cards, n);
        run(cards, n);
        ck_assert_uint_eq(n_lines, n_expected);
        for (size_t i = 0; i < n_lines; i++) {
            ck_assert_str_eq(lines[i], expected[i]);
        }
        drop_lines();
    }
    for (size_t i = 0; i < n_expected; i++) {
        free(expected[i]);
    }
    for (size_t i = 0; i < n; i++) {
        free(cards[i]);
    }
}
END_TEST

/* The network doubles one postcard; equal packets go on coming. */
START_TEST(a_double_swallows_no_packet)
{
    struct path_table_counters n;

    create(_i);
    path_table_add(pt, card(0, 0));
    path_table_add(pt, card(1, 10));
    path_table_add(pt, card(_i, 300));
    for (uint64_t k = 1; k < 20; k++) {
        path_table_add(pt, card(0, 2000 * k));
        path_table_add(pt, card(1, 2000 * k + 10));
    }
    path_table_flush(pt);
    n = counters();
    ck_assert_uint_eq(n_lines, 20);
    ck_assert_uint_eq(n.out, 40);
    ck_assert_uint_eq(n.duplicates, 1);
    ck_assert_uint_eq(n.late, 0);
}
END_TEST

/* Moments add up: of a row of equal postcards all but the first are doubles.
 */
START_TEST(a_row_of_doubles_is_none)
{
    create(_i);
    path_table_add(pt, card(0, 0));
    path_table_add(pt, card(1, 10));
    for (uint64_t k = 1; k < 4; k++) {
        path_table_add(pt, card(1, 10 + 900 * k));
    }
    path_table_flush(pt);
    ck_assert_uint_eq(n_lines, 1);
    ck_assert_uint_eq(counters().duplicates + counters().ambiguous, 3);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("path_moments");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int n_failed;

    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, what_is_complete_waits_for_the_end_of_the_moment);
    tcase_add_test(tc, what_comes_last_is_not_forgotten);
    tcase_add_test(tc, equal_times_have_no_order);
    tcase_add_loop_test(tc, any_order_of_equal_times_says_the_same, 0, 5);
    tcase_add_loop_test(tc, a_double_swallows_no_packet, 0, 2);
    tcase_add_loop_test(tc, a_row_of_doubles_is_none, 0, 2);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
