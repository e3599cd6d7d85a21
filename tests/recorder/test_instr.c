/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recorder/instr: what a controller sees and its rules become. */
#include <config.h>
#include "recorder/instr.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_msg.h"
#include "recorder/of_wire.h"
#include "tests/recorder/rig.h"

static const uint8_t versions[] = {OF_WIRE_10, OF_WIRE_11, OF_WIRE_12,
                                   OF_WIRE_13, OF_WIRE_14, OF_WIRE_15};
#define N_VERSIONS (sizeof versions / sizeof versions[0])

static uint32_t seed;

static unsigned int
pick(unsigned int n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static const char *const matches[] = {
    "",
    ",in_port=1",
    ",in_port=2",
    ",ip",
    ",tcp",
    ",ip,nw_dst=10.0.0.0/8",
    ",ip,nw_dst=10.0.0.1",
    ",arp",
    ",in_port=1,ip",
    ",dl_vlan=5",
};
static const char *const actions[] = {
    "drop",
    "output:2",
    "output:1,output:3",
    "FLOOD",
    "ALL",
    "mod_dl_src:02:00:00:00:00:07,output:2",
    "CONTROLLER:65535",
    "NORMAL",
    "resubmit(,2),output:1",
    "resubmit(,1)",
    "output:NXM_NX_REG0[]",
    "IN_PORT",
};
static const char *const actions_13[] = {
    "goto_table:4",
    "write_actions(output:2),goto_table:4",
    "clear_actions",
    "clear_actions,write_actions(output:ALL)",
    "write_actions(set_field:02:00:00:00:00:09->eth_src,output:1)",
    "output:2,goto_table:5",
};

static const char *
pick_actions(const struct rig *rig)
{
    unsigned int n = sizeof actions / sizeof actions[0];
    unsigned int n_13 = sizeof actions_13 / sizeof actions_13[0];
    unsigned int i = pick(rig->version >= OF_WIRE_11 ? n + n_13 : n);

    return i < n ? actions[i] : actions_13[i - n];
}

/* A command as a controller may send it. */
static void
random_command(struct rig *rig)
{
    static const enum of_flow_command commands[] = {
        OF_FLOW_ADD,           OF_FLOW_ADD,    OF_FLOW_ADD,
        OF_FLOW_ADD,           OF_FLOW_MODIFY, OF_FLOW_MODIFY_STRICT,
        OF_FLOW_DELETE_STRICT, OF_FLOW_DELETE,
    };
    enum of_flow_command command = commands[pick(8)];
    bool is_delete =
        command == OF_FLOW_DELETE || command == OF_FLOW_DELETE_STRICT;
    const char *match = matches[pick(sizeof matches / sizeof matches[0])];
    unsigned int priority = pick(4);
    unsigned int table = pick(3);
    char *cookie = lh_strdup("");
    char *text;

    if (command == OF_FLOW_ADD || (!is_delete && !pick(3))) {
        free(cookie);
        cookie = lh_asprintf(",cookie=0x%x", 1 + pick(5));
    } else if (!pick(3)) {
        free(cookie);
        cookie = lh_asprintf(",cookie=0x%x/0x3", pick(4));
    }
    text = lh_asprintf(
        "table=%u%s%s%s%s%s%s%s", table,
        command == OF_FLOW_DELETE || command == OF_FLOW_MODIFY ? ""
        : priority == 0                                        ? ",priority=0"
        : priority == 1                                        ? ",priority=1"
        : priority == 2                                        ? ",priority=2"
                        : ",priority=65535",
        match, cookie,
        command == OF_FLOW_ADD && !pick(8) ? ",hard_timeout=50" : "",
        command == OF_FLOW_ADD && !pick(8) ? ",send_flow_rem" : "",
        command == OF_FLOW_ADD && !pick(8) ? ",check_overlap" : "",
        is_delete && !pick(5) ? ",out_port=2" : "");
    if (is_delete) {
        rig_flow(rig, command, text);
    } else {
        char *whole = lh_asprintf("%s,actions=%s", text, pick_actions(rig));

        rig_flow(rig, command, whole);
        free(whole);
    }
    free(text);
    free(cookie);
}

START_TEST(the_controller_sees_only_its_own_rules)
{
    for (seed = 1; seed < 13; seed++) {
        uint32_t keep = seed;
        struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);

        for (int i = 0; i < 150; i++) {
            rig_clear_inbox(rig);
            random_command(rig);
            ck_assert_uint_eq(rig_n_errors(rig->inbox, rig->n_inbox),
                              rig_n_errors(rig->direct_inbox, rig->n_direct));
            if (i % 10 == 9) {
                rig_check_same(rig);
            }
        }
        rig_destroy(rig);
        seed = keep;
    }
}
END_TEST

