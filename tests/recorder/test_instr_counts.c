/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recorder/instr_counts: a group goes on counting when the recorder
 * rewrites it, and begins anew when its controller does. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lh_alloc.h"
#include "recorder/of_group.h"
#include "recorder/of_msg.h"
#include "recorder/of_text.h"
#include "recorder/of_wire.h"
#include "tests/recorder/rig.h"

#define V           OF_WIRE_15
#define MULTIPART   18
#define GROUP_STATS 6
#define GROUP_MOD   15
#define N_MAX       3 /* Buckets. */

#define BUCKET_FIRST UINT32_C(0xfffffffd) /* Before all others. */

/* What a group has counted: the whole, and its buckets. */
struct counts {
    uint64_t total;
    size_t n;
    uint64_t buckets[N_MAX];
};

static struct rig *rig;
static struct instr_out out;

static void
setup(void)
{
    rig = rig_create(V, FAKE_POSTCARD_PORT);
    instr_out_init(&out);
}

static void
teardown(void)
{
    instr_out_uninit(&out);
    rig_destroy(rig);
}

/* 'msg' (taken) comes from the controller; 'out' is what that came to. */
static void
down(uint8_t *msg, size_t len)
{
    instr_out_uninit(&out);
    instr_from_controller(rig->link, msg, len, ++rig->now_ns, "test", &out);
    free(msg);
}

/* A group-mod, for the caller to free. */
static uint8_t *
make_group_mod(enum of_group_command command, const char *text, size_t *lenp)
{
    struct of_group *group;
    uint8_t *msg;

    ck_assert_ptr_null(of_text_to_group(text, V, &msg, lenp));
    group = of_group_decode(msg, *lenp);
    free(msg);
    of_group_set_command(group, command);
    ck_assert_int_eq(of_group_encode(group, V, 8, &msg, lenp), 0);
    of_group_destroy(group);
    return msg;
}

static void
group_mod(enum of_group_command command, const char *text)
{
    size_t len;
    uint8_t *msg = make_group_mod(command, text, &len);

    if (command == OF_GROUP_INSERT_BUCKETS) {
        of_wire_put32(msg + 20, BUCKET_FIRST);
    }
    down(msg, len);
}

/* The controller uses a table, so that T moves if it was that one. */
static void
use_table(const char *text)
{
    struct of_flow flow;
    uint8_t *msg;
    size_t len;

    ck_assert_ptr_null(of_flow_from_text(&flow, OF_FLOW_ADD, text));
    ck_assert_int_eq(of_flow_encode(&flow, V, 8, &msg, &len), 0);
    of_flow_uninit(&flow);
    down(msg, len);
}

/* The first message to the switch that asks for statistics of groups. */
static const struct instr_msg *
question(void)
{
    for (size_t i = 0; i < out.n_to_switch; i++) {
        const uint8_t *msg = out.to_switch[i].data;

        if (msg[1] == MULTIPART && of_wire_get16(msg + 8) == GROUP_STATS) {
            return &out.to_switch[i];
        }
    }
    return NULL;
}

/* The switch answers what it counts for group 5. */
static void
answer(uint64_t tag, const struct counts *counts)
{
    uint8_t msg[16 + 40 + 16 * N_MAX] = {0};
    size_t len = 16 + 40 + 16 * counts->n;

    of_wire_put_header(msg, V, MULTIPART + 1, (uint16_t) len, 3);
    of_wire_put16(msg + 8, GROUP_STATS);
    of_wire_put16(msg + 16, (uint16_t) (len - 16));
    of_wire_put32(msg + 20, 5);
    of_wire_put64(msg + 32, counts->total);
    of_wire_put64(msg + 40, counts->total * 60);
    for (size_t i = 0; i < counts->n; i++) {
        of_wire_put64(msg + 56 + 16 * i, counts->buckets[i]);
        of_wire_put64(msg + 64 + 16 * i, counts->buckets[i] * 60);
    }
    instr_out_uninit(&out);
    instr_from_switch(rig->link, msg, len, tag, ++rig->now_ns, &out);
}

/* The controller asks, and the switch counts 'counts': it is told 'told'. */
static void
check_told(struct counts counts, struct counts told)
{
    const uint8_t *msg;
    uint8_t *request;
    size_t len;

    of_group_stats_request(V, OF_GROUP_ALL, &request, &len);
    down(request, len);
    answer(question()->tag, &counts);
    ck_assert_uint_eq(out.n_to_controller, 1);
    msg = out.to_controller[0].data;
    ck_assert_uint_eq(of_wire_get64(msg + 32), told.total);
    ck_assert_uint_eq(of_wire_get64(msg + 40), told.total * 60);
    for (size_t i = 0; i < counts.n; i++) {
        ck_assert_uint_eq(of_wire_get64(msg + 56 + 16 * i), told.buckets[i]);
        ck_assert_uint_eq(of_wire_get64(msg + 64 + 16 * i),
                          told.buckets[i] * 60);
    }
}

/* A group, which has counted 9 packets before T moved.  Returns the tag of its
 * rewriting. */
static uint64_t
moved(void)
{
    uint64_t asked = 0, rewritten = 0;

    group_mod(OF_GROUP_ADD,
              "group_id=5,type=all,bucket=bucket_id:1,actions=output:1,"
              "bucket=bucket_id:2,actions=output:2");
    ck_assert_ptr_null(question());
    use_table("table=253,priority=1,tcp,actions=output:1");
    ck_assert_ptr_nonnull(question());
    asked = question()->tag;
    for (const struct instr_msg *m = question();
         m < out.to_switch + out.n_to_switch; m++) {
        if (m->data[1] == GROUP_MOD) {
            rewritten = m->tag;
        }
    }
    ck_assert_uint_ne(rewritten, 0); /* And after the question. */
    answer(asked, &(struct counts){9, 2, {4, 5}});
    ck_assert_uint_eq(out.n_to_controller, 0);
    return rewritten;
}

