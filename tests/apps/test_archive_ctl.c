/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of `lasthopctl archive`: what it says of archives that are sound, cut,
 * damaged or foreign.
 *
 * Run by `make check` in the build directory. */
#include <config.h>

#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/archive_sums.h"
#include "lib/lh_alloc.h"
#include "tests/lib/archive_fixture.h"

#define N_BLOCKS 5
#define N_EACH   10

static char output[65536]; /* Of the last run(). */

/* Runs `lasthopctl archive WHAT` and returns how it exits. */
__attribute__((format(printf, 1, 2))) static int
run(const char *what, ...)
{
    char arguments[1024];
    va_list args;

    va_start(args, what);
    vsnprintf(arguments, sizeof arguments, what, args);
    va_end(args);

    char *command = lh_asprintf("bin/lasthopctl archive %s 2>&1", arguments);
    FILE *stream = popen(command, "r");

    ck_assert_ptr_nonnull(stream);

    size_t n = fread(output, 1, sizeof output - 1, stream);
    int status = pclose(stream);

    output[n] = '\0';
    free(command);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
expect_said(const char *text)
{
    ck_assert_msg(strstr(output, text), "no \"%s\" in: %s", text, output);
}

static char *
segment_path(const char *dir, uint64_t number)
{
    return archive_dir_segment(
        dir, &(struct archive_segment){.first = number, .last = number});
}

static off_t
file_size(const char *path)
{
    struct stat st;

    ck_assert_int_eq(stat(path, &st), 0);
    return st.st_size;
}

/* Writes N_BLOCKS blocks of N_EACH histories into segments of 'segment_bytes'
 * (1: a file for each). */
static void
make_archive(const char *dir, uint64_t segment_bytes)
{
    struct archive_writer_config config = {
        .dir = dir,
        .packet_id = PACKET_ID_CONFIG_INIT,
        .segment_bytes = segment_bytes,
        .now_ns = FIXTURE_NOW_NS,
    };
    struct archive_writer *w;

    ck_assert_int_eq(archive_writer_open(&config, &w, NULL, NULL), 0);
    for (uint64_t i = 0; i < N_BLOCKS; i++) {
        fixture_add(w, i * N_EACH, N_EACH);
        archive_writer_round(w, FIXTURE_NOW_NS);
    }
    archive_writer_close(w);
    /* The file that a server would go on with. */
    if (segment_bytes == 1) {
        char *path = segment_path(dir, N_BLOCKS + 1);

        ck_assert_int_eq(file_size(path), 0);
        unlink(path);
        free(path);
    }
}

/* Where block 'i' begins in its file. */
static uint64_t
block_offset(const char *dir, size_t i)
{
    struct archive_reader *r = fixture_reader(dir);
    uint64_t offset = archive_reader_entry(r, i)->offset;

    archive_reader_close(r);
    return offset;
}

static void
flip(const char *path, uint64_t offset)
{
    int fd = open(path, O_RDWR);
    uint8_t byte;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t) offset), 1);
    byte ^= 0x10;
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t) offset), 1);
    close(fd);
}

static void
write_file(const char *path, const char *text)
{
    FILE *stream = fopen(path, "w");

    ck_assert_ptr_nonnull(stream);
    fputs(text, stream);
    fclose(stream);
}

START_TEST(a_sound_archive_is_sound)
{
    char *dir = fixture_dir();

    make_archive(dir, 0);
    ck_assert_int_eq(run("verify %s", dir), 0);
    expect_said(": sound: 1 file, 5 sound blocks, 50 histories");
    ck_assert_int_eq(run("--json verify %s", dir), 0);
    expect_said("\"sound\":true");
    expect_said("\"damages\":0");
    ck_assert_int_eq(run("stat %s", dir), 0);
    expect_said("histories    50");
    expect_said("format       version 2");
    fixture_remove(dir);
}
END_TEST

/* Sums beside a file are compared with it, and removed when they are not
 * right. */
