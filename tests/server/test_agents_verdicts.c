/* SPDX-License-Identifier: Apache-2.0 */
/* test_agents_verdicts - agents at several servers of a cluster lose
 * postcards, or do not: what is said of packets is what one server would say,
 * whichever server owns them. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "lib/time_spec.h"
#include "server/agent_book.h"
#include "tests/lib/nats_fixture.h"
#include "tests/server/agent_talk.h"
#include "tests/server/live.h"

#define N_SERVERS 3
#define N_AGENTS  SCENE_SWITCHES /* One for each switch. */
#define FIRST_TRY 1000           /* Packets until all is known. */
#define LINE      400
/* One that stalls on a busy machine is waited for, for 20 s. */
#define WAIT_MS (4 * LIVE_DEADLINE_MS)
/* What an agent says that it lost counts for packets of so much before and
 * after, at most. */
#define SPAN_NS UINT64_C(300000000)
/* How far a clock is behind. */
#define BEHIND_NS UINT64_C(400000000)
#define APART_NS  (SPAN_NS + 3 * AGENT_BOOK_SLACK_NS)

static struct nats nats;
static struct live servers[N_SERVERS];
static uint16_t ports[N_SERVERS];
static size_t n_servers;
static struct agent_talk agents[N_AGENTS];
static uint64_t seqs[N_AGENTS];
static struct api_client *client;
static uint64_t lost_ns; /* When an agent lost a postcard. */

static void
start(size_t i, const char *urls)
{
    char where[64], cluster[128], name[16];

    ports[i] = agent_talk_free_port();
    snprintf(where, sizeof where, "--agents=127.0.0.1:%u", ports[i]);
    snprintf(cluster, sizeof cluster, "--cluster=%s", urls);
    snprintf(name, sizeof name, "--name=%c", (char) ('a' + i));
    if (*urls) {
        live_init(&servers[i], "--topology=@/topology.json",
                  "--rules=@/rules.jsonl", "--recorder=none",
                  "--accept=127.0.0.1", "--archive=@/archive", "--window=2s",
                  where, cluster, name, "--cluster-bytes=16M",
                  "--cluster-lease=10s", NULL);
    } else {
        live_init(&servers[i], "--topology=@/topology.json",
                  "--rules=@/rules.jsonl", "--recorder=none",
                  "--accept=127.0.0.1", "--archive=@/archive", "--window=2s",
                  where, NULL);
    }
    live_start(&servers[i]);
}

/* Agent i at server i, i - n_servers and so on. */
static void
begin(size_t n, const char *urls)
{
    struct lh_error error;

    n_servers = n;
    for (size_t i = 0; i < n; i++) {
        start(i, urls);
    }
    for (size_t i = 0; i < N_AGENTS; i++) {
        agent_talk_greet(&agents[i], ports[i % n], (uint8_t) (i + 1));
        seqs[i] = 0;
    }
    client = live_client(&servers[0]);
    ck_assert_int_eq(
        api_client_call(client, "trigger.add",
                        json_pack("{s:s, s:s}", "phf", "..*", "name", "all"),
                        LIVE_DEADLINE_MS, NULL, &error),
        0);
}

static void
end(void)
{
    api_client_close(client);
    for (size_t i = 0; i < N_AGENTS; i++) {
        close(agents[i].fd);
    }
    for (size_t i = 0; i < n_servers; i++) {
        live_uninit(&servers[i]);
    }
}

/* They have nothing else to say. */
static void
ping(void)
{
    uint64_t now_ns = time_spec_now();

    for (size_t i = 0; i < N_AGENTS; i++) {
        struct byte_buf out = BYTE_BUF_INIT;

        agent_frame_put_ping(&out, AGENT_PING,
                             &(struct agent_ping){now_ns, now_ns});
        agent_talk_send(&agents[i], &out);
    }
}

/* The switches whose bits are set tell of packet 'n'. */
static void
tell(uint32_t n, unsigned int switches)
{
    for (size_t i = 0; i < N_AGENTS; i++) {
        if (switches & 1u << i) {
            agent_talk_batch(&agents[i], ++seqs[i], n, 1, i + 1, i + 1,
                             AGENT_THRESHOLD_ALL);
        }
    }
}

/* The agent of switch 'dpid' lost one of its postcards of the time at which
 * the next packet comes, or one of whichever switch. */
