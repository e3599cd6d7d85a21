/* SPDX-License-Identifier: Apache-2.0 */
/* test_source_agent - what agents send becomes histories, once, whatever
 * breaks in between; what makes no sense harms nobody. */
#include <config.h>

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/agent_batch.h"
#include "lib/agent_frame.h"
#include "lib/lh_alloc.h"
#include "lib/time_spec.h"
#include "tests/server/agent_talk.h"
#include "tests/server/live.h"

#define KNOWLEDGE                                                             \
    "--topology=@/topology.json", "--rules=@/rules.jsonl", "--recorder=none"

static struct live live;
static uint16_t port;
static char *where; /* Of --agents. */

static void
set_up(void)
{
    port = agent_talk_free_port();
    where = lh_asprintf("--agents=127.0.0.1:%u", port);
}

static void
tear_down(void)
{
    if (live.dir) {
        live_uninit(&live);
        live.dir = NULL;
    }
    free(where);
}

static void
start(void)
{
    live_init(&live, KNOWLEDGE, "--accept=127.0.0.1", where, NULL);
    live_start(&live);
}

START_TEST(batches_become_histories)
{
    struct api_client *client;
    struct agent_talk talk;
    struct lh_error error;
    json_t *history, *hop;

    start();
    client = live_client(&live);
    ck_assert_int_eq(api_client_call(client, "trigger.add",
                                     json_pack("{s:s, s:s}", "phf", "^.{4}$",
                                               "name", "all"),
                                     LIVE_DEADLINE_MS, NULL, &error),
                     0);
    ck_assert_uint_eq(agent_talk_greet(&talk, port, 1), 0);
    agent_talk_batch(&talk, 1, 0, 10, 1, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    agent_talk_wait_ack(&talk, 1);
    history = live_next(client);
    hop = json_array_get(json_object_get(history, "hops"), 0);
    ck_assert_uint_eq(json_array_size(json_object_get(hop, "versions")), 2);
    ck_assert_int_eq(json_integer_value(
                         json_array_get(json_object_get(hop, "out_ports"), 0)),
                     2);
    json_decref(history);
    live_wait(client, "delivered", 10);
    ck_assert_uint_eq(live_counter(client, "closed_early"), 10);
    ck_assert_uint_eq(live_counter(client, "agents"), 1);
    ck_assert_uint_eq(live_counter(client, "agent_batches"), 1);
    ck_assert_uint_eq(live_counter(client, "unknown_switch"), 0);
    live_check_sums(client);
    close(talk.fd);
    live_wait(client, "agent_connections", 1);
    api_client_close(client);
}
END_TEST

/* Hosts send their share when they can; what belongs together is joined. */
START_TEST(several_agents_tell_of_one_packet)
{
    struct api_client *client;
    struct lh_error error;
    json_t *status, *agents;
    struct agent_talk a, b;

    start();
    client = live_client(&live);
    agent_talk_greet(&a, port, 1);
    agent_talk_greet(&b, port, 2);
    agent_talk_batch(&b, 1, 0, 20, 3, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    agent_talk_wait_ack(&b, 1);
    agent_talk_batch(&a, 1, 0, 20, 1, 2, AGENT_THRESHOLD_ALL);
    live_wait(client, "delivered", 20);
    ck_assert_uint_eq(live_counter(client, "lost"), 0);

    /* Nothing came back yet: how far clocks are apart is not known. */
    ck_assert_int_eq(api_client_call(client, "status", NULL, LIVE_DEADLINE_MS,
                                     &status, &error),
                     0);
    agents = json_object_get(json_object_get(status, "status"), "agents");
    ck_assert_uint_eq(json_array_size(agents), 2);
    ck_assert_int_eq(
        json_integer_value(json_object_get(
            json_object_get(json_array_get(agents, 0), "clock"), "offset_ns")),
        0);
    ck_assert(
        json_is_null(json_object_get(json_array_get(agents, 1), "clock")));
    ck_assert_str_eq(
        json_string_value(json_object_get(json_array_get(agents, 1), "name")),
        "host-a");
    json_decref(status);

    /* So it stands in the topology, for who shows times. */
    ck_assert_int_eq(api_client_call(client, "topology", NULL,
                                     LIVE_DEADLINE_MS, &status, &error),
                     0);
    agents = json_object_get(json_object_get(status, "topology"), "switches");
    for (size_t i = 0; i < SCENE_SWITCHES; i++) {
        json_t *clock = json_object_get(json_array_get(agents, i), "clock");

        ck_assert_int_eq(json_integer_value(json_object_get(clock, "host")),
                         i >= 2);
        ck_assert_int_eq(json_object_get(clock, "offset_ns") != NULL, i < 2);
    }
    json_decref(status);
    close(a.fd);
    close(b.fd);
    api_client_close(client);
}
END_TEST

START_TEST(what_comes_again_is_taken_once)
{
    struct api_client *client;
    struct agent_talk talk;

    start();
    client = live_client(&live);
    agent_talk_greet(&talk, port, 1);
    agent_talk_batch(&talk, 1, 0, 10, 1, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    agent_talk_batch(&talk, 2, 10, 10, 1, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    live_wait(client, "delivered", 20);
    close(talk.fd);
    ck_assert_uint_eq(agent_talk_greet(&talk, port, 1), 2);
    agent_talk_batch(&talk, 2, 10, 10, 1, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    agent_talk_batch(&talk, 3, 20, 10, 1, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    agent_talk_wait_ack(&talk, 3);
    live_wait(client, "delivered", 30);
    ck_assert_uint_eq(live_counter(client, "agent_duplicates"), 1);
    ck_assert_uint_eq(live_counter(client, "postcards"), 120);
    api_client_close(client);

    /* Over a restart too: what was acknowledged was written down. */
    ck_assert_int_eq(live_stop(&live, SIGKILL), 128 + SIGKILL);
    close(talk.fd);
    live_start(&live);
    client = live_client(&live);
    ck_assert_uint_eq(agent_talk_greet(&talk, port, 1), 3);
    ck_assert_uint_eq(agent_talk_greet(&talk, port, 7), 0);
    close(talk.fd);
    api_client_close(client);
}
END_TEST

START_TEST(nonsense_harms_nobody)
{
    static const uint8_t rubbish[] = "GET / HTTP/1.0\r\n\r\n";
    struct byte_buf out = BYTE_BUF_INIT;
    struct api_client *client;
    struct agent_frame frame;
    struct agent_talk talk, good;

    start();
    client = live_client(&live);
    agent_talk_greet(&good, port, 9);

    agent_talk_open(&talk, port);
    send(talk.fd, rubbish, sizeof rubbish - 1, MSG_NOSIGNAL);
    ck_assert(agent_talk_next(&talk, &frame, -1));
    ck_assert_int_eq(frame.type, AGENT_REFUSED);
    close(talk.fd);

    /* A batch before hello; a hello after it; a frame of servers. */
    agent_talk_open(&talk, port);
    agent_talk_batch(&talk, 1, 0, 1, 1, 1, AGENT_THRESHOLD_ALL);
    ck_assert(agent_talk_next(&talk, &frame, -1));
    ck_assert_int_eq(frame.type, AGENT_REFUSED);
    close(talk.fd);
    agent_talk_greet(&talk, port, 1);
    agent_talk_hello(&talk, 1);
    ck_assert(agent_talk_next(&talk, &frame, -1));
    ck_assert_int_eq(frame.type, AGENT_REFUSED);
    close(talk.fd);
    agent_talk_greet(&talk, port, 1);
    agent_frame_put_ack(&out, 5);
    agent_talk_send(&talk, &out);
    ck_assert(agent_talk_next(&talk, &frame, -1));
    ck_assert_int_eq(frame.type, AGENT_REFUSED);
    close(talk.fd);

    /* A batch that is none is counted, and acknowledged: it would come
     * again. */
    agent_talk_greet(&talk, port, 1);
    agent_frame_put_batch(
        &out, &(struct agent_batch_frame){
                  .seq = 1, .n = 3, .data = rubbish, .len = sizeof rubbish});
    agent_talk_send(&talk, &out);
    agent_talk_wait_ack(&talk, 1);
    ck_assert_uint_eq(live_counter(client, "agent_bad_batches"), 1);
    ck_assert_uint_eq(live_counter(client, "agent_garbage"), 4);

    agent_talk_batch(&good, 1, 0, 5, 1, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    live_wait(client, "delivered", 5);
    live_check_sums(client);
    close(talk.fd);
    close(good.fd);
    api_client_close(client);
}
END_TEST

START_TEST(strangers_are_told_so)
{
    struct agent_frame frame;
    struct agent_talk talk;

    live_init(&live, KNOWLEDGE, where, NULL);
    live_start(&live);
    agent_talk_open(&talk, port);
    agent_talk_hello(&talk, 1);
    ck_assert(agent_talk_next(&talk, &frame, -1));
    ck_assert_int_eq(frame.type, AGENT_REFUSED);
    ck_assert(memmem(frame.refused.text, frame.refused.len, "--accept", 8));
    close(talk.fd);
}
END_TEST

/* The smallest that one of them can afford holds for all; what that leaves
 * incomplete is not shown as broken. */
START_TEST(all_agents_keep_the_same_packets)
{
    struct byte_buf out = BYTE_BUF_INIT;
    struct api_client *client;
    struct agent_frame frame;
    struct agent_talk a, b;

    start();
    client = live_client(&live);
    agent_talk_greet(&a, port, 1);
    agent_talk_greet(&b, port, 2);
    agent_frame_put_threshold(&out, AGENT_WANT, 0);
    agent_talk_send(&a, &out);
    ck_assert(agent_talk_next(&b, &frame, AGENT_ACK));
    ck_assert_int_eq(frame.type, AGENT_THRESHOLD);
    ck_assert_uint_eq(frame.threshold.threshold, 0);
    ck_assert_uint_eq(live_counter(client, "sample_threshold"), 0);

    /* One has changed already, the other not yet. */
    agent_talk_batch(&b, 1, 0, 30, 3, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    live_wait(client, "sampled_out", 60);
    ck_assert_uint_eq(live_counter(client, "histories"), 0);
    /* What is whole is shown all the same. */
    agent_talk_batch(&b, 2, 100, 3, 1, SCENE_SWITCHES, AGENT_THRESHOLD_ALL);
    live_wait(client, "delivered", 3);
    live_check_sums(client);

    /* When it goes, all are kept again. */
    close(a.fd);
    ck_assert(agent_talk_next(&b, &frame, AGENT_ACK));
    ck_assert_int_eq(frame.type, AGENT_THRESHOLD);
    ck_assert_uint_eq(frame.threshold.threshold, AGENT_THRESHOLD_ALL);
    close(b.fd);
    api_client_close(client);
}
END_TEST

/* Nothing is dropped when agents send more than is worked on. */
START_TEST(agents_wait_for_room)
{
    enum { N_BATCHES = 40, N = 1000 };
    struct api_client *client;
    struct agent_talk talk;

    live_init(&live, KNOWLEDGE, "--accept=127.0.0.1", "--threads=2", where,
              NULL);
    live_start(&live);
    client = live_client(&live);
    agent_talk_greet(&talk, port, 1);
    for (uint32_t i = 0; i < N_BATCHES; i++) {
        agent_talk_batch(&talk, i + 1, i * N, N, 1, SCENE_SWITCHES,
                         AGENT_THRESHOLD_ALL);
    }
    agent_talk_wait_ack(&talk, N_BATCHES);
    live_wait(client, "delivered", N_BATCHES * N);
    ck_assert_uint_eq(live_counter(client, "dropped_busy"), 0);
    live_check_sums(client);
    close(talk.fd);
    api_client_close(client);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("source_agent");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, batches_become_histories);
    tcase_add_test(tc, several_agents_tell_of_one_packet);
    tcase_add_test(tc, what_comes_again_is_taken_once);
    tcase_add_test(tc, nonsense_harms_nobody);
    tcase_add_test(tc, strangers_are_told_so);
    tcase_add_test(tc, all_agents_keep_the_same_packets);
    tcase_add_test(tc, agents_wait_for_room);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
