/* SPDX-License-Identifier: Apache-2.0 */
/* test_bus_pull - each message once and in order, whatever happens to NATS,
 * to the connection and to the consumer. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_pull.h"
#include "lib/bus_stream.h"
#include "lib/lh_alloc.h"
#include "lib/monotonic.h"
#include "tests/lib/nats_fixture.h"

static struct nats nats;
static struct event_base *base;
static struct bus *bus;

/* --- Publishing. --------------------------------------------------------- */

static struct outcome {
    bool is_done;
    int error_number;
} outcome;

static void
take_done(void *aux, int error_number, const char *why)
{
    outcome.is_done = true;
    outcome.error_number = error_number;
}

static int
wait(int retval)
{
    ck_assert_int_eq(retval, 0);
    nats_loop_until(base, &outcome.is_done);
    return outcome.error_number;
}

#define WAIT(CALL) (outcome.is_done = false, wait(CALL))

static uint32_t n_kept, n_wanted;

static void
take_kept(void *aux, int error_number, const char *why, uint64_t seq,
          bool was_there)
{
    ck_assert_msg(!error_number, "%s", why);
    n_kept++;
}

static bool
is_keeping(void *aux)
{
    return n_kept < n_wanted;
}

/* 'n' messages of 'size' bytes, the first four of which are a number that
 * begins with 'first'. */
static void
publish(const char *subject, uint32_t first, uint32_t n, size_t size)
{
    uint8_t *bytes = lh_alloc_zero(size);
    struct bus_letter letter = {
        .subject = subject, .data = bytes, .size = size};

    n_kept = n_wanted = 0;
    for (uint32_t i = first; i < first + n; i++) {
        memcpy(bytes, &i, sizeof i);
        while (bus_stream_publish(bus, &letter, NULL, BUS_ANY_SEQ, 30000,
                                  take_kept, NULL, NULL) == ENOBUFS) {
            nats_loop_while(base, is_keeping, NULL);
        }
        n_wanted++;
    }
    nats_loop_while(base, is_keeping, NULL);
    free(bytes);
}

static void
make_stream(void)
{
    const struct bus_stream_config config = {.name = "S",
                                             .subjects = "s.*",
                                             .max_bytes = 100u << 20,
                                             .discards_new = true};

    ck_assert_int_eq(
        WAIT(bus_stream_create(bus, &config, 30000, take_done, NULL, NULL)),
        0);
}

static void
purge(const char *subject, uint64_t seq)
{
    ck_assert_int_eq(WAIT(bus_stream_purge(bus, "S", subject, seq, 30000,
                                           take_done, NULL, NULL)),
                     0);
}

static void
set_up(void)
{
    base = event_base_new();
    nats = (struct nats){.pid = 0};
    nats_start(&nats, NULL);
    bus = nats_open(&nats, base);
    make_stream();
}

static void
tear_down(void)
{
    bus_close(bus);
    nats_end(&nats);
    event_base_free(base);
}

/* --- A reader. ----------------------------------------------------------- */

struct reader {
    struct bus_pull *pull;
    uint32_t next;     /* The number that must come. */
    uint32_t n_wanted; /* How many are waited for. */
    uint32_t n, n_idle, n_troubles;
    uint32_t hold_at, close_at; /* After so many; 0: never. */
    struct bus *slow; /* The first takes until there is no room; or NULL. */
    uint64_t last_seq, last_time_ns, last_pending;
    size_t last_size;
    char why[128];
};

static void
wait_for_drops(struct bus *where)
{
    int64_t deadline_ms = monotonic_ms() + 60000;
    struct bus_counters counters;

    do {
        ck_assert_int_lt(monotonic_ms(), deadline_ms);
        poll(NULL, 0, 1);
        bus_get_counters(where, &counters);
    } while (!counters.wire.dropped_in);
}

static void
on_message(void *reader_, const struct bus_pull_message *message)
{
    struct reader *reader = reader_;
    uint32_t i;

    ck_assert_uint_ge(message->size, sizeof i);
    memcpy(&i, message->data, sizeof i);
    ck_assert_uint_eq(i, reader->next);
    ck_assert_uint_gt(message->seq, reader->last_seq);
    ck_assert_uint_ge(message->time_ns, reader->last_time_ns);
    ck_assert_uint_gt(message->time_ns, UINT64_C(1600000000000000000));
    reader->next++;
    reader->n++;
    reader->last_seq = message->seq;
    reader->last_time_ns = message->time_ns;
    reader->last_pending = message->n_pending;
    reader->last_size = message->size;
    if (reader->n == 1 && reader->slow) {
        wait_for_drops(reader->slow);
    }
    if (reader->n == reader->hold_at) {
        bus_pull_hold(reader->pull, true);
    }
    if (reader->n == reader->close_at) {
        bus_pull_close(reader->pull);
        reader->pull = NULL;
    }
}

