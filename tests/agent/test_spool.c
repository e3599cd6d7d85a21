/* SPDX-License-Identifier: Apache-2.0 */
/* The spool and the outbox: what was put is there until it was taken, whatever
 * happens to the files' ends. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/outbox.h"
#include "agent/spool.h"
#include "lib/lh_alloc.h"

static char dir[] = "/tmp/lasthop-spool-XXXXXX";
static struct outbox *outbox;

static void
open_outbox(uint64_t max_bytes)
{
    struct lh_error error;

    ck_assert_msg(!outbox_open(dir, max_bytes, &outbox, &error), "%s",
                  error.text);
}

static void
close_outbox(void)
{
    outbox_close(outbox);
    outbox = NULL;
}

static void
set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    open_outbox(1 << 20);
}

static void
tear_down(void)
{
    char *command = lh_asprintf("rm -rf %s", dir);

    close_outbox();
    ck_assert_int_eq(system(command), 0);
    free(command);
}

/* Puts a frame of 'len' bytes that has its number in front. */
static int
put(size_t len, bool is_urgent)
{
    struct byte_buf frame = BYTE_BUF_INIT;
    uint64_t seq = outbox_next_seq(outbox);
    struct ring_position position = {{1, 2}, 1000 * seq, 10 * seq};
    int retval;

    byte_buf_put_u64(&frame, seq);
    memset(byte_buf_extend(&frame, len - 8), 'x', len - 8);
    retval = outbox_put(outbox, &frame, &position, 1, is_urgent);
    byte_buf_uninit(&frame);
    return retval;
}

/* The numbers above 'seq' are those from 'first' to 'last'. */
static void
check_has(uint64_t seq, uint64_t first, uint64_t last)
{
    struct byte_buf frame = BYTE_BUF_INIT;

    for (uint64_t i = first; i <= last; i++) {
        byte_buf_clear(&frame);
        ck_assert(outbox_get(outbox, seq, &frame, &seq));
        ck_assert_uint_eq(seq, i);
        ck_assert_uint_eq(bytes_be64(frame.data), i);
    }
    ck_assert(!outbox_get(outbox, seq, &frame, &seq));
    byte_buf_uninit(&frame);
}

/* The files of frames, newest last. */
static size_t
list_files(glob_t *files)
{
    char *pattern = lh_asprintf("%s/*.spool", dir);
    int retval = glob(pattern, 0, NULL, files);

    free(pattern);
    ck_assert(!retval || retval == GLOB_NOMATCH);
    return files->gl_pathc;
}

START_TEST(what_was_put_is_there_for_the_next_agent)
{
    const struct ring_position *positions;
    uint8_t id[AGENT_ID_LEN];

    memcpy(id, outbox_agent_id(outbox), sizeof id);
    for (unsigned int i = 0; i < 100; i++) {
        ck_assert(!put(100, false));
    }
    outbox_ack(outbox, 40);
    close_outbox();
    open_outbox(1 << 20);
    ck_assert_mem_eq(outbox_agent_id(outbox), id, sizeof id);
    ck_assert_uint_eq(outbox_next_seq(outbox), 101);
    check_has(0, 41, 100);
    check_has(70, 71, 100);
    ck_assert_uint_eq(outbox_positions(outbox, &positions), 1);
    ck_assert_uint_eq(positions[0].name.inode, 1);
    ck_assert_uint_eq(positions[0].tail, 100000);
    ck_assert_uint_eq(positions[0].next_seq, 1000);
}
END_TEST

START_TEST(numbers_are_never_used_again)
{
    for (unsigned int i = 0; i < 10; i++) {
        ck_assert(!put(100, false));
    }
    outbox_ack(outbox, 10);
    close_outbox();
    open_outbox(1 << 20);
    ck_assert_uint_eq(outbox_next_seq(outbox), 11);
    /* The server knows of more than the disk does. */
    outbox_ack(outbox, 50);
    ck_assert_uint_eq(outbox_next_seq(outbox), 51);
    close_outbox();
    open_outbox(1 << 20);
    ck_assert_uint_eq(outbox_next_seq(outbox), 51);
}
END_TEST

