/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/archive_fetch. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/archive_fetch.h"
#include "lib/lh_alloc.h"
#include "tests/lib/archive_fixture.h"

static char *dir;
static struct archive_entry columns, topology;
static char *file; /* Of both. */

static void
set_up(void)
{
    struct topology_builder *b = topology_builder_create();
    struct archive_writer *w;
    struct archive_reader *r;
    struct topology *t;

    dir = fixture_dir();
    w = fixture_writer(dir, NULL);
    topology_builder_add_switch(b, 1, "s1", 1, "192.0.2.1");
    t = topology_build(b, 1);
    archive_writer_set_topology(w, t, FIXTURE_NOW_NS);
    topology_unref(t);
    fixture_add(w, 1, 50);
    archive_writer_close(w);
    r = fixture_reader(dir);
    for (size_t i = 0; i < archive_reader_n_blocks(r); i++) {
        const struct archive_entry *e = archive_reader_entry(r, i);

        if (e->block.kind == ARCHIVE_COLUMNS) {
            columns = *e;
        } else if (e->block.kind == ARCHIVE_TOPOLOGY) {
            topology = *e;
        }
    }
    archive_reader_close(r);
    ck_assert_uint_eq(columns.block.n_records, 50);
    ck_assert_uint_gt(topology.block.raw_len, 0);
    file = archive_dir_segment(dir, &columns.segment);
}

static void
tear_down(void)
{
    free(file);
    fixture_remove(dir);
}

/* Turns a byte of the file over. */
static void
spoil(uint64_t offset)
{
    int fd = open(file, O_RDWR);
    uint8_t byte;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t) offset), 1);
    byte ^= 0xff;
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t) offset), 1);
    close(fd);
}

START_TEST(blocks_are_read)
{
    struct column_decoder *d;
    struct history_decoder *plain;
    struct history_record record;
    struct lh_error why = {.text = ""};
    uint8_t *payload;
    size_t n = 0;

    ck_assert_int_eq(archive_fetch_load(dir, &topology, &payload, &why), 0);
    ck_assert_int_eq(payload[0], '{');
    free(payload);
    ck_assert_int_eq(archive_fetch_columns(dir, &columns, &d, &why), 0);
    ck_assert_int_eq(column_decoder_need_shapes(d, NULL, NULL, &why), 0);
    ck_assert_int_eq(column_decoder_plain(d, &plain, &why), 0);
    while (plain && !history_decoder_next(plain, &record, &why)) {
        n++;
    }
    ck_assert_uint_eq(n + column_decoder_n_rows(d), 50);
    column_decoder_destroy(d);
}
END_TEST

/* The decoder has the file open: retention may remove it meanwhile. */
START_TEST(an_open_block_outlives_its_file)
{
    struct column_decoder *d;
    struct lh_error why = {.text = ""};
    uint8_t *payload;

    ck_assert_int_eq(archive_fetch_columns(dir, &columns, &d, &why), 0);
    ck_assert_int_eq(unlink(file), 0);
    ck_assert_int_eq(column_decoder_need_times(d, &why), 0);
    ck_assert_int_eq(column_decoder_need_rows(d, &why), 0);
    column_decoder_destroy(d);
    ck_assert_int_eq(archive_fetch_columns(dir, &columns, &d, &why), ENOENT);
    ck_assert_ptr_null(d);
    ck_assert_int_eq(archive_fetch_load(dir, &topology, &payload, &why),
                     ENOENT);
    ck_assert_ptr_null(payload);
    ck_assert_str_eq(why.text, "");
}
END_TEST

START_TEST(damage_is_told)
{
    struct column_decoder *d;
    struct lh_error why = {.text = ""};
    uint8_t *payload;

    spoil(topology.offset + ARCHIVE_BLOCK_HEADER + 3);
    ck_assert_int_eq(archive_fetch_load(dir, &topology, &payload, &why),
                     EBADMSG);
    ck_assert_ptr_null(payload);
    ck_assert_str_ne(why.text, "");
    /* The other block is as it was. */
    ck_assert_int_eq(archive_fetch_columns(dir, &columns, &d, &why), 0);
    column_decoder_destroy(d);
    spoil(columns.offset + ARCHIVE_BLOCK_HEADER + 9);
    ck_assert_int_eq(archive_fetch_columns(dir, &columns, &d, &why), EBADMSG);
    ck_assert_ptr_null(d);
    ck_assert(strstr(why.text, "table of sections") != NULL);
}
END_TEST

START_TEST(a_file_cut_short_is_told)
{
    struct column_decoder *d;
    struct lh_error why = {.text = ""};

    /* Behind the table of sections. */
    ck_assert_int_eq(
        truncate(file, (off_t) (columns.offset + ARCHIVE_BLOCK_HEADER +
                                columns.block.raw_len)),
        0);
    ck_assert_int_eq(archive_fetch_columns(dir, &columns, &d, &why), EBADMSG);
    ck_assert_ptr_null(d);
    ck_assert(strstr(why.text, "shorter") != NULL);
    why.text[0] = '\0';
    ck_assert_int_eq(truncate(file, (off_t) columns.offset + 70), 0);
    ck_assert_int_eq(archive_fetch_columns(dir, &columns, &d, &why), ENODATA);
    ck_assert_ptr_null(d);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("archive_fetch");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, blocks_are_read);
    tcase_add_test(tc, an_open_block_outlives_its_file);
    tcase_add_test(tc, damage_is_told);
    tcase_add_test(tc, a_file_cut_short_is_told);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
