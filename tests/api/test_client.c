/* SPDX-License-Identifier: Apache-2.0 */
/* liblasthop as programs of others use it, with a running lasthop-server. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <lasthop/client.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/api_socket.h"
#include "lib/lh_alloc.h"
#include "tests/server/live.h"

static struct live live;

static void
set_up(void)
{
    live_init(&live, "--topology=@/topology.json", "--rules=@/rules.jsonl",
              "--recorder=none", "--accept=127.0.0.1", "--archive=@/archive",
              "--round=50ms", NULL);
    live_start(&live);
    ck_assert_int_eq(setenv("LASTHOP_RUNDIR", live.dir, 1), 0);
}

static void
tear_down(void)
{
    live_uninit(&live);
}

/* Sends packets 'first' up to 'n' of them, and waits until they are stored. */
static void
send_packets(uint32_t first, uint32_t n, bool drops)
{
    struct api_client *client = live_client(&live);
    uint64_t before = live_counter(client, "archived");

    for (uint32_t i = 0; i < n; i++) {
        live_send(&live, first + i, SCENE_SWITCHES, drops);
    }
    live_wait(client, "archived", before + n);
    api_client_close(client);
}

static struct lasthop_client *
connected(void)
{
    struct lasthop_client *client = lasthop_client_create(NULL);

    ck_assert_msg(!lasthop_client_connect(client), "%s",
                  lasthop_client_error(client));
    ck_assert_int_eq(lasthop_client_state(client), LASTHOP_UP);
    return client;
}

/* What came of a request. */
struct seen {
    size_t n;
    uint64_t n_missed, gap_since_ns, gap_until_ns;
    char why[80]; /* Of the gap. */
    size_t n_answers, n_ends;
    int result;
    struct lasthop_history *last; /* Reference. */
    size_t stop_at;               /* Destroys the request then; 0: never. */
    struct event_base *base;
    unsigned int n_up, n_down;
};

static void
on_history(struct lasthop_request *r, struct lasthop_history *h, void *seen_)
{
    struct seen *seen = seen_;

    seen->n++;
    lasthop_history_unref(seen->last);
    seen->last = lasthop_history_ref(h);
    if (seen->n == seen->stop_at) {
        lasthop_request_destroy(r);
    }
}

static void
on_answer(struct lasthop_request *r, void *seen_)
{
    struct seen *seen = seen_;

    seen->n_answers++;
}

static void
on_missed(struct lasthop_request *r, uint64_t n, uint64_t since_ns,
          uint64_t until_ns, void *seen_)
{
    struct seen *seen = seen_;

    seen->n_missed += n;
    if (!n) {
        seen->gap_since_ns = since_ns;
        seen->gap_until_ns = until_ns;
        snprintf(seen->why, sizeof seen->why, "%s",
                 lasthop_request_missed_why(r));
    }
}

static void
on_end(struct lasthop_request *r, int result, void *seen_)
{
    struct seen *seen = seen_;

    seen->n_ends++;
    seen->result = result;
}

static void
on_state(struct lasthop_client *client, enum lasthop_state state,
         const char *why, void *seen_)
{
    struct seen *seen = seen_;

    if (state == LASTHOP_UP) {
        ck_assert_ptr_null(why);
        seen->n_up++;
    } else {
        ck_assert_ptr_nonnull(why);
        seen->n_down++;
    }
}

static struct lasthop_request *
request(struct lasthop_client *client, const char *op, const char *phf,
        struct seen *seen)
{
    struct lasthop_request *r = lasthop_request_create(client, op);

    *seen = (struct seen){.n = 0};
    if (phf) {
        lasthop_request_set_text(r, "phf", phf);
    }
    lasthop_request_on_history(r, on_history, seen);
    lasthop_request_on_answer(r, on_answer, seen);
    lasthop_request_on_missed(r, on_missed, seen);
    lasthop_request_on_end(r, on_end, seen);
    return r;
}

