/* SPDX-License-Identifier: Apache-2.0 */
/* test_of_framing - messages, garbage, and which version two HELLOs mean. */
#include <config.h>

#include <check.h>
#include <string.h>

#include "recorder/of_framing.h"
#include "recorder/of_hello.h"

static const uint8_t hello[] = {4, 0, 0, 8, 0, 0, 0, 1};
static const uint8_t echo[] = {4, 2, 0, 10, 0, 0, 0, 2, 'h', 'i'};

static enum of_framing_result
next(struct of_framing *f, const void *data, size_t len, size_t *msg_len,
     struct lh_error *error)
{
    return of_framing_next(f, data, len, msg_len, error);
}

START_TEST(whole_messages_are_found_and_partial_ones_awaited)
{
    struct of_framing f = OF_FRAMING_INIT;
    size_t msg_len;

    for (size_t len = 0; len < sizeof hello; len++) {
        ck_assert_int_eq(next(&f, hello, len, &msg_len, NULL),
                         OF_FRAMING_MORE);
        ck_assert_uint_gt(msg_len, len);
    }
    ck_assert_int_eq(next(&f, hello, sizeof hello, &msg_len, NULL),
                     OF_FRAMING_MESSAGE);
    ck_assert_uint_eq(msg_len, sizeof hello);
    ck_assert_int_eq(next(&f, echo, 9, &msg_len, NULL), OF_FRAMING_MORE);
    ck_assert_uint_eq(msg_len, 10);
    ck_assert_int_eq(next(&f, echo, sizeof echo, &msg_len, NULL),
                     OF_FRAMING_MESSAGE);
    ck_assert_uint_eq(msg_len, 10);
}
END_TEST

static void
check_garbage(const void *data, size_t len, bool after_hello, const char *why)
{
    struct of_framing f = {after_hello, 0};
    struct lh_error error = {.text = ""};
    size_t msg_len;

    ck_assert_int_eq(next(&f, data, len, &msg_len, &error),
                     OF_FRAMING_GARBAGE);
    ck_assert_msg(strstr(error.text, why), "%s", error.text);
}

START_TEST(garbage_is_told_at_its_first_bytes)
{
    check_garbage("GET / HTTP/1.1\r\n", 16, false, "instead of a HELLO");
    check_garbage("\x16\x03\x01\x02\x00\x01\x00\x01", 8, false, "HELLO");
    check_garbage(echo, sizeof echo, false, "HELLO");
    check_garbage("\4\0\0\7\0\0\0\0", 8, false, "shorter");
    check_garbage("\4\2\0\0\0\0\0\0", 8, true, "shorter");
    check_garbage("\0\0\0\10\0\0\0\0", 8, false, "version 0x00");
    check_garbage("\7\2\0\10\0\0\0\0", 8, true, "version 0x07");
}
END_TEST

START_TEST(later_versions_are_fine_after_their_hello)
{
    struct of_framing f = OF_FRAMING_INIT;
    size_t msg_len;

    ck_assert_int_eq(next(&f, "\x20\0\0\10\0\0\0\0", 8, &msg_len, NULL),
                     OF_FRAMING_MESSAGE);
    ck_assert_int_eq(next(&f, "\x20\2\0\10\0\0\0\0", 8, &msg_len, NULL),
                     OF_FRAMING_MESSAGE);
    ck_assert_int_eq(next(&f, "\x21\2\0\10\0\0\0\0", 8, &msg_len, NULL),
                     OF_FRAMING_GARBAGE);
}
END_TEST

START_TEST(hellos_agree_as_the_specification_says)
{
    static const uint8_t of10[] = {1, 0, 0, 8, 0, 0, 0, 0};
    static const uint8_t of13[] = {4, 0, 0, 8, 0, 0, 0, 0};
    static const uint8_t bits_10_13[] = {4, 0, 0, 16, 0, 0, 0, 0,
                                         0, 1, 0, 8,  0, 0, 0, 0x12};
    static const uint8_t bits_15[] = {6, 0, 0, 16, 0, 0, 0, 0,
                                      0, 1, 0, 8,  0, 0, 0, 0x40};
    static const uint8_t other_element[] = {
        4, 0, 0, 24, 0, 0, 0, 0, /* header */
        0, 9, 0, 5,  1, 0, 0, 0, /* unknown element, padded to 8 */
        0, 1, 0, 8,  0, 0, 0, 0x10};
    static const uint8_t cut[] = {4, 0, 0, 12, 0, 0, 0, 0, 0, 1, 0, 8};
    static const uint8_t empty_element[] = {4, 0, 0, 12, 0, 0,
                                            0, 0, 0, 1,  0, 0};
    uint32_t v10 = of_hello_versions(of10, sizeof of10);
    uint32_t v13 = of_hello_versions(of13, sizeof of13);
    uint32_t bits = of_hello_versions(bits_10_13, sizeof bits_10_13);

    ck_assert_uint_eq(v10, 0x02);
    ck_assert_uint_eq(v13, 0x1e);
    ck_assert_uint_eq(bits, 0x12);
    ck_assert_uint_eq(of_hello_versions(other_element, sizeof other_element),
                      0x10);
    ck_assert_uint_eq(of_hello_versions(cut, sizeof cut), 0x1e);
    ck_assert_uint_eq(of_hello_versions(empty_element, sizeof empty_element),
                      0x1e);
    ck_assert_uint_eq(of_hello_agree(v10, v13), 1);
    ck_assert_uint_eq(of_hello_agree(v13, v13), 4);
    ck_assert_uint_eq(of_hello_agree(bits, v13), 4);
    ck_assert_uint_eq(of_hello_agree(bits, v10), 1);
    ck_assert_uint_eq(
        of_hello_agree(bits, of_hello_versions(bits_15, sizeof bits_15)), 0);
    ck_assert_uint_ne(
        of_hello_versions((const uint8_t *) "\xff\0\0\10\0\0\0", 8), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("of_framing");
    TCase *tc = tcase_create("of_framing");

    tcase_add_test(tc, whole_messages_are_found_and_partial_ones_awaited);
    tcase_add_test(tc, garbage_is_told_at_its_first_bytes);
    tcase_add_test(tc, later_versions_are_fine_after_their_hello);
    tcase_add_test(tc, hellos_agree_as_the_specification_says);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? 1 : 0;
}
