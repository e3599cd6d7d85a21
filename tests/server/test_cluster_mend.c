/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_mend - NATS loses messages that it has acknowledged, here
 * because they are removed behind everybody's back: doors send them again, and
 * the histories are those of one process; what nobody has any more is
 * counted. */
#include <config.h>

#include <check.h>
#include <event2/event.h>

#include "lib/bus_stream.h"
#include "lib/monotonic.h"
#include "server/cluster_door.h"
#include "server/cluster_holes.h"
#include "tests/server/split_lab.h"

#define N_PACKETS   60
#define N_MESSAGES  12 /* At least. */
#define SHARD       0
#define EPOCH       7
#define DEADLINE_MS 90000

static struct nats nats;
static struct split_lab lab;
static struct cluster_door *door;
static struct cluster_split *owner;
static bool is_done, is_open, is_drained;

static void
set_up(void)
{
    nats_start(&nats, NULL);
    split_lab_init(&lab, 1, N_PACKETS);
    split_lab_open(&lab, &nats, SHARD, 1);
    door = cluster_door_create(&(struct cluster_door_config){
        .bus = lab.bus,
        .n_shards = 1,
        .id_config = lab.id_config,
        .is_file = true,
    });
    is_open = is_drained = false;
}

static void
tear_down(void)
{
    cluster_split_destroy(owner);
    cluster_door_destroy(door);
    owner = NULL;
    split_lab_close(&lab);
    split_lab_uninit(&lab);
    nats_end(&nats);
}

static struct cluster_door_counters
of_door(void)
{
    struct cluster_door_counters n;

    cluster_door_get_counters(door, &n);
    return n;
}

static struct cluster_split_counters
of_owner(void)
{
    struct cluster_split_counters n;

    cluster_split_get_counters(owner, &n);
    return n;
}

static void
turn(void)
{
    if (door) {
        cluster_door_run(door, 0);
    }
    split_lab_turn(lab.base);
}

#define TURN_UNTIL(CONDITION)                                                 \
    do {                                                                      \
        int64_t deadline_ms_ = monotonic_ms() + DEADLINE_MS;                  \
                                                                              \
        while (!(CONDITION)) {                                                \
            ck_assert_int_lt(monotonic_ms(), deadline_ms_);                   \
            turn();                                                           \
        }                                                                     \
    } while (0)

/* Sends all postcards, as many messages. */
static void
send_all(void)
{
    for (size_t i = 0; i < lab.n_cards; i++) {
        cluster_door_add(door, lab.cards[i]);
        if (i % (lab.n_cards / N_MESSAGES) == 0) {
            cluster_door_flush(door);
            TURN_UNTIL(cluster_door_is_idle(door));
        }
    }
    cluster_door_end(door);
    TURN_UNTIL(cluster_door_is_idle(door));
    ck_assert_uint_ge(of_door().messages, N_MESSAGES);
    ck_assert(of_door().kept == lab.n_cards);
}

static void
on_removed(void *aux, int error_number, const char *why)
{
    ck_assert_msg(!error_number, "%s", why);
    is_done = true;
}

static void
remove_message(uint64_t seq)
{
    is_done = false;
    ck_assert(
        !bus_stream_remove(lab.bus, "LH1", seq, 5000, on_removed, NULL, NULL));
    nats_loop_until(lab.base, &is_done);
}

static void
on_event(void *aux, struct cluster_split *split,
         enum cluster_split_event event)
{
    is_open |= event == CLUSTER_SPLIT_OPEN;
    if (event != CLUSTER_SPLIT_OPEN) {
        is_drained = true;
        cluster_split_destroy(split);
        owner = NULL;
    }
}

static struct cluster_hole hole; /* The last one. */

static void
on_hole(void *aux, const struct cluster_hole *h)
{
    hole = *h;
}

static void
own(uint64_t epoch)
{
    struct cluster_split_config config = split_lab_config(&lab);

    config.bus = lab.bus;
    config.epoch = epoch;
    config.on_event = on_event;
    config.on_hole = on_hole;
    is_open = is_drained = false;
    owner = cluster_split_create(&config);
    cluster_split_set_topology(owner, lab.topology, 0);
    TURN_UNTIL(is_open);
}

static bool
has_all(void)
{
    struct cluster_split_counters n = of_owner();

    return n.messages && !n.n_pending && !n.paths.held && !n.held &&
           !n.waiting && n.position == n.next_seq;
}

static void
drain(void)
{
    cluster_split_drain(owner);
    TURN_UNTIL(is_drained);
}

START_TEST(what_nats_lost_is_sent_again)
{
    send_all();
    remove_message(2);
    remove_message(5);
    remove_message(6);
    own(EPOCH);
    TURN_UNTIL(has_all());
    TURN_UNTIL(cluster_door_is_safe(door) && !of_door().kept);
    ck_assert_uint_eq(of_owner().missing, 0);
    ck_assert_uint_ge(of_door().sent_missing, 3);
    drain();
    split_lab_check(&lab);
}
END_TEST

/* Nothing comes behind them that would show it. */
START_TEST(the_last_messages_are_asked_for)
{
    uint64_t last;

    send_all();
    last = of_door().messages + of_door().empty;
    for (uint64_t seq = last - 3; seq <= last; seq++) {
        remove_message(seq);
    }
    own(EPOCH);
    TURN_UNTIL(cluster_door_is_safe(door) && !of_door().kept);
    TURN_UNTIL(has_all());
    ck_assert_uint_eq(of_owner().missing, 0);
    ck_assert_uint_ge(of_door().sent_missing, 4);
    /* Time went on without them, so packets may be in two histories. */
    ck_assert_uint_eq(of_owner().postcards, lab.n_cards);
    drain();
}
END_TEST

/* The owner that waits for what is missing goes, and the next one has it. */
START_TEST(the_next_owner_asks_too)
{
    struct cluster_door *first = door;

    send_all();
    remove_message(5);
    door = NULL; /* It does not run. */
    own(EPOCH);
    TURN_UNTIL(of_owner().held);
    drain();
    own(EPOCH + 1);
    TURN_UNTIL(of_owner().held);
    door = first;
    TURN_UNTIL(has_all());
    ck_assert_uint_eq(of_owner().missing, 0);
    drain();
    split_lab_check(&lab);
}
END_TEST

START_TEST(what_nobody_has_is_counted)
{
    send_all();
    remove_message(3);
    remove_message(4);
    cluster_door_destroy(door);
    door = NULL;
    own(EPOCH);
    TURN_UNTIL(has_all() && of_owner().missing);
    ck_assert_uint_eq(of_owner().missing, 2);
    /* It is known when these were received. */
    ck_assert_int_eq(hole.what, HOLE_POSTCARDS);
    ck_assert_uint_eq(hole.n, 2);
    ck_assert_uint_lt(hole.since_ns, hole.until_ns);
    ck_assert_uint_ge(hole.until_ns, lab.cards[lab.n_cards / 4]->time_ns);
    ck_assert_uint_lt(hole.until_ns, lab.cards[lab.n_cards - 1]->time_ns);
    drain();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_mend");
    TCase *tc = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_set_timeout(tc, 200);
    tcase_add_test(tc, what_nats_lost_is_sent_again);
    tcase_add_test(tc, the_last_messages_are_asked_for);
    tcase_add_test(tc, the_next_owner_asks_too);
    tcase_add_test(tc, what_nobody_has_is_counted);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