START_TEST(sums_are_looked_at)
{
    const struct archive_segment segment = {.first = 2, .last = 2};
    char *dir = fixture_dir(), *from, *to, *file;
    struct lh_error error;
    uint64_t size;

    make_archive(dir, 1);
    file = segment_path(dir, 2);
    from = archive_sums_new_path(dir, &segment);
    to = archive_sums_path(dir, &segment);
    ck_assert(!archive_sums_write(dir, &segment, NULL, &size, &error));
    ck_assert(!rename(from, to));
    ck_assert_int_eq(run("verify %s", dir), 0);
    expect_said(", 1 file of sums, ");
    ck_assert_int_eq(run("stat %s", dir), 0);
    expect_said(" of these sums for profiles");
    flip(to, size - 3);
    ck_assert_int_eq(run("verify %s", dir), 1);
    expect_said(": damaged: checksum of section ");
    ck_assert_int_eq(run("--json verify %s", dir), 1);
    expect_said("\"damaged_sums\":1");
    ck_assert_int_eq(run("repair %s", dir), 0);
    expect_said(".sums: removed");
    ck_assert_int_ne(access(to, F_OK), 0);
    ck_assert_int_eq(run("verify %s", dir), 0);

    /* What is repaired has none: they are of what was. */
    ck_assert(!archive_sums_write(dir, &segment, NULL, &size, &error));
    ck_assert(!rename(from, to));
    flip(file, block_offset(dir, 1) + 70);
    ck_assert_int_eq(run("repair %s", dir), 0);
    ck_assert_int_ne(access(to, F_OK), 0);
    free(from);
    free(to);
    free(file);
    fixture_remove(dir);
}
END_TEST

START_TEST(the_golden_archive_of_version_1_is_sound)
{
    const char *top = getenv("srcdir");

    ck_assert_int_eq(
        run("verify %s/tests/lib/golden/archive-v1", top ? top : ".."), 0);
    ck_assert_int_eq(
        run("--json stat %s/tests/lib/golden/archive-v1", top ? top : ".."),
        0);

    json_t *json = json_loads(output, 0, NULL);

    ck_assert_int_eq(json_integer_value(json_object_get(json, "version")), 1);
    ck_assert_int_gt(json_integer_value(json_object_get(json, "histories")),
                     0);
    ck_assert(json_equal(json_object_get(json, "histories"),
                         json_object_get(json, "histories_of_version_1")));
    json_decref(json);
}
END_TEST

/* Every bit of a block counts: one in its header, its table of sections and
 * each of many places of its sections. */
START_TEST(a_flipped_bit_is_found)
{
    char *dir = fixture_dir();

    make_archive(dir, 0);

    char *path = segment_path(dir, 1);
    uint64_t from = block_offset(dir, 2), to = block_offset(dir, 3);
    char *place =
        lh_asprintf("%s: byte %llu to %llu: block 3, times from ", path,
                    (unsigned long long) from, (unsigned long long) to);

    for (uint64_t at = from; at < to; at += 1 + (to - from) / 40) {
        flip(path, at);
        ck_assert_msg(run("verify %s", dir) == 1, "bit at %llu: %s",
                      (unsigned long long) (at - from), output);
        expect_said(place);
        expect_said("4 sound blocks, 40 histories");
        flip(path, at);
    }
    ck_assert_int_eq(run("verify %s", dir), 0);
    free(place);
    free(path);
    fixture_remove(dir);
}
END_TEST

START_TEST(a_torn_end_is_damage_only_of_old_files)
{
    char *dir = fixture_dir();

    make_archive(dir, 1); /* A file for each block. */

    char *newest = segment_path(dir, N_BLOCKS), *old = segment_path(dir, 2);

    ck_assert_int_eq(truncate(newest, file_size(newest) - 5), 0);
    ck_assert_msg(!run("verify %s", dir), "%s", output);
    expect_said("no damage");
    expect_said("4 sound blocks, 40 histories");

    ck_assert_int_eq(truncate(old, file_size(old) - 5), 0);
    ck_assert_int_eq(run("verify %s", dir), 1);
    expect_said("block 2, times from 2023-11-14T22:13:29");
    expect_said("a block cut by the end of the file");
    free(newest);
    free(old);
    fixture_remove(dir);
}
END_TEST

START_TEST(missing_and_foreign_files_are_named)
{
    char *dir = fixture_dir();

    make_archive(dir, 1);

    char *second = segment_path(dir, 2), *third = segment_path(dir, 3);

    ck_assert_int_eq(unlink(second), 0);
    ck_assert_int_eq(run("--json verify %s", dir), 1);
    expect_said("\"damage\":\"missing\"");
    expect_said("\"first_sequence\":2,\"last_sequence\":2");

    write_file(second, "not an archive's, and longer than the header of a "
                       "block would have to be\n");
    ck_assert_int_eq(run("verify %s", dir), 1);
    expect_said("block 2, times from");
    expect_said(": no block");

    /* An empty file holds nothing that could be damaged, but what it was
     * is missing. */
    write_file(third, "");
    ck_assert_int_eq(run("verify %s", dir), 1);
    expect_said("blocks 2 to 3, times from");
    free(second);
    free(third);
    fixture_remove(dir);
}
END_TEST

