/* SPDX-License-Identifier: Apache-2.0 */
/* test_cluster_book - agents at several servers say what they lost and how far
 * they are: that nothing was lost is said when it is so, and never else,
 * whatever is lost of what servers tell. */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gen/gen_random.h"
#include "server/cluster_book.h"

#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)
#define T0 UINT64_C(1700000000000000000)

enum { N_DOORS = 3 };

static struct agent_book *agents[N_DOORS];
static struct cluster_book *doors[N_DOORS];
static uint64_t tokens[N_DOORS], settled[N_DOORS];
static struct cluster_book *owner;
static struct byte_buf out;

static void
set_up(void)
{
    owner = cluster_book_create(NULL, NULL);
    for (size_t i = 0; i < N_DOORS; i++) {
        agents[i] = agent_book_create();
        doors[i] = cluster_book_create(NULL, agents[i]);
        tokens[i] = settled[i] = 0;
    }
}

static void
tear_down(void)
{
    cluster_book_destroy(owner);
    byte_buf_uninit(&out);
    for (size_t i = 0; i < N_DOORS; i++) {
        cluster_book_destroy(doors[i]);
        agent_book_destroy(agents[i]);
    }
}

static void
hear(void)
{
    struct lh_error error;

    ck_assert_int_eq(cluster_book_take(owner, out.data, out.len, &error), 0);
}

/* Door 'i' makes its message of 'now_ns'. */
static void
put(size_t i, uint64_t now_ns)
{
    byte_buf_clear(&out);
    cluster_book_look(doors[i], tokens[i], settled[i], now_ns);
    cluster_book_put(doors[i], now_ns, &out);
}

/* The agent of switch 'dpid', whose ID that is, is at door 'i'. */
static struct agent_entry *
agent_at(size_t i, uint64_t dpid)
{
    uint8_t id[AGENT_ID_LEN] = {0};
    struct agent_entry *e;

    bytes_put_be64(id, dpid);
    agent_book_note_switch(agents[i], dpid, id);
    e = agent_book_get(agents[i], id, 1);
    e->is_connected = true;
    return e;
}

static void
lose(size_t i, uint64_t dpid, bool is_named, uint64_t at_ns)
{
    const struct agent_loss_switch sw = {dpid, 1};
    uint8_t id[AGENT_ID_LEN] = {0}, part[16];

    bytes_put_be64(id, dpid);
    bytes_put_be64(part, sw.dpid);
    bytes_put_be64(part + 8, sw.count);
    cluster_book_lose(doors[i], id,
                      &(struct agent_loss){.place = AGENT_PLACE_SPOOL,
                                           .first_ns = at_ns,
                                           .last_ns = at_ns,
                                           .count = 1,
                                           .n = is_named,
                                           .switches = part},
                      at_ns);
}

/* Of postcards that switch 'dpid' sent at 'at_ns'. */
static enum agent_loss_answer
ask(uint64_t dpid, uint64_t at_ns, uint64_t clock_ns)
{
    enum agent_place place = AGENT_PLACE_RING;
    enum agent_loss_answer answer =
        cluster_book_ask(owner, dpid, at_ns, at_ns, clock_ns, &place);

    ck_assert(answer != AGENT_LOSS_SOME || place == AGENT_PLACE_SPOOL);
    return answer;
}

