/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of archives one file of which is cut, changed, foreign, empty, newer
 * or no file at all: whoever reads, whoever goes on writing and whoever merges
 * names what cannot be read, and the rest stays readable. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/archive_block.h"
#include "lib/bytes.h"
#include "lib/lh_alloc.h"
#include "tests/lib/archive_fixture.h"

#define SECOND  1000000000ull
#define N_FILES 12u
#define N_EACH  10u
#define BAD     7u /* The file that is spoiled; they count from 1. */

static off_t
file_size(const char *path)
{
    struct stat st;

    ck_assert_int_eq(stat(path, &st), 0);
    return st.st_size;
}

static void
change(const char *path, off_t at, uint8_t value)
{
    int fd = open(path, O_RDWR);

    ck_assert_int_eq(pwrite(fd, &value, 1, at), 1);
    close(fd);
}

/* --- What may have become of a file -------------------------------------- */

static void
cut_in_payload(const char *path)
{
    ck_assert_int_eq(truncate(path, file_size(path) - 5), 0);
}

static void
cut_in_header(const char *path)
{
    ck_assert_int_eq(truncate(path, ARCHIVE_BLOCK_HEADER - 1), 0);
}

static void
flip_payload(const char *path)
{
    int fd = open(path, O_RDONLY);
    off_t at = ARCHIVE_BLOCK_HEADER + 20;
    uint8_t byte;

    ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
    close(fd);
    change(path, at, byte ^ 0x40);
}

static void
flip_magic(const char *path)
{
    change(path, 0, 0);
}

static void
be_foreign(const char *path)
{
    int fd = open(path, O_WRONLY | O_TRUNC);

    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(write(fd, "a text and no block\n", 20), 20);
    }
    close(fd);
}

static void
be_zero(const char *path)
{
    off_t size = file_size(path);

    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(truncate(path, size), 0);
}

static void
be_empty(const char *path)
{
    ck_assert_int_eq(truncate(path, 0), 0);
}

static void
be_newer(const char *path)
{
    uint8_t header[ARCHIVE_BLOCK_HEADER];
    int fd = open(path, O_RDWR);

    ck_assert_int_eq(pread(fd, header, sizeof header, 0), sizeof header);
    header[4] = 9;
    bytes_put_be64(header + 56, XXH64(header, 56, 0));
    ck_assert_int_eq(pwrite(fd, header, sizeof header, 0), sizeof header);
    close(fd);
}

