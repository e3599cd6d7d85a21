/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recorder/instr: what differs between versions of OpenFlow. */
#include <config.h>
#include "recorder/instr.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_msg.h"
#include "recorder/of_packet_out.h"
#include "recorder/of_wire.h"
#include "tests/recorder/rig.h"

static const uint8_t versions[] = {OF_WIRE_10, OF_WIRE_11, OF_WIRE_12,
                                   OF_WIRE_13, OF_WIRE_14, OF_WIRE_15};
#define N_VERSIONS (sizeof versions / sizeof versions[0])

/* A flow monitor costs the switch as much as a flow-mod again. */
START_TEST(who_does_not_want_to_watch_has_no_monitor)
{
    struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);

    rig_flow(rig, OF_FLOW_ADD, "table=0,priority=5,actions=output:1");
    ck_assert_uint_eq(rig->n_monitors, 1);
    rig->is_unwatched = true;
    rig_restart(rig);
    rig_flow(rig, OF_FLOW_ADD, "table=0,priority=6,actions=output:1");
    ck_assert_uint_eq(rig->n_monitors, 1);
    rig_destroy(rig);
}
END_TEST

START_TEST(the_postcard_port_is_hidden)
{
    struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);
    bool is_10 = versions[_i] == OF_WIRE_10;
    bool in_features = versions[_i] < OF_WIRE_13;
    const struct instr_port *ports;
    uint8_t *mod = lh_alloc_zero(40), *ask = lh_alloc_zero(24);
    size_t ask_len = in_features ? 8 : versions[_i] == OF_WIRE_15 ? 24 : 16;
    uint8_t record[64];
    size_t size = fake_switch_put_port(versions[_i], 1, record);
    uint8_t *status;
    size_t len;
    size_t n;

    ports = instr_ports(rig->instr, &n);
    ck_assert_uint_eq(n, FAKE_PORTS + 1);
    ck_assert_uint_eq(ports[3].no, FAKE_POSTCARD_PORT);
    ck_assert(ports[3].is_postcard);
    ck_assert_str_eq(ports[0].name, "a");

    of_wire_put_header(ask, versions[_i], in_features ? 5 : 18,
                       (uint16_t) ask_len, 1);
    of_wire_put16(ask + 8, 13);
    rig_clear_inbox(rig);
    rig_send(rig, ask, ask_len);
    ck_assert_uint_eq(rig->n_inbox, 1);
    ck_assert_uint_eq(rig->inbox[0].len, (in_features ? 32 : 16) + 3 * size);

    status =
        fake_switch_port_status(versions[_i], 2, FAKE_POSTCARD_PORT, &len);
    rig_clear_inbox(rig);
    rig_from_switch(rig, status, len);
    ck_assert_uint_eq(rig->n_inbox, 0);

    len = is_10 || versions[_i] >= OF_WIRE_14 ? 32 : 40;
    of_wire_put_header(mod, versions[_i], is_10 ? 15 : 16, (uint16_t) len, 7);
    if (is_10) {
        of_wire_put16(mod + 8, FAKE_POSTCARD_PORT);
    } else {
        of_wire_put32(mod + 8, FAKE_POSTCARD_PORT);
    }
    rig_send(rig, mod, len);
    ck_assert_uint_eq(rig->n_inbox, 1);
    ck_assert_uint_eq(rig->inbox[0].data[1], OF_WIRE_ERROR);
    ck_assert_uint_eq(of_wire_xid(rig->inbox[0].data), 7);
    rig_destroy(rig);
}
END_TEST

START_TEST(lists_for_all_follow_the_ports)
{
    struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);
    uint8_t *status;
    size_t len;
    char *text;

    rig_flow(rig, OF_FLOW_ADD, "priority=5,tcp,actions=ALL");
    status = fake_switch_port_status(versions[_i], 0, 7, &len);
    rig_from_switch(rig, status, len);
    text = fake_switch_text(rig->behind);
    ck_assert_ptr_nonnull(
        strstr(text, "output:1,output:2,output:3,output:7\n"));
    free(text);
    rig_check_same(rig);
    rig_destroy(rig);
}
END_TEST

/* Every message type that passes, and the versions that have it.  Those that
 * are rewritten have tests of their own. */
