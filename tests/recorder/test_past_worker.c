/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of recorder/past_worker: questions are answered beside the loop. */
#include <config.h>
#include "recorder/past_worker.h"

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "lib/api_server.h"
#include "lib/lh_alloc.h"
#include "tests/lib/flow_log_fixture.h"
#include "tests/lib/pump.h"

static struct event_base *base;
static struct flow_log *flow_log;
static struct past_worker *worker;
static struct api_server *server;
static struct pump client;
static sem_t has_begun; /* The slow question is at hand. */

/* Answers when it is told to give up. */
static int
wait_for_cancel(const struct past_query *q, json_t **answer,
                struct lh_error *error)
{
    sem_post(&has_begun);
    while (!past_is_cancelled(q)) {
        sched_yield();
    }
    lh_error_set(error, "cancelled");
    return ECANCELED;
}

static int
be_large(const struct past_query *q, json_t **answer, struct lh_error *error)
{
    char *text = lh_alloc(1000001);

    memset(text, 'x', 1000000);
    text[1000000] = '\0';
    *answer = json_pack("{s:s}", "text", text);
    free(text);
    return 0;
}

static int
be_empty(const struct past_query *q, json_t **answer, struct lh_error *error)
{
    *answer = json_object();
    return 0;
}

static int
be_nothing(const struct past_query *q, json_t **answer, struct lh_error *error)
{
    lh_error_set(error, "nothing of the kind");
    return ENOENT;
}

static void
ask(struct api_call *call, const json_t *request, void *handler)
{
    past_worker_ask(worker, call, request, *(past_handler **) handler);
}

static void
on_close(struct api_peer *peer, void *aux)
{
    past_worker_forget(worker, peer);
}

static void
set_up(void)
{
    static past_handler *slow = wait_for_cancel, *large = be_large;
    static past_handler *empty = be_empty, *failing = be_nothing;
    static past_handler *flow = past_flow, *table = past_table;
    struct api_server_config config = {.on_close = on_close};

    flow_log_fixture_setup();
    sem_init(&has_begun, 0, 0);
    base = event_base_new();
    flow_log = flow_log_fixture_open();
    worker = past_worker_create(base, flow_log, 2);
    server = api_server_create(base, &config);
    api_server_add_op(server, "slow", ask, &slow);
    api_server_add_op(server, "large", ask, &large);
    api_server_add_op(server, "empty", ask, &empty);
    api_server_add_op(server, "fail", ask, &failing);
    api_server_add_op(server, "flow", ask, &flow);
    api_server_add_op(server, "table", ask, &table);
    api_server_adopt(server, pump_init(&client, base));
}

static void
tear_down(void)
{
    api_server_destroy(server);
    past_worker_destroy(worker);
    pump_uninit(&client);
    flow_log_close(flow_log);
    event_base_free(base);
    sem_destroy(&has_begun);
    flow_log_fixture_teardown();
}

START_TEST(answers_come_back_to_the_loop)
{
    json_t *answer;

    pump_write(&client, "{\"id\":1,\"op\":\"large\"}\n");
    answer = pump_read(&client);
    ck_assert_int_eq(json_string_length(json_object_get(answer, "text")),
                     1000000);
    ck_assert(json_is_true(json_object_get(answer, "ok")));
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "id")), 1);
    json_decref(answer);
    pump_write(&client, "{\"id\":2,\"op\":\"empty\"}\n");
    pump_expect(&client, "{\"id\":2,\"ok\":true}");
    pump_write(&client, "{\"id\":3,\"op\":\"fail\"}\n");
    pump_expect(&client, "{\"id\":3,\"ok\":false,\"error\":{\"code\":"
                         "\"not-found\",\"message\":\"nothing of the "
                         "kind\"}}");
    ck_assert_int_eq(past_worker_counters(worker).answered, 2);
    ck_assert_int_eq(past_worker_counters(worker).failed, 1);
}
END_TEST

START_TEST(a_question_sees_what_came_before_it)
{
    json_t *answer;

    for (uint32_t version = 1; version <= 50; version++) {
        flow_log_fixture_add(flow_log, version, RULE_FLOW, version * 1000);
        flow_log_hand_over(flow_log);
        pump_write(&client, "{\"id\":1,\"op\":\"flow\",\"dpid\":"
                            "\"fedcba9876543210\",\"version\":");

        char *rest = lh_asprintf("%u}\n", version);

        pump_write(&client, rest);
        free(rest);
        answer = pump_read(&client);
        ck_assert_msg(json_is_true(json_object_get(answer, "ok")),
                      "version %u", version);
        json_decref(answer);
    }
}
END_TEST

START_TEST(a_client_that_goes_takes_its_questions_along)
{
    struct past_worker_counters c;

    pump_write(&client, "{\"id\":1,\"op\":\"slow\"}\n");
    pump_once(base);
    sem_wait(&has_begun);
    pump_write(&client, "{\"id\":2,\"op\":\"slow\"}\n"
                        "{\"id\":3,\"op\":\"slow\"}\n"
                        "{\"id\":4,\"op\":\"slow\"}\n");
    pump_expect(&client,
                "{\"id\":4,\"ok\":false,\"error\":{\"code\":\"limit\","
                "\"message\":\"2 questions about the past wait already; ask "
                "again later\"}}");
    pump_uninit(&client);
    do {
        event_base_loop(base, EVLOOP_NONBLOCK);
        c = past_worker_counters(worker);
    } while (c.cancelled < 3);
    ck_assert_int_eq(c.asked, 4);
    ck_assert_int_eq(c.refused, 1);
    pump_init(&client, base);
}
END_TEST

START_TEST(the_end_does_not_wait_for_slow_questions)
{
    pump_write(&client, "{\"id\":1,\"op\":\"slow\"}\n"
                        "{\"id\":2,\"op\":\"slow\"}\n");
    pump_once(base);
    sem_wait(&has_begun);
    /* tear_down() ends it all. */
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("past_worker");
    TCase *tc = tcase_create("past_worker");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, answers_come_back_to_the_loop);
    tcase_add_test(tc, a_question_sees_what_came_before_it);
    tcase_add_test(tc, a_client_that_goes_takes_its_questions_along);
    tcase_add_test(tc, the_end_does_not_wait_for_slow_questions);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
