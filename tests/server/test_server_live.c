/* SPDX-License-Identifier: Apache-2.0 */
/* Runs lasthop-server as a daemon: postcards come by UDP, histories go to
 * triggers, the archive and queries; it is ended, killed and started again. */
#include <config.h>

#include <check.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/lh_alloc.h"
#include "tests/lib/archive_fixture.h"
#include "tests/server/live.h"

/* What every server here is given; @ is its directory. */
#define KNOWLEDGE                                                             \
    "--topology=@/topology.json", "--rules=@/rules.jsonl", "--recorder=none", \
        "--accept=127.0.0.1"

static struct live live;

static void
tear_down(void)
{
    if (live.dir) {
        live_uninit(&live);
        live.dir = NULL;
    }
}

static void
call(struct api_client *client, const char *op, json_t *members)
{
    struct lh_error error = {.text = "-"};

    ck_assert_msg(
        !api_client_call(client, op, members, LIVE_DEADLINE_MS, NULL, &error),
        "%s: %s", op, error.text);
}

static const char *
verdict_of(const json_t *history)
{
    return json_string_value(
        json_object_get(json_object_get(history, "verdict"), "name"));
}

START_TEST(a_trigger_fires_when_the_packet_is_complete)
{
    /* A window that never ends within the test: early closing it is. */
    live_init(&live, KNOWLEDGE, "--window=1h", NULL);
    live_start(&live);

    struct api_client *client = live_client(&live);

    call(client, "trigger.add",
         json_pack("{s:s, s:s}", "phf", "{{--outport DROP}}$", "name",
                   "drops"));
    live_send(&live, 1, SCENE_SWITCHES, false);
    live_send(&live, 2, 3, true);

    json_t *history = live_next(client);

    ck_assert_str_eq(verdict_of(history), "dropped");
    ck_assert_uint_eq(json_array_size(json_object_get(history, "hops")), 3);
    ck_assert_str_eq(
        json_string_value(json_object_get(
            json_array_get(json_object_get(history, "hops"), 2), "switch")),
        "s3");
    json_decref(history);
    live_wait(client, "delivered", 1);
    ck_assert_uint_eq(live_counter(client, "trigger_hits"), 1);
    ck_assert_uint_eq(live_counter(client, "closed_early"), 2);
    live_check_sums(client);
    api_client_close(client);
}
END_TEST

START_TEST(a_flood_is_taken_and_so_is_what_comes_after_it)
{
    enum { N_FLOOD = 2000 };

    live_init(&live, KNOWLEDGE, "--window=1h", NULL);
    live_start(&live);

    struct api_client *client = live_client(&live);

    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < N_FLOOD; i++) {
            live_send(&live, i, 1, true);
        }
        live_wait(client, "datagrams", (N_FLOOD + 1) * round + N_FLOOD);
        /* Nobody is looking for more now: this one has to wake it. */
        live_send(&live, 1, 1, true);
        live_wait(client, "datagrams", (N_FLOOD + 1) * (round + 1));
    }
    ck_assert_uint_eq(live_counter(client, "kernel_drops"), 0);
    live_wait(client, "postcards", 2 * (N_FLOOD + 1));
    live_check_sums(client);
    api_client_close(client);
}
END_TEST

START_TEST(an_incomplete_packet_is_closed_by_the_clock)
{
    live_init(&live, KNOWLEDGE, "--window=100ms", NULL);
    live_start(&live);

    struct api_client *client = live_client(&live);

    call(client, "trigger.add", json_pack("{s:s}", "phf", ".*"));
    live_send(&live, 1, 2, false);

    /* Nothing else comes: only the server's own timer can do it. */
    json_t *history = live_next(client);

    ck_assert_str_eq(verdict_of(history), "lost");
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_object_get(history, "verdict"), "evidence")),
                     "uncertain");
    json_decref(history);
    live_check_sums(client);
    api_client_close(client);
}
END_TEST

START_TEST(strangers_are_refused_and_counted)
{
    live_init(&live, "--topology=@/topology.json", "--recorder=none", NULL);
    live_start(&live);

    struct api_client *client = live_client(&live);

    live_send(&live, 1, 3, false);
    live_wait(client, "foreign", 3);
    ck_assert_uint_eq(live_counter(client, "postcards"), 0);
    live_check_sums(client);
    api_client_close(client);

    char *log = live_log(&live);

    ck_assert_ptr_nonnull(strstr(log, "postcards from 127.0.0.1 refused"));
    free(log);
}
END_TEST