static const struct {
    const char *name;
    uint8_t type, first, last;
    uint16_t len;
} passing[] = {
    {"HELLO", 0, 1, 6, 8},
    {"ERROR", 1, 1, 6, 20},
    {"ECHO_REQUEST", 2, 1, 6, 12},
    {"ECHO_REPLY", 3, 1, 6, 12},
    {"EXPERIMENTER", 4, 1, 6, 24},
    {"FEATURES_REQUEST", 5, 1, 6, 8},
    {"GET_CONFIG_REQUEST", 7, 1, 6, 8},
    {"GET_CONFIG_REPLY", 8, 1, 6, 12},
    {"SET_CONFIG", 9, 1, 6, 12},
    {"PACKET_IN", 10, 1, 6, 56},
    {"BARRIER_REQUEST", 18, 1, 1, 8},
    {"BARRIER_REPLY", 19, 1, 1, 8},
    {"QUEUE_GET_CONFIG_REQUEST", 20, 1, 1, 12},
    {"QUEUE_GET_CONFIG_REPLY", 21, 1, 1, 16},
    {"TABLE_MOD", 17, 2, 6, 16},
    {"BARRIER_REQUEST", 20, 2, 6, 8},
    {"BARRIER_REPLY", 21, 2, 6, 8},
    {"QUEUE_GET_CONFIG_REQUEST", 22, 2, 4, 16},
    {"QUEUE_GET_CONFIG_REPLY", 23, 2, 4, 16},
    {"ROLE_REQUEST", 24, 3, 6, 24},
    {"ROLE_REPLY", 25, 3, 6, 24},
    {"GET_ASYNC_REQUEST", 26, 4, 6, 8},
    {"GET_ASYNC_REPLY", 27, 4, 4, 32},
    {"GET_ASYNC_REPLY", 27, 5, 6, 8},
    {"SET_ASYNC", 28, 4, 4, 32},
    {"SET_ASYNC", 28, 5, 6, 8},
    {"METER_MOD", 29, 4, 6, 16},
    {"ROLE_STATUS", 30, 5, 6, 24},
    {"TABLE_STATUS", 31, 5, 6, 32},
    {"CONTROLLER_STATUS", 35, 6, 6, 24},
    {"type of no version", 36, 1, 6, 32},
    {"type of no version", 255, 1, 6, 8},
};

/* Statistics or multipart types that pass; their numbers are one in all
 * versions. */
static const struct {
    const char *name;
    uint16_t type;
    uint8_t first, last;
    bool is_request_only; /* The reply is rewritten. */
} passing_parts[] = {
    {"DESC", 0, 1, 6, false},
    {"PORT", 4, 1, 6, false},
    {"QUEUE", 5, 1, 6, false},
    {"GROUP", 6, 2, 6, false},
    {"GROUP_DESC", 7, 2, 6, true},
    {"GROUP_FEATURES", 8, 3, 6, false},
    {"METER", 9, 4, 6, false},
    {"METER_CONFIG", 10, 4, 6, false},
    {"METER_FEATURES", 11, 4, 6, false},
    {"TABLE_FEATURES", 12, 4, 6, false},
    {"PORT_DESC", 13, 1, 6, false},
    {"TABLE_DESC", 14, 5, 6, false},
    {"QUEUE_DESC", 15, 5, 6, false},
    {"FLOW_STATS", 17, 6, 6, false},
    {"CONTROLLER_STATUS", 18, 6, 6, false},
    {"BUNDLE_FEATURES", 19, 6, 6, false},
    {"of no version", 99, 1, 6, false},
    {"EXPERIMENTER", 0xffff, 1, 6, false},
};

static void
check_passes(struct rig *rig, const char *name, const uint8_t *msg, size_t len,
             bool down, bool up)
{
    struct instr_out out = INSTR_OUT_INIT;

    if (down) {
        instr_from_controller(rig->link, msg, len, 1, "test", &out);
        ck_assert_msg(out.n_to_switch == 1 && out.to_switch[0].len == len &&
                          !memcmp(out.to_switch[0].data, msg, len),
                      "%s of 1.%d changed on the way down", name, msg[0] - 1);
    }
    if (up) {
        instr_from_switch(rig->link, msg, len, 0, 1, &out);
        ck_assert_msg(out.n_to_controller == 1 &&
                          out.to_controller[0].len == len &&
                          !memcmp(out.to_controller[0].data, msg, len),
                      "%s of 1.%d changed on the way up", name, msg[0] - 1);
    }
    instr_out_uninit(&out);
}

