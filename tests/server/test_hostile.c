/* SPDX-License-Identifier: Apache-2.0 */
/* test_hostile - what others choose costs no more than what comes by itself:
 * absurd times, packet IDs that were made to meet, floods, topologies that
 * contradict themselves.  Work is counted, not timed. */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "lib/keyed_hash.h"
#include "lib/lh_alloc.h"
#include "lib/of_port.h"
#include "server/path_group.h"
#include "server/path_table.h"
#include "tests/server/sketch.h"

#define MS   1000000ULL
#define HOUR (3600000ULL * MS)
#define YEAR (8766 * HOUR)

static struct sketch s;
static struct path_table *pt;
static size_t n_out, n_delivered, n_lost, n_asked;

static void
emit(void *aux, struct history *h)
{
    n_out++;
    n_delivered += h->verdict.name == VERDICT_DELIVERED;
    n_lost += h->verdict.name == VERDICT_LOST;
    history_destroy(h);
}

/* Every look at a postcard asks for its rule: a count of the work. */
static const struct rule *
find_rule(void *aux, uint64_t dpid, uint32_t version)
{
    n_asked++;
    return sketch_find_rule(aux, dpid, version);
}

static struct path_table_counters
counters(void)
{
    struct path_table_counters n;

    path_table_get_counters(pt, &n);
    ck_assert_uint_eq(n.in, n.out + n.duplicates + n.ambiguous +
                                n.dropped_full + n.dropped_memory +
                                n.sampled_out + n.held);
    return n;
}

static void
create(size_t max_postcards)
{
    struct path_table_config config = {
        .max_postcards = max_postcards,
        .emit = emit,
        .find_rule = find_rule,
        .aux = &s,
    };

    path_table_destroy(pt);
    pt = path_table_create(&config);
    path_table_set_topology(pt, s.topology);
    n_out = n_delivered = n_lost = n_asked = 0;
}

static void
setup(void)
{
    sketch_init(&s);
    sketch_rule(&s, 1, 11, 1, 4);
    sketch_rule(&s, 2, 22, 1, 3);
    create(0);
}

static void
teardown(void)
{
    path_table_destroy(pt);
    pt = NULL;
    sketch_uninit(&s);
}

/* A postcard of packet 'id' at 'time_ns' of s1, or of s2 behind it. */
static void
add(uint64_t id, bool is_second, uint64_t time_ns)
{
    struct postcard *p = is_second ? sketch_card(&s, 2, 1, 3, 22, 64, 0)
                                   : sketch_card(&s, 1, 1, 4, 11, 64, 0);

    p->packet_id = id;
    p->time_ns = time_ns;
    path_table_run_to(pt, time_ns);
    path_table_add(pt, p);
    free(s.cards[--s.n_cards]);
}

/* --- Clocks. --------------------------------------------------------------
 */

static const uint64_t absurd[] = {0,
                                  1,
                                  SKETCH_T0 + 80 * YEAR,
                                  UINT64_MAX - 1,
                                  UINT64_MAX,
                                  UINT64_C(1) << 63};
#define N_ABSURD (int) (sizeof absurd / sizeof absurd[0])

/* The clock of what others send is not theirs to turn. */
START_TEST(one_absurd_time_ends_no_window)
{
    uint64_t now_ns = SKETCH_T0 + YEAR;

    add(1, false, now_ns);
    add(2, false, absurd[_i]);
    add(1, true, now_ns + MS);
    ck_assert_uint_eq(n_delivered, 1);
    ck_assert_uint_eq(n_lost, 0);
    ck_assert_uint_eq(counters().odd_times, 1);
    /* Its own window ends all the same. */
    add(3, false, now_ns + 1500 * MS);
    path_table_run_to(pt, now_ns + 1500 * MS);
    ck_assert_uint_eq(n_out, 2);
    path_table_flush(pt);
    ck_assert_uint_eq(counters().held, 0);
}
END_TEST

/* Every third postcard has one. */
START_TEST(absurd_times_without_end_hold_nothing_back)
{
    uint64_t now_ns = SKETCH_T0 + YEAR;

    for (uint64_t i = 0; i < 30000; i++) {
        add(i, false, i % 3 ? now_ns : absurd[i / 3 % N_ABSURD]);
        now_ns += MS;
        ck_assert_uint_le(counters().held, 1600);
    }
    ck_assert_uint_eq(counters().odd_times, 9999); /* The first sets it. */
}
END_TEST

