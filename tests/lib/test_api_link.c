/* SPDX-License-Identifier: Apache-2.0 */
/* test_api_link - the link connects, comes back, and ends every call once. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "lib/api_code.h"
#include "lib/api_link.h"
#include "lib/api_server.h"
#include "lib/lh_alloc.h"
#include "tests/lib/pump.h"

static char dir[] = "/tmp/lasthop-test-XXXXXX";
static char *path;
static struct event_base *base;
static struct api_server *server;
static struct api_link *link_;
static bool is_up, is_down, is_answered, has_event, is_held;
static char why_down[200];
static int answer_error, n_answers;
static struct lh_error answer_reason;

static void
echo(struct api_call *call, const json_t *request, void *aux)
{
    api_peer_send(api_call_peer(call), api_call_id(call), "rule", NULL);
    api_call_answer(
        call, json_pack("{s:O}", "text", json_object_get(request, "text")));
}

static void
refuse(struct api_call *call, const json_t *request, void *aux)
{
    api_call_fail(call, API_NOT_FOUND, "no such rule");
}

static void
hold(struct api_call *call, const json_t *request, void *aux)
{
    is_held = true;
    *(struct api_call **) aux = call;
}

static struct api_call *held;

static void
start_server(void)
{
    struct api_server_config config = {0};
    struct lh_error error;

    server = api_server_create(base, &config);
    api_server_add_op(server, "echo", echo, NULL);
    api_server_add_op(server, "refuse", refuse, NULL);
    api_server_add_op(server, "hold", hold, &held);
    ck_assert_int_eq(api_server_listen(server, path, &error), 0);
}

static void
stop_server(void)
{
    api_server_destroy(server);
    server = NULL;
}

static void
on_up(void *aux)
{
    is_up = true;
}

static void
on_down(void *aux, const char *why)
{
    is_down = true;
    snprintf(why_down, sizeof why_down, "%s", why);
}

static void
on_event(void *aux, const json_t *event)
{
    has_event = true;
}

static void
on_answer(void *aux, int error_number, const json_t *answer,
          const struct lh_error *error)
{
    ck_assert((error_number == 0) == (answer != NULL));
    ck_assert((error_number == 0) == (error == NULL));
    answer_error = error_number;
    if (error) {
        answer_reason = *error;
    }
    n_answers++;
    is_answered = true;
}

static void
set_up(void)
{
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    path = lh_asprintf("%s/a.sock", dir);
    base = event_base_new();
    link_ = api_link_create(base, &(struct api_link_config){
                                      .path = path,
                                      .min_pause_ms = 1,
                                      .max_pause_ms = 4,
                                      .on_up = on_up,
                                      .on_down = on_down,
                                      .on_event = on_event,
                                  });
    is_up = is_down = is_answered = has_event = is_held = false;
    n_answers = 0;
    held = NULL;
}

static void
tear_down(void)
{
    api_link_destroy(link_);
    api_server_destroy(server);
    event_base_free(base);
    unlink(path);
    rmdir(dir);
    free(path);
}

START_TEST(a_call_is_answered_and_events_arrive)
{
    start_server();
    ck_assert_int_eq(api_link_call(link_, "echo", NULL, 1000, on_answer, NULL),
                     ENOTCONN);
    pump_until(base, &is_up);
    ck_assert(api_link_is_up(link_));
    ck_assert_int_eq(api_link_call(link_, "echo",
                                   json_pack("{s:i}", "text", 1), 10000,
                                   on_answer, NULL),
                     0);
    ck_assert(!is_answered);
    pump_until(base, &is_answered);
    ck_assert_int_eq(answer_error, 0);
    ck_assert(has_event);
    ck_assert_int_eq(n_answers, 1);
}
END_TEST

START_TEST(a_refusal_has_its_reason)
{
    start_server();
    pump_until(base, &is_up);
    api_link_call(link_, "refuse", NULL, 10000, on_answer, NULL);
    pump_until(base, &is_answered);
    ck_assert_int_eq(answer_error, api_code_errno(API_NOT_FOUND));
    ck_assert_str_eq(answer_reason.text, "no such rule");
}
END_TEST

START_TEST(it_waits_for_the_other_side_and_comes_back)
{
    pump_until(base, &is_down);
    ck_assert_ptr_nonnull(strstr(why_down, "nobody listens"));
    for (int i = 0; i < 3; i++) {
        is_up = is_down = false;
        start_server();
        pump_until(base, &is_up);
        stop_server();
        pump_until(base, &is_down);
        ck_assert(!api_link_is_up(link_));
    }
    ck_assert_uint_eq(api_link_counters(link_)->connects, 3);
}
END_TEST

START_TEST(calls_end_when_the_connection_does)
{
    start_server();
    pump_until(base, &is_up);
    api_link_call(link_, "hold", NULL, 10000, on_answer, NULL);
    pump_until(base, &is_held);
    stop_server();
    pump_until(base, &is_answered);
    ck_assert_int_eq(answer_error, ECONNRESET);
    api_call_answer(held, NULL);
    ck_assert_int_eq(n_answers, 1);
}
END_TEST

START_TEST(calls_end_at_their_deadline)
{
    start_server();
    pump_until(base, &is_up);
    api_link_call(link_, "hold", NULL, 1, on_answer, NULL);
    pump_until(base, &is_answered);
    ck_assert_int_eq(answer_error, ETIMEDOUT);
    pump_until(base, &is_held);
    api_call_answer(held, NULL);
    is_answered = false;
    api_link_call(link_, "echo", NULL, 10000, on_answer, NULL);
    pump_until(base, &is_answered);
    ck_assert_int_eq(answer_error, 0);
    ck_assert_int_eq(n_answers, 2);
    ck_assert_uint_eq(api_link_counters(link_)->timeouts, 1);
}
END_TEST

START_TEST(calls_end_when_the_link_is_destroyed)
{
    start_server();
    pump_until(base, &is_up);
    api_link_call(link_, "hold", NULL, 10000, on_answer, NULL);
    pump_until(base, &is_held);
    api_link_destroy(link_);
    link_ = NULL;
    ck_assert_int_eq(answer_error, ECANCELED);
    ck_assert_int_eq(n_answers, 1);
    stop_server();
    api_call_answer(held, NULL);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("api_link");
    TCase *tc = tcase_create("link");
    SRunner *runner;
    int n_failed;

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_call_is_answered_and_events_arrive);
    tcase_add_test(tc, a_refusal_has_its_reason);
    tcase_add_test(tc, it_waits_for_the_other_side_and_comes_back);
    tcase_add_test(tc, calls_end_when_the_connection_does);
    tcase_add_test(tc, calls_end_at_their_deadline);
    tcase_add_test(tc, calls_end_when_the_link_is_destroyed);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed != 0;
}
