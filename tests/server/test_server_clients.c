/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of a running lasthop-server: right, wrong, slow and dead ones. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/api_code.h"
#include "lib/api_socket.h"
#include "lib/lh_alloc.h"
#include "tests/lib/random_history.h"
#include "tests/server/live.h"

static struct live live;

static void
set_up(void)
{
    live_init(&live, "--topology=@/topology.json", "--rules=@/rules.jsonl",
              "--recorder=none", "--accept=127.0.0.1", "--archive=@/archive",
              "--round=50ms", NULL);
    live_start(&live);
}

static void
tear_down(void)
{
    live_uninit(&live);
}

static json_t *
call(struct api_client *client, const char *op, json_t *members)
{
    struct lh_error error = {.text = "-"};
    json_t *answer;

    ck_assert_msg(!api_client_call(client, op, members, LIVE_DEADLINE_MS,
                                   &answer, &error),
                  "%s: %s", op, error.text);
    return answer;
}

static void
call_only(struct api_client *client, const char *op, json_t *members)
{
    json_decref(call(client, op, members));
}

/* A bare connection, in blocking mode. */
static int
raw_client(void)
{
    char *path = lh_asprintf("%s/server.sock", live.dir);
    struct timeval deadline = {LIVE_DEADLINE_MS / 1000, 0};
    int fd;

    ck_assert_int_eq(api_socket_connect(path, &fd, NULL), 0);
    free(path);
    ck_assert_int_eq(fcntl(fd, F_SETFL, 0), 0);
    ck_assert_int_eq(
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline),
        0);
    return fd;
}

/* Sends one text and returns the next line, as JSON. */
static json_t *
exchange(FILE *stream, const char *text, size_t len)
{
    char *line = NULL;
    size_t size = 0;

    ck_assert_int_eq(send(fileno(stream), text, len, 0), (ssize_t) len);
    ck_assert_int_gt(getline(&line, &size, stream), 0);

    json_t *json = json_loads(line, 0, NULL);

    ck_assert_msg(json != NULL, "%s", line);
    free(line);
    return json;
}

START_TEST(what_is_wrong_is_answered_with_a_code)
{
    static const struct {
        const char *text;
        const char *code;
        const char *message; /* Somewhere in it. */
    } rows[] = {
        {"{\n", "bad-request", "not JSON"},
        {"\xff\xfe\n", "bad-request", "not JSON"},
        {"[]\n", "bad-request", "JSON object"},
        {"{}\n", "bad-request", "op"},
        {"{\"op\":7}\n", "bad-request", "op"},
        {"{\"op\":\"fly\"}\n", "unknown-op", "fly"},
        {"{\"op\":\"query\"}\n", "bad-request", "phf"},
        {"{\"op\":\"query\",\"phf\":1}\n", "bad-request", "phf"},
        {"{\"op\":\"query\",\"phf\":\"{{--dpid\"}\n", "bad-filter", ""},
        {"{\"op\":\"query\",\"phf\":\"(\"}\n", "bad-filter", ""},
        {"{\"op\":\"query\",\"phf\":\".\",\"since\":\"soon\"}\n",
         "bad-request", "since"},
        {"{\"op\":\"query\",\"phf\":\".\",\"until\":[]}\n", "bad-request",
         "until"},
        {"{\"op\":\"query\",\"phf\":\".\",\"limit\":0}\n", "bad-request",
         "limit"},
        {"{\"op\":\"query\",\"phf\":\".\",\"limit\":-1}\n", "bad-request",
         "limit"},
        {"{\"op\":\"query\",\"phf\":\".\",\"order\":\"up\"}\n", "bad-request",
         "order"},
        {"{\"op\":\"cancel\"}\n", "bad-request", "query"},
        {"{\"op\":\"cancel\",\"query\":5}\n", "not-found", ""},
        {"{\"op\":\"trigger.add\"}\n", "bad-request", "phf"},
        {"{\"op\":\"trigger.add\",\"phf\":\"{{--dpid no-such}}\"}\n",
         "bad-filter", "no-such"},
        {"{\"op\":\"trigger.add\",\"phf\":\".\",\"name\":1}\n", "bad-request",
         "name"},
        {"{\"op\":\"trigger.delete\"}\n", "bad-request", "trigger"},
        {"{\"op\":\"trigger.delete\",\"trigger\":77}\n", "not-found", "77"},
        {"{\"op\":\"flow\",\"dpid\":1}\n", "unavailable", "recorder"},
        {"{\"op\":\"flow\",\"dpid\":1,\"version\":12345}\n", "unavailable",
         "recorder"},
        {"{\"op\":\"table\",\"dpid\":1,\"version\":11}\n", "unavailable",
         "recorder"},
    };
    FILE *stream = fdopen(raw_client(), "r");

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *json = exchange(stream, rows[i].text, strlen(rows[i].text));
        json_t *error = json_object_get(json, "error");
        const char *message =
            json_string_value(json_object_get(error, "message"));

        ck_assert(json_is_false(json_object_get(json, "ok")));
        ck_assert_msg(
            !strcmp(json_string_value(json_object_get(error, "code")),
                    rows[i].code),
            "%s: %s", rows[i].text, message);
        ck_assert_msg(strstr(message, rows[i].message), "%s: %s", rows[i].text,
                      message);
        json_decref(json);
    }

    /* A filter's error says where. */
    static const char bad[] =
        "{\"id\":9,\"op\":\"query\",\"phf\":\".*{{--doid 1}}\"}\n";
    json_t *json = exchange(stream, bad, strlen(bad));

    ck_assert_int_eq(json_integer_value(json_object_get(
                         json_object_get(json, "error"), "pos")),
                     4);
    json_decref(json);
    fclose(stream);
}
END_TEST

