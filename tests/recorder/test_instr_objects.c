/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of what instr tells of groups, meters and roles. */
#include <config.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_group.h"
#include "recorder/of_meter.h"
#include "recorder/of_msg.h"
#include "recorder/of_text.h"
#include "recorder/of_wire.h"
#include "tests/recorder/rig.h"

/* What one message to instr came to. */
static void
down(struct rig *rig, uint8_t *msg, size_t len, struct instr_out *out)
{
    instr_out_init(out);
    instr_from_controller(rig->link, msg, len, ++rig->now_ns, "test", out);
    free(msg);
}

/* The tag of the last message to the switch that is not our own. */
static uint64_t
last_tag(const struct instr_out *out)
{
    for (size_t i = out->n_to_switch; i-- > 0;) {
        if (!out->to_switch[i].is_own) {
            return out->to_switch[i].tag;
        }
    }
    ck_abort_msg("nothing was sent");
}

static void
check_object(const struct instr_out *out, size_t i, bool is_meter, uint32_t id,
             const char *how, const char *text)
{
    ck_assert_uint_gt(out->n_objects, i);

    const struct instr_object *o = &out->objects[i];

    ck_assert_int_eq(o->is_meter, is_meter);
    ck_assert_uint_eq(o->id, id);
    ck_assert_str_eq(o->how, how);
    ck_assert_int_eq(o->text != NULL, text != NULL);
    ck_assert_int_eq(o->raw != NULL, text != NULL);
    if (text) {
        ck_assert_str_eq(o->text, text);
    }
}

static uint8_t *
group_mod(const char *text, enum of_group_command command, size_t *len)
{
    struct of_group *group;
    uint8_t *msg;

    ck_assert_ptr_null(of_text_to_group(text, OF_WIRE_13, &msg, len));
    group = of_group_decode(msg, *len);
    free(msg);
    of_group_set_command(group, command);
    ck_assert_int_eq(of_group_encode(group, OF_WIRE_13, 7, &msg, len), 0);
    of_group_destroy(group);
    return msg;
}

static uint8_t *
meter_mod(uint16_t command, uint32_t id, uint32_t rate, size_t *len)
{
    bool has_band = command != 2;
    uint8_t *msg;

    *len = has_band ? 32 : 16;
    msg = lh_alloc_zero(*len);
    of_wire_put_header(msg, OF_WIRE_13, 29, (uint16_t) *len, 9);
    of_wire_put16(msg + 8, command);
    of_wire_put16(msg + 10, 1); /* kbps */
    of_wire_put32(msg + 12, id);
    if (has_band) {
        of_wire_put16(msg + 16, 1); /* drop */
        of_wire_put16(msg + 18, 16);
        of_wire_put32(msg + 20, rate);
    }
    return msg;
}

START_TEST(groups_are_told_as_the_controller_wrote_them)
{
    static const char one[] = "group_id=5,type=all,bucket=actions=output:1";
    static const char two[] =
        "group_id=5,type=all,bucket=actions=output:2,bucket=actions=output:3";
    struct rig *rig = rig_create(OF_WIRE_13, FAKE_POSTCARD_PORT);
    struct instr_out out;
    uint8_t *msg;
    size_t len;

    msg = group_mod(one, OF_GROUP_ADD, &len);
    down(rig, msg, len, &out);
    ck_assert_uint_eq(out.n_objects, 1);
    check_object(&out, 0, false, 5, "add", one);
    instr_out_uninit(&out);
    msg = group_mod(one, OF_GROUP_ADD, &len); /* There is one. */
    down(rig, msg, len, &out);
    ck_assert_uint_eq(out.n_objects, 0);
    instr_out_uninit(&out);
    msg = group_mod(two, OF_GROUP_MODIFY, &len);
    down(rig, msg, len, &out);
    ck_assert_uint_eq(out.n_objects, 1);
    ck_assert_str_eq(out.objects[0].how, "modify");
    ck_assert_ptr_nonnull(strstr(out.objects[0].text, "output:3"));
    instr_out_uninit(&out);
    msg = group_mod("group_id=5,type=all", OF_GROUP_DELETE, &len);
    down(rig, msg, len, &out);
    ck_assert_uint_eq(out.n_objects, 1);
    check_object(&out, 0, false, 5, "delete", NULL);
    instr_out_uninit(&out);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_refused_group_is_undone)
{
    struct rig *rig = rig_create(OF_WIRE_13, FAKE_POSTCARD_PORT);
    struct instr_out out;
    uint64_t tag;
    uint8_t *msg;
    size_t len;

    msg = group_mod("group_id=1,type=all,bucket=actions=output:1",
                    OF_GROUP_ADD, &len);
    down(rig, msg, len, &out);
    instr_out_uninit(&out);
    msg = group_mod("group_id=1,type=all,bucket=actions=output:2",
                    OF_GROUP_MODIFY, &len);
    down(rig, msg, len, &out);
    tag = last_tag(&out);
    instr_out_uninit(&out);
    ck_assert(instr_error(rig->link, tag, 6, 1, ++rig->now_ns, &out));
    ck_assert_uint_eq(out.n_objects, 1);
    ck_assert_str_eq(out.objects[0].how, "restored");
    ck_assert_ptr_nonnull(strstr(out.objects[0].text, "output:1"));
    instr_out_uninit(&out);
    msg = group_mod("group_id=2,type=all,bucket=actions=output:2",
                    OF_GROUP_ADD, &len);
    down(rig, msg, len, &out);
    tag = last_tag(&out);
    instr_out_uninit(&out);
    ck_assert(instr_error(rig->link, tag, 6, 1, ++rig->now_ns, &out));
    check_object(&out, 0, false, 2, "error", NULL);
    instr_out_uninit(&out);
    rig_destroy(rig);
}
END_TEST

