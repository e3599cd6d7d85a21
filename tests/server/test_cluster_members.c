/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_members - who is part of a cluster is known without a gap, also
 * when NATS was away and all is told anew. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_stream.h"
#include "server/cluster_members.h"
#include "server/cluster_setup.h"
#include "tests/lib/nats_fixture.h"

static struct nats nats;
static struct event_base *base;
static struct bus *bus;
static struct cluster_members *members;
static size_t n_least, n_wanted;

static void
set_up(void)
{
    nats_set_up(&nats, &base, &bus, CLUSTER_BUCKET_META);
}

static void
tear_down(void)
{
    nats_tear_down(&nats, base, bus);
}

/* Never fewer than 'n_least' are known until 'n_wanted' are; 'self' is told
 * until then, or NULL. */
static bool
is_waiting(void *self)
{
    size_t n = cluster_members_n(members);

    if (self) {
        cluster_members_tell(members, self);
    }
    ck_assert_uint_ge(n, n_least);
    return n != n_wanted;
}

static void
tell(const char *name)
{
    struct cluster_member self = {.wire_min = 1, .wire_max = 1};

    snprintf(self.name, sizeof self.name, "%s", name);
    snprintf(self.version, sizeof self.version, "%s", name);
    n_wanted = cluster_members_n(members) + 1;
    nats_loop_while(base, is_waiting, &self);
    ck_assert_ptr_nonnull(cluster_members_find(members, name));
}

START_TEST(nobody_is_forgotten_while_all_is_told_anew)
{
    members = cluster_members_create(bus, NULL, NULL);
    tell("a");
    tell("b");
    nats_kill(&nats);
    nats_start(&nats, NULL);
    n_least = 2;
    tell("c");
    n_least = 0;
    cluster_members_forget(members, "b");
    n_wanted = 2;
    nats_loop_while(base, is_waiting, NULL);
    ck_assert_ptr_null(cluster_members_find(members, "b"));
    cluster_members_destroy(members);
}
END_TEST

/* A copy of the bucket may tell a watch less than NATS has. */
#define NO_WATCH                                                              \
    "authorization { users: [{user: a, password: a, permissions: {publish: "  \
    "{deny: [\"$JS.API.CONSUMER.>\"]}}}] }\nno_auth_user: a\n"

static void
on_done(void *is_done, int error_number, const char *why, uint64_t revision,
        bool was_there)
{
    ck_assert_msg(!error_number, "%s", why);
    *(bool *) is_done = true;
}

static void
put(const char *key, const char *text)
{
    bool is_done = false;

    ck_assert(!bus_kv_put(bus, CLUSTER_BUCKET_META, key, text, strlen(text),
                          BUS_KV_ANY, 5000, on_done, &is_done, NULL));
    nats_loop_until(base, &is_done);
}

static bool
is_not_version(void *version)
{
    const struct cluster_member *b = cluster_members_find(members, "b");

    cluster_members_check(members, "b");
    return !b || strcmp(b->version, version) != 0;
}

START_TEST(what_the_watch_does_not_tell_is_asked_for)
{
    bus_close(bus);
    nats_kill(&nats);
    nats_start(&nats, NO_WATCH);
    bus = nats_open(&nats, base);
    members = cluster_members_create(bus, NULL, NULL);
    put("server.b", "{\"version\":\"1\",\"wire_min\":1,\"wire_max\":1,"
                    "\"started_ns\":1,\"since_ns\":0,\"until_ns\":0}");
    nats_loop_while(base, is_not_version, (void *) "1");
    put("server.b", "{\"version\":\"2\",\"wire_min\":1,\"wire_max\":1,"
                    "\"started_ns\":1,\"since_ns\":0,\"until_ns\":0}");
    nats_loop_while(base, is_not_version, (void *) "2");
    cluster_members_destroy(members);
}
END_TEST

static void
on_removed(void *is_done, int error_number, const char *why)
{
    ck_assert_msg(!error_number, "%s", why);
    *(bool *) is_done = true;
}

static bool
is_b_known(void *aux)
{
    cluster_members_check(members, "b");
    return cluster_members_find(members, "b") != NULL;
}

static bool
is_undoubted(void *self)
{
    cluster_members_tell(members, self);
    cluster_members_check(members, "a");
    return !cluster_members_find(members, "a");
}

/* What NATS has not any more is told again by whom it is of, and forgotten by
 * others. */
START_TEST(what_nats_lost_is_told_again)
{
    struct cluster_member self = {
        .name = "a", .version = "a", .wire_min = 1, .wire_max = 1};
    bool is_done = false;

    members = cluster_members_create(bus, NULL, NULL);
    tell("a");
    put("server.b", "{\"version\":\"1\",\"wire_min\":1,\"wire_max\":1,"
                    "\"started_ns\":1,\"since_ns\":0,\"until_ns\":0}");
    n_wanted = 2;
    nats_loop_while(base, is_waiting, NULL);
    ck_assert(!bus_stream_purge(bus, "KV_" CLUSTER_BUCKET_META, NULL, 1000,
                                5000, on_removed, &is_done, NULL));
    nats_loop_until(base, &is_done);
    nats_loop_while(base, is_b_known, NULL);
    ck_assert_uint_ge(cluster_members_n_doubts(members), 1);
    nats_loop_while(base, is_undoubted, &self);
    cluster_members_destroy(members);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_members");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, nobody_is_forgotten_while_all_is_told_anew);
    tcase_add_test(tcase, what_the_watch_does_not_tell_is_asked_for);
    tcase_add_test(tcase, what_nats_lost_is_told_again);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