START_TEST(garbage_does_not_end_the_server)
{
    uint64_t seed = 7;
    struct api_client *client = live_client(&live);

    for (int round = 0; round < 20; round++) {
        int fd = raw_client();
        uint8_t bytes[4096];

        for (size_t i = 0; i < sizeof bytes; i++) {
            bytes[i] = (uint8_t) random_u32(&seed);
        }
        ck_assert_int_gt(send(fd, bytes, sizeof bytes, MSG_NOSIGNAL), 0);
        close(fd);
    }
    live_wait(client, "clients", 22);
    live_check_sums(client);
    api_client_close(client);
}
END_TEST

START_TEST(a_known_rule_is_told_without_a_recorder)
{
    struct api_client *client = live_client(&live);
    json_t *answer = call(
        client, "flow",
        json_pack("{s:s, s:i}", "dpid", "0000000000000002", "version", 92));
    json_t *rule = json_object_get(answer, "rule");

    ck_assert_str_eq(json_string_value(json_object_get(rule, "actions")),
                     "drop");
    json_decref(answer);
    answer = call(client, "topology", NULL);
    ck_assert_uint_eq(json_array_size(json_object_get(
                          json_object_get(answer, "topology"), "switches")),
                      SCENE_SWITCHES);
    json_decref(answer);
    api_client_close(client);
}
END_TEST

START_TEST(triggers_are_listed_counted_and_deleted)
{
    struct api_client *client = live_client(&live);
    struct api_client *other = live_client(&live);
    json_t *answer = call(client, "trigger.add",
                          json_pack("{s:s, s:s}", "phf", ".*", "name", "all"));
    json_int_t trigger =
        json_integer_value(json_object_get(answer, "trigger"));

    ck_assert_int_gt(trigger, 0);
    json_decref(answer);
    live_send(&live, 1, SCENE_SWITCHES, false);
    json_decref(live_next(client));

    answer = call(other, "trigger.list", NULL);

    json_t *list = json_object_get(answer, "triggers");

    ck_assert_uint_eq(json_array_size(list), 1);

    json_t *entry = json_array_get(list, 0);

    ck_assert_str_eq(json_string_value(json_object_get(entry, "name")), "all");
    ck_assert_str_eq(json_string_value(json_object_get(entry, "phf")), ".*");
    ck_assert_int_eq(json_integer_value(json_object_get(entry, "hits")), 1);
    json_decref(answer);

    call_only(other, "trigger.delete", json_pack("{s:I}", "trigger", trigger));
    ck_assert_ptr_null(live_next(client));
    live_send(&live, 2, SCENE_SWITCHES, false);
    live_wait(other, "histories", 2);
    ck_assert_uint_eq(live_counter(other, "trigger_hits"), 1);
    ck_assert_uint_eq(live_counter(other, "triggers"), 0);
    api_client_close(client);
    api_client_close(other);
}
END_TEST

