/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of server/cluster_store: whatever happens to its owners, the archives
 * of all of them together have each history once. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/bus_kv.h"
#include "lib/bus_stream.h"
#include "lib/lh_alloc.h"
#include "server/cluster_store.h"
#include "server/store_disk.h"
#include "server/store_settle.h"
#include "tests/lib/nats_fixture.h"
#include "tests/lib/random_history.h"
#include "tests/server/store_fixture.h"
#include "tests/server/store_owner.h"

/* --- Tests -----------------------------------------------------------------
 */

START_TEST(what_is_committed_is_archived_and_purged)
{
    struct cluster_store_counters c;
    struct lh_error error;
    struct owner owner;

    open_bus();
    make_streams();
    send_checkpoints(3);
    own(&owner, 1, dirs[0]);
    nats_loop_until(base, &owner.is_open);
    send_checkpoints(5);
    nats_loop_while(base, is_behind, &owner);
    cluster_store_get_counters(owner.store, &c);
    ck_assert_uint_eq(c.histories, n_sent);
    ck_assert_uint_eq(c.repeated, 0);
    ck_assert_uint_eq(c.broken, 0);
    ck_assert_uint_eq(c.accept.accepted, 16);
    ck_assert_uint_eq(c.accept.dropped + c.accept.had, 16);
    ck_assert(!cluster_store_trouble(owner.store, &error));
    ck_assert_uint_eq(owner.n_shown, n_sent);
    drain(&owner);
    check_each_once();
    state.is_told = true;
    state.n_messages = 2;
    nats_loop_while(base, has_messages, NULL);

    /* Somebody else goes on with the next one. */
    own(&owner, 2, dirs[1]);
    send_checkpoints(2);
    nats_loop_until(base, &owner.is_open);
    while (owner.n_shown < 70) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    drain(&owner);
    check_each_once();
    close_bus();
}
END_TEST

static bool
has_not_read_again(void *owner)
{
    struct cluster_store_counters c;

    cluster_store_get_counters(((struct owner *) owner)->store, &c);
    return !c.accept.had;
}

/* What a marker tells of is read again until all of it is there. */
START_TEST(what_is_missing_is_read_again)
{
    struct cluster_store_counters c;
    struct owner owner;

    open_bus();
    make_streams();
    own(&owner, 1, dirs[0]);
    nats_loop_until(base, &owner.is_open);
    send_without_last_part();
    nats_loop_while(base, has_not_read_again, &owner);
    cluster_store_get_counters(owner.store, &c);
    ck_assert_uint_eq(c.accept.accepted, 0);
    send_last_part();
    nats_loop_while(base, is_behind, &owner);
    cluster_store_get_counters(owner.store, &c);
    ck_assert_uint_eq(c.accept.accepted, 2);
    ck_assert_uint_eq(c.accept.missing, 0);
    ck_assert_uint_eq(owner.n_shown, n_sent);
    drain(&owner);
    check_each_once();
    close_bus();
}
END_TEST

static bool
is_nobodys(void *aux, uint32_t shard)
{
    return false;
}

/* An owner that does not know that it is none any more: what it stored last
 * does not count, and goes. */
START_TEST(a_fenced_owner_leaves_nothing)
{
    struct store_settle_config config = {.bucket = "c2",
                                         .dir = dirs[0],
                                         .n_shards = 16,
                                         .period_ms = 50,
                                         .is_owned = is_nobodys};
    struct store_settle_counters counters = {.settled = 0};
    struct owner old, new;

    open_bus();
    make_streams();
    own(&old, 1, dirs[0]);
    nats_loop_until(base, &old.is_open);
    send_checkpoints(4);
    nats_loop_while(base, is_behind, &old);
    own(&new, 2, dirs[1]);
    send_checkpoints(4);
    nats_loop_until(base, &old.is_fenced);
    cluster_store_destroy(old.store);
    nats_loop_until(base, &new.is_open);
    send_checkpoints(1);

    config.bus = bus;
    struct store_settle *settle = store_settle_create(&config);

    while (!counters.settled) {
        event_base_loop(base, EVLOOP_ONCE);
        store_settle_get_counters(settle, &counters);
    }
    store_settle_destroy(settle);
    while (new.n_shown < 35) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    drain(&new);
    check_each_once();
    close_bus();
}
END_TEST

/* What an owner wrote when there was no room for the file `commit`, and that
 * then died, is cut off when the shard is another's. */
START_TEST(what_a_full_disk_left_is_cut_off)
{
    struct store_settle_config config = {.bucket = "c2",
                                         .dir = dirs[0],
                                         .n_shards = 16,
                                         .period_ms = 50,
                                         .is_owned = is_nobodys};
    struct store_settle_counters counters = {.settled = 0};
    struct owner old, new;
    char no_room[128];

    open_bus();
    make_streams();
    own(&old, 1, dirs[0]);
    nats_loop_until(base, &old.is_open);
    send_checkpoints(2);
    nats_loop_while(base, is_uncommitted, &old);
    snprintf(no_room, sizeof no_room, "%s/shard-%02d/commit.new", dirs[0],
             STORE_M);
    ck_assert_int_eq(mkdir(no_room, 0700), 0);
    send_checkpoints(2);
    nats_loop_while(base, has_no_trouble, &old);
    cluster_store_destroy(old.store);
    ck_assert_int_eq(rmdir(no_room), 0);

    own(&new, 2, dirs[1]);
    nats_loop_until(base, &new.is_open);
    config.bus = bus;
    struct store_settle *settle = store_settle_create(&config);

    while (!counters.settled) {
        event_base_loop(base, EVLOOP_ONCE);
        store_settle_get_counters(settle, &counters);
    }
    ck_assert_uint_gt(counters.cut_bytes, 0);
    store_settle_destroy(settle);
    while (new.n_shown < 70) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    drain(&new);
    check_each_once();
    close_bus();
}
END_TEST