START_TEST(all_has_come_when_nats_and_the_owner_have_it)
{
    uint64_t now_ns = T0 + 10 * S;

    put(0, T0);
    hear();
    ck_assert(!cluster_book_has_agents(owner));
    ck_assert_int_eq(ask(7, T0 + 5 * S, now_ns), AGENT_LOSS_UNKNOWN);

    agent_at(0, 7)->arrived_ns = T0 + 6 * S;
    tokens[0] = 10;
    put(0, now_ns);
    hear();
    ck_assert_int_eq(ask(7, T0 + 5 * S, now_ns), AGENT_LOSS_UNKNOWN);
    settled[0] = 9;
    put(0, now_ns + S);
    hear();
    ck_assert_int_eq(ask(7, T0 + 5 * S, now_ns + S), AGENT_LOSS_UNKNOWN);
    tokens[0] = 11;
    settled[0] = 10;
    put(0, now_ns + 2 * S);
    hear();
    /* All that came until it looked is read only then. */
    ck_assert_int_eq(ask(7, T0 + 5 * S, now_ns - 1), AGENT_LOSS_NOT_YET);
    ck_assert_int_eq(ask(7, T0 + 5 * S, now_ns), AGENT_LOSS_NONE);
    ck_assert_int_eq(ask(7, T0 + 6 * S, now_ns), AGENT_LOSS_NOT_YET);
    /* Nothing is known of before its door was heard. */
    ck_assert_int_eq(ask(7, T0, now_ns), AGENT_LOSS_NOT_YET);
}
END_TEST

START_TEST(losses_are_told_again_and_known_once)
{
    agent_at(0, 7)->arrived_ns = T0 + 60 * S;
    agent_at(1, 8)->arrived_ns = T0 + 60 * S;
    put(0, T0);
    hear();
    put(1, T0);
    hear();
    lose(0, 7, true, T0 + 10 * S);
    put(0, T0 + 11 * S); /* This one is lost. */
    put(0, T0 + 12 * S);
    hear();
    put(0, T0 + 12 * S + MS);
    hear();
    ck_assert_int_eq(ask(7, T0 + 10 * S, T0 + 60 * S), AGENT_LOSS_SOME);
    ck_assert_int_eq(ask(7, T0 + 11 * S, T0 + 60 * S), AGENT_LOSS_NONE);
    ck_assert_int_eq(ask(8, T0 + 10 * S, T0 + 60 * S), AGENT_LOSS_NONE);

    /* Of any switch of that agent. */
    lose(1, 8, false, T0 + 20 * S);
    put(1, T0 + 20 * S);
    hear();
    ck_assert_int_eq(ask(8, T0 + 20 * S, T0 + 60 * S), AGENT_LOSS_SOME);
    ck_assert_int_eq(ask(7, T0 + 20 * S, T0 + 60 * S), AGENT_LOSS_NONE);
}
END_TEST

START_TEST(what_was_missed_is_not_taken_for_nothing)
{
    agent_at(0, 7)->arrived_ns = T0 + 60 * S;
    put(0, T0);
    hear();
    put(1, T0);
    hear();
    lose(0, 7, true, T0 + 10 * S);
    /* Nothing is heard until it is told no more. */
    put(0, T0 + 14 * S);
    hear();
    ck_assert_int_eq(ask(7, T0 + 10 * S, T0 + 60 * S), AGENT_LOSS_NOT_YET);
    ck_assert_int_eq(ask(7, T0 + 5 * S, T0 + 60 * S), AGENT_LOSS_NOT_YET);
    ck_assert_int_eq(ask(7, T0 + 15 * S, T0 + 60 * S), AGENT_LOSS_NONE);

    /* The agent goes to a server that has been heard of all the time, so that
     * what it says is known; and to one that was not. */
    agent_at(0, 7)->is_connected = false;
    agent_at(1, 7)->arrived_ns = T0 + 70 * S;
    put(1, T0 + 30 * S);
    hear();
    ck_assert_int_eq(ask(7, T0 + 15 * S, T0 + 70 * S), AGENT_LOSS_NONE);
    agent_at(1, 7)->is_connected = false;
    agent_at(2, 7)->arrived_ns = T0 + 80 * S;
    put(2, T0 + 50 * S);
    hear();
    ck_assert_int_eq(ask(7, T0 + 40 * S, T0 + 80 * S), AGENT_LOSS_NOT_YET);
    ck_assert_int_eq(ask(7, T0 + 75 * S, T0 + 80 * S), AGENT_LOSS_NONE);
}
END_TEST

