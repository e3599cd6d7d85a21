/* SPDX-License-Identifier: Apache-2.0 */
/* test_agent_notes - what agents tell beside postcards is said of histories
 * and figures: what was lost, and what was left out. */
#include <config.h>

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/agent_frame.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"
#include "tests/server/agent_talk.h"
#include "tests/server/live.h"

static struct live live;
static uint16_t port;

static void
begin(const char *window)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char *where;

    ck_assert_int_eq(bind(fd, (struct sockaddr *) &address, len), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *) &address, &len), 0);
    close(fd);
    port = ntohs(address.sin_port);
    where = lh_asprintf("--agents=127.0.0.1:%u", port);
    live_init(&live, "--topology=@/topology.json", "--rules=@/rules.jsonl",
              "--recorder=none", "--accept=127.0.0.1", "--archive=@/archive",
              window, where, NULL);
    free(where);
    live_start(&live);
}

static void
set_up(void)
{
    begin("--window=1s");
}

static void
tear_down(void)
{
    live_uninit(&live);
}

/* A postcard that a ring had no room for is why the next hop was not seen. */
START_TEST(a_history_says_what_the_ring_dropped)
{
    struct byte_buf out = BYTE_BUF_INIT;
    struct agent_loss_switch lost = {3, 1};
    struct api_client *client;
    struct lh_error error;
    struct agent_talk talk;
    json_t *history, *hop;
    uint64_t now_ns = time_spec_now();

    client = live_client(&live);
    ck_assert_int_eq(
        api_client_call(client, "trigger.add",
                        json_pack("{s:s, s:s}", "phf", "..*", "name", "all"),
                        LIVE_DEADLINE_MS, NULL, &error),
        0);
    agent_talk_greet(&talk, port, 1);
    /* When its window has ended the topology is no news any more. */
    agent_talk_batch(&talk, 1, 50, 1, 1, 1, AGENT_THRESHOLD_ALL);
    json_decref(live_next(client));
    agent_frame_put_loss(
        &out,
        &(struct agent_loss){.seq = 2,
                             .place = AGENT_PLACE_RING,
                             .first_ns = now_ns,
                             .last_ns = now_ns + UINT64_C(60000000000),
                             .count = 1,
                             .n = 1},
        &lost);
    agent_talk_send(&talk, &out);
    agent_talk_batch(&talk, 3, 0, 1, 1, 2, AGENT_THRESHOLD_ALL);
    history = live_next(client);
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_object_get(history, "verdict"), "name")),
                     "lost");
    ck_assert_ptr_nonnull(
        strstr(json_string_value(json_object_get(
                   json_object_get(history, "verdict"), "reason")),
               "a postcard of that hop may have been dropped by the ring"));
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_object_get(history, "verdict"), "evidence")),
                     "uncertain");
    json_decref(history);
    ck_assert_uint_eq(live_counter(client, "agent_lost_ring"), 1);

    /* So it is where the hop is known from its neighbours. */
    agent_talk_batch(&talk, 4, 1, 1, 1, 2, AGENT_THRESHOLD_ALL);
    agent_talk_batch(&talk, 5, 1, 1, 4, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    history = live_next(client);
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_object_get(history, "verdict"), "name")),
                     "delivered");
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_object_get(history, "verdict"), "reason")),
                     "a postcard of switch 0000000000000003 may have been "
                     "dropped by the ring");
    json_decref(history);

    /* Also where another one is missing, of which nothing is known. */
    agent_talk_batch(&talk, 6, 2, 1, 1, 1, AGENT_THRESHOLD_ALL);
    agent_talk_batch(&talk, 7, 2, 1, 4, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    history = live_next(client);
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_object_get(history, "verdict"), "reason")),
                     "a postcard of switch 0000000000000003 may have been "
                     "dropped by the ring");
    json_decref(history);

    /* And where nobody knows how it came there. */
    agent_talk_batch(&talk, 8, 3, 1, 4, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    history = live_next(client);
    hop = json_array_get(json_object_get(history, "hops"), 0);
    ck_assert(json_is_true(json_object_get(hop, "gap_before")));
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_object_get(history, "verdict"), "reason")),
                     "a postcard of switch 0000000000000003 may have been "
                     "dropped by the ring");
    json_decref(history);
    close(talk.fd);
    api_client_close(client);
}
END_TEST

/* What a call answers. */
static json_t *
ask(struct api_client *client, const char *op, json_t *members)
{
    struct lh_error error = {.text = "-"};
    json_t *answer;

    ck_assert_msg(!api_client_call(client, op, members, LIVE_DEADLINE_MS,
                                   &answer, &error),
                  "%s", error.text);
    return answer;
}

