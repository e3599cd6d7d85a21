/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of server/cluster_merge_ahead: whatever is said of a door's messages,
 * nothing that it still sends is taken for what came before. */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "server/cluster_merge.h"
#include "server/cluster_wire.h"

#define DOOR 7

static struct cluster_merge *merge;
static uint64_t next_seq;
static const struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;

/* What nobody has a reason to say, and some that could be right. */
static const uint64_t numbers[] = {
    0, 1, 2, 3, 4, 1000, UINT64_C(1) << 33, UINT64_MAX - 1, UINT64_MAX};
static const size_t n_numbers = sizeof numbers / sizeof numbers[0];

static bool
on_card(void *aux, const struct postcard *p, uint64_t time_ns)
{
    ck_abort();
}

static void
on_inner(void *aux, uint64_t inner, uint64_t outer, uint64_t time_ns)
{
    ck_abort();
}

static uint64_t n_missing; /* Told of, and whether for want of room. */
static bool was_hurried;

static void
on_missing(void *aux, uint64_t n, uint64_t since_ns, uint64_t until_ns,
           bool is_hurried)
{
    n_missing += n;
    was_hurried = is_hurried;
}

static void
set_up(void)
{
    next_seq = 1;
    n_missing = 0;
    was_hurried = false;
    merge = cluster_merge_create(&(struct cluster_merge_config){
        .id_config = id_config,
        .mends = true,
        .max_bytes = 1000,
        .on_missing = on_missing,
        .on_card = on_card,
        .on_inner = on_inner,
    });
}

static void
tear_down(void)
{
    cluster_merge_destroy(merge);
}

/* The door sends a message; returns how many now came a second time. */
static uint64_t
take(uint64_t number)
{
    const struct cluster_cards_head head = {
        .door = DOOR, .number = number, .watermark_ns = 1000 * number};
    struct cluster_merge_counters n;
    struct byte_buf bytes = BYTE_BUF_INIT;
    struct cluster_merge_message message = {.seq = next_seq,
                                            .stored_ns = 1000 * next_seq};
    struct lh_error error;

    next_seq++;
    cluster_wire_put_cards(&bytes, &head, NULL, 0);
    message.data = bytes.data;
    message.size = bytes.len;
    ck_assert_int_eq(cluster_merge_take(merge, &message, 1, &error), 0);
    byte_buf_uninit(&bytes);
    cluster_merge_run(merge, 1, false, 100);
    cluster_merge_get_counters(merge, &n);
    return n.again;
}

/* Which messages are missing, with all of the stream read. */
static void
check_gap(uint64_t first, uint64_t last)
{
    size_t i = 0;
    const struct cluster_merge_gap *gap =
        cluster_merge_get_gap(merge, &i, 1, true);

    ck_assert((gap != NULL) == (first != 0));
    if (gap) {
        ck_assert_uint_eq(gap->first, first);
        ck_assert_uint_eq(gap->last, last);
    }
}

START_TEST(what_is_not_missing_is_not_given_up)
{
    for (uint64_t number = 1; number <= 3; number++) {
        ck_assert_uint_eq(take(number), 0);
        for (size_t i = 0; i < n_numbers; i++) {
            for (size_t j = 0; j < n_numbers; j++) {
                ck_assert_uint_eq(
                    cluster_merge_give_up(merge, DOOR, numbers[i], numbers[j]),
                    0);
            }
        }
        check_gap(0, 0);
    }
    ck_assert_uint_eq(take(3), 1);
}
END_TEST

START_TEST(nonsense_is_not_expected)
{
    ck_assert_uint_eq(take(1), 0);
    ck_assert_uint_eq(take(2), 0);
    for (size_t i = 0; i < n_numbers; i++) {
        if (numbers[i] <= 2 || numbers[i] > 1000) {
            cluster_merge_expect(merge, DOOR, numbers[i]);
            check_gap(0, 0);
        }
    }
    cluster_merge_expect(merge, DOOR, 1000);
    check_gap(3, 1000);
}
END_TEST

START_TEST(no_more_than_what_is_missing_is_given_up)
{
    /* Not beyond what came behind the gap, */
    ck_assert_uint_eq(take(1), 0);
    ck_assert_uint_eq(take(4), 0);
    check_gap(2, 3);
    ck_assert_uint_eq(cluster_merge_give_up(merge, DOOR, UINT64_MAX, 0), 2);
    ck_assert_uint_eq(n_missing, 2);
    ck_assert(!was_hurried);
    check_gap(0, 0);
    ck_assert_uint_eq(take(5), 0);
    /* nor beyond what the door said that there is. */
    cluster_merge_expect(merge, DOOR, 7);
    check_gap(6, 7);
    ck_assert_uint_eq(
        cluster_merge_give_up(merge, DOOR, UINT64_MAX, UINT64_MAX), 0);
    check_gap(0, 0);
    ck_assert_uint_eq(take(8), 0);
    check_gap(0, 0);
    ck_assert_uint_eq(take(8), 1);
}
END_TEST

/* What was given up, and comes all the same, is taken, as long as nothing that
 * was behind it is. */
START_TEST(what_comes_after_all_is_taken)
{
    struct byte_buf state = BYTE_BUF_INIT;

    ck_assert_uint_eq(take(1), 0);
    cluster_merge_expect(merge, DOOR, 4);
    ck_assert_uint_eq(cluster_merge_give_up(merge, DOOR, 5, 0), 3);
    ck_assert_uint_eq(take(3), 0);
    check_gap(2, 2);
    ck_assert_uint_eq(take(2), 0);
    check_gap(4, 4);
    ck_assert_uint_eq(take(4), 0);
    check_gap(0, 0);
    for (uint64_t number = 1; number <= 4; number++) {
        ck_assert_uint_eq(take(number), number);
    }

    /* A successor knows what of it is given. */
    cluster_merge_expect(merge, DOOR, 6);
    ck_assert_uint_eq(cluster_merge_give_up(merge, DOOR, 7, 0), 2);
    ck_assert_uint_eq(take(5), 4);
    cluster_merge_put(merge, &state);
    cluster_merge_destroy(merge);
    set_up();

    struct bytes_reader in = bytes_reader(state.data, state.len);

    ck_assert_int_eq(cluster_merge_read(merge, &in), 0);
    ck_assert_uint_eq(take(6), 0);
    ck_assert_uint_eq(take(5), 1);
    byte_buf_uninit(&state);
}
END_TEST

/* It is told that it was want of room. */
START_TEST(what_finds_no_room_is_given_up)
{
    uint64_t number = 3;

    ck_assert_uint_eq(take(1), 0);
    while (!n_missing) {
        ck_assert_uint_lt(number, 100);
        ck_assert_uint_eq(take(number++), 0);
    }
    ck_assert_uint_gt(number, 10);
    ck_assert_uint_eq(n_missing, 1);
    ck_assert(was_hurried);
    check_gap(0, 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_gaps");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, what_is_not_missing_is_not_given_up);
    tcase_add_test(tc, nonsense_is_not_expected);
    tcase_add_test(tc, no_more_than_what_is_missing_is_given_up);
    tcase_add_test(tc, what_comes_after_all_is_taken);
    tcase_add_test(tc, what_finds_no_room_is_given_up);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
