/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recorder/instr: no flow monitor while many flow-mods come, and
 * what others did meanwhile. */
#include <config.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_monitor.h"
#include "recorder/of_wire.h"
#include "tests/recorder/rig.h"

#define MS   UINT64_C(1000000)
#define MANY 64

static const uint8_t versions[] = {OF_WIRE_10, OF_WIRE_13, OF_WIRE_14};
#define N_VERSIONS ((int) sizeof versions)

/* With a monitor that has told what stands. */
static struct rig *
watching(uint8_t version)
{
    struct rig *rig = rig_create_watching(version, FAKE_POSTCARD_PORT);

    ck_assert_uint_eq(rig->n_monitors, 1);
    return rig;
}

/* 'n' rules in no time. */
static void
burst(struct rig *rig, unsigned int first, unsigned int n)
{
    for (unsigned int i = first; i < first + n; i++) {
        char *text = lh_asprintf("priority=7,cookie=0x9,udp,nw_src=10.1.%u.%u,"
                                 "actions=output:2",
                                 i / 256, i % 256);

        rig_flow(rig, OF_FLOW_ADD, text);
        free(text);
    }
}

static void
wait_ms(struct rig *rig, unsigned int ms)
{
    rig->now_ns += ms * MS;
    rig_run_due(rig);
}

static uint64_t
n_suspended(const struct rig *rig)
{
    return instr_counters(rig->instr)->watch_suspended;
}

/* The last version of the rule that matches 'match'; 0: none. */
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

START_TEST(the_monitor_goes_in_a_burst_and_returns_when_it_is_calm)
{
    struct rig *rig = watching(versions[_i]);

    burst(rig, 0, MANY - 1);
    ck_assert_uint_eq(rig->n_cancels, 0);
    wait_ms(rig, 150); /* Not all in one moment. */
    burst(rig, 1000, MANY - 1);
    ck_assert_uint_eq(rig->n_cancels, 0);
    burst(rig, 2000, 1);
    ck_assert_uint_eq(rig->n_cancels, 1);
    ck_assert_uint_eq(n_suspended(rig), 1);
    wait_ms(rig, 300);
    burst(rig, 3000, 2 * MANY);
    wait_ms(rig, 499);
    ck_assert_uint_eq(rig->n_monitors, 1);
    wait_ms(rig, 1);
    ck_assert_uint_eq(rig->n_monitors, 2);
    ck_assert_uint_eq(rig->n_cancels, 1);
    rig_stand(rig);
    rig_tell(rig);
    ck_assert_uint_eq(rig->n_gone, 0);
    ck_assert_uint_eq(instr_counters(rig->instr)->foreign, 0);
    ck_assert_uint_eq(instr_counters(rig->instr)->repaired, 0);
    ck_assert_uint_eq(instr_due_ns(rig->instr), UINT64_MAX);
    rig_destroy(rig);
}
END_TEST

