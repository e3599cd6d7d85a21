/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of archives that can be cut back and of shards that are read as one:
 * lib/archive_cut, archive_commit, archive_shards, and what archive_writer and
 * archive_reader do about them. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/archive_commit.h"
#include "lib/archive_cut.h"
#include "lib/archive_shards.h"
#include "lib/archive_span.h"
#include "lib/lh_alloc.h"
#include "tests/lib/archive_fixture.h"

static char *dir;

static void
set_up(void)
{
    dir = fixture_dir();
}

static void
tear_down(void)
{
    fixture_remove(dir);
}

static struct archive_writer *
open_tentative(const char *path)
{
    struct archive_writer_config config = {.dir = path,
                                           .packet_id = PACKET_ID_CONFIG_INIT,
                                           .now_ns = FIXTURE_NOW_NS,
                                           .merges = true,
                                           .merge_blocks = 2,
                                           .is_tentative = true};
    struct archive_writer *w;
    struct lh_error error;

    ck_assert_msg(!archive_writer_open(&config, &w, NULL, &error), "%s",
                  error.text);
    return w;
}

static void
add_round(struct archive_writer *w, uint64_t first_id, size_t n)
{
    fixture_add(w, first_id, n);
    archive_writer_round(w, FIXTURE_NOW_NS);
}

static void
cut(const struct archive_place *place)
{
    struct lh_error error;
    uint64_t n_cut;

    ck_assert_msg(!archive_cut(dir, place, &n_cut, &error), "%s", error.text);
    ck_assert_uint_gt(n_cut, 0);
    ck_assert_int_eq(archive_cut(dir, place, &n_cut, &error), 0);
    ck_assert_uint_eq(n_cut, 0);
}

/* A reader that has seen what is cut off sees what comes in its place. */
START_TEST(what_is_cut_off_is_gone)
{
    struct archive_writer *w = open_tentative(dir);
    const struct archive_commit commit = {.epoch = 1};
    struct archive_place places[4];
    struct lh_error error;
    uint64_t n_cut;

    /* By this readers know that it may be cut. */
    ck_assert_int_eq(archive_commit_store(dir, &commit, &error), 0);
    for (int i = 0; i < 4; i++) {
        archive_writer_get_place(w, &places[i]);
        add_round(w, (uint64_t) i * 10 + 1, 10);
        ck_assert_int_eq(archive_cut(dir, &places[i], &n_cut, &error), EBUSY);
    }

    struct archive_reader *r = fixture_reader(dir);

    ck_assert_uint_eq(fixture_count(r), 40);
    archive_writer_abandon(w);
    cut(&places[3]);
    ck_assert_int_eq(archive_reader_refresh(r, &error), 0);
    ck_assert_uint_eq(fixture_count(r), 30);

    w = open_tentative(dir);
    add_round(w, 100, 7);
    archive_writer_abandon(w);
    ck_assert_int_eq(archive_reader_refresh(r, &error), 0);
    ck_assert_uint_eq(fixture_count(r), 37);
    /* Over several files. */
    cut(&places[1]);
    w = open_tentative(dir);
    add_round(w, 200, 5);
    archive_writer_close(w);
    ck_assert_int_eq(archive_reader_refresh(r, &error), 0);
    ck_assert_uint_eq(fixture_count(r), 15);
    ck_assert_uint_eq(archive_reader_n_damages(r), 0);
    archive_reader_close(r);
    cut(&places[0]);
    r = fixture_reader(dir);
    ck_assert_uint_eq(fixture_count(r), 0);
    archive_reader_close(r);
}
END_TEST

/* What was added and not in a file is forgotten by abandoning. */
START_TEST(what_is_abandoned_is_not_written)
{
    struct archive_writer *w = open_tentative(dir);

    fixture_add(w, 1, 5);
    archive_writer_abandon(w);

    struct archive_reader *r = fixture_reader(dir);

    ck_assert_uint_eq(fixture_count(r), 0);
    archive_reader_close(r);
}
END_TEST

static uint64_t
run_rounds(struct archive_writer *w, uint64_t first_id, size_t n)
{
    struct archive_writer_counters counters;

    for (size_t i = 0; i < n; i++) {
        add_round(w, first_id + i, 1);
    }
    archive_writer_get_counters(w, &counters);
    return counters.merges;
}