START_TEST(more_losses_than_there_is_room_for_are_known_to_be)
{
    agent_at(0, 7)->arrived_ns = T0 + 60 * S;
    put(0, T0);
    hear();
    for (size_t i = 0; i < 2 * AGENT_BOOK_LOSSES; i++) {
        lose(0, 7, true, T0 + 10 * S);
    }
    put(0, T0 + 12 * S);
    hear();
    ck_assert_int_eq(ask(7, T0 + 10 * S, T0 + 60 * S), AGENT_LOSS_SOME);
    ck_assert_int_eq(ask(7, T0 + 5 * S, T0 + 60 * S), AGENT_LOSS_NOT_YET);
}
END_TEST

/* Messages are lost, late or twice; agents lose postcards now and then, and
 * go from door to door. */
START_TEST(nothing_is_said_that_is_not_so)
{
    struct gen_random r = {.state = 7};
    bool was_lost[4000] = {false};
    size_t at = 0, n_none = 0, n_some = 0;
    struct byte_buf late = BYTE_BUF_INIT;

    for (size_t i = 0; i < N_DOORS; i++) {
        put(i, T0 - S);
        hear();
    }
    for (uint64_t step = 0; step < 4000; step++) {
        uint64_t now_ns = T0 + step * 50 * MS;
        struct lh_error error;

        if (gen_random_pick(&r, 100) == 0) {
            agent_at(at, 7)->is_connected = false;
            at = gen_random_pick(&r, N_DOORS);
        }
        if (gen_random_pick(&r, 40) == 0) {
            was_lost[step] = true;
            lose(at, 7, gen_random_pick(&r, 2), now_ns);
        }
        agent_at(at, 7)->arrived_ns = now_ns;
        for (size_t i = 0; i < N_DOORS; i++) {
            tokens[i]++;
            settled[i] += gen_random_pick(&r, 2) ? tokens[i] - settled[i] : 0;
            if (gen_random_pick(&r, 3)) {
                continue;
            }
            put(i, now_ns);
            switch (gen_random_pick(&r, step % 1000 < 500 ? 4 : 40)) {
            case 0:
                break; /* Lost. */
            case 1:
                byte_buf_clear(&late);
                byte_buf_put(&late, out.data, out.len);
                break;
            default:
                hear();
            }
        }
        if (late.len && gen_random_pick(&r, 5) == 0) {
            ck_assert_int_eq(
                cluster_book_take(owner, late.data, late.len, &error), 0);
        }
        if (step >= 10) {
            size_t before = step - 1 - gen_random_pick(&r, 10);
            enum agent_loss_answer answer =
                ask(7, T0 + before * 50 * MS, now_ns - 100 * MS);

            ck_assert(answer != AGENT_LOSS_NONE || !was_lost[before]);
            n_none += answer == AGENT_LOSS_NONE;
            n_some += answer == AGENT_LOSS_SOME;
        }
    }
    ck_assert_uint_gt(n_none, 100);
    ck_assert_uint_gt(n_some, 50);
    byte_buf_uninit(&late);
}
END_TEST

static void
put_and_hear_all(uint64_t now_ns)
{
    struct lh_error error;

    for (size_t i = 0; i < N_DOORS; i++) {
        put(i, now_ns);
        hear();
        for (size_t k = 0; k < N_DOORS; k++) {
            ck_assert_int_eq(
                cluster_book_take(doors[k], out.data, out.len, &error), 0);
        }
    }
}

/* Ways there are seen by one server, ways back by another: all know how far
 * clocks are apart. */