/* Files of different days, in any order. */
START_TEST(windows_end_again_after_a_clock_that_was_wrong)
{
    uint64_t start_ns = _i ? SKETCH_T0 + 50 * YEAR : SKETCH_T0 + YEAR;
    uint64_t then_ns = _i ? SKETCH_T0 + YEAR : SKETCH_T0 + 50 * YEAR;

    for (uint64_t i = 0; i < 100; i++) {
        add(i, false, start_ns + i * MS);
    }
    for (uint64_t i = 0; i < 3000; i++) {
        add(1000 + i, false, then_ns + i * MS);
    }
    ck_assert_uint_ge(n_out, 2000);
    ck_assert_uint_le(counters().held, 1001);
}
END_TEST

/* The machine's own clock is set back by a day, and on again. */
START_TEST(a_server_whose_clock_is_set_goes_on)
{
    uint64_t now_ns = SKETCH_T0 + YEAR;

    for (int round = 0; round < 6; round++) {
        now_ns = round & 1 ? now_ns - 24 * HOUR : now_ns + 24 * HOUR;
        for (uint64_t i = 0; i < 1500; i++) {
            path_table_run(pt, now_ns);
            add((uint64_t) round << 32 | i, false, now_ns);
            now_ns += MS;
        }
        ck_assert_uint_ge(n_out + 1001, (uint64_t) (round + 1) * 1500);
    }
}
END_TEST

/* --- Numbers that others choose. ------------------------------------------
 */

/* However IDs were chosen by who does not know the key, they do not meet. */
START_TEST(chosen_packet_ids_do_not_meet)
{
    enum { N = 200000 };
    struct path_index *index = path_index_create(0);
    uint64_t golden = UINT64_C(0x9e3779b97f4a7c15), id = 0;

    for (uint64_t i = 1; i <= N; i++) {
        switch (_i) {
        case 0: /* Equal at the low end, */
            id = i << 40;
            break;
        case 1: /* at the high end, */
            id = i;
            break;
        case 2: /* in the middle, */
            id = (i & 0xffff) | i >> 16 << 48;
            break;
        case 3: /* or after the usual multiplication. */
            id = i * golden;
            break;
        }
        ck_assert_ptr_nonnull(path_index_add(index, id));
    }
    ck_assert_uint_le(path_index_longest(index), 32);
    path_index_destroy(index);
}
END_TEST

START_TEST(every_table_has_a_key_of_its_own)
{
    struct keyed_hash a = keyed_hash_create(), b = keyed_hash_create();

    ck_assert_uint_ne(a.key[0], b.key[0]);
    ck_assert_uint_ne(keyed_hash_number(&a, 1), keyed_hash_number(&b, 1));
}
END_TEST

/* --- Floods. --------------------------------------------------------------
 */

START_TEST(a_flood_of_unfinished_packets_is_held_to_the_bound)
{
    create(10000);
    for (uint64_t i = 0; i < 200000; i++) {
        add(i * 977, false, SKETCH_T0 + i);
        ck_assert_uint_le(counters().held, 10000);
    }
    ck_assert_uint_eq(counters().dropped_full, 190000);
    ck_assert_uint_le(counters().open_groups, 10000);
    /* Nothing was assembled for them. */
    ck_assert_uint_eq(n_asked, 0);
}
END_TEST

START_TEST(a_flood_of_whole_packets_is_forgotten_in_order)
{
    create(10000);
    for (uint64_t i = 0; i < 100000; i++) {
        add(i * 977, false, SKETCH_T0 + i);
        add(i * 977, true, SKETCH_T0 + i);
    }
    ck_assert_uint_eq(n_delivered, 100000);
    ck_assert_uint_le(counters().closed_groups, 10000);
    ck_assert_uint_le(n_asked, 100000 * 8);
}
END_TEST

/* All postcards have one ID: so many are looked at at once, and no more. */
START_TEST(a_flood_with_one_id_costs_the_same_for_each)
{
    enum { N = 50000 };
    size_t n_early;

    for (uint64_t i = 0; i < N / 10; i++) {
        add(7, i & 1, SKETCH_T0 + i);
    }
    n_early = n_asked;
    for (uint64_t i = N / 10; i < N; i++) {
        add(7, i & 1, SKETCH_T0 + i);
    }
    ck_assert_uint_le(n_asked, n_early * 11);
    ck_assert_uint_le(n_asked, (uint64_t) N * 64);
    ck_assert_uint_le(counters().held, ASSEMBLE_MAX);
    ck_assert_uint_le(counters().open_groups, 1);
}
END_TEST

