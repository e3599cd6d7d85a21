/* SPDX-License-Identifier: Apache-2.0 */
/* Commands for alerts: that they run one by one with their input, hold nothing
 * up and are bounded. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/alert_command.h"
#include "lib/lh_alloc.h"

#define SECOND UINT64_C(1000000000)

static char path[64], said[4096];
static struct alert_command *ac;

static void
say(void *aux, const char *what)
{
    snprintf(said + strlen(said), sizeof said - strlen(said), "%s; ", what);
}

static void
begin(const char *command, uint64_t timeout_ns)
{
    strcpy(path, "/tmp/alert_command.XXXXXX");
    close(mkstemp(path));
    setenv("OUT", path, 1);
    said[0] = '\0';
    ac = alert_command_create(command, timeout_ns, say, NULL);
}

static void
wait_for_end(void)
{
    while (alert_command_tick(ac)) {
        poll(NULL, 0, 2);
    }
}

static void
end(void)
{
    alert_command_destroy(ac);
    unlink(path);
}

/* What the commands have written to $OUT, for free(). */
static char *
written(void)
{
    FILE *in = fopen(path, "r");
    char *text = lh_alloc_zero(65536);

    ck_assert_ptr_nonnull(in);
    ck_assert(fread(text, 1, 65535, in) < 65535);
    fclose(in);
    return text;
}

START_TEST(each_has_its_input_and_environment_in_order)
{
    begin("cat >> $OUT; echo $NAME >> $OUT", 60 * SECOND);

    const char *a[] = {"NAME=a", NULL}, *b[] = {"NAME=b", NULL};

    alert_command_run(ac, "first ", a);
    alert_command_run(ac, "second ", b);
    wait_for_end();

    char *text = written();

    ck_assert_str_eq(text, "first a\nsecond b\n");
    free(text);
    ck_assert_uint_eq(alert_command_totals(ac)->run, 2);
    ck_assert_str_eq(said, "");
    end();
}
END_TEST

/* More than a pipe takes, for a command that does not read it. */
START_TEST(input_that_nobody_reads_holds_nothing_up)
{
    const char *none[] = {NULL};
    char *input = lh_alloc_zero(1000000);

    memset(input, 'x', 999999);
    begin("true", 60 * SECOND);
    alert_command_run(ac, input, none);
    wait_for_end();
    ck_assert_uint_eq(alert_command_totals(ac)->failed, 0);
    free(input);
    end();
}
END_TEST

START_TEST(what_hangs_is_killed_with_what_it_started)
{
    const char *none[] = {NULL};

    begin("(sleep 1000; echo late > $OUT) & sleep 1000", SECOND / 50);
    alert_command_run(ac, "", none);
    wait_for_end();
    ck_assert_uint_eq(alert_command_totals(ac)->killed, 1);
    ck_assert_str_eq(said, "the command took too long and was killed; ");
    end();
}
END_TEST

START_TEST(a_queue_that_is_full_drops_and_says_so_once)
{
    const char *none[] = {NULL};

    begin("sleep 1000", 60 * SECOND);
    for (int i = 0; i < ALERT_COMMAND_QUEUE + 4; i++) {
        alert_command_run(ac, "", none);
    }
    /* One runs, the queue is full. */
    ck_assert_uint_eq(alert_command_totals(ac)->dropped, 3);
    ck_assert_ptr_nonnull(strstr(said, "the command does not keep up"));
    ck_assert_ptr_null(strstr(strstr(said, "keep up") + 1, "keep up"));
    end();
}
END_TEST

START_TEST(failures_are_said)
{
    const char *none[] = {NULL};

    begin("exit 7", 60 * SECOND);
    alert_command_run(ac, "", none);
    wait_for_end();
    ck_assert_str_eq(said, "the command failed: exit status 7; ");
    end();
    begin("kill -9 $$", 60 * SECOND);
    alert_command_run(ac, "", none);
    wait_for_end();
    ck_assert_str_eq(said, "the command failed: signal 9; ");
    end();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("alert_command");
    TCase *tc = tcase_create("commands");
    SRunner *runner;
    int failed;

    tcase_add_test(tc, each_has_its_input_and_environment_in_order);
    tcase_add_test(tc, input_that_nobody_reads_holds_nothing_up);
    tcase_add_test(tc, what_hangs_is_killed_with_what_it_started);
    tcase_add_test(tc, a_queue_that_is_full_drops_and_says_so_once);
    tcase_add_test(tc, failures_are_said);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
