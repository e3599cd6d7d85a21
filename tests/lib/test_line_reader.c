/* SPDX-License-Identifier: Apache-2.0 */
/* Lines are read as they are, and what is no text is refused. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/line_reader.h"

/* A stream of 'len' bytes. */
static FILE *
stream_of(const char *bytes, size_t len)
{
    FILE *stream = tmpfile();

    ck_assert_ptr_nonnull(stream);
    ck_assert_uint_eq(fwrite(bytes, 1, len, stream), len);
    rewind(stream);
    return stream;
}

START_TEST(lines_come_with_their_numbers)
{
    static const char text[] = "one\n\nthree, no newline";
    static const char *const expected[] = {"one", "", "three, no newline"};
    struct line_reader lines = {.stream = stream_of(text, sizeof text - 1)};
    struct lh_error error;

    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(line_reader_next(&lines, &error), 0);
        ck_assert_str_eq(lines.text, expected[i]);
        ck_assert_uint_eq(lines.len, strlen(expected[i]));
        ck_assert_uint_eq(lines.n, i + 1);
    }
    ck_assert_int_eq(line_reader_next(&lines, &error), ENODATA);
    ck_assert_int_eq(line_reader_next(&lines, &error), ENODATA);
    fclose(lines.stream);
    line_reader_uninit(&lines);
}
END_TEST

START_TEST(what_is_no_text_is_refused)
{
    struct line_reader lines = {.stream = stream_of("a\nb\0c\nd\n", 8)};
    struct lh_error error;

    ck_assert_int_eq(line_reader_next(&lines, &error), 0);
    ck_assert_int_eq(line_reader_next(&lines, &error), EILSEQ);
    ck_assert_ptr_nonnull(strstr(error.text, "no text file"));
    ck_assert_uint_eq(lines.n, 2);
    ck_assert_int_eq(line_reader_next(&lines, &error), 0);
    ck_assert_str_eq(lines.text, "d");
    fclose(lines.stream);
    line_reader_uninit(&lines);
}
END_TEST

START_TEST(a_line_without_end_is_refused)
{
    struct line_reader lines = {.stream = fopen("/dev/zero", "re")};
    struct lh_error error;

    ck_assert_ptr_nonnull(lines.stream);
    ck_assert_int_eq(line_reader_next(&lines, &error), EMSGSIZE);
    ck_assert_str_eq(error.text, "a line of more than 64 MiB: no text file");
    ck_assert_uint_eq(lines.n, 1);
    fclose(lines.stream);
    line_reader_uninit(&lines);
}
END_TEST

START_TEST(a_failing_read_is_told)
{
    struct line_reader lines = {.stream = fopen("/", "re")};
    struct lh_error error;

    ck_assert_ptr_nonnull(lines.stream);
    ck_assert_int_eq(line_reader_next(&lines, &error), EISDIR);
    ck_assert_str_eq(error.text, "Is a directory");
    fclose(lines.stream);
    line_reader_uninit(&lines);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("line_reader");
    TCase *tc = tcase_create("all");

    tcase_add_test(tc, lines_come_with_their_numbers);
    tcase_add_test(tc, what_is_no_text_is_refused);
    tcase_add_test(tc, a_line_without_end_is_refused);
    tcase_add_test(tc, a_failing_read_is_told);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
