/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of archives that were killed, cut, damaged or met a full disk. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/lh_alloc.h"
#include "lib/archive_check.h"
#include "tests/lib/archive_fixture.h"
#include "tests/lib/random_history.h"

static char *
first_segment(const char *dir)
{
    return archive_dir_segment(
        dir, &(struct archive_segment){.first = 1, .last = 1});
}

static off_t
file_size(const char *path)
{
    struct stat st;

    ck_assert_int_eq(stat(path, &st), 0);
    return st.st_size;
}

/* Five blocks of ten histories, with packet IDs from 0 on. */
static void
make_archive(const char *dir)
{
    struct archive_writer *w = fixture_writer(dir, NULL);

    for (uint64_t i = 0; i < 5; i++) {
        fixture_add(w, i * 10, 10);
        archive_writer_round(w, FIXTURE_NOW_NS);
    }
    archive_writer_close(w);
}

/* Writes for ever, telling through 'fd' the number of histories after each
 * round: what it has told is promised. */
static void
write_until_killed(const char *dir, int fd)
{
    struct archive_writer_config config = {
        .dir = dir,
        .packet_id = PACKET_ID_CONFIG_INIT,
        .segment_bytes = 20000,
        .block_bytes = 3000,
        .now_ns = FIXTURE_NOW_NS,
    };
    struct archive_writer *w;

    if (archive_writer_open(&config, &w, NULL, NULL)) {
        _exit(1);
    }
    for (uint64_t id = 0;; id += 100) {
        uint64_t told = id + 100;

        fixture_add(w, id, 100);
        archive_writer_round(w, FIXTURE_NOW_NS);
        if (write(fd, &told, sizeof told) != sizeof told) {
            _exit(1);
        }
    }
}

START_TEST(a_killed_writer_keeps_what_it_promised)
{
    uint64_t seed = (uint64_t) _i;
    char *dir = fixture_dir();
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);

    pid_t child = fork();

    if (!child) {
        close(fds[0]);
        write_until_killed(dir, fds[1]);
    }
    close(fds[1]);

    /* Kill it at a random moment after some rounds. */
    uint64_t promised = 0, told;
    uint32_t n_rounds = 1 + random_u32(&seed) % 20;

    for (uint32_t i = 0; i < n_rounds; i++) {
        ck_assert_int_eq(read(fds[0], &told, sizeof told), sizeof told);
        promised = told;
    }
    for (volatile uint32_t spin = random_u32(&seed) % 300000; spin > 0;
         spin--) {
    }
    kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    while (read(fds[0], &told, sizeof told) == sizeof told) {
        promised = told;
    }
    close(fds[0]);

    struct archive_recovery recovery;
    struct archive_writer *w = fixture_writer(dir, &recovery);

    ck_assert(!recovery.is_damaged);
    archive_writer_close(w);

    struct archive_reader *r = fixture_reader(dir);
    size_t n;
    struct history **all = fixture_read_all(r, &n);

    ck_assert_uint_eq(archive_reader_n_damages(r), 0);
    ck_assert_uint_ge(n, promised);
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_eq(all[i]->packet_id, i);
    }
    fixture_free_all(all, n);
    archive_reader_close(r);
    fixture_remove(dir);
}
END_TEST

START_TEST(a_torn_end_is_cut_and_reported)
{
    char *dir = fixture_dir();

    make_archive(dir);

    char *path = first_segment(dir);
    off_t size = file_size(path);
    struct archive_reader *r = fixture_reader(dir);
    uint64_t starts[6];

    for (size_t i = 0; i < 5; i++) {
        starts[i] = archive_reader_entry(r, i)->offset;
    }
    starts[5] = (uint64_t) size;
    archive_reader_close(r);

    FILE *stream = fopen(path, "r");
    uint8_t *bytes = lh_alloc((size_t) size);

    ck_assert_uint_eq(fread(bytes, 1, (size_t) size, stream), size);
    fclose(stream);

    /* Every length in turn. */
    for (off_t len = 0; len <= size; len++) {
        stream = fopen(path, "w");
        fwrite(bytes, 1, (size_t) len, stream);
        fclose(stream);

        size_t n_whole = 0;

        while (n_whole < 5 && starts[n_whole + 1] <= (uint64_t) len) {
            n_whole++;
        }

        struct archive_recovery recovery;

        archive_writer_close(fixture_writer(dir, &recovery));
        ck_assert(!recovery.is_damaged);
        ck_assert_int_eq(recovery.was_torn, (uint64_t) len != starts[n_whole]);
        if (recovery.was_torn) {
            ck_assert_str_eq(recovery.file, path);
            ck_assert_uint_eq(recovery.offset, starts[n_whole]);
            ck_assert_uint_eq(recovery.n_cut,
                              (uint64_t) len - starts[n_whole]);
        }
        ck_assert_int_eq(file_size(path), (off_t) starts[n_whole]);
        if (len % 17 == 0) {
            size_t n;

            r = fixture_reader(dir);
            n = fixture_count(r);
            ck_assert_uint_eq(n, n_whole * 10);
            ck_assert_uint_eq(archive_reader_n_damages(r), 0);
            archive_reader_close(r);
        }
    }
    free(bytes);
    free(path);
    fixture_remove(dir);
}
END_TEST