START_TEST(the_triggers_of_a_dead_client_end_with_it)
{
    struct api_client *client = live_client(&live);
    int fd = raw_client();
    static const char requests[] =
        "{\"id\":1,\"op\":\"trigger.add\",\"phf\":\".*\"}\n"
        "{\"id\":2,\"op\":\"trigger.add\",\"phf\":\".\"}\n";

    ck_assert_int_gt(send(fd, requests, strlen(requests), 0), 0);
    live_wait(client, "triggers", 2);
    close(fd);
    live_send(&live, 1, SCENE_SWITCHES, false);
    live_wait(client, "histories", 1);
    /* Its end is seen at the latest when it is written to. */
    for (uint32_t n = 2; live_counter(client, "triggers"); n++) {
        ck_assert_uint_lt(n, 1000);
        live_send(&live, n, SCENE_SWITCHES, false);
    }
    ck_assert_uint_eq(live_counter(client, "clients_now"), 1);
    live_check_sums(client);
    api_client_close(client);
}
END_TEST

START_TEST(a_slow_client_misses_and_is_told_how_many)
{
    const uint32_t n_packets = 6000;
    struct api_client *client = live_client(&live);
    struct api_client *slow = live_client(&live);
    uint64_t n_seen = 0, n_missed = 0;

    call_only(slow, "trigger.add", json_pack("{s:s}", "phf", ".*"));
    for (uint32_t n = 0; n < n_packets; n++) {
        live_send(&live, n, SCENE_SWITCHES, false);
        if (n % 100 == 99) {
            /* The pipeline keeps up although the client does not read. */
            live_wait(client, "histories", n + 1);
        }
    }
    ck_assert_uint_gt(live_counter(client, "trigger_missed"), 0);
    ck_assert_uint_eq(live_counter(client, "kernel_drops"), 0);

    while (n_seen + n_missed < n_packets) {
        struct lh_error error = {.text = "-"};
        json_t *event;

        ck_assert_msg(
            !api_client_next_event(slow, LIVE_DEADLINE_MS, &event, &error),
            "%s, after %llu and %llu", error.text, (unsigned long long) n_seen,
            (unsigned long long) n_missed);

        const char *name = json_string_value(json_object_get(event, "event"));

        if (!strcmp(name, "history")) {
            n_seen++;
        } else {
            ck_assert_str_eq(name, "missed");
            n_missed +=
                (uint64_t) json_integer_value(json_object_get(event, "n"));
        }
        json_decref(event);
    }
    ck_assert_uint_eq(n_seen + n_missed, n_packets);
    ck_assert_uint_eq(n_missed, live_counter(client, "trigger_missed"));
    live_check_sums(client);
    api_client_close(slow);
    api_client_close(client);
}
END_TEST

static json_int_t
first_ns(const json_t *history)
{
    return json_integer_value(json_object_get(
        json_array_get(json_object_get(history, "hops"), 0), "time_ns"));
}

