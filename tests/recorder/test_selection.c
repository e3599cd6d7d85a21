/* SPDX-License-Identifier: Apache-2.0 */
/* test_selection - which rules emit postcards. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/instr.h"
#include "recorder/of_match.h"
#include "recorder/of_msg.h"
#include "recorder/selection.h"

static struct selection_list *
parse(const char *text)
{
    struct selection_list *list;
    struct lh_error error;

    if (selection_list_parse(text, &list, &error)) {
        ck_abort_msg("%s: %s", text, error.text);
    }
    return list;
}

/* Asks about a rule of switch 1, "br0". */
static struct selection_answer
ask(const struct selection_list *list, int table, uint64_t cookie,
    const char *match)
{
    struct of_match *m;
    char *reason = of_match_from_text(&m, match);
    struct selection_subject subject = {.dpid = 1,
                                        .bridge = "br0",
                                        .table_id = (uint8_t) table,
                                        .cookie = cookie,
                                        .match = m};
    struct selection_answer answer;

    ck_assert_ptr_null(reason);
    answer = selection_list_ask(list, &subject);
    of_match_destroy(m);
    return answer;
}

static bool
takes(const char *text, int table, uint64_t cookie, const char *match)
{
    struct selection_list *list = parse(text);
    bool is_selected = ask(list, table, cookie, match).is_selected;

    selection_list_destroy(list);
    return is_selected;
}

START_TEST(an_empty_list_takes_everything)
{
    struct selection_list *list = parse("# nothing\n\n   \n");
    struct selection_answer a = ask(list, 3, 7, "ip");

    ck_assert(a.is_selected);
    ck_assert_uint_eq(a.priority, SELECTION_PRIORITY);
    ck_assert_uint_eq(a.snap_len, 0);
    ck_assert_ptr_null(a.by);
    selection_list_destroy(list);
}
END_TEST

START_TEST(what_fits_none_is_taken_unless_something_is_included)
{
    ck_assert(takes("exclude a cookie=1", 0, 2, "ip"));
    ck_assert(!takes("include a cookie=1", 0, 2, "ip"));
    ck_assert(!takes("exclude b cookie=3\ninclude a cookie=1", 0, 2, "ip"));
}
END_TEST

START_TEST(the_first_that_fits_decides)
{
    const char *text = "exclude a cookie=0x10/0xf0\n"
                       "include b table=1-2,5 snap-len=128 priority=9\n";
    struct selection_list *list = parse(text);

    ck_assert(!ask(list, 1, 0x1f, "").is_selected);
    ck_assert(ask(list, 1, 0x2f, "").is_selected);
    ck_assert(ask(list, 5, 0, "").is_selected);
    ck_assert(!ask(list, 3, 0, "").is_selected);
    ck_assert_uint_eq(ask(list, 2, 0, "").snap_len, 128);
    ck_assert_uint_eq(ask(list, 2, 0, "").priority, 9);
    ck_assert_str_eq(ask(list, 2, 0, "").by->name, "b");
    selection_list_destroy(list);
}
END_TEST

START_TEST(bridges_are_named_or_numbered)
{
    ck_assert(takes("include a bridge=br9,br0", 0, 0, ""));
    ck_assert(takes("include a bridge=0000000000000001", 0, 0, ""));
    ck_assert(!takes("include a bridge=br1", 0, 0, ""));
}
END_TEST

/* An include takes what some packet of it can hit, an exclude only what no
 * other packet hits. */
START_TEST(in_doubt_a_postcard_is_sent)
{
    ck_assert(takes("include a match=tcp,tp_dst=80", 0, 0, "ip"));
    ck_assert(takes("include a match=tcp,tp_dst=80", 0, 0, "in_port=1"));
    ck_assert(takes("include a match=tcp,tp_dst=80", 0, 0, ""));
    ck_assert(takes("include a match=ip", 0, 0, "tcp,tp_dst=80"));
    ck_assert(!takes("include a match=tcp,tp_dst=80", 0, 0, "udp"));
    ck_assert(!takes("include a match=tcp,tp_dst=80", 0, 0, "tcp,tp_dst=22"));
    ck_assert(!takes("exclude a match=tcp", 0, 0, "tcp,tp_dst=80"));
    ck_assert(!takes("exclude a match=tcp", 0, 0, "tcp"));
    ck_assert(takes("exclude a match=tcp", 0, 0, "ip"));
    ck_assert(takes("exclude a match=tcp", 0, 0, ""));
    ck_assert(takes("exclude a match=tcp", 0, 0, "arp"));
}
END_TEST

