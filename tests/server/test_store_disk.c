/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_disk - the numbers of files, by which is known whether something
 * was removed. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/archive_dir.h"
#include "server/store_disk.h"
#include "tests/lib/random_history.h"

#define SHARD 4 /* Its directory has one less. */

static char dir[64];
static struct event_base *base;
static struct store_disk *disk;
static struct store_note note = {.cluster = 9};
static uint64_t epoch;

static void
set_up(void)
{
    snprintf(dir, sizeof dir, "/tmp/lasthop-store-disk-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    base = event_base_new();
}

static void
tear_down(void)
{
    char command[128];

    event_base_free(base);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static void
on_end(void *aux, int error_number, const struct lh_error *error)
{
    ck_assert_msg(!error_number, "%s", error->text);
    event_base_loopbreak(base);
}

/* The next owner has it. */
static void
open_disk(void)
{
    const struct store_disk_config config = {
        .base = base,
        .dir = dir,
        .shard = SHARD,
        .packet_id = {.seed = 7, .n_bytes = 32},
        .on_end = on_end,
    };
    struct lh_error error;

    ck_assert_int_eq(store_disk_create(&config, &disk, &error), 0);
    ck_assert_msg(!store_disk_open(disk, &note, epoch, epoch + 1, &error),
                  "%s", error.text);
    epoch++;
}

/* A round with a history is committed. */
static void
store_one(void)
{
    struct history *h = line_history(5, 2, 1000, 64);
    const struct history_batch_item item = {.history = h};

    ck_assert_int_eq(store_disk_add(disk, &item, NULL), 0);
    history_destroy(h);
    store_disk_begin(disk, note.round + 1);
    event_base_dispatch(base);
    store_disk_commit(disk);
    note.round++;
}

/* Sets '*first' to the number of the first file; how many there are. */
static size_t
list_files(uint64_t *first)
{
    char *path = store_disk_path(dir, SHARD);
    struct archive_segment *segments;
    struct lh_error error;
    size_t n;

    ck_assert_int_eq(archive_dir_list(path, &segments, &n, NULL, NULL, &error),
                     0);
    *first = n ? segments[0].first : 0;
    free(segments);
    free(path);
    return n;
}

static void
remove_file(uint64_t number)
{
    const struct archive_segment segment = {.first = number, .last = number};
    char *dir_path = store_disk_path(dir, SHARD);
    char *path = archive_dir_segment(dir_path, &segment);

    ck_assert_int_eq(unlink(path), 0);
    free(path);
    free(dir_path);
}

/* However often it is opened with nothing there, what is stored then is in one
 * file of that number. */
static void
check_next_file(uint64_t number)
{
    uint64_t first;

    for (int i = 0; i < 4; i++) {
        open_disk();
        store_disk_destroy(disk);
        ck_assert_uint_eq(list_files(&first), 0);
    }
    open_disk();
    store_one();
    store_disk_destroy(disk);
    ck_assert_uint_eq(list_files(&first), 1);
    ck_assert_uint_eq(first, number);
}

/* However often a shard changes hands before there is anything to be
 * written. */
START_TEST(the_first_file_is_the_first)
{
    check_next_file(1);
}
END_TEST

/* As retention does. */
START_TEST(a_file_after_all_others_were_removed_has_a_new_number)
{
    open_disk();
    store_one();
    store_disk_destroy(disk);
    remove_file(1);
    check_next_file(2);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("store_disk");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, the_first_file_is_the_first);
    tcase_add_test(tcase,
                   a_file_after_all_others_were_removed_has_a_new_number);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