/* What stands after the error is what the switch has: the last one. */
START_TEST(a_refusal_of_what_is_replaced_changes_what_would_be_restored)
{
    struct rig *rig = rig_create(OF_WIRE_13, FAKE_POSTCARD_PORT);
    struct instr_out out;
    uint64_t tags[3];

    for (unsigned int i = 0; i < 3; i++) {
        char *text =
            lh_asprintf("group_id=1,type=all,bucket=actions=output:%u", i + 1);
        size_t len;
        uint8_t *msg =
            group_mod(text, i ? OF_GROUP_MODIFY : OF_GROUP_ADD, &len);

        down(rig, msg, len, &out);
        tags[i] = last_tag(&out);
        instr_out_uninit(&out);
        free(text);
    }
    ck_assert(instr_error(rig->link, tags[1], 6, 1, ++rig->now_ns, &out));
    ck_assert_uint_eq(out.n_objects, 0);
    ck_assert_uint_eq(out.n_made + out.n_removed, 0);
    instr_out_uninit(&out);
    ck_assert(instr_error(rig->link, tags[2], 6, 1, ++rig->now_ns, &out));
    ck_assert_uint_eq(out.n_objects, 1);
    ck_assert_str_eq(out.objects[0].how, "restored");
    ck_assert_ptr_nonnull(strstr(out.objects[0].text, "output:1"));
    instr_out_uninit(&out);

    for (unsigned int i = 0; i < 3; i++) {
        size_t len;
        uint8_t *msg = meter_mod(i ? 1 : 0, 3, 100 * (i + 1), &len);

        down(rig, msg, len, &out);
        tags[i] = last_tag(&out);
        instr_out_uninit(&out);
    }
    ck_assert(instr_error(rig->link, tags[1], 12, 1, ++rig->now_ns, &out));
    ck_assert_uint_eq(out.n_objects, 0);
    instr_out_uninit(&out);
    ck_assert(instr_error(rig->link, tags[2], 12, 1, ++rig->now_ns, &out));
    check_object(&out, 0, true, 3, "restored",
                 "meter=3,kbps,bands=type=drop,rate=100");
    instr_out_uninit(&out);
    rig_destroy(rig);
}
END_TEST

START_TEST(meters_are_told)
{
    static const char slow[] = "meter=3,kbps,bands=type=drop,rate=100";
    static const char fast[] = "meter=3,kbps,bands=type=drop,rate=200";
    struct rig *rig = rig_create(OF_WIRE_13, FAKE_POSTCARD_PORT);
    struct instr_out out;
    uint64_t tag;
    uint8_t *msg;
    size_t len;

    msg = meter_mod(1, 3, 100, &len); /* None to modify yet. */
    down(rig, msg, len, &out);
    ck_assert_uint_eq(out.n_objects, 0);
    instr_out_uninit(&out);
    msg = meter_mod(0, 3, 100, &len);
    down(rig, msg, len, &out);
    check_object(&out, 0, true, 3, "add", slow);
    ck_assert_uint_eq(instr_counters(rig->instr)->meters, 1);
    ck_assert_uint_eq(out.n_events, 0);
    instr_out_uninit(&out);
    msg = meter_mod(1, 3, 200, &len);
    down(rig, msg, len, &out);
    check_object(&out, 0, true, 3, "modify", fast);
    tag = last_tag(&out);
    instr_out_uninit(&out);
    ck_assert(instr_error(rig->link, tag, 12, 1, ++rig->now_ns, &out));
    check_object(&out, 0, true, 3, "restored", slow);
    instr_out_uninit(&out);
    msg = meter_mod(2, OF_METER_ALL, 0, &len);
    down(rig, msg, len, &out);
    ck_assert_uint_eq(out.n_objects, 1);
    check_object(&out, 0, true, 3, "delete", NULL);
    tag = last_tag(&out);
    instr_out_uninit(&out);
    ck_assert(instr_error(rig->link, tag, 12, 1, ++rig->now_ns, &out));
    check_object(&out, 0, true, 3, "restored", slow);
    instr_out_uninit(&out);
    ck_assert_uint_eq(instr_counters(rig->instr)->meters, 1);
    rig_destroy(rig);
}
END_TEST

