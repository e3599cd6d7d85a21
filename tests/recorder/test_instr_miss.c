/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recorder/instr_miss: our table-miss rules and others' rules of
 * priority 0, which replace each other. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_wire.h"
#include "tests/recorder/rig.h"

#define MS      UINT64_C(1000000)
#define OUR_ALL "cookie=0x6c617374686f7000/0xffffffffffffff00"
#define THEIRS  "cookie=0x5,priority=0,actions=output:3"

static const uint8_t versions[] = {OF_WIRE_10, OF_WIRE_13, OF_WIRE_14};
#define N_VERSIONS ((int) sizeof versions)

static void
wait_ms(struct rig *rig, unsigned int ms)
{
    rig->now_ns += ms * MS;
    rig_run_due(rig);
}

/* The rule of priority 0 that the switch has; "" for none. */
static char *
lowest(const struct rig *rig)
{
    char *text = fake_switch_text(rig->behind), *next;
    char *found = lh_strdup("");

    for (char *line = text; *line; line = next) {
        next = strchr(line, '\n') + 1;
        next[-1] = '\0';
        if (strstr(line, "priority=0")) {
            free(found);
            found = lh_strdup(line);
        }
    }
    free(text);
    return found;
}

static bool
stands(const struct rig *rig, const char *part)
{
    char *text = lowest(rig);
    bool has = strstr(text, part) != NULL;

    free(text);
    return has;
}

/* Others clear the switch, and it says so of our miss rule. */
static void
clear(struct rig *rig)
{
    char *text = lowest(rig);
    char *actions = strstr(text, "actions=");
    char *rule;

    ck_assert_ptr_nonnull(actions);
    rule = lh_asprintf("cookie=0x6c617374686f7003,priority=0,%s", actions);
    rig_by_hand(rig, OF_FLOW_DELETE, OUR_ALL);
    rig_say(rig, OF_UPDATE_REMOVED, rule);
    free(rule);
    free(text);
}

static uint64_t
n_put_back(const struct rig *rig)
{
    return instr_counters(rig->instr)->put_back;
}

START_TEST(ours_comes_when_others_are_calm)
{
    struct rig *rig = rig_create_watching(versions[_i], FAKE_POSTCARD_PORT);

    ck_assert(stands(rig, "0x6c617374686f7003"));
    clear(rig);
    wait_ms(rig, 60);
    rig_say(rig, OF_UPDATE_ADDED,
            "cookie=0x6,priority=9,udp,actions=output:1");
    wait_ms(rig, 60);
    ck_assert(!stands(rig, "priority=0"));
    wait_ms(rig, 40);
    ck_assert(stands(rig, "0x6c617374686f7003"));
    rig_destroy(rig);
}
END_TEST

START_TEST(others_are_not_waited_for_for_ever)
{
    struct rig *rig = rig_create_watching(versions[_i], FAKE_POSTCARD_PORT);
    unsigned int ms;

    clear(rig);
    for (ms = 0; !stands(rig, "priority=0"); ms += 50) {
        ck_assert_uint_lt(ms, 2200);
        rig_say(rig, ms % 100 ? OF_UPDATE_ADDED : OF_UPDATE_REMOVED,
                "cookie=0x6,priority=9,udp,actions=output:1");
        wait_ms(rig, 50);
    }
    ck_assert_uint_ge(ms, 1900);
    rig_destroy(rig);
}
END_TEST

START_TEST(theirs_that_ours_has_replaced_is_put_back)
{
    struct rig *rig = rig_create_watching(versions[_i], FAKE_POSTCARD_PORT);

    clear(rig);
    rig->now_ns += 100 * MS;
    rig_by_hand(rig, OF_FLOW_ADD, THEIRS);
    rig_run_due(rig);
    ck_assert(stands(rig, "0x6c617374686f7003"));
    rig_say(rig, OF_UPDATE_ADDED, THEIRS);
    ck_assert(stands(rig, "cookie=0x5,"));
    ck_assert(stands(rig, "output:3"));
    ck_assert_uint_eq(n_put_back(rig), 1);
    rig_destroy(rig);
}
END_TEST

START_TEST(theirs_that_has_replaced_ours_is_left_alone)
{
    struct rig *rig = rig_create_watching(versions[_i], FAKE_POSTCARD_PORT);

    clear(rig);
    wait_ms(rig, 100);
    rig_by_hand(rig, OF_FLOW_ADD, THEIRS);
    rig_say(rig, OF_UPDATE_ADDED, THEIRS);
    ck_assert(stands(rig, "cookie=0x5,"));
    ck_assert_uint_eq(n_put_back(rig), 0);
    wait_ms(rig, 100);
    ck_assert(stands(rig, "cookie=0x5,"));
    rig_destroy(rig);
}
END_TEST

START_TEST(theirs_is_put_back_after_a_detach)
{
    struct rig *rig = rig_create_watching(versions[_i], FAKE_POSTCARD_PORT);
    struct rig_message msg;

    clear(rig);
    rig->now_ns += 100 * MS;
    rig_by_hand(rig, OF_FLOW_ADD, THEIRS);
    rig_run_due(rig);
    msg = rig_update(rig, OF_UPDATE_ADDED, THEIRS);
    rig_detach(rig, msg.data, msg.len);
    for (int i = 0; i < 10 && !rig_is_detached(rig); i++) {
        wait_ms(rig, 20);
    }
    ck_assert(rig_is_detached(rig));
    ck_assert(stands(rig, "cookie=0x5,"));
    ck_assert_uint_eq(fake_switch_n_flows(rig->behind), 1);
    rig_destroy(rig);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("instr_miss");
    TCase *tcase = tcase_create("miss");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_add_loop_test(tcase, ours_comes_when_others_are_calm, 0, N_VERSIONS);
    tcase_add_loop_test(tcase, others_are_not_waited_for_for_ever, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tcase, theirs_that_ours_has_replaced_is_put_back, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tcase, theirs_that_has_replaced_ours_is_left_alone, 0,
                        N_VERSIONS);
    tcase_add_loop_test(tcase, theirs_is_put_back_after_a_detach, 0,
                        N_VERSIONS);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
