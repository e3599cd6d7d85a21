/* SPDX-License-Identifier: Apache-2.0 */
/* test_flow_log_disk - versions never come twice and nothing is lost when the
 * process is killed, the disk is full or the file is not ours. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/flow_log.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "tests/lib/flow_log_fixture.h"

/* --- Versions. --- */

/* Takes versions for ever and writes each to 'fd'. */
static void
take_versions(int fd)
{
    struct flow_log *log;

    if (flow_log_open(flow_log_fixture_path, &log, NULL)) {
        _exit(1);
    }
    for (uint64_t n = 1;; n++) {
        uint32_t version = flow_log_next_version(log, DPID);

        flow_log_begin_change(log);
        flow_log_fixture_add(log, version, RULE_FLOW, n);
        if (n % 100 == 0) {
            flow_log_flush(log, NULL);
        }
        if (write(fd, &version, sizeof version) != sizeof version) {
            _exit(1);
        }
    }
}

START_TEST(versions_never_come_twice_after_kill)
{
    uint32_t highest = 0;

    for (int round = 0; round < 5; round++) {
        int fds[2];
        uint32_t version;

        ck_assert_int_eq(pipe(fds), 0);

        pid_t pid = fork();

        ck_assert_int_ge(pid, 0);
        if (!pid) {
            close(fds[0]);
            take_versions(fds[1]);
        }
        close(fds[1]);
        for (int i = 0; i < 1 + round * 700; i++) {
            ck_assert_int_eq(read(fds[0], &version, sizeof version),
                             sizeof version);
            ck_assert_uint_gt(version, highest);
            highest = version;
        }
        kill(pid, SIGKILL);
        while (read(fds[0], &version, sizeof version) == sizeof version) {
            ck_assert_uint_gt(version, highest);
            highest = version;
        }
        waitpid(pid, NULL, 0);
        close(fds[0]);
    }

    struct flow_log *log = flow_log_fixture_open();
    struct flow_log_rules rules = FLOW_LOG_RULES_INIT;

    ck_assert_uint_gt(flow_log_next_version(log, DPID), highest);
    ck_assert_int_eq(flow_log_table_standing(log, DPID, &rules, NULL), 0);
    ck_assert_uint_gt(rules.n, 1000);
    flow_log_rules_uninit(&rules);
    flow_log_close(log);
}
END_TEST

START_TEST(orderly_end_leaves_no_gap_in_versions)
{
    struct flow_log *log = flow_log_fixture_open();

    ck_assert_uint_eq(flow_log_next_version(log, DPID), 1);
    ck_assert_uint_eq(flow_log_next_version(log, DPID), 2);
    ck_assert_uint_eq(flow_log_next_version(log, 1), 1);
    flow_log_close(log);
    log = flow_log_fixture_open();
    ck_assert_uint_eq(flow_log_next_version(log, DPID), 3);
    flow_log_skip_version(log, DPID, 1000000);
    ck_assert_uint_eq(flow_log_next_version(log, DPID), 1000001);
    ck_assert_uint_eq(flow_log_next_version(log, 1), 2);
    flow_log_close(log);
}
END_TEST

START_TEST(last_version_is_given_for_ever)
{
    struct flow_log *log = flow_log_fixture_open();

    flow_log_skip_version(log, DPID, UINT32_MAX - 1);
    ck_assert_uint_eq(flow_log_next_version(log, DPID), UINT32_MAX);
    ck_assert_uint_eq(flow_log_next_version(log, DPID), UINT32_MAX);
    ck_assert_uint_eq(flow_log_counters(log).exhausted, 1);
    flow_log_close(log);
}
END_TEST

/* --- A disk that fails. --- */

START_TEST(full_disk_loses_nothing_and_is_named)
{
    struct flow_log *log = flow_log_fixture_open();
    struct lh_error error = {.text = ""};
    int retval = 0;
    uint32_t n = 0;

    flow_log_next_version(log, DPID);
    flow_log_fixture_limit_file_size(256 * 1024);
    while (!retval) {
        ck_assert_uint_lt(n, 100000);
        for (int i = 0; i < 100; i++) {
            flow_log_begin_change(log);
            n++;
            flow_log_fixture_add(log, n, RULE_FLOW, n);
        }
        retval = flow_log_flush(log, &error);
    }
    ck_assert_msg(strstr(error.text, flow_log_fixture_path), "%s", error.text);
    ck_assert_uint_gt(flow_log_n_queued(log), 0);
    ck_assert_uint_eq(flow_log_next_version(log, DPID), 2);

    /* What is queued is seen, and more may be queued. */
    struct flow_log_rules rules = FLOW_LOG_RULES_INIT;

    flow_log_begin_change(log);
    flow_log_removed(log, DPID, 1, n, "delete");
    flow_log_removed(log, DPID, n, n, "delete");
    ck_assert_int_eq(flow_log_table_standing(log, DPID, &rules, NULL), 0);
    ck_assert_uint_eq(rules.n, n - 2);
    flow_log_rules_uninit(&rules);
    ck_assert_int_ne(flow_log_flush(log, &error), 0);

    flow_log_fixture_limit_file_size(RLIM_INFINITY);
    flow_log_fixture_flush(log);

    struct flow_log_counters c = flow_log_counters(log);

    ck_assert_uint_eq(c.notes, n + 2);
    ck_assert_uint_eq(c.written, c.notes);
    ck_assert_uint_eq(c.lost, 0);
    ck_assert_uint_ge(c.failures, 2);
    ck_assert_int_eq(flow_log_table_standing(log, DPID, &rules, NULL), 0);
    ck_assert_uint_eq(rules.n, n - 2);
    flow_log_rules_uninit(&rules);
    flow_log_close(log);
}
END_TEST

