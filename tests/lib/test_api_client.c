/* SPDX-License-Identifier: Apache-2.0 */
/* test_api_client - a client waits for its answer, keeps the events that come
 * before it, and says clearly what went wrong. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/api_client.h"
#include "lib/api_code.h"

static int far_fd;
static struct api_client *client;
static struct lh_error error;

static void
set_up(void)
{
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    far_fd = fds[0];
    client = api_client_adopt(fds[1]);
}

static void
tear_down(void)
{
    api_client_close(client);
    if (far_fd >= 0) {
        close(far_fd);
    }
}

/* What the server will have said. */
static void
say_first(const char *text)
{
    ck_assert_int_eq(write(far_fd, text, strlen(text)),
                     (ssize_t) strlen(text));
}

START_TEST(a_call_sends_a_request_and_returns_its_answer)
{
    static const char request[] =
        "{\"id\":1,\"op\":\"query\",\"phf\":\".\"}\n";
    char buf[100] = "";
    json_t *answer;

    say_first("{\"id\":1,\"ok\":true,\"n\":5}\n");
    ck_assert_int_eq(api_client_call(client, "query",
                                     json_pack("{s:s}", "phf", "."), 5000,
                                     &answer, &error),
                     0);
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "n")), 5);
    json_decref(answer);
    ck_assert_int_gt(read(far_fd, buf, sizeof buf - 1), 0);
    ck_assert_str_eq(buf, request);
    ck_assert_int_eq(api_client_last_id(client), 1);
}
END_TEST

START_TEST(events_before_the_answer_are_kept_in_order)
{
    json_t *event;

    say_first("{\"id\":1,\"event\":\"history\",\"n\":1}\n"
              "{\"id\":1,\"event\":\"history\",\"n\":2}\n"
              "{\"id\":1,\"ok\":true}\n"
              "{\"id\":1,\"event\":\"history\",\"n\":3}\n");
    ck_assert_int_eq(
        api_client_call(client, "query", NULL, 5000, NULL, &error), 0);
    for (int i = 1; i <= 3; i++) {
        ck_assert_int_eq(api_client_next_event(client, 5000, &event, &error),
                         0);
        ck_assert_int_eq(json_integer_value(json_object_get(event, "n")), i);
        json_decref(event);
    }
    ck_assert_int_eq(api_client_next_event(client, 0, &event, &error),
                     ETIMEDOUT);
    ck_assert_ptr_null(event);
}
END_TEST

START_TEST(a_refusal_has_text_position_and_errno)
{
    json_t *answer;

    say_first("{\"id\":1,\"ok\":false,\"error\":{\"code\":\"bad-filter\","
              "\"message\":\"no such switch\",\"pos\":7}}\n");
    ck_assert_int_eq(
        api_client_call(client, "query", NULL, 5000, &answer, &error),
        api_code_errno(API_BAD_FILTER));
    ck_assert_ptr_null(answer);
    ck_assert_str_eq(error.text, "no such switch");
    ck_assert_int_eq(error.pos, 7);
}
END_TEST

START_TEST(the_answer_to_an_earlier_call_is_skipped)
{
    ck_assert_int_eq(api_client_call(client, "a", NULL, 0, NULL, &error),
                     ETIMEDOUT);
    ck_assert_str_eq(error.text, "no answer in time");
    say_first("{\"id\":1,\"ok\":false}\n{\"id\":2,\"ok\":true}\n");
    ck_assert_int_eq(api_client_call(client, "b", NULL, 5000, NULL, &error),
                     0);
}
END_TEST

START_TEST(a_closed_connection_is_said)
{
    json_t *event;

    say_first("{\"id\":1,\"event\":\"end\"}\n{\"id\":1,\"ev");
    close(far_fd);
    far_fd = -1;
    ck_assert_int_eq(api_client_call(client, "a", NULL, 5000, NULL, &error),
                     ECONNRESET);
    ck_assert_str_eq(error.text, "the server closed the connection");
    ck_assert_int_eq(api_client_next_event(client, 5000, &event, &error), 0);
    json_decref(event);
    ck_assert_int_eq(api_client_next_event(client, 5000, &event, &error),
                     ECONNRESET);
}
END_TEST

START_TEST(garbage_is_a_protocol_error)
{
    say_first("HTTP/1.0 400\n");
    ck_assert_int_eq(api_client_call(client, "a", NULL, 5000, NULL, &error),
                     EPROTO);
}
END_TEST

START_TEST(kept_events_are_bounded)
{
    json_t *event;
    pid_t child;

    child = fork();
    if (!child) {
        static const char text[] = "{\"id\":1,\"event\":\"history\"}\n";

        for (int i = 0; i < API_CLIENT_MAX_KEPT + 5; i++) {
            if (write(far_fd, text, sizeof text - 1) < 0) {
                _exit(1);
            }
        }
        _exit(write(far_fd, "{\"id\":1,\"ok\":true}\n", 19) != 19);
    }
    ck_assert_int_eq(api_client_call(client, "a", NULL, 20000, NULL, &error),
                     0);
    ck_assert_uint_eq(api_client_n_dropped(client), 5);
    ck_assert_int_eq(api_client_next_event(client, 0, &event, &error), 0);
    json_decref(event);
}
END_TEST

START_TEST(codes_have_names_and_errnos_of_their_own)
{
    for (int i = 0; i <= API_INTERNAL; i++) {
        ck_assert_int_eq(api_code_from_name(api_code_name(i)), i);
        ck_assert_int_gt(api_code_errno(i), 0);
        for (int j = 0; j < i; j++) {
            ck_assert_int_ne(api_code_errno(i), api_code_errno(j));
        }
    }
    ck_assert_int_eq(api_code_from_name(NULL), API_INTERNAL);
    ck_assert_int_eq(api_code_from_name("new"), API_INTERNAL);
}
END_TEST

START_TEST(a_socket_that_is_not_there_is_named)
{
    struct api_client *none;

    ck_assert_int_eq(api_client_open("/nonexistent/x.sock", &none, &error),
                     ENOENT);
    ck_assert_ptr_null(none);
    ck_assert_str_eq(error.text, "/nonexistent/x.sock: nobody listens there");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("api_client");
    TCase *tc = tcase_create("client");
    SRunner *runner;
    int n_failed;

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_call_sends_a_request_and_returns_its_answer);
    tcase_add_test(tc, events_before_the_answer_are_kept_in_order);
    tcase_add_test(tc, a_refusal_has_text_position_and_errno);
    tcase_add_test(tc, the_answer_to_an_earlier_call_is_skipped);
    tcase_add_test(tc, a_closed_connection_is_said);
    tcase_add_test(tc, garbage_is_a_protocol_error);
    tcase_add_test(tc, kept_events_are_bounded);
    tcase_add_test(tc, codes_have_names_and_errnos_of_their_own);
    tcase_add_test(tc, a_socket_that_is_not_there_is_named);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed != 0;
}
