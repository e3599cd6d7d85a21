/* SPDX-License-Identifier: Apache-2.0 */
/* test_agents_cluster - a server of a cluster tells agents that it has their
 * postcards when NATS has them. */
#include <config.h>

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/nats_fixture.h"
#include "tests/server/agent_talk.h"
#include "tests/server/live.h"

static struct nats nats;
static struct live live, other; /* The second one where a test begins it. */
static uint16_t port, other_port;

static void
start(struct live *l, const char *name, uint16_t *agents_port)
{
    char agents[64], cluster[128];

    *agents_port = agent_talk_free_port();
    snprintf(agents, sizeof agents, "--agents=127.0.0.1:%u", *agents_port);
    snprintf(cluster, sizeof cluster, "--cluster=%s", nats.url);
    live_init(l, "--topology=@/topology.json", "--rules=@/rules.jsonl",
              "--recorder=none", "--accept=127.0.0.1", agents, cluster, name,
              "--cluster-bytes=16M", "--archive=@/archive", NULL);
    live_start(l);
}

static void
setup(void)
{
    nats_start(&nats, NULL);
    start(&live, "--name=a", &port);
}

static void
teardown(void)
{
    live_uninit(&live);
    nats_end(&nats);
}

START_TEST(test_told_when_nats_has_them)
{
    struct api_client *client = live_client(&live);
    struct agent_talk talk;

    ck_assert_uint_eq(agent_talk_greet(&talk, port, 1), 0);
    agent_talk_batch(&talk, 1, 0, 10, 1, 3, AGENT_THRESHOLD_ALL);
    agent_talk_wait_ack(&talk, 1);

    nats_kill(&nats);
    agent_talk_batch(&talk, 2, 10, 10, 1, 3, AGENT_THRESHOLD_ALL);
    live_wait(client, "agent_batches", 2);
    close(talk.fd);

    /* It has them, but they are not safe. */
    ck_assert_uint_eq(agent_talk_greet(&talk, port, 1), 1);
    agent_talk_batch(&talk, 2, 10, 10, 1, 3, AGENT_THRESHOLD_ALL);
    live_wait(client, "agent_duplicates", 1);
    nats_start(&nats, NULL);
    agent_talk_wait_ack(&talk, 2);
    ck_assert_uint_eq(live_counter(client, "agent_postcards"), 60);
    close(talk.fd);
    api_client_close(client);
}
END_TEST

/* Those who want to know are told which servers there are, itself as where it
 * takes agents, when it has seen who else there is. */
START_TEST(test_told_of_servers)
{
    struct agent_server servers[AGENT_SERVERS_MAX];
    struct agent_talk knows, older;
    struct agent_frame frame;
    char text[32];

    ck_assert_uint_eq(agent_talk_greet(&older, port, 1), 0);
    agent_talk_open(&knows, port);
    knows.wants_servers = true;
    agent_talk_hello(&knows, 2);
    ck_assert(agent_talk_next(&knows, &frame, -1));
    ck_assert_int_eq(frame.type, AGENT_WELCOME);
    ck_assert(agent_talk_next(&knows, &frame, AGENT_PING));
    ck_assert_int_eq(frame.type, AGENT_SERVERS);
    ck_assert_uint_eq(frame.servers.n, 1);
    agent_servers_get(&frame.servers, servers);
    ck_assert(servers[0].is_self);
    snprintf(text, sizeof text, "127.0.0.1:%u", port);
    ck_assert_uint_eq(servers[0].len, strlen(text));
    ck_assert_mem_eq(servers[0].text, text, strlen(text));
    close(knows.fd);

    /* At once after its welcome, from now on. */
    agent_talk_open(&knows, port);
    knows.wants_servers = true;
    agent_talk_hello(&knows, 2);
    ck_assert(agent_talk_next(&knows, &frame, AGENT_WELCOME));
    ck_assert_int_eq(frame.type, AGENT_SERVERS);
    close(knows.fd);

    agent_talk_batch(&older, 1, 0, 10, 1, 3, AGENT_THRESHOLD_ALL);
    ck_assert(agent_talk_next(&older, &frame, -1));
    ck_assert_int_eq(frame.type, AGENT_ACK);
    close(older.fd);
}
END_TEST

static void
send_want(struct agent_talk *talk, uint32_t threshold)
{
    struct byte_buf out = BYTE_BUF_INIT;

    agent_frame_put_threshold(&out, AGENT_WANT, threshold);
    agent_talk_send(talk, &out);
}

static void
wait_threshold(struct agent_talk *talk, uint32_t threshold)
{
    struct agent_frame frame;

    do {
        ck_assert(agent_talk_next(talk, &frame, AGENT_PING));
    } while (frame.type != AGENT_THRESHOLD ||
             frame.threshold.threshold != threshold);
}

/* All agents of all servers keep the same packets: what one of them can afford
 * counts for those of the others, as long as it is there. */
START_TEST(test_one_threshold_for_all)
{
    struct agent_talk a, b;
    struct agent_frame frame;

    start(&other, "--name=b", &other_port);
    agent_talk_greet(&a, port, 1);
    agent_talk_greet(&b, other_port, 2);
    send_want(&a, 0x3fffffff);
    wait_threshold(&a, 0x3fffffff);
    wait_threshold(&b, 0x3fffffff);
    send_want(&b, 0x1fffffff);
    wait_threshold(&b, 0x1fffffff);
    wait_threshold(&a, 0x1fffffff);
    close(b.fd);
    wait_threshold(&a, 0x3fffffff);

    /* One that comes is told at once; and when the server of the other is
     * gone, that there is nothing to leave out. */
    agent_talk_open(&b, other_port);
    agent_talk_hello(&b, 2);
    ck_assert(agent_talk_next(&b, &frame, -1));
    ck_assert_int_eq(frame.type, AGENT_WELCOME);
    ck_assert_uint_eq(frame.welcome.threshold, 0x3fffffff);
    live_stop(&live, SIGKILL);
    wait_threshold(&b, AGENT_THRESHOLD_ALL);
    close(a.fd);
    close(b.fd);
    live_uninit(&other);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("agents_cluster");
    TCase *tcase = tcase_create("agents_cluster");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_told_when_nats_has_them);
    tcase_add_test(tcase, test_told_of_servers);
    tcase_add_test(tcase, test_one_threshold_for_all);
    tcase_set_timeout(tcase, 100);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
