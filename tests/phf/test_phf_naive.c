/* SPDX-License-Identifier: Apache-2.0 */
/* Random filters over random histories: phf_match(), phf_set_match() and a
 * naive matcher agree. */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "tests/phf/naive.h"

#define ROUNDS 40000

/* A linear congruential generator (Knuth's MMIX). */
static uint8_t
next_byte(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint8_t) (*state >> 56);
}

START_TEST(agree)
{
    uint64_t state = 20261122;
    unsigned int n[3] = {0, 0, 0};

    for (unsigned int i = 0; i < ROUNDS; i++) {
        uint8_t data[160];

        for (size_t j = 0; j < sizeof data; j++) {
            data[j] = next_byte(&state);
        }
        n[naive_check(data, sizeof data)]++;
    }
    /* Both answers come up often enough to mean something. */
    ck_assert_uint_gt(n[PHF_MATCH], ROUNDS / 10);
    ck_assert_uint_gt(n[PHF_MISS], ROUNDS / 10);
    ck_assert_uint_lt(n[PHF_LIMIT], ROUNDS / 100);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("phf_naive");
    TCase *tcase = tcase_create("phf_naive");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, agree);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