START_TEST(queue_is_bounded_and_what_is_lost_is_counted)
{
    struct flow_log *log = flow_log_fixture_open();

    flow_log_fixture_limit_file_size(1);
    for (uint32_t i = 0; i < FLOW_LOG_MAX_QUEUE + 10; i++) {
        flow_log_event(log, FLOW_LOG_NOTE, DPID, OF_PORT_UNKNOWN, i, NULL);
    }
    ck_assert_int_ne(flow_log_flush(log, NULL), 0);

    struct flow_log_counters c = flow_log_counters(log);

    ck_assert_uint_eq(c.lost, 10);
    ck_assert_uint_eq(c.notes, c.written + c.lost + flow_log_n_queued(log));
    flow_log_fixture_limit_file_size(RLIM_INFINITY);
    flow_log_fixture_flush(log);
    c = flow_log_counters(log);
    ck_assert_uint_eq(c.written, FLOW_LOG_MAX_QUEUE);
    ck_assert_uint_eq(c.notes, c.written + c.lost);
    flow_log_close(log);
}
END_TEST

START_TEST(versions_are_given_on_a_full_disk_and_counted)
{
    struct flow_log *log = flow_log_fixture_open();

    flow_log_fixture_limit_file_size(1);
    for (uint32_t i = 1; i < 5; i++) {
        ck_assert_uint_eq(flow_log_next_version(log, DPID), i);
    }
    ck_assert_uint_eq(flow_log_counters(log).unreserved, 4);
    flow_log_fixture_limit_file_size(RLIM_INFINITY);
    flow_log_fixture_flush(log);
    ck_assert_uint_eq(flow_log_next_version(log, DPID), 5);
    ck_assert_uint_eq(flow_log_counters(log).unreserved, 4);
    flow_log_close(log);
}
END_TEST

/* --- Files that are not ours. --- */

static void
check_refused(int expected, const char *why)
{
    struct flow_log *log;
    struct lh_error error = {.text = ""};

    ck_assert_int_eq(flow_log_open(flow_log_fixture_path, &log, &error),
                     expected);
    ck_assert_ptr_null(log);
    ck_assert_msg(strstr(error.text, flow_log_fixture_path) &&
                      strstr(error.text, why),
                  "%s", error.text);
    ck_assert_int_eq(
        flow_log_open_readonly(flow_log_fixture_path, &log, &error), expected);
}

static void
run_sql(const char *sql)
{
    char *command =
        lh_asprintf("sqlite3 %s '%s' >/dev/null", flow_log_fixture_path, sql);
    int status = system(command);

    free(command);
    ck_assert_int_eq(status, 0);
}

START_TEST(damaged_file_is_refused_and_named)
{
    FILE *file = fopen(flow_log_fixture_path, "w");

    for (int i = 0; i < 1000; i++) {
        fputs("this is not a database ", file);
    }
    fclose(file);
    check_refused(EBADMSG, "not a database");
}
END_TEST

START_TEST(unreachable_path_is_named)
{
    struct flow_log *log;
    struct lh_error error = {.text = ""};

    ck_assert_int_eq(flow_log_open("/nowhere/flow.db", &log, &error), ENOENT);
    ck_assert_msg(strstr(error.text, "/nowhere/flow.db"), "%s", error.text);
    ck_assert_int_eq(
        flow_log_open_readonly(flow_log_fixture_path, &log, &error), ENOENT);
    ck_assert_msg(strstr(error.text, flow_log_fixture_path), "%s", error.text);
}
END_TEST

START_TEST(second_writer_is_refused_readers_are_not)
{
    struct flow_log *log = flow_log_fixture_open(), *second, *reader;
    struct lh_error error = {.text = ""};
    struct rule *r;

    ck_assert_int_eq(flow_log_open(flow_log_fixture_path, &second, &error),
                     EBUSY);
    ck_assert_msg(strstr(error.text, "another process"), "%s", error.text);
    ck_assert_int_eq(
        flow_log_open_readonly(flow_log_fixture_path, &reader, &error), 0);
    flow_log_begin_change(log);
    flow_log_fixture_add(log, 1, RULE_FLOW, 100);
    ck_assert_int_eq(flow_log_find(reader, DPID, 1, &r, NULL), ENOENT);
    flow_log_fixture_flush(log);
    ck_assert_int_eq(flow_log_find(reader, DPID, 1, &r, NULL), 0);
    rule_unref(r);
    flow_log_close(reader);
    flow_log_close(log);
}
END_TEST

START_TEST(other_formats_are_refused)
{
    flow_log_close(flow_log_fixture_open());
    if (system("command -v sqlite3 >/dev/null")) {
        return;
    }
    run_sql("PRAGMA user_version = 2");
    check_refused(EPROTO, "format 2");
    run_sql("PRAGMA user_version = 1; PRAGMA application_id = 1");
    check_refused(EPROTO, "not a flow log");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("flow_log_disk");
    TCase *tc = tcase_create("flow_log");

    tcase_add_checked_fixture(tc, flow_log_fixture_setup,
                              flow_log_fixture_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, versions_never_come_twice_after_kill);
    tcase_add_test(tc, orderly_end_leaves_no_gap_in_versions);
    tcase_add_test(tc, last_version_is_given_for_ever);
    tcase_add_test(tc, full_disk_loses_nothing_and_is_named);
    tcase_add_test(tc, queue_is_bounded_and_what_is_lost_is_counted);
    tcase_add_test(tc, versions_are_given_on_a_full_disk_and_counted);
    tcase_add_test(tc, damaged_file_is_refused_and_named);
    tcase_add_test(tc, unreachable_path_is_named);
    tcase_add_test(tc, second_writer_is_refused_readers_are_not);
    tcase_add_test(tc, other_formats_are_refused);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? 1 : 0;
}