static void
lose(uint64_t dpid, enum agent_place place, bool is_named)
{
    struct byte_buf out = BYTE_BUF_INIT;
    struct agent_loss_switch lost = {dpid, 1};
    uint64_t now_ns = time_spec_now();

    lost_ns = now_ns;
    agent_frame_put_loss(&out,
                         &(struct agent_loss){.seq = ++seqs[dpid - 1],
                                              .place = place,
                                              .first_ns = now_ns,
                                              .last_ns = now_ns + SPAN_NS,
                                              .count = 1,
                                              .n = is_named},
                         &lost);
    agent_talk_send(&agents[dpid - 1], &out);
}

static uint32_t
number_of(const json_t *history)
{
    const char *header = json_string_value(json_object_get(
        json_array_get(json_object_get(history, "hops"), 0), "header"));
    char digits[5] = "";

    memcpy(digits, header + 2 * 18, 4);
    return (uint32_t) strtoul(digits, NULL, 16);
}

static const char *
text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "-";
}

/* What is said of packet 'n', which was told of: one line. */
static void
wait_line(uint32_t n, char line[LINE])
{
    int64_t until_ms = monotonic_ms() + WAIT_MS;

    for (;;) {
        struct lh_error error;
        json_t *event, *history, *verdict;
        int retval;

        ck_assert_msg(monotonic_ms() < until_ms, "nothing said of %u", n);
        ping();
        retval = api_client_next_event(client, 50, &event, &error);
        if (retval) {
            ck_assert_int_eq(retval, ETIMEDOUT);
            continue;
        }
        history = json_object_get(event, "history");
        if (history && number_of(history) == n) {
            verdict = json_object_get(history, "verdict");
            snprintf(line, LINE, "%u %s %s %s: %s; %zu hops", n,
                     text_of(verdict, "name"), text_of(verdict, "dpid"),
                     text_of(verdict, "evidence"), text_of(verdict, "reason"),
                     json_array_size(json_object_get(history, "hops")));
            json_decref(event);
            break;
        }
        json_decref(event);
    }
    /* The next one is of another time. */
    while (time_spec_now() < lost_ns + APART_NS) {
        live_counter(client, "histories");
    }
}

/* Until everybody knows all agents and how far they are: a packet that is lost
 * is surely so.  Packets of all shards are tried. */
static void
wait_known(void)
{
    size_t n_good = 0;

    for (uint32_t n = FIRST_TRY; n_good < 4; n++) {
        char line[LINE];

        ck_assert_uint_lt(n, FIRST_TRY + 200);
        tell(n, 0xf);
        wait_line(n, line);
        tell(n + 10000, 3);
        wait_line(n + 10000, line);
        n_good =
            strstr(line, "lost") && strstr(line, "complete") ? n_good + 1 : 0;
    }
}

#define N_LINES 9

static void
play(char lines[N_LINES][LINE])
{
    uint32_t n = 0;

    wait_known();
    /* Lost behind a switch, and nothing is missing. */
    tell(n, 3);
    wait_line(n, lines[n]);
    n++;
    /* Lost; or it was not, and the next switch's postcard was. */
    lose(3, AGENT_PLACE_RING, true);
    tell(n, 3);
    wait_line(n, lines[n]);
    n++;
    /* The same of the next one, some time later. */
    tell(n, 1);
    wait_line(n, lines[n]);
    n++;
    /* It went by where nothing was told, because that was lost, */
    lose(3, AGENT_PLACE_SPOOL, true);
    tell(n, 0xb);
    wait_line(n, lines[n]);
    n++;
    /* or nobody knows why. */
    tell(n, 0xb);
    wait_line(n, lines[n]);
    n++;
    /* Two are missing, of one it is known. */
    lose(2, AGENT_PLACE_MEMORY, true);
    tell(n, 9);
    wait_line(n, lines[n]);
    n++;
    /* The agent does not know of which switch. */
    lose(3, AGENT_PLACE_RING, false);
    tell(n, 3);
    wait_line(n, lines[n]);
    n++;
    /* Another switch's loss is none of this packet's. */
    lose(1, AGENT_PLACE_RING, true);
    tell(n, 3);
    wait_line(n, lines[n]);
    n++;
    /* Nobody knows where it came from. */
    lose(3, AGENT_PLACE_RING, true);
    tell(n, 8);
    wait_line(n, lines[n]);
    n++;
    ck_assert_uint_eq(n, N_LINES);
}

/* A packet there, and one back. */
static void
send_both_ways(uint32_t *n)
{
    uint64_t now_ns = time_spec_now();

    for (size_t i = 0; i < N_AGENTS; i++) {
        agents[i].at_ns = now_ns;
    }
    tell((*n)++, 0xf);
    for (size_t i = N_AGENTS; i-- > 0;) {
        agents[i].goes_back = true;
        tell(*n, 1u << i);
        agents[i].goes_back = false;
    }
    (*n)++;
    ping();
}

