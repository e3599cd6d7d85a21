/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_holes - what one server says is lost all know, those that come
 * later too, and clients are told of it once. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_stream.h"
#include "lib/time_spec.h"
#include "server/cluster_holes.h"
#include "server/cluster_setup.h"
#include "tests/lib/nats_fixture.h"

#define SECOND UINT64_C(1000000000)

/* A server. */
struct side {
    struct cluster_holes *holes;
    size_t n_told;
    struct cluster_hole last;
    char why[200];
};

static struct nats nats;
static struct event_base *base;
static struct bus *bus;
static struct side a, b;
static size_t n_wanted;

static void
set_up(void)
{
    nats_set_up(&nats, &base, &bus, CLUSTER_BUCKET_META);
}

static void
tear_down(void)
{
    cluster_holes_destroy(a.holes);
    cluster_holes_destroy(b.holes);
    nats_tear_down(&nats, base, bus);
}

static void
on_hole(void *side_, const struct cluster_hole *hole, const char *why)
{
    struct side *side = side_;

    side->n_told++;
    side->last = *hole;
    ck_assert_uint_lt(strlen(why), sizeof side->why);
    strcpy(side->why, why);
}

static void
start(struct side *side, const char *name)
{
    const struct cluster_holes_config config = {.bus = bus,
                                                .name = name,
                                                .started_ns = time_spec_now(),
                                                .on_hole = on_hole,
                                                .aux = side};

    cluster_holes_destroy(side->holes);
    *side = (struct side){.holes = cluster_holes_create(&config)};
}

static json_t *
list(const struct side *side, uint64_t since_ns, uint64_t until_ns)
{
    json_t *json = json_array();

    cluster_holes_list(side->holes, since_ns, until_ns, json);
    return json;
}

static size_t
count(const struct side *side, uint64_t since_ns, uint64_t until_ns)
{
    json_t *json = list(side, since_ns, until_ns);
    size_t n = json_array_size(json);

    json_decref(json);
    return n;
}

static bool
is_waiting(void *side_)
{
    const struct side *side = side_;

    cluster_holes_tick(side->holes);
    if (a.holes && a.holes != side->holes) {
        cluster_holes_tick(a.holes);
    }
    return count(side, 0, UINT64_MAX) != n_wanted;
}

static void
wait_for(struct side *side, size_t n)
{
    n_wanted = n;
    nats_loop_while(base, is_waiting, side);
}

static bool
is_untold(void *side)
{
    return ((struct side *) side)->n_told < n_wanted;
}

static void
add(struct side *side, enum cluster_hole_what what, uint64_t since_s,
    uint64_t until_s)
{
    const struct cluster_hole hole = {what, 3, since_s * SECOND,
                                      until_s * SECOND};

    cluster_holes_add(side->holes, &hole);
}

START_TEST(all_servers_know)
{
    json_t *json;

    start(&a, "a");
    start(&b, "b");
    add(&a, HOLE_POSTCARDS, 100, 110);
    add(&a, HOLE_HISTORIES, 105, 120);
    wait_for(&b, 2);
    n_wanted = 2;
    nats_loop_while(base, is_untold, &b);
    ck_assert_uint_eq(a.n_told, 2);
    ck_assert_uint_eq(b.n_told, 2);
    ck_assert_str_eq(b.why, "NATS lost 3 messages of histories that it had "
                            "acknowledged");
    ck_assert_uint_eq(b.last.since_ns, 105 * SECOND);
    ck_assert_uint_eq(b.last.until_ns, 120 * SECOND);
    /* Answers about these times say so, and others do not. */
    json = list(&b, 0, 101 * SECOND);
    ck_assert_uint_eq(json_array_size(json), 1);
    ck_assert_str_eq(
        json_string_value(json_object_get(json_array_get(json, 0), "server")),
        "a");
    ck_assert_str_eq(
        json_string_value(json_object_get(json_array_get(json, 0), "what")),
        "postcards");
    ck_assert_uint_eq((uint64_t) json_integer_value(json_object_get(
                          json_array_get(json, 0), "since_ns")),
                      100 * SECOND);
    json_decref(json);
    ck_assert_uint_eq(count(&b, 0, 100 * SECOND), 0);
    ck_assert_uint_eq(count(&b, 121 * SECOND, UINT64_MAX), 0);
    ck_assert_uint_eq(count(&b, 115 * SECOND, UINT64_MAX), 1);
    /* A server that comes later has the same answers; its clients were not
     * there. */
    start(&b, "b");
    wait_for(&b, 2);
    ck_assert_uint_eq(b.n_told, 0);
}
END_TEST