START_TEST(clocks_are_compared_by_what_all_see)
{
    const uint64_t now_ns = T0 - T0 % CLOCK_DELAYS_SPAN_NS + 3 * S;
    const struct topology_switch *sw;
    struct topology *told;

    for (size_t i = 0; i < N_DOORS; i++) {
        agent_at(i, 10 + i)->arrived_ns = now_ns;
    }
    put_and_hear_all(now_ns);
    told = cluster_book_tell_clocks(owner, now_ns, NULL);
    sw = topology_find(told, 11);
    ck_assert(sw->clock.is_told && !sw->clock.is_known);
    topology_unref(told);

    /* The clock of switch 11 is 50 ms ahead, that of 12 is 20 ms behind it. */
    clock_delays_note(cluster_book_delays(doors[0]), 10, 11,
                      (int64_t) (51 * MS), now_ns);
    clock_delays_note(cluster_book_delays(doors[0]), 10, 11,
                      (int64_t) (70 * MS), now_ns);
    clock_delays_note(cluster_book_delays(doors[1]), 11, 10,
                      -(int64_t) (49 * MS), now_ns);
    clock_delays_note(cluster_book_delays(doors[2]), 11, 12,
                      -(int64_t) (19 * MS), now_ns);
    clock_delays_note(cluster_book_delays(doors[2]), 12, 11,
                      (int64_t) (21 * MS), now_ns);
    /* Of whom nobody tells, and of one host alone, nothing is said. */
    clock_delays_note(cluster_book_delays(doors[2]), 12, 99, 1, now_ns);
    put_and_hear_all(now_ns + 2 * S);
    for (size_t i = 0; i < N_DOORS; i++) {
        told = cluster_book_tell_clocks(doors[i], now_ns + 2 * S, NULL);
        int64_t first = topology_find(told, 10)->clock.offset_ns;

        for (uint64_t dpid = 10; dpid < 13; dpid++) {
            sw = topology_find(told, dpid);
            ck_assert(sw->clock.is_told && sw->clock.is_known);
            ck_assert_uint_le(sw->clock.error_ns, 2 * MS);
            ck_assert_uint_ne(
                sw->clock.host,
                topology_find(told, dpid == 10 ? 11 : 10)->clock.host);
        }
        ck_assert_int_eq(topology_find(told, 11)->clock.offset_ns - first,
                         50 * MS);
        ck_assert_int_eq(topology_find(told, 12)->clock.offset_ns - first,
                         30 * MS);
        topology_unref(told);
    }
}
END_TEST

/* A server of before tells nothing of ways, one to come may tell more. */
START_TEST(a_message_may_be_shorter_and_longer)
{
    struct lh_error error;

    agent_at(0, 7)->arrived_ns = T0;
    put(0, T0);
    out.data[out.len - 1] = 0; /* No ways. */
    ck_assert_int_eq(cluster_book_take(owner, out.data, out.len - 1, &error),
                     0);
    ck_assert(cluster_book_has_agents(owner));
    put(0, T0 + S);
    byte_buf_put_u64(&out, 1);
    hear();
}
END_TEST

START_TEST(what_is_malformed_is_refused)
{
    struct lh_error error;

    agent_at(0, 7)->arrived_ns = T0;
    lose(0, 7, true, T0);
    put(0, T0);
    /* But for what is behind the switches. */
    for (size_t n = 0; n < out.len - 1; n++) {
        uint8_t *part = malloc(n + 1);
        struct cluster_book *book = cluster_book_create(NULL, NULL);

        memcpy(part, out.data, n);
        ck_assert_int_eq(cluster_book_take(book, part, n, &error), EBADMSG);
        cluster_book_destroy(book);
        free(part);
    }
    hear();
    out.data[0] = 2;
    ck_assert_int_eq(cluster_book_take(owner, out.data, out.len, &error),
                     ENOTSUP);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("cluster_book");
    TCase *tcase = tcase_create("cluster_book");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, all_has_come_when_nats_and_the_owner_have_it);
    tcase_add_test(tcase, losses_are_told_again_and_known_once);
    tcase_add_test(tcase, what_was_missed_is_not_taken_for_nothing);
    tcase_add_test(tcase, more_losses_than_there_is_room_for_are_known_to_be);
    tcase_add_test(tcase, nothing_is_said_that_is_not_so);
    tcase_add_test(tcase, clocks_are_compared_by_what_all_see);
    tcase_add_test(tcase, a_message_may_be_shorter_and_longer);
    tcase_add_test(tcase, what_is_malformed_is_refused);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
