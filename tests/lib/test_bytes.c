/* SPDX-License-Identifier: Apache-2.0 */
/* test_bytes - the cursor never leaves its memory. */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "lib/bytes.h"

START_TEST(reads_network_order)
{
    static const uint8_t data[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,
                                   10, 11, 12, 13, 14, 15, 16, 17, 18};
    struct bytes_reader r = bytes_reader(data, sizeof data);

    ck_assert_uint_eq(bytes_get_u8(&r), 0x01);
    ck_assert_uint_eq(bytes_get_u16(&r), 0x0203);
    ck_assert_uint_eq(bytes_get_u24(&r), 0x040506);
    ck_assert_uint_eq(bytes_get_u32(&r), 0x0708090a);
    ck_assert_uint_eq(bytes_get_u64(&r), 0x0b0c0d0e0f101112);
    ck_assert_uint_eq(bytes_left(&r), 0);
    ck_assert(!r.failed);
}
END_TEST

START_TEST(reader_stops_at_the_end_and_stays_failed)
{
    static const uint8_t data[] = {1, 2, 3};
    struct bytes_reader r = bytes_reader(data, sizeof data);

    ck_assert_uint_eq(bytes_get_u16(&r), 0x0102);
    ck_assert_uint_eq(bytes_get_u32(&r), 0);
    ck_assert(r.failed);
    ck_assert_uint_eq(bytes_get_u8(&r), 0);
    ck_assert_uint_eq(bytes_left(&r), 0);
    ck_assert_ptr_null(bytes_get(&r, 0));

    r = bytes_reader(data, sizeof data);
    ck_assert_ptr_null(bytes_get(&r, SIZE_MAX));
    ck_assert(r.failed);
}
END_TEST

START_TEST(writer_writes_what_the_reader_reads)
{
    uint8_t data[18];
    struct bytes_writer w = bytes_writer(data, sizeof data);

    bytes_put_u8(&w, 0x01);
    bytes_put_u16(&w, 0x0203);
    bytes_put_u24(&w, 0x040506);
    bytes_put_u32(&w, 0x0708090a);
    bytes_put_u64(&w, 0x0b0c0d0e0f101112);
    ck_assert(!w.failed);
    ck_assert_uint_eq(w.len, sizeof data);
    for (size_t i = 0; i < sizeof data; i++) {
        ck_assert_uint_eq(data[i], i + 1);
    }
}
END_TEST

START_TEST(writer_stops_at_the_end_and_stays_failed)
{
    uint8_t data[4] = {0, 0, 0, 0xee};
    struct bytes_writer w = bytes_writer(data, 3);

    bytes_put_u16(&w, 0x0102);
    bytes_put_u16(&w, 0x0304);
    ck_assert(w.failed);
    bytes_put_u8(&w, 5);
    bytes_put_zeros(&w, 1);
    ck_assert_uint_eq(w.len, 2);
    ck_assert_uint_eq(data[2], 0);
    ck_assert_uint_eq(data[3], 0xee);
}
END_TEST

START_TEST(hex_goes_both_ways)
{
    static const uint8_t data[] = {0x00, 0x7f, 0xff, 0xa5};
    uint8_t back[4];
    char text[9];

    bytes_to_hex(data, sizeof data, text);
    ck_assert_str_eq(text, "007fffa5");
    ck_assert_uint_eq(bytes_from_hex("007FffA5", back, sizeof back), 4);
    ck_assert_mem_eq(back, data, 4);
    ck_assert_uint_eq(bytes_from_hex("", back, sizeof back), 0);
    ck_assert_uint_eq(bytes_from_hex("007", back, sizeof back), SIZE_MAX);
    ck_assert_uint_eq(bytes_from_hex("0g", back, sizeof back), SIZE_MAX);
    ck_assert_uint_eq(bytes_from_hex("0011223344", back, 4), SIZE_MAX);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("bytes");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(tcase, reads_network_order);
    tcase_add_test(tcase, reader_stops_at_the_end_and_stays_failed);
    tcase_add_test(tcase, writer_writes_what_the_reader_reads);
    tcase_add_test(tcase, writer_stops_at_the_end_and_stays_failed);
    tcase_add_test(tcase, hex_goes_both_ways);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
