/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of lib/file_map. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/file_map.h"

#define N_BYTES 300000

static int fd;

static uint8_t
byte_at(size_t i)
{
    return (uint8_t) (1 + i % 251);
}

static void
set_up(void)
{
    char path[] = "/tmp/test_file_map.XXXXXX";
    uint8_t *bytes = malloc(N_BYTES);

    fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    unlink(path);
    for (size_t i = 0; i < N_BYTES; i++) {
        bytes[i] = byte_at(i);
    }
    ck_assert_int_eq(write(fd, bytes, N_BYTES), N_BYTES);
    free(bytes);
}

static void
tear_down(void)
{
    close(fd);
}

START_TEST(any_part_is_mapped)
{
    static const struct {
        size_t offset, len;
    } parts[] = {{0, 1}, {0, N_BYTES}, {4095, 2}, {12345, 200000}};

    for (size_t i = 0; i < 4; i++) {
        struct file_map *map;

        ck_assert_int_eq(
            file_map_create(fd, parts[i].offset, parts[i].len, &map), 0);
        for (size_t j = 0; j < parts[i].len; j++) {
            ck_assert_uint_eq(file_map_data(map)[j],
                              byte_at(parts[i].offset + j));
        }
        file_map_unref(map);
    }
    file_map_unref(NULL);
}
END_TEST

START_TEST(a_reference_keeps_it)
{
    struct file_map *map;

    ck_assert_int_eq(file_map_create(fd, 7, 100, &map), 0);
    ck_assert_ptr_eq(file_map_ref(map), map);
    file_map_unref(map);
    ck_assert_uint_eq(file_map_data(map)[0], byte_at(7));
    file_map_unref(map);
}
END_TEST

START_TEST(too_many_are_refused_and_places_come_back)
{
    struct file_map *maps[FILE_MAP_MAX], *more;

    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < FILE_MAP_MAX; i++) {
            ck_assert_int_eq(file_map_create(fd, i, 10, &maps[i]), 0);
        }
        ck_assert_int_eq(file_map_create(fd, 0, 10, &more), ENFILE);
        ck_assert_ptr_null(more);
        for (size_t i = 0; i < FILE_MAP_MAX; i++) {
            file_map_unref(maps[i]);
        }
    }
}
END_TEST

START_TEST(what_cannot_be_mapped_is_told)
{
    struct file_map *map;
    int pipe_fd[2];

    ck_assert_int_eq(pipe(pipe_fd), 0);
    ck_assert_int_ne(file_map_create(pipe_fd[0], 0, 10, &map), 0);
    ck_assert_ptr_null(map);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
}
END_TEST

static void *
sum_up(void *map)
{
    uintptr_t sum = 0;

    for (size_t i = 0; i < N_BYTES; i++) {
        sum += file_map_data(map)[i];
    }
    return (void *) sum;
}

/* Also in other threads, at the same time. */
START_TEST(what_is_cut_away_reads_as_zeros)
{
    uintptr_t sum = 0;
    struct file_map *map;
    pthread_t threads[2];

    ck_assert_int_eq(file_map_create(fd, 0, N_BYTES, &map), 0);
    ck_assert_int_eq(ftruncate(fd, 10000), 0);
    for (size_t i = 0; i < 10000; i++) {
        sum += byte_at(i);
    }
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, sum_up, map), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        void *got;

        pthread_join(threads[i], &got);
        ck_assert_uint_eq((uintptr_t) got, sum);
    }
    file_map_unref(map);
}
END_TEST

/* What no map of ours has hits as ever. */
START_TEST(other_faults_are_not_hidden)
{
    volatile uint8_t *other =
        mmap(NULL, N_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    struct file_map *map;
    int status;
    pid_t pid;

    ck_assert_ptr_ne((void *) other, MAP_FAILED);
    ck_assert_int_eq(file_map_create(fd, 0, N_BYTES, &map), 0);
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    pid = fork();
    if (!pid) {
        _exit(other[0]); /* 0, were it read as ours. */
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(!WIFEXITED(status) || WEXITSTATUS(status));
    ck_assert_uint_eq(file_map_data(map)[0], 0);
    file_map_unref(map);
    munmap((void *) other, N_BYTES);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("file_map");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, any_part_is_mapped);
    tcase_add_test(tc, a_reference_keeps_it);
    tcase_add_test(tc, too_many_are_refused_and_places_come_back);
    tcase_add_test(tc, what_cannot_be_mapped_is_told);
    tcase_add_test(tc, what_is_cut_away_reads_as_zeros);
    tcase_add_test(tc, other_faults_are_not_hidden);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
