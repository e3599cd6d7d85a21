/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of how several connections of one switch act as one: roles, fences,
 * what is owed, echoes, reading again, and what passed before a link. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/instr_kept.h"
#include "recorder/instr_state.h"
#include "recorder/of_wire.h"

#define NOW UINT64_C(1700000000000000000)

static struct instr *instr;
static struct instr_link *a, *b;
static struct instr_out out;
static uint32_t last_version;

static uint32_t
next_version(void *aux)
{
    return ++last_version;
}

static uint64_t
last_tag(const struct instr_link *link)
{
    uint64_t tag = 0;

    for (size_t i = 0; i < out.n_to_switch; i++) {
        tag = out.to_switch[i].link == link ? out.to_switch[i].tag : tag;
    }
    return tag;
}

/* The messages of that type that go by 'link'. */
static size_t
count_sent(const struct instr_link *link, uint8_t type)
{
    size_t n = 0;

    for (size_t i = 0; i < out.n_to_switch; i++) {
        n += out.to_switch[i].link == link && out.to_switch[i].data[1] == type;
    }
    return n;
}

static void
clear(void)
{
    instr_out_uninit(&out);
}

/* The switch answers a barrier with that tag. */
static void
answer_barrier(struct instr_link *link, uint64_t tag)
{
    uint8_t msg[8];

    of_wire_put_header(msg, OF_WIRE_13, of_wire_barrier_reply(OF_WIRE_13), 8,
                       0);
    instr_from_switch(link, msg, 8, tag, NOW, &out);
}

static void
setup(void)
{
    instr = instr_create(
        &(struct instr_config){.dpid = 1, .next_version = next_version});
    a = instr_link_create(instr, OF_WIRE_13, false, NULL);
    instr_start(a, NOW, &out);
    for (int i = 0; i < 2; i++) {
        answer_barrier(a, last_tag(a));
    }
    ck_assert(instr_is_ready(instr));
    b = instr_link_create(instr, OF_WIRE_13, false, NULL);
    instr_link_start(b, NOW, &out);
    answer_barrier(a, last_tag(a)); /* So that b is the same switch's. */
    clear();
}

static void
teardown(void)
{
    clear();
    instr_destroy(instr);
}

/* A role request of a controller, then the switch's answer. */
static void
put_role(uint8_t *msg, uint8_t type, uint32_t role, uint64_t generation)
{
    memset(msg, 0, 24);
    of_wire_put_header(msg, OF_WIRE_13, type, 24, 9);
    of_wire_put32(msg + 8, role);
    of_wire_put64(msg + 16, generation);
}

static uint64_t
ask_role(struct instr_link *link, uint32_t role)
{
    uint8_t msg[24];

    put_role(msg, 24, role, 1);
    instr_from_controller(link, msg, sizeof msg, NOW, "test", &out);
    return last_tag(link);
}

static void
tell_role(struct instr_link *link, uint64_t tag, uint32_t role,
          uint64_t generation)
{
    uint8_t msg[24];

    put_role(msg, 25, role, generation);
    instr_from_switch(link, msg, sizeof msg, tag, NOW, &out);
}

START_TEST(role_is_unsure_until_the_switch_answers)
{
    uint64_t tag = ask_role(a, 2);

    ck_assert_int_eq(instr_link_role(a), INSTR_ROLE_UNSURE);
    tell_role(a, tag, 2, 1);
    ck_assert_int_eq(instr_link_role(a), INSTR_ROLE_MASTER);
    ck_assert_ptr_eq(instr_link_choose(instr), a);
}
END_TEST

START_TEST(new_master_makes_the_old_one_slave)
{
    tell_role(a, ask_role(a, 2), 2, 1);
    tell_role(b, ask_role(b, 2), 2, 2);
    ck_assert_int_eq(instr_link_role(a), INSTR_ROLE_SLAVE);
    ck_assert_int_eq(instr_link_role(b), INSTR_ROLE_MASTER);
    ck_assert_ptr_eq(instr_link_choose(instr), b);
    ck_assert(instr_role_is_slave(a));
}
END_TEST