static void
on_idle(void *reader_)
{
    struct reader *reader = reader_;

    reader->n_idle++;
}

static void
on_trouble(void *reader_, const char *why)
{
    struct reader *reader = reader_;

    reader->n_troubles++;
    snprintf(reader->why, sizeof reader->why, "%s", why);
}

static struct bus_pull_options
options_of(struct reader *reader, const char *subject, uint64_t start_seq)
{
    *reader = (struct reader){.next = 0};
    return (struct bus_pull_options){.stream = "S",
                                     .subject = subject,
                                     .name = "reader",
                                     .start_seq = start_seq,
                                     .on_message = on_message,
                                     .on_idle = on_idle,
                                     .on_trouble = on_trouble,
                                     .aux = reader};
}

static void
open_reader(struct reader *reader, const char *subject, uint64_t start_seq)
{
    struct bus_pull_options options = options_of(reader, subject, start_seq);

    reader->pull = bus_pull_open(bus, &options);
}

static bool
is_reading(void *reader_)
{
    const struct reader *reader = reader_;

    return reader->n < reader->n_wanted;
}

static bool
is_busy(void *reader_)
{
    const struct reader *reader = reader_;

    return !reader->n_idle;
}

static bool
is_untroubled(void *reader_)
{
    const struct reader *reader = reader_;

    return !reader->n_troubles;
}

static void
read_until(struct reader *reader, uint32_t n)
{
    reader->n_wanted = n;
    nats_loop_while(base, is_reading, reader);
}

static struct bus_pull_counters
counters_of(const struct reader *reader)
{
    struct bus_pull_counters counters;

    bus_pull_get_counters(reader->pull, &counters);
    return counters;
}

/* --- Tests. -------------------------------------------------------------- */

START_TEST(each_is_told_once_and_in_order)
{
    struct reader reader, other;

    publish("s.1", 0, 3000, 100);
    publish("s.2", 0, 700, 100);
    publish("s.1", 3000, 1000, 100);
    open_reader(&reader, "s.1", 0);
    open_reader(&other, "s.2", 0);
    read_until(&reader, 4000);
    read_until(&other, 700);
    ck_assert_uint_eq(reader.last_seq, 4700);
    ck_assert_uint_eq(reader.last_pending, 0);
    ck_assert_uint_eq(bus_pull_next_seq(reader.pull), 4701);
    ck_assert_uint_eq(bus_pull_next_seq(other.pull), 3701);
    nats_loop_while(base, is_busy, &reader);
    /* What comes later comes too. */
    publish("s.2", 700, 1, 50);
    publish("s.1", 4000, 2, 50);
    read_until(&other, 701);
    read_until(&reader, 4002);
    ck_assert_uint_eq(counters_of(&reader).beginnings, 1);
    ck_assert_uint_eq(counters_of(&reader).gaps, 0);
    ck_assert_uint_eq(counters_of(&reader).messages, 4002);
    ck_assert_uint_eq(reader.n_troubles, 0);
    bus_pull_close(reader.pull);
    bus_pull_close(other.pull);
}
END_TEST

START_TEST(it_begins_where_it_is_told_and_two_may_read_the_same)
{
    struct reader reader, other;

    publish("s.1", 0, 600, 30000);
    open_reader(&reader, "s.1", 0);
    open_reader(&other, "s.1", 301);
    other.next = 300;
    read_until(&reader, 600);
    read_until(&other, 300);
    ck_assert_uint_eq(counters_of(&reader).beginnings, 1);
    ck_assert_uint_eq(counters_of(&other).beginnings, 1);
    bus_pull_close(reader.pull);
    bus_pull_close(other.pull);
}
END_TEST

START_TEST(a_subject_without_messages_is_idle)
{
    struct reader reader;

    publish("s.2", 0, 10, 100);
    open_reader(&reader, "s.1", 7);
    nats_loop_while(base, is_busy, &reader);
    ck_assert_uint_eq(reader.n, 0);
    ck_assert_uint_eq(bus_pull_next_seq(reader.pull), 7);
    bus_pull_close(reader.pull);
}
END_TEST

