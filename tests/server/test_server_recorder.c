/* SPDX-License-Identifier: Apache-2.0 */
/* lasthop-server beside a recorder that is there, goes away, comes back, and
 * sends rubbish. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/api_code.h"
#include "lib/archive_dir.h"
#include "lib/lh_alloc.h"
#include "tests/server/fake_recorder.h"
#include "tests/server/live.h"

static struct live live;
static char *path; /* Of the recorder's socket. */
static pid_t recorder;

static void
set_up(void)
{
    live_init(&live, "--window=1h", NULL);
    path = lh_asprintf("%s/recorder.sock", live.dir);
    recorder = 0;
}

static void
stop_recorder(void)
{
    if (recorder) {
        kill(recorder, SIGKILL);
        waitpid(recorder, NULL, 0);
        recorder = 0;
    }
}

static void
tear_down(void)
{
    stop_recorder();
    live_uninit(&live);
    free(path);
}

static json_t *
next_history(struct api_client *client)
{
    json_t *history = live_next(client);

    ck_assert_ptr_nonnull(history);
    return history;
}

static const char *
verdict_of(const json_t *history)
{
    return json_string_value(
        json_object_get(json_object_get(history, "verdict"), "name"));
}

START_TEST(rules_and_topology_come_from_the_recorder)
{
    struct lh_error error = {.text = "-"};

    recorder = fake_recorder_start(path);
    live_start(&live);

    struct api_client *client = live_client(&live);

    live_wait(client, "recorder_rules", SCENE_SWITCHES);
    live_wait(client, "recorder_garbage", 1);
    ck_assert_int_eq(api_client_call(client, "trigger.add",
                                     json_pack("{s:s}", "phf", ".*"),
                                     LIVE_DEADLINE_MS, NULL, &error),
                     0);
    live_send(&live, 1, SCENE_SWITCHES, false);

    json_t *history = next_history(client);

    ck_assert_str_eq(verdict_of(history), "delivered");
    json_decref(history);

    /* Rule 93 is not known: it is asked for, and closes the packet. */
    ck_assert_uint_eq(live_counter(client, "rules_asked"), 0);
    live_send(&live, 2, 3, true);
    history = next_history(client);
    ck_assert_str_eq(verdict_of(history), "dropped");
    ck_assert_int_eq(json_integer_value(json_object_get(
                         json_object_get(history, "verdict"), "version")),
                     93);
    json_decref(history);
    ck_assert_uint_eq(live_counter(client, "rules_asked"), 1);
    ck_assert_uint_eq(live_counter(client, "closed_window"), 0);
    live_check_sums(client);
    api_client_close(client);
}
END_TEST

START_TEST(requests_are_passed_on)
{
    struct lh_error error = {.text = "-"};
    json_t *answer;

    recorder = fake_recorder_start(path);
    live_start(&live);

    struct api_client *client = live_client(&live);

    live_wait(client, "recorder_rules", SCENE_SWITCHES);
    ck_assert_int_eq(
        api_client_call(client, "flow",
                        json_pack("{s:i, s:i}", "dpid", 2, "version", 92),
                        LIVE_DEADLINE_MS, &answer, &error),
        0);
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_object_get(answer, "rule"), "actions")),
                     "drop");
    json_decref(answer);
    ck_assert_int_eq(
        api_client_call(client, "table",
                        json_pack("{s:i, s:s}", "dpid", 1, "at", "-10s"),
                        LIVE_DEADLINE_MS, &answer, &error),
        0);
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "at_ns")), 5);
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "rules")), 1);
    json_decref(answer);

    /* Its refusals come through with their codes. */
    ck_assert_int_eq(
        api_client_call(client, "flow",
                        json_pack("{s:i, s:i}", "dpid", 2, "version", 1234),
                        LIVE_DEADLINE_MS, NULL, &error),
        api_code_errno(API_NOT_FOUND));
    ck_assert_ptr_nonnull(strstr(error.text, "no such rule"));
    ck_assert_int_eq(api_client_call(client, "flow",
                                     json_pack("{s:i}", "dpid", 2),
                                     LIVE_DEADLINE_MS, NULL, &error),
                     api_code_errno(API_BAD_REQUEST));
    ck_assert_ptr_nonnull(strstr(error.text, "version"));
    api_client_close(client);
}
END_TEST