/* Every version in the shadow is that of a rule in the switch. */
START_TEST(what_stands_is_what_the_log_has_standing)
{
    struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);
    size_t standing = 0;

    seed = 77;
    for (int i = 0; i < 200; i++) {
        random_command(rig);
    }
    for (uint32_t v = 1; v <= rig->next_version; v++) {
        standing += instr_stands(rig->instr, v);
        ck_assert(!instr_stands(rig->instr, v) || rig->log[v]);
    }
    ck_assert_uint_gt(standing, 0);
    ck_assert_uint_ge(instr_counters(rig->instr)->rules, 1);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_restart_that_knows_the_log_changes_nothing)
{
    struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);
    char *before, *after;
    uint32_t version;

    rig_flow(rig, OF_FLOW_ADD, "priority=5,ip,cookie=0x9,actions=output:2");
    rig_flow(rig, OF_FLOW_ADD, "priority=6,arp,actions=ALL");
    rig_flow(rig, OF_FLOW_ADD, "priority=7,tcp,actions=resubmit(,4)");
    rig_flow(rig, OF_FLOW_ADD,
             "table=4,priority=7,tcp,hard_timeout=9,actions=drop");
    before = fake_switch_text(rig->behind);
    version = rig->next_version;
    rig_restart(rig);
    after = fake_switch_text(rig->behind);
    ck_assert_str_eq(after, before);
    ck_assert_uint_eq(rig->next_version, version);
    rig_check_same(rig);
    free(before);
    free(after);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_restart_without_the_log_finds_the_controllers_rules)
{
    struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);
    uint32_t version;

    rig_flow(rig, OF_FLOW_ADD, "priority=5,ip,cookie=0x9,actions=output:2");
    rig_flow(rig, OF_FLOW_ADD, "priority=7,tcp,actions=resubmit(,4)");
    rig_flow(rig, OF_FLOW_ADD, "table=4,priority=0,actions=NORMAL");
    if (versions[_i] >= OF_WIRE_11) {
        rig_flow(rig, OF_FLOW_ADD,
                 "table=0,priority=9,udp,"
                 "actions=write_actions(output:1),goto_table:4");
    }
    rig->forgets = true;
    version = rig->next_version;
    rig_restart(rig);
    ck_assert_uint_gt(rig->next_version, version);
    for (uint32_t v = 1; v <= version; v++) {
        ck_assert(!instr_stands(rig->instr, v));
    }
    rig_check_same(rig);
    rig_destroy(rig);
}
END_TEST

START_TEST(random_rules_survive_restarts)
{
    struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);

    seed = 5;
    for (int i = 0; i < 8; i++) {
        for (int j = 0; j < 25; j++) {
            random_command(rig);
        }
        /* SEND_FLOW_REM that we asked for is told from the controller's by
         * the log alone. */
        rig_restart(rig);
        rig_check_same(rig);
    }
    rig_destroy(rig);
}
END_TEST

