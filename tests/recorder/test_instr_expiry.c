/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recorder/instr_expiry: a rule that the recorder rewrites ends when
 * it would have ended without. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/instr_state.h"
#include "recorder/of_wire.h"
#include "tests/recorder/rig.h"

#define S  UINT64_C(1000000000)
#define MS UINT64_C(1000000)

#define REASON_OFS 18 /* In a flow-removed of OpenFlow 1.3. */

static uint32_t
find(const struct rig *rig, const char *match)
{
    for (uint32_t v = rig->next_version; v; v--) {
        if (rig->log[v] && rig->log[v]->kind == RULE_FLOW &&
            !strcmp(rig->log[v]->match, match)) {
            return v;
        }
    }
    return 0;
}

/* A rule of the switch ends 'ns' from now, not a moment before. */
static void
check_end(struct rig *rig, uint64_t ns)
{
    size_t n = fake_switch_n_flows(rig->behind);

    rig->now_ns += ns - MS;
    rig_run_due(rig);
    ck_assert_uint_eq(fake_switch_n_flows(rig->behind), n);
    rig->now_ns += MS;
    rig_run_due(rig);
    ck_assert_uint_lt(fake_switch_n_flows(rig->behind), n);
}

/* A rule with a timeout of 10 s that has been rewritten after 4 s. */
static struct rig *
rewritten(bool is_told)
{
    struct rig *rig = rig_create(OF_WIRE_13, FAKE_POSTCARD_PORT);

    if (is_told) {
        rig_stand(rig);
        rig_tell(rig);
    }
    rig_flow(rig, OF_FLOW_ADD,
             "priority=7,cookie=0x9,hard_timeout=10,send_flow_rem,udp,"
             "actions=output:2");
    rig->now_ns += 4 * S;
    rig_run_due(rig);
    rig_flow(rig, OF_FLOW_ADD,
             "priority=8,cookie=0x8,tcp,actions=write_actions(output:1)");
    return rig;
}

/* Makes and delivers what the switch says of the rule's end. */
static void
say_removed(struct rig *rig, enum of_flow_reason reason)
{
    struct of_flow like;
    struct of_flow_removed removed = {.reason = (uint8_t) reason,
                                      .priority = 7,
                                      .cookie = 9,
                                      .duration_ns = 10 * S};
    uint8_t *msg;
    size_t len;

    ck_assert_ptr_null(of_flow_from_text(&like, OF_FLOW_DELETE, "udp"));
    removed.match = like.match;
    of_flow_removed_encode(&removed, OF_WIRE_13, &msg, &len);
    rig_from_switch(rig, msg, len);
    of_flow_uninit(&like);
}

/* The reason of the flow-removed that the controller got; -1: none. */
static int
told_reason(const struct rig *rig)
{
    int reason = -1;

    for (size_t i = 0; i < rig->n_inbox; i++) {
        if (rig->inbox[i].data[1] == OF_WIRE_FLOW_REMOVED) {
            ck_assert_int_eq(reason, -1);
            reason = rig->inbox[i].data[REASON_OFS];
        }
    }
    return reason;
}

START_TEST(a_rewritten_rule_ends_at_its_hard_timeout)
{
    struct rig *rig = rewritten(true);
    uint32_t version = find(rig, "udp");

    check_end(rig, 6 * S);
    ck_assert_str_eq(rig->gone[version], "hard_timeout");
    rig_clear_inbox(rig);
    say_removed(rig, OF_FLOW_DELETED);
    ck_assert_int_eq(told_reason(rig), OF_FLOW_HARD);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_rule_that_its_owner_changes_has_its_time_again)
{
    struct rig *rig = rewritten(true);
    size_t n = fake_switch_n_flows(rig->behind);

    rig_flow(rig, OF_FLOW_MODIFY_STRICT, "priority=7,udp,actions=output:3");
    rig->now_ns += 9 * S;
    rig_run_due(rig);
    ck_assert_uint_eq(fake_switch_n_flows(rig->behind), n);
    /* Its own end is the switch's business. */
    say_removed(rig, OF_FLOW_HARD);
    ck_assert_int_eq(told_reason(rig), OF_FLOW_HARD);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_rule_that_its_owner_deletes_in_time_is_deleted)
{
    struct rig *rig = rewritten(true);

    rig_flow(rig, OF_FLOW_DELETE_STRICT, "priority=7,udp");
    say_removed(rig, OF_FLOW_DELETED);
    ck_assert_int_eq(told_reason(rig), OF_FLOW_DELETED);
    rig->now_ns += 7 * S;
    rig_run_due(rig);
    ck_assert_uint_eq(instr_due_ns(rig->instr), UINT64_MAX);
    rig_destroy(rig);
}
END_TEST