START_TEST(queries_are_in_order_within_time_and_limit)
{
    struct api_client *client = live_client(&live);
    json_int_t times[200];
    size_t n = 0;
    json_t *history;

    for (uint32_t i = 0; i < 200; i++) {
        live_send(&live, i, SCENE_SWITCHES, false);
        if (i % 20 == 19) {
            /* Rounds pass, so that there are many blocks. */
            live_wait(client, "archived", i);
        }
    }
    live_wait(client, "histories", 200);
    call_only(client, "query", json_pack("{s:s}", "phf", ".*"));
    while ((history = live_next(client))) {
        times[n] = first_ns(history);
        ck_assert(!n || times[n] >= times[n - 1]);
        json_decref(history);
        n++;
    }
    ck_assert_uint_eq(n, 200);
    ck_assert_uint_gt(live_counter(client, "archive_blocks"), 3);

    call_only(client, "query",
              json_pack("{s:s, s:s, s:i}", "phf", ".*", "order", "desc",
                        "limit", 7));
    for (n = 200; (history = live_next(client)); n--) {
        ck_assert_int_eq(first_ns(history), times[n - 1]);
        json_decref(history);
    }
    ck_assert_uint_eq(n, 193);

    call_only(client, "query",
              json_pack("{s:s, s:I, s:I}", "phf", ".*", "since", times[50],
                        "until", times[60]));
    for (n = 50; (history = live_next(client)); n++) {
        ck_assert_int_eq(first_ns(history), times[n]);
        json_decref(history);
    }
    ck_assert_uint_eq(n, 60);
    api_client_close(client);
}
END_TEST

START_TEST(a_query_waits_for_a_client_that_does_not_read)
{
    const uint32_t n_packets = 6000;
    struct api_client *client = live_client(&live);
    struct api_client *slow = live_client(&live);
    uint64_t n = 0;
    json_t *history;

    for (uint32_t i = 0; i < n_packets; i++) {
        live_send(&live, i, SCENE_SWITCHES, false);
        if (i % 100 == 99) {
            live_wait(client, "histories", i + 1);
        }
    }
    call_only(slow, "query", json_pack("{s:s}", "phf", ".*"));
    /* Others are served meanwhile, and the query is there still. */
    live_send(&live, n_packets, SCENE_SWITCHES, false);
    live_wait(client, "histories", n_packets + 1);
    ck_assert_uint_eq(live_counter(client, "queries_running"), 1);
    while ((history = live_next(slow))) {
        json_decref(history);
        n++;
    }
    ck_assert_uint_eq(n, n_packets);
    api_client_close(slow);
    api_client_close(client);
}
END_TEST

/* Three that look at every packet, and one that gives out all of them. */
static void
begin_heavy(struct api_client *client, size_t i)
{
    call_only(client, "query",
              json_pack("{s:s}", "phf",
                        i ? "{{--bpf \"ip[4:2] = 65535 and ip[10:2] = 1\"}}"
                          : ".*"));
}

/* Reads what there is; true when the query has ended. */
static bool
read_some(struct api_client *client)
{
    for (int i = 0; i < 200; i++) {
        json_t *history = live_next(client);

        if (!history) {
            return true;
        }
        json_decref(history);
    }
    return false;
}

/* Bursts of a size that the socket holds, each taken before the next comes,
 * while queries run all the time. */
START_TEST(heavy_queries_cost_no_postcard)
{
    enum { N_QUERIES = 4, N_BURSTS = 60, BURST = 50 };
    struct api_client *client = live_client(&live);
    struct api_client *askers[N_QUERIES];
    uint32_t n = 0;
    size_t n_beside = 0; /* Bursts while a query ran. */

    for (; n < 3000; n++) {
        live_send(&live, n, SCENE_SWITCHES, false);
        if (n % BURST == BURST - 1) {
            live_wait(client, "postcards",
                      (uint64_t) (n + 1) * SCENE_SWITCHES);
        }
    }
    live_wait(client, "archived", n / 2);
    for (size_t i = 0; i < N_QUERIES; i++) {
        askers[i] = live_client(&live);
        begin_heavy(askers[i], i);
    }
    for (int burst = 0; burst < N_BURSTS; burst++) {
        for (uint32_t end = n + BURST; n < end; n++) {
            live_send(&live, n, SCENE_SWITCHES, false);
        }
        n_beside += live_counter(client, "queries_running") > 0;
        live_wait(client, "postcards", (uint64_t) n * SCENE_SWITCHES);
        for (size_t i = 0; i < N_QUERIES; i++) {
            if (read_some(askers[i])) {
                begin_heavy(askers[i], i);
            }
        }
    }
    live_wait(client, "histories", n);
    ck_assert_uint_gt(n_beside, N_BURSTS / 2);
    ck_assert_uint_eq(live_counter(client, "kernel_drops"), 0);
    ck_assert_uint_eq(live_counter(client, "postcards"),
                      (uint64_t) n * SCENE_SWITCHES);
    ck_assert_uint_eq(live_counter(client, "histories"), n);
    ck_assert_uint_eq(live_counter(client, "archive_lost"), 0);
    live_check_sums(client);
    for (size_t i = 0; i < N_QUERIES; i++) {
        api_client_close(askers[i]);
    }
    api_client_close(client);
}
END_TEST

