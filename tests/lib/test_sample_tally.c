/* SPDX-License-Identifier: Apache-2.0 */
/* Tests that what was kept counts for what was left out, and comes back as it
 * was put. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <string.h>

#include "lib/sample_tally.h"

#define HALF    (UINT32_C(1) << 31) /* One in two is kept. */
#define QUARTER (UINT32_C(3) << 30) /* One in four. */

static void
put(const struct sample_tally *t, struct byte_buf *buf)
{
    byte_buf_clear(buf);
    sample_tally_put(t, buf);
}

START_TEST(each_packet_stands_for_those_left_out)
{
    struct sample_tally t = {.n = 0}, other = {.n = 0};

    ck_assert_double_eq(sample_tally_ratio(&t), 1);
    sample_tally_add(&t, 0, 10);
    ck_assert(!sample_tally_is_sampled(&t));
    ck_assert_double_eq(sample_tally_ratio(&t), 1);
    sample_tally_add(&t, QUARTER, 10);
    sample_tally_add(&t, QUARTER, 0);
    ck_assert(sample_tally_is_sampled(&t));
    /* 10 stand for themselves, 10 for 40. */
    ck_assert_double_eq_tol(sample_tally_ratio(&t), 2.5, 1e-9);
    sample_tally_add(&other, HALF, 20);
    sample_tally_merge(&t, &other);
    ck_assert_double_eq_tol(sample_tally_ratio(&t), 90.0 / 40, 1e-9);
    ck_assert_double_eq(sample_tally_ratio_of(UINT32_MAX), 4294967296.0);
}
END_TEST

START_TEST(many_thresholds_count_for_those_next_to_them)
{
    struct sample_tally t = {.n = 0};
    uint64_t n = 0;

    for (uint32_t i = 0; i < 1000; i++) {
        sample_tally_add(&t, i * 4000000, 1);
    }
    ck_assert_uint_eq(t.n, SAMPLE_TALLY_MAX);
    for (size_t i = 0; i < t.n; i++) {
        n += t.of[i].packets;
        ck_assert(!i || t.of[i].left_out > t.of[i - 1].left_out);
    }
    ck_assert_uint_eq(n, 1000);
}
END_TEST

START_TEST(what_is_put_comes_back)
{
    struct sample_tally t = {.n = 0}, back;
    struct byte_buf buf = BYTE_BUF_INIT;
    struct lh_error error;

    sample_tally_add(&t, 0, 7);
    put(&t, &buf);
    ck_assert_uint_eq(buf.len, 0); /* All were kept. */
    sample_tally_add(&t, QUARTER, 300);
    sample_tally_add(&t, HALF, 1);
    put(&t, &buf);
    ck_assert(!sample_tally_read(&back, buf.data, buf.len, &error));
    ck_assert_uint_eq(back.n, 3);
    for (size_t i = 0; i < back.n; i++) {
        ck_assert_uint_eq(back.of[i].left_out, t.of[i].left_out);
        ck_assert_uint_eq(back.of[i].packets, t.of[i].packets);
    }
    /* Cut anywhere but between two. */
    for (size_t len = 1, ends = 0; len < buf.len; len++) {
        int retval = sample_tally_read(&back, buf.data, len, &error);

        ends += !retval;
        ck_assert(retval == EBADMSG || ends <= 2);
        ck_assert(!retval || !back.n);
    }
    byte_buf_uninit(&buf);
}
END_TEST

static const struct {
    const char *bytes;
    size_t len;
} broken[] = {
    {"\x01\x00", 2},                 /* Of no packet. */
    {"\x02\x01\x02\x01", 4},         /* Twice. */
    {"\x02\x01\x01\x01", 4},         /* Falling. */
    {"\x80\x80\x80\x80\x10\x01", 6}, /* More than there are. */
    {"\x01\x80\x80\x80\x80\x10", 6}, /* The same of packets. */
    {"\x01", 1},                     /* Cut. */
    {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12},
};

START_TEST(broken_ones_are_refused)
{
    struct lh_error error = {.text = ""};
    struct sample_tally t;

    ck_assert_int_eq(sample_tally_read(&t, (const uint8_t *) broken[_i].bytes,
                                       broken[_i].len, &error),
                     EBADMSG);
    ck_assert_uint_eq(t.n, 0);
    ck_assert_str_ne(error.text, "");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("sample_tally");
    TCase *tc = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_add_test(tc, each_packet_stands_for_those_left_out);
    tcase_add_test(tc, many_thresholds_count_for_those_next_to_them);
    tcase_add_test(tc, what_is_put_comes_back);
    tcase_add_loop_test(tc, broken_ones_are_refused, 0,
                        sizeof broken / sizeof *broken);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed != 0;
}