START_TEST(a_refused_rule_is_undone)
{
    struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);
    uint32_t version;

    rig_flow(rig, OF_FLOW_ADD, "priority=5,ip,cookie=0x1,actions=output:2");
    version = rig->next_version;
    fake_switch_refuse(rig->behind, 0xbad);
    fake_switch_refuse(rig->direct, 0xbad);
    rig_clear_inbox(rig);
    rig_flow(rig, OF_FLOW_ADD, "priority=5,ip,cookie=0xbad,actions=output:3");
    ck_assert_uint_eq(rig->n_inbox, 1);
    ck_assert_uint_eq(of_wire_xid(rig->inbox[0].data), 0x1234);
    ck_assert(instr_stands(rig->instr, version));
    ck_assert(!instr_stands(rig->instr, version + 1));
    ck_assert_uint_eq(instr_counters(rig->instr)->rolled_back, 1);
    rig_flow(rig, OF_FLOW_ADD, "priority=0,cookie=0xbad,actions=output:3");
    rig_check_same(rig);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_modify_of_many_is_one_change)
{
    struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);
    uint32_t version;

    rig_flow(rig, OF_FLOW_ADD, "priority=5,tcp,actions=output:2");
    rig_flow(rig, OF_FLOW_ADD, "priority=6,udp,actions=output:2");
    version = rig->next_version;
    rig_flow(rig, OF_FLOW_MODIFY, "ip,actions=output:3");
    ck_assert_uint_eq(rig->next_version, version + 2);
    ck_assert_uint_eq(rig->log[version + 1]->change,
                      rig->log[version + 2]->change);
    ck_assert_str_eq(rig->log[version + 1]->actions, "output:3");
    ck_assert_str_ne(rig->log[version + 1]->match,
                     rig->log[version + 2]->match);
    rig_check_same(rig);
    rig_destroy(rig);
}
END_TEST

START_TEST(two_thousand_flows_are_cut_between_records)
{
    struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);
    char *text;
    size_t n = 0;

    for (int i = 0; i < 2000; i++) {
        char *flow = lh_asprintf("priority=5,ip,nw_dst=10.1.%d.%d,"
                                 "actions=mod_nw_ttl:3,output:1,output:2",
                                 i / 250, i % 250);

        rig_flow(rig, OF_FLOW_ADD, flow);
        free(flow);
    }
    text = rig_flows(rig);
    ck_assert_uint_gt(rig->n_inbox, 1);
    for (const char *p = text; *p; p++) {
        n += *p == '\n';
    }
    ck_assert_uint_eq(n, 2000);
    free(text);
    rig_check_same(rig);
    rig_destroy(rig);
}
END_TEST

START_TEST(aggregates_leave_our_rules_out)
{
    static const struct {
        uint32_t out_port;
        uint32_t n;
    } cases[] = {{OF_ACTS_ANY, 3}, {2, 1}, {FAKE_POSTCARD_PORT, 0}};
    struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);

    rig_flow(rig, OF_FLOW_ADD, "priority=5,tcp,actions=output:2");
    rig_flow(rig, OF_FLOW_ADD, "priority=6,udp,actions=FLOOD");
    rig_flow(rig, OF_FLOW_ADD, "priority=7,arp,actions=ALL");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct of_flow_request request = {.match = of_match_create_all(),
                                          .table_id = OF_FLOW_ALL_TABLES,
                                          .out_port = cases[i].out_port,
                                          .out_group = OF_ACTS_ANY,
                                          .is_aggregate = true};
        char *got, *want;
        uint8_t *msg;
        size_t len;

        /* The library writes requests for flows; the type alone differs. */
        of_flow_request_encode(&request, versions[_i], false, 0x55, &msg,
                               &len);
        of_wire_put16(msg + 8, 2);
        of_flow_request_uninit(&request);
        rig_clear_inbox(rig);
        rig_send(rig, msg, len);
        ck_assert_uint_eq(rig->n_inbox, 1);
        ck_assert_uint_eq(of_wire_xid(rig->inbox[0].data), 0x55);
        got = of_msg_to_line(rig->inbox[0].data, rig->inbox[0].len);
        want = lh_asprintf("packet_count=%u byte_count=%u flow_count=%u",
                           3 * cases[i].n, 180 * cases[i].n, cases[i].n);
        ck_assert_str_eq(got, want);
        free(got);
        free(want);
    }
    rig_destroy(rig);
}
END_TEST

