/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_store_copies - what the owner of a copy of a shard notes of
 * what its disk has. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/bus_stream.h"
#include "server/cluster_cover.h"
#include "server/cluster_setup.h"
#include "server/cluster_store.h"
#include "tests/lib/nats_fixture.h"
#include "tests/server/store_fixture.h"

#define SHARDS 16
#define OWN    7u /* The disk. */
#define LONG   600000

static struct nats nats;
static struct cluster_store *store;
static bool is_open, is_drained, is_done;

static enum store_disk_state
disk_state(void *aux, uint64_t disk, const char **server)
{
    *server = "me";
    return STORE_DISK_THERE;
}

static bool
is_waited_for(void *aux, uint32_t slot, uint64_t position)
{
    return true;
}

static struct store_team team = {.n_shards = SHARDS,
                                 .n_copies = 2,
                                 .disk = OWN,
                                 .disk_state = disk_state,
                                 .is_waited_for = is_waited_for};

static void
on_event(void *aux, struct cluster_store *s, enum cluster_store_event event)
{
    is_open |= event == STORE_OPEN;
    is_drained |= event == STORE_DRAINED;
}

static void
own(uint32_t round_ms)
{
    const struct cluster_store_config config = {
        .bus = bus,
        .stream = "LH2",
        .subject = "lh.2",
        .bucket = CLUSTER_BUCKET_COMMIT_2,
        .shard = STORE_M,
        .slot = STORE_M,
        .epoch = 1,
        .dir = dirs[0],
        .packet_id = store_id_config,
        .team = &team,
        .round_ms = round_ms,
        .on_event = on_event,
    };

    is_open = is_drained = false;
    store = cluster_store_create(&config);
    nats_loop_until(base, &is_open);
}

static void
on_ready(void *aux, int error_number, const char *why)
{
    ck_assert_msg(!error_number, "%s", why);
    is_done = true;
}

static void
set_up(void)
{
    const struct bus_stream_config stream = {
        .name = "LH2", .subjects = "lh.2.*", .max_bytes = 64u << 20};

    nats_set_up(&nats, &base, &bus, CLUSTER_BUCKET_COMMIT_2);
    snprintf(dirs[0], sizeof dirs[0], "%s/archive", nats.dir);
    snprintf(dirs[1], sizeof dirs[1], "%s/none", nats.dir);
    n_sent = n_checkpoints = 0;
    is_done = false;
    ck_assert_int_eq(
        bus_stream_create(bus, &stream, 5000, on_ready, NULL, NULL), 0);
    nats_loop_until(base, &is_done);
}

static void
tear_down(void)
{
    nats_tear_down(&nats, base, bus);
}

static bool
has_not_accepted_all(void *aux)
{
    struct cluster_store_counters c;

    cluster_store_get_counters(store, &c);
    return c.histories < n_sent;
}

static bool
has_not_committed_all(void *aux)
{
    struct cluster_store_counters c;

    cluster_store_get_counters(store, &c);
    return c.archived < n_sent;
}

static void
on_cover(void *aux)
{
    is_done = true;
}

/* The earliest time of what the records say that the disk has. */
static uint64_t
find_oldest(void)
{
    struct cluster_cover *cover =
        cluster_cover_create(bus, SHARDS, 2, on_cover, NULL);
    uint64_t oldest_ns;

    is_done = false;
    nats_loop_until(base, &is_done);
    oldest_ns = cluster_cover_oldest(cover, OWN);
    cluster_cover_destroy(cover);
    return oldest_ns;
}

static void
drain(void)
{
    cluster_store_drain(store);
    nats_loop_until(base, &is_drained);
    cluster_store_destroy(store);
}

/* --- Tests. -------------------------------------------------------------- */

START_TEST(times_are_noted_with_a_round)
{
    own(20);
    send_checkpoints(2);
    nats_loop_while(base, has_not_committed_all, NULL);
    ck_assert_uint_eq(find_oldest(), STORE_FIRST_NS);
    drain();
    ck_assert_uint_eq(find_oldest(), STORE_FIRST_NS);
    check_each_once();
}
END_TEST

/* The last round of an owner that gives the shard away has histories, too. */
START_TEST(times_are_noted_when_a_shard_is_given_away)
{
    own(LONG);
    send_checkpoints(2);
    nats_loop_while(base, has_not_accepted_all, NULL);
    ck_assert_uint_eq(find_oldest(), UINT64_MAX);
    drain();
    ck_assert_uint_eq(find_oldest(), STORE_FIRST_NS);
    check_each_once();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_store_copies");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 100);
    tcase_add_test(tcase, times_are_noted_with_a_round);
    tcase_add_test(tcase, times_are_noted_when_a_shard_is_given_away);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
