/* SPDX-License-Identifier: Apache-2.0 */
/* Filters matched together give what each gives by itself, and less work. */
#include <config.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "phf/phf_set.h"
#include "tests/phf/sketch.h"

/* The numbers of the filters that were hit, as text. */
struct hits {
    char text[200];
    int n_limits;
};

static void
note_hit(void *aux, uint32_t id, void *filter_aux, enum phf_result result)
{
    struct hits *hits = aux;
    size_t len = strlen(hits->text);

    ck_assert_int_ne(result, PHF_MISS);
    hits->n_limits += result == PHF_LIMIT;
    snprintf(hits->text + len, sizeof hits->text - len, " %u%s", id,
             (const char *) filter_aux);
}

static uint32_t
add(struct phf_set *set, const char *filter, const char *aux)
{
    struct lh_error error;
    struct phf *phf;

    ck_assert_msg(!phf_compile(filter, NULL, &phf, &error), "%s: %s", filter,
                  error.text);
    return phf_set_add(set, phf, (void *) aux);
}

static void
check_hits(struct phf_set *set, const char *history, const char *expected)
{
    struct history *h = sketch_history(history);
    struct hits hits = {"", 0};

    phf_set_match(set, h, NULL, note_hit, &hits);
    ck_assert_str_eq(hits.text, expected);
    history_destroy(h);
}

START_TEST(hits_come_in_order_with_what_was_added)
{
    struct phf_set *set = phf_set_create();

    check_hits(set, "1:1>2", "");
    add(set, "{{--dpid 2}}", "a");
    add(set, ".", "b");
    add(set, "{{--dpid 1}}.*{{--dpid 2}}", "c");
    ck_assert_uint_eq(phf_set_count(set), 3);
    check_hits(set, "1:1>2", " 2b");
    check_hits(set, "1:1>2 2:1>3", " 1a 2b 3c");
    check_hits(set, "2:1>2 1:1>3", " 1a 2b");
    check_hits(set, "", "");
    phf_set_destroy(set);
}
END_TEST

START_TEST(filters_come_and_go)
{
    struct phf_set *set = phf_set_create();
    uint32_t a = add(set, "{{--dpid 1}}", "a");
    uint32_t b = add(set, "{{--dpid 1 --inport 1}}", "b");

    check_hits(set, "1:1>2", " 1a 2b");
    ck_assert(phf_set_remove(set, a));
    ck_assert(!phf_set_remove(set, a));
    check_hits(set, "1:1>2", " 2b");
    ck_assert_uint_eq(add(set, "{{--dpid 1}}$", "c"), 3);
    check_hits(set, "1:1>2", " 2b 3c");
    ck_assert(phf_set_remove(set, b));
    check_hits(set, "1:1>2", " 3c");
    ck_assert(phf_set_remove(set, 3));
    ck_assert_uint_eq(phf_set_count(set), 0);
    check_hits(set, "1:1>2", "");
    phf_set_destroy(set);
}
END_TEST

/* The same, where a filter names ports and versions, at its beginning, end or
 * where every match passes. */
START_TEST(filters_that_name_ports_or_versions_are_run_where_they_can_match)
{
    struct phf_set *set = phf_set_create();
    struct phf_set_counters counters;

    add(set, ".{{--version 9}}.", "v");
    add(set, "[{{--inport 5}}{{--inport 6}}].*{{--dpid not 1}}", "i");
    add(set, ".*{{--outport 8}}$", "o");
    add(set, "{{--outport DROP}}", "d");
    add(set, "{{--outport not 8}}{{--outport FLOOD --dpid 3}}", "f");
    check_hits(set, "1:1>2/7 2:1>3/8 2:1>3/8", "");
    phf_set_get_counters(set, &counters);
    ck_assert_uint_eq(counters.runs, 0);
    check_hits(set, "1:1>2/7 2:1>3/8,9 2:1>3/8", " 1v");
    check_hits(set, "1:1>2/9 2:1>3/8 2:1>3/8", "");
    check_hits(set, "1:6>2/7 2:1>8/8", " 2i 3o");
    check_hits(set, "1:?>2/7 2:1>FLOOD+8,9", " 3o");
    check_hits(set, "1:1>2 2:1>-=dropped", " 4d");
    check_hits(set, "1:1>2 3:1>FLOOD", " 5f");
    phf_set_destroy(set);
}
END_TEST

