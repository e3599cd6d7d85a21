/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recorder/instr: answers in their order, bundles as the switch sees
 * them, and our rules out of the way. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_msg.h"
#include "recorder/of_wire.h"
#include "tests/recorder/rig.h"

static const uint8_t versions[] = {OF_WIRE_10, OF_WIRE_13};

static struct instr_out
give(struct rig *rig, const uint8_t *msg, size_t len)
{
    struct instr_out out = INSTR_OUT_INIT;

    instr_from_controller(rig->link, msg, len, 0, "test", &out);
    return out;
}

static uint8_t *
flow_mod(uint8_t version, const char *text, size_t *len)
{
    struct of_flow flow;
    char *error = of_flow_from_text(&flow, OF_FLOW_ADD, text);
    uint8_t *msg;

    ck_assert_ptr_null(error);
    ck_assert_int_eq(of_flow_encode(&flow, version, 7, &msg, len), 0);
    of_flow_uninit(&flow);
    return msg;
}

/* Of two rules of one priority a switch may take either. */
START_TEST(no_miss_rule_stands_beside_a_rule_of_priority_0)
{
    struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);
    uint32_t ours = rig->next_version;

    ck_assert(instr_stands(rig->instr, ours));
    rig_flow(rig, OF_FLOW_ADD, "priority=0,cookie=0x1,tcp,actions=output:1");
    ck_assert(!instr_stands(rig->instr, ours));
    rig_flow(rig, OF_FLOW_ADD, "priority=0,cookie=0x2,udp,actions=output:1");
    rig_flow(rig, OF_FLOW_DELETE, "cookie=0x1/0xff");
    ck_assert_int_ne(rig->log[rig->next_version]->kind, RULE_MISS);
    rig_flow(rig, OF_FLOW_DELETE, "cookie=0x2/0xff");
    ck_assert_int_eq(rig->log[rig->next_version]->kind, RULE_MISS);
    rig_destroy(rig);
}
END_TEST

/* The recorder's own error waits for the switch's answers before it. */
START_TEST(a_refusal_takes_its_turn)
{
    struct rig *rig = rig_create(versions[_i], FAKE_POSTCARD_PORT);
    uint8_t version = versions[_i];
    struct of_tlv tlv = {.class = 0xff4c, .type = 1, .len = 20, .index = 63};
    struct instr_out out, up = INSTR_OUT_INIT;
    uint16_t type, code;
    uint8_t reply[8];
    uint8_t *msg;
    size_t len;

    of_msg_tlv_mod(version, 7, OF_TLV_ADD, &tlv, 1, &msg, &len);
    out = give(rig, msg, len);
    ck_assert_uint_eq(out.n_to_controller, 0);
    ck_assert_uint_eq(out.n_to_switch, 1);
    ck_assert_uint_eq(out.to_switch[0].data[1],
                      of_wire_barrier_request(version));
    of_wire_put_header(reply, version, of_wire_barrier_reply(version), 8, 7);
    instr_from_switch(rig->link, reply, 8, out.to_switch[0].tag, 0, &up);
    ck_assert_uint_eq(up.n_to_controller, 1);
    ck_assert(of_wire_error(up.to_controller[0].data, up.to_controller[0].len,
                            &type, &code));
    ck_assert_uint_eq(of_wire_xid(up.to_controller[0].data), 7);
    instr_out_uninit(&out);
    instr_out_uninit(&up);
    free(msg);
    rig_destroy(rig);
}
END_TEST

/* A flow-mod of 1.0 whose command holds a table that was not asked for is an
 * error, whatever the form between us and the switch. */
START_TEST(an_unasked_table_is_an_invalid_command)
{
    struct rig *rig = rig_create(OF_WIRE_10, FAKE_POSTCARD_PORT);
    uint8_t no_tid[24] = {OF_WIRE_10,  OF_WIRE_EXPERIMENTER, [3] = 24,
                          [10] = 0x23, [11] = 0x20,          [15] = 15};
    struct instr_out out;
    uint8_t *msg;
    size_t len;

    out = give(rig, no_tid, sizeof no_tid);
    ck_assert_uint_eq(out.n_to_switch, 0);
    instr_out_uninit(&out);

    msg = flow_mod(OF_WIRE_10, "table=2,priority=5,reg0=1,actions=drop", &len);
    ck_assert_uint_eq(of_wire_get16(msg + 24), 0x200);
    out = give(rig, msg, len);
    ck_assert_uint_eq(out.n_to_switch, 1);
    ck_assert_uint_eq(of_wire_get16(out.to_switch[0].data + 24), 0xff);
    ck_assert_mem_eq(out.to_switch[0].original, msg, len);
    ck_assert_uint_eq(out.n_made, 0);
    instr_out_uninit(&out);
    free(msg);
    rig_destroy(rig);
}
END_TEST

static struct instr_out
give_control(struct rig *rig, enum of_bundle_type type)
{
    struct of_bundle_control bc = {
        .id = 9, .type = (uint16_t) type, .flags = 3};
    struct instr_out out;
    uint8_t *msg;
    size_t len;

    of_msg_put_bundle_control(OF_WIRE_13, 5, &bc, &msg, &len);
    out = give(rig, msg, len);
    free(msg);
    return out;
}

