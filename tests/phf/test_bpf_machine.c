/* SPDX-License-Identifier: Apache-2.0 */
/* Random BPF programs over random packets: bpf_machine and libpcap agree on
 * which are valid and on what they return. */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "gen/gen_random.h"
#include "phf/bpf_machine.h"
#include "tests/phf/random_bpf.h"

#define ROUNDS 200000

START_TEST(random_programs_return_what_libpcap_returns)
{
    struct gen_random r = {20261122};
    unsigned int n_valid = 0;

    for (unsigned int i = 0; i < ROUNDS; i++) {
        uint8_t data[400];

        for (size_t j = 0; j < sizeof data; j += 8) {
            uint64_t bits = gen_random_next(&r);

            for (size_t k = 0; k < 8; k++) {
                data[j + k] = (uint8_t) (bits >> 8 * k);
            }
        }
        data[0] &= 31; /* Long ones are seldom valid. */
        n_valid += random_bpf_check(data, sizeof data);
    }
    ck_assert_uint_gt(n_valid, ROUNDS / 20);
    ck_assert_uint_lt(n_valid, ROUNDS);
}
END_TEST

START_TEST(what_is_no_program_is_refused)
{
    const struct bpf_machine_code no_end[] = {{0x28, 0, 0, 12}};
    const struct bpf_machine_code jump[] = {{0x15, 1, 0, 0}, {0x06, 0, 0, 1}};
    const struct bpf_machine_code far[] = {{0x05, 0, 0, UINT32_MAX},
                                           {0x06, 0, 0, 1}};
    const struct bpf_machine_code memory[] = {{0x60, 0, 0, 16},
                                              {0x06, 0, 0, 1}};
    const struct bpf_machine_code zero[] = {{0x34, 0, 0, 0}, {0x06, 0, 0, 1}};

    ck_assert_ptr_null(bpf_machine_create(no_end, 0));
    ck_assert_ptr_null(bpf_machine_create(no_end, 1));
    ck_assert_ptr_null(bpf_machine_create(jump, 2));
    ck_assert_ptr_null(bpf_machine_create(far, 2));
    ck_assert_ptr_null(bpf_machine_create(memory, 2));
    ck_assert_ptr_null(bpf_machine_create(zero, 2));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("bpf_machine");
    TCase *tcase = tcase_create("bpf_machine");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, random_programs_return_what_libpcap_returns);
    tcase_add_test(tcase, what_is_no_program_is_refused);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