START_TEST(nats_is_killed_and_comes_back)
{
    struct reader reader;

    open_reader(&reader, "s.1", 0);
    for (uint32_t i = 0; i < 3; i++) {
        publish("s.1", i * 500, 500, 1000);
        read_until(&reader, i * 500 + 100);
        nats_kill(&nats);
        nats_start(&nats, NULL);
    }
    publish("s.1", 1500, 1, 1000);
    read_until(&reader, 1501);
    ck_assert_uint_ge(counters_of(&reader).beginnings, 2);
    bus_pull_close(reader.pull);
}
END_TEST

START_TEST(held_it_asks_for_no_more)
{
    struct reader reader;
    struct bus_pull_options options = options_of(&reader, "s.1", 0);

    publish("s.1", 0, 500, 100);
    options.max_messages = 20;
    reader.hold_at = 50;
    reader.pull = bus_pull_open(bus, &options);
    read_until(&reader, 60);
    /* Another reads all of it meanwhile. */
    struct reader other;

    open_reader(&other, "s.1", 0);
    read_until(&other, 500);
    ck_assert_uint_eq(reader.n, 60);
    bus_pull_hold(reader.pull, false);
    read_until(&reader, 500);
    ck_assert_uint_eq(counters_of(&reader).beginnings, 1);
    bus_pull_close(reader.pull);
    bus_pull_close(other.pull);
}
END_TEST

START_TEST(what_was_purged_is_a_hole)
{
    struct reader reader;
    struct bus_pull_options options = options_of(&reader, "s.1", 0);

    publish("s.1", 0, 400, 100);
    publish("s.2", 0, 10, 100);
    options.max_messages = 10;
    reader.hold_at = 20;
    reader.pull = bus_pull_open(bus, &options);
    read_until(&reader, 20);
    purge("s.1", 301);
    publish("s.1", 400, 10, 100);
    bus_pull_hold(reader.pull, false);
    reader.next = 300;
    read_until(&reader, 20 + 110);
    ck_assert_uint_eq(counters_of(&reader).gaps, 0);
    /* All of it is gone, and the numbers go on. */
    purge("s.1", 1000);
    publish("s.1", 410, 1, 100);
    read_until(&reader, 20 + 111);
    bus_pull_close(reader.pull);
}
END_TEST

/* The names of the consumers of the stream. */
static char names[512];

static void
take_names(void *aux, int error_number, const char *why,
           const struct bus_message *message)
{
    ck_assert_int_eq(error_number, 0);
    snprintf(names, sizeof names, "%.*s", (int) message->size,
             (const char *) message->data);
    outcome.is_done = true;
    outcome.error_number = 0;
}

static void
ask_names(void)
{
    const struct bus_letter letter = {.subject = "$JS.API.CONSUMER.NAMES.S"};

    ck_assert_int_eq(
        WAIT(bus_request(bus, &letter, 30000, take_names, NULL, NULL)), 0);
}

static void
delete_consumer(void)
{
    char subject[128], *name, *end;
    struct bus_letter letter = {.subject = subject};

    ask_names();
    name = strstr(names, "\"reader-");
    ck_assert_msg(name, "%s", names);
    end = strchr(name + 1, '"');
    snprintf(subject, sizeof subject, "$JS.API.CONSUMER.DELETE.S.%.*s",
             (int) (end - name - 1), name + 1);
    ck_assert_int_eq(
        WAIT(bus_request(bus, &letter, 30000, take_names, NULL, NULL)), 0);
    ck_assert_ptr_nonnull(strstr(names, "\"success\":true"));
}

START_TEST(a_consumer_that_somebody_removed_is_made_anew)
{
    struct reader reader;

    publish("s.1", 0, 100, 100);
    open_reader(&reader, "s.1", 0);
    read_until(&reader, 100);
    delete_consumer();
    publish("s.1", 100, 100, 100);
    read_until(&reader, 200);
    ck_assert_uint_eq(counters_of(&reader).beginnings, 2);
    /* While it asks for nothing it does not hear of it. */
    bus_pull_hold(reader.pull, true);
    publish("s.1", 200, 300, 100);
    read_until(&reader, 300);
    delete_consumer();
    bus_pull_hold(reader.pull, false);
    read_until(&reader, 500);
    bus_pull_close(reader.pull);
    ask_names();
    ck_assert_ptr_null(strstr(names, "\"reader-"));
}
END_TEST

/* It is closed by what it calls. */
START_TEST(closed_it_tells_no_more)
{
    struct reader reader, other;

    publish("s.1", 0, 500, 100);
    open_reader(&reader, "s.1", 0);
    reader.close_at = 77;
    open_reader(&other, "s.1", 0);
    read_until(&reader, 77);
    read_until(&other, 500);
    ck_assert_uint_eq(reader.n, 77);
    bus_pull_close(other.pull);
}
END_TEST