START_TEST(a_query_can_be_cancelled)
{
    FILE *stream = fdopen(raw_client(), "r");
    struct api_client *client = live_client(&live);
    static const char requests[] =
        "{\"id\":\"q\",\"op\":\"query\",\"phf\":\".*\"}\n"
        "{\"id\":2,\"op\":\"cancel\",\"query\":\"q\"}\n";

    live_send(&live, 1, SCENE_SWITCHES, false);
    live_wait(client, "archived", 1);

    json_t *answer = exchange(stream, requests, strlen(requests));

    ck_assert(json_is_true(json_object_get(answer, "ok")));
    json_decref(answer);

    json_t *end = exchange(stream, "\n", 1);

    ck_assert_str_eq(json_string_value(json_object_get(end, "event")), "end");
    ck_assert_str_eq(json_string_value(json_object_get(end, "id")), "q");
    ck_assert(json_is_true(json_object_get(end, "cancelled")));
    json_decref(end);
    answer = exchange(stream, "\n", 1);
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "id")), 2);
    ck_assert(json_is_true(json_object_get(answer, "ok")));
    json_decref(answer);
    ck_assert_uint_eq(live_counter(client, "queries_running"), 0);
    api_client_close(client);
    fclose(stream);
}
END_TEST

START_TEST(one_client_has_no_more_queries_than_it_may)
{
    int fd = raw_client();
    FILE *stream = fdopen(fd, "r");
    char text[2000] = "";
    size_t n_refused = 0;

    /* In one write, so that none has ended before the last is begun. */
    for (int i = 0; i < 20; i++) {
        size_t len = strlen(text);

        snprintf(text + len, sizeof text - len,
                 "{\"id\":%d,\"op\":\"query\",\"phf\":\".\"}\n", i);
    }
    ck_assert_int_eq(send(fd, text, strlen(text), 0), (ssize_t) strlen(text));
    for (int i = 0; i < 20; i++) {
        json_t *answer = exchange(stream, "\n", 1);
        json_t *error = json_object_get(answer, "error");

        if (error) {
            ck_assert_str_eq(json_string_value(json_object_get(error, "code")),
                             "limit");
            n_refused++;
        }
        json_decref(answer);
    }
    ck_assert_uint_eq(n_refused, 4);
    fclose(stream);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("server_clients");
    TCase *tc = tcase_create("all");

    signal(SIGPIPE, SIG_IGN);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, what_is_wrong_is_answered_with_a_code);
    tcase_add_test(tc, garbage_does_not_end_the_server);
    tcase_add_test(tc, a_known_rule_is_told_without_a_recorder);
    tcase_add_test(tc, triggers_are_listed_counted_and_deleted);
    tcase_add_test(tc, the_triggers_of_a_dead_client_end_with_it);
    tcase_add_test(tc, a_slow_client_misses_and_is_told_how_many);
    tcase_add_test(tc, queries_are_in_order_within_time_and_limit);
    tcase_add_test(tc, a_query_waits_for_a_client_that_does_not_read);
    tcase_add_test(tc, heavy_queries_cost_no_postcard);
    tcase_add_test(tc, a_query_can_be_cancelled);
    tcase_add_test(tc, one_client_has_no_more_queries_than_it_may);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
