/* SPDX-License-Identifier: Apache-2.0 */
/* test_api_server - requests are answered, slow clients are bounded, and
 * nothing a client does ends the server. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "lib/api_server.h"
#include "lib/api_socket.h"
#include "lib/lh_alloc.h"
#include "tests/lib/pump.h"

static struct event_base *base;
static struct api_server *server;
static struct pump client;
static struct api_call *held;
static int n_closed, n_drained;

static void
echo(struct api_call *call, const json_t *request, void *aux)
{
    api_call_answer(
        call, json_pack("{s:O}", "text", json_object_get(request, "text")));
}

static void
hold(struct api_call *call, const json_t *request, void *aux)
{
    held = call;
}

/* Refuses with a position. */
static void
refuse(struct api_call *call, const json_t *request, void *aux)
{
    struct lh_error error;

    lh_error_set_at(&error, 3, "a blank is missing");
    api_call_fail_error(call, API_BAD_FILTER, &error);
}

/* Answers with "n" bytes. */
static void
big(struct api_call *call, const json_t *request, void *aux)
{
    size_t n = (size_t) json_integer_value(json_object_get(request, "n"));
    char *text = lh_alloc(n + 1);

    memset(text, 'x', n);
    text[n] = '\0';
    api_call_answer(call, json_pack("{s:s}", "big", text));
    free(text);
}

static void
on_close(struct api_peer *peer, void *aux)
{
    n_closed++;
}

static void
on_drain(struct api_peer *peer, void *aux)
{
    n_drained++;
}

static void
set_up_with(const struct api_server_config *config)
{
    base = event_base_new();
    server = api_server_create(base, config);
    api_server_add_op(server, "echo", echo, NULL);
    api_server_add_op(server, "hold", hold, NULL);
    api_server_add_op(server, "refuse", refuse, NULL);
    api_server_add_op(server, "big", big, NULL);
    api_server_adopt(server, pump_init(&client, base));
    held = NULL;
    n_closed = n_drained = 0;
}

static void
set_up(void)
{
    set_up_with(&(struct api_server_config){
        .max_line = 1000,
        .max_events = 20000,
        .max_queue = 100000,
        .max_peers = 2,
        .on_close = on_close,
        .on_drain = on_drain,
    });
}

static void
tear_down(void)
{
    pump_uninit(&client);
    api_server_destroy(server);
    event_base_free(base);
}

START_TEST(answers_carry_the_id)
{
    pump_write(&client, "{\"id\":1,\"op\":\"echo\",\"text\":\"a\"}\n"
                        "{\"op\":\"echo\",\"text\":null,\"id\":\"x\"}\n"
                        "\r\n"
                        "{\"op\":\"echo\",\"text\":[]}\n");
    pump_expect(&client, "{\"id\":1,\"ok\":true,\"text\":\"a\"}");
    pump_expect(&client, "{\"id\":\"x\",\"ok\":true,\"text\":null}");
    pump_expect(&client, "{\"id\":null,\"ok\":true,\"text\":[]}");
    ck_assert_uint_eq(api_server_counters(server)->requests, 3);
}
END_TEST

