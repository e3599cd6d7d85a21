/* SPDX-License-Identifier: Apache-2.0 */
/* test_links_change - packets that are under way while links change are
 * assembled on the links as they were at their time. */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "lib/of_port.h"
#include "server/path_table.h"
#include "tests/server/sketch.h"

#define MS 1000000ULL
#define US 1000ULL

static struct sketch s;
static struct path_table *pt;
static struct history *out[64];
static size_t n_out, n_packets;

static void
emit(void *aux, struct history *h)
{
    ck_assert_uint_lt(n_out, 64);
    out[n_out++] = h;
}

static void
emit_packet(void *aux, struct trajectory *t,
            const struct trajectory_packet *packet)
{
    n_packets++;
}

static bool
has_lossless(void *aux, uint64_t dpid, uint64_t from_ns, uint64_t to_ns)
{
    return true;
}

static void
create(bool has_cache)
{
    struct path_table_config config = {
        .emit = emit,
        .emit_packet = has_cache ? emit_packet : NULL,
        .find_rule = sketch_find_rule,
        .has_lossless = has_lossless,
        .aux = &s,
    };

    path_table_destroy(pt);
    pt = path_table_create(&config);
    path_table_change_topology(pt, s.topology, SKETCH_T0 - 60000 * MS);
}

static void
setup(void)
{
    sketch_init(&s);
    sketch_rule(&s, 1, 11, 1, 4);
    sketch_rule(&s, 1, 12, 1, 2);
    sketch_rule(&s, 2, 22, 1, 3);
    sketch_rule(&s, 2, 23, 1, 2);
    sketch_rule(&s, 3, 33, 1, 3);
    n_packets = 0;
    create(false);
}

static void
teardown(void)
{
    while (n_out > 0) {
        history_destroy(out[--n_out]);
    }
    path_table_destroy(pt);
    pt = NULL;
    sketch_uninit(&s);
}

/* The sketch's network with its links from s1 4, s2 2 and s1 5 to there
 * instead; 0: no link, an edge port. */
static struct topology *
network(uint64_t s1_4, uint16_t s1_4_port, uint64_t s2_2, uint16_t s2_2_port)
{
    struct topology_builder *b = topology_builder_create();

    topology_builder_add_port(b, 1, 1, NULL, true);
    topology_builder_add_port(b, 1, 2, NULL, true);
    topology_builder_add_port(b, 2, 3, NULL, true);
    topology_builder_add_port(b, 3, 3, NULL, true);
    topology_builder_add_port(b, 1, 4, NULL, true);
    topology_builder_add_port(b, 2, 1, NULL, true);
    topology_builder_add_port(b, 1, 8, NULL, false);
    topology_builder_add_port(b, 1, 9, NULL, true);
    topology_builder_set_port_down(b, 1, 9, true);
    topology_builder_add_link(b, 1, 5, 3, 2);
    if (s1_4) {
        topology_builder_add_link(b, 1, 4, s1_4, s1_4_port);
    }
    if (s2_2) {
        topology_builder_add_link(b, 2, 2, s2_2, s2_2_port);
    }
    return topology_build(b, 2);
}

static void
change(struct topology *to, uint64_t at_us)
{
    path_table_change_topology(pt, to, SKETCH_T0 + at_us * US);
    topology_unref(to);
}

static void
add(uint64_t dpid, uint32_t in_port, uint32_t out_port, uint32_t version,
    uint64_t time_us)
{
    path_table_add(
        pt, sketch_card(&s, dpid, in_port, out_port, version, 64, time_us));
}

static void
end_window(void)
{
    path_table_run(pt, SKETCH_T0 + 10000 * MS);
}

START_TEST(a_late_postcard_is_put_on_the_link_that_was)
{
    add(1, 1, 4, 11, 0);
    change(network(3, 4, 3, 1), 100);
    add(2, 1, 3, 22, 200);
    end_window();
    ck_assert_uint_eq(n_out, 1);
    ck_assert_str_eq(sketch_tree(out[0]), "1.1>4 (2.1>3)");
    ck_assert_int_eq(out[0]->verdict.name, VERDICT_DELIVERED);
}
END_TEST