START_TEST(every_other_message_passes_byte_by_byte)
{
    uint8_t version = versions[_i];
    struct rig *rig = rig_create(version, FAKE_POSTCARD_PORT);
    bool is_10 = version == OF_WIRE_10;

    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++) {
        uint8_t msg[64] = {0};

        if (passing[i].first <= version && version <= passing[i].last) {
            of_wire_put_header(msg, version, passing[i].type, passing[i].len,
                               0x1234);
            if (passing[i].type == OF_WIRE_SET_CONFIG) {
                of_wire_put16(msg + 10, 128); /* As it was. */
            }
            /* An error that answers nothing is no controller's. */
            check_passes(rig, passing[i].name, msg, passing[i].len, true,
                         passing[i].type != OF_WIRE_ERROR);
        }
    }
    for (size_t i = 0; i < sizeof passing_parts / sizeof passing_parts[0];
         i++) {
        uint16_t len = is_10 ? 12 : 16;
        uint8_t msg[64] = {0};

        if (passing_parts[i].first > version ||
            version > passing_parts[i].last) {
            continue;
        }
        for (uint16_t body = 0; body <= 48; body += 8) {
            uint16_t n = (uint16_t) (len + body);

            of_wire_put_header(msg, version, is_10 ? 16 : 18, n, 0x1235);
            of_wire_put16(msg + 8, passing_parts[i].type);
            check_passes(rig, passing_parts[i].name, msg, n, true, false);
            of_wire_put_header(msg, version, is_10 ? 17 : 19, n, 0x1235);
            check_passes(rig, passing_parts[i].name, msg, n, false,
                         !passing_parts[i].is_request_only);
        }
    }
    rig_destroy(rig);
}
END_TEST

/* Flow-mods and packet-outs for buffers, which a real switch never makes. */
START_TEST(buffer_numbers_are_kept)
{
    uint8_t version = versions[_i];
    struct rig *rig = rig_create(version, FAKE_POSTCARD_PORT);
    struct instr_out out = INSTR_OUT_INIT;
    struct of_packet_out po = {.in_port = 1, .buffer_id = 0x4321};
    struct of_flow flow;
    uint8_t *msg;
    size_t len;
    char *text;

    ck_assert_ptr_null(of_flow_from_text(&flow, OF_FLOW_ADD,
                                         "priority=5,tcp,actions=output:2"));
    flow.buffer_id = 0x1234;
    ck_assert_int_eq(of_flow_encode(&flow, version, 7, &msg, &len), 0);
    of_flow_uninit(&flow);
    instr_from_controller(rig->link, msg, len, 1, "test", &out);
    free(msg);
    ck_assert_uint_eq(out.n_to_switch, 1);
    ck_assert(of_flow_decode(out.to_switch[0].data, out.to_switch[0].len, true,
                             &flow));
    ck_assert_uint_eq(flow.buffer_id, 0x1234);
    text = of_acts_to_text(&flow.acts);
    ck_assert_ptr_nonnull(strstr(text, "clone("));
    free(text);
    of_flow_uninit(&flow);
    instr_out_uninit(&out);

    ck_assert_ptr_null(of_acts_from_text(&po.acts, "output:2"));
    if (version == OF_WIRE_15) {
        po.pipeline = of_match_create_in_port(1);
    }
    ck_assert_int_eq(of_packet_out_encode(&po, version, 8, &msg, &len), 0);
    of_packet_out_uninit(&po);
    instr_from_controller(rig->link, msg, len, 1, "test", &out);
    free(msg);
    ck_assert_uint_eq(out.n_to_switch, 1);
    ck_assert_uint_eq(out.n_made, 1);
    ck_assert_int_eq(out.made[0]->kind, RULE_PACKET_OUT);
    ck_assert(of_packet_out_decode(out.to_switch[0].data, out.to_switch[0].len,
                                   &po));
    ck_assert_uint_eq(po.buffer_id, 0x4321);
    ck_assert_uint_eq(po.len, 0);
    text = of_acts_to_text(&po.acts);
    ck_assert_ptr_nonnull(strstr(text, "clone("));
    free(text);
    of_packet_out_uninit(&po);
    instr_out_uninit(&out);
    rig_destroy(rig);
}
END_TEST