START_TEST(a_query_gives_histories_and_ends)
{
    struct lasthop_client *client;
    struct lasthop_request *query;
    struct seen seen;
    int64_t scanned;

    send_packets(0, 5, true);
    send_packets(5, 5, false);
    client = connected();
    query = request(client, "query", "{{--verdict dropped}}", &seen);
    lasthop_request_set_text(query, "since", "-1h");
    lasthop_request_set_number(query, "limit", 3);
    ck_assert_int_eq(lasthop_request_result(query), ENOENT);
    ck_assert_int_eq(lasthop_request_run(query, LIVE_DEADLINE_MS), 0);
    ck_assert_uint_eq(seen.n, 3);
    ck_assert_uint_eq(seen.n_answers, 1);
    ck_assert_uint_eq(seen.n_ends, 1);
    ck_assert_int_eq(seen.result, 0);
    ck_assert(lasthop_request_number(query, "scanned", &scanned));
    ck_assert_int_ge(scanned, 3);
    ck_assert_ptr_nonnull(
        strstr(lasthop_request_end(query), "\"truncated\":true"));

    /* It may be asked again. */
    ck_assert_int_eq(lasthop_request_run(query, LIVE_DEADLINE_MS), 0);
    ck_assert_uint_eq(seen.n, 6);
    lasthop_history_unref(seen.last);
    lasthop_client_destroy(client);
}
END_TEST

START_TEST(a_history_tells_all_that_is_in_it)
{
    struct lasthop_client *client;
    struct lasthop_request *query;
    const struct lasthop_hop *hop;
    struct seen seen;
    uint32_t port, version;
    uint64_t dpid, id;
    const uint32_t *numbers;
    size_t n, size;
    char *text;
    FILE *stream;

    send_packets(0, 1, true);
    client = connected();
    query = request(client, "query", ".*", &seen);
    ck_assert_int_eq(lasthop_request_run(query, LIVE_DEADLINE_MS), 0);
    ck_assert_uint_eq(seen.n, 1);
    ck_assert(lasthop_history_packet_id(seen.last, &id));
    ck_assert_str_eq(lasthop_history_verdict(seen.last), "dropped");
    lasthop_history_verdict_at(seen.last, &dpid, &port, &version);
    ck_assert_uint_eq(dpid, SCENE_SWITCHES);
    ck_assert_ptr_nonnull(lasthop_history_verdict_reason(seen.last));
    ck_assert_uint_ge(lasthop_history_last_ns(seen.last),
                      lasthop_history_first_ns(seen.last));
    ck_assert_uint_eq(lasthop_history_n_hops(seen.last), SCENE_SWITCHES);

    hop = lasthop_history_hop(seen.last, 0);
    ck_assert_uint_eq(lasthop_hop_dpid(hop), 1);
    ck_assert_int_eq(lasthop_hop_parent(hop), -1);
    ck_assert_uint_ne(lasthop_hop_in_port(hop), LASTHOP_PORT_UNKNOWN);
    ck_assert_uint_ne(lasthop_hop_time_ns(hop), 0);
    ck_assert(lasthop_hop_is_observed(hop));
    numbers = lasthop_hop_out_ports(hop, &n);
    ck_assert_uint_eq(n, 1);
    ck_assert_uint_ne(numbers[0], LASTHOP_PORT_UNKNOWN);
    lasthop_hop_versions(hop, &n);
    ck_assert_uint_eq(n, 1);
    ck_assert_ptr_nonnull(lasthop_hop_header(hop, &n));
    ck_assert_uint_ge(n, 14);
    ck_assert_ptr_null(lasthop_hop_verdict(hop));
    hop = lasthop_history_hop(seen.last, SCENE_SWITCHES - 1);
    ck_assert_str_eq(lasthop_hop_verdict(hop), "dropped");

    text = lasthop_history_json(seen.last);
    ck_assert_ptr_nonnull(strstr(text, "\"packet_id\""));
    free(text);
    stream = open_memstream(&text, &size);
    lasthop_history_print(seen.last, stream, LASTHOP_PRINT_UTC);
    fclose(stream);
    ck_assert_ptr_nonnull(strstr(text, "#0 "));
    ck_assert_ptr_nonnull(strstr(text, "dropped"));
    free(text);
    lasthop_history_unref(seen.last);
    lasthop_client_destroy(client);
}
END_TEST