static void
run_owner(uint64_t epoch, const char *dir)
{
    struct owner owner;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    open_bus();
    own(&owner, epoch, dir);
    event_base_dispatch(base);
}

/* Killed whenever, and followed by itself or by another server. */
START_TEST(whoever_is_killed_each_history_is_there_once)
{
    uint64_t seed = (uint64_t) _i + 77;
    uint64_t epoch = 0;

    for (int round = 0; round < 6; round++) {
        const char *dir = dirs[random_u32(&seed) % 2];
        pid_t pids[2];

        /* Who sends: a process of its own, as a bus is not forked. */
        pids[0] = fork();
        ck_assert_int_ge(pids[0], 0);
        if (!pids[0]) {
            open_bus();
            if (!round) {
                make_streams();
            }
            send_checkpoints(6);
            _exit(0);
        }
        int status;

        if (!round) {
            waitpid(pids[0], &status, 0);
        }
        epoch++;
        pids[1] = fork();
        ck_assert_int_ge(pids[1], 0);
        if (!pids[1]) {
            run_owner(epoch, dir);
            _exit(1);
        }
        if (round) {
            waitpid(pids[0], &status, 0);
        }
        ck_assert(WIFEXITED(status) && !WEXITSTATUS(status));
        n_sent += 6 * 35;
        n_checkpoints += 6;
        /* Any moment is as good as another. */
        usleep(random_u32(&seed) % 300000);
        kill(pids[1], SIGKILL);
        waitpid(pids[1], &status, 0);
    }

    /* The last owners, one after the other in both directories, so that each
     * finds out what of it counts. */
    struct owner owner;

    open_bus();
    for (int i = 0; i < 2; i++) {
        own(&owner, ++epoch, dirs[i]);
        nats_loop_until(base, &owner.is_open);

        state.is_told = true;
        state.n_messages = 2;
        nats_loop_while(base, has_messages, NULL);
        drain(&owner);
    }
    check_each_once();
    close_bus();
}
END_TEST

/* In a process that Check's own files are not bound by the limits of: exits
 * with 'status' unless 'is_so'. */
static void
require(bool is_so, int status)
{
    if (!is_so) {
        _exit(status);
    }
}

static void
on_full_state(void *aux, int error_number, const char *why,
              const struct bus_stream_state *is)
{
    require(!error_number, 20);
    state.is_told = true;
    state.n_messages = is->n_messages;
}

static void
run_until(bool (*is_going)(const struct cluster_store_counters *),
          struct owner *owner)
{
    struct cluster_store_counters c;

    do {
        event_base_loop(base, EVLOOP_ONCE);
        cluster_store_get_counters(owner->store, &c);
    } while (is_going(&c));
}

static bool
has_not_failed(const struct cluster_store_counters *c)
{
    return c->restarts < 2;
}

static bool
is_not_archived(const struct cluster_store_counters *c)
{
    return c->archived < 105;
}

static void
own_on_full_disk(void)
{
    struct rlimit none, all;
    struct cluster_store_counters c;
    struct lh_error error;
    struct owner owner;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGXFSZ, SIG_IGN);
    require(freopen("/dev/null", "w", stderr) &&
                !getrlimit(RLIMIT_FSIZE, &all),
            21);
    none = (struct rlimit){.rlim_cur = 300, .rlim_max = all.rlim_max};
    require(!setrlimit(RLIMIT_FSIZE, &none), 22);
    open_bus();
    own(&owner, 1, dirs[0]);
    run_until(has_not_failed, &owner);
    require(cluster_store_trouble(owner.store, &error) &&
                strstr(error.text, "File too large"),
            23);
    cluster_store_get_counters(owner.store, &c);
    require(!c.archived, 24);
    state.is_told = false;
    require(!bus_stream_ask(bus, "LH2", 5000, on_full_state, NULL, NULL), 25);
    while (!state.is_told) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    require(state.n_messages == 15, 26);

    require(!setrlimit(RLIMIT_FSIZE, &all), 27);
    run_until(is_not_archived, &owner);
    cluster_store_get_counters(owner.store, &c);
    require(!cluster_store_trouble(owner.store, &error), 28);
    require(c.repeated, 29);
    require(owner.n_shown == 105, 30);
    cluster_store_drain(owner.store);
    while (!owner.is_drained) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    _exit(0);
}

/* No file may grow: nothing is acknowledged, and nothing purged.  When there
 * is room again it goes on by itself. */
START_TEST(a_full_disk_is_waited_for)
{
    pid_t pid = fork();
    int status;

    if (!pid) {
        open_bus();
        make_streams();
        send_checkpoints(3);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    ck_assert(WIFEXITED(status) && !WEXITSTATUS(status));
    n_sent = 105;
    pid = fork();
    if (!pid) {
        own_on_full_disk();
    }
    waitpid(pid, &status, 0);
    ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "%d",
                  WEXITSTATUS(status));
    check_each_once();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_store");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, store_set_up, store_tear_down);
    tcase_add_test(tc, what_is_committed_is_archived_and_purged);
    tcase_add_test(tc, what_is_missing_is_read_again);
    tcase_add_test(tc, a_fenced_owner_leaves_nothing);
    tcase_add_test(tc, what_a_full_disk_left_is_cut_off);
    tcase_add_loop_test(tc, whoever_is_killed_each_history_is_there_once, 0,
                        2);
    tcase_add_test(tc, a_full_disk_is_waited_for);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