START_TEST(two_answers_without_order_leave_both_unsure)
{
    uint64_t tag_a = ask_role(a, 2), tag_b = ask_role(b, 2);

    tell_role(b, tag_b, 2, 5);
    tell_role(a, tag_a, 2, 5); /* Who was last?  Nothing says it. */
    ck_assert_int_eq(instr_link_role(a), INSTR_ROLE_UNSURE);
    ck_assert_int_eq(instr_link_role(b), INSTR_ROLE_UNSURE);
}
END_TEST

START_TEST(newer_generation_tells_the_order)
{
    uint64_t tag_a = ask_role(a, 2), tag_b = ask_role(b, 2);

    tell_role(b, tag_b, 2, 5);
    tell_role(a, tag_a, 2, 6);
    ck_assert_int_eq(instr_link_role(a), INSTR_ROLE_MASTER);
    ck_assert_int_eq(instr_link_role(b), INSTR_ROLE_SLAVE);
}
END_TEST

START_TEST(refused_role_request_changes_nothing)
{
    uint64_t tag = ask_role(a, 2);

    ck_assert(instr_error(a, tag, 11, 0, NOW, &out));
    ck_assert_int_eq(instr_link_role(a), INSTR_ROLE_EQUAL);
}
END_TEST

/* A flow-mod that deletes nothing, as the controller of 'link' sends it. */
static void
send_write(struct instr_link *link)
{
    uint8_t msg[16] = {0};

    of_wire_put_header(msg, OF_WIRE_13, 29, sizeof msg, 3); /* Meter-mod. */
    of_wire_put16(msg + 8, 2);
    of_wire_put32(msg + 12, 77);
    instr_from_controller(link, msg, sizeof msg, NOW, "test", &out);
}

static const uint8_t write_header[8] = {OF_WIRE_13, OF_WIRE_FLOW_MOD, 0, 8};
static const uint8_t read_header[8] = {OF_WIRE_13, 18, 0, 8};

START_TEST(change_waits_for_what_went_by_another_link)
{
    send_write(a);
    clear();
    ck_assert(!instr_link_must_wait(b, read_header, NOW, &out));
    ck_assert(!instr_link_must_wait(a, write_header, NOW, &out));
    ck_assert(instr_link_must_wait(b, write_header, NOW, &out));
    ck_assert(out.is_held);
    ck_assert_uint_eq(count_sent(a, 20), 1);
    ck_assert(instr_link_must_wait(b, write_header, NOW + 1, &out));
    ck_assert_uint_eq(count_sent(a, 20), 1); /* It is asked once. */
    ck_assert(!out.released);
    answer_barrier(a, last_tag(a));
    ck_assert(out.released);
    ck_assert(!instr_link_must_wait(b, write_header, NOW + 2, &out));
    ck_assert_uint_eq(instr_counters(instr)->unordered, 0);
}
END_TEST

START_TEST(link_that_does_not_answer_is_not_waited_for)
{
    send_write(a);
    ck_assert(instr_link_must_wait(b, write_header, NOW, &out));
    ck_assert(
        instr_link_must_wait(b, write_header, NOW + INSTR_FENCE_NS - 1, &out));
    ck_assert(
        !instr_link_must_wait(b, write_header, NOW + INSTR_FENCE_NS, &out));
    ck_assert(!instr_link_must_wait(b, write_header, NOW + INSTR_FENCE_NS + 1,
                                    &out));
    ck_assert_uint_eq(instr_counters(instr)->unordered, 1);
}
END_TEST

START_TEST(slave_never_waits)
{
    send_write(a);
    tell_role(b, ask_role(b, 3), 3, 1);
    ck_assert(!instr_link_must_wait(b, write_header, NOW, &out));
}
END_TEST

START_TEST(what_is_owed_waits_for_a_link_that_may)
{
    tell_role(a, ask_role(a, 3), 3, 1);
    tell_role(b, ask_role(b, 3), 3, 1);
    clear();
    ck_assert_ptr_null(instr_link_choose(instr));
    instr_owe(instr, OWES_ALL);
    instr_owed_pay(instr, NOW, &out);
    instr_owed_pay(instr, NOW, &out);
    ck_assert_uint_eq(out.n_to_switch, 0);
    ck_assert_uint_eq(instr_counters(instr)->own_waited, 1);
    tell_role(b, ask_role(b, 1), 1, 1);
    ck_assert_uint_eq(instr->owes, 0);
}
END_TEST