START_TEST(a_selection_says_the_encapsulation)
{
    struct selection_list *list = parse("include a cookie=1 encap=mac\n"
                                        "include b cookie=2 encap=geneve\n"
                                        "include c\n");
    struct lh_error error;

    ck_assert_int_eq(ask(list, 0, 1, "ip").encapsulation, INSTR_MAC);
    ck_assert_int_eq(ask(list, 0, 2, "ip").encapsulation, INSTR_GENEVE);
    ck_assert_int_eq(ask(list, 0, 3, "ip").encapsulation, -1);
    ck_assert_int_eq(
        selection_list_add(list, "include d encap=vxlan", NULL, &error),
        EINVAL);
    ck_assert_str_eq(error.text, "column 17: encap: must be geneve or mac");
    selection_list_destroy(list);
}
END_TEST

START_TEST(miss_rules_and_packet_outs)
{
    struct selection_list *tables = parse("include a table=0\n");
    struct selection_list *switches = parse("include a bridge=br0\n");
    struct selection_list *all = parse("exclude a match=ip\n");
    struct selection_subject miss = {.dpid = 1, .bridge = "br0"};
    struct selection_subject out = {
        .dpid = 1, .bridge = "br0", .is_packet_out = true};

    ck_assert(selection_list_ask(tables, &miss).is_selected);
    ck_assert(!selection_list_ask(tables, &out).is_selected);
    ck_assert(selection_list_ask(switches, &miss).is_selected);
    ck_assert(selection_list_ask(switches, &out).is_selected);
    ck_assert(selection_list_ask(all, &miss).is_selected);
    ck_assert(selection_list_ask(all, &out).is_selected);
    selection_list_destroy(tables);
    selection_list_destroy(switches);
    selection_list_destroy(all);
}
END_TEST

START_TEST(what_goes_first_when_there_is_too_much)
{
    struct selection_list *list =
        parse("include a priority=300\ninclude b bridge=br1 priority=2\n"
              "include c priority=50\nexclude d priority=1\n");
    struct selection_list *empty = parse("exclude a match=ip\n");

    ck_assert_int_eq(selection_list_next_priority(list, 1, "br0", 0), 50);
    ck_assert_int_eq(selection_list_next_priority(list, 1, "br0", 51), 300);
    ck_assert_int_eq(selection_list_next_priority(list, 1, "br0", 301), -1);
    ck_assert_int_eq(selection_list_next_priority(list, 2, "br1", 0), 2);
    ck_assert_int_eq(selection_list_next_priority(empty, 1, "br0", 0),
                     SELECTION_PRIORITY);
    ck_assert_int_eq(
        selection_list_next_priority(empty, 1, "br0", SELECTION_PRIORITY + 1),
        -1);
    selection_list_destroy(list);
    selection_list_destroy(empty);
}
END_TEST

START_TEST(text_comes_back)
{
    struct selection_list *list =
        parse("  include  a\tbridge=br0   # first\n\nexclude b match=arp");
    char *text = selection_list_to_text(list);

    ck_assert_str_eq(text, "include a bridge=br0\nexclude b match=arp\n");
    free(text);
    selection_list_destroy(list);
}
END_TEST