START_TEST(messages_larger_than_the_bound_come_alone)
{
    struct reader reader;
    struct bus_pull_options options = options_of(&reader, "s.1", 0);

    publish("s.1", 0, 20, 100);
    publish("s.1", 20, 5, 200000);
    publish("s.1", 25, 500, 997);
    publish("s.1", 525, 2, 900000);
    options.max_bytes = 10000;
    reader.pull = bus_pull_open(bus, &options);
    read_until(&reader, 527);
    ck_assert_uint_eq(counters_of(&reader).beginnings, 1);
    ck_assert_uint_eq(counters_of(&reader).silences, 0);
    bus_pull_close(reader.pull);
}
END_TEST

/* Whatever the sum of their sizes, NATS and the reader agree on when a
 * request is over: a silence would show as a new beginning. */
START_TEST(bytes_that_are_used_up_exactly_are_asked_for_again)
{
    publish("s.1", 0, 300, 100);
    for (size_t max_bytes = 1400; max_bytes < 1700; max_bytes += 3) {
        struct reader reader;
        struct bus_pull_options options = options_of(&reader, "s.1", 0);

        options.max_bytes = max_bytes;
        reader.pull = bus_pull_open(bus, &options);
        read_until(&reader, 300);
        ck_assert_uint_eq(counters_of(&reader).beginnings, 1);
        ck_assert_uint_eq(counters_of(&reader).silences, 0);
        bus_pull_close(reader.pull);
    }
}
END_TEST

/* More comes than has room here, so that messages are dropped. */
START_TEST(what_finds_no_room_is_read_again)
{
    const struct bus_options narrow = {.urls = nats.url,
                                       .max_in_bytes = 40000};
    struct reader reader;
    struct bus_pull_options options = options_of(&reader, "s.1", 0);
    struct bus *other;

    publish("s.1", 0, 1000, 1000);
    ck_assert_int_eq(bus_open(base, &narrow, &other, NULL), 0);
    reader.slow = other;
    reader.pull = bus_pull_open(other, &options);
    read_until(&reader, 1000);
    ck_assert_uint_ge(counters_of(&reader).beginnings, 2);
    bus_pull_close(reader.pull);
    bus_close(other);
}
END_TEST

START_TEST(a_stream_that_is_not_there_is_told_and_waited_for)
{
    struct reader reader;

    ck_assert_int_eq(
        WAIT(bus_stream_delete(bus, "S", 30000, take_done, NULL, NULL)), 0);
    open_reader(&reader, "s.1", 0);
    nats_loop_while(base, is_untroubled, &reader);
    ck_assert_str_eq(reader.why, "NATS: stream not found");
    make_stream();
    publish("s.1", 0, 10, 100);
    read_until(&reader, 10);
    ck_assert_uint_eq(reader.n_troubles, 1);
    bus_pull_close(reader.pull);
}
END_TEST

START_TEST(a_stream_made_anew_is_told)
{
    struct reader reader;

    publish("s.1", 0, 5, 100);
    open_reader(&reader, "s.1", 1000);
    nats_loop_while(base, is_busy, &reader);
    publish("s.1", 5, 5, 100);
    nats_loop_while(base, is_untroubled, &reader);
    ck_assert_ptr_nonnull(strstr(reader.why, "made anew"));
    ck_assert_uint_eq(reader.n, 0);
    ck_assert_uint_eq(bus_pull_next_seq(reader.pull), 1000);
    bus_pull_close(reader.pull);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("bus_pull");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, each_is_told_once_and_in_order);
    tcase_add_test(tcase,
                   it_begins_where_it_is_told_and_two_may_read_the_same);
    tcase_add_test(tcase, a_subject_without_messages_is_idle);
    tcase_add_test(tcase, nats_is_killed_and_comes_back);
    tcase_add_test(tcase, held_it_asks_for_no_more);
    tcase_add_test(tcase, what_was_purged_is_a_hole);
    tcase_add_test(tcase, a_consumer_that_somebody_removed_is_made_anew);
    tcase_add_test(tcase, closed_it_tells_no_more);
    tcase_add_test(tcase, messages_larger_than_the_bound_come_alone);
    tcase_add_test(tcase, bytes_that_are_used_up_exactly_are_asked_for_again);
    tcase_add_test(tcase, what_finds_no_room_is_read_again);
    tcase_add_test(tcase, a_stream_that_is_not_there_is_told_and_waited_for);
    tcase_add_test(tcase, a_stream_made_anew_is_told);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