static void
be_a_directory(const char *path)
{
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void
be_gone(const char *path)
{
    ck_assert_int_eq(unlink(path), 0);
}

static const struct {
    void (*spoil)(const char *path);
    enum archive_damage_kind kind;
    bool names_file; /* Else the times between which blocks are missing. */
} cases[] = {
    {cut_in_payload, ARCHIVE_DAMAGE_BYTES, true},
    {cut_in_header, ARCHIVE_DAMAGE_BYTES, true},
    {flip_payload, ARCHIVE_DAMAGE_PAYLOAD, true},
    {flip_magic, ARCHIVE_DAMAGE_BYTES, true},
    {be_foreign, ARCHIVE_DAMAGE_BYTES, true},
    {be_zero, ARCHIVE_DAMAGE_BYTES, true},
    {be_empty, ARCHIVE_DAMAGE_MISSING, false},
    {be_newer, ARCHIVE_DAMAGE_NEWER, true},
    {be_a_directory, ARCHIVE_DAMAGE_FILE, true},
    {be_gone, ARCHIVE_DAMAGE_MISSING, false},
};

#define N_CASES (int) (sizeof cases / sizeof cases[0])

static struct archive_writer *
open_writer(const char *dir, bool merges)
{
    struct archive_writer_config config = {
        .dir = dir,
        .packet_id = PACKET_ID_CONFIG_INIT,
        .segment_bytes = merges ? 0 : 1,
        .now_ns = FIXTURE_NOW_NS,
        .merges = merges,
        .merge_blocks = 1,
    };
    struct archive_writer *w;
    struct lh_error error;

    ck_assert_msg(!archive_writer_open(&config, &w, NULL, &error), "%s",
                  error.text);
    return w;
}

/* An archive with a file for each block, one of which is spoiled as case 'i'
 * says. */
static char *
make_spoiled(int i)
{
    char *dir = fixture_dir();
    char *path = archive_dir_segment(
        dir, &(struct archive_segment){.first = BAD, .last = BAD});
    struct archive_writer *w = open_writer(dir, false);

    for (uint64_t k = 0; k < N_FILES; k++) {
        fixture_add(w, k * N_EACH, N_EACH);
        archive_writer_round(w, FIXTURE_NOW_NS);
    }
    archive_writer_close(w);
    cases[i].spoil(path);
    free(path);
    return dir;
}

/* All of 'n' histories are there but those of the file, which is named with
 * the times that it held. */
static void
check_rest(const char *dir, int i, uint64_t n)
{
    char *path = archive_dir_segment(
        dir, &(struct archive_segment){.first = BAD, .last = BAD});
    struct archive_reader *r = fixture_reader(dir);
    size_t n_read;
    struct history **all = fixture_read_all(r, &n_read);
    uint64_t first = (BAD - 1) * N_EACH;

    ck_assert_uint_eq(n_read, n - N_EACH);
    for (uint64_t k = 0; k < n_read; k++) {
        ck_assert_uint_eq(all[k]->packet_id, k < first ? k : k + N_EACH);
    }
    ck_assert_uint_eq(archive_reader_n_damages(r), 1);

    const struct archive_damage *d = archive_reader_damage(r, 0);

    ck_assert_int_eq(d->kind, cases[i].kind);
    if (cases[i].names_file) {
        ck_assert_uint_eq(d->segment.first, BAD);
        ck_assert_msg(strstr(d->text, path) != NULL, "%s", d->text);
    }
    ck_assert_msg(strstr(d->text, "2023-11-14T22:1") != NULL, "%s", d->text);
    ck_assert_uint_le(d->min_ns, FIXTURE_NOW_NS + first * SECOND);
    ck_assert_uint_ge(d->max_ns,
                      FIXTURE_NOW_NS + (first + N_EACH - 1) * SECOND);
    fixture_free_all(all, n_read);
    archive_reader_close(r);
    free(path);
}

START_TEST(a_reader_names_it_and_reads_the_rest)
{
    char *dir = make_spoiled(_i);

    check_rest(dir, _i, N_FILES * N_EACH);
    fixture_remove(dir);
}
END_TEST

START_TEST(a_writer_goes_on_beside_it)
{
    char *dir = make_spoiled(_i);
    struct archive_writer *w = open_writer(dir, false);

    fixture_add(w, N_FILES * N_EACH, N_EACH);
    archive_writer_close(w);
    check_rest(dir, _i, (N_FILES + 1) * N_EACH);
    fixture_remove(dir);
}
END_TEST

/* Of small files beside it more and more come, so that all but it are
 * merged. */
START_TEST(a_merge_leaves_it_as_it_is)
{
    const struct timespec pause = {0, 1000000};
    char *dir = make_spoiled(_i);
    struct archive_writer *w = open_writer(dir, true);
    struct archive_writer_counters c;
    time_t deadline = time(NULL) + 50;
    uint64_t n = N_FILES, now_ns = FIXTURE_NOW_NS;

    for (; n < N_FILES + 24; n++) {
        fixture_add(w, n * N_EACH, N_EACH);
        archive_writer_round(w, now_ns);
    }
    do {
        ck_assert(time(NULL) < deadline);
        nanosleep(&pause, NULL);
        archive_writer_round(w, now_ns += SECOND);
        archive_writer_get_counters(w, &c);
    } while (!c.merges);
    check_rest(dir, _i, n * N_EACH);
    archive_writer_close(w);
    check_rest(dir, _i, n * N_EACH);
    fixture_remove(dir);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("archive_bad_files");
    TCase *tc = tcase_create("bad_files");

    tcase_add_loop_test(tc, a_reader_names_it_and_reads_the_rest, 0, N_CASES);
    tcase_add_loop_test(tc, a_writer_goes_on_beside_it, 0, N_CASES);
    tcase_add_loop_test(tc, a_merge_leaves_it_as_it_is, 0, N_CASES);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
