/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_ahead - what waits behind a message that is missing, as after
 * an hour without an owner of the shard, costs little. */
#include <config.h>

#include <check.h>
#include <stdlib.h>
#include <time.h>

#include "server/cluster_merge.h"
#include "server/cluster_wire.h"

static const struct packet_id_config id_config = PACKET_ID_CONFIG_INIT;

static void
take(struct cluster_merge *merge, uint64_t number)
{
    const struct cluster_cards_head head = {
        .door = 1, .number = number, .watermark_ns = 1000 * number};
    struct byte_buf bytes = BYTE_BUF_INIT;
    struct cluster_merge_message message = {.seq = number, .stored_ns = 1};
    struct lh_error error;

    cluster_wire_put_cards(&bytes, &head, NULL, 0);
    message.data = bytes.data;
    message.size = bytes.len;
    if (cluster_merge_take(merge, &message, 1, &error)) {
        abort();
    }
    byte_buf_uninit(&bytes);
}

/* Processor time to take 'n' messages behind one that is missing; then it
 * comes. */
static clock_t
time_ahead(uint64_t n)
{
    struct cluster_merge *merge = cluster_merge_create(
        &(struct cluster_merge_config){.id_config = id_config, .mends = true});
    struct cluster_merge_counters counters;
    clock_t start = clock(), took;

    for (uint64_t i = 2; i < n + 2; i++) {
        take(merge, i);
    }
    took = clock() - start;
    take(merge, 3); /* Again. */
    cluster_merge_get_counters(merge, &counters);
    ck_assert_uint_eq(counters.held, n);
    ck_assert_uint_eq(counters.again, 1);
    take(merge, 1);
    while (cluster_merge_run(merge, 1, true, SIZE_MAX)) {
    }
    cluster_merge_get_counters(merge, &counters);
    ck_assert_uint_eq(counters.held, 0);
    ck_assert_uint_eq(counters.missing, 0);
    cluster_merge_destroy(merge);
    return took;
}

START_TEST(many_messages_wait_for_one)
{
    clock_t few = time_ahead(1000), many = time_ahead(32000);

    ck_assert_int_lt(many, 100 * few + CLOCKS_PER_SEC / 50);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_ahead");
    TCase *tcase = tcase_create("all");
    SRunner *runner;
    int n_failed;

    tcase_add_test(tcase, many_messages_wait_for_one);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