START_TEST(meta_is_looked_at)
{
    char *dir = fixture_dir();
    char *meta = lh_asprintf("%s/meta.json", dir);

    ck_assert_int_eq(run("verify %s", dir), 2);
    ck_assert_int_eq(run("stat %s", dir), 2);
    ck_assert_int_eq(run("verify %s/absent", dir), 2);
    ck_assert_int_eq(run("verify"), 2);
    ck_assert_int_eq(run("frob %s", dir), 2);
    make_archive(dir, 0);
    write_file(meta, "{");
    ck_assert_int_eq(run("verify %s", dir), 1);
    expect_said("meta.json");
    expect_said("5 sound blocks, 50 histories");
    ck_assert_int_eq(run("stat %s", dir), 2);
    free(meta);
    fixture_remove(dir);
}
END_TEST

/* Reads all of a file, for free(). */
static char *
read_file(const char *path, size_t *len)
{
    int fd = open(path, O_RDONLY);

    ck_assert_msg(fd >= 0, "%s", path);
    *len = (size_t) file_size(path);

    char *data = lh_alloc(*len + 1);

    ck_assert_int_eq(read(fd, data, *len), (ssize_t) *len);
    data[*len] = '\0';
    close(fd);
    return data;
}

/* Repair brings the archive in order, keeps 'path' as it was, and leaves all
 * but 'n_lost' histories; a server goes on writing. */
static void
expect_repair(const char *dir, const char *path, size_t n_lost)
{
    char *kept = lh_asprintf("%s.damaged", path);
    size_t was_len, len;
    char *was = read_file(path, &was_len);
    struct stat st;

    ck_assert_int_eq(chmod(path, 0604), 0);
    ck_assert_msg(run("repair %s", dir) == 0, "%s", output);
    ck_assert_msg(run("verify %s", dir) == 0, "%s", output);

    char *is = read_file(kept, &len);

    ck_assert_uint_eq(len, was_len);
    ck_assert_int_eq(memcmp(is, was, len), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0604);

    struct archive_reader *r = fixture_reader(dir);

    ck_assert_uint_eq(fixture_count(r), N_BLOCKS * N_EACH - n_lost);
    ck_assert_uint_eq(archive_reader_n_damages(r), 0);
    archive_reader_close(r);

    /* Again there is nothing to do. */
    ck_assert_int_eq(run("repair %s", dir), 0);
    expect_said("0 files repaired");

    struct archive_recovery recovery;
    struct archive_writer *w = fixture_writer(dir, &recovery);

    ck_assert(!recovery.is_damaged && !recovery.was_torn);
    fixture_add(w, 1000, N_EACH);
    archive_writer_close(w);
    ck_assert_msg(run("verify %s", dir) == 0, "%s", output);
    free(is);
    free(was);
    free(kept);
}

START_TEST(a_damaged_block_is_left_out_and_noted)
{
    /* In its header, and in its payload; the first, one between, the last. */
    static const struct {
        size_t block;
        uint64_t offset;
    } places[] = {{0, 90}, {0, 20}, {2, 90}, {2, 20}, {4, 90}, {4, 20}};
    char *dir = fixture_dir();

    make_archive(dir, 0);

    char *path = segment_path(dir, 1);

    flip(path, block_offset(dir, places[_i].block) + places[_i].offset);
    ck_assert_int_eq(run("verify %s", dir), 1);
    expect_repair(dir, path, N_EACH);

    struct archive_reader *r = fixture_reader(dir);

    /* A header that is broken does not say how many there were. */
    ck_assert_uint_eq(archive_reader_lost(r, 0, UINT64_MAX),
                      places[_i].offset > ARCHIVE_BLOCK_HEADER ? N_EACH : 0);
    archive_reader_close(r);
    free(path);
    fixture_remove(dir);
}
END_TEST

START_TEST(cut_and_foreign_files_are_repaired)
{
    char *dir = fixture_dir();

    make_archive(dir, 1);

    char *path = segment_path(dir, 3);

    if (_i) {
        ck_assert_int_eq(truncate(path, file_size(path) - 5), 0);
    } else {
        write_file(path, "not an archive's, and longer than the header of a "
                         "block would have to be\n");
    }
    expect_repair(dir, path, N_EACH);
    free(path);
    fixture_remove(dir);
}
END_TEST