/* Files are merged up to what is committed, and not further. */
START_TEST(what_is_not_committed_is_not_merged)
{
    struct archive_writer *w = open_tentative(dir);
    struct archive_place place;
    struct lh_error error;
    uint64_t n_cut, id = 61;

    ck_assert_uint_eq(run_rounds(w, 1, 60), 0);
    archive_writer_get_place(w, &place);
    archive_writer_commit(w, &place);
    while (!run_rounds(w, id, 1)) {
        id++;
    }
    archive_writer_abandon(w);
    ck_assert_int_eq(archive_cut(dir, &place, &n_cut, &error), 0);

    struct archive_reader *r = fixture_reader(dir);

    ck_assert_uint_eq(fixture_count(r), 60);
    archive_reader_close(r);
    place.number = 1;
    ck_assert_int_eq(archive_cut(dir, &place, &n_cut, &error), EINVAL);
    ck_assert_ptr_nonnull(strstr(error.text, "merged"));
}
END_TEST

START_TEST(a_commit_is_read_as_written)
{
    const struct archive_commit commit = {.cluster = 0xfedcba9876543210,
                                          .epoch = 1ull << 50,
                                          .round = 7,
                                          .before = {3, 4096},
                                          .after = {4, 0}};
    char *path = lh_asprintf("%s/commit", dir);
    struct archive_commit again;
    struct lh_error error;
    char text[600] = "";
    FILE *file;
    size_t n;

    ck_assert_int_eq(archive_commit_load(dir, &again, &error), ENOENT);
    ck_assert_int_eq(archive_commit_store(dir, &commit, &error), 0);
    ck_assert_int_eq(archive_commit_load(dir, &again, &error), 0);
    ck_assert(again.cluster == commit.cluster && again.epoch == commit.epoch &&
              again.round == 7 && again.before.number == 3 &&
              again.before.offset == 4096 && again.after.number == 4 &&
              again.after.offset == 0);
    file = fopen(path, "r");
    n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    for (size_t i = 0; i < n; i++) {
        text[i] ^= 1;
        file = fopen(path, "w");
        fwrite(text, 1, n, file);
        fclose(file);
        ck_assert_int_ne(archive_commit_load(dir, &again, &error), 0);
        text[i] ^= 1;
    }
    ck_assert_ptr_nonnull(strstr(error.text, "damaged"));
    free(path);
}
END_TEST

/* Three shards, whose times overlap, and what the directory has itself. */
START_TEST(shards_are_read_as_one)
{
    struct archive_writer *own = fixture_writer(dir, NULL), *w[3];
    struct lh_error error;
    uint64_t time_ns;

    add_round(own, 1, 10);
    for (uint32_t i = 0; i < 3; i++) {
        char *path = archive_shards_path(dir, i * 50);

        w[i] = open_tentative(path);
        free(path);
        add_round(w[i], 1000 - i * 100, 20);
    }

    struct archive_reader *r = fixture_reader(dir);

    ck_assert_uint_eq(fixture_count(r), 70);
    for (uint32_t i = 0; i < 3; i++) {
        add_round(w[i], 2000 + i, 1);
        add_round(w[i], 3000 + i, 1);
        ck_assert_int_eq(archive_reader_refresh(r, &error), 0);
        ck_assert_uint_eq(fixture_count(r), 70 + 2 * (i + 1));
    }
    add_round(own, 5000, 1);
    ck_assert_int_eq(archive_reader_refresh(r, &error), 0);
    ck_assert_uint_eq(fixture_count(r), 77);
    ck_assert_uint_eq(archive_reader_n_damages(r), 0);
    archive_reader_close(r);
    ck_assert_int_eq(archive_span_oldest(dir, UINT64_MAX, &time_ns, &error),
                     0);
    ck_assert_uint_eq(time_ns, FIXTURE_NOW_NS + 1000000000ull);
    ck_assert_int_eq(archive_span_newest(dir, &time_ns, &error), 0);
    ck_assert_uint_ge(time_ns, FIXTURE_NOW_NS + 5000 * 1000000000ull);
    for (int i = 0; i < 3; i++) {
        archive_writer_close(w[i]);
    }
    archive_writer_close(own);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("archive_cut");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, what_is_cut_off_is_gone);
    tcase_add_test(tc, what_is_abandoned_is_not_written);
    tcase_add_test(tc, what_is_not_committed_is_not_merged);
    tcase_add_test(tc, a_commit_is_read_as_written);
    tcase_add_test(tc, shards_are_read_as_one);
    tcase_set_timeout(tc, 100);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