/* News of the change outran all the packet's postcards. */
START_TEST(news_may_come_before_older_postcards)
{
    change(network(3, 4, 3, 1), 0);
    add(1, 1, 4, 11, 100000);
    add(2, 1, 3, 22, 100020);
    end_window();
    ck_assert_uint_eq(n_out, 1);
    ck_assert_str_eq(sketch_tree(out[0]), "1.1>4 (2.1>3)");
}
END_TEST

START_TEST(what_comes_after_the_change_goes_by_the_new_link)
{
    change(network(3, 4, 3, 1), 0);
    add(1, 1, 4, 11, 1000000);
    add(3, 4, 3, 33, 1000020);
    ck_assert_uint_eq(n_out, 1);
    ck_assert_str_eq(sketch_tree(out[0]), "1.1>4 (3.4>3)");
}
END_TEST

/* By a link that then went, and on by one that came. */
START_TEST(each_hop_has_the_links_of_its_time)
{
    add(1, 1, 4, 11, 0);
    add(2, 1, 2, 23, 50);
    change(network(0, 0, 1, 6), 100);
    add(1, 6, 2, 12, 200);
    end_window();
    ck_assert_uint_eq(n_out, 1);
    ck_assert_str_eq(sketch_tree(out[0]), "1.1>4 (2.1>2 (1.6>2))");
    ck_assert_int_eq(out[0]->verdict.name, VERDICT_DELIVERED);
}
END_TEST

START_TEST(where_links_changed_no_loss_is_sure)
{
    add(1, 1, 4, 11, 0);
    change(network(3, 4, 3, 1), 100);
    end_window();
    ck_assert_uint_eq(n_out, 1);
    ck_assert_int_eq(out[0]->verdict.name, VERDICT_LOST);
    ck_assert_int_eq(out[0]->verdict.evidence, EVIDENCE_UNCERTAIN);
    ck_assert_uint_eq(out[0]->verdict.port, 4);
}
END_TEST

START_TEST(where_a_link_became_an_edge_it_is_open)
{
    add(1, 1, 4, 11, 0);
    change(network(0, 0, 3, 1), 100);
    end_window();
    ck_assert_uint_eq(n_out, 1);
    ck_assert_int_eq(out[0]->verdict.name, VERDICT_OPEN);
    ck_assert_str_eq(out[0]->verdict.reason, "links changed at that time");
}
END_TEST

START_TEST(a_link_that_stayed_is_lost_on_for_sure)
{
    add(1, 1, 4, 11, 0);
    change(network(2, 1, 1, 6), 100);
    end_window();
    ck_assert_uint_eq(n_out, 1);
    ck_assert_int_eq(out[0]->verdict.name, VERDICT_LOST);
    ck_assert_int_eq(out[0]->verdict.evidence, EVIDENCE_COMPLETE);
}
END_TEST

/* Of hops that nobody saw there is more than one possibility. */
START_TEST(nothing_is_deduced_while_links_change)
{
    sketch_rule(&s, 3, 34, 1, 3);
    add(1, 1, 4, 11, 0);
    add(3, 1, 3, 34, 100);
    change(network(2, 1, 1, 6), 200);
    end_window();
    ck_assert_uint_eq(n_out, 2);
    ck_assert_str_eq(sketch_tree(out[0]), "1.1>4");
    ck_assert_str_eq(sketch_tree(out[1]), "|3.1>3");
}
END_TEST

/* Packets that pass no switch of which anything changed are recognised on. */
START_TEST(only_ways_over_changed_switches_are_forgotten)
{
    struct path_table_counters n;

    create(true);
    for (uint64_t i = 0; i < 3; i++) {
        add(2, 3, 3, 22, i * 3000000); /* Dropped: it came by port 3. */
        add(1, 1, 2, 12, i * 3000000 + 1500000);
    }
    ck_assert_uint_eq(n_packets, 4);
    change(network(2, 1, 3, 4), 8000000);
    path_table_get_counters(pt, &n);
    ck_assert_uint_eq(n.paths, 1);
    add(2, 3, 3, 22, 8100000);
    ck_assert_uint_eq(n_packets, 4);
    add(1, 1, 2, 12, 9200000);
    ck_assert_uint_eq(n_packets, 5);
    /* Once the change is long ago it is learned anew. */
    add(2, 3, 3, 22, 11000000);
    add(2, 3, 3, 22, 13000000);
    ck_assert_uint_eq(n_packets, 6);
}
END_TEST