static void
flip_bit(const char *path, off_t at, unsigned int bit)
{
    int fd = open(path, O_RDWR);
    uint8_t byte;

    ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
    byte ^= (uint8_t) (1u << bit);
    ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* Whether a check of the block tells that it is damaged. */
static bool
is_found_damaged(const char *path, const struct archive_entry *e)
{
    int fd = open(path, O_RDONLY);
    struct archive_check check;
    struct lh_error error;
    int retval = archive_check_block(fd, e->offset, &e->block, &check, &error);

    close(fd);
    return retval == EBADMSG;
}

/* Nothing but what the index of a block is for depends on it. */
START_TEST(a_flipped_bit_costs_its_block_only)
{
    size_t n_in_index = 0;
    char *dir = fixture_dir();

    make_archive(dir);

    char *path = first_segment(dir);
    off_t size = file_size(path);
    struct archive_reader *r = fixture_reader(dir);
    uint64_t starts[6];

    for (size_t i = 0; i < 5; i++) {
        starts[i] = archive_reader_entry(r, i)->offset;
    }
    starts[5] = (uint64_t) size;
    archive_reader_close(r);
    for (off_t at = 0; at < size; at++) {
        unsigned int bit = (unsigned int) at % 8;
        size_t hit = 0;

        while (starts[hit + 1] <= (uint64_t) at) {
            hit++;
        }
        flip_bit(path, at, bit);
        r = fixture_reader(dir);

        size_t n;
        struct history **all = fixture_read_all(r, &n);

        if (n == 50) {
            ck_assert(is_found_damaged(path, archive_reader_entry(r, hit)));
            ck_assert_uint_eq(archive_reader_n_damages(r), 0);
            fixture_free_all(all, n);
            archive_reader_close(r);
            flip_bit(path, at, bit);
            n_in_index++;
            continue;
        }
        ck_assert_uint_eq(n, 40);
        for (size_t i = 0; i < n; i++) {
            ck_assert_uint_eq(all[i]->packet_id, i < hit * 10 ? i : i + 10);
        }
        ck_assert_uint_eq(archive_reader_n_damages(r), 1);

        const struct archive_damage *d = archive_reader_damage(r, 0);

        ck_assert_uint_eq(d->segment.first, 1);
        ck_assert_uint_eq(d->offset, starts[hit]);
        ck_assert_ptr_nonnull(strstr(d->text, path));
        /* The times named hold those of the block. */
        ck_assert_uint_le(d->min_ns, FIXTURE_NOW_NS + hit * 10 * 1000000000u);
        ck_assert_uint_ge(d->max_ns,
                          FIXTURE_NOW_NS + (hit * 10 + 9) * 1000000000u);
        fixture_free_all(all, n);
        archive_reader_close(r);
        flip_bit(path, at, bit);
    }
    ck_assert_uint_gt(n_in_index, 0);
    ck_assert_uint_lt(n_in_index, (size_t) size / 2);
    free(path);
    fixture_remove(dir);
}
END_TEST

START_TEST(a_writer_leaves_damage_and_goes_on_in_a_new_file)
{
    char *dir = fixture_dir();

    make_archive(dir);

    char *path = first_segment(dir);
    struct archive_reader *r = fixture_reader(dir);
    off_t last = (off_t) archive_reader_entry(r, 4)->offset;

    archive_reader_close(r);
    /* The header of the last block: a whole block, so not a torn one. */
    flip_bit(path, last + 20, 0);

    off_t size = file_size(path);
    struct archive_recovery recovery;
    struct archive_writer *w = fixture_writer(dir, &recovery);

    ck_assert(recovery.is_damaged);
    ck_assert_ptr_nonnull(strstr(recovery.damage, path));
    ck_assert(!recovery.was_torn);
    fixture_add(w, 100, 10);
    archive_writer_close(w);
    ck_assert_int_eq(file_size(path), size);

    size_t n;

    r = fixture_reader(dir);
    n = fixture_count(r);
    ck_assert_uint_eq(n, 50);
    ck_assert_uint_eq(archive_reader_n_damages(r), 1);
    archive_reader_close(r);
    free(path);
    fixture_remove(dir);
}
END_TEST

START_TEST(zeros_at_the_end_are_torn)
{
    char *dir = fixture_dir();

    make_archive(dir);

    char *path = first_segment(dir);
    off_t size = file_size(path);

    ck_assert_int_eq(truncate(path, size + 100000), 0);

    struct archive_recovery recovery;

    archive_writer_close(fixture_writer(dir, &recovery));
    ck_assert(recovery.was_torn);
    ck_assert_uint_eq(recovery.n_cut, 100000);
    ck_assert_int_eq(file_size(path), size);
    free(path);
    fixture_remove(dir);
}
END_TEST

START_TEST(a_missing_file_is_told)
{
    char *dir = fixture_dir();
    struct archive_writer_config config = {
        .dir = dir,
        .packet_id = PACKET_ID_CONFIG_INIT,
        .segment_bytes = 1,
    };
    struct archive_writer *w;

    ck_assert_int_eq(archive_writer_open(&config, &w, NULL, NULL), 0);
    for (uint64_t i = 0; i < 5; i++) {
        fixture_add(w, i * 10, 10);
        archive_writer_round(w, FIXTURE_NOW_NS);
    }
    archive_writer_close(w);

    char *path = archive_dir_segment(
        dir, &(struct archive_segment){.first = 3, .last = 3});
    size_t n;

    ck_assert_int_eq(unlink(path), 0);
    free(path);

    struct archive_reader *r = fixture_reader(dir);

    n = fixture_count(r);
    ck_assert_uint_eq(n, 40);
    ck_assert_uint_eq(archive_reader_n_damages(r), 1);
    ck_assert_int_eq(archive_reader_damage(r, 0)->kind,
                     ARCHIVE_DAMAGE_MISSING);
    ck_assert_uint_eq(archive_reader_damage(r, 0)->min_ns,
                      FIXTURE_NOW_NS + 19 * 1000000000ull + 2000);
    archive_reader_close(r);
    fixture_remove(dir);
}
END_TEST

/* The limit on file size stands for the disk.  It would also meet the file
 * that the checks are told through, so nothing is checked under it. */
START_TEST(a_full_disk_loses_counts_and_recovers)
{
    char *dir = fixture_dir();
    struct archive_writer *w = fixture_writer(dir, NULL);
    struct archive_writer_counters c, during[3];
    char trouble[3][600] = {"", "", ""};
    struct lh_error error;
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    fixture_add(w, 0, 10);
    archive_writer_round(w, FIXTURE_NOW_NS);
    archive_writer_get_counters(w, &c);
    ck_assert_uint_eq(c.durable, 10);
    ck_assert(!archive_writer_trouble(w, &error));
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);

    struct rlimit full = {.rlim_cur = c.total_bytes + 100,
                          .rlim_max = limit.rlim_max};

    setrlimit(RLIMIT_FSIZE, &full);
    for (uint64_t i = 0; i < 3; i++) {
        fixture_add(w, (i + 1) * 10, 10);
        archive_writer_round(w, FIXTURE_NOW_NS);
        archive_writer_get_counters(w, &during[i]);
        if (archive_writer_trouble(w, &error)) {
            snprintf(trouble[i], sizeof trouble[i], "%s", error.text);
        }
    }
    setrlimit(RLIMIT_FSIZE, &limit);
    for (uint64_t i = 0; i < 3; i++) {
        c = during[i];
        ck_assert_uint_eq(c.lost, (i + 1) * 10);
        ck_assert_uint_eq(c.in, c.durable + c.lost + c.refused + c.held);
        ck_assert_ptr_nonnull(strstr(trouble[i], dir));
    }

    fixture_add(w, 40, 10);
    archive_writer_round(w, FIXTURE_NOW_NS);
    ck_assert(!archive_writer_trouble(w, &error));
    archive_writer_get_counters(w, &c);
    ck_assert_uint_eq(c.durable, 20);
    ck_assert_uint_eq(c.lost, 30);
    ck_assert_uint_ge(c.write_errors, 3);
    archive_writer_close(w);

    struct archive_reader *r = fixture_reader(dir);
    size_t n;
    struct history **all = fixture_read_all(r, &n);

    ck_assert_uint_eq(n, 20);
    ck_assert_uint_eq(all[10]->packet_id, 40);
    ck_assert_uint_eq(archive_reader_n_damages(r), 0);
    ck_assert_uint_eq(archive_reader_lost(r, 0, UINT64_MAX), 30);
    ck_assert_uint_eq(archive_reader_lost(r, 0, FIXTURE_NOW_NS), 0);
    fixture_free_all(all, n);
    archive_reader_close(r);
    fixture_remove(dir);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("archive_damage");
    TCase *tc = tcase_create("all");

    tcase_add_loop_test(tc, a_killed_writer_keeps_what_it_promised, 0, 12);
    tcase_add_test(tc, a_torn_end_is_cut_and_reported);
    tcase_add_test(tc, a_flipped_bit_costs_its_block_only);
    tcase_add_test(tc, a_writer_leaves_damage_and_goes_on_in_a_new_file);
    tcase_add_test(tc, zeros_at_the_end_are_torn);
    tcase_add_test(tc, a_missing_file_is_told);
    tcase_add_test(tc, a_full_disk_loses_counts_and_recovers);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
