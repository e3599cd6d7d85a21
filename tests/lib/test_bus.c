/* SPDX-License-Identifier: Apache-2.0 */
/* test_bus - letters, requests and subscriptions over a real nats-server. */
#include <config.h>

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "tests/lib/nats_fixture.h"

static struct nats nats;
static struct event_base *base;

static void
set_up(void)
{
    base = event_base_new();
    nats = (struct nats){.pid = 0};
    nats_start(&nats, NULL);
}

static void
tear_down(void)
{
    nats_end(&nats);
    event_base_free(base);
}

/* --- Requests. ----------------------------------------------------------- */

struct outcome {
    bool is_done;
    int error_number;
    char text[256];
    unsigned int n;
};

static void
take_outcome(void *outcome_, int error_number, const char *why,
             const struct bus_message *m)
{
    struct outcome *outcome = outcome_;

    outcome->n++;
    outcome->is_done = true;
    outcome->error_number = error_number;
    snprintf(outcome->text, sizeof outcome->text, "%.*s",
             why ? (int) strlen(why) : (int) m->size,
             why ? why : (const char *) m->data);
    ck_assert_int_eq(!error_number, !why);
}

static struct bus_letter
text_letter(const char *subject, const char *text)
{
    return (struct bus_letter){
        .subject = subject, .data = text, .size = strlen(text)};
}

static void
ask(struct bus *bus, const char *subject, const char *text,
    uint32_t timeout_ms, struct outcome *outcome)
{
    struct bus_letter letter = text_letter(subject, text);

    *outcome = (struct outcome){.n = 0};
    ck_assert_int_eq(
        bus_request(bus, &letter, timeout_ms, take_outcome, outcome, NULL), 0);
}

/* Answers what it is asked. */
static void
echo(void *bus, const struct bus_message *m)
{
    struct bus_letter letter = {
        .subject = m->reply, .data = m->data, .size = m->size};

    if (m->reply) {
        ck_assert_int_eq(bus_send(bus, &letter, NULL, 1000, NULL), 0);
    }
}

START_TEST(a_request_is_answered)
{
    struct bus *asks = nats_open(&nats, base);
    struct bus *answers = nats_open(&nats, base);
    struct bus_sub *sub = bus_subscribe(answers, "a.b", echo, answers);
    struct outcome outcome = {.error_number = ECONNREFUSED};

    /* Until the other has subscribed nobody answers. */
    while (outcome.error_number == ECONNREFUSED) {
        ask(asks, "a.b", "hello", 5000, &outcome);
        nats_loop_until(base, &outcome.is_done);
    }
    ck_assert_int_eq(outcome.error_number, 0);
    ck_assert_str_eq(outcome.text, "hello");
    bus_unsubscribe(sub);
    bus_close(asks);
    bus_close(answers);
}
END_TEST

/* How many threads of this process have that policy. */
static size_t
count_policy(int policy)
{
    DIR *dir = opendir("/proc/self/task");
    size_t n = 0;

    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        int tid = (int) strtol(entry->d_name, NULL, 10);

        n += tid && sched_getscheduler(tid) == policy;
    }
    closedir(dir);
    return n;
}

START_TEST(its_threads_push_nobody_aside)
{
    /* A sanitizer may have threads of its own. */
    size_t n_before = count_policy(SCHED_OTHER);
    struct bus *bus = nats_open(&nats, base);
    struct outcome outcome = {0};

    /* When there is a connection, there are all of libnats's. */
    ask(bus, "nobody", "there?", 10000, &outcome);
    nats_loop_until(base, &outcome.is_done);
    ck_assert_int_eq(sched_getscheduler(0), SCHED_OTHER);
    ck_assert_uint_eq(count_policy(SCHED_OTHER), n_before);
    ck_assert_uint_ge(count_policy(SCHED_BATCH), 5);
    bus_close(bus);
}
END_TEST

START_TEST(nobody_there_is_told_at_once)
{
    struct bus *bus = nats_open(&nats, base);
    struct outcome outcome;

    ask(bus, "nobody.here", "hello", 60000, &outcome);
    nats_loop_until(base, &outcome.is_done);
    ck_assert_int_eq(outcome.error_number, ECONNREFUSED);
    bus_close(bus);
}
END_TEST

static void
ignore(void *aux, const struct bus_message *m)
{
}