/* Three packets in four were left out: those that were kept count for all. */
START_TEST(what_was_left_out_is_counted)
{
    struct api_client *client = live_client(&live);
    json_t *answer, *sampled;
    struct lh_error error;
    struct agent_talk talk;

    agent_talk_greet(&talk, port, 1);
    agent_talk_batch(&talk, 1, 0, 10, 1, SCENE_SWITCHES, 0x3fffffff);
    live_wait(client, "delivered", 10);
    answer = ask(client, "profile", json_pack("{s:[s]}", "links", "entry"));
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "packets")),
                     40);
    sampled = json_object_get(answer, "sampled");
    ck_assert_double_eq(json_number_value(json_object_get(sampled, "least")),
                        4);
    ck_assert_double_eq(json_number_value(json_object_get(sampled, "most")),
                        4);
    json_decref(answer);

    json_decref(
        ask(client, "query", json_pack("{s:s}", "phf", "{{--dpid 9}}")));
    ck_assert(
        !api_client_next_event(client, LIVE_DEADLINE_MS, &answer, &error));
    sampled = json_object_get(answer, "sampled");
    ck_assert_str_eq(json_string_value(json_object_get(answer, "event")),
                     "end");
    ck_assert_int_gt(json_integer_value(json_object_get(sampled, "since_ns")),
                     0);
    ck_assert_int_ge(json_integer_value(json_object_get(sampled, "until_ns")),
                     json_integer_value(json_object_get(sampled, "since_ns")));
    json_decref(answer);
    close(talk.fd);
    api_client_close(client);
}
END_TEST

#define WINDOW_NS UINT64_C(50000000)

static void
set_up_short(void)
{
    begin("--window=50ms");
}

/* While many windows pass. */
static void
let_windows_pass(struct api_client *client)
{
    uint64_t begun_ns = time_spec_now();

    while (time_spec_now() - begun_ns < 10 * WINDOW_NS) {
        live_counter(client, "histories");
    }
}

/* The server was away for a minute while the traffic of two hosts went on.
 * Their agents come back one after the other, and send what they kept. */
START_TEST(what_all_spooled_is_whole)
{
    struct api_client *client = live_client(&live);
    struct agent_talk a, b;

    agent_talk_greet(&a, port, 1);
    a.age_ns = UINT64_C(60000000000);
    agent_talk_batch(&a, 1, 0, 100, 1, 2, AGENT_THRESHOLD_ALL);
    agent_talk_wait_ack(&a, 1);
    a.age_ns = UINT64_C(30000000000);
    agent_talk_batch(&a, 2, 100, 100, 1, 2, AGENT_THRESHOLD_ALL);
    a.age_ns = 0; /* It has caught up. */
    agent_talk_batch(&a, 3, 200, 100, 1, 2, AGENT_THRESHOLD_ALL);
    agent_talk_wait_ack(&a, 3);
    let_windows_pass(client);
    ck_assert_uint_eq(live_counter(client, "histories"), 0);
    agent_talk_greet(&b, port, 2);
    b.age_ns = UINT64_C(60000000000);
    agent_talk_batch(&b, 1, 0, 150, 3, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    agent_talk_wait_ack(&b, 1);
    let_windows_pass(client);
    agent_talk_batch(&b, 2, 150, 150, 3, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    live_wait(client, "delivered", 300);
    ck_assert_uint_eq(live_counter(client, "histories"), 300);
    ck_assert_uint_eq(live_counter(client, "late"), 0);
    live_check_sums(client);
    close(a.fd);
    close(b.fd);
    api_client_close(client);
}
END_TEST

/* A server that is started again knows that others will come back. */
START_TEST(a_short_absence_breaks_nothing)
{
    struct api_client *client = live_client(&live);
    struct agent_talk a, b;

    agent_talk_greet(&a, port, 1);
    agent_talk_greet(&b, port, 2);
    agent_talk_batch(&a, 1, 0, 1, 1, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    agent_talk_batch(&b, 1, 1, 1, 1, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    agent_talk_wait_ack(&a, 1);
    agent_talk_wait_ack(&b, 1);
    close(a.fd);
    close(b.fd);
    api_client_close(client);
    live_stop(&live, SIGTERM);
    live_start(&live);
    client = live_client(&live);
    agent_talk_greet(&a, port, 1);
    agent_talk_batch(&a, 2, 10, 50, 1, 2, AGENT_THRESHOLD_ALL);
    agent_talk_wait_ack(&a, 2);
    let_windows_pass(client);
    agent_talk_greet(&b, port, 2);
    agent_talk_batch(&b, 2, 10, 50, 3, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    live_wait(client, "delivered", 50);
    ck_assert_uint_eq(live_counter(client, "histories"), 50);
    ck_assert_uint_eq(live_counter(client, "late"), 0);
    close(a.fd);
    close(b.fd);
    api_client_close(client);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("agent_notes");
    TCase *tc = tcase_create("all");
    TCase *late = tcase_create("late");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_history_says_what_the_ring_dropped);
    tcase_add_test(tc, what_was_left_out_is_counted);
    suite_add_tcase(suite, tc);
    tcase_add_checked_fixture(late, set_up_short, tear_down);
    tcase_set_timeout(late, 60);
    tcase_add_test(late, what_all_spooled_is_whole);
    tcase_add_test(late, a_short_absence_breaks_nothing);
    suite_add_tcase(suite, late);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