static void
drop_events(void)
{
    struct lh_error error;
    json_t *event;

    while (!api_client_next_event(client, 50, &event, &error)) {
        json_decref(event);
    }
}

/* Whether the clock of each switch is told, and in answers, too.  What is
 * known of clocks is of the packets of the last half minute. */
static void
check_answer(const struct live *server, uint32_t *n)
{
    struct api_client *asker = live_client(server);
    struct lh_error error;
    json_t *answer, *history;
    int64_t until_ms = monotonic_ms() + WAIT_MS;
    size_t n_told = 0, n_corrected = 0;

    while (n_told < N_AGENTS) {
        ck_assert_int_lt(monotonic_ms(), until_ms);
        send_both_ways(n);
        drop_events();
        ck_assert_int_eq(api_client_call(asker, "topology", NULL,
                                         LIVE_DEADLINE_MS, &answer, &error),
                         0);
        n_told = 0;
        for (size_t i = 0; i < N_AGENTS; i++) {
            const json_t *clock = json_object_get(
                json_array_get(
                    json_object_get(json_object_get(answer, "topology"),
                                    "switches"),
                    i),
                "clock");

            n_told += json_is_integer(json_object_get(clock, "offset_ns"));
        }
        json_decref(answer);
    }
    ck_assert_int_eq(api_client_call(asker, "query",
                                     json_pack("{s:s}", "phf", "^.{4}$"),
                                     LIVE_DEADLINE_MS, NULL, &error),
                     0);
    while ((history = live_next(asker))) {
        const json_t *hop =
            json_array_get(json_object_get(history, "hops"), 2);

        n_corrected +=
            json_is_integer(json_object_get(hop, "latency_error_ns"));
        json_decref(history);
    }
    ck_assert_uint_gt(n_corrected, 0);
    api_client_close(asker);
}

/* Packets there and back, until all know that the clock of switch 3 is behind;
 * then how long the way to it took is told so, in answers and in matches. */
static void
check_clocks(void)
{
    int64_t until_ms = monotonic_ms() + WAIT_MS;
    uint32_t n = 3 * FIRST_TRY;
    bool is_known = false;

    agents[2].age_ns = BEHIND_NS;
    while (!is_known) {
        struct lh_error error;
        json_t *event, *hop;

        ck_assert_msg(monotonic_ms() < until_ms, "clocks are not compared");
        send_both_ways(&n);
        while (!is_known &&
               !api_client_next_event(client, 50, &event, &error)) {
            const json_t *hops =
                json_object_get(json_object_get(event, "history"), "hops");

            hop = json_array_get(hops, 2);
            if (json_array_size(hops) == N_AGENTS &&
                !strcmp(text_of(hop, "switch"), "s3") &&
                json_is_integer(json_object_get(hop, "after_error_ns"))) {
                json_int_t after =
                    json_integer_value(json_object_get(hop, "after_ns"));
                json_int_t wrong =
                    json_integer_value(json_object_get(hop, "after_error_ns"));

                is_known = wrong < (json_int_t) BEHIND_NS / 4;
                ck_assert(!is_known || llabs(after) <= wrong + 5000000);
            }
            json_decref(event);
        }
    }
    for (size_t i = 0; i < n_servers; i++) {
        check_answer(&servers[i], &n);
    }
}

START_TEST(a_cluster_says_what_one_server_says)
{
    static const char *const wanted[N_LINES] = {
        "lost 0000000000000002 complete",
        "by the ring",
        "lost 0000000000000001 complete",
        "by the agent's spool",
        "delivered",
        "by the agent;",
        "by the ring",
        "lost 0000000000000002 complete",
        "by the ring"};
    static char alone[N_LINES][LINE], many[N_LINES][LINE];

    begin(1, "");
    play(alone);
    end();
    nats_start(&nats, NULL);
    begin(N_SERVERS, nats.url);
    play(many);
    check_clocks();
    end();
    nats_end(&nats);
    for (size_t i = 0; i < N_LINES; i++) {
        ck_assert_msg(strstr(alone[i], wanted[i]), "%s", alone[i]);
        ck_assert_str_eq(many[i], alone[i]);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("agents_verdicts");
    TCase *tcase = tcase_create("agents_verdicts");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_add_test(tcase, a_cluster_says_what_one_server_says);
    tcase_set_timeout(tcase, 500);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