START_TEST(after_a_boot_numbers_go_on_far_off)
{
    char *path = lh_asprintf("%s/state", dir);
    uint8_t state[56], other[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    int fd;

    ck_assert(!put(100, false));
    close_outbox();
    fd = open(path, O_RDWR);
    ck_assert_int_eq(read(fd, state, sizeof state), sizeof state);
    close(fd);
    /* A boot ID that is another damages the sum: that is refused. */
    fd = open(path, O_RDWR);
    ck_assert_int_eq(pwrite(fd, other, 8, 24), 8);
    close(fd);

    struct lh_error error;

    ck_assert_int_eq(outbox_open(dir, 1 << 20, &outbox, &error), EBADMSG);
    ck_assert_ptr_nonnull(strstr(error.text, "state is damaged"));
    unlink(path);
    open_outbox(1 << 20);
    ck_assert_uint_eq(outbox_next_seq(outbox), 2);
    free(path);
}
END_TEST

START_TEST(a_full_spool_takes_nothing_more_until_some_is_taken)
{
    uint64_t n = 0;

    close_outbox();
    open_outbox(SPOOL_MIN_SIZE);
    while (!put(1000, false)) {
        n++;
    }
    ck_assert_uint_ge(n, 50);
    ck_assert_int_eq(put(1000, false), ENOSPC);
    ck_assert_uint_eq(outbox_next_seq(outbox), n + 1);
    ck_assert(!put(1000, true)); /* What tells of losses finds room. */
    check_has(0, 1, n + 1);
    outbox_ack(outbox, n / 2);
    ck_assert(!put(1000, false));
    check_has(0, n / 2 + 1, n + 2);
    ck_assert_uint_le(outbox_counters(outbox).bytes, SPOOL_MIN_SIZE + 2000);
}
END_TEST

START_TEST(files_that_were_taken_go)
{
    glob_t files;

    for (unsigned int i = 0; i < 900; i++) {
        ck_assert(!put(1000, false));
    }
    ck_assert_uint_ge(list_files(&files), 5);
    globfree(&files);
    outbox_ack(outbox, 900);
    ck_assert_uint_eq(list_files(&files), 1);
    globfree(&files);
    ck_assert_uint_eq(outbox_counters(outbox).n_waiting, 0);
}
END_TEST

/* Cuts 'n' bytes off the newest file, or changes its last byte. */
static void
damage(size_t n)
{
    glob_t files;
    const char *path;
    struct stat st;
    uint8_t byte;
    int fd;

    ck_assert_uint_ge(list_files(&files), 1);
    path = files.gl_pathv[files.gl_pathc - 1];
    ck_assert(!stat(path, &st));
    if (n) {
        ck_assert(!truncate(path, st.st_size - (off_t) n));
    } else {
        fd = open(path, O_RDWR);
        ck_assert_int_eq(pread(fd, &byte, 1, st.st_size - 1), 1);
        byte ^= 1;
        ck_assert_int_eq(pwrite(fd, &byte, 1, st.st_size - 1), 1);
        close(fd);
    }
    globfree(&files);
}

START_TEST(a_torn_end_costs_its_frame_only)
{
    for (size_t cut = 0; cut < 160; cut++) {
        uint64_t first = outbox_next_seq(outbox);

        for (unsigned int i = 0; i < 3; i++) {
            ck_assert(!put(100, false));
        }
        close_outbox();
        damage(cut);
        open_outbox(1 << 20);
        check_has(first - 1, first, first + 1 - (cut > 156));
        ck_assert_uint_eq(outbox_counters(outbox).n_errors, cut != 156);
        outbox_ack(outbox, first + 5);
    }
}
END_TEST

START_TEST(two_agents_do_not_share_a_spool)
{
    struct outbox *second;
    struct lh_error error;

    ck_assert_int_eq(outbox_open(dir, 1 << 20, &second, &error), EBUSY);
    ck_assert_ptr_nonnull(strstr(error.text, "another lasthop-agent"));
    ck_assert_ptr_null(second);
}
END_TEST

START_TEST(memory_is_bounded_too)
{
    uint64_t n = 0;

    close_outbox();
    ck_assert(!outbox_open(NULL, SPOOL_MIN_SIZE, &outbox, NULL));
    ck_assert_int_eq(outbox_place(outbox), AGENT_PLACE_MEMORY);
    while (!put(1000, false)) {
        n++;
    }
    ck_assert_uint_eq(n, SPOOL_MIN_SIZE / 1000);
    check_has(0, 1, n);
    outbox_ack(outbox, 1);
    ck_assert(!put(1000, false));
    check_has(0, 2, n + 1);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("spool");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);

    tcase_set_timeout(tcase, 100);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, what_was_put_is_there_for_the_next_agent);
    tcase_add_test(tcase, numbers_are_never_used_again);
    tcase_add_test(tcase, after_a_boot_numbers_go_on_far_off);
    tcase_add_test(tcase, a_full_spool_takes_nothing_more_until_some_is_taken);
    tcase_add_test(tcase, files_that_were_taken_go);
    tcase_add_test(tcase, a_torn_end_costs_its_frame_only);
    tcase_add_test(tcase, two_agents_do_not_share_a_spool);
    tcase_add_test(tcase, memory_is_bounded_too);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