/* The actions of our own miss rule in 'table', or NULL; malloc()ed. */
static char *
miss_actions(struct rig *rig, int table)
{
    char *text = fake_switch_text(rig->behind);
    char *prefix = lh_asprintf("table=%d,priority=0 actions=", table);
    char *at = strstr(text, prefix);
    char *actions = NULL;

    if (at) {
        at += strlen(prefix);
        actions = lh_strdup(at);
        actions[strcspn(actions, "\n")] = '\0';
    }
    free(prefix);
    free(text);
    return actions;
}

static void
send_table_mod(struct rig *rig, uint8_t table_id, uint32_t config)
{
    uint8_t *msg = lh_alloc_zero(16);

    of_wire_put_header(msg, rig->version, 17, 16, 0);
    msg[8] = table_id;
    of_wire_put32(msg + 12, config);
    rig_send(rig, msg, 16);
}

START_TEST(a_miss_goes_where_the_version_says)
{
    uint8_t version = versions[_i];
    struct rig *rig = rig_create(version, FAKE_POSTCARD_PORT);
    char *actions = miss_actions(rig, 0);

    ck_assert_ptr_nonnull(actions);
    ck_assert_int_eq(strstr(actions, "no_match") != NULL,
                     version < OF_WIRE_13);
    free(actions);
    if (version == OF_WIRE_11 || version == OF_WIRE_12) {
        send_table_mod(rig, 0, 2); /* Drop. */
        actions = miss_actions(rig, 0);
        ck_assert_ptr_nonnull(actions);
        ck_assert_ptr_null(strstr(actions, "no_match"));
        free(actions);
        send_table_mod(rig, 0, 1); /* On to table 1. */
        ck_assert_ptr_null(miss_actions(rig, 0));
        actions = miss_actions(rig, 1);
        ck_assert_ptr_nonnull(actions);
        ck_assert_ptr_nonnull(strstr(actions, "no_match"));
        free(actions);
        send_table_mod(rig, 0xff, 0);
        ck_assert_ptr_null(miss_actions(rig, 1));
        actions = miss_actions(rig, 0);
        ck_assert_ptr_nonnull(strstr(actions, "no_match"));
        free(actions);
    }
    rig_destroy(rig);
}
END_TEST

START_TEST(what_is_no_rule_is_an_event)
{
    static const struct {
        uint8_t type, first, len;
        const char *kind;
    } cases[] = {{9, OF_WIRE_10, 12, "set-config"},
                 {17, OF_WIRE_11, 16, "table-mod"},
                 {28, OF_WIRE_13, 32, "set-async"}};
    uint8_t version = versions[_i];
    struct rig *rig = rig_create(version, FAKE_POSTCARD_PORT);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct instr_out out = INSTR_OUT_INIT;
        uint8_t msg[32] = {0};

        if (version < cases[i].first ||
            (cases[i].type == 28 && version != OF_WIRE_13)) {
            continue;
        }
        of_wire_put_header(msg, version, cases[i].type, cases[i].len, 1);
        instr_from_controller(rig->link, msg, cases[i].len, 1, "test", &out);
        ck_assert_msg(out.n_events == 1, "%s", cases[i].kind);
        ck_assert_str_eq(out.events[0].kind, cases[i].kind);
        ck_assert_uint_ge(strlen(out.events[0].text), 1);
        instr_out_uninit(&out);
    }
    rig_destroy(rig);
}
END_TEST

START_TEST(a_refused_modify_leaves_action_sets_as_they_were)
{
    uint8_t version = versions[_i];
    struct rig *rig = rig_create(version, FAKE_POSTCARD_PORT);
    char *before, *after;

    if (version >= OF_WIRE_12) { /* A modify has no cookie of its own. */
        rig_flow(rig, OF_FLOW_ADD,
                 "priority=5,tcp,actions=write_actions(output:2),"
                 "goto_table:4");
        before = fake_switch_text(rig->behind);
        ck_assert_ptr_nonnull(strstr(before, "resubmit(1,253)"));
        fake_switch_refuse(rig->behind, UINT64_MAX);
        fake_switch_refuse(rig->direct, UINT64_MAX);
        rig_flow(rig, OF_FLOW_MODIFY_STRICT,
                 "priority=5,tcp,actions=write_actions(output:3),"
                 "goto_table:4");
        ck_assert_uint_eq(rig_n_errors(rig->inbox, rig->n_inbox), 1);
        after = fake_switch_text(rig->behind);
        ck_assert_str_eq(after, before);
        rig_check_same(rig);
        free(before);
        free(after);
    }
    rig_destroy(rig);
}
END_TEST

