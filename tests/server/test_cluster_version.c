/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_version - the version of the bus is raised when all know a
 * newer one, by one of them, and who does not know it is refused. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_kv.h"
#include "server/cluster_setup.h"
#include "server/cluster_version.h"
#include "tests/lib/nats_fixture.h"

#define PATIENCE CLUSTER_VERSION_PATIENCE_MS

static struct nats nats;
static struct event_base *base;
static struct bus *bus;

struct server {
    struct cluster_version *version;
    uint32_t wire, wanted; /* That it was told, and that is waited for. */
    unsigned int n_changes, n_refused;
    char why[256];
};

static void
take_put(void *is_done, int error_number, const char *why, uint64_t revision,
         bool was_there)
{
    ck_assert_msg(!error_number, "%s", why);
    *(bool *) is_done = true;
}

static const struct cluster_config cluster = {.n_shards = 64,
                                              .n_stores = 16,
                                              .wire = 1,
                                              .n_copies = 1,
                                              .lease_ms = 1800,
                                              .id_seed = 7,
                                              .id_bytes = 70};

static void
set_up(void)
{
    json_t *json = cluster_config_to_json(&cluster);
    char *text = json_dumps(json, 0);
    bool is_put = false;

    base = event_base_new();
    nats = (struct nats){.pid = 0};
    nats_start(&nats, NULL);
    bus = nats_open(&nats, base);
    nats_create_bucket(bus, base, CLUSTER_BUCKET_META);
    ck_assert_int_eq(bus_kv_put(bus, CLUSTER_BUCKET_META, "config", text,
                                strlen(text), BUS_KV_ANY, 20000, take_put,
                                &is_put, NULL),
                     0);
    nats_loop_until(base, &is_put);
    free(text);
    json_decref(json);
}

static void
tear_down(void)
{
    bus_close(bus);
    nats_end(&nats);
    event_base_free(base);
}

static void
on_change(void *server_, uint32_t wire)
{
    struct server *server = server_;

    server->wire = wire;
    server->n_changes++;
}

static void
on_refused(void *server_, const struct lh_error *why)
{
    struct server *server = server_;

    server->n_refused++;
    memcpy(server->why, why->text,
           strlen(why->text) < sizeof server->why ? strlen(why->text) + 1
                                                  : sizeof server->why - 1);
}

static void
start(struct server *server, uint32_t min, uint32_t max)
{
    struct cluster_version_config config = {
        .bus = bus,
        .own = cluster,
        .wire = 1,
        .on_change = on_change,
        .on_refused = on_refused,
        .aux = server,
    };

    *server = (struct server){.wire = 1};
    config.own.wire_min = min;
    config.own.wire_max = max;
    server->version = cluster_version_create(&config);
}

/* Goes on looking at 'now_ms' until it speaks what is wanted: only then does
 * it know what the key says. */
static int64_t now_ms;
static uint32_t readable;

static bool
is_going(void *server_)
{
    struct server *server = server_;

    cluster_version_look(server->version, readable, now_ms);
    return server->wire != server->wanted;
}

static bool
is_accepted(void *server_)
{
    struct server *server = server_;

    return !server->n_refused;
}

static uint32_t
spoken_of(const struct bus_kv_entry *entry)
{
    struct cluster_config has;
    struct lh_error error;

    ck_assert(!cluster_config_read(&has, entry->data, entry->size, &error));
    /* All else stays. */
    ck_assert_uint_eq(has.n_shards, cluster.n_shards);
    ck_assert_uint_eq(has.n_stores, cluster.n_stores);
    ck_assert_uint_eq(has.n_copies, cluster.n_copies);
    ck_assert_uint_eq(has.lease_ms, cluster.lease_ms);
    ck_assert_uint_eq(has.id_seed, cluster.id_seed);
    return has.wire;
}

struct spoken {
    bool is_done;
    uint32_t wire;
    uint64_t revision;
};

static void
take_entry(void *spoken_, int error_number, const char *why,
           const struct bus_kv_entry *entry)
{
    struct spoken *spoken = spoken_;

    ck_assert_msg(!error_number, "%s", why);
    spoken->is_done = true;
    spoken->wire = spoken_of(entry);
    spoken->revision = entry->revision;
}

static struct spoken
spoken_now(void)
{
    struct spoken spoken = {.is_done = false};

    ck_assert_int_eq(bus_kv_get(bus, CLUSTER_BUCKET_META, "config", 20000,
                                take_entry, &spoken, NULL),
                     0);
    nats_loop_until(base, &spoken.is_done);
    return spoken;
}