START_TEST(what_others_did_meanwhile_is_seen_once)
{
    struct rig *rig = watching(versions[_i]);
    uint32_t old, taken, timed, last;

    rig_flow(rig, OF_FLOW_ADD, "cookie=0x1,tcp,actions=output:1");
    rig_flow(rig, OF_FLOW_ADD, "cookie=0x2,arp,actions=output:1");
    rig_flow(rig, OF_FLOW_ADD,
             "cookie=0x3,hard_timeout=2,icmp,actions=output:1");
    old = find(rig, "tcp");
    taken = find(rig, "arp");
    timed = find(rig, "icmp");
    wait_ms(rig, 2000);
    burst(rig, 0, MANY);
    last = rig->next_version;
    rig_by_hand(rig, OF_FLOW_ADD, "cookie=0x5,sctp,actions=output:3");
    rig_by_hand(rig, OF_FLOW_ADD, "cookie=0x1,tcp,actions=output:3");
    rig_by_hand(rig, OF_FLOW_DELETE, "arp");
    rig_by_hand(rig, OF_FLOW_DELETE, "icmp");
    wait_ms(rig, 500);
    ck_assert_uint_eq(rig->n_gone, 0);
    rig_stand(rig);
    rig_tell(rig);
    ck_assert_uint_eq(rig->next_version, last + 2);
    ck_assert_str_eq(rig->log[find(rig, "sctp")]->command, "found");
    ck_assert_str_eq(rig->log[find(rig, "sctp")]->actions, "output:3");
    ck_assert_str_eq(rig->log[find(rig, "tcp")]->actions, "output:3");
    ck_assert_uint_eq(instr_counters(rig->instr)->foreign, 2);
    ck_assert_uint_eq(rig->n_gone, 3);
    ck_assert_str_eq(rig->gone[old], "replaced");
    ck_assert_str_eq(rig->gone[taken], "gone");
    ck_assert_str_eq(rig->gone[timed], "hard_timeout");

    wait_ms(rig, 100); /* They get their postcards. */
    ck_assert_uint_eq(instr_counters(rig->instr)->reinstrumented, 2);
    burst(rig, MANY, MANY);
    ck_assert_uint_eq(n_suspended(rig), 2);
    last = rig->next_version;
    wait_ms(rig, 500);
    rig_stand(rig);
    rig_tell(rig);
    ck_assert_uint_eq(rig->n_gone, 3);
    ck_assert_uint_eq(rig->next_version, last);
    rig_destroy(rig);
}
END_TEST

START_TEST(our_own_rules_are_put_back)
{
    struct rig *rig = watching(versions[_i]);
    size_t n;

    rig_flow(rig, OF_FLOW_ADD, "cookie=0x1,tcp,actions=resubmit(,3)");
    if (versions[_i] >= OF_WIRE_13) {
        rig_flow(rig, OF_FLOW_ADD,
                 "cookie=0x1,udp,actions=write_actions(output:1)");
    }
    burst(rig, 0, MANY);
    n = fake_switch_n_flows(rig->behind);
    rig_by_hand(rig, OF_FLOW_DELETE,
                "cookie=0x6c617374686f7000/"
                "0xffffffffffffff00");
    ck_assert_uint_ge(n, fake_switch_n_flows(rig->behind) + 4);
    wait_ms(rig, 500);
    rig_stand(rig);
    rig_tell(rig);
    wait_ms(rig, 100); /* Table-miss rules, when others are calm. */
    ck_assert_uint_eq(fake_switch_n_flows(rig->behind), n);
    ck_assert_uint_ge(instr_counters(rig->instr)->repaired, 4);
    ck_assert_uint_eq(n_suspended(rig), 1);
    rig_destroy(rig);
}
END_TEST