/* What each way of being found must not skip. */
START_TEST(filters_that_name_switches_are_run_only_where_they_can_match)
{
    struct phf_set *set = phf_set_create();
    struct phf_set_counters counters;

    add(set, "{{--dpid 1}}.*{{--dpid 9}}", "begin");
    add(set, "^.*{{--dpid 5}}", "end");
    add(set, "[{{--dpid 1}}{{--dpid 2 --inport 1}}]+", "any");
    add(set, "{{--dpid 3}}|^$", "or");
    check_hits(set, "7:1>2", "");
    phf_set_get_counters(set, &counters);
    ck_assert_uint_eq(counters.histories, 1);
    ck_assert_uint_eq(counters.skipped, 3);
    ck_assert_uint_eq(counters.runs, 1);
    check_hits(set, "7:1>2 5:1>1", " 2end");
    check_hits(set, "7:1>2 2:1>1", " 3any");
    check_hits(set, "7:1>2 3:1>1", " 4or");
    check_hits(set, "7:1>2 1:2>1 9:1>1", " 1begin 3any");
    phf_set_get_counters(set, &counters);
    ck_assert_uint_eq(counters.histories, 5);
    ck_assert_uint_eq(counters.matches, 5);
    ck_assert_uint_eq(counters.runs + counters.skipped, 5 * 4);
    phf_set_destroy(set);
}
END_TEST

/* The memo must not take one way's verdict for another's. */
START_TEST(shared_predicates_on_the_verdict)
{
    struct phf_set *set = phf_set_create();

    add(set, "{{--dpid 3 --verdict lost}}", "a");
    add(set, "{{--verdict lost}}$", "b");
    add(set, "{{--dpid 1 --verdict lost}}.*{{--dpid 3}}", "c");
    add(set, "{{--dpid 1 --verdict delivered}}.*{{--dpid 3}}", "d");
    check_hits(set, "1:1>2,3 2:1>4=lost <0 3:1>4=delivered", " 2b 4d");
    check_hits(set, "1:1>2 3:1>4=lost", " 1a 2b 3c");
    check_hits(set, "1:1>2 3:1>4=open", "");
    phf_set_destroy(set);
}
END_TEST

/* A path must not be taken for one that was met before. */
START_TEST(paths_that_differ_in_one_thing)
{
    struct phf_set *set = phf_set_create();

    add(set, "{{--dpid 9}}", "s");
    add(set, "{{--inport 5}}", "i");
    add(set, "{{--outport 8}}", "o");
    add(set, "{{--version 6}}", "v");
    add(set, "{{--verdict lost}}", "l");
    add(set, "{{--dpid 2}}{{--dpid 3}}", "p");
    for (int i = 0; i < 2; i++) {
        check_hits(set, "1:1>2/7 2:1>3/8 3:1>4", " 6p");
        check_hits(set, "1:1>2/7 2:1>3/8 9:1>4", " 1s");
        check_hits(set, "1:5>2/7 2:1>3/8 3:1>4", " 2i 6p");
        check_hits(set, "1:1>2/7 2:1>8/8 3:1>4", " 3o 6p");
        check_hits(set, "1:1>FLOOD+2/7 2:1>3/8 3:1>4", " 6p");
        check_hits(set, "1:1>FLOOD+8/7 2:1>3/8 3:1>4", " 3o 6p");
        check_hits(set, "1:1>2/7 2:1>3/6 3:1>4", " 4v 6p");
        check_hits(set, "1:1>2/7 2:1>3/8 3:1>4=lost", " 5l 6p");
        check_hits(set, "1:1>2,3/7 2:1>3/8 <0 3:1>4", "");
    }
    phf_set_destroy(set);
}
END_TEST