START_TEST(silence_ends_by_the_time_out)
{
    struct bus *bus = nats_open(&nats, base);
    struct outcome outcome;
    struct bus_counters counters;

    bus_subscribe(bus, "silent", ignore, NULL);
    ask(bus, "silent", "hello", 100, &outcome);
    nats_loop_until(base, &outcome.is_done);
    ck_assert_int_eq(outcome.error_number, ETIMEDOUT);
    bus_get_counters(bus, &counters);
    ck_assert_uint_eq(counters.timeouts, 1);
    bus_close(bus);
}
END_TEST

/* A server that is stopped accepts connections and says nothing. */
START_TEST(a_stopped_server_holds_nothing_up)
{
    struct bus *bus;
    struct outcome outcome;

    kill(nats.pid, SIGSTOP);
    bus = nats_open(&nats, base);
    ask(bus, "x", "hello", 200, &outcome);
    nats_loop_until(base, &outcome.is_done);
    ck_assert_int_eq(outcome.error_number, ETIMEDOUT);
    ck_assert(!bus_is_connected(bus));
    kill(nats.pid, SIGCONT);
    ask(bus, "x", "hello", 30000, &outcome);
    nats_loop_until(base, &outcome.is_done);
    ck_assert_int_eq(outcome.error_number, ECONNREFUSED);
    ck_assert(bus_is_connected(bus));
    bus_close(bus);
}
END_TEST

START_TEST(a_server_that_comes_back_is_found_again)
{
    struct bus *bus = nats_open(&nats, base);
    struct outcome outcome = {.error_number = ECONNREFUSED};
    struct bus_counters counters;

    bus_subscribe(bus, "echo", echo, bus);
    ask(bus, "echo", "one", 30000, &outcome);
    nats_loop_until(base, &outcome.is_done);
    ck_assert_str_eq(outcome.text, "one");

    nats_kill(&nats);
    ask(bus, "echo", "two", 200, &outcome);
    nats_loop_until(base, &outcome.is_done);
    ck_assert_int_eq(outcome.error_number, ETIMEDOUT);

    nats_start(&nats, NULL);
    /* It waits for the connection; the subscription is there again. */
    ask(bus, "echo", "three", 30000, &outcome);
    nats_loop_until(base, &outcome.is_done);
    ck_assert_int_eq(outcome.error_number, 0);
    ck_assert_str_eq(outcome.text, "three");
    bus_get_counters(bus, &counters);
    ck_assert_uint_eq(counters.connects, 2);
    ck_assert_uint_eq(counters.disconnects, 1);
    bus_close(bus);
}
END_TEST

START_TEST(a_forgotten_request_is_not_told)
{
    struct bus *bus = nats_open(&nats, base);
    struct outcome kept, forgotten;

    ask(bus, "x", "", 30000, &forgotten);
    ask(bus, "x", "", 30000, &kept);
    bus_forget(bus, &forgotten);
    nats_loop_until(base, &kept.is_done);
    ck_assert_uint_eq(forgotten.n, 0);
    ck_assert_uint_eq(kept.n, 1);
    bus_close(bus);
}
END_TEST

/* --- Bounds. ------------------------------------------------------------- */

START_TEST(what_has_no_room_is_refused)
{
    struct bus_options options = {
        .urls = nats.url, .max_requests = 100, .max_out_bytes = 10000};
    struct bus *bus;
    struct outcome outcome = {.n = 0};
    struct bus_letter small = text_letter("x", "");
    char bytes[20000] = "";
    struct bus_letter large = {"x", bytes, sizeof bytes, NULL, 0};
    struct bus_counters counters;
    struct lh_error error;
    unsigned int n_taken = 0;

    ck_assert_int_eq(bus_open(base, &options, &bus, NULL), 0);
    ck_assert_int_eq(
        bus_request(bus, &large, 1000, take_outcome, &outcome, &error),
        ENOBUFS);
    ck_assert_int_eq(bus_send(bus, &large, NULL, 1000, NULL), ENOBUFS);
    for (unsigned int i = 0; i < 1000; i++) {
        n_taken +=
            !bus_request(bus, &small, 60000, take_outcome, &outcome, &error);
    }
    ck_assert_uint_le(n_taken, 100);
    ck_assert_uint_gt(n_taken, 30);
    bus_get_counters(bus, &counters);
    ck_assert_uint_eq(counters.refused, 1002 - n_taken);
    ck_assert_uint_eq(counters.requests, n_taken);
    /* And there is room again. */
    while (outcome.n < n_taken) {
        outcome.is_done = false;
        nats_loop_until(base, &outcome.is_done);
    }
    ask(bus, "x", "", 30000, &outcome);
    nats_loop_until(base, &outcome.is_done);
    bus_close(bus);
}
END_TEST