static struct instr_out
give_add(struct rig *rig, const uint8_t *inner, size_t inner_len)
{
    struct instr_out out;
    uint8_t *msg;
    size_t len;

    ck_assert_int_eq(of_msg_put_bundle_add(OF_WIRE_13, 7, 9, 3, inner,
                                           inner_len, &msg, &len),
                     0);
    out = give(rig, msg, len);
    free(msg);
    return out;
}

static struct instr_out
give_add_flow(struct rig *rig, const char *text)
{
    size_t len;
    uint8_t *msg = flow_mod(OF_WIRE_13, text, &len);
    struct instr_out out = give_add(rig, msg, len);

    free(msg);
    return out;
}

static void
check_control(const struct instr_msg *m, enum of_bundle_type type, bool is_own)
{
    struct of_bundle_control bc;

    ck_assert(of_msg_bundle_control(m->data, m->len, &bc));
    ck_assert_uint_eq(bc.id, 9);
    ck_assert_uint_eq(bc.type, type);
    ck_assert_int_eq(m->is_own, is_own);
}

/* What the switch answers to its parts comes at once and from itself. */
START_TEST(a_bundle_goes_to_the_switch_as_it_comes_and_anew_at_the_commit)
{
    struct rig *rig = rig_create(OF_WIRE_13, FAKE_POSTCARD_PORT);
    struct instr_out out;

    out = give_control(rig, OF_BUNDLE_OPEN_REQUEST);
    ck_assert_uint_eq(out.n_to_switch, 1);
    instr_out_uninit(&out);
    out = give_add_flow(rig, "priority=5,ip,actions=output:1");
    ck_assert_uint_eq(out.n_to_switch, 1);
    ck_assert_uint_eq(out.n_made, 0);
    instr_out_uninit(&out);
    out = give_control(rig, OF_BUNDLE_CLOSE_REQUEST);
    ck_assert_uint_eq(out.n_to_switch, 1);
    ck_assert_uint_eq(out.n_to_controller, 0);
    instr_out_uninit(&out);
    out = give_control(rig, OF_BUNDLE_COMMIT_REQUEST);
    ck_assert_uint_eq(out.n_to_switch, 4);
    check_control(&out.to_switch[0], OF_BUNDLE_DISCARD_REQUEST, true);
    check_control(&out.to_switch[1], OF_BUNDLE_OPEN_REQUEST, true);
    check_control(&out.to_switch[3], OF_BUNDLE_COMMIT_REQUEST, false);
    ck_assert_uint_lt(out.to_switch[1].tag, out.to_switch[3].tag);
    ck_assert_uint_eq(out.n_made, 1);
    instr_out_uninit(&out);
    rig_destroy(rig);
}
END_TEST

/* Puts more into the bundle than is held. */
static void
fill_bundle(struct rig *rig)
{
    enum { OUTPUTS = 3000 };
    static const char output[] = "output:1,";
    char text[64 + OUTPUTS * (sizeof output - 1)] = "priority=7,actions=";
    size_t text_len = strlen(text), len, n_bytes = 0;
    uint8_t *msg;

    for (int i = 0; i < OUTPUTS; i++) {
        memcpy(text + text_len, output, sizeof output);
        text_len += sizeof output - 1;
    }
    msg = flow_mod(OF_WIRE_13, text, &len);
    while (n_bytes <= INSTR_MAX_BUNDLED) {
        struct instr_out out = give_add(rig, msg, len);

        ck_assert_uint_eq(out.n_to_switch, 1);
        n_bytes += out.to_switch[0].len;
        instr_out_uninit(&out);
    }
    free(msg);
}

/* It was cut before: what came after the bound was all that was committed. */
START_TEST(a_bundle_too_big_to_be_held_is_committed_as_it_is)
{
    struct rig *rig = rig_create(OF_WIRE_13, FAKE_POSTCARD_PORT);
    struct instr_out out;

    out = give_control(rig, OF_BUNDLE_OPEN_REQUEST);
    instr_out_uninit(&out);
    fill_bundle(rig);
    out = give_add_flow(rig, "priority=5,ip,actions=output:1");
    ck_assert_uint_eq(out.n_to_switch, 1);
    instr_out_uninit(&out);
    out = give_control(rig, OF_BUNDLE_COMMIT_REQUEST);
    ck_assert_uint_eq(out.n_to_switch, 1);
    check_control(&out.to_switch[0], OF_BUNDLE_COMMIT_REQUEST, false);
    ck_assert(out.released);
    instr_out_uninit(&out);
    ck_assert_uint_eq(instr_counters(rig->instr)->bundles_passed, 1);

    /* The tables are read. */
    out = (struct instr_out) INSTR_OUT_INIT;
    instr_catch_up(rig->instr, 1, &out);
    ck_assert_uint_gt(out.n_to_switch, 0);
    ck_assert(!instr_is_ready(rig->instr));
    instr_out_uninit(&out);
    rig_destroy(rig);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("instr_order");
    SRunner *runner = srunner_create(suite);
    TCase *tc = tcase_create("instr_order");
    int failed;

    of_msg_init();
    tcase_add_loop_test(tc, no_miss_rule_stands_beside_a_rule_of_priority_0, 0,
                        2);
    tcase_add_loop_test(tc, a_refusal_takes_its_turn, 0, 2);
    tcase_add_test(tc, an_unasked_table_is_an_invalid_command);
    tcase_add_test(
        tc, a_bundle_goes_to_the_switch_as_it_comes_and_anew_at_the_commit);
    tcase_add_test(tc, a_bundle_too_big_to_be_held_is_committed_as_it_is);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