START_TEST(a_recorder_may_come_late_and_come_back)
{
    struct lh_error error = {.text = "-"};

    live_start(&live);

    struct api_client *client = live_client(&live);

    ck_assert_int_eq(api_client_call(client, "topology", NULL,
                                     LIVE_DEADLINE_MS, NULL, &error),
                     api_code_errno(API_UNAVAILABLE));
    live_send(&live, 1, SCENE_SWITCHES, false);
    live_wait(client, "foreign", SCENE_SWITCHES);

    recorder = fake_recorder_start(path);
    live_wait(client, "recorder_topologies", 1);
    live_send(&live, 2, SCENE_SWITCHES, false);
    live_wait(client, "delivered", 1);

    stop_recorder();
    /* What is known stays known. */
    live_send(&live, 3, SCENE_SWITCHES, false);
    live_wait(client, "delivered", 2);
    ck_assert_int_eq(api_client_call(client, "table",
                                     json_pack("{s:i}", "dpid", 2),
                                     LIVE_DEADLINE_MS, NULL, &error),
                     api_code_errno(API_UNAVAILABLE));

    recorder = fake_recorder_start(path);
    live_wait(client, "recorder_connects", 2);
    ck_assert_int_eq(api_client_call(client, "table",
                                     json_pack("{s:i}", "dpid", 2),
                                     LIVE_DEADLINE_MS, NULL, &error),
                     0);
    live_check_sums(client);
    api_client_close(client);
}
END_TEST

START_TEST(the_archive_says_where_the_flow_log_is)
{
    char *archive = lh_asprintf("%s/archive", live.dir);
    struct archive_meta meta = {.flow_log = NULL};

    live.arguments[live.n_arguments++] = lh_asprintf("--archive=%s", archive);
    recorder = fake_recorder_start(path);
    live_start(&live);
    for (int i = 0; i < 10000 && !meta.flow_log; i++) {
        /* A question takes a moment of the server's time. */
        struct api_client *client = live_client(&live);

        live_counter(client, "rules");
        api_client_close(client);
        archive_meta_uninit(&meta);
        ck_assert_int_eq(archive_meta_load(archive, &meta, NULL), 0);
    }
    ck_assert_str_eq(meta.flow_log, FAKE_RECORDER_LOG);
    archive_meta_uninit(&meta);
    free(archive);
}
END_TEST

START_TEST(a_file_is_read_with_the_recorders_rules)
{
    char *command =
        lh_asprintf("bin/lasthop-server --read %s/cards.pcap --recorder %s "
                    "> %s/out 2>&1",
                    live.dir, path, live.dir);
    char *capture = lh_asprintf("%s/cards.pcap", live.dir);
    char *out = lh_asprintf("%s/out", live.dir);
    char text[2000] = "";

    recorder = fake_recorder_start(path);
    scene_write_capture(capture, 300, false, false);
    ck_assert_int_eq(system(command), 0);

    FILE *stream = fopen(out, "r");

    ck_assert_uint_gt(fread(text, 1, sizeof text - 1, stream), 0);
    fclose(stream);
    ck_assert_msg(strstr(text, "200 delivered, 100 dropped"), "%s", text);
    free(out);
    free(capture);
    free(command);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("server_recorder");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, rules_and_topology_come_from_the_recorder);
    tcase_add_test(tc, requests_are_passed_on);
    tcase_add_test(tc, a_recorder_may_come_late_and_come_back);
    tcase_add_test(tc, the_archive_says_where_the_flow_log_is);
    tcase_add_test(tc, a_file_is_read_with_the_recorders_rules);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
