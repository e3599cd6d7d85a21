/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of server/cluster_store on streams that lost their end, or have what
 * only a newer version can read. */
#include <config.h>

#include <check.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bus_stream.h"
#include "server/cluster_store.h"
#include "tests/server/store_fixture.h"
#include "tests/server/store_owner.h"

/* --- A stream that has lost its end --------------------------------------
 */

/* Two checkpoints and three more; of the messages of these three NATS knows
 * nothing any more when it starts again. */
static void
lose_end(struct owner *owner)
{
    open_bus();
    make_streams();
    own(owner, 1, dirs[0]);
    nats_loop_until(base, &owner->is_open);
    send_checkpoints(2);
    nats_loop_while(base, is_uncommitted, owner);
    nats_kill(&nats);
    nats_keep_store(&nats);
    nats_start(&nats, NULL);
    send_checkpoints(3);
    nats_loop_while(base, is_uncommitted, owner);
}

static void
fall_back(void)
{
    nats_kill(&nats);
    nats_stream_falls_back(&nats, "LH2");
    nats_start(&nats, NULL);
}

static uint64_t
position_of(const struct owner *owner)
{
    struct cluster_store_counters c;

    cluster_store_get_counters(owner->store, &c);
    return c.position;
}

static uint64_t
n_fallen(const struct owner *owner)
{
    struct cluster_store_counters c;

    cluster_store_get_counters(owner->store, &c);
    return c.fallen;
}

static bool
has_not_fallen(void *owner)
{
    return !n_fallen(owner);
}

/* It goes on, and says so, though what comes has numbers that it had read. */
START_TEST(a_stream_that_fell_back_is_read_on)
{
    struct lh_error error;
    struct owner owner;
    uint64_t before;

    lose_end(&owner);
    before = position_of(&owner);
    fall_back();
    nats_loop_while(base, has_not_fallen, &owner);
    for (int i = 1; i < 5; i++) {
        send_checkpoints(1);
        nats_loop_while(base, is_uncommitted, &owner);
        ck_assert(!cluster_store_trouble(owner.store, &error));
        if (i < 3) {
            ck_assert_uint_lt(position_of(&owner), before);
        }
    }
    ck_assert_uint_gt(position_of(&owner), before);
    ck_assert_uint_eq(n_fallen(&owner), 1);
    ck_assert_uint_eq(owner.n_shown, n_sent);
    check_swept();
    drain(&owner);
    check_each_once();
    close_bus();
}
END_TEST

/* Its owner had died before: the next one finds what is there, whether the
 * stream has passed the committed number again or not. */
START_TEST(a_stream_that_fell_back_is_read_by_the_next)
{
    struct owner owner, next;
    uint64_t had;

    lose_end(&owner);
    had = owner.n_shown;
    cluster_store_destroy(owner.store);
    fall_back();
    send_checkpoints(_i ? 5 : 2);
    own(&next, 2, dirs[1]);
    nats_loop_until(base, &next.is_open);
    while (next.n_shown < n_sent - had) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    if (!_i) {
        nats_loop_while(base, has_not_fallen, &next);
    }
    check_swept();
    drain(&next);
    /* What the first one did not commit it cuts off. */
    own(&owner, 3, dirs[0]);
    nats_loop_until(base, &owner.is_open);
    drain(&owner);
    check_each_once();
    close_bus();
}
END_TEST

/* What waits for its marker under a number that was committed before is not
 * forgotten with its owner. */
START_TEST(what_waits_after_a_fall_is_not_removed)
{
    struct owner owner;

    lose_end(&owner);
    fall_back();
    nats_loop_while(base, has_not_fallen, &owner);
    send_without_last_part();
    send_last_part();
    send_checkpoints(2);
    nats_loop_while(base, is_uncommitted, &owner);
    cluster_store_destroy(owner.store);
    own(&owner, 2, dirs[0]);
    nats_loop_until(base, &owner.is_open);
    drain(&owner);
    check_each_once();
    close_bus();
}
END_TEST

/* --- What a newer version wrote ------------------------------------------
 */

static bool is_removed;

static void
on_removed(void *aux, int error_number, const char *why)
{
    ck_assert_msg(!error_number, "%s", why);
    is_removed = true;
}

/* Its own or in what it packs: what came before is archived, it stays, and
 * says so, whoever owns the shard; when it is gone, all goes on. */
START_TEST(what_came_before_a_newer_version_is_archived)
{
    struct cluster_store_counters c;
    struct lh_error error;
    struct owner owner;
    uint64_t seq;

    open_bus();
    make_streams();
    send_checkpoints(2);
    seq = send_newer(_i);
    own(&owner, 1, dirs[0]);
    nats_loop_while(base, is_uncommitted, &owner);
    send_checkpoints(1);
    nats_loop_while(base, has_no_trouble, &owner);
    cluster_store_trouble(owner.store, &error);
    ck_assert_ptr_nonnull(strstr(error.text, _i ? "version 3" : "version 2"));
    ck_assert_ptr_nonnull(strstr(error.text, "upgrade"));
    drain(&owner);

    own(&owner, 2, dirs[1]);
    nats_loop_while(base, has_no_trouble, &owner);
    cluster_store_get_counters(owner.store, &c);
    ck_assert_uint_eq(c.position, seq);
    ck_assert_uint_eq(c.next_seq, seq);
    ck_assert_uint_eq(c.histories, 0);
    ck_assert_int_eq(
        bus_stream_remove(bus, "LH2", seq, 5000, on_removed, NULL, NULL), 0);
    nats_loop_until(base, &is_removed);
    while (owner.n_shown < 35) {
        event_base_loop(base, EVLOOP_ONCE);
    }
    ck_assert(!cluster_store_trouble(owner.store, &error));
    drain(&owner);
    check_each_once();
    close_bus();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_store_stream");
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, store_set_up, store_tear_down);
    tcase_add_test(tc, a_stream_that_fell_back_is_read_on);
    tcase_add_loop_test(tc, a_stream_that_fell_back_is_read_by_the_next, 0, 2);
    tcase_add_test(tc, what_waits_after_a_fall_is_not_removed);
    tcase_add_loop_test(tc, what_came_before_a_newer_version_is_archived, 0,
                        2);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(suite, tc);

    SRunner *runner = srunner_create(suite);

    srunner_run_all(runner, CK_NORMAL);

    int n_failed = srunner_ntests_failed(runner);

    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