START_TEST(giving_up_is_told)
{
    struct phf_set *set = phf_set_create();
    struct history *h = history_create(1);
    struct phf_set_counters counters;
    struct hits hits = {"", 0};

    for (int i = 0; i < 3000; i++) {
        struct history_hop *hop = history_add_hop(h);

        hop->parent = i - 1;
        hop->dpid = (uint64_t) i;
    }
    add(set, "(.).*(.).*(.).*\\1\\2\\3", "a");
    add(set, "{{--dpid 5}}", "b");
    phf_set_match(set, h, NULL, note_hit, &hits);
    ck_assert_str_eq(hits.text, " 1a 2b");
    ck_assert_int_eq(hits.n_limits, 1);
    phf_set_get_counters(set, &counters);
    ck_assert_uint_eq(counters.limits, 1);
    ck_assert_uint_eq(counters.matches, 1);
    history_destroy(h);
    phf_set_destroy(set);
}
END_TEST

/* 2000 filters, among them 1000 that ask the same. */
START_TEST(many_filters)
{
    struct phf_set *set = phf_set_create();
    struct phf_set_counters counters;
    struct history *h = sketch_history("1:1>2 700:1>3");
    struct hits hits = {"", 0};

    for (unsigned int i = 0; i < 1000; i++) {
        char filter[80];

        snprintf(filter, sizeof filter, "{{--dpid %u --inport 2}}", i);
        add(set, filter, "x");
        snprintf(filter, sizeof filter, "{{--dpid %u}}{{--dpid 700}}$", i);
        add(set, filter, "y");
    }
    phf_set_match(set, h, NULL, note_hit, &hits);
    ck_assert_str_eq(hits.text, " 4y");
    phf_set_get_counters(set, &counters);
    ck_assert_uint_eq(counters.runs, 2);
    history_destroy(h);
    phf_set_destroy(set);
}
END_TEST

/* Of a large set: the answers are right at every moment, and removing and
 * adding a few does not make filters be run that cannot match. */
START_TEST(many_filters_come_and_go)
{
    struct phf_set *set = phf_set_create();
    struct phf_set_counters before, after;
    uint32_t ids[600];
    char filter[64];

    for (unsigned int i = 0; i < 600; i++) {
        char expected[64];
        char history[64];

        snprintf(filter, sizeof filter, "{{--dpid %u}}$", 1000 + i);
        ids[i] = add(set, filter, "");
        snprintf(history, sizeof history, "%u:1>2", 1000 + i);
        snprintf(expected, sizeof expected, " %u", ids[i]);
        check_hits(set, history, expected);
        if (i % 3 == 0) {
            ck_assert(phf_set_remove(set, ids[i]));
            ck_assert(!phf_set_remove(set, ids[i]));
            check_hits(set, history, "");
        }
    }
    ck_assert_uint_eq(phf_set_count(set), 400);
    phf_set_get_counters(set, &before);
    for (unsigned int i = 0; i < 600; i++) {
        char expected[64] = "";
        char history[64];

        snprintf(history, sizeof history, "%u:1>2", 1000 + i);
        if (i % 3) {
            snprintf(expected, sizeof expected, " %u", ids[i]);
        }
        check_hits(set, history, expected);
    }
    phf_set_get_counters(set, &after);
    ck_assert_uint_lt(after.runs - before.runs, 600 * 40);
    phf_set_destroy(set);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("phf_set");
    TCase *tcase = tcase_create("phf_set");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_set_timeout(tcase, 60);

    tcase_add_test(tcase, hits_come_in_order_with_what_was_added);
    tcase_add_test(tcase, filters_come_and_go);
    tcase_add_test(
        tcase, filters_that_name_switches_are_run_only_where_they_can_match);
    tcase_add_test(
        tcase,
        filters_that_name_ports_or_versions_are_run_where_they_can_match);
    tcase_add_test(tcase, shared_predicates_on_the_verdict);
    tcase_add_test(tcase, paths_that_differ_in_one_thing);
    tcase_add_test(tcase, giving_up_is_told);
    tcase_add_test(tcase, many_filters);
    tcase_add_test(tcase, many_filters_come_and_go);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