START_TEST(nothing_is_repaired_under_a_server)
{
    char *dir = fixture_dir();

    make_archive(dir, 0);

    char *path = segment_path(dir, 1);
    struct archive_writer *w = fixture_writer(dir, NULL);
    size_t len, len_after;

    flip(path, block_offset(dir, 2) + 90);

    char *before = read_file(path, &len);

    ck_assert_int_eq(run("repair %s", dir), 1);
    expect_said("another server");
    expect_said("nothing was changed");

    char *after = read_file(path, &len_after);

    ck_assert_uint_eq(len, len_after);
    ck_assert_int_eq(memcmp(before, after, len), 0);
    archive_writer_close(w);
    free(before);
    free(after);
    free(path);
    fixture_remove(dir);
}
END_TEST

START_TEST(what_is_kept_is_not_overwritten)
{
    char *dir = fixture_dir();

    make_archive(dir, 0);

    char *path = segment_path(dir, 1);
    char *kept = lh_asprintf("%s.damaged", path);
    size_t len;

    write_file(kept, "of before");
    flip(path, block_offset(dir, 1) + 90);
    ck_assert_int_eq(run("repair %s", dir), 0);
    expect_said(".damaged.1");

    char *text = read_file(kept, &len);

    ck_assert_str_eq(text, "of before");
    free(text);
    free(kept);
    free(path);
    fixture_remove(dir);
}
END_TEST

/* What is missing cannot be made up. */
START_TEST(a_missing_file_stays_missing)
{
    char *dir = fixture_dir();

    make_archive(dir, 1);

    char *path = segment_path(dir, 2);

    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(run("repair %s", dir), 1);
    expect_said("1 place cannot be repaired");
    free(path);
    fixture_remove(dir);
}
END_TEST

START_TEST(meta_is_written_anew)
{
    char *dir = fixture_dir();
    char *meta = lh_asprintf("%s/meta.json", dir);
    char *path = segment_path(dir, 1);
    size_t len;

    ck_assert_int_eq(run("repair %s", dir), 2);
    make_archive(dir, 0);

    struct archive_reader *r = fixture_reader(dir);
    struct packet_id_config was = archive_reader_meta(r)->packet_id;

    archive_reader_close(r);
    write_file(meta, "{");
    ck_assert_msg(run("repair %s", dir) == 0, "%s", output);
    r = fixture_reader(dir);
    ck_assert_uint_eq(archive_reader_meta(r)->packet_id.seed, was.seed);
    ck_assert_uint_eq(archive_reader_meta(r)->packet_id.n_bytes, was.n_bytes);
    archive_reader_close(r);

    char *kept = lh_asprintf("%s.damaged", meta);
    char *text = read_file(kept, &len);

    ck_assert_str_eq(text, "{");

    /* Blocks that do not tell them: somebody has to. */
    ck_assert_int_eq(unlink(meta), 0);
    write_file(path, "");
    ck_assert_int_eq(run("repair %s", dir), 1);
    expect_said("--id-seed and --id-bytes");
    ck_assert_int_eq(run("repair --id-seed=x --id-bytes=70 %s", dir), 2);
    ck_assert_int_eq(run("repair --id-seed=7 --id-bytes=39 %s", dir), 2);
    ck_assert_int_eq(run("verify --id-seed=7 %s", dir), 2);
    ck_assert_int_eq(run("repair --id-seed=a7 --id-bytes=71 %s", dir), 0);
    r = fixture_reader(dir);
    ck_assert_uint_eq(archive_reader_meta(r)->packet_id.seed, 0xa7);
    ck_assert_uint_eq(archive_reader_meta(r)->packet_id.n_bytes, 71);
    archive_reader_close(r);
    free(text);
    free(kept);
    free(path);
    free(meta);
    fixture_remove(dir);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("lasthopctl archive");
    TCase *tcase = tcase_create("lasthopctl archive");
    SRunner *runner = srunner_create(suite);

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_sound_archive_is_sound);
    tcase_add_test(tcase, the_golden_archive_of_version_1_is_sound);
    tcase_add_test(tcase, sums_are_looked_at);
    tcase_add_test(tcase, a_flipped_bit_is_found);
    tcase_add_test(tcase, a_torn_end_is_damage_only_of_old_files);
    tcase_add_test(tcase, missing_and_foreign_files_are_named);
    tcase_add_test(tcase, meta_is_looked_at);
    tcase_add_loop_test(tcase, a_damaged_block_is_left_out_and_noted, 0, 6);
    tcase_add_loop_test(tcase, cut_and_foreign_files_are_repaired, 0, 2);
    tcase_add_test(tcase, nothing_is_repaired_under_a_server);
    tcase_add_test(tcase, what_is_kept_is_not_overwritten);
    tcase_add_test(tcase, a_missing_file_stays_missing);
    tcase_add_test(tcase, meta_is_written_anew);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