/* A group-mod of 1.5 with one bucket that outputs to 'port' and is called so
 * too, or, with 'port' 0, with none. */
static uint64_t
send_group(struct rig *rig, uint16_t command, uint32_t place, uint16_t port,
           struct instr_out *out)
{
    uint8_t msg[48] = {0};
    uint16_t len = port ? 48 : 24;

    of_wire_put_header(msg, OF_WIRE_15, 15, len, 0x99);
    of_wire_put16(msg + 8, command);
    of_wire_put32(msg + 12, 9);
    of_wire_put16(msg + 16, port ? 24 : 0);
    of_wire_put32(msg + 20, place);
    if (port) {
        of_wire_put16(msg + 24, 24);
        of_wire_put16(msg + 26, 16);
        of_wire_put32(msg + 28, port);
        of_wire_put16(msg + 34, 16);
        of_wire_put32(msg + 36, port);
    }
    instr_from_controller(rig->link, msg, len, rig->now_ns, "test", out);
    for (size_t i = 0; i < out->n_to_switch; i++) {
        if (!out->to_switch[i].is_own) {
            return out->to_switch[i].tag;
        }
    }
    return 0;
}

#define LAST UINT32_C(0xfffffffe)

START_TEST(buckets_that_stay_keep_their_versions)
{
    struct rig *rig = rig_create(OF_WIRE_15, FAKE_POSTCARD_PORT);
    struct instr_out out = INSTR_OUT_INIT;
    uint32_t first, second;
    uint64_t tag;

    send_group(rig, 0, UINT32_MAX, 1, &out);
    ck_assert_uint_eq(out.n_made, 1);
    first = out.made[0]->version;
    instr_out_uninit(&out);

    send_group(rig, 3, LAST, 2, &out);
    ck_assert_uint_eq(out.n_made, 1);
    ck_assert_uint_eq(out.n_removed, 0);
    ck_assert_str_eq(out.made[0]->match, "group_id=9,bucket=2");
    second = out.made[0]->version;
    instr_out_uninit(&out);
    ck_assert(instr_stands(rig->instr, first));
    ck_assert(instr_stands(rig->instr, second));

    /* One that the switch refuses leaves both. */
    tag = send_group(rig, 3, LAST, 3, &out);
    ck_assert_uint_eq(out.n_made, 1);
    instr_out_uninit(&out);
    ck_assert(instr_error(rig->link, tag, 6, 1, rig->now_ns, &out));
    ck_assert_uint_eq(out.n_made, 0);
    ck_assert_uint_eq(out.n_removed, 1);
    instr_out_uninit(&out);

    send_group(rig, 5, 1, 0, &out);
    ck_assert_uint_eq(out.n_made, 0);
    ck_assert_uint_eq(out.n_removed, 1);
    ck_assert_uint_eq(out.removed[0].version, first);
    instr_out_uninit(&out);
    ck_assert(!instr_stands(rig->instr, first));
    ck_assert(instr_stands(rig->instr, second));

    /* A bucket that is not there: the switch is asked as it was. */
    send_group(rig, 5, 77, 0, &out);
    ck_assert_uint_eq(out.n_removed, 0);
    ck_assert_uint_eq(out.n_to_switch, 1);
    ck_assert_uint_eq(out.to_switch[0].len, 24);
    instr_out_uninit(&out);
    rig_destroy(rig);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("instr_versions");
    TCase *tc = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    of_msg_init();
    tcase_add_loop_test(tc, who_does_not_want_to_watch_has_no_monitor, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tc, the_postcard_port_is_hidden, 0, N_VERSIONS);
    tcase_add_loop_test(tc, lists_for_all_follow_the_ports, 0, N_VERSIONS);
    tcase_add_loop_test(tc, every_other_message_passes_byte_by_byte, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tc, buffer_numbers_are_kept, 0, N_VERSIONS);
    tcase_add_loop_test(tc, a_miss_goes_where_the_version_says, 0, N_VERSIONS);
    tcase_add_loop_test(tc, what_is_no_rule_is_an_event, 0, N_VERSIONS);
    tcase_add_loop_test(tc, a_refused_modify_leaves_action_sets_as_they_were,
                        0, N_VERSIONS);
    tcase_add_test(tc, buckets_that_stay_keep_their_versions);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
