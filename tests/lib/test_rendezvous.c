/* SPDX-License-Identifier: Apache-2.0 */
/* test_rendezvous - shards are spread, and as few as can be move. */
#include <config.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/rendezvous.h"

#define N_SHARDS    1024
#define MAX_SERVERS 64

static char texts[MAX_SERVERS][16];
static const char *names[MAX_SERVERS];

static void
set_up(void)
{
    for (unsigned int i = 0; i < MAX_SERVERS; i++) {
        snprintf(texts[i], sizeof texts[i], "server-%u", i);
        names[i] = texts[i];
    }
}

START_TEST(shards_are_spread)
{
    for (size_t n = 1; n <= MAX_SERVERS; n *= 2) {
        size_t counts[MAX_SERVERS] = {0};

        for (uint32_t shard = 0; shard < N_SHARDS; shard++) {
            size_t owner = rendezvous_owner(names, n, shard);

            ck_assert_uint_lt(owner, n);
            counts[owner]++;
        }
        for (size_t i = 0; i < n; i++) {
            double mean = (double) N_SHARDS / (double) n;
            double away = (double) counts[i] - mean;

            /* Five standard deviations, of which the variance is the mean. */
            ck_assert_msg(away * away <= 25 * mean, "%zu of %zu: %zu", i, n,
                          counts[i]);
        }
    }
    ck_assert_uint_eq(rendezvous_owner(names, 0, 1), SIZE_MAX);
}
END_TEST

START_TEST(the_order_of_names_does_not_matter)
{
    const char *backwards[MAX_SERVERS];

    for (size_t i = 0; i < MAX_SERVERS; i++) {
        backwards[i] = names[MAX_SERVERS - 1 - i];
    }
    for (uint32_t shard = 0; shard < N_SHARDS; shard++) {
        ck_assert_str_eq(
            names[rendezvous_owner(names, MAX_SERVERS, shard)],
            backwards[rendezvous_owner(backwards, MAX_SERVERS, shard)]);
    }
}
END_TEST

/* One more server: what moves moves to it; and back when it goes. */
START_TEST(only_what_must_moves)
{
    for (size_t n = 1; n < MAX_SERVERS; n++) {
        size_t n_moved = 0;

        for (uint32_t shard = 0; shard < N_SHARDS; shard++) {
            size_t before = rendezvous_owner(names, n, shard);
            size_t after = rendezvous_owner(names, n + 1, shard);

            if (before != after) {
                ck_assert_uint_eq(after, n);
                n_moved++;
            }
        }
        ck_assert_uint_gt(n_moved, 0);
        ck_assert_uint_lt(n_moved, 2 * N_SHARDS / (n + 1) + 30);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("rendezvous");
    TCase *tcase = tcase_create("all");

    tcase_add_unchecked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, shards_are_spread);
    tcase_add_test(tcase, the_order_of_names_does_not_matter);
    tcase_add_test(tcase, only_what_must_moves);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
