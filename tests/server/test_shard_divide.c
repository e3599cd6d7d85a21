/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of server/shard_divide: each shard is told of by one server that has
 * as much of it as any, and servers have about as much to do. */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "server/shard_divide.h"

#define N_SHARDS 16

static void
add(struct store_vouch *v, uint32_t shard, uint64_t from, uint64_t to,
    uint64_t since_ns)
{
    const struct store_vouch_item item = {shard, from, to, since_ns};

    store_vouch_add_item(v, &item);
}

START_TEST(equal_copies_are_shared_out)
{
    struct store_vouch a = {.n = 0}, b = {.n = 0}, sure = {.n = 0};
    const struct store_vouch *const offers[] = {&a, &b};
    size_t who[N_SHARDS], n_first = 0;

    for (uint32_t i = 0; i < N_SHARDS; i++) {
        add(&a, i, 1, 100, 0);
        add(&b, i, 1, 100, 0);
    }
    shard_divide(offers, 2, N_SHARDS, who, &sure);
    for (uint32_t i = 0; i < N_SHARDS; i++) {
        ck_assert_uint_lt(who[i], 2);
        n_first += !who[i];
    }
    ck_assert_uint_eq(n_first, N_SHARDS / 2);
    store_vouch_uninit(&a);
    store_vouch_uninit(&b);
    store_vouch_uninit(&sure);
}
END_TEST

/* Shards: 0: both, a further; 1: b has more; 2: b has longer; 3: a alone;
 * 4: nobody. */
START_TEST(who_has_most_is_chosen)
{
    struct store_vouch a = {.n = 0}, b = {.n = 0}, sure = {.n = 0};
    const struct store_vouch *const offers[] = {&a, &b};
    const struct store_span old = {7, 3, 9, 50, 60},
                            new = {7, 100, 900, 70, 80};
    struct store_spans spans = {.n = 0};
    size_t who[5];

    add(&a, 0, 1, 101, 0);
    add(&b, 0, 1, 100, 0);
    add(&a, 1, 20, 100, 0);
    add(&b, 1, 1, 10, 0);
    add(&b, 1, 11, 100, 0);
    add(&a, 2, 1, 100, 5);
    add(&b, 2, 1, 100, 4);
    add(&a, 3, 5, 6, 0);
    shard_divide(offers, 2, 5, who, &sure);
    ck_assert_uint_eq(who[0], 0);
    ck_assert_uint_eq(who[1], 1);
    ck_assert_uint_eq(who[2], 1);
    ck_assert_uint_eq(who[3], 0);
    ck_assert_uint_eq(who[4], SIZE_MAX);

    /* What came later is not waited for, what is lacking is. */
    store_spans_add(&spans, &new);
    ck_assert_uint_eq(store_vouch_from(&sure, 3, &spans, 7, 10, 99), 10);
    ck_assert_uint_eq(store_vouch_from(&sure, 4, &spans, 7, 10, 99), 81);
    store_spans_add(&spans, &old);
    ck_assert_uint_eq(store_vouch_from(&sure, 3, &spans, 7, 10, 99), 61);
    store_vouch_uninit(&a);
    store_vouch_uninit(&b);
    store_vouch_uninit(&sure);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("shard_divide");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int n_failed;

    tcase_add_test(tc, equal_copies_are_shared_out);
    tcase_add_test(tc, who_has_most_is_chosen);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