START_TEST(timeouts_are_told_only_to_who_asked)
{
    struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);
    uint8_t *msg;
    size_t len;

    rig_flow(rig, OF_FLOW_ADD,
             "priority=5,tcp,cookie=0x1,hard_timeout=5,actions=output:2");
    rig_flow(rig, OF_FLOW_ADD,
             "priority=6,tcp,cookie=0x2,hard_timeout=5,send_flow_rem,"
             "actions=output:2");
    rig->now_ns += UINT64_C(5000000000);
    rig_clear_inbox(rig);
    msg = fake_switch_expire(rig->behind, 1, 5, &len);
    ck_assert_ptr_nonnull(msg);
    rig_from_switch(rig, msg, len);
    ck_assert_uint_eq(rig->n_inbox, 0);
    msg = fake_switch_expire(rig->behind, 2, 5, &len);
    rig_from_switch(rig, msg, len);
    ck_assert_uint_eq(rig->n_inbox, 1);
    ck_assert_uint_eq(rig->inbox[0].data[1], OF_WIRE_FLOW_REMOVED);
    ck_assert_uint_eq(instr_counters(rig->instr)->rules, 0);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_late_timeout_does_not_remove_the_rule_that_came_after)
{
    struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);
    uint8_t *msg;
    size_t len;

    rig_flow(rig, OF_FLOW_ADD,
             "priority=5,tcp,cookie=0x1,hard_timeout=5,actions=output:2");
    msg = fake_switch_expire(rig->behind, 1, 5, &len);
    rig->now_ns += UINT64_C(5000000000);
    rig_flow(rig, OF_FLOW_ADD,
             "priority=5,tcp,cookie=0x1,hard_timeout=5,actions=output:3");
    rig_from_switch(rig, msg, len);
    ck_assert_uint_eq(instr_counters(rig->instr)->rules, 1);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_controllers_miss_rule_takes_the_place_of_ours)
{
    struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);
    uint32_t ours = rig->next_version;

    ck_assert_int_eq(rig->log[ours]->kind, RULE_MISS);
    ck_assert(instr_stands(rig->instr, ours));
    rig_flow(rig, OF_FLOW_ADD, "priority=0,cookie=0x1,actions=output:1");
    ck_assert(!instr_stands(rig->instr, ours));
    rig_flow(rig, OF_FLOW_DELETE, "cookie=0x1/0xff");
    ck_assert_int_eq(rig->log[rig->next_version]->kind, RULE_MISS);
    ck_assert(instr_stands(rig->instr, rig->next_version));
    rig_check_same(rig);
    rig_destroy(rig);
}
END_TEST

START_TEST(without_a_port_rules_get_versions_only)
{
    struct rig *rig = rig_create(versions[_i], 0);
    struct instr_out out = INSTR_OUT_INIT;
    char *text;

    rig_flow(rig, OF_FLOW_ADD, "priority=5,tcp,actions=output:2");
    ck_assert_uint_eq(rig->next_version, 1);
    text = fake_switch_text(rig->behind);
    ck_assert_ptr_null(strstr(text, "clone"));
    free(text);

    /* The port comes: what stands gets its postcards. */
    instr_set_postcard_port(rig->instr, INSTR_GENEVE,
                            &(struct instr_postcard_port){
                                .is_wanted = true, .no = FAKE_POSTCARD_PORT},
                            rig->now_ns, &out);
    for (size_t i = 0; i < out.n_to_switch; i++) {
        char *sent =
            of_msg_to_text(out.to_switch[i].data, out.to_switch[i].len);

        ck_assert(!strstr(sent, "output:2") || strstr(sent, "clone"));
        free(sent);
    }
    ck_assert_uint_ge(out.n_to_switch, 3);
    instr_out_uninit(&out);
    rig_destroy(rig);
}
END_TEST

