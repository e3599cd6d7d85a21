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

#include "lib/db.h"
#include "lib/flow_log.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "lib/time_spec.h"
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

static bool
find_gap(void *aux, const struct flow_log_entry *entry)
{
    char **text = aux;

    if (entry->event == FLOW_LOG_GAP) {
        free(*text);
        *text = lh_strdup(entry->text);
    }
    return true;
}

/* What the timeline says of changes that are missing, or NULL. */
static char *
gap_text(struct flow_log *log)
{
    char *text = NULL;

    ck_assert_int_eq(
        flow_log_events(log, 0, 0, UINT64_MAX, find_gap, &text, NULL), 0);
    return text;
}

START_TEST(queue_is_bounded_and_what_is_lost_is_counted_and_said)
{
    struct flow_log *log = flow_log_fixture_open();
    struct flow_log_counters c;
    char *text;

    flow_log_set_max_bytes(log, 100000);
    flow_log_fixture_limit_file_size(1);
    for (uint32_t i = 0; i < 2000; i++) {
        flow_log_begin_change(log);
        flow_log_event(log, FLOW_LOG_NOTE, DPID, OF_PORT_UNKNOWN, i, NULL);
    }
    ck_assert_int_ne(flow_log_flush(log, NULL), 0);
    c = flow_log_counters(log);
    ck_assert_uint_gt(c.lost, 500);
    ck_assert_uint_gt(flow_log_n_queued(log), 500);
    ck_assert_uint_eq(c.notes, c.written + c.lost + flow_log_n_queued(log));
    flow_log_fixture_limit_file_size(RLIM_INFINITY);
    flow_log_fixture_flush(log);
    ck_assert_ptr_null(gap_text(log));
    flow_log_event(log, FLOW_LOG_NOTE, DPID, OF_PORT_UNKNOWN, 3000, NULL);
    flow_log_fixture_flush(log);
    ck_assert_uint_eq(flow_log_counters(log).lost, c.lost);
    c = flow_log_counters(log);
    ck_assert_uint_eq(c.notes, c.written + c.lost);
    text = gap_text(log);
    ck_assert_uint_eq(strtoul(text, NULL, 10), c.lost);
    free(text);
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
    ck_assert_uint_eq(flow_log_counters(log).unreserved, 0);
    flow_log_skip_version(log, DPID, 2 * FLOW_LOG_VERSION_BLOCK);
    for (uint32_t i = 1; i < 5; i++) {
        ck_assert_uint_eq(flow_log_next_version(log, DPID),
                          2 * FLOW_LOG_VERSION_BLOCK + i);
    }
    ck_assert_uint_eq(flow_log_counters(log).unreserved, 4);
    flow_log_fixture_limit_file_size(RLIM_INFINITY);
    flow_log_fixture_flush(log);
    ck_assert_uint_eq(flow_log_next_version(log, DPID),
                      2 * FLOW_LOG_VERSION_BLOCK + 5);
    ck_assert_uint_eq(flow_log_counters(log).unreserved, 4);
    flow_log_close(log);
}
END_TEST

/* --- A disk that does not answer. --- */

static struct db *
stall(void)
{
    struct db *db;

    ck_assert_int_eq(
        db_open("test", flow_log_fixture_path, DB_WRITE, &db, NULL), 0);
    ck_assert(db_run(db, "BEGIN EXCLUSIVE"));
    return db;
}

static void
end_stall(struct db *db)
{
    ck_assert(db_run(db, "ROLLBACK"));
    db_close(db);
}

/* This very thread keeps the writer from writing: whatever waited for the
 * writer would never come back. */
