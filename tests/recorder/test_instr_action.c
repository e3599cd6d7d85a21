/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recorder/instr with a switch that makes postcards itself. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/of_wire.h"
#include "tests/recorder/rig.h"

static const uint8_t versions[] = {OF_WIRE_10, OF_WIRE_11, OF_WIRE_12,
                                   OF_WIRE_13, OF_WIRE_14, OF_WIRE_15};
#define N_VERSIONS (sizeof versions / sizeof versions[0])

/* 'has' and what else the switch behind shows. */
static void
check_behind(const struct rig *rig, const char *has, const char *has_not)
{
    char *text = fake_switch_text(rig->behind);

    ck_assert_msg(!has || strstr(text, has), "no %s in %s", has, text);
    ck_assert_msg(!has_not || !strstr(text, has_not), "%s in %s", has_not,
                  text);
    free(text);
}

START_TEST(rules_get_the_action_and_nothing_else)
{
    struct rig *rig = rig_create(versions[_i], RIG_AGENT);

    ck_assert(instr_makes_cards(rig->instr));
    rig_flow(rig, OF_FLOW_ADD, "priority=5,tcp,actions=output:2");
    check_behind(rig, "actions=postcard(version=1),output:2", NULL);
    rig_flow(rig, OF_FLOW_ADD, "priority=6,udp,actions=ALL");
    check_behind(rig, "actions=postcard(version=2),ALL", NULL);
    rig_flow(rig, OF_FLOW_ADD, "priority=7,icmp,actions=drop");
    check_behind(rig, "actions=postcard(version=3)", "clone");
    check_behind(rig, NULL, "note");
    rig_check_same(rig);

    /* No rule of ours but that of discovery. */
    ck_assert_uint_eq(rig->next_version, 3);
    rig_flow(rig, OF_FLOW_DELETE, "");
    check_behind(rig, NULL, "postcard");
    rig_check_same(rig);
    rig_destroy(rig);
}
END_TEST

START_TEST(action_sets_and_buckets_stay)
{
    struct rig *rig = rig_create(versions[_i], RIG_AGENT);

    if (versions[_i] >= OF_WIRE_11) {
        rig_flow(rig, OF_FLOW_ADD,
                 "priority=5,tcp,actions=write_actions(output:2),"
                 "goto_table:4");
        check_behind(rig,
                     "actions=postcard(version=1),write_actions(output:2),"
                     "goto_table:4",
                     "resubmit");
        rig_flow(rig, OF_FLOW_ADD, "priority=5,udp,actions=clear_actions");
        check_behind(rig, "postcard(version=2),clear_actions", "resubmit");
    }
    rig_flow(rig, OF_FLOW_ADD, "priority=5,icmp,actions=resubmit(,2)");
    rig_check_same(rig);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_recorder_that_comes_again_finds_its_versions)
{
    struct rig *rig = rig_create(versions[_i], RIG_AGENT);

    rig_flow(rig, OF_FLOW_ADD, "priority=5,tcp,actions=output:2");
    rig_flow(rig, OF_FLOW_ADD, "priority=6,udp,actions=FLOOD");
    rig_restart(rig);
    ck_assert(instr_makes_cards(rig->instr));
    ck_assert(instr_stands(rig->instr, 1));
    ck_assert(instr_stands(rig->instr, 2));
    check_behind(rig, "actions=postcard(version=2),FLOOD",
                 "postcard(version=3)");
    rig_check_same(rig);
    rig_destroy(rig);
}
END_TEST

START_TEST(what_another_recorder_left_is_replaced)
{
    struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);

    rig_flow(rig, OF_FLOW_ADD, "priority=5,tcp,actions=output:2");
    check_behind(rig, "clone", "postcard");
    rig->port = RIG_AGENT;
    rig_restart(rig);
    check_behind(rig, "postcard(version=", "clone");
    rig_check_same(rig);

    rig->port = FAKE_POSTCARD_PORT;
    rig_restart(rig);
    check_behind(rig, "clone", "postcard");
    rig_check_same(rig);
    rig_destroy(rig);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("instr_action");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tc, rules_get_the_action_and_nothing_else, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tc, action_sets_and_buckets_stay, 0, N_VERSIONS);
    tcase_add_loop_test(tc, a_recorder_that_comes_again_finds_its_versions, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tc, what_another_recorder_left_is_replaced, 0,
                        N_VERSIONS);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
