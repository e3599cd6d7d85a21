/* SPDX-License-Identifier: Apache-2.0 */
/* test_agents_cluster - a server of a cluster tells agents that it has their
 * postcards when NATS has them. */
#include <config.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/nats_fixture.h"
#include "tests/server/agent_talk.h"
#include "tests/server/live.h"

static struct nats nats;
static struct live live;
static uint16_t port;

static void
setup(void)
{
    char agents[64], cluster[128];

    nats_start(&nats, NULL);
    port = agent_talk_free_port();
    snprintf(agents, sizeof agents, "--agents=127.0.0.1:%u", port);
    snprintf(cluster, sizeof cluster, "--cluster=%s", nats.url);
    live_init(&live, "--topology=@/topology.json", "--rules=@/rules.jsonl",
              "--recorder=none", "--accept=127.0.0.1", agents, cluster,
              "--name=a", "--cluster-bytes=16M", "--archive=@/archive", NULL);
    live_start(&live);
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
    tcase_set_timeout(tcase, 100);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
