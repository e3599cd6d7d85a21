/* SPDX-License-Identifier: Apache-2.0 */
/* test_bus_kv - streams with limits, and keys with revisions, of a real
 * nats-server. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_kv.h"
#include "lib/lh_alloc.h"
#include "tests/lib/nats_fixture.h"

static struct nats nats;
static struct event_base *base;
static struct bus *bus;

static void
set_up(void)
{
    base = event_base_new();
    nats = (struct nats){.pid = 0};
    nats_start(&nats, NULL);
    bus = nats_open(&nats, base);
}

static void
tear_down(void)
{
    bus_close(bus);
    nats_end(&nats);
    event_base_free(base);
}

/* --- Outcomes, waited for. ----------------------------------------------- */

static struct outcome {
    bool is_done, was_there, is_deleted;
    int error_number;
    uint64_t seq;
    char text[128];
    struct bus_stream_state state;
} outcome;

static void
take_done(void *aux, int error_number, const char *why)
{
    outcome.is_done = true;
    outcome.error_number = error_number;
    ck_assert_int_eq(!error_number, !why);
}

static void
take_state(void *aux, int error_number, const char *why,
           const struct bus_stream_state *state)
{
    take_done(aux, error_number, why);
    if (state) {
        outcome.state = *state;
    }
}

static void
take_seq(void *aux, int error_number, const char *why, uint64_t seq,
         bool was_there)
{
    take_done(aux, error_number, why);
    outcome.seq = seq;
    outcome.was_there = was_there;
}

static void
take_entry(void *aux, int error_number, const char *why,
           const struct bus_kv_entry *entry)
{
    take_done(aux, error_number, why);
    if (entry) {
        outcome.seq = entry->revision;
        outcome.is_deleted = entry->is_deleted;
        snprintf(outcome.text, sizeof outcome.text, "%s=%.*s", entry->key,
                 (int) entry->size, (const char *) entry->data);
    }
}

/* What the request that 'retval' is of came to. */
static int
wait(int retval)
{
    ck_assert_int_eq(retval, 0);
    nats_loop_until(base, &outcome.is_done);
    outcome.is_done = false;
    return outcome.error_number;
}

#define WAIT(CALL) (outcome = (struct outcome){.is_done = false}, wait(CALL))

/* --- Streams. ------------------------------------------------------------ */

static const struct bus_stream_config plain = {
    .name = "S", .subjects = "s.*", .max_bytes = 1 << 20};

static int
publish(const char *subject, const void *data, size_t size, const char *id)
{
    struct bus_letter letter = {
        .subject = subject, .data = data, .size = size};

    return WAIT(bus_stream_publish(bus, &letter, id, BUS_ANY_SEQ, 20000,
                                   take_seq, NULL, NULL));
}

START_TEST(messages_are_kept_and_numbered)
{
    ck_assert_int_eq(
        WAIT(bus_stream_create(bus, &plain, 20000, take_done, NULL, NULL)), 0);
    /* It may be there already. */
    ck_assert_int_eq(
        WAIT(bus_stream_create(bus, &plain, 20000, take_done, NULL, NULL)), 0);
    ck_assert_int_eq(publish("s.1", "one", 3, NULL), 0);
    ck_assert_uint_eq(outcome.seq, 1);
    ck_assert_int_eq(publish("s.2", "two", 3, "id-2"), 0);
    ck_assert_uint_eq(outcome.seq, 2);
    /* The same once more is kept once. */
    ck_assert_int_eq(publish("s.2", "two", 3, "id-2"), 0);
    ck_assert(outcome.was_there);
    ck_assert_uint_eq(outcome.seq, 2);

    nats_kill(&nats);
    nats_start(&nats, NULL);
    ck_assert_int_eq(
        WAIT(bus_stream_ask(bus, "S", 30000, take_state, NULL, NULL)), 0);
    ck_assert_uint_eq(outcome.state.n_messages, 2);
    ck_assert_uint_eq(outcome.state.last_seq, 2);

    ck_assert_int_eq(WAIT(bus_stream_purge(bus, "S", "s.1", 100, 20000,
                                           take_done, NULL, NULL)),
                     0);
    ck_assert_int_eq(
        WAIT(bus_stream_ask(bus, "S", 20000, take_state, NULL, NULL)), 0);
    ck_assert_uint_eq(outcome.state.n_messages, 1);
    ck_assert_uint_eq(outcome.state.first_seq, 2);
    ck_assert_int_eq(
        WAIT(bus_stream_delete(bus, "S", 20000, take_done, NULL, NULL)), 0);
    ck_assert_int_eq(
        WAIT(bus_stream_ask(bus, "S", 20000, take_state, NULL, NULL)), ENOENT);
}
END_TEST

