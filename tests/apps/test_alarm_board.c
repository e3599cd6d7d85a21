/* SPDX-License-Identifier: Apache-2.0 */
/* The board of alarms: what is told when, and what is not told twice. */
#include <config.h>

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/alarm_board.h"

#define SECOND UINT64_C(1000000000)
#define START  (UINT64_C(1000) * SECOND)

static struct invariant_file *file;
static struct alarm_board *board;
static char told[8192];

/* "violated 0 at 5: 5-5, 1; " with seconds since START. */
static void
note(void *aux, const struct alarm_event *event)
{
    static const char *const kinds[] = {"violated", "still", "recovered"};
    size_t len = strlen(told);

    snprintf(told + len, sizeof told - len,
             "%s %zu at %" PRId64 ": %" PRId64 "-%" PRId64 ", %" PRIu64 "%s; ",
             kinds[event->kind], event->invariant,
             (int64_t) (event->time_ns - START) / (int64_t) SECOND,
             (int64_t) (event->since_ns - START) / (int64_t) SECOND,
             (int64_t) (event->last_ns - START) / (int64_t) SECOND, event->n,
             event->history ? " h" : "");
}

static void
begin(const char *text, uint64_t remind_s)
{
    struct alarm_config config = {.clear_ns = 30 * SECOND,
                                  .remind_ns = remind_s * SECOND,
                                  .start_ns = START,
                                  .emit = note};

    ck_assert_int_eq(invariant_file_parse(text, strlen(text), NULL, &file), 0);
    config.file = file;
    board = alarm_board_create(&config);
    told[0] = '\0';
}

static void
end(void)
{
    alarm_board_destroy(board);
    invariant_file_destroy(file);
}

/* What was told since the last call. */
static void
expect(const char *what)
{
    ck_assert_str_eq(told, what);
    told[0] = '\0';
}

static struct history *
dropped_at(uint64_t second, uint64_t dpid)
{
    struct history *h = history_create(1);
    struct history_hop *hop = history_add_hop(h);

    hop->dpid = 1;
    hop->in_port = 1;
    hop->time_ns = START + second * SECOND;
    verdict_set(&hop->verdict, VERDICT_DROPPED, dpid, 0, "no output");
    history_settle(h);
    return h;
}

static void
take(size_t invariant, struct history *h)
{
    alarm_board_take(board, invariant, 0, h);
    history_destroy(h);
}

static void
lose(size_t invariant, uint64_t second, enum evidence evidence)
{
    struct history *h = dropped_at(second, 2);

    h->hops[0].verdict.name = VERDICT_LOST;
    h->hops[0].verdict.evidence = evidence;
    history_settle(h);
    take(invariant, h);
}

static void
tick(uint64_t second)
{
    alarm_board_tick(board, START + second * SECOND, 0);
}

static void
reach(enum invariant_sign sign, uint64_t second)
{
    alarm_board_reach(board, 0, sign, START + second * SECOND, NULL);
}

START_TEST(the_same_trouble_is_told_once_and_when_it_is_over)
{
    begin("no drops", 0);
    take(0, dropped_at(5, 2));
    expect("violated 0 at 5: 5-5, 1 h; ");
    take(0, dropped_at(6, 2));
    take(0, dropped_at(9, 2));
    take(0, dropped_at(8, 2));
    tick(38);
    expect("");
    ck_assert(alarm_board_totals(board, 0)->is_violated);
    tick(39);
    expect("recovered 0 at 39: 5-9, 4; ");
    ck_assert(!alarm_board_totals(board, 0)->is_violated);
    ck_assert_uint_eq(alarm_board_totals(board, 0)->n, 4);
    tick(100);
    expect("");
    take(0, dropped_at(101, 2));
    expect("violated 0 at 101: 101-101, 1 h; ");
    end();
}
END_TEST

START_TEST(without_ticks_the_next_packet_tells_that_it_was_over)
{
    begin("no drops clear 10s", 0);
    take(0, dropped_at(5, 2));
    take(0, dropped_at(15, 2));
    take(0, dropped_at(26, 2));
    expect("violated 0 at 5: 5-5, 1 h; recovered 0 at 25: 5-15, 2; "
           "violated 0 at 26: 26-26, 1 h; ");
    end();
}
END_TEST

START_TEST(another_place_is_another_trouble)
{
    begin("no drops\nno black-holes", 0);
    take(0, dropped_at(5, 2));
    take(0, dropped_at(6, 3));
    take(1, dropped_at(7, 3));
    take(0, dropped_at(8, 3));
    expect("violated 0 at 5: 5-5, 1 h; violated 0 at 6: 6-6, 1 h; "
           "violated 1 at 7: 7-7, 1 h; ");
    tick(36);
    expect("recovered 0 at 35: 5-5, 1; ");
    ck_assert(alarm_board_totals(board, 0)->is_violated);
    end();
}
END_TEST

START_TEST(a_reminder_comes_while_it_goes_on)
{
    begin("no drops", 10);
    take(0, dropped_at(5, 2));
    take(0, dropped_at(14, 2));
    take(0, dropped_at(15, 2));
    take(0, dropped_at(16, 2));
    expect("violated 0 at 5: 5-5, 1 h; still 0 at 15: 5-15, 3 h; ");
    end();
}
END_TEST

START_TEST(so_many_places_are_one_trouble)
{
    begin("no drops", 0);
    for (uint64_t i = 0; i < ALARM_BOARD_MAX; i++) {
        take(0, dropped_at(1, 100 + i));
    }
    told[0] = '\0';
    take(0, dropped_at(2, 10));
    expect("violated 0 at 2: 2-2, 1 h; ");
    take(0, dropped_at(3, 11));
    expect("");
    ck_assert_uint_eq(alarm_board_totals(board, 0)->n, ALARM_BOARD_MAX + 2);
    end();
}
END_TEST