START_TEST(what_touches_is_one)
{
    start(&a, "a");
    add(&a, HOLE_POSTCARDS, 100, 110);
    add(&a, HOLE_POSTCARDS, 130, 140);
    add(&a, HOLE_HISTORIES, 100, 140);
    ck_assert_uint_eq(count(&a, 0, UINT64_MAX), 3);
    add(&a, HOLE_POSTCARDS, 109, 130);
    ck_assert_uint_eq(count(&a, 0, UINT64_MAX), 2);
    cluster_holes_tick(a.holes);
    ck_assert_uint_eq(a.n_told, 2);
    cluster_holes_tick(a.holes);
    ck_assert_uint_eq(a.n_told, 2);
    /* Of too many the nearest are one, and no time is left out. */
    for (uint64_t i = 0; i < 2 * CLUSTER_HOLES_MAX; i++) {
        add(&a, HOLE_POSTCARDS, 1000 * (i + 1), 1000 * (i + 1) + i);
    }
    ck_assert_uint_eq(count(&a, 0, UINT64_MAX), CLUSTER_HOLES_MAX);
    for (uint64_t i = 0; i < 2 * CLUSTER_HOLES_MAX; i++) {
        uint64_t ns = 1000 * (i + 1) * SECOND;

        ck_assert_uint_ge(count(&a, ns, ns + 1), 1);
    }
}
END_TEST

static bool is_deleted;

static void
on_deleted(void *aux, int error_number, const char *why)
{
    ck_assert_msg(!error_number, "%s", why);
    is_deleted = true;
}

/* The process of that name is another one, and NATS does not know any more
 * what the first one told. */
START_TEST(nothing_is_forgotten)
{
    start(&a, "a");
    start(&b, "b");
    add(&a, HOLE_POSTCARDS, 100, 110);
    wait_for(&b, 1);
    start(&a, "a");
    add(&a, HOLE_HISTORIES, 300, 310);
    wait_for(&a, 2);
    wait_for(&b, 2);
    ck_assert(!bus_stream_delete(bus, "KV_" CLUSTER_BUCKET_META, 5000,
                                 on_deleted, NULL, NULL));
    nats_loop_until(base, &is_deleted);
    nats_create_bucket(bus, base, CLUSTER_BUCKET_META);
    start(&b, "b");
    wait_for(&b, 2);
}
END_TEST

/* It does not know from when to when. */
START_TEST(times_that_are_not_known)
{
    const struct cluster_hole hole = {HOLE_POSTCARDS, 1, 0, UINT64_MAX};
    json_t *json;

    start(&a, "a");
    start(&b, "b");
    cluster_holes_add(a.holes, &hole);
    wait_for(&b, 1);
    json = list(&b, 5 * SECOND, 6 * SECOND);
    ck_assert_uint_eq(json_array_size(json), 1);
    ck_assert(
        json_is_null(json_object_get(json_array_get(json, 0), "since_ns")));
    ck_assert(
        json_is_null(json_object_get(json_array_get(json, 0), "until_ns")));
    json_decref(json);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_holes");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 150);
    tcase_add_test(tcase, all_servers_know);
    tcase_add_test(tcase, what_touches_is_one);
    tcase_add_test(tcase, nothing_is_forgotten);
    tcase_add_test(tcase, times_that_are_not_known);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