/* The link is up again, but news of it comes after the packet. */
START_TEST(a_link_may_be_up_before_there_is_news_of_it)
{
    struct topology_builder *b = topology_builder_create();
    struct topology *down;

    topology_builder_add_port(b, 1, 1, NULL, true);
    topology_builder_add_port(b, 2, 3, NULL, true);
    topology_builder_add_link(b, 1, 4, 2, 1);
    topology_builder_set_port_down(b, 1, 4, true);
    topology_builder_set_port_down(b, 2, 1, true);
    down = topology_build(b, 2);
    change(down, 0);
    add(1, 1, 4, 11, 2000000);
    ck_assert_uint_eq(n_out, 0);
    add(2, 1, 3, 22, 2000100);
    path_table_run(pt, SKETCH_T0 + 2015 * MS);
    change(network(2, 1, 3, 1), 2020000);
    end_window();
    ck_assert_uint_eq(n_out, 1);
    ck_assert_str_eq(sketch_tree(out[0]), "1.1>4 (2.1>3)");
}
END_TEST

START_TEST(a_clock_put_back_leaves_the_newest_topology)
{
    change(network(3, 4, 3, 1), 5000000);
    add(1, 1, 4, 11, 5000000);
    path_table_run(pt, SKETCH_T0 + 5000 * MS);
    path_table_run(pt, SKETCH_T0 + 1000 * MS);
    add(3, 4, 3, 33, 1000100);
    ck_assert_uint_eq(n_out, 1);
    ck_assert_str_eq(sketch_tree(out[0]), "1.1>4 (3.4>3)");
}
END_TEST

START_TEST(changes_without_end_keep_no_more_than_a_few)
{
    struct path_table_counters n;

    add(1, 1, 4, 11, 0);
    for (uint64_t i = 1; i <= 1000; i++) {
        change(i & 1 ? network(3, 4, 3, 1) : network(2, 1, 3, 1), i);
    }
    add(2, 1, 3, 22, 1001);
    end_window();
    path_table_get_counters(pt, &n);
    ck_assert_uint_eq(n.topologies_forgotten, 1001 - TOPOLOGY_PAST_MAX);
    ck_assert_uint_eq(n_out, 1);
    ck_assert_str_eq(sketch_tree(out[0]), "1.1>4 (2.1>3)");
}
END_TEST

/* What is only learned, and names, are no changes. */
START_TEST(more_knowledge_holds_for_what_was_before)
{
    struct topology_past *past = topology_past_create(1000 * MS);
    struct topology_builder *b = topology_builder_create();
    struct topology_span span;
    struct topology *little, *more;

    /* What a port leads to, and a whole switch. */
    topology_builder_add_port(b, 1, 4, NULL, false);
    little = topology_build(b, 1);
    b = topology_builder_create();
    topology_builder_add_link(b, 1, 4, 2, 1);
    more = topology_build(b, 2);
    topology_past_add(past, little, 1000);
    topology_past_add(past, more, 2000);
    ck_assert(!topology_past_span(past, 0, &span) || span.n == 1);
    ck_assert_ptr_eq(topology_past_newest(past), more);
    topology_unref(little);
    topology_unref(more);
    topology_past_destroy(past);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("links_change");
    TCase *tc = tcase_create("links");
    SRunner *runner;
    int n_failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_late_postcard_is_put_on_the_link_that_was);
    tcase_add_test(tc, news_may_come_before_older_postcards);
    tcase_add_test(tc, what_comes_after_the_change_goes_by_the_new_link);
    tcase_add_test(tc, each_hop_has_the_links_of_its_time);
    tcase_add_test(tc, where_links_changed_no_loss_is_sure);
    tcase_add_test(tc, where_a_link_became_an_edge_it_is_open);
    tcase_add_test(tc, a_link_that_stayed_is_lost_on_for_sure);
    tcase_add_test(tc, nothing_is_deduced_while_links_change);
    tcase_add_test(tc, only_ways_over_changed_switches_are_forgotten);
    tcase_add_test(tc, a_link_may_be_up_before_there_is_news_of_it);
    tcase_add_test(tc, a_clock_put_back_leaves_the_newest_topology);
    tcase_add_test(tc, changes_without_end_keep_no_more_than_a_few);
    tcase_add_test(tc, more_knowledge_holds_for_what_was_before);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