START_TEST(flow_mods_that_cross_the_answer_are_not_others)
{
    struct rig *rig = watching(versions[_i]);
    uint32_t before, last;

    burst(rig, 0, MANY);
    before = find(rig, "udp,nw_src=10.1.0.0");
    ck_assert_uint_ne(before, 0);
    wait_ms(rig, 500);
    rig_stand(rig);
    rig_flow(rig, OF_FLOW_DELETE, "udp,nw_src=10.1.0.0");
    rig_flow(rig, OF_FLOW_MODIFY, "udp,nw_src=10.1.0.1,actions=output:1");
    burst(rig, MANY, 10);
    last = rig->next_version;
    rig_tell(rig);
    ck_assert_uint_eq(rig->next_version, last);
    ck_assert_uint_eq(rig->n_gone, 2);
    ck_assert_str_eq(rig->gone[before], "delete");
    ck_assert_uint_eq(instr_counters(rig->instr)->foreign, 0);
    rig_check_same(rig);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_look_is_given_up_in_the_next_burst)
{
    struct rig *rig = watching(versions[_i]);

    burst(rig, 0, MANY);
    rig_by_hand(rig, OF_FLOW_ADD, "cookie=0x5,sctp,actions=output:3");
    wait_ms(rig, 500);
    ck_assert_uint_eq(rig->n_monitors, 2);
    rig_stand(rig);
    burst(rig, MANY, MANY);
    ck_assert_uint_eq(n_suspended(rig), 2);
    ck_assert_uint_eq(rig->n_cancels, 2);
    rig_tell(rig);
    ck_assert_uint_eq(find(rig, "sctp"), 0);
    wait_ms(rig, 500);
    ck_assert_uint_eq(rig->n_monitors, 3);
    rig_stand(rig);
    rig_tell(rig);
    ck_assert_uint_ne(find(rig, "sctp"), 0);
    ck_assert_uint_eq(rig->n_gone, 0);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_load_that_does_not_end_gets_a_look_now_and_then)
{
    struct rig *rig = watching(OF_WIRE_13);
    unsigned int ms = 0;

    burst(rig, 0, MANY);
    rig_by_hand(rig, OF_FLOW_ADD, "cookie=0x5,sctp,actions=output:3");
    while (rig->n_monitors == 1) {
        ck_assert_uint_lt(ms, 11000);
        wait_ms(rig, 100);
        ms += 100;
        burst(rig, 0, MANY);
    }
    ck_assert_uint_ge(ms, 10000);
    ck_assert_uint_eq(n_suspended(rig), 1);
    rig_stand(rig);
    wait_ms(rig, 100);
    burst(rig, 0, MANY); /* It is waited for. */
    ck_assert_uint_eq(n_suspended(rig), 1);
    rig_tell(rig);
    ck_assert_uint_ne(find(rig, "sctp"), 0);
    burst(rig, 0, 1);
    ck_assert_uint_eq(n_suspended(rig), 2);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_short_burst_is_not_worth_reading_many_rules)
{
    struct rig *rig = watching(OF_WIRE_13);

    for (unsigned int i = 0; i < 80; i++) {
        wait_ms(rig, 150);
        burst(rig, i * 50, 50);
    }
    wait_ms(rig, 150);
    burst(rig, 0, 499); /* Of 4000 rules. */
    ck_assert_uint_eq(n_suspended(rig), 0);
    burst(rig, 0, 1);
    ck_assert_uint_eq(n_suspended(rig), 1);
    rig_destroy(rig);
}
END_TEST

START_TEST(controllers_monitors_stay)
{
    struct rig *rig = watching(versions[_i]);
    struct of_match *all = of_match_create_all();
    struct of_monitor monitor = {.id = 1,
                                 .flags = OF_MONITOR_ADDED,
                                 .table_id = OF_FLOW_ALL_TABLES,
                                 .out_port = OF_ACTS_ANY,
                                 .out_group = OF_ACTS_ANY,
                                 .match = all};
    uint8_t *msg;
    size_t len;

    ck_assert(!of_monitor_encode(&monitor, 1, rig->version, &msg, &len));
    of_match_destroy(all);
    rig_send(rig, msg, len);
    burst(rig, 0, 2 * MANY);
    ck_assert_uint_eq(n_suspended(rig), 0);
    ck_assert_uint_eq(rig->n_cancels, 1); /* For one that tells in full. */
    rig_destroy(rig);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("instr_burst");
    TCase *tc = tcase_create("burst");
    SRunner *runner;
    int n_failed;

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(
        tc, the_monitor_goes_in_a_burst_and_returns_when_it_is_calm, 0,
        N_VERSIONS);
    tcase_add_loop_test(tc, what_others_did_meanwhile_is_seen_once, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tc, our_own_rules_are_put_back, 0, N_VERSIONS);
    tcase_add_loop_test(tc, flow_mods_that_cross_the_answer_are_not_others, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tc, a_look_is_given_up_in_the_next_burst, 0,
                        N_VERSIONS);
    tcase_add_test(tc, a_load_that_does_not_end_gets_a_look_now_and_then);
    tcase_add_test(tc, a_short_burst_is_not_worth_reading_many_rules);
    tcase_add_loop_test(tc, controllers_monitors_stay, 0, N_VERSIONS);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
