/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recorder/instr: what differs between versions of OpenFlow. */
#include <config.h>
#include "recorder/instr.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_msg.h"
#include "recorder/of_wire.h"
#include "tests/recorder/rig.h"

static const uint8_t versions[] = {OF_WIRE_10, OF_WIRE_11, OF_WIRE_12,
                                   OF_WIRE_13, OF_WIRE_14, OF_WIRE_15};
#define N_VERSIONS (sizeof versions / sizeof versions[0])

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

int
main(void)
{
    Suite *suite = suite_create("instr_versions");
    TCase *tc = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    of_msg_init();
    tcase_add_loop_test(tc, the_postcard_port_is_hidden, 0, N_VERSIONS);
    tcase_add_loop_test(tc, lists_for_all_follow_the_ports, 0, N_VERSIONS);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