START_TEST(what_is_refused_says_why_and_where)
{
    struct lasthop_client *client = connected();
    struct seen seen;
    struct lasthop_request *r =
        request(client, "query", "{{--doid 2}}", &seen);

    ck_assert_int_eq(lasthop_request_run(r, LIVE_DEADLINE_MS), EINVAL);
    ck_assert_int_eq(lasthop_request_error_pos(r), 2);
    ck_assert_ptr_nonnull(strstr(lasthop_request_error(r), "no such term"));
    ck_assert_uint_eq(seen.n_ends, 1);
    r = request(client, "fly", NULL, &seen);
    ck_assert_int_eq(lasthop_request_run(r, LIVE_DEADLINE_MS), EOPNOTSUPP);
    r = request(client, "query", "\xff", &seen);
    ck_assert_int_eq(lasthop_request_run(r, LIVE_DEADLINE_MS), EINVAL);
    ck_assert_ptr_nonnull(strstr(lasthop_request_error(r), "phf"));
    r = request(client, "flow", NULL, &seen);
    lasthop_request_set_json(r, "dpid", "{");
    ck_assert_int_eq(lasthop_request_start(r), EINVAL);
    r = request(client, "trigger.add", ".", &seen);
    ck_assert_int_eq(lasthop_request_cancel(r), ENOENT);

    /* And the connection goes on. */
    r = request(client, "stats", NULL, &seen);
    ck_assert_int_eq(lasthop_request_run(r, LIVE_DEADLINE_MS), 0);
    ck_assert_ptr_nonnull(
        strstr(lasthop_request_answer(r), "\"histories\":0"));
    lasthop_client_destroy(client);
}
END_TEST

START_TEST(a_trigger_follows_until_it_is_cancelled)
{
    struct lasthop_client *client = connected();
    struct seen seen;
    struct lasthop_request *r = request(client, "trigger.add", ".*", &seen);
    struct api_client *other = live_client(&live);

    ck_assert_int_eq(lasthop_request_start(r), 0);
    ck_assert_int_eq(lasthop_request_start(r), EALREADY);
    ck_assert_int_eq(lasthop_request_wait_answer(r, LIVE_DEADLINE_MS), 0);
    send_packets(0, 3, false);
    while (seen.n < 3) {
        ck_assert_int_eq(lasthop_client_process(client, LIVE_DEADLINE_MS), 0);
    }
    ck_assert_int_eq(lasthop_request_wait(r, 0), EINPROGRESS);
    ck_assert_int_eq(lasthop_request_cancel(r), 0);
    ck_assert_int_eq(seen.result, ECANCELED);
    ck_assert_int_eq(lasthop_client_process(client, 0), ETIMEDOUT);

    /* One that is cancelled before it was answered is deleted too. */
    ck_assert_int_eq(lasthop_request_start(r), 0);
    lasthop_request_destroy(r);
    lasthop_history_unref(seen.last);
    r = request(client, "stats", NULL, &seen);
    ck_assert_int_eq(lasthop_request_run(r, LIVE_DEADLINE_MS), 0);
    ck_assert_uint_eq(live_counter(other, "triggers"), 0);
    api_client_close(other);
    lasthop_client_destroy(client);
}
END_TEST

START_TEST(a_request_may_end_in_its_own_callback)
{
    struct lasthop_client *client;
    struct seen seen;
    struct lasthop_request *r;

    send_packets(0, 10, false);
    client = connected();
    r = request(client, "query", ".*", &seen);
    seen.stop_at = 2;
    ck_assert_int_eq(lasthop_request_start(r), 0);
    while (seen.n < 2) {
        ck_assert_int_eq(lasthop_client_process(client, LIVE_DEADLINE_MS), 0);
    }
    r = lasthop_request_create(client, "stats");
    ck_assert_int_eq(lasthop_request_run(r, LIVE_DEADLINE_MS), 0);
    ck_assert_uint_eq(seen.n, 2);
    lasthop_history_unref(seen.last);
    lasthop_client_destroy(client);
}
END_TEST