START_TEST(stalled_disk_holds_nothing_up_and_loses_nothing)
{
    struct flow_log *log = flow_log_fixture_open();
    struct flow_log_rules rules = FLOW_LOG_RULES_INIT;
    struct flow_log_lag lag;
    struct db *db = stall();
    struct rule *r;
    char *text;

    for (uint32_t i = 1; i <= 20000; i++) {
        flow_log_begin_change(log);
        ck_assert_uint_eq(flow_log_next_version(log, DPID), i);
        flow_log_fixture_add(log, i, RULE_FLOW, i);
        if (i > 10) {
            flow_log_removed(log, DPID, i - 10, i, "delete");
        }
    }
    ck_assert_uint_eq(flow_log_put_switch(log, DPID, "s1", NULL), 1);
    flow_log_put_text(log, "topology", "{}");
    flow_log_hand_over(log);
    flow_log_lag(log, &lag, NULL);
    ck_assert_uint_eq(lag.n_notes, 20000 + 19990 + 2);
    ck_assert_uint_gt(lag.n_bytes, lag.n_notes);
    ck_assert_uint_gt(lag.age_ns, 0);
    ck_assert_uint_eq(lag.written_change, 0);
    ck_assert_uint_eq(flow_log_counters(log).unreserved, 0);

    /* Questions are answered. */
    ck_assert_int_eq(flow_log_table_standing(log, DPID, &rules, NULL), 0);
    ck_assert_uint_eq(rules.n, 10);
    flow_log_rules_uninit(&rules);
    ck_assert_int_eq(flow_log_find(log, DPID, 17, &r, NULL), 0);
    ck_assert_uint_eq(r->removed_ns, 27);
    rule_unref(r);
    ck_assert_int_eq(flow_log_get_text(log, "topology", &text, NULL), 0);
    ck_assert_str_eq(text, "{}");
    free(text);

    end_stall(db);
    flow_log_fixture_flush(log);
    flow_log_lag(log, &lag, NULL);
    ck_assert_uint_eq(lag.n_notes, 0);
    ck_assert_uint_eq(lag.n_bytes, 0);
    ck_assert_uint_eq(lag.age_ns, 0);
    ck_assert_uint_eq(lag.durable_change, 20000);
    ck_assert_uint_eq(flow_log_counters(log).lost, 0);
    ck_assert_int_eq(flow_log_table_standing(log, DPID, &rules, NULL), 0);
    ck_assert_uint_eq(rules.n, 10);
    flow_log_rules_uninit(&rules);
    flow_log_close(log);
}
END_TEST

START_TEST(log_opens_though_the_disk_does_not_answer)
{
    struct flow_log *log = flow_log_fixture_open();
    struct db *db;

    flow_log_put_switch(log, DPID, "s1", NULL);
    flow_log_close(log);
    db = stall();
    log = flow_log_fixture_open();
    flow_log_begin_change(log);
    flow_log_fixture_add(log, flow_log_next_version(log, DPID), RULE_FLOW, 1);
    ck_assert_uint_eq(flow_log_counters(log).unreserved, 1);
    end_stall(db);
    flow_log_fixture_flush(log);
    ck_assert_uint_eq(flow_log_next_version(log, DPID), 2);
    ck_assert_uint_eq(flow_log_counters(log).unreserved, 1);
    flow_log_close(log);
}
END_TEST

/* Opens the log, writes three changes and, with 'is_stalled', three more that
 * the disk never gets; then dies. */
static void
die_with_log(bool is_stalled)
{
    pid_t pid = fork();
    int status;

    ck_assert_int_ge(pid, 0);
    if (!pid) {
        struct flow_log *log = flow_log_fixture_open();

        flow_log_put_switch(log, DPID, "s1", NULL);
        for (uint32_t i = 1; i <= 6; i++) {
            flow_log_begin_change(log);
            flow_log_fixture_add(log, flow_log_next_version(log, DPID),
                                 RULE_FLOW, i);
            if (i == 3) {
                flow_log_fixture_flush(log);
                if (is_stalled) {
                    stall();
                }
            }
        }
        if (!is_stalled) {
            flow_log_fixture_flush(log);
        }
        kill(getpid(), SIGKILL);
    }
    waitpid(pid, &status, 0);
    ck_assert(WIFSIGNALED(status));
}