START_TEST(what_is_owed_waits_for_other_links)
{
    send_write(a);
    tell_role(b, ask_role(b, 2), 2, 1); /* b is the better one now. */
    clear();
    instr_owe(instr, OWES_UPDATE);
    instr_owed_pay(instr, NOW, &out);
    ck_assert_uint_ne(instr->owes, 0);
    answer_barrier(a, last_tag(a));
    ck_assert_uint_eq(instr->owes, 0);
}
END_TEST

START_TEST(echo_counts_once_and_by_each_link_once)
{
    struct instr_change by_a, by_b;
    uint64_t hash = instr_echo_hash(0, "gone", 4);
    int result = 0;

    instr_change_init(&by_a, a, &out, NOW, "test");
    instr_change_init(&by_b, b, &out, NOW, "test");
    ck_assert(!instr_echo_take(&by_a, hash, &result));
    instr_echo_put(&by_a, hash, 7);
    ck_assert(!instr_echo_take(&by_a, hash, &result)); /* A second event. */
    ck_assert(!instr_echo_take(&by_b, hash + 1, &result));
    ck_assert(instr_echo_take(&by_b, hash, &result));
    ck_assert_int_eq(result, 7);
    ck_assert(!instr_echo_take(&by_b, hash, &result));
    ck_assert_uint_eq(instr_counters(instr)->echoes, 1);
    ck_assert_uint_eq(instr->n_echoes, 0);
}
END_TEST

START_TEST(echoes_are_bounded_and_go_with_their_link)
{
    struct instr_change by_a, by_b;
    int result;

    instr_change_init(&by_a, a, &out, NOW, "test");
    for (uint64_t i = 1; i <= 5000; i++) {
        instr_echo_put(&by_a, i, (int) i);
    }
    ck_assert_uint_eq(instr->n_echoes, 4096);
    instr_change_init(&by_b, b, &out, NOW, "test");
    ck_assert(!instr_echo_take(&by_b, 5000 - 4096, &result));
    ck_assert(instr_echo_take(&by_b, 5000, &result));
    ck_assert_int_eq(result, 5000);
    instr_link_destroy(b);
    b = instr_link_create(instr, OF_WIRE_13, false, NULL);
    instr_change_init(&by_b, b, &out, NOW, "test");
    ck_assert(!instr_echo_take(&by_b, 4999, &result));
}
END_TEST

START_TEST(new_link_waits_until_another_has_proved_the_switch)
{
    struct instr_link *c = instr_link_create(instr, OF_WIRE_13, false, NULL);

    instr_link_start(c, NOW, &out);
    ck_assert(instr_link_must_wait(c, write_header, NOW, &out));
    answer_barrier(a, last_tag(a));
    ck_assert(out.released);
    ck_assert(!instr_link_must_wait(c, write_header, NOW, &out));
    ck_assert_uint_eq(instr_counters(instr)->readings, 0);
}
END_TEST

START_TEST(tables_are_read_again_when_no_other_link_answers)
{
    struct instr_link *c = instr_link_create(instr, OF_WIRE_13, false, NULL);

    instr_link_start(c, NOW, &out);
    clear();
    ck_assert(
        instr_link_must_wait(c, write_header, NOW + INSTR_FENCE_NS, &out));
    ck_assert_ptr_eq(instr_reader(instr), c);
    ck_assert_uint_eq(instr_counters(instr)->readings, 1);
    ck_assert_uint_ge(count_sent(c, 18), 2); /* It asks for all. */
    ck_assert(instr_link_must_wait(a, write_header, NOW, &out));
    answer_barrier(c, last_tag(c));
    answer_barrier(c, last_tag(c));
    ck_assert(out.became_ready);
    ck_assert_ptr_null(instr_reader(instr));
}
END_TEST

START_TEST(tables_are_read_again_when_a_link_goes_amid_changes)
{
    send_write(b);
    instr_link_destroy(b);
    b = NULL;
    clear();
    instr_catch_up(instr, NOW, &out);
    ck_assert_ptr_eq(instr_reader(instr), a);
    ck_assert_uint_eq(instr_counters(instr)->readings, 1);
}
END_TEST