START_TEST(a_full_stream_refuses_what_is_new)
{
    struct bus_stream_config config = plain;
    char bytes[1000] = "";
    unsigned int n = 0;

    config.max_bytes = 10000;
    config.discards_new = true;
    ck_assert_int_eq(
        WAIT(bus_stream_create(bus, &config, 20000, take_done, NULL, NULL)),
        0);
    while (n < 20 && !publish("s.1", bytes, sizeof bytes, NULL)) {
        n++;
    }
    ck_assert_uint_ge(n, 5);
    ck_assert_uint_lt(n, 10);
    ck_assert_int_eq(outcome.error_number, ENOSPC);

    /* Other limits are an update. */
    config.max_bytes = 20000;
    ck_assert_int_eq(
        WAIT(bus_stream_create(bus, &config, 20000, take_done, NULL, NULL)),
        EEXIST);
    ck_assert_int_eq(
        WAIT(bus_stream_update(bus, &config, 20000, take_done, NULL, NULL)),
        0);
    ck_assert_int_eq(publish("s.1", bytes, sizeof bytes, NULL), 0);
}
END_TEST

START_TEST(a_subject_of_no_stream_keeps_nothing)
{
    ck_assert_int_eq(publish("nowhere", "x", 1, NULL), ECONNREFUSED);
}
END_TEST

/* --- Keys. --------------------------------------------------------------- */

static void
make_bucket(void)
{
    const struct bus_kv_config config = {.bucket = "b", .max_bytes = 1 << 20};

    ck_assert_int_eq(
        WAIT(bus_kv_create(bus, &config, 20000, take_done, NULL, NULL)), 0);
}

static int
put(const char *key, const char *value, uint64_t last)
{
    return WAIT(bus_kv_put(bus, "b", key, value, strlen(value), last, 20000,
                           take_seq, NULL, NULL));
}

static int
get(const char *key)
{
    return WAIT(bus_kv_get(bus, "b", key, 20000, take_entry, NULL, NULL));
}

START_TEST(of_two_writers_one_fails)
{
    uint64_t first;

    make_bucket();
    ck_assert_int_eq(get("k"), ENOENT);
    ck_assert_int_eq(put("k", "one", BUS_KV_ABSENT), 0);
    first = outcome.seq;
    ck_assert_int_eq(put("k", "other", BUS_KV_ABSENT), ESTALE);
    ck_assert_int_eq(put("k", "two", first), 0);
    ck_assert_int_eq(put("k", "late", first), ESTALE);
    ck_assert_int_eq(put("other.key", "x", BUS_KV_ABSENT), 0);
    ck_assert_int_eq(get("k"), 0);
    ck_assert_str_eq(outcome.text, "k=two");
    ck_assert_uint_gt(outcome.seq, first);
    ck_assert_int_eq(put("k", "three", outcome.seq), 0);

    ck_assert_int_eq(WAIT(bus_kv_delete(bus, "b", "k", BUS_KV_ANY, 20000,
                                        take_seq, NULL, NULL)),
                     0);
    ck_assert_int_eq(get("k"), 0);
    ck_assert(outcome.is_deleted);
    ck_assert_str_eq(outcome.text, "k=");
}
END_TEST

START_TEST(revisions_outlive_nats)
{
    uint64_t before;

    make_bucket();
    ck_assert_int_eq(put("k", "one", BUS_KV_ABSENT), 0);
    before = outcome.seq;
    nats_kill(&nats);
    nats_start(&nats, NULL);
    ck_assert_int_eq(put("k", "two", before), 0);
    ck_assert_uint_gt(outcome.seq, before);
}
END_TEST