static void
count(void *n, const struct bus_message *m)
{
    ++*(unsigned int *) n;
}

START_TEST(what_the_loop_does_not_take_is_dropped)
{
    struct bus_options options = {.urls = nats.url, .max_in_bytes = 10000};
    struct bus *slow, *fast = nats_open(&nats, base);
    struct event_base *other = event_base_new();
    char bytes[1000] = "";
    struct bus_letter letter = {"flood", bytes, sizeof bytes, NULL, 0};
    struct bus_counters counters;
    struct outcome outcome = {.is_done = false};
    unsigned int n = 0, n_said = 0;

    ck_assert_int_eq(bus_open(other, &options, &slow, NULL), 0);
    bus_subscribe(slow, "flood", count, &n);
    bus_subscribe(slow, "sync", echo, slow);
    outcome.error_number = ECONNREFUSED;
    while (outcome.error_number == ECONNREFUSED) {
        ask(fast, "sync", "", 5000, &outcome);
        while (!outcome.is_done) {
            event_base_loop(base, EVLOOP_NONBLOCK);
            event_base_loop(other, EVLOOP_NONBLOCK);
        }
    }
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(bus_send(fast, &letter, NULL, 5000, NULL), 0);
    }
    /* 'other' does not run, until all have come. */
    int64_t deadline_ms = monotonic_ms() + 60000;
    do {
        ck_assert_int_lt(monotonic_ms(), deadline_ms);
        event_base_loop(base, EVLOOP_NONBLOCK);
        bus_get_counters(slow, &counters);
        n_said = (unsigned int) (counters.wire.received_bytes / 1000);
    } while (n_said < 100);
    event_base_loop(other, EVLOOP_NONBLOCK);
    ck_assert_uint_eq(n, 10);
    ck_assert_uint_eq(counters.wire.dropped_in, 90);
    bus_close(slow);
    bus_close(fast);
    event_base_free(other);
}
END_TEST

START_TEST(a_letter_that_is_too_large_is_told)
{
    struct bus *bus = nats_open(&nats, base);
    char *bytes = lh_alloc_zero(2000000);
    struct bus_letter letter = {"x", bytes, 2000000, NULL, 0};
    struct outcome outcome = {.n = 0};

    ck_assert_int_eq(
        bus_request(bus, &letter, 30000, take_outcome, &outcome, NULL), 0);
    nats_loop_until(base, &outcome.is_done);
    ck_assert_int_eq(outcome.error_number, EIO);
    free(bytes);
    bus_close(bus);
}
END_TEST

/* --- Who may connect. ---------------------------------------------------- */

static void
save_state(void *text, bool is_connected, const char *why)
{
    snprintf(text, 256, "%s", is_connected ? "connected" : why);
}

START_TEST(a_wrong_password_is_said)
{
    struct bus_options options = {.on_state = save_state};
    char url[128], state[256] = "";
    struct bus *bus;
    struct outcome outcome;

    nats_kill(&nats);
    nats_start(&nats, "authorization { user: u, password: right }");
    snprintf(url, sizeof url, "nats://u:wrong@127.0.0.1:%d", nats.port);
    options.urls = url;
    options.aux = state;
    ck_assert_int_eq(bus_open(base, &options, &bus, NULL), 0);
    ask(bus, "x", "", 1000, &outcome);
    nats_loop_until(base, &outcome.is_done);
    ck_assert_int_eq(outcome.error_number, ETIMEDOUT);
    ck_assert_msg(strstr(state, "uthoriz") || strstr(state, "uthentic"), "%s",
                  state);
    bus_close(bus);

    snprintf(url, sizeof url, "nats://u:right@127.0.0.1:%d", nats.port);
    ck_assert_int_eq(bus_open(base, &options, &bus, NULL), 0);
    ask(bus, "x", "", 30000, &outcome);
    nats_loop_until(base, &outcome.is_done);
    ck_assert_int_eq(outcome.error_number, ECONNREFUSED);
    ck_assert_str_eq(state, "connected");
    bus_close(bus);
}
END_TEST