START_TEST(unknown_messages_pass_unchanged)
{
    struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);
    struct instr_out out = INSTR_OUT_INIT;
    uint8_t odd[24] = {versions[_i], 200, 0, 24, 0, 0, 0, 9, 1, 2, 3};
    uint8_t other[8] = {7, 14, 0, 8, 0, 0, 0, 9};
    uint8_t cut[16] = {versions[_i], OF_WIRE_FLOW_MOD, 0, 16};

    instr_from_controller(rig->link, odd, 24, 0, "test", &out);
    instr_from_controller(rig->link, other, 8, 0, "test", &out);
    instr_from_controller(rig->link, cut, 16, 0, "test", &out);
    ck_assert_uint_eq(out.n_to_switch, 3);
    ck_assert_mem_eq(out.to_switch[0].data, odd, 24);
    ck_assert_mem_eq(out.to_switch[1].data, other, 8);
    ck_assert_mem_eq(out.to_switch[2].data, cut, 16);
    instr_from_switch(rig->link, odd, 24, 0, 0, &out);
    ck_assert_uint_eq(out.n_to_controller, 1);
    ck_assert_mem_eq(out.to_controller[0].data, odd, 24);
    instr_out_uninit(&out);
    rig_destroy(rig);
}
END_TEST

START_TEST(packet_outs_have_versions_of_their_own)
{
    struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);
    struct instr_out out = INSTR_OUT_INIT;
    uint8_t frame[60] = {0};
    uint32_t version = rig->next_version;

    /* Discovery's are ours and have none. */
    instr_send_packet(rig->instr, 2, frame, sizeof frame, &out);
    ck_assert_uint_eq(out.n_to_switch, 1);
    ck_assert(out.to_switch[0].is_own);
    ck_assert_uint_eq(rig->next_version, version);

    /* The controller's: the same message back. */
    instr_from_controller(rig->link, out.to_switch[0].data,
                          out.to_switch[0].len, rig->now_ns, "test", &out);
    ck_assert_uint_eq(out.n_made, 1);
    ck_assert_int_eq(out.made[0]->kind, RULE_PACKET_OUT);
    ck_assert_str_eq(out.made[0]->actions, "output:2");
    ck_assert_uint_eq(out.n_to_switch, 2);
    ck_assert_uint_gt(out.to_switch[1].len, out.to_switch[0].len);
    instr_out_uninit(&out);
    rig_destroy(rig);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("instr");
    TCase *tc = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    of_msg_init();
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, the_controller_sees_only_its_own_rules, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tc, what_stands_is_what_the_log_has_standing, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tc, a_restart_that_knows_the_log_changes_nothing, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tc,
                        a_restart_without_the_log_finds_the_controllers_rules,
                        0, N_VERSIONS);
    tcase_add_loop_test(tc, random_rules_survive_restarts, 0, N_VERSIONS);
    tcase_add_loop_test(tc, a_refused_rule_is_undone, 0, N_VERSIONS);
    tcase_add_loop_test(tc, a_modify_of_many_is_one_change, 0, N_VERSIONS);
    tcase_add_loop_test(tc, two_thousand_flows_are_cut_between_records, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tc, aggregates_leave_our_rules_out, 0, N_VERSIONS);
    tcase_add_loop_test(tc, timeouts_are_told_only_to_who_asked, 0,
                        N_VERSIONS);
    tcase_add_loop_test(
        tc, a_late_timeout_does_not_remove_the_rule_that_came_after, 0,
        N_VERSIONS);
    tcase_add_loop_test(tc, a_controllers_miss_rule_takes_the_place_of_ours, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tc, without_a_port_rules_get_versions_only, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tc, unknown_messages_pass_unchanged, 0, N_VERSIONS);
    tcase_add_loop_test(tc, packet_outs_have_versions_of_their_own, 0,
                        N_VERSIONS);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