START_TEST(what_was_counted_before_a_rewriting_stays)
{
    moved();
    check_told((struct counts){3, 2, {1, 2}}, (struct counts){12, 2, {5, 7}});
    use_table("table=252,priority=1,tcp,actions=output:1");
    answer(question()->tag, &(struct counts){3, 2, {1, 2}});
    check_told((struct counts){1, 2, {1, 0}}, (struct counts){13, 2, {6, 7}});
}
END_TEST

START_TEST(a_refused_rewriting_counts_nothing_twice)
{
    uint64_t tag = moved();

    instr_out_uninit(&out);
    instr_error(rig->link, tag, 6, 0, ++rig->now_ns, &out);
    check_told((struct counts){9, 2, {4, 5}}, (struct counts){9, 2, {4, 5}});
}
END_TEST

START_TEST(the_controllers_own_change_begins_anew)
{
    moved();
    group_mod(OF_GROUP_MODIFY, "group_id=5,type=all,bucket=bucket_id:1,"
                               "actions=output:3");
    check_told((struct counts){2, 1, {2}}, (struct counts){2, 1, {2}});
}
END_TEST

START_TEST(a_bucket_that_stays_keeps_its_count)
{
    moved();
    group_mod(OF_GROUP_INSERT_BUCKETS,
              "group_id=5,type=all,bucket=bucket_id:3,actions=output:3");
    check_told((struct counts){0, 3, {0, 4, 0}},
               (struct counts){0, 3, {0, 8, 5}});
}
END_TEST

static void
bundle_control(enum of_bundle_type type)
{
    struct of_bundle_control bc = {
        .id = 9, .type = (uint16_t) type, .flags = 3};
    uint8_t *msg;
    size_t len;

    of_msg_put_bundle_control(V, 5, &bc, &msg, &len);
    down(msg, len);
}

/* 'inner' (taken) into the bundle. */
static void
bundle_put(uint8_t *inner, size_t inner_len)
{
    uint8_t *msg;
    size_t len;

    ck_assert_int_eq(
        of_msg_put_bundle_add(V, 8, 9, 3, inner, inner_len, &msg, &len), 0);
    free(inner);
    down(msg, len);
}

static void
bundle_add(const char *text)
{
    struct of_flow flow;
    uint8_t *inner;
    size_t inner_len;

    ck_assert_ptr_null(of_flow_from_text(&flow, OF_FLOW_ADD, text));
    ck_assert_int_eq(of_flow_encode(&flow, V, 8, &inner, &inner_len), 0);
    of_flow_uninit(&flow);
    bundle_put(inner, inner_len);
}

/* The place in 'out' of the first message of a bundle. */
static size_t
bundle_start(void)
{
    for (size_t i = 0; i < out.n_to_switch; i++) {
        struct of_bundle_control bc;

        if (of_msg_bundle_control(out.to_switch[i].data, out.to_switch[i].len,
                                  &bc)) {
            return i;
        }
    }
    ck_abort_msg("no bundle");
}

/* An answer amid a bundle would settle the messages before it, and their
 * errors, which come with the commit, would not quote them whole. */
START_TEST(the_question_comes_before_the_bundle)
{
    group_mod(OF_GROUP_ADD, "group_id=5,type=all,bucket=bucket_id:1,"
                            "actions=output:1");
    bundle_control(OF_BUNDLE_OPEN_REQUEST);
    bundle_add("table=1,priority=1,tcp,actions=output:1");
    ck_assert_ptr_null(question());
    bundle_add("table=253,priority=1,tcp,actions=output:1");
    ck_assert_ptr_null(question());
    bundle_control(OF_BUNDLE_COMMIT_REQUEST);
    ck_assert_ptr_nonnull(question());
    ck_assert_uint_lt((size_t) (question() - out.to_switch), bundle_start());
    answer(question()->tag, &(struct counts){9, 1, {9}});
    check_told((struct counts){3, 1, {3}}, (struct counts){12, 1, {12}});
}
END_TEST

START_TEST(what_a_bundle_changes_begins_anew)
{
    uint8_t *msg;
    size_t len;

    group_mod(OF_GROUP_ADD, "group_id=5,type=all,bucket=bucket_id:1,"
                            "actions=output:1");
    group_mod(OF_GROUP_ADD, "group_id=6,type=all,bucket=bucket_id:1,"
                            "actions=output:2");
    msg = make_group_mod(OF_GROUP_MODIFY,
                         "group_id=5,type=all,bucket=bucket_id:1,"
                         "actions=output:3",
                         &len);
    bundle_control(OF_BUNDLE_OPEN_REQUEST);
    bundle_put(msg, len);
    bundle_add("table=253,priority=1,tcp,actions=output:1");
    bundle_control(OF_BUNDLE_COMMIT_REQUEST);
    ck_assert_ptr_nonnull(question());
    answer(question()->tag, &(struct counts){9, 1, {9}});
    check_told((struct counts){3, 1, {3}}, (struct counts){3, 1, {3}});
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("instr_counts");
    TCase *tc = tcase_create("counts");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, what_was_counted_before_a_rewriting_stays);
    tcase_add_test(tc, a_refused_rewriting_counts_nothing_twice);
    tcase_add_test(tc, the_controllers_own_change_begins_anew);
    tcase_add_test(tc, a_bucket_that_stays_keeps_its_count);
    tcase_add_test(tc, the_question_comes_before_the_bundle);
    tcase_add_test(tc, what_a_bundle_changes_begins_anew);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
