/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of server/door_message: what is said comes back, and what a door
 * answers to a question can be no more than an answer to it. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "server/door_message.h"

static const struct door_message asked = {
    .kind = DOOR_AGAIN, .k = 5, .door = 77, .first = 40, .last = 50};

START_TEST(messages_come_back)
{
    struct door_message m = asked, again;
    uint8_t bytes[DOOR_MESSAGE_SIZE];

    m.last = UINT64_MAX;
    for (int kind = 0; kind < 256; kind++) {
        m.kind = (enum door_message_kind) kind;
        door_message_put(&m, bytes);
        ck_assert(door_message_read(bytes, sizeof bytes, &again) ==
                  (kind >= DOOR_AGAIN && kind <= DOOR_ASK));
    }
    m.kind = DOOR_WILL;
    door_message_put(&m, bytes);
    ck_assert(door_message_read(bytes, sizeof bytes, &again));
    ck_assert_int_eq(again.kind, DOOR_WILL);
    ck_assert_uint_eq(again.k, 5);
    ck_assert_uint_eq(again.door, 77);
    ck_assert_uint_eq(again.first, 40);
    ck_assert_uint_eq(again.last, UINT64_MAX);
    for (size_t size = 0; size < sizeof bytes; size++) {
        ck_assert(!door_message_read(bytes, size, &again));
    }
    bytes[0]++;
    ck_assert(!door_message_read(bytes, sizeof bytes, &again));
}
END_TEST

/* What the door says, and what is made of it; 0: it is refused. */
static void
answer(uint64_t first, uint64_t last, uint64_t want_first, uint64_t want_last)
{
    struct door_message m = asked;

    m.kind = DOOR_WILL;
    m.first = first;
    m.last = last;
    ck_assert(door_message_answers(&asked, &m) == (want_first != 0));
    if (want_first) {
        ck_assert_uint_eq(m.first, want_first);
        ck_assert_uint_eq(m.last, want_last);
    }
}

START_TEST(an_answer_is_bound_by_its_question)
{
    struct door_message m;

    answer(45, 39, 45, 39);
    answer(45, 44, 45, 44);
    answer(1, 0, 1, 0);
    answer(51, 50, 51, 50);
    /* Of what was not asked for it says nothing. */
    answer(52, 50, 51, 50);
    answer(1000, 999, 51, 50);
    answer(UINT64_MAX, 0, 51, 0);
    answer(UINT64_MAX, UINT64_MAX - 1, 51, 50);
    /* Nonsense. */
    answer(0, 0, 0, 0);
    answer(0, UINT64_MAX, 0, 0);
    answer(45, 45, 0, 0);
    answer(45, UINT64_MAX, 0, 0);
    answer(UINT64_MAX, UINT64_MAX, 0, 0);

    m = (struct door_message){
        .kind = DOOR_WILL, .k = 5, .door = 77, .first = 45, .last = 39};
    m.k = 6;
    ck_assert(!door_message_answers(&asked, &m));
    m.k = 5;
    m.door = 78;
    ck_assert(!door_message_answers(&asked, &m));
    m.door = 77;
    m.kind = DOOR_COVERED;
    ck_assert(!door_message_answers(&asked, &m));
    m.kind = DOOR_WILL;
    ck_assert(door_message_answers(&asked, &m));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("door_message");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int n_failed;

    tcase_add_test(tc, messages_come_back);
    tcase_add_test(tc, an_answer_is_bound_by_its_question);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