START_TEST(a_server_that_is_away_is_named)
{
    struct lasthop_client *client = lasthop_client_create("unix:/nowhere/s");

    ck_assert_int_eq(lasthop_client_connect(client), ENOENT);
    ck_assert_str_eq(lasthop_client_error(client),
                     "/nowhere/s: nobody listens there");
    ck_assert_str_eq(lasthop_client_address(client), "/nowhere/s");
    ck_assert_int_eq(lasthop_client_process(client, -1), ENOENT);
    lasthop_client_destroy(client);
    client = lasthop_client_create("ssl:nonsense");
    ck_assert_int_eq(lasthop_client_connect(client), EINVAL);
    lasthop_client_destroy(client);
    lasthop_client_destroy(NULL);
    lasthop_request_destroy(NULL);
}
END_TEST

START_TEST(a_hung_server_is_not_waited_for)
{
    struct lasthop_client *client = lasthop_client_create(NULL);
    struct lasthop_client *late = lasthop_client_create(NULL);
    struct seen seen;
    struct lasthop_request *r;

    lasthop_client_set_timeout(client, 300);
    ck_assert_int_eq(lasthop_client_connect(client), 0);
    r = request(client, "stats", NULL, &seen);
    ck_assert_int_eq(kill(live.pid, SIGSTOP), 0);

    /* Neither a question, nor a new connection, nor one that only listens. */
    int result = lasthop_request_run(r, -1);

    /* Or the connection was found to be dead before. */
    ck_assert(result == ETIMEDOUT || result == ECONNRESET);
    ck_assert_ptr_nonnull(strstr(lasthop_request_error(r), live.dir));
    lasthop_client_set_timeout(late, 100);
    ck_assert_int_eq(lasthop_client_connect(late), ETIMEDOUT);
    while (lasthop_client_state(client) == LASTHOP_UP) {
        lasthop_client_process(client, LIVE_DEADLINE_MS);
    }
    ck_assert_ptr_nonnull(
        strstr(lasthop_client_error(client), "answers nothing"));
    ck_assert_int_eq(kill(live.pid, SIGCONT), 0);
    lasthop_client_destroy(client);
    lasthop_client_destroy(late);
}
END_TEST

START_TEST(a_full_queue_of_connections_is_waited_for)
{
    char *path = lh_asprintf("%s/full.sock", live.dir);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct lasthop_client *client = lasthop_client_create(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), other;

    strcpy(address.sun_path, path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *) &address, sizeof address),
                     0);
    ck_assert_int_eq(listen(fd, 0), 0);
    ck_assert_int_eq(api_socket_connect(path, &other, NULL), 0);
    lasthop_client_set_timeout(client, 150);
    ck_assert_int_eq(lasthop_client_connect(client), ETIMEDOUT);
    ck_assert_ptr_nonnull(
        strstr(lasthop_client_error(client), "accepts nobody"));
    lasthop_client_destroy(client);
    close(other);
    close(fd);
    unlink(path);
    free(path);
}
END_TEST

/* Lets the loop run until '*n' is at least 'value'. */
static void
run_until(struct event_base *base, const size_t *n, size_t value)
{
    const struct timeval deadline = {LIVE_DEADLINE_MS / 1000, 0};

    event_base_loopexit(base, &deadline);
    while (*n < value) {
        ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
        ck_assert(!event_base_got_exit(base));
    }
}

static void
on_up(struct lasthop_client *client, enum lasthop_state state, const char *why,
      void *n)
{
    *(size_t *) n += state == LASTHOP_UP;
}

START_TEST(in_a_loop_a_trigger_outlives_its_server)
{
    struct event_base *base = event_base_new();
    struct lasthop_client *client = lasthop_client_create(NULL);
    struct seen seen;
    struct lasthop_request *r = request(client, "trigger.add", ".*", &seen);
    size_t n_up = 0;

    lasthop_client_attach(client, base);
    lasthop_client_set_reconnect(client, 200);
    lasthop_client_on_state(client, on_up, &n_up);
    ck_assert_int_eq(lasthop_request_start(r), 0);
    ck_assert_int_eq(lasthop_client_connect(client), 0);
    ck_assert_int_eq(lasthop_client_process(client, 0), EDEADLK);
    run_until(base, &seen.n_answers, 1);
    send_packets(0, 2, false);
    run_until(base, &seen.n, 2);

    live_stop(&live, SIGKILL);
    live_start(&live);
    run_until(base, &seen.n_answers, 2);
    ck_assert_uint_eq(n_up, 2);
    ck_assert_uint_gt(seen.gap_since_ns, 0);
    ck_assert_uint_gt(seen.gap_until_ns, seen.gap_since_ns);
    ck_assert_str_eq(seen.why, "there was no connection to the server");
    send_packets(2, 2, false);
    run_until(base, &seen.n, 4);
    ck_assert_uint_eq(seen.n_ends, 0);
    lasthop_history_unref(seen.last);
    lasthop_client_destroy(client);
    event_base_free(base);
}
END_TEST

