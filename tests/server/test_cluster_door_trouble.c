/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_door_trouble - whatever happens to NATS, what went in at the
 * door is read once by the owners of its packets, or counted. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "tests/server/door_fixture.h"

START_TEST(test_nats_is_killed)
{
    door_fixture_open((struct cluster_door_config){.timeout_ms = 300});
    for (uint32_t round = 0; round < 3; round++) {
        door_fixture_add(round * 2000, round * 2000 + 1000);
        cluster_door_flush(door);
        event_base_loop(base, EVLOOP_ONCE); /* Some are under way. */
        nats_kill(&nats);
        door_fixture_add(round * 2000 + 1000, round * 2000 + 2000);
        ck_assert_uint_gt(door_fixture_counters().waiting, 0);
        nats_start(&nats, NULL);
        door_fixture_run_until_idle();
    }
    ck_assert_uint_eq(door_fixture_counters().acknowledged, 6000 * N_HOPS);
    door_fixture_check_all();
}
END_TEST

/* The bytes that wait stay below the bound, and time is not lost. */
START_TEST(test_nats_is_away)
{
    door_fixture_open(
        (struct cluster_door_config){.max_bytes = 100000, .timeout_ms = 300});
    door_fixture_add(0, 100);
    door_fixture_run_until_idle();
    nats_kill(&nats);
    ck_assert(cluster_door_has_room(door));
    door_fixture_add(100, 20000);
    ck_assert(!cluster_door_has_room(door));
    ck_assert_uint_gt(door_fixture_counters().lost[CLUSTER_DOOR_NO_ROOM],
                      1000);
    ck_assert_uint_le(door_fixture_counters().waiting_bytes, 100000);
    /* Packed, many fit. */
    ck_assert_uint_gt(door_fixture_counters().waiting, 2 * 100000 / 110);
    nats_start(&nats, NULL);
    door_fixture_run_until_idle();
    for (uint32_t k = 0; k < N_SHARDS; k++) {
        struct owner owner = {.may_miss = true};

        door_fixture_read(&owner, k);
        ck_assert_uint_eq(owner.n_numbers_missing, 0);
    }
    door_fixture_forget();
}
END_TEST

static void
sum_lost(void *sum, uint64_t dpid, uint64_t n)
{
    ck_assert_uint_ge(dpid, 1);
    ck_assert_uint_le(dpid, N_HOPS);
    *(uint64_t *) sum += n;
}

static uint64_t
take_lost(void)
{
    uint64_t sum = 0;

    cluster_door_take_lost(door, sum_lost, &sum);
    return sum;
}

START_TEST(test_losses_have_switches)
{
    door_fixture_open((struct cluster_door_config){.max_bytes = 30000});
    nats_kill(&nats);
    door_fixture_add(0, 5000);
    ck_assert_uint_gt(door_fixture_counters().lost[CLUSTER_DOOR_NO_ROOM], 0);
    ck_assert_uint_eq(take_lost(),
                      door_fixture_counters().lost[CLUSTER_DOOR_NO_ROOM]);
    ck_assert_uint_eq(take_lost(), 0);
    door_fixture_forget();
}
END_TEST

/* NATS takes messages and does not answer any more. */
static bool
is_nothing_late(void *aux)
{
    (void) aux;
    door_fixture_is_busy(NULL);
    return door_fixture_counters().waiting > 0;
}

START_TEST(test_too_late)
{
    door_fixture_open(
        (struct cluster_door_config){.timeout_ms = 50, .late_ms = 300});
    door_fixture_add(0, 500);
    ck_assert_uint_eq(door_fixture_counters().acknowledged, 0);
    kill(nats.pid, SIGSTOP);
    ck_assert_int_eq(waitpid(nats.pid, NULL, WUNTRACED), nats.pid);
    cluster_door_flush(door);
    nats_loop_while(base, is_nothing_late, NULL);
    kill(nats.pid, SIGCONT);
    ck_assert_uint_gt(door_fixture_counters().lost[CLUSTER_DOOR_TOO_LATE], 0);
    ck_assert_uint_gt(door_fixture_counters().sent_again, 0);
    ck_assert_uint_eq(take_lost(),
                      door_fixture_counters().lost[CLUSTER_DOOR_TOO_LATE]);
    door_fixture_forget();
}
END_TEST

static bool
is_not_full(void *aux)
{
    (void) aux;
    door_fixture_is_busy(NULL);
    return door_fixture_counters().full < 3;
}

static bool
is_stuck(void *acknowledged)
{
    return door_fixture_is_busy(NULL) &&
           door_fixture_counters().acknowledged == *(uint64_t *) acknowledged;
}

START_TEST(test_stream_is_full)
{
    door_fixture_resize(40000);
    door_fixture_open((struct cluster_door_config){.is_file = false});
    door_fixture_add(0, 12000);
    cluster_door_flush(door);
    nats_loop_while(base, is_not_full, NULL);
    ck_assert_uint_gt(door_fixture_counters().waiting, 0);
    ck_assert_uint_gt(door_fixture_counters().acknowledged, 0);
    while (!cluster_door_is_idle(door)) {
        uint64_t acknowledged = door_fixture_counters().acknowledged;

        door_fixture_purge(); /* As the owner does. */
        nats_loop_while(base, is_stuck, &acknowledged);
    }
    ck_assert_uint_eq(door_fixture_counters().acknowledged, 12000 * N_HOPS);
    door_fixture_forget();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_door_trouble");
    TCase *tcase = tcase_create("door");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tcase, door_fixture_setup,
                              door_fixture_teardown);
    tcase_add_test(tcase, test_nats_is_killed);
    tcase_add_test(tcase, test_nats_is_away);
    tcase_add_test(tcase, test_losses_have_switches);
    tcase_add_test(tcase, test_too_late);
    tcase_add_test(tcase, test_stream_is_full);
    tcase_set_timeout(tcase, 100);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