START_TEST(it_is_raised_when_all_have_known_more_for_a_while)
{
    static struct server a, b, old;
    uint64_t revision = spoken_now().revision;

    start(&a, 1, 3);
    start(&b, 1, 2);
    start(&old, 1, 1);
    /* While one is there that does not know more, or of whom nothing is
     * known, or when that is new: nothing. */
    for (int64_t ms = 0; ms < 10 * PATIENCE; ms += PATIENCE / 2) {
        cluster_version_look(a.version, 1, ms);
        cluster_version_look(b.version, 1, ms);
    }
    cluster_version_look(a.version, 2, 11 * PATIENCE);
    cluster_version_look(a.version, 2, 12 * PATIENCE - 1);
    cluster_version_look(a.version, 0, 12 * PATIENCE);
    cluster_version_look(a.version, 2, 12 * PATIENCE + 1);
    cluster_version_look(a.version, 2, 13 * PATIENCE);
    ck_assert_uint_eq(spoken_now().wire, 1);
    ck_assert_uint_eq(spoken_now().revision, revision);

    /* Both raise it, one does; each is told. */
    now_ms = 14 * PATIENCE;
    readable = 2;
    a.wanted = b.wanted = 2;
    cluster_version_look(b.version, 2, 12 * PATIENCE);
    cluster_version_look(b.version, 2, now_ms);
    nats_loop_while(base, is_going, &a);
    nats_loop_while(base, is_going, &b);
    ck_assert_uint_eq(a.n_changes, 1);
    ck_assert_uint_eq(b.n_changes, 1);
    ck_assert_uint_eq(a.n_refused + b.n_refused, 0);
    ck_assert_uint_eq(spoken_now().revision, revision + 1);

    /* The old one, that came in this moment, is told what to do. */
    nats_loop_while(base, is_accepted, &old);
    ck_assert_uint_eq(old.n_refused, 1);
    ck_assert_uint_eq(old.n_changes, 0);
    ck_assert_msg(strstr(old.why, "speaks version 2"), "%s", old.why);
    ck_assert_msg(strstr(old.why, "install the version"), "%s", old.why);
    cluster_version_destroy(a.version);
    cluster_version_destroy(b.version);
    cluster_version_destroy(old.version);
}
END_TEST

/* Written down and read again. */
static void
check_is_kept(const struct cluster_config *config)
{
    json_t *json = cluster_config_to_json(config);
    char *text = json_dumps(json, 0);
    struct cluster_config is;
    struct lh_error error;

    ck_assert_msg(!cluster_config_read(&is, text, strlen(text), &error), "%s",
                  error.text);
    ck_assert_uint_eq(is.lease_ms, config->lease_ms);
    ck_assert_uint_eq(is.n_shards, config->n_shards);
    free(text);
    json_decref(json);
}

START_TEST(leases_are_as_long_for_all)
{
    struct cluster_config has = cluster, own = cluster;
    struct lh_error error;

    own.wire_max = 1;
    ck_assert(!cluster_config_compare(&has, &own, &error));
    own.lease_ms = 5000;
    ck_assert(cluster_config_compare(&has, &own, &error));
    ck_assert_msg(strstr(error.text, "last 1800 ms and not 5000: start this "
                                     "server without --cluster-lease"),
                  "%s", error.text);
    own.lease_ms = 0;
    ck_assert(!cluster_config_compare(&has, &own, &error));
    own.lease_ms = 5000;
    has.lease_ms = 0; /* An older version did not say it. */
    ck_assert(!cluster_config_compare(&has, &own, &error));
    check_is_kept(&has);
    check_is_kept(&own);
}
END_TEST

START_TEST(who_does_not_know_it_is_refused)
{
    struct cluster_config has = cluster, own = cluster;
    struct lh_error error;

    own.wire_min = 2;
    own.wire_max = 3;
    ck_assert(cluster_config_compare(&has, &own, &error));
    ck_assert_msg(strstr(error.text, "version in between"), "%s", error.text);
    has.wire = 4;
    ck_assert(cluster_config_compare(&has, &own, &error));
    ck_assert_msg(strstr(error.text, "install the version"), "%s", error.text);
    has.wire = 2;
    ck_assert(!cluster_config_compare(&has, &own, &error));
    has.wire = 3;
    ck_assert(!cluster_config_compare(&has, &own, &error));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_version");
    TCase *tcase = tcase_create("nats"), *plain = tcase_create("plain");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, it_is_raised_when_all_have_known_more_for_a_while);
    tcase_add_test(plain, leases_are_as_long_for_all);
    tcase_add_test(plain, who_does_not_know_it_is_refused);
    suite_add_tcase(suite, tcase);
    suite_add_tcase(suite, plain);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