START_TEST(matches_above_the_rate_are_counted_for_the_last_trouble)
{
    begin("no drops", 0);
    take(0, dropped_at(5, 2));
    alarm_board_more(board, 0, 0, 1000, START + 6 * SECOND);
    tick(36);
    expect("violated 0 at 5: 5-5, 1 h; recovered 0 at 36: 5-6, 1001; ");
    /* They may be all that is known. */
    alarm_board_more(board, 0, 0, 7, START + 50 * SECOND);
    expect("violated 0 at 50: 50-50, 7; ");
    end();
}
END_TEST

START_TEST(what_missing_postcards_may_explain_raises_nothing)
{
    begin("no losses\nwaypoint s9 from any\nno drops", 0);
    lose(0, 5, EVIDENCE_UNCERTAIN);
    expect("");
    ck_assert_uint_eq(alarm_board_totals(board, 0)->uncertain, 1);
    ck_assert_uint_eq(alarm_board_totals(board, 0)->n, 0);
    lose(0, 6, EVIDENCE_COMPLETE);
    expect("violated 0 at 6: 6-6, 1 h; ");

    struct history *h = dropped_at(7, 2);

    h->hops[0].has_gap_before = true;
    alarm_board_take(board, 1, 0, h);
    expect("");
    alarm_board_take(board, 2, 0, h);
    expect("violated 2 at 7: 7-7, 1 h; ");
    history_destroy(h);
    end();
}
END_TEST

START_TEST(reach_within_wants_a_delivery_after_a_failure)
{
    begin("reach within 10s to 10.0.0.1", 0);
    tick(100); /* Nobody sends. */
    reach(INVARIANT_FAILED, 100);
    reach(INVARIANT_REACHED, 109);
    tick(200);
    expect("");
    reach(INVARIANT_FAILED, 200);
    reach(INVARIANT_FAILED, 205);
    tick(209);
    expect("");
    tick(210);
    expect("violated 0 at 210: 200-210, 1; ");
    reach(INVARIANT_FAILED, 220);
    tick(300);
    expect("");
    reach(INVARIANT_REACHED, 301);
    expect("recovered 0 at 301: 200-301, 1; ");
    /* A failure told late, of before the delivery. */
    reach(INVARIANT_FAILED, 300);
    tick(400);
    expect("");
    end();
}
END_TEST

START_TEST(reach_within_is_told_late_where_nothing_ticks)
{
    begin("reach within 10s to 10.0.0.1", 0);
    reach(INVARIANT_FAILED, 100);
    reach(INVARIANT_REACHED, 150);
    expect("violated 0 at 110: 100-110, 1; recovered 0 at 150: 100-150, 1; ");
    end();
}
END_TEST

START_TEST(reach_every_wants_no_silence)
{
    begin("reach every 10s to 10.0.0.1", 0);
    reach(INVARIANT_REACHED, 9);
    reach(INVARIANT_REACHED, 19);
    tick(28);
    expect("");
    tick(29);
    expect("violated 0 at 29: 19-29, 1; ");
    tick(60);
    expect("");
    reach(INVARIANT_REACHED, 61);
    expect("recovered 0 at 61: 19-61, 1; ");
    /* Not even the first one. */
    end();
    begin("reach every 10s to 10.0.0.1", 0);
    tick(10);
    expect("violated 0 at 10: 0-10, 1; ");
    end();
}
END_TEST

START_TEST(reach_waits_for_what_may_come_late)
{
    begin("reach every 10s to 10.0.0.1", 0);
    alarm_board_tick(board, START + 10 * SECOND, 5 * SECOND);
    expect("");
    alarm_board_tick(board, START + 11 * SECOND, 5 * SECOND);
    expect("violated 0 at 10: 0-10, 1; ");
    end();
}
END_TEST

START_TEST(time_that_was_not_watched_is_no_quiet_time)
{
    begin("no drops\nreach every 10s to 10.0.0.1", 0);
    take(0, dropped_at(5, 2));
    expect("violated 0 at 5: 5-5, 1 h; ");
    alarm_board_resume(board, START + 100 * SECOND);
    tick(105);
    expect("");
    tick(110);
    expect("violated 1 at 110: 100-110, 1; ");
    tick(130);
    expect("recovered 0 at 130: 5-5, 1; ");
    end();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("alarm_board");
    TCase *tc = tcase_create("alarms");
    SRunner *runner;
    int failed;

    tcase_add_test(tc, the_same_trouble_is_told_once_and_when_it_is_over);
    tcase_add_test(tc, without_ticks_the_next_packet_tells_that_it_was_over);
    tcase_add_test(tc, another_place_is_another_trouble);
    tcase_add_test(tc, a_reminder_comes_while_it_goes_on);
    tcase_add_test(tc, so_many_places_are_one_trouble);
    tcase_add_test(tc,
                   matches_above_the_rate_are_counted_for_the_last_trouble);
    tcase_add_test(tc, what_missing_postcards_may_explain_raises_nothing);
    tcase_add_test(tc, reach_within_wants_a_delivery_after_a_failure);
    tcase_add_test(tc, reach_within_is_told_late_where_nothing_ticks);
    tcase_add_test(tc, reach_every_wants_no_silence);
    tcase_add_test(tc, reach_waits_for_what_may_come_late);
    tcase_add_test(tc, time_that_was_not_watched_is_no_quiet_time);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