START_TEST(no_rule_is_ended_while_others_changes_are_not_seen)
{
    struct rig *rig = rewritten(false);
    size_t n = fake_switch_n_flows(rig->behind);

    rig->now_ns += 7 * S;
    rig_run_due(rig);
    ck_assert_uint_eq(fake_switch_n_flows(rig->behind), n);
    rig_stand(rig);
    rig_tell(rig);
    rig_run_due(rig);
    ck_assert_uint_lt(fake_switch_n_flows(rig->behind), n);
    rig_destroy(rig);
}
END_TEST

START_TEST(the_next_recorder_knows_when_it_ends)
{
    struct rig *rig = rewritten(true);
    uint32_t version = find(rig, "udp");

    rig_restart(rig);
    rig_stand(rig);
    rig_tell(rig);
    check_end(rig, 6 * S);
    ck_assert_str_eq(rig->gone[version], "hard_timeout");
    rig_destroy(rig);
}
END_TEST

START_TEST(rules_that_come_and_go_are_forgotten)
{
    struct rig *rig = rewritten(true);
    const char *rule = "priority=9,hard_timeout=60000,udp,actions=output:1";

    for (int i = 0; i < 5000; i++) {
        rig_by_hand(rig, OF_FLOW_ADD, rule);
        rig_say(rig, OF_UPDATE_ADDED, rule);
        rig->now_ns += 10000 * MS;
        rig_run_due(rig);
        rig_by_hand(rig, OF_FLOW_DELETE_STRICT, "priority=9,udp");
        rig_say(rig, OF_UPDATE_REMOVED, rule);
    }
    ck_assert_uint_gt(instr_counters(rig->instr)->reinstrumented, 4000);
    ck_assert_uint_le(rig->instr->expiry.allocated, 2048);
    rig_destroy(rig);
}
END_TEST

/* A rule with a timeout of 10 s that stands since 'age_s' seconds when the
 * recorder first comes, which gives it postcards. */
static struct rig *
found(uint32_t age_s)
{
    struct rig *rig = rig_create(OF_WIRE_13, FAKE_POSTCARD_PORT);

    rig_by_hand(rig, OF_FLOW_ADD,
                "priority=7,cookie=0x9,hard_timeout=10,udp,actions=output:2");
    fake_switch_set_age(rig->behind, age_s);
    rig_restart(rig);
    rig_stand(rig);
    rig_tell(rig);
    return rig;
}

START_TEST(a_rule_that_was_there_first_ends_on_time)
{
    struct rig *rig = found(4);
    uint32_t version = find(rig, "udp");

    check_end(rig, 6 * S);
    ck_assert_str_eq(rig->gone[version], "hard_timeout");
    rig_destroy(rig);
}
END_TEST

START_TEST(one_that_was_changed_nobody_knows_when_has_all_its_time)
{
    struct rig *rig = found(14);

    check_end(rig, 10 * S);
    rig_destroy(rig);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("instr_expiry");
    TCase *tc = tcase_create("expiry");
    SRunner *runner;
    int n_failed;

    tcase_add_test(tc, a_rewritten_rule_ends_at_its_hard_timeout);
    tcase_add_test(tc, a_rule_that_its_owner_changes_has_its_time_again);
    tcase_add_test(tc, a_rule_that_its_owner_deletes_in_time_is_deleted);
    tcase_add_test(tc, no_rule_is_ended_while_others_changes_are_not_seen);
    tcase_add_test(tc, the_next_recorder_knows_when_it_ends);
    tcase_add_test(tc, rules_that_come_and_go_are_forgotten);
    tcase_add_test(tc, a_rule_that_was_there_first_ends_on_time);
    tcase_add_test(tc,
                   one_that_was_changed_nobody_knows_when_has_all_its_time);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
