/* SPDX-License-Identifier: Apache-2.0 */
/* test_clocks - hops of two hosts, one of which is behind: whoever asks is
 * told the same corrected times, as bytes, as JSON, and by netshark. */
#include <config.h>

#include <check.h>
#include <inttypes.h>
#include <lasthop/client.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/lh_alloc.h"
#include "tests/server/agent_talk.h"
#include "tests/server/live.h"

/* By so much the second host's clock is behind. */
#define BEHIND_NS INT64_C(3600000000000)

/* More than all that the two batches of a packet are made after each other. */
#define MOST_NS (INT64_C(1000000) * LIVE_DEADLINE_MS)

static struct live live;
static uint16_t port;
static char *where;

static void
set_up(void)
{
    port = agent_talk_free_port();
    where = lh_asprintf("--agents=127.0.0.1:%u", port);
    live_init(&live, "--topology=@/topology.json", "--rules=@/rules.jsonl",
              "--recorder=none", "--accept=127.0.0.1", "--archive=@/archive",
              "--round=50ms", where, NULL);
    live_start(&live);
    ck_assert_int_eq(setenv("LASTHOP_RUNDIR", live.dir, 1), 0);
}

static void
tear_down(void)
{
    live_uninit(&live);
    free(where);
}

/* What is told of one hop. */
struct told {
    bool has_after, has_latency;
    int64_t after_ns, after_error_ns, latency_ns, latency_error_ns;
};

struct asked {
    size_t n; /* Histories. */
    struct told hops[SCENE_SWITCHES];
    char *json; /* Owned. */
};

static void
on_history(struct lasthop_request *r, struct lasthop_history *h, void *asked_)
{
    struct asked *asked = asked_;

    (void) r;
    asked->n++;
    ck_assert_uint_eq(lasthop_history_n_hops(h), SCENE_SWITCHES);
    for (size_t i = 0; i < SCENE_SWITCHES; i++) {
        struct told *told = &asked->hops[i];

        told->has_after = lasthop_history_after_ns(h, i, &told->after_ns,
                                                   &told->after_error_ns);
        told->has_latency = lasthop_history_latency_ns(
            h, i, &told->latency_ns, &told->latency_error_ns);
    }
    free(asked->json);
    asked->json = lasthop_history_json(h);
}

/* Asks the archive for the one history there is. */
static void
ask(bool is_json, struct asked *asked)
{
    struct lasthop_client *client = lasthop_client_create(NULL);
    struct lasthop_request *query = lasthop_request_create(client, "query");

    memset(asked, 0, sizeof *asked);
    lasthop_client_set_json(client, is_json);
    lasthop_request_set_text(query, "phf", ".*");
    lasthop_request_on_history(query, on_history, asked);
    ck_assert_msg(!lasthop_client_connect(client), "%s",
                  lasthop_client_error(client));
    ck_assert_int_eq(lasthop_request_run(query, LIVE_DEADLINE_MS), 0);
    ck_assert_uint_eq(asked->n, 1);
    lasthop_client_destroy(client);
}

/* What netshark says, a line for each hop, is what was told. */
static void
check_netshark(const struct asked *asked)
{
    FILE *pipe = popen("bin/netshark -T fields -e duration_ns -e hop.after_ns "
                       "-e hop.after_error_ns -e hop.latency_ns "
                       "-e hop.latency_error_ns",
                       "r");
    char line[256];

    ck_assert_ptr_nonnull(pipe);
    for (size_t i = 0; i < SCENE_SWITCHES; i++) {
        const struct told *told = &asked->hops[i];
        char *latency =
            i ? lh_asprintf("%" PRId64 "\t%" PRId64, told->latency_ns,
                            told->latency_error_ns)
              : lh_strdup("\t");
        char *expected =
            lh_asprintf("%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%s\n",
                        asked->hops[SCENE_SWITCHES - 1].after_ns,
                        told->after_ns, told->after_error_ns, latency);

        ck_assert_ptr_nonnull(fgets(line, sizeof line, pipe));
        ck_assert_str_eq(line, expected);
        free(latency);
        free(expected);
    }
    ck_assert_ptr_null(fgets(line, sizeof line, pipe));
    ck_assert_int_eq(pclose(pipe), 0);
}

START_TEST(times_are_corrected_for_whoever_asks)
{
    struct api_client *client = live_client(&live);
    struct asked bytes, json;
    struct agent_talk a, b;
    struct lh_error error;
    json_t *answer;

    /* A packet goes from a host to another and back. */
    agent_talk_greet(&a, port, 1);
    agent_talk_greet(&b, port, 2);
    b.age_ns = BEHIND_NS;
    agent_talk_batch(&a, 1, 0, 1, 1, 1, AGENT_THRESHOLD_ALL);
    agent_talk_wait_ack(&a, 1);
    agent_talk_batch(&b, 1, 0, 1, 2, 3, AGENT_THRESHOLD_ALL);
    agent_talk_wait_ack(&b, 1);
    agent_talk_batch(&a, 2, 0, 1, 4, 4, AGENT_THRESHOLD_ALL);
    live_wait(client, "archived", 1);
    /* Now clocks are compared; every other second they would be anyway. */
    ck_assert_int_eq(api_client_call(client, "topology", NULL,
                                     LIVE_DEADLINE_MS, &answer, &error),
                     0);
    json_decref(answer);

    ask(false, &bytes);
    for (size_t i = 0; i < SCENE_SWITCHES; i++) {
        const struct told *told = &bytes.hops[i];
        bool is_far = i == 1 || i == 2;

        ck_assert_int_eq(told->has_after, i > 0);
        ck_assert_int_eq(told->has_latency, i > 0);
        if (i) {
            /* Within what it says may be wrong, and that is no hour. */
            ck_assert_int_lt(told->after_ns, MOST_NS);
            ck_assert_int_ge(told->after_ns + told->after_error_ns, 0);
            ck_assert_int_eq(told->after_error_ns > 0, is_far);
            ck_assert_int_lt(told->after_error_ns, MOST_NS);
            ck_assert_int_lt(told->latency_ns, MOST_NS);
            ck_assert_int_ge(told->latency_ns + told->latency_error_ns, 0);
            ck_assert_int_eq(told->latency_error_ns > 0, i != 2);
        }
    }
    /* Both at the second host: no clock but its own. */
    ck_assert_int_eq(bytes.hops[2].latency_ns, 1000);
    ck_assert_int_eq(bytes.hops[2].latency_error_ns, 0);
    ck_assert_ptr_nonnull(strstr(bytes.json, "\"after_ns\":"));
    ck_assert_ptr_nonnull(strstr(bytes.json, "\"latency_error_ns\":"));

    ask(true, &json);
    for (size_t i = 0; i < SCENE_SWITCHES; i++) {
        ck_assert_mem_eq(&bytes.hops[i], &json.hops[i], sizeof *json.hops);
    }

    check_netshark(&bytes);
    free(bytes.json);
    free(json.json);
    close(a.fd);
    close(b.fd);
    api_client_close(client);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("clocks");
    TCase *tc = tcase_create("told");
    SRunner *runner;
    int n_failed;

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, times_are_corrected_for_whoever_asks);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