START_TEST(changes_that_a_crash_may_have_taken_are_told)
{
    uint64_t began_ns = time_spec_now();
    struct flow_log_gap gap;
    struct flow_log *log;
    uint32_t first, last;
    struct rule *r;
    char *text;

    die_with_log(_i);
    log = flow_log_fixture_open();
    gap = flow_log_gap(log);
    ck_assert(gap.is_there);
    ck_assert_uint_eq(gap.change, _i ? 3 : 6);
    ck_assert_uint_ge(gap.since_ns, began_ns);
    ck_assert_uint_ge(gap.until_ns, gap.since_ns);
    ck_assert(flow_log_unknown_versions(log, DPID, &first, &last));
    ck_assert_uint_eq(first, _i ? 4 : 7);
    ck_assert_uint_ge(last, 6);
    ck_assert(!flow_log_unknown_versions(log, 99, &first, &last));
    ck_assert_uint_gt(flow_log_next_version(log, DPID), last);
    ck_assert_int_eq(flow_log_find(log, DPID, 3, &r, NULL), 0);
    rule_unref(r);
    ck_assert_int_eq(flow_log_find(log, DPID, 4, &r, NULL), _i ? ENOENT : 0);
    rule_unref(r);
    text = gap_text(log);
    ck_assert_msg(text && strstr(text, "may be missing"), "%s", text);
    free(text);
    flow_log_close(log);

    /* That it ended in order this time is known too. */
    log = flow_log_fixture_open();
    ck_assert(!flow_log_gap(log).is_there);
    ck_assert(!flow_log_unknown_versions(log, DPID, &first, &last));
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

/* The file under a running recorder goes bad: it goes on, and says so. */
START_TEST(damage_while_running_is_said_with_what_to_do)
{
    struct flow_log *log = flow_log_fixture_open();
    struct flow_log_lag lag;
    struct lh_error error;
    uint8_t bad[8192];
    FILE *file;

    for (uint32_t i = 1; i <= 1000; i++) {
        flow_log_begin_change(log);
        flow_log_fixture_add(log, i, RULE_FLOW, i);
    }
    flow_log_close(log);
    log = flow_log_fixture_open();
    file = fopen(flow_log_fixture_path, "r+b");
    ck_assert_ptr_nonnull(file);
    memset(bad, 0xff, sizeof bad);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);

    long end = ftell(file);

    ck_assert_int_eq(fseek(file, sizeof bad, SEEK_SET), 0);
    for (long at = sizeof bad; at < end; at += sizeof bad) {
        ck_assert_uint_eq(fwrite(bad, sizeof bad, 1, file), 1);
    }
    fclose(file);
    flow_log_begin_change(log);
    flow_log_fixture_add(log, 2000, RULE_FLOW, 2000);
    ck_assert_int_eq(flow_log_flush(log, &error), EBADMSG);
    ck_assert_ptr_nonnull(strstr(error.text, flow_log_fixture_path));
    ck_assert_ptr_nonnull(strstr(error.text, "move it away"));
    flow_log_lag(log, &lag, &error);
    ck_assert_int_eq(lag.failure, EBADMSG);
    ck_assert_uint_ge(lag.n_notes, 1);
    ck_assert_uint_gt(flow_log_next_version(log, DPID), 0);
    flow_log_close(log);
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
    run_sql("PRAGMA user_version = 99");
    check_refused(EPROTO, "format 99");
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
    tcase_add_test(tc, queue_is_bounded_and_what_is_lost_is_counted_and_said);
    tcase_add_test(tc, versions_are_given_on_a_full_disk_and_counted);
    tcase_add_test(tc, log_opens_though_the_disk_does_not_answer);
    tcase_add_test(tc, stalled_disk_holds_nothing_up_and_loses_nothing);
    tcase_add_loop_test(tc, changes_that_a_crash_may_have_taken_are_told, 0,
                        2);
    tcase_add_test(tc, damaged_file_is_refused_and_named);
    tcase_add_test(tc, damage_while_running_is_said_with_what_to_do);
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