START_TEST(switches_that_nobody_knows_fill_nothing)
{
    create(1000);
    for (uint64_t i = 0; i < 20000; i++) {
        struct postcard *p = sketch_card(&s, i * 7919 + 9, 1, 4, 11, 64, 0);

        p->packet_id = i;
        p->time_ns = SKETCH_T0 + i * MS;
        path_table_run_to(pt, p->time_ns);
        path_table_add(pt, p);
        free(s.cards[--s.n_cards]);
    }
    ck_assert_uint_le(counters().held, 1000);
    path_table_flush(pt);
    ck_assert_uint_eq(n_out + counters().dropped_full, 20000);
    ck_assert_uint_eq(n_delivered + n_lost, 0); /* Open, all of them. */
}
END_TEST

/* --- Topologies that contradict themselves. -------------------------------
 */

static struct topology *
contradictory(void)
{
    struct topology_builder *b = topology_builder_create();
    struct topology *t;

    topology_builder_add_port(b, 1, 1, NULL, true);
    topology_builder_add_port(b, 2, 3, NULL, true);
    topology_builder_add_port(b, 1, 4, NULL, true); /* Edge, and a link: */
    topology_builder_add_link(b, 1, 4, 3, 9);
    topology_builder_add_link(b, 1, 4, 2, 1);  /* two of them, */
    topology_builder_add_link(b, 1, 5, 1, 5);  /* one to itself, */
    topology_builder_add_link(b, 2, 7, 2, 8);  /* one in one switch, */
    topology_builder_add_link(b, 2, 9, 99, 1); /* one to nowhere. */
    t = topology_build(b, 1);
    return t;
}

START_TEST(of_contradictory_links_the_last_holds)
{
    struct topology *t = contradictory();
    uint64_t dpid;
    uint32_t port;

    ck_assert(topology_peer(t, 1, 4, &dpid, &port));
    ck_assert_uint_eq(dpid, 2);
    ck_assert_uint_eq(port, 1);
    ck_assert(!topology_peer(t, 3, 9, &dpid, &port));
    ck_assert(!topology_is_edge(t, 1, 4));
    ck_assert(!topology_peer(t, 1, 5, &dpid, &port));
    path_table_set_topology(pt, t);
    add(1, false, SKETCH_T0);
    add(1, true, SKETCH_T0 + 10);
    ck_assert_uint_eq(n_delivered, 1);
    topology_unref(t);
}
END_TEST

/* By every port of every switch, known or not: each ends, and says no more
 * than it can. */
START_TEST(packets_over_contradictory_links_end)
{
    static const uint64_t dpids[] = {1, 2, 3, 99, 100};
    struct topology *t = contradictory();
    uint64_t id = 1, time_ns = SKETCH_T0;

    path_table_set_topology(pt, t);
    for (size_t i = 0; i < 5; i++) {
        for (uint32_t in = 0; in < 11; in++) {
            for (uint32_t out = 0; out < 11; out++) {
                struct postcard *p =
                    sketch_card(&s, dpids[i], in, out, 11, 64, 0);

                p->packet_id = id++;
                p->time_ns = time_ns += 10;
                path_table_add(pt, p);
                free(s.cards[--s.n_cards]);
            }
        }
    }
    path_table_flush(pt);
    ck_assert_uint_eq(n_out, 5 * 11 * 11);
    ck_assert_uint_eq(counters().held, 0);
    topology_unref(t);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("hostile");
    TCase *tc = tcase_create("hostile");
    SRunner *runner;
    int n_failed;

    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, one_absurd_time_ends_no_window, 0, N_ABSURD);
    tcase_add_test(tc, absurd_times_without_end_hold_nothing_back);
    tcase_add_loop_test(tc, windows_end_again_after_a_clock_that_was_wrong, 0,
                        2);
    tcase_add_test(tc, a_server_whose_clock_is_set_goes_on);
    tcase_add_loop_test(tc, chosen_packet_ids_do_not_meet, 0, 4);
    tcase_add_test(tc, every_table_has_a_key_of_its_own);
    tcase_add_test(tc, a_flood_of_unfinished_packets_is_held_to_the_bound);
    tcase_add_test(tc, a_flood_of_whole_packets_is_forgotten_in_order);
    tcase_add_test(tc, a_flood_with_one_id_costs_the_same_for_each);
    tcase_add_test(tc, switches_that_nobody_knows_fill_nothing);
    tcase_add_test(tc, of_contradictory_links_the_last_holds);
    tcase_add_test(tc, packets_over_contradictory_links_end);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