START_TEST(selections_come_and_go)
{
    struct selection_list *list = selection_list_create();
    struct lh_error error;
    char *text;

    ck_assert_int_eq(selection_list_add(list, "include a", NULL, &error), 0);
    ck_assert_int_eq(selection_list_add(list, "exclude b", "a", &error), 0);
    ck_assert_int_eq(selection_list_add(list, "exclude b", NULL, &error),
                     EEXIST);
    ck_assert_int_eq(selection_list_add(list, "exclude c", "x", &error),
                     ENOENT);
    ck_assert_int_eq(selection_list_add(list, " # no", NULL, &error), EINVAL);
    ck_assert_int_eq(
        selection_list_add(list, "include x\ninclude y", NULL, &error),
        EINVAL);
    text = selection_list_to_text(list);
    ck_assert_str_eq(text, "exclude b\ninclude a\n");
    free(text);
    ck_assert_int_eq(selection_list_delete(list, "x", &error), ENOENT);
    ck_assert_int_eq(selection_list_delete(list, "b", &error), 0);
    ck_assert_uint_eq(selection_list_count(list), 1);
    ck_assert_str_eq(selection_list_get(list, 0)->name, "a");
    selection_list_destroy(list);
}
END_TEST

static const struct wrong {
    const char *text, *begins;
} wrongs[] = {
    {"include", "line 1, column 8: a name is missing"},
    {"include a\n take b", "line 2, column 2: a selection begins with"},
    {"include a/b", "line 1, column 9: after include comes a name"},
    {"include a bridges=br0", "line 1, column 11: \"bridges\" is no term"},
    {"include a bridge=", "line 1, column 11: bridge needs a value"},
    {"include a bridge=x,,y", "line 1, column 18: bridge: a name is empty"},
    {"include a table=254", "line 1, column 17: table: must be"},
    {"include a table=3-2", "line 1, column 17: table: must be"},
    {"include a table=-1", "line 1, column 17: table: must be"},
    {"include a cookie=1/", "line 1, column 18: cookie: must be VALUE"},
    {"include a cookie=0x30/0x10", "line 1, column 18: cookie: the value"},
    {"include a priority=65536", "line 1, column 20: priority: must be"},
    {"include a snap-len=95", "line 1, column 20: snap-len: must be"},
    {"include a table=1 table=2", "line 1, column 19: table was given"},
    {"\ninclude a match=nonsense", "line 2, column 17: match: "},
    {"include a match=tcp,priority=3",
     "line 1, column 17: match: priority is"},
    {"include a match=tcp,actions=drop", "line 1, column 17: match: actions"},
    {"include a\ninclude a", "line 2, column 1: there is a selection"},
};

START_TEST(what_is_wrong_is_said_with_its_place)
{
    const struct wrong *w = &wrongs[_i];
    struct selection_list *list;
    struct lh_error error;

    ck_assert_int_ne(selection_list_parse(w->text, &list, &error), 0);
    ck_assert_ptr_null(list);
    ck_assert_msg(!strncmp(error.text, w->begins, strlen(w->begins)),
                  "%s instead of %s", error.text, w->begins);
}
END_TEST

START_TEST(a_list_is_bounded)
{
    char *text = lh_alloc_zero((SELECTION_MAX + 1) * 16 + 1);
    struct selection_list *list;
    struct lh_error error;
    char *p = text;

    for (int i = 0; i <= SELECTION_MAX; i++) {
        p += sprintf(p, "include n%d\n", i);
    }
    ck_assert_int_eq(selection_list_parse(text, &list, &error), E2BIG);
    ck_assert_ptr_null(list);
    free(text);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("selection");
    TCase *tc = tcase_create("selection");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    of_msg_init();
    tcase_add_test(tc, an_empty_list_takes_everything);
    tcase_add_test(tc, what_fits_none_is_taken_unless_something_is_included);
    tcase_add_test(tc, the_first_that_fits_decides);
    tcase_add_test(tc, bridges_are_named_or_numbered);
    tcase_add_test(tc, in_doubt_a_postcard_is_sent);
    tcase_add_test(tc, miss_rules_and_packet_outs);
    tcase_add_test(tc, what_goes_first_when_there_is_too_much);
    tcase_add_test(tc, a_selection_says_the_encapsulation);
    tcase_add_test(tc, text_comes_back);
    tcase_add_test(tc, selections_come_and_go);
    tcase_add_loop_test(tc, what_is_wrong_is_said_with_its_place, 0,
                        sizeof wrongs / sizeof *wrongs);
    tcase_add_test(tc, a_list_is_bounded);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