START_TEST(a_meter_that_cannot_be_read_is_an_event)
{
    struct rig *rig = rig_create(OF_WIRE_13, FAKE_POSTCARD_PORT);
    struct instr_out out;
    uint8_t *msg = meter_mod(77, 3, 100, &(size_t){0});

    down(rig, msg, 32, &out);
    ck_assert_uint_eq(out.n_objects, 0);
    ck_assert_uint_eq(out.n_events, 1);
    ck_assert_str_eq(out.events[0].kind, "meter-mod");
    ck_assert_uint_eq(out.n_to_switch, 1); /* It passes. */
    instr_out_uninit(&out);
    rig_destroy(rig);
}
END_TEST

/* A role message of 1.3. */
static uint8_t *
role(uint8_t type, uint32_t role)
{
    uint8_t *msg = lh_alloc_zero(24);

    of_wire_put_header(msg, OF_WIRE_13, type, 24, 4);
    of_wire_put32(msg + 8, role);
    return msg;
}

START_TEST(roles_are_told_once_they_are_known)
{
    struct rig *rig = rig_create(OF_WIRE_13, FAKE_POSTCARD_PORT);

    for (unsigned int round = 0; round < 2; round++) {
        struct instr_out out;
        uint64_t tag;
        uint8_t *msg;

        down(rig, role(24, 2), 24, &out);
        ck_assert_uint_eq(out.n_events, 0);
        tag = last_tag(&out);
        instr_out_uninit(&out);
        msg = role(25, 2);
        instr_from_switch(rig->link, msg, 24, tag, ++rig->now_ns, &out);
        free(msg);
        ck_assert_uint_eq(out.n_events, round ? 0 : 1); /* No news twice. */
        if (!round) {
            ck_assert_str_eq(out.events[0].kind, "role");
            ck_assert_str_eq(out.events[0].text, "master");
            ck_assert_ptr_eq(out.events[0].link, rig->link);
        }
        instr_out_uninit(&out);
    }
    rig_destroy(rig);
}
END_TEST

struct seen {
    size_t n;
    char texts[4][200];
};

static void
take_object(void *seen_, const struct instr_object *object)
{
    struct seen *seen = seen_;

    ck_assert_str_eq(object->how, "found");
    snprintf(seen->texts[seen->n++], sizeof seen->texts[0], "%s",
             object->text);
}

static void
take_rule(void *kinds_, struct rule *rule)
{
    unsigned int *kinds = kinds_;

    ck_assert_uint_gt(rule->version, 0);
    kinds[rule->kind]++;
}

START_TEST(all_rules_that_stand_can_be_asked_for)
{
    struct rig *rig = rig_create(OF_WIRE_13, FAKE_POSTCARD_PORT);
    unsigned int kinds[RULE_PACKET_OUT + 1] = {0};
    struct instr_out out;
    uint8_t *msg;
    size_t len;

    msg = group_mod("group_id=1,type=all,bucket=actions=output:1,"
                    "bucket=actions=output:2",
                    OF_GROUP_ADD, &len);
    down(rig, msg, len, &out);
    instr_out_uninit(&out);
    rig_flow(rig, OF_FLOW_ADD, "priority=5,in_port=1,actions=output:2");
    instr_rules(rig->instr, take_rule, kinds);
    ck_assert_uint_eq(kinds[RULE_FLOW], 1);
    ck_assert_uint_eq(kinds[RULE_GROUP], 2);
    ck_assert_uint_ge(kinds[RULE_MISS], 1);
    rig_destroy(rig);
}
END_TEST

START_TEST(all_that_stands_can_be_asked_for)
{
    struct rig *rig = rig_create(OF_WIRE_13, FAKE_POSTCARD_PORT);
    struct seen seen = {.n = 0};
    struct instr_out out;
    uint8_t *msg;
    size_t len;

    msg = group_mod("group_id=1,type=all,bucket=actions=output:1",
                    OF_GROUP_ADD, &len);
    down(rig, msg, len, &out);
    instr_out_uninit(&out);
    msg = meter_mod(0, 3, 100, &len);
    down(rig, msg, len, &out);
    instr_out_uninit(&out);
    instr_objects(rig->instr, take_object, &seen);
    ck_assert_uint_eq(seen.n, 2);
    ck_assert_ptr_nonnull(strstr(seen.texts[0], "group_id=1,type=all"));
    ck_assert_str_eq(seen.texts[1], "meter=3,kbps,bands=type=drop,rate=100");
    rig_destroy(rig);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("instr_objects");
    TCase *tc = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    of_msg_init();
    tcase_add_test(tc, groups_are_told_as_the_controller_wrote_them);
    tcase_add_test(tc, a_refused_group_is_undone);
    tcase_add_test(
        tc, a_refusal_of_what_is_replaced_changes_what_would_be_restored);
    tcase_add_test(tc, meters_are_told);
    tcase_add_test(tc, a_meter_that_cannot_be_read_is_an_event);
    tcase_add_test(tc, roles_are_told_once_they_are_known);
    tcase_add_test(tc, all_that_stands_can_be_asked_for);
    tcase_add_test(tc, all_rules_that_stand_can_be_asked_for);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