/* NATS refuses it for a while, as when passwords are changed there first. */
START_TEST(who_was_refused_for_a_while_is_back)
{
    const char *right = "authorization { user: u, password: right }";
    struct bus_options options = {.on_state = save_state};
    char url[128], state[256] = "";
    struct bus_counters counters = {.connects = 0};
    struct outcome outcome = {.is_done = false};
    struct bus_sub *sub;
    struct bus *bus;

    nats_kill(&nats);
    nats_start(&nats, right);
    snprintf(url, sizeof url, "nats://u:right@127.0.0.1:%d", nats.port);
    options.urls = url;
    options.aux = state;
    ck_assert_int_eq(bus_open(base, &options, &bus, NULL), 0);
    sub = bus_subscribe(bus, "echo", echo, bus);
    ask(bus, "echo", "one", 30000, &outcome);
    nats_loop_until(base, &outcome.is_done);
    ck_assert_str_eq(outcome.text, "one");

    nats_kill(&nats);
    nats_start(&nats, "authorization { user: u, password: other }");
    for (int i = 0; i < 3; i++) {
        ask(bus, "echo", "", 1000, &outcome);
        nats_loop_until(base, &outcome.is_done);
        ck_assert_int_eq(outcome.error_number, ETIMEDOUT);
    }
    nats_kill(&nats);
    nats_start(&nats, right);
    ask(bus, "echo", "two", 30000, &outcome);
    nats_loop_until(base, &outcome.is_done);
    ck_assert_str_eq(outcome.text, "two");
    ck_assert_str_eq(state, "connected");
    bus_unsubscribe(sub);
    ask(bus, "echo", "three", 30000, &outcome);
    nats_loop_until(base, &outcome.is_done);
    ck_assert_int_eq(outcome.error_number, ECONNREFUSED);
    bus_get_counters(bus, &counters);
    ck_assert_uint_eq(counters.connects, 2);
    ck_assert_uint_eq(counters.disconnects, 1);
    bus_close(bus);
}
END_TEST

START_TEST(the_longest_letter_is_known)
{
    struct bus_options options = {.urls = nats.url};
    struct bus_counters counters;
    struct outcome outcome;
    struct bus *bus;

    nats_kill(&nats);
    nats_start(&nats, "max_payload: 65536");
    ck_assert_int_eq(bus_open(base, &options, &bus, NULL), 0);
    ask(bus, "x", "", 30000, &outcome);
    nats_loop_until(base, &outcome.is_done);
    bus_get_counters(bus, &counters);
    ck_assert_uint_eq(counters.wire.max_payload, 65536);

    nats_kill(&nats);
    nats_start(&nats, NULL);
    do {
        ask(bus, "x", "", 1000, &outcome);
        nats_loop_until(base, &outcome.is_done);
    } while (outcome.error_number == ETIMEDOUT);
    bus_get_counters(bus, &counters);
    ck_assert_uint_eq(counters.wire.max_payload, 1 << 20);
    bus_close(bus);
}
END_TEST

START_TEST(wrong_options_have_a_reason)
{
    struct lh_error error;
    struct bus *bus;

    ck_assert_int_eq(
        bus_open(base, &(struct bus_options){.urls = ""}, &bus, &error),
        EINVAL);
    ck_assert_int_eq(
        bus_open(base, &(struct bus_options){.urls = nats.url, .ca_cert = "x"},
                 &bus, &error),
        EINVAL);
    ck_assert_int_eq(
        bus_open(base,
                 &(struct bus_options){.urls = nats.url,
                                       .ca_cert = "/nonexistent/ca",
                                       .private_key = "/nonexistent/key",
                                       .certificate = "/nonexistent/cert"},
                 &bus, &error),
        EINVAL);
    ck_assert_msg(strstr(error.text, "/nonexistent/ca"), "%s", error.text);
    ck_assert_ptr_null(bus);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("bus");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, a_request_is_answered);
    tcase_add_test(tcase, its_threads_push_nobody_aside);
    tcase_add_test(tcase, nobody_there_is_told_at_once);
    tcase_add_test(tcase, silence_ends_by_the_time_out);
    tcase_add_test(tcase, a_stopped_server_holds_nothing_up);
    tcase_add_test(tcase, a_server_that_comes_back_is_found_again);
    tcase_add_test(tcase, a_forgotten_request_is_not_told);
    tcase_add_test(tcase, what_has_no_room_is_refused);
    tcase_add_test(tcase, what_the_loop_does_not_take_is_dropped);
    tcase_add_test(tcase, a_letter_that_is_too_large_is_told);
    tcase_add_test(tcase, a_wrong_password_is_said);
    tcase_add_test(tcase, who_was_refused_for_a_while_is_back);
    tcase_add_test(tcase, the_longest_letter_is_known);
    tcase_add_test(tcase, wrong_options_have_a_reason);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
