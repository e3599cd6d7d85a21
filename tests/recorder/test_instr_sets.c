/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of what the recorder leaves alone because the controller would notice:
 * action sets that end at the controller, and table misses that go to the
 * controller one way and nowhere another. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/of_wire.h"
#include "tests/recorder/rig.h"

/* Fails unless the switch has, or has not, 'text' in what it holds. */
static void
check_behind(const struct rig *rig, const char *text, bool is_there)
{
    char *rules = fake_switch_text(rig->behind);

    ck_assert_msg((strstr(rules, text) != NULL) == is_there, "%s in:\n%s",
                  text, rules);
    free(rules);
}

START_TEST(a_set_that_ends_at_the_controller_keeps_the_others_as_they_are)
{
    struct rig *rig = rig_create(OF_WIRE_13, FAKE_POSTCARD_PORT);

    rig_flow(rig, OF_FLOW_ADD,
             "table=2,priority=5,udp,actions=write_actions(output:3)");
    check_behind(rig, "write_actions(output:3)", false);
    rig_flow(rig, OF_FLOW_ADD,
             "table=0,priority=5,tcp,actions=write_actions(output:1),"
             "goto_table:2");
    check_behind(rig, "write_actions(output:1)", false);
    /* In a set this would win against a resubmit written later. */
    rig_flow(rig, OF_FLOW_ADD,
             "table=0,priority=6,udp,actions=write_actions(CONTROLLER),"
             "goto_table:2");
    check_behind(rig, "write_actions(output:1)", true);
    check_behind(rig, "write_actions(output:3)", true);
    rig_check_same(rig);
    rig_destroy(rig);
}
END_TEST

START_TEST(sets_that_all_end_at_the_controller_need_nothing)
{
    struct rig *rig = rig_create(OF_WIRE_13, FAKE_POSTCARD_PORT);

    rig_flow(rig, OF_FLOW_ADD,
             "table=0,priority=6,udp,actions=write_actions(CONTROLLER)");
    rig_flow(rig, OF_FLOW_ADD, "table=0,priority=7,tcp,actions=goto_table:1");
    check_behind(rig, "write_actions(resubmit(", true); /* The mark. */
    rig_destroy(rig);
}
END_TEST

/* True when the switch has a table-miss rule of ours in table 3. */
static void
check_miss(const struct rig *rig, bool is_there)
{
    check_behind(rig, "table=3,priority=0", is_there);
}

START_TEST(a_table_come_to_both_ways_has_no_miss_rule_before_13)
{
    struct rig *rig = rig_create(OF_WIRE_10, FAKE_POSTCARD_PORT);

    rig_flow(rig, OF_FLOW_ADD, "priority=5,tcp,actions=ct(table=3)");
    check_miss(rig, true);
    rig_flow(rig, OF_FLOW_ADD,
             "priority=6,udp,actions=resubmit(,3),ct(table=3)");
    check_miss(rig, false);
    rig_flow(rig, OF_FLOW_DELETE_STRICT, "priority=6,udp");
    check_miss(rig, true);
    rig_destroy(rig);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("instr_sets");
    TCase *tc = tcase_create("sets");
    SRunner *runner;
    int n_failed;

    tcase_add_test(
        tc, a_set_that_ends_at_the_controller_keeps_the_others_as_they_are);
    tcase_add_test(tc, sets_that_all_end_at_the_controller_need_nothing);
    tcase_add_test(tc, a_table_come_to_both_ways_has_no_miss_rule_before_13);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
