/* SPDX-License-Identifier: Apache-2.0 */
/* test_dpid - every form of a dpid is read, nothing else is. */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "lib/dpid.h"

START_TEST(every_form_is_read)
{
    static const struct {
        const char *text;
        uint64_t dpid;
    } cases[] = {
        {"0000000000000010", 16},
        {"fedcba9876543210", 0xfedcba9876543210},
        {"FEDCBA9876543210", 0xfedcba9876543210},
        {"00:00:00:00:00:00:00:10", 16},
        {"ff:ff:ff:ff:ff:ff:ff:ff", UINT64_MAX},
        {"0x10", 16},
        {"0Xffffffffffffffff", UINT64_MAX},
        {"0x1000000000000000", UINT64_C(1) << 60},
        {"0x00000000000010", 16},
        {"10", 10},
        {"0", 0},
        {"18446744073709551615", UINT64_MAX},
        {"000000000000010", 10}, /* 15 digits */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t dpid;

        ck_assert_msg(dpid_from_string(cases[i].text, &dpid), "%s",
                      cases[i].text);
        ck_assert_msg(dpid == cases[i].dpid, "%s", cases[i].text);
    }
}
END_TEST

START_TEST(nothing_else_is_read)
{
    static const char *const cases[] = {
        "",
        "0x",
        "-1",
        "+1",
        " 1",
        "1 ",
        "s1",
        "18446744073709551616",
        "0x10000000000000000",
        "00000000000000g0",
        "00-00-00-00-00-00-00-10",
        "00:00:00:00:00:00:00:1",
        "00:00:00:00:00:00:00:10:",
        "0:000:00:00:00:00:00:10",
        "+000000000000001",
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t dpid = 42;

        ck_assert_msg(!dpid_from_string(cases[i], &dpid), "%s", cases[i]);
        ck_assert_uint_eq(dpid, 42);
    }
}
END_TEST

START_TEST(is_written_as_16_hex_digits)
{
    char buf[DPID_BUFSIZE];

    ck_assert_str_eq(dpid_to_string(0xab, buf), "00000000000000ab");
    ck_assert_str_eq(dpid_to_string(UINT64_MAX, buf), "ffffffffffffffff");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("dpid");
    TCase *tc = tcase_create("dpid");
    SRunner *runner;
    int n_failed;

    tcase_add_test(tc, every_form_is_read);
    tcase_add_test(tc, nothing_else_is_read);
    tcase_add_test(tc, is_written_as_16_hex_digits);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed != 0;
}