START_TEST(link_that_goes_when_all_is_answered_leaves_no_doubt)
{
    send_write(b);
    ck_assert(instr_link_must_wait(a, write_header, NOW, &out));
    answer_barrier(b, last_tag(b));
    instr_link_destroy(b);
    b = NULL;
    instr_catch_up(instr, NOW, &out);
    ck_assert_ptr_null(instr_reader(instr));
    ck_assert_uint_eq(instr_counters(instr)->readings, 0);
}
END_TEST

START_TEST(what_passed_before_is_known_to_a_new_link)
{
    uint8_t config[12] = {0}, role[24];
    struct instr_kept kept;
    struct instr_link *c;

    instr_kept_init(&kept);
    of_wire_put_header(config, OF_WIRE_13, OF_WIRE_SET_CONFIG, sizeof config,
                       1);
    of_wire_put16(config + 10, 777);
    instr_kept_down(&kept, config, sizeof config);
    put_role(role, 25, 2, 1);
    ck_assert(instr_kept_up(&kept, role, sizeof role));
    ck_assert_ptr_null(instr_kept_obstacle(&kept));

    c = instr_link_create(instr, OF_WIRE_13, false, NULL);
    instr_kept_adopt(&kept, c);
    ck_assert_int_eq(instr_link_role(c), INSTR_ROLE_MASTER);
    ck_assert_uint_eq(instr_link_miss_len(instr), 777);

    instr_kept_demote(&kept);
    instr_kept_adopt(&kept, c);
    ck_assert_int_eq(instr_link_role(c), INSTR_ROLE_UNSURE);
    put_role(role, 25, 3, 1);
    ck_assert(!instr_kept_up(&kept, role, sizeof role));
    ck_assert_int_eq(kept.role, INSTR_ROLE_SLAVE);
}
END_TEST

START_TEST(open_bundle_is_an_obstacle_until_it_is_over)
{
    uint8_t msg[24] = {0};
    struct instr_kept kept;

    instr_kept_init(&kept);
    of_wire_put_header(msg, OF_WIRE_13, OF_WIRE_EXPERIMENTER, sizeof msg, 1);
    of_wire_put32(msg + 8, 0x4f4e4600);
    of_wire_put32(msg + 12, 2300);
    of_wire_put32(msg + 16, 5);
    of_wire_put16(msg + 20, OF_BUNDLE_OPEN_REQUEST);
    instr_kept_down(&kept, msg, sizeof msg);
    ck_assert_ptr_nonnull(instr_kept_obstacle(&kept));
    of_wire_put16(msg + 20, OF_BUNDLE_COMMIT_REQUEST);
    instr_kept_down(&kept, msg, sizeof msg);
    ck_assert_ptr_null(instr_kept_obstacle(&kept));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("instr_links");
    TCase *tc = tcase_create("instr_links");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, role_is_unsure_until_the_switch_answers);
    tcase_add_test(tc, new_master_makes_the_old_one_slave);
    tcase_add_test(tc, two_answers_without_order_leave_both_unsure);
    tcase_add_test(tc, newer_generation_tells_the_order);
    tcase_add_test(tc, refused_role_request_changes_nothing);
    tcase_add_test(tc, change_waits_for_what_went_by_another_link);
    tcase_add_test(tc, link_that_does_not_answer_is_not_waited_for);
    tcase_add_test(tc, slave_never_waits);
    tcase_add_test(tc, what_is_owed_waits_for_a_link_that_may);
    tcase_add_test(tc, what_is_owed_waits_for_other_links);
    tcase_add_test(tc, echo_counts_once_and_by_each_link_once);
    tcase_add_test(tc, echoes_are_bounded_and_go_with_their_link);
    tcase_add_test(tc, new_link_waits_until_another_has_proved_the_switch);
    tcase_add_test(tc, tables_are_read_again_when_no_other_link_answers);
    tcase_add_test(tc, tables_are_read_again_when_a_link_goes_amid_changes);
    tcase_add_test(tc, link_that_goes_when_all_is_answered_leaves_no_doubt);
    tcase_add_test(tc, what_passed_before_is_known_to_a_new_link);
    tcase_add_test(tc, open_bundle_is_an_obstacle_until_it_is_over);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? 1 : 0;
}
