/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/byte_buf. */
#include <config.h>

#include <check.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/byte_buf.h"

static const uint64_t values[] = {
    0,     1,          127,        128,        300,       16383,
    16384, UINT32_MAX, 1ull << 62, 1ull << 63, UINT64_MAX};

START_TEST(uvarints_come_back)
{
    struct byte_buf buf = BYTE_BUF_INIT;

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        byte_buf_put_uvarint(&buf, values[i]);
        byte_buf_put_svarint(&buf, (int64_t) values[i]);
    }

    struct bytes_reader r = bytes_reader(buf.data, buf.len);

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        ck_assert_uint_eq(byte_buf_get_uvarint(&r), values[i]);
        ck_assert_int_eq(byte_buf_get_svarint(&r), (int64_t) values[i]);
    }
    ck_assert(!r.failed);
    ck_assert_uint_eq(bytes_left(&r), 0);
    byte_buf_uninit(&buf);
}
END_TEST

START_TEST(small_values_take_one_byte)
{
    struct byte_buf buf = BYTE_BUF_INIT;

    byte_buf_put_uvarint(&buf, 127);
    byte_buf_put_svarint(&buf, -64);
    ck_assert_uint_eq(buf.len, 2);
    ck_assert_uint_eq(buf.data[0], 127);
    ck_assert_uint_eq(buf.data[1], 127);
    byte_buf_uninit(&buf);
}
END_TEST

START_TEST(a_varint_past_64_bits_fails)
{
    static const uint8_t too_long[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                       0x80, 0x80, 0x80, 0x80, 0x01};
    static const uint8_t too_big[] = {0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0x02};
    static const uint8_t cut[] = {0x80};
    struct bytes_reader r = bytes_reader(too_long, sizeof too_long);

    ck_assert_uint_eq(byte_buf_get_uvarint(&r), 0);
    ck_assert(r.failed);
    r = bytes_reader(too_big, sizeof too_big);
    ck_assert_uint_eq(byte_buf_get_uvarint(&r), 0);
    ck_assert(r.failed);
    r = bytes_reader(cut, sizeof cut);
    ck_assert_uint_eq(byte_buf_get_uvarint(&r), 0);
    ck_assert(r.failed);
}
END_TEST

START_TEST(grows_keeps_and_gives_away)
{
    struct byte_buf buf = BYTE_BUF_INIT;

    for (uint32_t i = 0; i < 10000; i++) {
        byte_buf_put_u32(&buf, i);
    }
    byte_buf_put_u64(&buf, 0x0102030405060708u);
    byte_buf_put_u8(&buf, 9);
    byte_buf_put(&buf, "", 0);

    size_t len;
    uint8_t *data = byte_buf_take(&buf, &len);

    ck_assert_uint_eq(len, 40009);
    ck_assert_ptr_null(buf.data);
    for (uint32_t i = 0; i < 10000; i++) {
        ck_assert_uint_eq(bytes_be32(data + 4 * i), i);
    }
    ck_assert_uint_eq(data[40000], 1);
    ck_assert_uint_eq(data[40008], 9);
    free(data);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("byte_buf");
    TCase *tc = tcase_create("all");

    tcase_add_test(tc, uvarints_come_back);
    tcase_add_test(tc, small_values_take_one_byte);
    tcase_add_test(tc, a_varint_past_64_bits_fails);
    tcase_add_test(tc, grows_keeps_and_gives_away);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