/* Sends a postcard to 'port' of an address of this machine. */
static void
send_to(const struct sockaddr *to, socklen_t len)
{
    struct scene_card card;
    uint8_t datagram[2048];
    int fd = socket(to->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    scene_card(&card, 1, 1, true, 0);

    size_t n = scene_datagram(&card, datagram);

    ck_assert_int_eq(sendto(fd, datagram, n, 0, to, len), (ssize_t) n);
    close(fd);
}

START_TEST(without_an_address_it_listens_to_both_families)
{
    struct sockaddr_in ip4 = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 ip6 = {.sin6_family = AF_INET6,
                               .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int probe = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof ip6;

    /* A machine without IPv6 has no port to test. */
    if (probe < 0 || bind(probe, (struct sockaddr *) &ip6, len)) {
        close(probe);
        return;
    }
    ck_assert_int_eq(getsockname(probe, (struct sockaddr *) &ip6, &len), 0);
    close(probe);
    ip4.sin_port = ip6.sin6_port;

    char *listen = lh_asprintf("--listen=geneve::%u", ntohs(ip6.sin6_port));

    live_init(&live, KNOWLEDGE, "--accept=::1", listen, NULL);
    free(listen);
    live_start(&live);

    struct api_client *client = live_client(&live);

    send_to((struct sockaddr *) &ip4, sizeof ip4);
    send_to((struct sockaddr *) &ip6, sizeof ip6);
    live_wait(client, "received", 2);
    ck_assert_uint_eq(live_counter(client, "postcards"), 2);
    live_check_sums(client);
    api_client_close(client);
}
END_TEST

START_TEST(what_is_no_postcard_is_counted_by_kind)
{
    static const uint8_t geneve[8] = {0, 0, 0x65, 0x58};
    static const uint8_t other_option[16] = {2, 0, 0x65, 0x58, 0, 0,
                                             0, 0, 0x01, 0x02, 3, 1};
    static const uint8_t cut_options[12] = {0x3f, 0, 0x65, 0x58};

    live_init(&live, KNOWLEDGE, NULL);
    live_start(&live);

    struct api_client *client = live_client(&live);

    ck_assert_int_eq(send(live.fd, "", 0, 0), 0);
    ck_assert_int_eq(send(live.fd, "x", 1, 0), 1);
    ck_assert_int_eq(send(live.fd, geneve, sizeof geneve, 0), 8);
    ck_assert_int_eq(send(live.fd, other_option, sizeof other_option, 0), 16);
    ck_assert_int_eq(send(live.fd, cut_options, sizeof cut_options, 0), 12);
    live_wait(client, "received", 5);
    ck_assert_uint_eq(live_counter(client, "postcards"), 0);
    ck_assert_uint_ge(live_counter(client, "no_option"), 1);
    ck_assert_uint_ge(live_counter(client, "truncated"), 1);
    live_check_sums(client);
    api_client_close(client);
}
END_TEST

START_TEST(a_query_sees_what_is_not_durable_yet)
{
    live_init(&live, KNOWLEDGE, "--archive=@/archive", "--round=1h", NULL);
    live_start(&live);

    struct api_client *client = live_client(&live);

    for (uint32_t n = 0; n < 20; n++) {
        live_send(&live, n, n % 2 ? SCENE_SWITCHES : 2, n % 2 == 0);
    }
    live_wait(client, "histories", 20);
    ck_assert_uint_eq(live_counter(client, "archived"), 0);
    call(client, "query", json_pack("{s:s}", "phf", "{{--verdict dropped}}"));

    size_t n = 0;
    json_t *history;

    while ((history = live_next(client))) {
        ck_assert_str_eq(verdict_of(history), "dropped");
        json_decref(history);
        n++;
    }
    ck_assert_uint_eq(n, 10);
    live_check_sums(client);
    api_client_close(client);
}
END_TEST

START_TEST(sigterm_flushes)
{
    live_init(&live, KNOWLEDGE, "--archive=@/archive", "--window=1h",
              "--round=1h", NULL);
    live_start(&live);

    struct api_client *client = live_client(&live);

    live_send(&live, 1, SCENE_SWITCHES, false);
    live_send(&live, 2, 2, false);
    live_wait(client, "received", SCENE_SWITCHES + 2);
    live_wait(client, "histories", 1);
    ck_assert_uint_eq(live_counter(client, "open_postcards"), 2);
    ck_assert_int_eq(live_stop(&live, SIGTERM), 0);
    api_client_close(client);

    char *archive = lh_asprintf("%s/archive", live.dir);
    struct archive_reader *reader = fixture_reader(archive);

    ck_assert_uint_eq(fixture_count(reader), 2);
    archive_reader_close(reader);
    free(archive);
}
END_TEST

START_TEST(kill_9_keeps_what_was_durable)
{
    live_init(&live, KNOWLEDGE, "--archive=@/archive", "--round=10ms", NULL);
    live_start(&live);

    struct api_client *client = live_client(&live);

    for (uint32_t n = 0; n < 500; n++) {
        live_send(&live, n, SCENE_SWITCHES, false);
        if (n == 300) {
            live_wait(client, "archived", 1);
        }
    }

    uint64_t promised = live_counter(client, "archived");

    ck_assert_int_eq(live_stop(&live, SIGKILL), 128 + SIGKILL);
    api_client_close(client);
    ck_assert_uint_gt(promised, 0);

    live_start(&live);
    client = live_client(&live);
    call(client, "query", json_pack("{s:s}", "phf", ".*"));

    uint64_t n = 0;
    json_t *history;

    while ((history = live_next(client))) {
        json_decref(history);
        n++;
    }
    ck_assert_uint_ge(n, promised);
    api_client_close(client);
}
END_TEST

/* Runs a second server with one argument more; returns its status. */
static int
run_second(const char *arguments)
{
    char *command = lh_asprintf("bin/lasthop-server --recorder none %s > "
                                "/dev/null 2> %s/second",
                                arguments, live.dir);
    int status = system(command);

    free(command);
    return WEXITSTATUS(status);
}

static void
check_second(const char *text)
{
    char *path = lh_asprintf("%s/second", live.dir);
    char said[1000] = "";
    FILE *stream = fopen(path, "r");

    ck_assert_uint_gt(fread(said, 1, sizeof said - 1, stream), 0);
    fclose(stream);
    free(path);
    ck_assert_msg(strstr(said, text), "%s", said);
}

START_TEST(what_is_in_use_is_said)
{
    char *arguments, *text;

    live_init(&live, KNOWLEDGE, "--archive=@/archive", NULL);
    live_start(&live);

    /* The UDP port. */
    arguments = lh_asprintf("--rundir %s/two --listen geneve:127.0.0.1:%u",
                            live.dir, live.port);
    text = lh_asprintf("cannot listen at 127.0.0.1:%u: Address already in "
                       "use",
                       live.port);
    ck_assert_int_eq(run_second(arguments), 2);
    check_second(text);
    free(arguments);
    free(text);

    /* The socket for clients. */
    arguments =
        lh_asprintf("--rundir %s --listen geneve:127.0.0.1:0", live.dir);
    ck_assert_int_eq(run_second(arguments), 2);
    check_second("server.sock");
    free(arguments);

    /* The archive. */
    arguments = lh_asprintf("--rundir %s/two --listen geneve:127.0.0.1:0 "
                            "--archive %s/archive",
                            live.dir, live.dir);
    text = lh_asprintf("(process %ld) writes here", (long) live.pid);
    ck_assert_int_eq(run_second(arguments), 2);
    check_second(text);
    free(arguments);
    free(text);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("server_live");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, NULL, tear_down);
    tcase_add_test(tc, a_trigger_fires_when_the_packet_is_complete);
    tcase_add_test(tc, a_flood_is_taken_and_so_is_what_comes_after_it);
    tcase_add_test(tc, an_incomplete_packet_is_closed_by_the_clock);
    tcase_add_test(tc, strangers_are_refused_and_counted);
    tcase_add_test(tc, without_an_address_it_listens_to_both_families);
    tcase_add_test(tc, what_is_no_postcard_is_counted_by_kind);
    tcase_add_test(tc, a_query_sees_what_is_not_durable_yet);
    tcase_add_test(tc, sigterm_flushes);
    tcase_add_test(tc, kill_9_keeps_what_was_durable);
    tcase_add_test(tc, what_is_in_use_is_said);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
