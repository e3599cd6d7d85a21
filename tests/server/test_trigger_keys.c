/* SPDX-License-Identifier: Apache-2.0 */
/* test_trigger_keys - of live filters that were removed nothing stays in NATS,
 * whatever was in the way. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/bus_kv.h"
#include "server/cluster_setup.h"
#include "server/trigger_keys.h"
#include "tests/lib/nats_fixture.h"

#define N_KEYS     500
#define TIMEOUT_MS 4000

static struct nats nats;
static struct event_base *base;
static struct bus *bus;
static struct trigger_keys *keys;
static size_t n_put, n_deleted;
static struct bus_kv_watch *watch;
static bool is_asking;
static uint64_t n_messages;

static void
set_up(void)
{
    nats_set_up(&nats, &base, &bus, CLUSTER_BUCKET_META);
    keys = trigger_keys_create(bus);
    n_put = n_deleted = 0;
    is_asking = false;
    n_messages = UINT64_MAX;
}

static void
tear_down(void)
{
    bus_kv_unwatch(watch);
    trigger_keys_destroy(keys);
    nats_tear_down(&nats, base, bus);
}

static void
on_put(void *aux, int error_number, const char *why, uint64_t revision,
       bool was_there)
{
    ck_assert_int_eq(error_number, 0);
    n_put++;
}

static void
put(const char *key)
{
    ck_assert_int_eq(bus_kv_put(bus, CLUSTER_BUCKET_META, key, ". *", 3,
                                BUS_KV_ANY, TIMEOUT_MS, on_put, NULL, NULL),
                     0);
}

static void
key_of(int i, char key[64])
{
    snprintf(key, 64, "trigger.a.0123456789abcdef.%d", i);
}

static void
on_watch(void *aux, enum bus_kv_event event, const char *why,
         const struct bus_kv_entry *entry)
{
    n_deleted += event == BUS_KV_ENTRY && entry->is_deleted;
}

static bool
is_putting(void *n)
{
    return n_put < *(size_t *) n;
}

static void
on_state(void *aux, int error_number, const char *why,
         const struct bus_stream_state *state)
{
    is_asking = false;
    if (!error_number) {
        n_messages = state->n_messages;
    }
}

/* Whether the bucket has not this many keys, living or dead. */
static bool
is_more(void *n)
{
    trigger_keys_tick(keys);
    if (!is_asking) {
        is_asking = !bus_stream_ask(bus, "KV_" CLUSTER_BUCKET_META, TIMEOUT_MS,
                                    on_state, keys, NULL);
    }
    return n_messages != *(uint64_t *) n || trigger_keys_n(keys);
}

static void
put_all(void)
{
    size_t n = N_KEYS + 1;
    char key[64];

    put("server.a");
    for (int i = 0; i < N_KEYS; i++) {
        key_of(i, key);
        put(key);
    }
    nats_loop_while(base, is_putting, &n);
}

START_TEST(nothing_stays_and_all_hear_of_it)
{
    uint64_t n_kept = 2; /* Another one's, and what is none. */
    char key[64];

    watch = bus_kv_watch(bus, CLUSTER_BUCKET_META, "trigger.>", 2000, on_watch,
                         NULL);
    put_all();
    for (int i = 1; i < N_KEYS; i++) {
        key_of(i, key);
        trigger_keys_delete(keys, key);
    }
    nats_loop_while(base, is_more, &n_kept);
    ck_assert_uint_eq(n_deleted, N_KEYS - 1);
}
END_TEST

static bool
is_waiting(void *aux)
{
    struct bus_counters counters;

    bus_get_counters(bus, &counters);
    return !counters.timeouts;
}

START_TEST(what_nats_does_not_answer_is_tried_again)
{
    uint64_t n_kept = N_KEYS;
    char key[64];

    put_all();
    nats_kill(&nats);
    key_of(7, key);
    trigger_keys_delete(keys, key);
    ck_assert_uint_eq(trigger_keys_n(keys), 1);
    nats_loop_while(base, is_waiting, NULL);
    ck_assert_uint_eq(trigger_keys_n(keys), 1);
    nats_start(&nats, NULL);
    nats_loop_while(base, is_more, &n_kept);
}
END_TEST

/* What a former process had deleted and not purged. */
START_TEST(what_is_found_goes_too)
{
    uint64_t n_kept = N_KEYS;
    char key[64];

    put_all();
    key_of(7, key);
    n_put = 0;
    ck_assert_int_eq(bus_kv_delete(bus, CLUSTER_BUCKET_META, key, BUS_KV_ANY,
                                   TIMEOUT_MS, on_put, NULL, NULL),
                     0);
    nats_loop_while(base, is_putting, &(size_t){1});
    trigger_keys_purge(keys, key, UINT64_C(1000));
    nats_loop_while(base, is_more, &n_kept);
    /* A key that was written again since stays. */
    put(key);
    nats_loop_while(base, is_putting, &(size_t){2});
    trigger_keys_purge(keys, key, 1);
    n_kept = N_KEYS + 1;
    nats_loop_while(base, is_more, &n_kept);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("trigger_keys");
    TCase *tcase = tcase_create("trigger_keys");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, nothing_stays_and_all_hear_of_it);
    tcase_add_test(tcase, what_nats_does_not_answer_is_tried_again);
    tcase_add_test(tcase, what_is_found_goes_too);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
