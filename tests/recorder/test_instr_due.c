/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recorder/instr_due: when rules of others get their postcards, and
 * when they are left to them. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/instr_state.h"
#include "recorder/of_wire.h"
#include "tests/recorder/rig.h"

#define MS   UINT64_C(1000000)
#define RULE "cookie=0x5,priority=9,udp,actions=output:1"

static const uint8_t versions[] = {OF_WIRE_10, OF_WIRE_13, OF_WIRE_14};
#define N_VERSIONS ((int) sizeof versions)

/* Whether the switch has the rule with postcards. */
static bool
has_cards(const struct rig *rig)
{
    char *text = fake_switch_text(rig->behind);
    char *rule = strstr(text, "cookie=0x5,");
    bool has;

    ck_assert_ptr_nonnull(rule);
    *strchrnul(rule, '\n') = '\0';
    has = strstr(rule, "clone(") != NULL;
    free(text);
    return has;
}

static void
write_rule(struct rig *rig)
{
    rig_by_hand(rig, OF_FLOW_ADD, RULE);
    rig_say(rig, OF_UPDATE_ADDED, RULE);
    ck_assert(!has_cards(rig));
}

/* How many ms pass until it has them; 0: it is not to get any. */
static unsigned int
wait_for_cards(struct rig *rig)
{
    for (unsigned int ms = 20; ms <= 3000; ms += 20) {
        rig->now_ns += 20 * MS;
        rig_run_due(rig);
        if (has_cards(rig)) {
            return ms;
        }
    }
    return 0;
}

START_TEST(each_change_makes_the_wait_twice_as_long)
{
    struct rig *rig = rig_create_watching(versions[_i], FAKE_POSTCARD_PORT);

    for (unsigned int ms = 20; ms <= 160; ms *= 2) {
        write_rule(rig);
        ck_assert_uint_eq(wait_for_cards(rig), ms);
    }
    rig->now_ns += 10000 * MS;
    write_rule(rig);
    ck_assert_uint_eq(wait_for_cards(rig), 20);
    ck_assert_uint_eq(instr_counters(rig->instr)->given_up, 0);
    rig_destroy(rig);
}
END_TEST

START_TEST(who_undoes_it_each_time_keeps_his_rule)
{
    struct rig *rig = rig_create_watching(versions[_i], FAKE_POSTCARD_PORT);

    for (int i = 0; i < 6; i++) {
        write_rule(rig);
        ck_assert_uint_ne(wait_for_cards(rig), 0);
    }
    write_rule(rig);
    ck_assert_uint_eq(instr_counters(rig->instr)->given_up, 1);
    ck_assert_uint_eq(wait_for_cards(rig), 0);
    rig->now_ns += 60000 * MS;
    write_rule(rig); /* It stays his. */
    ck_assert_uint_eq(wait_for_cards(rig), 0);
    ck_assert_uint_eq(instr_counters(rig->instr)->given_up, 1);
    rig_destroy(rig);
}
END_TEST

/* Changes are not a fight when our postcards stood for a while. */
START_TEST(a_rule_that_changes_often_is_not_given_up)
{
    struct rig *rig = rig_create_watching(versions[_i], FAKE_POSTCARD_PORT);

    for (int i = 0; i < 20; i++) {
        write_rule(rig);
        ck_assert_uint_ne(wait_for_cards(rig), 0);
        rig->now_ns += (i % 5 ? 500 : 10000) * MS;
    }
    ck_assert_uint_eq(instr_counters(rig->instr)->given_up, 0);
    rig_destroy(rig);
}
END_TEST

/* Somebody sets the clock to an hour before. */
START_TEST(a_clock_put_back_delays_nothing)
{
    struct rig *rig = rig_create_watching(versions[_i], FAKE_POSTCARD_PORT);
    uint64_t hour_ns = 3600000 * MS;

    write_rule(rig);
    rig->now_ns -= hour_ns;
    instr_clock_put_back(rig->instr, hour_ns);
    ck_assert_uint_eq(wait_for_cards(rig), 20);
    write_rule(rig);
    ck_assert_uint_eq(wait_for_cards(rig), 40);
    rig_destroy(rig);
}
END_TEST

/* No time is wasted while no connection may change the switch. */
START_TEST(a_slave_waits_for_its_role)
{
    struct rig *rig = rig_create_watching(OF_WIRE_13, FAKE_POSTCARD_PORT);

    write_rule(rig);
    rig->link->role = INSTR_ROLE_SLAVE;
    rig->now_ns += 20 * MS;
    ck_assert_uint_le(instr_due_ns(rig->instr), rig->now_ns);
    rig_run_due(rig);
    ck_assert(!has_cards(rig));
    ck_assert_uint_gt(instr_due_ns(rig->instr), rig->now_ns);
    rig->link->role = INSTR_ROLE_EQUAL;
    ck_assert_uint_ne(wait_for_cards(rig), 0);
    rig_destroy(rig);
}
END_TEST

START_TEST(versions_that_have_gone_are_forgotten)
{
    struct rig *rig = rig_create_watching(OF_WIRE_13, FAKE_POSTCARD_PORT);
    const char *rules[] = {RULE, "cookie=0x5,priority=9,udp,actions=output:2"};

    for (int i = 0; i < 5000; i++) {
        rig_by_hand(rig, OF_FLOW_ADD, rules[i % 2]);
        rig_say(rig, OF_UPDATE_ADDED, rules[i % 2]);
        rig->now_ns += MS;
    }
    ck_assert_uint_gt(instr_counters(rig->instr)->contested, 4000);
    ck_assert_uint_le(rig->instr->watch.allocated_due, 2048);
    rig_destroy(rig);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("instr_due");
    TCase *tcase = tcase_create("due");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_add_loop_test(tcase, each_change_makes_the_wait_twice_as_long, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tcase, who_undoes_it_each_time_keeps_his_rule, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tcase, a_rule_that_changes_often_is_not_given_up, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tcase, a_clock_put_back_delays_nothing, 0, N_VERSIONS);
    tcase_add_test(tcase, a_slave_waits_for_its_role);
    tcase_add_test(tcase, versions_that_have_gone_are_forgotten);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