START_TEST(bytes_come_back_as_they_were)
{
    uint8_t bytes[256];
    struct bus_kv_entry got;

    make_bucket();
    for (unsigned int i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t) (255 - i);
    }
    for (size_t size = 0; size <= 5; size++) {
        ck_assert_int_eq(
            WAIT(bus_kv_put(bus, "b", "k", bytes, size, BUS_KV_ANY, 20000,
                            take_seq, NULL, NULL)),
            0);
        ck_assert_int_eq(get("k"), 0);
        got.data = (const uint8_t *) outcome.text + 2;
        ck_assert_mem_eq(got.data, bytes, size);
    }
}
END_TEST

/* --- Watching. ----------------------------------------------------------- */

static struct seen {
    unsigned int n_begun, n_complete, n_broken;
    bool is_waited_for;
    const char *wanted;
    char all[512]; /* "KEY=VALUE ", since the last beginning. */
} seen;

static void
on_event(void *aux, enum bus_kv_event event, const char *why,
         const struct bus_kv_entry *entry)
{
    size_t len = strlen(seen.all);

    switch (event) {
    case BUS_KV_BEGIN:
        seen.n_begun++;
        seen.all[0] = '\0';
        break;
    case BUS_KV_ENTRY:
        snprintf(seen.all + len, sizeof seen.all - len, "%s%s%.*s ",
                 entry->key, entry->is_deleted ? "!" : "=", (int) entry->size,
                 (const char *) entry->data);
        break;
    case BUS_KV_COMPLETE:
        seen.n_complete++;
        strncat(seen.all, "| ", sizeof seen.all - len - 1);
        break;
    case BUS_KV_BROKEN:
        ck_assert_ptr_nonnull(why);
        seen.n_broken++;
        break;
    }
    seen.is_waited_for = seen.wanted && !strcmp(seen.all, seen.wanted);
}

static void
wait_for(const char *all)
{
    seen.wanted = all;
    seen.is_waited_for = !strcmp(seen.all, all);
    nats_loop_until(base, &seen.is_waited_for);
}

START_TEST(a_watch_tells_what_is_and_what_changes)
{
    struct bus_kv_watch *watch;

    make_bucket();
    seen = (struct seen){.n_begun = 0};
    watch = bus_kv_watch(bus, "b", "a.>", 1000, on_event, NULL);
    wait_for("| "); /* Nothing is there. */
    bus_kv_unwatch(watch);

    put("a.1", "x", BUS_KV_ANY);
    put("a.2", "y", BUS_KV_ANY);
    put("a.1", "z", BUS_KV_ANY);
    put("b.1", "n", BUS_KV_ANY);
    watch = bus_kv_watch(bus, "b", "a.>", 1000, on_event, NULL);
    wait_for("a.2=y a.1=z | ");
    put("a.3", "new", BUS_KV_ABSENT);
    WAIT(bus_kv_delete(bus, "b", "a.2", BUS_KV_ANY, 20000, take_seq, NULL,
                       NULL));
    wait_for("a.2=y a.1=z | a.3=new a.2! ");
    bus_kv_unwatch(watch);
}
END_TEST

START_TEST(a_watch_outlives_nats)
{
    struct bus_kv_watch *watch;

    make_bucket();
    seen = (struct seen){.n_begun = 0};
    put("a.1", "x", BUS_KV_ANY);
    watch = bus_kv_watch(bus, "b", ">", 600, on_event, NULL);
    wait_for("a.1=x | ");
    nats_kill(&nats);
    nats_start(&nats, NULL);
    put("a.1", "y", BUS_KV_ANY);
    wait_for("a.1=y | ");
    ck_assert_uint_ge(seen.n_broken, 1);
    ck_assert_uint_ge(seen.n_begun, 2);
    bus_kv_unwatch(watch);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("bus_kv");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, messages_are_kept_and_numbered);
    tcase_add_test(tcase, a_full_stream_refuses_what_is_new);
    tcase_add_test(tcase, a_subject_of_no_stream_keeps_nothing);
    tcase_add_test(tcase, of_two_writers_one_fails);
    tcase_add_test(tcase, revisions_outlive_nats);
    tcase_add_test(tcase, bytes_come_back_as_they_were);
    tcase_add_test(tcase, a_watch_tells_what_is_and_what_changes);
    tcase_add_test(tcase, a_watch_outlives_nats);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