START_TEST(garbage_gets_an_error_and_the_connection_survives)
{
    static const struct {
        const char *line, *answer;
    } cases[] = {
        {"nonsense", NULL},
        {"{\"id\":1", NULL},
        {"[]", "{\"id\":null,\"ok\":false,\"error\":{\"code\":\"bad-request\","
               "\"message\":\"a request is a JSON object\"}}"},
        {"{\"id\":2}", "{\"id\":2,\"ok\":false,\"error\":{\"code\":"
                       "\"bad-request\",\"message\":"
                       "\"op: is missing: must be a string\"}}"},
        {"{\"id\":[],\"op\":\"echo\"}",
         "{\"id\":null,\"ok\":false,\"error\":{\"code\":\"bad-request\","
         "\"message\":\"id: must be a number or a string\"}}"},
        {"{\"id\":3,\"op\":\"jump\"}",
         "{\"id\":3,\"ok\":false,\"error\":{\"code\":\"unknown-op\","
         "\"message\":\"there is no op \\\"jump\\\"\"}}"},
        {"{\"id\":4,\"op\":\"refuse\"}",
         "{\"id\":4,\"ok\":false,\"error\":{\"code\":\"bad-filter\","
         "\"message\":\"a blank is missing\",\"pos\":3}}"},
        {"\377\376\001", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pump_write(&client, cases[i].line);
        pump_write(&client, "\n");
        if (cases[i].answer) {
            pump_expect(&client, cases[i].answer);
        } else {
            json_t *answer = pump_read(&client);
            const char *code = NULL;

            ck_assert_int_eq(
                json_unpack(answer, "{s:{s:s}}", "error", "code", &code), 0);
            ck_assert_str_eq(code, "bad-request");
            json_decref(answer);
        }
    }
    ck_assert_uint_eq(api_server_counters(server)->refusals,
                      sizeof cases / sizeof cases[0]);
    pump_write(&client, "{\"id\":1,\"op\":\"echo\",\"text\":\"a\"}\n");
    pump_expect(&client, "{\"id\":1,\"ok\":true,\"text\":\"a\"}");
}
END_TEST

START_TEST(a_line_too_long_is_refused_once_and_skipped)
{
    char part[501];

    memset(part, 'x', 500);
    part[500] = '\0';
    for (int i = 0; i < 7; i++) {
        pump_write(&client, part);
        pump_once(base);
    }
    pump_write(&client, "\n{\"id\":1,\"op\":\"echo\",\"text\":1}\n");
    pump_expect(&client,
                "{\"id\":null,\"ok\":false,\"error\":{\"code\":\"limit\","
                "\"message\":\"a request has at most 1000 bytes\"}}");
    pump_expect(&client, "{\"id\":1,\"ok\":true,\"text\":1}");
}
END_TEST

START_TEST(an_answer_may_come_later)
{
    pump_write(&client, "{\"id\":1,\"op\":\"hold\"}\n"
                        "{\"id\":2,\"op\":\"echo\",\"text\":1}\n");
    pump_expect(&client, "{\"id\":2,\"ok\":true,\"text\":1}");
    api_call_fail(held, API_NOT_FOUND, "no switch %d", 5);
    pump_expect(&client,
                "{\"id\":1,\"ok\":false,\"error\":{\"code\":\"not-found\","
                "\"message\":\"no switch 5\"}}");
}
END_TEST

START_TEST(a_call_outlives_its_client)
{
    pump_write(&client, "{\"id\":1,\"op\":\"hold\"}\n");
    while (!held) {
        pump_once(base);
    }
    close(client.fd);
    client.fd = -1;
    while (!n_closed) {
        pump_once(base);
    }
    ck_assert_ptr_null(api_call_peer(held));
    api_call_answer(held, json_pack("{s:i}", "n", 1));
    ck_assert_uint_eq(api_server_n_peers(server), 0);
}
END_TEST

START_TEST(a_client_that_ends_its_side_is_still_served)
{
    struct api_peer *peer;

    pump_write(&client, "{\"id\":1,\"op\":\"hold\"}\n");
    shutdown(client.fd, SHUT_WR);
    while (!held) {
        pump_once(base);
    }
    peer = api_call_peer(held);
    api_call_answer(held, NULL);
    pump_expect(&client, "{\"id\":1,\"ok\":true}");
    json_t *id = json_integer(1);
    api_peer_send(peer, id, "end", NULL);
    json_decref(id);
    pump_expect(&client, "{\"id\":1,\"event\":\"end\"}");
    ck_assert_int_eq(n_closed, 0);
    close(client.fd);
    client.fd = -1;
    while (!n_closed) {
        event_base_loop(base, EVLOOP_ONCE);
    }
}
END_TEST

/* Offers events of 1 kB under 'id' until one is missed, and then 'n_more'. */
static uint64_t
offer_until_missed(struct api_peer *peer, int id, int n_more)
{
    json_t *id_json = json_integer(id);
    uint64_t n_sent = 0;
    char text[1001];

    memset(text, 'e', 1000);
    text[1000] = '\0';
    while (api_peer_offer(peer, id_json, "history",
                          json_pack("{s:s}", "text", text))) {
        n_sent++;
        pump_once(base);
    }
    for (int i = 0; i < n_more; i++) {
        ck_assert(!api_peer_offer(peer, id_json, "history", NULL));
    }
    json_decref(id_json);
    return n_sent;
}

START_TEST(a_slow_client_is_told_what_it_missed)
{
    struct api_peer *peer;
    uint64_t n_sent, n_read = 0;

    pump_write(&client, "{\"id\":1,\"op\":\"hold\"}\n");
    while (!held) {
        pump_once(base);
    }
    peer = api_call_peer(held);
    api_call_answer(held, NULL);
    pump_expect(&client, "{\"id\":1,\"ok\":true}");
    n_sent = offer_until_missed(peer, 1, 4);
    ck_assert_uint_eq(offer_until_missed(peer, 2, 0), 0);
    for (;;) {
        json_t *event = pump_read(&client);
        const char *name = json_string_value(json_object_get(event, "event"));
        bool is_missed = !strcmp(name, "missed");

        if (is_missed) {
            char *text = json_dumps(event, JSON_COMPACT);

            ck_assert_str_eq(text, "{\"id\":1,\"event\":\"missed\",\"n\":5}");
            free(text);
        }
        json_decref(event);
        if (is_missed) {
            break;
        }
        n_read++;
    }
    pump_expect(&client, "{\"id\":2,\"event\":\"missed\",\"n\":1}");
    ck_assert_uint_eq(n_read, n_sent);
    ck_assert_uint_eq(api_server_counters(server)->missed, 6);
    ck_assert_int_gt(n_drained, 0);
    ck_assert(!api_peer_is_busy(peer));
}
END_TEST

START_TEST(more_missed_requests_than_can_be_told_apart_are_summed)
{
    struct api_peer *peer;
    int64_t n_missed = 0;

    pump_write(&client, "{\"id\":1,\"op\":\"hold\"}\n");
    while (!held) {
        pump_once(base);
    }
    peer = api_call_peer(held);
    api_call_answer(held, NULL);
    for (int id = 0; id < 100; id++) {
        offer_until_missed(peer, id, 0);
    }
    while (n_missed < 100) {
        json_t *event = pump_read(&client);

        n_missed += json_integer_value(json_object_get(event, "n"));
        json_decref(event);
    }
    ck_assert_int_eq(n_missed, 100);
}
END_TEST

START_TEST(a_client_that_reads_nothing_is_closed)
{
    pump_write(&client, "{\"id\":1,\"op\":\"big\",\"n\":1000000}\n");
    pump_until_closed(&client);
    ck_assert_int_eq(n_closed, 1);
    ck_assert_uint_eq(api_server_counters(server)->peers_slow, 1);
}
END_TEST

START_TEST(requests_wait_while_answers_are_not_read)
{
    static const char request[] = "{\"op\":\"big\",\"n\":500}\n";
    const int n_requests = 2000;
    char *all = lh_alloc(n_requests * strlen(request) + 1);
    int n_answers = 0;

    for (int i = 0; i < n_requests; i++) {
        strcpy(all + i * strlen(request), request);
    }
    pump_write(&client, all);
    free(all);
    while (n_answers < n_requests) {
        json_decref(pump_read(&client));
        n_answers++;
    }
    ck_assert_int_eq(n_closed, 0);
}
END_TEST

START_TEST(too_many_clients_are_told_so)
{
    struct pump second, third;

    api_server_adopt(server, pump_init(&second, base));
    api_server_adopt(server, pump_init(&third, base));
    pump_expect(&third,
                "{\"id\":null,\"ok\":false,\"error\":{\"code\":\"limit\","
                "\"message\":\"too many clients\"}}");
    pump_until_closed(&third);
    ck_assert_uint_eq(api_server_n_peers(server), 2);
    ck_assert_uint_eq(api_server_counters(server)->peers_refused, 1);
    pump_uninit(&second);
    pump_uninit(&third);
}
END_TEST

START_TEST(destroying_the_server_closes_its_clients)
{
    api_server_destroy(server);
    server = NULL;
    ck_assert_int_eq(n_closed, 1);
    pump_until_closed(&client);
}
END_TEST

/* --- listening ------------------------------------------------------------
 */

static char dir[] = "/tmp/lasthop-test-XXXXXX";
static char *path;

static void
set_up_dir(void)
{
    set_up();
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    path = lh_asprintf("%s/run/server.sock", dir);
}

static void
tear_down_dir(void)
{
    char *run = lh_asprintf("%s/run", dir);

    tear_down();
    unlink(path);
    rmdir(path);
    rmdir(run);
    rmdir(dir);
    free(run);
    free(path);
}

START_TEST(listens_with_mode_0660_in_a_directory_it_makes)
{
    struct lh_error error;
    struct stat st;
    int fd;

    umask(0);
    ck_assert_int_eq(api_server_listen(server, path, &error), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0660);
    ck_assert_int_eq(api_socket_connect(path, &fd, &error), 0);
    while (api_server_n_peers(server) < 2) {
        pump_once(base);
    }
    close(fd);
    api_server_destroy(server);
    server = NULL;
    ck_assert_int_ne(stat(path, &st), 0);
}
END_TEST

START_TEST(a_socket_in_use_is_left_alone)
{
    struct api_server *second =
        api_server_create(base, &(struct api_server_config){0});
    struct lh_error error;
    int fd;

    ck_assert_int_eq(api_server_listen(server, path, &error), 0);
    ck_assert_int_eq(api_server_listen(second, path, &error), EADDRINUSE);
    ck_assert_ptr_nonnull(strstr(error.text, path));
    ck_assert_ptr_nonnull(strstr(error.text, "another process"));
    api_server_destroy(second);
    ck_assert_int_eq(api_socket_connect(path, &fd, &error), 0);
    close(fd);
}
END_TEST

START_TEST(a_stale_socket_is_taken_over)
{
    struct lh_error error;
    int fd;

    ck_assert_int_eq(api_socket_listen(path, &fd, &error), 0);
    close(fd);
    ck_assert_int_eq(api_socket_connect(path, &fd, &error), ECONNREFUSED);
    ck_assert_ptr_nonnull(strstr(error.text, path));
    ck_assert_int_eq(api_server_listen(server, path, &error), 0);
}
END_TEST

/* A daemon that starts: waits until 'go' is closed, listens, tells by 'told'
 * whether it does, and stays until 'end' is closed. */
static void
start_late(int go, int told, int end)
{
    struct lh_error error;
    char byte, has_won;
    int fd;

    ck_assert_int_eq(read(go, &byte, 1), 0);
    has_won = !api_socket_listen(path, &fd, &error);
    ck_assert_int_eq(write(told, &has_won, 1), 1);
    ck_assert_int_eq(read(end, &byte, 1), 0);
    _exit(0);
}

START_TEST(of_many_that_find_a_stale_socket_one_takes_it)
{
    enum { ROUNDS = 40, STARTERS = 6 };
    struct lh_error error;

    for (int round = 0; round < ROUNDS; round++) {
        int go[2], told[2], end[2], fd, n_won = 0;

        ck_assert_int_eq(api_socket_listen(path, &fd, &error), 0);
        close(fd);
        ck_assert(!pipe(go) && !pipe(told) && !pipe(end));
        for (int i = 0; i < STARTERS; i++) {
            if (!fork()) {
                close(go[1]);
                close(end[1]);
                start_late(go[0], told[1], end[0]);
            }
        }
        close(go[1]);
        for (int i = 0; i < STARTERS; i++) {
            char has_won;

            ck_assert_int_eq(read(told[0], &has_won, 1), 1);
            n_won += has_won;
        }
        ck_assert_int_eq(n_won, 1);
        ck_assert_int_eq(api_socket_connect(path, &fd, &error), 0);
        close(fd);
        close(end[1]);
        for (int i = 0; i < STARTERS; i++) {
            ck_assert_int_gt(wait(NULL), 0);
        }
        close(go[0]);
        close(told[0]);
        close(told[1]);
        close(end[0]);
    }
}
END_TEST

START_TEST(what_is_no_socket_is_not_removed)
{
    struct lh_error error;
    char *run = lh_asprintf("%s/run", dir);

    ck_assert_int_eq(mkdir(run, 0755), 0);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    ck_assert_int_eq(api_server_listen(server, path, &error), EEXIST);
    ck_assert_ptr_nonnull(strstr(error.text, path));
    free(run);
}
END_TEST

START_TEST(a_bad_path_is_named)
{
    struct lh_error error;
    char *deep = lh_asprintf("%s/no/such/dir/server.sock", dir);
    char *far = lh_asprintf("%s/%0120d", dir, 0);

    ck_assert_int_eq(api_server_listen(server, deep, &error), ENOENT);
    ck_assert_ptr_nonnull(strstr(error.text, dir));
    ck_assert_int_eq(api_server_listen(server, far, &error), ENAMETOOLONG);
    ck_assert_ptr_nonnull(strstr(error.text, "at most 107"));
    free(deep);
    free(far);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("api_server");
    TCase *talk = tcase_create("talk");
    TCase *listen = tcase_create("listen");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(talk, set_up, tear_down);
    tcase_add_test(talk, answers_carry_the_id);
    tcase_add_test(talk, garbage_gets_an_error_and_the_connection_survives);
    tcase_add_test(talk, a_line_too_long_is_refused_once_and_skipped);
    tcase_add_test(talk, an_answer_may_come_later);
    tcase_add_test(talk, a_call_outlives_its_client);
    tcase_add_test(talk, a_client_that_ends_its_side_is_still_served);
    tcase_add_test(talk, a_slow_client_is_told_what_it_missed);
    tcase_add_test(talk,
                   more_missed_requests_than_can_be_told_apart_are_summed);
    tcase_add_test(talk, a_client_that_reads_nothing_is_closed);
    tcase_add_test(talk, requests_wait_while_answers_are_not_read);
    tcase_add_test(talk, too_many_clients_are_told_so);
    tcase_add_test(talk, destroying_the_server_closes_its_clients);
    suite_add_tcase(suite, talk);
    tcase_add_checked_fixture(listen, set_up_dir, tear_down_dir);
    tcase_add_test(listen, listens_with_mode_0660_in_a_directory_it_makes);
    tcase_add_test(listen, a_socket_in_use_is_left_alone);
    tcase_add_test(listen, a_stale_socket_is_taken_over);
    tcase_add_test(listen, of_many_that_find_a_stale_socket_one_takes_it);
    tcase_add_test(listen, what_is_no_socket_is_not_removed);
    tcase_add_test(listen, a_bad_path_is_named);
    suite_add_tcase(suite, listen);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed != 0;
}