START_TEST(without_reconnecting_all_ends_with_the_server)
{
    struct lasthop_client *client = lasthop_client_create(NULL);
    struct seen state = {.n = 0}, seen;
    struct lasthop_request *r = request(client, "trigger.add", ".*", &seen);

    lasthop_client_on_state(client, on_state, &state);
    ck_assert_int_eq(lasthop_request_start(r), ENOTCONN);
    ck_assert_int_eq(lasthop_client_connect(client), 0);
    ck_assert_int_eq(lasthop_request_start(r), 0);
    live_stop(&live, SIGKILL);
    ck_assert_int_eq(lasthop_request_wait(r, -1), ECONNRESET);
    ck_assert_int_eq(seen.result, ECONNRESET);
    ck_assert_uint_eq(state.n_up, 1);
    ck_assert_uint_eq(state.n_down, 1);
    ck_assert_int_eq(lasthop_client_process(client, -1), ECONNRESET);

    /* And it may connect again. */
    live_start(&live);
    ck_assert_int_eq(lasthop_client_connect(client), 0);
    lasthop_client_destroy(client);
}
END_TEST

/* --- The examples -------------------------------------------------------- */

/* Runs the command; its output, for free(). */
static char *
output_of(const char *command)
{
    FILE *stream = popen(command, "r");
    char *text = lh_alloc_zero(65536);
    size_t len = fread(text, 1, 65535, stream);
    int status = pclose(stream);

    ck_assert_msg(!status, "%s: %d: %.*s", command, status, (int) len, text);
    return text;
}

START_TEST(the_examples_do_what_they_say)
{
    struct api_client *client = live_client(&live);
    char *text;
    FILE *follow;

    send_packets(0, 3, true);
    text = output_of("docs/examples/drops -1h");
    ck_assert_ptr_nonnull(strstr(text, " dropped at switch 00000000000000"));
    ck_assert_ptr_nonnull(strstr(text, "of 3 packets looked at\n"));
    free(text);

    text = output_of("docs/examples/rates 2");
    ck_assert_ptr_nonnull(strstr(text, "delivered 0/s  dropped 0/s"));
    free(text);

    follow = popen("docs/examples/follow '.*' 2", "r");
    live_wait(client, "triggers", 1);
    send_packets(10, 2, false);
    text = lh_alloc_zero(65536);
    ck_assert_uint_gt(fread(text, 1, 65535, follow), 0);
    ck_assert_int_eq(pclose(follow), 0);
    ck_assert_ptr_nonnull(strstr(text, "packet "));
    ck_assert_ptr_nonnull(strstr(text, "#0 "));
    free(text);
    api_client_close(client);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("client");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_query_gives_histories_and_ends);
    tcase_add_test(tc, a_history_tells_all_that_is_in_it);
    tcase_add_test(tc, what_is_refused_says_why_and_where);
    tcase_add_test(tc, a_trigger_follows_until_it_is_cancelled);
    tcase_add_test(tc, a_request_may_end_in_its_own_callback);
    tcase_add_test(tc, a_server_that_is_away_is_named);
    tcase_add_test(tc, a_hung_server_is_not_waited_for);
    tcase_add_test(tc, a_full_queue_of_connections_is_waited_for);
    tcase_add_test(tc, in_a_loop_a_trigger_outlives_its_server);
    tcase_add_test(tc, without_reconnecting_all_ends_with_the_server);
    tcase_add_test(tc, the_examples_do_what_they_say);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
